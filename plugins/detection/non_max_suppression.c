/* SPDX-License-Identifier: Apache-2.0 */
/* NonMaxSuppression of ONNX (operator set 11): rows (image, class, box) of what greedy suppression keeps, class by class.
 * How many there are depends on the data: the shape function counts them where the operands are at hand, which they
 * are when the node runs. */
#include "plugins/detection/detection.h"

enum { BOXES, SCORES, MAX_OUT, IOU, SCORE };

struct setting {
  int64_t images, classes, boxes, max;
  float iou, score;
  bool centered, has_score;
};

/* Scratch: as many of each as there are boxes. */
struct work {
  struct det_box *boxes;
  struct det_score *list;
};

static size_t scratch(int64_t boxes)
{
  size_t n = (size_t)boxes;
  return n > SIZE_MAX / 64 ? SIZE_MAX : n * (sizeof(struct det_box) + sizeof(struct det_score));
}

/* Corners in order, whichever diagonal the file gives. */
static void read_boxes(const struct setting *s, const float *from, struct det_box *to)
{
  for (int64_t i = 0; i < s->boxes; i++, from += 4) {
    float a = from[0], b = from[1], c = from[2], d = from[3];
    to[i] = s->centered ? (struct det_box){a - c / 2, b - d / 2, a + c / 2, b + d / 2}
                        : (struct det_box){b < d ? b : d, a < c ? a : c, b < d ? d : b, a < c ? c : a};
  }
}

static uint32_t one_class(const struct setting *s, const struct work *w, const float *scores)
{
  const struct det_suppress suppress = {w->boxes, s->iou, 1, 0,
                                        s->max < s->boxes ? (uint32_t)s->max : (uint32_t)s->boxes};
  uint32_t n = 0;
  for (int64_t i = 0; i < s->boxes; i++)
    if (!s->has_score || scores[i] > s->score)
      w->list[n++] = (struct det_score){scores[i], (uint32_t)i};
  det_sort(w->list, n);
  return det_suppress(&suppress, w->list, n);
}

/* Fills at most `room` rows, if `to` is not NULL; returns how many there are. */
static int64_t choose(const struct setting *s, const struct work *w, const float *boxes, const float *scores,
                      int64_t *to, int64_t room)
{
  int64_t n = 0;
  for (int64_t image = 0; image < s->images && s->max > 0; image++) {
    read_boxes(s, boxes + image * s->boxes * 4, w->boxes);
    for (int64_t c = 0; c < s->classes; c++) {
      uint32_t kept = one_class(s, w, scores + (image * s->classes + c) * s->boxes);
      for (uint32_t i = 0; i < kept; i++, n++)
        if (to && n < room) {
          const int64_t row[] = {image, c, w->list[i].index};
          memcpy(to + 3 * n, row, sizeof row);
        }
    }
  }
  return n;
}

static void read_scalars(const struct gie_node *n, const void *const *in, struct setting *s)
{
  float score = 0;
  if (in[MAX_OUT])
    memcpy(&s->max, in[MAX_OUT], sizeof s->max);
  if (in[IOU])
    memcpy(&s->iou, in[IOU], sizeof s->iou);
  if (in[SCORE])
    memcpy(&score, in[SCORE], sizeof score);
  s->score = score;
  s->has_score = in[SCORE] != NULL;
  s->centered = gie_node_int(n, "center_point_box") != 0;
}

/* ---- Shape function */

/* A scalar, or one element. */
static gie_status check_scalar(const struct gie_infer *x, uint32_t i, enum gie_dtype dtype)
{
  const struct gie_type *t = &x->in[i];
  if (t->dtype != GIE_DTYPE_NONE && t->dtype != dtype)
    return det_bad(x, GIE_E_TYPE, "operand %u is %s; it has to be %s", (unsigned)i, gie_dtype_name(t->dtype),
                   gie_dtype_name(dtype));
  for (int k = 0; k < t->shape.rank; k++)
    if (gie_dim_is_num(t->shape.dim[k]) && t->shape.dim[k].b != 1)
      return det_bad(x, GIE_E_SHAPE, "operand %u has to be one number", (unsigned)i);
  return GIE_OK;
}

static gie_status check(const struct gie_infer *x)
{
  const struct gie_shape *b = &x->in[BOXES].shape, *s = &x->in[SCORES].shape;
  GIE_TRY(det_rank(x, BOXES, 3));
  GIE_TRY(det_rank(x, SCORES, 3));
  for (uint32_t i = MAX_OUT; i < x->n_in; i++)
    GIE_TRY(check_scalar(x, i, i == MAX_OUT ? GIE_I64 : GIE_F32));
  if (b->rank == 3 && gie_dim_is_num(b->dim[2]) && b->dim[2].b != 4)
    return det_bad(x, GIE_E_SHAPE, "a box has %lld numbers; it has to have 4", (long long)b->dim[2].b);
  if (b->rank != 3 || s->rank != 3)
    return GIE_OK;
  for (int k = 0; k < 2; k++) {
    struct gie_dim other = s->dim[k ? 2 : 0];
    if (gie_dim_is_num(b->dim[k]) && gie_dim_is_num(other) && b->dim[k].b != other.b)
      return det_bad(x, GIE_E_SHAPE, "boxes and scores are of %lld and %lld %s", (long long)b->dim[k].b,
                     (long long)other.b, k ? "boxes" : "images");
  }
  return gie_dim_is_num(b->dim[1]) && b->dim[1].b > INT32_MAX
             ? det_bad(x, GIE_E_LIMIT, "%lld boxes are too many", (long long)b->dim[1].b)
             : GIE_OK;
}

/* Bytes of all operands; false when one is not at hand. */
static bool at_hand(const struct gie_infer *x, const void **in)
{
  for (uint32_t i = 0; i < 5; i++) {
    in[i] = i < x->n_in && x->in[i].dtype != GIE_DTYPE_NONE ? gie_value_bytes(x->graph, x->node->in[i], NULL)
                                                            : NULL;
    if (!in[i] && i < x->n_in && x->in[i].dtype != GIE_DTYPE_NONE)
      return false;
  }
  return true;
}

static gie_status count(struct gie_infer *x, const void *const *in, struct gie_dim *out)
{
  const struct gie_shape *b = &x->in[BOXES].shape, *c = &x->in[SCORES].shape;
  struct setting s = {.images = b->dim[0].b, .classes = c->dim[1].b, .boxes = b->dim[1].b};
  size_t bytes = scratch(s.boxes);
  char *memory = gie_alloc_raw(x->ctx, bytes, 1);
  if (!memory)
    return GIE_E_MEMORY;
  const struct work w = {(struct det_box *)memory,
                         (struct det_score *)(memory + (size_t)s.boxes * sizeof(struct det_box))};
  read_scalars(x->node, in, &s);
  *out = gie_dim_num(choose(&s, &w, in[BOXES], in[SCORES], NULL, 0));
  gie_free(x->ctx, memory);
  return GIE_OK;
}

static gie_status infer(struct gie_infer *x)
{
  const void *in[5];
  struct gie_dim n = gie_dim_unknown();
  GIE_TRY(check(x));
  if (at_hand(x, in))
    GIE_TRY(count(x, in, &n));
  x->out[0] = (struct gie_type){GIE_I64, {2, {n, gie_dim_num(3)}}};
  return GIE_OK;
}

/* ---- The layer */

static size_t workspace(const struct det_node *n) { return scratch(n->in[BOXES].dim[1]); }

static gie_status run(const struct det_node *n, const struct gie_launch *l)
{
  struct setting s = {.images = n->in[BOXES].dim[0],
                      .classes = n->in[SCORES].dim[1],
                      .boxes = n->in[BOXES].dim[1]};
  char *memory = l->workspace;
  const struct work w = {(struct det_box *)memory,
                         (struct det_score *)(memory + (size_t)s.boxes * sizeof(struct det_box))};
  const void *in[5] = {NULL};
  for (uint32_t i = 0; i < n->n_in; i++)
    in[i] = n->in[i].dtype == GIE_DTYPE_NONE ? NULL : l->in[i];
  read_scalars(n->node, in, &s);
  int64_t rows = choose(&s, &w, in[BOXES], in[SCORES], l->out[0], n->out[0].dim[0]);
  if (rows != n->out[0].dim[0])
    return gie_fail(l->ctx, GIE_E_SHAPE, "%lld boxes are kept, and there are %lld rows", (long long)rows,
                    (long long)n->out[0].dim[0]);
  return GIE_OK;
}

static const struct gie_attr_spec attrs[] = {
    {"center_point_box", GIE_ATTR_INT, GIE_DEFAULT, 0, NULL},
    {NULL, GIE_ATTR_INT, GIE_OPTIONAL, 0, NULL},
};

static const struct gie_op op = {
    .struct_size = sizeof op,
    .name = "ai.onnx::NonMaxSuppression",
    .flags = GIE_OP_DATA_DEPENDENT,
    .min_in = 2,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .dtypes = GIE_DT(F32),
    .attrs = attrs,
    .infer = infer,
    .help = "rows (image, class, box) of the boxes that greedy suppression keeps",
};

const struct det_layer det_non_max_suppression = {&op, "detection.non_max_suppression", run, workspace};
