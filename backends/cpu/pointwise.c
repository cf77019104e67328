/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise nodes: operands broadcast to the result (numpy rules), one row at a time. More than two
 * operands (max, min, sum) are folded from the left. The functions are in functions.c. */
#include "backends/cpu/cpu.h"

static gie_status row_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct cpu_box *box = arg;
  struct cpu_tensor out = cpu_out(c, 0);
  struct cpu_row row, other;
  int64_t idx[GIE_MAX_RANK];
  int n = cpu_box_at(box, item, idx);
  uint32_t operands = c->self->node->n_operands;
  (void)slot;
  for (uint32_t i = 0; i < operands; i++) {
    struct cpu_tensor in = cpu_in(c, i);
    in = cpu_broadcast(&in, out.rank, out.dim);
    cpu_read_row(&in, idx, box->axis, n, i ? &other : &row);
    bool applies = i > 0 || c->self->node->op->max_in == 1; /* max(x) alone is x */
    if (applies && !cpu_apply(&c->self->self, &row, &other, n))
      return cpu_fail_division(c);
  }
  return cpu_emit(c, idx, box->axis, n, &row);
}

static gie_status pointwise_run(const struct cpu_call *c)
{
  struct cpu_tensor out = cpu_out(c, 0);
  struct cpu_box box = cpu_box(&out, 0, NULL);
  return cpu_for(c, box.rows, 16, row_body, &box);
}

static bool pointwise_check(const struct gie_problem *p, char *why, size_t size)
{
  const struct cpu_function *fn = cpu_function_find(p->node->op->name);
  enum gie_dtype t = p->in[0].dtype;
  if (!fn || !(cpu_is_float(t) ? fn->on_float : fn->on_int))
    return cpu_refuse(why, size, "%s is not defined on %s", p->node->op->name, gie_dtype_name(t));
  for (uint32_t i = 1; i < p->node->n_operands; i++)
    if (p->in[i].dtype != t && strcmp(fn->op, "pow") != 0)
      return cpu_refuse(why, size, "operands of different dtypes, %s and %s", gie_dtype_name(t),
                        gie_dtype_name(p->in[i].dtype));
  return true;
}

/* where: cond ? x : y; a bool and two operands of one dtype. */
static gie_status where_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct cpu_box *box = arg;
  struct cpu_tensor out = cpu_out(c, 0);
  struct cpu_row row[3];
  int64_t idx[GIE_MAX_RANK];
  int n = cpu_box_at(box, item, idx);
  (void)slot;
  for (uint32_t i = 0; i < 3; i++) {
    struct cpu_tensor in = cpu_in(c, i);
    in = cpu_broadcast(&in, out.rank, out.dim);
    cpu_read_row(&in, idx, box->axis, n, &row[i]);
  }
  for (int k = 0; k < n; k++)
    if (!row[0].i[k]) {
      if (cpu_is_float(row[1].dtype))
        row[1].f[k] = row[2].f[k];
      else
        row[1].i[k] = row[2].i[k];
    }
  return cpu_emit(c, idx, box->axis, n, &row[1]);
}

static gie_status where_run(const struct cpu_call *c)
{
  struct cpu_tensor out = cpu_out(c, 0);
  struct cpu_box box = cpu_box(&out, 0, NULL);
  return cpu_for(c, box.rows, 16, where_body, &box);
}

static bool where_check(const struct gie_problem *p, char *why, size_t size)
{
  if (p->in[0].dtype != GIE_BOOL || p->in[1].dtype != p->in[2].dtype)
    return cpu_refuse(why, size, "needs a bool condition and two operands of one dtype");
  return true;
}

const struct cpu_op cpu_op_pointwise = {pointwise_run, pointwise_check, NULL, true};
const struct cpu_op cpu_op_where = {where_run, where_check, NULL, true};
