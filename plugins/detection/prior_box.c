/* SPDX-License-Identifier: Apache-2.0 */
/* PriorBox: the boxes that a single-shot detector starts from, for each cell of a feature map (Liu et al., "SSD:
 * Single Shot MultiBox Detector", 2016, section 2.2; the order and the parameters are those of its Caffe layer).
 *
 * For each min_size: a square of it; if there are max_sizes, a square of sqrt(min_size * max_size); then for each other
 * aspect ratio r a box of min_size * sqrt(r) by min_size / sqrt(r). Row 0 of the result are the corners as fractions of
 * the image, row 1 the variances. */
#include "plugins/detection/element.h"

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
  if (n_ratio >= DET_MAX_RATIOS)
    return det_bad(x, GIE_E_LIMIT, "%u aspect ratios; at most %d are supported", (unsigned)n_ratio,
                   DET_MAX_RATIOS - 1);
  if (det_prior_sides(x->node, NULL, 0) > DET_MAX_PRIORS)
    return det_bad(x, GIE_E_LIMIT, "%lld boxes of a cell; at most %d are supported",
                   (long long)det_prior_sides(x->node, NULL, 0), DET_MAX_PRIORS);
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
                        gie_dim_num(4 * det_prior_sides(x->node, NULL, 0)));
  det_type(&x->out[0], 3, (struct gie_dim[]){gie_dim_num(1), gie_dim_num(2), boxes});
  return GIE_OK;
}

static gie_status run(const struct det_node *n, const struct gie_launch *l)
{
  struct det_prior p;
  float *to = l->out[0], *variances = to + n->out[0].dim[2];
  det_prior_read(n, &p);
  for (int64_t y = 0; y < p.h; y++)
    for (int64_t x = 0; x < p.w; x++)
      for (uint32_t k = 0; k < p.n; k++, to += 4)
        det_prior_box_at(&p, x, y, k, to);
  for (int64_t i = 0; i < n->out[0].dim[2]; i++)
    variances[i] = p.variance[i % 4];
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
