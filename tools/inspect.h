/* SPDX-License-Identifier: Apache-2.0 */
/* gie inspect, for plans. */
#ifndef GIE_TOOLS_INSPECT_H
#define GIE_TOOLS_INSPECT_H

#include "tools/kernels.h"

/* What is in a plan; `nodes`: every node of every profile. Prints errors and returns the exit code. */
int inspect_plan(struct tool *t, const char *path, bool json, bool nodes);

#endif
