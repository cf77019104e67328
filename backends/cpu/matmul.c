/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products. Formulas: ONNX Gemm (alpha*A'*B' + beta*C) and MatMul (numpy.matmul: the last two
 * axes are multiplied, the others broadcast; a rank-1 operand gets an axis of 1 that the result drops).
 * Integers are exact modulo 2^(their bits). */
#include "backends/cpu/cpu.h"

struct matmul {
  struct cpu_tensor a, b; /* broadcast to [batch…, m, k] and [batch…, k, n] */
  int batch_axes;
  struct cpu_tensor bias; /* broadcast to the result */
  bool has_bias, drop_m, drop_n;
  double alpha, beta;
};

/* idx[0..batch_axes) of batch number `outer`. */
static void batch_index(const struct matmul *v, int64_t outer, int64_t *idx)
{
  for (int i = v->batch_axes - 1; i >= 0; i--) {
    idx[i] = outer % v->a.dim[i];
    outer /= v->a.dim[i];
  }
}

static void load_row(const struct cpu_contract *t, int64_t outer, int64_t row, void *dst)
{
  const struct matmul *v = t->op;
  int64_t idx[GIE_MAX_RANK] = {0};
  batch_index(v, outer, idx);
  idx[v->batch_axes] = row;
  cpu_read(&v->a, idx, v->batch_axes + 1, 1, t->taps, dst);
}

static void load_cols(const struct cpu_contract *t, int64_t outer, int64_t col, int n, void *dst)
{
  const struct matmul *v = t->op;
  int64_t idx[GIE_MAX_RANK] = {0};
  batch_index(v, outer, idx);
  idx[v->batch_axes + 1] = col;
  for (int64_t k = 0; k < t->taps; k++) {
    idx[v->batch_axes] = k;
    cpu_read(&v->b, idx, v->batch_axes + 1, 1, n, (char *)dst + 8 * CPU_COLS * k);
  }
}

/* sum = alpha*sum + beta*bias; whole factors on integers (see gemm_check). */
static void scale_and_add(const struct matmul *v, const int64_t *idx, int axis, int n, struct cpu_row *sum)
{
  struct cpu_row bias;
  if (v->has_bias)
    cpu_read_row(&v->bias, idx, axis, n, &bias);
  if (cpu_is_float(sum->dtype)) {
    for (int k = 0; k < n; k++)
      sum->f[k] = v->has_bias ? v->alpha * sum->f[k] + v->beta * bias.f[k] : v->alpha * sum->f[k];
    return;
  }
  uint64_t alpha = (uint64_t)cpu_saturate(v->alpha, GIE_I64), beta = (uint64_t)cpu_saturate(v->beta, GIE_I64);
  for (int k = 0; k < n; k++)
    sum->i[k] = cpu_wrap((int64_t)(alpha * (uint64_t)sum->i[k] +
                                   (v->has_bias ? beta * (uint64_t)bias.i[k] : 0)),
                         sum->dtype);
}

static gie_status emit(const struct cpu_call *c, const struct cpu_contract *t, int64_t outer, int64_t row,
                       int64_t col, int n, struct cpu_row *sum)
{
  const struct matmul *v = t->op;
  int64_t idx[GIE_MAX_RANK + 2] = {0};
  int axis = v->batch_axes;
  batch_index(v, outer, idx);
  if (!v->drop_m)
    idx[axis++] = row;
  if (!v->drop_n)
    idx[axis++] = col;
  axis--; /* of the columns; without columns n is 1 and any axis will do */
  scale_and_add(v, idx, axis, n, sum);
  return cpu_emit(c, idx, axis, n, sum);
}

static gie_status multiply(const struct cpu_call *c, struct matmul *v)
{
  struct cpu_contract t = {.outer = 1,
                           .rows = v->a.dim[v->batch_axes],
                           .cols = v->b.dim[v->batch_axes + 1],
                           .taps = v->a.dim[v->batch_axes + 1],
                           .op = v,
                           .load_a = load_row,
                           .load_b = load_cols,
                           .emit = emit};
  for (int i = 0; i < v->batch_axes; i++)
    t.outer *= v->a.dim[i];
  v->has_bias = cpu_has_in(c, 2);
  if (v->has_bias) {
    struct cpu_tensor bias = cpu_in(c, 2);
    v->bias = cpu_broadcast(&bias, c->self->out[0].rank, c->self->out[0].dim);
  }
  return cpu_contract(c, &t);
}

/* Extents of the batch axes and of k, from the shapes; false when they do not fit. */
static bool matmul_shape(const struct gie_desc *a, const struct gie_desc *b, int *batch_axes, int64_t *batch)
{
  int ra = a->rank < 2 ? 2 : a->rank, rb = b->rank < 2 ? 2 : b->rank, r = ra > rb ? ra : rb;
  if (a->rank < 1 || b->rank < 1 || a->dim[a->rank - 1] != b->dim[b->rank == 1 ? 0 : b->rank - 2])
    return false;
  *batch_axes = r - 2;
  for (int i = 0; i < r - 2; i++) {
    int64_t x = i >= r - ra ? a->dim[i - (r - ra)] : 1, y = i >= r - rb ? b->dim[i - (r - rb)] : 1;
    if (x != y && x != 1 && y != 1)
      return false;
    batch[i] = x == 1 ? y : x;
  }
  return true;
}

static gie_status matmul_run(const struct cpu_call *c)
{
  struct matmul v = {.alpha = 1, .beta = 1};
  struct cpu_tensor a = cpu_in(c, 0), b = cpu_in(c, 1);
  int64_t dim[GIE_MAX_RANK];
  if (!matmul_shape(&c->self->in[0], &c->self->in[1], &v.batch_axes, dim))
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "the shapes do not multiply");
  v.drop_m = a.rank == 1;
  v.drop_n = b.rank == 1;
  if (v.drop_m)
    cpu_insert_axis(&a, 0);
  if (v.drop_n)
    cpu_insert_axis(&b, 1);
  memcpy(dim + v.batch_axes, a.dim + a.rank - 2, 2 * sizeof *dim);
  v.a = cpu_broadcast(&a, v.batch_axes + 2, dim);
  memcpy(dim + v.batch_axes, b.dim + b.rank - 2, 2 * sizeof *dim);
  v.b = cpu_broadcast(&b, v.batch_axes + 2, dim);
  return multiply(c, &v);
}

static gie_status gemm_run(const struct cpu_call *c)
{
  const struct gie_node *node = c->self->node;
  struct matmul v = {.a = cpu_in(c, 0),
                     .b = cpu_in(c, 1),
                     .alpha = gie_node_float(node, "alpha"),
                     .beta = gie_node_float(node, "beta")};
  if (gie_node_int(node, "trans_a"))
    cpu_swap_axes(&v.a, 0, 1);
  if (gie_node_int(node, "trans_b"))
    cpu_swap_axes(&v.b, 0, 1);
  return multiply(c, &v);
}

static bool same_dtypes(const struct gie_problem *p, char *why, size_t size)
{
  for (uint32_t i = 1; i < p->node->n_operands; i++)
    if (p->in[i].dtype != GIE_DTYPE_NONE && p->in[i].dtype != p->in[0].dtype)
      return cpu_refuse(why, size, "operands of different dtypes");
  return true;
}

static bool matmul_check(const struct gie_problem *p, char *why, size_t size)
{
  int64_t batch[GIE_MAX_RANK];
  int axes;
  if (!matmul_shape(&p->in[0], &p->in[1], &axes, batch))
    return cpu_refuse(why, size, "the shapes do not multiply");
  return same_dtypes(p, why, size);
}

static bool gemm_check(const struct gie_problem *p, char *why, size_t size)
{
  int ta = gie_node_int(p->node, "trans_a") != 0, tb = gie_node_int(p->node, "trans_b") != 0;
  double alpha = gie_node_float(p->node, "alpha"), beta = gie_node_float(p->node, "beta");
  if (p->in[0].rank != 2 || p->in[1].rank != 2 || p->in[0].dim[1 - ta] != p->in[1].dim[tb])
    return cpu_refuse(why, size, "the shapes do not multiply");
  if (!cpu_is_float(p->in[0].dtype) &&
      ((double)cpu_saturate(alpha, GIE_I32) != alpha || (double)cpu_saturate(beta, GIE_I32) != beta))
    return cpu_refuse(why, size, "alpha or beta is not a whole number, the operands are integers");
  return same_dtypes(p, why, size);
}

static void matmul_scratch(const struct gie_problem *p, size_t *per_thread, size_t *shared)
{
  (void)shared;
  *per_thread = cpu_contract_scratch(p->in[0].dim[p->in[0].rank - 1]);
}

static void gemm_scratch(const struct gie_problem *p, size_t *per_thread, size_t *shared)
{
  (void)shared;
  *per_thread = cpu_contract_scratch(p->in[0].dim[gie_node_int(p->node, "trans_a") ? 0 : 1]);
}

const struct cpu_op cpu_op_matmul = {matmul_run, matmul_check, matmul_scratch, true};
const struct cpu_op cpu_op_gemm = {gemm_run, gemm_check, gemm_scratch, true};
