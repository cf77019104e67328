/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions for conv_tiles: problems, their tensors and arguments, made-up numbers, buffers on both sides. */
#ifndef GIE_BENCH_CUDA_CONV_PROBLEM_CUH
#define GIE_BENCH_CUDA_CONV_PROBLEM_CUH

#include "backends/cuda/conv_tile.h"

#include <cuda_fp16.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(call)                                                                 \
  do {                                                                              \
    cudaError_t e_ = (call);                                                        \
    if (e_ != cudaSuccess) {                                                        \
      printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(e_)); \
      exit(1);                                                                      \
    }                                                                               \
  } while (0)

static const struct conv_tile_list *const LISTS[] = {&conv_tiles_f16, &conv_tiles_f32, &conv_tiles_tf32,
                                                     &conv_tiles_tf32x3};
static const char *const KINDS[] = {"f16", "f32", "tf32", "tf32x3"};

/* ---- A problem ------------------------------------------------------------------------------------ */

struct problem {
  int n, c, h, w, k, r, s; /* c, k of all groups */
  int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;
  int out_h, out_w;
};

/* A tensor of four axes in a buffer of `size` elements. */
struct tensor {
  int64_t begin, size, n, c, h, w; /* strides */
};

static bool fill_out(struct problem *p)
{
  int span_h = (p->r - 1) * p->dilation_h + 1, span_w = (p->s - 1) * p->dilation_w + 1;
  p->out_h = (p->h + 2 * p->pad_h - span_h) / p->stride_h + 1;
  p->out_w = (p->w + 2 * p->pad_w - span_w) / p->stride_w + 1;
  return p->h + 2 * p->pad_h >= span_h && p->w + 2 * p->pad_w >= span_w;
}

static struct tensor make_tensor(int n, int c, int h, int w, bool last, int extra, int begin)
{
  struct tensor t;
  if (last) {
    t.c = 1;
    t.w = c + extra;
    t.h = t.w * w;
    t.n = t.h * h;
  } else {
    t.w = 1;
    t.h = w;
    t.c = (int64_t)w * h;
    t.n = t.c * (c + extra);
  }
  t.begin = begin;
  t.size = t.n * n + begin + 64;
  return t;
}

static struct conv_weights weights_of(const struct problem *p)
{
  struct conv_weights w = {p->groups, p->k / p->groups, p->c / p->groups, p->r, p->s, 0, 0, 0, 0};
  w.stride_s = 1;
  w.stride_r = w.s;
  w.stride_c = w.r * w.s;
  w.stride_n = w.c * w.stride_c;
  return w;
}

static struct conv_args args_of(const struct problem *p, const struct tensor *x, const struct tensor *y,
                                int size, int unit)
{
  struct conv_args a;
  struct conv_weights w = weights_of(p);
  memset(&a, 0, sizeof a);
  int v = 16 / size;
  a.x_n = x->n, a.x_h = (int)x->h, a.x_w = (int)x->w, a.x_c = (int)x->c;
  a.y_n = y->n, a.y_p = y->w, a.y_c = y->c;
  a.h = p->h, a.w_extent = p->w, a.c = (int)w.c, a.r = p->r, a.images = p->n;
  a.m = p->n * p->out_h * p->out_w, a.n = (int)w.n;
  conv_args_taps(&a, &w, size, unit);
  a.blocks = (int)((w.n + 7) / 8);
  a.stride_h = p->stride_h, a.stride_w = p->stride_w, a.pad_h = p->pad_h, a.pad_w = p->pad_w;
  a.dilation_h = p->dilation_h, a.dilation_w = p->dilation_w;
  a.by_pixels = conv_div_make((uint32_t)(p->out_h * p->out_w));
  a.by_q = conv_div_make((uint32_t)p->out_w);
  a.vector_y = y->c == 1 && y->w % v == 0 && y->n % v == 0 && y->begin % v == 0 &&
               (p->groups == 1 || w.n % v == 0);
  return a;
}

/* ---- Numbers ---------------------------------------------------------------------------------------- */

static uint32_t state = 12345;
static int below(int n)
{
  state = state * 1664525u + 1013904223u;
  return (int)((state >> 8) % (uint32_t)n);
}
static float uniform(void) { return (float)below(1 << 20) / (1 << 19) - 1; }

static float get(const void *p, int64_t i, int size)
{
  return size == 2 ? __half2float(((const __half *)p)[i]) : ((const float *)p)[i];
}
static void put(void *p, int64_t i, int size, float v)
{
  if (size == 2)
    ((__half *)p)[i] = __float2half_rn(v);
  else
    ((float *)p)[i] = v;
}

struct buffer {
  void *host, *device;
  size_t bytes;
};
static struct buffer buffer_new(size_t bytes)
{
  struct buffer b = {calloc(bytes ? bytes : 1, 1), NULL, bytes};
  CHECK(cudaMalloc(&b.device, bytes ? bytes : 1));
  return b;
}
static void up(struct buffer *b) { CHECK(cudaMemcpy(b->device, b->host, b->bytes, cudaMemcpyHostToDevice)); }
static void down(struct buffer *b)
{
  CHECK(cudaMemcpy(b->host, b->device, b->bytes, cudaMemcpyDeviceToHost));
}
static void drop(struct buffer *b)
{
  free(b->host);
  CHECK(cudaFree(b->device));
}

#endif
