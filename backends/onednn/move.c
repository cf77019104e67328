/* SPDX-License-Identifier: Apache-2.0 */
/* Copies: reorder, cast between f32 and f16, transpose, concat. */
#include "backends/onednn/onednn.h"

/* ---- reorder, cast */

static bool copy_check(const struct gie_problem *p, char *why, size_t size)
{
  enum gie_dtype from = p->in[0].dtype, to = p->out[0].dtype;
  if ((from != GIE_F32 && from != GIE_F16) || (to != GIE_F32 && to != GIE_F16))
    return od_refuse(why, size, "%s to %s; it has f32 and f16", gie_dtype_name(from), gie_dtype_name(to));
  if (p->node->n_steps)
    return od_refuse(why, size, "it takes no epilogue");
  return true;
}

static dnnl_status_t copy_make(struct od_build *b)
{
  od_bind(b, DNNL_ARG_FROM, 0);
  od_bind(b, DNNL_ARG_TO, OD_OUT);
  od_mdp from = od_use(b, &b->in[0]), to = od_use(b, &b->out[0]);
  return from && to ? od_pd_reorder(&b->pd, from, to, b->attr) : dnnl_unimplemented;
}

const struct od_op od_op_copy = {.shape = OD_ANY,
                                 .check = copy_check,
                                 .make = copy_make,
                                 .any_reference = true};

/* ---- concat */

static bool concat_check(const struct gie_problem *p, char *why, size_t size)
{
  if (p->node->n_steps)
    return od_refuse(why, size, "it takes no epilogue");
  return true;
}

static dnnl_status_t concat_make(struct od_build *b)
{
  int64_t axis = gie_node_int(b->p->node, "axis");
  axis += axis < 0 ? b->out[0].rank : 0;
  for (uint32_t i = 0; i < b->p->n_in; i++) {
    if (od_is_empty(&b->in[i]))
      continue;
    od_bind(b, DNNL_ARG_MULTIPLE_SRC + (int)b->n_md, (int32_t)i);
    if (!od_use(b, &b->in[i]))
      return dnnl_unimplemented;
  }
  int n = (int)b->n_md;
  od_mdp dst = od_use(b, &b->out[0]);
  od_bind(b, DNNL_ARG_DST, OD_OUT);
  return dst ? od_pd_concat(&b->pd, dst, (int)axis, n, b->md, b->attr) : dnnl_unimplemented;
}

const struct od_op od_op_concat = {.shape = OD_ALL,
                                   .check = concat_check,
                                   .make = concat_make,
                                   .any_reference = true};

/* ---- transpose: a copy from the operand with its axes in the result's order */

static dnnl_status_t transpose_make(struct od_build *b)
{
  struct gie_desc from = b->in[0];
  int64_t perm[GIE_MAX_RANK];
  uint32_t n = gie_node_ints(b->p->node, "perm", perm, GIE_MAX_RANK, 0);
  from.layout = (struct gie_layout){0};
  for (int i = 0; i < from.rank; i++) {
    int64_t axis = n ? perm[i] : from.rank - 1 - i;
    if (axis < 0 || axis >= from.rank)
      return dnnl_invalid_arguments;
    from.dim[i] = b->in[0].dim[axis];
    from.stride[i] = b->in[0].stride[axis];
  }
  od_bind(b, DNNL_ARG_FROM, 0);
  od_bind(b, DNNL_ARG_TO, OD_OUT);
  od_mdp src = od_use(b, &from), dst = od_use(b, &b->out[0]);
  return src && dst && !b->n_steps ? od_pd_reorder(&b->pd, src, dst, b->attr) : dnnl_unimplemented;
}

const struct od_op od_op_transpose = {.shape = OD_FIXED, .make = transpose_make, .any_reference = true};
