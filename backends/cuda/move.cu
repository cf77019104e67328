/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that move elements without looking at them. Most are copies between two views, made when the instance is
 * (copy.cu); what is none (pads, gathers, blocked axes that are cut elsewhere) computes where each element comes
 * from. Operands that say what to do (bounds, pads, repeats) must be known; indices of a gather and a fill value
 * need not be. Formulas: ONNX operators of the corresponding names. */
#include "backends/cuda/move.cuh"

/* All jobs in one launch; false: nothing was launched. */
static bool run_together(const struct move *m, const struct gie_launch *l)
{
  char *to[CUDA_ROWS_PARTS];
  const char *from[CUDA_ROWS_PARTS];
  for (int k = 0; k < m->rows.n; k++) {
    const struct move_job *j = &m->job[k];
    if (!l->out[j->out])
      return false;
    to[k] = static_cast<char *>(l->out[j->out]) + j->out_offset;
    from[k] = static_cast<const char *>(l->in[j->in]) + j->in_offset;
  }
  return cuda_rows_run(&m->rows, to, from, gie_cuda_stream(l));
}

static gie_status move_run(void *instance, const struct gie_launch *l)
{
  const struct move *m = static_cast<const struct move *>(instance);
  if (m->way == WAY_CONCAT) {
    struct concat_each f = *m->concat;
    f.out.data = static_cast<char *>(l->out[0]);
    for (int k = 0; k < f.n; k++)
      f.in[k].data = static_cast<char *>(l->in[k]);
    return cuda_run_each(f, l, "launching a concat");
  }
  if (m->way == WAY_EACH) {
    struct move_each f = m->each;
    f.out.data = static_cast<char *>(l->out[0]);
    f.in.data = static_cast<char *>(l->in[0]);
    f.indices.data = f.map == MAP_GATHER ? static_cast<char *>(l->in[1]) : nullptr;
    f.fill_from = m->fill_operand >= 0 ? static_cast<const char *>(l->in[m->fill_operand]) : nullptr;
    return cuda_run_each(f, l, "launching a move");
  }
  if (m->rows.n && run_together(m, l))
    return gie_cuda_launched(l->ctx, "launching copies of rows");
  for (uint32_t i = 0; i < m->n_jobs; i++) {
    const struct move_job *j = &m->job[i];
    if (l->out[j->out])
      GIE_TRY(cuda_copy_run(&j->copy, static_cast<char *>(l->out[j->out]) + j->out_offset,
                            static_cast<const char *>(l->in[j->in]) + j->in_offset, l));
  }
  if (m->mask >= 0 && l->out[m->mask] && m->mask_bytes)
    GIE_CUDA_TRY(l->ctx, cudaMemsetAsync(l->out[m->mask], 1, m->mask_bytes, gie_cuda_stream(l)),
                 "filling a mask");
  return GIE_OK;
}

/* ---- The kernels */

struct move_op {
  bool (*make)(const struct gie_problem *p, struct move *m, char *why, size_t size);
  struct cuda_follow follow;
  bool half; /* f16 for an f32 problem too */
};

static void move_destroy(void *instance)
{
  struct move *m = static_cast<struct move *>(instance);
  if (!m)
    return;
  gie_free(m->ctx, m->concat);
  gie_free(m->ctx, m);
}

/* NULL with `why`, which is "" when memory ran out. */
static struct move *make(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  const struct move_op *op = static_cast<const struct move_op *>(k->user);
  size_t jobs = size_t(p->n_in) + p->n_out;
  struct move *m = static_cast<struct move *>(
      gie_alloc(p->ctx, 1, sizeof(struct move) + jobs * sizeof(struct move_job)));
  if (!m)
    return nullptr;
  m->ctx = p->ctx;
  m->fill_operand = m->mask = -1;
  if (!op->make(p, m, why, size)) {
    move_destroy(m);
    return nullptr;
  }
  for (uint32_t i = 0; i < m->n_jobs && m->n_jobs > 1 && cuda_rows_add(&m->rows, &m->job[i].copy); i++)
    ;
  return m;
}

static bool move_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  if (p->n_in == 0 || p->n_out == 0)
    return cuda_refuse(why, size, "no operand or no result");
  struct move *m = make(k, p, why, size);
  move_destroy(m);
  return m != nullptr;
}

static uint32_t move_variants(const struct gie_kernel *k, const struct gie_problem *p,
                              struct gie_variant *out, uint32_t max)
{
  const struct move_op *op = static_cast<const struct move_op *>(k->user);
  uint32_t n = cuda_variants_any(p, 0, op->follow, -1, out, max);
  return op->half || n == 0 ? n : 1;
}

static void move_estimate(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, struct gie_cost *out)
{
  out->bytes = 2 * cuda_bytes(p->out, p->n_out);
  out->flops = 0;
}

static gie_status move_create(const struct gie_kernel *k, const struct gie_problem *p,
                              const struct gie_variant *v, void **instance)
{
  char why[128] = "";
  struct move *m = make(k, p, why, sizeof why);
  if (!m)
    return why[0] ? gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", why) : GIE_E_MEMORY;
  *instance = m;
  return GIE_OK;
}

static const struct move_op OP_SAME = {move_same, {1, 1}, true}, OP_CONVERT = {move_same, {0, 0}, false},
                            OP_RESHAPE = {move_reshape, {1, 1}, true},
                            OP_TRANSPOSE = {move_transpose, {1, 1}, true},
                            OP_EXPAND = {move_expand, {1, 1}, true}, OP_SLICE = {move_slice, {1, 1}, true},
                            OP_SPLIT = {move_split, {1, ~0ull}, true},
                            OP_CONCAT = {move_concat, {~0ull, 1}, true},
                            OP_GATHER = {move_gather, {1, 1}, true}, OP_PAD = {move_pad, {5, 1}, true},
                            OP_TILE = {move_tile, {1, 1}, true}, OP_BLOCKS = {move_blocks, {1, 1}, true},
                            OP_CONSTANT = {move_constant, {0, 0}, false};

/* clang-format off */
#define MOVE_OPS(X) \
  X(identity, OP_SAME) X(reorder, OP_CONVERT) X(cast, OP_CONVERT) X(dropout, OP_SAME) \
  X(reshape, OP_RESHAPE) X(flatten, OP_RESHAPE) X(squeeze, OP_RESHAPE) X(unsqueeze, OP_RESHAPE) \
  X(transpose, OP_TRANSPOSE) X(expand, OP_EXPAND) X(slice, OP_SLICE) X(split, OP_SPLIT) \
  X(concat, OP_CONCAT) X(gather, OP_GATHER) X(pad, OP_PAD) X(tile, OP_TILE) \
  X(depth_to_space, OP_BLOCKS) X(space_to_depth, OP_BLOCKS) X(constant_of_shape, OP_CONSTANT)
/* clang-format on */

#define MOVE_NAMES(op, row) CUDA_OP_NAME(op)
#define MOVE_KERNEL(op, row)                   \
  {.struct_size = sizeof(struct gie_kernel),   \
   .name = "cuda." #op,                        \
   .device = "cuda",                           \
   .ops = ops_##op,                            \
   .user = const_cast<struct move_op *>(&row), \
   .supports = move_supports,                  \
   .variants = move_variants,                  \
   .estimate = move_estimate,                  \
   .create = move_create,                      \
   .destroy = move_destroy,                    \
   .run = move_run},

MOVE_OPS(MOVE_NAMES)
static const struct gie_kernel KERNELS[] = {MOVE_OPS(MOVE_KERNEL)};
const struct cuda_family cuda_move = {KERNELS, sizeof KERNELS / sizeof *KERNELS};
