/* SPDX-License-Identifier: Apache-2.0 */
/* The probe: see probe.h. A kernel runs as one *side*: its problem, a variant of it, and buffers on
 * its device with guard zones. The suspect and the reference are two sides fed with the same
 * operands; results come back to the host in plain layout. */
#include "core/module/probe.h"
#include <math.h>
#include <time.h>

#define GUARD 4096      /* bytes before and behind every buffer; a multiple of any alignment */
#define GUARD_BYTE 0xa7 /* what guard zones hold */
#define UNSET_BYTE 0xff /* what results hold before the run: NaN in every float type */
#define MAX_VARIANTS 256
#define MAX_WORKSPACE ((uint64_t)4 << 30)

const char *probe_verdict_word(enum probe_verdict v)
{
  static const char *const words[] = {
#define PROBE_WORD(name, word) word,
      PROBE_VERDICTS(PROBE_WORD)
#undef PROBE_WORD
  };
  return words[v];
}

struct probe {
  struct gie_context *ctx;
  const struct probe_request *rq;
  struct probe_result *result;
  struct gie_arena arena;
  struct gie_graph *g; /* a copy, whose epilogue may be cut */
  const struct gie_node *node;
  uint32_t n_in, n_out;
  struct gie_desc *in, *out; /* plain */
  const void **in_host;      /* contents of the operands; NULL where omitted */
  const void **in_const;     /* the same for constants, else NULL */
};

struct buffer {
  char *base; /* device memory: guard, bytes, guard */
  size_t bytes;
};

struct side {
  struct probe *p;
  const struct gie_kernel *k;
  const struct gie_device *device;
  void *dev, *library, *instance;
  struct gie_device_info info;
  struct gie_problem prob;
  struct gie_variant var;
  struct gie_desc *in, *out; /* as the variant wants them */
  struct buffer *in_buf, *out_buf, workspace;
  void **in_image;  /* what the operands' buffers were filled with */
  void **out_plain; /* results: plain layout, the problem's dtypes */
  double seconds;
};

/* Records what the kernel did and ends the probe: E_NO is the answer, not a failure of the probe. */
GIE_PRINTF(3, 4)
static gie_status verdict(struct probe *p, enum probe_verdict v, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(p->result->text, sizeof p->result->text, fmt, ap);
  va_end(ap);
  p->result->verdict = v;
  return GIE_E_NO;
}

static gie_status callback_failed(struct side *s, const char *callback, gie_status st)
{
  return verdict(s->p, PROBE_FAILED, "%s failed with %s: %s", callback, gie_status_name(st),
                 gie_error_text(s->p->ctx));
}

/* ---- Operands */

static gie_status plain_desc(struct probe *p, gie_id id, struct gie_desc *d, size_t *bytes)
{
  const struct gie_value *v = gie_value_get(p->g, id);
  const struct gie_layout plain = {0};
  *bytes = 0;
  memset(d, 0, sizeof *d);
  if (!v)
    return GIE_OK; /* omitted: dtype NONE */
  if (v->type.dtype == GIE_DTYPE_NONE || v->type.shape.rank < 0)
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "value \"%s\" has no type; a probe needs types and numbers",
                    v->name);
  return gie_desc_make(p->ctx, &v->type, &plain, d, bytes);
}

static const struct probe_input *given_input(const struct probe *p, gie_id id)
{
  for (uint32_t i = 0; i < p->rq->n_inputs; i++)
    if (gie_graph_input(p->g, p->rq->inputs[i].index) == id)
      return &p->rq->inputs[i];
  return NULL;
}

static gie_status fill_operand(struct probe *p, uint32_t i, size_t bytes)
{
  gie_id id = p->node->in[i];
  const struct probe_input *given = given_input(p, id);
  if (id == GIE_NONE)
    return GIE_OK;
  for (uint32_t j = 0; j < i; j++) /* the same value twice has the same contents */
    if (p->node->in[j] == id) {
      p->in_host[i] = p->in_host[j];
      p->in_const[i] = p->in_const[j];
      return GIE_OK;
    }
  const void *constant = gie_value_bytes(p->g, id, NULL);
  void *copy = gie_arena_alloc(&p->arena, bytes ? bytes : 1, 1);
  if (!copy)
    return GIE_E_MEMORY;
  if (given && !constant && given->size != bytes)
    return gie_fail(p->ctx, GIE_E_SHAPE, "input %u has %zu bytes, its type needs %zu; send the dense tensor",
                    given->index, given->size, bytes);
  if (constant || given)
    memcpy(copy, constant ? constant : given->data, bytes);
  else
    probe_fill(&p->in[i], copy, p->rq->seed + i, p->in[0].dtype);
  p->in_host[i] = copy;
  p->in_const[i] = constant ? copy : NULL;
  return GIE_OK;
}

/* Descriptors and contents of the node's operands and results. */
static gie_status describe(struct probe *p)
{
  size_t bytes;
  p->node = gie_node_get(p->g, gie_graph_first(p->g));
  p->n_in = p->node->n_in;
  p->n_out = p->node->n_out;
  p->in = gie_arena_alloc(&p->arena, p->n_in + 1, sizeof p->in[0]);
  p->out = gie_arena_alloc(&p->arena, p->n_out + 1, sizeof p->out[0]);
  p->in_host = gie_arena_alloc(&p->arena, p->n_in + 1, sizeof p->in_host[0]);
  p->in_const = gie_arena_alloc(&p->arena, p->n_in + 1, sizeof p->in_const[0]);
  if (!p->in || !p->out || !p->in_host || !p->in_const)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < p->n_in; i++) {
    GIE_TRY(plain_desc(p, p->node->in[i], &p->in[i], &bytes));
    GIE_TRY(fill_operand(p, i, bytes));
  }
  for (uint32_t i = 0; i < p->n_out; i++)
    GIE_TRY(plain_desc(p, p->node->out[i], &p->out[i], &bytes));
  return GIE_OK;
}

static gie_status check_graph(struct probe *p)
{
  GIE_TRY(gie_graph_verify(p->g));
  uint32_t n = gie_graph_count_nodes(p->g);
  if (n != 1)
    return gie_fail(p->ctx, GIE_E_USAGE, "a probe takes a graph of one node, this one has %u", n);
  if (gie_node_get(p->g, gie_graph_first(p->g))->n_captures)
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED, "a probe takes no node with bodies");
  return GIE_OK;
}

/* ---- Buffers with guard zones */

static gie_status copy_in(struct side *s, void *dev, const void *host, size_t bytes)
{
  gie_status st = s->device->copy(s->dev, dev, host, bytes, GIE_COPY_TO_DEVICE, NULL);
  return st == GIE_OK ? s->device->sync(s->dev, NULL) : st;
}

static gie_status copy_out(struct side *s, void *host, const void *dev, size_t bytes)
{
  gie_status st = s->device->copy(s->dev, host, dev, bytes, GIE_COPY_TO_HOST, NULL);
  return st == GIE_OK ? s->device->sync(s->dev, NULL) : st;
}

/* `image`: contents, or NULL to fill with UNSET_BYTE. */
static gie_status buffer_new(struct side *s, struct buffer *b, size_t bytes, const void *image)
{
  struct gie_context *ctx = s->p->ctx;
  size_t total;
  void *base;
  if (!gie_add(bytes, 2 * (size_t)GUARD, &total))
    return gie_fail(ctx, GIE_E_MEMORY, "a buffer of %zu bytes is too large", bytes);
  char *host = gie_alloc_raw(ctx, total, 1);
  if (!host)
    return GIE_E_MEMORY;
  memset(host, GUARD_BYTE, total);
  if (image)
    memcpy(host + GUARD, image, bytes);
  else
    memset(host + GUARD, UNSET_BYTE, bytes);
  gie_status st = s->device->alloc(s->dev, total, &base);
  if (st == GIE_OK) {
    *b = (struct buffer){base, bytes};
    st = copy_in(s, base, host, total);
  }
  gie_free(ctx, host);
  return st;
}

static void *buffer_at(const struct buffer *b) { return b->base ? b->base + GUARD : NULL; }

/* Fetches the contents (into the arena) and checks the guards; `what` and `i` name the buffer. */
static gie_status buffer_check(struct side *s, const struct buffer *b, const char *what, uint32_t i,
                               void **contents)
{
  struct probe *p = s->p;
  if (contents)
    *contents = NULL;
  if (!b->base)
    return GIE_OK;
  size_t total = b->bytes + 2 * (size_t)GUARD;
  unsigned char *host = gie_alloc_raw(p->ctx, total, 1);
  if (!host)
    return GIE_E_MEMORY;
  gie_status st = copy_out(s, host, b->base, total);
  for (size_t j = 0; st == GIE_OK && j < GUARD; j++) {
    if (host[GUARD - 1 - j] != GUARD_BYTE)
      st = verdict(p, PROBE_STRAY, "wrote %zu bytes before the start of %s %u", j + 1, what, i);
    else if (host[GUARD + b->bytes + j] != GUARD_BYTE)
      st = verdict(p, PROBE_STRAY, "wrote %zu bytes behind the end of %s %u", j + 1, what, i);
  }
  if (st == GIE_OK && contents) {
    *contents = gie_arena_copy(&p->arena, host + GUARD, b->bytes ? b->bytes : 1, 1);
    st = *contents ? GIE_OK : GIE_E_MEMORY;
  }
  gie_free(p->ctx, host);
  return st;
}

/* ---- A side: from kernel to results */

static gie_status side_open(struct side *s)
{
  struct probe *p = s->p;
  struct gie_context *ctx = p->ctx;
  s->device = mod_find(ctx, MOD_DEVICE, s->k->device);
  if (!s->device)
    return gie_fail(ctx, GIE_E_DEVICE,
                    "no module offers the device \"%s\" of kernel \"%s\"; add its backend to "
                    "GIE_MODULE_PATH",
                    s->k->device, s->k->name);
  if (s->device->count(ctx) < 1)
    return gie_fail(ctx, GIE_E_DEVICE, "there is no \"%s\" device on this machine", s->k->device);
  GIE_TRY(s->device->open(ctx, 0, &s->dev));
  s->info.struct_size = sizeof s->info;
  GIE_TRY(s->device->info(s->dev, &s->info));
  if (s->k->library)
    GIE_TRY(s->k->library->open(ctx, s->dev, &s->library));
  s->prob = (struct gie_problem){
      .struct_size = sizeof s->prob,
      .ctx = ctx,
      .graph = p->g,
      .node = p->node,
      .n_in = p->n_in,
      .n_out = p->n_out,
      .in = p->in,
      .out = p->out,
      .in_data = p->in_const,
      .math = GIE_MATH_STRICT,
      .device_kind = s->k->device,
      .device = &s->info,
      .library = s->library,
      .threads = 1,
  };
  return GIE_OK;
}

static gie_status choose_variant(struct side *s, bool any, uint64_t config)
{
  struct probe *p = s->p;
  s->var = (struct gie_variant){
      .struct_size = sizeof s->var,
      .n_steps = p->node->n_steps,
      .in_place = -1,
      .any_in = {.layout = {.any = true}, .pitch = true},
      .any_out = {.layout = {.any = true}, .pitch = true},
  };
  if (!s->k->variants)
    return any || config == 0 ? GIE_OK : verdict(p, PROBE_REFUSED, "it has one variant, with config 0");
  struct gie_variant *v = gie_alloc(p->ctx, MAX_VARIANTS, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < MAX_VARIANTS; i++)
    v[i] = (struct gie_variant){.struct_size = sizeof *v, .in_place = -1};
  uint32_t n = s->k->variants(s->k, &s->prob, v, MAX_VARIANTS), i = 0;
  gie_status st = GIE_OK;
  if (n > MAX_VARIANTS)
    st = verdict(p, PROBE_FAILED, "variants returned %u with room for %d", n, MAX_VARIANTS);
  while (st == GIE_OK && i < n && !any && v[i].config != config)
    i++;
  if (st == GIE_OK && i >= n)
    st = n ? verdict(p, PROBE_REFUSED, "none of its %u variants has config %llu", n,
                     (unsigned long long)config)
           : verdict(p, PROBE_REFUSED, "it offers no variant");
  if (st == GIE_OK && (v[i].n_in > GIE_MAX_IO || v[i].n_out > GIE_MAX_IO || v[i].n_steps > p->node->n_steps))
    st = verdict(p, PROBE_FAILED, "variant %u describes %u operands, %u results, %u steps of %u", i,
                 v[i].n_in, v[i].n_out, v[i].n_steps, p->node->n_steps);
  if (st == GIE_OK)
    s->var = v[i];
  gie_free(p->ctx, v);
  return st;
}

/* Dense descriptor with the dtype and layout that a port asks for. */
static gie_status port_desc(struct side *s, const struct gie_desc *plain, const struct gie_port *port,
                            struct gie_desc *out, size_t *bytes)
{
  struct gie_type type = {.dtype = port->dtype ? port->dtype : plain->dtype};
  struct gie_layout layout = port->layout;
  *bytes = 0;
  memset(out, 0, sizeof *out);
  if (plain->dtype == GIE_DTYPE_NONE)
    return GIE_OK;
  if (layout.any)
    layout = (struct gie_layout){0};
  type.shape.rank = plain->rank;
  for (int i = 0; i < plain->rank; i++)
    type.shape.dim[i] = gie_dim_num(plain->dim[i]);
  gie_status st = gie_desc_make(s->p->ctx, &type, &layout, out, bytes);
  return st == GIE_OK ? GIE_OK : callback_failed(s, "a layout of the variant", st);
}

/* Packs operand i if the kernel wants that; *image and *bytes are replaced. */
static gie_status pack_operand(struct side *s, const struct gie_pack *packs, uint32_t n_packs, uint32_t i,
                               void **image, size_t *bytes)
{
  struct probe *p = s->p;
  for (uint32_t j = 0; j < n_packs; j++) {
    if (packs[j].operand != i)
      continue;
    if (packs[j].bytes > (p->rq->max_workspace ? p->rq->max_workspace : MAX_WORKSPACE))
      return verdict(p, PROBE_LIMIT, "packing operand %u takes %zu bytes", i, packs[j].bytes);
    /* Guard zones on the host too: pack() writes there. */
    unsigned char *packed = gie_arena_alloc(&p->arena, packs[j].bytes + 2 * (size_t)GUARD, 1);
    if (!packed)
      return GIE_E_MEMORY;
    memset(packed, GUARD_BYTE, packs[j].bytes + 2 * (size_t)GUARD);
    gie_status st = s->k->pack(s->k, &s->prob, &s->var, &packs[j], p->in_host[i], packed + GUARD);
    if (st != GIE_OK)
      return callback_failed(s, "pack", st);
    for (size_t b = 0; b < GUARD; b++)
      if (packed[b] != GUARD_BYTE || packed[GUARD + packs[j].bytes + b] != GUARD_BYTE)
        return verdict(p, PROBE_STRAY, "pack wrote outside the %zu bytes of operand %u", packs[j].bytes, i);
    *image = packed + GUARD;
    *bytes = packs[j].bytes;
  }
  return GIE_OK;
}

static gie_status find_packs(struct side *s, struct gie_pack **packs, uint32_t *n)
{
  struct probe *p = s->p;
  *n = 0;
  *packs = gie_arena_alloc(&p->arena, p->n_in + 1, sizeof **packs);
  if (!*packs)
    return GIE_E_MEMORY;
  if (s->k->pack_desc)
    *n = s->k->pack_desc(s->k, &s->prob, &s->var, *packs, p->n_in);
  if (*n > p->n_in)
    return verdict(p, PROBE_FAILED, "pack_desc returned %u for %u operands", *n, p->n_in);
  for (uint32_t i = 0; i < *n; i++)
    if ((*packs)[i].operand >= p->n_in || !p->in_const[(*packs)[i].operand])
      return verdict(p, PROBE_FAILED, "pack_desc names operand %u, which is no constant",
                     (*packs)[i].operand);
  return GIE_OK;
}

static gie_status make_buffers(struct side *s)
{
  struct probe *p = s->p;
  struct gie_pack *packs;
  uint32_t n_packs;
  size_t bytes;
  GIE_TRY(find_packs(s, &packs, &n_packs));
  for (uint32_t i = 0; i < p->n_in; i++) {
    if (p->in[i].dtype == GIE_DTYPE_NONE)
      continue;
    const struct gie_port *port = i < s->var.n_in ? &s->var.in[i] : &s->var.any_in;
    GIE_TRY(port_desc(s, &p->in[i], port, &s->in[i], &bytes));
    s->in_image[i] = gie_arena_alloc(&p->arena, bytes ? bytes : 1, 1);
    if (!s->in_image[i])
      return GIE_E_MEMORY;
    probe_convert(&p->in[i], p->in_host[i], &s->in[i], s->in_image[i]);
    GIE_TRY(pack_operand(s, packs, n_packs, i, &s->in_image[i], &bytes));
    GIE_TRY(buffer_new(s, &s->in_buf[i], bytes, s->in_image[i]));
  }
  for (uint32_t i = 0; i < p->n_out; i++) {
    const struct gie_port *port = i < s->var.n_out ? &s->var.out[i] : &s->var.any_out;
    GIE_TRY(port_desc(s, &p->out[i], port, &s->out[i], &bytes));
    GIE_TRY(buffer_new(s, &s->out_buf[i], bytes, NULL));
  }
  return GIE_OK;
}

static gie_status make_workspace(struct side *s, bool suspect)
{
  struct probe *p = s->p;
  uint64_t limit = p->rq->max_workspace ? p->rq->max_workspace : MAX_WORKSPACE;
  size_t bytes = s->k->workspace ? s->k->workspace(s->k, &s->prob, &s->var) : 0;
  if (suspect)
    p->result->workspace = bytes;
  if (bytes > limit)
    return verdict(p, PROBE_LIMIT, "asks for %zu bytes of workspace, at most %llu are there", bytes,
                   (unsigned long long)limit);
  return bytes ? buffer_new(s, &s->workspace, bytes, NULL) : GIE_OK;
}

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static gie_status launch(struct side *s)
{
  struct probe *p = s->p;
  void **in = gie_arena_alloc(&p->arena, p->n_in + p->n_out + 1, sizeof in[0]),
       **out = in ? in + p->n_in : NULL;
  if (!in)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < p->n_in; i++)
    in[i] = buffer_at(&s->in_buf[i]);
  for (uint32_t i = 0; i < p->n_out; i++)
    out[i] = buffer_at(&s->out_buf[i]);
  const struct gie_launch l = {
      .struct_size = sizeof l,
      .in = in,
      .out = out,
      .workspace = buffer_at(&s->workspace),
      .library = s->library,
      .threads = 1,
      .ctx = p->ctx,
  };
  double start = now();
  gie_status st = s->k->run(s->instance, &l);
  if (st != GIE_OK)
    return callback_failed(s, "run", st);
  st = s->device->sync(s->dev, NULL);
  s->seconds = now() - start;
  return st == GIE_OK ? GIE_OK : callback_failed(s, "waiting for the device after run", st);
}

/* What the run left behind: operands unchanged, guards whole, results fetched. */
static gie_status collect(struct side *s)
{
  struct probe *p = s->p;
  void *data;
  for (uint32_t i = 0; i < p->n_out; i++) {
    size_t n = (size_t)gie_desc_count(&p->out[i]) * gie_dtype_size(p->out[i].dtype);
    GIE_TRY(buffer_check(s, &s->out_buf[i], "result", i, &data));
    if (!probe_pads_zero(&s->out[i], data))
      return verdict(p, PROBE_WRONG, "the pad lanes of result %u are not zero", i);
    s->out_plain[i] = gie_arena_alloc(&p->arena, n ? n : 1, 1);
    if (!s->out_plain[i])
      return GIE_E_MEMORY;
    probe_convert(&s->out[i], data, &p->out[i], s->out_plain[i]);
  }
  for (uint32_t i = 0; i < p->n_in; i++) {
    GIE_TRY(buffer_check(s, &s->in_buf[i], "operand", i, &data));
    if (data && memcmp(data, s->in_image[i], s->in_buf[i].bytes) != 0)
      return verdict(p, PROBE_STRAY, "wrote into operand %u", i);
  }
  return buffer_check(s, &s->workspace, "workspace", 0, NULL);
}

static gie_status side_arrays(struct side *s)
{
  struct probe *p = s->p;
  struct gie_arena *a = &p->arena;
  s->in = gie_arena_alloc(a, p->n_in + 1, sizeof s->in[0]);
  s->out = gie_arena_alloc(a, p->n_out + 1, sizeof s->out[0]);
  s->in_buf = gie_arena_alloc(a, p->n_in + 1, sizeof s->in_buf[0]);
  s->out_buf = gie_arena_alloc(a, p->n_out + 1, sizeof s->out_buf[0]);
  s->in_image = gie_arena_alloc(a, p->n_in + 1, sizeof s->in_image[0]);
  s->out_plain = gie_arena_alloc(a, p->n_out + 1, sizeof s->out_plain[0]);
  bool ok = s->in && s->out && s->in_buf && s->out_buf && s->in_image && s->out_plain;
  return ok ? GIE_OK : GIE_E_MEMORY;
}

static gie_status side_run(struct side *s, bool suspect)
{
  struct probe *p = s->p;
  GIE_TRY(side_arrays(s));
  GIE_TRY(make_buffers(s));
  s->prob.in = s->in;
  s->prob.out = s->out;
  GIE_TRY(make_workspace(s, suspect));
  gie_status st = s->k->create(s->k, &s->prob, &s->var, &s->instance);
  if (st != GIE_OK)
    return callback_failed(s, "create", st);
  if (!s->instance)
    return verdict(p, PROBE_FAILED, "create reports success without an instance");
  GIE_TRY(launch(s));
  GIE_TRY(collect(s));
  for (uint32_t i = 0; suspect && i < p->rq->repeat; i++) {
    GIE_TRY(launch(s));
    if (i == 0 || s->seconds < p->result->seconds)
      p->result->seconds = s->seconds;
  }
  return GIE_OK;
}

static void side_close(struct side *s)
{
  struct probe *p = s->p;
  if (s->instance && s->k->destroy)
    s->k->destroy(s->instance);
  for (uint32_t i = 0; s->in_buf && i < p->n_in; i++)
    if (s->in_buf[i].base)
      s->device->free(s->dev, s->in_buf[i].base);
  for (uint32_t i = 0; s->out_buf && i < p->n_out; i++)
    if (s->out_buf[i].base)
      s->device->free(s->dev, s->out_buf[i].base);
  if (s->workspace.base)
    s->device->free(s->dev, s->workspace.base);
  if (s->library && s->k->library->close)
    s->k->library->close(s->library);
  if (s->dev)
    s->device->close(s->dev);
  memset(s, 0, sizeof *s);
  s->p = p;
}

/* ---- Suspect against reference */

static bool lists_op(const struct gie_kernel *k, const char *op)
{
  for (const char *const *o = k->ops; *o; o++)
    if (strcmp(*o, op) == 0)
      return true;
  return false;
}

/* A kernel of the cpu backend that is not the suspect; left open in *s. */
static gie_status open_reference(struct side *s, const struct gie_kernel *suspect, bool *found)
{
  struct probe *p = s->p;
  char why[256] = "";
  *found = false;
  for (uint32_t i = 0; (s->k = gie_kernel_at(p->ctx, i)); i++) {
    if (s->k == suspect || strncmp(s->k->name, "cpu.", 4) != 0 || !lists_op(s->k, p->node->op->name))
      continue;
    GIE_TRY(side_open(s));
    *found = s->k->supports(s->k, &s->prob, why, sizeof why);
    if (*found)
      return choose_variant(s, true, 0);
    side_close(s);
  }
  return GIE_OK;
}

static gie_status hash_results(struct probe *p, void *const *plain)
{
  struct gie_sha256 h;
  unsigned char digest[32];
  gie_sha256_init(&h);
  for (uint32_t i = 0; i < p->n_out; i++)
    gie_sha256_update(&h, plain[i], (size_t)gie_desc_count(&p->out[i]) * gie_dtype_size(p->out[i].dtype));
  gie_sha256_final(&h, digest);
  gie_sha256_hex(digest, p->result->hash);
  return GIE_OK;
}

/* The least exact dtype of what the variant reads and writes decides, unless somebody says more. */
static double tolerance(const struct side *s, uint32_t out)
{
  const struct probe *p = s->p;
  double t = probe_tolerance(p->out[out].dtype);
  for (uint32_t i = 0; i < p->n_in; i++)
    if (gie_dtype_class(s->in[i].dtype) == 'f' && gie_dtype_class(p->out[out].dtype) == 'f')
      t = fmax(t, probe_tolerance(s->in[i].dtype));
  t = fmax(t, probe_tolerance(s->out[out].dtype));
  return p->rq->tolerance > 0 ? p->rq->tolerance : s->var.error > 0 ? (double)s->var.error : t;
}

static gie_status compare(struct side *suspect, void *const *expected)
{
  struct probe *p = suspect->p;
  struct probe_diff d;
  p->result->compared = true;
  for (uint32_t i = 0; i < p->n_out; i++) {
    char a[GIE_NUMBER_MAX], b[GIE_NUMBER_MAX], e[GIE_NUMBER_MAX];
    probe_compare(p->out[i].dtype, suspect->out_plain[i], expected[i], gie_desc_count(&p->out[i]), &d);
    p->result->error = fmax(p->result->error, d.error);
    if (d.error > tolerance(suspect, i))
      return verdict(p, PROBE_WRONG,
                     "result %u differs from the reference: element %lld is %s instead of %s "
                     "(error %s)",
                     i, (long long)d.at, gie_double_text(d.a, a), gie_double_text(d.b, b),
                     gie_double_text(d.error, e));
  }
  return GIE_OK;
}

static gie_status against_reference(struct side *suspect)
{
  struct side ref = {.p = suspect->p};
  bool found;
  gie_status st = open_reference(&ref, suspect->k, &found);
  if (st == GIE_OK && found) {
    st = side_run(&ref, false);
    if (st == GIE_OK)
      st = compare(suspect, ref.out_plain);
    else if (st == GIE_E_NO) /* the reference itself misbehaves: no answer about the suspect */
      st = gie_fail(suspect->p->ctx, GIE_E_INTERNAL, "the reference kernel %s: %s", ref.k->name,
                    suspect->p->result->text);
  }
  side_close(&ref);
  return st;
}

/* Variants may fuse only the first steps: then that is the problem. */
static gie_status open_suspect(struct side *s)
{
  struct probe *p = s->p;
  char why[256] = "";
  GIE_TRY(side_open(s));
  if (!lists_op(s->k, p->node->op->name))
    return verdict(p, PROBE_REFUSED, "does not list the op %s", p->node->op->name);
  if (!s->k->supports(s->k, &s->prob, why, sizeof why))
    return verdict(p, PROBE_REFUSED, "%s", why[0] ? why : "supports() gives no reason");
  GIE_TRY(choose_variant(s, p->rq->any_config, p->rq->config));
  if (s->var.n_steps == p->node->n_steps)
    return GIE_OK;
  uint64_t config = s->var.config;
  GIE_TRY(gie_node_cut_steps(p->g, p->node->id, s->var.n_steps));
  GIE_TRY(gie_node_infer(p->g, p->node->id));
  GIE_TRY(describe(p));
  side_close(s);
  s->k = mod_find(p->ctx, MOD_KERNEL, p->rq->kernel);
  GIE_TRY(side_open(s));
  return choose_variant(s, false, config);
}

static gie_status probe(struct probe *p)
{
  struct side suspect = {.p = p, .k = mod_find(p->ctx, MOD_KERNEL, p->rq->kernel)};
  if (!suspect.k)
    return gie_fail(p->ctx, GIE_E_USAGE, "there is no kernel \"%s\"; see gie plugin list", p->rq->kernel);
  GIE_TRY(check_graph(p));
  GIE_TRY(describe(p));
  gie_status st = open_suspect(&suspect);
  if (st == GIE_OK)
    st = side_run(&suspect, true);
  if (st == GIE_OK)
    st = hash_results(p, suspect.out_plain);
  if (st == GIE_OK)
    st = against_reference(&suspect);
  side_close(&suspect);
  return st;
}

gie_status probe_run(const struct gie_graph *g, const struct probe_request *rq, struct probe_result *out)
{
  struct probe_result result = {.verdict = PROBE_OK};
  struct probe p = {.ctx = gie_graph_context(g), .rq = rq, .result = &result};
  gie_arena_init(&p.arena, p.ctx);
  gie_status st = gie_graph_clone(g, &p.g);
  if (st == GIE_OK)
    st = probe(&p);
  gie_graph_free(p.g);
  gie_arena_free(&p.arena);
  if (st != GIE_OK && st != GIE_E_NO)
    return st;
  /* E_NO without a verdict would be a probe that says "fine" about nothing. */
  if (st == GIE_E_NO && result.verdict == PROBE_OK)
    return gie_fail(p.ctx, GIE_E_INTERNAL, "a device of the probe failed with E_NO");
  *out = result;
  return GIE_OK;
}
