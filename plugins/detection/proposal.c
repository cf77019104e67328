/* SPDX-License-Identifier: Apache-2.0 */
/* Proposal: the regions that a region proposal network suggests (Ren et al., "Faster R-CNN", 2015; anchors and order as in
 * the authors' published proposal layer).
 *
 * Operands: scores [1,2A,H,W], of which the second A are those of objects; deltas [1,4A,H,W]; the image's height, width and
 * scale [1,3]. Results: regions [post_nms_topn, 5], rows (0, x1, y1, x2, y2) in pixels, best first, and their scores
 * [post_nms_topn, 1]. Rows that are not needed are zero. */
#include "plugins/detection/element.h"

/* ---- Shape function */

static gie_status check_channels(const struct gie_infer *x, uint32_t i, int64_t wanted)
{
  const struct gie_shape *s = &x->in[i].shape;
  GIE_TRY(det_rank(x, i, 4));
  if (s->rank != 4)
    return GIE_OK;
  if (gie_dim_is_num(s->dim[0]) && s->dim[0].b != 1)
    return det_bad(x, GIE_E_SHAPE, "a batch of %lld; regions are proposed for one image",
                   (long long)s->dim[0].b);
  if (gie_dim_is_num(s->dim[1]) && s->dim[1].b != wanted)
    return det_bad(x, GIE_E_SHAPE, "operand %u has %lld channels; the anchors need %lld", (unsigned)i,
                   (long long)s->dim[1].b, (long long)wanted);
  return GIE_OK;
}

static gie_status check(const struct gie_infer *x, const struct det_proposing *s)
{
  const struct gie_shape *a = &x->in[0].shape, *b = &x->in[1].shape, *image = &x->in[2].shape;
  if (s->stride < 1 || s->base < 1 || s->post < 1 || s->stride > 65536 || s->base > 65536 ||
      s->post > INT32_MAX)
    return det_bad(x, GIE_E_ATTR,
                   "feat_stride %lld, base_size %lld and post_nms_topn %lld have to be positive",
                   (long long)s->stride, (long long)s->base, (long long)s->post);
  if (s->n_ratios > DET_MAX_ANCHORS || s->n_scales > DET_MAX_ANCHORS ||
      s->n_ratios * s->n_scales > DET_MAX_ANCHORS)
    return det_bad(x, GIE_E_LIMIT, "more than %d anchors", DET_MAX_ANCHORS);
  for (uint32_t i = 0; i < s->n_ratios; i++)
    if (!(s->ratios[i] > 0))
      return det_bad(x, GIE_E_ATTR, "a ratio of %g; it has to be positive", s->ratios[i]);
  GIE_TRY(check_channels(x, 0, 2 * (int64_t)s->n_ratios * s->n_scales));
  GIE_TRY(check_channels(x, 1, 4 * (int64_t)s->n_ratios * s->n_scales));
  for (int i = 2; i < 4 && a->rank == 4 && b->rank == 4; i++)
    if (gie_dim_is_num(a->dim[i]) && gie_dim_is_num(b->dim[i]) && a->dim[i].b != b->dim[i].b)
      return det_bad(x, GIE_E_SHAPE, "scores and deltas are of maps of different size");
  for (int i = 0; i + 1 < image->rank; i++)
    if (det_is_less(image, i, 1))
      return det_bad(x, GIE_E_SHAPE,
                     "operand 2 is empty; it has to be the height, width and scale of the image");
  if (image->rank == 0 || (image->rank > 0 && det_is_less(image, image->rank - 1, 3)))
    return det_bad(x, GIE_E_SHAPE, "operand 2 has to be the height, width and scale of the image");
  return det_is_other(x, 2, GIE_F32) ? det_bad(x, GIE_E_TYPE, "operand 2 has to be f32") : GIE_OK;
}

static gie_status infer(struct gie_infer *x)
{
  struct det_proposing s;
  det_proposal_read(x->node, &s);
  GIE_TRY(check(x, &s));
  det_type(&x->out[0], 2, (struct gie_dim[]){gie_dim_num(s.post), gie_dim_num(5)});
  if (x->n_out > 1)
    det_type(&x->out[1], 2, (struct gie_dim[]){gie_dim_num(s.post), gie_dim_num(1)});
  return GIE_OK;
}

/* ---- Regions */

struct work {
  struct det_box *boxes;
  struct det_score *list;
};

static size_t workspace(const struct det_node *n)
{
  struct det_proposing s;
  det_proposal_read(n->node, &s);
  size_t cells = (size_t)det_count(&n->in[0], 2), anchors = (size_t)s.n_ratios * s.n_scales, boxes;
  if (__builtin_mul_overflow(cells, anchors, &boxes) || boxes > UINT32_MAX / 2)
    return SIZE_MAX;
  return boxes * (sizeof(struct det_box) + sizeof(struct det_score));
}

static uint32_t make_regions(const struct det_anchors *a, const struct gie_launch *l, const struct work *w)
{
  const float *scores = l->in[0];
  uint32_t kept = 0;
  for (int64_t cell = 0; cell < a->cells; cell++)
    for (int64_t k = 0; k < a->n; k++) {
      int64_t i = cell * a->n + k;
      if (det_region_at(a, cell, k, l->in[1], l->in[2], &w->boxes[i]))
        w->list[kept++] = (struct det_score){scores[(a->n + k) * a->cells + cell], (uint32_t)i};
    }
  return kept;
}

static gie_status run(const struct det_node *n, const struct gie_launch *l)
{
  struct det_proposing s;
  struct det_anchors anchors;
  det_proposal_read(n->node, &s);
  det_anchors_make(&s, n, &anchors);
  size_t boxes = (size_t)(anchors.cells * anchors.n);
  const struct work w = {l->workspace, (struct det_score *)((struct det_box *)l->workspace + boxes)};
  uint32_t found = make_regions(&anchors, l, &w);
  float *region = l->out[0], *score = n->n_out > 1 ? l->out[1] : NULL;
  det_sort(w.list, found);
  if (s.pre > 0 && found > s.pre)
    found = (uint32_t)s.pre;
  const struct det_suppress suppress = {w.boxes, s.nms, 1, 1, (uint32_t)s.post};
  found = det_suppress(&suppress, w.list, found);
  for (int64_t i = 0; i < s.post; i++) {
    const struct det_box *b = i < found ? &w.boxes[w.list[i].index] : NULL;
    const float row[] = {0, b ? b->x1 : 0, b ? b->y1 : 0, b ? b->x2 : 0, b ? b->y2 : 0};
    memcpy(region + 5 * i, row, sizeof row);
    if (score)
      score[i] = b ? w.list[i].score : 0;
  }
  return GIE_OK;
}

static const struct gie_attr_spec attrs[] = {
    {"feat_stride", GIE_ATTR_INT, GIE_DEFAULT, 16, NULL},
    {"base_size", GIE_ATTR_INT, GIE_DEFAULT, 16, NULL},
    {"min_size", GIE_ATTR_FLOAT, GIE_DEFAULT, 16, NULL},
    {"ratio", GIE_ATTR_FLOATS, GIE_OPTIONAL, 0, NULL},
    {"scale", GIE_ATTR_FLOATS, GIE_OPTIONAL, 0, NULL},
    {"pre_nms_topn", GIE_ATTR_INT, GIE_DEFAULT, 6000, NULL},
    {"post_nms_topn", GIE_ATTR_INT, GIE_DEFAULT, 300, NULL},
    {"nms_thresh", GIE_ATTR_FLOAT, GIE_DEFAULT, 0.7, NULL},
    {NULL, GIE_ATTR_INT, GIE_OPTIONAL, 0, NULL},
};

static const struct gie_op op = {
    .struct_size = sizeof op,
    .name = "caffe::Proposal",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 2,
    .dtypes = GIE_DT(F32),
    .attrs = attrs,
    .infer = infer,
    .help =
        "the best regions (0, x1, y1, x2, y2) of a region proposal network, in pixels; unused rows are zero",
};

const struct det_layer det_proposal = {&op, "detection.proposal", run, workspace};
