/* SPDX-License-Identifier: Apache-2.0 */
/* gemm and matmul. oneDNN multiplies [batch…,M,K] by [batch…,K,N]; batch axes of 1 broadcast. */
#include "backends/onednn/onednn.h"

static bool is_gemm(const struct gie_problem *p) { return strcmp(p->node->op->name, "gemm") == 0; }

static bool has_addend(const struct gie_problem *p) { return p->node->n_operands > 2 && p->in[2].dtype; }

static bool steps_read(const struct gie_problem *p)
{
  for (uint32_t i = 0; i < p->node->n_steps; i++)
    if (p->node->steps[i].operand >= 0)
      return true;
  return false;
}

static bool matmul_check(const struct gie_problem *p, char *why, size_t size)
{
  bool vector = p->in[0].rank < 2 || p->in[1].rank < 2;
  if (p->in[0].rank > 6 || p->in[1].rank > 6 || p->in[0].rank < 1 || p->in[1].rank < 1)
    return od_refuse(why, size, "a factor of rank 0 or above 6");
  if (od_is_empty(&p->in[1]))
    return od_refuse(why, size, "no elements");
  if (vector && (has_addend(p) || steps_read(p)))
    return od_refuse(why, size, "a vector as a factor with an addend");
  if (is_gemm(p) && has_addend(p) && gie_node_float(p->node, "beta") != 1)
    return od_refuse(why, size, "beta is not 1");
  return true;
}

/* ---- Factors and result as oneDNN counts axes */

static void insert_axis(struct gie_desc *d, int at)
{
  for (int i = d->rank; i > at; i--) {
    d->dim[i] = d->dim[i - 1];
    d->stride[i] = d->stride[i - 1];
  }
  d->rank++;
  d->layout = (struct gie_layout){0};
  d->dim[at] = 1;
  d->stride[at] = at + 1 < d->rank ? d->dim[at + 1] * d->stride[at + 1] : 1;
}

static void swap_last(struct gie_desc *d)
{
  int64_t dim = d->dim[d->rank - 1], stride = d->stride[d->rank - 1];
  d->dim[d->rank - 1] = d->dim[d->rank - 2];
  d->stride[d->rank - 1] = d->stride[d->rank - 2];
  d->dim[d->rank - 2] = dim;
  d->stride[d->rank - 2] = stride;
}

static bool can_flatten(const struct gie_desc *d)
{
  int64_t rows = gie_desc_count(d) / d->dim[d->rank - 1];
  return !d->pitched && rows <= OD_MAX_EXTENT;
}

/* All axes but the last as one. */
static void flatten(struct gie_desc *d)
{
  int last = d->rank - 1;
  for (int i = 1; i < last; i++)
    d->dim[0] *= d->dim[i];
  d->stride[0] = d->dim[last];
  d->dim[1] = d->dim[last];
  d->stride[1] = 1;
  d->rank = 2;
  d->layout = (struct gie_layout){0};
}

/* One value per column, or a scalar that could be one. */
static bool is_row(const struct gie_desc *c, int64_t columns)
{
  for (int i = 0; i < c->rank - 1; i++)
    if (c->dim[i] != 1)
      return false;
  return c->rank > 0 && c->dim[c->rank - 1] == columns;
}

struct product {
  struct gie_desc a, b, y;
  bool row; /* the addend goes in as oneDNN's bias */
  float alpha;
};

static bool align_all(struct product *m)
{
  struct gie_desc a = m->a, b = m->b, y = m->y;
  int rank = a.rank > b.rank ? a.rank : b.rank;
  return od_align(&a, rank, &m->a) && od_align(&b, rank, &m->b) && od_align(&y, rank, &m->y);
}

static bool read_product(const struct od_build *b, struct product *m)
{
  const struct gie_problem *p = b->p;
  bool column = b->in[1].rank == 1;
  *m = (struct product){.a = b->in[0], .b = od_weights(b, 1), .y = b->out[0], .alpha = 1};
  if (is_gemm(p)) {
    m->alpha = (float)gie_node_float(p->node, "alpha");
    if (gie_node_int(p->node, "trans_a"))
      swap_last(&m->a);
    if (gie_node_int(p->node, "trans_b"))
      swap_last(&m->b);
  }
  if (m->a.rank == 1) {
    insert_axis(&m->a, 0);
    insert_axis(&m->y, m->y.rank - (column ? 0 : 1));
  }
  if (column) {
    insert_axis(&m->b, 1);
    insert_axis(&m->y, m->y.rank);
  }
  m->row = has_addend(p) && m->alpha == 1 && is_row(&b->in[2], m->y.dim[m->y.rank - 1]);
  if (m->b.rank == 2 && m->a.rank > 2 && can_flatten(&m->a) && can_flatten(&m->y) &&
      (m->row || !has_addend(p)) && !steps_read(p)) {
    flatten(&m->a);
    flatten(&m->y);
  }
  return align_all(m);
}

/* ---- The primitive */

static dnnl_status_t append_rest(struct od_build *b, const struct product *m)
{
  dnnl_status_t st = dnnl_success;
  if (m->alpha != 1)
    st = od_append_eltwise(b->ops, dnnl_eltwise_linear, m->alpha, 0);
  if (st == dnnl_success && has_addend(b->p) && !m->row)
    st = od_append_operand(b, dnnl_binary_add, 2);
  return st == dnnl_success ? od_steps(b) : st;
}

static dnnl_status_t matmul_make(struct od_build *b)
{
  struct product m;
  struct gie_desc c;
  od_mdp bias = NULL;
  if (!read_product(b, &m))
    return dnnl_unimplemented;
  if (m.row) {
    if (!od_align(&b->in[2], m.y.rank > b->in[2].rank ? m.y.rank : b->in[2].rank, &c))
      return dnnl_unimplemented;
    for (; c.rank > m.y.rank; c.rank--) /* flattened: leading axes of 1 go */
      for (int i = 0; i < c.rank - 1; i++) {
        c.dim[i] = c.dim[i + 1];
        c.stride[i] = c.stride[i + 1];
      }
    bias = od_use(b, &c);
    od_bind(b, DNNL_ARG_BIAS, 2);
  }
  od_bind(b, DNNL_ARG_SRC, 0);
  od_bind(b, DNNL_ARG_DST, OD_OUT);
  od_mdp src = od_use(b, &m.a), weights = od_use_weights(b, 1, &m.b, DNNL_ARG_WEIGHTS), dst = od_use(b, &m.y);
  if (!src || !weights || !dst || (m.row && !bias))
    return dnnl_unimplemented;
  dnnl_status_t st = append_rest(b, &m);
  return st == dnnl_success ? od_pd_matmul(&b->pd, src, weights, bias, dst, b->attr) : st;
}

const struct od_op od_op_matmul = {.shape = OD_FIXED, .check = matmul_check, .make = matmul_make};
