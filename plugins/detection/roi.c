/* SPDX-License-Identifier: Apache-2.0 */
/* Pools regions of a feature map: ROIPooling (Girshick, "Fast R-CNN", 2015), PSROIPooling (Dai et al., "R-FCN", 2016) and
 * ONNX's RoiAlign (He et al., "Mask R-CNN", 2017). A region is a row (image, x1, y1, x2, y2); RoiAlign has the image in an
 * operand of its own. Regions of images that are not there give zeros. */
#include "plugins/detection/element.h"

/* ---- What the three share */

static gie_status infer_pool(struct gie_infer *x, struct gie_dim channels, int64_t h, int64_t w)
{
  const struct gie_shape *rois = &x->in[1].shape;
  GIE_TRY(det_rank(x, 0, 4));
  if (det_is_other(x, 1, x->in[0].dtype))
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

static gie_status run_roi(const struct det_node *n, const struct gie_launch *l)
{
  struct det_pool p;
  const float *roi = l->in[1];
  float *to = l->out[0];
  det_pool_read(n, &p);
  for (int64_t r = 0; r < p.regions; r++, roi += 5) {
    const struct det_region region = det_roi_region(&p, roi);
    for (int64_t c = 0; c < p.out_c; c++)
      for (int64_t i = 0; i < p.out_h * p.out_w; i++)
        *to++ = det_roi_bin(&p, l->in[0], &region, c, i);
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

static gie_status run_psroi(const struct det_node *n, const struct gie_launch *l)
{
  struct det_pool p;
  const float *roi = l->in[1];
  float *to = l->out[0];
  det_pool_read(n, &p);
  for (int64_t r = 0; r < p.regions; r++, roi += 5) {
    const struct det_region region = det_psroi_region(&p, roi);
    for (int64_t i = 0; i < p.out_c * p.out_h * p.out_w; i++)
      *to++ = det_psroi_bin(&p, l->in[0], &region, i);
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
  if (gie_node_int(x->node, "sampling_ratio") < 0 ||
      gie_node_int(x->node, "sampling_ratio") > DET_MAX_SAMPLES)
    return det_bad(x, GIE_E_ATTR, "sampling_ratio has to be 0 to %d", DET_MAX_SAMPLES);
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

static gie_status run_align(const struct det_node *n, const struct gie_launch *l)
{
  struct det_align a;
  const float *roi = l->in[1];
  const int64_t *images = l->in[2];
  float *to = l->out[0];
  det_align_read(n, &a);
  for (int64_t r = 0; r < a.p.regions; r++, roi += 4) {
    const struct det_region region = det_align_region(&a, roi, images[r]);
    for (int64_t c = 0; c < a.p.out_c; c++)
      for (int64_t i = 0; i < a.p.out_h * a.p.out_w; i++)
        *to++ = det_align_bin(&a, l->in[0], &region, c, i);
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
