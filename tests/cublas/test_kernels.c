/* SPDX-License-Identifier: Apache-2.0 */
/* Every variant of every cublas kernel against sums in f64: odd shapes, constant and computed weights, views, results
 * over addends, epilogues. Each runs twice, the second time from a captured graph, with the same bits. What lies around
 * a view stays as it was. Exit code 77 without a device. */
#include "tests/cublas/gpu_case.h"

#include <math.h>

static struct gpu gpu;
static bool own_only; /* the kernels without cublasLt */
static struct gie_variant variants[GPU_MAX_VARIANTS];

static struct {
  int problems, refused, variants, runs, over, no_pitch, lost, wrong;
  double worst[3]; /* f32, tf32, f16 */
} taken;

static bool complain(const char *text, const char *what)
{
  if (taken.wrong++ < 40)
    printf("WRONG %s: %s\n", text, what);
  return false;
}

/* ---- Results -------------------------------------------------------------------------------------------------- */

/* What the variant states, else one rounding of the result and of the sums. */
static double bound(const struct gpu_run *r, enum gie_dtype t)
{
  return r->error > 0 ? r->error : t == GIE_F16 ? 0x1p-10 : 4e-6;
}

static void note_error(const struct gie_kernel *k, enum gie_dtype t, double e)
{
  double *worst = &taken.worst[t == GIE_F16 ? 2 : strstr(k->name, "tf32") ? 1 : 0];
  *worst = e > *worst ? e : *worst;
}

struct want {
  double *v;
  double scale; /* what errors are relative to */
};

/* The elements are right and nothing else was written. `host` is what the result's base holds now. */
static bool check_bytes(const struct gpu_run *r, const struct want *want, const unsigned char *host,
                        char *what, size_t size)
{
  const struct gie_desc *d = &r->desc[r->n_in];
  size_t bytes = r->bytes[r->n_in], es = gie_dtype_size(d->dtype);
  unsigned char *mine = gie_alloc(gpu.ctx, bytes, 1);
  int64_t idx[GIE_MAX_RANK] = {0}, n = 0, worst_at = 0;
  double scale = want->scale, worst = 0;
  bool right = mine != NULL;
  do {
    size_t at = r->offset[r->n_in] + (size_t)gie_desc_offset(d, idx) * es;
    double e = fabs(gpu_load(d->dtype, host + at) - want->v[n]);
    if (mine)
      memset(mine + at, 1, es);
    if (!(e <= worst)) {
      worst = e;
      worst_at = n;
    }
    n++;
  } while (gpu_next(d, idx));
  note_error(r->k, d->dtype, worst / scale);
  if (!(worst <= bound(r, d->dtype) * scale)) {
    right = false;
    snprintf(what, size, "element %lld of %lld is off by %g of %g", (long long)worst_at, (long long)n, worst,
             scale);
  }
  for (size_t i = 0; mine && i < bytes; i++)
    if (!mine[i] && host[i] != 0xa5) {
      right = false;
      snprintf(what, size, "byte %zu around the result was overwritten", i);
    }
  gie_free(gpu.ctx, mine);
  return right;
}

static cudaError_t fetch(const struct gpu_run *r, void *host)
{
  cudaError_t e = cudaMemcpyAsync(host, r->base[r->n_in], r->bytes[r->n_in], cudaMemcpyDeviceToHost,
                                  gpu.stream);
  return e == cudaSuccess ? cudaStreamSynchronize(gpu.stream) : e;
}

/* ---- One run ---------------------------------------------------------------------------------------------------- */

static gie_status launch_captured(const struct gpu_run *r)
{
  cudaGraph_t graph = NULL;
  cudaGraphExec_t exec = NULL;
  if (cudaStreamBeginCapture(gpu.stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess)
    return gie_fail(gpu.ctx, GIE_E_DEVICE, "a capture cannot begin");
  gie_status st = gpu_run_launch(&gpu, r);
  cudaError_t e = cudaStreamEndCapture(gpu.stream, &graph);
  if (e == cudaSuccess)
    e = cudaGraphInstantiate(&exec, graph, 0);
  if (e == cudaSuccess)
    e = cudaGraphLaunch(exec, gpu.stream);
  if (e == cudaSuccess)
    e = cudaStreamSynchronize(gpu.stream);
  if (exec)
    cudaGraphExecDestroy(exec);
  if (graph)
    cudaGraphDestroy(graph);
  return st == GIE_OK && e != cudaSuccess
             ? gie_fail(gpu.ctx, GIE_E_DEVICE, "as a graph: %s", cudaGetErrorString(e))
             : st;
}

/* The addend's storage becomes the result's. */
static void lay_over(struct gpu_run *r, const struct gie_variant *v)
{
  uint32_t out = r->n_in, in = (uint32_t)v->in_place;
  cudaMemcpyAsync(r->base[out], r->base[in], r->bytes[in], cudaMemcpyDeviceToDevice, gpu.stream);
  r->pointer[in] = r->pointer[out];
}

static bool run_once(const char *text, const struct gpu_run *r, bool captured, const struct want *want,
                     unsigned char *host, const char *label)
{
  char what[256] = "", line[400];
  gie_status st = captured ? launch_captured(r) : gpu_run_launch(&gpu, r);
  cudaError_t e = fetch(r, host);
  taken.runs++;
  if (st != GIE_OK || e != cudaSuccess)
    snprintf(what, sizeof what, "%.200s", st != GIE_OK ? gie_error_text(gpu.ctx) : cudaGetErrorString(e));
  else if (check_bytes(r, want, host, what, sizeof what))
    return true;
  snprintf(line, sizeof line, "%s %s%s: %s", r->k->name, label, captured ? " (captured)" : "", what);
  return complain(text, line);
}

static bool run_variant(const char *text, const struct gpu_case *c, const struct gie_kernel *k,
                        const struct gie_variant *v, bool pitched, bool over, const struct want *want)
{
  struct gpu_run r;
  char label[96];
  gpu_reset(&gpu);
  snprintf(label, sizeof label, "\"%s\"%s%s", v->label, pitched ? " pitched" : "", over ? " over" : "");
  gie_status st = gpu_run_make(&gpu, c, k, v, pitched, &r);
  if (st != GIE_OK) {
    gpu_run_free(&r);
    if (pitched && st == GIE_E_UNSUPPORTED)
      return taken.no_pitch++, true;
    return complain(text, gie_error_text(gpu.ctx));
  }
  size_t bytes = r.bytes[r.n_in];
  unsigned char *host = gie_alloc_raw(gpu.ctx, 2 * bytes, 1);
  if (over)
    lay_over(&r, v);
  bool right = host && run_once(text, &r, false, want, host, label);
  if (right && !over) {
    cudaMemsetAsync(r.base[r.n_in], 0xa5, bytes, gpu.stream);
    right = run_once(text, &r, true, want, host + bytes, label);
    if (right && memcmp(host, host + bytes, bytes) != 0)
      right = complain(text, "two runs differ");
  }
  gie_free(gpu.ctx, host);
  gpu_run_free(&r);
  return right;
}

/* ---- One problem -------------------------------------------------------------------------------------------------- */

/* The scale is the greatest element, or a part of what a sum of so many products is like when all happen to be small. */
static bool expect(const struct gpu_case *c, struct want *want)
{
  const struct gie_desc *y = &c->plain[c->n->n_in], *x = &c->plain[0];
  bool turned = strcmp(c->n->op->name, "gemm") == 0 && gie_node_int(c->n, "trans_a");
  int axis = strcmp(c->n->op->name, "conv") == 0 ? 1 : turned ? 0 : x->rank - 1;
  int64_t idx[GIE_MAX_RANK] = {0}, n = 0;
  want->scale = 0.1 * sqrt((double)x->dim[axis]);
  want->v = gie_alloc(gpu.ctx, (size_t)gie_desc_count(y), sizeof *want->v);
  if (!want->v)
    return false;
  do {
    double e = gpu_expected(c, idx);
    want->scale = fabs(e) > want->scale ? fabs(e) : want->scale;
    want->v[n++] = e;
  } while (gpu_next(y, idx));
  return true;
}

static bool same_layout(const struct gie_variant *v, uint32_t n_in)
{
  return v->in_place >= 0 && (uint32_t)v->in_place < n_in &&
         gie_layout_equal(&v->in[v->in_place].layout, &v->out[0].layout, 4);
}

static void check_kernel(const char *text, const struct gpu_case *c, const struct gie_kernel *k,
                         const struct want *want)
{
  struct gie_problem p = gpu_problem(&gpu, c);
  char why[256] = "";
  memset(variants, 0, sizeof variants);
  if (!k->supports(k, &p, why, sizeof why)) {
    taken.refused++;
    if (!*why)
      complain(text, "a kernel refuses without a reason");
    return;
  }
  uint32_t n = k->variants(k, &p, variants, GPU_MAX_VARIANTS);
  if (n == 0)
    complain(text, "a kernel takes it and offers no variant");
  taken.problems++;
  for (uint32_t i = 0; i < n; i++) {
    const struct gie_variant *v = &variants[i];
    bool narrower = v->in[0].dtype != GIE_DTYPE_NONE;
    for (uint32_t j = 0; j < i; j++)
      if (variants[j].config == v->config)
        complain(text, "two variants have one config");
    if (v->n_steps != c->n->n_steps || !v->label[0] || !v->capture_safe || (int64_t)v->config < 0)
      complain(text, "a variant of other steps, without a label or not for captures");
    if (narrower)
      continue; /* offered again, and run, where the problem is f16 */
    taken.variants++;
    run_variant(text, c, k, v, false, false, want);
    run_variant(text, c, k, v, true, false, want);
    if (same_layout(v, c->n->n_in) && !c->data[v->in_place]) {
      taken.over++;
      run_variant(text, c, k, v, false, true, want);
    }
  }
}

/* The variants that an f32 problem is offered in f16 are there, by config, for the problem in f16. */
static void check_narrower(const struct gpu_case *wide, const struct gpu_case *half,
                           const struct gie_kernel *k)
{
  static struct gie_variant other[GPU_MAX_VARIANTS];
  struct gie_problem p = gpu_problem(&gpu, wide), q = gpu_problem(&gpu, half);
  char why[256] = "";
  if (!k->supports(k, &p, why, sizeof why))
    return;
  memset(variants, 0, sizeof variants);
  memset(other, 0, sizeof other);
  uint32_t n = k->variants(k, &p, variants, GPU_MAX_VARIANTS);
  uint32_t m = k->supports(k, &q, why, sizeof why) ? k->variants(k, &q, other, GPU_MAX_VARIANTS) : 0;
  for (uint32_t i = 0; i < n; i++) {
    bool found = variants[i].in[0].dtype != GIE_F16;
    for (uint32_t j = 0; j < m && !found; j++)
      found = other[j].config == variants[i].config;
    taken.lost += !found;
  }
}

/* `text` has T for the element type. */
static void with_dtype(const char *text, const char *dtype, char *out, size_t size)
{
  size_t at = 0;
  for (const char *s = text; *s && at + 5 < size; s++)
    if (s[0] == 'T' && s[1] == '[')
      at += (size_t)snprintf(out + at, size - at, "%s", dtype);
    else
      out[at++] = *s;
  out[at] = 0;
}

static const struct gie_kernel *kernel_for(const char *op, uint32_t *i)
{
  const struct gie_kernel *k;
  while ((k = gie_kernel_at(gpu.ctx, (*i)++)) != NULL) {
    bool lists = false;
    for (const char *const *o = k->ops; *o; o++)
      lists = lists || strcmp(*o, op) == 0;
    if (lists && strncmp(k->name, "cublas.", 7) == 0 && !(own_only && k->library))
      return k;
  }
  return NULL;
}

static void check_text(const char *pattern)
{
  static const char *const DTYPES[] = {"f32", "f16"};
  for (int constant = 0; constant < 2; constant++) {
    struct gpu_case c[2];
    char text[2][512];
    const struct gie_kernel *k;
    bool made = true;
    for (int d = 0; d < 2; d++) {
      with_dtype(pattern, DTYPES[d], text[d], sizeof text[d]);
      if (gpu_case_make(&gpu, text[d], constant, 17u + (uint32_t)d, &c[d]) != GIE_OK)
        made = complain(text[d], gie_error_text(gpu.ctx));
      c[d].math = GIE_MATH_TF32;
    }
    for (int d = 0; made && d < 2; d++) {
      struct want want;
      bool known = expect(&c[d], &want);
      for (uint32_t i = 0; known && (k = kernel_for(c[d].n->op->name, &i)) != NULL;)
        check_kernel(text[d], &c[d], k, &want);
      gie_free(gpu.ctx, want.v);
    }
    for (uint32_t i = 0; made && (k = kernel_for(c[0].n->op->name, &i)) != NULL;)
      check_narrower(&c[0], &c[1], k);
    gpu_case_free(&gpu, &c[0]);
    gpu_case_free(&gpu, &c[1]);
  }
}

/* ---- What is checked ------------------------------------------------------------------------------------------------ */

static const char *const CASES[] = {
    "input %x : T[2,8,5,6] input %w : T[11,8,1,1] %y = conv(%x, %w) output %y",
    "input %x : T[1,1,7,7] input %w : T[5,1,1,1] input %b : T[5] %y = conv(%x, %w, %b) output %y",
    "input %x : T[1,7,3,3] input %w : T[1,7,1,1] %y = conv(%x, %w) | relu output %y",
    "input %x : T[3,13,4,5] input %w : T[3,13,1,1] input %b : T[3] %y = conv(%x, %w, %b) | relu output %y",
    "input %x : T[1,64,14,14] input %w : T[96,64,1,1] input %b : T[96] %y = conv(%x, %w, %b) | relu output %y",
    "input %x : T[2,192,7,7] input %w : T[64,192,1,1] input %b : T[64] input %r : T[2,64,7,7] %y = conv(%x, %w, %b) | add(%r) | relu output %y",
    "input %x : T[2,40,6,6] input %w : T[24,40,1,1] input %r : T[2,24,6,6] %y = conv(%x, %w) | add(%r) output %y",
    "input %x : T[1,48,9,9] input %w : T[32,48,1,1] input %b : T[32] %y = conv(%x, %w, %b) | gelu {tanh=1} output %y",
    "input %x : T[1,16,8,8] input %w : T[16,16,1,1] input %s : T[16,1,1] %y = conv(%x, %w) | add(%s) | relu output %y",
    "input %x : T[2,16,33] input %w : T[24,16,1] input %b : T[24] %y = conv(%x, %w, %b) output %y",
    "input %x : T[2,8,3,4,5] input %w : T[8,8,1,1,1] %y = conv(%x, %w) output %y",
    "input %x : T[4,40,1,1] input %w : T[24,40,1,1] input %b : T[24] %y = conv(%x, %w, %b) | sigmoid output %y",
    "input %x : T[1,1030,1,1] input %w : T[77,1030,1,1] %y = conv(%x, %w) | relu output %y",
    "input %x : T[2,24,2,2] input %w : T[40,24,1,1] input %b : T[40] input %m : T[2,40,2,2] input %s : T[40,1,1] %y = conv(%x, %w, %b) | mul(%s) | add(%m) | clip {min=-1.0, max=0.5} output %y",
    "input %x : T[1,2048,7,7] input %w : T[16,2048,1,1] input %b : T[16] %y = conv(%x, %w, %b) | relu output %y",
    "input %x : T[2,64,15,15] input %w : T[96,64,1,1] input %b : T[96] %y = conv(%x, %w, %b) {stride=[2,2]} | relu output %y",
    "input %x : T[1,24,9,16] input %w : T[40,24,1,1] input %r : T[1,40,9,4] %y = conv(%x, %w) {stride=[1,4]} | add(%r) output %y",
    "input %a : T[5,7] input %b : T[7,9] %y = gemm(%a, %b) output %y",
    "input %a : T[64,96] input %b : T[96,128] input %c : T[128] %y = gemm(%a, %b, %c) | relu output %y",
    "input %a : T[96,64] input %b : T[128,96] input %c : T[64,128] %y = gemm(%a, %b, %c) {alpha=0.5, beta=-2.0, trans_a=1, trans_b=1} output %y",
    "input %a : T[7,5] input %b : T[9,7] input %c : T[1,9] %y = gemm(%a, %b, %c) {alpha=0.5, trans_a=1, trans_b=1} output %y",
    "input %a : T[33,1] input %b : T[1,40] input %c : T[40] %y = gemm(%a, %b, %c) output %y",
    "input %a : T[40,24] input %b : T[24,1] input %c : T[1] %y = gemm(%a, %b, %c) output %y",
    "input %a : T[3,100] input %b : T[100,36] input %c : T[3,36] %y = gemm(%a, %b, %c) {beta=0.25} | relu output %y",
    "input %a : T[2,512] input %b : T[1000,512] input %c : T[1000] input %r : T[2,1000] %y = gemm(%a, %b, %c) {trans_b=1} | add(%r) | gelu output %y",
    "input %a : T[6,5] input %b : T[5,70] %y = matmul(%a, %b) output %y",
    "input %a : T[3,4,40] input %b : T[40,24] input %c : T[24] %y = matmul(%a, %b, %c) | relu output %y",
    "input %a : T[2,3,16,24] input %b : T[2,3,24,32] input %r : T[2,3,16,32] %y = matmul(%a, %b) | add(%r) output %y",
    "input %a : T[3,16,24] input %b : T[1,24,32] %y = matmul(%a, %b) output %y",
    "input %a : T[16,24] input %b : T[3,24,32] %y = matmul(%a, %b) output %y",
    "input %a : T[64] input %b : T[64,40] %y = matmul(%a, %b) output %y",
    "input %a : T[5,64] input %b : T[64] %y = matmul(%a, %b) output %y",
    "input %a : T[64] input %b : T[64] %y = matmul(%a, %b) output %y",
    "input %a : T[2,1,3,4] input %b : T[3,4,5] %y = matmul(%a, %b) output %y",
};

/* Few rows: every tail of the own kernels. */
static void check_few_rows(unsigned every)
{
  static const int ROWS[] = {1, 2, 3, 5, 8, 9, 16}, COLS[] = {1, 17, 130}, TAPS[] = {1, 8, 31, 264, 2056};
  for (unsigned r = 0; r < sizeof ROWS / sizeof *ROWS; r++)
    for (unsigned c = 0; c < sizeof COLS / sizeof *COLS; c++)
      for (unsigned t = 0; t < sizeof TAPS / sizeof *TAPS; t++) {
        char text[256];
        if ((35 * r + 5 * c + t) % every)
          continue;
        snprintf(
            text, sizeof text,
            "input %%a : T[%d,%d] input %%b : T[%d,%d] input %%c : T[%d] %%y = gemm(%%a, %%b, %%c) {trans_b=1} | "
            "relu output %%y",
            ROWS[r], TAPS[t], COLS[c], TAPS[t], COLS[c]);
        check_text(text);
      }
}

int main(int argc, char **argv)
{
  /* "own N": every Nth case for the own kernels, for checkers of memory, which are slow */
  bool small = argc > 1 && strcmp(argv[1], "own") == 0;
  unsigned every = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
  every = every ? every : 1;
  int code = gpu_open(&gpu, (size_t)256 << 20);
  if (code)
    return code;
  gpu.apart = own_only = small;
  for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i += every)
    check_text(CASES[i]);
  check_few_rows(every);
  printf(
      "%d problems taken, %d refused; %d variants, %d runs, %d over the addend, %d views refused; greatest error f32 "
      "%.2g, tf32 %.2g, f16 %.2g\n",
      taken.problems, taken.refused, taken.variants, taken.runs, taken.over, taken.no_pitch, taken.worst[0],
      taken.worst[1], taken.worst[2]);
  if (taken.lost)
    complain("f32", "variants in f16 are not there for the problem in f16");
  /* fewer means that something is refused for no reason */
  bool enough = small || (taken.problems >= 300 && taken.variants >= 3000 && taken.over >= 20);
  if (!enough)
    complain("all", "too little is taken");
  printf("%d wrong\n", taken.wrong);
  gpu_close(&gpu);
  return taken.wrong != 0;
}
