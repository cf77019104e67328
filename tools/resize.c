/* SPDX-License-Identifier: Apache-2.0 */
/* Image resizing: a triangle filter per axis, first along rows, then along columns.
 *
 * Output pixel i covers the input round c = (i + 1/2) * in/out. The filter is a triangle of half-width
 * max(1, in/out): growing, that is bilinear interpolation between the two nearest centres; shrinking,
 * every input pixel under it has its share, so that none is skipped. Where bilinear interpolation is wanted for
 * shrinking too, the half-width is always 1. Weights are normalized, so the border repeats and a constant stays
 * constant. */
#include "tools/image.h"
#include <math.h>

/* The input pixels of one output pixel. */
struct span {
  uint32_t first, n;
  const float *weight;
};

struct filter {
  struct span *spans;
  float *weights;
};

static void filter_free(struct gie_context *ctx, struct filter *f)
{
  gie_free(ctx, f->spans);
  gie_free(ctx, f->weights);
}

static void fill_span(double centre, double half_width, uint32_t in, float *weight, struct span *s)
{
  double sum = 0, first = floor(centre - half_width), last = ceil(centre + half_width);
  s->first = first < 0 ? 0 : (uint32_t)first;
  uint32_t end = last > in ? in : (uint32_t)last;
  s->n = end - s->first;
  s->weight = weight;
  for (uint32_t i = 0; i < s->n; i++) {
    double d = fabs(s->first + i + 0.5 - centre) / half_width;
    weight[i] = d < 1 ? (float)(1 - d) : 0;
    sum += weight[i];
  }
  for (uint32_t i = 0; i < s->n; i++)
    weight[i] = (float)(weight[i] / sum);
}

static gie_status filter_make(struct gie_context *ctx, uint32_t in, uint32_t out, bool linear,
                              struct filter *f)
{
  double ratio = (double)in / out, half_width = ratio > 1 && !linear ? ratio : 1;
  size_t most = (size_t)ceil(2 * half_width) + 2, total;
  f->spans = gie_alloc(ctx, out, sizeof *f->spans);
  f->weights = gie_mul(out, most, &total) ? gie_alloc(ctx, total, sizeof *f->weights) : NULL;
  if (!f->spans || !f->weights) {
    filter_free(ctx, f);
    return GIE_E_MEMORY;
  }
  for (uint32_t i = 0; i < out; i++)
    fill_span((i + 0.5) * ratio, half_width, in, f->weights + i * most, &f->spans[i]);
  return GIE_OK;
}

/* One row of one channel. */
static void resize_row(const unsigned char *from, uint32_t step, const struct filter *f, uint32_t width,
                       float *to)
{
  for (uint32_t x = 0; x < width; x++) {
    const struct span *s = &f->spans[x];
    float v = 0;
    for (uint32_t i = 0; i < s->n; i++)
      v += s->weight[i] * from[(size_t)(s->first + i) * step];
    to[x] = v;
  }
}

static void resize_plane(const struct image *im, uint32_t c, const struct filter *across,
                         const struct filter *down, uint32_t width, uint32_t height, float *rows, float *out)
{
  for (uint32_t y = 0; y < im->height; y++)
    resize_row(im->data + (size_t)y * im->width * im->channels + c, im->channels, across, width,
               rows + (size_t)y * width);
  for (uint32_t y = 0; y < height; y++) {
    const struct span *s = &down->spans[y];
    float *to = out + (size_t)y * width;
    memset(to, 0, width * sizeof *to);
    for (uint32_t i = 0; i < s->n; i++)
      for (uint32_t x = 0; x < width; x++)
        to[x] += s->weight[i] * rows[(size_t)(s->first + i) * width + x];
  }
}

gie_status image_resize(struct gie_context *ctx, const struct image *im, uint32_t width, uint32_t height,
                        bool linear, float *out)
{
  struct filter across, down;
  size_t plane = (size_t)width * height;
  float *rows = gie_alloc_raw(ctx, (size_t)width * im->height, sizeof *rows);
  if (!rows)
    return GIE_E_MEMORY;
  gie_status st = filter_make(ctx, im->width, width, linear, &across);
  if (st == GIE_OK) {
    st = filter_make(ctx, im->height, height, linear, &down);
    for (uint32_t c = 0; st == GIE_OK && c < im->channels; c++)
      resize_plane(im, c, &across, &down, width, height, rows, out + c * plane);
    if (st == GIE_OK)
      filter_free(ctx, &down);
    filter_free(ctx, &across);
  }
  gie_free(ctx, rows);
  return st;
}
