/* SPDX-License-Identifier: Apache-2.0 */
/* The race on the wire (frames and lines as in core/module/wire.h).
 *
 *   RACE      min_time SECONDS   samples COUNT   stop_at FACTOR   threads COUNT   check_only 0|1
 *             max_workspace BYTES   whole BYTES   device KIND:INDEX
 *             problem BYTES            text IR of one node, all but short constants as inputs
 *             data OPERAND BYTES       of the problem before: a constant with these bytes
 *             random OPERAND           a constant with any contents
 *             candidate PROBLEM CONFIG CHECKED KERNEL
 *             then the bytes of problems and data, in the order of their lines
 *   PROGRESS  start ENTRY, or
 *             checked ENTRY   error NUMBER   workspace BYTES, or
 *             result ENTRY    verdict WORD   seconds NUMBER   spread NUMBER   error NUMBER
 *                             workspace BYTES   text WHY
 *   REPLY     worker, contents, pack, create, check, time SECONDS: the race is over. Entries without a result have to be asked again, of a new worker: the
 *             last candidate may have damaged this one.
 *
 * Small constants that say what a node does (shapes, scales) go along; weights do not, they are random. */
#include "core/ir/text.h"
#include "core/tune/race.h"
#include <math.h>
#include <stddef.h>

#define SMALL 4096                /* bytes of a constant that is sent */
#define INDICES ((size_t)1 << 20) /* the same for integers, which may be indices */

/* ---- From a problem */

/* Whether the bytes matter: an operand with a dtype of its own is no weight. */
static bool must_send(const struct gie_node *n, uint32_t slot, const struct gie_value *v)
{
  struct ir_operand declared;
  bool is_int = v->type.dtype == GIE_I32 || v->type.dtype == GIE_I64;
  if (v->data.size > (is_int ? INDICES : SMALL))
    return false;
  if (is_int || slot >= n->n_operands || !ir_builtin_find(n->op->name))
    return is_int || slot < n->n_operands;
  return ir_op_operand(n->op, slot, &declared) && declared.dtypes;
}

static gie_status export_constant(struct gie_graph *g, const struct gie_node *n, uint32_t slot)
{
  const struct gie_value *v = gie_value_get(g, n->in[slot]);
  gie_id from = n->in[slot], to;
  char name[32];
  snprintf(name, sizeof name, "c%u", (unsigned)slot);
  GIE_TRY(gie_graph_add_input(g, name, &v->type, &to));
  GIE_TRY(gie_value_set_layout(g, to, &v->layout));
  if (v->quant.n)
    GIE_TRY(gie_value_set_quant(g, to, &v->quant));
  GIE_TRY(gie_value_replace(g, from, to));
  return gie_value_remove(g, from);
}

/* The bytes belong to the problem's graph, which outlives the request. */
static gie_status export_constants(struct gie_arena *mem, const struct gie_graph *problem,
                                   struct gie_graph *g, struct race_problem *out)
{
  const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
  out->constants = gie_arena_alloc(mem, n->n_in + 1, sizeof *out->constants);
  if (!out->constants)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n->n_in; i++) {
    const struct gie_value *v = gie_value_get(problem, n->in[i]); /* ids are those of the clone */
    if (!v || v->kind != GIE_VALUE_CONST)
      continue;
    bool send = must_send(n, i, v);
    if (send && v->data.size / gie_dtype_size(v->type.dtype) <= TEXT_INLINE_MAX)
      continue; /* the text has them */
    struct race_constant *c = &out->constants[out->n_constants++];
    *c = (struct race_constant){.operand = i};
    if (send) {
      c->data = gie_value_bytes(problem, v->id, NULL);
      c->size = v->data.size;
    }
    GIE_TRY(export_constant(g, n, i));
  }
  return GIE_OK;
}

static gie_status print(struct gie_arena *mem, const struct gie_graph *g, struct race_problem *out)
{
  char *text;
  GIE_TRY(gie_graph_print(g, &text, &out->n_text));
  out->text = gie_arena_copy(mem, text, out->n_text + 1, 1);
  gie_free(gie_graph_context(g), text);
  return out->text ? GIE_OK : GIE_E_MEMORY;
}

gie_status race_export(struct gie_arena *mem, const struct gie_graph *g, struct race_problem *out)
{
  struct gie_graph *copy;
  *out = (struct race_problem){0};
  GIE_TRY(gie_graph_clone(g, &copy));
  gie_status st = export_constants(mem, g, copy, out);
  if (st == GIE_OK)
    st = print(mem, copy, out);
  gie_graph_free(copy);
  return st;
}

/* ---- Request */

gie_status race_put_request(struct gie_buf *b, const struct race_request *rq)
{
  const struct tune_race_options *o = &rq->options;
  wire_put_double(b, "min_time", o->min_time);
  wire_put_u64(b, "samples", o->samples);
  wire_put_double(b, "stop_at", o->stop_at);
  wire_put_u64(b, "threads", o->threads);
  wire_put_u64(b, "check_only", o->check_only);
  wire_put_u64(b, "max_workspace", o->max_workspace);
  wire_put_u64(b, "whole", o->whole);
  if (o->device)
    wire_put_line(b, "device", o->device);
  for (uint32_t i = 0; i < rq->n_problems; i++) {
    const struct race_problem *p = &rq->problems[i];
    wire_put_u64(b, "problem", p->n_text);
    for (uint32_t j = 0; j < p->n_constants; j++)
      if (p->constants[j].data)
        gie_buf_printf(b, "data %u %zu\n", p->constants[j].operand, p->constants[j].size);
      else
        gie_buf_printf(b, "random %u\n", p->constants[j].operand);
  }
  for (uint32_t i = 0; i < rq->n_entries; i++) {
    const struct race_entry *e = &rq->entries[i];
    if (strchr(e->kernel, '\n'))
      return gie_fail(b->ctx, GIE_E_USAGE, "a kernel's name with a line break cannot be sent to the worker");
    gie_buf_printf(b, "candidate %u %llu %d %s\n", e->problem, (unsigned long long)e->config, e->checked,
                   e->kernel);
  }
  gie_buf_puts(b, "\n");
  for (uint32_t i = 0; i < rq->n_problems; i++) {
    const struct race_problem *p = &rq->problems[i];
    gie_buf_put(b, p->text, p->n_text);
    for (uint32_t j = 0; j < p->n_constants; j++)
      if (p->constants[j].data)
        gie_buf_put(b, p->constants[j].data, p->constants[j].size);
  }
  return b->status;
}

struct decoder {
  struct gie_context *ctx;
  struct gie_arena *mem;
  struct race_request rq;
  size_t max; /* lines of the payload: enough room for any list */
};

static gie_status add_problem(struct decoder *d, const char *value)
{
  struct race_problem *p = &d->rq.problems[d->rq.n_problems++];
  p->n_text = (size_t)wire_u64(value);
  p->constants = gie_arena_alloc(d->mem, d->max, sizeof *p->constants);
  return p->constants ? GIE_OK : GIE_E_MEMORY;
}

/* The text behind the next space. */
static const char *next_word(const char *s)
{
  const char *space = strchr(s, ' ');
  return space ? space + 1 : "";
}

static gie_status add_constant(struct decoder *d, const char *value, bool sent)
{
  if (d->rq.n_problems == 0)
    return gie_fail(d->ctx, GIE_E_DATA, "a race has a constant without a problem");
  struct race_problem *p = &d->rq.problems[d->rq.n_problems - 1];
  struct race_constant *c = &p->constants[p->n_constants++];
  c->operand = (uint32_t)wire_u64(value);
  c->size = sent ? (size_t)wire_u64(next_word(value)) : 0;
  c->data = sent ? value : NULL; /* replaced when the lines have ended */
  return GIE_OK;
}

static void add_entry(struct decoder *d, const char *value)
{
  struct race_entry *e = &d->rq.entries[d->rq.n_entries++];
  e->problem = (uint32_t)wire_u64(value);
  e->config = wire_u64(value = next_word(value));
  e->checked = wire_u64(value = next_word(value)) != 0;
  e->kernel = next_word(value);
}

static gie_status take_line(struct decoder *d, const char *key, const char *value)
{
  struct tune_race_options *o = &d->rq.options;
  if (strcmp(key, "problem") == 0)
    return add_problem(d, value);
  if (strcmp(key, "data") == 0 || strcmp(key, "random") == 0)
    return add_constant(d, value, key[0] == 'd');
  if (strcmp(key, "candidate") == 0)
    add_entry(d, value);
  else if (strcmp(key, "min_time") == 0)
    o->min_time = wire_double(value);
  else if (strcmp(key, "samples") == 0)
    o->samples = (uint32_t)wire_u64(value);
  else if (strcmp(key, "stop_at") == 0)
    o->stop_at = wire_double(value);
  else if (strcmp(key, "threads") == 0)
    o->threads = (uint32_t)wire_u64(value);
  else if (strcmp(key, "check_only") == 0)
    o->check_only = wire_u64(value) != 0;
  else if (strcmp(key, "max_workspace") == 0)
    o->max_workspace = wire_u64(value);
  else if (strcmp(key, "whole") == 0)
    o->whole = wire_u64(value);
  else if (strcmp(key, "device") == 0)
    o->device = value;
  else
    return gie_fail(d->ctx, GIE_E_DATA, "a race has the unknown key \"%s\"", key);
  return GIE_OK;
}

static size_t count_lines(const char *payload, size_t size)
{
  size_t n = 1;
  for (size_t i = 0; i < size; i++) {
    if (payload[i] != '\n')
      continue;
    if (i + 1 < size && payload[i + 1] == '\n')
      break;
    n++;
  }
  return n;
}

/* `size` bytes from *at on. */
static gie_status take_bytes(struct decoder *d, const char **at, const char *end, size_t size,
                             const void **out)
{
  if (size > (size_t)(end - *at))
    return gie_fail(d->ctx, GIE_E_DATA, "a race lacks the bytes of a problem");
  *out = *at;
  *at += size;
  return GIE_OK;
}

static gie_status take_blobs(struct decoder *d, const char *at, const char *end)
{
  for (uint32_t i = 0; i < d->rq.n_problems; i++) {
    struct race_problem *p = &d->rq.problems[i];
    const void *text = NULL;
    GIE_TRY(take_bytes(d, &at, end, p->n_text, &text));
    p->text = text;
    for (uint32_t j = 0; j < p->n_constants; j++)
      if (p->constants[j].data)
        GIE_TRY(take_bytes(d, &at, end, p->constants[j].size, &p->constants[j].data));
  }
  for (uint32_t i = 0; i < d->rq.n_entries; i++)
    if (d->rq.entries[i].problem >= d->rq.n_problems)
      return gie_fail(d->ctx, GIE_E_DATA, "a race has a candidate without a problem");
  return GIE_OK;
}

gie_status race_get_request(struct gie_context *ctx, struct gie_arena *mem, char *payload, size_t size,
                            struct race_request *out)
{
  struct decoder d = {.ctx = ctx, .mem = mem, .max = count_lines(payload, size)};
  char *at = payload, *end = payload + size;
  const char *key, *value;
  d.rq.problems = gie_arena_alloc(mem, d.max, sizeof *d.rq.problems);
  d.rq.entries = gie_arena_alloc(mem, d.max, sizeof *d.rq.entries);
  if (!d.rq.problems || !d.rq.entries)
    return GIE_E_MEMORY;
  while (wire_next_line(&at, end, &key, &value))
    GIE_TRY(take_line(&d, key, value));
  GIE_TRY(take_blobs(&d, at, end));
  *out = d.rq;
  return GIE_OK;
}

/* ---- News */

static const char *const WORDS[] = {
    [RACE_START] = "start", [RACE_CHECKED] = "checked", [RACE_RESULT] = "result"};

void race_put_news(struct gie_buf *b, const struct race_news *n)
{
  wire_put_u64(b, WORDS[n->word], n->entry);
  if (n->word == RACE_START)
    return;
  wire_put_double(b, "error", n->error);
  wire_put_u64(b, "workspace", n->workspace);
  if (n->word == RACE_CHECKED)
    return;
  wire_put_line(b, "verdict", probe_verdict_word(n->verdict));
  wire_put_double(b, "seconds", n->seconds);
  wire_put_double(b, "spread", n->spread);
  wire_put_line(b, "text", n->text);
}

gie_status race_get_news(struct gie_context *ctx, char *payload, size_t size, struct race_news *out)
{
  struct race_news n = {.text = ""};
  char *at = payload;
  const char *key, *value;
  bool known = false;
  while (wire_next_line(&at, payload + size, &key, &value)) {
    for (int w = RACE_START; w <= RACE_RESULT; w++)
      if (strcmp(key, WORDS[w]) == 0) {
        n.word = (enum race_word)w;
        n.entry = (uint32_t)wire_u64(value);
        known = true;
      }
    if (strcmp(key, "verdict") == 0)
      known = known && wire_verdict(value, &n.verdict);
    else if (strcmp(key, "seconds") == 0)
      n.seconds = wire_double(value);
    else if (strcmp(key, "spread") == 0)
      n.spread = wire_double(value);
    else if (strcmp(key, "error") == 0)
      n.error = wire_double(value);
    else if (strcmp(key, "workspace") == 0)
      n.workspace = wire_u64(value);
    else if (strcmp(key, "text") == 0)
      n.text = value;
  }
  if (!known)
    return gie_fail(ctx, GIE_E_DATA, "the probe worker says something unknown about a race");
  *out = n;
  return GIE_OK;
}

/* ---- Times */

static const struct {
  const char *name;
  size_t at;
} TIMES[] = {{"worker", offsetof(struct tune_race_times, worker)},
             {"contents", offsetof(struct tune_race_times, contents)},
             {"pack", offsetof(struct tune_race_times, pack)},
             {"create", offsetof(struct tune_race_times, create)},
             {"check", offsetof(struct tune_race_times, check)},
             {"time", offsetof(struct tune_race_times, time)}};

void race_put_times(struct gie_buf *b, const struct tune_race_times *t)
{
  for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++)
    wire_put_double(b, TIMES[i].name, *(const double *)((const char *)t + TIMES[i].at));
}

void race_get_times(char *payload, size_t size, struct tune_race_times *t)
{
  char *at = payload;
  const char *key, *value;
  while (wire_next_line(&at, payload + size, &key, &value))
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++) {
      double seconds = strcmp(key, TIMES[i].name) == 0 ? wire_double(value) : 0;
      if (seconds > 0 && isfinite(seconds))
        *(double *)((char *)t + TIMES[i].at) += seconds;
    }
}
