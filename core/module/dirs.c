/* SPDX-License-Identifier: Apache-2.0 */
/* Where installed parts are. Compiled apart, because only this file needs the configured paths. */
#include "core/module/registry.h"

const char *mod_default_dir(void) { return GIE_MODULE_DIR; }

const char *mod_default_worker(void) { return GIE_LIBEXEC_DIR "/gie-worker"; }

const char *mod_default_data_dir(void) { return GIE_DATA_DIR; }
