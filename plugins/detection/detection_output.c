/* SPDX-License-Identifier: Apache-2.0 */
/* DetectionOutput: what a single-shot detector found. Boxes are decoded from the priors, those of each class with a score
 * above the threshold are suppressed greedily, and the best keep_top_k of an image are kept (Liu et al., 2016; order and
 * parameters are those of its Caffe layer).
 *
 * Result [1,1,R,7]: rows (image, class, score, x1, y1, x2, y2), by image, class and score, corners as fractions of the
 * image. R is the number of images times keep_top_k, or times what suppression can leave at most; rows that are not
 * needed come last and have image -1. Caffe's own result ends where these rows begin. */
#include "plugins/detection/element.h"

/* Most rows of an image; false: too many for anything. */
static bool rows(const struct det_output *s, int64_t *out)
{
  int64_t all;
  if (__builtin_mul_overflow(det_output_candidates(s), det_output_classes(s), &all) || all > INT32_MAX)
    return false;
  *out = s->keep_top_k >= 0 && s->keep_top_k < all ? s->keep_top_k : all;
  return true;
}

/* ---- Shape function */

static gie_status check(const struct gie_infer *x, struct det_output *s)
{
  if (!det_output_read(x->node, 0, s))
    return det_bad(x, GIE_E_ATTR, "code_type \"%s\"; it is CORNER, CENTER_SIZE or CORNER_SIZE",
                   gie_node_string(x->node, "code_type"));
  if (s->classes < 1 || s->classes > INT32_MAX)
    return det_bad(x, GIE_E_ATTR, "num_classes %lld; there has to be one", (long long)s->classes);
  if (!(s->nms >= 0) || !(s->eta > 0 && s->eta <= 1))
    return det_bad(x, GIE_E_ATTR, "nms_threshold %g and eta %g; they are at least 0, and above 0 up to 1",
                   (double)s->nms, (double)s->eta);
  GIE_TRY(det_rank(x, 2, 3));
  return GIE_OK;
}

/* Elements of an image in an operand, when they are known. */
static bool elements(const struct gie_shape *s, int64_t *out)
{
  *out = 1;
  for (int i = 1; i < s->rank; i++)
    if (!gie_dim_is_num(s->dim[i]) || __builtin_mul_overflow(*out, s->dim[i].b, out))
      return false;
  return s->rank >= 1;
}

static gie_status check_elements(const struct gie_infer *x, uint32_t i, int64_t wanted)
{
  int64_t has;
  if (!elements(&x->in[i].shape, &has) || has == wanted)
    return GIE_OK;
  return det_bad(x, GIE_E_SHAPE,
                 "operand %u has %lld elements for an image; the priors and classes need %lld", (unsigned)i,
                 (long long)has, (long long)wanted);
}

/* Locations and confidences are of as many images. */
static gie_status check_images(const struct gie_infer *x)
{
  const struct gie_shape *a = &x->in[0].shape, *b = &x->in[1].shape;
  if (a->rank == 0 || b->rank == 0)
    return det_bad(x, GIE_E_SHAPE, "a scalar; locations and confidences have a row for each image");
  if (a->rank > 0 && b->rank > 0 && gie_dim_is_num(a->dim[0]) && gie_dim_is_num(b->dim[0]) &&
      a->dim[0].b != b->dim[0].b)
    return det_bad(x, GIE_E_SHAPE, "locations of %lld images and confidences of %lld", (long long)a->dim[0].b,
                   (long long)b->dim[0].b);
  return det_is_other(x, 1, GIE_F32) ? det_bad(x, GIE_E_TYPE, "operand 1 has to be f32") : GIE_OK;
}

static gie_status infer(struct gie_infer *x)
{
  struct det_output s;
  const struct gie_shape *prior = &x->in[2].shape;
  struct gie_dim n = gie_dim_unknown(), r = gie_dim_unknown();
  GIE_TRY(check(x, &s));
  if (x->in[0].shape.rank >= 1)
    n = x->in[0].shape.dim[0];
  GIE_TRY(check_images(x));
  if (prior->rank == 3 && gie_dim_is_num(prior->dim[2])) {
    int64_t most, sets = det_output_sets(&s);
    s.priors = prior->dim[2].b / 4;
    if (prior->dim[2].b % 4 || det_is_less(prior, 0, 1) || det_is_less(prior, 1, s.encoded ? 1 : 2))
      return det_bad(x, GIE_E_SHAPE, "the priors have to be corners and variances, f32[1,2,4*P]");
    if (!rows(&s, &most) || s.priors > INT32_MAX / 4 / s.classes)
      return det_bad(x, GIE_E_LIMIT, "%lld priors of %lld classes are too many; set keep_top_k and top_k",
                     (long long)s.priors, (long long)s.classes);
    GIE_TRY(check_elements(x, 0, s.priors * sets * 4));
    GIE_TRY(check_elements(x, 1, s.priors * s.classes));
    r = gie_dim_mul(n, gie_dim_num(most));
  }
  det_type(&x->out[0], 4, (struct gie_dim[]){gie_dim_num(1), gie_dim_num(1), r, gie_dim_num(7)});
  return GIE_OK;
}

/* ---- One image */

struct kept {
  float score;
  uint32_t class_, box; /* box: index in work.boxes */
};

struct work {
  struct det_box *boxes;   /* priors x classes, or priors */
  struct det_score *list;  /* priors */
  struct det_score *order; /* as many as kept */
  struct kept *kept;       /* candidates x classes */
  uint32_t n_kept;
};

static size_t workspace(const struct det_node *n)
{
  struct det_output s;
  det_output_read(n->node, n->in[2].dim[2] / 4, &s);
  size_t priors = (size_t)s.priors, sets = (size_t)det_output_sets(&s),
         most = (size_t)det_output_candidates(&s) * (size_t)det_output_classes(&s);
  return priors * sets * sizeof(struct det_box) + priors * sizeof(struct det_score) +
         most * (sizeof(struct det_score) + sizeof(struct kept));
}

static struct work divide(const struct det_output *s, void *workspace)
{
  struct work w = {.boxes = workspace};
  w.list = (struct det_score *)(w.boxes + s->priors * (det_output_sets(s)));
  w.order = w.list + s->priors;
  w.kept = (struct kept *)(w.order + det_output_candidates(s) * det_output_classes(s));
  return w;
}

static void one_class(const struct det_output *s, struct work *w, const float *conf, int64_t c)
{
  int64_t sets = det_output_sets(s);
  uint32_t first = (uint32_t)(s->shared ? 0 : c), n = 0;
  for (int64_t i = 0; i < s->priors; i++)
    if (conf[i * s->classes + c] > s->confidence)
      w->list[n++] = (struct det_score){conf[i * s->classes + c], (uint32_t)(i * sets) + first};
  det_sort(w->list, n);
  n = n < det_output_candidates(s) ? n : (uint32_t)det_output_candidates(s);
  const struct det_suppress suppress = {w->boxes, s->nms, s->eta, 0, n};
  n = det_suppress(&suppress, w->list, n);
  for (uint32_t i = 0; i < n; i++)
    w->kept[w->n_kept++] = (struct kept){w->list[i].score, (uint32_t)c, w->list[i].index};
}

/* The best of all classes; they stay in the order of class and score. */
static void keep_top(const struct det_output *s, struct work *w)
{
  uint32_t n = 0, all = w->n_kept;
  if (s->keep_top_k < 0 || all <= s->keep_top_k)
    return;
  for (uint32_t i = 0; i < all; i++)
    w->order[i] = (struct det_score){w->kept[i].score, i};
  det_sort(w->order, all);
  for (uint32_t i = (uint32_t)s->keep_top_k; i < all; i++)
    w->kept[w->order[i].index].class_ = UINT32_MAX;
  for (uint32_t i = 0; i < all; i++)
    if (w->kept[i].class_ != UINT32_MAX)
      w->kept[n++] = w->kept[i];
  w->n_kept = n;
}

static void one_image(const struct det_output *s, struct work *w, const float *loc, const float *conf,
                      const float *prior)
{
  int64_t sets = det_output_sets(s);
  for (int64_t i = 0; i < s->priors; i++)
    for (int64_t c = 0; c < sets; c++)
      w->boxes[i * sets + c] = det_decode(s, prior + 4 * i, prior + 4 * (s->encoded ? i : s->priors + i),
                                          loc + 4 * (i * sets + c));
  w->n_kept = 0;
  for (int64_t c = 0; c < s->classes; c++)
    if (c != s->background)
      one_class(s, w, conf, c);
  keep_top(s, w);
}

static gie_status run(const struct det_node *n, const struct gie_launch *l)
{
  struct det_output s;
  const float *loc = l->in[0], *conf = l->in[1], *prior = l->in[2];
  float *to = l->out[0], *end = to + n->out[0].dim[2] * 7;
  det_output_read(n->node, n->in[2].dim[2] / 4, &s);
  struct work w = divide(&s, l->workspace);
  for (int64_t image = 0; image < n->in[0].dim[0]; image++) {
    one_image(&s, &w, loc + image * det_count(&n->in[0], 1), conf + image * det_count(&n->in[1], 1), prior);
    for (uint32_t i = 0; i < w.n_kept; i++, to += 7) {
      const struct det_box *b = &w.boxes[w.kept[i].box];
      const float row[] = {(float)image, (float)w.kept[i].class_, w.kept[i].score, b->x1, b->y1, b->x2,
                           b->y2};
      memcpy(to, row, sizeof row);
    }
  }
  for (; to < end; to += 7) {
    memset(to, 0, 7 * sizeof *to);
    *to = -1;
  }
  return GIE_OK;
}

static const struct gie_attr_spec attrs[] = {
    {"num_classes", GIE_ATTR_INT, GIE_REQUIRED, 0, NULL},
    {"share_location", GIE_ATTR_INT, GIE_DEFAULT, 1, NULL},
    {"background_label_id", GIE_ATTR_INT, GIE_DEFAULT, 0, NULL},
    {"nms_threshold", GIE_ATTR_FLOAT, GIE_DEFAULT, 0.3, NULL},
    {"top_k", GIE_ATTR_INT, GIE_DEFAULT, -1, NULL},
    {"eta", GIE_ATTR_FLOAT, GIE_DEFAULT, 1, NULL},
    {"code_type", GIE_ATTR_STRING, GIE_DEFAULT, 0, "CORNER"},
    {"variance_encoded_in_target", GIE_ATTR_INT, GIE_DEFAULT, 0, NULL},
    {"keep_top_k", GIE_ATTR_INT, GIE_DEFAULT, -1, NULL},
    {"confidence_threshold", GIE_ATTR_FLOAT, GIE_DEFAULT, -INFINITY, NULL},
    {NULL, GIE_ATTR_INT, GIE_OPTIONAL, 0, NULL},
};

static const struct gie_op op = {
    .struct_size = sizeof op,
    .name = "caffe::DetectionOutput",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .dtypes = GIE_DT(F32),
    .attrs = attrs,
    .infer = infer,
    .help =
        "rows (image, class, score, x1, y1, x2, y2) of what a single-shot detector found; unused ones have image -1",
};

const struct det_layer det_detection_output = {&op, "detection.detection_output", run, workspace};
