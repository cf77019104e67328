/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations, softmax and dropout. Formulas: ONNX BatchNormalization, InstanceNormalization, LayerNormalization, LRN,
 * Softmax, LogSoftmax, Dropout (inference). Sums are kept in double. */
#include "backends/cpu/cpu.h"

#include <math.h>

/* ---- batch_norm: scale*(x - mean)/sqrt(var + epsilon) + bias, parameters per channel (axis 1) */

struct batch_norm {
  struct cpu_box box;
  struct cpu_tensor x, scale, bias, mean, var;
  double epsilon;
};

static gie_status batch_norm_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct batch_norm *v = arg;
  int64_t idx[GIE_MAX_RANK];
  int n = cpu_box_at(&v->box, item, idx), axis = v->box.axis;
  struct cpu_row x, scale, bias, mean, var;
  (void)slot;
  cpu_read_row(&v->x, idx, axis, n, &x);
  cpu_read_row(&v->scale, idx, axis, n, &scale);
  cpu_read_row(&v->bias, idx, axis, n, &bias);
  cpu_read_row(&v->mean, idx, axis, n, &mean);
  cpu_read_row(&v->var, idx, axis, n, &var);
  for (int k = 0; k < n; k++)
    x.f[k] = scale.f[k] * (x.f[k] - mean.f[k]) / sqrt(var.f[k] + v->epsilon) + bias.f[k];
  return cpu_emit(c, idx, axis, n, &x);
}

static struct cpu_tensor per_channel(const struct cpu_call *c, uint32_t i)
{
  struct cpu_tensor p = cpu_in(c, i);
  return cpu_along(&p, 1, c->self->in[0].rank, c->self->in[0].dim);
}

static gie_status batch_norm_run(const struct cpu_call *c)
{
  struct cpu_tensor out = cpu_out(c, 0);
  struct batch_norm v = {cpu_box(&out, 0, NULL),
                         cpu_in(c, 0),
                         per_channel(c, 1),
                         per_channel(c, 2),
                         per_channel(c, 3),
                         per_channel(c, 4),
                         gie_node_float(c->self->node, "epsilon")};
  return cpu_for(c, v.box.rows, 16, batch_norm_body, &v);
}

static bool channels_check(const struct gie_problem *p, char *why, size_t size)
{
  if (p->in[0].rank < 2)
    return cpu_refuse(why, size, "x has no channel axis");
  for (uint32_t i = 1; i < p->node->n_operands; i++)
    if (p->in[i].rank != 1 || p->in[i].dim[0] != p->in[0].dim[1] || !cpu_is_float(p->in[i].dtype))
      return cpu_refuse(why, size, "operand %u is not one float per channel", i);
  return true;
}

/* ---- instance_norm: the same with mean and var over the spatial axes of each image and channel */

struct instance_norm {
  struct cpu_tensor x, scale, bias;
  double epsilon;
};

static gie_status instance_norm_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct instance_norm *v = arg;
  int64_t channels = v->x.dim[1], channel = item % channels, idx[GIE_MAX_RANK] = {item / channels, channel};
  struct cpu_box box = cpu_box(&v->x, 3, idx);
  double scale, bias, mean = 0, var = 0, count = 0;
  struct cpu_row x;
  (void)slot;
  cpu_read(&v->scale, &channel, 0, 1, 1, &scale);
  cpu_read(&v->bias, &channel, 0, 1, 1, &bias);
  for (int64_t r = 0; r < box.rows; r++) {
    int n = cpu_box_at(&box, r, idx);
    cpu_read_row(&v->x, idx, box.axis, n, &x);
    for (int k = 0; k < n; k++)
      mean += x.f[k];
    count += n;
  }
  mean /= count;
  for (int64_t r = 0; r < box.rows; r++) {
    int n = cpu_box_at(&box, r, idx);
    cpu_read_row(&v->x, idx, box.axis, n, &x);
    for (int k = 0; k < n; k++)
      var += (x.f[k] - mean) * (x.f[k] - mean);
  }
  var /= count;
  for (int64_t r = 0; r < box.rows; r++) {
    int n = cpu_box_at(&box, r, idx);
    cpu_read_row(&v->x, idx, box.axis, n, &x);
    for (int k = 0; k < n; k++)
      x.f[k] = scale * (x.f[k] - mean) / sqrt(var + v->epsilon) + bias;
    GIE_TRY(cpu_emit(c, idx, box.axis, n, &x));
  }
  return GIE_OK;
}

static gie_status instance_norm_run(const struct cpu_call *c)
{
  struct instance_norm v = {cpu_in(c, 0), cpu_in(c, 1), cpu_in(c, 2),
                            gie_node_float(c->self->node, "epsilon")};
  return cpu_for(c, v.x.dim[0] * v.x.dim[1], 1, instance_norm_body, &v);
}

/* ---- layer_norm: the same over all axes from `axis` on; scale and bias broadcast to x */

struct layer_norm {
  struct cpu_tensor x, scale, bias;
  int axis;
  bool has_bias;
  double epsilon;
};

/* Index of group `item`: the axes before v->axis counted up, 0 on the others. */
static void layer_norm_at(const struct layer_norm *v, int64_t item, int64_t *idx)
{
  memset(idx, 0, GIE_MAX_RANK * sizeof *idx);
  for (int i = v->axis; i-- > 0; item /= v->x.dim[i])
    idx[i] = item % v->x.dim[i];
}

static void layer_norm_sums(const struct layer_norm *v, const struct cpu_box *box, double *mean, double *var)
{
  int64_t idx[GIE_MAX_RANK], count = 0;
  struct cpu_row x;
  *mean = *var = 0;
  for (int64_t r = 0; r < box->rows; r++) {
    int n = cpu_box_at(box, r, idx);
    cpu_read_row(&v->x, idx, box->axis, n, &x);
    for (int k = 0; k < n; k++)
      *mean += x.f[k];
    count += n;
  }
  *mean /= (double)count;
  for (int64_t r = 0; r < box->rows; r++) {
    int n = cpu_box_at(box, r, idx);
    cpu_read_row(&v->x, idx, box->axis, n, &x);
    for (int k = 0; k < n; k++)
      *var += (x.f[k] - *mean) * (x.f[k] - *mean);
  }
  *var /= (double)count;
}

static gie_status layer_norm_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct layer_norm *v = arg;
  int64_t idx[GIE_MAX_RANK];
  struct cpu_row x, scale, bias;
  double mean, var;
  (void)slot;
  layer_norm_at(v, item, idx);
  struct cpu_box box = cpu_box(&v->x, (1u << v->axis) - 1, idx);
  layer_norm_sums(v, &box, &mean, &var);
  double deviation = sqrt(var + v->epsilon), statistics[2] = {mean, 1 / deviation};
  for (uint32_t i = 1; i < 3; i++)
    if (cpu_has_out(c, i)) {
      struct cpu_tensor out = cpu_out(c, i);
      x.dtype = GIE_F64;
      x.f[0] = statistics[i - 1];
      layer_norm_at(v, item, idx);
      cpu_write_row(&out, idx, -1, 1, &x);
    }
  for (int64_t r = 0; r < box.rows; r++) {
    int n = cpu_box_at(&box, r, idx);
    cpu_read_row(&v->x, idx, box.axis, n, &x);
    cpu_read_row(&v->scale, idx, box.axis, n, &scale);
    if (v->has_bias)
      cpu_read_row(&v->bias, idx, box.axis, n, &bias);
    for (int k = 0; k < n; k++)
      x.f[k] = scale.f[k] * (x.f[k] - mean) / deviation + (v->has_bias ? bias.f[k] : 0);
    GIE_TRY(cpu_emit(c, idx, box.axis, n, &x));
  }
  return GIE_OK;
}

static gie_status layer_norm_run(const struct cpu_call *c)
{
  struct cpu_tensor x = cpu_in(c, 0), scale = cpu_in(c, 1), bias;
  struct layer_norm v = {.x = x,
                         .scale = cpu_broadcast(&scale, x.rank, x.dim),
                         .axis = (int)gie_node_int(c->self->node, "axis"),
                         .has_bias = cpu_has_in(c, 2),
                         .epsilon = gie_node_float(c->self->node, "epsilon")};
  int64_t groups = 1;
  v.axis += v.axis < 0 ? x.rank : 0;
  if (v.has_bias) {
    bias = cpu_in(c, 2);
    v.bias = cpu_broadcast(&bias, x.rank, x.dim);
  }
  for (int i = 0; i < v.axis; i++)
    groups *= x.dim[i];
  return cpu_for(c, groups, 1, layer_norm_body, &v);
}

static bool layer_norm_check(const struct gie_problem *p, char *why, size_t size)
{
  int64_t axis = gie_node_int(p->node, "axis");
  if (axis < -p->in[0].rank || axis >= p->in[0].rank)
    return cpu_refuse(why, size, "axis %lld is outside rank %d", (long long)axis, p->in[0].rank);
  for (uint32_t i = 1; i < p->node->n_operands; i++)
    if (p->in[i].dtype != GIE_DTYPE_NONE && !cpu_is_float(p->in[i].dtype))
      return cpu_refuse(why, size, "operand %u is no float", i);
  return true;
}

/* ---- lrn: x / (bias + alpha/size * sum of x^2 over the window of channels)^beta, the window being
 * channels c - floor((size-1)/2) … c + ceil((size-1)/2) */

struct lrn {
  struct cpu_tensor x;
  struct cpu_box box;
  int64_t size;
  double alpha, beta, bias;
};

static gie_status lrn_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct lrn *v = arg;
  int64_t idx[GIE_MAX_RANK], at[GIE_MAX_RANK], begin, end, channels = v->x.dim[1], channel = item % channels;
  int n = cpu_box_at(&v->box, item / channels, idx), axis = v->box.axis;
  struct cpu_row x, other;
  double sum[CPU_ROW] = {0};
  (void)slot;
  idx[1] = channel;
  memcpy(at, idx, sizeof at);
  begin = channel - (v->size - 1) / 2;
  end = channel + v->size / 2 + 1;
  for (at[1] = begin < 0 ? 0 : begin; at[1] < end && at[1] < channels; at[1]++) {
    cpu_read_row(&v->x, at, axis, n, &other);
    for (int k = 0; k < n; k++)
      sum[k] += other.f[k] * other.f[k];
  }
  cpu_read_row(&v->x, idx, axis, n, &x);
  for (int k = 0; k < n; k++)
    x.f[k] /= pow(v->bias + v->alpha / (double)v->size * sum[k], v->beta);
  return cpu_emit(c, idx, axis, n, &x);
}

static gie_status lrn_run(const struct cpu_call *c)
{
  const struct gie_node *node = c->self->node;
  struct lrn v = {.x = cpu_in(c, 0),
                  .size = gie_node_int(node, "size"),
                  .alpha = gie_node_float(node, "alpha"),
                  .beta = gie_node_float(node, "beta"),
                  .bias = gie_node_float(node, "bias")};
  int64_t zero[GIE_MAX_RANK] = {0};
  v.box = cpu_box(&v.x, 2, zero); /* rows of channel 0; the body moves them */
  return cpu_for(c, v.box.rows * v.x.dim[1], 4, lrn_body, &v);
}

static bool lrn_check(const struct gie_problem *p, char *why, size_t size)
{
  int64_t n = gie_node_int(p->node, "size");
  if (p->in[0].rank < 2 || n < 1 || n > INT32_MAX)
    return cpu_refuse(why, size, "needs a channel axis and a size from 1 to 2^31-1");
  return true;
}

/* ---- softmax: exp(x - max) / sum, and its logarithm x - max - log(sum), along one axis */

struct softmax {
  struct cpu_tensor x;
  struct cpu_box lanes; /* index 0 of the axis: one element per lane */
  int axis;
  bool log;
};

static gie_status softmax_lane(const struct cpu_call *c, const struct softmax *v, int64_t *idx)
{
  struct cpu_row x;
  double greatest = -INFINITY, sum = 0;
  int64_t extent = v->x.dim[v->axis], *at = &idx[v->axis];
  for (*at = 0; *at < extent; *at += CPU_ROW) {
    int n = extent - *at < CPU_ROW ? (int)(extent - *at) : CPU_ROW;
    cpu_read_row(&v->x, idx, v->axis, n, &x);
    for (int k = 0; k < n; k++)
      greatest = x.f[k] > greatest ? x.f[k] : greatest;
  }
  for (*at = 0; *at < extent; *at += CPU_ROW) {
    int n = extent - *at < CPU_ROW ? (int)(extent - *at) : CPU_ROW;
    cpu_read_row(&v->x, idx, v->axis, n, &x);
    for (int k = 0; k < n; k++)
      sum += exp(x.f[k] - greatest);
  }
  for (*at = 0; *at < extent; *at += CPU_ROW) {
    int n = extent - *at < CPU_ROW ? (int)(extent - *at) : CPU_ROW;
    cpu_read_row(&v->x, idx, v->axis, n, &x);
    for (int k = 0; k < n; k++)
      x.f[k] = v->log ? x.f[k] - greatest - log(sum) : exp(x.f[k] - greatest) / sum;
    GIE_TRY(cpu_emit(c, idx, v->axis, n, &x));
  }
  return GIE_OK;
}

static gie_status softmax_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct softmax *v = arg;
  int64_t idx[GIE_MAX_RANK];
  int n = cpu_box_at(&v->lanes, item, idx);
  (void)slot;
  for (int k = 0; k < n; k++) {
    GIE_TRY(softmax_lane(c, v, idx));
    idx[v->lanes.axis < 0 ? v->axis : v->lanes.axis]++; /* the lane resets its own axis */
  }
  return GIE_OK;
}

static gie_status softmax_run(const struct cpu_call *c)
{
  struct softmax v = {.x = cpu_in(c, 0),
                      .axis = (int)gie_node_int(c->self->node, "axis"),
                      .log = strcmp(c->self->node->op->name, "log_softmax") == 0};
  int64_t zero[GIE_MAX_RANK] = {0};
  v.axis += v.axis < 0 ? v.x.rank : 0;
  v.lanes = cpu_box(&v.x, 1u << v.axis, zero);
  return cpu_for(c, v.lanes.rows, 1, softmax_body, &v);
}

static bool softmax_check(const struct gie_problem *p, char *why, size_t size)
{
  int64_t axis = gie_node_int(p->node, "axis");
  if (axis < -p->in[0].rank || axis >= p->in[0].rank)
    return cpu_refuse(why, size, "axis %lld is outside rank %d", (long long)axis, p->in[0].rank);
  return true;
}

/* ---- dropout: a copy, and a mask of true; shape inference refuses training */

static gie_status dropout_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct cpu_box *box = arg;
  struct cpu_tensor x = cpu_in(c, 0);
  int64_t idx[GIE_MAX_RANK];
  int n = cpu_box_at(box, item, idx);
  struct cpu_row row;
  (void)slot;
  cpu_read_row(&x, idx, box->axis, n, &row);
  GIE_TRY(cpu_emit(c, idx, box->axis, n, &row));
  if (cpu_has_out(c, 1)) {
    struct cpu_tensor mask = cpu_out(c, 1);
    row.dtype = GIE_BOOL;
    for (int k = 0; k < n; k++)
      row.i[k] = 1;
    cpu_write_row(&mask, idx, box->axis, n, &row);
  }
  return GIE_OK;
}

static gie_status dropout_run(const struct cpu_call *c)
{
  struct cpu_tensor x = cpu_in(c, 0);
  struct cpu_box box = cpu_box(&x, 0, NULL);
  return cpu_for(c, box.rows, 16, dropout_body, &box);
}

const struct cpu_op cpu_op_batch_norm = {batch_norm_run, channels_check, NULL, true};
const struct cpu_op cpu_op_instance_norm = {instance_norm_run, channels_check, NULL, true};
const struct cpu_op cpu_op_layer_norm = {layer_norm_run, layer_norm_check, NULL, true};
const struct cpu_op cpu_op_lrn = {lrn_run, lrn_check, NULL, true};
const struct cpu_op cpu_op_softmax = {softmax_run, softmax_check, NULL, true};
const struct cpu_op cpu_op_dropout = {dropout_run, NULL, NULL, true};
