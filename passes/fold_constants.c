/* SPDX-License-Identifier: Apache-2.0 */
/* What can be computed now is.
 *
 *     %s = shape(%x)            with %x : f32[1,3,…]     ->   const %s
 *     %y = transpose(%w)        with %w constant         ->   const %y
 *
 * Values whose elements shape inference knows as numbers become constants as they are, whatever
 * they are computed from. Nodes whose operands are all constant run once, on the CPU.
 *
 * Does not fire: impure and opaque nodes, nodes with bodies, graph outputs (an output stays the
 * result of a node), results of unknown shape, results that are large and more than four times as
 * large as the operands (an expand is cheaper to run than to store), and nodes that fail when they
 * run: they fail again, with their message, where it matters. */
#include "core/run/run.h"
#include "passes/perm.h"

#define SMALL ((size_t)1 << 20) /* bytes that a result may always have */
#define GROWTH 4

struct fold {
  struct gie_graph *g;
  struct gie_context *ctx;
  struct run_once once; /* opened at the first node that has to run */
  bool open, no_device;
  unsigned char *news; /* by value: its readers can be inferred better than before */
  uint32_t n_news;
};

/* ---- Values that inference knows ---------------------------------------------------------------- */

static void put_int(unsigned char *p, size_t size, int64_t v)
{
  for (size_t i = 0; i < size; i++)
    p[i] = (unsigned char)((uint64_t)v >> (8 * i));
}

static gie_status known_constant(struct gie_graph *g, const struct gie_value *v, gie_id *out)
{
  int64_t elements[GIE_MAX_KNOWN], count;
  uint32_t n;
  size_t size = gie_dtype_size(v->type.dtype);
  struct gie_blob *blob;
  char cls = gie_dtype_class(v->type.dtype);
  if (cls == 'f' || !cls || !gie_value_ints(g, v->id, elements, GIE_MAX_KNOWN, &n))
    return GIE_OK;
  for (int i = 0; i < v->type.shape.rank; i++)
    if (!gie_dim_is_num(v->type.shape.dim[i]))
      return GIE_OK;
  if (gie_shape_count(gie_graph_context(g), &v->type.shape, &count) != GIE_OK || count != n)
    return GIE_OK;
  GIE_TRY(gie_blob_new(gie_graph_context(g), n * size, &blob));
  for (uint32_t i = 0; i < n; i++)
    put_int((unsigned char *)gie_blob_data(blob) + i * size, size, elements[i]);
  return pass_const(g, &v->type, blob, out);
}

static bool is_pure(const struct gie_node *n)
{
  return !(n->op->flags & (GIE_OP_IMPURE | GIE_OP_OPAQUE)) && n->n_captures == 0;
}

static bool is_output(const struct gie_graph *g, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_out; i++)
    if (gie_value_get(g, n->out[i])->n_outputs)
      return true;
  return false;
}

/* Readers of the value read the constant, which takes over its name once the node is gone. */
static gie_status replace(struct fold *f, const struct gie_value *v, gie_id constant)
{
  if (constant < f->n_news)
    f->news[constant] = 1;
  return gie_value_replace(f->g, v->id, constant);
}

static gie_status fold_known(struct fold *f, const struct gie_node *n, bool *folded)
{
  const struct gie_value *v = gie_value_get(f->g, n->out[0]);
  gie_id constant = GIE_NONE;
  *folded = false;
  if (!is_pure(n) || n->n_out != 1 || n->n_steps || v->n_outputs || !v->n_uses || !pass_is_plain(v))
    return GIE_OK;
  GIE_TRY(known_constant(f->g, v, &constant));
  if (constant == GIE_NONE)
    return GIE_OK;
  GIE_TRY(replace(f, v, constant));
  GIE_TRY(gie_node_remove(f->g, n->id));
  *folded = true;
  return gie_value_rename(f->g, constant, v->name);
}

/* ---- Nodes with constant operands --------------------------------------------------------------- */

static size_t bytes_of(struct gie_context *ctx, const struct gie_type *t)
{
  int64_t count;
  size_t bytes;
  if (gie_shape_count(ctx, &t->shape, &count) != GIE_OK ||
      !gie_mul((size_t)count, gie_dtype_size(t->dtype), &bytes))
    return SIZE_MAX;
  return bytes;
}

static bool all_numbers(const struct gie_type *t)
{
  for (int i = 0; i < t->shape.rank; i++)
    if (!gie_dim_is_num(t->shape.dim[i]))
      return false;
  return t->dtype != GIE_DTYPE_NONE && t->shape.rank >= 0;
}

static bool match(const struct gie_graph *g, const struct gie_node *n)
{
  struct gie_context *ctx = gie_graph_context(g);
  size_t operands = 0, results = 0;
  if (!is_pure(n) || is_output(g, n) || pass_is_unused(g, n))
    return false;
  for (uint32_t i = 0; i < n->n_in; i++) {
    size_t size;
    if (n->in[i] == GIE_NONE)
      continue;
    if (!gie_value_bytes(g, n->in[i], &size))
      return false;
    operands += size;
  }
  for (uint32_t i = 0; i < n->n_out; i++) {
    const struct gie_value *v = gie_value_get(g, n->out[i]);
    size_t bytes = all_numbers(&v->type) ? bytes_of(ctx, &v->type) : SIZE_MAX;
    if (!pass_is_plain(v) || !gie_add(results, bytes, &results))
      return false;
  }
  return results <= SMALL || results / GROWTH <= operands;
}

/* The evaluated tensor as a constant instead of result i. */
static gie_status take_result(struct fold *f, const struct gie_value *v, struct gie_tensor *t, gie_id *out)
{
  struct gie_blob *blob;
  size_t bytes = bytes_of(f->ctx, &v->type);
  bool same = t->dtype == v->type.dtype && t->rank == v->type.shape.rank;
  for (int i = 0; same && i < t->rank; i++)
    same = t->dim[i] == v->type.shape.dim[i].b;
  if (!same)
    return gie_fail(f->ctx, GIE_E_INTERNAL, "\"%s\" was computed as something else than inferred", v->name);
  void *data = t->data;
  t->data = NULL;
  GIE_TRY(ir_blob_of(f->ctx, data, bytes, &blob));
  GIE_TRY(pass_const(f->g, &v->type, blob, out));
  return replace(f, v, *out);
}

/* Weights that nobody reads any more go at once, so that the next result finds their memory. */
static gie_status release(struct gie_graph *g, gie_id value)
{
  const struct gie_value *v = gie_value_get(g, value);
  bool goes = v && v->kind == GIE_VALUE_CONST && !v->n_uses && !v->n_outputs && v->data.size > SMALL &&
              !pass_holds_views(g, value);
  return goes ? gie_value_remove(g, value) : GIE_OK;
}

static gie_status take_results(struct fold *f, const struct gie_node *n, struct gie_tensor *t,
                               gie_id *constants)
{
  uint32_t n_out = n->n_out;
  const gie_id *out = n->out;
  for (uint32_t i = 0; i < n_out; i++) {
    constants[i] = GIE_NONE;
    if (gie_value_get(f->g, out[i])->n_uses)
      GIE_TRY(take_result(f, gie_value_get(f->g, out[i]), &t[i], &constants[i]));
  }
  gie_id operand = n->n_in == 1 ? n->in[0] : GIE_NONE;
  GIE_TRY(gie_node_remove(f->g, n->id));
  for (uint32_t i = 0; i < n_out; i++)
    if (constants[i] != GIE_NONE)
      GIE_TRY(gie_value_rename(f->g, constants[i], gie_value_get(f->g, out[i])->name));
  return release(f->g, operand);
}

/* The kernel that is on every machine moves one element after the other, and the matrices of a transformer, which
 * exporters transpose, are large. */
static gie_status transpose_matrix(struct fold *f, const struct gie_node *n, struct gie_tensor *t, bool *done)
{
  const struct gie_value *x = gie_value_get(f->g, n->in[0]), *v = gie_value_get(f->g, n->out[0]);
  int64_t perm[GIE_MAX_RANK], rows, columns;
  int rank;
  *done = false;
  if (!pass_perm(f->g, n, perm, &rank) || rank != 2 || perm[0] != 1 || n->n_steps || !pass_is_plain(x) ||
      gie_dtype_size(x->type.dtype) != 4 || x->type.dtype != v->type.dtype)
    return GIE_OK;
  rows = x->type.shape.dim[0].b, columns = x->type.shape.dim[1].b;
  *t = (struct gie_tensor){sizeof *t, x->type.dtype, 2, {columns, rows}, NULL};
  if (!(t->data = gie_alloc_raw(f->ctx, bytes_of(f->ctx, &x->type), 1)))
    return GIE_E_MEMORY;
  pass_transpose_words(gie_value_bytes(f->g, x->id, NULL), t->data, (size_t)rows, (size_t)columns);
  *done = true;
  return GIE_OK;
}

static gie_status compute(struct fold *f, const struct gie_node *n, struct gie_tensor *t)
{
  bool done;
  GIE_TRY(transpose_matrix(f, n, t, &done));
  return done ? GIE_OK : run_once_node(&f->once, f->g, n->id, NULL, t);
}

/* A node that does not run stays: that is no error of the pass. */
static gie_status run_node(struct fold *f, const struct gie_node *n, bool *folded)
{
  uint32_t n_out = n->n_out;
  struct gie_tensor *t = gie_alloc(f->ctx, n_out, sizeof *t);
  gie_id *constants = gie_alloc(f->ctx, n_out, sizeof *constants);
  gie_status s = t && constants ? compute(f, n, t) : GIE_E_MEMORY;
  if (s == GIE_OK) {
    s = take_results(f, n, t, constants);
    *folded = true;
  } else if (s != GIE_E_MEMORY) {
    gie_log(f->ctx, GIE_LOG_DEBUG, "pass", "fold_constants: left as it is: %s", gie_error_text(f->ctx));
    s = GIE_OK;
  }
  for (uint32_t i = 0; t && i < n_out; i++)
    gie_free(f->ctx, t[i].data);
  gie_free(f->ctx, t);
  gie_free(f->ctx, constants);
  return s;
}

/* Without a device nothing is computed. */
static gie_status fold_computed(struct fold *f, const struct gie_node *n, bool *folded)
{
  if (f->no_device || !match(f->g, n))
    return GIE_OK;
  if (!f->open) {
    gie_status s = run_once_open(f->ctx, NULL, &f->once);
    f->no_device = s == GIE_E_DEVICE;
    if (s != GIE_OK)
      return f->no_device ? GIE_OK : s;
    f->open = true;
  }
  return run_node(f, n, folded);
}

/* ---- Pass ---------------------------------------------------------------------------------------- */

/* With more known about its operands, more may be known about the results; that they do not fit
 * together may come out only now, which is the network's error. */
static gie_status infer_again(struct fold *f, const struct gie_node *n)
{
  bool news = false;
  for (uint32_t i = 0; i < n->n_in; i++)
    news = news || (n->in[i] < f->n_news && f->news[n->in[i]]);
  if (!news || (n->op->flags & GIE_OP_OPAQUE))
    return GIE_OK;
  for (uint32_t i = 0; i < n->n_out; i++)
    f->news[n->out[i]] = 1;
  return gie_node_infer(f->g, n->id);
}

/* In order, so that a folded result is a constant operand of the nodes behind it. */
static gie_status fold_all(struct fold *f, uint32_t *changes)
{
  for (gie_id id = gie_graph_first(f->g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(f->g, id);
    bool folded = false;
    next = n->next;
    GIE_TRY(infer_again(f, n));
    if (n->n_out)
      GIE_TRY(fold_known(f, n, &folded));
    if (!folded)
      GIE_TRY(fold_computed(f, n, &folded));
    *changes += folded;
  }
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  struct fold f = {.g = g, .ctx = pc->ctx};
  /* Each result can become one constant more. */
  f.n_news = 2 * gie_graph_n_values(g);
  f.news = gie_alloc(pc->ctx, f.n_news, 1);
  gie_status s = f.news ? fold_all(&f, changes) : GIE_E_MEMORY;
  if (f.open)
    run_once_close(&f.once);
  gie_free(pc->ctx, f.news);
  return s;
}

const struct gie_pass gie_pass_fold_constants = {
    sizeof(struct gie_pass), "fold_constants",
    "computes what has constant operands or is known from shapes; not graph outputs or what grows large", run,
    NULL};
