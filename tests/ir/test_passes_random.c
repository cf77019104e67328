/* SPDX-License-Identifier: Apache-2.0 */
/* Random networks through random pipelines: no error, no broken rule, and the same results as the network that nothing
 * was done to, within r * max|reference|, r = 1e-4; integers and truth exactly, half precision within what its rounding
 * makes. The reference kernels alone compute both: others differ between what is fused and what is not. A graph
 * that fails is made as small as it goes while it fails, and printed. GIE_RANDOM_GRAPHS says how many (300). An injected error must be noticed. */
#include "core/module/random_graph.h"
#include "core/module/registry.h"
#include "core/pass/pass.h"
#include "tests/gie_check.h"
#include <math.h>

#define R 1e-4
#define R_HALF 3e-2 /* every node rounds, and passes make fewer of them */
#define SMALL 1e-2  /* what cancels to nearly 0 is compared with this: the values before were about 1 */

static struct gie_context *ctx;
static uint64_t state;

static uint32_t rnd(uint32_t n)
{
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 2685821657736338717u) >> 33) % n;
}

/* The error: the first addition becomes a subtraction. */
static gie_status inject(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  GIE_FOR_NODES(g, id)
    if (strcmp(gie_node_get(g, id)->op->name, "add") == 0) {
      ++*changes;
      return gie_node_set_op(g, id, "sub");
    }
  return GIE_OK;
}
static const struct gie_pass injected = {sizeof(struct gie_pass), "test_inject", "makes an error", inject,
                                         NULL};

/* ---- Running ---------------------------------------------------------------------------------------- */

/* Element i of a tensor: of floats d, of integers its nearest. */
static void put(struct gie_tensor *t, size_t i, double d)
{
  size_t size = gie_dtype_size(t->dtype);
  float f = (float)d;
  uint16_t h = gie_f32_to_f16(f);
  int64_t v = (int64_t)(t->dtype == GIE_U8 ? 4 + 4 * d : 8 * d);
  const void *from = t->dtype == GIE_F64   ? (void *)&d
                     : t->dtype == GIE_F32 ? (void *)&f
                     : t->dtype == GIE_F16 ? (void *)&h
                                           : (void *)&v;
  memcpy((char *)t->data + i * size, from, size);
}

static double element(const struct gie_tensor *t, size_t i)
{
  const char *p = (const char *)t->data + i * gie_dtype_size(t->dtype);
  uint16_t h;
  int64_t v = 0;
  if (t->dtype == GIE_F64)
    return ((const double *)t->data)[i];
  if (t->dtype == GIE_F32)
    return (double)((const float *)t->data)[i];
  if (t->dtype == GIE_F16) {
    memcpy(&h, p, sizeof h);
    return gie_f16_to_f32(h);
  }
  memcpy(&v, p, gie_dtype_size(t->dtype));
  return (double)v;
}

static gie_status set_inputs(const struct gie_graph *g, struct gie_exec *x)
{
  uint64_t saved = state;
  gie_status s = GIE_OK;
  state = 99;
  for (uint32_t i = 0; s == GIE_OK && i < gie_graph_n_inputs(g); i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    struct gie_tensor t = {.struct_size = sizeof t, .dtype = v->type.dtype, .rank = v->type.shape.rank};
    size_t count = 1;
    for (int k = 0; k < t.rank; k++)
      count *= (size_t)(t.dim[k] = gie_dim_is_num(v->type.shape.dim[k]) ? v->type.shape.dim[k].b : 2);
    t.data = gie_alloc(ctx, count, 8);
    for (size_t k = 0; t.data && k < count; k++)
      put(&t, k, (double)rnd(2001) / 1000 - 1);
    s = t.data ? gie_exec_set_input(x, v->name, &t) : GIE_E_MEMORY;
    gie_free(ctx, t.data);
  }
  state = saved;
  return s;
}

static gie_status execute(const struct gie_graph *g, struct gie_exec **out)
{
  const struct gie_exec_options options = {.struct_size = sizeof options, .threads = 1, .backends = "+cpu"};
  *out = NULL;
  GIE_TRY(gie_exec_new(g, &options, out));
  GIE_TRY(set_inputs(g, *out));
  return gie_exec_run(*out);
}

/* NaN and infinities must be where they were. */
static bool same_tensor(const struct gie_tensor *a, const struct gie_tensor *b)
{
  size_t count = 1;
  double error = 0, largest = 0;
  bool half = a->dtype == GIE_F16, exact = gie_dtype_class(a->dtype) != 'f';
  if (a->dtype != b->dtype || a->rank != b->rank ||
      memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) != 0)
    return false;
  for (int i = 0; i < a->rank; i++)
    count *= (size_t)a->dim[i];
  for (size_t i = 0; i < count; i++) {
    double x = element(a, i), y = element(b, i);
    if (isfinite(x) != isfinite(y) || isnan(x) != isnan(y))
      return false;
    if (!isfinite(y))
      continue;
    error = fmax(error, fabs(x - y));
    largest = fmax(largest, fabs(y));
  }
  return error <= (exact ? 0 : half ? R_HALF * fmax(largest, 1) : R * fmax(largest, SMALL));
}

static const char *compare(const struct gie_graph *before, const struct gie_graph *after)
{
  struct gie_exec *x, *y = NULL;
  const char *wrong = NULL;
  if (execute(before, &x) != GIE_OK)
    wrong = "the graph itself does not run";
  else if (execute(after, &y) != GIE_OK)
    wrong = "what the passes made does not run";
  for (uint32_t i = 0; !wrong && i < gie_graph_n_outputs(before); i++) {
    struct gie_tensor a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    const char *name = gie_value_get(before, gie_graph_output(before, i))->name,
               *now = gie_value_get(after, gie_graph_output(after, i))->name;
    if (gie_exec_output(x, name, &a) != GIE_OK || gie_exec_output(y, now, &b) != GIE_OK)
      wrong = "an output is missing";
    else if (strcmp(name, now) != 0)
      wrong = "an output has another name";
    else if (!same_tensor(&b, &a))
      wrong = "an output is different";
  }
  gie_exec_free(x);
  gie_exec_free(y);
  return wrong;
}

/* What is wrong with the passes on that graph; NULL: nothing. */
static const char *check(const struct gie_graph *g, const char *passes)
{
  const struct gie_pipeline_options options = {.struct_size = sizeof options, .verify_each = true};
  static char text[512];
  struct gie_graph *after;
  if (gie_graph_clone(g, &after) != GIE_OK)
    return "clone";
  const char *wrong = NULL;
  if (gie_pipeline_run(after, passes, &options) != GIE_OK) {
    snprintf(text, sizeof text, "%s", gie_error_text(ctx));
    wrong = text;
  } else {
    wrong = compare(g, after);
  }
  gie_graph_free(after);
  return wrong;
}

/* ---- Shrinking --------------------------------------------------------------------------------------- */

static bool is_same_type(const struct gie_type *a, const struct gie_type *b)
{
  bool same = a->dtype == b->dtype && a->shape.rank == b->shape.rank;
  for (int i = 0; same && i < a->shape.rank; i++)
    same = gie_dim_equal(a->shape.dim[i], b->shape.dim[i]);
  return same;
}

/* Something else for the value: a new input of its type, or operand `which` of its node. */
static gie_id stand_in(struct gie_graph *g, const struct gie_value *v, int which)
{
  const struct gie_node *n = gie_node_get(g, v->producer);
  gie_id id = GIE_NONE;
  if (which < 0)
    return gie_dtype_class(v->type.dtype) == 'f' && gie_graph_add_input(g, NULL, &v->type, &id) == GIE_OK
               ? id
               : GIE_NONE;
  if ((uint32_t)which < n->n_in && is_same_type(&gie_value_get(g, n->in[which])->type, &v->type))
    id = n->in[which];
  return id;
}

/* The graph with that value replaced, if it still fails; NULL otherwise. */
static struct gie_graph *without(const struct gie_graph *g, gie_id value, int which, const char *passes)
{
  struct gie_graph *small;
  if (gie_graph_clone(g, &small) != GIE_OK)
    return NULL;
  gie_id by = stand_in(small, gie_value_get(small, value), which);
  if (by != GIE_NONE && gie_value_replace(small, value, by) == GIE_OK &&
      gie_pipeline_run(small, "eliminate_deadend,eliminate_unused_initializer", NULL) == GIE_OK &&
      gie_graph_count_nodes(small) < gie_graph_count_nodes(g) && check(small, passes))
    return small;
  gie_graph_free(small);
  return NULL;
}

static struct gie_graph *shrink_once(const struct gie_graph *g, const char *passes)
{
  for (gie_id id = gie_graph_last(g); id != GIE_NONE; id = gie_node_get(g, id)->prev)
    for (uint32_t k = 0; k < gie_node_get(g, id)->n_out; k++)
      for (int which = -1; which < 3; which++) {
        struct gie_graph *small = without(g, gie_node_get(g, id)->out[k], which, passes);
        if (small)
          return small;
      }
  return NULL;
}

/* Takes g over; outputs that agree go first. */
static struct gie_graph *shrink(struct gie_graph *g, const char *passes)
{
  for (uint32_t keep = 0; keep < gie_graph_n_outputs(g); keep++) {
    struct gie_graph *small;
    ck_gie_ok(ctx, gie_graph_clone(g, &small));
    for (uint32_t i = 0; i < gie_graph_n_outputs(small); i++)
      ck_gie_ok(ctx, gie_graph_set_output(small, i, gie_graph_output(g, keep)));
    if (check(small, passes)) {
      gie_graph_free(g);
      g = small;
      break;
    }
    gie_graph_free(small);
  }
  for (struct gie_graph *small; (small = shrink_once(g, passes)); g = small)
    gie_graph_free(g);
  return g;
}

/* ---- Tests ------------------------------------------------------------------------------------------- */

static void start(void)
{
  ck_assert_int_eq(gie_context_new(NULL, &ctx), GIE_OK);
  ctx->registry->open = true; /* as if a module's init were running */
  ck_gie_ok(ctx, ctx->registry->host.register_pass(&ctx->registry->host, &injected));
  ctx->registry->open = false;
}

/* An argument for the passes that take one. */
static const char *argument(const char *pass)
{
  static const char *const layouts[] = {"", "=nhwc", "=nChw4c", "=0132", "=Nchw2n"};
  if (strcmp(pass, "layout") == 0)
    return layouts[rnd(5)];
  return strcmp(pass, "precision") == 0 && rnd(2) ? "=f64" : "";
}

/* Default, structure behind it, or up to 24 passes in any order. */
static void random_pipeline(char *text, size_t size)
{
  uint32_t n = 0, kind = rnd(5);
  while (strcmp(pass_at(ctx, n)->name, injected.name) != 0)
    n++;
  if (kind < 3) {
    snprintf(text, size, "default%s", kind == 0 ? "" : kind == 1 ? ",structure" : ",layout");
    if (kind == 2)
      snprintf(text + strlen(text), size - strlen(text), "%s%s", argument("layout"),
               rnd(2) ? ",structure,assign_streams" : "");
    return;
  }
  *text = 0;
  for (uint32_t i = 1 + rnd(24); i > 0; i--) {
    const char *pass = pass_at(ctx, rnd(n))->name;
    snprintf(text + strlen(text), size - strlen(text), "%s%s%s", *text ? "," : "", pass, argument(pass));
  }
}

static struct gie_graph *make(uint64_t seed)
{
  struct gie_buf b;
  struct gie_graph *g;
  gie_buf_init(&b, ctx);
  static const char *const floats[] = {"f64", "f32", "f32", "f32", "f16", "f32"}, *const ints[] = {"i32",
                                                                                                   "i64",
                                                                                                   "i8", "u8",
                                                                                                   "i16"};
  random_graph(&b, seed, 6 + (int)(seed % 40), floats[seed % 6], ints[seed % 5]);
  gie_status s = gie_graph_parse(ctx, b.data, b.len, NULL, &g);
  if (s != GIE_OK)
    printf("%s", b.data);
  ck_assert_msg(s == GIE_OK, "seed %llu: %s", (unsigned long long)seed, gie_error_text(ctx));
  gie_buf_free(&b);
  return g;
}

START_TEST(test_random)
{
  const char *wanted = getenv("GIE_RANDOM_GRAPHS");
  int n = wanted ? atoi(wanted) : 300;
  start();
  for (int i = 1; i <= n; i++) {
    char passes[2048], *text;
    size_t size;
    struct gie_graph *g = make((uint64_t)i);
    state = (uint64_t)i * 7919 + 1;
    random_pipeline(passes, sizeof passes);
    if (check(g, passes)) {
      g = shrink(g, passes);
      ck_gie_ok(ctx, gie_graph_print(g, &text, &size));
      printf("graph %d, --passes=%s: %s\n%s", i, passes, check(g, passes), text);
      fflush(stdout);
      ck_abort_msg("graph %d is different", i);
    }
    gie_graph_free(g);
  }
  printf("%d random graphs, 0 differences\n", n);
  gie_context_free(ctx);
}
END_TEST

/* Nearly every graph in which the error changes something fails, and shrinks to the addition. */
START_TEST(test_injected)
{
  int noticed = 0, injections = 0;
  start();
  for (uint64_t seed = 1; seed <= 60; seed++) {
    struct gie_graph *g = make(seed);
    bool has_add = false;
    ck_gie_ok(ctx, gie_pipeline_run(g, "eliminate_deadend", NULL));
    GIE_FOR_NODES(g, id)
      has_add = has_add || strcmp(gie_node_get(g, id)->op->name, "add") == 0;
    injections += has_add;
    if (check(g, "test_inject,default")) {
      ck_assert_msg(has_add, "graph %u fails without an injected error", (unsigned)seed);
      noticed++;
      g = shrink(g, "test_inject,default");
      ck_assert_uint_le(gie_graph_count_nodes(g), 12); /* a formula round it */
    }
    gie_graph_free(g);
  }
  printf("%d of %d injected errors noticed\n", noticed, injections);
  ck_assert_int_ge(injections, 20);
  ck_assert_int_ge(noticed * 10, injections * 7);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("random graphs through passes", test_random, test_injected)
