/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of an op: its shape function on operands that fit and on such that do not. */
#include "core/module/conform.h"

#define GUESSES 400
#define NO_REASON "no reason given"

static bool same_type(const struct gie_type *a, const struct gie_type *b)
{
  if (a->dtype != b->dtype || a->shape.rank != b->shape.rank)
    return false;
  for (int i = 0; i < a->shape.rank; i++) {
    const struct gie_dim *x = &a->shape.dim[i], *y = &b->shape.dim[i];
    if (x->a != y->a || x->b != y->b || x->sym != y->sym)
      return false;
  }
  return true;
}

/* A text for what is wrong with an accepted node, or NULL. */
static const char *check_accepted(struct gie_graph *g)
{
  const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
  for (uint32_t i = 0; i < n->n_out; i++) {
    struct gie_type before = gie_value_get(g, n->out[i])->type;
    if (before.dtype == GIE_DTYPE_NONE)
      return "gives a result no element type";
    if (!conform_is_static(g, n) && !(n->op->flags & GIE_OP_DATA_DEPENDENT))
      return "gives a result no size though all operands have one; set GIE_OP_DATA_DEPENDENT if that is meant";
    if (gie_node_infer(g, n->id) != GIE_OK || !same_type(&before, &gie_value_get(g, n->out[i])->type))
      return "says something else when it is asked again";
  }
  return NULL;
}

/* Symbols and unknown dims must be taken or refused, like everything else. */
static const char *check_symbols(struct gie_context *ctx, struct gie_graph *g)
{
  const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
  uint32_t symbol;
  if (gie_graph_n_inputs(g) == 0 || gie_graph_symbol(g, "n", &symbol) != GIE_OK)
    return NULL;
  for (int turn = 0; turn < 3; turn++) {
    gie_id input = gie_graph_input(g, 0);
    struct gie_type type = gie_value_get(g, input)->type;
    if (turn == 2)
      type.shape.rank = -1;
    for (int i = 0; i < type.shape.rank; i++)
      type.shape.dim[i] = turn ? gie_dim_unknown() : (struct gie_dim){1, 0, symbol};
    gie_fail(ctx, GIE_E_INTERNAL, NO_REASON);
    if (gie_value_set_type(g, input, &type) == GIE_OK && gie_node_infer(g, n->id) != GIE_OK &&
        strstr(gie_error_text(ctx), NO_REASON))
      return "refuses dims that are not known without a reason";
  }
  return NULL;
}

struct tally {
  uint32_t accepted, refused;
  const char *wrong;
};

static void guess(struct conform *c, const struct gie_op *op, uint64_t *random, struct tally *t)
{
  gie_status st;
  gie_fail(c->ctx, GIE_E_INTERNAL, NO_REASON);
  struct gie_graph *g = conform_guess(c->ctx, op, random, false, &st);
  if (!g) {
    t->refused++;
    if (strstr(gie_error_text(c->ctx), NO_REASON))
      t->wrong = "refuses operands without a reason; call gie_fail()";
    return;
  }
  t->accepted++;
  t->wrong = check_accepted(g);
  if (!t->wrong)
    t->wrong = check_symbols(c->ctx, g);
  gie_graph_free(g);
}

void conform_op(struct conform *c, const struct gie_op *op)
{
  struct tally t = {0};
  uint64_t random = c->seed;
  if (!conform_begin(c, "op %s: shapes", op->name))
    return;
  for (int i = 0; i < GUESSES && !t.wrong; i++)
    guess(c, op, &random, &t);
  if (t.wrong)
    conform_end(c, CONFORM_FAILED, "its shape function %s", t.wrong);
  else if (t.accepted)
    conform_end(c, CONFORM_OK, "%u of %u guesses accepted, the others refused with a reason",
                (unsigned)t.accepted, GUESSES);
  else
    conform_end(c, CONFORM_SKIPPED, "none of %u guesses is accepted (last: %s); give graphs with --case",
                GUESSES, gie_error_text(c->ctx));
}
