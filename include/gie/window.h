/* SPDX-License-Identifier: Apache-2.0 */
/* Geometry of sliding windows (convolution, transposed convolution, pooling): pads resolved, sizes
 * checked. Header-only, so shape inference, the reference and every backend compute the same numbers.
 * Formulas: ONNX operators Conv, ConvTranspose, MaxPool, AveragePool (auto_pad, ceil_mode). */
#ifndef GIE_WINDOW_H
#define GIE_WINDOW_H

#include <gie/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GIE_MAX_SPATIAL (GIE_MAX_RANK - 2)

/* out[i] windows start at out_index*stride - pad_begin and tap kernel[i] elements `dilation` apart.
 * For a transposed convolution `out` is the larger side: x element i adds to
 * out[i*stride - pad_begin + k*dilation] where that is inside. */
struct gie_window {
  int n; /* spatial axes */
  int64_t kernel[GIE_MAX_SPATIAL], stride[GIE_MAX_SPATIAL], dilation[GIE_MAX_SPATIAL];
  int64_t pad_begin[GIE_MAX_SPATIAL], pad_end[GIE_MAX_SPATIAL];
  int64_t in[GIE_MAX_SPATIAL], out[GIE_MAX_SPATIAL];
};

enum gie_auto_pad { GIE_PAD_EXPLICIT, GIE_PAD_SAME_UPPER, GIE_PAD_SAME_LOWER };

/* All products stay far inside int64 because every extent is limited to this. */
#define GIE_WINDOW_LIMIT INT32_MAX

/* Extent of the kernel with its gaps. */
static inline int64_t gie_window_span(const struct gie_window *w, int i)
{
  return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

/* Reads stride, dilation, pad and auto_pad for n spatial axes with kernel[] (everything but in and
 * out); false with a reason in *why (static text) when they make no valid window. */
static inline bool gie_window_attrs(const struct gie_node *node, int n, const int64_t *kernel,
                                    struct gie_window *w, enum gie_auto_pad *auto_pad, const char **why)
{
  const int64_t limit = GIE_WINDOW_LIMIT;
  int64_t pad[2 * GIE_MAX_SPATIAL];
  const char *mode = gie_node_string(node, "auto_pad");
  if (n < 1 || n > GIE_MAX_SPATIAL)
    return *why = "needs 1 to 6 spatial axes", false;
  if (strcmp(mode, "same_upper") != 0 && strcmp(mode, "same_lower") != 0 && strcmp(mode, "explicit") != 0)
    return *why = "auto_pad is none of explicit, same_upper, same_lower", false;
  *auto_pad = mode[0] == 'e' ? GIE_PAD_EXPLICIT : mode[5] == 'u' ? GIE_PAD_SAME_UPPER : GIE_PAD_SAME_LOWER;
  uint32_t n_stride = gie_node_ints(node, "stride", w->stride, GIE_MAX_SPATIAL, 1);
  uint32_t n_dilation = gie_node_ints(node, "dilation", w->dilation, GIE_MAX_SPATIAL, 1);
  uint32_t n_pad = gie_node_ints(node, "pad", pad, 2 * GIE_MAX_SPATIAL, 0);
  const struct gie_attr *given_stride = gie_attrs_find(&node->attrs, "stride");
  const struct gie_attr *given_dilation = gie_attrs_find(&node->attrs, "dilation");
  const struct gie_attr *given_pad = gie_attrs_find(&node->attrs, "pad");
  if ((n_stride && given_stride->n != (uint32_t)n) || (n_dilation && given_dilation->n != (uint32_t)n) ||
      (n_pad && given_pad->n != 2 * (uint32_t)n))
    return *why = "stride, dilation or pad do not have one entry (pad: two) per spatial axis", false;
  w->n = n;
  for (int i = 0; i < n; i++) {
    w->kernel[i] = kernel[i];
    w->pad_begin[i] = *auto_pad == GIE_PAD_EXPLICIT ? pad[i] : 0;
    w->pad_end[i] = *auto_pad == GIE_PAD_EXPLICIT ? pad[n + i] : 0;
    if (w->stride[i] < 1 || w->dilation[i] < 1 || kernel[i] < 1)
      return *why = "stride, dilation and kernel must be at least 1", false;
    if (w->pad_begin[i] < 0 || w->pad_end[i] < 0)
      return *why = "pad must not be negative", false;
    if (w->stride[i] > limit || w->dilation[i] > limit || kernel[i] > limit || w->pad_begin[i] > limit ||
        w->pad_end[i] > limit)
      return *why = "stride, dilation, kernel or pad above 2^31-1", false;
    if (gie_window_span(w, i) > limit)
      return *why = "dilated kernel above 2^31-1", false;
  }
  return true;
}

/* Number of windows on axis i of extent w->in[i]; with auto_pad also the pads. */
static inline bool gie_window_axis(struct gie_window *w, int i, enum gie_auto_pad auto_pad, bool ceil_mode,
                                   const char **why)
{
  int64_t in = w->in[i], stride = w->stride[i], span = gie_window_span(w, i);
  if (in < 0 || in > GIE_WINDOW_LIMIT)
    return *why = "input extent negative or above 2^31-1", false;
  if (auto_pad != GIE_PAD_EXPLICIT) {
    w->out[i] = (in + stride - 1) / stride;
    int64_t total = in > 0 ? (w->out[i] - 1) * stride + span - in : 0;
    total = total < 0 ? 0 : total;
    w->pad_begin[i] = auto_pad == GIE_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->pad_end[i] = total - w->pad_begin[i];
    return true;
  }
  int64_t room = in + w->pad_begin[i] + w->pad_end[i] - span;
  if (room < 0)
    return *why = "kernel larger than the padded input", false;
  w->out[i] = room / stride + 1;
  /* ceil_mode adds a window for the remainder, unless it would start in the end padding. */
  if (ceil_mode && room % stride != 0 && w->out[i] * stride < in + w->pad_begin[i])
    w->out[i]++;
  return true;
}

/* The whole geometry of a window op with input extents in[]. */
static inline bool gie_window_read(const struct gie_node *node, int n, const int64_t *in,
                                   const int64_t *kernel, struct gie_window *w, const char **why)
{
  enum gie_auto_pad auto_pad;
  bool ceil_mode = gie_node_int(node, "ceil_mode") != 0;
  if (!gie_window_attrs(node, n, kernel, w, &auto_pad, why))
    return false;
  for (int i = 0; i < n; i++) {
    w->in[i] = in[i];
    if (!gie_window_axis(w, i, auto_pad, ceil_mode, why))
      return false;
  }
  return true;
}

/* The output_pad and output_shape attributes of conv_transpose; output_shape[i] is -1 when absent. */
static inline bool gie_window_transpose_attrs(const struct gie_node *node, const struct gie_window *w,
                                              int64_t *output_pad, int64_t *output_shape, const char **why)
{
  uint32_t n_pad = gie_node_ints(node, "output_pad", output_pad, GIE_MAX_SPATIAL, 0);
  uint32_t n_shape = gie_node_ints(node, "output_shape", output_shape, GIE_MAX_SPATIAL, -1);
  const struct gie_attr *given_pad = gie_attrs_find(&node->attrs, "output_pad");
  const struct gie_attr *given_shape = gie_attrs_find(&node->attrs, "output_shape");
  if ((n_pad && given_pad->n != (uint32_t)w->n) || (n_shape && given_shape->n != (uint32_t)w->n))
    return *why = "output_pad or output_shape do not have one entry per spatial axis", false;
  for (int i = 0; i < w->n; i++) {
    if (output_pad[i] < 0 || (output_pad[i] >= w->stride[i] && output_pad[i] >= w->dilation[i]))
      return *why = "output_pad must be at least 0 and below the stride or the dilation", false;
    if (n_shape && (output_shape[i] < 0 || output_shape[i] > GIE_WINDOW_LIMIT))
      return *why = "output_shape negative or above 2^31-1", false;
  }
  return true;
}

/* Output extent and pads of axis i of a transposed convolution over w->in[i] elements. */
static inline bool gie_window_transpose_axis(struct gie_window *w, int i, enum gie_auto_pad auto_pad,
                                             int64_t output_pad, int64_t output_shape, const char **why)
{
  int64_t in = w->in[i], full;
  if (in < 1 || in > GIE_WINDOW_LIMIT)
    return *why = "input extent not in 1 … 2^31-1", false;
  full = (in - 1) * w->stride[i] + gie_window_span(w, i) + output_pad;
  if (output_shape >= 0 || auto_pad != GIE_PAD_EXPLICIT) {
    w->out[i] = output_shape >= 0 ? output_shape : in * w->stride[i];
    int64_t total = full > w->out[i] ? full - w->out[i] : 0;
    w->pad_begin[i] = auto_pad == GIE_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->pad_end[i] = total - w->pad_begin[i];
  } else {
    w->out[i] = full - w->pad_begin[i] - w->pad_end[i];
  }
  if (w->out[i] < 0)
    return *why = "pad cuts away more than there is", false;
  if (w->out[i] > GIE_WINDOW_LIMIT)
    return *why = "output extent above 2^31-1", false;
  return true;
}

/* The whole geometry of a conv_transpose with input extents in[]. */
static inline bool gie_window_read_transpose(const struct gie_node *node, int n, const int64_t *in,
                                             const int64_t *kernel, struct gie_window *w, const char **why)
{
  int64_t output_pad[GIE_MAX_SPATIAL], output_shape[GIE_MAX_SPATIAL];
  enum gie_auto_pad auto_pad;
  if (!gie_window_attrs(node, n, kernel, w, &auto_pad, why) ||
      !gie_window_transpose_attrs(node, w, output_pad, output_shape, why))
    return false;
  for (int i = 0; i < n; i++) {
    w->in[i] = in[i];
    if (!gie_window_transpose_axis(w, i, auto_pad, output_pad[i], output_shape[i], why))
      return false;
  }
  return true;
}

#ifdef __cplusplus
}
#endif
#endif
