/* SPDX-License-Identifier: Apache-2.0 */
/* What `gie run` says about a run: outputs, best labels, comparison, memory. Each prints as text, or with `j`
 * as members of the JSON object that is open. */
#ifndef GIE_TOOLS_REPORT_H
#define GIE_TOOLS_REPORT_H

#include "tools/tensor.h"
#include "tools/tool.h"

/* Lines of a file of labels. */
struct labels {
  char *text;
  const char **v;
  uint32_t n;
};
gie_status labels_read(struct tool *t, const char *path, struct labels *out);
void labels_free(struct tool *t, struct labels *l);

/* Outputs by position, as the executor has them. */
struct outputs {
  const struct gie_graph *g;
  uint32_t n;
  struct gie_tensor *v;
};
void report_outputs(struct tool *t, struct json *j, const struct outputs *o);
/* The `top` best labels of the output that has one element per label. `head` names the run. */
gie_status report_top(struct tool *t, struct json *j, const struct outputs *o, const struct labels *l,
                      uint32_t top, const char *head);
/* One comparison; members of an open object with `j`. */
void report_compare(struct tool *t, struct json *j, const char *name, const char *file,
                    const struct compare_result *r, const struct compare_rule *rule);
gie_status report_memory(struct tool *t, struct json *j, const struct gie_exec *x);

#endif
