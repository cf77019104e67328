/* SPDX-License-Identifier: Apache-2.0 */
/* Applies a choice of layouts: layout=nhwc, or what notes say.
 *
 *     %a = conv(%x, %w)               %x.nhwc : nhwc = reorder(%x)
 *     %y = relu(%a)             ->    %a : nhwc = conv(%x.nhwc, %w)
 *     output %y                       %y.nhwc : nhwc = relu(%a)
 *                                     %y = reorder(%y.nhwc)
 *
 * The layout of the argument goes to results and first operands of its rank of all ops on images: convolutions,
 * pools, normalization, resize … A node whose note `layout` names one has it instead, whatever its op, and without
 * an argument only those have one. Reorders are put round each node; move_conversions, which is part of this pass,
 * then moves them through pointwise nodes, concats and so on to where they cancel or where something needs the old
 * layout: inputs and outputs of the graph keep theirs. Weights stay as they are: kernels pack them.
 *
 * Does not fire: views, values that hold views, quantized values, opaque nodes, another rank. */
#include "passes/forms.h"

/* The layout that the node is to have; false: none. */
static gie_status wanted(const struct forms *f, const struct gie_node *n, const char *argument,
                         struct gie_layout *out, bool *any)
{
  const struct gie_attr *note = gie_attrs_find(&n->notes, "layout");
  const struct forms_op *op = forms_op(n->op);
  const struct gie_value *y = n->n_out ? gie_value_get(f->g, n->out[0]) : NULL;
  const char *text = note && note->kind == GIE_ATTR_STRING ? note->u.s : op && op->space ? argument : NULL;
  *any = false;
  if (!text || !op || !op->layout || !y || y->type.shape.rank < 1)
    return GIE_OK;
  if (gie_layout_parse(f->ctx, text, y->type.shape.rank, out) == GIE_OK)
    *any = true;
  else if (text != argument)
    return gie_error_prefix(f->ctx, GIE_E_DATA, "node \"%s\", note layout", n->name);
  return GIE_OK; /* of another rank than the argument's */
}

static bool can_change(const struct forms *f, const struct gie_node *n)
{
  const struct gie_value *y = gie_value_get(f->g, n->out[0]);
  for (uint32_t i = 0; i < n->n_out; i++)
    if (!forms_is_free(f->g, n->out[i]))
      return false;
  for (uint32_t i = 0; i < n->n_in; i++)
    if (n->in[i] != GIE_NONE && gie_value_get(f->g, n->in[i])->quant.n)
      return false;
  return n->n_captures == 0 && n->in[0] != GIE_NONE &&
         gie_value_get(f->g, n->in[0])->type.shape.rank == y->type.shape.rank;
}

/* Operands that go along: of the result's rank, and not those that kernels pack. */
static bool goes_along(const struct forms *f, const struct gie_node *n, uint32_t slot, int rank)
{
  bool operand = slot < n->n_operands;
  return n->in[slot] != GIE_NONE && (!operand || slot == 0 || forms_op(n->op)->all) &&
         gie_value_get(f->g, n->in[slot])->type.shape.rank == rank;
}

static gie_status apply(struct forms *f, const struct gie_node *n, const struct gie_layout *layout)
{
  int rank = gie_value_get(f->g, n->out[0])->type.shape.rank;
  for (uint32_t i = 0; i < n->n_in; i++) {
    if (!goes_along(f, n, i, rank))
      continue;
    struct form to = form_of(gie_value_get(f->g, n->in[i]));
    to.layout = *layout;
    GIE_TRY(forms_set_operand(f, n, i, &to));
  }
  for (uint32_t i = 0; i < n->n_out; i++) {
    struct form old = form_of(gie_value_get(f->g, n->out[i])), now = old;
    if (gie_value_get(f->g, n->out[i])->type.shape.rank != rank)
      continue;
    now.layout = *layout;
    if (form_equal(&old, &now, rank))
      continue;
    ++*f->changes;
    GIE_TRY(gie_value_set_layout(f->g, n->out[i], layout));
    GIE_TRY(forms_give_back(f, n->out[i], &old));
  }
  return GIE_OK;
}

static gie_status apply_all(struct forms *f, const char *argument)
{
  GIE_TRY(forms_choose(f));
  for (gie_id id = gie_graph_first(f->g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(f->g, id);
    struct gie_layout layout;
    bool any;
    next = n->next;
    GIE_TRY(wanted(f, n, argument, &layout, &any));
    if (any && can_change(f, n)) {
      f->fixed[n->id] = 1;
      GIE_TRY(apply(f, n, &layout));
    }
  }
  return forms_move(f);
}

/* It must be one for some rank. */
static gie_status check_argument(struct gie_context *ctx, const char *text)
{
  struct gie_layout layout;
  for (int rank = 1; rank <= GIE_MAX_RANK; rank++)
    if (gie_layout_parse(ctx, text, rank, &layout) == GIE_OK)
      return GIE_OK;
  return gie_fail(ctx, GIE_E_USAGE, "\"%s\" is no layout; give nhwc, nChw8c or so (doc/ir.md)", text);
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct forms f = {.g = g, .ctx = pc->ctx, .changes = changes};
  if (pc->argument)
    GIE_TRY(check_argument(pc->ctx, pc->argument));
  gie_status st = apply_all(&f, pc->argument);
  forms_free(&f);
  return st;
}

const struct gie_pass gie_pass_layout = {
    sizeof(struct gie_pass), "layout",
    "stores images in that layout, or as notes say, with reorders where needed; not views", run, "LAYOUT"};
