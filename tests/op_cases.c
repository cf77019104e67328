/* SPDX-License-Identifier: Apache-2.0 */
/* Reader and runner of the op cases; see op_cases.h. */
#include "tests/op_cases.h"

#include <math.h>

const struct op_case OP_CASES[] = {
#define OP_CASE(name, dtypes, text) {#name, dtypes, text},
#include "tests/op_cases.def"
#undef OP_CASE
};
const unsigned N_OP_CASES = sizeof OP_CASES / sizeof *OP_CASES;

const struct op_form OP_FORMS[] = {
    {"plain", 0, 0, 1, false},
    {"plain, pitched", 0, 0, 1, true},
    {"channels last", 'l', 0, 1, false},
    {"channels last, pitched", 'l', 0, 1, true},
    {"axes reversed", 'r', 0, 1, false},
    {"blocks of 8 channels", 0, 1, 8, false},
    {"blocks of 4 channels, pitched", 0, 1, 4, true},
    {"channels last, blocks of 3 images", 'l', 0, 3, false},
    {"pairs of images", 0, 0, 2, false},
    {"pairs of images, pitched", 0, 0, 2, true},
    {"last axis in blocks of 4", 0, -1, 4, false},
};
const unsigned N_OP_FORMS = sizeof OP_FORMS / sizeof *OP_FORMS;

/* ---- Cases as graphs */

bool op_case_dtype(const struct op_case *c, unsigned i, char buf[8])
{
  const char *s = c->dtypes;
  for (; i > 0 && *s; i--)
    s += strcspn(s, " ") + (s[strcspn(s, " ")] != 0);
  size_t n = strcspn(s, " ");
  if (n == 0 || n > 7)
    return false;
  memcpy(buf, s, n);
  buf[n] = 0;
  return true;
}

gie_status op_case_graph(struct gie_context *ctx, const struct op_case *c, const char *dtype,
                         struct gie_graph **out)
{
  struct gie_buf b;
  char first[8], *text;
  size_t size;
  if (!dtype && op_case_dtype(c, 0, first))
    dtype = first;
  gie_buf_init(&b, ctx);
  gie_buf_puts(&b, "graph \"case\" {\n");
  for (const char *s = c->text; *s; s++) { /* T[ is the dtype; a T inside a word is none */
    bool word = s > c->text && (s[-1] == '_' || (s[-1] >= 'a' && s[-1] <= 'z'));
    if (*s == 'T' && dtype && !word)
      gie_buf_puts(&b, dtype);
    else
      gie_buf_put(&b, s, 1);
  }
  gie_buf_puts(&b, "\n}\n");
  GIE_TRY(gie_buf_take(&b, &text, &size));
  gie_status st = gie_graph_parse(ctx, text, size, NULL, out);
  gie_free(ctx, text);
  if (st != GIE_OK)
    return gie_error_prefix(ctx, st, "case %s, %s", c->name, dtype ? dtype : "no dtype");
  return GIE_OK;
}

const struct gie_node *op_case_node(const struct gie_graph *g) { return gie_node_get(g, gie_graph_first(g)); }

/* ---- Elements */

static double load(enum gie_dtype t, const void *p)
{
  switch (t) {
#define LOAD(name, type, expr) \
  case GIE_##name: {           \
    type x;                    \
    memcpy(&x, p, sizeof x);   \
    return (double)(expr);     \
  }
    LOAD(F32, float, x)
    LOAD(F16, uint16_t, gie_f16_to_f32(x))
    LOAD(BF16, uint16_t, gie_bf16_to_f32(x))
    LOAD(F64, double, x)
    LOAD(I8, int8_t, x)
    LOAD(I16, int16_t, x)
    LOAD(I32, int32_t, x)
    LOAD(I64, int64_t, x)
    LOAD(U8, uint8_t, x)
    LOAD(U16, uint16_t, x)
    LOAD(U32, uint32_t, x)
    LOAD(U64, uint64_t, x)
    LOAD(BOOL, uint8_t, x)
  default:
    return NAN;
  }
}

static void store(enum gie_dtype t, double v, void *p)
{
  switch (t) {
#define STORE(name, type, expr) \
  case GIE_##name: {            \
    type x = (type)(expr);      \
    memcpy(p, &x, sizeof x);    \
    break;                      \
  }
    STORE(F32, float, v)
    STORE(F16, uint16_t, gie_f32_to_f16((float)v))
    STORE(BF16, uint16_t, gie_f32_to_bf16((float)v))
    STORE(F64, double, v)
    STORE(I8, int8_t, v)
    STORE(I16, int16_t, v)
    STORE(I32, int32_t, v)
    STORE(I64, int64_t, v)
    STORE(U8, uint8_t, v)
    STORE(U16, uint16_t, v)
    STORE(U32, uint32_t, v)
    STORE(U64, uint64_t, v)
    STORE(BOOL, uint8_t, v != 0)
  default:
    break;
  }
}

/* Multiples of 1/8 in [-4, 4], of 1 in [-16, 16] or [0, 16]: exact in every dtype of the class. */
static double sample(uint32_t *state, enum gie_dtype t)
{
  *state = *state * 1664525u + 1013904223u;
  uint32_t r = *state >> 12;
  switch (gie_dtype_class(t)) {
  case 'f':
    return ((double)(r % 65) - 32) / 8;
  case 'i':
    return (double)(r % 33) - 16;
  case 'u':
    return r % 17;
  default:
    return r & 1;
  }
}

static bool next_index(int rank, const int64_t *dim, int64_t *idx)
{
  for (int i = rank - 1; i >= 0; i--) {
    if (++idx[i] < dim[i])
      return true;
    idx[i] = 0;
  }
  return false;
}

/* ---- Buffers: a tensor in a form, inside its base, inside guard zones */

#define GUARD 256
#define UNTOUCHED 0xa5

struct buffer {
  struct gie_desc desc, plain;
  size_t bytes, offset; /* of the base; of the tensor in it */
  char *host;           /* GUARD + bytes + GUARD */
  char *device;
};

static struct gie_layout layout_of(const struct op_form *form, int rank)
{
  struct gie_layout l = {0};
  int axis = form->block_axis < 0 ? rank + form->block_axis : form->block_axis;
  if (rank < 1 || (form->permutation == 'l' && rank < 3))
    return l;
  l.rank = (uint8_t)rank;
  for (int i = 0; i < rank; i++)
    l.perm[i] = (uint8_t)(form->permutation == 'r' ? rank - 1 - i : i);
  if (form->permutation == 'l') {
    for (int i = 1; i < rank - 1; i++)
      l.perm[i] = (uint8_t)(i + 1);
    l.perm[rank - 1] = 1;
  }
  if (form->block > 1 && axis >= 0 && axis < rank) {
    l.block_axis = (uint8_t)axis;
    l.block = (uint16_t)form->block;
  }
  return l;
}

static gie_status buffer_make(struct gie_context *ctx, const struct gie_type *t, const struct op_form *form,
                              const struct gie_port *port, struct buffer *b)
{
  static const struct gie_layout plain;
  struct gie_layout l = port && !port->layout.any ? port->layout : layout_of(form, t->shape.rank);
  struct gie_type big = *t;
  struct gie_desc base;
  int axis = t->shape.rank > 1 ? 1 : 0;
  int64_t block = l.block > 1 ? l.block : 1, extent = 0, first = 0;
  size_t size = gie_dtype_size(t->dtype);
  int64_t unit = port && size && port->align > size ? port->align / (int64_t)size
                                                    : 1; /* for aligned ranges */
  bool pitched = form->pitched && t->shape.rank > 0 && (!port || port->pitch);
  GIE_TRY(gie_desc_make(ctx, t, &plain, &b->plain, NULL));
  if (pitched) {
    extent = t->shape.dim[axis].b;
    first = block > unit ? block : unit;
    big.shape.dim[axis].b = first + (extent + block - 1) / block * block;
    if (l.block <= 1 ||
        l.block_axis != axis) /* something behind it, too; only the last range may own padding */
      big.shape.dim[axis].b = (big.shape.dim[axis].b + 1 + unit) / unit * unit;
  }
  GIE_TRY(gie_desc_make(ctx, &big, &l, &base, &b->bytes));
  b->desc = base;
  b->offset = 0;
  if (pitched)
    GIE_TRY(gie_desc_view(ctx, &base, axis, first, extent, &b->desc, &b->offset));
  b->host = gie_alloc_raw(ctx, 1, b->bytes + 2 * GUARD);
  if (!b->host)
    return GIE_E_MEMORY;
  memset(b->host, UNTOUCHED, b->bytes + 2 * GUARD);
  return GIE_OK;
}

static char *element(const struct buffer *b, const int64_t *idx)
{
  return b->host + GUARD + b->offset + (size_t)gie_desc_offset(&b->desc, idx) * gie_dtype_size(b->desc.dtype);
}

static uint32_t seed_of(uint32_t operand) { return 7 * operand + 1; }

/* From the plain bytes of a constant of dtype `from`, or from pseudo-random numbers. */
static void buffer_fill(struct buffer *b, const char *constant, enum gie_dtype from, uint32_t seed)
{
  const struct gie_desc *d = &b->desc;
  size_t size = gie_dtype_size(d->dtype), from_size = gie_dtype_size(from);
  int64_t idx[GIE_MAX_RANK] = {0}, i = 0;
  if (gie_desc_count(d) == 0)
    return;
  struct gie_desc padded = *d; /* pad lanes are zero */
  if (d->layout.block > 1)
    padded.dim[d->layout.block_axis] = (d->dim[d->layout.block_axis] + d->layout.block - 1) /
                                       d->layout.block * d->layout.block;
  do
    memset(element(b, idx), 0, size);
  while (next_index(d->rank, padded.dim, idx));
  do {
    if (constant && from == d->dtype)
      memcpy(element(b, idx), constant + (size_t)i++ * size, size);
    else if (constant)
      store(d->dtype, load(from, constant + (size_t)i++ * from_size), element(b, idx));
    else
      store(d->dtype, sample(&seed, d->dtype), element(b, idx));
  } while (next_index(d->rank, d->dim, idx));
}

/* Every byte outside the tensor and its pad lanes is untouched, and the lanes are zero. */
static gie_status buffer_check(struct gie_context *ctx, const struct buffer *b, uint32_t result)
{
  const struct gie_desc *d = &b->desc;
  size_t size = gie_dtype_size(d->dtype), total = b->bytes + 2 * GUARD;
  struct gie_desc padded = *d;
  int64_t idx[GIE_MAX_RANK] = {0};
  int a = d->layout.block > 1 ? d->layout.block_axis : -1;
  if (a >= 0)
    padded.dim[a] = (d->dim[a] + d->layout.block - 1) / d->layout.block * d->layout.block;
  char *mine = gie_alloc(ctx, total, 1);
  gie_status st = mine ? GIE_OK : GIE_E_MEMORY;
  if (mine && gie_desc_count(d) > 0)
    do {
      char *e = element(b, idx);
      memset(mine + (e - b->host), 1, size);
      for (size_t i = 0; i < size && a >= 0 && idx[a] >= d->dim[a]; i++)
        if (e[i] != 0)
          st = gie_fail(ctx, GIE_E_NO, "result %u: a pad lane is not zero", result);
    } while (next_index(d->rank, padded.dim, idx));
  for (size_t i = 0; mine && i < total; i++)
    if (!mine[i] && (unsigned char)b->host[i] != UNTOUCHED)
      st = gie_fail(ctx, GIE_E_NO, "result %u: byte %lld from its base's start was overwritten", result,
                    (long long)i - GUARD);
  gie_free(ctx, mine);
  return st;
}

static gie_status buffer_read(struct gie_context *ctx, const struct buffer *b, struct op_result *out)
{
  int64_t idx[GIE_MAX_RANK] = {0}, n = 0;
  out->count = gie_desc_count(&b->desc);
  out->v = gie_alloc(ctx, (size_t)out->count, sizeof *out->v);
  if (!out->v)
    return GIE_E_MEMORY;
  if (out->count > 0)
    do
      out->v[n++] = load(b->desc.dtype, element(b, idx));
    while (next_index(b->desc.rank, b->desc.dim, idx));
  return GIE_OK;
}

/* ---- Running */

struct run {
  const struct op_device *d;
  struct gie_context *ctx;
  const struct gie_graph *g;
  const struct gie_node *n;
  const struct gie_kernel *k;
  struct buffer *b; /* operands, then results */
  struct gie_desc *descs, *plain;
  const void **in_data;
  void **changed; /* constants in the dtype that a variant asks for */
  void **pointers;
  void *instance, *workspace;
  void *packed[GIE_MAX_IO];
};

/* Constant operand i with the dtype of its buffer, as a builder hands it to a kernel. */
static gie_status change_constant(struct run *r, uint32_t i, enum gie_dtype from)
{
  enum gie_dtype to = r->b[i].desc.dtype;
  const char *bytes = r->in_data[i];
  int64_t count = gie_desc_count(&r->b[i].desc);
  if (!bytes || from == to)
    return GIE_OK;
  char *out = gie_alloc(r->ctx, (size_t)count, gie_dtype_size(to));
  if (!out)
    return GIE_E_MEMORY;
  for (int64_t k = 0; k < count; k++)
    store(to, load(from, bytes + (size_t)k * gie_dtype_size(from)), out + (size_t)k * gie_dtype_size(to));
  r->in_data[i] = r->changed[i] = out;
  return GIE_OK;
}

static gie_status make_buffers(struct run *r, const struct gie_variant *v, const struct op_form *form)
{
  for (uint32_t i = 0; i < r->n->n_in + r->n->n_out; i++) {
    bool is_in = i < r->n->n_in;
    uint32_t j = is_in ? i : i - r->n->n_in;
    gie_id id = is_in ? r->n->in[i] : r->n->out[j];
    if (id == GIE_NONE)
      continue;
    const struct gie_value *value = gie_value_get(r->g, id);
    const struct gie_port *port = v ? is_in          ? j < v->n_in ? &v->in[j] : &v->any_in
                                      : j < v->n_out ? &v->out[j]
                                                     : &v->any_out
                                    : NULL;
    struct gie_type type = value->type;
    if (port && port->dtype != GIE_DTYPE_NONE)
      type.dtype = port->dtype;
    GIE_TRY(buffer_make(r->ctx, &type, form, port, &r->b[i]));
    if (is_in) {
      r->in_data[i] = gie_value_bytes(r->g, id, NULL);
      buffer_fill(&r->b[i], r->in_data[i], value->type.dtype, seed_of(i));
      GIE_TRY(change_constant(r, i, value->type.dtype));
    }
    r->descs[i] = r->b[i].desc;
    r->plain[i] = r->b[i].plain;
  }
  return GIE_OK;
}

static gie_status move_buffers(struct run *r, enum gie_copy kind)
{
  bool host = r->d->info.flags & GIE_DEVICE_HOST;
  for (uint32_t i = 0; i < r->n->n_in + r->n->n_out; i++) {
    struct buffer *b = &r->b[i];
    size_t total = b->bytes + 2 * GUARD;
    if (!b->host)
      continue;
    if (!host && !b->device)
      GIE_TRY(r->d->ops->alloc(r->d->dev, total, (void **)&b->device));
    if (!host && kind == GIE_COPY_TO_DEVICE)
      GIE_TRY(r->d->ops->copy(r->d->dev, b->device, b->host, total, kind, NULL));
    else if (!host)
      GIE_TRY(r->d->ops->copy(r->d->dev, b->host, b->device, total, kind, NULL));
    r->pointers[i] = (host ? b->host : b->device) + GUARD + b->offset;
  }
  return r->d->ops->sync(r->d->dev, NULL);
}

/* Constants that the kernel wants in a form of its own, packed as the engine does it. */
static gie_status pack(struct run *r, const struct gie_problem *p, const struct gie_variant *v)
{
  struct gie_pack packs[GIE_MAX_IO];
  memset(packs, 0, sizeof packs);
  uint32_t n = r->k->pack_desc ? r->k->pack_desc(r->k, p, v, packs, GIE_MAX_IO) : 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t j = packs[i].operand;
    if (j >= p->n_in || !p->in_data[j])
      return gie_fail(r->ctx, GIE_E_NO, "packs operand %u, which is no constant", (unsigned)j);
    void *host = gie_alloc(r->ctx, packs[i].bytes, 1);
    gie_status st = host ? r->k->pack(r->k, p, v, &packs[i], p->in_data[j], host) : GIE_E_MEMORY;
    if (st == GIE_OK)
      st = r->d->ops->alloc(r->d->dev, packs[i].bytes, &r->packed[i]);
    if (st == GIE_OK)
      st = r->d->ops->copy(r->d->dev, r->packed[i], host, packs[i].bytes, GIE_COPY_TO_DEVICE, NULL);
    if (st == GIE_OK)
      st = r->d->ops->sync(r->d->dev, NULL);
    gie_free(r->ctx, host);
    GIE_TRY(st);
    r->pointers[j] = r->packed[i];
  }
  return GIE_OK;
}

static gie_status launch(struct run *r, const struct gie_variant *v)
{
  struct gie_problem p = {.struct_size = sizeof p,
                          .ctx = r->ctx,
                          .graph = r->g,
                          .node = r->n,
                          .n_in = r->n->n_in,
                          .n_out = r->n->n_out,
                          .in = r->plain,
                          .out = r->plain + r->n->n_in,
                          .in_data = r->in_data,
                          .math = r->d->math,
                          .device_kind = r->k->device,
                          .device = &r->d->info,
                          .library = r->d->library,
                          .threads = r->d->threads};
  char why[256] = "";
  if (!r->k->supports(r->k, &p, why, sizeof why))
    return gie_fail(r->ctx, GIE_E_UNSUPPORTED, "%s: %s", r->k->name, why);
  p.in = r->descs;
  p.out = r->descs + r->n->n_in;
  size_t bytes = r->k->workspace ? r->k->workspace(r->k, &p, v) : 0;
  GIE_TRY(r->d->ops->alloc(r->d->dev, bytes ? bytes : 1, &r->workspace));
  GIE_TRY(pack(r, &p, v));
  GIE_TRY(r->k->create(r->k, &p, v, &r->instance));
  struct gie_launch l = {.struct_size = sizeof l,
                         .in = r->pointers,
                         .out = r->pointers + r->n->n_in,
                         .workspace = r->workspace,
                         .stream = r->d->stream,
                         .library = r->d->library,
                         .threads = r->d->threads,
                         .ctx = r->ctx};
  GIE_TRY(r->k->run(r->instance, &l));
  return r->d->ops->sync(r->d->dev, NULL);
}

static gie_status run_all(struct run *r, const struct gie_variant *v, const struct op_form *form,
                          struct op_result *results)
{
  GIE_TRY(make_buffers(r, v, form));
  GIE_TRY(move_buffers(r, GIE_COPY_TO_DEVICE));
  GIE_TRY(launch(r, v));
  GIE_TRY(move_buffers(r, GIE_COPY_TO_HOST));
  for (uint32_t i = 0; i < r->n->n_out; i++) {
    const struct buffer *b = &r->b[r->n->n_in + i];
    results[i].type = gie_value_get(r->g, r->n->out[i])->type;
    GIE_TRY(buffer_check(r->ctx, b, i));
    GIE_TRY(buffer_read(r->ctx, b, &results[i]));
  }
  return GIE_OK;
}

gie_status op_run(const struct op_device *d, const struct gie_graph *g, const struct gie_node *n,
                  const struct gie_kernel *k, const struct gie_variant *v, const struct op_form *form,
                  struct op_result *results)
{
  struct gie_context *ctx = gie_graph_context(g);
  size_t count = (size_t)n->n_in + n->n_out;
  struct run r = {.d = d, .ctx = ctx, .g = g, .n = n, .k = k};
  gie_status st = GIE_E_MEMORY;
  memset(results, 0, n->n_out * sizeof *results);
  r.b = gie_alloc(ctx, count, sizeof *r.b);
  r.descs = gie_alloc(ctx, count, sizeof *r.descs);
  r.plain = gie_alloc(ctx, count, sizeof *r.plain);
  r.in_data = gie_alloc(ctx, count, sizeof *r.in_data);
  r.pointers = gie_alloc(ctx, count, sizeof *r.pointers);
  r.changed = gie_alloc(ctx, count, sizeof *r.changed);
  if (r.b && r.descs && r.plain && r.in_data && r.pointers && r.changed)
    st = run_all(&r, v, form, results);
  if (r.instance)
    k->destroy(r.instance);
  d->ops->free(d->dev, r.workspace);
  for (size_t i = 0; r.b && i < count; i++) {
    gie_free(ctx, r.b[i].host);
    d->ops->free(d->dev, r.b[i].device);
  }
  for (size_t i = 0; r.changed && i < count; i++)
    gie_free(ctx, r.changed[i]);
  for (unsigned i = 0; i < GIE_MAX_IO; i++)
    d->ops->free(d->dev, r.packed[i]);
  gie_free(ctx, r.changed);
  gie_free(ctx, r.b);
  gie_free(ctx, r.descs);
  gie_free(ctx, r.plain);
  gie_free(ctx, r.in_data);
  gie_free(ctx, r.pointers);
  if (st != GIE_OK)
    op_results_free(ctx, results, n->n_out);
  return st;
}

gie_status op_operand(const struct gie_graph *g, const struct gie_node *n, uint32_t i, struct op_result *out)
{
  struct gie_context *ctx = gie_graph_context(g);
  struct buffer b = {0};
  *out = (struct op_result){0};
  if (i >= n->n_in || n->in[i] == GIE_NONE)
    return GIE_OK;
  out->type = gie_value_get(g, n->in[i])->type;
  GIE_TRY(buffer_make(ctx, &out->type, &OP_FORMS[0], NULL, &b));
  buffer_fill(&b, gie_value_bytes(g, n->in[i], NULL), out->type.dtype, seed_of(i));
  gie_status st = buffer_read(ctx, &b, out);
  gie_free(ctx, b.host);
  return st;
}

void op_results_free(struct gie_context *ctx, struct op_result *results, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) {
    gie_free(ctx, results[i].v);
    results[i].v = NULL;
  }
}

/* ---- Comparing */

bool op_constant(const struct gie_graph *g, const char *name, struct op_result *out)
{
  struct gie_context *ctx = gie_graph_context(g);
  gie_id id = gie_value_find(g, name);
  size_t bytes;
  const char *data = id == GIE_NONE ? NULL : gie_value_bytes(g, id, &bytes);
  if (!data)
    return false;
  out->type = gie_value_get(g, id)->type;
  size_t size = gie_dtype_size(out->type.dtype);
  out->count = (int64_t)(bytes / size);
  out->v = gie_alloc(ctx, (size_t)out->count, sizeof *out->v);
  for (int64_t i = 0; out->v && i < out->count; i++)
    out->v[i] = load(out->type.dtype, data + (size_t)i * size);
  return out->v != NULL;
}

bool op_compare(const struct op_result *a, const struct op_result *b, double r, char *text, size_t size)
{
  double peak = 0, worst = 0;
  int64_t at = -1;
  if (a->count != b->count || a->type.shape.rank != b->type.shape.rank)
    return snprintf(text, size, "%lld elements instead of %lld", (long long)a->count, (long long)b->count),
           false;
  for (int i = 0; i < a->type.shape.rank; i++)
    if (a->type.shape.dim[i].b != b->type.shape.dim[i].b)
      return snprintf(text, size, "axis %d is %lld instead of %lld", i, (long long)a->type.shape.dim[i].b,
                      (long long)b->type.shape.dim[i].b),
             false;
  for (int64_t i = 0; i < b->count; i++)
    if (isfinite(b->v[i]) && fabs(b->v[i]) > peak)
      peak = fabs(b->v[i]);
  for (int64_t i = 0; i < a->count; i++) {
    bool odd = !isfinite(a->v[i]) || !isfinite(b->v[i]);
    bool same = a->v[i] == b->v[i] || (isnan(a->v[i]) && isnan(b->v[i]));
    double error = odd ? same ? 0 : INFINITY : fabs(a->v[i] - b->v[i]);
    if (error > worst) {
      worst = error;
      at = i;
    }
  }
  if (worst <= r * peak)
    return true;
  snprintf(text, size, "element %lld is %.9g instead of %.9g; allowed is %.3g of %.6g", (long long)at,
           a->v[at], b->v[at], r, peak);
  return false;
}

double op_epsilon(enum gie_dtype t)
{
  switch (t) {
  case GIE_F32:
    return 0x1p-23;
  case GIE_F16:
    return 0x1p-10;
  case GIE_BF16:
    return 0x1p-7;
  case GIE_F64:
    return 0x1p-45;
  default:
    return 0;
  }
}
