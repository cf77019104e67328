/* SPDX-License-Identifier: Apache-2.0 */
/* Winograd's convolution in plain C against the reference kernel in f64. */
#include "backends/winograd/forms.h"
#include "tests/gie_check.h"
#include "tests/op_cases.h"

#include <math.h>

static const struct {
  int n, c, h, w, k, r, pad[4];
} cases[] = {
    {1, 1, 1, 1, 1, 3, {1, 1, 1, 1}},   {1, 1, 3, 3, 1, 3, {0, 0, 0, 0}},    {1, 1, 1, 9, 2, 3, {1, 1, 1, 1}},
    {1, 1, 9, 1, 2, 3, {1, 1, 1, 1}},   {2, 3, 7, 5, 4, 3, {1, 1, 1, 1}},    {1, 5, 8, 8, 9, 3, {0, 0, 0, 0}},
    {1, 2, 6, 13, 3, 3, {2, 0, 1, 3}},  {3, 4, 12, 11, 5, 3, {1, 2, 0, 0}},  {1, 3, 2, 2, 3, 3, {4, 4, 4, 4}},
    {1, 64, 5, 6, 17, 3, {1, 1, 1, 1}}, {1, 1, 1, 1, 1, 5, {2, 2, 2, 2}},    {2, 3, 7, 9, 4, 5, {2, 2, 2, 2}},
    {1, 4, 5, 5, 8, 5, {0, 0, 0, 0}},   {1, 16, 14, 13, 6, 5, {2, 1, 3, 2}},
};

static struct gie_context *ctx;

static void with_modules(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
}

static float *floats(const struct op_result *r)
{
  float *f = gie_alloc(ctx, (size_t)r->count, sizeof *f);
  ck_assert_ptr_nonnull(f);
  for (int64_t i = 0; i < r->count; i++)
    f[i] = (float)r->v[i];
  return f;
}

/* The reference kernel's result, and the operands as it got them. */
static void reference(int i, struct op_result *x, struct op_result *w, struct op_result *y)
{
  const int *pad = cases[i].pad;
  const struct gie_kernel *k = NULL;
  struct op_device d = {.threads = 1};
  char text[512];
  snprintf(text, sizeof text,
           "input %%x : T[%d,%d,%d,%d] input %%w : T[%d,%d,%d,%d] %%y = conv(%%x, %%w) {pad=[%d,%d,%d,%d]} "
           "output %%y",
           cases[i].n, cases[i].c, cases[i].h, cases[i].w, cases[i].k, cases[i].c, cases[i].r, cases[i].r,
           pad[0], pad[1], pad[2], pad[3]);
  struct op_case c = {"winograd", "f64", text};
  struct gie_graph *g;
  const struct gie_device *ops;
  for (uint32_t j = 0; (ops = gie_device_at(ctx, j)) != NULL; j++)
    if (strcmp(ops->kind, "cpu") == 0)
      d.ops = ops;
  for (uint32_t j = 0; !k || strcmp(k->name, "cpu.conv") != 0; j++)
    ck_assert_ptr_nonnull(k = gie_kernel_at(ctx, j));
  ck_gie_ok(ctx, d.ops->open(ctx, 0, &d.dev));
  ck_gie_ok(ctx, d.ops->info(d.dev, &d.info));
  ck_gie_ok(ctx, op_case_graph(ctx, &c, NULL, &g));
  ck_gie_ok(ctx, op_run(&d, g, op_case_node(g), k, NULL, &OP_FORMS[0], y));
  ck_gie_ok(ctx, op_operand(g, op_case_node(g), 0, x));
  ck_gie_ok(ctx, op_operand(g, op_case_node(g), 1, w));
  gie_graph_free(g);
  d.ops->close(d.dev);
}

static void try_form(int i, const struct wg_form *f, const struct op_result *x, const struct op_result *w,
                     const struct op_result *want)
{
  const struct gie_dim *out = want->type.shape.dim;
  struct wg_shape s = {cases[i].n, cases[i].c, cases[i].h,      cases[i].w,     cases[i].k,
                       out[2].b,   out[3].b,   cases[i].pad[0], cases[i].pad[1]};
  float *fx = floats(x), *fw = floats(w), *fy = floats(want);
  size_t bytes;
  double peak = 0;
  ck_assert(wg_pack_bytes(f, WG_PACK_ROWS, s.c, s.k, GIE_F32, &bytes));
  float *packed = gie_alloc(ctx, bytes, 1);
  float *scratch = gie_alloc(ctx, (size_t)(f->n * f->n) * (size_t)(s.c + 1), sizeof *scratch);
  ck_assert(packed && scratch);
  for (int64_t j = 0; j < want->count; j++) {
    peak = fmax(peak, fabs(want->v[j]));
    fy[j] = NAN; /* every element must be written */
  }
  wg_pack(f, WG_PACK_ROWS, s.c, s.k, GIE_F32, fw, GIE_F32, packed);
  wg_conv(f, &s, fx, packed, scratch, fy);
  for (int64_t j = 0; j < want->count; j++)
    ck_assert_msg(fabs((double)fy[j] - want->v[j]) <= 1e-5 * peak,
                  "case %d, %s: element %lld is %g instead of %g", i, f->name, (long long)j, (double)fy[j],
                  want->v[j]);
  gie_free(ctx, fx);
  gie_free(ctx, fw);
  gie_free(ctx, fy);
  gie_free(ctx, packed);
  gie_free(ctx, scratch);
}

START_TEST(every_form_on_every_case)
{
  struct op_result x, w, y;
  with_modules();
  for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
    reference(i, &x, &w, &y);
    for (int f = 0; f < WG_N_FORMS; f++)
      if (WG_FORMS[f].r == cases[i].r)
        try_form(i, &WG_FORMS[f], &x, &w, &y);
    op_results_free(ctx, &x, 1);
    op_results_free(ctx, &w, 1);
    op_results_free(ctx, &y, 1);
  }
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("winograd convolution in C", every_form_on_every_case)
