/* SPDX-License-Identifier: Apache-2.0 */
/* cuDNN's engines for operation graphs, of one convolution: what its heuristics propose in all their modes. */
#ifndef GIE_BENCH_WINOGRAD_ENGINES_CUH
#define GIE_BENCH_WINOGRAD_ENGINES_CUH

#include "backends/winograd/winograd.h"
#include <cudnn.h>
#include <stdio.h>

extern "C" {
#include "backends/cudnn/graph.h"
}

#define MAX_ENGINE_CONFIGS 24

static inline bool has_note(const cn_config &c, cudnnBackendNumericalNote_t note)
{
  return c.notes >> note & 1;
}

/* Neither by FFT nor by Winograd. */
static inline bool is_gemm(const cn_config &c)
{
  return !has_note(c, CUDNN_NUMERICAL_NOTE_WINOGRAD) && !has_note(c, CUDNN_NUMERICAL_NOTE_FFT);
}
static inline bool is_strict(const cn_config &c)
{
  return !has_note(c, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) &&
         !has_note(c, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) &&
         !has_note(c, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
}

/* The graph of a convolution, and the configurations that were proposed for it. */
struct engine_list {
  cn_graph g;
  cn_config config[MAX_ENGINE_CONFIGS];
  uint32_t n = 0;

  engine_list(cudnnHandle_t handle, const wg_problem &p)
  {
    const wg_shape &s = p.s;
    cn_target target = {handle, nullptr};
    const bool last = p.channels_last;
    const cudnnDataType_t type = p.dtype == GIE_F16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
    const int64_t r = p.r;
    cn_tensor x = {type, 4, {s.n, s.c, s.h, s.w}, {p.x_n, p.x_c, p.x_h, p.x_w}},
              y = {type, 4, {s.n, s.k, s.oh, s.ow}, {p.y_n, p.y_c, p.y_h, p.y_w}},
              w = {type,
                   4,
                   {s.k, s.c, r, r},
                   {s.c * r * r, last ? 1 : r * r, last ? r * s.c : r, last ? s.c : 1}};
    cn_window window = {2, {1, 1}, {1, 1}, {s.pad_h, s.pad_w}, {s.pad_h, s.pad_w}, {r, r}};
    cn_graph_init(&g, &target);
    cn_desc dx = cn_real(&g, &x, 0), dw = cn_real(&g, &w, 1), dy = cn_real(&g, &y, CN_OUT);
    cn_conv(&g, &window, false, dx, dw, dy);
    cn_graph_end(&g);
    static cn_engines engines;
    engines.n = 0;
    for (auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK})
      if (g.status == CUDNN_STATUS_SUCCESS) {
        uint32_t found = cn_ask(&g, mode, &engines, config + n, MAX_ENGINE_CONFIGS - n), kept = n;
        for (uint32_t i = n; i < n + found; i++) {
          bool known = false;
          for (uint32_t j = 0; j < kept; j++)
            known = known || same(config[i], config[j]);
          if (!known)
            config[kept++] = config[i];
        }
        n = kept;
      }
  }
  ~engine_list() { cn_graph_free(&g); }

  static bool same(const cn_config &a, const cn_config &b)
  {
    bool equal = a.engine == b.engine && a.n_knobs == b.n_knobs;
    for (uint32_t i = 0; equal && i < a.n_knobs; i++)
      equal = a.knob[i].type == b.knob[i].type && a.knob[i].value == b.knob[i].value;
    return equal;
  }
};

/* One of them with its addresses; `pack` is NULL when it cannot be had. */
struct engine_plan {
  cn_graph own; /* descriptors of the plan */
  cn_desc plan, pack = nullptr;
  cudnnHandle_t handle;
  int64_t bytes = 0;

  engine_plan(engine_list &list, const cn_config &c, const void *x, const void *w, void *y, void *workspace,
              size_t room)
      : handle(list.g.target.handle)
  {
    cn_graph_init(&own, &list.g.target);
    own.graph = list.g.graph;
    plan = cn_plan(&own, &c);
    if (!plan || (bytes = cn_plan_workspace(plan)) > (int64_t)room)
      return;
    const uint32_t n = list.g.n_bound;
    int64_t uids[CN_MAX_BOUND];
    const void *at[CN_MAX_BOUND];
    for (uint32_t i = 0; i < n; i++) {
      uids[i] = list.g.bound[i].uid;
      at[i] = list.g.bound[i].io == CN_OUT ? y : list.g.bound[i].io == 0 ? x : w;
    }
    cn_desc d = cn_new(&own, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    cn_set(&own, d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, uids);
    cn_set(&own, d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, at);
    cn_set(&own, d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    cn_finalize(&own, d);
    pack = own.status == CUDNN_STATUS_SUCCESS ? d : nullptr;
  }
  ~engine_plan() { cn_graph_free(&own); }
  cudaError_t run(cudaStream_t s)
  {
    cudnnSetStream(handle, s);
    return cudnnBackendExecute(handle, plan, pack) == CUDNN_STATUS_SUCCESS ? cudaGetLastError()
                                                                           : cudaErrorUnknown;
  }
};

/* "eng12 k3=1 k5=4" */
static inline void engine_name(const cn_config &c, bool last, char *out, size_t size)
{
  int n = snprintf(out, size, "eng%d", (int)c.engine);
  for (uint32_t i = 0; i < c.n_knobs && n > 0 && (size_t)n < size; i++)
    n += snprintf(out + n, size - (size_t)n, "%c%d", i ? ',' : ':', (int)c.knob[i].value);
  if (n > 0 && (size_t)n < size)
    snprintf(out + n, size - (size_t)n, " %s", last ? "nhwc" : "nchw");
}

#endif
