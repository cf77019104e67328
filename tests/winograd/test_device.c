/* SPDX-License-Identifier: Apache-2.0 */
/* Every variant of the winograd kernels on a device, against the reference kernel in f64: odd sizes, one
 * pixel, one channel, channels and tiles that fill no block, ranges of larger tensors with guards around. */
#include "tests/gie_check.h"
#include "tests/op_cases.h"

#include <math.h>

#define MAX_VARIANTS 64

static const struct {
  int n, c, h, w, k, r, pad[4];
  bool bias;
  const char *steps;
} CASES[] = {
    {1, 1, 1, 1, 1, 3, {1, 1, 1, 1}, false, ""},
    {8, 1, 3, 3, 1, 3, {0, 0, 0, 0}, true, ""}, /* several results, so that one is not small */
    {2, 3, 7, 5, 4, 3, {1, 1, 1, 1}, true, " | relu | sigmoid"},
    {1, 5, 8, 8, 9, 3, {0, 0, 0, 0}, true, " | add(%r) | relu"},
    {1, 2, 6, 13, 3, 3, {2, 0, 1, 3}, false, " | clip {min=-5.0, max=6.0}"},
    {3, 4, 12, 11, 5, 3, {1, 2, 0, 0}, true, " | mul(%s) | add(%r)"},
    {1, 3, 2, 2, 3, 3, {4, 4, 4, 4}, true, ""},
    {2, 33, 16, 16, 130, 3, {1, 1, 1, 1}, true, " | add(%r) | relu"},
    {1, 100, 12, 20, 72, 3, {1, 1, 1, 1}, true, " | relu"},
    {2, 3, 18, 40, 70, 3, {1, 1, 1, 1}, true, " | relu"}, /* units of 8 tiles, rows of vectors */
    {1, 4, 33, 50, 64, 3, {1, 1, 1, 1}, true, " | add(%r) | relu"},
    {3, 2, 20, 36, 130, 3, {0, 0, 1, 1}, true, " | clip {min=-5.0, max=6.0}"},
    {1, 8, 1, 1, 1, 5, {2, 2, 2, 2}, false, ""}, /* below 8 channels 5x5 is not offered in f32 */
    {2, 9, 7, 9, 4, 5, {2, 2, 2, 2}, true, " | add(%r)"},
    {1, 16, 14, 13, 70, 5, {2, 1, 3, 2}, true, " | relu"},
};
#define N_CASES ((int)(sizeof CASES / sizeof CASES[0]))

static struct gie_context *ctx;
static struct op_device host, device;

static bool open_device(const char *kind, struct op_device *d)
{
  for (uint32_t i = 0; !d->ops && gie_device_at(ctx, i); i++)
    if (strcmp(gie_device_at(ctx, i)->kind, kind) == 0)
      d->ops = gie_device_at(ctx, i);
  d->threads = 1;
  return d->ops && d->ops->count(ctx) > 0 && d->ops->open(ctx, 0, &d->dev) == GIE_OK &&
         d->ops->info(d->dev, &d->info) == GIE_OK;
}

/* Before the tests run, so without their macros: 77 where there is no device, 1 where one does not open. */
static int open_devices(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  if (gie_context_new(&options, &ctx) != GIE_OK)
    return printf("no context\n"), 1;
  if (!open_device("cpu", &host))
    return printf("the cpu backend does not open; is GIE_MODULE_PATH set? %s\n", gie_error_text(ctx)), 1;
  if (open_device("cuda", &device))
    return 0;
  if (device.ops && device.ops->count(ctx) > 0)
    return printf("the device does not open: %s\n", gie_error_text(ctx)), 1;
  return printf("skipped: needs a device of the kind cuda\n"), 77;
}

/* Small multiples of a power of two, which every dtype holds. */
static int add_weights(char *text, size_t size, int n)
{
  uint32_t state = 12345;
  int at = 0;
  for (int i = 0; i < n && (size_t)at < size; i++) {
    state = state * 1664525u + 1013904223u;
    at += snprintf(text + at, size - (size_t)at, "%s%g", i ? "," : "",
                   (double)((int)(state >> 24) - 128) / 128);
  }
  return at;
}

static struct gie_graph *graph_of(int i, const char *dtype)
{
  const int *pad = CASES[i].pad;
  int oh = CASES[i].h + pad[0] + pad[2] - CASES[i].r + 1, ow = CASES[i].w + pad[1] + pad[3] - CASES[i].r + 1;
  int n_w = CASES[i].k * CASES[i].c * CASES[i].r * CASES[i].r, at;
  size_t size = (size_t)n_w * 16 + 1024;
  char *text = gie_alloc(ctx, size, 1);
  struct gie_graph *g;
  ck_assert_ptr_nonnull(text);
  at = snprintf(text, size, "input %%x : T[%d,%d,%d,%d] const %%w : T[%d,%d,%d,%d] = {", CASES[i].n,
                CASES[i].c, CASES[i].h, CASES[i].w, CASES[i].k, CASES[i].c, CASES[i].r, CASES[i].r);
  at += add_weights(text + at, size - (size_t)at, n_w);
  at += snprintf(text + at, size - (size_t)at,
                 "} input %%b : T[%d] input %%r : T[%d,%d,%d,%d] input %%s : T[%d,1,1] ", CASES[i].k,
                 CASES[i].n, CASES[i].k, oh, ow, CASES[i].k);
  snprintf(text + at, size - (size_t)at, "%%y = conv(%%x, %%w%s) {pad=[%d,%d,%d,%d]}%s output %%y",
           CASES[i].bias ? ", %b" : "", pad[0], pad[1], pad[2], pad[3], CASES[i].steps);
  struct op_case c = {"winograd", dtype, text};
  ck_gie_ok(ctx, op_case_graph(ctx, &c, NULL, &g));
  gie_free(ctx, text);
  return g;
}

static uint32_t variants_of(const struct gie_kernel *k, const struct gie_graph *g, struct gie_variant *v)
{
  const struct gie_node *n = op_case_node(g);
  struct gie_desc desc[GIE_MAX_IO];
  const void *data[GIE_MAX_IO] = {NULL};
  struct gie_layout plain = {0};
  char why[256] = "";
  for (uint32_t i = 0; i < n->n_in + 1; i++) {
    gie_id id = i < n->n_in ? n->in[i] : n->out[0];
    ck_gie_ok(ctx, gie_desc_make(ctx, &gie_value_get(g, id)->type, &plain, &desc[i], NULL));
    data[i] = gie_value_bytes(g, id, NULL);
  }
  struct gie_problem p = {.struct_size = sizeof p,
                          .ctx = ctx,
                          .graph = g,
                          .node = n,
                          .n_in = n->n_in,
                          .n_out = 1,
                          .in = desc,
                          .out = desc + n->n_in,
                          .in_data = data,
                          .device_kind = "cuda",
                          .device = &device.info};
  return k->supports(k, &p, why, sizeof why) ? k->variants(k, &p, v, MAX_VARIANTS) : 0;
}

/* Against the reference's f64 result; those that compute an f32 problem in f16 are asked by their own problem. */
static void try_variant(int i, const struct gie_kernel *k, const struct gie_graph *g,
                        const struct gie_variant *v, const struct op_result *want)
{
  char text[256];
  bool half = want != NULL && gie_value_get(g, op_case_node(g)->out[0])->type.dtype == GIE_F16;
  for (unsigned f = 0; f < N_OP_FORMS; f++) {
    struct op_result got;
    if (OP_FORMS[f].permutation || OP_FORMS[f].block > 1)
      continue; /* the variant's ports say the layout; forms differ in pitch */
    gie_status st = op_run(&device, g, op_case_node(g), k, v, &OP_FORMS[f], &got);
    ck_assert_msg(st == GIE_OK, "case %d, %s %s, %s: %s", i, k->name, v->label, OP_FORMS[f].name,
                  gie_error_text(ctx));
    ck_assert_msg(op_compare(&got, want, fmax(half ? 2e-2 : 2e-5, (double)v->error), text, sizeof text),
                  "case %d, %s %s, %s: %s", i, k->name, v->label, OP_FORMS[f].name, text);
    op_results_free(ctx, &got, 1);
  }
}

static void try_case(int i, const char *dtype)
{
  struct gie_graph *exact = graph_of(i, "f64"), *g = graph_of(i, dtype);
  struct gie_variant *v = gie_alloc(ctx, MAX_VARIANTS, sizeof *v);
  const struct gie_kernel *k;
  struct op_result want;
  uint32_t total = 0;
  for (uint32_t j = 0; (k = gie_kernel_at(ctx, j)) && strcmp(k->name, "cpu.conv") != 0; j++)
    ;
  ck_assert(k && v);
  ck_gie_ok(ctx, op_run(&host, exact, op_case_node(exact), k, NULL, &OP_FORMS[0], &want));
  for (uint32_t j = 0; (k = gie_kernel_at(ctx, j)) != NULL; j++) {
    if (strncmp(k->name, "winograd.", 9) != 0)
      continue;
    uint32_t n = variants_of(k, g, v);
    for (uint32_t l = 0; l < n; l++)
      if (v[l].in[0].dtype == GIE_DTYPE_NONE)
        try_variant(i, k, g, &v[l], &want), total++;
  }
  ck_assert_msg(total > 0, "case %d, %s: no variant", i, dtype);
  op_results_free(ctx, &want, 1);
  gie_free(ctx, v);
  gie_graph_free(g);
  gie_graph_free(exact);
}

START_TEST(every_variant)
{
  for (int i = 0; i < N_CASES; i++) {
    try_case(i, "f32");
    try_case(i, "f16");
  }
}
END_TEST

int main(void)
{
  int st = open_devices();
  const TTest *const tests[] = {every_variant};
  return st ? st : check_on_device("winograd on a device", tests, sizeof tests / sizeof *tests);
}
