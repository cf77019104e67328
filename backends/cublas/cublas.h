/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the cublas backend: matrix products on the device kind "cuda", by cublasLt and by own kernels for few rows.
 *
 *   product.c    a conv 1x1, gemm or matmul as one (batched) product y = act(alpha·x·w + beta·add + bias)
 *   forms.c      in which layouts and with which weights a product is offered; packing
 *   lt.c         a product as cublasLt's descriptors; the algorithms that it names, kept by the library handle
 *   lt_api.c     its functions, loaded when a device needs them
 *   kernel.c     supports, variants, estimate, workspace by asking; instances
 *   gemv.c       the kernels for few rows: supports … create; k_gemv.cu has the device code
 *
 * A matrix is three strides (row, column, batch), so a layout is only a choice of these: channels last makes the rows
 * of x, plain nchw its columns, contiguous. cublasLt counts by columns; the names NN, NT, TN and TT are those of
 * its operands for the product at hand. */
#ifndef GIE_BACKENDS_CUBLAS_H
#define GIE_BACKENDS_CUBLAS_H

#include <gie/cuda.h>
#include <gie/module.h>

__attribute__((format(printf, 3, 4))) bool cb_refuse(char *why, size_t size, const char *fmt, ...);
#ifdef __clang_analyzer__ /* does not look into variadic functions */
#define cb_refuse(why, size, ...) ((void)(cb_refuse)(why, size, __VA_ARGS__), false)
#endif

/* ---- Numbers: how a kernel computes -------------------------------------------------------------- */

/* Part of a variant's config, so only add. */
enum cb_math { CB_F32, CB_TF32, CB_F16, CB_MATHS };
enum gie_dtype cb_dtype(enum cb_math m);
/* Whether the problem allows it. A problem in f32 may be offered to be computed in f16. */
bool cb_math_allowed(const struct gie_problem *p, enum cb_math m, char *why, size_t size);

/* ---- Products (product.c) ------------------------------------------------------------------------- */

struct cb_matrix {
  int64_t row, col, batch; /* strides in elements; 0 along an axis of 1 */
};

enum cb_act { CB_ACT_NONE, CB_ACT_RELU, CB_ACT_GELU };

struct cb_product {
  int64_t rows, cols, taps, batch; /* y is rows x cols, the sum goes over taps */
  struct cb_matrix x, w, y, add;
  int64_t pixels;       /* rows of one image; 1: rows are images */
  int32_t batch_axes;   /* of a convolution: images and spatial axes that are the batch */
  int32_t bias, add_in; /* operand with one value per column; operand that is added; -1: none */
  float alpha, beta;    /* beta is the factor of the addend; 0 without */
  enum cb_act act;
  enum gie_dtype dtype; /* of everything */
};

/* Which matrix an operand is read as. */
struct cb_view {
  const struct gie_desc *in, *out; /* as they lie, or would lie */
  bool packed;                     /* w lies the other way round, without gaps */
  int64_t w_stride;                /* with packed: of the outer axis; 0: as long as the inner one */
};

/* The shape of the product, without strides: what a kernel could take at all. */
bool cb_check(const struct gie_problem *p, char *why, size_t size);
/* The product with its strides, without the epilogue. false: no one row, column and batch stride says it. */
bool cb_read(const struct gie_problem *p, const struct cb_view *v, struct cb_product *out, char *why,
             size_t size);
/* The first n_steps steps as addend and activation. false: cublasLt has no such epilogue. */
bool cb_read_steps(const struct gie_problem *p, const struct cb_view *v, uint32_t n_steps,
                   struct cb_product *io, char *why, size_t size);
/* gemm's c or matmul's bias: one value per column, or an addend of the result's size. */
bool cb_read_addend(const struct gie_problem *p, const struct cb_view *v, struct cb_product *io, char *why,
                    size_t size);
bool cb_is_conv(const struct gie_problem *p);
bool cb_has_in(const struct gie_problem *p, uint32_t i);
bool cb_weights_are_constant(const struct gie_problem *p);

/* ---- Forms (forms.c) ------------------------------------------------------------------------------ */

/* What a variant says besides its algorithm; the low 16 bits of its config, so only add. */
struct cb_form {
  bool x_last, y_last; /* channels last; a matrix product has neither */
  bool packed;         /* the weights lie the other way round than given */
  enum cb_math math;
};
#define CB_MAX_FORMS 8

/* The forms to offer for that problem, best guess first; returns how many. */
uint32_t cb_forms(const struct gie_problem *p, enum cb_math m, struct cb_form out[CB_MAX_FORMS]);
uint64_t cb_form_code(const struct cb_form *f);
struct cb_form cb_form_of(uint64_t config);
/* Descriptors as that form wants them, without gaps: in[] has room for p->n_in. */
bool cb_form_descs(const struct gie_problem *p, const struct cb_form *f, struct gie_desc *in,
                   struct gie_desc *out);
/* Fills dtypes, layouts, pitch and alignment of a variant. */
void cb_form_ports(const struct gie_problem *p, const struct cb_form *f, struct gie_variant *v);

/* Packed weights: the transpose of operand 1, rows padded with zeros to `stride` elements (0: none). */
uint32_t cb_pack_desc(const struct gie_problem *p, int64_t stride, struct gie_pack *out);
gie_status cb_pack(const struct gie_problem *p, int64_t stride, const struct gie_pack *d, const void *plain,
                   void *packed);

/* ---- cublasLt (lt.c) ------------------------------------------------------------------------------- */

extern const struct gie_library cb_library;
void cb_version(char *buf, size_t size); /* once it is open */
void cb_set_version(void);               /* of the kernels: cublas.c */

/* A product as cublasLt sees it; all plain numbers, so that products can be compared byte by byte. */
struct cb_lt_shape {
  int64_t m, n, k, batch;
  int64_t lda, ldb, ldc, ldd;
  int64_t batch_a, batch_b, batch_c, batch_d;
  int32_t trans_a, trans_b;
  int32_t swapped; /* y's columns are contiguous: a is w */
  int32_t math;    /* enum cb_math */
  int32_t epilogue, has_c;
};

/* An algorithm that cublasLt named for a shape. */
struct cb_algo {
  uint64_t hash; /* of everything that tells it from others; 47 bits */
  size_t workspace;
  float waves;
  int32_t tile, stages, split, id;
  uint64_t opaque[8]; /* cublasLtMatmulAlgo_t */
};
#define CB_MAX_ALGOS 32

/* false: cublasLt has no way of addressing these strides, or no such epilogue. */
bool cb_lt_shape(const struct cb_product *c, enum cb_math m, struct cb_lt_shape *out, char *why, size_t size);
/* The algorithms for a shape; the list belongs to the library handle and stays as it is. */
uint32_t cb_lt_algos(void *library, const struct cb_lt_shape *s, const struct cb_algo **out);
/* The algorithm with that hash of the list for `dense`, checked for `here`. */
gie_status cb_lt_find(struct gie_context *ctx, void *library, const struct cb_lt_shape *dense,
                      const struct cb_lt_shape *here, uint64_t hash, struct cb_algo *out);
const char *cb_lt_form_name(const struct cb_lt_shape *s); /* "NN", "NT", "TN", "TT" */

struct cb_lt_call; /* descriptors of a shape, ready to run */
gie_status cb_lt_call_new(struct gie_context *ctx, const struct cb_lt_shape *s, const struct cb_algo *a,
                          float alpha, float beta, struct cb_lt_call **out);
void cb_lt_call_free(struct gie_context *ctx, struct cb_lt_call *c);
/* Launches y = …; add and bias may be NULL. */
gie_status cb_lt_call_run(const struct cb_lt_call *c, const struct gie_launch *l, const void *x,
                          const void *w, const void *add, const void *bias, void *y);

/* ---- Few rows (gemv.c) -------------------------------------------------------------------------------- */

extern const struct gie_kernel cb_gemv;

/* ---- Kernels ----------------------------------------------------------------------------------------- */

bool cb_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size);
uint32_t cb_variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                     uint32_t max);
void cb_estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                 struct gie_cost *out);
uint32_t cb_kernel_pack_desc(const struct gie_kernel *k, const struct gie_problem *p,
                             const struct gie_variant *v, struct gie_pack *out, uint32_t max);
gie_status cb_kernel_pack(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, const struct gie_pack *d, const void *plain,
                          void *packed);
size_t cb_workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v);
gie_status cb_create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     void **instance);
void cb_destroy(void *instance);
gie_status cb_run(void *instance, const struct gie_launch *l);

/* Operations and bytes of the problem in that arithmetic. */
void cb_work(const struct gie_problem *p, enum cb_math m, struct gie_cost *out);

#endif
