/* SPDX-License-Identifier: Apache-2.0 */
/* The reference of a comparison: a network as it was read, node by node on the reference kernels, in the memory
 * of what is alive. */
#ifndef GIE_TOOLS_DEBUG_REFERENCE_H
#define GIE_TOOLS_DEBUG_REFERENCE_H

#include "core/run/run.h"
#include "tools/tensor.h"
#include "tools/tool.h"

struct reference {
  struct tool *t;
  const char *path;
  struct gie_graph *g;
  struct run_once once;
  gie_id next; /* node */
  bool *is_live;
  /* by value */
  struct gie_tensor *values; /* data NULL: not there */
  uint32_t *uses;            /* readers to come */
  bool *wanted;              /* to be kept until reference_drop() */
};

gie_status reference_open(struct tool *t, const char *path, struct reference *out);
void reference_close(struct reference *r); /* zeroed is fine */
/* Copies the tensor. E_DATA when there is no such input. */
gie_status reference_feed(struct reference *r, const char *name, const struct gie_tensor *x);
/* E_DATA names an input that is read and has nothing. */
gie_status reference_check_inputs(const struct reference *r);
/* The result of that name, or GIE_NONE. */
gie_id reference_find(const struct reference *r, const char *name);
/* Computes nodes in their order until the value is there. */
gie_status reference_get(struct reference *r, gie_id value, const struct gie_tensor **out);
void reference_want(struct reference *r, gie_id value);
void reference_drop(struct reference *r, gie_id value);

#endif
