/* SPDX-License-Identifier: Apache-2.0 */
/* The handle of an executor or of a probe worker: cuDNN's own handle, what its heuristics said about each case,
 * and the plans that were made. */
#include "backends/cudnn/cn.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <time.h>

#define MAX_KEY 2048
#define MAX_ANSWERS 100    /* of one mode */
#define ENOUGH 16          /* configurations without those of the fallback */
#define MAX_IDLE 64        /* plans kept that nobody uses */
#define WORTH_STORING 0.02 /* seconds that making a plan takes */

/* ---- Opening */

static gie_status failed(struct gie_context *ctx, const char *what, cudnnStatus_t st)
{
  return gie_fail(ctx, GIE_E_DEVICE, "cuDNN cannot %s: %s", what, cudnnGetErrorString(st));
}

/* What compiled code depends on. */
static void describe_device(char *buf, size_t size)
{
  struct cudaDeviceProp p;
  int device = 0, driver = 0;
  if (cudaGetDevice(&device) != cudaSuccess || cudaGetDeviceProperties(&p, device) != cudaSuccess ||
      cudaDriverGetVersion(&driver) != cudaSuccess)
    *buf = 0;
  else
    snprintf(buf, size, "cudnn %zu, %.160s, %d.%d, %d units, driver %d", cudnnGetVersion(), p.name, p.major,
             p.minor, p.multiProcessorCount, driver);
}

struct cn_library *cn_library_new(struct gie_context *ctx, const struct cn_target *target, const char *about)
{
  struct cn_library *lib = gie_alloc(ctx, 1, sizeof *lib);
  if (!lib)
    return NULL;
  lib->ctx = ctx;
  lib->target = *target;
  lib->worth_storing = WORTH_STORING;
  pthread_mutex_init(&lib->lock, NULL);
  cn_store_init(&lib->store, ctx, about);
  return lib;
}

static gie_status library_open(struct gie_context *ctx, void *dev, void **handle)
{
  struct cn_target target = {0};
  char about[256];
  (void)dev; /* it is the current one of this thread */
  cudnnStatus_t st = cudnnCreate(&target.handle);
  if (st != CUDNN_STATUS_SUCCESS)
    return failed(ctx, "make a handle", st);
  describe_device(about, sizeof about);
  struct cn_library *lib = cn_library_new(ctx, &target, about);
  if (!lib) {
    cudnnDestroy(target.handle);
    return GIE_E_MEMORY;
  }
  if (cudaMalloc(&lib->zeros, CN_ZEROS_BYTES) != cudaSuccess ||
      cudaMemset(lib->zeros, 0, CN_ZEROS_BYTES) != cudaSuccess || cudaDeviceSynchronize() != cudaSuccess) {
    cudaError_t e = cudaGetLastError(); /* so that no later call finds it */
    cn_library_free(lib);
    return gie_fail(ctx, GIE_E_MEMORY, "the device has no memory for cuDNN's handle: %s",
                    cudaGetErrorString(e));
  }
  *handle = lib;
  return GIE_OK;
}

static void plan_free(struct gie_context *ctx, struct cn_plan *plan)
{
  cn_graph_free(&plan->graph);
  gie_free(ctx, plan->key);
  gie_free(ctx, plan);
}

static void list_free(struct gie_context *ctx, struct cn_list *list)
{
  gie_free(ctx, list->key);
  gie_free(ctx, list->v);
  gie_free(ctx, list);
}

void cn_library_free(struct cn_library *lib)
{
  for (struct cn_plan *p = lib->plans, *next; p; p = next) {
    next = p->next;
    plan_free(lib->ctx, p);
  }
  for (struct cn_list *l = lib->lists, *next; l; l = next) {
    next = l->next;
    list_free(lib->ctx, l);
  }
  if (lib->zeros)
    cudaFree(lib->zeros);
  if (lib->target.handle)
    cudnnDestroy(lib->target.handle);
  pthread_mutex_destroy(&lib->lock);
  gie_free(lib->ctx, lib);
}

cudnnStatus_t cn_library_stream(struct cn_library *lib, void *stream)
{
  if (lib->has_stream && lib->stream == stream)
    return CUDNN_STATUS_SUCCESS;
  cudnnStatus_t st = cudnnSetStream(lib->target.handle, stream);
  lib->has_stream = st == CUDNN_STATUS_SUCCESS;
  lib->stream = stream;
  return st;
}

static void library_close(void *handle) { cn_library_free(handle); }

const struct gie_library cn_library_ops = {.struct_size = sizeof cn_library_ops,
                                           .name = "cudnn",
                                           .open = library_open,
                                           .close = library_close};

/* ---- Keys */

static uint64_t hash_text(const char *s)
{
  uint64_t h = 1469598103934665603u;
  for (; *s; s++)
    h = (h ^ (unsigned char)*s) * 1099511628211u;
  return h;
}

static char *copy_text(struct gie_context *ctx, const char *s)
{
  size_t n = strlen(s) + 1;
  char *copy = gie_alloc_raw(ctx, n, 1);
  return copy ? memcpy(copy, s, n) : NULL;
}

/* ---- Answers of the heuristics */

static bool same_config(const struct cn_config *x, const struct cn_config *y)
{
  return x->engine == y->engine && x->n_knobs == y->n_knobs &&
         memcmp(x->knob, y->knob, x->n_knobs * sizeof x->knob[0]) == 0;
}

static bool has_step(const struct cn_case *c, const char *op)
{
  for (uint32_t i = 0; i < c->p->node->n_steps; i++)
    if (strcmp(c->p->node->steps[i].op->name, op) == 0)
      return true;
  return false;
}

/* None of ours: engines whose results may differ from run to run, those that make f16 of f32 factors, and with
 * tanh those that come compiled, which give NaN for 100. */
static bool is_wanted(const struct cn_case *c, const struct cn_config *x)
{
  bool narrows = c->in[0].type == CUDNN_DATA_FLOAT &&
                 cn_has_note(x, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
  bool bad_tanh = !cn_is_compiled(x) && has_step(c, "tanh");
  return !narrows && !bad_tanh && !(c->op->precompiled && cn_is_compiled(x)) &&
         !cn_has_note(x, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
}

static void keep(struct cn_list *list, const struct cn_case *c, const struct cn_config *x)
{
  for (uint32_t i = 0; i < list->n; i++)
    if (same_config(&list->v[i].config, x))
      return;
  if (is_wanted(c, x))
    list->v[list->n++].config = *x;
}

static void number(struct cn_list *list, const struct cn_case *c, const struct cn_engines *engines)
{
  for (uint32_t i = 0; i < list->n; i++) {
    const struct cn_engine *e = cn_engine_find(engines, list->v[i].config.engine);
    list->v[i].code = cn_code(c->form, &list->v[i].config, e ? e->knobs : NULL, e ? e->n_knobs : UINT32_MAX);
  }
}

/* Mode B answers what A does, where A answers at all. The fallback takes longest and has hardly ever the best, but
 * for channels that fast engines do not take. */
static bool is_asked(const struct cn_list *list, const struct cn_case *c, cudnnBackendHeurMode_t mode)
{
  bool odd = c->in[0].dim[1] % 8 != 0 || c->out.dim[1] % 8 != 0;
  if (mode == CUDNN_HEUR_MODE_B)
    return list->n == 0;
  return mode == CUDNN_HEUR_MODE_A || odd || list->n < ENOUGH;
}

static void ask_all(struct cn_list *list, const struct cn_case *c, const struct cn_graph *g,
                    struct cn_engines *engines, struct cn_config *answers)
{
  static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B,
                                                 CUDNN_HEUR_MODE_FALLBACK};
  for (int m = 0; m < 3; m++) {
    if (!is_asked(list, c, modes[m]))
      continue;
    uint32_t n = cn_ask(g, modes[m], engines, answers, MAX_ANSWERS);
    for (uint32_t i = 0; i < n; i++)
      keep(list, c, &answers[i]);
  }
}

static bool fill_list(struct cn_library *lib, const struct cn_case *c, struct cn_list *list)
{
  struct cn_graph *g = gie_alloc(lib->ctx, 1, sizeof *g);
  struct cn_config *answers = gie_alloc(lib->ctx, MAX_ANSWERS, sizeof *answers);
  struct cn_choice *kept = gie_alloc(lib->ctx, 2 * MAX_ANSWERS, sizeof *kept);
  struct cn_engines *engines = gie_alloc(lib->ctx, 1, sizeof *engines);
  bool ok = g && answers && kept && engines;
  if (ok) {
    cn_build(g, &lib->target, c);
    list->v = kept;
    ask_all(list, c, g, engines, answers);
    number(list, c, engines);
    cn_graph_free(g);
    list->v = gie_alloc(lib->ctx, list->n, sizeof *list->v);
    ok = list->v != NULL;
  }
  if (ok)
    memcpy(list->v, kept, list->n * sizeof *kept);
  gie_free(lib->ctx, g);
  gie_free(lib->ctx, answers);
  gie_free(lib->ctx, kept);
  gie_free(lib->ctx, engines);
  return ok;
}

static const struct cn_list *get_list(struct cn_library *lib, const struct cn_case *c, const char *key)
{
  uint64_t hash = hash_text(key);
  for (struct cn_list *l = lib->lists; l; l = l->next)
    if (l->hash == hash && strcmp(l->key, key) == 0)
      return l;
  struct cn_list *list = gie_alloc(lib->ctx, 1, sizeof *list);
  if (!list)
    return NULL;
  list->hash = hash;
  if (!(list->key = copy_text(lib->ctx, key)) || !fill_list(lib, c, list)) {
    list_free(lib->ctx, list);
    return NULL;
  }
  list->next = lib->lists;
  return lib->lists = list;
}

const struct cn_list *cn_library_list(struct cn_library *lib, const struct cn_case *c)
{
  char key[MAX_KEY];
  if (!cn_case_key(c, key, sizeof key))
    return NULL;
  pthread_mutex_lock(&lib->lock);
  const struct cn_list *list = get_list(lib, c, key);
  pthread_mutex_unlock(&lib->lock);
  return list;
}

/* ---- Plans */

/* What the number stands for; false: nothing that this version of cuDNN has for the case. */
static bool read_code(struct cn_library *lib, const struct cn_case *c, const struct cn_graph *g,
                      uint64_t code, struct cn_config *out)
{
  struct cn_knob knobs[CN_MAX_KNOBS];
  if (!cn_code_is_hash(code)) {
    uint32_t n = cn_knobs(g, cn_code_engine(code), knobs);
    return n != UINT32_MAX && cn_code_read(code, knobs, n, out) && cn_engine_notes(g, out);
  }
  struct cn_case dense;
  char key[MAX_KEY];
  if (!cn_case_init(&dense, c->p, c->op, c->form, true) || !cn_case_key(&dense, key, sizeof key))
    return false;
  const struct cn_list *list = get_list(lib, &dense, key);
  for (uint32_t i = 0; list && i < list->n; i++)
    if (list->v[i].code == code) {
      *out = list->v[i].config;
      return true;
    }
  return false;
}

static double seconds_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool has_views(const struct cn_case *c)
{
  bool views = c->p->out[0].pitched;
  for (uint32_t i = 0; i < c->p->n_in; i++)
    views |= c->p->in[i].pitched;
  return views;
}

/* A plan that was stored before. */
static bool restore(struct cn_library *lib, struct cn_plan *plan)
{
  size_t size;
  char *text = cn_store_read(&lib->store, plan->key, &size);
  if (!text)
    return false;
  plan->plan = cn_plan_read(&plan->graph, text, size);
  plan->graph.status = CUDNN_STATUS_SUCCESS;
  gie_free(lib->ctx, text);
  return plan->restored = plan->plan != NULL;
}

static void store(struct cn_library *lib, const struct cn_plan *plan)
{
  size_t n = cn_plan_text(plan->plan, NULL, 0);
  char *text = n > 0 ? gie_alloc_raw(lib->ctx, n, 1) : NULL;
  if (text && cn_plan_text(plan->plan, text, n) == n)
    cn_store_write(&lib->store, plan->key, text, n);
  gie_free(lib->ctx, text);
}

static void make_plan(struct cn_library *lib, const struct cn_case *c, uint64_t code, struct cn_plan *plan)
{
  struct cn_config config;
  cn_build(&plan->graph, &lib->target, c);
  if (plan->graph.status != CUDNN_STATUS_SUCCESS) {
    snprintf(plan->why, sizeof plan->why, "cuDNN takes no such graph: %s",
             cudnnGetErrorString(plan->graph.status));
    return;
  }
  if (!restore(lib, plan)) {
    double start = seconds_now();
    if (!read_code(lib, c, &plan->graph, code, &config))
      snprintf(plan->why, sizeof plan->why, "this cuDNN has no configuration %llx for it",
               (unsigned long long)code);
    else if (!cn_takes_pitch(c->form, &config) && has_views(c))
      snprintf(plan->why, sizeof plan->why, "cuDNN's engine %lld takes no views", (long long)config.engine);
    else if (!(plan->plan = cn_plan(&plan->graph, &config)))
      snprintf(plan->why, sizeof plan->why, "cuDNN's engine %lld makes no plan for it: %s",
               (long long)config.engine, cudnnGetErrorString(plan->graph.status));
    if (plan->plan && seconds_now() - start > lib->worth_storing)
      store(lib, plan);
  }
  int64_t bytes = plan->plan ? cn_plan_workspace(plan->plan) : 0;
  plan->workspace = bytes > 0 ? (size_t)bytes : 0;
}

/* Takes away the oldest plans that nobody uses. */
static void tidy_plans(struct cn_library *lib)
{
  uint32_t idle = 0;
  for (struct cn_plan **at = &lib->plans; *at;) {
    struct cn_plan *p = *at;
    if (p->users == 0 && ++idle > MAX_IDLE) {
      *at = p->next;
      plan_free(lib->ctx, p);
    } else {
      at = &p->next;
    }
  }
}

static gie_status get_plan(struct cn_library *lib, const struct cn_case *c, uint64_t code, const char *key,
                           struct cn_plan **out)
{
  uint64_t hash = hash_text(key);
  for (struct cn_plan *p = lib->plans; p; p = p->next)
    if (p->hash == hash && strcmp(p->key, key) == 0) {
      *out = p;
      return GIE_OK;
    }
  tidy_plans(lib);
  struct cn_plan *plan = gie_alloc(lib->ctx, 1, sizeof *plan);
  if (!plan || !(plan->key = copy_text(lib->ctx, key))) {
    gie_free(lib->ctx, plan);
    return GIE_E_MEMORY;
  }
  plan->hash = hash;
  make_plan(lib, c, code, plan);
  plan->next = lib->plans;
  *out = lib->plans = plan;
  return GIE_OK;
}

gie_status cn_library_plan(struct cn_library *lib, const struct gie_problem *p, const struct cn_op *op,
                           uint64_t code, struct cn_plan **out)
{
  struct cn_case c;
  struct cn_plan *plan = NULL;
  char key[MAX_KEY];
  int n = snprintf(key, sizeof key, "%llx ", (unsigned long long)code);
  if (!cn_case_init(&c, p, op, cn_code_form(code), false) ||
      !cn_case_key(&c, key + n, sizeof key - (size_t)n))
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "cuDNN has no word for these tensors");
  pthread_mutex_lock(&lib->lock);
  gie_status st = get_plan(lib, &c, code, key, &plan);
  if (st == GIE_OK && !plan->plan)
    st = gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s", plan->why);
  if (st == GIE_OK) {
    plan->users++;
    *out = plan;
  }
  pthread_mutex_unlock(&lib->lock);
  return st;
}

void cn_library_plan_return(struct cn_library *lib, struct cn_plan *plan)
{
  pthread_mutex_lock(&lib->lock);
  plan->users--;
  pthread_mutex_unlock(&lib->lock);
}
