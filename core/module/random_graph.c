/* SPDX-License-Identifier: Apache-2.0 */
/* Writes random networks as text; see random_graph.h. Numbers stay small, so that what is different is wrong and not
 * rounded: weights shrink with the taps, and no function with poles or steps is used. */
#include "core/module/random_gen.h"

/* ---- Nodes ------------------------------------------------------------------------------------------ */

static void unary(struct gen *g)
{
  static const char *const ops[] = {"relu(%v)",
                                    "leaky_relu(%v) {alpha=0.25}",
                                    "clip(%v) {min=-0.5, max=6.0}",
                                    "sigmoid(%v)",
                                    "hard_sigmoid(%v)",
                                    "hard_swish(%v)",
                                    "silu(%v)",
                                    "mish(%v)",
                                    "gelu(%v)",
                                    "tanh(%v)",
                                    "elu(%v)",
                                    "softplus(%v)",
                                    "neg(%v)",
                                    "abs(%v)",
                                    "erf(%v)",
                                    "identity(%v)",
                                    "dropout(%v)",
                                    "sum(%v)"};
  int x = pick(g, 0);
  char line[64];
  const char *op = ops[rnd(g, sizeof ops / sizeof *ops)], *at = strstr(op, "%v");
  snprintf(line, sizeof line, "%.*s%%v%d%s", (int)(at - op), op, x, at + 2);
  gie_buf_printf(g->b, "  %%v%d = %s\n", g->n, line);
  add(g, g->v[x]);
}

static void binary(struct gen *g)
{
  static const char *const ops[] = {"add", "sub", "mul", "max", "min", "sum"};
  int x = pick(g, 0), y = pick_like(g, x);
  gie_buf_printf(g->b, "  %%v%d = %s(%%v%d, %%v%d)\n", g->n, ops[rnd(g, 6)], x, y);
  add(g, g->v[x]);
}

static void with_constant(struct gen *g)
{
  static const char *const ops[] = {"add", "sub", "mul", "max", "prelu"};
  static const double units[] = {0, 1, 2, 0.5};
  int x = pick(g, 0), k = rnd(g, 3) ? per_channel(g, &g->v[x]) : number(g, units[rnd(g, 4)]);
  const char *op = ops[rnd(g, 5)];
  if (rnd(g, 4) || op[0] == 'p')
    gie_buf_printf(g->b, "  %%v%d = %s(%%v%d, %%k%d)\n", g->n, op, x, k);
  else
    gie_buf_printf(g->b, "  %%v%d = %s(%%k%d, %%v%d)\n", g->n, op, k, x);
  add(g, g->v[x]);
}

static void divide(struct gen *g)
{
  int x = pick(g, 0), k = rnd(g, 2) ? number(g, 4) : number(g, 3);
  gie_buf_printf(g->b, "  %%v%d = div(%%v%d, %%k%d)\n", g->n, x, k);
  add(g, g->v[x]);
}

/* Arithmetic with two constants in a row. */
static void two_constants(struct gen *g)
{
  static const char *const ops[] = {"mul", "div", "add", "sub"};
  static const double numbers[] = {0.5, -3, 4, 1.5};
  int x = pick(g, 0), t = g->k++, sums = 2 * (int)rnd(g, 2);
  int k = rnd(g, 2) ? per_channel(g, &g->v[x]) : number(g, numbers[rnd(g, 4)]),
      d = number(g, numbers[rnd(g, 4)]);
  gie_buf_printf(g->b, "  %%t%d = %s(%%k%d, %%v%d)\n  %%v%d = %s(%%t%d, %%k%d)\n", t, sums ? "sub" : "mul", k,
                 x, g->n, ops[sums + (int)rnd(g, 2)], t, d);
  add(g, g->v[x]);
}

static void square(struct gen *g)
{
  int x = pick(g, 0), k = number(g, 2);
  gie_buf_printf(g->b, "  %%t%d = tanh(%%v%d)\n  %%v%d = pow(%%t%d, %%k%d)\n", g->k, x, g->n, g->k, k);
  g->k++;
  add(g, g->v[x]);
}

/* Formulas that are recognized. */
static void formula(struct gen *g)
{
  int x = pick(g, 0), k = g->k, one, half, a, b;
  g->k += 8;
  switch (rnd(g, 4)) {
  case 0:
    gie_buf_printf(g->b, "  %%t%d = sigmoid(%%v%d)\n  %%v%d = mul(%%v%d, %%t%d)\n", k, x, g->n, x, k);
    break;
  case 1:
    gie_buf_printf(g->b, "  %%t%d = softplus(%%v%d)\n  %%t%d = tanh(%%t%d)\n  %%v%d = mul(%%t%d, %%v%d)\n", k,
                   x, k + 1, k, g->n, k + 1, x);
    break;
  case 2:
    a = number(g, 1.41421356), one = number(g, 1), half = number(g, 0.5);
    gie_buf_printf(g->b,
                   "  %%t%d = div(%%v%d, %%k%d)\n  %%t%d = erf(%%t%d)\n  %%t%d = add(%%t%d, %%k%d)\n"
                   "  %%t%d = mul(%%v%d, %%t%d)\n  %%v%d = mul(%%t%d, %%k%d)\n",
                   k, x, a, k + 1, k, k + 2, k + 1, one, k + 3, x, k + 2, g->n, k + 3, half);
    break;
  default:
    a = number(g, 3), b = number(g, 6);
    gie_buf_printf(g->b,
                   "  %%t%d = add(%%v%d, %%k%d)\n  %%t%d = clip(%%t%d) {min=0.0, max=6.0}\n"
                   "  %%t%d = mul(%%v%d, %%t%d)\n  %%v%d = div(%%t%d, %%k%d)\n",
                   k, x, a, k + 1, k, k + 2, x, k + 1, g->n, k + 2, b);
  }
  add(g, g->v[x]);
}

static void layer_norm(struct gen *g)
{
  int x = pick(g, 0), k = g->k, axes, two, eps;
  g->k += 8;
  axes = ints(g, 1, (const int64_t[]){-1}), two = number(g, 2), eps = number(g, 0.125);
  gie_buf_printf(g->b,
                 "  %%t%d = reduce_mean(%%v%d, %%k%d)\n  %%t%d = sub(%%v%d, %%t%d)\n"
                 "  %%t%d = pow(%%t%d, %%k%d)\n  %%t%d = reduce_mean(%%t%d, %%k%d)\n"
                 "  %%t%d = add(%%t%d, %%k%d)\n  %%t%d = sqrt(%%t%d)\n  %%v%d = div(%%t%d, %%t%d)\n",
                 k, x, axes, k + 1, x, k, k + 2, k + 1, two, k + 3, k + 2, axes, k + 4, k + 3, eps, k + 5,
                 k + 4, g->n, k + 1, k + 5);
  add(g, g->v[x]);
}

/* A convolution, sometimes behind a pad, sometimes with a sibling. */
static void conv(struct gen *g)
{
  int x = pick(g, 4), w, b = -1, pads = -1;
  if (x < 0)
    return;
  struct value v = g->v[x];
  int64_t size = v.dim[2] > 1 && v.dim[3] > 1 && rnd(g, 2) ? 2 : 1, out = 1 + rnd(g, 4);
  bool depthwise = rnd(g, 5) == 0, padded = size == 2 && rnd(g, 2);
  char shape[64], from[32];
  out = depthwise ? v.dim[1] : out;
  snprintf(shape, sizeof shape, "%d,%d,%d,%d", (int)out, depthwise ? 1 : (int)v.dim[1], (int)size, (int)size);
  int64_t taps = (depthwise ? 1 : v.dim[1]) * size * size;
  w = floats(g, shape, out * taps, 2.0 / (double)taps);
  snprintf(shape, sizeof shape, "%d", (int)out);
  if (rnd(g, 2))
    b = floats(g, shape, out, 1);
  snprintf(from, sizeof from, "%%v%d", x);
  if (padded && rnd(g, 2)) {
    pads = ints(g, 8, (const int64_t[]){0, 0, 1, 0, 0, 0, 0, 1});
    gie_buf_printf(g->b, "  %%t%d = pad(%%v%d, %%k%d)\n", g->k, x, pads);
    snprintf(from, sizeof from, "%%t%d", g->k++);
  }
  gie_buf_printf(g->b, "  %%v%d = conv(%s, %%k%d", g->n, from, w);
  if (b >= 0)
    gie_buf_printf(g->b, ", %%k%d", b);
  gie_buf_printf(g->b, ") {group=%d%s}\n", depthwise ? (int)out : 1,
                 padded && pads < 0 ? ", pad=[1,0,0,1]" : "");
  v.dim[1] = out;
  v.dim[2] += padded - (size - 1), v.dim[3] += padded - (size - 1);
  add(g, v);
}

static void batch_norm(struct gen *g)
{
  int x = pick(g, 0), s, b, m, r;
  char shape[32];
  snprintf(shape, sizeof shape, "%d", (int)g->v[x].dim[1]);
  s = positive(g, g->v[x].dim[1]), b = floats(g, shape, g->v[x].dim[1], 1);
  m = floats(g, shape, g->v[x].dim[1], 1), r = positive(g, g->v[x].dim[1]);
  gie_buf_printf(g->b, "  %%v%d = batch_norm(%%v%d, %%k%d, %%k%d, %%k%d, %%k%d)\n", g->n, x, s, b, m, r);
  add(g, g->v[x]);
}

static void pool(struct gen *g)
{
  int x = pick(g, 4);
  if (x < 0)
    return;
  struct value v = g->v[x];
  uint32_t kind = rnd(g, 4);
  if (kind == 0) {
    gie_buf_printf(g->b, "  %%v%d = average_pool(%%v%d) {kernel=[1,1]}\n", g->n, x);
  } else if (kind == 1 && v.dim[2] > 1 && v.dim[3] > 1) {
    gie_buf_printf(g->b, "  %%v%d = max_pool(%%v%d) {kernel=[2,2]}\n", g->n, x);
    v.dim[2]--, v.dim[3]--;
  } else if (kind == 2) {
    int p = ints(g, 8, (const int64_t[]){0, 0, 1, 1, 0, 0, 0, 0});
    gie_buf_printf(g->b, "  %%t%d = pad(%%v%d, %%k%d)\n  %%v%d = average_pool(%%t%d) {kernel=[2,2]}\n", g->k,
                   x, p, g->n, g->k);
    g->k++;
  } else {
    gie_buf_printf(g->b, "  %%v%d = global_average_pool(%%v%d)\n", g->n, x);
    v.dim[2] = v.dim[3] = 1;
  }
  add(g, v);
}

static void concat(struct gen *g)
{
  int x = pick(g, 0), n = 2 + (int)rnd(g, 2);
  struct value v = g->v[x];
  if (v.dim[1] > 6)
    return;
  gie_buf_printf(g->b, "  %%v%d = concat(%%v%d", g->n, x);
  for (int i = 1; i < n; i++) {
    int y = pick_like(g, x);
    gie_buf_printf(g->b, ", %%v%d", y);
    v.dim[1] += g->v[y].dim[1];
  }
  gie_buf_puts(g->b, ") {axis=1}\n");
  add(g, v);
}

static void split(struct gen *g)
{
  int x = pick(g, 0);
  struct value v = g->v[x], rest = v;
  if (v.dim[1] < 2)
    return;
  int s = ints(g, 2, (const int64_t[]){1, v.dim[1] - 1});
  gie_buf_printf(g->b, "  %%v%d, %%v%d = split(%%v%d, %%k%d) {axis=1}\n", g->n, g->n + 1, x, s);
  v.dim[1] = 1, rest.dim[1]--;
  add(g, v);
  add(g, rest);
}

static void slice(struct gen *g)
{
  int x = pick(g, 0), a, s, e;
  struct value v = g->v[x];
  if (v.dim[1] < 2)
    return;
  a = ints(g, 1, (const int64_t[]){1}), s = ints(g, 1, (const int64_t[]){1}),
  e = ints(g, 1, (const int64_t[]){99999});
  gie_buf_printf(g->b, "  %%v%d = slice(%%v%d, %%k%d, %%k%d, %%k%d)\n", g->n, x, s, e, a);
  v.dim[1]--;
  add(g, v);
}

/* Two transposes with a node between them. */
static void transposes(struct gen *g)
{
  int x = pick(g, 4), k;
  if (x < 0)
    return;
  k = floats(g, rnd(g, 2) ? "1" : "1,1,1", 1, 1);
  gie_buf_printf(g->b,
                 "  %%t%d = transpose(%%v%d) {perm=[0,2,3,1]}\n  %%t%d = mul(%%t%d, %%k%d)\n"
                 "  %%v%d = transpose(%%t%d) {perm=[0,3,1,2]}\n",
                 g->k, x, g->k + 1, g->k, k, g->n, g->k + 1);
  g->k += 2;
  add(g, g->v[x]);
}

/* Through axes of 1 and shapes back to where it was. */
static void there_and_back(struct gen *g)
{
  int x = pick(g, 0), k = g->k, a;
  g->k += 3;
  if (rnd(g, 2)) {
    gie_buf_printf(g->b, "  %%t%d = shape(%%v%d)\n  %%t%d = relu(%%v%d)\n  %%v%d = reshape(%%t%d, %%t%d)\n",
                   k, x, k + 1, x, g->n, k + 1, k);
  } else {
    a = ints(g, 1, (const int64_t[]){2});
    gie_buf_printf(g->b,
                   "  %%t%d = unsqueeze(%%v%d, %%k%d)\n  %%t%d = unsqueeze(%%t%d, %%k%d)\n"
                   "  %%t%d = squeeze(%%t%d, %%k%d)\n  %%v%d = squeeze(%%t%d, %%k%d)\n",
                   k, x, a, k + 1, k, a, k + 2, k + 1, a, g->n, k + 2, a);
  }
  add(g, g->v[x]);
}

static void reduce(struct gen *g)
{
  int x = pick(g, 4), a;
  if (x < 0)
    return;
  struct value v = g->v[x];
  a = ints(g, 2, (const int64_t[]){2, 3});
  gie_buf_printf(g->b, "  %%t%d = reduce_mean(%%v%d, %%k%d) {keepdims=0}\n", g->k, x, a);
  gie_buf_printf(g->b, "  %%v%d = unsqueeze(%%t%d, %%k%d)\n", g->n, g->k++, a);
  v.dim[2] = v.dim[3] = 1;
  add(g, v);
}

/* [n,C,H,W] to [n,C*H*W], its length from the shape or known. */
static void flatten(struct gen *g)
{
  int x = pick(g, 4), z, c;
  if (x < 0)
    return;
  struct value v = {2, {0, g->v[x].dim[1] * g->v[x].dim[2] * g->v[x].dim[3]}, FLOATS};
  if (rnd(g, 2)) {
    gie_buf_printf(g->b, "  %%v%d = flatten(%%v%d)\n", g->n, x);
  } else {
    z = ints(g, 1, (const int64_t[]){0}), c = ints(g, 1, (const int64_t[]){-1});
    gie_buf_printf(
        g->b,
        "  %%t%d = shape(%%v%d)\n  %%t%d = gather(%%t%d, %%k%d)\n  %%t%d = concat(%%t%d, %%k%d) {axis=0}\n"
        "  %%v%d = reshape(%%v%d, %%t%d)\n",
        g->k, x, g->k + 1, g->k, z, g->k + 2, g->k + 1, c, g->n, x, g->k + 2);
    g->k += 3;
  }
  add(g, v);
}

static void dense(struct gen *g)
{
  int x = pick(g, 2), w;
  if (x < 0)
    return;
  struct value v = g->v[x];
  int64_t out = 1 + rnd(g, 4);
  bool transposed = rnd(g, 2);
  char shape[32];
  snprintf(shape, sizeof shape, "%d,%d", (int)(transposed ? out : v.dim[1]),
           (int)(transposed ? v.dim[1] : out));
  w = floats(g, shape, out * v.dim[1], 2.0 / (double)v.dim[1]);
  if (transposed && rnd(g, 2)) {
    gie_buf_printf(g->b, "  %%t%d = transpose(%%k%d)\n  %%v%d = matmul(%%v%d, %%t%d)\n", g->k, w, g->n, x,
                   g->k);
    g->k++;
  } else if (transposed) {
    gie_buf_printf(g->b, "  %%v%d = gemm(%%v%d, %%k%d) {trans_b=1}\n", g->n, x, w);
  } else {
    gie_buf_printf(g->b, "  %%v%d = %s(%%v%d, %%k%d)\n", g->n, rnd(g, 2) ? "gemm" : "matmul", x, w);
  }
  v.dim[1] = out;
  add(g, v);
}

/* ---- More of floats --------------------------------------------------------------------------------- */

/* Along the channels, or over them. */
static void normalize(struct gen *g)
{
  static const char *const ops[] = {"softmax(%v) {axis=1}", "log_softmax(%v) {axis=1}", "softmax(%v)",
                                    "lrn(%v) {size=3, alpha=0.5, beta=0.75, bias=1.0}"};
  int x = pick(g, 4);
  char line[80];
  const char *op = ops[rnd(g, sizeof ops / sizeof *ops)], *at = strstr(op, "%v");
  if (g->v[x].dim[1] < 2) /* the logarithm of 1, and nothing to compare it with */
    return;
  snprintf(line, sizeof line, "%.*s%%v%d%s", (int)(at - op), op, x, at + 2);
  gie_buf_printf(g->b, "  %%v%d = %s\n", g->n, line);
  add(g, g->v[x]);
}

static void layer_norm_op(struct gen *g)
{
  int x = pick(g, 0);
  int64_t last = g->v[x].dim[g->v[x].rank - 1];
  char shape[32];
  snprintf(shape, sizeof shape, "%d", (int)last);
  int s = positive(g, last), b = floats(g, shape, last, 1);
  gie_buf_printf(g->b, "  %%v%d = layer_norm(%%v%d, %%k%d, %%k%d) {epsilon=0.125}\n", g->n, x, s, b);
  add(g, g->v[x]);
}

static void largest(struct gen *g)
{
  int x = pick(g, 4);
  struct value v = g->v[x];
  gie_buf_printf(g->b, "  %%v%d = global_max_pool(%%v%d)\n", g->n, x);
  v.dim[2] = v.dim[3] = 1;
  add(g, v);
}

static void conv_transpose(struct gen *g)
{
  int x = pick(g, 4);
  struct value v = g->v[x];
  int64_t out = 1 + rnd(g, 3);
  char shape[64];
  if (v.dim[2] > 6 || v.dim[3] > 6)
    return;
  snprintf(shape, sizeof shape, "%d,%d,2,2", (int)v.dim[1], (int)out);
  int w = floats(g, shape, v.dim[1] * out * 4, 1.0 / (double)v.dim[1]);
  gie_buf_printf(g->b, "  %%v%d = conv_transpose(%%v%d, %%k%d)\n", g->n, x, w);
  v.dim[1] = out;
  v.dim[2]++, v.dim[3]++;
  add(g, v);
}

static void gemm_with_bias(struct gen *g)
{
  int x = pick(g, 2);
  if (x < 0)
    return;
  struct value v = g->v[x];
  int64_t out = 1 + rnd(g, 4);
  char shape[32];
  snprintf(shape, sizeof shape, "%d,%d", (int)v.dim[1], (int)out);
  int w = floats(g, shape, out * v.dim[1], 2.0 / (double)v.dim[1]);
  snprintf(shape, sizeof shape, "%d", (int)out);
  int b = floats(g, shape, out, 1);
  gie_buf_printf(g->b, "  %%v%d = gemm(%%v%d, %%k%d, %%k%d) {alpha=0.5, beta=2.0}\n", g->n, x, w, b);
  v.dim[1] = out;
  add(g, v);
}

/* To another float type and back: exact the wide way round. */
static void there_in_f64(struct gen *g)
{
  int x = pick(g, 0);
  gie_buf_printf(g->b,
                 "  %%t%d = cast(%%v%d) {to=f64}\n  %%t%d = relu(%%t%d)\n  %%v%d = cast(%%t%d) {to=%s}\n",
                 g->k, x, g->k + 1, g->k, g->n, g->k + 1, g->t);
  g->k += 2;
  add(g, g->v[x]);
}

static void branch(struct gen *g, const char *name, const struct value *v, const char *nodes)
{
  char type[64];
  int n = snprintf(type, sizeof type, "%s[n", g->t);
  for (int i = 1; i < v->rank; i++)
    n += snprintf(type + n, sizeof type - (size_t)n, ",%d", (int)v->dim[i]);
  gie_buf_printf(
      g->b, "%s=graph (n) {\n    input %%x : %s]\n    input %%y : %s]\n    input %%k : %s[]\n    %s\n  }",
      name, type, type, g->t, nodes);
}

/* One of two branches, by a constant or by the greatest element of an input. */
static void choose(struct gen *g)
{
  static const char *const bodies[] = {
      "output %x", "%r = mul(%y, %k)\n    output %r", "%a = tanh(%x)\n    %r = add(%a, %y)\n    output %r",
      "%a = identity(%x)\n    %b = relu(%a)\n    %c = relu(%x)\n    %d = add(%b, %c)\n"
      "    %r = sub(%d, %y)\n    output %r"};
  int x = pick(g, 0), y = pick_like(g, x), k = number(g, 0.5), c = g->k;
  g->k += 2;
  if (rnd(g, 2))
    gie_buf_printf(g->b, "  const %%t%d : bool[] = {%s}\n", c, rnd(g, 2) ? "true" : "false");
  else
    gie_buf_printf(g->b, "  %%t%d = reduce_max(%%v0)\n  %%t%d = greater(%%t%d, %%k%d)\n", c + 1, c, c + 1, k);
  gie_buf_printf(g->b, "  %%v%d = if(%%t%d; %%v%d, %%v%d, %%k%d) {", g->n, c, x, y, k);
  branch(g, "then_branch", &g->v[x], bodies[rnd(g, 4)]);
  branch(g, ", else_branch", &g->v[x], bodies[rnd(g, 4)]);
  gie_buf_puts(g->b, "}\n");
  add(g, g->v[x]);
}

/* ---- Graph ------------------------------------------------------------------------------------------ */

void random_graph(struct gie_buf *out, uint64_t seed, int n_nodes, const char *dtype, const char *ints_dtype)
{
  static void (*const makers[])(struct gen *) = {unary,
                                                 unary,
                                                 binary,
                                                 with_constant,
                                                 with_constant,
                                                 divide,
                                                 two_constants,
                                                 square,
                                                 formula,
                                                 conv,
                                                 conv,
                                                 conv,
                                                 batch_norm,
                                                 pool,
                                                 concat,
                                                 concat,
                                                 split,
                                                 slice,
                                                 transposes,
                                                 reduce,
                                                 there_and_back,
                                                 flatten,
                                                 layer_norm,
                                                 dense,
                                                 normalize,
                                                 layer_norm_op,
                                                 largest,
                                                 conv_transpose,
                                                 gemm_with_bias,
                                                 there_in_f64,
                                                 choose,
                                                 random_int_unary,
                                                 random_int_binary,
                                                 random_int_binary,
                                                 random_compare_ints,
                                                 random_int_move,
                                                 random_where,
                                                 random_to_floats};
  struct gen g = {.b = out, .state = seed * 2 + 1, .t = dtype, .ti = ints_dtype};
  for (int i = 0; i < 8; i++)
    rnd(&g, 2);
  gie_buf_puts(out, "graph \"random\" (n) {\n");
  for (int i = 0; i < 2; i++) {
    struct value v = {4, {0, 1 + rnd(&g, 4), 2 + rnd(&g, 3), 2 + rnd(&g, 3)}, FLOATS};
    gie_buf_printf(out, "  input %%v%d : %s[n,%d,%d,%d]\n", g.n, dtype, (int)v.dim[1], (int)v.dim[2],
                   (int)v.dim[3]);
    add(&g, v);
    if (i == 0 && ints_dtype) {
      v.kind = INTS;
      gie_buf_printf(out, "  input %%v%d : %s[n,%d,%d,%d]\n", g.n, ints_dtype, (int)v.dim[1], (int)v.dim[2],
                     (int)v.dim[3]);
      add(&g, v);
    }
  }
  uint32_t n_makers = sizeof makers / sizeof *makers - (ints_dtype ? 0 : OF_INTS);
  while (g.n < n_nodes && g.n < MAX_VALUES - 2)
    makers[rnd(&g, n_makers)](&g);
  for (uint32_t i = rnd(&g, 3); i > 0; i--)
    gie_buf_printf(out, "  output %%v%d\n", (int)rnd(&g, (uint32_t)g.n));
  gie_buf_printf(out, "  output %%v%d\n}\n", g.n - 1);
}
