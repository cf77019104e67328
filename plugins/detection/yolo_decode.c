/* SPDX-License-Identifier: Apache-2.0 */
/* YoloDecode: boxes and scores from a feature map of a YOLO detector.
 *
 * Operand [N, A*(5+C), H, W]: for each of A anchors tx, ty, tw, th, to and C classes. With s the logistic function and
 * k = scale_xy, the box at column x and row y has
 *
 *     cx = (x + k*s(tx) - (k-1)/2) / W    w = anchor_w * exp(tw) / image_w      score of class i = s(to) * s(ti)
 *
 * (Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018, section 2.1; k from Bochkovskiy et al., "YOLOv4",
 * 2020, section 3.4), or with form "square" w = anchor_w * (2*s(tw))^2 / image_w, as the later networks have it.
 *
 * Results: boxes [N, H*W*A, 4] (cx, cy, w, h as fractions of the image) and scores [N, C, H*W*A], which is what
 * NonMaxSuppression takes with center_point_box. Anchors follow each other fastest, then columns, then rows. */
#include "plugins/detection/element.h"

static int64_t n_anchors(const struct gie_node *n)
{
  uint32_t count;
  det_floats(n, "anchors", &count);
  return count / 2;
}

static gie_status check(const struct gie_infer *x)
{
  uint32_t count, n_image;
  const double *anchors = det_floats(x->node, "anchors", &count);
  const int64_t *image = det_ints(x->node, "image", &n_image);
  int64_t classes = gie_node_int(x->node, "classes");
  const char *form = gie_node_string(x->node, "form");
  if (count == 0 || count % 2 || count > 2 * DET_MAX_YOLO)
    return det_bad(x, GIE_E_ATTR,
                   "%u numbers in anchors; there are a width and a height for each of up to 64",
                   (unsigned)count);
  for (uint32_t i = 0; i < count; i++)
    if (!(anchors[i] > 0))
      return det_bad(x, GIE_E_ATTR, "an anchor of %g; it has to be positive", anchors[i]);
  if (n_image != 2 || image[0] < 1 || image[1] < 1)
    return det_bad(x, GIE_E_ATTR, "image has to be the height and the width of the network's input");
  if (classes < 1 || classes > INT32_MAX)
    return det_bad(x, GIE_E_ATTR, "%lld classes; there has to be one", (long long)classes);
  if (strcmp(form, "exp") != 0 && strcmp(form, "square") != 0)
    return det_bad(x, GIE_E_ATTR, "form \"%s\"; it is exp or square", form);
  return det_rank(x, 0, 4);
}

static gie_status infer(struct gie_infer *x)
{
  const struct gie_shape *s = &x->in[0].shape;
  struct gie_dim n = gie_dim_unknown(), boxes = gie_dim_unknown();
  GIE_TRY(check(x));
  int64_t a = n_anchors(x->node), classes = gie_node_int(x->node, "classes"), channels = a * (5 + classes);
  if (s->rank == 4) {
    struct gie_dim c = s->dim[1];
    if (gie_dim_is_num(c) && c.b != channels)
      return det_bad(x, GIE_E_SHAPE, "%lld channels; %lld anchors with 5 + %lld numbers each need %lld",
                     (long long)c.b, (long long)a, (long long)classes, (long long)channels);
    n = s->dim[0];
    boxes = gie_dim_mul(gie_dim_mul(s->dim[2], s->dim[3]), gie_dim_num(a));
  }
  det_type(&x->out[0], 3, (struct gie_dim[]){n, boxes, gie_dim_num(4)});
  if (x->n_out > 1)
    det_type(&x->out[1], 3, (struct gie_dim[]){n, gie_dim_num(classes), boxes});
  return GIE_OK;
}

static gie_status run(const struct det_node *n, const struct gie_launch *l)
{
  struct det_yolo m;
  det_yolo_read(n, &m);
  int64_t boxes = m.h * m.w * m.anchors;
  for (int64_t i = 0; i < n->in[0].dim[0]; i++) {
    float *box = (float *)l->out[0] + i * boxes * 4,
          *score = n->n_out > 1 ? (float *)l->out[1] + i * m.classes * boxes : NULL;
    const float *map = (const float *)l->in[0] + i * det_count(&n->in[0], 1);
    for (int64_t b = 0; b < boxes; b++) {
      int64_t a = b % m.anchors, cell = b / m.anchors;
      det_yolo_box(&m, map, a, cell, box + 4 * b);
      for (int64_t c = 0; score && c < m.classes; c++)
        score[c * boxes + b] = det_yolo_score(&m, map, a, c, cell);
    }
  }
  return GIE_OK;
}

static const struct gie_attr_spec attrs[] = {
    {"anchors", GIE_ATTR_FLOATS, GIE_REQUIRED, 0, NULL}, {"classes", GIE_ATTR_INT, GIE_REQUIRED, 0, NULL},
    {"image", GIE_ATTR_INTS, GIE_REQUIRED, 0, NULL},     {"scale_xy", GIE_ATTR_FLOAT, GIE_DEFAULT, 1, NULL},
    {"form", GIE_ATTR_STRING, GIE_DEFAULT, 0, "exp"},    {NULL, GIE_ATTR_INT, GIE_OPTIONAL, 0, NULL},
};

static const struct gie_op op = {
    .struct_size = sizeof op,
    .name = "detection::YoloDecode",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 2,
    .dtypes = GIE_DT(F32),
    .attrs = attrs,
    .infer = infer,
    .help = "boxes and scores from a feature map of a YOLO detector",
};

const struct det_layer det_yolo_decode = {&op, "detection.yolo_decode", run, NULL};
