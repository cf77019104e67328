/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of VGG-E, and GoogLeNet's of 5x5, by every variant of the winograd backend and by cuDNN's engines: times as
 * captured graphs. Arguments, one after the other:
 *   check, few, race   every configuration on odd shapes, with guards around the result; few, race: for compute-sanitizer
 *   fused          with check, few and race from there on: the fused form alone
 *   f32=N, f16=N   VGG-E at batch N, f32 strict;  five=N, half5=N: the 5x5 layers in f32 and f16
 *   errors=FILE    errors against f64 of every form and unit, on random weights and on those of FILE (trained.py)
 *   one=LAYER:N:LABEL   the best of the configurations whose labels begin so, of both layouts, f32
 *   profile=LAYER:N:LABEL, profile16=...   one configuration in f32 or f16 for a profiler that waits for cudaProfilerStart;
 *                  "precomp": cuDNN's
 *   legacy, graphs cuDNN's algorithms of old only; also its engines for graphs (from the start)
 *   layer=NAME     that layer alone, from there on
 *   most=N         so many configurations of each layout, from there on
 *   small          a workspace of 64 MiB
 * Every time goes to out/details.txt, where there is such a folder. Last comes how often the estimates had the side of 1
 * of winograd against a GEMM-based convolution right.
 * `make bench/winograd/layers` builds it. */
#include "bench/winograd/bench.cuh"
#include "bench/winograd/roofline.cuh"

#include <cuda_profiler_api.h>
#include <utility>
#include <vector>

struct layer {
  const char *name;
  int c, k, hw, r;
  double seed;
};
static const layer VGG[] = {{"conv1.1", 3, 64, 224, 3, 1.84},   {"conv1.2", 64, 64, 224, 3, 1.83},
                            {"conv2.1", 64, 128, 112, 3, 2.03}, {"conv2.2", 128, 128, 112, 3, 2.07},
                            {"conv3.1", 128, 256, 56, 3, 2.26}, {"conv3.2", 256, 256, 56, 3, 1.92},
                            {"conv4.1", 256, 512, 28, 3, 1.98}, {"conv4.2", 512, 512, 28, 3, 1.25},
                            {"conv5", 512, 512, 14, 3, 0.73},   {"fused", 256, 256, 28, 3, 0}};
static const layer FIVE[] = {{"3a", 16, 32, 28, 5, 0}, {"3b", 32, 96, 28, 5, 0}, {"4a", 16, 48, 14, 5, 0},
                             {"4b", 24, 64, 14, 5, 0}, {"4d", 32, 64, 14, 5, 0}, {"4e", 32, 128, 14, 5, 0},
                             {"5a", 32, 128, 7, 5, 0}, {"5b", 48, 128, 7, 5, 0}};

static wg_shape shape_of(const layer &l, int n)
{
  return {n, l.c, l.hw, l.hw, l.k, l.hw, l.hw, l.r / 2, l.r / 2};
}

/* ---- Times */

static FILE *details;
static size_t max_candidates = 24; /* of a layout */

template <class T> static void time_engines(const tensors &t, const void *filter, best *gemm, best *any)
{
  engine_list list(dnn, t.p);
  for (uint32_t i = 0; i < list.n; i++) {
    const cn_config &c = list.config[i];
    if (sizeof(T) == 4 && !is_strict(c))
      continue;
    engine_runner r(list, c, &t, filter);
    if (!r.plan.pack)
      continue;
    char name[96];
    engine_name(c, t.p.channels_last, name, sizeof name);
    double us = time_runner(&r, any->us);
    fprintf(details, "  cudnn %-40s %10.2f us  %s\n", name, us, is_gemm(c) ? "gemm" : "");
    if (is_gemm(c))
      offer(gemm, us, name);
    offer(any, us, name);
  }
}

template <class T> static void time_dnn(const wg_shape &s, int window, bool last, best *gemm, best *any)
{
  tensors t;
  make<T>(&t, s, window, last, false, false);
  void *filter = ordered_filter<T>(&t);
  dnn_runner r(&t, filter);
  for (int a = 0; a < CUDNN_CONVOLUTION_FWD_ALGO_COUNT; a++) {
    if (a == 3 || !r.ready(a))
      continue;
    if (r.run(0) != cudaSuccess || cudaDeviceSynchronize() != cudaSuccess) {
      cudaGetLastError();
      continue;
    }
    double us = time_runner(&r, any->us);
    char name[64];
    snprintf(name, sizeof name, "%s %s", ALGOS[a], last ? "nhwc" : "nchw");
    fprintf(details, "  cudnn %-40s %10.2f us\n", name, us);
    if (a <= 2)
      offer(gemm, us, name);
    offer(any, us, name);
  }
  if (!only_legacy)
    time_engines<T>(t, filter, gemm, any);
  cudaFree(filter);
  drop(&t);
}

/* The column of a configuration: its unit, or 4 where all is in one kernel. */
static int unit_of(const wg_config &c)
{
  return WG_TILES[c.tile].structure == WG_STAGED ? WG_TILES[c.tile].unit : 4;
}

/* Configurations that a strict build is offered, by their estimates: the first `max`, as the engine would time them, and
 * the first of each column. */
static std::vector<std::pair<double, wg_config>> candidates(const tensors &t, size_t max)
{
  std::vector<std::pair<double, wg_config>> all;
  for (int form = 0; form < WG_N_FORMS; form++)
    for (int tile = 0; tile < WG_N_TILES && WG_FORMS[form].r == t.p.r; tile++)
      for (int splits = 1; splits <= 8; splits *= 2)
        for (int chunk = 8; chunk < 16; chunk++) {
          wg_config c = {(wg_form_id)form, (uint8_t)tile, (uint8_t)splits, (uint8_t)(chunk == 8 ? 0 : chunk)};
          if (fits(&t, &c))
            all.push_back({wg_estimate(&t.p, &c, nullptr) * 1e6, c});
        }
  std::stable_sort(all.begin(), all.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
  std::vector<std::pair<double, wg_config>> out;
  bool seen[5] = {};
  for (const auto &one : all)
    if (bool &has = seen[unit_of(one.second)]; out.size() < max || !has) {
      has = true;
      out.push_back(one);
    }
  return out;
}

/* What is known of a layer: the best of all, of each unit and of the fused form; the least estimate. */
struct result {
  best all, unit[5]; /* by enum wg_unit; the last: fused */
  double share, fused_share, estimate;
};

template <class T> static void time_wg(const wg_shape &s, int window, bool last, result *out)
{
  tensors t;
  make<T>(&t, s, window, last, false, false);
  for (const auto &[estimate, c] : candidates(t, max_candidates)) {
    char name[96];
    wg_config_label(&t.p, &c, name, sizeof name);
    wg_runner r(&t, &c);
    double us = time_runner(&r, out->all.us), share = floor_us(t.p, c) / us;
    fprintf(details, "  wg %-40s %10.2f us  estimate %8.2f  share %.2f\n", name, us, estimate, share);
    if (out->estimate == 0 || estimate < out->estimate)
      out->estimate = estimate;
    if (out->all.us == 0 || us < out->all.us)
      out->share = share;
    const int unit = unit_of(c);
    if (unit == 4 && (out->unit[4].us == 0 || us < out->unit[4].us))
      out->fused_share = share;
    offer(&out->all, us, name);
    offer(&out->unit[unit], us, name);
  }
  drop(&t);
}

static const char *only_layer = "";
static int n_judged, n_right;

template <class T> static void time_layers(const layer *layers, size_t n_layers, int n)
{
  printf(
      "\nN=%d %s: GEMM-based; any; winograd | /gemm seed | /any | share of roofline | estimated /gemm | staged ffma 3xtf32 f16 3xtf32g; fused share\n",
      n, sizeof(T) == 2 ? "f16" : "f32");
  for (size_t i = 0; i < n_layers; i++) {
    const layer &l = layers[i];
    if (*only_layer && strcmp(only_layer, l.name) != 0)
      continue;
    const wg_shape s = shape_of(l, n);
    best gemm = {}, any = {};
    result wg = {};
    fprintf(details, "%s N=%d %s\n", l.name, n, sizeof(T) == 2 ? "f16" : "f32");
    for (int last = sizeof(T) == 2; last < 2; last++) {
      time_dnn<T>(s, l.r, last, &gemm, &any);
      time_wg<T>(s, l.r, last, &wg);
    }
    const double predicted = gemm_estimate_us(s, l.r, sizeof(T)) / wg.estimate,
                 measured = gemm.us / wg.all.us;
    n_judged++;
    n_right += (predicted > 1) == (measured > 1);
    printf("%-8s%8.1f %-16s%8.1f %-16s%8.1f %-28s |%6.2f %4.2f |%6.2f |%5.2f |%6.2f%s |", l.name, gemm.us,
           gemm.name, any.us, any.name, wg.all.us, wg.all.name, measured, l.seed, any.us / wg.all.us,
           wg.share, predicted, (predicted > 1) == (measured > 1) ? "" : "!");
    for (int u = 0; u < 5; u++)
      printf(" %.1f", wg.unit[u].us);
    printf(" %.2f\n", wg.fused_share);
    fflush(stdout);
  }
}

/* ---- Errors */

template <class T> static void dnn_error(const tensors &t, double *rms, double *max)
{
  void *filter = ordered_filter<T>(&t);
  dnn_runner r(&t, filter);
  for (int a = 0; a <= 2; a++) {
    double e, m;
    if (!r.ready(a) || r.run(0) != cudaSuccess || cudaDeviceSynchronize() != cudaSuccess)
      continue;
    judge<T>(&t, &e, &m);
    if (*rms == 0 || e < *rms)
      *rms = e, *max = m;
  }
  cudaFree(filter);
}

template <class T>
static void errors_of(const char *name, const wg_shape &s, int r, const float *weights, double *rms0,
                      double *max0)
{
  tensors t;
  make<T>(&t, s, r, true, false, true, weights, false);
  if (sizeof(T) == 4)
    dnn_error<T>(t, rms0, max0);
  printf("%-22s %4d %4d %dx%d %s %.2e %.2e |", name, (int)s.c, (int)s.k, r, r, sizeof(T) == 2 ? "f16" : "f32",
         *rms0, *max0);
  bool done[WG_N_FORMS][3][WG_N_UNITS] = {};
  for (int tile = 0; tile < WG_N_TILES; tile++)
    for (int f = 0; f < WG_N_FORMS; f++) {
      const wg_tile_shape &shape = WG_TILES[tile];
      wg_config c = {(wg_form_id)f, (uint8_t)tile, 1, 0};
      double rms, max;
      size_t bytes;
      if (done[f][shape.structure][shape.unit] || !wg_is_possible(&t.p, &c) ||
          !structure_of(&c)->workspace(&t.p, &c, &bytes))
        continue;
      done[f][shape.structure][shape.unit] = true;
      wg_runner run(&t, &c);
      TRY(cudaMemset(t.y_base, 0xff, t.y_bytes + 512));
      TRY(run.run(0));
      TRY(cudaDeviceSynchronize());
      bool finite = judge<T>(&t, &rms, &max);
      char label[96];
      wg_config_label(&t.p, &c, label, sizeof label);
      label[strcspn(label, "0123456789") + strcspn(label + strcspn(label, "0123456789"), " ") + 1 +
            strcspn(label + strcspn(label, " ") + 1, " ")] = 0;
      printf(" %s %.2f %.2f (%.1e of %.0e)%s", label, rms / *rms0, max / *max0, max,
             (double)wg_error_bound(&t.p, &c),
             !finite                          ? " NOT FINITE"
             : max > wg_error_bound(&t.p, &c) ? " ABOVE"
                                              : "");
    }
  printf("\n");
  drop(&t);
}

static void errors(const char *file)
{
  static const layer cases[] = {{"random", 3, 64, 32, 3, 0},    {"random", 16, 64, 28, 3, 0},
                                {"random", 64, 64, 28, 3, 0},   {"random", 256, 256, 28, 3, 0},
                                {"random", 512, 512, 14, 3, 0}, {"random", 32, 96, 28, 5, 0},
                                {"random", 256, 64, 14, 5, 0}};
  printf("\nErrors: of cuDNN's strict GEMM rms, largest; then as multiples of these\n");
  for (const layer &l : cases) {
    double rms = 0, max = 0;
    errors_of<float>(l.name, shape_of(l, 1), l.r, nullptr, &rms, &max);
    errors_of<__half>(l.name, shape_of(l, 1), l.r, nullptr, &rms, &max);
  }
  FILE *f = fopen(file, "rb");
  int32_t d[4];
  while (f && fread(d, sizeof d, 1, f) == 1) {
    const layer l = {"trained", d[0], d[1], d[3], d[2], 0};
    const size_t n = (size_t)d[0] * d[1] * d[2] * d[2];
    float *w = (float *)malloc(n * 4);
    if (fread(w, 4, n, f) == n) {
      double rms = 0, max = 0;
      errors_of<float>(l.name, shape_of(l, 1), l.r, w, &rms, &max);
      errors_of<__half>(l.name, shape_of(l, 1), l.r, w, &rms, &max);
    }
    free(w);
  }
  if (f)
    fclose(f);
}

/* ---- Checks */

static bool races, /* a tool that is slow is looking: no parts, which are the same kernels again */
    only_fused;

template <class T> static int check_case(const wg_shape &s, int r, bool last, bool pitched)
{
  tensors t;
  int bad = 0;
  make<T>(&t, s, r, last, pitched, true);
  t.p.units = 3; /* a kernel whose blocks take several pieces of work in turn does so here too */
  for (int f = 0; f < WG_N_FORMS; f++)
    for (int tile = 0; tile < WG_N_TILES; tile++)
      for (int splits = 1; splits <= 3; splits += 2)
        for (int chunk = 0; chunk <= (races ? 0 : 4); chunk += 4) {
          wg_config c = {(wg_form_id)f, (uint8_t)tile, (uint8_t)splits, (uint8_t)chunk};
          double rms, max;
          char name[96];
          size_t bytes;
          if ((only_fused && WG_TILES[tile].structure != WG_FUSED) || !wg_is_possible(&t.p, &c) ||
              !structure_of(&c)->workspace(&t.p, &c, &bytes) || bytes > workspace_bytes)
            continue;
          wg_config_label(&t.p, &c, name, sizeof name);
          wg_runner run(&t, &c);
          TRY(cudaMemset(workspace, 0xff, 1 << 22));
          TRY(cudaMemset(t.y_base, 0xa5, t.y_bytes + 512));
          TRY(run.run(0));
          TRY(cudaDeviceSynchronize());
          bool finite = judge<T>(&t, &rms, &max), whole = guards(&t);
          if (!finite || !whole ||
              max > std::max((double)wg_error_bound(&t.p, &c), sizeof(T) == 2 ? 2e-2 : 2e-5)) {
            printf("WRONG %s %s%s r%d n%d c%d h%d w%d k%d: max %.3g%s%s\n", name, last ? "nhwc" : "nchw",
                   pitched ? " pitched" : "", r, (int)s.n, (int)s.c, (int)s.h, (int)s.w, (int)s.k, max,
                   finite ? "" : ", not finite", whole ? "" : ", outside");
            bad++;
          }
        }
  drop(&t);
  return bad;
}

/* A graph in which a run comes behind a copy and behind another stream. */
static int check_joined(void)
{
  tensors t;
  int bad = 0;
  make<float>(&t, {1, 32, 20, 20, 64, 20, 20, 1, 1}, 3, false, false, true);
  for (int tile = 0; tile < WG_N_TILES; tile++) {
    wg_config c = {WG_f2r3, (uint8_t)tile, 1, 0};
    if (!wg_is_possible(&t.p, &c))
      continue;
    wg_runner run(&t, &c);
    cudaStream_t a, b;
    cudaEvent_t fork, join;
    cudaGraph_t g;
    cudaGraphExec_t x;
    void *kept;
    double rms, max;
    TRY(cudaMalloc(&kept, t.x_bytes));
    TRY(cudaMemcpy(kept, t.x_base, t.x_bytes, cudaMemcpyDeviceToDevice));
    TRY(cudaMemset(t.x_base, 0, t.x_bytes));
    TRY(cudaStreamCreate(&a));
    TRY(cudaStreamCreate(&b));
    TRY(cudaEventCreate(&fork));
    TRY(cudaEventCreate(&join));
    TRY(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    TRY(cudaEventRecord(fork, a));
    TRY(cudaStreamWaitEvent(b, fork));
    TRY(cudaMemcpyAsync(t.x_base, kept, t.x_bytes, cudaMemcpyDeviceToDevice, b));
    TRY(cudaEventRecord(join, b));
    TRY(cudaMemsetAsync(t.y_base, 0xff, t.y_bytes, a));
    TRY(run.run(a));
    TRY(cudaStreamWaitEvent(a, join));
    TRY(run.run(a));
    TRY(run.run(a));
    TRY(cudaStreamEndCapture(a, &g));
    TRY(cudaGraphInstantiate(&x, g, 0));
    TRY(cudaGraphLaunch(x, a));
    TRY(cudaStreamSynchronize(a));
    if (!judge<float>(&t, &rms, &max) || max > 2e-5)
      printf("WRONG in a graph: tile %d, max %.3g\n", tile, max), bad++;
    cudaGraphExecDestroy(x), cudaGraphDestroy(g), cudaStreamDestroy(a), cudaStreamDestroy(b);
    cudaEventDestroy(fork), cudaEventDestroy(join), cudaFree(kept);
  }
  drop(&t);
  return bad;
}

/* For racecheck: every kernel in f32 and f16, and those whose blocks go on to further work with more than a round of it. */
static void check_races(void)
{
  int bad = 0;
  for (int last = 0; last < 2; last++) {
    bad += check_case<float>({1, 40, 16, 16, 72, 16, 16, 1, 1}, 3, last, false);
    bad += check_case<float>({1, 3, 40, 40, 70, 40, 40, 1, 1}, 3, last, false);
    bad += check_case<__half>({1, 40, 8, 8, 72, 8, 8, 1, 1}, 3, last, false);
    bad += check_case<__half>({1, 3, 48, 48, 70, 48, 48, 1, 1}, 3, last, false);
  }
  printf("check: %d wrong\n", bad);
}

static void check(bool few)
{
  static const int cases[][9] = {/* n c h w k r pad_h pad_w bottom/right pad */
                                 {1, 1, 1, 1, 1, 3, 1, 1, 1},       {1, 1, 3, 3, 1, 3, 0, 0, 0},
                                 {2, 3, 7, 5, 4, 3, 1, 1, 1},       {1, 5, 8, 8, 9, 3, 0, 0, 0},
                                 {1, 2, 6, 13, 3, 3, 2, 0, 1},      {3, 4, 12, 11, 5, 3, 1, 2, 0},
                                 {1, 3, 2, 2, 3, 3, 4, 4, 4},       {1, 64, 5, 6, 17, 3, 1, 1, 1},
                                 {2, 33, 16, 16, 130, 3, 1, 1, 1},  {1, 40, 9, 12, 72, 3, 1, 1, 1},
                                 {1, 1, 1, 1, 1, 5, 2, 2, 2},       {2, 3, 7, 9, 4, 5, 2, 2, 2},
                                 {1, 16, 14, 13, 6, 5, 2, 1, 3},    {1, 1, 1, 9, 2, 3, 1, 1, 1},
                                 {1, 100, 12, 20, 200, 3, 1, 1, 1}, {2, 3, 18, 40, 70, 3, 1, 1, 1},
                                 {1, 4, 33, 50, 64, 3, 1, 1, 1},    {3, 2, 20, 36, 130, 3, 0, 1, 1}};
  int bad = few ? 0 : check_joined(), n = 0;
  for (auto &c : cases) {
    if (few && c[0] * c[1] != 6 &&
        c[1] != 33) /* six images and channels together, and one shape of many pieces of work */
      continue;
    for (int last = 0; last < 2; last++)
      for (int pitched = 0; pitched < 2; pitched++) {
        wg_shape s = {
            c[0], c[1], c[2], c[3], c[4], c[2] + c[6] + c[8] - c[5] + 1, c[3] + c[7] + c[8] - c[5] + 1,
            c[6], c[7]};
        if (few && (pitched != last ||
                    c[5] != 3)) /* one pass of the 3x3 kernels and their structures is slow enough */
          continue;
        bad += check_case<float>(s, c[5], last, pitched);
        bad += check_case<__half>(s, c[5], last, pitched);
        n++;
      }
  }
  printf("check: %d cases in f32 and f16, %d wrong\n", n, bad);
}

/* ---- One layer: LAYER:N:LABEL */

struct request {
  const layer *l;
  int n;
  char label[64];
};
static bool read_request(const char *text, request *r)
{
  char name[32];
  if (sscanf(text, "%31[^:]:%d:%63[^\n]", name, &r->n, r->label) != 3)
    return false;
  for (const layer &l : VGG)
    if (strcmp(l.name, name) == 0)
      return r->l = &l, true;
  return false;
}

/* Calls what() with every configuration whose label begins so (`whole`: is that), as a strict build is offered them. */
template <class T, class WHAT>
static void each_configuration(const request &r, bool last, bool whole, const WHAT &what)
{
  tensors t;
  make<T>(&t, shape_of(*r.l, r.n), 3, last, false, false);
  for (int f = 0; f < WG_N_FORMS; f++)
    for (int tile = 0; tile < WG_N_TILES; tile++)
      for (int splits = 1; splits <= 8; splits *= 2) {
        wg_config c = {(wg_form_id)f, (uint8_t)tile, (uint8_t)splits, 0};
        char text[96];
        wg_config_label(&t.p, &c, text, sizeof text);
        if (!fits(&t, &c) || strncmp(text, r.label, strlen(r.label)) != 0 ||
            (whole && strlen(text) != strlen(r.label)))
          continue;
        wg_runner run(&t, &c);
        what(t, c, text, run);
      }
  drop(&t);
}

static void time_one(const request &r)
{
  for (int last = 0; last < 2; last++) {
    best b = {};
    double share = 0;
    each_configuration<float>(r, last, false,
                              [&](tensors &t, wg_config &c, const char *text, wg_runner &run) {
                                double us = time_runner(&run);
                                if (b.us == 0 || us < b.us)
                                  share = floor_us(t.p, c) / us;
                                offer(&b, us, text);
                              });
    printf("%-8s N=%-4d %-32s %9.1f us  share of roofline %.3f\n", r.l->name, r.n, b.name, b.us, share);
  }
  fflush(stdout);
}

/* For a profiler: each kernel twice, the second time between cudaProfilerStart and -Stop. */
static void run_for_profiler(runner *r)
{
  TRY(r->run(0));
  TRY(cudaDeviceSynchronize());
  TRY(cudaProfilerStart());
  TRY(r->run(0));
  TRY(cudaDeviceSynchronize());
  TRY(cudaProfilerStop());
}

template <class T> static void profile(const request &r)
{
  for (int last = 0; last < 2; last++)
    each_configuration<T>(r, last, true, [](tensors &, wg_config &, const char *, wg_runner &run) {
      run_for_profiler(&run);
    });
  if (strcmp(r.label, "precomp") != 0)
    return;
  tensors t; /* cuDNN's */
  make<T>(&t, shape_of(*r.l, r.n), 3, sizeof(T) == 2, false, false);
  void *filter = ordered_filter<T>(&t);
  dnn_runner run(&t, filter);
  if (run.ready(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM))
    run_for_profiler(&run);
  cudaFree(filter);
  drop(&t);
}

int main(int argc, char **argv)
{
  cudaDeviceProp prop;
  TRY(cudaGetDeviceProperties(&prop, 0));
  units = prop.multiProcessorCount;
  details = fopen("out/details.txt", "a");
  if (!details)
    details = stderr;
  TRY(cudaMalloc(&sums, 40));
  workspace_bytes = (size_t)9 << 30;
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "small") == 0 || strcmp(argv[i], "few") == 0 || strcmp(argv[i], "race") == 0)
      workspace_bytes = (size_t)64 << 20;
  TRY(cudaMalloc(&workspace, workspace_bytes));
  if (cudnnCreate(&dnn) != CUDNN_STATUS_SUCCESS)
    return 1;
  printf("%s, %d multiprocessors, cuDNN %zu\n", prop.name, units, cudnnGetVersion());
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i], *value = strchr(a, '=') ? strchr(a, '=') + 1 : "";
    const int n = atoi(value);
    request r;
    if ((n > 0 || strncmp(a, "one=", 4) == 0) && ceilings.ffma == 0)
      measure_ceilings();
    if (strcmp(a, "legacy") == 0 || strcmp(a, "graphs") == 0)
      only_legacy = a[0] == 'l';
    else if (strcmp(a, "fused") == 0)
      only_fused = true;
    else if (strcmp(a, "race") == 0)
      races = true, check_races();
    else if (strcmp(a, "check") == 0 || strcmp(a, "few") == 0)
      check(a[0] == 'f');
    else if (strncmp(a, "f32=", 4) == 0)
      time_layers<float>(VGG, sizeof VGG / sizeof *VGG, n);
    else if (strncmp(a, "f16=", 4) == 0)
      time_layers<__half>(VGG, sizeof VGG / sizeof *VGG, n);
    else if (strncmp(a, "five=", 5) == 0)
      time_layers<float>(FIVE, sizeof FIVE / sizeof *FIVE, n);
    else if (strncmp(a, "half5=", 6) == 0)
      time_layers<__half>(FIVE, sizeof FIVE / sizeof *FIVE, n);
    else if (strncmp(a, "most=", 5) == 0)
      max_candidates = (size_t)n;
    else if (strncmp(a, "layer=", 6) == 0)
      only_layer = value;
    else if (strncmp(a, "errors=", 7) == 0)
      errors(value);
    else if (strncmp(a, "one=", 4) == 0 && read_request(value, &r))
      time_one(r);
    else if (strncmp(a, "profile=", 8) == 0 && read_request(value, &r))
      profile<float>(r);
    else if (strncmp(a, "profile16=", 10) == 0 && read_request(value, &r))
      profile<__half>(r);
  }
  if (n_judged)
    printf("\nestimates: %d of %d on the right side of 1\n", n_right, n_judged);
  return 0;
}
