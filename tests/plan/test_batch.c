/* SPDX-License-Identifier: Apache-2.0 */
/* The proof that items of a batch stay apart: what it proves, and what it must not. Where it says yes, the
 * reference kernels agree: a row gives the same bits in every batch. */
#include "core/plan/plan.h"
#include "tests/gie_check.h"

static struct gie_context *context(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  struct gie_context *ctx = NULL;
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  return ctx;
}

#define IMAGES "input %x : f32[n,2,4,4] "
#define ROWS "input %x : f32[n,6] "
#define W3 "const %w : f32[2,2,1,1] = {1, -2, 3, 4} "
#define M "const %m : f32[6,2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} "

static const struct {
  bool is_free;
  const char *text;
} T[] = {
    {true, IMAGES W3 "%y = conv(%x, %w) | relu"},
    {true, IMAGES W3 "const %b : f32[1,2,1,1] = {1, 2} %y = conv(%x, %w) | add(%b)"},
    {true, IMAGES W3 "%c = conv(%x, %w) %y = add(%c, %x)"},
    {true, IMAGES "%y = max_pool(%x) {kernel=[2,2]}"},
    {false, IMAGES "%p, %y = max_pool(%x) {kernel=[2,2]}"},
    {true, IMAGES "%p = global_average_pool(%x) %y = flatten(%p)"},
    {false, IMAGES "%y = flatten(%x) {axis=0}"},
    {true, ROWS M "%y = gemm(%x, %m)"},
    {true, ROWS M "const %c : f32[2] = {1, 2} %y = gemm(%x, %m, %c)"},
    {false,
     ROWS "const %m : f32[6,6] = {1,2,3,4,5,6,1,2,3,4,5,6,1,2,3,4,5,6,1,2,3,4,5,6,1,2,3,4,5,6,1,2,3,4,5,6}"
          " %t = transpose(%x) %y = matmul(%m, %t)"},
    {true, ROWS M "%y = matmul(%x, %m)"},
    {false, ROWS "%t = transpose(%x) %y = matmul(%x, %t)"},
    {false, ROWS "%y = gemm(%x, %x) {trans_b=1}"},
    {false, ROWS "%y = gemm(%x, %x) {trans_a=1}"},
    {true, IMAGES "%y = matmul(%x, %x)"},
    {true, ROWS "%y = softmax(%x)"},
    {true, ROWS "%y = softmax(%x) {axis=1}"},
    {false, ROWS "%y = softmax(%x) {axis=0}"},
    {false, ROWS "%y = softmax(%x) {axis=-2}"},
    {true, IMAGES "%y = concat(%x, %x) {axis=1}"},
    {true, IMAGES "%y = concat(%x, %x) {axis=-1}"},
    {false, IMAGES "%y = concat(%x, %x) {axis=0}"},
    {false, IMAGES "%y = concat(%x, %x) {axis=-4}"},
    {true, IMAGES "%y = transpose(%x) {perm=[0,2,3,1]}"},
    {false, IMAGES "%y = transpose(%x) {perm=[1,0,2,3]}"},
    {false, IMAGES "%y = transpose(%x)"},
    {true, IMAGES "const %s : i64[3] = {0, 8, 4} %y = reshape(%x, %s)"},
    {true, IMAGES "const %s : i64[2] = {-1, 32} %y = reshape(%x, %s)"},
    {false, IMAGES "const %s : i64[2] = {-1, 16} %y = reshape(%x, %s)"},
    {false, IMAGES "const %s : i64[3] = {1, -1, 32} %y = reshape(%x, %s)"},
    {true, IMAGES "const %a : i64[2] = {2, 3} %y = reduce_mean(%x, %a)"},
    {true, IMAGES "const %a : i64[1] = {-1} %y = reduce_max(%x, %a) {keepdims=0}"},
    {false, IMAGES "const %a : i64[1] = {0} %y = reduce_mean(%x, %a)"},
    {false, IMAGES "const %a : i64[1] = {-4} %y = reduce_mean(%x, %a)"},
    {false, IMAGES "%y = reduce_mean(%x)"},
    {true, ROWS "%y = arg_max(%x) {axis=1}"},
    {false, ROWS "%y = arg_max(%x)"},
    {false, ROWS "const %i : i64[2] = {0, 0} %y = gather(%x, %i)"},
    {true, ROWS "const %i : i64[2] = {5, 0} %y = gather(%x, %i) {axis=1}"},
    {true, ROWS
     "const %s : i64[1] = {1} const %e : i64[1] = {3} const %a : i64[1] = {1} %y = slice(%x, %s, %e, %a)"},
    {false, ROWS
     "const %s : i64[1] = {0} const %e : i64[1] = {1} const %a : i64[1] = {0} %y = slice(%x, %s, %e, %a)"},
    {false, ROWS "const %s : i64[1] = {0} const %e : i64[1] = {1} %y = slice(%x, %s, %e)"},
    {true, ROWS "const %p : i64[4] = {0, 1, 0, 2} %y = pad(%x, %p)"},
    {false, ROWS "const %p : i64[4] = {0, 1, 1, 2} %y = pad(%x, %p)"},
    {true, ROWS "const %c : f32[6] = {1, 2, 3, 4, 5, 6} %y = mul(%x, %c)"},
    {true, ROWS "const %c : f32[1,6] = {1, 2, 3, 4, 5, 6} %y = mul(%c, %x)"},
    {true, ROWS "const %c : f32[] = {2} %y = mul(%x, %c)"},
    {true, ROWS "%a, %y = split(%x) {axis=1}"},
    {false, ROWS "const %r : i64[2] = {2, 1} %y = tile(%x, %r)"},
    {true, ROWS "const %r : i64[2] = {1, 2} %y = tile(%x, %r)"},
    {true, IMAGES "const %k : f32[4] = {1, 1, 2, 2} %y = resize(%x, _, %k)"},
    /* a number that depends on the batch must not reach an element */
    {true, IMAGES
     "%s = shape(%x) {end=2} const %m : i64[1] = {-1} %t = concat(%s, %m) {axis=0} %y = reshape(%x, %t)"},
    {false, ROWS "%s = shape(%x) {end=1} %f = cast(%s) {to=f32} %y = div(%x, %f)"},
    {false, ROWS "%y = shape(%x)"},
    /* an operand with other rows than the result */
    {false, "input %x : f32[n,n] %y = relu(%x)"},
    {false, "input %x : f32[n] input %z : f32[2,n] %y = add(%x, %z)"},
    {false, "input %x : f32[6] %y = relu(%x)"},
    {false, "input %x : f32[2*n,3] %y = relu(%x)"},
    {false, "input %x : f32[?,3] %y = relu(%x)"},
    {true, "input %x : f32[n,3] input %z : f32[n,1] %y = add(%x, %z)"},
};

static struct gie_graph *parse(struct gie_context *ctx, const char *body)
{
  struct gie_graph *g;
  char text[1024];
  int n = snprintf(text, sizeof text, "graph \"g\" (n) { %s output %%y }", body);
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, (size_t)n, NULL, &g));
  return g;
}

START_TEST(proves_what_is_so)
{
  struct gie_context *ctx = context();
  for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
    struct gie_graph *g = parse(ctx, T[i].text);
    bool is_free, rows[2];
    ck_gie_ok(ctx, plan_batch_is_free(g, &is_free, rows));
    ck_assert_msg(is_free == T[i].is_free, "%s: %s", T[i].text, is_free ? "proven" : "not proven");
    ck_assert(!is_free || rows[0]);
    gie_graph_free(g);
  }
  gie_context_free(ctx);
}
END_TEST

/* First elements of the output for a batch whose row r is made of seed + r. */
static size_t run(struct gie_context *ctx, const struct gie_graph *g, int batch, char *out, size_t max)
{
  struct gie_exec_options o = {.struct_size = sizeof o, .backends = "+cpu"};
  struct gie_exec *x;
  struct gie_tensor t;
  ck_gie_ok(ctx, gie_exec_new(g, &o, &x));
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    float data[256];
    size_t row = 1;
    t = (struct gie_tensor){sizeof t, GIE_F32, v->type.shape.rank, {batch}, data};
    for (int k = 1; k < t.rank; k++)
      row *= (size_t)(t.dim[k] = v->type.shape.dim[k].b);
    for (size_t k = 0; k < row * (size_t)batch; k++)
      data[k] = (float)((k * 37 + i) % 101) / 7 - 5;
    ck_gie_ok(ctx, gie_exec_set_input(x, v->name, &t));
  }
  ck_gie_ok(ctx, gie_exec_run(x));
  ck_gie_ok(ctx, gie_exec_output(x, "y", &t));
  ck_assert_int_eq(t.dim[0], batch);
  size_t bytes = gie_dtype_size(t.dtype);
  for (int k = 1; k < t.rank; k++)
    bytes *= (size_t)t.dim[k];
  ck_assert_uint_le(bytes * 2, max);
  memcpy(out, t.data, bytes * (batch < 2 ? 1 : 2));
  gie_exec_free(x);
  return bytes;
}

START_TEST(what_is_proven_is_so)
{
  struct gie_context *ctx = context();
  for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
    char two[4096], three[4096];
    if (!T[i].is_free)
      continue;
    struct gie_graph *g = parse(ctx, T[i].text);
    size_t row = run(ctx, g, 2, two, sizeof two);
    ck_assert_uint_eq(run(ctx, g, 3, three, sizeof three), row);
    ck_assert_msg(memcmp(two, three, 2 * row) == 0, "%s", T[i].text);
    gie_graph_free(g);
  }
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("plan batch", proves_what_is_so, what_is_proven_is_so)
