/* SPDX-License-Identifier: Apache-2.0 */
/* PriorBox: the boxes that a single-shot detector starts from, for each cell of a feature map (Liu et al., "SSD:
 * Single Shot MultiBox Detector", 2016, section 2.2; the order and the parameters are those of its Caffe layer).
 *
 * For each min_size: a square of it; if there are max_sizes, a square of sqrt(min_size * max_size); then for each other
 * aspect ratio r a box of min_size * sqrt(r) by min_size / sqrt(r). Row 0 of the result are the corners as fractions of
 * the image, row 1 the variances. */
#include "plugins/detection/detection.h"
#include <math.h>

#define MAX_RATIOS 64

/* Ratios without duplicates, 1 first. */
static uint32_t ratios(const struct gie_node *n, double *out)
{
  uint32_t count, k = 1;
  const double *given = det_floats(n, "aspect_ratio", &count);
  bool flip = gie_node_int(n, "flip") != 0;
  out[0] = 1;
  for (uint32_t i = 0; i < count && k + 2 <= MAX_RATIOS; i++) {
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

static int64_t priors_of_cell(const struct gie_node *n)
{
  double r[MAX_RATIOS];
  uint32_t n_min, n_max;
  det_floats(n, "min_size", &n_min);
  det_floats(n, "max_size", &n_max);
  return (int64_t)n_min * ratios(n, r) + n_max;
}

static gie_status check(const struct gie_infer *x)
{
  uint32_t n_min, n_max, n_ratio, n_variance;
  const double *min = det_floats(x->node, "min_size", &n_min), *max = det_floats(x->node, "max_size", &n_max),
               *ratio = det_floats(x->node, "aspect_ratio", &n_ratio);
  det_floats(x->node, "variance", &n_variance);
  if (n_min == 0 || (n_max && n_max != n_min))
    return det_bad(x, GIE_E_ATTR, "%u min_size and %u max_size; there are as many of both, or no max_size",
                   (unsigned)n_min, (unsigned)n_max);
  for (uint32_t i = 0; i < n_min; i++)
    if (!(min[i] > 0) || (n_max && !(max[i] > min[i])))
      return det_bad(x, GIE_E_ATTR, "min_size has to be positive, and max_size greater");
  for (uint32_t i = 0; i < n_ratio; i++)
    if (!(ratio[i] > 0))
      return det_bad(x, GIE_E_ATTR, "aspect_ratio has to be positive");
  if (n_ratio > MAX_RATIOS / 2 - 1)
    return det_bad(x, GIE_E_LIMIT, "%u aspect ratios; at most %d are supported", (unsigned)n_ratio,
                   MAX_RATIOS / 2 - 1);
  if (n_variance != 0 && n_variance != 1 && n_variance != 4)
    return det_bad(x, GIE_E_ATTR, "%u variances; there are none, one or four", (unsigned)n_variance);
  return GIE_OK;
}

static gie_status infer(struct gie_infer *x)
{
  GIE_TRY(check(x));
  GIE_TRY(det_rank(x, 0, 4));
  GIE_TRY(det_rank(x, 1, 4));
  struct gie_dim boxes = gie_dim_unknown();
  if (x->in[0].shape.rank == 4)
    boxes = gie_dim_mul(gie_dim_mul(x->in[0].shape.dim[2], x->in[0].shape.dim[3]),
                        gie_dim_num(4 * priors_of_cell(x->node)));
  det_type(&x->out[0], 3, (struct gie_dim[]){gie_dim_num(1), gie_dim_num(2), boxes});
  return GIE_OK;
}

/* ---- Boxes */

struct grid {
  double image_w, image_h, step_w, step_h, offset;
  bool clip;
  float *to;
};

static double or_else(double v, double other) { return v > 0 ? v : other; }

static struct grid make_grid(const struct det_node *n, float *to)
{
  const struct gie_node *node = n->node;
  double image = gie_node_float(node, "img_size"), step = gie_node_float(node, "step");
  struct grid g = {.offset = gie_node_float(node, "offset"),
                   .clip = gie_node_int(node, "clip") != 0,
                   .to = to};
  g.image_h = or_else(gie_node_float(node, "img_h"), or_else(image, (double)n->in[1].dim[2]));
  g.image_w = or_else(gie_node_float(node, "img_w"), or_else(image, (double)n->in[1].dim[3]));
  g.step_h = or_else(gie_node_float(node, "step_h"), or_else(step, g.image_h / (double)n->in[0].dim[2]));
  g.step_w = or_else(gie_node_float(node, "step_w"), or_else(step, g.image_w / (double)n->in[0].dim[3]));
  return g;
}

static void put(struct grid *g, double x, double y, double w, double h)
{
  const double v[] = {(x - w / 2) / g->image_w, (y - h / 2) / g->image_h, (x + w / 2) / g->image_w,
                      (y + h / 2) / g->image_h};
  for (int i = 0; i < 4; i++)
    *g->to++ = (float)(g->clip ? fmin(fmax(v[i], 0), 1) : v[i]);
}

static void put_cell(struct grid *g, const struct gie_node *node, double x, double y)
{
  double r[MAX_RATIOS];
  uint32_t n_min, n_max, n_ratios = ratios(node, r);
  const double *min = det_floats(node, "min_size", &n_min), *max = det_floats(node, "max_size", &n_max);
  for (uint32_t i = 0; i < n_min; i++) {
    put(g, x, y, min[i], min[i]);
    if (n_max)
      put(g, x, y, sqrt(min[i] * max[i]), sqrt(min[i] * max[i]));
    for (uint32_t k = 1; k < n_ratios; k++)
      put(g, x, y, min[i] * sqrt(r[k]), min[i] / sqrt(r[k]));
  }
}

static gie_status run(const struct det_node *n, const struct gie_launch *l)
{
  float *to = l->out[0], *variances = to + n->out[0].dim[2];
  struct grid g = make_grid(n, to);
  uint32_t n_variance;
  const double *variance = det_floats(n->node, "variance", &n_variance);
  for (int64_t y = 0; y < n->in[0].dim[2]; y++)
    for (int64_t x = 0; x < n->in[0].dim[3]; x++)
      put_cell(&g, n->node, ((double)x + g.offset) * g.step_w, ((double)y + g.offset) * g.step_h);
  for (int64_t i = 0; i < n->out[0].dim[2]; i++)
    variances[i] = n_variance == 0 ? 0.1f : (float)variance[n_variance == 1 ? 0 : i % 4];
  return GIE_OK;
}

static const struct gie_attr_spec attrs[] = {
    {"min_size", GIE_ATTR_FLOATS, GIE_REQUIRED, 0, NULL},
    {"max_size", GIE_ATTR_FLOATS, GIE_OPTIONAL, 0, NULL},
    {"aspect_ratio", GIE_ATTR_FLOATS, GIE_OPTIONAL, 0, NULL},
    {"flip", GIE_ATTR_INT, GIE_DEFAULT, 1, NULL},
    {"clip", GIE_ATTR_INT, GIE_DEFAULT, 0, NULL},
    {"variance", GIE_ATTR_FLOATS, GIE_OPTIONAL, 0, NULL},
    {"img_size", GIE_ATTR_FLOAT, GIE_DEFAULT, 0, NULL},
    {"img_h", GIE_ATTR_FLOAT, GIE_DEFAULT, 0, NULL},
    {"img_w", GIE_ATTR_FLOAT, GIE_DEFAULT, 0, NULL},
    {"step", GIE_ATTR_FLOAT, GIE_DEFAULT, 0, NULL},
    {"step_h", GIE_ATTR_FLOAT, GIE_DEFAULT, 0, NULL},
    {"step_w", GIE_ATTR_FLOAT, GIE_DEFAULT, 0, NULL},
    {"offset", GIE_ATTR_FLOAT, GIE_DEFAULT, 0.5, NULL},
    {NULL, GIE_ATTR_INT, GIE_OPTIONAL, 0, NULL},
};

static const struct gie_op op = {
    .struct_size = sizeof op,
    .name = "caffe::PriorBox",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .dtypes = GIE_DT(F32),
    .attrs = attrs,
    .infer = infer,
    .help = "boxes for each cell of a feature map, as fractions of the image, and their variances",
};

const struct det_layer det_prior_box = {&op, "detection.prior_box", run, NULL};
