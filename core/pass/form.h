/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of values, dtype and layout, and what leads from one to another: reorder and cast nodes, and constants in
 * another form. The passes that apply a choice and the lowering of a selection make them here. */
#ifndef GIE_CORE_PASS_FORM_H
#define GIE_CORE_PASS_FORM_H

#include "core/ir/ir.h"

struct form {
  enum gie_dtype dtype;
  struct gie_layout layout; /* rank 0: plain */
};

struct form form_of(const struct gie_value *v);
bool form_equal(const struct form *a, const struct form *b, int rank);
/* "nhwc", "f16", "0123_b1_8", "plain": what tells a form from `from`, for names; returns buf. */
char *form_text(const struct form *f, const struct form *from, int rank, char buf[64]);
/* "<name>.<what>" if nothing has that name and it is no longer than names may be, else NULL: a fresh one. */
const char *form_name(const struct gie_graph *g, const char *name, const char *what,
                      char buf[GIE_MAX_NAME + 1]);
/* Sets dtype and layout of a result. */
gie_status form_set(struct gie_graph *g, gie_id value, const struct form *f);
/* A reorder, or where the dtype changes a cast, of the value right behind what makes it; *out is its result. */
gie_status form_convert(struct gie_graph *g, gie_id value, const struct form *f, gie_id *out);
/* The constant in another form: the same bytes with another layout, or converted ones. `blob` has them in dtype
 * f->dtype; NULL: converted here. */
gie_status form_const(struct gie_graph *g, gie_id value, const struct form *f, struct gie_blob *blob,
                      gie_id *out);
/* The bytes of constant v as `to`; the reference is the caller's. */
gie_status form_bytes(const struct gie_graph *g, const struct gie_value *v, enum gie_dtype to,
                      struct gie_blob **out);
/* Graph output `made` becomes `copy`, name included. */
gie_status form_output(struct gie_graph *g, gie_id made, gie_id copy, const char *what);

#endif
