/* SPDX-License-Identifier: Apache-2.0 */
/* A side: from a kernel to results that can be trusted, or a verdict (side.h). */
#include "core/module/side.h"
#include <math.h>
#include <time.h>

#define MAX_VARIANTS 256
#define MAX_WORKSPACE ((uint64_t)4 << 30)
#define PACK_GUARD 4096
#define PACK_BYTE 0xa7
#define MAX_GRAPH 32   /* runs in one graph */
#define BASE_ALIGN 256 /* of every buffer */

gie_status side_verdict(struct side *s, enum probe_verdict v, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(s->text, sizeof s->text, fmt, ap);
  va_end(ap);
  s->verdict = v;
  return GIE_E_NO;
}

static gie_status callback_failed(struct side *s, const char *callback, gie_status st)
{
  return side_verdict(s, PROBE_FAILED, "%s failed with %s: %s", callback, gie_status_name(st),
                      gie_error_text(s->c->ctx));
}

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Opening */

static gie_status open_library(struct side *s)
{
  struct side_device *d = s->device;
  const struct gie_library *lib = s->k->library;
  if (!lib)
    return GIE_OK;
  for (uint32_t i = 0; i < d->n_libs; i++)
    if (d->libs[i].lib == lib) {
      s->library = d->libs[i].handle;
      return GIE_OK;
    }
  if (d->n_libs == SIDE_MAX_LIBRARIES)
    return gie_fail(s->c->ctx, GIE_E_LIMIT, "kernels of more than %d libraries at once", SIDE_MAX_LIBRARIES);
  GIE_TRY(lib->open(s->c->ctx, d->dev, &s->library));
  d->libs[d->n_libs].lib = lib;
  d->libs[d->n_libs++].handle = s->library;
  return GIE_OK;
}

static void show_problem(struct side *s, const struct gie_desc *in, const struct gie_desc *out)
{
  const struct side_case *c = s->c;
  s->prob = (struct gie_problem){
      .struct_size = sizeof s->prob,
      .ctx = c->ctx,
      .graph = c->g,
      .node = c->node,
      .n_in = c->n_in,
      .n_out = c->n_out,
      .in = in,
      .out = out,
      .in_data = c->in_const,
      .math = mod_math(c->node),
      .device_kind = s->k->device,
      .device = &s->device->info,
      .library = s->library,
      .threads = s->threads ? s->threads : 1,
      .narrow = c->places && c->places[0] ? GIE_NARROW_NO : GIE_NARROW_PERHAPS,
  };
}

gie_status side_open(struct side *s, struct side_case *c, struct side_devices *devices)
{
  s->c = c;
  gie_arena_init(&s->arena, c->ctx);
  gie_arena_init(&s->results, c->ctx);
  GIE_TRY(side_devices_get(devices, s->k, &s->device));
  GIE_TRY(open_library(s));
  show_problem(s, c->in, c->out);
  return GIE_OK;
}

bool side_lists_op(const struct gie_kernel *k, const char *op)
{
  for (const char *const *o = k->ops; *o; o++)
    if (strcmp(*o, op) == 0)
      return true;
  return false;
}

static gie_status take_variant(struct side *s, bool any, uint64_t config)
{
  uint32_t n_steps = s->c->node->n_steps;
  s->var = (struct gie_variant){
      .struct_size = sizeof s->var,
      .n_steps = n_steps,
      .in_place = -1,
      .any_in = {.layout = {.any = true}, .pitch = true},
      .any_out = {.layout = {.any = true}, .pitch = true},
  };
  if (!s->k->variants)
    return any || config == 0 ? GIE_OK : side_verdict(s, PROBE_REFUSED, "it has one variant, with config 0");
  struct gie_variant *v = gie_alloc(s->c->ctx, MAX_VARIANTS, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < MAX_VARIANTS; i++)
    v[i] = (struct gie_variant){.struct_size = sizeof *v, .in_place = -1};
  uint32_t n = s->k->variants(s->k, &s->prob, v, MAX_VARIANTS), i = 0;
  gie_status st = GIE_OK;
  if (n > MAX_VARIANTS)
    st = side_verdict(s, PROBE_FAILED, "variants returned %u with room for %d", n, MAX_VARIANTS);
  while (st == GIE_OK && i < n && !any && v[i].config != config)
    i++;
  if (st == GIE_OK && i >= n)
    st = n ? side_verdict(s, PROBE_REFUSED, "none of its %u variants has config %llu", n,
                          (unsigned long long)config)
           : side_verdict(s, PROBE_REFUSED, "it offers no variant");
  if (st == GIE_OK && (v[i].n_in > GIE_MAX_IO || v[i].n_out > GIE_MAX_IO || v[i].n_steps > n_steps))
    st = side_verdict(s, PROBE_FAILED, "variant %u describes %u operands, %u results, %u steps of %u", i,
                      v[i].n_in, v[i].n_out, v[i].n_steps, n_steps);
  if (st == GIE_OK)
    s->var = v[i];
  gie_free(s->c->ctx, v);
  return st;
}

/* As in a network that was tuned: a kernel that has to ask around to say what it offers need not. */
static gie_status note_choice(struct side *s, uint64_t config)
{
  struct gie_attr kernel = {.name = "kernel",
                            .kind = GIE_ATTR_STRING,
                            .n = (uint32_t)strlen(s->k->name),
                            .u.s = s->k->name};
  struct gie_attr number = {.name = "config", .kind = GIE_ATTR_INT, .u.i = (int64_t)config};
  GIE_TRY(gie_node_set_note(s->c->g, s->c->node->id, &kernel));
  return gie_node_set_note(s->c->g, s->c->node->id, &number);
}

gie_status side_choose(struct side *s, bool any, uint64_t config)
{
  const char *op = s->c->node->op->name;
  char why[256] = "";
  if (!side_lists_op(s->k, op))
    return side_verdict(s, PROBE_REFUSED, "does not list the op %s", op);
  if (!s->k->supports(s->k, &s->prob, why, sizeof why))
    return side_verdict(s, PROBE_REFUSED, "%s", why[0] ? why : "supports() gives no reason");
  if (!any)
    GIE_TRY(note_choice(s, config));
  return take_variant(s, any, config);
}

/* The cpu backend's, and what modules say is one. */
static bool is_reference(const struct gie_kernel *k)
{
  return strncmp(k->name, "cpu.", 4) == 0 || (k->flags & GIE_KERNEL_REFERENCE);
}

gie_status side_open_reference(struct side *s, struct side_case *c, struct side_devices *devices,
                               const struct gie_kernel *suspect, bool *found)
{
  *found = false;
  for (uint32_t i = 0; (s->k = gie_kernel_at(c->ctx, i)); i++) {
    if (s->k == suspect || !is_reference(s->k) || !side_lists_op(s->k, c->node->op->name))
      continue;
    gie_status st = side_open(s, c, devices);
    if (st == GIE_E_DEVICE) { /* that of another device, which is not here */
      side_close(s);
      continue;
    }
    GIE_TRY(st);
    st = side_choose(s, true, 0);
    *found = st == GIE_OK;
    if (*found || s->verdict != PROBE_REFUSED)
      return st;
    side_close(s);
    s->verdict = PROBE_OK;
  }
  return GIE_OK;
}

/* ---- Tensors */

/* Dense, with the dtype and layout that a port asks for. */
static gie_status port_place(struct side *s, const struct gie_desc *plain, const struct gie_port *port,
                             struct side_place *out)
{
  struct gie_type type = {.dtype = port->dtype ? port->dtype : plain->dtype};
  struct gie_layout layout = port->layout;
  if (layout.any)
    layout = (struct gie_layout){0};
  type.shape.rank = plain->rank;
  for (int i = 0; i < plain->rank; i++)
    type.shape.dim[i] = gie_dim_num(plain->dim[i]);
  *out = (struct side_place){0};
  gie_status st = gie_desc_make(s->c->ctx, &type, &layout, &out->desc, &out->bytes);
  return st == GIE_OK ? GIE_OK : callback_failed(s, "a layout of the variant", st);
}

static size_t address_align(size_t offset)
{
  size_t a = BASE_ALIGN;
  while (offset % a)
    a /= 2;
  return a;
}

/* Whether a variant takes a tensor that lies as the case says. */
static gie_status port_takes(struct side *s, const struct gie_port *port, const struct side_place *p,
                             const char *what, uint32_t i)
{
  const struct gie_desc *d = &p->desc;
  char wants[64], has[64];
  if (port->dtype != GIE_DTYPE_NONE && port->dtype != d->dtype)
    return side_verdict(s, PROBE_REFUSED, "wants %s %u as %s, not %s", what, i, gie_dtype_name(port->dtype),
                        gie_dtype_name(d->dtype));
  if (!port->layout.any && !gie_layout_equal(&port->layout, &d->layout, d->rank)) {
    gie_layout_text(&port->layout, d->rank, wants, sizeof wants);
    gie_layout_text(&d->layout, d->rank, has, sizeof has);
    return side_verdict(s, PROBE_REFUSED, "wants %s %u in layout %s, not %s", what, i,
                        *wants ? wants : "plain", *has ? has : "plain");
  }
  if (d->pitched && !port->pitch)
    return side_verdict(s, PROBE_REFUSED, "wants %s %u dense, not a view", what, i);
  if (port->align > address_align(p->offset))
    return side_verdict(s, PROBE_REFUSED, "wants %s %u aligned to %u bytes", what, i, (unsigned)port->align);
  return GIE_OK;
}

static gie_status place_tensor(struct side *s, uint32_t i, struct side_tensor **out)
{
  struct side_case *c = s->c;
  const struct gie_port *port = mod_port(&s->prob, &s->var, i);
  bool is_in = i < c->n_in;
  uint32_t j = is_in ? i : i - c->n_in;
  const struct side_place *fixed = c->places[i];
  struct side_place own;
  if (fixed)
    GIE_TRY(port_takes(s, port, fixed, is_in ? "operand" : "result", j));
  else
    GIE_TRY(port_place(s, is_in ? &c->in[j] : &c->out[j], port, &own));
  return side_case_tensor(c, s->device, i, fixed ? fixed : &own, out);
}

/* ---- Packed operands, workspace, instance */

/* Guard zones on the host: pack() writes there. */
static gie_status run_pack(struct side *s, const struct gie_pack *pack, void **image)
{
  size_t guarded;
  if (pack->bytes > (s->max_workspace ? s->max_workspace : MAX_WORKSPACE) ||
      !gie_add(pack->bytes, 2 * (size_t)PACK_GUARD, &guarded))
    return side_verdict(s, PROBE_LIMIT, "packing operand %u takes %zu bytes", pack->operand, pack->bytes);
  unsigned char *packed = gie_arena_alloc(&s->c->arena, guarded, 1);
  if (!packed)
    return GIE_E_MEMORY;
  memset(packed, PACK_BYTE, guarded);
  gie_status st = s->k->pack(s->k, &s->prob, &s->var, pack, s->c->in_host[pack->operand],
                             packed + PACK_GUARD);
  if (st != GIE_OK)
    return callback_failed(s, "pack", st);
  for (size_t b = 0; b < PACK_GUARD; b++)
    if (packed[b] != PACK_BYTE || packed[PACK_GUARD + pack->bytes + b] != PACK_BYTE)
      return side_verdict(s, PROBE_STRAY, "pack wrote outside the %zu bytes of operand %u", pack->bytes,
                          pack->operand);
  *image = packed + PACK_GUARD;
  return GIE_OK;
}

/* The packed form of that key: a case packs each once, as the engine does. */
static gie_status find_pack(struct side *s, const struct gie_pack *pack, struct side_pack **out)
{
  struct side_case *c = s->c;
  for (struct side_pack *p = c->packs; p; p = p->next)
    if (p->device == s->device && p->operand == pack->operand && p->bytes == pack->bytes &&
        memcmp(p->key, pack->key, sizeof p->key) == 0) {
      *out = p;
      return GIE_OK;
    }
  struct side_pack *p = gie_arena_alloc(&c->arena, 1, sizeof *p);
  if (!p)
    return GIE_E_MEMORY;
  *p = (struct side_pack){.device = s->device, .operand = pack->operand, .bytes = pack->bytes};
  memcpy(p->key, pack->key, sizeof p->key);
  GIE_TRY(run_pack(s, pack, &p->image));
  gie_status st = side_buffer_new(c->ctx, s->device, &p->buf, pack->bytes, p->image, pack->bytes);
  if (st != GIE_OK) {
    side_buffer_free(s->device, &p->buf);
    return st;
  }
  p->next = c->packs;
  c->packs = *out = p;
  return GIE_OK;
}

static gie_status pack_operand(struct side *s, const struct gie_pack *pack)
{
  struct side_pack *p;
  GIE_TRY(find_pack(s, pack, &p));
  s->packed_image[pack->operand] = p->image;
  s->packed[pack->operand] = p->buf;
  return GIE_OK;
}

static gie_status pack_operands(struct side *s)
{
  const struct side_case *c = s->c;
  struct gie_pack *packs = gie_arena_alloc(&s->arena, c->n_in + 1, sizeof *packs);
  uint32_t n = 0;
  if (!packs)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < c->n_in; i++)
    packs[i].struct_size = sizeof packs[i];
  if (s->k->pack_desc)
    n = s->k->pack_desc(s->k, &s->prob, &s->var, packs, c->n_in);
  if (n > c->n_in)
    return side_verdict(s, PROBE_FAILED, "pack_desc returned %u for %u operands", n, c->n_in);
  for (uint32_t i = 0; i < n; i++) {
    if (packs[i].operand >= c->n_in || !c->in_const[packs[i].operand] || s->packed[packs[i].operand].base)
      return side_verdict(s, PROBE_FAILED, "pack_desc names operand %u, which is no constant",
                          packs[i].operand);
    GIE_TRY(pack_operand(s, &packs[i]));
  }
  return GIE_OK;
}

static gie_status make_workspace(struct side *s)
{
  uint64_t limit = s->max_workspace ? s->max_workspace : MAX_WORKSPACE;
  size_t bytes = s->k->workspace ? s->k->workspace(s->k, &s->prob, &s->var) : 0;
  s->workspace_bytes = bytes;
  if (bytes > limit)
    return side_verdict(s, PROBE_LIMIT, "asks for %zu bytes of workspace, at most %llu are there", bytes,
                        (unsigned long long)limit);
  return bytes ? side_buffer_new(s->c->ctx, s->device, &s->workspace, bytes, NULL, 0) : GIE_OK;
}

static gie_status make_arrays(struct side *s)
{
  struct gie_arena *a = &s->arena;
  size_t n_in = s->c->n_in + 1, n_out = s->c->n_out + 1;
  s->in = gie_arena_alloc(a, n_in, sizeof s->in[0]);
  s->out = gie_arena_alloc(a, n_out, sizeof s->out[0]);
  s->in_tensor = gie_arena_alloc(a, n_in, sizeof s->in_tensor[0]);
  s->out_tensor = gie_arena_alloc(a, n_out, sizeof s->out_tensor[0]);
  s->packed = gie_arena_alloc(a, n_in, sizeof s->packed[0]);
  s->packed_image = gie_arena_alloc(a, n_in, sizeof s->packed_image[0]);
  s->in_pointer = gie_arena_alloc(a, n_in, sizeof s->in_pointer[0]);
  s->out_pointer = gie_arena_alloc(a, n_out, sizeof s->out_pointer[0]);
  s->out_plain = gie_arena_alloc(a, n_out, sizeof s->out_plain[0]);
  s->out_points = gie_arena_alloc(a, n_out, sizeof s->out_points[0]);
  bool ok = s->in && s->out && s->in_tensor && s->out_tensor && s->packed && s->packed_image &&
            s->in_pointer && s->out_pointer && s->out_plain && s->out_points;
  return ok ? GIE_OK : GIE_E_MEMORY;
}

static gie_status make_tensors(struct side *s)
{
  struct side_case *c = s->c;
  for (uint32_t i = 0; i < c->n_in; i++) {
    if (c->in[i].dtype == GIE_DTYPE_NONE)
      continue;
    GIE_TRY(place_tensor(s, i, &s->in_tensor[i]));
    s->in[i] = s->in_tensor[i]->place.desc;
    s->in_pointer[i] = side_buffer_at(&s->in_tensor[i]->buf, s->in_tensor[i]->place.offset);
  }
  for (uint32_t i = 0; i < c->n_out; i++) {
    GIE_TRY(place_tensor(s, c->n_in + i, &s->out_tensor[i]));
    s->out[i] = s->out_tensor[i]->place.desc;
    s->out_pointer[i] = side_buffer_at(&s->out_tensor[i]->buf, s->out_tensor[i]->place.offset);
  }
  return GIE_OK;
}

gie_status side_prepare(struct side *s)
{
  double start = now();
  GIE_TRY(make_arrays(s));
  GIE_TRY(make_tensors(s));
  show_problem(s, s->in, s->out);
  s->contents_seconds = now() - start;
  GIE_TRY(pack_operands(s));
  s->pack_seconds = now() - start - s->contents_seconds;
  for (uint32_t i = 0; i < s->c->n_in; i++)
    if (s->packed[i].base)
      s->in_pointer[i] = side_buffer_at(&s->packed[i], 0);
  GIE_TRY(make_workspace(s));
  gie_status st = s->k->create(s->k, &s->prob, &s->var, &s->instance);
  if (st == GIE_E_UNSUPPORTED) /* what supports() could not know */
    return side_verdict(s, PROBE_REFUSED, "%s", gie_error_text(s->c->ctx));
  if (st != GIE_OK)
    return callback_failed(s, "create", st);
  return s->instance ? GIE_OK : side_verdict(s, PROBE_FAILED, "create reports success without an instance");
}

/* ---- Results over operands */

bool side_overwrites(const struct side *s)
{
  int32_t slot = s->var.in_place;
  if (slot < 0 || (uint32_t)slot >= s->c->n_in || s->c->n_out == 0 || !s->in_tensor[slot] ||
      s->packed[slot].base)
    return false;
  const struct gie_desc *a = &s->in[slot], *b = &s->out[0];
  for (uint32_t i = 0; i < s->c->n_in; i++) /* nobody else reads it */
    if (i != (uint32_t)slot && s->in_tensor[i] == s->in_tensor[slot])
      return false;
  for (int i = 0; i < a->rank; i++)
    if (a->rank != b->rank || a->dim[i] != b->dim[i])
      return false;
  return a->dtype == b->dtype && a->rank == b->rank && !a->pitched && !b->pitched &&
         gie_layout_equal(&a->layout, &b->layout, a->rank) &&
         s->in_tensor[slot]->place.bytes == s->out_tensor[0]->place.bytes;
}

gie_status side_set_over(struct side *s, bool over)
{
  int32_t slot = s->var.in_place;
  if (!over) {
    s->in_pointer[slot] = s->apart;
    return GIE_OK;
  }
  GIE_TRY(side_buffer_copy(s->device, &s->out_tensor[0]->buf, &s->in_tensor[slot]->buf));
  s->apart = s->in_pointer[slot];
  s->in_pointer[slot] = s->out_pointer[0];
  return GIE_OK;
}

/* ---- Running */

static gie_status hand_over(struct side *s, uint32_t n)
{
  const struct gie_launch l = {
      .struct_size = sizeof l,
      .in = s->in_pointer,
      .out = s->out_pointer,
      .workspace = side_buffer_at(&s->workspace, 0),
      .stream = s->device->stream,
      .library = s->library,
      .threads = s->threads ? s->threads : 1,
      .ctx = s->c->ctx,
  };
  gie_status st = GIE_OK;
  for (uint32_t i = 0; i < n && st == GIE_OK; i++)
    st = s->k->run(s->instance, &l);
  return st == GIE_OK ? GIE_OK : callback_failed(s, "run", st);
}

static gie_status begin_clock(struct side *s, double *start)
{
  struct side_device *d = s->device;
  *start = now();
  return d->to ? d->ops->event_record(d->dev, d->from, d->stream) : GIE_OK;
}

/* Waits; an error of the device's is the candidate's. */
static gie_status end_clock(struct side *s, double start, double *seconds)
{
  struct side_device *d = s->device;
  gie_status st = d->to ? d->ops->event_record(d->dev, d->to, d->stream) : GIE_OK;
  if (st == GIE_OK && d->ops->sync)
    st = d->ops->sync(d->dev, d->stream);
  *seconds = now() - start;
  if (st == GIE_OK && d->to)
    st = d->ops->event_elapsed(d->dev, d->from, d->to, seconds);
  return st == GIE_OK ? GIE_OK : callback_failed(s, "waiting for the device after run", st);
}

gie_status side_launch(struct side *s, uint32_t n, double *seconds)
{
  double start;
  GIE_TRY(begin_clock(s, &start));
  GIE_TRY(hand_over(s, n));
  return end_clock(s, start, seconds);
}

static void drop_graph(struct side *s)
{
  if (s->graph)
    s->device->ops->capture_free(s->device->dev, s->graph);
  s->graph = NULL;
}

/* A graph of n runs; a variant that turns out not to allow it is timed without. */
static gie_status capture(struct side *s, uint32_t n)
{
  struct side_device *d = s->device;
  drop_graph(s);
  GIE_TRY(d->ops->capture_begin(d->dev, d->stream));
  gie_status st = hand_over(s, n), end = d->ops->capture_end(d->dev, d->stream, &s->graph);
  s->graph_runs = n;
  if (st != GIE_OK || end != GIE_OK)
    drop_graph(s);
  if (st == GIE_E_NO) { /* no verdict of a run that may well work outside */
    s->verdict = PROBE_OK;
    s->text[0] = 0;
  }
  return st != GIE_OK ? st : end;
}

gie_status side_time(struct side *s, uint32_t n, double *seconds)
{
  struct side_device *d = s->device;
  uint32_t runs = n < MAX_GRAPH ? n : MAX_GRAPH;
  double start;
  if (!d->has_captures || !s->var.capture_safe || s->no_graph)
    return side_launch(s, n, seconds);
  if ((!s->graph || s->graph_runs != runs) && capture(s, runs) != GIE_OK) {
    s->no_graph = true;
    return side_launch(s, n, seconds);
  }
  GIE_TRY(begin_clock(s, &start));
  for (uint32_t i = 0; i < (n + runs - 1) / runs; i++) {
    gie_status st = d->ops->capture_launch(d->dev, s->graph, d->stream);
    if (st != GIE_OK)
      return callback_failed(s, "replaying captured runs", st);
  }
  GIE_TRY(end_clock(s, start, seconds));
  uint32_t launched = (n + runs - 1) / runs * runs;
  *seconds *= (double)n / (double)launched;
  return GIE_OK;
}

void side_close(struct side *s)
{
  if (!s->c)
    return;
  drop_graph(s);
  if (s->instance && s->k->destroy)
    s->k->destroy(s->instance);
  if (s->device)
    side_buffer_free(s->device, &s->workspace);
  gie_arena_free(&s->arena);
  gie_arena_free(&s->results);
  s->c = NULL;
  s->device = NULL;
  s->instance = s->library = NULL;
  s->packed = NULL;
  s->out_plain = s->out_points = NULL;
  s->no_graph = false;
}

/* ---- Comparing */

double side_tolerance(const struct side *s, uint32_t out)
{
  const struct side_case *c = s->c;
  double t = probe_tolerance(c->out[out].dtype);
  for (uint32_t i = 0; i < c->n_in; i++)
    if (gie_dtype_class(s->in[i].dtype) == 'f' && gie_dtype_class(c->out[out].dtype) == 'f')
      t = fmax(t, probe_tolerance(s->in[i].dtype));
  t = fmax(t, probe_tolerance(s->out[out].dtype));
  return s->var.error > 0 ? (double)s->var.error : t;
}

gie_status side_compare(struct side *s, uint32_t i, const void *expected, double tolerance, double *error)
{
  const struct gie_desc *d = &s->c->out[i];
  const struct side_points *points = s->out_points[i] ? &s->c->points[i] : NULL;
  char a[GIE_NUMBER_MAX], b[GIE_NUMBER_MAX], e[GIE_NUMBER_MAX];
  struct probe_diff diff;
  probe_compare(d->dtype, points ? s->out_points[i] : s->out_plain[i], expected,
                points ? points->n : gie_desc_count(d), &diff);
  if (points)
    diff.at = points->at[diff.at];
  *error = fmax(*error, diff.error);
  if (diff.error <= tolerance)
    return GIE_OK;
  return side_verdict(s, PROBE_WRONG,
                      "result %u differs from the reference: element %lld is %s instead of %s (error %s)", i,
                      (long long)diff.at, gie_double_text(diff.a, a), gie_double_text(diff.b, b),
                      gie_double_text(diff.error, e));
}
