/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to the engine's questions. Variants are what cuDNN's heuristics propose in each form; which of them
 * can be had is known once a plan is made, which is left to create(). */
#include "backends/cudnn/cn.h"

#include <stdio.h>

#define MAX_FORMS 12
#define HUGE_WORKSPACE (256ll << 20) /* offered after all others */

static const struct cn_op *op_of(const struct gie_kernel *k) { return k->user; }

/* ---- Forms of a problem */

/* Forms to ask about, the likelier ones first. */
static uint32_t forms_of(const struct cn_op *op, const struct gie_problem *p, uint32_t *out)
{
  static const uint32_t of_f32[] = {CN_LAST, 0, CN_LAST | CN_HALF, CN_HALF},
                        of_f16[] = {CN_LAST | CN_HALF, CN_HALF}, of_others[] = {CN_LAST, 0};
  enum gie_dtype t = p->in[0].dtype;
  const uint32_t *from = t == GIE_F32 ? of_f32 : t == GIE_F16 ? of_f16 : of_others;
  uint32_t n_from = t == GIE_F32 && p->narrow != GIE_NARROW_NO ? 4 : 2, n = 0;
  bool residual = (op->forms & CN_RESIDUAL) && cn_first_is_residual(p);
  bool block = (op->forms & CN_BLOCK) && cn_may_block(p);
  for (uint32_t i = 0; i < n_from; i++) {
    if (block && (from[i] & CN_LAST))
      out[n++] = from[i] | CN_BLOCK;
    if (residual)
      out[n++] = from[i] | CN_RESIDUAL;
    out[n++] = from[i];
  }
  return n;
}

/* ---- Which of the proposed configurations are offered */

static bool is_allowed(const struct gie_problem *p, uint32_t form, const struct cn_config *c)
{
  bool f32 = p->in[0].dtype == GIE_F32 && !(form & CN_HALF);
  if (cn_has_note(c, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) && (f32 || p->math != GIE_MATH_FAST))
    return false;
  return !f32 || p->math != GIE_MATH_STRICT || !cn_has_note(c, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

/* ---- Variants */

struct walk {
  const struct gie_problem *p;
  const struct cn_op *op;
  uint32_t n_forms, form[MAX_FORMS];
  const struct cn_list *list[MAX_FORMS];
  struct gie_variant *out;
  uint32_t n, max;
};

static bool wants_half(const struct gie_problem *p)
{
  return p->in[0].dtype == GIE_F32 && p->narrow == GIE_NARROW_WANTED;
}

static bool walk_init(struct walk *w, const struct gie_kernel *k, const struct gie_problem *p)
{
  struct cn_case *c = gie_alloc(p->ctx, 1, sizeof *c);
  uint32_t form[MAX_FORMS];
  memset(w, 0, sizeof *w);
  if (!c)
    return false;
  w->p = p;
  w->op = op_of(k);
  uint32_t n = forms_of(w->op, p, form);
  for (uint32_t at = 0; at < n; at++) {
    uint32_t i = wants_half(p) ? (at + n / 2) % n : at; /* they stand in the second half */
    if (wants_half(p) && (form[i] & (CN_HALF | CN_LAST)) != (CN_HALF | CN_LAST) && w->n_forms > 0)
      continue; /* the heuristics take their time, and tensor cores want channels last */
    const struct cn_list *list = cn_case_init(c, p, w->op, form[i], true) ? cn_library_list(p->library, c)
                                                                          : NULL;
    if (!list || list->n == 0)
      continue;
    w->form[w->n_forms] = form[i];
    w->list[w->n_forms++] = list;
  }
  gie_free(p->ctx, c);
  return w->n_forms > 0;
}

static void set_port(const struct gie_problem *p, struct gie_port *port, const struct gie_desc *d,
                     uint32_t form)
{
  bool full = d->rank == p->out[0].rank;
  if (!d->dtype)
    return;
  if ((form & CN_HALF) && d->dtype == GIE_F32)
    port->dtype = GIE_F16;
  if (full)
    port->layout = cn_layout(form, d->rank);
  port->align = 16;
}

static void fill_ports(const struct walk *w, uint32_t form, bool pitch, struct gie_variant *v)
{
  const struct gie_problem *p = w->p;
  v->n_in = p->n_in;
  v->n_out = 1;
  for (uint32_t i = 0; i < p->n_in; i++)
    set_port(p, &v->in[i], &p->in[i], form);
  v->in[0].layout = cn_layout_of_first(form, p->in[0].rank);
  if (w->op->weights && p->in_data[1])
    v->in[1].layout = (struct gie_layout){0}; /* packed from the plain bytes */
  set_port(p, &v->out[0], &p->out[0], form);
  for (uint32_t i = 0; i < p->n_in; i++) {
    bool like_result = p->in[i].rank == p->out[0].rank && !p->in_data[i];
    v->in[i].pitch = pitch && like_result && i != 1 && !(i == 0 && (form & CN_BLOCK));
    v->in[i].pitch_axes = 1u << 1;
  }
  v->out[0].pitch = pitch;
  v->out[0].pitch_axes = 1u << 1;
}

static void label(const struct cn_config *c, uint32_t form, bool f32, char *buf, size_t size)
{
  int n = snprintf(buf, size, "engine %lld %s%s%s%s%s", (long long)c->engine,
                   form & CN_LAST ? "last" : "plain", form & CN_BLOCK ? " block" : "",
                   form & CN_HALF ? " f16" : "",
                   f32 && cn_has_note(c, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) ? " tf32" : "",
                   form & CN_RESIDUAL ? " sum" : "");
  for (uint32_t i = 0; i < c->n_knobs && n > 0 && (size_t)n < size; i++)
    n += snprintf(buf + n, size - (size_t)n, "%c%d=%lld", i ? ',' : ' ', (int)c->knob[i].type,
                  (long long)c->knob[i].value);
}

static void add_variant(struct walk *w, uint32_t form, const struct cn_choice *choice)
{
  bool f32 = w->p->in[0].dtype == GIE_F32 && !(form & CN_HALF);
  if (w->n == w->max)
    return;
  struct gie_variant *v = &w->out[w->n++];
  *v = (struct gie_variant){.struct_size = sizeof *v,
                            .config = choice->code,
                            .n_steps = w->p->node->n_steps,
                            .in_place = -1,
                            .capture_safe = true};
  label(&choice->config, form, f32, v->label, sizeof v->label);
  fill_ports(w, form, cn_takes_pitch(form, &choice->config), v);
}

/* The next allowed configuration of form f, of those with a huge workspace or of the others; NULL: no more. */
static const struct cn_choice *next_of(const struct walk *w, uint32_t f, bool huge, uint32_t *at)
{
  while (*at < w->list[f]->n) {
    const struct cn_choice *c = &w->list[f]->v[(*at)++];
    if (is_allowed(w->p, w->form[f], &c->config) && (c->config.workspace > HUGE_WORKSPACE) == huge)
      return c;
  }
  return NULL;
}

/* The best of every form, then the second of every form, and so on. */
static void add_all(struct walk *w, bool huge)
{
  uint32_t at[MAX_FORMS] = {0}, before;
  do {
    before = w->n;
    for (uint32_t f = 0; f < w->n_forms; f++) {
      const struct cn_choice *c = next_of(w, f, huge, &at[f]);
      if (c)
        add_variant(w, w->form[f], c);
    }
  } while (w->n > before);
}

/* The choice that the node's notes name for this kernel: nobody needs to hear of others, and so a network that
 * was tuned is prepared without asking the heuristics. */
static bool noted_choice(const struct gie_kernel *k, const struct gie_problem *p, struct cn_choice *out)
{
  const struct gie_attr *kernel = gie_attrs_find(&p->node->notes, "kernel");
  const struct gie_attr *config = gie_attrs_find(&p->node->notes, "config");
  if (!kernel || kernel->kind != GIE_ATTR_STRING || strcmp(kernel->u.s, k->name) != 0 || !config ||
      config->kind != GIE_ATTR_INT)
    return false;
  memset(out, 0, sizeof *out);
  out->code = (uint64_t)config->u.i;
  out->config.engine = cn_code_engine(out->code);
  return true;
}

uint32_t cn_variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                     uint32_t max)
{
  struct walk w;
  struct cn_choice noted;
  if (!p->library)
    return 0;
  if (max > 0 && noted_choice(k, p, &noted)) {
    w = (struct walk){.p = p, .op = op_of(k), .out = out, .max = 1};
    add_variant(&w, cn_code_form(noted.code), &noted);
    return w.n;
  }
  if (!walk_init(&w, k, p))
    return 0;
  w.out = out;
  w.max = max;
  add_all(&w, false);
  add_all(&w, true);
  return w.n;
}

/* ---- supports */

static bool check_tensors(const struct gie_problem *p, char *why, size_t size)
{
  cudnnDataType_t type;
  if (p->n_in == 0 || p->n_out != 1 || p->n_in > GIE_MAX_IO)
    return cn_refuse(why, size, "no operand, several results or more than %d operands", GIE_MAX_IO);
  for (uint32_t i = 0; i <= p->n_in; i++) {
    const struct gie_desc *d = i < p->n_in ? &p->in[i] : &p->out[0];
    if (!d->dtype)
      continue;
    if (!cn_type(d->dtype, &type))
      return cn_refuse(why, size, "%s; it computes in f32, f16 and bf16", gie_dtype_name(d->dtype));
    if (d->rank > 5 || (i < p->n_in && d->rank > p->out[0].rank))
      return cn_refuse(why, size, "an operand of rank %d", d->rank);
    for (int a = 0; a < d->rank; a++)
      if (d->dim[a] < 1 || d->dim[a] > INT32_MAX)
        return cn_refuse(why, size, "no elements, or an axis above 2^31-1");
  }
  return true;
}

bool cn_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  const struct cn_op *op = op_of(k);
  return check_tensors(p, why, size) && op->check(p, why, size) && cn_steps_check(p, why, size);
}

/* ---- estimate: the roofline, and each place further down the heuristics' list 5 % more. Engines that are compiled
 * at run time are guessed first in lists of their own; those of other lists are mostly faster. */

#define COMPILED 0.25

static double count(const struct gie_desc *d)
{
  double n = 1;
  for (int i = 0; i < d->rank; i++)
    n *= (double)d->dim[i];
  return n;
}

/* Place among what is offered of its form. */
static double handicap(const struct cn_op *op, const struct gie_problem *p, uint64_t code)
{
  struct cn_case *c = gie_alloc(p->ctx, 1, sizeof *c);
  uint32_t form = cn_code_form(code), rank = 0, i = 0;
  const struct cn_list *list = c && cn_case_init(c, p, op, form, true) ? cn_library_list(p->library, c)
                                                                       : NULL;
  for (; list && i < list->n && list->v[i].code != code; i++)
    rank += is_allowed(p, form, &list->v[i].config);
  gie_free(p->ctx, c);
  if (!list || i == list->n)
    return 0;
  return 0.05 * rank + (cn_is_compiled(&list->v[i].config) ? COMPILED : 0);
}

void cn_estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                 struct gie_cost *out)
{
  bool half = (cn_code_form(v->config) & CN_HALF) != 0;
  bool transpose = strcmp(p->node->op->name, "conv_transpose") == 0;
  double worse = 1, values = count(&p->out[0]);
  if (p->library)
    worse += handicap(op_of(k), p, v->config);
  if (op_of(k)->weights)
    out->flops = 2 * count(transpose ? &p->in[0] : &p->out[0]) * count(&p->in[1]) / (double)p->in[1].dim[0];
  out->flops += values * p->node->n_steps;
  out->bytes = values * (half ? 2 : (double)gie_dtype_size(p->out[0].dtype));
  for (uint32_t i = 0; i < p->n_in; i++)
    if (p->in[i].dtype)
      out->bytes += count(&p->in[i]) * (half ? 2 : (double)gie_dtype_size(p->in[i].dtype));
  out->flops *= worse;
  out->bytes *= worse;
}

/* ---- Weights: outputs, window, channels */

static int64_t packed_channels(const struct gie_problem *p, const struct gie_variant *v)
{
  return cn_code_form(v->config) & CN_BLOCK ? CN_CHANNELS : p->in[1].dim[1];
}

uint32_t cn_pack_desc(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                      struct gie_pack *out, uint32_t max)
{
  const struct gie_desc *w = &p->in[1];
  int64_t channels = packed_channels(p, v);
  if (max == 0 || !op_of(k)->weights || !p->in_data[1] || !(cn_code_form(v->config) & CN_LAST))
    return 0;
  out[0].operand = 1;
  out[0].bytes = (size_t)gie_desc_count(w) / (size_t)w->dim[1] * (size_t)channels * gie_dtype_size(w->dtype);
  int n = snprintf(out[0].key, sizeof out[0].key, "channels last %s", gie_dtype_name(w->dtype));
  for (int i = 0; i < w->rank; i++)
    n += snprintf(out[0].key + n, sizeof out[0].key - (size_t)n, " %lld", (long long)w->dim[i]);
  if (channels != w->dim[1])
    snprintf(out[0].key + n, sizeof out[0].key - (size_t)n, " of %lld", (long long)channels);
  return 1;
}

gie_status cn_pack(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                   const struct gie_pack *d, const void *plain, void *packed)
{
  const struct gie_desc *w = &p->in[1];
  size_t size = gie_dtype_size(w->dtype), window = 1, channels = (size_t)w->dim[1],
         room = (size_t)packed_channels(p, v);
  const char *from = plain;
  char *to = packed;
  (void)k;
  for (int i = 2; i < w->rank; i++)
    window *= (size_t)w->dim[i];
  if (d->bytes != (size_t)w->dim[0] * room * window * size)
    return gie_fail(p->ctx, GIE_E_INTERNAL, "packs %zu bytes of weights; they have other sizes", d->bytes);
  for (int64_t i = 0; i < w->dim[0]; i++, from += channels * window * size)
    for (size_t at = 0; at < window; at++, to += room * size) {
      memset(to, 0, room * size);
      for (size_t c = 0; c < channels; c++)
        memcpy(to + c * size, from + (c * window + at) * size, size);
    }
  return GIE_OK;
}

size_t cn_workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v)
{
  struct cn_plan *plan;
  if (!p->library || cn_library_plan(p->library, p, op_of(k), v->config, &plan) != GIE_OK)
    return 0; /* create says why */
  size_t bytes = plan->workspace;
  cn_library_plan_return(p->library, plan);
  return bytes;
}
