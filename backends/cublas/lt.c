/* SPDX-License-Identifier: Apache-2.0 */
/* Products as cublasLt's descriptors, and the algorithms that it names for them.
 *
 * Asking takes cublasLt tens of microseconds and a build asks about the same product for every variant and for every
 * callback, so the lists are kept by the library handle. They belong to what cublasLt calls a matmul with operands
 * aligned to 16 bytes; a view has other pitches, for which the algorithm is checked again. */
#include "backends/cublas/lt_api.h"

#include <pthread.h>
#include <stdio.h>

#define MAX_WORKSPACE ((size_t)32 << 20) /* split sums of the largest products that gain by them */
#define ALIGN 16u

_Static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof((struct cb_algo *)0)->opaque,
               "cublasLtMatmulAlgo_t has grown");

/* How each arithmetic is asked for. The mask keeps algorithms out that would round otherwise. */
static const struct {
  cublasComputeType_t compute;
  cudaDataType_t data;
  uint64_t impl;
  uint32_t reduction; /* a sum that is split is added up in f32 */
} MATH[CB_MATHS] = {
    [CB_F32] = {CUBLAS_COMPUTE_32F, CUDA_R_32F,
                CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA | CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_32F |
                    CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_32F,
                CUBLASLT_REDUCTION_SCHEME_MASK},
    [CB_TF32] = {CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F, ~(uint64_t)0, CUBLASLT_REDUCTION_SCHEME_MASK},
    [CB_F16] = {CUBLAS_COMPUTE_32F, CUDA_R_16F, ~(uint64_t)0, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE},
};

/* ---- Shapes ------------------------------------------------------------------------------------------- */

/* A matrix of a x b elements whose a axis, with stride sa, cublasLt shall see as rows. false: neither axis is
 * contiguous or one pitch does not say where the other begins. */
static bool place(int64_t a, int64_t sa, int64_t b, int64_t sb, int32_t *trans, int64_t *ld)
{
  bool plain = sa == 1 || a == 1;
  if (!plain && sb != 1 && b != 1)
    return false;
  int64_t inner = plain ? a : b, outer = plain ? b : a, stride = plain ? sb : sa;
  *trans = !plain;
  *ld = outer == 1 ? inner : stride;
  return *ld >= inner;
}

static int32_t epilogue_of(const struct cb_product *c)
{
  static const cublasLtEpilogue_t LIST[][2] = {
      [CB_ACT_NONE] = {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS},
      [CB_ACT_RELU] = {CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_RELU_BIAS},
      [CB_ACT_GELU] = {CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_BIAS},
  };
  return (int32_t)LIST[c->act][c->bias >= 0];
}

static bool place_factors(const struct cb_product *c, struct cb_lt_shape *s)
{
  if (s->swapped) {
    s->batch_a = c->w.batch;
    s->batch_b = c->x.batch;
    return place(c->cols, c->w.col, c->taps, c->w.row, &s->trans_a, &s->lda) &&
           place(c->taps, c->x.col, c->rows, c->x.row, &s->trans_b, &s->ldb);
  }
  s->batch_a = c->x.batch;
  s->batch_b = c->w.batch;
  return place(c->rows, c->x.row, c->taps, c->x.col, &s->trans_a, &s->lda) &&
         place(c->taps, c->w.row, c->cols, c->w.col, &s->trans_b, &s->ldb);
}

bool cb_lt_shape(const struct cb_product *c, enum cb_math m, struct cb_lt_shape *out, char *why, size_t size)
{
  struct cb_lt_shape s;
  int32_t trans_y, trans_c = 0;
  memset(&s, 0, sizeof s); /* compared byte by byte */
  s.swapped = c->y.col == 1 || c->cols == 1;
  s.m = s.swapped ? c->cols : c->rows;
  s.n = s.swapped ? c->rows : c->cols;
  s.k = c->taps;
  s.batch = c->batch;
  s.math = (int32_t)m;
  s.epilogue = epilogue_of(c);
  s.has_c = c->add_in >= 0;
  s.batch_d = c->y.batch;
  int64_t ym = s.swapped ? c->y.col : c->y.row, yn = s.swapped ? c->y.row : c->y.col;
  int64_t am = s.swapped ? c->add.col : c->add.row, an = s.swapped ? c->add.row : c->add.col;
  if (c->bias >= 0 && !s.swapped)
    return cb_refuse(why, size, "a bias where the channels of the result do not lie together");
  if (!place(s.m, ym, s.n, yn, &trans_y, &s.ldd) || trans_y || !place_factors(c, &s))
    return cb_refuse(why, size, "a matrix with gaps between neighbours both ways");
  s.ldc = s.ldd;
  s.batch_c = s.batch_d;
  if (s.has_c) {
    s.batch_c = c->add.batch;
    if (!place(s.m, am, s.n, an, &trans_c, &s.ldc) || trans_c)
      return cb_refuse(why, size, "an addend in another layout than the result");
  }
  *out = s;
  return true;
}

const char *cb_lt_form_name(const struct cb_lt_shape *s)
{
  static const char *const NAMES[2][2] = {{"NN", "NT"}, {"TN", "TT"}};
  return NAMES[s->trans_a != 0][s->trans_b != 0];
}

/* ---- Descriptors ----------------------------------------------------------------------------------------- */

struct descs {
  cublasLtMatmulDescOpaque_t op;
  cublasLtMatrixLayoutOpaque_t a, b, c, d;
};

static cublasStatus_t make_matrix(cublasLtMatrixLayoutOpaque_t *out, enum cb_math m, int64_t rows,
                                  int64_t cols, int64_t ld, int64_t batch, int64_t stride)
{
  int32_t count = (int32_t)batch;
  cublasStatus_t st = cb_lt.cublasLtMatrixLayoutInit_internal(out, sizeof *out, MATH[m].data, (uint64_t)rows,
                                                              (uint64_t)cols, ld);
  if (st == CUBLAS_STATUS_SUCCESS && batch > 1)
    st = cb_lt.cublasLtMatrixLayoutSetAttribute(out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                                sizeof count);
  if (st == CUBLAS_STATUS_SUCCESS && batch > 1)
    st = cb_lt.cublasLtMatrixLayoutSetAttribute(out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                                sizeof stride);
  return st;
}

static cublasStatus_t set_op(cublasLtMatmulDescOpaque_t *op, cublasLtMatmulDescAttributes_t a, int32_t value)
{
  return cb_lt.cublasLtMatmulDescSetAttribute(op, a, &value, sizeof value);
}

static cublasStatus_t set_bias(cublasLtMatmulDescOpaque_t *op, const void *bias)
{
  return cb_lt.cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

static bool has_bias(const struct cb_lt_shape *s) { return (s->epilogue & CUBLASLT_EPILOGUE_BIAS) != 0; }

static cublasStatus_t make_op(const struct cb_lt_shape *s, cublasLtMatmulDescOpaque_t *op)
{
  cublasStatus_t st = cb_lt.cublasLtMatmulDescInit_internal(op, sizeof *op, MATH[s->math].compute,
                                                            CUDA_R_32F);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = set_op(op, CUBLASLT_MATMUL_DESC_TRANSA, s->trans_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = set_op(op, CUBLASLT_MATMUL_DESC_TRANSB, s->trans_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = set_op(op, CUBLASLT_MATMUL_DESC_EPILOGUE, s->epilogue);
  /* whoever only asks reads the alignment off the address */
  if (st == CUBLAS_STATUS_SUCCESS && has_bias(s))
    st = set_bias(op, (const void *)(uintptr_t)ALIGN);
  return st;
}

static cublasStatus_t make_descs(const struct cb_lt_shape *s, struct descs *d)
{
  enum cb_math m = (enum cb_math)s->math;
  int64_t ar = s->trans_a ? s->k : s->m, ac = s->trans_a ? s->m : s->k;
  int64_t br = s->trans_b ? s->n : s->k, bc = s->trans_b ? s->k : s->n;
  cublasStatus_t st = make_op(s, &d->op);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = make_matrix(&d->a, m, ar, ac, s->lda, s->batch, s->batch_a);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = make_matrix(&d->b, m, br, bc, s->ldb, s->batch, s->batch_b);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = make_matrix(&d->c, m, s->m, s->n, s->ldc, s->batch, s->batch_c);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = make_matrix(&d->d, m, s->m, s->n, s->ldd, s->batch, s->batch_d);
  return st;
}

static cublasStatus_t make_preference(enum cb_math m, cublasLtMatmulPreferenceOpaque_t *out)
{
  static const cublasLtMatmulPreferenceAttributes_t ALIGNMENTS[] = {
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
  const size_t workspace = MAX_WORKSPACE;
  const uint32_t align = ALIGN;
  cublasStatus_t st = cb_lt.cublasLtMatmulPreferenceInit_internal(out, sizeof *out);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = cb_lt.cublasLtMatmulPreferenceSetAttribute(out, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                    sizeof workspace);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = cb_lt.cublasLtMatmulPreferenceSetAttribute(out, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                    &MATH[m].reduction, sizeof MATH[m].reduction);
  if (st == CUBLAS_STATUS_SUCCESS)
    st = cb_lt.cublasLtMatmulPreferenceSetAttribute(out, CUBLASLT_MATMUL_PREF_IMPL_MASK, &MATH[m].impl,
                                                    sizeof MATH[m].impl);
  for (int i = 0; st == CUBLAS_STATUS_SUCCESS && i < 4; i++)
    st = cb_lt.cublasLtMatmulPreferenceSetAttribute(out, ALIGNMENTS[i], &align, sizeof align);
  return st;
}

/* ---- The library handle ------------------------------------------------------------------------------------- */

struct list {
  struct list *next;
  struct cb_lt_shape shape;
  uint32_t n;
  struct cb_algo algo[CB_MAX_ALGOS];
};

#define BUCKETS 256

struct library {
  struct gie_context *ctx;
  cublasLtHandle_t lt;
  pthread_mutex_t lock; /* guards the lists; one that is there stays as it is */
  struct list *lists[BUCKETS];
};

static gie_status library_open(struct gie_context *ctx, void *dev, void **handle)
{
  (void)dev; /* the caller has made it current */
  GIE_TRY(cb_lt_load(ctx));
  cb_set_version();
  struct library *lib = gie_alloc(ctx, 1, sizeof *lib);
  if (!lib)
    return GIE_E_MEMORY;
  lib->ctx = ctx;
  cublasStatus_t st = cb_lt.cublasLtCreate(&lib->lt);
  if (st != CUBLAS_STATUS_SUCCESS) {
    gie_free(ctx, lib);
    return gie_fail(ctx, st == CUBLAS_STATUS_ALLOC_FAILED ? GIE_E_MEMORY : GIE_E_DEVICE,
                    "cublasLt cannot start: %s; check that it fits the driver",
                    cb_lt.cublasLtGetStatusString(st));
  }
  pthread_mutex_init(&lib->lock, NULL);
  *handle = lib;
  return GIE_OK;
}

static void library_close(void *handle)
{
  struct library *lib = handle;
  for (int i = 0; i < BUCKETS; i++)
    for (struct list *l = lib->lists[i], *next; l; l = next) {
      next = l->next;
      gie_free(lib->ctx, l);
    }
  cb_lt.cublasLtDestroy(lib->lt);
  pthread_mutex_destroy(&lib->lock);
  gie_free(lib->ctx, lib);
}

const struct gie_library cb_library = {.struct_size = sizeof cb_library,
                                       .name = "cublasLt",
                                       .open = library_open,
                                       .close = library_close};

void cb_version(char *buf, size_t size)
{
  unsigned v = (unsigned)cb_lt.cublasLtGetVersion();
  snprintf(buf, size, "cublasLt %u.%u.%u", v / 10000, v / 100 % 100, v % 100);
}

/* ---- Asking -------------------------------------------------------------------------------------------------- */

static uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
  const unsigned char *b = p;
  for (size_t i = 0; i < n; i++)
    h = (h ^ b[i]) * 1099511628211u;
  return h;
}
#define HASH_START 14695981039346656037u

/* Everything that tells one algorithm of a shape from another. */
static void describe(const cublasLtMatmulHeuristicResult_t *r, struct cb_algo *out)
{
  static const struct {
    cublasLtMatmulAlgoConfigAttributes_t attribute;
    size_t size;
  } PARTS[] = {
      {CUBLASLT_ALGO_CONFIG_ID, 4},
      {CUBLASLT_ALGO_CONFIG_TILE_ID, 4},
      {CUBLASLT_ALGO_CONFIG_STAGES_ID, 4},
      {CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4},
      {CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4},
      {CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4},
      {CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4},
      {CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2},
      {CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2},
  };
  int32_t v[sizeof PARTS / sizeof *PARTS] = {0};
  for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
    (void)cb_lt.cublasLtMatmulAlgoConfigGetAttribute(&r->algo, PARTS[i].attribute, &v[i], PARTS[i].size,
                                                     NULL);
  uint64_t h = hash_bytes(HASH_START, v, sizeof v);
  *out = (struct cb_algo){.hash = (h ^ h >> 47) & (((uint64_t)1 << 47) - 1),
                          .workspace = r->workspaceSize,
                          .waves = r->wavesCount,
                          .id = v[0],
                          .tile = v[1],
                          .stages = v[2],
                          .split = v[3]};
  memcpy(out->opaque, &r->algo, sizeof out->opaque);
}

static bool is_known(const struct list *l, uint64_t hash)
{
  for (uint32_t i = 0; i < l->n; i++)
    if (l->algo[i].hash == hash)
      return true;
  return false;
}

static void ask(struct library *lib, struct list *l)
{
  cublasLtMatmulHeuristicResult_t results[CB_MAX_ALGOS];
  cublasLtMatmulPreferenceOpaque_t preference;
  struct descs d;
  int n = 0;
  if (make_descs(&l->shape, &d) != CUBLAS_STATUS_SUCCESS ||
      make_preference((enum cb_math)l->shape.math, &preference) != CUBLAS_STATUS_SUCCESS ||
      cb_lt.cublasLtMatmulAlgoGetHeuristic(lib->lt, &d.op, &d.a, &d.b, &d.c, &d.d, &preference, CB_MAX_ALGOS,
                                           results, &n) != CUBLAS_STATUS_SUCCESS)
    return;
  for (int i = 0; i < n; i++) {
    struct cb_algo a;
    if (results[i].state != CUBLAS_STATUS_SUCCESS || results[i].workspaceSize > MAX_WORKSPACE)
      continue;
    describe(&results[i], &a);
    if (!is_known(l, a.hash))
      l->algo[l->n++] = a;
  }
}

uint32_t cb_lt_algos(void *library, const struct cb_lt_shape *s, const struct cb_algo **out)
{
  struct library *lib = library;
  struct list **bucket = &lib->lists[hash_bytes(HASH_START, s, sizeof *s) % BUCKETS], *l;
  pthread_mutex_lock(&lib->lock);
  for (l = *bucket; l && memcmp(&l->shape, s, sizeof *s) != 0;)
    l = l->next;
  if (!l && (l = gie_alloc(lib->ctx, 1, sizeof *l)) != NULL) {
    l->shape = *s;
    ask(lib, l);
    l->next = *bucket;
    *bucket = l;
  }
  pthread_mutex_unlock(&lib->lock);
  *out = l ? l->algo : NULL;
  return l ? l->n : 0;
}

static const struct cb_algo *find(void *library, const struct cb_lt_shape *s, uint64_t hash)
{
  const struct cb_algo *a;
  uint32_t n = cb_lt_algos(library, s, &a);
  for (uint32_t i = 0; i < n; i++)
    if (a[i].hash == hash)
      return &a[i];
  return NULL;
}

gie_status cb_lt_find(struct gie_context *ctx, void *library, const struct cb_lt_shape *dense,
                      const struct cb_lt_shape *here, uint64_t hash, struct cb_algo *out)
{
  struct library *lib = library;
  cublasLtMatmulHeuristicResult_t result;
  cublasLtMatmulAlgo_t algo;
  struct descs d;
  const struct cb_algo *a = find(library, dense, hash);
  bool same = memcmp(dense, here, sizeof *dense) == 0;
  if (a && !same) {
    memcpy(&algo, a->opaque, sizeof algo);
    if (make_descs(here, &d) == CUBLAS_STATUS_SUCCESS &&
        cb_lt.cublasLtMatmulAlgoCheck(lib->lt, &d.op, &d.a, &d.b, &d.c, &d.d, &algo, &result) ==
            CUBLAS_STATUS_SUCCESS &&
        result.workspaceSize <= MAX_WORKSPACE) {
      *out = *a;
      out->workspace = result.workspaceSize;
      return GIE_OK;
    }
    a = find(library, here, hash);
  }
  if (!a)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "cublasLt does not take these pitches with that algorithm");
  *out = *a;
  return GIE_OK;
}

/* ---- Running --------------------------------------------------------------------------------------------------- */

struct cb_lt_call {
  struct descs d;
  cublasLtMatmulAlgo_t algo;
  size_t workspace;
  float alpha, beta;
  bool swapped, has_bias;
};

static gie_status failed(struct gie_context *ctx, const char *what, cublasStatus_t st)
{
  return gie_fail(ctx,
                  st == CUBLAS_STATUS_ALLOC_FAILED    ? GIE_E_MEMORY
                  : st == CUBLAS_STATUS_NOT_SUPPORTED ? GIE_E_UNSUPPORTED
                                                      : GIE_E_DEVICE,
                  "cublasLt cannot %s: %s", what, cb_lt.cublasLtGetStatusString(st));
}

gie_status cb_lt_call_new(struct gie_context *ctx, const struct cb_lt_shape *s, const struct cb_algo *a,
                          float alpha, float beta, struct cb_lt_call **out)
{
  struct cb_lt_call *c = gie_alloc(ctx, 1, sizeof *c);
  if (!c)
    return GIE_E_MEMORY;
  cublasStatus_t st = make_descs(s, &c->d);
  if (st != CUBLAS_STATUS_SUCCESS) {
    gie_free(ctx, c);
    return failed(ctx, "describe the product", st);
  }
  memcpy(&c->algo, a->opaque, sizeof c->algo);
  c->workspace = a->workspace;
  c->alpha = alpha;
  c->beta = beta;
  c->swapped = s->swapped;
  c->has_bias = has_bias(s);
  *out = c;
  return GIE_OK;
}

void cb_lt_call_free(struct gie_context *ctx, struct cb_lt_call *c) { gie_free(ctx, c); }

gie_status cb_lt_call_run(const struct cb_lt_call *c, const struct gie_launch *l, const void *x,
                          const void *w, const void *add, const void *bias, void *y)
{
  const struct library *lib = l->library;
  struct descs d = c->d; /* the address of the bias is part of it, and runs may overlap */
  const void *a = c->swapped ? w : x, *b = c->swapped ? x : w;
  if (!lib)
    return gie_fail(l->ctx, GIE_E_INTERNAL, "launched without the handle of cublasLt");
  cublasStatus_t st = c->has_bias ? set_bias(&d.op, bias) : CUBLAS_STATUS_SUCCESS;
  if (st == CUBLAS_STATUS_SUCCESS)
    st = cb_lt.cublasLtMatmul(lib->lt, &d.op, &c->alpha, a, &d.a, b, &d.b, &c->beta, add ? add : y, &d.c, y,
                              &d.d, &c->algo, l->workspace, c->workspace, gie_cuda_stream(l));
  return st == CUBLAS_STATUS_SUCCESS ? GIE_OK : failed(l->ctx, "run the product", st);
}
