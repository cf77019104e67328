/* SPDX-License-Identifier: Apache-2.0 */
/* See gpu_case.h. */
#include "tests/cublas/gpu_case.h"

#include <math.h>

#define UNTOUCHED 0xa5

/* ---- The device ------------------------------------------------------------------------------------------ */

static void no_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user;
  if (level <= GIE_LOG_WARN)
    fprintf(stderr, "%s: %s\n", module, text);
}

static const struct gie_kernel *any_kernel(struct gie_context *ctx)
{
  const struct gie_kernel *k;
  for (uint32_t i = 0; (k = gie_kernel_at(ctx, i)) != NULL; i++)
    if (strncmp(k->name, "cublas.", 7) == 0 && k->library)
      return k;
  return NULL;
}

int gpu_open(struct gpu *g, size_t pool)
{
  struct gie_context_options options = {.struct_size = sizeof options, .log = no_log};
  struct cudaDeviceProp prop;
  int n = 0;
  memset(g, 0, sizeof *g);
  cudaError_t e = cudaGetDeviceCount(&n);
  if (e != cudaSuccess || n == 0) {
    printf("skipped: needs a device of kind cuda (%s)\n",
           e == cudaSuccess ? "none present" : cudaGetErrorString(e));
    return 77;
  }
  if (gie_context_new(&options, &g->ctx) != GIE_OK)
    return 1;
  const struct gie_kernel *k = any_kernel(g->ctx);
  if (!k) {
    printf("the cublas backend is not loaded; is GIE_MODULE_PATH set?\n");
    return 1;
  }
  e = cudaGetDeviceProperties(&prop, 0);
  if (e == cudaSuccess)
    e = cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking);
  if (e == cudaSuccess)
    e = cudaMalloc((void **)&g->pool, pool);
  if (e != cudaSuccess || k->library->open(g->ctx, NULL, &g->library) != GIE_OK) {
    printf("%s; %s\n", cudaGetErrorString(e), gie_error_text(g->ctx));
    return 1;
  }
  g->size = pool;
  g->info = (struct gie_device_info){.struct_size = sizeof g->info,
                                     .flags = GIE_DEVICE_F16,
                                     .units = (uint32_t)prop.multiProcessorCount,
                                     .memory = prop.totalGlobalMem};
  snprintf(g->info.name, sizeof g->info.name, "%.90s", prop.name);
  return 0;
}

void gpu_close(struct gpu *g)
{
  const struct gie_kernel *k = any_kernel(g->ctx);
  k->library->close(g->library);
  cudaFree(g->pool);
  cudaStreamDestroy(g->stream);
  gie_context_free(g->ctx);
}

void *gpu_alloc(struct gpu *g, size_t bytes)
{
  size_t at = (g->used + 255) / 256 * 256;
  if (g->apart) {
    void *p = NULL;
    if (g->n_apart == 64 || cudaMalloc(&p, bytes) != cudaSuccess)
      return NULL;
    return g->apart_at[g->n_apart++] = p;
  }
  if (at + bytes > g->size)
    return NULL;
  g->used = at + bytes;
  return g->pool + at;
}

void gpu_reset(struct gpu *g)
{
  g->used = 0;
  while (g->n_apart > 0)
    cudaFree(g->apart_at[--g->n_apart]);
}

/* ---- Elements ---------------------------------------------------------------------------------------------- */

double gpu_load(enum gie_dtype t, const void *p)
{
  uint16_t h;
  float f;
  if (t == GIE_F16) {
    memcpy(&h, p, sizeof h);
    return (double)gie_f16_to_f32(h);
  }
  memcpy(&f, p, sizeof f);
  return (double)f;
}

static double store(enum gie_dtype t, double v, void *p)
{
  float f = (float)v;
  uint16_t h = gie_f32_to_f16(f);
  if (t == GIE_F16)
    memcpy(p, &h, sizeof h);
  else
    memcpy(p, &f, sizeof f);
  return gpu_load(t, p);
}

bool gpu_next(const struct gie_desc *d, int64_t *idx)
{
  for (int i = d->rank - 1; i >= 0; i--) {
    if (++idx[i] < d->dim[i])
      return true;
    idx[i] = 0;
  }
  return false;
}

static double sample(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return (double)(*state >> 8) / (1 << 23) - 1;
}

/* ---- Cases --------------------------------------------------------------------------------------------------- */

static gie_status make_constant(struct gpu *g, struct gpu_case *c, uint32_t i)
{
  struct gie_type t = gie_value_get(c->g, c->n->in[i])->type;
  size_t size = gie_dtype_size(t.dtype), count = (size_t)gie_desc_count(&c->plain[i]);
  struct gie_blob *blob;
  gie_id id;
  GIE_TRY(gie_blob_new(g->ctx, count * size, &blob));
  for (size_t e = 0; e < count; e++)
    store(t.dtype, c->value[i][e], (char *)gie_blob_data(blob) + e * size);
  const struct gie_const data = {blob, 0, count * size};
  gie_status st = gie_graph_add_const(c->g, NULL, &t, &data, &id);
  gie_blob_unref(blob);
  GIE_TRY(st);
  GIE_TRY(gie_node_set_input(c->g, c->n->id, i, id));
  c->data[i] = gie_value_bytes(c->g, id, NULL);
  return GIE_OK;
}

static gie_status describe(struct gpu *g, struct gpu_case *c, bool constant, uint32_t seed)
{
  static const struct gie_layout plain;
  for (uint32_t i = 0; i <= c->n->n_in; i++) {
    gie_id id = i < c->n->n_in ? c->n->in[i] : c->n->out[0];
    if (id == GIE_NONE)
      continue;
    GIE_TRY(gie_desc_make(g->ctx, &gie_value_get(c->g, id)->type, &plain, &c->plain[i], NULL));
    if (i == c->n->n_in)
      break;
    size_t count = (size_t)gie_desc_count(&c->plain[i]);
    char scratch[8];
    c->value[i] = gie_alloc(g->ctx, count, sizeof(double));
    if (!c->value[i])
      return GIE_E_MEMORY;
    for (size_t e = 0; e < count; e++)
      c->value[i][e] = store(c->plain[i].dtype, sample(&seed), scratch);
    if (constant && i > 0)
      GIE_TRY(make_constant(g, c, i));
  }
  return GIE_OK;
}

gie_status gpu_case_make(struct gpu *g, const char *text, bool constant, uint32_t seed, struct gpu_case *c)
{
  struct gie_buf b;
  char *all;
  size_t size;
  memset(c, 0, sizeof *c);
  gie_buf_init(&b, g->ctx);
  gie_buf_printf(&b, "graph \"case\" {\n%s\n}\n", text);
  GIE_TRY(gie_buf_take(&b, &all, &size));
  gie_status st = gie_graph_parse(g->ctx, all, size, NULL, &c->g);
  gie_free(g->ctx, all);
  GIE_TRY(st);
  c->n = gie_node_get(c->g, gie_graph_first(c->g));
  if (c->n->n_in + 1 > GPU_MAX_IO)
    return gie_fail(g->ctx, GIE_E_LIMIT, "too many operands");
  return describe(g, c, constant, seed);
}

void gpu_case_free(struct gpu *g, struct gpu_case *c)
{
  for (int i = 0; i < GPU_MAX_IO; i++)
    gie_free(g->ctx, c->value[i]);
  if (c->g)
    gie_graph_free(c->g);
}

struct gie_problem gpu_problem(const struct gpu *g, const struct gpu_case *c)
{
  return (struct gie_problem){.struct_size = sizeof(struct gie_problem),
                              .ctx = g->ctx,
                              .graph = c->g,
                              .node = c->n,
                              .n_in = c->n->n_in,
                              .n_out = 1,
                              .in = c->plain,
                              .out = &c->plain[c->n->n_in],
                              .in_data = c->data,
                              .math = c->math,
                              .device_kind = "cuda",
                              .device = &g->info,
                              .library = g->library};
}

/* ---- What should come out --------------------------------------------------------------------------------------- */

/* Element of operand i at the result's idx[] (numpy broadcasting). */
static double broadcast(const struct gpu_case *c, uint32_t i, const int64_t *idx)
{
  const struct gie_desc *d = &c->plain[i], *y = &c->plain[c->n->n_in];
  int64_t at = 0;
  for (int k = 0; k < d->rank; k++)
    at += d->dim[k] == 1 ? 0 : idx[y->rank - d->rank + k] * d->stride[k];
  return c->value[i][at];
}

static double conv(const struct gpu_case *c, const int64_t *idx)
{
  const struct gie_desc *x = &c->plain[0];
  int64_t at = idx[0] * x->stride[0], stride[3];
  double sum = 0;
  gie_node_ints(c->n, "stride", stride, 3, 1);
  for (int i = 2; i < x->rank; i++)
    at += idx[i] * stride[i - 2] * x->stride[i];
  for (int64_t k = 0; k < x->dim[1]; k++)
    sum += c->value[0][at + k * x->stride[1]] * c->value[1][idx[1] * x->dim[1] + k];
  return sum;
}

static double gemm(const struct gpu_case *c, const int64_t *idx)
{
  const struct gie_desc *a = &c->plain[0], *b = &c->plain[1];
  int ta = gie_node_int(c->n, "trans_a") != 0, tb = gie_node_int(c->n, "trans_b") != 0;
  double sum = 0;
  for (int64_t k = 0; k < a->dim[1 - ta]; k++)
    sum += c->value[0][idx[0] * a->stride[ta] + k * a->stride[1 - ta]] *
           c->value[1][k * b->stride[tb] + idx[1] * b->stride[1 - tb]];
  return gie_node_float(c->n, "alpha") * sum;
}

/* Offset of the batch of a factor; `rank` batch axes of the result. */
static int64_t batch_at(const struct gie_desc *d, int rank, const int64_t *idx)
{
  int64_t at = 0;
  for (int i = 0; i < d->rank - 2; i++)
    at += d->dim[i] == 1 ? 0 : idx[rank - (d->rank - 2) + i] * d->stride[i];
  return at;
}

static double matmul(const struct gpu_case *c, const int64_t *idx)
{
  const struct gie_desc *a = &c->plain[0], *b = &c->plain[1], *y = &c->plain[c->n->n_in];
  int batch = y->rank - (a->rank > 1) - (b->rank > 1);
  int64_t row = a->rank > 1 ? idx[batch] : 0, col = b->rank > 1 ? idx[y->rank - 1] : 0;
  int64_t from_a = batch_at(a, batch, idx), from_b = batch_at(b, batch, idx);
  int64_t step_b = b->rank > 1 ? b->stride[b->rank - 2] : 1;
  double sum = 0;
  if (a->rank > 1)
    from_a += row * a->stride[a->rank - 2];
  for (int64_t k = 0; k < a->dim[a->rank - 1]; k++)
    sum += c->value[0][from_a + k] * c->value[1][from_b + k * step_b + col];
  return sum;
}

static double apply(const struct gpu_case *c, const struct gie_step *s, double r, const int64_t *idx)
{
  const char *op = s->op->name;
  double y = s->operand >= 0 ? broadcast(c, (uint32_t)s->operand, idx) : 0;
  if (strcmp(op, "relu") == 0)
    return r > 0 ? r : 0;
  if (strcmp(op, "add") == 0)
    return r + y;
  if (strcmp(op, "mul") == 0)
    return r * y;
  if (strcmp(op, "sigmoid") == 0)
    return 1 / (1 + exp(-r));
  if (strcmp(op, "clip") == 0)
    return fmin(fmax(r, gie_step_float(s, "min")), gie_step_float(s, "max"));
  if (strcmp(op, "gelu") == 0 && gie_step_int(s, "tanh"))
    return 0.5 * r * (1 + tanh(0.7978845608028654 * (r + 0.044715 * r * r * r)));
  if (strcmp(op, "gelu") == 0)
    return 0.5 * r * erfc(-r * 0.7071067811865476);
  return NAN; /* not in the cases */
}

double gpu_expected(const struct gpu_case *c, const int64_t *idx)
{
  const char *op = c->n->op->name;
  bool is_conv = strcmp(op, "conv") == 0, is_gemm = strcmp(op, "gemm") == 0;
  double r = is_conv ? conv(c, idx) : is_gemm ? gemm(c, idx) : matmul(c, idx);
  if (c->n->n_operands > 2 && c->plain[2].dtype)
    r += is_conv   ? c->value[2][idx[1]]
         : is_gemm ? gie_node_float(c->n, "beta") * broadcast(c, 2, idx)
                   : broadcast(c, 2, idx);
  for (uint32_t i = 0; i < c->n->n_steps; i++)
    r = apply(c, &c->n->steps[i], r, idx);
  return r;
}

/* ---- Running -------------------------------------------------------------------------------------------------------- */

#define GAP 16 /* elements before a range: 32 bytes of f16 */

static gie_status place(struct gpu *g, const struct gpu_case *c, struct gpu_run *r, uint32_t i,
                        const struct gie_port *port, bool pitched)
{
  gie_id id = i < r->n_in ? c->n->in[i] : c->n->out[0];
  struct gie_type t = gie_value_get(c->g, id)->type;
  struct gie_layout l = port->layout.any ? (struct gie_layout){0} : port->layout;
  struct gie_desc base;
  int axis = 0;
  if (port->dtype != GIE_DTYPE_NONE && port->dtype != t.dtype)
    return gie_fail(g->ctx, GIE_E_UNSUPPORTED, "another element type");
  pitched = pitched && port->pitch;
  for (int a = 0; a < 8 && port->pitch_axes; a++)
    if (port->pitch_axes >> a & 1)
      axis = a;
  int64_t extent = pitched ? t.shape.dim[axis].b : 0;
  if (pitched)
    t.shape.dim[axis].b = extent + 2 * GAP;
  GIE_TRY(gie_desc_make(g->ctx, &t, &l, &base, &r->bytes[i]));
  r->desc[i] = base;
  r->offset[i] = 0;
  if (pitched)
    GIE_TRY(gie_desc_view(g->ctx, &base, axis, GAP, extent, &r->desc[i], &r->offset[i]));
  r->base[i] = gpu_alloc(g, r->bytes[i]);
  if (!r->base[i])
    return gie_fail(g->ctx, GIE_E_MEMORY, "the pool is used up");
  r->pointer[i] = r->base[i] + r->offset[i];
  return GIE_OK;
}

static gie_status cuda_ok(struct gpu *g, cudaError_t e)
{
  return e == cudaSuccess ? GIE_OK : gie_fail(g->ctx, GIE_E_DEVICE, "%s", cudaGetErrorString(e));
}

gie_status gpu_upload(struct gpu *g, void *to, const void *from, size_t bytes)
{
  cudaError_t e = cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, g->stream);
  return cuda_ok(g, e == cudaSuccess ? cudaStreamSynchronize(g->stream) : e);
}

/* Fills the tensor with the operand's values, everything around it with NaN; the result with a pattern. */
static gie_status fill(struct gpu *g, const struct gpu_case *c, const struct gpu_run *r, uint32_t i)
{
  const struct gie_desc *d = &r->desc[i];
  size_t size = gie_dtype_size(d->dtype);
  int64_t idx[GIE_MAX_RANK] = {0}, e = 0;
  char *host = gie_alloc_raw(g->ctx, r->bytes[i], 1);
  if (!host)
    return GIE_E_MEMORY;
  memset(host, i < r->n_in ? 0xff : UNTOUCHED, r->bytes[i]); /* 0xffff is a NaN */
  if (i < r->n_in)
    do
      store(d->dtype, c->value[i][e++], host + r->offset[i] + (size_t)gie_desc_offset(d, idx) * size);
    while (gpu_next(d, idx));
  gie_status st = gpu_upload(g, r->base[i], host, r->bytes[i]);
  gie_free(g->ctx, host);
  return st;
}

static gie_status pack(struct gpu *g, const struct gie_problem *p, const struct gie_variant *v,
                       struct gpu_run *r)
{
  struct gie_pack d[GPU_MAX_IO];
  memset(d, 0, sizeof d);
  uint32_t n = r->k->pack_desc ? r->k->pack_desc(r->k, p, v, d, GPU_MAX_IO) : 0;
  for (uint32_t i = 0; i < n; i++) {
    if (!p->in_data[d[i].operand] || d[i].key[0] == 0)
      return gie_fail(g->ctx, GIE_E_NO, "packs operand %u, which is no constant, or without a key",
                      d[i].operand);
    char *host = gie_alloc_raw(g->ctx, d[i].bytes, 1);
    void *there = gpu_alloc(g, d[i].bytes);
    gie_status st = host && there ? r->k->pack(r->k, p, v, &d[i], p->in_data[d[i].operand], host)
                                  : GIE_E_MEMORY;
    if (st == GIE_OK)
      st = gpu_upload(g, there, host, d[i].bytes);
    gie_free(g->ctx, host);
    GIE_TRY(st);
    r->pointer[d[i].operand] = there;
  }
  return GIE_OK;
}

static gie_status prepare(struct gpu *g, const struct gpu_case *c, const struct gie_variant *v, bool pitched,
                          struct gpu_run *r)
{
  for (uint32_t i = 0; i <= r->n_in; i++) {
    const struct gie_port *port = i == r->n_in  ? (v->n_out ? &v->out[0] : &v->any_out)
                                  : i < v->n_in ? &v->in[i]
                                                : &v->any_in;
    if (c->plain[i].dtype == GIE_DTYPE_NONE)
      continue;
    GIE_TRY(place(g, c, r, i, port, pitched));
    if ((uintptr_t)r->pointer[i] % (port->align ? port->align : 1))
      return gie_fail(g->ctx, GIE_E_INTERNAL, "the case places operand %u badly", i);
    GIE_TRY(fill(g, c, r, i));
  }
  struct gie_problem p = gpu_problem(g, c);
  p.in = r->desc;
  p.out = &r->desc[r->n_in];
  size_t bytes = r->k->workspace ? r->k->workspace(r->k, &p, v) : 0;
  r->workspace = gpu_alloc(g, bytes + 1);
  if (!r->workspace)
    return gie_fail(g->ctx, GIE_E_MEMORY, "the pool is used up by a workspace of %zu bytes", bytes);
  GIE_TRY(pack(g, &p, v, r));
  return r->k->create(r->k, &p, v, &r->instance);
}

gie_status gpu_run_make(struct gpu *g, const struct gpu_case *c, const struct gie_kernel *k,
                        const struct gie_variant *v, bool pitched, struct gpu_run *out)
{
  *out = (struct gpu_run){.k = k, .error = (double)v->error, .n_in = c->n->n_in, .ctx = g->ctx};
  return prepare(g, c, v, pitched, out);
}

gie_status gpu_run_launch(struct gpu *g, const struct gpu_run *r)
{
  const struct gie_launch l = {.struct_size = sizeof l,
                               .in = r->pointer,
                               .out = &r->pointer[r->n_in],
                               .workspace = r->workspace,
                               .stream = g->stream,
                               .library = g->library,
                               .threads = 1,
                               .ctx = g->ctx};
  return r->k->run(r->instance, &l);
}

void gpu_run_free(struct gpu_run *r)
{
  if (r->instance)
    r->k->destroy(r->instance);
  r->instance = NULL;
}
