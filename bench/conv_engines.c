/* SPDX-License-Identifier: Apache-2.0 */
/* What each convolution of ResNet-50 and GoogLeNet costs with the engines that a backend's kernel offers.
 *
 *     conv_engines [KERNEL [MAX [SECONDS]]]
 *
 * KERNEL (default cudnn.conv) is asked about every convolution, bias and relu fused, batch 1 and 32, in f16 and
 * in f32 (strict, and with TF32 factors); the first MAX (default 10) variants of each form are prepared and timed
 * as captured graphs of many runs. Results are checked at some places against sums in f64. A line per problem:
 * variants offered and tried, time of asking, of preparing, and the best in channels-last and in plain layout.
 * It ends after SECONDS (default 100). */
#include "core/ir/ir.h"
#include <gie/gie.h>
#include <math.h>
#include <time.h>

#define MAX_VARIANTS 256
#define SAMPLES 48
#define GUARD 256

struct shape {
  int hw, c, k, window, stride, pad;
};

static const struct shape RESNET50[] = {
    {224, 3, 64, 7, 2, 3},     {56, 64, 64, 1, 1, 0},    {56, 64, 64, 3, 1, 1},    {56, 64, 256, 1, 1, 0},
    {56, 256, 64, 1, 1, 0},    {56, 256, 128, 1, 1, 0},  {56, 128, 128, 3, 2, 1},  {28, 128, 512, 1, 1, 0},
    {56, 256, 512, 1, 2, 0},   {28, 512, 128, 1, 1, 0},  {28, 128, 128, 3, 1, 1},  {28, 512, 256, 1, 1, 0},
    {28, 256, 256, 3, 2, 1},   {14, 256, 1024, 1, 1, 0}, {28, 512, 1024, 1, 2, 0}, {14, 1024, 256, 1, 1, 0},
    {14, 256, 256, 3, 1, 1},   {14, 1024, 512, 1, 1, 0}, {14, 512, 512, 3, 2, 1},  {7, 512, 2048, 1, 1, 0},
    {14, 1024, 2048, 1, 2, 0}, {7, 2048, 512, 1, 1, 0},  {7, 512, 512, 3, 1, 1}};

/* GoogLeNet's modules: extent, channels, then outputs of 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, pooled. */
static const int INCEPTION[][8] = {
    {28, 192, 64, 96, 128, 16, 32, 32},     {28, 256, 128, 128, 192, 32, 96, 64},
    {14, 480, 192, 96, 208, 16, 48, 64},    {14, 512, 160, 112, 224, 24, 64, 64},
    {14, 512, 128, 128, 256, 24, 64, 64},   {14, 512, 112, 144, 288, 32, 64, 64},
    {14, 528, 256, 160, 320, 32, 128, 128}, {7, 832, 256, 160, 320, 32, 128, 128},
    {7, 832, 384, 192, 384, 48, 128, 128}};

static struct gie_context *ctx;
static const struct gie_kernel *kernel;
static const struct gie_device *ops;
static void *dev, *stream, *events[2], *library;
static struct gie_device_info info;
static double deadline;
static int max_tried;

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(gie_status st, const char *what)
{
  if (st == GIE_OK)
    return;
  fprintf(stderr, "conv_engines: %s: %s\n", what, gie_error_text(ctx));
  exit(1);
}

/* ---- Numbers */

static uint32_t state = 1;

/* In [-1, 1], a multiple of 1/16: all element types have it. */
static float random_number(void)
{
  state = state * 1664525u + 1013904223u;
  return (float)((int)(state >> 16) % 17 - 8) / 8 * (state >> 8 & 1 ? 1 : 0.5f);
}

/* The first axis of an operand of several images is filled with the same image again and again. */
struct tensor {
  struct gie_desc desc;
  float *v; /* of one image, in row-major order */
  char *device, *image, *unset;
  size_t bytes;
  int64_t images;
  bool placed;
};

static int64_t next_index(const struct gie_desc *d, int64_t *idx)
{
  for (int i = d->rank - 1; i >= 0; i--) {
    if (++idx[i] < d->dim[i])
      return 1;
    idx[i] = 0;
  }
  return 0;
}

static void store(const struct gie_desc *d, char *image, const int64_t *idx, float v)
{
  uint16_t h = gie_f32_to_f16(v);
  size_t size = gie_dtype_size(d->dtype);
  memcpy(image + (size_t)gie_desc_offset(d, idx) * size, size == 4 ? (void *)&v : (void *)&h, size);
}

static float load(const struct gie_desc *d, const char *image, const int64_t *idx)
{
  float v;
  uint16_t h;
  const char *at = image + (size_t)gie_desc_offset(d, idx) * gie_dtype_size(d->dtype);
  if (d->dtype == GIE_F32)
    return memcpy(&v, at, 4), v;
  memcpy(&h, at, 2);
  return gie_f16_to_f32(h);
}

static void tensor_make(struct tensor *t, enum gie_dtype dtype, int rank, const int64_t *dim, int64_t images)
{
  static const struct gie_layout plain;
  struct gie_type type = {dtype, {.rank = rank}};
  for (int i = 0; i < rank; i++)
    type.shape.dim[i] = gie_dim_num(dim[i]);
  need(gie_desc_make(ctx, &type, &plain, &t->desc, &t->bytes), "tensor");
  t->images = images;
  t->v = malloc((size_t)(gie_desc_count(&t->desc) / images) * sizeof *t->v);
  t->image = malloc(t->bytes + 2 * GUARD);
  need(ops->alloc(dev, t->bytes + 2 * GUARD, (void **)&t->device), "memory");
  for (int64_t i = 0; i < gie_desc_count(&t->desc) / images; i++)
    t->v[i] = random_number();
}

static void tensor_free(struct tensor *t)
{
  free(t->v);
  free(t->image);
  ops->free(dev, t->device);
  ops->free(dev, t->unset);
}

static bool describe(struct tensor *t, const struct gie_layout *layout)
{
  struct gie_type type = {t->desc.dtype, {.rank = t->desc.rank}};
  bool same = t->placed && gie_layout_equal(layout, &t->desc.layout, t->desc.rank);
  for (int a = 0; a < t->desc.rank; a++)
    type.shape.dim[a] = gie_dim_num(t->desc.dim[a]);
  need(gie_desc_make(ctx, &type, layout, &t->desc, NULL), "layout");
  t->placed = true;
  return same;
}

/* An operand on the device, in that layout, guards around it. */
static void tensor_place(struct tensor *t, const struct gie_layout *layout)
{
  int64_t idx[GIE_MAX_RANK] = {0}, i = 0;
  if (describe(t, layout))
    return;
  struct gie_desc one = t->desc;
  size_t bytes = t->bytes / (size_t)t->images;
  char *first = t->image + GUARD;
  if (t->images > 1)
    one.dim[0] = 1;
  memset(t->image, 0xff, t->bytes + 2 * GUARD);
  do
    store(&one, first, idx, t->v[i++]);
  while (next_index(&one, idx));
  for (int64_t k = 1; k < t->images; k++)
    memcpy(first + (size_t)k * bytes, first, bytes);
  need(ops->copy(dev, t->device, t->image, t->bytes + 2 * GUARD, GIE_COPY_TO_DEVICE, stream), "copy");
  need(ops->sync(dev, stream), "copy");
}

/* A result: bytes that no kernel leaves. */
static void tensor_unset(struct tensor *t, const struct gie_layout *layout)
{
  describe(t, layout);
  if (!t->unset) {
    memset(t->image, 0xff, t->bytes + 2 * GUARD);
    need(ops->alloc(dev, t->bytes + 2 * GUARD, (void **)&t->unset), "memory");
    need(ops->copy(dev, t->unset, t->image, t->bytes + 2 * GUARD, GIE_COPY_TO_DEVICE, stream), "copy");
  }
  need(ops->copy(dev, t->device, t->unset, t->bytes + 2 * GUARD, GIE_COPY_ON_DEVICE, stream), "copy");
  need(ops->sync(dev, stream), "copy");
}

/* ---- A problem */

enum { X, W, B, Y, TENSORS };

struct problem {
  const struct shape *s;
  int batch;
  struct tensor t[TENSORS];
  struct gie_graph *g;
  struct gie_desc plain[TENSORS], here[TENSORS];
  const void *data[3];
  struct gie_problem p;
  double want[SAMPLES], peak;
  int64_t at[SAMPLES][4];
};

static double exact(const struct problem *q, const int64_t *at)
{
  const struct shape *s = q->s;
  double sum = q->t[B].v[at[1]];
  for (int c = 0; c < s->c; c++)
    for (int i = 0; i < s->window; i++)
      for (int j = 0; j < s->window; j++) {
        int64_t h = at[2] * s->stride - s->pad + i, w = at[3] * s->stride - s->pad + j;
        if (h >= 0 && w >= 0 && h < s->hw && w < s->hw)
          sum += (double)q->t[X].v[(c * s->hw + h) * s->hw + w] *
                 (double)q->t[W].v[((at[1] * s->c + c) * s->window + i) * s->window + j];
      }
  return sum > 0 ? sum : 0;
}

static void make_graph(struct problem *q, const char *dtype, const int64_t *y)
{
  const struct shape *s = q->s;
  char text[1024];
  int n = snprintf(text, sizeof text,
                   "graph \"c\" { input %%x : %s[%d,%d,%d,%d] input %%w : %s[%d,%d,%d,%d] input %%b : %s[%d] "
                   "%%y : %s[%d,%d,%d,%d] = conv(%%x, %%w, %%b) {stride=[%d,%d], pad=[%d,%d,%d,%d]} | relu "
                   "output %%y }",
                   dtype, q->batch, s->c, s->hw, s->hw, dtype, s->k, s->c, s->window, s->window, dtype, s->k,
                   dtype, (int)y[0], (int)y[1], (int)y[2], (int)y[3], s->stride, s->stride, s->pad, s->pad,
                   s->pad, s->pad);
  need(gie_graph_parse(ctx, text, (size_t)n, NULL, &q->g), "graph");
}

static void problem_make(struct problem *q, const struct shape *s, int batch, enum gie_dtype dtype,
                         enum gie_math math)
{
  static const struct gie_layout plain;
  memset(q, 0, sizeof *q);
  q->s = s;
  q->batch = batch;
  int64_t out = (s->hw + 2 * s->pad - s->window) / s->stride + 1;
  int64_t dims[TENSORS][4] = {{batch, s->c, s->hw, s->hw},
                              {s->k, s->c, s->window, s->window},
                              {s->k},
                              {batch, s->k, out, out}};
  for (int i = 0; i < TENSORS; i++) {
    tensor_make(&q->t[i], dtype, i == B ? 1 : 4, dims[i], i == X || i == Y ? batch : 1);
    q->plain[i] = q->t[i].desc;
  }
  for (int64_t i = 0; i < gie_desc_count(&q->t[W].desc); i++)
    q->t[W].v[i] /= 4;
  for (int i = W; i <= B; i++) {
    tensor_place(&q->t[i], &plain);
    q->data[i] = q->t[i].image + GUARD;
  }
  make_graph(q, gie_dtype_name(dtype), dims[Y]);
  q->p = (struct gie_problem){.struct_size = sizeof q->p,
                              .ctx = ctx,
                              .graph = q->g,
                              .node = gie_node_get(q->g, gie_graph_first(q->g)),
                              .n_in = 3,
                              .n_out = 1,
                              .in = q->plain,
                              .out = q->plain + Y,
                              .in_data = q->data,
                              .math = math,
                              .device_kind = kernel->device,
                              .device = &info,
                              .library = library};
  for (int i = 0; i < SAMPLES; i++) {
    for (int a = 0; a < 4; a++) {
      random_number();
      q->at[i][a] = i == 0 ? 0 : i == 1 ? dims[Y][a] - 1 : (int64_t)(state >> 8) % dims[Y][a];
    }
    q->want[i] = exact(q, q->at[i]);
    q->peak = fmax(q->peak, q->want[i]);
  }
}

static void problem_free(struct problem *q)
{
  for (int i = 0; i < TENSORS; i++)
    tensor_free(&q->t[i]);
  gie_graph_free(q->g);
}

/* ---- A variant */

struct timing {
  double prepare, run; /* seconds; run < 0: not to be had, or wrong */
  size_t workspace;
};

static double check(struct problem *q)
{
  struct tensor *y = &q->t[Y];
  char *whole = y->image;
  double worst = 0;
  need(ops->copy(dev, whole, y->device, y->bytes + 2 * GUARD, GIE_COPY_TO_HOST, stream), "copy");
  need(ops->sync(dev, stream), "copy");
  for (int i = 0; i < GUARD; i++)
    if (whole[i] != (char)0xff || whole[GUARD + y->bytes + (size_t)i] != (char)0xff)
      worst = INFINITY;
  for (int i = 0; i < SAMPLES; i++) {
    double e = fabs((double)load(&y->desc, whole + GUARD, q->at[i]) - q->want[i]) / q->peak;
    worst = e <= worst ? worst : isnan(e) ? INFINITY : e;
  }
  return worst;
}

static double replay(void *instance, const struct gie_launch *l, int n)
{
  void *graph = NULL;
  double seconds = -1, best = INFINITY;
  need(ops->capture_begin(dev, stream), "capture");
  gie_status st = GIE_OK;
  for (int i = 0; st == GIE_OK && i < n; i++)
    st = kernel->run(instance, l);
  gie_status end = ops->capture_end(dev, stream, &graph);
  if (st != GIE_OK || end != GIE_OK)
    return -1;
  for (int i = 0; i < 3; i++) {
    need(ops->event_record(dev, events[0], stream), "event");
    need(ops->capture_launch(dev, graph, stream), "graph");
    need(ops->event_record(dev, events[1], stream), "event");
    need(ops->sync(dev, stream), "graph");
    need(ops->event_elapsed(dev, events[0], events[1], &seconds), "event");
    best = fmin(best, seconds / n);
  }
  ops->capture_free(dev, graph);
  return best;
}

static void try_variant(struct problem *q, const struct gie_variant *v, double allowed, struct timing *out)
{
  struct gie_problem p = q->p;
  struct gie_pack pack = {.struct_size = sizeof pack};
  void *in[3], *result, *instance = NULL, *workspace = NULL, *packed = NULL;
  out->run = -1;
  tensor_place(&q->t[X], &v->in[0].layout);
  tensor_unset(&q->t[Y], &v->out[0].layout);
  for (int i = 0; i < TENSORS; i++)
    q->here[i] = q->t[i].desc;
  p.in = q->here;
  p.out = q->here + Y;
  for (int i = 0; i < 3; i++)
    in[i] = q->t[i].device + GUARD;
  result = q->t[Y].device + GUARD;
  double start = now();
  out->workspace = kernel->workspace ? kernel->workspace(kernel, &p, v) : 0;
  gie_status st = kernel->create(kernel, &p, v, &instance);
  out->prepare = now() - start;
  if (st != GIE_OK)
    return;
  need(ops->alloc(dev, out->workspace ? out->workspace : 1, &workspace), "workspace");
  if (kernel->pack_desc && kernel->pack_desc(kernel, &p, v, &pack, 1)) {
    void *image = malloc(pack.bytes);
    need(kernel->pack(kernel, &p, v, &pack, q->data[pack.operand], image), "packing");
    need(ops->alloc(dev, pack.bytes, &packed), "weights");
    need(ops->copy(dev, packed, image, pack.bytes, GIE_COPY_TO_DEVICE, stream), "weights");
    need(ops->sync(dev, stream), "weights");
    free(image);
    in[pack.operand] = packed;
  }
  struct gie_launch l = {.struct_size = sizeof l,
                         .in = in,
                         .out = &result,
                         .workspace = workspace,
                         .stream = stream,
                         .library = library,
                         .ctx = ctx};
  if (kernel->run(instance, &l) == GIE_OK && ops->sync(dev, stream) == GIE_OK) {
    double error = check(q);
    double once = replay(instance, &l, 1);
    if (error <= allowed)
      out->run = once < 0 || once > 3e-4 ? once : replay(instance, &l, 20);
    else
      printf("    wrong: %s, error %.2e\n", v->label, error);
  }
  kernel->destroy(instance);
  ops->free(dev, workspace);
  ops->free(dev, packed);
}

/* ---- The table */

static void measure(const char *net, const struct shape *s, int batch, enum gie_dtype dtype,
                    enum gie_math math)
{
  static struct gie_variant v[MAX_VARIANTS];
  struct problem q;
  char why[256] = "";
  int tried[2] = {0}, best[2] = {-1, -1};
  double seconds[2] = {INFINITY, INFINITY}, prepare = 0, slowest = 0,
         allowed = dtype == GIE_F16 ? 2e-3
                   : math           ? 1e-3
                                    : 2e-5;
  if (now() > deadline)
    return;
  problem_make(&q, s, batch, dtype, math);
  double start = now();
  uint32_t n = kernel->supports(kernel, &q.p, why, sizeof why)
                   ? kernel->variants(kernel, &q.p, v, MAX_VARIANTS)
                   : 0;
  double asking = now() - start;
  for (uint32_t i = 0; i < n && now() < deadline; i++) {
    struct timing t = {0};
    int last = v[i].out[0].layout.rank != 0;
    if ((v[i].in[0].dtype && v[i].in[0].dtype != dtype) || tried[last] == max_tried)
      continue;
    tried[last]++;
    try_variant(&q, &v[i], allowed, &t);
    prepare += t.prepare;
    slowest = fmax(slowest, t.prepare);
    if (t.run > 0 && t.run < seconds[last]) {
      seconds[last] = t.run;
      best[last] = (int)i;
    }
  }
  printf(
      "%-9s %3d %4d>%-4d %dx%d/%d n%-2d %s%-5s offered %3u tried %2d asked %5.1f ms prepared %7.1f ms (most %6.1f)",
      net, s->hw, s->c, s->k, s->window, s->window, s->stride, batch, gie_dtype_name(dtype),
      math ? " tf32" : "", n, tried[0] + tried[1], 1e3 * asking, 1e3 * prepare, 1e3 * slowest);
  for (int last = 1; last >= 0; last--)
    if (best[last] >= 0)
      printf("  %s %8.2f us [%d] %s", last ? "last" : "plain", 1e6 * seconds[last], best[last],
             v[best[last]].label);
  printf("\n");
  fflush(stdout);
  problem_free(&q);
}

static void measure_all(const char *net, const struct shape *s)
{
  for (int batch = 1; batch <= 32; batch *= 32) {
    measure(net, s, batch, GIE_F16, GIE_MATH_STRICT);
    measure(net, s, batch, GIE_F32, GIE_MATH_STRICT);
    measure(net, s, batch, GIE_F32, GIE_MATH_TF32);
  }
}

static void googlenet(void)
{
  static const struct shape stem[] = {{224, 3, 64, 7, 2, 3}, {56, 64, 64, 1, 1, 0}, {56, 64, 192, 3, 1, 1}};
  for (size_t i = 1; i < sizeof stem / sizeof *stem; i++) /* the first is ResNet-50's too */
    measure_all("googlenet", &stem[i]);
  for (size_t i = 0; i < sizeof INCEPTION / sizeof *INCEPTION; i++) {
    const int *m = INCEPTION[i];
    const struct shape s[] = {{m[0], m[1], m[2], 1, 1, 0}, {m[0], m[1], m[3], 1, 1, 0},
                              {m[0], m[3], m[4], 3, 1, 1}, {m[0], m[1], m[5], 1, 1, 0},
                              {m[0], m[5], m[6], 5, 1, 2}, {m[0], m[1], m[7], 1, 1, 0}};
    for (size_t k = 0; k < sizeof s / sizeof *s; k++)
      measure_all("googlenet", &s[k]);
  }
}

static void find(const char *name)
{
  const struct gie_kernel *k;
  const struct gie_device *d;
  for (uint32_t i = 0; (k = gie_kernel_at(ctx, i)) != NULL; i++)
    if (strcmp(k->name, name) == 0)
      kernel = k;
  for (uint32_t i = 0; kernel && (d = gie_device_at(ctx, i)) != NULL; i++)
    if (strcmp(d->kind, kernel->device) == 0)
      ops = d;
  if (kernel && ops && ops->count(ctx) > 0)
    return;
  fprintf(stderr, "conv_engines: no kernel %s, or no device for it\n", name);
  exit(69);
}

int main(int argc, char **argv)
{
  struct gie_context_options options = {.struct_size = sizeof options};
  if (gie_context_new(&options, &ctx) != GIE_OK)
    return 70;
  find(argc > 1 ? argv[1] : "cudnn.conv");
  max_tried = argc > 2 ? atoi(argv[2]) : 10;
  deadline = now() + (argc > 3 ? atof(argv[3]) : 100);
  info.struct_size = sizeof info;
  need(ops->open(ctx, 0, &dev), "device");
  if (ops->activate)
    need(ops->activate(dev), "device");
  need(ops->info(dev, &info), "device");
  if (kernel->library)
    need(kernel->library->open(ctx, dev, &library), "library");
  need(ops->stream_new(dev, &stream), "stream");
  for (int i = 0; i < 2; i++)
    need(ops->event_new(dev, &events[i]), "event");
  printf("# %s on %s\n", kernel->version ? kernel->version : kernel->name, info.name);
  for (size_t i = 0; i < sizeof RESNET50 / sizeof *RESNET50; i++)
    measure_all("resnet50", &RESNET50[i]);
  googlenet();
  if (now() > deadline)
    printf("# out of time\n");
  return 0;
}
