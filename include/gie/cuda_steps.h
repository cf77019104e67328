/* SPDX-License-Identifier: Apache-2.0 */
/* The epilogue of any CUDA kernel: a list of pointwise steps on the accumulated result, in f32.
 *
 *   host    gie_cuda_steps_make()   in supports and create: does it fit, and the list
 *           gie_cuda_steps_bind()   in run, before each launch: the operands' addresses
 *   device  gie_cuda_steps_apply()  one element; _apply_c, _apply_p: V consecutive channels or pixels
 *
 * The list is passed by value (`const __grid_constant__ struct gie_cuda_steps steps`). Coordinates of an element of
 * the result: n image (row of a matrix product), c channel (column), p pixel h*W + w (0); see gie_cuda_channel_axis().
 * Operands are f32 or f16 and broadcast on any coordinate. No step, and a lone relu or clip, cost next to nothing.
 * Everything is defined for the host too, so that tests need no device. Formulas: core/ir/ops.def, ONNX. */
#ifndef GIE_CUDA_STEPS_H
#define GIE_CUDA_STEPS_H

#include <gie/cuda.h>
#include <math.h>
#include <stdio.h>

#if defined(__CUDACC__)
#define GIE_CUDA_FN static __host__ __device__ __forceinline__
#define GIE_CUDA_FAR_FN static __host__ __device__ __noinline__
#else
#define GIE_CUDA_FN static inline
#define GIE_CUDA_FAR_FN static inline
#endif

#define GIE_CUDA_MAX_STEPS 8

/* name in core/ir/ops.def, operands, attribute that is alpha, attribute that is beta */
#define GIE_CUDA_STEP_LIST(X)                         \
  X(IDENTITY, "identity", 1, NULL, NULL)              \
  X(RELU, "relu", 1, NULL, NULL)                      \
  X(CLIP, "clip", 1, "min", "max")                    \
  X(LEAKY_RELU, "leaky_relu", 1, "alpha", NULL)       \
  X(SIGMOID, "sigmoid", 1, NULL, NULL)                \
  X(SILU, "silu", 1, NULL, NULL)                      \
  X(HARD_SIGMOID, "hard_sigmoid", 1, "alpha", "beta") \
  X(HARD_SWISH, "hard_swish", 1, NULL, NULL)          \
  X(ADD, "add", 2, NULL, NULL)                        \
  X(SUB, "sub", 2, NULL, NULL)                        \
  X(MUL, "mul", 2, NULL, NULL)                        \
  X(PRELU, "prelu", 2, NULL, NULL)                    \
  X(MAX, "max", 2, NULL, NULL)                        \
  X(MIN, "min", 2, NULL, NULL)                        \
  X(DIV, "div", 2, NULL, NULL)                        \
  X(POW, "pow", 2, NULL, NULL)                        \
  X(MISH, "mish", 1, NULL, NULL)                      \
  X(GELU, "gelu", 1, "tanh", NULL)                    \
  X(TANH, "tanh", 1, NULL, NULL)                      \
  X(ELU, "elu", 1, "alpha", NULL)                     \
  X(SOFTPLUS, "softplus", 1, NULL, NULL)              \
  X(SQRT, "sqrt", 1, NULL, NULL)                      \
  X(EXP, "exp", 1, NULL, NULL)                        \
  X(LOG, "log", 1, NULL, NULL)                        \
  X(NEG, "neg", 1, NULL, NULL)                        \
  X(ABS, "abs", 1, NULL, NULL)                        \
  X(ERF, "erf", 1, NULL, NULL)                        \
  X(FLOOR, "floor", 1, NULL, NULL)                    \
  X(CEIL, "ceil", 1, NULL, NULL)                      \
  X(CAST, "cast", 1, NULL, NULL)

enum gie_cuda_step_op {
#define GIE_CUDA_STEP_ENUM(name, text, operands, alpha, beta) GIE_CUDA_STEP_##name,
  GIE_CUDA_STEP_LIST(GIE_CUDA_STEP_ENUM)
#undef GIE_CUDA_STEP_ENUM
      GIE_CUDA_STEP_COUNT
};

struct gie_cuda_step {
  uint8_t op;      /* enum gie_cuda_step_op */
  uint8_t reverse; /* op(operand, r) */
  uint8_t half;    /* the operand is f16 */
  uint8_t aligned; /* bytes, power of two ≤ 16, of the operand's address and outer strides; 0 until bound */
  uint8_t strides_aligned;
  int32_t operand; /* index into gie_launch.in, or -1 */
  float alpha, beta;
  int64_t stride_n, stride_c, stride_p;
  const void *data;
};

enum gie_cuda_steps_kind { GIE_CUDA_STEPS_NONE, GIE_CUDA_STEPS_CLIP, GIE_CUDA_STEPS_LIST };

struct gie_cuda_steps {
  uint32_t kind; /* enum gie_cuda_steps_kind */
  uint32_t n;
  float low, high; /* of GIE_CUDA_STEPS_CLIP */
  struct gie_cuda_step step[GIE_CUDA_MAX_STEPS];
};

/* ---- Numbers ------------------------------------------------------------------------------------ */

GIE_CUDA_FN float gie_cuda_half_to_float(uint16_t h)
{
#if defined(__CUDA_ARCH__)
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
  return f;
#else
  uint32_t magnitude = h & 0x7fffu;
  double v = magnitude < 0x400 ? ldexp(magnitude, -24)
                               : ldexp((double)(0x400u | (magnitude & 0x3ffu)), (int)(magnitude >> 10) - 25);
  if (magnitude >= 0x7c00)
    v = magnitude > 0x7c00 ? (double)NAN : (double)INFINITY;
  return (float)(h & 0x8000u ? -v : v);
#endif
}

GIE_CUDA_FN float gie_cuda_clip(float x, float low, float high)
{
  return x > high ? high : x < low ? low : x; /* NaN stays */
}

/* x / y for y ≥ 1, where the device's short division is good to two units; infinity gives 0. */
GIE_CUDA_FN float gie_cuda_quotient(float x, float y)
{
#if defined(__CUDA_ARCH__)
  return __fdividef(x, y);
#else
  return x / y;
#endif
}

GIE_CUDA_FN float gie_cuda_sigmoid(float x) { return gie_cuda_quotient(1.0f, 1.0f + expf(-x)); }
GIE_CUDA_FN float gie_cuda_silu(float x)
{
  return x == -INFINITY ? 0.0f : gie_cuda_quotient(x, 1.0f + expf(-x));
}

/* The longer functions. */
GIE_CUDA_FN float gie_cuda_step_long(int op, float x, float y, float alpha)
{
  switch (op) {
  case GIE_CUDA_STEP_DIV:
    return x / y;
  case GIE_CUDA_STEP_POW:
    return powf(x, y);
  case GIE_CUDA_STEP_MISH:
    return x == -INFINITY ? 0.0f : x * tanhf(fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))));
  case GIE_CUDA_STEP_GELU:
    if (x == -INFINITY)
      return 0.0f;
    if (alpha != 0.0f) /* (1 + tanh(u))/2 = 1/(1 + exp(-2u)), which does not cancel */
      return gie_cuda_quotient(x, 1.0f + expf(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
    return 0.5f * x * erfcf(-0.7071067811865476f * x); /* 1 + erf(z) without losing what is near 0 */
  case GIE_CUDA_STEP_TANH:
    return tanhf(x);
  case GIE_CUDA_STEP_ELU:
    return x < 0.0f ? alpha * expm1f(x) : x;
  case GIE_CUDA_STEP_SOFTPLUS:
    return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
  case GIE_CUDA_STEP_SQRT:
    return sqrtf(x);
  case GIE_CUDA_STEP_EXP:
    return expf(x);
  case GIE_CUDA_STEP_LOG:
    return logf(x);
  case GIE_CUDA_STEP_NEG:
    return -x;
  case GIE_CUDA_STEP_ABS:
    return fabsf(x);
  case GIE_CUDA_STEP_ERF:
    return erff(x);
  case GIE_CUDA_STEP_FLOOR:
    return floorf(x);
  case GIE_CUDA_STEP_CEIL:
    return ceilf(x);
  default:
    return x; /* identity; a cast rounds where the result is stored */
  }
}

/* They are rare enough to be called rather than copied into each kernel. */
GIE_CUDA_FAR_FN float gie_cuda_step_far(int op, float x, float y, float alpha)
{
  return gie_cuda_step_long(op, x, y, alpha);
}

/* op(x) or op(x, y). */
GIE_CUDA_FN float gie_cuda_step_value(int op, float x, float y, float alpha, float beta)
{
  switch (op) {
  case GIE_CUDA_STEP_RELU:
    return x < 0.0f ? 0.0f : x;
  case GIE_CUDA_STEP_CLIP: /* min(max(x, low), high) */
    return alpha > beta ? beta : gie_cuda_clip(x, alpha, beta);
  case GIE_CUDA_STEP_LEAKY_RELU:
    return x < 0.0f ? alpha * x : x;
  case GIE_CUDA_STEP_SIGMOID:
    return gie_cuda_sigmoid(x);
  case GIE_CUDA_STEP_SILU:
    return gie_cuda_silu(x);
  case GIE_CUDA_STEP_HARD_SIGMOID:
    return gie_cuda_clip(alpha * x + beta, 0.0f, 1.0f);
  case GIE_CUDA_STEP_HARD_SWISH:
    return x * gie_cuda_clip(x / 6.0f + 0.5f, 0.0f, 1.0f);
  case GIE_CUDA_STEP_ADD:
    return x + y;
  case GIE_CUDA_STEP_SUB:
    return x - y;
  case GIE_CUDA_STEP_MUL:
    return x * y;
  case GIE_CUDA_STEP_PRELU:
    return x < 0.0f ? x * y : x;
  case GIE_CUDA_STEP_MAX:
    return x != x || x > y ? x : y;
  case GIE_CUDA_STEP_MIN:
    return x != x || x < y ? x : y;
  default:
    return gie_cuda_step_far(op, x, y, alpha);
  }
}

/* Element at of an operand. */
GIE_CUDA_FN float gie_cuda_step_load(const struct gie_cuda_step *s, int64_t at)
{
  return s->half ? gie_cuda_half_to_float(((const uint16_t *)s->data)[at]) : ((const float *)s->data)[at];
}

/* ---- The steps on the device -------------------------------------------------------------------- */

/* r after all steps; it is the element (n, c, p) of the result. */
GIE_CUDA_FN float gie_cuda_steps_apply_at(const struct gie_cuda_steps *s, float r, int64_t n, int64_t c,
                                          int64_t p)
{
  if (s->kind == GIE_CUDA_STEPS_NONE)
    return r;
  if (s->kind == GIE_CUDA_STEPS_CLIP)
    return gie_cuda_clip(r, s->low, s->high);
  for (uint32_t i = 0; i < s->n; i++) {
    const struct gie_cuda_step *step = &s->step[i];
    float y = 0.0f;
    if (step->operand >= 0)
      y = gie_cuda_step_load(step, n * step->stride_n + c * step->stride_c + p * step->stride_p);
    r = gie_cuda_step_value(step->op, step->reverse ? y : r, step->reverse ? r : y, step->alpha, step->beta);
  }
  return r;
}

#ifdef __cplusplus
#if defined(__CUDACC__)
#define GIE_CUDA_TEMPLATE_FN __host__ __device__ __forceinline__
#define GIE_CUDA_UNROLL _Pragma("unroll")
#define GIE_CUDA_NO_UNROLL _Pragma("unroll 1")
#else
#define GIE_CUDA_TEMPLATE_FN inline
#define GIE_CUDA_UNROLL
#define GIE_CUDA_NO_UNROLL
#endif

GIE_CUDA_FN float gie_cuda_steps_apply(const struct gie_cuda_steps &s, float r, int64_t n, int64_t c,
                                       int64_t p)
{
  return gie_cuda_steps_apply_at(&s, r, n, c, p);
}

template <class T, int V> struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) gie_cuda_vector {
  T v[V];
};

/* V elements of an operand from `at` on, `stride` apart. */
template <int V>
GIE_CUDA_TEMPLATE_FN void gie_cuda_step_load_v(const struct gie_cuda_step &s, int64_t at, int64_t stride,
                                               float (&y)[V])
{
  if (stride == 0) {
    float one = gie_cuda_step_load(&s, at);
    GIE_CUDA_UNROLL
    for (int v = 0; v < V; v++)
      y[v] = one;
  } else if (s.half && stride == 1 && s.aligned >= (2 * V < 16 ? 2 * V : 16)) {
    gie_cuda_vector<uint16_t, V> x = *reinterpret_cast<const gie_cuda_vector<uint16_t, V> *>(
        static_cast<const uint16_t *>(s.data) + at);
    GIE_CUDA_UNROLL
    for (int v = 0; v < V; v++)
      y[v] = gie_cuda_half_to_float(x.v[v]);
  } else if (!s.half && stride == 1 && s.aligned >= (4 * V < 16 ? 4 * V : 16)) {
    gie_cuda_vector<float, V> x = *reinterpret_cast<const gie_cuda_vector<float, V> *>(
        static_cast<const float *>(s.data) + at);
    GIE_CUDA_UNROLL
    for (int v = 0; v < V; v++)
      y[v] = x.v[v];
  } else {
    GIE_CUDA_UNROLL
    for (int v = 0; v < V; v++)
      y[v] = gie_cuda_step_load(&s, at + v * stride);
  }
}

/* One step on V elements: the switch is taken once. */
template <int V>
GIE_CUDA_TEMPLATE_FN void gie_cuda_step_v(const struct gie_cuda_step &s, float (&r)[V], const float (&y)[V])
{
#define GIE_CUDA_STEP_CASE(name)                                                                           \
  case GIE_CUDA_STEP_##name:                                                                               \
    GIE_CUDA_UNROLL for (int v = 0; v < V; v++)                                                            \
        r[v] = gie_cuda_step_value(GIE_CUDA_STEP_##name, s.reverse ? y[v] : r[v], s.reverse ? r[v] : y[v], \
                                   s.alpha, s.beta);                                                       \
    break;
  switch (s.op) {
    GIE_CUDA_STEP_CASE(RELU)
    GIE_CUDA_STEP_CASE(CLIP)
    GIE_CUDA_STEP_CASE(LEAKY_RELU)
    GIE_CUDA_STEP_CASE(SIGMOID)
    GIE_CUDA_STEP_CASE(SILU)
    GIE_CUDA_STEP_CASE(HARD_SIGMOID)
    GIE_CUDA_STEP_CASE(HARD_SWISH)
    GIE_CUDA_STEP_CASE(ADD)
    GIE_CUDA_STEP_CASE(SUB)
    GIE_CUDA_STEP_CASE(MUL)
    GIE_CUDA_STEP_CASE(PRELU)
    GIE_CUDA_STEP_CASE(MAX)
    GIE_CUDA_STEP_CASE(MIN)
  default:
    GIE_CUDA_UNROLL
    for (int v = 0; v < V; v++)
      r[v] = gie_cuda_step_far(s.op, s.reverse ? y[v] : r[v], s.reverse ? r[v] : y[v], s.alpha);
  }
#undef GIE_CUDA_STEP_CASE
}

template <int V, bool along_c>
GIE_CUDA_TEMPLATE_FN void gie_cuda_steps_apply_v(const struct gie_cuda_steps &s, float (&r)[V], int64_t n,
                                                 int64_t c, int64_t p)
{
  if (s.kind == GIE_CUDA_STEPS_NONE)
    return;
  if (s.kind == GIE_CUDA_STEPS_CLIP) {
    GIE_CUDA_UNROLL
    for (int v = 0; v < V; v++)
      r[v] = gie_cuda_clip(r[v], s.low, s.high);
    return;
  }
  GIE_CUDA_NO_UNROLL
  for (uint32_t i = 0; i < s.n; i++) {
    const struct gie_cuda_step &step = s.step[i];
    float y[V] = {};
    if (step.operand >= 0)
      gie_cuda_step_load_v<V>(step, n * step.stride_n + c * step.stride_c + p * step.stride_p,
                              along_c ? step.stride_c : step.stride_p, y);
    gie_cuda_step_v<V>(step, r, y);
  }
}

/* Elements (n, c…c+V-1, p); c is a multiple of V. */
template <int V>
GIE_CUDA_TEMPLATE_FN void gie_cuda_steps_apply_c(const struct gie_cuda_steps &s, float (&r)[V], int64_t n,
                                                 int64_t c, int64_t p)
{
  gie_cuda_steps_apply_v<V, true>(s, r, n, c, p);
}

/* Elements (n, c, p…p+V-1); p is a multiple of V. */
template <int V>
GIE_CUDA_TEMPLATE_FN void gie_cuda_steps_apply_p(const struct gie_cuda_steps &s, float (&r)[V], int64_t n,
                                                 int64_t c, int64_t p)
{
  gie_cuda_steps_apply_v<V, false>(s, r, n, c, p);
}
#endif

/* ---- On the host --------------------------------------------------------------------------------- */

/* Function and attributes of a step or a pointwise node of that op; false when it is not in the list. */
static inline bool gie_cuda_step_read(const struct gie_op *op, const struct gie_attrs *attrs,
                                      struct gie_cuda_step *out)
{
  static const struct gie_cuda_step_name {
    const char *op;
    int operands;
    const char *alpha, *beta;
  } NAMES[] = {
#define GIE_CUDA_STEP_NAME(name, text, operands, alpha, beta) {text, operands, alpha, beta},
      GIE_CUDA_STEP_LIST(GIE_CUDA_STEP_NAME)
#undef GIE_CUDA_STEP_NAME
  };
  struct gie_cuda_step s;
  memset(&s, 0, sizeof s);
  s.operand = -1;
  for (int i = 0; i < GIE_CUDA_STEP_COUNT; i++) {
    if (strcmp(NAMES[i].op, op->name) != 0)
      continue;
    s.op = (uint8_t)i;
    s.alpha = NAMES[i].alpha ? (float)gie_attrs_float(attrs, op, NAMES[i].alpha) : 0.0f;
    s.beta = NAMES[i].beta ? (float)gie_attrs_float(attrs, op, NAMES[i].beta) : 0.0f;
    *out = s;
    return true;
  }
  return false;
}

/* Largest power of two ≤ 16 that divides v; 16 for 0. */
static inline uint8_t gie_cuda_alignment(uint64_t v)
{
  uint8_t a = 16;
  while (v % a != 0)
    a = (uint8_t)(a / 2);
  return a;
}

static inline bool gie_cuda_step_make(const struct gie_problem *p, const struct gie_step *step,
                                      struct gie_cuda_step *out, char *why, size_t why_size)
{
  const char *name = step->op->name;
  struct gie_cuda_step s;
  struct gie_cuda_tensor t;
  bool cast = strcmp(name, "cast") == 0;
  int64_t to = cast ? gie_step_int(step, "to") : 0;
  if (!gie_cuda_step_read(step->op, &step->attrs, &s) || (cast && to != GIE_F32 && to != GIE_F16)) {
    snprintf(why, why_size, "step %s is none that is computed in f32", name);
    return false;
  }
  s.reverse = step->reverse;
  s.operand = step->operand;
  *out = s;
  if (step->operand < 0)
    return true;
  const struct gie_desc *d = (uint32_t)step->operand < p->n_in ? &p->in[step->operand] : NULL;
  if (!d || (d->dtype != GIE_F32 && d->dtype != GIE_F16)) {
    snprintf(why, why_size, "the operand of step %s is neither f32 nor f16", name);
    return false;
  }
  if (!gie_cuda_tensor_make(d, &p->out[0], gie_cuda_channel_axis(p->node, p->out[0].rank), &t)) {
    snprintf(why, why_size, "the operand of step %s does not lie along image, channel and pixel", name);
    return false;
  }
  uint64_t size = d->dtype == GIE_F16 ? 2 : 4;
  s.half = d->dtype == GIE_F16;
  s.stride_n = t.stride_n;
  s.stride_c = t.stride_c;
  s.stride_p = t.stride_p;
  s.strides_aligned = gie_cuda_alignment((uint64_t)s.stride_n * size);
  if (s.stride_c != 1 && gie_cuda_alignment((uint64_t)s.stride_c * size) < s.strides_aligned)
    s.strides_aligned = gie_cuda_alignment((uint64_t)s.stride_c * size);
  if (s.stride_p != 1 && gie_cuda_alignment((uint64_t)s.stride_p * size) < s.strides_aligned)
    s.strides_aligned = gie_cuda_alignment((uint64_t)s.stride_p * size);
  *out = s;
  return true;
}

/* The first n_steps steps of p->node on p->out[0]. false: `why` says what does not fit. With the dense plain
 * descriptors of supports() it tells whether the steps can be taken at all, with those of create() what they are. */
static inline bool gie_cuda_steps_make(const struct gie_problem *p, uint32_t n_steps,
                                       struct gie_cuda_steps *out, char *why, size_t why_size)
{
  memset(out, 0, sizeof *out);
  if (n_steps > GIE_CUDA_MAX_STEPS || n_steps > p->node->n_steps) {
    snprintf(why, why_size, "an epilogue of more than %d steps", GIE_CUDA_MAX_STEPS);
    return false;
  }
  out->n = n_steps;
  out->kind = n_steps ? GIE_CUDA_STEPS_LIST : GIE_CUDA_STEPS_NONE;
  for (uint32_t i = 0; i < n_steps; i++)
    if (!gie_cuda_step_make(p, &p->node->steps[i], &out->step[i], why, why_size))
      return false;
  bool relu = n_steps == 1 && out->step[0].op == GIE_CUDA_STEP_RELU;
  bool clip = n_steps == 1 && out->step[0].op == GIE_CUDA_STEP_CLIP &&
              out->step[0].alpha <= out->step[0].beta;
  if (relu || clip) {
    out->kind = GIE_CUDA_STEPS_CLIP;
    out->low = relu ? 0.0f : out->step[0].alpha;
    out->high = relu ? INFINITY : out->step[0].beta;
  }
  return true;
}

/* Takes the operands' addresses from the launch. */
static inline void gie_cuda_steps_bind(struct gie_cuda_steps *s, const struct gie_launch *l)
{
  for (uint32_t i = 0; i < s->n; i++) {
    struct gie_cuda_step *step = &s->step[i];
    if (step->operand < 0)
      continue;
    step->data = l->in[step->operand];
    step->aligned = gie_cuda_alignment((uint64_t)(uintptr_t)step->data);
    if (step->strides_aligned < step->aligned)
      step->aligned = step->strides_aligned;
  }
}

#endif
