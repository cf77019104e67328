/* SPDX-License-Identifier: Apache-2.0 */
/* What gie opt --diff prints. */
#ifndef GIE_TOOLS_DIFF_H
#define GIE_TOOLS_DIFF_H

#include "core/base/base.h"

/* Prints the unified difference of two texts, called `from` and `into`; nothing when they are equal. */
gie_status diff_print(struct gie_context *ctx, FILE *to, const char *from, const char *a, const char *into,
                      const char *b);

#endif
