/* SPDX-License-Identifier: Apache-2.0 */
/* Naive loops; see naive.h. Everything is up to three spatial axes, missing ones are 1. */
#include "tests/cpu/naive.h"

#include <math.h>

static int64_t dim(const struct op_result *t, int i)
{
  return i < t->type.shape.rank ? t->type.shape.dim[i].b : 1;
}

/* Element [a][b][d][h][w] of a tensor with at most three spatial axes. */
static double *at(const struct op_result *t, int64_t a, int64_t b, int64_t d, int64_t h, int64_t w)
{
  return &t->v[(((a * dim(t, 1) + b) * dim(t, 2) + d) * dim(t, 3) + h) * dim(t, 4) + w];
}

struct geometry {
  int64_t stride[3], dilation[3], pad[3], pad_end[3], kernel[3];
};

static struct geometry read_geometry(const struct gie_node *n, const struct op_result *x,
                                     const struct op_result *y, const int64_t *kernel, bool transposed)
{
  struct geometry g;
  int64_t pad[6], extra[3], shape[3];
  int s = x->type.shape.rank - 2;
  const char *mode = gie_node_string(n, "auto_pad");
  gie_node_ints(n, "stride", g.stride, 3, 1);
  gie_node_ints(n, "dilation", g.dilation, 3, 1);
  gie_node_ints(n, "pad", pad, 6, 0);
  gie_node_ints(n, "output_pad", extra, 3, 0);
  bool by_shape = gie_node_ints(n, "output_shape", shape, 3, 0) > 0;
  for (int i = 0; i < 3; i++) {
    g.kernel[i] = i < s ? kernel[i] : 1;
    g.pad[i] = i < s ? pad[i] : 0;
    g.pad_end[i] = i < s ? pad[s + i] : 0;
    int64_t small = dim(transposed ? x : y, 2 + i), large = dim(transposed ? y : x, 2 + i);
    if (i < s && (mode[0] == 's' || by_shape)) {
      int64_t total = (small - 1) * g.stride[i] + (g.kernel[i] - 1) * g.dilation[i] + 1 + extra[i] - large;
      total = total > 0 ? total : 0;
      g.pad[i] = strcmp(mode, "same_upper") == 0 ? total / 2 : (total + 1) / 2;
      g.pad_end[i] = total - g.pad[i];
    }
  }
  return g;
}

#define FOR(i, n) for (int64_t i = 0; i < (n); i++)

/* Visits every pair of a window (its index o on the small side y) and a tap f. */
#define FOR_WINDOW(g, y) \
  FOR(od, dim(y, 2))     \
  FOR(oh, dim(y, 3)) FOR(ow, dim(y, 4)) FOR(fd, (g).kernel[0]) FOR(fh, (g).kernel[1]) FOR(fw, (g).kernel[2])
#define POSITION(g, i, o, f) ((o) * (g).stride[i] - (g).pad[i] + (f) * (g).dilation[i])

static bool inside(const struct op_result *t, int64_t d, int64_t h, int64_t w)
{
  return d >= 0 && d < dim(t, 2) && h >= 0 && h < dim(t, 3) && w >= 0 && w < dim(t, 4);
}

static void conv(const struct gie_node *n, const struct op_result *in, struct op_result *y)
{
  const struct op_result *x = &in[0], *w = &in[1];
  int64_t kernel[3] = {dim(w, 2), dim(w, 3), dim(w, 4)}, group = gie_node_int(n, "group");
  int64_t c_per = dim(x, 1) / group, k_per = dim(y, 1) / group;
  struct geometry g = read_geometry(n, x, y, kernel, false);
  FOR(i, dim(y, 0)) FOR(k, dim(y, 1)) FOR_WINDOW(g, y) FOR(c, c_per)
  {
    int64_t d = POSITION(g, 0, od, fd), h = POSITION(g, 1, oh, fh), v = POSITION(g, 2, ow, fw);
    if (inside(x, d, h, v))
      *at(y, i, k, od, oh, ow) += *at(w, k, c, fd, fh, fw) * *at(x, i, k / k_per * c_per + c, d, h, v);
  }
}

static void conv_transpose(const struct gie_node *n, const struct op_result *in, struct op_result *y)
{
  const struct op_result *x = &in[0], *w = &in[1];
  int64_t kernel[3] = {dim(w, 2), dim(w, 3), dim(w, 4)}, group = gie_node_int(n, "group");
  int64_t c_per = dim(x, 1) / group, k_per = dim(y, 1) / group;
  struct geometry g = read_geometry(n, x, y, kernel, true);
  FOR(i, dim(x, 0)) FOR(c, dim(x, 1)) FOR_WINDOW(g, x) FOR(k, k_per)
  {
    int64_t d = POSITION(g, 0, od, fd), h = POSITION(g, 1, oh, fh), v = POSITION(g, 2, ow, fw);
    if (inside(y, d, h, v))
      *at(y, i, c / c_per * k_per + k, d, h, v) += *at(w, c, k, fd, fh, fw) * *at(x, i, c, od, oh, ow);
  }
}

static void add_bias(const struct op_result *b, struct op_result *y)
{
  for (int64_t i = 0; b->v && i < y->count; i++)
    y->v[i] += b->v[i / (y->count / dim(y, 0) / dim(y, 1)) % dim(y, 1)];
}

static void pool(const struct gie_node *n, const struct op_result *x, struct op_result *y, bool average)
{
  int64_t kernel[3];
  gie_node_ints(n, "kernel", kernel, 3, 1);
  struct geometry g = read_geometry(n, x, y, kernel, false);
  bool include = average && gie_node_int(n, "count_include_pad");
  FOR(i, dim(y, 0)) FOR(c, dim(y, 1)) FOR(od, dim(y, 2)) FOR(oh, dim(y, 3)) FOR(ow, dim(y, 4))
  {
    double sum = 0, greatest = -INFINITY, count = 0;
    FOR(fd, g.kernel[0]) FOR(fh, g.kernel[1]) FOR(fw, g.kernel[2])
    {
      int64_t d = POSITION(g, 0, od, fd), h = POSITION(g, 1, oh, fh), v = POSITION(g, 2, ow, fw);
      if (inside(x, d, h, v)) {
        double e = *at(x, i, c, d, h, v);
        sum += e;
        greatest = e > greatest || isnan(e) ? e : greatest;
        count++;
      } else if (include && d < dim(x, 2) + g.pad_end[0] && h < dim(x, 3) + g.pad_end[1] &&
                 v < dim(x, 4) + g.pad_end[2]) {
        count++;
      }
    }
    *at(y, i, c, od, oh, ow) = average ? sum / count : greatest;
  }
}

/* Row-major number in t of index idx[] of a tensor of that rank, to which t broadcasts. */
static int64_t broadcast_number(const struct op_result *t, int rank, const int64_t *idx)
{
  int64_t number = 0;
  for (int i = 0; i < t->type.shape.rank; i++)
    number = number * dim(t, i) + (dim(t, i) == 1 ? 0 : idx[rank - t->type.shape.rank + i]);
  return number;
}

static void index_of(const struct op_result *t, int64_t number, int64_t *idx)
{
  for (int i = t->type.shape.rank - 1; i >= 0; i--) {
    idx[i] = number % dim(t, i);
    number /= dim(t, i);
  }
}

static double read_broadcast(const struct op_result *t, const struct op_result *like, int64_t number)
{
  int64_t idx[GIE_MAX_RANK];
  index_of(like, number, idx);
  return t->v[broadcast_number(t, like->type.shape.rank, idx)];
}

static void gemm(const struct gie_node *n, const struct op_result *in, struct op_result *y)
{
  const struct op_result *a = &in[0], *b = &in[1];
  bool ta = gie_node_int(n, "trans_a"), tb = gie_node_int(n, "trans_b");
  int64_t rows = dim(y, 0), cols = dim(y, 1), taps = dim(a, ta ? 0 : 1);
  FOR(r, rows) FOR(c, cols)
  {
    double sum = 0, *to = &y->v[r * cols + c];
    FOR(t, taps)
    {
      double left = ta ? a->v[t * rows + r] : a->v[r * taps + t];
      sum += left * (tb ? b->v[c * taps + t] : b->v[t * cols + c]);
    }
    *to = gie_node_float(n, "alpha") * sum;
    if (in[2].v)
      *to += gie_node_float(n, "beta") * read_broadcast(&in[2], y, r * cols + c);
  }
}

static void matmul(const struct op_result *in, struct op_result *y)
{
  const struct op_result *a = &in[0], *b = &in[1];
  int ra = a->type.shape.rank, rb = b->type.shape.rank, ry = y->type.shape.rank;
  int batch = ry - (ra > 1) - (rb > 1);
  FOR(i, y->count)
  {
    int64_t idx[GIE_MAX_RANK], ia[GIE_MAX_RANK] = {0}, ib[GIE_MAX_RANK] = {0};
    index_of(y, i, idx);
    for (int j = 0; j < ra - 2; j++)
      ia[j] = idx[batch - (ra - 2) + j];
    for (int j = 0; j < rb - 2; j++)
      ib[j] = idx[batch - (rb - 2) + j];
    if (ra > 1)
      ia[ra - 2] = idx[batch];
    if (rb > 1)
      ib[rb - 1] = idx[ry - 1];
    FOR(t, dim(a, ra - 1))
    {
      ia[ra - 1] = t;
      ib[rb > 1 ? rb - 2 : 0] = t;
      y->v[i] += a->v[broadcast_number(a, ra, ia)] * b->v[broadcast_number(b, rb, ib)];
    }
    if (in[2].v)
      y->v[i] += read_broadcast(&in[2], y, i);
  }
}

/* ---- Normalization */

static void batch_norm(const struct gie_node *n, const struct op_result *in, struct op_result *y)
{
  int64_t inner = y->count / dim(y, 0) / dim(y, 1);
  FOR(i, y->count)
  {
    int64_t c = i / inner % dim(y, 1);
    double deviation = sqrt(in[4].v[c] + gie_node_float(n, "epsilon"));
    y->v[i] = in[1].v[c] * (in[0].v[i] - in[3].v[c]) / deviation + in[2].v[c];
  }
}

static void instance_norm(const struct gie_node *n, const struct op_result *in, struct op_result *y)
{
  int64_t inner = y->count / dim(y, 0) / dim(y, 1);
  FOR(p, dim(y, 0) * dim(y, 1))
  {
    const double *x = in[0].v + p * inner, scale = in[1].v[p % dim(y, 1)], bias = in[2].v[p % dim(y, 1)];
    double mean = 0, var = gie_node_float(n, "epsilon");
    FOR(i, inner) mean += x[i] / (double)inner;
    FOR(i, inner) var += (x[i] - mean) * (x[i] - mean) / (double)inner;
    FOR(i, inner) y->v[p * inner + i] = scale * (x[i] - mean) / sqrt(var) + bias;
  }
}

static void lrn(const struct gie_node *n, const struct op_result *x, struct op_result *y)
{
  int64_t channels = dim(x, 1), inner = y->count / dim(y, 0) / channels, size = gie_node_int(n, "size");
  double alpha = gie_node_float(n, "alpha"), beta = gie_node_float(n, "beta"),
         bias = gie_node_float(n, "bias");
  FOR(i, y->count)
  {
    int64_t c = i / inner % channels;
    double sum = 0;
    for (int64_t o = c - (size - 1) / 2; o <= c + size / 2; o++)
      if (o >= 0 && o < channels)
        sum += pow(x->v[i + (o - c) * inner], 2);
    y->v[i] = x->v[i] / pow(bias + alpha / (double)size * sum, beta);
  }
}

static void softmax(const struct gie_node *n, const struct op_result *x, struct op_result *y, bool logarithm)
{
  int64_t inner = 1;
  int axis = (int)gie_node_int(n, "axis");
  axis += axis < 0 ? y->type.shape.rank : 0;
  for (int i = axis + 1; i < y->type.shape.rank; i++)
    inner *= dim(y, i);
  FOR(i, y->count)
  {
    int64_t first = i - i / inner % dim(y, axis) * inner;
    double sum = 0, greatest = -INFINITY;
    FOR(j, dim(y, axis)) greatest = fmax(greatest, x->v[first + j * inner]);
    FOR(j, dim(y, axis)) sum += exp(x->v[first + j * inner] - greatest);
    y->v[i] = x->v[i] - greatest - log(sum);
    if (!logarithm)
      y->v[i] = exp(y->v[i]);
  }
}

/* ---- Epilogue */

static double step(const struct gie_step *s, double r, double o)
{
  const char *op = s->op->name;
  double a = s->reverse ? o : r, b = s->reverse ? r : o;
  if (strcmp(op, "add") == 0)
    return a + b;
  if (strcmp(op, "sub") == 0)
    return a - b;
  if (strcmp(op, "mul") == 0)
    return a * b;
  if (strcmp(op, "relu") == 0)
    return fmax(r, 0);
  if (strcmp(op, "tanh") == 0)
    return tanh(r);
  if (strcmp(op, "leaky_relu") == 0)
    return r < 0 ? gie_step_float(s, "alpha") * r : r;
  if (strcmp(op, "clip") == 0)
    return fmin(fmax(r, gie_step_float(s, "min")), gie_step_float(s, "max"));
  return r; /* cast: rounding is within the tolerance */
}

bool naive_run(const struct gie_node *n, const struct op_result *in, struct op_result *y)
{
  const char *op = n->op->name;
  memset(y->v, 0, (size_t)y->count * sizeof *y->v);
  if (strcmp(op, "conv") == 0)
    conv(n, in, y), add_bias(&in[2], y);
  else if (strcmp(op, "conv_transpose") == 0)
    conv_transpose(n, in, y), add_bias(&in[2], y);
  else if (strcmp(op, "max_pool") == 0 || strcmp(op, "average_pool") == 0)
    pool(n, &in[0], y, op[0] == 'a');
  else if (strcmp(op, "gemm") == 0)
    gemm(n, in, y);
  else if (strcmp(op, "matmul") == 0)
    matmul(in, y);
  else if (strcmp(op, "batch_norm") == 0)
    batch_norm(n, in, y);
  else if (strcmp(op, "instance_norm") == 0)
    instance_norm(n, in, y);
  else if (strcmp(op, "lrn") == 0)
    lrn(n, &in[0], y);
  else if (strcmp(op, "softmax") == 0 || strcmp(op, "log_softmax") == 0)
    softmax(n, &in[0], y, op[0] == 'l');
  else
    return false;
  for (uint32_t i = 0; i < n->n_steps; i++) {
    const struct gie_step *s = &n->steps[i];
    FOR(k, y->count) y->v[k] = step(s, y->v[k], s->operand >= 0 ? read_broadcast(&in[s->operand], y, k) : 0);
  }
  return true;
}
