/* SPDX-License-Identifier: Apache-2.0 */
/* Geometry of sliding windows (convolution, pooling): pads resolved, sizes checked. Header-only, so
 * shape inference, the reference and every backend compute the same numbers.
 * Formulas: ONNX operators Conv, MaxPool, AveragePool (auto_pad, ceil_mode). */
#ifndef GIE_WINDOW_H
#define GIE_WINDOW_H

#include <gie/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GIE_MAX_SPATIAL (GIE_MAX_RANK - 2)

struct gie_window {
  int n; /* spatial axes */
  int64_t kernel[GIE_MAX_SPATIAL], stride[GIE_MAX_SPATIAL], dilation[GIE_MAX_SPATIAL];
  int64_t pad_begin[GIE_MAX_SPATIAL], pad_end[GIE_MAX_SPATIAL];
  int64_t in[GIE_MAX_SPATIAL], out[GIE_MAX_SPATIAL];
};

/* Reads the attributes of a window op for n spatial axes of extents in[] and kernel[]; false with a
 * reason in *why (static text) when they make no valid window. All products stay far inside int64
 * because every extent is limited to 2^31-1. */
static inline bool gie_window_read(const struct gie_node *node, int n, const int64_t *in, const int64_t *kernel,
                                   struct gie_window *w, const char **why)
{
  const int64_t limit = INT32_MAX;
  int64_t pad[2 * GIE_MAX_SPATIAL];
  const char *auto_pad = gie_node_string(node, "auto_pad");
  bool same_upper = strcmp(auto_pad, "same_upper") == 0, same = same_upper || strcmp(auto_pad, "same_lower") == 0;
  bool ceil_mode = gie_node_int(node, "ceil_mode") != 0;
  if (n < 1 || n > GIE_MAX_SPATIAL)
    return *why = "needs 1 to 6 spatial axes", false;
  if (!same && strcmp(auto_pad, "explicit") != 0)
    return *why = "auto_pad is none of explicit, same_upper, same_lower", false;
  uint32_t n_stride = gie_node_ints(node, "stride", w->stride, GIE_MAX_SPATIAL, 1);
  uint32_t n_dilation = gie_node_ints(node, "dilation", w->dilation, GIE_MAX_SPATIAL, 1);
  uint32_t n_pad = gie_node_ints(node, "pad", pad, 2 * GIE_MAX_SPATIAL, 0);
  if ((n_stride && n_stride != (uint32_t)n) || (n_dilation && n_dilation != (uint32_t)n) || (n_pad && n_pad != 2 * (uint32_t)n))
    return *why = "stride, dilation or pad do not have one entry per spatial axis", false;
  w->n = n;
  for (int i = 0; i < n; i++) {
    w->in[i] = in[i];
    w->kernel[i] = kernel[i];
    w->pad_begin[i] = pad[i];
    w->pad_end[i] = pad[n + i];
    if (w->stride[i] < 1 || w->dilation[i] < 1 || kernel[i] < 1 || in[i] < 0)
      return *why = "stride, dilation and kernel must be at least 1", false;
    if (w->stride[i] > limit || w->dilation[i] > limit || kernel[i] > limit || in[i] > limit || pad[i] > limit ||
        pad[n + i] > limit || pad[i] < -limit || pad[n + i] < -limit)
      return *why = "stride, dilation, kernel, pad or input above 2^31-1", false;
    int64_t span = (kernel[i] - 1) * w->dilation[i] + 1;
    if (span > limit)
      return *why = "dilated kernel above 2^31-1", false;
    if (same) {
      w->out[i] = (in[i] + w->stride[i] - 1) / w->stride[i];
      int64_t total = (w->out[i] - 1) * w->stride[i] + span - in[i];
      total = total < 0 ? 0 : total;
      w->pad_begin[i] = same_upper ? total / 2 : total - total / 2;
      w->pad_end[i] = total - w->pad_begin[i];
      continue;
    }
    int64_t room = in[i] + w->pad_begin[i] + w->pad_end[i] - span;
    if (room < 0)
      return *why = "kernel larger than the padded input", false;
    w->out[i] = room / w->stride[i] + 1;
    /* ceil_mode adds a window for the remainder, unless it would start in the end padding. */
    if (ceil_mode && room % w->stride[i] != 0 && w->out[i] * w->stride[i] < in[i] + w->pad_begin[i])
      w->out[i]++;
  }
  return true;
}

#ifdef __cplusplus
}
#endif
#endif
