/* SPDX-License-Identifier: Apache-2.0 */
/* Operation graphs: tensors, convolutions, pointwise operations. */
#include "backends/cudnn/graph.h"

#include <string.h>

/* ---- Descriptors */

void cn_graph_init(struct cn_graph *g, const struct cn_target *target)
{
  memset(g, 0, sizeof *g);
  g->target = *target;
}

void cn_graph_free(struct cn_graph *g)
{
  while (g->n_made > 0)
    cudnnBackendDestroyDescriptor(g->made[--g->n_made]);
}

cn_desc cn_new(struct cn_graph *g, cudnnBackendDescriptorType_t type)
{
  cn_desc d = NULL;
  if (g->status == CUDNN_STATUS_SUCCESS && g->n_made == CN_MAX_DESCS)
    g->status = CUDNN_STATUS_NOT_SUPPORTED;
  if (g->status != CUDNN_STATUS_SUCCESS)
    return NULL;
  g->status = cudnnBackendCreateDescriptor(type, &d);
  if (g->status != CUDNN_STATUS_SUCCESS)
    return NULL;
  return g->made[g->n_made++] = d;
}

void cn_set(struct cn_graph *g, cn_desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
            int64_t n, const void *v)
{
  if (g->status == CUDNN_STATUS_SUCCESS)
    g->status = cudnnBackendSetAttribute(d, name, type, n, v);
}

void cn_finalize(struct cn_graph *g, cn_desc d)
{
  if (g->status == CUDNN_STATUS_SUCCESS)
    g->status = cudnnBackendFinalize(d);
}

static void set_desc(struct cn_graph *g, cn_desc d, cudnnBackendAttributeName_t name, cn_desc value)
{
  cn_set(g, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void set_int(struct cn_graph *g, cn_desc d, cudnnBackendAttributeName_t name, int64_t value)
{
  cn_set(g, d, name, CUDNN_TYPE_INT64, 1, &value);
}

static void set_float(struct cn_graph *g, cn_desc d, cudnnBackendAttributeName_t name, float value)
{
  cn_set(g, d, name, CUDNN_TYPE_FLOAT, 1, &value);
}

/* cuDNN wants some numbers as double, whatever the type of the tensors. */
static void set_double(struct cn_graph *g, cn_desc d, cudnnBackendAttributeName_t name, double value)
{
  cn_set(g, d, name, CUDNN_TYPE_DOUBLE, 1, &value);
}

/* ---- Tensors */

static cn_desc tensor(struct cn_graph *g, const struct cn_tensor *t, int64_t uid, bool is_virtual,
                      bool by_value)
{
  int64_t align = 16;
  cn_desc d = cn_new(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  cn_set(g, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &t->type);
  cn_set(g, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, t->rank, t->dim);
  cn_set(g, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, t->rank, t->stride);
  set_int(g, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, uid);
  set_int(g, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, align);
  cn_set(g, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
  if (by_value)
    cn_set(g, d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
  cn_finalize(g, d);
  return d;
}

static int64_t bind(struct cn_graph *g, int32_t io, float scalar)
{
  int64_t uid = (int64_t)g->n_made + 1; /* of the descriptor to come */
  if (g->n_bound == CN_MAX_BOUND)
    g->status = CUDNN_STATUS_NOT_SUPPORTED;
  if (g->status == CUDNN_STATUS_SUCCESS)
    g->bound[g->n_bound++] = (struct cn_bound){uid, io, scalar};
  return uid;
}

cn_desc cn_real(struct cn_graph *g, const struct cn_tensor *t, int32_t io)
{
  int64_t uid = bind(g, io, 0);
  return tensor(g, t, uid, false, false);
}

cn_desc cn_virtual(struct cn_graph *g, const struct cn_tensor *t)
{
  struct cn_tensor f = *t;
  f.type = CUDNN_DATA_FLOAT;
  return tensor(g, &f, (int64_t)g->n_made + 1, true, false);
}

cn_desc cn_scalar(struct cn_graph *g, int rank, float value)
{
  struct cn_tensor t = {CUDNN_DATA_FLOAT, rank, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}};
  int64_t uid = bind(g, CN_SCALAR, value);
  return tensor(g, &t, uid, false, true);
}

/* ---- Operations */

static void add_op(struct cn_graph *g, cn_desc op)
{
  cn_finalize(g, op);
  if (g->n_ops == CN_MAX_OPS)
    g->status = CUDNN_STATUS_NOT_SUPPORTED;
  if (g->status == CUDNN_STATUS_SUCCESS)
    g->ops[g->n_ops++] = op;
}

static cn_desc window_desc(struct cn_graph *g, const struct cn_window *w)
{
  cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  cn_desc d = cn_new(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  cn_set(g, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
  cn_set(g, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  set_int(g, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, w->n);
  cn_set(g, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, w->n, w->dilation);
  cn_set(g, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, w->n, w->stride);
  cn_set(g, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, w->n, w->pad_begin);
  cn_set(g, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, w->n, w->pad_end);
  cn_finalize(g, d);
  return d;
}

/* Names of the attributes of an operation in one direction and the other. */
static const struct conv_names {
  cudnnBackendDescriptorType_t op;
  cudnnBackendAttributeName_t desc, x, w, y, alpha, beta;
} CONV_NAMES[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA}};

void cn_conv(struct cn_graph *g, const struct cn_window *w, bool transpose, cn_desc x, cn_desc weights,
             cn_desc y)
{
  const struct conv_names *n = &CONV_NAMES[transpose];
  cn_desc window = window_desc(g, w);
  cn_desc op = cn_new(g, n->op);
  set_desc(g, op, n->desc, window);
  set_desc(g, op, n->x, x);
  set_desc(g, op, n->w, weights);
  set_desc(g, op, n->y, y);
  set_float(g, op, n->alpha, 1);
  set_float(g, op, n->beta, 0);
  add_op(g, op);
}

void cn_resample(struct cn_graph *g, const struct cn_window *w, cudnnResampleMode_t mode, cn_desc x,
                 cn_desc y)
{
  cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  cudnnPaddingMode_t pad = mode == CUDNN_RESAMPLE_MAXPOOL ? CUDNN_NEG_INF_PAD : CUDNN_ZERO_PAD;
  cn_desc d = cn_new(g, CUDNN_BACKEND_RESAMPLE_DESCRIPTOR);
  cn_set(g, d, CUDNN_ATTR_RESAMPLE_MODE, CUDNN_TYPE_RESAMPLE_MODE, 1, &mode);
  cn_set(g, d, CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
  cn_set(g, d, CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_TYPE_PADDING_MODE, 1, &pad);
  set_int(g, d, CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, w->n);
  cn_set(g, d, CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, CUDNN_TYPE_INT64, w->n, w->kernel);
  cn_set(g, d, CUDNN_ATTR_RESAMPLE_STRIDES, CUDNN_TYPE_INT64, w->n, w->stride);
  cn_set(g, d, CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_TYPE_INT64, w->n, w->pad_begin);
  cn_set(g, d, CUDNN_ATTR_RESAMPLE_POST_PADDINGS, CUDNN_TYPE_INT64, w->n, w->pad_end);
  cn_finalize(g, d);
  cn_desc op = cn_new(g, CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR);
  set_desc(g, op, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, d);
  set_desc(g, op, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, x);
  set_desc(g, op, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, y);
  add_op(g, op);
}

static cn_desc pointwise_desc(struct cn_graph *g, const struct cn_pointwise *p)
{
  cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  cn_desc d = cn_new(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  cn_set(g, d, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &p->mode);
  cn_set(g, d, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
  if (p->clips) {
    set_double(g, d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, p->lower);
    set_double(g, d, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, p->upper);
    set_double(g, d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, p->slope);
  }
  if (p->has_alpha)
    set_double(g, d, CUDNN_ATTR_POINTWISE_ELU_ALPHA, p->alpha);
  cn_finalize(g, d);
  return d;
}

void cn_apply(struct cn_graph *g, const struct cn_pointwise *p, cn_desc x, cn_desc b, cn_desc y)
{
  cn_desc f = pointwise_desc(g, p);
  cn_desc op = cn_new(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  set_desc(g, op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, f);
  set_desc(g, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b)
    set_desc(g, op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
  set_desc(g, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  add_op(g, op);
}

void cn_graph_end(struct cn_graph *g)
{
  cn_desc d = cn_new(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  cn_set(g, d, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->n_ops, g->ops);
  if (g->target.handle)
    cn_set(g, d, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->target.handle);
  cn_finalize(g, d);
  g->graph = d;
}
