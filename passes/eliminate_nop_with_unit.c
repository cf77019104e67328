/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic with the neutral element: readers read the operand.
 *
 *     x + 0, x - 0, x * 1, x / 1, pow(x, 1)    ->    x
 *
 * The constant may be of any shape, all its elements being the same.
 *
 * Does not fire when the constant enlarges the result. -0.0 + 0.0, which is 0.0, stays -0.0. */
#include "passes/util.h"

#define MAX_ELEMENTS 65536 /* of a constant that is looked through */

/* Every element of a constant equals `unit`. */
static bool is_all(const struct gie_graph *g, gie_id value, double unit)
{
  const struct gie_value *v = gie_value_get(g, value);
  if (!v || v->kind != GIE_VALUE_CONST || !pass_is_plain(v) || v->type.dtype == GIE_BOOL)
    return false;
  size_t bytes, size = gie_dtype_size(v->type.dtype);
  const char *p = gie_value_bytes(g, value, &bytes);
  if (bytes / size > MAX_ELEMENTS || bytes == 0)
    return false;
  for (size_t i = 0; i < bytes / size; i++) {
    int64_t element = 0;
    if (gie_dtype_class(v->type.dtype) != 'f')
      memcpy(&element, p + i * size, size); /* 0 and 1 are what they are in any width */
    if ((gie_dtype_class(v->type.dtype) == 'f' ? pass_load(v->type.dtype, p, i) : (double)element) != unit)
      return false;
  }
  return true;
}

static bool match(const struct gie_graph *g, const struct gie_node *n, gie_id *to)
{
  static const struct {
    const char *op;
    double unit;
  } table[] = {{"add", 0}, {"sub", 0}, {"mul", 1}, {"div", 1}, {"pow", 1}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    if (!pass_is_op(n, table[i].op))
      continue;
    bool second = is_all(g, n->in[1], table[i].unit);
    *to = n->in[!second];
    return second || ((n->op->flags & GIE_OP_COMMUTATIVE) && is_all(g, n->in[0], table[i].unit));
  }
  return false;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  return pass_eliminate(g, changes, match);
}

const struct gie_pass gie_pass_eliminate_nop_with_unit = {
    sizeof(struct gie_pass), "eliminate_nop_with_unit",
    "removes x+0, x-0, x*1, x/1 and pow(x, 1); not where the constant enlarges x", run, NULL};
