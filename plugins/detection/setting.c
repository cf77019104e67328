/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of the layers as plain data, for the kernels of all devices. */
#include "plugins/detection/element.h"

/* ---- PriorBox */

/* Ratios without duplicates, 1 first. */
static uint32_t read_ratios(const struct gie_node *n, double out[2 * DET_MAX_RATIOS])
{
  uint32_t count, k = 1;
  const double *given = det_floats(n, "aspect_ratio", &count);
  bool flip = gie_node_int(n, "flip") != 0;
  out[0] = 1;
  for (uint32_t i = 0; i < count && k + 2 <= 2 * DET_MAX_RATIOS; i++) {
    bool there = false;
    for (uint32_t j = 0; j < k; j++)
      there |= fabs(given[i] - out[j]) < 1e-6;
    if (there)
      continue;
    out[k++] = given[i];
    if (flip)
      out[k++] = 1 / given[i];
  }
  return k;
}

static void put_sides(double (*out)[2], int64_t room, int64_t *n, double w, double h)
{
  if (*n < room) {
    out[*n][0] = w;
    out[*n][1] = h;
  }
  ++*n;
}

int64_t det_prior_sides(const struct gie_node *n, double (*out)[2], int64_t room)
{
  double r[2 * DET_MAX_RATIOS];
  uint32_t n_min, n_max, n_ratios = read_ratios(n, r);
  const double *min = det_floats(n, "min_size", &n_min), *max = det_floats(n, "max_size", &n_max);
  int64_t count = 0;
  for (uint32_t i = 0; i < n_min; i++) {
    put_sides(out, room, &count, min[i], min[i]);
    if (n_max)
      put_sides(out, room, &count, sqrt(min[i] * max[i]), sqrt(min[i] * max[i]));
    for (uint32_t k = 1; k < n_ratios; k++)
      put_sides(out, room, &count, min[i] * sqrt(r[k]), min[i] / sqrt(r[k]));
  }
  return count;
}

static double or_else(double v, double other) { return v > 0 ? v : other; }

void det_prior_read(const struct det_node *n, struct det_prior *out)
{
  const struct gie_node *node = n->node;
  double image = gie_node_float(node, "img_size"), step = gie_node_float(node, "step");
  uint32_t n_variance;
  const double *variance = det_floats(node, "variance", &n_variance);
  *out = (struct det_prior){.offset = gie_node_float(node, "offset"),
                            .clip = gie_node_int(node, "clip") != 0,
                            .w = n->in[0].dim[3],
                            .h = n->in[0].dim[2]};
  out->image_h = or_else(gie_node_float(node, "img_h"), or_else(image, (double)n->in[1].dim[2]));
  out->image_w = or_else(gie_node_float(node, "img_w"), or_else(image, (double)n->in[1].dim[3]));
  out->step_h = or_else(gie_node_float(node, "step_h"), or_else(step, out->image_h / (double)out->h));
  out->step_w = or_else(gie_node_float(node, "step_w"), or_else(step, out->image_w / (double)out->w));
  out->n = (uint32_t)det_prior_sides(node, out->side, DET_MAX_PRIORS);
  for (int i = 0; i < 4; i++)
    out->variance[i] = n_variance == 0 ? 0.1f : (float)variance[n_variance == 1 ? 0 : i];
}

/* ---- DetectionOutput */

static bool read_code(const char *s, enum det_code *out)
{
  static const char *const names[] = {"CORNER", "CENTER_SIZE", "CORNER_SIZE"};
  for (int i = 0; i < 3; i++)
    if (strcmp(s, names[i]) == 0 || (s[0] == '1' + i && !s[1])) {
      *out = (enum det_code)i;
      return true;
    }
  return false;
}

bool det_output_read(const struct gie_node *n, int64_t priors, struct det_output *out)
{
  *out = (struct det_output){
      .classes = gie_node_int(n, "num_classes"),
      .background = gie_node_int(n, "background_label_id"),
      .top_k = gie_node_int(n, "top_k"),
      .keep_top_k = gie_node_int(n, "keep_top_k"),
      .priors = priors,
      .shared = gie_node_int(n, "share_location") != 0,
      .encoded = gie_node_int(n, "variance_encoded_in_target") != 0,
      .nms = (float)gie_node_float(n, "nms_threshold"),
      .eta = (float)gie_node_float(n, "eta"),
      .confidence = (float)gie_node_float(n, "confidence_threshold"),
  };
  return read_code(gie_node_string(n, "code_type"), &out->code);
}

/* ---- Proposal */

void det_proposal_read(const struct gie_node *n, struct det_proposing *out)
{
  static const double ratios[] = {0.5, 1, 2}, scales[] = {8, 16, 32};
  *out = (struct det_proposing){
      .stride = gie_node_int(n, "feat_stride"),
      .base = gie_node_int(n, "base_size"),
      .pre = gie_node_int(n, "pre_nms_topn"),
      .post = gie_node_int(n, "post_nms_topn"),
      .min_size = gie_node_float(n, "min_size"),
      .nms = (float)gie_node_float(n, "nms_thresh"),
  };
  out->ratios = det_floats(n, "ratio", &out->n_ratios);
  out->scales = det_floats(n, "scale", &out->n_scales);
  if (!out->ratios) {
    out->ratios = ratios;
    out->n_ratios = 3;
  }
  if (!out->scales) {
    out->scales = scales;
    out->n_scales = 3;
  }
}

void det_anchors_make(const struct det_proposing *s, const struct det_node *n, struct det_anchors *out)
{
  double centre = ((double)s->base - 1) / 2, area = (double)s->base * (double)s->base;
  *out = (struct det_anchors){.stride = s->stride,
                              .w = n->in[0].dim[3],
                              .cells = det_count(&n->in[0], 2),
                              .min_size = s->min_size};
  for (uint32_t r = 0; r < s->n_ratios; r++) {
    double w = rint(sqrt(area / s->ratios[r])), h = rint(w * s->ratios[r]);
    for (uint32_t k = 0; k < s->n_scales; k++) {
      double half_w = (w * s->scales[k] - 1) / 2, half_h = (h * s->scales[k] - 1) / 2;
      out->box[out->n++] = (struct det_box){(float)(centre - half_w), (float)(centre - half_h),
                                            (float)(centre + half_w), (float)(centre + half_h)};
    }
  }
}

/* ---- YoloDecode */

void det_yolo_read(const struct det_node *n, struct det_yolo *out)
{
  uint32_t count, n_image;
  const double *anchors = det_floats(n->node, "anchors", &count);
  const int64_t *image = det_ints(n->node, "image", &n_image);
  *out = (struct det_yolo){.h = n->in[0].dim[2],
                           .w = n->in[0].dim[3],
                           .anchors = count / 2,
                           .classes = gie_node_int(n->node, "classes"),
                           .image_h = (double)image[0],
                           .image_w = (double)image[1],
                           .scale = gie_node_float(n->node, "scale_xy"),
                           .square = strcmp(gie_node_string(n->node, "form"), "square") == 0};
  memcpy(out->anchor, anchors, count * sizeof *anchors);
}

/* ---- Regions */

void det_pool_read(const struct det_node *n, struct det_pool *out)
{
  *out = (struct det_pool){.images = n->in[0].dim[0],
                           .channels = n->in[0].dim[1],
                           .h = n->in[0].dim[2],
                           .w = n->in[0].dim[3],
                           .regions = n->in[1].dim[0],
                           .out_c = n->out[0].dim[1],
                           .out_h = n->out[0].dim[2],
                           .out_w = n->out[0].dim[3],
                           .scale = gie_node_float(n->node, "spatial_scale")};
}

void det_align_read(const struct det_node *n, struct det_align *out)
{
  const char *coordinates = gie_node_string(n->node, "coordinate_transformation_mode");
  bool half = *coordinates ? strcmp(coordinates, "half_pixel") == 0 : gie_node_int(n->node, "opset") >= 16;
  *out = (struct det_align){.offset = half ? 0.5 : 0,
                            .ratio = gie_node_int(n->node, "sampling_ratio"),
                            .half = half,
                            .max = gie_node_string(n->node, "mode")[0] == 'm'};
  det_pool_read(n, &out->p);
}
