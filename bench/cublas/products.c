/* SPDX-License-Identifier: Apache-2.0 */
/* Times every variant that the cublas backend offers for a list of products, as captured graphs of many launches.
 *
 *   products LIST [SECONDS [DEPTH]] > times.csv
 *
 * DEPTH: of the algorithms of a form, only the first ones. A line of LIST is "NAME DTYPE EPILOGUE OP N C H K": OP conv (1x1 on N images of C x H x H, K results) or fc (N rows, C
 * inputs, K results; the weights rotate through more memory than the L2 cache has). EPILOGUE: 0 nothing, 1 bias and
 * relu, 2 bias, addend and relu. Columns: name, dtype, epilogue, op, N, C, H, K, kernel, label, rank of the algorithm in
 * its form, config, microseconds, greatest error of some elements against f64 relative to the greatest of them. */
#include "tests/cublas/gpu_case.h"

#include <math.h>
#include <time.h>

#define BLOCK 1000003 /* elements of random numbers that repeat through every tensor */
#define SAMPLES 48
#define ROTATE_BYTES ((size_t)192 << 20)
#define MAX_COPIES 64

static struct gpu gpu;
static float numbers[BLOCK];
static struct gie_variant variants[GPU_MAX_VARIANTS];
static int depth = GPU_MAX_VARIANTS;

struct line {
  char name[64], dtype[8], op[8];
  int epilogue;
  long long n, c, h, k;
};

struct problem {
  struct line l;
  struct gpu_case c;
  bool fc, half;
  char *copies[MAX_COPIES];
  uint32_t n_copies;
};

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double number(bool half, int operand, int64_t at)
{
  float f = numbers[(at + 7919 * operand) % BLOCK];
  return half ? (double)gie_f16_to_f32(gie_f32_to_f16(f)) : (double)f;
}

/* ---- Problems -------------------------------------------------------------------------------------------------- */

static void text_of(const struct line *l, char *text, size_t size)
{
  static const char *const STEPS[] = {"", " | relu", " | add(%r) | relu"};
  const char *t = l->dtype, *bias = l->epilogue ? ", %b" : "";
  if (strcmp(l->op, "conv") == 0)
    snprintf(
        text, size,
        "input %%x : %s[%lld,%lld,%lld,%lld] input %%w : %s[%lld,%lld,1,1] input %%b : %s[%lld] input %%r : "
        "%s[%lld,%lld,%lld,%lld] %%y = conv(%%x, %%w%s)%s output %%y",
        t, l->n, l->c, l->h, l->h, t, l->k, l->c, t, l->k, t, l->n, l->k, l->h, l->h, bias,
        STEPS[l->epilogue]);
  else
    snprintf(
        text, size,
        "input %%x : %s[%lld,%lld] input %%w : %s[%lld,%lld] input %%b : %s[%lld] input %%r : %s[%lld,%lld] %%y = "
        "gemm(%%x, %%w%s) {trans_b=1}%s output %%y",
        t, l->n, l->c, t, l->k, l->c, t, l->k, t, l->n, l->k, bias, STEPS[l->epilogue]);
}

static gie_status weights_of(struct problem *p)
{
  const struct gie_desc *d = &p->c.plain[1];
  struct gie_type t = gie_value_get(p->c.g, p->c.n->in[1])->type;
  size_t size = gie_dtype_size(t.dtype), count = (size_t)gie_desc_count(d);
  struct gie_blob *blob;
  gie_id id;
  GIE_TRY(gie_blob_new_raw(gpu.ctx, count * size, &blob));
  for (size_t e = 0; e < count; e++) {
    float f = numbers[(e + 7919) % BLOCK];
    uint16_t h = p->half ? gie_f32_to_f16(f) : 0;
    memcpy((char *)gie_blob_data(blob) + e * size, p->half ? (void *)&h : (void *)&f, size);
  }
  const struct gie_const data = {blob, 0, count * size};
  gie_status st = gie_graph_add_const(p->c.g, NULL, &t, &data, &id);
  gie_blob_unref(blob);
  GIE_TRY(st);
  GIE_TRY(gie_node_set_input(p->c.g, p->c.n->id, 1, id));
  p->c.data[1] = gie_value_bytes(p->c.g, id, NULL);
  return GIE_OK;
}

static gie_status problem_make(const struct line *l, struct problem *p)
{
  static const struct gie_layout plain;
  char text[1024], graph[1100];
  *p = (struct problem){.l = *l, .fc = strcmp(l->op, "fc") == 0, .half = strcmp(l->dtype, "f16") == 0};
  p->c.math = GIE_MATH_TF32;
  text_of(l, text, sizeof text);
  int n = snprintf(graph, sizeof graph, "graph \"case\" {\n%s\n}\n", text);
  GIE_TRY(gie_graph_parse(gpu.ctx, graph, (size_t)n, NULL, &p->c.g));
  p->c.n = gie_node_get(p->c.g, gie_graph_first(p->c.g));
  for (uint32_t i = 0; i <= p->c.n->n_in; i++) {
    gie_id id = i < p->c.n->n_in ? p->c.n->in[i] : p->c.n->out[0];
    GIE_TRY(gie_desc_make(gpu.ctx, &gie_value_get(p->c.g, id)->type, &plain, &p->c.plain[i], NULL));
  }
  return weights_of(p);
}

/* ---- Tensors ---------------------------------------------------------------------------------------------------- */

static char *blocks[2]; /* the numbers on the device in f32 and f16 */

static cudaError_t fill(char *to, size_t bytes, bool half, int operand)
{
  size_t size = half ? 2 : 4, at = 0, from = (size_t)7919 * (size_t)operand % BLOCK * size,
         total = BLOCK * size;
  cudaError_t e = cudaSuccess;
  while (e == cudaSuccess && at < bytes) {
    size_t n = total - from < bytes - at ? total - from : bytes - at;
    e = cudaMemcpyAsync(to + at, blocks[half] + from, n, cudaMemcpyDeviceToDevice, gpu.stream);
    at += n;
    from = 0;
  }
  return e;
}

static gie_status cuda_ok(cudaError_t e)
{
  return e == cudaSuccess ? GIE_OK : gie_fail(gpu.ctx, GIE_E_DEVICE, "%s", cudaGetErrorString(e));
}

static gie_status place(struct problem *p, struct gpu_run *r, const struct gie_variant *v)
{
  for (uint32_t i = 0; i <= r->n_in; i++) {
    gie_id id = i < r->n_in ? p->c.n->in[i] : p->c.n->out[0];
    const struct gie_port *port = i < r->n_in ? &v->in[i] : &v->out[0];
    struct gie_type t = gie_value_get(p->c.g, id)->type;
    GIE_TRY(gie_desc_make(gpu.ctx, &t, &port->layout, &r->desc[i], &r->bytes[i]));
    r->pointer[i] = r->base[i] = gpu_alloc(&gpu, r->bytes[i]);
    if (!r->base[i])
      return gie_fail(gpu.ctx, GIE_E_MEMORY, "the pool is used up");
    GIE_TRY(cuda_ok(fill(r->base[i], r->bytes[i], p->half, (int)i)));
  }
  return GIE_OK;
}

/* Weights as the kernel wants them, several times where they rotate. */
static gie_status place_weights(struct problem *p, struct gpu_run *r, const struct gie_problem *q,
                                const struct gie_variant *v)
{
  struct gie_pack d = {0};
  size_t bytes = r->bytes[1];
  char *host = NULL;
  if (r->k->pack_desc(r->k, q, v, &d, 1)) {
    bytes = d.bytes;
    host = gie_alloc_raw(gpu.ctx, bytes, 1);
    if (!host)
      return GIE_E_MEMORY;
    GIE_TRY(r->k->pack(r->k, q, v, &d, p->c.data[1], host));
  }
  p->n_copies = p->fc ? (uint32_t)(ROTATE_BYTES / bytes + 1) : 1;
  p->n_copies = p->n_copies > MAX_COPIES ? MAX_COPIES : p->n_copies;
  for (uint32_t i = 0; i < p->n_copies; i++) {
    p->copies[i] = gpu_alloc(&gpu, bytes);
    if (!p->copies[i])
      return gie_fail(gpu.ctx, GIE_E_MEMORY, "the pool is used up");
    if (i == 0)
      GIE_TRY(gpu_upload(&gpu, p->copies[0], host ? host : p->c.data[1], bytes));
    else
      GIE_TRY(
          cuda_ok(cudaMemcpyAsync(p->copies[i], p->copies[0], bytes, cudaMemcpyDeviceToDevice, gpu.stream)));
  }
  gie_free(gpu.ctx, host);
  r->pointer[1] = p->copies[0];
  return GIE_OK;
}

static gie_status prepare(struct problem *p, const struct gie_kernel *k, const struct gie_variant *v,
                          struct gpu_run *r)
{
  struct gie_problem q = gpu_problem(&gpu, &p->c);
  *r = (struct gpu_run){.k = k, .n_in = p->c.n->n_in, .ctx = gpu.ctx};
  gpu_reset(&gpu);
  GIE_TRY(place(p, r, v));
  q.in = r->desc;
  q.out = &r->desc[r->n_in];
  GIE_TRY(place_weights(p, r, &q, v));
  r->workspace = gpu_alloc(&gpu, (k->workspace ? k->workspace(k, &q, v) : 0) + 1);
  if (!r->workspace)
    return gie_fail(gpu.ctx, GIE_E_MEMORY, "the pool is used up");
  return k->create(k, &q, v, &r->instance);
}

/* ---- Some elements in f64 ---------------------------------------------------------------------------------------- */

static double expected(const struct problem *p, const struct gpu_run *r, const int64_t *idx)
{
  const struct gie_desc *x = &r->desc[0], *y = &r->desc[r->n_in];
  int64_t at[GIE_MAX_RANK] = {0};
  double sum = 0;
  for (int i = 0; i < y->rank; i++)
    at[i] = i == 1 ? 0 : idx[i];
  for (int64_t c = 0; c < p->l.c; c++) {
    at[1] = c;
    sum += number(p->half, 0, gie_desc_offset(x, at)) * number(p->half, 1, idx[1] * p->l.c + c);
  }
  if (p->l.epilogue)
    sum += number(p->half, 2, idx[1]);
  if (p->l.epilogue == 2)
    sum += number(p->half, 3, gie_desc_offset(&r->desc[3], idx));
  return p->l.epilogue && sum < 0 ? 0 : sum;
}

static double error_of(const struct problem *p, const struct gpu_run *r)
{
  const struct gie_desc *y = &r->desc[r->n_in];
  size_t size = gie_dtype_size(y->dtype);
  uint32_t state = 5;
  double worst = 0, scale = 0;
  for (int s = 0; s < SAMPLES; s++) {
    int64_t idx[GIE_MAX_RANK];
    char e[8];
    for (int i = 0; i < y->rank; i++) {
      state = state * 1664525u + 1013904223u;
      idx[i] = s == 0 ? y->dim[i] - 1 : (int64_t)(state >> 8) % y->dim[i];
    }
    if (cudaMemcpy(e, r->base[r->n_in] + (size_t)gie_desc_offset(y, idx) * size, size,
                   cudaMemcpyDeviceToHost) != cudaSuccess)
      return NAN;
    double want = expected(p, r, idx), is = fabs(gpu_load(y->dtype, e) - want);
    scale = fabs(want) > scale ? fabs(want) : scale;
    worst = is > worst || isnan(is) ? is : worst;
  }
  return worst / scale;
}

/* ---- Time ----------------------------------------------------------------------------------------------------------- */

static cudaEvent_t from, to;

static double elapsed(void)
{
  float ms = 0;
  return cudaEventSynchronize(to) == cudaSuccess && cudaEventElapsedTime(&ms, from, to) == cudaSuccess
             ? (double)ms * 1e-3
             : NAN;
}

static gie_status launch(struct problem *p, struct gpu_run *r, uint32_t i)
{
  r->pointer[1] = p->copies[i % p->n_copies];
  return gpu_run_launch(&gpu, r);
}

/* Seconds of one launch in a graph of n; the least of some replays. */
static double time_graph(struct problem *p, struct gpu_run *r, uint32_t n)
{
  cudaGraph_t graph = NULL;
  cudaGraphExec_t exec = NULL;
  double best = INFINITY;
  gie_status st = GIE_OK;
  if (cudaStreamBeginCapture(gpu.stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess)
    return NAN;
  for (uint32_t i = 0; i < n && st == GIE_OK; i++)
    st = launch(p, r, i);
  if (cudaStreamEndCapture(gpu.stream, &graph) == cudaSuccess && st == GIE_OK &&
      cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess) {
    cudaGraphLaunch(exec, gpu.stream);
    for (int i = 0; i < 3; i++) {
      cudaEventRecord(from, gpu.stream);
      cudaGraphLaunch(exec, gpu.stream);
      cudaEventRecord(to, gpu.stream);
      best = fmin(best, elapsed() / n);
    }
  }
  if (exec)
    cudaGraphExecDestroy(exec);
  if (graph)
    cudaGraphDestroy(graph);
  return best;
}

static double time_variant(struct problem *p, struct gpu_run *r, double best_so_far)
{
  double once = INFINITY;
  if (launch(p, r, 0) != GIE_OK)
    return NAN;
  for (int i = 0; i < 2; i++) {
    cudaEventRecord(from, gpu.stream);
    if (launch(p, r, 1) != GIE_OK)
      return NAN;
    cudaEventRecord(to, gpu.stream);
    once = fmin(once, elapsed());
  }
  if (once > 3 * best_so_far + 20e-6) /* a lone launch costs some microseconds more */
    return once;
  double n = 200e-6 / once;
  uint32_t count = n < 3 ? 3 : n > 40 ? 40 : (uint32_t)n;
  return time_graph(p, r, p->fc && count < p->n_copies ? p->n_copies : count);
}

/* ---- All of it ------------------------------------------------------------------------------------------------------ */

static void time_kernel(struct problem *p, const struct gie_kernel *k, double *best)
{
  struct gie_problem q = gpu_problem(&gpu, &p->c);
  char why[256] = "";
  const struct line *l = &p->l;
  int ranks[256] = {0};
  if (!k->supports(k, &q, why, sizeof why))
    return;
  memset(variants, 0, sizeof variants);
  uint32_t n = k->variants(k, &q, variants, GPU_MAX_VARIANTS);
  for (uint32_t i = 0; i < n; i++) {
    struct gpu_run r;
    if (variants[i].in[0].dtype != GIE_DTYPE_NONE)
      continue;
    int rank = ranks[variants[i].config & 0xff]++;
    if (rank >= depth && k->library)
      continue;
    gie_status st = prepare(p, k, &variants[i], &r);
    double seconds = st == GIE_OK ? time_variant(p, &r, *best) : NAN;
    double error = st == GIE_OK && (rank < 2 || seconds < *best) ? error_of(p, &r) : 0;
    if (!(seconds > 0))
      fprintf(stderr, "%s %s: %s\n", l->name, variants[i].label, gie_error_text(gpu.ctx));
    else
      *best = fmin(*best, seconds);
    printf("%s,%s,%d,%s,%lld,%lld,%lld,%lld,%s,%s,%d,%llu,%.3f,%.2g\n", l->name, l->dtype, l->epilogue, l->op,
           l->n, l->c, l->h, l->k, k->name, variants[i].label, rank, (unsigned long long)variants[i].config,
           seconds * 1e6, error);
    gpu_run_free(&r);
  }
}

static int open_numbers(void)
{
  static uint16_t half[BLOCK];
  uint32_t state = 3;
  for (int i = 0; i < BLOCK; i++) {
    state = state * 1664525u + 1013904223u;
    numbers[i] = (float)(state >> 8) / (1 << 23) - 1;
    half[i] = gie_f32_to_f16(numbers[i]);
  }
  return cudaMalloc((void **)&blocks[0], sizeof numbers) != cudaSuccess ||
         cudaMalloc((void **)&blocks[1], sizeof half) != cudaSuccess ||
         cudaMemcpy(blocks[0], numbers, sizeof numbers, cudaMemcpyHostToDevice) != cudaSuccess ||
         cudaMemcpy(blocks[1], half, sizeof half, cudaMemcpyHostToDevice) != cudaSuccess ||
         cudaEventCreate(&from) != cudaSuccess || cudaEventCreate(&to) != cudaSuccess;
}

/* Bytes read and written per second by copying half of the pool onto the other. */
static double copy_bandwidth(void)
{
  size_t half = gpu.size / 2;
  double best = INFINITY;
  for (int i = 0; i < 4; i++) {
    cudaEventRecord(from, gpu.stream);
    cudaMemcpyAsync(gpu.pool, gpu.pool + half, half, cudaMemcpyDeviceToDevice, gpu.stream);
    cudaEventRecord(to, gpu.stream);
    best = fmin(best, elapsed());
  }
  return 2 * (double)half / best;
}

int main(int argc, char **argv)
{
  char text[256];
  double limit = argc > 2 ? strtod(argv[2], NULL) : 60, start;
  depth = argc > 3 ? (int)strtol(argv[3], NULL, 10) : depth;
  FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;
  if (!f) {
    fprintf(stderr, "usage: products LIST [SECONDS [DEPTH]]\n");
    return 64;
  }
  int code = gpu_open(&gpu, (size_t)4 << 30);
  if (code || open_numbers())
    return code ? code : 1;
  fprintf(stderr, "%s, copy %.0f GB/s\n", gpu.info.name, copy_bandwidth() / 1e9);
  start = now();
  while (now() - start < limit && fgets(text, sizeof text, f)) {
    struct line l;
    struct problem p;
    const struct gie_kernel *k;
    double best = INFINITY;
    if (sscanf(text, "%63s %7s %d %7s %lld %lld %lld %lld", l.name, l.dtype, &l.epilogue, l.op, &l.n, &l.c,
               &l.h, &l.k) != 8)
      continue;
    if (problem_make(&l, &p) != GIE_OK) {
      fprintf(stderr, "%s: %s\n", l.name, gie_error_text(gpu.ctx));
      continue;
    }
    for (uint32_t i = 0; (k = gie_kernel_at(gpu.ctx, i)) != NULL; i++)
      if (strncmp(k->name, "cublas.", 7) == 0 &&
          (strcmp(k->name, "cublas.gemv") == 0 || strcmp(k->ops[0], p.c.n->op->name) == 0))
        time_kernel(&p, k, &best);
    gpu_case_free(&gpu, &p.c);
  }
  bool all = fgets(text, sizeof text, f) == NULL;
  fprintf(stderr, "%s after %.0f s\n", all ? "all timed" : "stopped", now() - start);
  fclose(f);
  gpu_close(&gpu);
  return 0;
}
