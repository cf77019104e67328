/* SPDX-License-Identifier: Apache-2.0 */
/* Engines: what the heuristics propose, knobs, execution plans. */
#include "backends/cudnn/graph.h"

#include <string.h>

#define MAX_ANSWERS 128

/* ---- Reading descriptors */

static bool get(cn_desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t max,
                int64_t *n, void *out)
{
  int64_t found = 0;
  if (cudnnBackendGetAttribute(d, name, type, max, &found, out) != CUDNN_STATUS_SUCCESS)
    return false;
  *n = found < max ? found : max;
  return true;
}

static bool get_one(cn_desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, void *out)
{
  int64_t n = 0;
  return get(d, name, type, 1, &n, out) && n == 1;
}

/* cuDNN fills descriptors that the caller has made. */
static uint32_t make_many(cudnnBackendDescriptorType_t type, cn_desc *out, uint32_t max)
{
  uint32_t n = 0;
  while (n < max && cudnnBackendCreateDescriptor(type, &out[n]) == CUDNN_STATUS_SUCCESS)
    n++;
  return n;
}

static void free_many(cn_desc *d, uint32_t n)
{
  while (n > 0)
    cudnnBackendDestroyDescriptor(d[--n]);
}

/* Where there is no handle: the graph's device. */
static void set_device(struct cn_graph *g, cn_desc d, cudnnBackendAttributeName_t name)
{
  if (!g->target.handle)
    cn_set(g, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->target.device);
}

/* ---- Engines */

static void read_notes(cn_desc engine, uint32_t *numerical, uint32_t *behaviour)
{
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  cudnnBackendBehaviorNote_t how[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
  int64_t n = 0;
  if (get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
          CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes))
    while (n > 0)
      *numerical |= 1u << notes[--n];
  if (get(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT,
          &n, how))
    while (n > 0)
      *behaviour |= 1u << how[--n];
}

static bool read_knob(cn_desc info, struct cn_knob *k)
{
  return get_one(info, CUDNN_ATTR_KNOB_INFO_TYPE, CUDNN_TYPE_KNOB_TYPE, &k->type) &&
         get_one(info, CUDNN_ATTR_KNOB_INFO_MINIMUM_VALUE, CUDNN_TYPE_INT64, &k->min) &&
         get_one(info, CUDNN_ATTR_KNOB_INFO_MAXIMUM_VALUE, CUDNN_TYPE_INT64, &k->max) &&
         get_one(info, CUDNN_ATTR_KNOB_INFO_STRIDE, CUDNN_TYPE_INT64, &k->stride);
}

static bool read_knobs(cn_desc engine, struct cn_knob *out, uint32_t *n_out)
{
  cn_desc info[CN_MAX_KNOBS];
  int64_t n = 0;
  uint32_t made = make_many(CUDNN_BACKEND_KNOB_INFO_DESCRIPTOR, info, CN_MAX_KNOBS);
  bool ok = made == CN_MAX_KNOBS;
  if (ok && get(engine, CUDNN_ATTR_ENGINE_KNOB_INFO, CUDNN_TYPE_BACKEND_DESCRIPTOR, CN_MAX_KNOBS, &n, info))
    for (int64_t i = 0; ok && i < n; i++)
      ok = read_knob(info[i], &out[i]);
  free_many(info, made);
  *n_out = (uint32_t)n;
  return ok;
}

const struct cn_engine *cn_engine_find(const struct cn_engines *all, int64_t index)
{
  for (uint32_t i = 0; i < all->n; i++)
    if (all->v[i].index == index)
      return &all->v[i];
  return NULL;
}

static void look_at(struct cn_engines *all, cn_desc engine, int64_t index)
{
  if (all->n == CN_MAX_ENGINES)
    return;
  struct cn_engine *e = &all->v[all->n++];
  memset(e, 0, sizeof *e);
  e->index = index;
  read_notes(engine, &e->notes, &e->behaviour);
  if (!read_knobs(engine, e->knobs, &e->n_knobs))
    e->n_knobs = UINT32_MAX;
}

/* ---- Configurations */

static bool read_engine(cn_desc config, struct cn_engines *all, struct cn_config *c)
{
  cn_desc engine;
  if (make_many(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine, 1) != 1)
    return false;
  bool ok = get_one(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &engine) &&
            get_one(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, &c->engine);
  if (ok && !cn_engine_find(all, c->engine))
    look_at(all, engine, c->engine);
  const struct cn_engine *known = ok ? cn_engine_find(all, c->engine) : NULL;
  if (known) {
    c->notes = known->notes;
    c->behaviour = known->behaviour;
  } else if (ok) {
    read_notes(engine, &c->notes, &c->behaviour);
  }
  free_many(&engine, 1);
  return ok;
}

static bool read_config(cn_desc config, struct cn_engines *all, struct cn_config *c)
{
  cn_desc choice[CN_MAX_KNOBS];
  int64_t n = 0;
  memset(c, 0, sizeof *c);
  if (!read_engine(config, all, c))
    return false;
  if (!get_one(config, CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &c->workspace))
    c->workspace = -1;
  uint32_t made = make_many(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, choice, CN_MAX_KNOBS);
  bool ok = made == CN_MAX_KNOBS;
  if (ok &&
      get(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, CN_MAX_KNOBS, &n, choice))
    for (int64_t i = 0; ok && i < n; i++)
      ok = get_one(choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, &c->knob[i].type) &&
           get_one(choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, &c->knob[i].value);
  c->n_knobs = (uint32_t)n;
  free_many(choice, made);
  return ok;
}

uint32_t cn_ask(const struct cn_graph *g, cudnnBackendHeurMode_t mode, struct cn_engines *engines,
                struct cn_config *out, uint32_t max)
{
  cn_desc answer[MAX_ANSWERS];
  int64_t n = 0;
  uint32_t kept = 0;
  struct cn_graph asking;
  cn_graph_init(&asking, &g->target);
  asking.status = g->status;
  cn_desc heur = cn_new(&asking, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  cn_set(&asking, heur, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->graph);
  cn_set(&asking, heur, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  set_device(&asking, heur, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
  cn_finalize(&asking, heur);
  if (asking.status == CUDNN_STATUS_SUCCESS) {
    uint32_t made = make_many(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, answer, MAX_ANSWERS);
    if (get(heur, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, made, &n, answer))
      for (int64_t i = 0; i < n && kept < max; i++)
        kept += read_config(answer[i], engines, &out[kept]);
    free_many(answer, made);
  }
  cn_graph_free(&asking);
  return kept;
}

/* ---- From a configuration to a plan */

static cn_desc make_engine(struct cn_graph *g, cn_desc graph, int64_t index)
{
  cn_desc e = cn_new(g, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cn_set(g, e, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
  cn_set(g, e, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
  set_device(g, e, CUDNN_ATTR_ENGINE_DEVICEPROP);
  cn_finalize(g, e);
  return e;
}

uint32_t cn_knobs(const struct cn_graph *g, int64_t engine, struct cn_knob *out)
{
  struct cn_graph asking;
  uint32_t n = 0;
  cn_graph_init(&asking, &g->target);
  asking.status = g->status;
  cn_desc e = make_engine(&asking, g->graph, engine);
  bool ok = asking.status == CUDNN_STATUS_SUCCESS && read_knobs(e, out, &n);
  cn_graph_free(&asking);
  return ok ? n : UINT32_MAX;
}

bool cn_engine_notes(const struct cn_graph *g, struct cn_config *c)
{
  struct cn_graph asking;
  cn_graph_init(&asking, &g->target);
  asking.status = g->status;
  cn_desc e = make_engine(&asking, g->graph, c->engine);
  bool ok = asking.status == CUDNN_STATUS_SUCCESS;
  if (ok)
    read_notes(e, &c->notes, &c->behaviour);
  cn_graph_free(&asking);
  return ok;
}

static cn_desc make_config(struct cn_graph *g, const struct cn_config *c)
{
  cn_desc choice[CN_MAX_KNOBS];
  cn_desc e = make_engine(g, g->graph, c->engine);
  for (uint32_t i = 0; i < c->n_knobs; i++) {
    choice[i] = cn_new(g, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    cn_set(g, choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &c->knob[i].type);
    cn_set(g, choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &c->knob[i].value);
    cn_finalize(g, choice[i]);
  }
  cn_desc config = cn_new(g, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  cn_set(g, config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e);
  if (c->n_knobs)
    cn_set(g, config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, c->n_knobs, choice);
  cn_finalize(g, config);
  return config;
}

static cn_desc new_plan(struct cn_graph *g)
{
  cn_desc plan = cn_new(g, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  if (g->target.handle)
    cn_set(g, plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->target.handle);
  set_device(g, plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  return plan;
}

static cn_desc end_plan(struct cn_graph *g, cn_desc plan)
{
  cn_finalize(g, plan);
  return g->status == CUDNN_STATUS_SUCCESS ? plan : NULL;
}

cn_desc cn_plan(struct cn_graph *g, const struct cn_config *c)
{
  cn_desc config = make_config(g, c), plan = new_plan(g);
  cn_set(g, plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config);
  return end_plan(g, plan);
}

cn_desc cn_plan_read(struct cn_graph *g, const char *text, size_t size)
{
  cn_desc plan = new_plan(g);
  cn_set(g, plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)size, text);
  return end_plan(g, plan);
}

size_t cn_plan_text(cn_desc plan, char *out, size_t size)
{
  int64_t n = 0;
  if (cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                               out ? (int64_t)size : 0, &n, out) != CUDNN_STATUS_SUCCESS)
    return 0;
  return n > 0 ? (size_t)n : 0;
}

int64_t cn_plan_workspace(cn_desc plan)
{
  int64_t bytes = 0;
  return get_one(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &bytes) ? bytes : 0;
}
