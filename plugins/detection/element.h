/* SPDX-License-Identifier: Apache-2.0 */
/* One element of a result, as the loops of the CPU and the threads of a CUDA device compute it, and the attributes that it
 * depends on as plain data (setting.c reads them). Where a sum of products decides something, the products are rounded by
 * themselves, so that both devices decide the same. */
#ifndef GIE_PLUGINS_DETECTION_ELEMENT_H
#define GIE_PLUGINS_DETECTION_ELEMENT_H

#include "plugins/detection/detection.h"
#include <math.h>

#ifdef __CUDACC__
#define DET_FN static __host__ __device__ __forceinline__
#else
#define DET_FN static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* a * b, rounded before it is added to anything. */
DET_FN float det_mul(float a, float b)
{
#ifdef __CUDA_ARCH__
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

DET_FN double det_mul_d(double a, double b)
{
#ifdef __CUDA_ARCH__
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

/* ---- Overlap */

DET_FN float det_area(const struct det_box *b, float pixel)
{
  float w = b->x2 - b->x1 + pixel, h = b->y2 - b->y1 + pixel;
  return w > 0 && h > 0 ? det_mul(w, h) : 0;
}

/* Area of the intersection over that of the union. `pixel`: added to each side, 1 where both edges are pixels of the
 * box. */
DET_FN float det_iou(const struct det_box *a, const struct det_box *b, float pixel)
{
  struct det_box both = {a->x1 > b->x1 ? a->x1 : b->x1, a->y1 > b->y1 ? a->y1 : b->y1,
                         a->x2 < b->x2 ? a->x2 : b->x2, a->y2 < b->y2 ? a->y2 : b->y2};
  float common = det_area(&both, pixel);
  return common > 0 ? common / (det_area(a, pixel) + det_area(b, pixel) - common) : 0;
}

/* ---- PriorBox */

#define DET_MAX_PRIORS 128 /* of a cell */

struct det_prior {
  double image_w, image_h, step_w, step_h, offset;
  bool clip;
  int64_t w, h; /* cells */
  uint32_t n;
  double side[DET_MAX_PRIORS][2]; /* width and height of each box of a cell */
  float variance[4];
};
void det_prior_read(const struct det_node *n, struct det_prior *out);
/* Width and height of each box of a cell, as far as there is room for them; returns how many there are. */
int64_t det_prior_sides(const struct gie_node *n, double (*out)[2], int64_t room);

/* Box k of a cell. */
DET_FN void det_prior_box_at(const struct det_prior *p, int64_t column, int64_t row, uint32_t k, float *to)
{
  double x = ((double)column + p->offset) * p->step_w, y = ((double)row + p->offset) * p->step_h;
  double w = p->side[k][0] / 2, h = p->side[k][1] / 2;
  const double v[] = {(x - w) / p->image_w, (y - h) / p->image_h, (x + w) / p->image_w, (y + h) / p->image_h};
  for (int i = 0; i < 4; i++)
    to[i] = (float)(p->clip ? fmin(fmax(v[i], 0.0), 1.0) : v[i]);
}

/* ---- DetectionOutput */

enum det_code { DET_CORNER, DET_CENTER_SIZE, DET_CORNER_SIZE };

struct det_output {
  int64_t classes, background, top_k, keep_top_k, priors;
  bool shared, encoded; /* one box for all classes; the variance is in the target already */
  enum det_code code;
  float nms, eta, confidence;
};
/* false: code_type is none. */
bool det_output_read(const struct gie_node *n, int64_t priors, struct det_output *out);

/* Boxes of a class that suppression looks at. */
DET_FN int64_t det_output_candidates(const struct det_output *s)
{
  return s->top_k >= 0 && s->top_k < s->priors ? s->top_k : s->priors;
}
DET_FN int64_t det_output_sets(const struct det_output *s) { return s->shared ? 1 : s->classes; }
DET_FN int64_t det_output_classes(const struct det_output *s)
{
  return s->classes - (s->background >= 0 && s->background < s->classes);
}

DET_FN struct det_box det_decode(const struct det_output *s, const float *p, const float *var, const float *t)
{
  float w = p[2] - p[0], h = p[3] - p[1], v[4];
  struct det_box b = {p[0], p[1], p[2], p[3]};
  for (int i = 0; i < 4; i++)
    v[i] = s->encoded ? t[i] : det_mul(var[i], t[i]);
  if (s->code == DET_CENTER_SIZE) {
    float x = det_mul(v[0], w) + (p[0] + p[2]) / 2, y = det_mul(v[1], h) + (p[1] + p[3]) / 2;
    float half_w = det_mul(expf(v[2]), w) / 2, half_h = det_mul(expf(v[3]), h) / 2;
    b.x1 = x - half_w;
    b.y1 = y - half_h;
    b.x2 = x + half_w;
    b.y2 = y + half_h;
    return b;
  }
  float x = s->code == DET_CORNER ? 1 : w, y = s->code == DET_CORNER ? 1 : h;
  b.x1 += det_mul(v[0], x);
  b.y1 += det_mul(v[1], y);
  b.x2 += det_mul(v[2], x);
  b.y2 += det_mul(v[3], y);
  return b;
}

/* ---- Proposal */

#define DET_MAX_ANCHORS 64

struct det_proposing {
  int64_t stride, base, pre, post;
  double min_size;
  float nms;
  uint32_t n_ratios, n_scales;
  const double *ratios, *scales; /* of the node */
};
void det_proposal_read(const struct gie_node *n, struct det_proposing *out);

struct det_anchors {
  int64_t n, stride, w, cells; /* w: columns */
  double min_size;
  struct det_box box[DET_MAX_ANCHORS];
};
/* Squares of base_size, of each ratio (as many pixels, sides rounded), of each scale, all about their centre. */
void det_anchors_make(const struct det_proposing *s, const struct det_node *n, struct det_anchors *out);

DET_FN float det_clamp(float v, float most) { return v < 0 ? 0 : v > most ? most : v; }

/* Anchor a of a cell moved and stretched by its deltas, cut to the image; false: it is too small. */
DET_FN bool det_region_at(const struct det_anchors *s, int64_t cell, int64_t a, const float *deltas,
                          const float *image, struct det_box *out)
{
  const float *d = deltas + 4 * a * s->cells + cell;
  int64_t column = cell % s->w, row = cell / s->w;
  float dx = (float)(column * s->stride), dy = (float)(row * s->stride);
  struct det_box at = {s->box[a].x1 + dx, s->box[a].y1 + dy, s->box[a].x2 + dx, s->box[a].y2 + dy};
  float w = at.x2 - at.x1 + 1, h = at.y2 - at.y1 + 1, least = (float)s->min_size * image[2];
  float x = det_mul(d[0], w) + at.x1 + w / 2, y = det_mul(d[s->cells], h) + at.y1 + h / 2;
  float half_w = det_mul(expf(d[2 * s->cells]), w) / 2, half_h = det_mul(expf(d[3 * s->cells]), h) / 2;
  out->x1 = det_clamp(x - half_w, image[1] - 1);
  out->y1 = det_clamp(y - half_h, image[0] - 1);
  out->x2 = det_clamp(x + half_w, image[1] - 1);
  out->y2 = det_clamp(y + half_h, image[0] - 1);
  return out->x2 - out->x1 + 1 >= least && out->y2 - out->y1 + 1 >= least;
}

/* ---- YoloDecode */

#define DET_MAX_YOLO 64 /* anchors */

struct det_yolo {
  int64_t h, w, anchors, classes;
  double image_h, image_w, scale;
  double anchor[2 * DET_MAX_YOLO];
  bool square;
};
void det_yolo_read(const struct det_node *n, struct det_yolo *out);

DET_FN float det_logistic(float v) { return 1 / (1 + expf(-v)); }

/* Channel of an anchor; `map` is of one image. */
DET_FN float det_yolo_value(const struct det_yolo *m, const float *map, int64_t anchor, int64_t channel,
                            int64_t cell)
{
  return map[(anchor * (5 + m->classes) + channel) * m->h * m->w + cell];
}

DET_FN float det_yolo_side(const struct det_yolo *m, float t, double anchor, double image)
{
  double s = 2 * (double)det_logistic(t);
  return (float)(anchor * (m->square ? s * s : exp((double)t)) / image);
}

DET_FN float det_yolo_centre(const struct det_yolo *m, float t, int64_t at, int64_t cells)
{
  return (float)(((double)at + m->scale * (double)det_logistic(t) - (m->scale - 1) / 2) / (double)cells);
}

DET_FN void det_yolo_box(const struct det_yolo *m, const float *map, int64_t a, int64_t cell, float *box)
{
  box[0] = det_yolo_centre(m, det_yolo_value(m, map, a, 0, cell), cell % m->w, m->w);
  box[1] = det_yolo_centre(m, det_yolo_value(m, map, a, 1, cell), cell / m->w, m->h);
  box[2] = det_yolo_side(m, det_yolo_value(m, map, a, 2, cell), m->anchor[2 * a], m->image_w);
  box[3] = det_yolo_side(m, det_yolo_value(m, map, a, 3, cell), m->anchor[2 * a + 1], m->image_h);
}

DET_FN float det_yolo_score(const struct det_yolo *m, const float *map, int64_t a, int64_t c, int64_t cell)
{
  return det_logistic(det_yolo_value(m, map, a, 4, cell)) *
         det_logistic(det_yolo_value(m, map, a, 5 + c, cell));
}

/* ---- Regions that are pooled */

struct det_pool {
  int64_t images, channels, h, w, regions;
  int64_t out_c, out_h, out_w;
  double scale;
};
void det_pool_read(const struct det_node *n, struct det_pool *out);

/* Image -1: there is none of that number. */
struct det_region {
  int64_t image;
  double x, y, w, h;
};

/* Pixels of a bin along an axis. */
struct det_range {
  int64_t begin, end;
};

DET_FN int64_t det_pixel(double v, int64_t most)
{
  return !(v > 0) ? 0 : v > (double)most ? most : (int64_t)v;
}

/* Bin i of those of `size` that begin at `start`, cut to `extent` pixels. */
DET_FN struct det_range det_bin(double start, double size, int64_t i, int64_t extent)
{
  struct det_range r = {det_pixel(floor(det_mul_d((double)i, size) + start), extent),
                        det_pixel(ceil(det_mul_d((double)(i + 1), size) + start), extent)};
  return r;
}

DET_FN int64_t det_image(const struct det_pool *p, double v)
{
  return v >= 0 && v < (double)p->images ? (int64_t)v : -1;
}

DET_FN const float *det_plane(const struct det_pool *p, const float *x, int64_t image, int64_t channel)
{
  return x + (image * p->channels + channel) * p->h * p->w;
}

/* ROIPooling: corners are rounded to pixels, which belong to the region; the greatest of each bin. */
DET_FN struct det_region det_roi_region(const struct det_pool *p, const float *roi)
{
  struct det_region r = {det_image(p, (double)roi[0]), round((double)roi[1] * p->scale),
                         round((double)roi[2] * p->scale), 0, 0};
  r.w = fmax(round((double)roi[3] * p->scale) - r.x + 1, 1.0);
  r.h = fmax(round((double)roi[4] * p->scale) - r.y + 1, 1.0);
  return r;
}

/* Channel c of bin i, which counts rows of bins. */
DET_FN float det_roi_bin(const struct det_pool *p, const float *x, const struct det_region *r, int64_t c,
                         int64_t i)
{
  struct det_range ys = det_bin(r->y, r->h / (double)p->out_h, i / p->out_w, p->h),
                   xs = det_bin(r->x, r->w / (double)p->out_w, i % p->out_w, p->w);
  if (r->image < 0 || ys.begin >= ys.end || xs.begin >= xs.end)
    return 0;
  const float *from = det_plane(p, x, r->image, c);
  float v = -INFINITY;
  for (int64_t y = ys.begin; y < ys.end; y++)
    for (int64_t k = xs.begin; k < xs.end; k++)
      v = from[y * p->w + k] > v ? from[y * p->w + k] : v;
  return v;
}

/* PSROIPooling: the mean of each bin, taken from a channel of its own. */
DET_FN struct det_region det_psroi_region(const struct det_pool *p, const float *roi)
{
  struct det_region r = {det_image(p, (double)roi[0]), round((double)roi[1]) * p->scale,
                         round((double)roi[2]) * p->scale, 0, 0};
  r.w = fmax(det_mul_d(round((double)roi[3]) + 1, p->scale) - r.x, 0.1);
  r.h = fmax(det_mul_d(round((double)roi[4]) + 1, p->scale) - r.y, 0.1);
  return r;
}

/* Element i of a region's result, which is also the channel. */
DET_FN float det_psroi_bin(const struct det_pool *p, const float *x, const struct det_region *r, int64_t i)
{
  struct det_range ys = det_bin(r->y, r->h / (double)p->out_h, i / p->out_w % p->out_h, p->h),
                   xs = det_bin(r->x, r->w / (double)p->out_w, i % p->out_w, p->w);
  if (r->image < 0 || ys.begin >= ys.end || xs.begin >= xs.end)
    return 0;
  const float *from = det_plane(p, x, r->image, i);
  double v = 0;
  for (int64_t y = ys.begin; y < ys.end; y++)
    for (int64_t k = xs.begin; k < xs.end; k++)
      v += (double)from[y * p->w + k];
  return (float)(v / (double)((ys.end - ys.begin) * (xs.end - xs.begin)));
}

/* RoiAlign: bilinear samples of each bin. */
#define DET_MAX_SAMPLES 1024 /* of a bin along an axis */

struct det_align {
  struct det_pool p;
  double offset; /* taken off the coordinates */
  int64_t ratio;
  bool half, max;
};
void det_align_read(const struct det_node *n, struct det_align *out);

DET_FN struct det_region det_align_region(const struct det_align *a, const float *roi, int64_t image)
{
  struct det_region r = {image >= 0 && image < a->p.images ? image : -1,
                         det_mul_d((double)roi[0], a->p.scale) - a->offset,
                         det_mul_d((double)roi[1], a->p.scale) - a->offset, 0, 0};
  r.w = det_mul_d((double)roi[2], a->p.scale) - a->offset - r.x;
  r.h = det_mul_d((double)roi[3], a->p.scale) - a->offset - r.y;
  if (!a->half) { /* as the older operator has it: at least a pixel */
    r.w = fmax(r.w, 1.0);
    r.h = fmax(r.h, 1.0);
  }
  return r;
}

/* The four neighbours of a point, weighed: their sum, or the greatest of them. */
DET_FN double det_sample(const struct det_align *a, const float *from, double y, double x)
{
  const struct det_pool *p = &a->p;
  if (!(y >= -1 && y <= (double)p->h && x >= -1 && x <= (double)p->w) || p->h < 1 || p->w < 1)
    return 0;
  y = y > 0 ? y : 0;
  x = x > 0 ? x : 0;
  int64_t y0 = (int64_t)y, x0 = (int64_t)x;
  if (y0 >= p->h - 1)
    y = (double)(y0 = p->h - 1);
  if (x0 >= p->w - 1)
    x = (double)(x0 = p->w - 1);
  int64_t y1 = y0 + 1 < p->h ? y0 + 1 : y0, x1 = x0 + 1 < p->w ? x0 + 1 : x0;
  double b = y - (double)y0, r = x - (double)x0;
  const double v[] = {(1 - b) * (1 - r) * (double)from[y0 * p->w + x0],
                      (1 - b) * r * (double)from[y0 * p->w + x1], b * (1 - r) * (double)from[y1 * p->w + x0],
                      b * r * (double)from[y1 * p->w + x1]};
  return a->max ? fmax(fmax(v[0], v[1]), fmax(v[2], v[3])) : v[0] + v[1] + v[2] + v[3];
}

DET_FN int64_t det_samples(const struct det_align *a, double size)
{
  double n = a->ratio > 0 ? (double)a->ratio : ceil(size);
  return n >= 1 && n <= DET_MAX_SAMPLES ? (int64_t)n : n > 1 ? DET_MAX_SAMPLES : 0;
}

/* Channel c of bin i. */
DET_FN float det_align_bin(const struct det_align *a, const float *x, const struct det_region *r, int64_t c,
                           int64_t i)
{
  if (r->image < 0)
    return 0;
  const float *from = det_plane(&a->p, x, r->image, c);
  double h = r->h / (double)a->p.out_h, w = r->w / (double)a->p.out_w, v = 0;
  int64_t row = i / a->p.out_w, column = i % a->p.out_w;
  int64_t ny = det_samples(a, h), nx = det_samples(a, w), n = ny * nx;
  for (int64_t k = 0; k < n; k++) {
    int64_t ky = k / nx, kx = k % nx;
    double sy = (double)row + ((double)ky + 0.5) / (double)ny,
           sx = (double)column + ((double)kx + 0.5) / (double)nx;
    double s = det_sample(a, from, r->y + det_mul_d(sy, h), r->x + det_mul_d(sx, w));
    v = a->max ? (k == 0 ? s : fmax(v, s)) : v + s;
  }
  return (float)(a->max || n == 0 ? v : v / (double)n);
}

#ifdef __cplusplus
}
#endif
#endif
