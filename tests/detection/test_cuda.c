/* SPDX-License-Identifier: Apache-2.0 */
/* Detection layers on a CUDA device against the same layers on the CPU: sizes that sort in and beyond shared memory, scores
 * that are equal, values that no network should feed. Each runs twice with the same bits. Without a device the test is skipped
 * (exit 77). GIE_TEST_SMALL=1: only graphs of few elements, for checkers of memory and races. */
#include "tests/gie_check.h"
#include <math.h>
#include <stdlib.h>

static struct gie_context *ctx;

#define ONE(a, node) "graph { input %a : " a " %y = " node " output %y }"
#define TWO(a, b, node) "graph { input %a : " a " input %b : " b " %y = " node " output %y }"
#define THREE(a, b, c, node) \
  "graph { input %a : " a " input %b : " b " input %c : " c " %y = " node " output %y }"
#define DETECT(images, loc, conf, priors, attrs)                                      \
  THREE("f32[" images "," loc "]", "f32[" images "," conf "]", "f32[1,2," priors "]", \
        "caffe::DetectionOutput(%a, %b, %c) {" attrs "}")

static const char *const texts[] = {
    /* As a single-shot detector of 300 pixels has it, then without limits. */
    DETECT("2", "34928", "183372", "34928",
           "num_classes=21, nms_threshold=0.45, code_type=\"CENTER_SIZE\", top_k=400, keep_top_k=200, "
           "confidence_threshold=0.6"),
    DETECT("1", "34928", "17464", "34928", "num_classes=2, nms_threshold=0.4, keep_top_k=900"),
    DETECT("3", "400", "300", "400", "num_classes=3, code_type=\"CORNER_SIZE\""),
    DETECT("2", "2000", "500", "400",
           "num_classes=5, share_location=0, background_label_id=-1, keep_top_k=37"),
    DETECT("2", "2000", "500", "400", "num_classes=5, share_location=0, background_label_id=2, top_k=11"),
    DETECT("1", "400", "200", "400",
           "num_classes=2, eta=0.9, nms_threshold=0.9, variance_encoded_in_target=1"),
    DETECT("1", "400", "200", "400", "num_classes=2, keep_top_k=0"),
    DETECT("1", "400", "200", "400", "num_classes=2, top_k=0"),
    DETECT("1", "400", "100", "400", "num_classes=1"),
    DETECT("1", "400", "200", "400", "num_classes=2, confidence_threshold=2.0, keep_top_k=5"),
    DETECT("2", "4", "3000", "4", "num_classes=3000, keep_top_k=100"),
    ONE("f32[1,3,19,17]", "caffe::PriorBox(%a, %a) {min_size=[10.0,20.0], max_size=[15.0,30.0], "
                          "aspect_ratio=[2.0,3.0], clip=1, variance=[0.1,0.1,0.2,0.2]}"),
    TWO("f32[1,3,4,5]", "f32[1,3,300,200]",
        "caffe::PriorBox(%a, %b) {min_size=[30.0], step=16.0, flip=0, "
        "aspect_ratio=[2.0]}"),
    ONE("f32[2,255,13,11]", "detection::YoloDecode(%a) {anchors=[10.0,13.0,16.0,30.0,33.0,23.0], classes=80, "
                            "image=[416,352], scale_xy=1.05}"),
    "graph { input %a : f32[2,18,26,26] %b, %y = detection::YoloDecode(%a) {anchors=[10.0,13.0,16.0,30.0,33.0,23.0], "
    "classes=1, image=[416,416], form=\"square\"} output %b output %y }",
    THREE("f32[1,18,38,50]", "f32[1,36,38,50]", "f32[1,3]", "caffe::Proposal(%a, %b, %c)"),
    "graph { input %a : f32[1,18,7,5] input %b : f32[1,36,7,5] input %c : f32[1,3] %y, %s = caffe::Proposal(%a, %b, %c) "
    "{post_nms_topn=500, pre_nms_topn=100, min_size=0.0, nms_thresh=0.5} output %y output %s }",
    TWO("f32[3,8,20,30]", "f32[33,5]",
        "caffe::ROIPooling(%a, %b) {pooled_h=7, pooled_w=6, spatial_scale=0.5}"),
    TWO("f32[2,98,20,30]", "f32[33,5]",
        "caffe::PSROIPooling(%a, %b) {output_dim=2, group_size=7, spatial_scale=0.0625}"),
    THREE("f32[2,8,20,30]", "f32[33,4]", "i64[33]",
          "ai.onnx::RoiAlign(%a, %b, %c) {output_height=3, output_width=4, spatial_scale=0.5}"),
    THREE("f32[2,8,20,30]", "f32[33,4]", "i64[33]",
          "ai.onnx::RoiAlign(%a, %b, %c) {mode=\"max\", sampling_ratio=3, opset=10}"),
};
#define N_TEXTS (int)(sizeof texts / sizeof texts[0])

/* ---- Operands */

enum feed { UNIFORM, WIDE, FEW, STRANGE, N_FEEDS };
static const char *const feeds[] = {"uniform", "wide", "few values", "strange"};

static double number(enum feed feed, uint32_t r)
{
  static const double strange[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, 0, -0.0, 1, -1, 0.5, 1e-40, 3e9};
  double u = (double)(r >> 8) / (1 << 24);
  return feed == UNIFORM ? u
         : feed == WIDE  ? 40 * u - 8
         : feed == FEW   ? floor(8 * u) / 8
                         : strange[r % (sizeof strange / sizeof strange[0])];
}

static void set_inputs(struct gie_exec *x, const struct gie_graph *g, enum feed feed)
{
  uint32_t turn = 7;
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    struct gie_tensor t = {sizeof t, v->type.dtype, v->type.shape.rank, {0}, NULL};
    size_t n = 1;
    for (int k = 0; k < t.rank; k++)
      n *= (size_t)(t.dim[k] = v->type.shape.dim[k].b);
    double *data = calloc(n, sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (size_t k = 0; k < n; k++) {
      uint32_t r = turn = turn * 1664525 + 1013904223;
      r ^= r >> 15;
      if (t.dtype == GIE_I64)
        ((int64_t *)data)[k] = (int64_t)(r >> 8) % 4 - (feed == STRANGE);
      else
        ((float *)data)[k] = (float)number(feed, r * 0x9e3779b1u);
    }
    t.data = data;
    ck_gie_ok(ctx, gie_exec_set_input(x, v->name, &t));
    free(data);
  }
}

/* ---- Results */

static bool same(float a, float b, double tolerance)
{
  if (isnan(a) || isnan(b) || isinf(a) || isinf(b))
    return (isnan(a) && isnan(b)) || a == b;
  return fabs((double)a - (double)b) <= tolerance;
}

static int64_t elements(const struct gie_tensor *t)
{
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++)
    n *= t->dim[i];
  return n;
}

static void compare(const struct gie_graph *g, struct gie_exec *cpu, struct gie_exec *cuda, int text,
                    enum feed feed, double *worst)
{
  for (uint32_t o = 0; o < gie_graph_n_outputs(g); o++) {
    const char *name = gie_value_get(g, gie_graph_output(g, o))->name;
    struct gie_tensor a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    ck_gie_ok(ctx, gie_exec_output(cpu, name, &a));
    ck_gie_ok(ctx, gie_exec_output(cuda, name, &b));
    int64_t n = elements(&a);
    double peak = 0;
    ck_assert_int_eq(n, elements(&b));
    for (int64_t i = 0; i < n; i++)
      peak = fmax(peak, isfinite(((float *)a.data)[i]) ? fabs((double)((float *)a.data)[i]) : 0);
    for (int64_t i = 0; i < n; i++) {
      float want = ((float *)a.data)[i], got = ((float *)b.data)[i];
      double scale = feed == STRANGE ? 1e-3 * fabs((double)want) : 4e-6 * peak;
      ck_assert_msg(same(got, want, scale), "graph %d, %s: %s[%lld] is %g instead of %g", text, feeds[feed],
                    name, (long long)i, (double)got, (double)want);
      if (isfinite(want) && peak > 0 && feed != STRANGE)
        *worst = fmax(*worst, fabs((double)got - (double)want) / peak);
    }
  }
}

/* The bytes of the first output, for a second run. */
static void *copy_output(const struct gie_graph *g, struct gie_exec *x, size_t *bytes)
{
  struct gie_tensor t = {.struct_size = sizeof t};
  ck_gie_ok(ctx, gie_exec_output(x, gie_value_get(g, gie_graph_output(g, 0))->name, &t));
  *bytes = (size_t)elements(&t) * sizeof(float);
  void *copy = malloc(*bytes + 1);
  ck_assert_ptr_nonnull(copy);
  if (*bytes)
    memcpy(copy, t.data, *bytes);
  return copy;
}

/* Nothing is to be done then. */
static bool is_empty(const struct gie_graph *g, struct gie_exec *x)
{
  struct gie_tensor t = {.struct_size = sizeof t};
  ck_gie_ok(ctx, gie_exec_output(x, gie_value_get(g, gie_graph_output(g, 0))->name, &t));
  return elements(&t) == 0;
}

static bool is_small(const struct gie_graph *g)
{
  int64_t most = 0;
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    const struct gie_shape *s = &gie_value_get(g, gie_graph_input(g, i))->type.shape;
    int64_t n = 1;
    for (int k = 0; k < s->rank; k++)
      n *= s->dim[k].b;
    most = n > most ? n : most;
  }
  return most <= 3000;
}

static void one_text(int text, double *worst)
{
  const struct gie_exec_options on_cuda = {.struct_size = sizeof on_cuda, .device = "cuda", .profile = true};
  struct gie_graph *g;
  struct gie_exec *cpu, *cuda;
  struct gie_node_profile p;
  size_t bytes, again;
  ck_gie_ok(ctx, gie_graph_parse(ctx, texts[text], strlen(texts[text]), NULL, &g));
  if (getenv("GIE_TEST_SMALL") && !is_small(g)) {
    gie_graph_free(g);
    return;
  }
  ck_gie_ok(ctx, gie_exec_new(g, NULL, &cpu));
  ck_gie_ok(ctx, gie_exec_new(g, &on_cuda, &cuda));
  for (enum feed feed = UNIFORM; feed < N_FEEDS; feed++) {
    set_inputs(cpu, g, feed);
    set_inputs(cuda, g, feed);
    ck_gie_ok(ctx, gie_exec_run(cpu));
    ck_gie_ok(ctx, gie_exec_run(cuda));
    ck_assert(gie_exec_profile(cuda, 0, &p));
    ck_assert_msg(strncmp(p.kernel, "detection_cuda.", 15) == 0 || is_empty(g, cuda), "graph %d runs %s",
                  text, p.kernel);
    compare(g, cpu, cuda, text, feed, worst);
    void *first = copy_output(g, cuda, &bytes);
    ck_gie_ok(ctx, gie_exec_run(cuda));
    void *second = copy_output(g, cuda, &again);
    ck_assert(bytes == again && memcmp(first, second, bytes) == 0);
    free(first);
    free(second);
    ck_assert(gie_exec_profile(cuda, 0, &p));
    if (feed == UNIFORM)
      printf("%-34s %8.1f us\n", p.kernel, p.seconds * 1e6);
  }
  gie_exec_free(cpu);
  gie_exec_free(cuda);
  gie_graph_free(g);
}

START_TEST(layers)
{
  double worst = 0;
  for (int i = 0; i < N_TEXTS; i++)
    one_text(i, &worst);
  printf("%d graphs with %d kinds of operands, max|a-b|/max|b| = %.1e\n", N_TEXTS, N_FEEDS, worst);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {layers};
  const struct gie_device *d;
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  bool has_device = false;
  if (gie_context_new(&options, &ctx) != GIE_OK)
    return 1;
  for (uint32_t i = 0; (d = gie_device_at(ctx, i)) != NULL; i++)
    has_device |= strcmp(d->kind, "cuda") == 0 && d->count(ctx) > 0;
  int rc = 77;
  if (has_device)
    rc = check_on_device("detection layers on a CUDA device", tests, sizeof tests / sizeof *tests);
  else
    printf("SKIP: no CUDA device; this test needs a device\n");
  gie_context_free(ctx);
  return rc;
}
