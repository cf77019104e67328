/* SPDX-License-Identifier: Apache-2.0 */
/* Detection layers on cases that can be worked out by hand, what they refuse, and values that no network should feed. */
#include "tests/gie_check.h"
#include <math.h>

static struct gie_context *open_context(void)
{
  const struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  struct gie_context *ctx;
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  return ctx;
}

static gie_status parse(struct gie_context *ctx, const char *text, struct gie_graph **g)
{
  return gie_graph_parse(ctx, text, strlen(text), NULL, g);
}

#define BOXES                                                                                                           \
  "const %b : f32[1,6,4] = {0.0,0.0,1.0,1.0, 0.0,0.1,1.0,1.1, 0.0,-0.1,1.0,0.9, 0.0,10.0,1.0,11.0, 0.0,10.1,1.0,11.1, " \
  "0.0,100.0,1.0,101.0}"
#define TURNED                                                                                                          \
  "const %b : f32[1,6,4] = {1.0,1.0,0.0,0.0, 0.0,0.1,1.0,1.1, 0.0,0.9,1.0,-0.1, 0.0,10.0,1.0,11.0, 1.0,10.1,0.0,11.1, " \
  "1.0,101.0,0.0,100.0}"
#define CENTRED                                                                                                      \
  "const %b : f32[1,6,4] = {0.5,0.5,1.0,1.0, 0.5,0.6,1.0,1.0, 0.5,0.4,1.0,1.0, 0.5,10.5,1.0,1.0, 0.5,10.6,1.0,1.0, " \
  "0.5,100.5,1.0,1.0}"
#define SCORES " const %s : f32[1,1,6] = {0.9,0.75,0.6,0.95,0.5,0.3}"
#define SCALARS " const %n : i64[] = {3} const %iou : f32[] = {0.5} const %least : f32[] = {0.4}"
#define NMS(boxes, operands, attrs) \
  "graph { " boxes SCORES SCALARS " %y = ai.onnx::NonMaxSuppression(" operands ") " attrs " output %y }"
#define PRIORS "const %p : f32[1,2,8] = {0.2,0.2,0.6,0.6, 0.5,0.5,0.9,0.9, 0.1,0.1,0.2,0.2, 0.1,0.1,0.2,0.2}"
#define DETECT(loc, conf, attrs)                                                              \
  "graph { const %l : f32[1,8] = {" loc "} const %c : f32[1,4] = {" conf "} " PRIORS          \
  " %y = caffe::DetectionOutput(%l, %c, %p) {num_classes=2, confidence_threshold=0.2, " attrs \
  "} output %y }"
#define ROI(op) "graph { const %x : f32[1,1,2,2] = {1.0,2.0,3.0,4.0} " op " output %y }"

static const struct {
  const char *text;
  int rank;
  int64_t dim[4];
  double values[24];
} cases[] = {
    {NMS(BOXES, "%b, %s, %n, %iou", ""), 2, {3, 3}, {0, 0, 3, 0, 0, 0, 0, 0, 5}},
    {NMS(TURNED, "%b, %s, %n, %iou", ""), 2, {3, 3}, {0, 0, 3, 0, 0, 0, 0, 0, 5}},
    {NMS(CENTRED, "%b, %s, %n, %iou", "{center_point_box=1}"), 2, {3, 3}, {0, 0, 3, 0, 0, 0, 0, 0, 5}},
    {NMS(BOXES, "%b, %s, %n, %iou, %least", ""), 2, {2, 3}, {0, 0, 3, 0, 0, 0}},
    {NMS(BOXES, "%b, %s, %n", ""), 2, {3, 3}, {0, 0, 3, 0, 0, 0, 0, 0, 5}}, /* boxes that touch are out */
    {NMS(BOXES, "%b, %s", ""), 2, {0, 3}, {0}},
    /* What is decoded to the prior itself, and to a box half a prior further. */
    {DETECT("0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0", "0.1,0.9,0.5,0.5", "code_type=\"CENTER_SIZE\""),
     4,
     {1, 1, 2, 7},
     {0, 1, 0.9, 0.2, 0.2, 0.6, 0.6, 0, 1, 0.5, 0.5, 0.5, 0.9, 0.9}},
    {DETECT("0.5,0.0,0.5,0.0,9.0,9.0,9.0,9.0", "0.1,0.9,0.9,0.1",
            "code_type=\"CORNER_SIZE\", variance_encoded_in_target=1"),
     4,
     {1, 1, 2, 7},
     {0, 1, 0.9, 0.4, 0.2, 0.8, 0.6, -1, 0, 0, 0, 0, 0, 0}},
    /* the best of both classes */
    {DETECT("0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0", "0.1,0.9,0.95,0.5",
            "code_type=\"2\", keep_top_k=1, background_label_id=-1"),
     4,
     {1, 1, 1, 7},
     {0, 0, 0.95, 0.5, 0.5, 0.9, 0.9}},
    /* One cell, everything at the middle of its range. */
    {"graph { const %x : f32[1,6,1,1] = {0.0,0.0,0.0,0.0,0.0,0.0} %y, %s = detection::YoloDecode(%x) "
     "{anchors=[8.0,4.0], classes=1, image=[16,32], form=\"square\"} output %y }",
     3,
     {1, 1, 4},
     {0.5, 0.5, 0.25, 0.25}},
    {"graph { const %x : f32[1,6,1,1] = {0.0,0.0,0.0,0.0,0.0,0.0} %b, %y = detection::YoloDecode(%x) "
     "{anchors=[8.0,4.0], classes=1, image=[16,32]} output %y }",
     3,
     {1, 1, 1},
     {0.25}},
    /* Two anchors of 16 pixels that stay where they are, cut to the image, and an empty row. */
    {"graph { const %s : f32[1,2,1,2] = {0.0,0.0,0.3,0.9} const %d : f32[1,4,1,2] = {0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0} "
     "const %i : f32[1,3] = {16.0,32.0,1.0} %y = caffe::Proposal(%s, %d, %i) {ratio=[1.0], scale=[1.0], "
     "post_nms_topn=3} output %y }",
     2,
     {3, 5},
     {0, 16, 0, 31, 15, 0, 0, 0, 16, 15, 0, 0, 0, 0, 0}},
    /* The image: its mean, its greatest, and a region of an image that is not there. */
    {ROI("const %r : f32[1,4] = {0.0,0.0,2.0,2.0} const %i : i64[1] = {0} "
         "%y = ai.onnx::RoiAlign(%x, %r, %i) {sampling_ratio=2}"),
     4,
     {1, 1, 1, 1},
     {2.5}},
    {ROI("const %r : f32[2,4] = {0.0,0.0,2.0,2.0,0.0,0.0,2.0,2.0} const %i : i64[2] = {0,7} "
         "%y = ai.onnx::RoiAlign(%x, %r, %i) {sampling_ratio=2, mode=\"max\"}"),
     4,
     {2, 1, 1, 1},
     {4, 0}},
    {ROI("const %r : f32[2,5] = {0.0,0.0,0.0,1.0,1.0, 1.0,0.0,0.0,1.0,1.0} "
         "%y = caffe::ROIPooling(%x, %r) {pooled_h=1, pooled_w=2}"),
     4,
     {2, 1, 1, 2},
     {3, 4, 0, 0}},
};

static void check_output(struct gie_context *ctx, struct gie_exec *x, size_t i)
{
  struct gie_tensor t = {.struct_size = sizeof t};
  int64_t n = 1;
  ck_gie_ok(ctx, gie_exec_output(x, "y", &t));
  ck_assert_int_eq(t.rank, cases[i].rank);
  for (int k = 0; k < t.rank; k++) {
    ck_assert_msg(t.dim[k] == cases[i].dim[k], "case %zu: dim %d is %lld", i, k, (long long)t.dim[k]);
    n *= t.dim[k];
  }
  for (int64_t k = 0; k < n; k++) {
    double got = t.dtype == GIE_I64 ? (double)((int64_t *)t.data)[k] : (double)((float *)t.data)[k];
    ck_assert_msg(fabs(got - cases[i].values[k]) < 1e-6, "case %zu: element %lld is %g instead of %g", i,
                  (long long)k, got, cases[i].values[k]);
  }
}

START_TEST(test_cases)
{
  struct gie_context *ctx = open_context();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct gie_graph *g;
    struct gie_exec *x;
    gie_status st = parse(ctx, cases[i].text, &g);
    ck_assert_msg(st == GIE_OK, "case %zu: %s", i, gie_error_text(ctx));
    ck_gie_ok(ctx, gie_exec_new(g, NULL, &x));
    ck_gie_ok(ctx, gie_exec_run(x));
    check_output(ctx, x, i);
    gie_exec_free(x);
    gie_graph_free(g);
  }
  gie_context_free(ctx);
}
END_TEST

/* How many rows there are is known when the boxes are. */
START_TEST(test_counted_when_run)
{
  static const char text[] = "graph { input %b : f32[1,40,4] input %s : f32[1,1,40] const %n : i64[1] = {40} "
                             "const %iou : f32[1] = {0.5} %y = ai.onnx::NonMaxSuppression(%b, %s, %n, %iou) "
                             "%z = shape(%y) output %y output %z }";
  struct gie_context *ctx = open_context();
  struct gie_graph *g;
  struct gie_exec *x;
  struct gie_tensor y = {.struct_size = sizeof y};
  float boxes[160], scores[40];
  ck_gie_ok(ctx, parse(ctx, text, &g));
  ck_assert(!gie_dim_is_known(gie_value_get(g, gie_value_find(g, "y"))->type.shape.dim[0]));
  ck_gie_ok(ctx, gie_exec_new(g, NULL, &x));
  for (int places = 1; places <= 40; places += 13) {
    for (int i = 0; i < 40; i++) { /* boxes at so many places */
      const float b[] = {(float)(2 * (i % places)), 0, (float)(2 * (i % places)) + 1, 1};
      memcpy(boxes + 4 * i, b, sizeof b);
      scores[i] = (float)i;
    }
    struct gie_tensor b = {sizeof b, GIE_F32, 3, {1, 40, 4}, boxes},
                      s = {sizeof s, GIE_F32, 3, {1, 1, 40}, scores};
    ck_gie_ok(ctx, gie_exec_set_input(x, "b", &b));
    ck_gie_ok(ctx, gie_exec_set_input(x, "s", &s));
    ck_gie_ok(ctx, gie_exec_run(x));
    ck_gie_ok(ctx, gie_exec_output(x, "y", &y));
    ck_assert_int_eq(y.dim[0], places);
    for (int i = 0; i < places; i++) /* the best at each place */
      ck_assert_int_eq(((int64_t *)y.data)[3 * i + 2], 39 - i);
  }
  gie_exec_free(x);
  gie_graph_free(g);
  gie_context_free(ctx);
}
END_TEST

/* ---- What is refused */

#define PRIOR(attrs) "graph { input %x : f32[1,1,2,2] %y = caffe::PriorBox(%x, %x) {" attrs "} output %y }"
#define YOLO(attrs) \
  "graph { input %x : f32[1,6,1,1] %y = detection::YoloDecode(%x) {classes=1, " attrs "} output %y }"
#define INPUTS(a, b, c, node) \
  "graph { input %a : " a " input %b : " b " input %c : " c " %y = " node " output %y }"

static const struct {
  const char *text, *message;
} bad[] = {
    {PRIOR("min_size=[-1.0]"), "min_size has to be positive"},
    {PRIOR("min_size=[1.0,2.0], max_size=[3.0]"), "2 min_size and 1 max_size"},
    {PRIOR("min_size=[2.0], max_size=[1.0]"), "and max_size greater"},
    {PRIOR("min_size=[1.0], aspect_ratio=[0.0]"), "aspect_ratio has to be positive"},
    {PRIOR("min_size=[1.0], variance=[0.1,0.1]"), "2 variances"},
    {"graph { input %x : f32[1,2,2] %y = caffe::PriorBox(%x, %x) {min_size=[1.0]} output %y }", "has 3 dims"},
    {DETECT("0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0", "0.1,0.9,0.5,0.5", "code_type=\"CIRCLE\""),
     "code_type \"CIRCLE\""},
    {DETECT("0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0", "0.1,0.9,0.5,0.5", "share_location=0"),
     "operand 0 has 8 elements"},
    {DETECT("0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0", "0.1,0.9,0.5,0.5", "eta=0.0"), "eta 0"},
    {INPUTS("f32[1,8]", "f32[1,6]", "f32[1,2,8]", "caffe::DetectionOutput(%a, %b, %c) {num_classes=2}"),
     "operand 1 has 6 elements"},
    {INPUTS("f32[1,8]", "f32[2,4]", "f32[1,2,8]", "caffe::DetectionOutput(%a, %b, %c) {num_classes=2}"),
     "locations of 1 images and confidences of 2"},
    {INPUTS("f32[1,8]", "f32[1,4]", "f32[1,1,8]", "caffe::DetectionOutput(%a, %b, %c) {num_classes=2}"),
     "corners and variances"},
    {INPUTS("f32[1,8]", "f32[1,4]", "f32[0,2,8]", "caffe::DetectionOutput(%a, %b, %c) {num_classes=2}"),
     "corners and variances"},
    {INPUTS("f32[1,8]", "f32[1,4]", "f32[1,2,4000000000]",
            "caffe::DetectionOutput(%a, %b, %c) {num_classes=2000000000}"),
     "are too many"},
    {INPUTS("f32[1,6,3]", "f32[1,1,6]", "i64[]", "ai.onnx::NonMaxSuppression(%a, %b, %c)"),
     "a box has 3 numbers"},
    {INPUTS("f32[1,6,4]", "f32[1,1,5]", "i64[]", "ai.onnx::NonMaxSuppression(%a, %b, %c)"),
     "of 6 and 5 boxes"},
    {INPUTS("f32[1,6,4]", "f32[1,1,6]", "f32[]", "ai.onnx::NonMaxSuppression(%a, %b, %c)"),
     "operand 2 is f32"},
    {INPUTS("f32[1,6,4]", "f32[1,1,6]", "i64[2]", "ai.onnx::NonMaxSuppression(%a, %b, %c)"),
     "has to be one number"},
    {YOLO("anchors=[1.0], image=[1,1]"), "1 numbers in anchors"},
    {YOLO("anchors=[1.0,0.0], image=[1,1]"), "an anchor of 0"},
    {YOLO("anchors=[1.0,1.0], image=[1]"), "height and the width"},
    {YOLO("anchors=[1.0,1.0,1.0,1.0], image=[1,1]"), "6 channels; 2 anchors with 5 + 1 numbers each need 12"},
    {YOLO("anchors=[1.0,1.0], image=[1,1], form=\"round\""), "form \"round\""},
    {INPUTS("f32[1,18,2,2]", "f32[1,36,2,3]", "f32[1,3]", "caffe::Proposal(%a, %b, %c)"),
     "maps of different size"},
    {INPUTS("f32[1,18,2,2]", "f32[1,35,2,2]", "f32[1,3]", "caffe::Proposal(%a, %b, %c)"), "35 channels"},
    {INPUTS("f32[2,18,2,2]", "f32[1,36,2,2]", "f32[1,3]", "caffe::Proposal(%a, %b, %c)"), "a batch of 2"},
    {INPUTS("f32[1,18,2,2]", "f32[1,36,2,2]", "f32[1,2]", "caffe::Proposal(%a, %b, %c)"),
     "height, width and scale"},
    {INPUTS("f32[1,18,2,2]", "f32[1,36,2,2]", "f32[0,3]", "caffe::Proposal(%a, %b, %c)"),
     "operand 2 is empty"},
    {INPUTS("f32[1,18,2,2]", "f32[1,36,2,2]", "f32[]", "caffe::Proposal(%a, %b, %c)"),
     "height, width and scale"},
    {PRIOR(
         "min_size=[1.0,2.0,3.0], aspect_ratio=[2.0,3.0,4.0,5.0,6.0,7.0,8.0,9.0,10.0,11.0,12.0,13.0,14.0,15.0,16.0,"
         "17.0,18.0,19.0,20.0,21.0,22.0,23.0]"),
     "135 boxes of a cell; at most 128"},
    {INPUTS("f32[1,18,2,2]", "f32[1,36,2,2]", "f32[1,3]", "caffe::Proposal(%a, %b, %c) {post_nms_topn=0}"),
     "have to be positive"},
    {INPUTS("f32[1,9,2,2]", "f32[1,4]", "f32[1]",
            "caffe::PSROIPooling(%a, %b) {output_dim=1, group_size=3, "
            "spatial_scale=1.0}"),
     "rows of 5 numbers"},
    {INPUTS("f32[1,8,2,2]", "f32[1,5]", "f32[1]",
            "caffe::PSROIPooling(%a, %b) {output_dim=1, group_size=3, "
            "spatial_scale=1.0}"),
     "8 channels; 1 outputs of 3 by 3 parts need 9"},
    {INPUTS("f32[1,8,2,2]", "f32[1,5]", "f32[1]", "caffe::ROIPooling(%a, %b) {pooled_h=0, pooled_w=1}"),
     "a result of 0 by 1"},
    {INPUTS("f32[1,8,2,2]", "f32[3,4]", "i64[2]", "ai.onnx::RoiAlign(%a, %b, %c)"),
     "3 regions and 2 indices"},
    {INPUTS("f32[1,8,2,2]", "f32[3,4]", "i64[3]", "ai.onnx::RoiAlign(%a, %b, %c) {mode=\"min\"}"),
     "mode \"min\""},
};

START_TEST(test_bad)
{
  struct gie_context *ctx = open_context();
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct gie_graph *g = NULL;
    gie_status st = parse(ctx, bad[i].text, &g);
    ck_assert_msg(st != GIE_OK, "case %zu is accepted: %s", i, bad[i].text);
    ck_assert_msg(strstr(gie_error_text(ctx), bad[i].message), "case %zu: \"%s\" without \"%s\"", i,
                  gie_error_text(ctx), bad[i].message);
    ck_assert_int_eq(gie_status_exit_code(st), 65);
  }
  gie_context_free(ctx);
}
END_TEST

/* ---- Values that no network should feed: nothing but numbers may come of them */

static const char *const strange[] = {
    INPUTS("f32[1,8]", "f32[1,4]", "f32[1,2,8]", "caffe::DetectionOutput(%a, %b, %c) {num_classes=2}"),
    INPUTS("f32[2,6,4]", "f32[2,3,6]", "i64[]", "ai.onnx::NonMaxSuppression(%a, %b, %c)"),
    INPUTS("f32[1,14,3,2]", "f32[1]", "f32[1]",
           "detection::YoloDecode(%a) {anchors=[1.0,2.0,3.0,4.0], classes=2, image=[9,9]}"),
    INPUTS("f32[1,18,2,2]", "f32[1,36,2,2]", "f32[1,3]", "caffe::Proposal(%a, %b, %c) {post_nms_topn=7}"),
    INPUTS("f32[2,9,2,2]", "f32[5,5]", "f32[1]",
           "caffe::PSROIPooling(%a, %b) {output_dim=1, group_size=3, spatial_scale=1.0}"),
    INPUTS("f32[2,9,2,2]", "f32[5,5]", "f32[1]", "caffe::ROIPooling(%a, %b) {pooled_h=2, pooled_w=2}"),
    INPUTS("f32[2,2,2,2]", "f32[3,4]", "i64[3]", "ai.onnx::RoiAlign(%a, %b, %c) {output_height=2}"),
};

static void feed_strange(struct gie_context *ctx, struct gie_exec *x, const struct gie_graph *g,
                         uint32_t input, uint32_t turn)
{
  const double values[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, 0, 1, -1, 0.5, 1e-40, 3e9};
  const struct gie_value *v = gie_value_get(g, gie_graph_input(g, input));
  struct gie_tensor t = {sizeof t, v->type.dtype, v->type.shape.rank, {0}, NULL};
  size_t n = 1;
  for (int i = 0; i < t.rank; i++)
    n *= (size_t)(t.dim[i] = v->type.shape.dim[i].b);
  double *data = calloc(n, sizeof *data);
  ck_assert_ptr_nonnull(data);
  for (size_t i = 0; i < n; i++) {
    turn = turn * 1103515245 + 12345;
    double value = values[(turn >> 16) % (sizeof values / sizeof values[0])];
    if (t.dtype == GIE_I64)
      ((int64_t *)data)[i] = (int64_t)(turn >> 16) % 5 - 1;
    else
      ((float *)data)[i] = (float)value;
  }
  t.data = data;
  ck_gie_ok(ctx, gie_exec_set_input(x, v->name, &t));
  free(data);
}

START_TEST(test_strange_values)
{
  struct gie_context *ctx = open_context();
  for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
    struct gie_graph *g;
    struct gie_exec *x;
    ck_gie_ok(ctx, parse(ctx, strange[i], &g));
    ck_gie_ok(ctx, gie_exec_new(g, NULL, &x));
    for (uint32_t turn = 0; turn < 40; turn++) {
      for (uint32_t k = 0; k < gie_graph_n_inputs(g); k++)
        feed_strange(ctx, x, g, k, turn * 7 + k);
      ck_gie_ok(ctx, gie_exec_run(x));
    }
    gie_exec_free(x);
    gie_graph_free(g);
  }
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("detection layers", test_cases, test_counted_when_run, test_bad, test_strange_values)
