/* SPDX-License-Identifier: Apache-2.0 */
/* Epilogue steps as pointwise operations of a graph. Some steps are several of these. */
#include "backends/cudnn/cn.h"

#include <float.h>
#include <math.h>

/* ---- Writing operations */

cn_desc cn_flow_result(struct cn_flow *f)
{
  f->n++;
  if (!f->g)
    return NULL;
  return f->at = f->n == f->of ? cn_real(f->g, &f->c->out, CN_OUT) : cn_virtual(f->g, &f->c->out);
}

void cn_flow_apply(struct cn_flow *f, const struct cn_pointwise *p, cn_desc b)
{
  cn_desc x = f->at, y = cn_flow_result(f);
  if (f->g)
    cn_apply(f->g, p, x, b, y);
}

static void apply(struct cn_flow *f, cudnnPointwiseMode_t mode, cn_desc b)
{
  struct cn_pointwise p = {.mode = mode};
  cn_flow_apply(f, &p, b);
}

static void apply_clip(struct cn_flow *f, float lower, float upper, float slope)
{
  struct cn_pointwise p = {
      .mode = CUDNN_POINTWISE_RELU_FWD, .clips = true, .lower = lower, .upper = upper, .slope = slope};
  cn_flow_apply(f, &p, NULL);
}

static void apply_scalar(struct cn_flow *f, cudnnPointwiseMode_t mode, float value)
{
  apply(f, mode, f->g ? cn_scalar(f->g, f->c->out.rank, value) : NULL);
}

static cn_desc operand(struct cn_flow *f, const struct gie_step *s)
{
  return f->g ? cn_real(f->g, &f->c->in[s->operand], s->operand) : NULL;
}

/* ---- Steps without an operand */

static float bounded(double v) { return (float)fmax(-FLT_MAX, fmin(FLT_MAX, v)); }

static void leaky_relu(struct cn_flow *f, const struct gie_step *s)
{
  apply_clip(f, 0, FLT_MAX, (float)gie_step_float(s, "alpha"));
}

static void clip(struct cn_flow *f, const struct gie_step *s)
{
  apply_clip(f, bounded(gie_step_float(s, "min")), bounded(gie_step_float(s, "max")), 0);
}

static void elu(struct cn_flow *f, const struct gie_step *s)
{
  struct cn_pointwise p = {.mode = CUDNN_POINTWISE_ELU_FWD,
                           .has_alpha = true,
                           .alpha = (float)gie_step_float(s, "alpha")};
  cn_flow_apply(f, &p, NULL);
}

static void gelu(struct cn_flow *f, const struct gie_step *s)
{
  apply(f, gie_step_int(s, "tanh") ? CUDNN_POINTWISE_GELU_APPROX_TANH_FWD : CUDNN_POINTWISE_GELU_FWD, NULL);
}

static void line_clipped(struct cn_flow *f, float a, float b)
{
  apply_scalar(f, CUDNN_POINTWISE_MUL, a);
  apply_scalar(f, CUDNN_POINTWISE_ADD, b);
  apply_clip(f, 0, 1, 0);
}

static void hard_sigmoid(struct cn_flow *f, const struct gie_step *s)
{
  line_clipped(f, (float)gie_step_float(s, "alpha"), (float)gie_step_float(s, "beta"));
}

static void hard_swish(struct cn_flow *f, const struct gie_step *s)
{
  cn_desc x = f->at;
  (void)s;
  line_clipped(f, 1.0f / 6, 0.5f);
  apply(f, CUDNN_POINTWISE_MUL, x);
}

static void mish(struct cn_flow *f, const struct gie_step *s)
{
  cn_desc x = f->at;
  (void)s;
  apply(f, CUDNN_POINTWISE_SOFTPLUS_FWD, NULL);
  apply(f, CUDNN_POINTWISE_TANH_FWD, NULL);
  apply(f, CUDNN_POINTWISE_MUL, x);
}

/* ---- Steps with one */

static void sub(struct cn_flow *f, const struct gie_step *s)
{
  if (s->reverse)
    apply(f, CUDNN_POINTWISE_NEG, NULL);
  apply(f, s->reverse ? CUDNN_POINTWISE_ADD : CUDNN_POINTWISE_SUB, operand(f, s));
}

/* max(x, 0) + slope * min(x, 0) */
static void prelu(struct cn_flow *f, const struct gie_step *s)
{
  cn_desc x = f->at;
  apply(f, CUDNN_POINTWISE_RELU_FWD, NULL);
  cn_desc above = f->at;
  f->at = x;
  apply_scalar(f, CUDNN_POINTWISE_MIN, 0);
  apply(f, CUDNN_POINTWISE_MUL, operand(f, s));
  apply(f, CUDNN_POINTWISE_ADD, above);
}

/* ---- The table */

static const struct row {
  const char *op;
  void (*emit)(struct cn_flow *f, const struct gie_step *s); /* NULL: one operation does */
  cudnnPointwiseMode_t mode;
  bool operand, reverse; /* takes one; in either order */
} ROWS[] = {
    {.op = "relu", .mode = CUDNN_POINTWISE_RELU_FWD},
    {.op = "leaky_relu", .emit = leaky_relu},
    {.op = "clip", .emit = clip},
    {.op = "sigmoid", .mode = CUDNN_POINTWISE_SIGMOID_FWD},
    {.op = "tanh", .mode = CUDNN_POINTWISE_TANH_FWD},
    {.op = "elu", .emit = elu},
    {.op = "gelu", .emit = gelu},
    {.op = "softplus", .mode = CUDNN_POINTWISE_SOFTPLUS_FWD},
    {.op = "silu", .mode = CUDNN_POINTWISE_SWISH_FWD},
    {.op = "hard_sigmoid", .emit = hard_sigmoid},
    {.op = "hard_swish", .emit = hard_swish},
    {.op = "mish", .emit = mish},
    {.op = "identity", .mode = CUDNN_POINTWISE_IDENTITY},
    {.op = "sqrt", .mode = CUDNN_POINTWISE_SQRT},
    {.op = "exp", .mode = CUDNN_POINTWISE_EXP},
    {.op = "log", .mode = CUDNN_POINTWISE_LOG},
    {.op = "neg", .mode = CUDNN_POINTWISE_NEG},
    {.op = "abs", .mode = CUDNN_POINTWISE_ABS},
    {.op = "erf", .mode = CUDNN_POINTWISE_ERF},
    {.op = "floor", .mode = CUDNN_POINTWISE_FLOOR},
    {.op = "ceil", .mode = CUDNN_POINTWISE_CEIL},
    {.op = "add", .mode = CUDNN_POINTWISE_ADD, .operand = true, .reverse = true},
    {.op = "mul", .mode = CUDNN_POINTWISE_MUL, .operand = true, .reverse = true},
    {.op = "max", .mode = CUDNN_POINTWISE_MAX, .operand = true, .reverse = true},
    {.op = "min", .mode = CUDNN_POINTWISE_MIN, .operand = true, .reverse = true},
    {.op = "sub", .emit = sub, .operand = true, .reverse = true},
    {.op = "div", .mode = CUDNN_POINTWISE_DIV, .operand = true},
    {.op = "pow", .mode = CUDNN_POINTWISE_POW, .operand = true},
    {.op = "prelu", .emit = prelu, .operand = true},
};

static const struct row *find(const struct gie_step *s)
{
  for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
    if (strcmp(ROWS[i].op, s->op->name) == 0 && ROWS[i].operand == (s->operand >= 0) &&
        (!s->reverse || ROWS[i].reverse))
      return &ROWS[i];
  return NULL;
}

bool cn_steps_check(const struct gie_problem *p, char *why, size_t size)
{
  for (uint32_t i = 0; i < p->node->n_steps; i++)
    if (!find(&p->node->steps[i]))
      return cn_refuse(why, size, "a step %s%s", p->node->steps[i].op->name,
                       p->node->steps[i].reverse ? " of swapped operands" : "");
  return true;
}

void cn_steps(struct cn_flow *f, uint32_t first)
{
  const struct gie_node *n = f->c->p->node;
  for (uint32_t i = first; i < n->n_steps; i++) {
    const struct row *r = find(&n->steps[i]);
    if (!r)
      continue; /* cn_steps_check() refused it */
    if (r->emit)
      r->emit(f, &n->steps[i]);
    else
      apply(f, r->mode, r->operand ? operand(f, &n->steps[i]) : NULL);
  }
}

void cn_build(struct cn_graph *g, const struct cn_target *target, const struct cn_case *c)
{
  struct cn_flow count = {.c = c}, f = {.g = g, .c = c};
  c->op->begin(&count);
  f.of = count.n;
  cn_graph_init(g, target);
  c->op->begin(&f);
  cn_graph_end(g);
}
