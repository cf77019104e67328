/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of gie/cuda_steps.h, evaluated on the host, against the reference kernels: every function over many
 * numbers, every way in which an operand can broadcast, both layouts of it, f32 and f16, and vectors of elements. */
#include "tests/cuda/steps_vector.h"
#include "tests/gie_check.h"
#include "tests/op_cases.h"

#define N 2
#define C 8
#define H 2
#define W 4
#define COUNT (N * C * H * W)

static struct gie_context *ctx;
static struct op_device device;
static const struct gie_kernel *conv;

static void setup(void)
{
  const struct gie_device *d;
  const struct gie_kernel *k;
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  for (uint32_t i = 0; (d = gie_device_at(ctx, i)) != NULL; i++)
    if (strcmp(d->kind, "cpu") == 0)
      device.ops = d;
  for (uint32_t i = 0; (k = gie_kernel_at(ctx, i)) != NULL; i++)
    if (strcmp(k->name, "cpu.conv") == 0)
      conv = k;
  ck_assert_msg(device.ops && conv, "the cpu backend is not loaded; is GIE_MODULE_PATH set?");
  ck_gie_ok(ctx, device.ops->open(ctx, 0, &device.dev));
  ck_gie_ok(ctx, device.ops->info(device.dev, &device.info));
  device.threads = 1;
}

static void teardown(void)
{
  device.ops->close(device.dev);
  gie_context_free(ctx);
}

/* ---- Numbers */

/* Zeros, infinities, NaN, numbers at and around the corners of the functions, then a spread of others. */
static double number(int i)
{
  static const double CORNERS[] = {0,    -0.0,  1,       -1,    3,        -3,        6,   -6,
                                   0.5,  -0.5,  2.5,     -2.5,  1e-3,     -1e-3,     88,  -88,
                                   1000, -1000, 0x1p-14, 65504, INFINITY, -INFINITY, NAN, 1.5,
                                   -1.5, 4,     -0.125,  20,    -20,      10,        -10, 8};
  const int n = sizeof CORNERS / sizeof *CORNERS;
  return i < n ? CORNERS[i] : ((i * 37) % 257 - 128) / 16.0;
}

static void put_number(struct gie_buf *b, double v)
{
  if (isnan(v))
    gie_buf_puts(b, "nan");
  else if (isinf(v))
    gie_buf_puts(b, v < 0 ? "-inf" : "inf");
  else
    gie_buf_printf(b, "%.17g", v);
}

static void put_numbers(struct gie_buf *b, int n, int first, bool one)
{
  gie_buf_puts(b, " = {");
  for (int i = 0; i < n; i++) {
    gie_buf_puts(b, i ? "," : "");
    put_number(b, one ? 1 : number((i * 5 + first) % COUNT));
  }
  gie_buf_puts(b, "}\n");
}

/* ---- Graphs: a convolution that changes nothing, with the steps */

static gie_status parse(const char *dtype, const char *steps, const char *shape, int elements,
                        struct gie_graph **out)
{
  struct gie_buf b;
  char *text;
  size_t size;
  gie_buf_init(&b, ctx);
  gie_buf_printf(&b, "graph \"steps\" {\nconst %%x : %s[%d,%d,%d,%d]", dtype, N, C, H, W);
  put_numbers(&b, COUNT, 0, false);
  gie_buf_printf(&b, "const %%w : %s[%d,1,1,1]", dtype, C);
  put_numbers(&b, C, 0, true);
  gie_buf_printf(&b, "const %%o : %s%s", dtype, shape);
  put_numbers(&b, elements, 3, false);
  gie_buf_printf(&b, "%%y = conv(%%x, %%w) {group=%d} | %s\noutput %%y\n}\n", C, steps);
  GIE_TRY(gie_buf_take(&b, &text, &size));
  gie_status st = gie_graph_parse(ctx, text, size, NULL, out);
  gie_free(ctx, text);
  return st;
}

/* The operand in channels-last order, as the descriptor says. */
static void to_channels_last(const struct gie_type *type, const void *plain, struct gie_desc *desc, void *out)
{
  struct gie_layout layout;
  struct gie_desc d;
  size_t size = gie_dtype_size(type->dtype);
  int64_t at = 0, idx[4];
  ck_gie_ok(ctx, gie_layout_parse(ctx, "nhwc", 4, &layout));
  ck_gie_ok(ctx, gie_desc_make(ctx, type, &layout, &d, NULL));
  for (idx[0] = 0; idx[0] < d.dim[0]; idx[0]++)
    for (idx[1] = 0; idx[1] < d.dim[1]; idx[1]++)
      for (idx[2] = 0; idx[2] < d.dim[2]; idx[2]++)
        for (idx[3] = 0; idx[3] < d.dim[3]; idx[3]++, at++)
          memcpy((char *)out + (size_t)gie_desc_offset(&d, idx) * size,
                 (const char *)plain + (size_t)at * size, size);
  *desc = d;
}

/* ---- One list of steps */

struct list {
  struct gie_graph *g;
  const struct gie_node *n;
  struct gie_desc desc[8];
  struct gie_problem p;
  void *in[8];
  _Alignas(64) char moved[COUNT * 4];
  struct op_result want;
};

static void make_list(struct list *l, const char *dtype, const char *steps, const char *shape, int elements,
                      bool last)
{
  static const struct gie_layout plain;
  memset(l, 0, sizeof *l);
  gie_status st = parse(dtype, steps, shape, elements, &l->g);
  ck_assert_msg(st == GIE_OK, "%s: %s", steps, gie_error_text(ctx));
  l->n = op_case_node(l->g);
  ck_assert_uint_le(l->n->n_in, 7);
  for (uint32_t i = 0; i <= l->n->n_in; i++) {
    gie_id id = i < l->n->n_in ? l->n->in[i] : l->n->out[0];
    l->desc[i] = (struct gie_desc){.dtype = GIE_DTYPE_NONE};
    if (id == GIE_NONE)
      continue;
    const struct gie_value *v = gie_value_get(l->g, id);
    ck_gie_ok(ctx, gie_desc_make(ctx, &v->type, &plain, &l->desc[i], NULL));
    if (i < l->n->n_in)
      l->in[i] = (void *)(uintptr_t)gie_value_bytes(l->g, id, NULL);
    if (last && i >= l->n->n_operands && i < l->n->n_in && v->type.shape.rank == 4) {
      to_channels_last(&v->type, l->in[i], &l->desc[i], l->moved);
      l->in[i] = l->moved;
    }
  }
  l->p = (struct gie_problem){
      .struct_size = sizeof l->p, .ctx = ctx, .graph = l->g, .node = l->n, .n_in = l->n->n_in, .n_out = 1};
  l->p.in = l->desc;
  l->p.out = l->desc + l->n->n_in;
  st = op_run(&device, l->g, l->n, conv, NULL, &OP_FORMS[0], &l->want);
  ck_assert_msg(st == GIE_OK, "%s: %s", steps, gie_error_text(ctx));
}

static void free_list(struct list *l)
{
  op_results_free(ctx, &l->want, 1);
  gie_graph_free(l->g);
}

/* Within a few units of f32, or one rounding to f16. */
static bool is_near(double got, double want, bool half)
{
  if (half)
    got = (double)gie_f16_to_f32(gie_f32_to_f16((float)got));
  if (isnan(want) || isinf(want))
    return isnan(want) ? isnan(got) : got == want || (isinf(want) && fabs(got) > 3.4e38);
  return fabs(got - want) <= (half ? 0x1p-10 : 4e-6) * fabs(want) + (half ? 0x1p-24 : 1e-10);
}

static void check_element(const struct list *l, const char *what, int v, float got, int64_t i)
{
  bool half = l->want.type.dtype == GIE_F16;
  ck_assert_msg(is_near((double)got, l->want.v[i], half),
                "%s, vectors of %d: element %lld is %.9g instead of %.9g", what, v, (long long)i, (double)got,
                l->want.v[i]);
}

static float operand_of(const struct list *l, int64_t i)
{
  return l->desc[0].dtype == GIE_F16 ? gie_f16_to_f32(((const uint16_t *)l->in[0])[i])
                                     : ((const float *)l->in[0])[i];
}

#ifdef STEPS_VECTOR
static void check_vectors(const struct list *l, const struct gie_cuda_steps *s, const char *what)
{
  for (int v = 1; v <= 8; v *= 2)
    for (int along_c = 0; along_c < 2; along_c++)
      for (int64_t i = 0; i < COUNT; i += v) {
        /* i counts images, then the axis that is not run along, then that axis */
        int64_t n = i / (C * H * W), rest = i % (C * H * W);
        int64_t c = along_c ? rest % C : rest / (H * W), p = along_c ? rest / C : rest % (H * W);
        float r[8];
        for (int k = 0; k < v; k++)
          r[k] = operand_of(l, (n * C + c + (along_c ? k : 0)) * H * W + p + (along_c ? 0 : k));
        steps_vector(s, v, along_c, r, n, c, p);
        for (int k = 0; k < v; k++)
          check_element(l, what, v, r[k], (n * C + c + (along_c ? k : 0)) * H * W + p + (along_c ? 0 : k));
      }
}
#else
static void check_vectors(const struct list *l, const struct gie_cuda_steps *s, const char *what)
{
  (void)l, (void)s, (void)what;
}
#endif

static void check_steps(const char *dtype, const char *steps, const char *shape, int elements)
{
  for (int last = 0; last < 2; last++) {
    struct list l;
    struct gie_cuda_steps s;
    struct gie_launch launch = {.struct_size = sizeof launch};
    char why[256] = "", what[256];
    make_list(&l, dtype, steps, shape, elements, last);
    snprintf(what, sizeof what, "%s, %s, operand %s%s", dtype, steps, shape, last ? " channels last" : "");
    ck_assert_msg(gie_cuda_steps_make(&l.p, l.n->n_steps, &s, why, sizeof why), "%s: %s", what, why);
    launch.in = l.in;
    gie_cuda_steps_bind(&s, &launch);
    for (int64_t i = 0; i < COUNT; i++)
      check_element(&l, what, 1,
                    gie_cuda_steps_apply_at(&s, operand_of(&l, i), i / (C * H * W), i / (H * W) % C,
                                            i % (H * W)),
                    i);
    check_vectors(&l, &s, what);
    free_list(&l);
  }
}

/* ---- Tests */

static const struct shape {
  const char *text;
  int elements;
} SHAPES[] = {{"[2,8,2,4]", COUNT}, {"[8,1,1]", 8}, {"[1,8,1,1]", 8},  {"[1]", 1},      {"[]", 1},
              {"[2,1,1,1]", 2},     {"[2,4]", 8},   {"[2,1,2,4]", 16}, {"[8,2,4]", 64}, {"[2,8,1,1]", 16}};
#define N_SHAPES ((int)(sizeof SHAPES / sizeof *SHAPES))

START_TEST(functions_of_one_operand)
{
  static const char *const STEPS[] = {"relu",
                                      "identity",
                                      "clip {min=-1.5, max=2.5}",
                                      "clip {max=6.0}",
                                      "clip {min=5.0, max=2.0} | relu",
                                      "leaky_relu {alpha=0.25}",
                                      "sigmoid",
                                      "hard_sigmoid {alpha=0.3, beta=0.4}",
                                      "hard_swish",
                                      "silu",
                                      "mish",
                                      "gelu",
                                      "gelu {tanh=1}",
                                      "tanh",
                                      "elu {alpha=0.75}",
                                      "softplus",
                                      "sqrt",
                                      "exp",
                                      "log",
                                      "neg",
                                      "abs",
                                      "erf",
                                      "floor",
                                      "ceil",
                                      "relu | relu",
                                      "neg | clip {max=3.0}"};
  setup();
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
    check_steps("f32", STEPS[i], "[1]", 1);
    check_steps("f16", STEPS[i], "[1]", 1);
  }
  teardown();
}
END_TEST

START_TEST(functions_of_two_operands)
{
  static const char *const STEPS[] = {"add(%o)", "sub(%o)",         "reverse sub(%o)", "mul(%o)",
                                      "div(%o)", "reverse div(%o)", "prelu(%o)",       "max(%o)",
                                      "min(%o)", "abs | pow(%o)",   "reverse pow(%o)"};
  setup();
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++)
    for (int k = 0; k < N_SHAPES; k++) {
      check_steps("f32", STEPS[i], SHAPES[k].text, SHAPES[k].elements);
      check_steps("f16", STEPS[i], SHAPES[k].text, SHAPES[k].elements);
    }
  teardown();
}
END_TEST

START_TEST(chains)
{
  setup();
  check_steps("f32", "add(%o) | relu | mul(%o) | clip {max=6.0} | reverse sub(%o) | sigmoid | silu | abs",
              "[8,1,1]", 8);
  check_steps("f32", "add(%o) | relu", "[2,8,2,4]", COUNT);
  check_steps("f32", "reverse prelu(%o)", "[2,8,2,4]", COUNT);
  check_steps("f16", "silu | cast {to=f16}", "[1]", 1);
  teardown();
}
END_TEST

/* No step and a lone clip have ways of their own. */
START_TEST(kinds)
{
  static const struct kind {
    const char *steps;
    uint32_t n, kind;
  } KINDS[] = {{"relu", 0, GIE_CUDA_STEPS_NONE},           {"relu", 1, GIE_CUDA_STEPS_CLIP},
               {"clip {max=6.0}", 1, GIE_CUDA_STEPS_CLIP}, {"add(%o)", 1, GIE_CUDA_STEPS_LIST},
               {"relu | neg", 1, GIE_CUDA_STEPS_CLIP},     {"relu | neg", 2, GIE_CUDA_STEPS_LIST}};
  setup();
  for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
    struct list l;
    struct gie_cuda_steps s;
    char why[256];
    make_list(&l, "f32", KINDS[i].steps, "[8,1,1]", 8, false);
    ck_assert_msg(gie_cuda_steps_make(&l.p, KINDS[i].n, &s, why, sizeof why), "%s", why);
    ck_assert_uint_eq(s.kind, KINDS[i].kind);
    ck_assert_uint_eq(s.n, KINDS[i].n);
    free_list(&l);
  }
  teardown();
}
END_TEST

static const struct refusal {
  const char *steps, *shape;
  int elements;
  const char *why;
} REFUSALS[] = {
    {"add(%o)", "[2,1]", 2, "image, channel and pixel"},
    {"add(%o)", "[8,2,1]", 16, "image, channel and pixel"},
    {"relu | relu | relu | relu | relu | relu | relu | relu | relu", "[1]", 1, "more than 8 steps"},
    {"cast {to=i8}", "[1]", 1, "computed in f32"},
};

START_TEST(refusals)
{
  struct list l;
  struct gie_cuda_steps s;
  char why[256] = "";
  setup();
  make_list(&l, "f32", REFUSALS[_i].steps, REFUSALS[_i].shape, REFUSALS[_i].elements, false);
  ck_assert(!gie_cuda_steps_make(&l.p, l.n->n_steps, &s, why, sizeof why));
  ck_assert_msg(strstr(why, REFUSALS[_i].why) != NULL, "%s", why);
  free_list(&l);
  teardown();
}
END_TEST

/* Addresses and pitches that are no multiple of 16 bytes: elements are taken one by one, and alike. */
START_TEST(alignment)
{
  ck_assert_uint_eq(gie_cuda_alignment(0), 16);
  ck_assert_uint_eq(gie_cuda_alignment(64), 16);
  ck_assert_uint_eq(gie_cuda_alignment(24), 8);
  ck_assert_uint_eq(gie_cuda_alignment(6), 2);
  ck_assert_uint_eq(gie_cuda_alignment(7), 1);
}
END_TEST

START_TEST(halves)
{
  for (unsigned h = 0; h < 65536; h++) {
    float want = gie_f16_to_f32((uint16_t)h), got = gie_cuda_half_to_float((uint16_t)h);
    ck_assert_msg(want != want ? got != got : want == got, "%04x is %g instead of %g", h, (double)got,
                  (double)want);
  }
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("cuda steps");
  TCase *tcase = check_tcase(suite, "cuda steps", NULL, NULL);
  tcase_add_test(tcase, functions_of_one_operand);
  tcase_add_test(tcase, functions_of_two_operands);
  tcase_add_test(tcase, chains);
  tcase_add_test(tcase, kinds);
  tcase_add_loop_test(tcase, refusals, 0, (int)(sizeof REFUSALS / sizeof *REFUSALS));
  tcase_add_test(tcase, alignment);
  tcase_add_test(tcase, halves);
  return check_suite(suite);
}
