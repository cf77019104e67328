/* SPDX-License-Identifier: Apache-2.0 */
/* What the passes share that apply a choice of layout or precision: nodes are given another form one by one, with
 * conversions round them, and conversions are then moved and cancelled. */
#ifndef GIE_PASSES_FORMS_H
#define GIE_PASSES_FORMS_H

#include "core/pass/form.h"
#include "passes/util.h"

/* How an op treats the forms of its operands. */
struct forms_op {
  const char *op;
  bool all; /* all operands go along with the result, else the first */
  bool
      exact; /* picks elements and changes none by rounding: may run in a narrower dtype that its operands had */
  bool layout; /* its operand and result may have any layout, as long as it is the same */
  bool space;  /* an op on images: what a layout is chosen for */
  bool anchor; /* reorders do not move behind it: whoever put them before it knows why */
};
/* NULL: its operands keep their forms. Any pointwise op and what forms.c lists. */
const struct forms_op *forms_op(const struct gie_op *op);

/* One pass over a graph; conversions made in it are found again. */
struct forms {
  struct gie_graph *g;
  struct gie_context *ctx;
  uint32_t *changes;
  gie_id *made; /* by value: the newest conversion of it, or GIE_NONE */
  size_t n_made;
  unsigned char *fixed; /* by node that was there at the start: a choice was made for it; NULL: for none */
  uint32_t n_fixed;
};
/* All nodes are looked at for a choice. */
gie_status forms_choose(struct forms *f);
void forms_free(struct forms *f);
/* The value in that form: itself, a constant or conversion made before, or a new one. */
gie_status forms_get(struct forms *f, gie_id value, const struct form *to, gie_id *out);
/* Operand `slot` is read in that form from now on. */
gie_status forms_set_operand(struct forms *f, const struct gie_node *n, uint32_t slot, const struct form *to);
/* Result `value` has got another form: its readers and outputs read a conversion to the old one. */
gie_status forms_give_back(struct forms *f, gie_id value, const struct form *old);
/* What the value is a conversion of, if nothing was lost by it: a reorder, a cast to a wider float type, or one that
 * was made while a choice is applied, where the choice says what is rounded; else GIE_NONE. */
gie_id forms_source(const struct forms *f, gie_id value);
/* Neither a view nor something that views lie in, and not quantized. */
bool forms_is_free(const struct gie_graph *g, gie_id value);
/* Moves conversions behind nodes that can do without, onto constants, and cancels pairs. */
gie_status forms_move(struct forms *f);

#endif
