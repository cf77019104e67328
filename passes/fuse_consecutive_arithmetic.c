/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic with one constant behind arithmetic with another is arithmetic with a third.
 *
 *     %a = mul(%x, %c)    or div, also of a constant by %x
 *     %y = mul(%a, %d)                                        ->    %y = mul(%x, %c*%d)
 *
 *     %a = add(%x, %c)    or sub, also of %x from a constant
 *     %y = add(%a, %d)                                        ->    %y = add(%x, %c+%d)
 *
 * The third constant is computed in f64 and rounded once; %y is rounded once instead of twice, so it may
 * differ in its last bits, and what overflowed in %a does not any more. Where %c enlarges %x, %c*%d does.
 *
 * Does not fire: %a shared or a graph output, integers, constants that are not finite, whose product or
 * sum does not fit the dtype or is subnormal, summands that cancel (x + 8388608 - 8388608 rounds x), or a
 * third constant of more bytes than what goes: %a, as far as its size is known, and constants that nobody
 * else reads. */
#include "passes/scale.h"
#include <math.h>

#define MAX_ELEMENTS 65536 /* of a constant that is made */
#define CANCELLED 0.125    /* of a summand: so much of it is left at least */

/* c op x^e or c + e*x: what a node does to its operand. */
struct arithmetic {
  const struct gie_node *node;
  gie_id x;
  const struct gie_value *c;
  bool product, inverse, negative; /* of c: 1/c, -c */
  int e;                           /* 1 or -1 */
};

static bool describe(const struct gie_graph *g, const struct gie_node *n, struct arithmetic *out)
{
  static const struct {
    const char *op;
    bool product, second; /* second: the second operand is inverted or negated */
  } table[] = {{"mul", true, false}, {"div", true, true}, {"add", false, false}, {"sub", false, true}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    if (!pass_is_op(n, table[i].op) || n->n_operands != 2 || n->n_steps || n->n_out != 1)
      continue;
    const struct gie_value *c = pass_scale_constant(g, n->in[1]);
    bool first = c != NULL; /* x is the first operand */
    c = first ? c : pass_scale_constant(g, n->in[0]);
    bool second = table[i].second && first;
    *out = (struct arithmetic){n,
                               n->in[!first],
                               c,
                               table[i].product,
                               second && table[i].product,
                               second && !table[i].product,
                               table[i].second && !first ? -1 : 1};
    return c != NULL;
  }
  return false;
}

/* Bytes of what is known of a type: what may be 0 or 1 or any number counts as 1. */
static int64_t known_bytes(const struct gie_type *t)
{
  int64_t bytes = (int64_t)gie_dtype_size(t->dtype);
  for (int i = 0; i < t->shape.rank; i++)
    if (gie_dim_is_num(t->shape.dim[i]) && !gie_mul64(bytes, t->shape.dim[i].b, &bytes))
      return INT64_MAX;
  return bytes;
}

/* The type of c*d; false when it has more bytes than what goes or than is sensible. */
static bool result_type(const struct gie_graph *g, const struct arithmetic *a, const struct arithmetic *b,
                        struct gie_type *out)
{
  const struct gie_value *middle = gie_value_get(g, a->node->out[0]);
  const struct gie_shape *p = &a->c->type.shape, *q = &b->c->type.shape;
  int64_t goes = known_bytes(&middle->type), bytes;
  *out = p->rank < q->rank ? b->c->type : a->c->type;
  for (int i = 1; i <= p->rank && i <= q->rank; i++) {
    struct gie_dim d = p->dim[p->rank - i], e = q->dim[q->rank - i];
    out->shape.dim[out->shape.rank - i] = d.b == 1 ? e : d;
  }
  bytes = known_bytes(out);
  for (int i = 0; i < 2; i++) {
    const struct gie_value *c = i ? b->c : a->c;
    if (c->n_uses == 1 && !c->n_outputs && goes < INT64_MAX - known_bytes(&c->type))
      goes += known_bytes(&c->type);
  }
  return bytes <= goes && bytes <= MAX_ELEMENTS * (int64_t)gie_dtype_size(out->dtype);
}

/* Element i of a constant of type `to`, of which c is broadcast. */
static double element(const struct gie_graph *g, const struct gie_value *c, const struct gie_type *to,
                      size_t i)
{
  size_t at = 0, stride = 1;
  for (int k = 1; k <= to->shape.rank; k++) {
    size_t extent = (size_t)to->shape.dim[to->shape.rank - k].b, place = i % extent;
    i /= extent;
    if (k > c->type.shape.rank)
      continue;
    size_t own = (size_t)c->type.shape.dim[c->type.shape.rank - k].b;
    at += own == 1 ? 0 : place * stride;
    stride *= own;
  }
  return pass_load(c->type.dtype, gie_value_bytes(g, c->id, NULL), at);
}

/* d * c^e or d + e*c, of what is finite. NaN: not to be had, or not with the accuracy of two steps. */
static double join(const struct arithmetic *a, const struct arithmetic *b, double c, double d)
{
  c = a->inverse ? 1 / c : a->negative ? -c : c;
  d = b->inverse ? 1 / d : b->negative ? -d : d;
  if (!b->product) {
    c = b->e < 0 ? -c : c;
    return fabs(c + d) < CANCELLED * fmax(fabs(c), fabs(d)) ? NAN : c + d;
  }
  double r = b->e < 0 ? d / c : d * c;
  bool zero = d == 0 || (c == 0 && b->e > 0);
  return isfinite(c) && isfinite(d) && (zero || fabs(r) >= pass_smallest(b->c->type.dtype)) ? r : NAN;
}

/* The third constant; *out stays GIE_NONE where there is none. */
static gie_status make_constant(struct gie_graph *g, const struct arithmetic *a, const struct arithmetic *b,
                                const struct gie_type *type, gie_id *out)
{
  struct gie_blob *blob;
  size_t size = gie_dtype_size(type->dtype), count = (size_t)known_bytes(type) / size;
  bool fits = true;
  GIE_TRY(gie_blob_new(gie_graph_context(g), count * size, &blob));
  for (size_t i = 0; i < count && fits; i++) {
    double r = join(a, b, element(g, a->c, type, i), element(g, b->c, type, i));
    fits = isfinite(r) && pass_store(type->dtype, gie_blob_data(blob), i, r);
  }
  if (fits)
    return pass_const(g, type, blob, out);
  gie_blob_unref(blob);
  return GIE_OK;
}

static bool match(const struct gie_graph *g, const struct gie_node *n, struct arithmetic *a,
                  struct arithmetic *b)
{
  if (!describe(g, n, b))
    return false;
  const struct gie_node *before = gie_node_get(g, gie_value_get(g, b->x)->producer);
  return before && describe(g, before, a) && a->product == b->product &&
         pass_private_producer(g, b->x, before->op->name) && pass_is_plain(gie_value_get(g, a->x)) &&
         a->c->type.dtype == b->c->type.dtype && gie_value_get(g, a->x)->kind != GIE_VALUE_CONST;
}

/* c goes when nobody reads it any more, so that a long chain does not hold one for each node. */
static gie_status release(struct gie_graph *g, gie_id c)
{
  const struct gie_value *v = gie_value_get(g, c);
  return v->n_uses || v->n_outputs || pass_holds_views(g, c) ? GIE_OK : gie_value_remove(g, c);
}

static gie_status rewrite(struct gie_graph *g, const struct arithmetic *a, const struct arithmetic *b,
                          gie_id constant)
{
  bool plus = a->e * b->e > 0;
  gie_id n = b->node->id, c = a->c->id, d = b->c->id;
  GIE_TRY(gie_node_set_input(g, n, !plus, a->x));
  GIE_TRY(gie_node_set_input(g, n, plus, constant));
  GIE_TRY(gie_node_set_op(g, n, b->product ? plus ? "mul" : "div" : plus ? "add" : "sub"));
  GIE_TRY(gie_node_remove(g, a->node->id));
  GIE_TRY(release(g, c));
  return c == d ? GIE_OK : release(g, d);
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  GIE_FOR_NODES(g, id) {
    struct arithmetic a, b;
    struct gie_type type;
    gie_id constant = GIE_NONE;
    if (!match(g, gie_node_get(g, id), &a, &b) || !result_type(g, &a, &b, &type))
      continue;
    GIE_TRY(make_constant(g, &a, &b, &type, &constant));
    if (constant == GIE_NONE)
      continue;
    GIE_TRY(rewrite(g, &a, &b, constant));
    ++*changes;
  }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_consecutive_arithmetic = {
    sizeof(struct gie_pass), "fuse_consecutive_arithmetic",
    "makes products or sums with two constants in a row one; not on integers, shared values or where summands cancel",
    run, NULL};
