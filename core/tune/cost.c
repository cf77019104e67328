/* SPDX-License-Identifier: Apache-2.0 */
/* The cost model: what an op has to compute and move, and how long a device of known peaks needs for
 * that at best (roofline: Williams, Waterman, Patterson 2009). It orders candidates before anything
 * is measured; it does not know how good a kernel is. */
#include "core/module/registry.h"
#include "core/tune/tune.h"
#include <gie/window.h>
#include <math.h>

#define REFERENCE 20 /* kernels made to be right stay that far below the roofline, or further */

/* ---- Work of an op ------------------------------------------------------------------------------ */

/* What the flops are a multiple of. */
enum unit {
  PER_OUT,     /* elements of result 0 */
  PER_IN,      /* elements of operand 0 */
  PER_WINDOW,  /* elements of result 0 times the window's taps */
  PER_CONV,    /* result 0 times the taps of one output: C/group times the kernel */
  PER_SCATTER, /* operand 0 times the taps it feeds: K/group times the kernel */
  PER_GEMM,    /* result 0 times the rows of op(B) */
  PER_MATMUL,  /* result 0 times the last axis of A */
  PER_LRN,     /* elements times the channels summed */
  PER_RESIZE   /* result 0 times the neighbours read */
};

/* What of the operands is read. */
enum reads {
  READ_ALL,
  READ_PART, /* of operand 0 as much as is written; the rest fully */
  READ_REST  /* operand 0 not at all: only its shape counts */
};

static const struct op_work {
  const char *op;
  double flops;
  enum unit unit;
  enum reads reads;
} WORK[] = {
    /* a multiplication and an addition per tap */
    {"conv", 2, PER_CONV, READ_ALL},
    {"conv_transpose", 2, PER_SCATTER, READ_ALL},
    {"gemm", 2, PER_GEMM, READ_ALL},
    {"matmul", 2, PER_MATMUL, READ_ALL},
    /* pointwise; transcendental functions count as the polynomial that vector libraries use */
    {"identity", 0, PER_OUT, READ_ALL},
    {"relu", 1, PER_OUT, READ_ALL},
    {"leaky_relu", 2, PER_OUT, READ_ALL},
    {"clip", 2, PER_OUT, READ_ALL},
    {"sigmoid", 12, PER_OUT, READ_ALL},
    {"silu", 13, PER_OUT, READ_ALL},
    {"mish", 34, PER_OUT, READ_ALL},
    {"gelu", 18, PER_OUT, READ_ALL},
    {"hard_sigmoid", 4, PER_OUT, READ_ALL},
    {"hard_swish", 5, PER_OUT, READ_ALL},
    {"tanh", 14, PER_OUT, READ_ALL},
    {"elu", 12, PER_OUT, READ_ALL},
    {"softplus", 20, PER_OUT, READ_ALL},
    {"sqrt", 4, PER_OUT, READ_ALL},
    {"exp", 10, PER_OUT, READ_ALL},
    {"log", 10, PER_OUT, READ_ALL},
    {"neg", 1, PER_OUT, READ_ALL},
    {"abs", 1, PER_OUT, READ_ALL},
    {"erf", 14, PER_OUT, READ_ALL},
    {"floor", 1, PER_OUT, READ_ALL},
    {"ceil", 1, PER_OUT, READ_ALL},
    {"not", 1, PER_OUT, READ_ALL},
    {"cast", 1, PER_OUT, READ_ALL},
    {"add", 1, PER_OUT, READ_ALL},
    {"sub", 1, PER_OUT, READ_ALL},
    {"mul", 1, PER_OUT, READ_ALL},
    {"div", 4, PER_OUT, READ_ALL},
    {"prelu", 2, PER_OUT, READ_ALL},
    {"pow", 20, PER_OUT, READ_ALL},
    {"sum", 1, PER_OUT, READ_ALL},
    {"max", 1, PER_OUT, READ_ALL},
    {"min", 1, PER_OUT, READ_ALL},
    {"where", 1, PER_OUT, READ_ALL},
    {"equal", 1, PER_OUT, READ_ALL},
    {"greater", 1, PER_OUT, READ_ALL},
    {"less", 1, PER_OUT, READ_ALL},
    /* normalization: passes over the elements; lrn squares, sums and raises to a power */
    {"batch_norm", 2, PER_OUT, READ_ALL},
    {"instance_norm", 7, PER_OUT, READ_ALL},
    {"layer_norm", 7, PER_OUT, READ_ALL},
    {"lrn", 2, PER_LRN, READ_ALL},
    {"softmax", 14, PER_OUT, READ_ALL},
    {"log_softmax", 14, PER_OUT, READ_ALL},
    {"dropout", 0, PER_OUT, READ_ALL},
    /* pooling, reductions: one operation per element looked at */
    {"max_pool", 1, PER_WINDOW, READ_ALL},
    {"average_pool", 1, PER_WINDOW, READ_ALL},
    {"global_average_pool", 1, PER_IN, READ_ALL},
    {"global_max_pool", 1, PER_IN, READ_ALL},
    {"reduce_mean", 1, PER_IN, READ_ALL},
    {"reduce_sum", 1, PER_IN, READ_ALL},
    {"reduce_max", 1, PER_IN, READ_ALL},
    {"reduce_min", 1, PER_IN, READ_ALL},
    {"reduce_l2", 2, PER_IN, READ_ALL},
    {"arg_max", 2, PER_IN, READ_ALL},
    /* moving data */
    {"concat", 0, PER_OUT, READ_ALL},
    {"split", 0, PER_OUT, READ_ALL},
    {"slice", 0, PER_OUT, READ_PART},
    {"gather", 0, PER_OUT, READ_PART},
    {"reshape", 0, PER_OUT, READ_ALL},
    {"flatten", 0, PER_OUT, READ_ALL},
    {"squeeze", 0, PER_OUT, READ_ALL},
    {"unsqueeze", 0, PER_OUT, READ_ALL},
    {"transpose", 0, PER_OUT, READ_ALL},
    {"pad", 0, PER_OUT, READ_ALL},
    {"expand", 0, PER_OUT, READ_ALL},
    {"tile", 0, PER_OUT, READ_ALL},
    {"depth_to_space", 0, PER_OUT, READ_ALL},
    {"space_to_depth", 0, PER_OUT, READ_ALL},
    {"resize", 2, PER_RESIZE, READ_ALL},
    {"shape", 0, PER_OUT, READ_REST},
    {"constant_of_shape", 0, PER_OUT, READ_ALL},
    {"reorder", 0, PER_OUT, READ_ALL},
    /* what its branches do is not known here: what it moves at least */
    {"if", 0, PER_OUT, READ_ALL},
};

static const struct op_work *find_work(const char *op)
{
  static const struct op_work custom = {"", 1, PER_OUT, READ_ALL}; /* a layer of a module */
  for (size_t i = 0; i < sizeof WORK / sizeof *WORK; i++)
    if (strcmp(WORK[i].op, op) == 0)
      return &WORK[i];
  return &custom;
}

bool tune_knows_op(const char *op) { return find_work(op)->op[0] != 0; }

bool tune_has_math(const struct gie_op *op)
{
  const struct op_work *w = find_work(op->name);
  return w->op[0] == 0 || w->unit == PER_CONV || w->unit == PER_SCATTER || w->unit == PER_GEMM ||
         w->unit == PER_MATMUL;
}

/* Products of dims as doubles: a roofline needs no exact count, and no dim can make them overflow. */
static double product(const struct gie_desc *d, int from)
{
  double n = 1;
  for (int i = from; i < d->rank; i++)
    n *= (double)d->dim[i];
  return n;
}

static double window_taps(const struct gie_node *n)
{
  int64_t kernel[GIE_MAX_SPATIAL];
  double taps = 1;
  uint32_t given = gie_node_ints(n, "kernel", kernel, GIE_MAX_SPATIAL, 1);
  for (uint32_t i = 0; i < given; i++)
    taps *= (double)kernel[i];
  return taps;
}

/* Neighbours that one result of a resize reads: 1, 2 or 4 along every axis that changes. */
static double resize_taps(const struct gie_problem *p)
{
  const char *mode = gie_node_string(p->node, "mode");
  double per_axis = strcmp(mode, "cubic") == 0 ? 4 : strcmp(mode, "linear") == 0 ? 2 : 0, taps = 1;
  if (per_axis == 0)
    return 0;
  for (int i = 0; i < p->in[0].rank && i < p->out[0].rank; i++)
    taps *= p->in[0].dim[i] == p->out[0].dim[i] ? 1 : per_axis;
  return taps;
}

static double count_flops(const struct gie_problem *p, const struct op_work *w)
{
  const struct gie_desc *a = &p->in[0];
  double out = product(&p->out[0], 0), in = p->n_in ? product(a, 0) : 0;
  bool two = p->n_in > 1 && p->in[1].dtype != GIE_DTYPE_NONE;
  switch (w->unit) {
  case PER_OUT:
    return w->flops * out * (strcmp(w->op, "sum") == 0 && p->n_in > 1 ? p->n_in - 1 : 1);
  case PER_IN:
    return w->flops * in;
  case PER_WINDOW:
    return w->flops * out * window_taps(p->node);
  case PER_CONV:
    return two ? w->flops * out * product(&p->in[1], 1) : 0;
  case PER_SCATTER:
    return two ? w->flops * in * product(&p->in[1], 1) : 0;
  case PER_GEMM:
    return a->rank == 2 ? w->flops * out * (double)a->dim[gie_node_int(p->node, "trans_a") ? 0 : 1] : 0;
  case PER_MATMUL:
    return a->rank > 0 ? w->flops * out * (double)a->dim[a->rank - 1] : 0;
  case PER_LRN:
    return out * (w->flops * (double)gie_node_int(p->node, "size") + 20);
  case PER_RESIZE:
    return w->flops * out * resize_taps(p);
  }
  return 0;
}

static double tensor_bytes(const struct gie_desc *d)
{
  double n = product(d, 0) * (double)gie_dtype_size(d->dtype);
  if (d->layout.block > 1 && d->layout.block_axis < d->rank && d->dim[d->layout.block_axis] > 0) {
    double dim = (double)d->dim[d->layout.block_axis], block = d->layout.block;
    n *= ceil(dim / block) * block / dim; /* pad lanes move too */
  }
  return n;
}

static bool seen_before(const struct gie_node *n, uint32_t i)
{
  for (uint32_t j = 0; j < i; j++)
    if (n->in[j] == n->in[i])
      return true;
  return false;
}

static double count_bytes(const struct gie_problem *p, const struct op_work *w)
{
  double written = 0, read = 0;
  for (uint32_t i = 0; i < p->n_out; i++)
    written += tensor_bytes(&p->out[i]);
  for (uint32_t i = 0; i < p->n_in; i++) {
    if (p->in[i].dtype == GIE_DTYPE_NONE || seen_before(p->node, i))
      continue;
    double n = tensor_bytes(&p->in[i]);
    if (i == 0 && w->reads != READ_ALL)
      n = w->reads == READ_PART ? fmin(n, written) : 0;
    read += n;
  }
  return read + written;
}

void tune_work(const struct gie_problem *p, struct gie_cost *out)
{
  const struct op_work *w = find_work(p->node->op->name);
  *out = (struct gie_cost){.struct_size = sizeof *out};
  if (p->n_out == 0)
    return;
  out->flops = count_flops(p, w);
  for (uint32_t i = 0; i < p->node->n_steps; i++)
    out->flops += find_work(p->node->steps[i].op->name)->flops * product(&p->out[0], 0);
  out->bytes = count_bytes(p, w);
}

/* ---- Time --------------------------------------------------------------------------------------- */

/* Per core of a host, and for a whole device of another kind. */
static const struct gie_peaks HOST_CORE = {.bytes_per_s = 8e9,
                                           .cache_bytes_per_s = 40e9,
                                           .cache_bytes = 1 << 20,
                                           .f32_flop_per_s = 40e9,
                                           .launch_s = 1e-6},
                              ACCELERATOR = {.bytes_per_s = 1e12,
                                             .cache_bytes_per_s = 4e12,
                                             .cache_bytes = 32 << 20,
                                             .f32_flop_per_s = 20e12,
                                             .f16_flop_per_s = 200e12,
                                             .tf32_flop_per_s = 100e12,
                                             .i8_op_per_s = 80e12,
                                             .launch_s = 4e-6};

void tune_default_peaks(const struct gie_device_info *info, struct gie_peaks *out)
{
  bool host = info->flags & GIE_DEVICE_HOST;
  double n = host && info->units > 1 ? info->units : 1;
  struct gie_peaks p = host ? HOST_CORE : ACCELERATOR;
  p.struct_size = sizeof p;
  p.bytes_per_s *= n < 8 ? n : 8; /* memory does not grow with every core */
  p.cache_bytes_per_s *= n;
  p.cache_bytes *= n;
  p.f32_flop_per_s *= n;
  *out = p;
}

/* A peak that is a number above zero, else what stands in for it. */
static double peak(double measured, double otherwise)
{
  return isfinite(measured) && measured > 0 ? measured : otherwise;
}

static enum gie_dtype compute_dtype(const struct gie_problem *p, const struct gie_variant *v)
{
  enum gie_dtype t = p->n_in ? p->in[0].dtype : GIE_F32;
  const struct gie_port *port = mod_port(p, v, 0);
  return port->dtype != GIE_DTYPE_NONE ? port->dtype : t;
}

static double flop_rate(const struct gie_problem *p, const struct gie_variant *v,
                        const struct gie_peaks *peaks)
{
  double f32 = peak(peaks->f32_flop_per_s, HOST_CORE.f32_flop_per_s);
  switch (compute_dtype(p, v)) {
  case GIE_F16:
  case GIE_BF16:
    return peak(peaks->f16_flop_per_s, f32);
  case GIE_I8:
  case GIE_U8:
    return peak(peaks->i8_op_per_s, f32);
  case GIE_F64:
  case GIE_I64:
  case GIE_U64:
    return f32 / 2;
  default:
    return p->math == GIE_MATH_STRICT ? f32 : peak(peaks->tf32_flop_per_s, f32);
  }
}

static bool is_sane(double v) { return isfinite(v) && v >= 0; }

static double launch_seconds(const struct gie_peaks *peaks)
{
  return is_sane(peaks->launch_s) ? peaks->launch_s : 0;
}

double tune_roofline(const struct gie_peaks *peaks, double flops, double rate, double bytes, double waves)
{
  double memory = peak(peaks->bytes_per_s, HOST_CORE.bytes_per_s);
  double bandwidth = bytes <= peaks->cache_bytes ? peak(peaks->cache_bytes_per_s, memory) : memory;
  double compute = flops / rate;
  if (is_sane(waves) && waves > 0)
    compute *= ceil(waves) / waves;
  return fmax(compute, bytes / bandwidth) + launch_seconds(peaks);
}

double tune_estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     const struct gie_peaks *peaks)
{
  struct gie_cost work, cost = {.struct_size = sizeof cost};
  tune_work(p, &work);
  if (k->estimate)
    k->estimate(k, p, v, &cost);
  else
    cost = work;
  double launch = launch_seconds(peaks), seconds = cost.seconds;
  if (!is_sane(seconds) || seconds == 0) {
    double flops = is_sane(cost.flops) ? cost.flops : work.flops;
    double bytes = is_sane(cost.bytes) ? cost.bytes : work.bytes;
    seconds = tune_roofline(peaks, flops, flop_rate(p, v, peaks), bytes, cost.waves) - launch;
  }
  if (!k->estimate && (GIE_OPTION(k, flags) & GIE_KERNEL_REFERENCE))
    seconds *= REFERENCE;
  seconds += launch;
  return seconds > 1e-9 ? fmin(seconds, 1e9) : 1e-9; /* finite, and never for nothing */
}
