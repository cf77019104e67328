/* SPDX-License-Identifier: Apache-2.0 */
/* Ops for which cuDNN has a function and no graph that is as fast: softmax, local response normalization. */
#include "backends/cudnn/cn.h"

#include <limits.h>
#include <stdio.h>

struct call {
  struct gie_context *ctx;
  struct cn_library *lib;
  cudnnTensorDescriptor_t tensor; /* of the operand and of the result */
  cudnnLRNDescriptor_t lrn;       /* NULL: a softmax */
  cudnnSoftmaxAlgorithm_t algorithm;
};

static bool is_lrn(const struct gie_problem *p) { return strcmp(p->node->op->name, "lrn") == 0; }

/* ---- As tensors of four axes: before the channels, channels, behind them */

static bool view(const struct gie_problem *p, int *dim, int *stride)
{
  const struct gie_desc *x = &p->in[0];
  int64_t axis = is_lrn(p) ? 1 : gie_node_int(p->node, "axis"), n[3] = {1, 1, 1};
  axis += axis < 0 ? x->rank : 0;
  if (axis < 0 || axis >= x->rank)
    return false;
  for (int i = 0; i < x->rank; i++) {
    int64_t *at = &n[i < axis ? 0 : i == axis ? 1 : 2];
    if (x->dim[i] < 1 || __builtin_mul_overflow(*at, x->dim[i], at))
      return false;
  }
  int64_t all = 0;
  if (__builtin_mul_overflow(n[0] * n[1], n[2], &all) || all > INT_MAX)
    return false;
  for (int i = 0; i < 4; i++)
    dim[i] = i < 3 ? (int)n[i] : 1;
  stride[3] = 1;
  stride[2] = 1;
  stride[1] = dim[2];
  stride[0] = dim[1] * dim[2];
  return true;
}

/* ---- Answers */

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  cudnnDataType_t type;
  int dim[4], stride[4];
  (void)k;
  if (p->n_in != 1 || p->n_out != 1 || p->node->n_steps)
    return cn_refuse(why, size, "an epilogue");
  if (!cn_type(p->in[0].dtype, &type) || p->out[0].dtype != p->in[0].dtype)
    return cn_refuse(why, size, "%s; it computes in f32, f16 and bf16", gie_dtype_name(p->in[0].dtype));
  if (!view(p, dim, stride))
    return cn_refuse(why, size, "no elements, or more than 2^31-1");
  if (!is_lrn(p))
    return true;
  if (p->in[0].dtype == GIE_BF16)
    return cn_refuse(why, size, "a normalization in bf16");
  int64_t n = gie_node_int(p->node, "size");
  if (n % 2 == 0 || n < CUDNN_LRN_MIN_N || n > CUDNN_LRN_MAX_N)
    return cn_refuse(why, size, "an even number of channels, or more than %d", CUDNN_LRN_MAX_N);
  if (gie_node_float(p->node, "bias") < CUDNN_LRN_MIN_K ||
      gie_node_float(p->node, "beta") < CUDNN_LRN_MIN_BETA)
    return cn_refuse(why, size, "bias or beta near 0");
  return true;
}

static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  bool f32 = p->in[0].dtype == GIE_F32;
  uint32_t n = 0;
  (void)k;
  for (uint32_t half = 0; half <= f32 && n < max; half++) {
    struct gie_port port = {.dtype = half ? GIE_F16 : GIE_DTYPE_NONE};
    bool is_half = half || p->in[0].dtype == GIE_F16;
    out[n] = (struct gie_variant){.struct_size = sizeof *out,
                                  .config = is_half ? CN_HALF : 0,
                                  .in_place = -1,
                                  .capture_safe = true,
                                  .n_in = 1,
                                  .n_out = 1,
                                  .in = {port},
                                  .out = {port}};
    snprintf(out[n++].label, sizeof out->label, "plain%s", is_half ? " f16" : "");
  }
  return n;
}

/* ---- Instances */

static void destroy(void *instance)
{
  struct call *self = instance;
  if (self->tensor)
    cudnnDestroyTensorDescriptor(self->tensor);
  if (self->lrn)
    cudnnDestroyLRNDescriptor(self->lrn);
  gie_free(self->ctx, self);
}

static cudnnStatus_t describe_lrn(struct call *self, const struct gie_node *n)
{
  cudnnStatus_t st = cudnnCreateLRNDescriptor(&self->lrn);
  if (st != CUDNN_STATUS_SUCCESS)
    return st;
  return cudnnSetLRNDescriptor(self->lrn, (unsigned)gie_node_int(n, "size"), gie_node_float(n, "alpha"),
                               gie_node_float(n, "beta"), gie_node_float(n, "bias"));
}

static cudnnStatus_t describe(struct call *self, const struct gie_problem *p)
{
  cudnnDataType_t type;
  int dim[4], stride[4];
  if (!view(p, dim, stride) || !cn_type(p->in[0].dtype, &type))
    return CUDNN_STATUS_NOT_SUPPORTED;
  cudnnStatus_t st = cudnnCreateTensorDescriptor(&self->tensor);
  if (st == CUDNN_STATUS_SUCCESS)
    st = cudnnSetTensorNdDescriptor(self->tensor, type, 4, dim, stride);
  if (st == CUDNN_STATUS_SUCCESS && is_lrn(p))
    st = describe_lrn(self, p->node);
  self->algorithm = strcmp(p->node->op->name, "log_softmax") == 0 ? CUDNN_SOFTMAX_LOG
                                                                  : CUDNN_SOFTMAX_ACCURATE;
  return st;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  (void)k, (void)v;
  if (!p->library)
    return gie_fail(p->ctx, GIE_E_DEVICE, "cuDNN has no handle; open a device first");
  struct call *self = gie_alloc(p->ctx, 1, sizeof *self);
  if (!self)
    return GIE_E_MEMORY;
  self->ctx = p->ctx;
  self->lib = p->library;
  cudnnStatus_t st = describe(self, p);
  if (st == CUDNN_STATUS_SUCCESS)
    return *instance = self, GIE_OK;
  destroy(self);
  return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "cuDNN takes no such tensor: %s", cudnnGetErrorString(st));
}

static cudnnStatus_t compute(const struct call *self, const struct gie_launch *l)
{
  const float one = 1, zero = 0;
  if (self->lrn)
    return cudnnLRNCrossChannelForward(self->lib->target.handle, self->lrn, CUDNN_LRN_CROSS_CHANNEL_DIM1,
                                       &one, self->tensor, l->in[0], &zero, self->tensor, l->out[0]);
  return cudnnSoftmaxForward(self->lib->target.handle, self->algorithm, CUDNN_SOFTMAX_MODE_CHANNEL, &one,
                             self->tensor, l->in[0], &zero, self->tensor, l->out[0]);
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  struct call *self = instance;
  pthread_mutex_lock(&self->lib->lock);
  cudnnStatus_t st = cn_library_stream(self->lib, l->stream);
  if (st == CUDNN_STATUS_SUCCESS)
    st = compute(self, l);
  pthread_mutex_unlock(&self->lib->lock);
  if (st != CUDNN_STATUS_SUCCESS)
    return gie_fail(l->ctx, GIE_E_DEVICE, "cuDNN cannot compute: %s", cudnnGetErrorString(st));
  return GIE_OK;
}

#define KERNEL(op)                                                                             \
  {                                                                                            \
    .struct_size = sizeof(struct gie_kernel), .name = "cudnn." #op, .device = "cuda",          \
    .ops = (const char *const[]){#op, NULL}, .library = &cn_library_ops, .supports = supports, \
    .variants = variants, .create = create, .destroy = destroy, .run = run                     \
  }
struct gie_kernel cn_legacy_kernels[CN_LEGACY_KERNELS] = {KERNEL(softmax), KERNEL(log_softmax), KERNEL(lrn)};
