/* SPDX-License-Identifier: Apache-2.0 */
/* One stream or several: the lowered graph is run both ways in the worker, in turn, and several are kept only
 * where they are faster. What kernels take beside each other cannot be told from what they take alone. Both figures are
 * kept in the timing cache, by what runs where. */
#include "core/tune/select.h"
#include "core/tune/ways.h"

#define DEADLINE 300.0 /* seconds for preparing and running both */
#define GAIN 0.03 /* several streams have to be that much faster: less is noise, and they need more memory */
#define GAIN_OF_STRUCTURE 0.015 /* the same between structures: within it the one with fewer kernels stays */

struct ways {
  struct tuner *t;
  struct gie_graph *g[2]; /* on one stream, on several */
  char key[2 * 32 + 64];
  double seconds[2];
};

/* ---- What is known ------------------------------------------------------------------------------------ */

static void hash_note(struct gie_buf *b, const struct gie_node *n, const char *name)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, name);
  if (a && a->kind == GIE_ATTR_STRING)
    gie_buf_printf(b, " %s", a->u.s);
  else if (a && a->kind == GIE_ATTR_INT)
    gie_buf_printf(b, " %lld", (long long)a->u.i);
}

static void put_id(struct gie_buf *b, gie_id id)
{
  gie_buf_printf(b, id == GIE_NONE ? " _" : " %u", (unsigned)id);
}

/* Module, library and device of the kernel that the node notes: with another version of them times are others. */
static gie_status put_version(struct gie_buf *b, struct tuner *t, const struct gie_node *n)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, "kernel");
  const struct mod_entry *e;
  for (uint32_t i = 0; a && a->kind == GIE_ATTR_STRING && (e = mod_entry_at(t->ctx, MOD_KERNEL, i)); i++) {
    const struct gie_kernel *k = e->what;
    if (strcmp(k->name, a->u.s) != 0)
      continue;
    const char *version = tune_entry_version(&t->mem, k, &t->device.info);
    if (!version)
      return GIE_E_MEMORY;
    gie_buf_printf(b, " %s", version);
  }
  return GIE_OK;
}

/* Everything that the time of a run depends on: nodes with attributes, steps, forms, kernels and streams, and which
 * values are ranges of which. What is in weights plays no part. */
static gie_status put_node(struct gie_buf *b, struct tuner *t, const struct gie_graph *g,
                           const struct gie_node *n)
{
  tune_key_of_node(b, g, n);
  hash_note(b, n, "kernel");
  hash_note(b, n, "config");
  hash_note(b, n, "stream");
  GIE_TRY(put_version(b, t, n));
  for (uint32_t i = 0; i < n->n_in; i++)
    put_id(b, n->in[i]);
  for (uint32_t i = 0; i < n->n_out; i++) {
    const struct gie_value *v = gie_value_get(g, n->out[i]);
    put_id(b, n->out[i]);
    if (v && v->view.base != GIE_NONE)
      gie_buf_printf(b, " view %u %d %lld", (unsigned)v->view.base, (int)v->view.axis,
                     (long long)v->view.offset);
  }
  gie_buf_puts(b, "\n");
  return GIE_OK;
}

static gie_status make_key(struct ways *w)
{
  struct gie_buf b;
  unsigned char digest[32];
  char hex[2 * 32 + 1];
  struct gie_sha256 h;
  gie_status st = GIE_OK;
  gie_buf_init(&b, w->t->ctx);
  GIE_FOR_NODES(w->g[1], id)
    if (st == GIE_OK)
      st = put_node(&b, w->t, w->g[1], gie_node_get(w->g[1], id));
  st = st == GIE_OK ? b.status : st;
  gie_sha256_init(&h);
  gie_sha256_update(&h, b.data ? b.data : "", b.len);
  gie_sha256_final(&h, digest);
  gie_sha256_hex(digest, hex);
  snprintf(w->key, sizeof w->key, "plan %s", hex);
  gie_buf_free(&b);
  return st;
}

static struct tune_entry entry_of(const struct ways *w, int way)
{
  return (struct tune_entry){.problem = w->key,
                             .kernel = TUNE_STREAMS,
                             .config = (uint64_t)way,
                             .device = w->t->device_key,
                             .version = w->t->device.info.version,
                             .text = ""};
}

static bool find_known(struct ways *w)
{
  for (int i = 0; i < 2; i++) {
    struct tune_entry key = entry_of(w, i), e;
    if (!tune_cache_find(w->t->cache, &key, &e, NULL) || e.verdict != PROBE_OK)
      return false;
    w->seconds[i] = e.seconds;
  }
  w->t->report.cached += 2;
  return true;
}

static gie_status keep(struct ways *w)
{
  for (int i = 0; i < 2; i++) {
    struct tune_entry e = entry_of(w, i);
    e.seconds = w->seconds[i];
    GIE_TRY(tune_cache_put(w->t->cache, &e));
  }
  w->t->report.timed += 2;
  return GIE_OK;
}

/* ---- Measuring ---------------------------------------------------------------------------------------- */

static gie_status measure(struct ways *w)
{
  const struct ways_request rq = {.device = w->t->o->device,
                                  .backends = w->t->o->backends,
                                  .threads = w->t->device.threads};
  GIE_TRY(tuner_check_stop(w->t));
  GIE_TRY(tuner_start_worker(w->t));
  worker_set_deadline(w->t->worker, DEADLINE);
  GIE_TRY(ways_measure(w->t->worker, w->g[1], &rq, w->seconds));
  return keep(w);
}

/* ---- The choice --------------------------------------------------------------------------------------- */

static gie_status on_several(const struct tuner *t, struct gie_graph *g, struct gie_graph **out,
                             uint32_t *n_streams)
{
  const struct gie_pipeline_options po = {.struct_size = sizeof po, .disable = t->o->disable};
  GIE_TRY(gie_graph_clone(g, out));
  gie_status st = gie_pipeline_run(*out, "assign_streams", &po);
  *n_streams = 1;
  if (st != GIE_OK) {
    gie_graph_free(*out);
    *out = NULL;
    return st;
  }
  GIE_FOR_NODES(*out, id) {
    const struct gie_attr *a = gie_attrs_find(&gie_node_get(*out, id)->notes, "stream");
    *n_streams = a && a->u.i >= *n_streams ? (uint32_t)a->u.i + 1 : *n_streams;
  }
  return GIE_OK;
}

static bool may_measure(const struct tuner *t)
{
  bool host_has_one = t->device.host && t->device.threads < 2;
  return !t->no_timing && !t->o->random_costs && !host_has_one &&
         !(t->deadline > 0 && run_now() > t->deadline);
}

/* The figures of w, from the cache or by measuring. What cannot be measured is left out with a warning: nothing
 * rests on it. */
static gie_status figures(struct ways *w, bool *known)
{
  gie_status st = make_key(w);
  *known = st == GIE_OK && find_known(w);
  if (st == GIE_OK && !*known) {
    st = measure(w);
    *known = st == GIE_OK;
  }
  if (st == GIE_OK || st == GIE_E_STOPPED)
    return st;
  gie_log(w->t->ctx, GIE_LOG_WARN, "tune", "it could not be measured how long a run takes: %s",
          gie_error_text(w->t->ctx));
  return GIE_OK;
}

uint32_t tune_fastest(const double *seconds, const uint32_t *kernels, uint32_t n, uint32_t cheapest)
{
  uint32_t fastest = cheapest, best;
  if (!(seconds[cheapest] > 0))
    return cheapest;
  for (uint32_t i = 0; i < n; i++)
    if (seconds[i] > 0 && seconds[i] < seconds[fastest])
      fastest = i;
  double limit = seconds[fastest] * (1 + GAIN_OF_STRUCTURE);
  best = seconds[cheapest] <= limit ? cheapest : fastest;
  for (uint32_t i = 0; i < n; i++)
    if (seconds[i] > 0 && seconds[i] <= limit && kernels[i] < kernels[best])
      best = i;
  return best;
}

gie_status tune_streams(struct tuner *t, struct gie_graph **g, bool always, struct tune_run *out)
{
  struct ways w = {.t = t, .g = {*g}};
  bool known = false;
  *out = (struct tune_run){.n_streams = 1};
  if (!may_measure(t))
    return GIE_OK;
  GIE_TRY(on_several(t, *g, &w.g[1], &out->n_streams));
  gie_status st = out->n_streams > 1 || always ? figures(&w, &known) : GIE_OK;
  bool faster = known && out->n_streams > 1 && w.seconds[1] < w.seconds[0] * (1 - GAIN);
  if (known) {
    out->one = w.seconds[0];
    out->several = out->n_streams > 1 ? w.seconds[1] : w.seconds[0];
    out->seconds = faster ? w.seconds[1] : w.seconds[0];
    out->takes_several = faster;
  }
  gie_graph_free(faster ? *g : w.g[1]);
  if (faster)
    *g = w.g[1];
  return st;
}
