/* SPDX-License-Identifier: Apache-2.0 */
/* Layers with weights or windows. Formulas: the layer catalogue of Caffe's documentation. */
#include "plugins/caffe/caffe.h"

/* ---- Windows --------------------------------------------------------------------------------- */

#define AXES (GIE_MAX_RANK - 2)

struct window {
  int axes;
  int64_t kernel[AXES], stride[AXES], pad[2 * AXES], dilation[AXES];
};

/* "<name>_h" and "<name>_w", or `field` for all axes, or once per axis. */
static gie_status per_axis(struct caffe_layer *n, const struct text_field *p, const char *field,
                           const char *h, const char *w, int64_t def, int axes, int64_t *out)
{
  uint32_t k = caffe_ints(n->im, p, field, out, (uint32_t)axes);
  if (k == 0)
    out[k++] = def;
  for (int i = (int)k; i < axes; i++)
    out[i] = out[0];
  if (axes == 2) {
    out[0] = caffe_int(n->im, p, h, out[0]);
    out[1] = caffe_int(n->im, p, w, out[1]);
  }
  for (int i = 0; i < axes; i++)
    if (out[i] < (def ? 1 : 0) || out[i] > INT32_MAX)
      return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\": %s %lld is not possible", n->f->line,
                      n->f->column, n->name, field, (long long)out[i]);
  return GIE_OK;
}

static gie_status read_window(struct caffe_layer *n, const struct text_field *p, int axes, struct window *w)
{
  w->axes = axes;
  GIE_TRY(per_axis(n, p, "kernel_size", "kernel_h", "kernel_w", 1, axes, w->kernel));
  GIE_TRY(per_axis(n, p, "stride", "stride_h", "stride_w", 1, axes, w->stride));
  GIE_TRY(per_axis(n, p, "pad", "pad_h", "pad_w", 0, axes, w->pad));
  for (int i = 0; i < axes; i++)
    w->pad[axes + i] = w->pad[i];
  return GIE_OK;
}

static void put_window(const struct window *w, struct caffe_attrs *a)
{
  caffe_put_ints(a, "stride", w->stride, (uint32_t)w->axes);
  caffe_put_ints(a, "pad", w->pad, 2 * (uint32_t)w->axes);
}

/* ---- Convolution ----------------------------------------------------------------------------- */

static gie_status convolve(struct caffe_layer *n, const char *op, bool transposed)
{
  const struct text_field *p = caffe_message(n, "convolution_param");
  struct caffe_attrs attrs = {.n = 0};
  int64_t x[GIE_MAX_RANK], w[GIE_MAX_RANK];
  int rank;
  struct window win;
  gie_id in[3] = {n->in[0]};
  if (!caffe_dims(n, 0, x, &rank))
    return GIE_OK;
  if (rank < 3)
    return caffe_refuse(n, "a convolution of a blob with %d dims", rank);
  GIE_TRY(read_window(n, p, rank - 2, &win));
  GIE_TRY(per_axis(n, p, "dilation", "dilation_h", "dilation_w", 1, rank - 2, win.dilation));
  int64_t out = caffe_int(n->im, p, "num_output", 0),
          group = caffe_int(n->im, p, "group", strstr(n->type, "epthwise") ? x[1] : 1);
  bool bias = caffe_bool(n->im, p, "bias_term", true);
  if (caffe_int(n->im, p, "axis", 1) != 1)
    return caffe_refuse(n, "a convolution with channels elsewhere than axis 1");
  if (out < 1 || group < 1 || out % group || x[1] % group)
    return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\": %lld outputs of %lld channels in %lld groups",
                    n->f->line, n->f->column, n->name, (long long)out, (long long)x[1], (long long)group);
  w[0] = transposed ? x[1] : out;
  w[1] = (transposed ? out : x[1]) / group;
  memcpy(w + 2, win.kernel, (size_t)win.axes * sizeof *w);
  GIE_TRY(caffe_weight_const(n, 0, w, rank, CAFFE_HE, w, rank, &in[1]));
  if (bias)
    GIE_TRY(caffe_weight_const(n, 1, &out, 1, CAFFE_ZERO, &out, 1, &in[2]));
  put_window(&win, &attrs);
  caffe_put_ints(&attrs, "dilation", win.dilation, (uint32_t)win.axes);
  caffe_put_int(&attrs, "group", group);
  return caffe_result(n, op, in, bias ? 3 : 2, &attrs);
}

gie_status caffe_lower_convolution(struct caffe_layer *n) { return convolve(n, "conv", false); }

gie_status caffe_lower_deconvolution(struct caffe_layer *n) { return convolve(n, "conv_transpose", true); }

/* ---- Pooling: rounds up, but no window starts in the end padding; a mean counts the padding, not what
 * rounding up adds to it. */

static gie_status global_pooling(struct caffe_layer *n, bool average)
{
  return caffe_result(n, average ? "global_average_pool" : "global_max_pool", n->in, 1, NULL);
}

gie_status caffe_lower_pooling(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "pooling_param");
  const char *how = caffe_text(n->im, p, "pool", "MAX"), *round = caffe_text(n->im, p, "round_mode", "CEIL");
  bool average = strcmp(how, "AVE") == 0;
  struct caffe_attrs attrs = {.n = 0};
  struct window w;
  int64_t x[GIE_MAX_RANK];
  int rank;
  if (!average && strcmp(how, "MAX") != 0)
    return caffe_refuse(n, "pooling of kind %s", how);
  if (caffe_bool(n->im, p, "global_pooling", false))
    return global_pooling(n, average);
  if (!caffe_dims(n, 0, x, &rank))
    return GIE_OK;
  if (rank != 4)
    return caffe_refuse(n, "pooling of a blob with %d dims", rank);
  GIE_TRY(read_window(n, p, 2, &w));
  for (int i = 0; i < 2; i++)
    if (w.pad[i] >= w.kernel[i])
      return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\": the padding is not smaller than the window",
                      n->f->line, n->f->column, n->name);
  caffe_put_ints(&attrs, "kernel", w.kernel, 2);
  put_window(&w, &attrs);
  caffe_put_int(&attrs, "ceil_mode", strcmp(round, "FLOOR") != 0);
  if (average)
    caffe_put_int(&attrs, "count_include_pad", 1);
  return caffe_result(n, average ? "average_pool" : "max_pool", n->in, 1, &attrs);
}

/* ---- InnerProduct ---------------------------------------------------------------------------- */

gie_status caffe_lower_inner_product(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "inner_product_param");
  struct caffe_attrs attrs = {.n = 0}, flat = {.n = 0};
  int64_t x[GIE_MAX_RANK], w[2], count = 1, out = caffe_int(n->im, p, "num_output", 0);
  int rank, axis;
  bool transpose = caffe_bool(n->im, p, "transpose", false), bias = caffe_bool(n->im, p, "bias_term", true);
  gie_id in[3] = {n->in[0]}, y;
  if (!caffe_dims(n, 0, x, &rank) || !caffe_axis(n, caffe_int(n->im, p, "axis", 1), rank, 0, &axis))
    return GIE_OK;
  for (int i = axis; i < rank; i++)
    if (!gie_mul64(count, x[i], &count))
      return gie_fail(n->ctx, GIE_E_LIMIT, "layer \"%s\": the size of its bottom overflows", n->name);
  w[0] = transpose ? count : out;
  w[1] = transpose ? out : count;
  GIE_TRY(caffe_weight_const(n, 0, w, 2, CAFFE_HE, w, 2, &in[1]));
  if (bias)
    GIE_TRY(caffe_weight_const(n, 1, &out, 1, CAFFE_ZERO, &out, 1, &in[2]));
  caffe_put_int(&flat, "axis", axis);
  if (rank != 2 || axis != 1)
    GIE_TRY(caffe_step(n, "flat", "flatten", n->in, 1, &flat, &in[0]));
  caffe_put_int(&attrs, "trans_b", !transpose);
  if (axis == 1)
    return caffe_result(n, "gemm", in, bias ? 3 : 2, &attrs);
  GIE_TRY(caffe_step(n, "product", "gemm", in, bias ? 3 : 2, &attrs, &y));
  x[axis] = out;
  GIE_TRY(caffe_const_ints(n, "shape", x, (uint32_t)axis + 1, &in[1]));
  return caffe_result(n, "reshape", (gie_id[]){y, in[1]}, 2, NULL);
}

/* ---- Normalization --------------------------------------------------------------------------- */

/* x * (1 + alpha * mean of the squares in the window)^-beta; a mean that counts the padding. */
static gie_status lrn_within(struct caffe_layer *n, int64_t size, double alpha, double beta)
{
  struct caffe_attrs attrs = {.n = 0};
  const int64_t kernel[] = {size, size},
                pad[] = {(size - 1) / 2, (size - 1) / 2, (size - 1) / 2, (size - 1) / 2};
  gie_id v, c, x = n->in[0];
  caffe_put_ints(&attrs, "kernel", kernel, 2);
  caffe_put_ints(&attrs, "pad", pad, 4);
  caffe_put_int(&attrs, "count_include_pad", 1);
  GIE_TRY(caffe_step(n, "square", "mul", (gie_id[]){x, x}, 2, NULL, &v));
  GIE_TRY(caffe_step(n, "mean", "average_pool", &v, 1, &attrs, &v));
  GIE_TRY(caffe_const_scalar(n, "alpha", alpha, &c));
  GIE_TRY(caffe_step(n, "scaled", "mul", (gie_id[]){v, c}, 2, NULL, &v));
  GIE_TRY(caffe_const_scalar(n, "one", 1, &c));
  GIE_TRY(caffe_step(n, "shifted", "add", (gie_id[]){v, c}, 2, NULL, &v));
  GIE_TRY(caffe_const_scalar(n, "beta", -beta, &c));
  GIE_TRY(caffe_step(n, "power", "pow", (gie_id[]){v, c}, 2, NULL, &v));
  return caffe_result(n, "mul", (gie_id[]){x, v}, 2, NULL);
}

gie_status caffe_lower_lrn(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "lrn_param");
  struct caffe_attrs attrs = {.n = 0};
  int64_t size = caffe_int(n->im, p, "local_size", 5);
  double alpha = caffe_real(n->im, p, "alpha", 1), beta = caffe_real(n->im, p, "beta", 0.75),
         k = caffe_real(n->im, p, "k", 1);
  const char *region = caffe_text(n->im, p, "norm_region", "ACROSS_CHANNELS");
  if (size < 1 || size % 2 == 0 || size > INT32_MAX)
    return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\": local_size %lld; it has to be odd", n->f->line,
                    n->f->column, n->name, (long long)size);
  if (strcmp(region, "WITHIN_CHANNEL") == 0)
    return lrn_within(n, size, alpha, beta);
  caffe_put_int(&attrs, "size", size);
  caffe_put_float(&attrs, "alpha", alpha);
  caffe_put_float(&attrs, "beta", beta);
  caffe_put_float(&attrs, "bias", k);
  return caffe_result(n, "lrn", n->in, 1, &attrs);
}

/* Adds a constant for each channel that the caller fills. */
static gie_status channel_const(struct caffe_layer *n, const char *what, struct gie_blob *b, int64_t channels,
                                gie_id *out)
{
  struct gie_type type = {GIE_F32, {1, {{0}}}};
  const struct gie_const data = {b, 0, gie_blob_size(b)};
  const char *name = caffe_fresh_name(n, what);
  type.shape.dim[0] = gie_dim_num(channels);
  return name ? gie_graph_add_const(n->g, name, &type, &data, out) : GIE_E_MEMORY;
}

static gie_status filled(struct caffe_layer *n, const char *what, float v, int64_t channels, gie_id *out)
{
  struct gie_blob *b;
  GIE_TRY(gie_blob_new(n->ctx, (size_t)channels * sizeof v, &b));
  for (int64_t i = 0; i < channels; i++)
    ((float *)gie_blob_data(b))[i] = v;
  gie_status st = channel_const(n, what, b, channels, out);
  gie_blob_unref(b);
  return st;
}

/* Mean or variance: a sum that the third blob's number divides; 0 there means nothing was summed. */
static gie_status statistic(struct caffe_layer *n, uint32_t i, const char *what, float divisor,
                            int64_t channels, gie_id *out)
{
  struct gie_blob *b;
  GIE_TRY(caffe_weights(n, i, &channels, 1, i ? CAFFE_ONE : CAFFE_ZERO, &b));
  float *v = gie_blob_data(b), factor = divisor == 0 ? 0 : 1 / divisor;
  for (int64_t k = 0; k < channels; k++)
    v[k] *= factor;
  gie_status st = channel_const(n, what, b, channels, out);
  gie_blob_unref(b);
  return st;
}

gie_status caffe_lower_batch_norm(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "batch_norm_param");
  struct caffe_attrs attrs = {.n = 0};
  const int64_t one = 1;
  int64_t x[GIE_MAX_RANK];
  int rank;
  struct gie_blob *b;
  gie_id in[5] = {n->in[0]};
  if (!caffe_bool(n->im, p, "use_global_stats", true))
    return caffe_refuse(n, "statistics of the batch itself (use_global_stats false)");
  if (!caffe_dims(n, 0, x, &rank))
    return GIE_OK;
  if (rank < 2)
    return caffe_refuse(n, "a batch normalization of a blob with %d dims", rank);
  GIE_TRY(caffe_weights(n, 2, &one, 1, CAFFE_ONE, &b));
  float divisor = *(float *)gie_blob_data(b);
  gie_blob_unref(b);
  GIE_TRY(statistic(n, 0, "mean", divisor, x[1], &in[3])); /* checks the number of channels */
  GIE_TRY(statistic(n, 1, "var", divisor, x[1], &in[4]));
  GIE_TRY(filled(n, "scale", 1, x[1], &in[1]));
  GIE_TRY(filled(n, "bias", 0, x[1], &in[2]));
  caffe_put_float(&attrs, "epsilon", caffe_real(n->im, p, "eps", 1e-5));
  return caffe_result(n, "batch_norm", in, 5, &attrs);
}

/* ---- Scale, Bias: the second operand covers axes axis … axis+num_axes-1 ----------------------- */

/* false: refused. */
static bool covered(struct caffe_layer *n, const struct text_field *p, int64_t *w, int *w_rank, int64_t *as,
                    int *as_rank)
{
  int64_t x[GIE_MAX_RANK], num;
  int rank, axis;
  if (!caffe_dims(n, 0, x, &rank) || !caffe_axis(n, caffe_int(n->im, p, "axis", 1), rank, 0, &axis))
    return false;
  num = caffe_int(n->im, p, "num_axes", 1);
  if (n->n_in == 2) {
    const struct gie_shape *s = &gie_value_get(n->g, n->in[1])->type.shape;
    if (s->rank < 0) {
      caffe_refuse(n, "the shape of its bottom 1 is not known");
      return false;
    }
    num = s->rank;
  }
  if (num < -1 || num > rank - axis) {
    caffe_refuse(n, "num_axes %lld from axis %d of %d", (long long)num, axis, rank);
    return false;
  }
  *w_rank = num == -1 ? rank - axis : (int)num;
  *as_rank = rank - axis;
  for (int i = 0; i < *as_rank; i++)
    as[i] = i < *w_rank ? x[axis + i] : 1;
  memcpy(w, as, (size_t)*w_rank * sizeof *w);
  return true;
}

static gie_status second_operand(struct caffe_layer *n, const int64_t *w, int w_rank, const int64_t *as,
                                 int as_rank, enum caffe_fill fill, gie_id *out)
{
  gie_id shape;
  if (n->n_in == 1)
    return caffe_weight_const(n, 0, w, w_rank, fill, as, as_rank, out);
  GIE_TRY(caffe_const_ints(n, "shape", as, (uint32_t)as_rank, &shape));
  return caffe_step(n, "operand", "reshape", (gie_id[]){n->in[1], shape}, 2, NULL, out);
}

gie_status caffe_lower_scale(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "scale_param");
  int64_t w[GIE_MAX_RANK], as[GIE_MAX_RANK];
  int w_rank = 0, as_rank = 0;
  gie_id factor, bias, y;
  if (!covered(n, p, w, &w_rank, as, &as_rank))
    return GIE_OK;
  GIE_TRY(second_operand(n, w, w_rank, as, as_rank, CAFFE_ONE, &factor));
  if (!caffe_bool(n->im, p, "bias_term", false))
    return caffe_result(n, "mul", (gie_id[]){n->in[0], factor}, 2, NULL);
  GIE_TRY(caffe_weight_const(n, n->n_in == 1 ? 1 : 0, w, w_rank, CAFFE_ZERO, as, as_rank, &bias));
  GIE_TRY(caffe_step(n, "scaled", "mul", (gie_id[]){n->in[0], factor}, 2, NULL, &y));
  return caffe_result(n, "add", (gie_id[]){y, bias}, 2, NULL);
}

gie_status caffe_lower_bias(struct caffe_layer *n)
{
  int64_t w[GIE_MAX_RANK], as[GIE_MAX_RANK];
  int w_rank = 0, as_rank = 0;
  gie_id bias;
  if (!covered(n, caffe_message(n, "bias_param"), w, &w_rank, as, &as_rank))
    return GIE_OK;
  GIE_TRY(second_operand(n, w, w_rank, as, as_rank, CAFFE_ZERO, &bias));
  return caffe_result(n, "add", (gie_id[]){n->in[0], bias}, 2, NULL);
}

/* x / sqrt(sum of squares + eps) * scale, the sum over the channels or over all but the batch. */
gie_status caffe_lower_normalize(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "norm_param");
  bool all = caffe_bool(n->im, p, "across_spatial", true),
       shared = caffe_bool(n->im, p, "channel_shared", true);
  double eps = caffe_real(n->im, p, "eps", 1e-10);
  int64_t x[GIE_MAX_RANK], axes[GIE_MAX_RANK], as[GIE_MAX_RANK];
  int rank;
  gie_id v, c, scale;
  if (!caffe_dims(n, 0, x, &rank))
    return GIE_OK;
  if (rank < 2)
    return caffe_refuse(n, "a normalization of a blob with %d dims", rank);
  for (int i = 1; i < rank; i++) {
    axes[i - 1] = i;
    as[i - 1] = i == 1 && !shared ? x[1] : 1;
  }
  GIE_TRY(caffe_weight_const(n, 0, as, 1, CAFFE_ONE, as, rank - 1, &scale));
  GIE_TRY(caffe_const_ints(n, "axes", axes, all ? (uint32_t)rank - 1 : 1, &c));
  GIE_TRY(caffe_step(n, "square", "mul", (gie_id[]){n->in[0], n->in[0]}, 2, NULL, &v));
  GIE_TRY(caffe_step(n, "sum", "reduce_sum", (gie_id[]){v, c}, 2, NULL, &v));
  GIE_TRY(caffe_const_scalar(n, "eps", eps, &c));
  GIE_TRY(caffe_step(n, "shifted", "add", (gie_id[]){v, c}, 2, NULL, &v));
  GIE_TRY(caffe_step(n, "norm", "sqrt", &v, 1, NULL, &v));
  GIE_TRY(caffe_step(n, "normal", "div", (gie_id[]){n->in[0], v}, 2, NULL, &v));
  return caffe_result(n, "mul", (gie_id[]){v, scale}, 2, NULL);
}
