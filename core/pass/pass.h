/* SPDX-License-Identifier: Apache-2.0 */
/* The pass manager as the core and the command see it. */
#ifndef GIE_CORE_PASS_H
#define GIE_CORE_PASS_H

#include <gie/gie.h>

/* Pass i: those of passes/passes.def in that order, then those of modules; NULL past the end. */
const struct gie_pass *pass_at(const struct gie_context *ctx, uint32_t i);
/* By name; a built-in pass wins over a module's. NULL: there is none. */
const struct gie_pass *pass_find(const struct gie_context *ctx, const char *name);
/* The passes that a name of n bytes stands for ("default", "structure", "wide_structure"), or NULL. */
const char *pass_pipeline(const char *name, size_t n);

#endif
