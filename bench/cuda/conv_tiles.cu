/* SPDX-License-Identifier: Apache-2.0 */
/* Drives the tiled convolution of backends/cuda alone, without the engine.
 *
 *   conv_tiles check [N [SEED]]      every tile and split on N random problems against f64 sums on the host
 *   conv_tiles chain                 launches that start early against those that do not
 *   conv_tiles time KIND FILE [CSV]  every tile and split on the problems of FILE ("name N C H W K R S stride pad"),
 *                                    as CUDA graphs of 20 launches; the best is compared with a plain kernel
 *
 * Exit code 0: all right, 1: something is wrong, 77: no device. */
#include "bench/cuda/conv_problem.cuh"

/* ---- Checking ---------------------------------------------------------------------------------------- */

#define GUARD 12345.0f

/* Sum, bias, residual, per-channel factor, relu. */
static double reference(const struct problem *p, const struct buffer *x, const struct tensor *tx,
                        const struct buffer *w, int size, int n, int k, int oy, int ox)
{
  double sum = 0;
  int cg = p->c / p->groups, g = k / (p->k / p->groups);
  for (int c = 0; c < cg; c++)
    for (int r = 0; r < p->r; r++)
      for (int s = 0; s < p->s; s++) {
        int iy = oy * p->stride_h - p->pad_h + r * p->dilation_h,
            ix = ox * p->stride_w - p->pad_w + s * p->dilation_w;
        if (iy < 0 || ix < 0 || iy >= p->h || ix >= p->w)
          continue;
        sum += (double)get(x->host, tx->begin + n * tx->n + (g * cg + c) * tx->c + iy * tx->h + ix * tx->w,
                           size) *
               get(w->host, ((int64_t)k * cg + c) * p->r * p->s + r * p->s + s, size);
      }
  return sum;
}

static struct problem random_problem(void)
{
  static const int channels[] = {1, 2, 3, 5, 8, 12, 16, 20, 24, 40, 64, 72, 96, 136};
  struct problem p;
  do {
    memset(&p, 0, sizeof p);
    p.groups = below(4) ? 1 : 2 + below(2);
    p.n = 1 + below(3);
    p.c = p.groups * channels[below(14)];
    p.k = p.groups * channels[below(14)];
    p.h = 1 + below(19), p.w = 1 + below(19);
    p.r = 1 + below(5), p.s = 1 + below(5);
    if (!below(3))
      p.r = p.s = 1;
    p.stride_h = 1 + below(3), p.stride_w = 1 + below(3);
    p.dilation_h = 1 + below(2), p.dilation_w = 1 + below(2);
    p.pad_h = below(4), p.pad_w = below(4);
  } while (!fill_out(&p) || (double)p.n * p.k * p.out_h * p.out_w * p.c / p.groups * p.r * p.s > 6e6);
  return p;
}

static int checked, wrong, refused;
static double worst[4];

struct epilogue {
  struct gie_cuda_steps steps;
  struct buffer residual, factor;
  struct tensor t;
  int mode; /* 0 none, 1 relu, 2 residual and relu, 3 residual, factor, relu */
};

static void make_epilogue(struct epilogue *e, const struct problem *p, int size, int mode)
{
  memset(e, 0, sizeof *e);
  e->mode = mode;
  int v = 16 / size;
  e->t = make_tensor(p->n, p->k, p->out_h, p->out_w, true, below(2) ? v * below(3) : below(5), below(2) * v);
  e->residual = buffer_new((size_t)(e->t.size * size));
  e->factor = buffer_new((size_t)p->k * 4);
  for (int64_t i = 0; i < e->t.size; i++)
    put(e->residual.host, i, size, uniform());
  for (int i = 0; i < p->k; i++)
    ((float *)e->factor.host)[i] = uniform();
  up(&e->residual);
  up(&e->factor);
  struct gie_cuda_steps *s = &e->steps;
  s->kind = mode == 0 ? GIE_CUDA_STEPS_NONE : mode == 1 ? GIE_CUDA_STEPS_CLIP : GIE_CUDA_STEPS_LIST;
  s->n = (uint32_t)mode;
  s->low = 0, s->high = INFINITY;
  struct gie_cuda_step add = {}, mul = {}, relu = {};
  add.op = GIE_CUDA_STEP_ADD;
  add.half = size == 2;
  add.operand = 3;
  add.stride_n = e->t.n, add.stride_c = 1, add.stride_p = e->t.w;
  add.data = (char *)e->residual.device + e->t.begin * size;
  add.aligned = gie_cuda_alignment((uint64_t)(uintptr_t)add.data | (uint64_t)(add.stride_n * size) |
                                   (uint64_t)(add.stride_p * size));
  mul.op = GIE_CUDA_STEP_MUL;
  mul.operand = 4;
  mul.stride_c = 1;
  mul.data = e->factor.device;
  mul.aligned = 16;
  relu.op = GIE_CUDA_STEP_RELU;
  relu.operand = -1;
  s->step[0] = mode == 1 ? relu : add;
  s->step[1] = mode == 3 ? mul : relu;
  s->step[2] = relu;
}

static double finish(const struct epilogue *e, int size, double sum, int n, int k, int pixel)
{
  if (e->mode >= 2)
    sum += get(e->residual.host, e->t.begin + n * e->t.n + k + pixel * e->t.w, size);
  if (e->mode == 3)
    sum *= ((const float *)e->factor.host)[k];
  return e->mode >= 1 && sum < 0 ? 0 : sum;
}

static void check_run(const struct problem *p, const struct conv_tile *t, int split, struct conv_args a,
                      const struct tensor *ty, struct buffer *y, const double *want, double top,
                      const struct epilogue *e)
{
  int size = conv_element_size(t->kind);
  static const double bound[] = {0x1.1p-11, 3e-6, 2e-3, 3e-6};
  for (int64_t i = 0; i < ty->size; i++)
    put(y->host, i, size, GUARD);
  up(y);
  conv_args_tile(&a, t, split);
  CHECK(conv_tile_prepare(t, conv_shared(t, &a)));
  cudaError_t err = conv_tile_launch(t, &a, p->groups, &e->steps, below(2), 0);
  if (err != cudaSuccess) {
    if (refused++ < 5)
      printf("%s split %d: %s\n", t->name, split, cudaGetErrorString(err));
    cudaGetLastError();
    return;
  }
  err = cudaDeviceSynchronize();
  if (err != cudaSuccess) {
    printf("%s split %d: %s\n", t->name, split, cudaGetErrorString(err));
    exit(1);
  }
  down(y);
  double off = 0, limit = bound[t->kind] * top;
  int64_t bad = 0, i = 0;
  for (int n = 0; n < p->n; n++)
    for (int k = 0; k < p->k; k++)
      for (int q = 0; q < p->out_h * p->out_w; q++, i++) {
        int64_t at = ty->begin + n * ty->n + k * ty->c + q * ty->w;
        double d = fabs(get(y->host, at, size) - want[i]);
        bad += !(d <= limit + (t->kind == CONV_F16 ? 0x1.02p-11 * fabs(want[i]) : 0));
        off = d > off ? d : off;
        put(y->host, at, size, GUARD);
      }
  int64_t outside = 0;
  for (int64_t j = 0; j < ty->size; j++)
    outside += get(y->host, j, size) != (size == 2 ? __half2float(__float2half_rn(GUARD)) : GUARD);
  checked++;
  worst[t->kind] = off / top > worst[t->kind] ? off / top : worst[t->kind];
  if (bad || outside) {
    if (wrong++ < 40)
      printf(
          "WRONG %s split %d, %dx%dx%dx%d -> %d, %dx%d stride %d,%d pad %d,%d dilation %d,%d groups %d, y_c %d, "
          "epilogue %d: %lld of %lld, off by %g of %g; %lld outside\n",
          t->name, split, p->n, p->c, p->h, p->w, p->k, p->r, p->s, p->stride_h, p->stride_w, p->pad_h,
          p->pad_w, p->dilation_h, p->dilation_w, p->groups, (int)ty->c, e->mode, (long long)bad,
          (long long)i, off, top, (long long)outside);
  }
}

static void check_loader(const struct problem *p, const struct conv_tile_list *list, enum conv_loader loader,
                         int unit, int all)
{
  int size = conv_element_size(list->v[0].kind), v = 16 / size;
  bool vector = loader == CONV_VECTOR || loader == CONV_TMA, x_last = vector || below(2),
       y_last = below(4) != 0, dense = loader == CONV_DENSE;
  struct conv_weights cw = weights_of(p);
  if (vector && p->groups > 1 && cw.c % v)
    return;
  if (dense && cw.c * cw.r * cw.s > CONV_MAX_DENSE_TAPS)
    return;
  int fill = (int)((p->c + v - 1) / v * v - p->c);
  struct tensor tx = make_tensor(p->n, p->c, p->h, p->w, x_last, vector ? fill + v * below(3) : below(4),
                                 vector ? v * below(2) : below(9)),
                ty = make_tensor(p->n, p->k, p->out_h, p->out_w, y_last, below(2) ? v * below(3) : below(4),
                                 below(2) ? v * below(3) : below(5));
  struct buffer x = buffer_new((size_t)(tx.size * size)), y = buffer_new((size_t)(ty.size * size)),
                w = buffer_new((size_t)(cw.groups * cw.n * cw.stride_n * size)),
                b = buffer_new((size_t)p->k * (size_t)size),
                packed = buffer_new(conv_pack_bytes(&cw, size, unit));
  struct epilogue e;
  make_epilogue(&e, p, size, below(4));
  for (int64_t i = 0; i < tx.size; i++)
    put(x.host, i, size, NAN);
  for (int n = 0; n < p->n; n++)
    for (int c = 0; c < p->c; c++)
      for (int i = 0; i < p->h; i++)
        for (int j = 0; j < p->w; j++)
          put(x.host, tx.begin + n * tx.n + c * tx.c + i * tx.h + j * tx.w, size, uniform());
  for (int64_t i = 0; i < cw.groups * cw.n * cw.stride_n; i++)
    put(w.host, i, size, uniform());
  for (int i = 0; i < p->k; i++)
    put(b.host, i, size, uniform());
  conv_pack(&cw, size, unit, w.host, packed.host);
  up(&x), up(&b), up(&packed);
  int pixels = p->out_h * p->out_w;
  double *want = (double *)malloc(sizeof(double) * (size_t)(p->n * p->k * pixels)), top = 1e-3;
  bool bias = below(3) != 0;
  for (int n = 0, i = 0; n < p->n; n++)
    for (int k = 0; k < p->k; k++)
      for (int q = 0; q < pixels; q++, i++) {
        double sum = reference(p, &x, &tx, &w, size, n, k, q / p->out_w, q % p->out_w);
        top = fabs(sum) > top ? fabs(sum) : top;
        want[i] = finish(&e, size, sum + (bias ? get(b.host, k, size) : 0), n, k, q);
        top = fabs(want[i]) > top ? fabs(want[i]) : top;
      }
  struct conv_args a = args_of(p, &tx, &ty, size, unit);
  a.x = (char *)x.device + tx.begin * size;
  a.y = (char *)y.device + ty.begin * size;
  a.w = packed.device;
  a.bias = bias ? b.device : NULL;
  for (int i = 0; i < list->n; i++)
    if (list->v[i].loader == loader && (loader == CONV_GATHER || conv_unit(&list->v[i]) == unit) &&
        (loader != CONV_TMA || conv_tile_can_map(&list->v[i], &a, p->groups)))
      for (int split = 1; split <= CONV_MAX_SPLIT; split *= 2)
        if (all || !below(4))
          check_run(p, &list->v[i], split, a, &ty, &y, want, top, &e);
  free(want);
  drop(&x), drop(&y), drop(&w), drop(&b), drop(&packed), drop(&e.residual), drop(&e.factor);
}

static int check(int n, int all)
{
  for (int i = 0; i < n; i++)
    for (int k = 0; k < 4; k++) {
      struct problem p = random_problem();
      int v = 16 / conv_element_size(LISTS[k]->v[0].kind);
      check_loader(&p, LISTS[k], CONV_VECTOR, v, all);
      check_loader(&p, LISTS[k], CONV_GATHER, below(3) ? v : 4 * v, all);
      check_loader(&p, LISTS[k], CONV_DENSE, 1, all);
      for (int box = 2; box <= 8; box *= 2)
        check_loader(&p, LISTS[k], CONV_TMA, box * v, all);
    }
  for (int k = 0; k < 4; k++)
    printf("%-7s worst error / max %.3g\n", KINDS[k], worst[k]);
  printf("check: %d runs, %d wrong, %d refused\n", checked, wrong, refused);
  return wrong != 0;
}

/* ---- Timing ------------------------------------------------------------------------------------------ */

#define LAUNCHES 20

template <class T> __global__ void plain(struct problem p, const T *x, const T *w, const T *bias, float *y)
{
  int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x, all = (int64_t)p.n * p.out_h * p.out_w * p.k;
  if (i >= all)
    return;
  int k = (int)(i % p.k), q = (int)(i / p.k % (p.out_h * p.out_w)), n = (int)(i / p.k / (p.out_h * p.out_w));
  float sum = 0;
  for (int r = 0; r < p.r; r++)
    for (int s = 0; s < p.s; s++) {
      int iy = q / p.out_w * p.stride_h - p.pad_h + r, ix = q % p.out_w * p.stride_w - p.pad_w + s;
      if (iy < 0 || ix < 0 || iy >= p.h || ix >= p.w)
        continue;
      for (int c = 0; c < p.c; c++)
        sum += (float)x[((int64_t)(n * p.h + iy) * p.w + ix) * p.c + c] *
               (float)w[(((int64_t)k * p.c + c) * p.r + r) * p.s + s];
    }
  sum += (float)bias[k];
  y[i] = sum < 0 ? 0 : sum;
}

/* Median microseconds of one launch in a graph. */
static double graph_time(const struct conv_tile *t, const struct conv_args *a,
                         const struct gie_cuda_steps *steps, bool early, cudaStream_t stream)
{
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  cudaEvent_t from, to;
  float ms[5];
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  cudaError_t err = cudaSuccess;
  for (int i = 0; i < LAUNCHES && err == cudaSuccess; i++)
    err = conv_tile_launch(t, a, 1, steps, early, stream);
  cudaError_t end = cudaStreamEndCapture(stream, &graph);
  if (err != cudaSuccess || end != cudaSuccess) {
    cudaGetLastError();
    return INFINITY;
  }
  if (cudaGraphInstantiate(&exec, graph, 0) != cudaSuccess) {
    cudaGetLastError();
    cudaGraphDestroy(graph);
    return INFINITY;
  }
  CHECK(cudaEventCreate(&from));
  CHECK(cudaEventCreate(&to));
  CHECK(cudaGraphLaunch(exec, stream));
  for (int i = 0; i < 5; i++) {
    CHECK(cudaEventRecord(from, stream));
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaEventRecord(to, stream));
    err = cudaEventSynchronize(to);
    if (err != cudaSuccess) {
      printf("%s split %d: %s\n", t->name, a->split, cudaGetErrorString(err));
      exit(1);
    }
    CHECK(cudaEventElapsedTime(&ms[i], from, to));
  }
  for (int i = 1; i < 5; i++)
    for (int j = i; j > 0 && ms[j] < ms[j - 1]; j--) {
      float x = ms[j];
      ms[j] = ms[j - 1];
      ms[j - 1] = x;
    }
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaEventDestroy(from);
  cudaEventDestroy(to);
  return ms[2] * 1e3 / LAUNCHES;
}

static void time_problem(const char *name, const struct problem *p, const struct conv_tile_list *list,
                         FILE *csv)
{
  int kind = list->v[0].kind, size = conv_element_size((enum conv_kind)kind), v = 16 / size;
  bool dense = p->c % v != 0;
  const int units[] = {1, v, 2 * v, 4 * v, 8 * v};
  struct buffer packs[5];
  struct conv_weights cw = weights_of(p);
  struct tensor tx = make_tensor(p->n, p->c, p->h, p->w, true, 0, 0),
                ty = make_tensor(p->n, p->k, p->out_h, p->out_w, true, 0, 0);
  struct buffer x = buffer_new((size_t)(tx.size * size)), y = buffer_new((size_t)(ty.size * size)),
                w = buffer_new((size_t)(cw.n * cw.stride_n * size)),
                b = buffer_new((size_t)p->k * (size_t)size), right = buffer_new((size_t)ty.size * 4);
  for (int64_t i = 0; i < tx.size; i++)
    put(x.host, i, size, uniform());
  for (int64_t i = 0; i < cw.n * cw.stride_n; i++)
    put(w.host, i, size, uniform() / 8);
  for (int i = 0; i < p->k; i++)
    put(b.host, i, size, uniform());
  for (int i = 0; i < 5; i++) {
    packs[i] = buffer_new(conv_pack_bytes(&cw, size, units[i]));
    conv_pack(&cw, size, units[i], w.host, packs[i].host);
    up(&packs[i]);
  }
  up(&x), up(&b), up(&w);
  struct conv_args a = args_of(p, &tx, &ty, size, v);
  a.x = x.device, a.y = y.device, a.bias = b.device;
  struct gie_cuda_steps steps = {};
  steps.kind = GIE_CUDA_STEPS_CLIP;
  steps.n = 1;
  steps.high = INFINITY;
  cudaStream_t stream;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  double best = INFINITY, best_early = INFINITY, best_split1 = INFINITY;
  int best_tile = 0, best_split = 1, early_tile = 0, early_split = 1;
  for (int i = 0; i < list->n; i++) {
    const struct conv_tile *t = &list->v[i];
    int u = 0;
    while (units[u] != conv_unit(t))
      u++;
    a.w = packs[u].device;
    conv_args_taps(&a, &cw, size, units[u]);
    if ((t->loader == CONV_DENSE) != dense || t->loader == CONV_GATHER ||
        (t->loader == CONV_TMA &&
         (!conv_tile_can_map(t, &a, 1) || a.steps > 4 * conv_pack_steps(&cw, size, v) / 3 + 1)))
      continue;
    for (int split = 1; split <= CONV_MAX_SPLIT && split <= a.steps; split *= 2) {
      conv_args_tile(&a, t, split);
      double tiles = ceil((double)a.m / t->m) * a.tiles_n;
      if (split > 1 && tiles * split > 132 * 6)
        break;
      CHECK(conv_tile_prepare(t, conv_shared(t, &a)));
      double us = graph_time(t, &a, &steps, false, stream), early = graph_time(t, &a, &steps, true, stream);
      if (csv)
        fprintf(csv, "%s,%s,%s,%d,%.0f,%d,%.3f,%.3f\n", KINDS[kind], name, t->name, split, tiles, a.steps, us,
                early);
      if (us < best)
        best = us, best_tile = i, best_split = split;
      if (early < best_early)
        best_early = early, early_tile = i, early_split = split;
      if (split == 1 && us < best_split1)
        best_split1 = us;
    }
  }
  for (int i = 0; i < 5; i++)
    if (units[i] == conv_unit(&list->v[best_tile])) {
      a.w = packs[i].device;
      conv_args_taps(&a, &cw, size, units[i]);
    }
  conv_args_tile(&a, &list->v[best_tile], best_split);
  CHECK(cudaMemset(y.device, 0xff, y.bytes));
  CHECK(conv_tile_launch(&list->v[best_tile], &a, 1, &steps, false, stream));
  CHECK(cudaStreamSynchronize(stream));
  down(&y);
  int64_t all = (int64_t)a.m * p->k;
  if (size == 2)
    plain<<<(unsigned)((all + 127) / 128), 128>>>(*p, (__half *)x.device, (__half *)w.device,
                                                  (__half *)b.device, (float *)right.device);
  else
    plain<<<(unsigned)((all + 127) / 128), 128>>>(*p, (float *)x.device, (float *)w.device, (float *)b.device,
                                                  (float *)right.device);
  down(&right);
  double off = 0, top = 0;
  for (int64_t i = 0; i < all; i++) {
    double r = ((float *)right.host)[i], d = fabs(get(y.host, i, size) - r);
    off = d > off || d != d ? d : off;
    top = fabs(r) > top ? fabs(r) : top;
  }
  double flops = 2.0 * a.m * p->k * p->c * p->r * p->s,
         bytes = (double)size * ((double)tx.n * p->n + (double)cw.n * cw.stride_n + (double)all),
         floor_us = fmax(flops / (size == 2 ? 600e6 : 55e6), bytes / 5.5e6);
  printf(
      "BEST %s %s %.2f us early %.2f split1 %.2f floor %.2f | %s split %d | early %s split %d | error %.2g%s\n",
      KINDS[kind], name, best, best_early, best_split1, floor_us, list->v[best_tile].name, best_split,
      list->v[early_tile].name, early_split, off / top,
      off / top < (kind == CONV_F16 || kind == CONV_TF32 ? 2e-3 : 1e-5) ? "" : " WRONG");
  wrong += !(off / top < (kind == CONV_F16 || kind == CONV_TF32 ? 2e-3 : 1e-5));
  cudaStreamDestroy(stream);
  drop(&x), drop(&y), drop(&w), drop(&b), drop(&right);
  for (int i = 0; i < 5; i++)
    drop(&packs[i]);
}

/* ---- Chains ------------------------------------------------------------------------------------------- */

#define CHANNELS 64
#define SIDE 28
#define ROUNDS 8

/* y[0] = copy of x; then rounds of: a = conv(y), b = conv(a), c = conv(a) on a second stream, y = conv(b) + c. */
static bool capture_chain(const struct conv_tile *t, struct conv_args a, int split, bool early,
                          void *const *buf, size_t bytes, cudaStream_t s1, cudaStream_t s2,
                          cudaGraph_t *graph)
{
  cudaEvent_t fork, join;
  CHECK(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
  CHECK(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
  conv_args_tile(&a, t, split);
  struct gie_cuda_steps none = {}, add = {};
  add.kind = GIE_CUDA_STEPS_LIST;
  add.n = 1;
  add.step[0].op = GIE_CUDA_STEP_ADD;
  add.step[0].half = 1;
  add.step[0].aligned = 16;
  add.step[0].operand = 3;
  add.step[0].stride_p = CHANNELS;
  add.step[0].stride_c = 1;
  add.step[0].data = buf[4];
  cudaError_t e = cudaSuccess;
  CHECK(cudaStreamBeginCapture(s1, cudaStreamCaptureModeThreadLocal));
  CHECK(cudaMemcpyAsync(buf[1], buf[0], bytes, cudaMemcpyDeviceToDevice, s1));
  for (int i = 0; i < ROUNDS && e == cudaSuccess; i++) {
    const struct {
      void *x, *y;
      cudaStream_t s;
      const struct gie_cuda_steps *steps;
    } link[] = {{buf[1], buf[2], s1, &none},
                {buf[2], buf[3], s1, &none},
                {buf[2], buf[4], s2, &none},
                {buf[3], buf[1], s1, &add}};
    for (int j = 0; j < 4 && e == cudaSuccess; j++) {
      a.x = link[j].x, a.y = link[j].y;
      if (j == 2)
        e = cudaStreamWaitEvent(s2, fork, 0);
      if (j == 3)
        e = cudaStreamWaitEvent(s1, join, 0);
      if (e == cudaSuccess)
        e = conv_tile_launch(t, &a, 1, link[j].steps, early, link[j].s);
      if (j == 0 && e == cudaSuccess)
        e = cudaEventRecord(fork, s1);
      if (j == 2 && e == cudaSuccess)
        e = cudaEventRecord(join, s2);
    }
  }
  cudaError_t end = cudaStreamEndCapture(s1, graph);
  if (e != cudaSuccess || end != cudaSuccess)
    printf("chain, early %d: %s, %s\n", early, cudaGetErrorString(e), cudaGetErrorString(end));
  cudaGetLastError();
  cudaEventDestroy(fork);
  cudaEventDestroy(join);
  return e == cudaSuccess && end == cudaSuccess;
}

/* Launches that start early give the bits of those that do not, in a graph of two streams, every time. */
static int chain(void)
{
  struct problem p = {1, CHANNELS, SIDE, SIDE, CHANNELS, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  fill_out(&p);
  struct tensor t = make_tensor(1, CHANNELS, SIDE, SIDE, true, 0, 0);
  struct conv_weights cw = weights_of(&p);
  size_t bytes = (size_t)t.size * 2, packed_bytes = conv_pack_bytes(&cw, 2, 8);
  struct buffer w = buffer_new((size_t)(cw.n * cw.stride_n) * 2), packed = buffer_new(packed_bytes), b[5],
                first = buffer_new(bytes);
  void *at[5];
  int bad = 0;
  for (int i = 0; i < 5; i++) {
    b[i] = buffer_new(bytes);
    at[i] = b[i].device;
  }
  for (int64_t i = 0; i < t.size; i++)
    put(b[0].host, i, 2, uniform());
  for (int64_t i = 0; i < cw.n * cw.stride_n; i++)
    put(w.host, i, 2, uniform() / 16);
  conv_pack(&cw, 2, 8, w.host, packed.host);
  up(&packed), up(&b[0]);
  struct conv_args a = args_of(&p, &t, &t, 2, 8);
  a.w = packed.device;
  cudaStream_t s1, s2;
  CHECK(cudaStreamCreateWithFlags(&s1, cudaStreamNonBlocking));
  CHECK(cudaStreamCreateWithFlags(&s2, cudaStreamNonBlocking));
  for (int i = 0; i < conv_tiles_f16.n; i++) {
    const struct conv_tile *tile = &conv_tiles_f16.v[i];
    int split = i % 3 == 0 ? 1 : i % 3 == 1 ? 2 : 8;
    if (tile->loader == CONV_DENSE)
      continue; /* 64 channels are whole units of all others */
    CHECK(conv_tile_prepare(tile, conv_shared(tile, &a)));
    for (int early = 0; early < 2; early++) {
      cudaGraph_t graph;
      cudaGraphExec_t exec;
      if (!capture_chain(tile, a, split, early, at, bytes, s1, s2, &graph)) {
        bad++;
        continue;
      }
      cudaError_t e = cudaGraphInstantiate(&exec, graph, 0);
      if (e != cudaSuccess) {
        printf("chain %s early %d: %s\n", tile->name, early, cudaGetErrorString(e));
        cudaGetLastError();
        bad++;
        continue;
      }
      int differ = 0;
      for (int run = 0; run < (early ? 25 : 2); run++) {
        CHECK(cudaGraphLaunch(exec, s1));
        CHECK(cudaStreamSynchronize(s1));
        CHECK(
            cudaMemcpy((early || run) ? b[1].host : first.host, b[1].device, bytes, cudaMemcpyDeviceToHost));
        differ += (early || run) && memcmp(b[1].host, first.host, bytes - 128) != 0;
      }
      if (differ)
        printf("chain %s split %d early %d: %d runs differ\n", tile->name, split, early, differ);
      bad += differ;
      cudaGraphExecDestroy(exec);
      cudaGraphDestroy(graph);
    }
  }
  printf("chain: %d wrong\n", bad);
  return bad != 0;
}

static int time_file(const char *kind, const char *path, const char *csv_path)
{
  char line[256], name[64];
  FILE *f = fopen(path, "r"), *csv = csv_path ? fopen(csv_path, "a") : NULL;
  int k = 0;
  while (k < 3 && strcmp(KINDS[k], kind) != 0)
    k++;
  while (f && fgets(line, sizeof line, f)) {
    struct problem p = {};
    p.dilation_h = p.dilation_w = p.groups = 1;
    if (sscanf(line, "%63s %d %d %d %d %d %d %d %d %d", name, &p.n, &p.c, &p.h, &p.w, &p.k, &p.r, &p.s,
               &p.stride_h, &p.pad_h) != 10)
      continue;
    p.stride_w = p.stride_h, p.pad_w = p.pad_h;
    if (p.r == 1)
      p.pad_h = 0;
    fill_out(&p);
    time_problem(name, &p, LISTS[k], csv);
    fflush(stdout);
  }
  if (f)
    fclose(f);
  if (csv)
    fclose(csv);
  return wrong != 0;
}

int main(int argc, char **argv)
{
  int n = 0;
  if (cudaGetDeviceCount(&n) != cudaSuccess || n == 0) {
    printf("no CUDA device\n");
    return 77;
  }
  if (argc > 3 && strcmp(argv[1], "time") == 0)
    return time_file(argv[2], argv[3], argc > 4 ? argv[4] : NULL);
  if (argc > 1 && strcmp(argv[1], "chain") == 0)
    return chain();
  if (argc > 3)
    state = (uint32_t)atoi(argv[3]);
  return check(argc > 2 ? atoi(argv[2]) : 20, argc <= 4);
}
