/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `gie plugin` share. */
#ifndef GIE_TOOLS_PLUGIN_H
#define GIE_TOOLS_PLUGIN_H

#include "tools/tool.h"

struct plugin {
  const char *kind, *only;
  bool is_json;
  struct tool_list cases; /* --case */
  uint32_t seed;
  double deadline;
};

/* "layer" of a module's kind; "?" for a number that is none. */
const char *plugin_kind_text(enum gie_module_kind kind);

/* plugin_test.c: of one file, which is loaded in the probe worker only. They return the exit code. */
int plugin_info(struct tool *t, const struct plugin *p, const char *file);
int plugin_test(struct tool *t, const struct plugin *p, const char *file);

#endif
