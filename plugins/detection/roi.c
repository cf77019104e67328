/* SPDX-License-Identifier: Apache-2.0 */
/* Pools regions of a feature map: ROIPooling (Girshick, "Fast R-CNN", 2015), PSROIPooling (Dai et al., "R-FCN", 2016) and
 * ONNX's RoiAlign (He et al., "Mask R-CNN", 2017). A region is a row (image, x1, y1, x2, y2); RoiAlign has the image in an
 * operand of its own. Regions of images that are not there give zeros. */
#include "plugins/detection/detection.h"
#include <math.h>

/* ---- What the three share */

struct pool {
  const float *x; /* [N,C,H,W] */
  int64_t images, channels, h, w;
  int64_t out_h, out_w;
  double scale;
};

static struct pool make_pool(const struct det_node *n, const struct gie_launch *l)
{
  return (struct pool){.x = l->in[0],
                       .images = n->in[0].dim[0],
                       .channels = n->in[0].dim[1],
                       .h = n->in[0].dim[2],
                       .w = n->in[0].dim[3],
                       .out_h = n->out[0].dim[2],
                       .out_w = n->out[0].dim[3],
                       .scale = gie_node_float(n->node, "spatial_scale")};
}

static const float *plane(const struct pool *p, int64_t image, int64_t channel)
{
  return p->x + (image * p->channels + channel) * p->h * p->w;
}

static int64_t clamp(double v, int64_t most) { return !(v > 0) ? 0 : v > (double)most ? most : (int64_t)v; }

/* Pixels of a bin along an axis. */
struct range {
  int64_t begin, end;
};

/* Bin i of those of `size` that begin at `start`, cut to `extent` pixels. */
static struct range bin(double start, double size, int64_t i, int64_t extent)
{
  return (struct range){clamp(floor((double)i * size + start), extent),
                        clamp(ceil((double)(i + 1) * size + start), extent)};
}

static int64_t image_of(const struct pool *p, double v)
{
  return v >= 0 && v < (double)p->images ? (int64_t)v : -1;
}

static gie_status infer_pool(struct gie_infer *x, struct gie_dim channels, int64_t h, int64_t w)
{
  const struct gie_shape *rois = &x->in[1].shape;
  GIE_TRY(det_rank(x, 0, 4));
  if (x->in[1].dtype != x->in[0].dtype)
    return det_bad(x, GIE_E_TYPE, "the regions are %s; they have to be %s", gie_dtype_name(x->in[1].dtype),
                   gie_dtype_name(x->in[0].dtype));
  if (h < 1 || w < 1 || h > 65536 || w > 65536)
    return det_bad(x, GIE_E_ATTR, "a result of %lld by %lld; each side has to be 1 to 65536", (long long)h,
                   (long long)w);
  struct gie_dim n = rois->rank >= 1 ? rois->dim[0] : gie_dim_unknown();
  det_type(&x->out[0], 4, (struct gie_dim[]){n, channels, gie_dim_num(h), gie_dim_num(w)});
  return GIE_OK;
}

/* Regions are rows of `size` numbers; Caffe's may have dims of 1 behind. */
static gie_status check_rois(const struct gie_infer *x, int64_t size)
{
  const struct gie_shape *s = &x->in[1].shape;
  if (s->rank >= 0 && s->rank < 2)
    return det_bad(x, GIE_E_SHAPE, "the regions have %d dims; they are rows of %lld numbers", s->rank,
                   (long long)size);
  for (int i = 1; i < s->rank; i++)
    if (gie_dim_is_num(s->dim[i]) && s->dim[i].b != (i == 1 ? size : 1))
      return det_bad(x, GIE_E_SHAPE, "the regions have to be rows of %lld numbers", (long long)size);
  return GIE_OK;
}

static struct gie_dim channels_of(const struct gie_infer *x)
{
  return x->in[0].shape.rank == 4 ? x->in[0].shape.dim[1] : gie_dim_unknown();
}

/* ---- ROIPooling: the greatest of each bin; corners are rounded to pixels, which belong to the region */

static gie_status infer_roi(struct gie_infer *x)
{
  GIE_TRY(check_rois(x, 5));
  return infer_pool(x, channels_of(x), gie_node_int(x->node, "pooled_h"), gie_node_int(x->node, "pooled_w"));
}

static float greatest(const struct pool *p, const float *from, struct range y, struct range x)
{
  float v = -INFINITY;
  for (int64_t i = y.begin; i < y.end; i++)
    for (int64_t k = x.begin; k < x.end; k++)
      v = from[i * p->w + k] > v ? from[i * p->w + k] : v;
  return y.begin < y.end && x.begin < x.end ? v : 0;
}

static gie_status run_roi(const struct det_node *n, const struct gie_launch *l)
{
  const struct pool p = make_pool(n, l);
  const float *roi = l->in[1];
  float *to = l->out[0];
  for (int64_t r = 0; r < n->in[1].dim[0]; r++, roi += 5) {
    int64_t image = image_of(&p, (double)roi[0]);
    double x = round((double)roi[1] * p.scale), y = round((double)roi[2] * p.scale);
    double w = fmax(round((double)roi[3] * p.scale) - x + 1, 1),
           h = fmax(round((double)roi[4] * p.scale) - y + 1, 1);
    for (int64_t c = 0; c < p.channels; c++)
      for (int64_t i = 0; i < p.out_h * p.out_w; i++)
        *to++ = image < 0 ? 0
                          : greatest(&p, plane(&p, image, c), bin(y, h / (double)p.out_h, i / p.out_w, p.h),
                                     bin(x, w / (double)p.out_w, i % p.out_w, p.w));
  }
  return GIE_OK;
}

/* ---- PSROIPooling: the mean of each bin, taken from a channel of its own */

static gie_status infer_psroi(struct gie_infer *x)
{
  int64_t outputs = gie_node_int(x->node, "output_dim"), group = gie_node_int(x->node, "group_size");
  struct gie_dim c = channels_of(x);
  GIE_TRY(check_rois(x, 5));
  if (outputs < 1 || group < 1 || outputs > INT32_MAX || group > 4096)
    return det_bad(x, GIE_E_ATTR, "output_dim %lld and group_size %lld have to be positive",
                   (long long)outputs, (long long)group);
  int64_t needed = outputs * group * group;
  if (gie_dim_is_num(c) && c.b != needed)
    return det_bad(x, GIE_E_SHAPE, "%lld channels; %lld outputs of %lld by %lld parts need %lld",
                   (long long)c.b, (long long)outputs, (long long)group, (long long)group, (long long)needed);
  return infer_pool(x, gie_dim_num(outputs), group, group);
}

static float mean(const struct pool *p, const float *from, struct range y, struct range x)
{
  double v = 0;
  for (int64_t i = y.begin; i < y.end; i++)
    for (int64_t k = x.begin; k < x.end; k++)
      v += (double)from[i * p->w + k];
  int64_t n = y.end > y.begin && x.end > x.begin ? (y.end - y.begin) * (x.end - x.begin) : 0;
  return n ? (float)(v / (double)n) : 0;
}

static gie_status run_psroi(const struct det_node *n, const struct gie_launch *l)
{
  const struct pool p = make_pool(n, l);
  const float *roi = l->in[1];
  float *to = l->out[0];
  for (int64_t r = 0; r < n->in[1].dim[0]; r++, roi += 5) {
    int64_t image = image_of(&p, (double)roi[0]);
    double x = round((double)roi[1]) * p.scale, y = round((double)roi[2]) * p.scale;
    double w = fmax((round((double)roi[3]) + 1) * p.scale - x, 0.1),
           h = fmax((round((double)roi[4]) + 1) * p.scale - y, 0.1);
    for (int64_t i = 0; i < n->out[0].dim[1] * p.out_h * p.out_w; i++) { /* i: also the channel */
      int64_t row = i / p.out_w % p.out_h, column = i % p.out_w;
      *to++ = image < 0 ? 0
                        : mean(&p, plane(&p, image, i), bin(y, h / (double)p.out_h, row, p.h),
                               bin(x, w / (double)p.out_w, column, p.w));
    }
  }
  return GIE_OK;
}

/* ---- RoiAlign: bilinear samples of each bin */

static gie_status infer_align(struct gie_infer *x)
{
  const char *mode = gie_node_string(x->node, "mode"),
             *coordinates = gie_node_string(x->node, "coordinate_transformation_mode");
  if (strcmp(mode, "avg") != 0 && strcmp(mode, "max") != 0)
    return det_bad(x, GIE_E_ATTR, "mode \"%s\"; it is avg or max", mode);
  if (strcmp(coordinates, "half_pixel") != 0 && strcmp(coordinates, "output_half_pixel") != 0 && *coordinates)
    return det_bad(x, GIE_E_ATTR,
                   "coordinate_transformation_mode \"%s\"; it is half_pixel or output_half_pixel",
                   coordinates);
  if (gie_node_int(x->node, "sampling_ratio") < 0 || gie_node_int(x->node, "sampling_ratio") > 1024)
    return det_bad(x, GIE_E_ATTR, "sampling_ratio has to be 0 to 1024");
  if (x->in[2].dtype != GIE_DTYPE_NONE && x->in[2].dtype != GIE_I64)
    return det_bad(x, GIE_E_TYPE, "operand 2 is %s; it has to be i64", gie_dtype_name(x->in[2].dtype));
  const struct gie_shape *rois = &x->in[1].shape, *images = &x->in[2].shape;
  if (images->rank > 0 && rois->rank > 0 && gie_dim_is_num(images->dim[0]) && gie_dim_is_num(rois->dim[0]) &&
      images->dim[0].b != rois->dim[0].b)
    return det_bad(x, GIE_E_SHAPE, "%lld regions and %lld indices of images", (long long)rois->dim[0].b,
                   (long long)images->dim[0].b);
  if (images->rank >= 0 && images->rank != 1)
    return det_bad(x, GIE_E_SHAPE, "operand 2 has to be a list of images");
  GIE_TRY(check_rois(x, 4));
  return infer_pool(x, channels_of(x), gie_node_int(x->node, "output_height"),
                    gie_node_int(x->node, "output_width"));
}

#define MAX_SAMPLES 1024 /* of a bin along an axis */

struct align {
  struct pool p;
  double offset; /* taken off the coordinates */
  int64_t ratio;
  bool max;
  double x, y, w, h; /* of the region at hand */
};

/* The four neighbours of a point, weighed: their sum, or the greatest of them. */
static double sample(const struct align *a, const float *from, double y, double x)
{
  const struct pool *p = &a->p;
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

static int64_t samples(const struct align *a, double size)
{
  double n = a->ratio > 0 ? (double)a->ratio : ceil(size);
  return n >= 1 && n <= MAX_SAMPLES ? (int64_t)n : n > 1 ? MAX_SAMPLES : 0;
}

static float one_bin(const struct align *a, const float *from, int64_t row, int64_t column)
{
  double h = a->h / (double)a->p.out_h, w = a->w / (double)a->p.out_w, v = 0;
  int64_t ny = samples(a, h), nx = samples(a, w);
  for (int64_t i = 0; i < ny; i++)
    for (int64_t k = 0; k < nx; k++) {
      double y = a->y + ((double)row + ((double)i + 0.5) / (double)ny) * h,
             x = a->x + ((double)column + ((double)k + 0.5) / (double)nx) * w, s = sample(a, from, y, x);
      v = a->max ? (i + k == 0 ? s : fmax(v, s)) : v + s;
    }
  int64_t n = ny * nx;
  return (float)(a->max || n == 0 ? v : v / (double)n);
}

static gie_status run_align(const struct det_node *n, const struct gie_launch *l)
{
  const char *coordinates = gie_node_string(n->node, "coordinate_transformation_mode");
  bool half = *coordinates ? strcmp(coordinates, "half_pixel") == 0 : gie_node_int(n->node, "opset") >= 16;
  struct align a = {.p = make_pool(n, l),
                    .offset = half ? 0.5 : 0,
                    .ratio = gie_node_int(n->node, "sampling_ratio"),
                    .max = gie_node_string(n->node, "mode")[0] == 'm'};
  const float *roi = l->in[1];
  const int64_t *images = l->in[2];
  float *to = l->out[0];
  for (int64_t r = 0; r < n->in[1].dim[0]; r++, roi += 4) {
    int64_t image = images[r] >= 0 && images[r] < a.p.images ? images[r] : -1;
    a.x = (double)roi[0] * a.p.scale - a.offset;
    a.y = (double)roi[1] * a.p.scale - a.offset;
    a.w = (double)roi[2] * a.p.scale - a.offset - a.x;
    a.h = (double)roi[3] * a.p.scale - a.offset - a.y;
    if (!half) { /* as the older operator has it: at least a pixel */
      a.w = fmax(a.w, 1);
      a.h = fmax(a.h, 1);
    }
    for (int64_t c = 0; c < a.p.channels; c++)
      for (int64_t i = 0; i < a.p.out_h * a.p.out_w; i++)
        *to++ = image < 0 ? 0 : one_bin(&a, plane(&a.p, image, c), i / a.p.out_w, i % a.p.out_w);
  }
  return GIE_OK;
}

/* ---- The layers */

#define ATTRS_END                             \
  {                                           \
    NULL, GIE_ATTR_INT, GIE_OPTIONAL, 0, NULL \
  }
static const struct gie_attr_spec roi_attrs[] = {{"pooled_h", GIE_ATTR_INT, GIE_REQUIRED, 0, NULL},
                                                 {"pooled_w", GIE_ATTR_INT, GIE_REQUIRED, 0, NULL},
                                                 {"spatial_scale", GIE_ATTR_FLOAT, GIE_DEFAULT, 1, NULL},
                                                 ATTRS_END};
static const struct gie_attr_spec psroi_attrs[] = {{"output_dim", GIE_ATTR_INT, GIE_REQUIRED, 0, NULL},
                                                   {"group_size", GIE_ATTR_INT, GIE_REQUIRED, 0, NULL},
                                                   {"spatial_scale", GIE_ATTR_FLOAT, GIE_REQUIRED, 0, NULL},
                                                   ATTRS_END};
/* coordinate_transformation_mode: without it the operator set decides. */
static const struct gie_attr_spec align_attrs[] = {{"mode", GIE_ATTR_STRING, GIE_DEFAULT, 0, "avg"},
                                                   {"output_height", GIE_ATTR_INT, GIE_DEFAULT, 1, NULL},
                                                   {"output_width", GIE_ATTR_INT, GIE_DEFAULT, 1, NULL},
                                                   {"sampling_ratio", GIE_ATTR_INT, GIE_DEFAULT, 0, NULL},
                                                   {"spatial_scale", GIE_ATTR_FLOAT, GIE_DEFAULT, 1, NULL},
                                                   {"coordinate_transformation_mode", GIE_ATTR_STRING,
                                                    GIE_OPTIONAL, 0, NULL},
                                                   {"opset", GIE_ATTR_INT, GIE_DEFAULT, 16, NULL},
                                                   ATTRS_END};

#define ROI_OP(op_name, operands, op_attrs, shape, text)                                               \
  {                                                                                                    \
    .struct_size = sizeof(struct gie_op), .name = op_name, .min_in = operands, .max_in = operands,     \
    .min_out = 1, .max_out = 1, .dtypes = GIE_DT(F32), .attrs = op_attrs, .infer = shape, .help = text \
  }
static const struct gie_op roi_op = ROI_OP("caffe::ROIPooling", 2, roi_attrs, infer_roi,
                                           "the greatest of each bin of regions (image, x1, y1, x2, y2)");
static const struct gie_op psroi_op =
    ROI_OP("caffe::PSROIPooling", 2, psroi_attrs, infer_psroi,
           "the mean of each bin of regions, each bin from channels of its own");
static const struct gie_op align_op = ROI_OP("ai.onnx::RoiAlign", 3, align_attrs, infer_align,
                                             "bilinear samples of each bin of regions (x1, y1, x2, y2)");

const struct det_layer det_roi_pooling = {&roi_op, "detection.roi_pooling", run_roi, NULL};
const struct det_layer det_psroi_pooling = {&psroi_op, "detection.psroi_pooling", run_psroi, NULL};
const struct det_layer det_roi_align = {&align_op, "detection.roi_align", run_align, NULL};
