/* SPDX-License-Identifier: Apache-2.0 */
/* Included before everything else by the sources of a host that is later than its modules. */
#include <gie/module.h>
#undef GIE_ABI_MINOR
#define GIE_ABI_MINOR 9
