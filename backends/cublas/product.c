/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a node as one product of matrices. */
#include "backends/cublas/cublas.h"

#include <gie/window.h>
#include <stdio.h>

bool(cb_refuse)(char *why, size_t size, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(why, size, fmt, ap);
  va_end(ap);
  return false;
}

static bool is_op(const struct gie_problem *p, const char *op) { return strcmp(p->node->op->name, op) == 0; }
bool cb_is_conv(const struct gie_problem *p) { return is_op(p, "conv"); }

bool cb_has_in(const struct gie_problem *p, uint32_t i)
{
  return i < p->node->n_operands && p->in[i].dtype != GIE_DTYPE_NONE;
}

bool cb_weights_are_constant(const struct gie_problem *p)
{
  return p->in_data && p->in_data[1] && p->in[1].rank >= 2;
}

/* ---- What there is a product for ------------------------------------------------------------------ */

static bool check_conv(const struct gie_problem *p, char *why, size_t size)
{
  int n = p->in[0].rank - 2;
  struct gie_window w;
  const char *reason;
  if (n < 1 || n > 3 || p->in[1].rank != n + 2 || p->out[0].rank != n + 2)
    return cb_refuse(why, size, "%d spatial axes; it has kernels for 1 to 3", n);
  if (gie_node_int(p->node, "group") != 1)
    return cb_refuse(why, size, "group > 1");
  if (!gie_window_read(p->node, n, p->in[0].dim + 2, p->in[1].dim + 2, &w, &reason))
    return cb_refuse(why, size, "%s", reason);
  for (int i = 0; i < n; i++) {
    if (w.kernel[i] != 1)
      return cb_refuse(why, size, "a kernel larger than 1x1");
    if (w.pad_begin[i] || w.pad_end[i])
      return cb_refuse(why, size, "padding");
    if (w.out[i] != p->out[0].dim[2 + i])
      return cb_refuse(why, size, "the result's axis %d does not fit the window", 2 + i);
  }
  return true;
}

static bool check_tensor(const struct gie_problem *p, const struct gie_desc *d, char *why, size_t size)
{
  if (d->dtype == GIE_DTYPE_NONE)
    return true;
  if (d->dtype != p->in[0].dtype)
    return cb_refuse(why, size, "operands of several element types");
  for (int i = 0; i < d->rank; i++)
    if (d->dim[i] < 1 || d->dim[i] > INT32_MAX)
      return cb_refuse(why, size, "%s", d->dim[i] ? "an axis above 2^31-1" : "no elements");
  return true;
}

bool cb_check(const struct gie_problem *p, char *why, size_t size)
{
  if (p->n_in < 2 || p->n_in > GIE_MAX_IO || p->n_out != 1)
    return cb_refuse(why, size, "fewer than 2 or more than %d operands", GIE_MAX_IO);
  if (p->in[0].dtype != GIE_F32 && p->in[0].dtype != GIE_F16)
    return cb_refuse(why, size, "%s; it computes f32 and f16", gie_dtype_name(p->in[0].dtype));
  for (uint32_t i = 0; i < p->n_in; i++)
    if (!check_tensor(p, &p->in[i], why, size))
      return false;
  if (!check_tensor(p, &p->out[0], why, size))
    return false;
  if (cb_is_conv(p))
    return check_conv(p, why, size);
  if (p->in[0].rank < 1 || p->in[1].rank < 1)
    return cb_refuse(why, size, "a factor of rank 0");
  return true;
}

/* ---- Convolution ----------------------------------------------------------------------------------- */

static int64_t stride_of(const struct gie_desc *d, int axis)
{
  return d->dim[axis] > 1 ? d->stride[axis] : 0;
}

/* Images and spatial axes of d, channels left out: dims and strides. Returns how many. */
static int image_axes(const struct gie_desc *d, int64_t *dim, int64_t *stride)
{
  dim[0] = d->dim[0];
  stride[0] = d->stride[0];
  for (int i = 2; i < d->rank; i++) {
    dim[i - 1] = d->dim[i];
    stride[i - 1] = d->stride[i];
  }
  return d->rank - 1;
}

/* The first `axes` of images and spatial axes are the batch, the others the rows. */
static bool image_matrix(const struct gie_desc *d, int axes, struct cb_matrix *m)
{
  int64_t dim[GIE_MAX_RANK] = {0}, stride[GIE_MAX_RANK] = {0};
  int n = image_axes(d, dim, stride);
  *m = (struct cb_matrix){.col = stride_of(d, 1)};
  return axes <= n && gie_cuda_merge_axes(dim, stride, 0, axes, &m->batch) &&
         gie_cuda_merge_axes(dim, stride, axes, n, &m->row);
}

/* The pixels of x that windows of one element see: x itself unless there is a stride. */
static struct gie_desc seen_pixels(const struct gie_problem *p, const struct gie_desc *x,
                                   const struct gie_desc *y)
{
  struct gie_desc d = *x;
  int64_t stride[GIE_MAX_SPATIAL];
  gie_node_ints(p->node, "stride", stride, GIE_MAX_SPATIAL, 1);
  for (int i = 2; i < x->rank; i++) {
    d.dim[i] = y->dim[i];
    if (y->dim[i] > 1)
      d.stride[i] *= stride[i - 2];
  }
  return d;
}

/* As few axes as can be are the batch: none where one stride leads from pixel to pixel and from image to image, the
 * images where these are apart, and every line of pixels where a stride leaves lines out. */
static bool read_conv(const struct gie_problem *p, const struct cb_view *v, struct cb_product *c)
{
  const struct gie_desc *w = &v->in[1], *y = v->out, x = seen_pixels(p, &v->in[0], y);
  int axes = 0, n = x.rank - 1;
  while (axes < n && !(image_matrix(&x, axes, &c->x) && image_matrix(y, axes, &c->y)))
    axes++;
  c->batch_axes = axes;
  c->rows = c->pixels = 1;
  for (int i = 0; i < n; i++) {
    int64_t extent = y->dim[i ? i + 1 : 0];
    *(i < axes ? &c->batch : &c->rows) *= extent;
    c->pixels *= i ? extent : 1;
  }
  c->cols = w->dim[0];
  c->taps = w->dim[1];
  c->w = (struct cb_matrix){.row = stride_of(w, 1), .col = stride_of(w, 0)};
  return axes < n;
}

/* ---- Matrix products ------------------------------------------------------------------------------- */

static bool read_gemm(const struct gie_problem *p, const struct cb_view *v, struct cb_product *c)
{
  const struct gie_desc *a = &v->in[0], *b = &v->in[1], *y = v->out;
  int ta = gie_node_int(p->node, "trans_a") != 0, tb = gie_node_int(p->node, "trans_b") != 0;
  c->rows = y->dim[0];
  c->cols = y->dim[1];
  c->taps = a->dim[1 - ta];
  c->x = (struct cb_matrix){.row = stride_of(a, ta), .col = stride_of(a, 1 - ta)};
  c->w = (struct cb_matrix){.row = stride_of(b, tb), .col = stride_of(b, 1 - tb)};
  c->y = (struct cb_matrix){.row = stride_of(y, 0), .col = stride_of(y, 1)};
  c->alpha = (float)gie_node_float(p->node, "alpha");
  return true;
}

/* A factor or the result of matmul, broadcast to `axes` batch axes. */
struct factor {
  int64_t stride[GIE_MAX_RANK]; /* of the batch axes */
  struct cb_matrix m;
};

static void read_factor(const struct gie_desc *d, int axes, bool drops_row, bool drops_col, struct factor *f)
{
  int has = d->rank - !drops_row - !drops_col; /* batch axes */
  memset(f, 0, sizeof *f);
  for (int i = 0; i < has; i++)
    f->stride[axes - has + i] = stride_of(d, i);
  if (!drops_row)
    f->m.row = stride_of(d, has);
  if (!drops_col)
    f->m.col = stride_of(d, d->rank - 1);
}

/* Batch axes and rows as one, where the other factor is the same for all. */
static bool merge_rows(const int64_t *dim, int axes, int64_t rows, const struct factor *f, int64_t *row)
{
  int64_t d[GIE_MAX_RANK + 1], s[GIE_MAX_RANK + 1];
  for (int i = 0; i < axes; i++) {
    d[i] = dim[i];
    s[i] = f->stride[i];
  }
  d[axes] = rows;
  s[axes] = f->m.row;
  return gie_cuda_merge_axes(d, s, 0, axes + 1, row);
}

static int batch_axes(const struct gie_desc *a, const struct gie_desc *b)
{
  int na = a->rank > 2 ? a->rank - 2 : 0, nb = b->rank > 2 ? b->rank - 2 : 0;
  return na > nb ? na : nb;
}

static bool read_matmul(const struct cb_view *v, struct cb_product *c)
{
  const struct gie_desc *a = &v->in[0], *b = &v->in[1], *y = v->out;
  bool row_vector = a->rank == 1, col_vector = b->rank == 1, same_b = true;
  int axes = batch_axes(a, b);
  struct factor fa, fb, fy;
  int64_t count = 1;
  read_factor(a, axes, row_vector, false, &fa);
  read_factor(b, axes, false, col_vector, &fb);
  read_factor(y, axes, row_vector, col_vector, &fy);
  if (col_vector) /* its one axis is that of the sum */
    fb.m = (struct cb_matrix){.row = stride_of(b, 0)};
  for (int i = 0; i < axes; i++) {
    count *= y->dim[i];
    same_b = same_b && fb.stride[i] == 0;
  }
  c->rows = row_vector ? 1 : a->dim[a->rank - 2];
  c->cols = col_vector ? 1 : b->dim[b->rank - 1];
  c->taps = a->dim[a->rank - 1];
  c->x = fa.m;
  c->w = fb.m;
  c->y = fy.m;
  if (same_b && merge_rows(y->dim, axes, c->rows, &fa, &c->x.row) &&
      merge_rows(y->dim, axes, c->rows, &fy, &c->y.row)) {
    c->rows *= count;
    return true;
  }
  c->x.row = fa.m.row;
  c->y.row = fy.m.row;
  c->batch = count;
  return gie_cuda_merge_axes(y->dim, fa.stride, 0, axes, &c->x.batch) &&
         gie_cuda_merge_axes(y->dim, fb.stride, 0, axes, &c->w.batch) &&
         gie_cuda_merge_axes(y->dim, fy.stride, 0, axes, &c->y.batch);
}

/* ---- All of them ------------------------------------------------------------------------------------ */

bool cb_read(const struct gie_problem *p, const struct cb_view *v, struct cb_product *out, char *why,
             size_t size)
{
  struct cb_product c = {
      .batch = 1, .pixels = 1, .bias = -1, .add_in = -1, .alpha = 1, .dtype = v->in[0].dtype};
  bool fits = cb_is_conv(p)      ? read_conv(p, v, &c)
              : is_op(p, "gemm") ? read_gemm(p, v, &c)
                                 : read_matmul(v, &c);
  if (!fits)
    return cb_refuse(why, size, "axes that are no one row, column and batch of a matrix");
  if (v->packed) {
    bool by_taps = c.w.row == 1 || c.taps == 1; /* as given: the taps of a column lie together */
    int64_t outer = v->w_stride ? v->w_stride : by_taps ? c.cols : c.taps;
    c.w = by_taps ? (struct cb_matrix){.row = c.taps > 1 ? outer : 0, .col = c.cols > 1}
                  : (struct cb_matrix){.row = 1, .col = c.cols > 1 ? outer : 0};
  }
  *out = c;
  return true;
}

static bool is_full(const struct gie_desc *d, const struct gie_desc *y)
{
  return d->rank == y->rank && memcmp(d->dim, y->dim, (size_t)d->rank * sizeof d->dim[0]) == 0;
}

/* d, of the dims of y, as a matrix like y. */
static bool read_like_result(const struct gie_problem *p, const struct cb_view *v, const struct gie_desc *d,
                             struct cb_product *c)
{
  struct factor f;
  if (cb_is_conv(p))
    return image_matrix(d, c->batch_axes, &c->add);
  bool gemm = is_op(p, "gemm"), row_vector = !gemm && v->in[0].rank == 1,
       col_vector = !gemm && v->in[1].rank == 1;
  int axes = gemm ? 0 : batch_axes(&v->in[0], &v->in[1]);
  read_factor(d, axes, row_vector, col_vector, &f);
  c->add = f.m;
  if (c->batch > 1)
    return gie_cuda_merge_axes(d->dim, f.stride, 0, axes, &c->add.batch);
  return merge_rows(d->dim, axes, row_vector ? 1 : d->dim[axes], &f, &c->add.row);
}

/* One value per column, next to each other. */
static bool is_per_column(const struct gie_problem *p, const struct gie_desc *d, const struct gie_desc *y)
{
  struct gie_cuda_tensor t;
  return gie_cuda_tensor_make(d, y, gie_cuda_channel_axis(p->node, y->rank), &t) && t.stride_n == 0 &&
         t.stride_p == 0 && (t.stride_c == 1 || t.c == 1);
}

static bool take_addend(const struct gie_problem *p, const struct cb_view *v, uint32_t operand, float beta,
                        struct cb_product *io, char *why, size_t size)
{
  if (io->add_in >= 0)
    return cb_refuse(why, size, "two addends");
  if (!read_like_result(p, v, &v->in[operand], io))
    return cb_refuse(why, size, "an addend that lies otherwise than the result");
  io->add_in = (int32_t)operand;
  io->beta = beta;
  return true;
}

bool cb_read_addend(const struct gie_problem *p, const struct cb_view *v, struct cb_product *io, char *why,
                    size_t size)
{
  float beta = is_op(p, "gemm") ? (float)gie_node_float(p->node, "beta") : 1;
  bool column = is_op(p, "matmul") && v->in[1].rank == 1; /* the result's last axis is no column */
  if (!cb_has_in(p, 2))
    return true;
  if (cb_is_conv(p) || (beta == 1 && !column && is_per_column(p, &v->in[2], v->out))) {
    io->bias = 2;
    return true;
  }
  if (!is_full(&v->in[2], v->out))
    return cb_refuse(why, size, "an addend that is neither one row nor of the result's size");
  return take_addend(p, v, 2, beta, io, why, size);
}

bool cb_read_steps(const struct gie_problem *p, const struct cb_view *v, uint32_t n_steps,
                   struct cb_product *io, char *why, size_t size)
{
  bool column = is_op(p, "matmul") && v->in[1].rank == 1;
  for (uint32_t i = 0; i < n_steps; i++) {
    const struct gie_step *s = &p->node->steps[i];
    const char *op = s->op->name;
    if (io->act != CB_ACT_NONE)
      return cb_refuse(why, size, "step %s behind an activation", op);
    if (strcmp(op, "relu") == 0)
      io->act = CB_ACT_RELU;
    else if (strcmp(op, "gelu") == 0 && gie_step_int(s, "tanh"))
      io->act = CB_ACT_GELU;
    else if (strcmp(op, "add") != 0 || s->operand < 0)
      return cb_refuse(why, size, "step %s", op);
    else if (io->bias < 0 && !column && is_per_column(p, &v->in[s->operand], v->out))
      io->bias = s->operand;
    else if (!is_full(&v->in[s->operand], v->out))
      return cb_refuse(why, size, "step add of an operand that is broadcast");
    else if (!take_addend(p, v, (uint32_t)s->operand, 1, io, why, size))
      return false;
  }
  return true;
}
