/* SPDX-License-Identifier: Apache-2.0 */
/* Shape inference on random nodes of every op, twice each: with symbolic and unknown dims, and with numbers
 * put in for them. What must hold:
 *   - nothing crashes or overflows, whatever the dims and attributes;
 *   - what is an error with symbols is an error with every number ("only what is certain is an error");
 *   - what is known with symbols is right for every number;
 *   - a node that was accepted is accepted by the verifier. */
#include "core/ir/infer.h"
#include "tests/gie_check.h"
#include <gie/gie.h>
#include <math.h>

static struct gie_context *ctx;

static void setup(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .no_modules = true};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
}

static void teardown(void) { gie_context_free(ctx); }

/* xorshift64*: the same sequence everywhere */
static uint64_t state;
static uint32_t rnd(uint32_t n)
{
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 2685821657736338717u) >> 33) % n;
}
static bool chance(uint32_t percent) { return rnd(100) < percent; }

/* ---- What a random node is made of ---------------------------------------------------------------------- */

enum { MAX_OPERANDS = 5, MAX_LIST = 6, MAX_ATTRS = 16 };

/* An operand: an input of that type; or the constant list; or the dims of such an input as a list. */
struct operand {
  enum { OMITTED, INPUT, INTS, FLOATS, SHAPE } kind;
  struct gie_type type;
  int n; /* elements of a list; -1: a scalar */
  int64_t ints[MAX_LIST];
  float floats[MAX_LIST];
};

struct attr_data {
  int64_t is[2 * MAX_LIST];
};

struct trial {
  const struct gie_op *op;
  uint32_t n_in, n_out, n_attrs;
  struct operand in[MAX_OPERANDS];
  struct gie_attr attrs[MAX_ATTRS];
  struct attr_data data[MAX_ATTRS];
  int64_t sym[2], unknown; /* numbers put in */
  bool hostile;
};

static int64_t hostile_int(void)
{
  static const int64_t pool[] = {0,
                                 1,
                                 -1,
                                 INT64_MIN,
                                 INT64_MAX,
                                 INT32_MAX,
                                 (int64_t)1 << 32,
                                 INT32_MIN,
                                 INT64_MAX - 1,
                                 -9,
                                 100,
                                 (int64_t)1 << 62};
  return pool[rnd(sizeof pool / sizeof *pool)];
}

static int64_t small_int(const struct trial *t)
{
  if (t->hostile && chance(25))
    return hostile_int();
  return (int64_t)rnd(7) - 2;
}

static struct gie_dim random_dim(const struct trial *t)
{
  struct gie_dim d = gie_dim_num(1 + rnd(6));
  if (chance(20))
    d.b = rnd(3);
  if (t->hostile && chance(15)) {
    d.b = hostile_int();
    d.b = d.b < 0 ? 5 : d.b;
  }
  if (chance(30)) {
    d.sym = rnd(2);
    d.a = chance(60) ? 1 : 1 + rnd(4);
    d.b = chance(60) ? 0 : (int64_t)rnd(7) - 2;
    if (t->hostile && chance(10))
      d.a = hostile_int();
    if (d.a == 0)
      d.a = 1;
  }
  return chance(8) ? gie_dim_unknown() : d;
}

static void random_operand(const struct trial *t, uint32_t i, struct operand *o)
{
  struct ir_operand decl;
  ck_assert(ir_op_operand(t->op, i, &decl));
  uint32_t dtypes = decl.dtypes ? decl.dtypes : i == 0 && t->op->dtypes ? t->op->dtypes : GIE_DT(F32);
  memset(o, 0, sizeof *o);
  o->kind = decl.optional && chance(40) ? OMITTED : INPUT;
  o->type.dtype = dtypes & GIE_DT(F32)    ? GIE_F32
                  : dtypes & GIE_DT(I64)  ? GIE_I64
                  : dtypes & GIE_DT(BOOL) ? GIE_BOOL
                                          : GIE_I32;
  o->type.shape.rank = chance(70) ? 2 + (int)rnd(3) : (int)rnd(GIE_MAX_RANK + 1);
  if (i > 0 && chance(60) && t->in[0].type.shape.rank > 0)
    o->type.shape = t->in[0].type.shape; /* likely to fit */
  else
    for (int a = 0; a < o->type.shape.rank; a++)
      o->type.shape.dim[a] = random_dim(t);
  if (i > 0 && chance(20) && t->in[0].type.shape.rank > 1) { /* one element per channel */
    o->type.shape.rank = 1;
    o->type.shape.dim[0] = t->in[0].type.shape.dim[1];
  }
  if (i > 1 && chance(60))
    o->type.shape = t->in[i - 1].type.shape;
  if (chance(4))
    o->type.shape.rank = -1;
  if (o->kind == OMITTED || chance(15))
    return;
  o->n = chance(5) ? -1 : 1 + (int)rnd(MAX_LIST - 1);
  if (decl.dtypes == GIE_DT(F32)) {
    static const float pool[] = {1, 2, 0.5f, 1, 3, 0.75f, NAN, INFINITY, -1, 0, 1e30f, 1e-30f};
    o->kind = FLOATS;
    for (int k = 0; k < MAX_LIST; k++)
      o->floats[k] = pool[rnd(t->hostile ? sizeof pool / sizeof *pool : 6)];
  } else if (o->type.dtype == GIE_I64 || o->type.dtype == GIE_I32) {
    o->kind = o->type.dtype == GIE_I64 && o->type.shape.rank > 0 && chance(40) ? SHAPE : INTS;
    for (int k = 0; k < MAX_LIST; k++)
      o->ints[k] = small_int(t);
  }
}

static const char *random_string(void)
{
  static const char *const pool[] = {
      "explicit",   "same_upper",    "same_lower",         "nearest", "linear", "cubic",        "reflect",
      "edge",       "wrap",          "constant",           "DCR",     "CRD",    "not_larger",   "not_smaller",
      "asymmetric", "align_corners", "tf_crop_and_resize", "floor",   "",       "no such thing"};
  return pool[rnd(sizeof pool / sizeof *pool)];
}

static void random_attrs(struct trial *t)
{
  static const double floats[] = {1, 0, -1, 0.5, 1e-5, INFINITY, -INFINITY, NAN, 1e300};
  for (const struct gie_attr_spec *s = t->op->attrs; s && s->name && t->n_attrs < MAX_ATTRS; s++) {
    struct gie_attr *a = &t->attrs[t->n_attrs];
    int64_t *is = t->data[t->n_attrs].is;
    if (s->presence != GIE_REQUIRED && !chance(35))
      continue;
    a->name = s->name;
    a->kind = s->kind;
    a->n = 0;
    switch (s->kind) {
    case GIE_ATTR_INT:
      a->u.i = chance(60) ? rnd(3) : small_int(t);
      break;
    case GIE_ATTR_FLOAT:
      a->u.f = floats[rnd(t->hostile ? 9 : 5)];
      break;
    case GIE_ATTR_DTYPE:
      a->u.i = 1 + rnd(GIE_DTYPE_COUNT - 1);
      break;
    case GIE_ATTR_STRING:
      a->u.s = chance(20) || !s->text ? random_string() : s->text;
      a->n = (uint32_t)strlen(a->u.s);
      break;
    case GIE_ATTR_INTS: {
      int rank = t->in[0].type.shape.rank, spatial = rank > 2 ? rank - 2 : 1;
      bool perm = strcmp(s->name, "perm") == 0, pad = strcmp(s->name, "pad") == 0;
      a->n = chance(10) ? rnd(MAX_LIST)
                        : (uint32_t)(perm  ? (rank > 0 ? rank : 0)
                                     : pad ? 2 * spatial
                                           : spatial);
      for (uint32_t k = 0; k < a->n; k++)
        is[k] = t->hostile && chance(10) ? hostile_int()
                : perm                   ? (int64_t)(a->n - 1 - k)
                                         : (int64_t)rnd(4) + !pad;
      a->u.is = is;
      break;
    }
    default:
      continue;
    }
    t->n_attrs++;
  }
}

static void random_trial(struct trial *t, const struct gie_op *op)
{
  memset(t, 0, sizeof *t);
  t->op = op;
  t->hostile = chance(30);
  t->n_in = op->min_in + rnd((op->max_in < MAX_OPERANDS ? op->max_in : MAX_OPERANDS) - op->min_in + 1u);
  t->n_out = op->min_out + rnd((op->max_out < 4 ? op->max_out : 4) - op->min_out + 1u);
  for (uint32_t i = 0; i < t->n_in; i++)
    random_operand(t, i, &t->in[i]);
  random_attrs(t);
  t->sym[0] = rnd(9);
  t->sym[1] = rnd(5);
  t->unknown = rnd(7);
}

/* ---- Building it ------------------------------------------------------------------------------------------ */

/* The number that a dim stands for in this trial; false when it is none (overflow, below 0). */
static bool number(const struct trial *t, struct gie_dim d, int64_t *out)
{
  *out = d.b;
  if (!gie_dim_is_known(d))
    *out = t->unknown;
  else if (!gie_dim_is_num(d) && (!gie_mul64(d.a, t->sym[d.sym], out) || !gie_add64(*out, d.b, out)))
    return false;
  return *out >= 0;
}

static bool put_numbers(const struct trial *t, struct gie_type *type)
{
  int64_t n;
  if (type->shape.rank < 0) {
    type->shape.rank = 1;
    type->shape.dim[0] = gie_dim_num(t->unknown);
  }
  for (int i = 0; i < type->shape.rank; i++) {
    if (!number(t, type->shape.dim[i], &n))
      return false;
    type->shape.dim[i] = gie_dim_num(n);
  }
  return true;
}

static gie_id add_list(struct gie_graph *g, const struct operand *o)
{
  size_t size = o->kind == FLOATS || o->type.dtype == GIE_I32 ? 4 : 8, n = o->n < 0 ? 1 : (size_t)o->n;
  struct gie_type type = {o->type.dtype, {o->n < 0 ? 0 : 1, {gie_dim_num(o->n)}}};
  struct gie_const data = {NULL, 0, n * size};
  gie_id id = GIE_NONE;
  ck_assert_int_eq(gie_blob_new(ctx, n * size, &data.blob), GIE_OK);
  for (size_t i = 0; i < n; i++) {
    char *p = (char *)gie_blob_data(data.blob) + i * size;
    int32_t i32 = (int32_t)o->ints[i];
    memcpy(p,
           o->kind == FLOATS ? (const void *)&o->floats[i]
           : size == 4       ? (const void *)&i32
                             : &o->ints[i],
           size);
  }
  ck_assert_msg(gie_graph_add_const(g, NULL, &type, &data, &id) == GIE_OK, "%s", gie_error_text(ctx));
  gie_blob_unref(data.blob);
  return id;
}

static gie_id add_node(struct gie_graph *g, const char *op, const gie_id *in, uint32_t n_in)
{
  struct gie_node_spec spec = GIE_NODE_SPEC(op);
  gie_id id;
  spec.n_in = n_in;
  spec.in = in;
  ck_assert_msg(gie_node_add(g, &spec, &id) == GIE_OK, "%s", gie_error_text(ctx));
  return gie_node_get(g, id)->out[0];
}

/* reshape takes a symbol in its shape operand for a dim, not for "copy" should it be 0. */
static bool symbol_becomes_copy(const struct trial *t, const struct operand *o,
                                const struct gie_type *numbers)
{
  bool copy = false;
  for (int i = 0; i < o->type.shape.rank; i++)
    copy |= !gie_dim_is_num(o->type.shape.dim[i]) && numbers->shape.dim[i].b == 0;
  return copy && o->kind == SHAPE && strcmp(t->op->name, "reshape") == 0;
}

/* Adds the trial's operands and node; *node is GIE_NONE when the numbers are impossible. */
static gie_status build(const struct trial *t, bool numbers, struct gie_graph *g, gie_id *node)
{
  gie_id in[MAX_OPERANDS];
  uint32_t sym;
  *node = GIE_NONE;
  ck_assert_int_eq(gie_graph_symbol(g, "n", &sym), GIE_OK);
  ck_assert_int_eq(gie_graph_symbol(g, "m", &sym), GIE_OK);
  for (uint32_t i = 0; i < t->n_in; i++) {
    const struct operand *o = &t->in[i];
    char name[8];
    struct gie_type type = o->type;
    snprintf(name, sizeof name, "in%u", (unsigned)i);
    in[i] = GIE_NONE;
    if (o->kind == OMITTED)
      continue;
    if (o->kind == INTS || o->kind == FLOATS) {
      in[i] = add_list(g, o);
      continue;
    }
    if (numbers && (!put_numbers(t, &type) || symbol_becomes_copy(t, o, &type)))
      return GIE_OK;
    ck_assert_int_eq(gie_graph_add_input(g, name, &type, &in[i]), GIE_OK);
    if (o->kind == SHAPE)
      in[i] = add_node(g, "shape", &in[i], 1);
  }
  struct gie_node_spec spec = GIE_NODE_SPEC(t->op->name);
  spec.n_in = t->n_in;
  spec.in = in;
  spec.n_out = t->n_out;
  spec.n_attrs = t->n_attrs;
  spec.attrs = t->attrs;
  return gie_node_add(g, &spec, node);
}

/* ---- What must hold ------------------------------------------------------------------------------------------ */

static void print_trial(const struct gie_graph *g, char *buf, size_t size)
{
  char *text;
  size_t n;
  if (gie_graph_print(g, &text, &n) != GIE_OK)
    return;
  snprintf(buf, size, "%s", text);
  gie_free(ctx, text);
}

static bool right_for_numbers(const struct trial *t, const struct gie_type *symbolic,
                              const struct gie_type *numbers)
{
  if (symbolic->dtype != GIE_DTYPE_NONE && symbolic->dtype != numbers->dtype)
    return false;
  if (symbolic->shape.rank < 0)
    return true;
  for (int i = 0; i < symbolic->shape.rank && symbolic->shape.rank == numbers->shape.rank; i++) {
    struct gie_dim s = symbolic->shape.dim[i], d = numbers->shape.dim[i];
    int64_t n;
    if (gie_dim_is_known(s) && gie_dim_is_num(d) && (!number(t, s, &n) || n != d.b))
      return false;
  }
  return symbolic->shape.rank == numbers->shape.rank;
}

static void check_trial(const struct trial *t, unsigned *accepted)
{
  struct gie_graph *a, *b;
  gie_id na, nb;
  char text[3000] = "", error[600];
  ck_assert_int_eq(gie_graph_new(ctx, "symbols", &a), GIE_OK);
  ck_assert_int_eq(gie_graph_new(ctx, "numbers", &b), GIE_OK);
  gie_status sa = build(t, false, a, &na);
  snprintf(error, sizeof error, "%s", gie_error_text(ctx));
  gie_status sb = build(t, true, b, &nb);
  ck_assert_int_ne(sa, GIE_E_INTERNAL);
  ck_assert_int_ne(sb, GIE_E_INTERNAL);
  if (sb == GIE_OK && nb != GIE_NONE) {
    ++*accepted;
    ck_assert_int_eq(gie_graph_add_output(b, gie_node_get(b, nb)->out[0]), GIE_OK);
    print_trial(b, text, sizeof text);
    ck_assert_msg(sa == GIE_OK, "n=%lld m=%lld: refused with symbols: %s\n%s", (long long)t->sym[0],
                  (long long)t->sym[1], error, text);
    ck_assert_msg(gie_graph_verify(b) == GIE_OK, "%s\n%s", gie_error_text(ctx), text);
    for (uint32_t i = 0; i < t->n_out; i++) {
      const struct gie_type *ta = &gie_value_get(a, gie_node_get(a, na)->out[i])->type;
      const struct gie_type *tb = &gie_value_get(b, gie_node_get(b, nb)->out[i])->type;
      struct gie_infer xa = {.graph = a}, xb = {.graph = b};
      char sa_text[300], sb_text[300];
      ck_assert_msg(right_for_numbers(t, ta, tb),
                    "n=%lld m=%lld ?=%lld: result %u is %s, with symbols %s\n%s", (long long)t->sym[0],
                    (long long)t->sym[1], (long long)t->unknown, (unsigned)i,
                    ir_type_text(&xb, tb, sb_text, sizeof sb_text),
                    ir_type_text(&xa, ta, sa_text, sizeof sa_text), text);
    }
  }
  gie_graph_free(a);
  gie_graph_free(b);
}

enum { ROUNDS = 500 };

START_TEST(random_nodes)
{
  const struct gie_op *op = ir_builtin_op((unsigned)_i);
  if (op->flags & GIE_OP_BODIES)
    return; /* nobody makes up its bodies; test_infer.c has it */
  unsigned accepted = 0;
  const char *seed = getenv("GIE_TEST_SEED");
  state = 88172645463325252u + 7919u * (unsigned)_i + (seed ? strtoull(seed, NULL, 10) * 1000003u : 0);
  for (int round = 0; round < ROUNDS; round++) {
    struct trial t;
    random_trial(&t, op);
    check_trial(&t, &accepted);
  }
  ck_assert_msg(accepted > 0, "no random %s was ever valid: the test says nothing about it", op->name);
}
END_TEST

int main(void)
{
  unsigned n = 0;
  Suite *suite = suite_create("infer_random");
  TCase *c = check_tcase(suite, "infer_random", setup, teardown);
  while (ir_builtin_op(n))
    n++;
  tcase_add_loop_test(c, random_nodes, 0, (int)n);
  return check_suite(suite);
}
