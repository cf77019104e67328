/* SPDX-License-Identifier: Apache-2.0 */
/* A side: from a kernel to results that can be trusted, or a verdict (side.h). */
#include "core/module/side.h"
#include <math.h>
#include <time.h>

#define MAX_VARIANTS 256
#define MAX_WORKSPACE ((uint64_t)4 << 30)
#define PACK_GUARD 4096
#define PACK_BYTE 0xa7
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
      .math = GIE_MATH_STRICT,
      .device_kind = s->k->device,
      .device = &s->device->info,
      .library = s->library,
      .threads = s->threads ? s->threads : 1,
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

gie_status side_choose(struct side *s, bool any, uint64_t config)
{
  const char *op = s->c->node->op->name;
  char why[256] = "";
  if (!side_lists_op(s->k, op))
    return side_verdict(s, PROBE_REFUSED, "does not list the op %s", op);
  if (!s->k->supports(s->k, &s->prob, why, sizeof why))
    return side_verdict(s, PROBE_REFUSED, "%s", why[0] ? why : "supports() gives no reason");
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
    GIE_TRY(side_open(s, c, devices));
    gie_status st = side_choose(s, true, 0);
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

static gie_status place_tensor(struct side *s, uint32_t i, const struct gie_port *port,
                               struct side_tensor **out)
{
  struct side_case *c = s->c;
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

/* Fetches a buffer and checks its guards; `what` and `i` name it. */
static gie_status fetch(struct side *s, const struct side_buffer *b, const char *what, uint32_t i,
                        unsigned char **contents)
{
  size_t before, behind;
  GIE_TRY(side_buffer_fetch(s->c->ctx, s->device, b, contents, &before, &behind));
  if (!before && !behind)
    return GIE_OK;
  gie_free(s->c->ctx, *contents);
  return before ? side_verdict(s, PROBE_STRAY, "wrote %zu bytes before the start of %s %u", before, what, i)
                : side_verdict(s, PROBE_STRAY, "wrote %zu bytes behind the end of %s %u", behind, what, i);
}

/* ---- Packed operands, workspace, instance */

static gie_status pack_operand(struct side *s, const struct gie_pack *pack)
{
  uint32_t i = pack->operand;
  size_t guarded;
  if (pack->bytes > (s->max_workspace ? s->max_workspace : MAX_WORKSPACE) ||
      !gie_add(pack->bytes, 2 * (size_t)PACK_GUARD, &guarded))
    return side_verdict(s, PROBE_LIMIT, "packing operand %u takes %zu bytes", i, pack->bytes);
  /* Guard zones on the host too: pack() writes there. */
  unsigned char *packed = gie_arena_alloc(&s->arena, guarded, 1);
  if (!packed)
    return GIE_E_MEMORY;
  memset(packed, PACK_BYTE, guarded);
  gie_status st = s->k->pack(s->k, &s->prob, &s->var, pack, s->c->in_host[i], packed + PACK_GUARD);
  if (st != GIE_OK)
    return callback_failed(s, "pack", st);
  for (size_t b = 0; b < PACK_GUARD; b++)
    if (packed[b] != PACK_BYTE || packed[PACK_GUARD + pack->bytes + b] != PACK_BYTE)
      return side_verdict(s, PROBE_STRAY, "pack wrote outside the %zu bytes of operand %u", pack->bytes, i);
  s->packed_image[i] = packed + PACK_GUARD;
  return side_buffer_new(s->c->ctx, s->device, &s->packed[i], pack->bytes, s->packed_image[i]);
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
  return bytes ? side_buffer_new(s->c->ctx, s->device, &s->workspace, bytes, NULL) : GIE_OK;
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
  bool ok = s->in && s->out && s->in_tensor && s->out_tensor && s->packed && s->packed_image &&
            s->in_pointer && s->out_pointer && s->out_plain;
  return ok ? GIE_OK : GIE_E_MEMORY;
}

static gie_status make_tensors(struct side *s)
{
  struct side_case *c = s->c;
  for (uint32_t i = 0; i < c->n_in; i++) {
    if (c->in[i].dtype == GIE_DTYPE_NONE)
      continue;
    GIE_TRY(place_tensor(s, i, i < s->var.n_in ? &s->var.in[i] : &s->var.any_in, &s->in_tensor[i]));
    s->in[i] = s->in_tensor[i]->place.desc;
    s->in_pointer[i] = side_buffer_at(&s->in_tensor[i]->buf, s->in_tensor[i]->place.offset);
  }
  for (uint32_t i = 0; i < c->n_out; i++) {
    GIE_TRY(
        place_tensor(s, c->n_in + i, i < s->var.n_out ? &s->var.out[i] : &s->var.any_out, &s->out_tensor[i]));
    s->out[i] = s->out_tensor[i]->place.desc;
    s->out_pointer[i] = side_buffer_at(&s->out_tensor[i]->buf, s->out_tensor[i]->place.offset);
  }
  return GIE_OK;
}

gie_status side_prepare(struct side *s)
{
  GIE_TRY(make_arrays(s));
  GIE_TRY(make_tensors(s));
  show_problem(s, s->in, s->out);
  GIE_TRY(pack_operands(s));
  for (uint32_t i = 0; i < s->c->n_in; i++)
    if (s->packed[i].base)
      s->in_pointer[i] = side_buffer_at(&s->packed[i], 0);
  GIE_TRY(make_workspace(s));
  gie_status st = s->k->create(s->k, &s->prob, &s->var, &s->instance);
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
  GIE_TRY(side_fill(s->c, s->out_tensor[0], s->in_tensor[slot]->image));
  s->apart = s->in_pointer[slot];
  s->in_pointer[slot] = s->out_pointer[0];
  return GIE_OK;
}

/* ---- Running */

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

gie_status side_launch(struct side *s, uint32_t n, double *seconds)
{
  const struct gie_launch l = {
      .struct_size = sizeof l,
      .in = s->in_pointer,
      .out = s->out_pointer,
      .workspace = side_buffer_at(&s->workspace, 0),
      .library = s->library,
      .threads = s->threads ? s->threads : 1,
      .ctx = s->c->ctx,
  };
  double start = now();
  gie_status st = GIE_OK;
  for (uint32_t i = 0; i < n && st == GIE_OK; i++)
    st = s->k->run(s->instance, &l);
  if (st != GIE_OK)
    return callback_failed(s, "run", st);
  st = s->device->ops->sync(s->device->dev, NULL);
  *seconds = now() - start;
  return st == GIE_OK ? GIE_OK : callback_failed(s, "waiting for the device after run", st);
}

/* ---- What a run left behind */

static gie_status check_result(struct side *s, uint32_t i, unsigned char *data, bool results)
{
  const struct side_place *p = &s->out_tensor[i]->place;
  const struct gie_desc *plain = &s->c->out[i];
  size_t n = (size_t)gie_desc_count(plain) * gie_dtype_size(plain->dtype);
  if (!probe_pads_zero(&p->desc, data + p->offset))
    return side_verdict(s, PROBE_WRONG, "the pad lanes of result %u are not zero", i);
  if (results) {
    s->out_plain[i] = gie_arena_alloc(&s->results, n ? n : 1, 1);
    if (!s->out_plain[i])
      return GIE_E_MEMORY;
    probe_convert(&p->desc, data + p->offset, plain, s->out_plain[i]);
  }
  if (p->desc.pitched && !probe_gaps_unset(&p->desc, data, p->bytes, p->offset))
    return side_verdict(s, PROBE_STRAY, "wrote into the gaps of result %u", i);
  return GIE_OK;
}

static gie_status check_operand(struct side *s, uint32_t i)
{
  const struct side_buffer *packed = &s->packed[i], *b = &s->in_tensor[i]->buf;
  unsigned char *data;
  gie_status st = GIE_OK;
  if (packed->base) {
    GIE_TRY(fetch(s, packed, "operand", i, &data));
    if (memcmp(data, s->packed_image[i], packed->bytes) != 0)
      st = side_verdict(s, PROBE_STRAY, "wrote into operand %u", i);
    gie_free(s->c->ctx, data);
    return st;
  }
  GIE_TRY(fetch(s, b, "operand", i, &data));
  if (b->bytes && memcmp(data, s->in_tensor[i]->image, b->bytes) != 0)
    st = side_verdict(s, PROBE_STRAY, "wrote into operand %u", i);
  gie_free(s->c->ctx, data);
  return st;
}

gie_status side_collect(struct side *s, bool results)
{
  unsigned char *data;
  for (uint32_t i = 0; i < s->c->n_out; i++) {
    GIE_TRY(fetch(s, &s->out_tensor[i]->buf, "result", i, &data));
    gie_status st = check_result(s, i, data, results);
    gie_free(s->c->ctx, data);
    GIE_TRY(st);
  }
  for (uint32_t i = 0; i < s->c->n_in; i++)
    if (s->in_tensor[i])
      GIE_TRY(check_operand(s, i));
  if (!s->workspace.base)
    return GIE_OK;
  GIE_TRY(fetch(s, &s->workspace, "workspace", 0, &data));
  gie_free(s->c->ctx, data);
  return GIE_OK;
}

void side_forget_results(struct side *s)
{
  gie_arena_free(&s->results);
  gie_arena_init(&s->results, s->c->ctx);
}

void side_close(struct side *s)
{
  if (!s->c)
    return;
  if (s->instance && s->k->destroy)
    s->k->destroy(s->instance);
  for (uint32_t i = 0; s->packed && i < s->c->n_in; i++)
    side_buffer_free(s->device, &s->packed[i]);
  if (s->device)
    side_buffer_free(s->device, &s->workspace);
  gie_arena_free(&s->arena);
  gie_arena_free(&s->results);
  s->c = NULL;
  s->device = NULL;
  s->instance = s->library = NULL;
  s->packed = NULL;
  s->out_plain = NULL;
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
  char a[GIE_NUMBER_MAX], b[GIE_NUMBER_MAX], e[GIE_NUMBER_MAX];
  struct probe_diff diff;
  probe_compare(d->dtype, s->out_plain[i], expected, gie_desc_count(d), &diff);
  *error = fmax(*error, diff.error);
  if (diff.error <= tolerance)
    return GIE_OK;
  return side_verdict(s, PROBE_WRONG,
                      "result %u differs from the reference: element %lld is %s instead of %s (error %s)", i,
                      (long long)diff.at, gie_double_text(diff.a, a), gie_double_text(diff.b, b),
                      gie_double_text(diff.error, e));
}
