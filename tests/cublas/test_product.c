/* SPDX-License-Identifier: Apache-2.0 */
/* What the cublas backend makes of a node, without a device: the matrices that cublasLt would be given are multiplied
 * by plain loops, for every layout and packing that is offered, dense and as views, and compared with the node's sums. */
#include "backends/cublas/cublas.h"
#include "tests/cublas/gpu_case.h"
#include "tests/gie_check.h"

#include <math.h>

static struct gpu gpu; /* only its context is used */

void cb_set_version(void) {} /* of kernels that are not here */

/* ---- Tensors in memory ------------------------------------------------------------------------------------------ */

struct tensor {
  struct gie_desc desc;
  float *base, *at;
  size_t bytes;
};

static void tensor_make(const struct gie_type *type, const struct gie_layout *l, bool pitched, int axis,
                        struct tensor *t)
{
  struct gie_type big = *type;
  struct gie_desc base;
  size_t offset = 0;
  int64_t extent = pitched ? type->shape.dim[axis].b : 0;
  if (pitched)
    big.shape.dim[axis].b += 24;
  ck_gie_ok(gpu.ctx, gie_desc_make(gpu.ctx, &big, l, &base, &t->bytes));
  t->desc = base;
  if (pitched)
    ck_gie_ok(gpu.ctx, gie_desc_view(gpu.ctx, &base, axis, 16, extent, &t->desc, &offset));
  t->base = gie_alloc_raw(gpu.ctx, t->bytes, 1);
  ck_assert_ptr_nonnull(t->base);
  for (size_t i = 0; i < t->bytes / sizeof(float); i++)
    t->base[i] = NAN;
  t->at = t->base + offset / sizeof(float);
}

/* ---- What cublasLt is asked to do --------------------------------------------------------------------------------- */

static float element(const float *p, int64_t row, int64_t col, int64_t ld, bool trans)
{
  return trans ? p[col + row * ld] : p[row + col * ld];
}

static void multiply(const struct cb_lt_shape *s, const struct cb_product *c, const float *a, const float *b,
                     const float *add, const float *bias, float *d)
{
  for (int64_t batch = 0; batch < s->batch; batch++)
    for (int64_t j = 0; j < s->n; j++)
      for (int64_t i = 0; i < s->m; i++) {
        double sum = 0;
        for (int64_t k = 0; k < s->k; k++)
          sum += (double)element(a + batch * s->batch_a, i, k, s->lda, s->trans_a) *
                 (double)element(b + batch * s->batch_b, k, j, s->ldb, s->trans_b);
        sum *= (double)c->alpha;
        if (add)
          sum += (double)c->beta * (double)add[batch * s->batch_c + i + j * s->ldc];
        if (bias)
          sum += (double)bias[i];
        if (c->act == CB_ACT_RELU)
          sum = sum > 0 ? sum : 0;
        if (c->act == CB_ACT_GELU)
          sum = 0.5 * sum * (1 + tanh(0.7978845608028654 * (sum + 0.044715 * sum * sum * sum)));
        d[batch * s->batch_d + i + j * s->ldd] = (float)sum;
      }
}

/* ---- One form ------------------------------------------------------------------------------------------------------ */

static void fill(const struct gpu_case *c, uint32_t i, const struct tensor *t)
{
  int64_t idx[GIE_MAX_RANK] = {0}, n = 0;
  do
    t->at[gie_desc_offset(&t->desc, idx)] = (float)c->value[i][n++];
  while (gpu_next(&t->desc, idx));
}

static void compare(const struct gpu_case *c, const struct tensor *y, const char *text, const char *form)
{
  int64_t idx[GIE_MAX_RANK] = {0};
  size_t written = 0, numbers = 0;
  do {
    double want = gpu_expected(c, idx), got = (double)y->at[gie_desc_offset(&y->desc, idx)];
    ck_assert_msg(fabs(got - want) <= 1e-5 * (1 + fabs(want)), "%s, %s: %g instead of %g", text, form, got,
                  want);
    written++;
  } while (gpu_next(&y->desc, idx));
  for (size_t i = 0; i < y->bytes / sizeof(float); i++)
    numbers += !isnan(y->base[i]);
  ck_assert_msg(numbers == written, "%s, %s: %zu elements written, the result has %zu", text, form, numbers,
                written);
}

static struct {
  int forms, views;
} taken;

static void check_form(const struct gpu_case *c, const struct cb_form *f, bool pitched, const char *text)
{
  struct gie_problem p = gpu_problem(&gpu, c);
  struct gie_variant v = {.struct_size = sizeof v};
  struct tensor t[GPU_MAX_IO];
  struct gie_desc desc[GPU_MAX_IO];
  struct gie_pack pack = {0};
  struct cb_product product;
  struct cb_lt_shape s;
  char why[256] = "", form[64];
  uint32_t y = p.n_in;
  float *packed = NULL;
  cb_form_ports(&p, f, &v);
  memset(t, 0, sizeof t);
  for (uint32_t i = 0; i <= y; i++) {
    const struct gie_port *port = i < y ? &v.in[i] : &v.out[0];
    const struct gie_type *type = &gie_value_get(c->g, i < y ? c->n->in[i] : c->n->out[0])->type;
    int axis = 0;
    while (port->pitch_axes >> axis > 1)
      axis++;
    tensor_make(type, &port->layout, pitched && port->pitch && !(i > 0 && c->data[i]), axis, &t[i]);
    desc[i] = t[i].desc;
    if (i < y)
      fill(c, i, &t[i]);
  }
  p.in = desc;
  p.out = &desc[y];
  if (f->packed) {
    ck_assert_uint_eq(cb_pack_desc(&p, 0, &pack), 1);
    packed = gie_alloc_raw(gpu.ctx, pack.bytes, 1);
    ck_gie_ok(gpu.ctx, cb_pack(&p, 0, &pack, c->data[1], packed));
  }
  const struct cb_view view = {.in = p.in, .out = p.out, .packed = f->packed};
  snprintf(form, sizeof form, "form %llx%s", (unsigned long long)cb_form_code(f), pitched ? " pitched" : "");
  if (cb_read(&p, &view, &product, why, sizeof why) && cb_read_addend(&p, &view, &product, why, sizeof why) &&
      cb_read_steps(&p, &view, c->n->n_steps, &product, why, sizeof why) &&
      cb_lt_shape(&product, CB_F32, &s, why, sizeof why)) {
    const float *w = packed ? packed : t[1].at;
    multiply(&s, &product, s.swapped ? w : t[0].at, s.swapped ? t[0].at : w,
             product.add_in >= 0 ? t[product.add_in].at : NULL, product.bias >= 0 ? t[product.bias].at : NULL,
             t[y].at);
    compare(c, &t[y], text, form);
    taken.forms++;
    taken.views += pitched;
  } else {
    ck_assert_msg(why[0] != 0, "%s, %s: refused without a reason", text, form);
  }
  for (uint32_t i = 0; i <= y; i++)
    gie_free(gpu.ctx, t[i].base);
  gie_free(gpu.ctx, packed);
}

static void check_text(const char *text, bool constant)
{
  struct gpu_case c;
  struct cb_form forms[CB_MAX_FORMS];
  char why[256] = "";
  gie_status st = gpu_case_make(&gpu, text, constant, 3, &c);
  ck_assert_msg(st == GIE_OK, "%s: %s", text, gie_error_text(gpu.ctx));
  struct gie_problem p = gpu_problem(&gpu, &c);
  ck_assert_msg(cb_check(&p, why, sizeof why), "%s: %s", text, why);
  uint32_t n = cb_forms(&p, CB_F32, forms);
  for (uint32_t i = 0; i < n; i++) {
    ck_assert(cb_form_code(&forms[i]) == cb_form_code(&(struct cb_form){forms[i].x_last, forms[i].y_last,
                                                                        forms[i].packed, forms[i].math}));
    check_form(&c, &forms[i], false, text);
    check_form(&c, &forms[i], true, text);
  }
  gpu_case_free(&gpu, &c);
}

/* ---- Tests ----------------------------------------------------------------------------------------------------------- */

static uint32_t random_state;

static int below(int n)
{
  random_state = random_state * 1664525u + 1013904223u;
  return (int)((random_state >> 8) % (uint32_t)n);
}

static int extent(void)
{
  static const int LIST[] = {1, 1, 2, 3, 5, 8};
  return LIST[below(6)];
}

static void random_conv(char *text, size_t size)
{
  int n = extent(), c = extent(), k = extent(), h = extent(), w = extent(), steps = below(4);
  int sh = below(3) ? 1 : 1 + below(3), sw = below(3) ? 1 : 1 + below(3);
  snprintf(
      text, size,
      "input %%x : f32[%d,%d,%d,%d] input %%w : f32[%d,%d,1,1] input %%b : f32[%d] input %%r : f32[%d,%d,%d,%d] "
      "%%y = conv(%%x, %%w%s) {stride=[%d,%d]}%s%s output %%y",
      n, c, h, w, k, c, k, n, k, (h - 1) / sh + 1, (w - 1) / sw + 1, below(2) ? ", %b" : "", sh, sw,
      steps & 1 ? " | add(%r)" : "", steps & 2 ? " | relu" : "");
}

static void random_gemm(char *text, size_t size)
{
  static const char *const C[] = {"", ", %c", ", %f"};
  int m = extent(), n = extent(), k = extent(), ta = below(2), tb = below(2);
  snprintf(text, size,
           "input %%a : f32[%d,%d] input %%b : f32[%d,%d] input %%c : f32[%d] input %%f : f32[%d,%d] %%y = "
           "gemm(%%a, %%b%s) {alpha=%s, trans_a=%d, trans_b=%d}%s output %%y",
           ta ? k : m, ta ? m : k, tb ? n : k, tb ? k : n, n, m, n, C[below(3)], below(2) ? "0.5" : "1.0", ta,
           tb, below(2) ? " | gelu {tanh=1}" : "");
}

static void random_matmul(char *text, size_t size)
{
  int m = extent(), n = extent(), k = extent(), p = extent(), q = extent();
  switch (below(5)) {
  case 0:
    snprintf(text, size, "input %%a : f32[%d] input %%b : f32[%d,%d] %%y = matmul(%%a, %%b) output %%y", k, k,
             n);
    break;
  case 1:
    snprintf(text, size, "input %%a : f32[%d,%d,%d] input %%b : f32[%d] %%y = matmul(%%a, %%b) output %%y", p,
             m, k, k);
    break;
  case 2:
    snprintf(
        text, size,
        "input %%a : f32[%d,%d,%d,%d] input %%b : f32[%d,%d] input %%r : f32[%d,%d,%d,%d] %%y = matmul(%%a, "
        "%%b) | add(%%r) | relu output %%y",
        p, q, m, k, k, n, p, q, m, n);
    break;
  case 3:
    snprintf(
        text, size,
        "input %%a : f32[%d,%d,%d] input %%b : f32[%d,%d,%d] input %%c : f32[%d] %%y = matmul(%%a, %%b, %%c) "
        "output %%y",
        p, m, k, below(2) ? p : 1, k, n, n);
    break;
  default:
    snprintf(
        text, size,
        "input %%a : f32[%d,%d,%d,%d] input %%b : f32[%d,%d,%d] %%y = matmul(%%a, %%b) | relu output %%y",
        below(2) ? p : 1, q, m, k, q, k, n);
  }
}

START_TEST(products)
{
  gpu.ctx = check_context();
  for (int i = 0; i < 600; i++) {
    char text[512];
    random_state = 100u + (uint32_t)i;
    if (i % 3 == 0)
      random_conv(text, sizeof text);
    else if (i % 3 == 1)
      random_gemm(text, sizeof text);
    else
      random_matmul(text, sizeof text);
    check_text(text, false);
    check_text(text, true);
  }
  printf("%d forms, %d of them views\n", taken.forms, taken.views);
  ck_assert_int_ge(taken.forms, 4000);
  ck_assert_int_ge(taken.views, 2000);
  gie_context_free(gpu.ctx);
}
END_TEST

/* Refusals, each with its reason. */
START_TEST(refusals)
{
  static const struct {
    const char *text, *why;
  } CASES[] = {
      {"input %x : f32[1,4,5,5] input %w : f32[4,4,3,3] %y = conv(%x, %w) output %y",
       "a kernel larger than 1x1"},
      {"input %x : f32[1,4,5,5] input %w : f32[4,4,1,1] %y = conv(%x, %w) {pad=[1,0,0,0]} output %y",
       "padding"},
      {"input %x : f32[1,4,5,5] input %w : f32[4,2,1,1] %y = conv(%x, %w) {group=2} output %y", "group > 1"},
      {"input %x : f32[0,4,5,5] input %w : f32[4,4,1,1] %y = conv(%x, %w) output %y", "no elements"},
      {"input %x : f64[2,2] input %w : f64[2,2] %y = gemm(%x, %w) output %y", "f64; it computes f32 and f16"},
      {"input %x : f32[2,4] input %w : f32[4,3] %y = gemm(%x, %w) | relu | relu output %y",
       "step relu behind an activation"},
      {"input %x : f32[2,4] input %w : f32[4,3] %y = gemm(%x, %w) | gelu output %y", "step gelu"},
      {"input %x : f32[2,4] input %w : f32[4,3] input %s : f32[2,1] %y = gemm(%x, %w) | add(%s) output %y",
       "step add of an operand that is broadcast"},
      {"input %x : f32[2,4] input %w : f32[4,3] input %s : f32[2,1] %y = gemm(%x, %w, %s) output %y",
       "an addend that is neither one row nor of the result's size"},
      {"input %x : f32[2,1,3,4] input %w : f32[3,4,5] %y = matmul(%x, %w) output %y",
       "axes that are no one row, column and batch of a matrix"},
  };
  gpu.ctx = check_context();
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    struct gpu_case c;
    char why[256] = "";
    bool f64 = strstr(CASES[i].text, "f64") != NULL;
    ck_gie_ok(gpu.ctx, gpu_case_make(&gpu, CASES[i].text, false, 1, &c));
    struct gie_problem p = gpu_problem(&gpu, &c);
    const struct cb_view v = {.in = p.in, .out = p.out};
    struct cb_product product;
    bool takes = cb_check(&p, why, sizeof why) && !f64 && cb_read(&p, &v, &product, why, sizeof why) &&
                 cb_read_addend(&p, &v, &product, why, sizeof why) &&
                 cb_read_steps(&p, &v, c.n->n_steps, &product, why, sizeof why);
    ck_assert_msg(!takes && strcmp(why, CASES[i].why) == 0, "%s: \"%s\"", CASES[i].text, why);
    gpu_case_free(&gpu, &c);
  }
  gie_context_free(gpu.ctx);
}
END_TEST

GIE_TESTS_MAIN("cublas products", products, refusals)
