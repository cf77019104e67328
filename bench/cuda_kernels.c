/* SPDX-License-Identifier: Apache-2.0 */
/* Bandwidth of the memory-bound CUDA kernels (each variant for the layouts) beside the device's copy bandwidth: one row per case, tensors far larger than
 * the L2 cache, runs in a captured graph, the median of several. Bytes: each operand and result once.
 *
 *   bench/cuda_kernels [PREFIX]     only kernels whose names begin with it
 *
 * Ends with 77 without a device. */
#include "core/ir/ir.h"
#include <gie/gie.h>

#include <stdio.h>
#include <stdlib.h>

#define RUNS 20
#define REPEATS 9

static const struct row {
  const char *dtype, *in, *out; /* layouts of the tensors of rank 4 */
  const char *text;
} ROWS[] = {
#define BOTH(text)                                                                             \
  {"f32", "nchw", "nchw", text}, {"f16", "nchw", "nchw", text}, {"f32", "nhwc", "nhwc", text}, \
  {                                                                                            \
    "f16", "nhwc", "nhwc", text                                                                \
  }
#define CHANGE(text)                                                                           \
  {"f32", "nchw", "nhwc", text}, {"f32", "nhwc", "nchw", text}, {"f16", "nchw", "nhwc", text}, \
  {                                                                                            \
    "f16", "nhwc", "nchw", text                                                                \
  }
    {"f32", "nchw", "nchw", "input %x : T[64,256,56,56] %y = relu(%x) output %y"},
    {"f16", "nchw", "nchw", "input %x : T[128,256,56,56] %y = relu(%x) output %y"},
    {"f16", "nhwc", "nhwc", "input %x : T[128,256,56,56] %y = silu(%x) output %y"},
    {"f16", "nhwc", "nhwc", "input %x : T[128,256,56,56] %y = gelu(%x) output %y"},
    {"f32", "nchw", "nchw",
     "input %x : T[64,256,56,56] input %b : T[64,256,56,56] %y = add(%x, %b) output %y"},
    {"f16", "nhwc", "nhwc",
     "input %x : T[128,256,56,56] input %b : T[128,256,56,56] %y = add(%x, %b) output %y"},
    {"f16", "nhwc", "nhwc", "input %x : T[128,256,56,56] input %b : T[256,1,1] %y = mul(%x, %b) output %y"},
    {"f16", "nchw", "nchw", "input %x : T[128,256,56,56] input %b : T[256,1,1] %y = mul(%x, %b) output %y"},
    {"f16", "nhwc", "nhwc",
     "input %x : T[128,256,56,56] input %b : T[128,256,1,1] %y = mul(%x, %b) output %y"},
    {"f32", "nchw", "nchw",
     "input %x : T[64,256,56,56] input %s : T[256] input %b : T[256] input %m : T[256] input %v : T[256] %y = batch_norm(%x, %s, %b, %m, %v) output %y"},
    CHANGE("input %x : T[128,256,56,56] %y = reorder(%x) output %y"),
    CHANGE("input %x : T[128,250,49,47] %y = reorder(%x) output %y"),
    {"f32", "nchw", "nhwc", "input %x : T[256,3,224,224] %y = reorder(%x) output %y"},
    {"f16", "nchw", "Nchw2n", "input %x : T[128,256,56,56] %y = reorder(%x) output %y"},
    {"f16", "Nchw2n", "nchw", "input %x : T[128,256,56,56] %y = reorder(%x) output %y"},
    {"f16", "nchw", "nChw8c", "input %x : T[128,256,56,56] %y = reorder(%x) output %y"},
    {"f16", "Nchw2n", "Nchw2n", "input %x : T[128,256,56,56] %y = relu(%x) output %y"},
    {"f32", "nchw", "nchw", "input %x : T[128,128,56,56] %y = cast(%x) {to=f16} output %y"},
    {"f32", "nchw", "nhwc", "input %x : T[128,128,56,56] %y = cast(%x) {to=f16} output %y"},
    {"f16", "nhwc", "nchw", "input %x : T[128,128,56,56] %y = cast(%x) {to=f32} output %y"},
    {"f32", "nchw", "nhwc", "input %x : T[256,3,224,224] %y = cast(%x) {to=f16} output %y"},
    {"f32", "nchw", "nChw4c", "input %x : T[256,3,224,224] %y = cast(%x) {to=f16} output %y"},
    BOTH(
        "input %x : T[128,64,112,112] %y = max_pool(%x) {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]} output %y"),
    BOTH("input %x : T[128,256,28,28] %y = max_pool(%x) {kernel=[3,3], pad=[1,1,1,1]} output %y"),
    BOTH("input %x : T[128,256,56,56] %y = average_pool(%x) {kernel=[2,2], stride=[2,2]} output %y"),
    {"f16", "Nchw2n", "Nchw2n",
     "input %x : T[128,64,112,112] %y = max_pool(%x) {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]} output %y"},
    BOTH("input %x : T[512,2048,7,7] %y = global_average_pool(%x) output %y"),
    BOTH("input %x : T[128,512,28,28] %y = global_average_pool(%x) output %y"),
    {"f16", "nhwc", "nhwc",
     "input %a : T[128,128,56,56] input %b : T[128,128,56,56] %y = concat(%a, %b) {axis=1} output %y"},
    {"f16", "nhwc", "nhwc",
     "input %a : T[512,192,14,14] input %b : T[512,208,14,14] input %c : T[512,48,14,14] input %d : T[512,64,14,14] "
     "%y = concat(%a, %b, %c, %d) {axis=1} output %y"},
    {"f32", "nchw", "nchw",
     "input %a : T[64,128,56,56] input %b : T[64,128,56,56] %y = concat(%a, %b) {axis=1} output %y"},
    {"f16", "nchw", "nchw", "input %x : T[128,256,56,56] %y = transpose(%x) {perm=[0,2,3,1]} output %y"},
    {"f32", "nchw", "nchw", "input %x : T[65536,1000] %y = softmax(%x) output %y"},
    {"f16", "nchw", "nchw", "input %x : T[65536,1000] %y = softmax(%x) output %y"},
    {"f16", "nchw", "nchw", "input %x : T[64,12,384,384] %y = softmax(%x) output %y"},
    BOTH("input %x : T[64,21,256,256] %y = softmax(%x) {axis=1} output %y"),
    {"f16", "nchw", "nchw",
     "input %x : T[128,384,768] input %s : T[768] input %b : T[768] %y = layer_norm(%x, %s, %b) output %y"},
    BOTH(
        "input %x : T[64,96,112,112] input %s : T[96] input %b : T[96] %y = instance_norm(%x, %s, %b) output %y"),
    BOTH("input %x : T[128,192,56,56] %y = lrn(%x) {size=5} output %y"),
    BOTH(
        "input %x : T[64,64,64,64] const %s : f32[4] = {1.0,1.0,2.0,2.0} %y = resize(%x, _, %s) {mode=\"linear\"} output %y"),
    BOTH("input %x : T[64,64,64,64] const %s : f32[4] = {1.0,1.0,2.0,2.0} %y = resize(%x, _, %s) output %y"),
    BOTH(
        "input %x : T[128,144,56,56] input %w : T[144,1,3,3] input %b : T[144] %y = conv(%x, %w, %b) {group=144, pad=[1,1,1,1]} | clip {min=0.0, max=6.0} output %y"),
    BOTH(
        "input %x : T[128,96,112,112] input %w : T[96,1,3,3] input %b : T[96] %y = conv(%x, %w, %b) {group=96, pad=[1,1,1,1], stride=[2,2]} | clip {min=0.0, max=6.0} output %y"),
    BOTH(
        "input %x : T[128,240,28,28] input %w : T[240,1,5,5] input %b : T[240] %y = conv(%x, %w, %b) {group=240, pad=[2,2,2,2]} | relu output %y"),
    {"f16", "nhwc", "nhwc",
     "input %x : T[1,144,56,56] input %w : T[144,1,3,3] input %b : T[144] %y = conv(%x, %w, %b) {group=144, pad=[1,1,1,1]} | clip {min=0.0, max=6.0} output %y"},
    {"f16", "nhwc", "nhwc",
     "input %x : T[1,960,7,7] input %w : T[960,1,3,3] input %b : T[960] %y = conv(%x, %w, %b) {group=960, pad=[1,1,1,1]} | clip {min=0.0, max=6.0} output %y"},
    {"f16", "nhwc", "nhwc",
     "input %x : T[1,64,112,112] %y = max_pool(%x) {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]} output %y"},
    {"f16", "nhwc", "nhwc",
     "input %x : T[1,480,14,14] %y = max_pool(%x) {kernel=[3,3], pad=[1,1,1,1]} output %y"},
    {"f16", "nhwc", "nhwc", "input %x : T[1,2048,7,7] %y = global_average_pool(%x) output %y"},
    {"f16", "nhwc", "nhwc", "input %x : T[1,256,56,56] input %b : T[1,256,56,56] %y = add(%x, %b) output %y"},
    {"f32", "nchw", "nhwc", "input %x : T[1,3,224,224] %y = cast(%x) {to=f16} output %y"},
    {"f32", "nchw", "nchw", "input %x : T[1,1000] %y = softmax(%x) output %y"},
};

struct bench {
  struct gie_context *ctx;
  const struct gie_device *ops;
  void *dev, *stream, *from, *to;
  struct gie_device_info info;
  struct gie_peaks peaks;
};

static gie_status open_device(struct bench *b)
{
  const struct gie_device *d;
  for (uint32_t i = 0; (d = gie_device_at(b->ctx, i)) != NULL; i++)
    if (strcmp(d->kind, "cuda") == 0)
      b->ops = d;
  if (!b->ops || b->ops->count(b->ctx) == 0) {
    printf("needs a device of kind cuda: skipped\n");
    exit(77);
  }
  GIE_TRY(b->ops->open(b->ctx, 0, &b->dev));
  GIE_TRY(b->ops->info(b->dev, &b->info));
  GIE_TRY(b->ops->peaks(b->dev, &b->peaks));
  GIE_TRY(b->ops->stream_new(b->dev, &b->stream));
  GIE_TRY(b->ops->event_new(b->dev, &b->from));
  return b->ops->event_new(b->dev, &b->to);
}

/* ---- A row */

#define MAX_IO 8

struct run {
  struct gie_graph *g;
  const struct gie_node *n;
  struct gie_desc plain[MAX_IO], desc[MAX_IO];
  const void *data[MAX_IO];
  void *at[MAX_IO], *workspace, *instance, *graph;
  char *weights[MAX_IO]; /* made-up constants */
  void *packed[MAX_IO];
  double bytes;
};

static gie_status parse(struct bench *b, const struct row *r, struct gie_graph **g)
{
  char text[1024];
  size_t at = (size_t)snprintf(text, sizeof text, "graph \"bench\" {\n");
  for (const char *s = r->text; *s && at + 8 < sizeof text; s++) {
    if (s[0] == 'T' && s[1] == '[')
      at += (size_t)snprintf(text + at, sizeof text - at, "%s", r->dtype);
    else
      text[at++] = *s;
  }
  at += (size_t)snprintf(text + at, sizeof text - at, "\n}\n");
  return gie_graph_parse(b->ctx, text, at, NULL, g);
}

/* Numbers around 0: a pattern of f16 or f32 values. */
static void fill_host(char *host, size_t bytes, bool half)
{
  for (size_t i = 0; i < bytes / (half ? 2 : 4); i++) {
    float v = (float)((int)(i * 2654435761u >> 20 & 255) - 128) / 64.0f;
    if (half)
      ((uint16_t *)(void *)host)[i] = gie_f32_to_f16(v);
    else
      ((float *)(void *)host)[i] = v;
  }
}

static gie_status fill(struct bench *b, void *at, size_t bytes, bool half)
{
  enum { PIECE = 1 << 20 };
  size_t piece = bytes < PIECE ? bytes : PIECE;
  char *host = gie_alloc(b->ctx, 1, piece + 4);
  gie_status st = GIE_OK;
  if (!host)
    return GIE_E_MEMORY;
  fill_host(host, piece, half);
  for (size_t i = 0; i < bytes && st == GIE_OK; i += piece)
    st = b->ops->copy(b->dev, (char *)at + i, host, bytes - i < piece ? bytes - i : piece, GIE_COPY_TO_DEVICE,
                      b->stream);
  if (st == GIE_OK)
    st = b->ops->sync(b->dev, b->stream);
  gie_free(b->ctx, host);
  return st;
}

static gie_status make_tensors(struct bench *b, const struct row *r, struct run *x)
{
  static const struct gie_layout plain;
  for (uint32_t i = 0; i < x->n->n_in + x->n->n_out; i++) {
    bool is_in = i < x->n->n_in;
    gie_id id = is_in ? x->n->in[i] : x->n->out[i - x->n->n_in];
    struct gie_layout layout = plain;
    size_t bytes, size;
    if (id == GIE_NONE)
      continue;
    const struct gie_value *v = gie_value_get(x->g, id);
    GIE_TRY(gie_desc_make(b->ctx, &v->type, &plain, &x->plain[i], NULL));
    const bool weights = is_in && i > 0 && (x->n->op->flags & GIE_OP_EPILOGUE);
    if (v->type.shape.rank == 4 && !weights)
      GIE_TRY(gie_layout_parse(b->ctx, is_in ? r->in : r->out, 4, &layout));
    GIE_TRY(gie_desc_make(b->ctx, &v->type, &layout, &x->desc[i], &bytes));
    x->data[i] = is_in ? gie_value_bytes(x->g, id, &size) : NULL;
    x->bytes += (double)bytes;
    if (weights && i < x->n->n_operands && !x->data[i]) {
      x->weights[i] = gie_alloc(b->ctx, 1, bytes + 4);
      if (!x->weights[i])
        return GIE_E_MEMORY;
      fill_host(x->weights[i], bytes, v->type.dtype == GIE_F16);
      x->data[i] = x->weights[i];
    }
    GIE_TRY(b->ops->alloc(b->dev, bytes, &x->at[i]));
    if (x->data[i])
      GIE_TRY(b->ops->copy(b->dev, x->at[i], x->data[i], bytes, GIE_COPY_TO_DEVICE, b->stream));
    else
      GIE_TRY(fill(b, x->at[i], bytes, v->type.dtype == GIE_F16));
  }
  return GIE_OK;
}

static int compare(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static gie_status time_it(struct bench *b, struct run *x, const struct gie_kernel *k, void *const *in,
                          double *seconds)
{
  double t[REPEATS];
  struct gie_launch l = {
      .struct_size = sizeof l, .in = in, .out = x->at + x->n->n_in, .workspace = x->workspace, .ctx = b->ctx};
  l.stream = b->stream;
  GIE_TRY(k->run(x->instance, &l));
  GIE_TRY(b->ops->sync(b->dev, b->stream));
  GIE_TRY(b->ops->capture_begin(b->dev, b->stream));
  for (int i = 0; i < RUNS; i++)
    GIE_TRY(k->run(x->instance, &l));
  GIE_TRY(b->ops->capture_end(b->dev, b->stream, &x->graph));
  for (int i = 0; i <= REPEATS; i++) {
    double s;
    GIE_TRY(b->ops->event_record(b->dev, b->from, b->stream));
    GIE_TRY(b->ops->capture_launch(b->dev, x->graph, b->stream));
    GIE_TRY(b->ops->event_record(b->dev, b->to, b->stream));
    GIE_TRY(b->ops->event_elapsed(b->dev, b->from, b->to, &s));
    if (i > 0)
      t[i - 1] = s / RUNS;
  }
  qsort(t, REPEATS, sizeof *t, compare);
  *seconds = t[REPEATS / 2];
  return GIE_OK;
}

/* Constants in the kernel's own form take the place of the operands; *in is what the launch gets. */
static gie_status pack(struct bench *b, struct run *x, const struct gie_kernel *k,
                       const struct gie_problem *p, const struct gie_variant *v, void **in)
{
  static struct gie_pack packs[MAX_IO];
  memset(packs, 0, sizeof packs);
  uint32_t n = k->pack_desc ? k->pack_desc(k, p, v, packs, MAX_IO) : 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t operand = packs[i].operand;
    char *host = gie_alloc(b->ctx, 1, packs[i].bytes);
    gie_status st = host ? k->pack(k, p, v, &packs[i], x->data[operand], host) : GIE_E_MEMORY;
    if (st == GIE_OK)
      st = b->ops->alloc(b->dev, packs[i].bytes, &x->packed[i]);
    if (st == GIE_OK)
      st = b->ops->copy(b->dev, x->packed[i], host, packs[i].bytes, GIE_COPY_TO_DEVICE, b->stream);
    if (st == GIE_OK)
      st = b->ops->sync(b->dev, b->stream);
    gie_free(b->ctx, host);
    GIE_TRY(st);
    in[operand] = x->packed[i];
  }
  return GIE_OK;
}

static bool fits_layouts(const struct run *x, const struct gie_variant *v)
{
  for (uint32_t i = 0; i < x->n->n_in + x->n->n_out; i++) {
    bool is_in = i < x->n->n_in;
    uint32_t j = is_in ? i : i - x->n->n_in;
    const struct gie_port *port = is_in          ? j < v->n_in ? &v->in[j] : &v->any_in
                                  : j < v->n_out ? &v->out[j]
                                                 : &v->any_out;
    bool changes = port->dtype != GIE_DTYPE_NONE && port->dtype != x->plain[i].dtype;
    if (x->plain[i].dtype == GIE_DTYPE_NONE)
      continue;
    if (changes ||
        (!port->layout.any && !gie_layout_equal(&port->layout, &x->desc[i].layout, x->desc[i].rank)))
      return false;
  }
  return true;
}

/* Variant number `nth` of those that fit the layouts; E_NO when there are no more. */
static gie_status run_kernel(struct bench *b, struct run *x, const struct gie_kernel *k, uint32_t nth,
                             char *label, double *seconds)
{
  enum { VARIANTS = 64 };
  static struct gie_variant v[VARIANTS];
  char why[256] = "";
  struct gie_problem p = {.struct_size = sizeof p,
                          .ctx = b->ctx,
                          .graph = x->g,
                          .node = x->n,
                          .n_in = x->n->n_in,
                          .n_out = x->n->n_out};
  p.in = x->plain;
  p.out = x->plain + x->n->n_in;
  p.in_data = x->data;
  p.device_kind = "cuda";
  p.device = &b->info;
  if (!k->supports(k, &p, why, sizeof why))
    return gie_fail(b->ctx, GIE_E_UNSUPPORTED, "%s", why);
  memset(v, 0, sizeof v);
  uint32_t n = k->variants ? k->variants(k, &p, v, VARIANTS) : 1, i = 0;
  v[0].any_in.layout.any = v[0].any_out.layout.any = v[0].any_in.layout.any || !k->variants;
  while (i < n && (!fits_layouts(x, &v[i]) || nth-- > 0))
    i++;
  if (i == n)
    return gie_fail(b->ctx, GIE_E_NO, "no variant for these layouts");
  snprintf(label, sizeof v[i].label, "%s", v[i].label);
  void *in[MAX_IO];
  memcpy(in, x->at, sizeof in);
  p.in = x->desc;
  p.out = x->desc + x->n->n_in;
  size_t bytes = k->workspace ? k->workspace(k, &p, &v[i]) : 0;
  GIE_TRY(b->ops->alloc(b->dev, bytes, &x->workspace));
  GIE_TRY(pack(b, x, k, &p, &v[i], in));
  GIE_TRY(k->create(k, &p, &v[i], &x->instance));
  gie_status st = time_it(b, x, k, in, seconds);
  k->destroy(x->instance);
  return st;
}

/* Kernels that wait for arithmetic have benchmarks of their own. */
static bool is_product(const char *name)
{
  static const char *const NAMES[] = {"cuda.conv", "cuda.conv_plain", "cuda.product", "cuda.product_plain"};
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
    if (strcmp(NAMES[i], name) == 0)
      return true;
  return false;
}

static bool takes(const struct gie_kernel *k, const char *op, const char *prefix)
{
  if (is_product(k->name) && strcmp(k->name, prefix) != 0)
    return false;
  if (strcmp(k->device, "cuda") != 0 || strncmp(k->name, prefix, strlen(prefix)) != 0)
    return false;
  for (const char *const *o = k->ops; *o; o++)
    if (strcmp(*o, op) == 0)
      return true;
  return false;
}

static void print_row(const struct bench *b, const struct row *r, const struct run *x, const char *kernel,
                      double seconds)
{
  const struct gie_desc *d = &x->plain[0];
  char dims[64];
  int at = 0;
  for (int i = 0; i < d->rank; i++)
    at += snprintf(dims + at, sizeof dims - (size_t)at, "%s%lld", i ? "x" : "", (long long)d->dim[i]);
  printf("%-40s %-4s %-7s %-7s %-16s %9.2f us %8.0f GB/s %5.0f %%\n", kernel, r->dtype, r->in, r->out, dims,
         seconds * 1e6, x->bytes / seconds / 1e9, 100 * x->bytes / seconds / b->peaks.bytes_per_s);
}

static void run_variants(struct bench *b, const struct row *r, struct run *x, const struct gie_kernel *k)
{
  gie_status st = GIE_OK;
  for (uint32_t nth = 0; st == GIE_OK; nth++) {
    char name[96], label[sizeof((struct gie_variant *)0)->label] = "";
    double seconds = 0;
    st = run_kernel(b, x, k, nth, label, &seconds);
    snprintf(name, sizeof name, "%s%s%s", k->name, label[0] ? " " : "", label);
    if (st == GIE_OK)
      print_row(b, r, x, name, seconds);
    else if (st != GIE_E_NO || nth == 0)
      printf("%-40s %-4s %-7s %-7s %s\n", name, r->dtype, r->in, r->out, gie_error_text(b->ctx));
    b->ops->capture_free(b->dev, x->graph);
    b->ops->free(b->dev, x->workspace);
    for (int j = 0; j < MAX_IO; j++) {
      b->ops->free(b->dev, x->packed[j]);
      x->packed[j] = NULL;
    }
    x->graph = x->workspace = NULL;
    fflush(stdout);
  }
}

static void run_row(struct bench *b, const struct row *r, const char *prefix)
{
  struct run x = {0};
  const struct gie_kernel *k;
  gie_status st = parse(b, r, &x.g);
  if (st != GIE_OK) {
    printf("%s: %s\n", r->text, gie_error_text(b->ctx));
    return;
  }
  x.n = gie_node_get(x.g, gie_graph_first(x.g));
  st = x.n->n_in + x.n->n_out <= MAX_IO ? make_tensors(b, r, &x) : GIE_E_LIMIT;
  for (uint32_t i = 0; st == GIE_OK && (k = gie_kernel_at(b->ctx, i)) != NULL; i++)
    if (takes(k, x.n->op->name, prefix))
      run_variants(b, r, &x, k);
  if (st != GIE_OK)
    printf("%s: %s\n", r->text, gie_error_text(b->ctx));
  for (int i = 0; i < MAX_IO; i++) {
    b->ops->free(b->dev, x.at[i]);
    gie_free(b->ctx, x.weights[i]);
  }
  gie_graph_free(x.g);
}

int main(int argc, char **argv)
{
  struct bench b = {0};
  struct gie_context_options options = {.struct_size = sizeof options};
  if (gie_context_new(&options, &b.ctx) != GIE_OK)
    return 70;
  if (open_device(&b) != GIE_OK) {
    printf("%s\n", gie_error_text(b.ctx));
    return 69;
  }
  printf("%s, %s: copies of 512 MiB run at %.0f GB/s\n", b.info.name, b.info.version,
         b.peaks.bytes_per_s / 1e9);
  for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
    run_row(&b, &ROWS[i], argc > 1 ? argv[1] : "cuda.");
  return 0;
}
