/* SPDX-License-Identifier: Apache-2.0 */
/* Which passes there are, and the order in which they run by default. */
#include "core/pass/pass.h"
#include <string.h>

#define GIE_PASS(name) extern const struct gie_pass gie_pass_##name;
#include "passes/passes.def"
#undef GIE_PASS

static const struct gie_pass *const builtin[] = {
#define GIE_PASS(name) &gie_pass_##name,
#include "passes/passes.def"
#undef GIE_PASS
};
#define N_BUILTIN (sizeof builtin / sizeof *builtin)

/* Clean-up first, so that what follows sees plain patterns; folding before fusion, because fusion
 * wants constants; formulas are recognized before their arithmetic is made cheaper; fusion of weights
 * before the epilogue, because a folded step costs nothing and a fused one little. Dead nodes go
 * before fusion, because they read values, and what became unused goes last. */
static const char default_pipeline[] = "eliminate_deadend,"
                                       "eliminate_identity,"
                                       "eliminate_nop_dropout,"
                                       "fold_constants,"
                                       "eliminate_if_with_const_cond,"
                                       "fold_constants,"
                                       "upcast_f16,"
                                       "eliminate_shape_op,"
                                       "eliminate_nop_cast,"
                                       "eliminate_nop_reshape,"
                                       "eliminate_nop_flatten,"
                                       "eliminate_nop_expand,"
                                       "eliminate_nop_transpose,"
                                       "eliminate_nop_pad,"
                                       "eliminate_nop_slice,"
                                       "eliminate_nop_concat,"
                                       "eliminate_nop_split,"
                                       "eliminate_nop_with_unit,"
                                       "eliminate_nop_pool,"
                                       "eliminate_duplicate_initializer,"
                                       "eliminate_common_subexpression,"
                                       "eliminate_deadend,"
                                       "fuse_layer_norm,"
                                       "fuse_gelu,"
                                       "fuse_mish,"
                                       "fuse_silu,"
                                       "fuse_hard_sigmoid,"
                                       "fuse_hard_swish,"
                                       "reduce_strength,"
                                       "fuse_consecutive_arithmetic,"
                                       "fuse_consecutive_concats,"
                                       "fuse_consecutive_slices,"
                                       "fuse_consecutive_squeezes,"
                                       "fuse_consecutive_unsqueezes,"
                                       "fuse_consecutive_reduce_unsqueeze,"
                                       "fuse_consecutive_reshapes,"
                                       "sink_transpose,"
                                       "fuse_consecutive_transposes,"
                                       "eliminate_nop_transpose,"
                                       "fuse_pad_into_conv,"
                                       "fuse_pad_into_pool,"
                                       "fuse_transpose_into_gemm,"
                                       "fuse_add_bias_into_conv,"
                                       "fuse_bn_into_conv,"
                                       "fuse_mul_into_conv,"
                                       "fuse_scale_into_next_conv,"
                                       "fuse_matmul_add_bias_into_gemm,"
                                       "fuse_epilogue,"
                                       "eliminate_deadend,"
                                       "eliminate_unused_initializer,"
                                       "eliminate_duplicate_initializer";

/* Names that stand for several passes. `structure` changes which kernels there are and where values lie; whether
 * that is faster is for whoever measures it to say. */
static const struct {
  const char *name, *passes;
} pipelines[] = {{"default", default_pipeline},
                 {"structure", "fuse_sibling_convs,share_concat_prefix,eliminate_concat,eliminate_split"},
                 {"wide_structure",
                  "fuse_sibling_convs,widen_concat,share_concat_prefix,eliminate_concat,eliminate_split"}};

const char *gie_pipeline_default(void) { return default_pipeline; }

const char *pass_pipeline(const char *name, size_t n)
{
  for (size_t i = 0; i < sizeof pipelines / sizeof *pipelines; i++)
    if (strlen(pipelines[i].name) == n && memcmp(pipelines[i].name, name, n) == 0)
      return pipelines[i].passes;
  return NULL;
}

const struct gie_pass *pass_at(const struct gie_context *ctx, uint32_t i)
{
  return i < N_BUILTIN ? builtin[i] : gie_pass_at(ctx, i - (uint32_t)N_BUILTIN);
}

const struct gie_pass *pass_find(const struct gie_context *ctx, const char *name)
{
  const struct gie_pass *p;
  for (uint32_t i = 0; (p = pass_at(ctx, i)); i++)
    if (strcmp(p->name, name) == 0)
      return p;
  return NULL;
}
