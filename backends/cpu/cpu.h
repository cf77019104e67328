/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the cpu backend: how its reference kernels see tensors, rows of numbers, epilogues and
 * threads. Types, layouts, views and broadcasting are dealt with here once:
 *
 *   - A kernel reads a row of elements along one axis as doubles (float dtypes) or int64 (integers
 *     and bool; u64 keeps its bits), whatever the memory looks like, and computes on those.
 *   - It hands finished rows to cpu_emit(), which runs the epilogue and rounds once.
 *
 * Floating-point sums are kept in double whatever the storage is, so that the reference is more
 * exact than what is compared with it. Integers wrap in their own width. */
#ifndef GIE_BACKENDS_CPU_H
#define GIE_BACKENDS_CPU_H

#include <gie/module.h>
#include <gie/window.h>

/* ---- Tensors (tensor.c) ---------------------------------------------------------------------- */

/* Element idx[] lies at sum of idx[i]*stride[i]; on block_axis (or -1) it is
 * idx/block*stride + idx%block. A stride of 0 broadcasts. */
struct cpu_tensor {
  char *data;
  enum gie_dtype dtype;
  int rank;
  int block_axis;
  int64_t block;
  int64_t dim[GIE_MAX_RANK], stride[GIE_MAX_RANK];
};

struct cpu_tensor cpu_tensor_of(const struct gie_desc *d, void *data);
/* Aligned at the last axis and stretched to that shape, as numpy broadcasts. The shapes must fit. */
struct cpu_tensor cpu_broadcast(const struct cpu_tensor *t, int rank, const int64_t *dim);
/* A rank-1 tensor stretched to that shape along `axis` (parameters per channel). */
struct cpu_tensor cpu_along(const struct cpu_tensor *t, int axis, int rank, const int64_t *dim);
/* Inserts an axis of extent 1 before `axis`. */
void cpu_insert_axis(struct cpu_tensor *t, int axis);
void cpu_swap_axes(struct cpu_tensor *t, int a, int b);
int64_t cpu_offset(const struct cpu_tensor *t, const int64_t *idx);
int64_t cpu_count(const struct cpu_tensor *t);
/* Row-major without gaps from axis `from` on. */
bool cpu_is_dense(const struct cpu_tensor *t, int from);
/* A range of indices to visit row by row: rows run along `axis` and hold at most CPU_ROW elements. */
#define CPU_ROW 256
struct cpu_box {
  int rank, axis; /* axis -1: rank 0, one row of one element */
  int64_t begin[GIE_MAX_RANK], dim[GIE_MAX_RANK];
  int64_t chunks, rows;
};
/* All indices of t, or those where each axis of the set `fixed` (bits) has the index at[axis]. The
 * axis of the rows is the one whose elements lie closest. */
struct cpu_box cpu_box(const struct cpu_tensor *t, unsigned fixed, const int64_t *at);
/* All indices of t, rows along `axis`. */
struct cpu_box cpu_box_along(const struct cpu_tensor *t, int axis);
/* Start of row number `row`; returns how many elements it has. */
int cpu_box_at(const struct cpu_box *b, int64_t row, int64_t *idx);
/* Zeroes the lanes that fill up the last block of a blocked axis. */
void cpu_zero_lanes(const struct cpu_tensor *t);

/* ---- Numbers (number.c) ----------------------------------------------------------------------- */

static inline bool cpu_is_float(enum gie_dtype t) { return gie_dtype_class(t) == 'f'; }

/* A row of numbers. `dtype` says which member is used and what integers wrap to; floats are not
 * rounded to it before they are stored. */
struct cpu_row {
  enum gie_dtype dtype;
  union {
    double f[CPU_ROW];
    int64_t i[CPU_ROW];
  };
};

/* n elements from idx on, `step` indices apart along axis (-1: one element), as double[] or
 * int64_t[] by the dtype's class. */
void cpu_read(const struct cpu_tensor *t, const int64_t *idx, int axis, int64_t step, int64_t n, void *dst);
/* The same as doubles whatever the dtype is. */
void cpu_read_double(const struct cpu_tensor *t, const int64_t *idx, int axis, int64_t step, int64_t n,
                     double *dst);
void cpu_read_row(const struct cpu_tensor *t, const int64_t *idx, int axis, int n, struct cpu_row *row);
/* All elements behind idx[0..from) in row-major order, like cpu_read(). */
void cpu_read_flat(const struct cpu_tensor *t, const int64_t *idx, int from, void *dst);
/* Stores the row, converted to t's dtype: the one rounding. */
void cpu_write_row(const struct cpu_tensor *t, const int64_t *idx, int axis, int n, struct cpu_row *row);
/* Float to integer truncates, saturates and takes NaN to 0; integers wrap; bool is x != 0. */
void cpu_row_convert(struct cpu_row *row, int n, enum gie_dtype to);
int64_t cpu_wrap(int64_t v, enum gie_dtype t);
int64_t cpu_saturate(double v, enum gie_dtype t);
/* Elements of a small integer tensor of rank ≤ 1; returns their number, -1 when more than max. */
int cpu_read_ints(const struct cpu_tensor *t, int64_t *out, int max);

/* ---- Pointwise functions (functions.c), shared by nodes and epilogue steps --------------------- */

struct cpu_scalar { /* attributes */
  double alpha, beta;
  enum gie_dtype to;
};
/* a = f(a, b) for n elements. false: integer division by zero. */
typedef bool cpu_row_fn(struct cpu_row *a, const struct cpu_row *b, int n, const struct cpu_scalar *s);
struct cpu_function {
  const char *op;
  cpu_row_fn *on_float, *on_int; /* NULL: not defined on that class */
  const char *alpha, *beta;      /* attributes that it reads */
};
const struct cpu_function *cpu_function_find(const char *op);

struct cpu_step {
  const struct cpu_function *fn;
  struct cpu_scalar scalar;
  int32_t operand;
  bool reverse;
};
struct cpu_scalar cpu_scalar_read(const struct cpu_function *fn, const struct gie_op *op,
                                  const struct gie_attrs *attrs);
bool cpu_apply(const struct cpu_step *s, struct cpu_row *a, const struct cpu_row *b, int n);

/* ---- Calls (cpu.c, run.c) ------------------------------------------------------------------------ */

struct cpu_call;

/* A reference kernel, the `user` of its gie_kernel. */
struct cpu_op {
  gie_status (*run)(const struct cpu_call *c);
  /* What op tables and shape inference did not already make sure of; NULL: nothing. */
  bool (*check)(const struct gie_problem *p, char *why, size_t size);
  /* Scratch bytes that each thread needs, and that all share. NULL: none. */
  void (*scratch)(const struct gie_problem *p, size_t *per_thread, size_t *shared);
  bool steps; /* run() goes through cpu_emit(), so epilogues work */
};

struct cpu_instance {
  const struct cpu_op *op;
  struct gie_context *ctx;
  const struct gie_node *node;
  uint32_t n_in, n_out, n_steps;
  struct gie_desc *in, *out;
  struct cpu_step *steps;
  struct cpu_step self; /* a pointwise node's own function */
  int slots;            /* threads that have scratch */
  size_t slot_bytes, shared_bytes;
};

struct cpu_call {
  const struct cpu_instance *self;
  const struct gie_launch *launch;
};

static inline bool cpu_has_in(const struct cpu_call *c, uint32_t i)
{
  return i < c->self->node->n_operands && c->self->in[i].dtype != GIE_DTYPE_NONE && c->launch->in[i];
}
static inline struct cpu_tensor cpu_in(const struct cpu_call *c, uint32_t i)
{
  return cpu_tensor_of(&c->self->in[i], c->launch->in[i]);
}
static inline bool cpu_has_out(const struct cpu_call *c, uint32_t i)
{
  return i < c->self->n_out && c->self->out[i].dtype != GIE_DTYPE_NONE && c->launch->out[i];
}
static inline struct cpu_tensor cpu_out(const struct cpu_call *c, uint32_t i)
{
  return cpu_tensor_of(&c->self->out[i], c->launch->out[i]);
}
void *cpu_scratch(const struct cpu_call *c, int slot); /* this thread's */
void *cpu_scratch_shared(const struct cpu_call *c);

/* Runs body(item) for 0 … n-1 on the threads of the launch, at least `grain` items each. The first
 * failure is returned; items after it may be left out. */
typedef gie_status cpu_body(const struct cpu_call *c, const void *arg, int64_t item, int slot);
gie_status cpu_for(const struct cpu_call *c, int64_t n, int64_t grain, cpu_body *body, const void *arg);

/* Runs the epilogue on a row of result 0 and stores it. The row's dtype is what the op itself yields. */
gie_status cpu_emit(const struct cpu_call *c, const int64_t *idx, int axis, int n, struct cpu_row *row);

/* The reference kernel of an op, NULL if there is none; that of if is in branch.c. */
const struct gie_kernel *cpu_kernel_of(const char *op);
extern const struct gie_kernel cpu_kernel_if;

gie_status cpu_fail_division(const struct cpu_call *c);
__attribute__((format(printf, 3, 4))) bool cpu_refuse(char *why, size_t size, const char *fmt, ...);

/* ---- What the cost model is told (cost.c) --------------------------------------------------------- */

/* Peaks with all `units` cores; measured by the first call, which takes up to 0.2 s. */
gie_status cpu_peaks(struct gie_context *ctx, uint32_t units, struct gie_peaks *out);
void cpu_estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                  struct gie_cost *out);

/* ---- Sums of products (contract.c) ---------------------------------------------------------------- */

/* out[o][r][c] = sum over t of a[o][r][t] * b[o][t][c], for convolutions and matrix products. In
 * double, or for integers modulo 2^64. load_b fills taps rows of CPU_COLS, of which n count. */
#define CPU_COLS 32
struct cpu_contract {
  int64_t outer, rows, cols, taps;
  const void *op;
  void (*load_a)(const struct cpu_contract *t, int64_t outer, int64_t row, void *dst);
  void (*load_b)(const struct cpu_contract *t, int64_t outer, int64_t col, int n, void *dst);
  gie_status (*emit)(const struct cpu_call *c, const struct cpu_contract *t, int64_t outer, int64_t row,
                     int64_t col, int n, struct cpu_row *sum);
};
size_t cpu_contract_scratch(int64_t taps);
gie_status cpu_contract(const struct cpu_call *c, const struct cpu_contract *t);

#endif
