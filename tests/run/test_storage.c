/* SPDX-License-Identifier: Apache-2.0 */
/* Storage never changes a result: networks with concats in place and with every layout, on the reference
 * kernels, against the same networks in plain storage. */
#include "tests/gie_check.h"
#include <math.h>

/* All ops that treat axes in their own way, and a concat nested in a concat; odd sizes, so that blocks
 * have padding. */
static const char NET[] =
    "graph \"net\" (n) {"
    " input %x : f32[n,8,9,7]"
    " const %k : f32[1,24,1,1] = @K const %w : f32[16,8,3,3] = @W const %b : f32[16] = {1,-1,2,-2,3,-3,4,-4,5,-5,6,-6,7,-7,8,-8}"
    " const %start : i64[1] = {8} const %end : i64[1] = {24} const %axes : i64[1] = {1} const %sizes : i64[2] = {8, 16}"
    " %a = conv(%x, %w, %b) {pad=[1,1,1,1]} | relu"
    " %p = max_pool(%x) {kernel=[3,3], pad=[1,1,1,1]}"
    " %c = concat(%a, %p) {axis=1}"
    " %m = mul(%c, %k)"
    " %q = average_pool(%m) {kernel=[3,3], pad=[1,1,1,1]}"
    " %d = concat(%m, %q) {axis=1}"
    " %s = slice(%d, %start, %end, %axes)"
    " %u, %v = split(%m, %sizes) {axis=1}"
    " %t = softmax(%s) {axis=1}"
    " %e = add(%v, %t)"
    " %f = concat(%u, %e) {axis=1}"
    " %g = global_average_pool(%f)"
    " %y = flatten(%g)"
    " output %y output %f output %d }";

static struct gie_context *context(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  struct gie_context *ctx = NULL;
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  return ctx;
}

/* "@K" and "@W" stand for as many numbers as the type needs. */
static struct gie_graph *built_in(struct gie_context *ctx)
{
  struct gie_buf b;
  struct gie_graph *g;
  gie_buf_init(&b, ctx);
  for (const char *s = NET; *s; s++) {
    int n = s[0] == '@' ? (s[1] == 'K' ? 24 : 16 * 8 * 9) : 0;
    for (int i = 0; i < n; i++)
      gie_buf_printf(&b, "%s%d.25%s", i ? ", " : "{", (i * 7 + i / 5) % 11 - 5, i == n - 1 ? "}" : "");
    if (n)
      s++;
    else
      gie_buf_put(&b, s, 1);
  }
  ck_gie_ok(ctx, gie_graph_parse(ctx, b.data, b.len, NULL, &g));
  gie_buf_free(&b);
  return g;
}

static struct gie_graph *load(struct gie_context *ctx, int which)
{
  char path[4096];
  struct gie_graph *g;
  const char *top = getenv("top_srcdir");
  if (which == 0)
    return built_in(ctx);
  snprintf(path, sizeof path, "%s/examples/signs/signs.onnx", top ? top : ".");
  ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &g));
  return g;
}

/* ---- Storage ----------------------------------------------------------------------------------- */

static void set_view(struct gie_context *ctx, struct gie_graph *g, gie_id value, gie_id base, int axis,
                     int64_t offset, int64_t extent)
{
  struct gie_view view = {base, axis, offset, extent};
  const struct gie_value *v = gie_value_get(g, value), *b = gie_value_get(g, base);
  if (v->kind != GIE_VALUE_RESULT || v->view.base != GIE_NONE || b->view.base != GIE_NONE)
    return;
  gie_status st = gie_value_set_view(g, value, &view);
  if (st != GIE_OK) /* it is the base of others already */
    ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "never nested"));
}

/* Every concat, split and slice along channels in place, as far as views are not nested. */
static uint32_t add_views(struct gie_context *ctx, struct gie_graph *g)
{
  uint32_t n = 0;
  for (gie_id id = gie_graph_last(g); id != GIE_NONE; id = gie_node_get(g, id)->prev) {
    const struct gie_node *node = gie_node_get(g, id);
    bool joins = strcmp(node->op->name, "concat") == 0, cuts = strcmp(node->op->name, "split") == 0;
    int64_t at = strcmp(node->op->name, "slice") == 0 ? 8 : 0;
    const gie_id *parts = joins ? node->in : node->out;
    for (uint32_t i = 0; (joins || cuts || at) && i < (joins ? node->n_operands : node->n_out); i++) {
      int64_t extent = gie_value_get(g, parts[i])->type.shape.dim[1].b;
      set_view(ctx, g, parts[i], joins ? node->out[0] : node->in[0], 1, at, extent);
      n += gie_value_get(g, parts[i])->view.base != GIE_NONE;
      at += extent;
    }
  }
  return n;
}

static void set_layouts(struct gie_context *ctx, struct gie_graph *g, const char *layout)
{
  for (gie_id id = 0; id < gie_graph_n_values(g); id++) {
    const struct gie_value *v = gie_value_get(g, id);
    struct gie_layout l;
    if (v->kind == GIE_VALUE_DEAD || v->type.shape.rank != 4)
      continue;
    ck_gie_ok(ctx, gie_layout_parse(ctx, layout, 4, &l));
    ck_gie_ok(ctx, gie_value_set_layout(g, id, &l));
  }
}

/* ---- Running ----------------------------------------------------------------------------------- */

static void feed(struct gie_context *ctx, struct gie_exec *x, const struct gie_graph *g, int64_t batch)
{
  const struct gie_value *v = gie_value_get(g, gie_graph_input(g, 0));
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = v->type.dtype, .rank = v->type.shape.rank};
  int64_t n = 1;
  for (int i = 0; i < t.rank; i++) {
    t.dim[i] = gie_dim_is_num(v->type.shape.dim[i]) ? v->type.shape.dim[i].b : batch;
    n *= t.dim[i];
  }
  float *data = malloc((size_t)n * sizeof *data);
  ck_assert_ptr_nonnull(data);
  for (int64_t i = 0; i < n; i++)
    data[i] = (float)((i * 37 + i / 11) % 101) / 50 - 1;
  t.data = data;
  ck_gie_ok(ctx, gie_exec_set_input(x, v->name, &t));
  free(data);
}

/* Largest difference of any output, relative to the output's largest number. */
static double difference(struct gie_context *ctx, struct gie_exec *a, struct gie_exec *b,
                         const struct gie_graph *g)
{
  double worst = 0;
  for (uint32_t o = 0; o < gie_graph_n_outputs(g); o++) {
    const char *name = gie_value_get(g, gie_graph_output(g, o))->name;
    struct gie_tensor x, y;
    ck_gie_ok(ctx, gie_exec_output(a, name, &x));
    ck_gie_ok(ctx, gie_exec_output(b, name, &y));
    int64_t n = 1;
    ck_assert_int_eq(x.rank, y.rank);
    for (int i = 0; i < x.rank; i++) {
      ck_assert_int_eq(x.dim[i], y.dim[i]);
      n *= x.dim[i];
    }
    double most = 0, peak = 0;
    for (int64_t i = 0; i < n; i++) {
      double p = ((float *)x.data)[i], q = ((float *)y.data)[i];
      ck_assert(isfinite(p) && isfinite(q));
      most = fmax(most, fabs(p - q));
      peak = fmax(peak, fabs(p));
    }
    ck_assert(peak > 0);
    worst = fmax(worst, most / peak);
  }
  return worst;
}

static void compare(int which, const char *layout, bool views)
{
  struct gie_context *ctx = context();
  struct gie_graph *g = load(ctx, which), *h;
  struct gie_exec *plain, *x;
  ck_gie_ok(ctx, gie_graph_clone(g, &h));
  uint32_t n_views = views ? add_views(ctx, h) : 0;
  ck_assert(!views || n_views > 3);
  if (layout)
    set_layouts(ctx, h, layout);
  const struct gie_exec_options reference = {.struct_size = sizeof reference, .backends = "+cpu"};
  ck_gie_ok(ctx, gie_exec_new(g, &reference, &plain));
  ck_gie_ok(ctx, gie_exec_new(h, &reference, &x));
  for (int64_t batch = 1; batch <= 3; batch += 2) {
    feed(ctx, plain, g, batch);
    feed(ctx, x, g, batch);
    ck_gie_ok(ctx, gie_exec_run(plain));
    ck_gie_ok(ctx, gie_exec_run(x));
    double d = difference(ctx, plain, x, g);
    ck_assert_msg(d < 1e-6, "network %d, layout %s, %u views, batch %d: %g", which, layout ? layout : "plain",
                  (unsigned)n_views, (int)batch, d);
  }
  uint32_t in_place = 0;
  struct gie_node_profile p;
  for (uint32_t i = 0; gie_exec_profile(x, i, &p); i++)
    in_place += strcmp(p.kernel, "view") == 0 && strcmp(p.op, "flatten") != 0;
  ck_assert_msg(in_place >= (views ? 3u : 0u), "%u nodes in place", (unsigned)in_place);
  gie_exec_free(plain);
  gie_exec_free(x);
  gie_graph_free(g);
  gie_graph_free(h);
  gie_context_free(ctx);
}

static const char *const LAYOUTS[] = {NULL,      "nhwc",   "nChw4c", "nChw8c",
                                      "nChw16c", "Nchw2n", "3120",   "1203/b2:3"};
#define N_LAYOUTS (int)(sizeof LAYOUTS / sizeof *LAYOUTS)

START_TEST(plain_views)
{
  for (int which = 0; which < 2; which++)
    compare(which, NULL, true);
}
END_TEST

START_TEST(layouts)
{
  for (int i = 1; i < N_LAYOUTS; i++)
    compare(0, LAYOUTS[i], false);
  compare(1, "nhwc", false);
}
END_TEST

/* Ranges of these networks begin at multiples of 8. */
START_TEST(layouts_and_views)
{
  for (int i = 1; i < N_LAYOUTS; i++)
    if (strcmp(LAYOUTS[i], "nChw16c") != 0)
      compare(0, LAYOUTS[i], true);
  compare(1, "nChw8c", true);
}
END_TEST

GIE_TESTS_MAIN("storage", plain_views, layouts, layouts_and_views)
