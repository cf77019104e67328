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
#include "passes/util.h"

#define SMALL ((size_t)1 << 20) /* bytes that a result may always have */
#define GROWTH 4

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

/* Readers of a result read the constant, which takes over the result's name once the node is gone. */
static gie_status drop_for(struct gie_graph *g, gie_id node, gie_id constant, const char *name)
{
  GIE_TRY(gie_node_remove(g, node));
  return gie_value_rename(g, constant, name);
}

static gie_status fold_known(struct gie_graph *g, uint32_t *changes)
{
  for (gie_id id = gie_graph_first(g), next; id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    gie_id constant = GIE_NONE;
    next = n->next;
    if (!is_pure(n) || n->n_out != 1 || n->n_steps || is_output(g, n))
      continue;
    const struct gie_value *v = gie_value_get(g, n->out[0]);
    if (v->n_uses && pass_is_plain(v))
      GIE_TRY(known_constant(g, v, &constant));
    if (constant == GIE_NONE)
      continue;
    GIE_TRY(gie_value_replace(g, v->id, constant));
    GIE_TRY(drop_for(g, id, constant, v->name));
    ++*changes;
  }
  return GIE_OK;
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
static gie_status take_result(struct gie_graph *g, const struct gie_value *v, const struct gie_tensor *t,
                              gie_id *out)
{
  struct gie_blob *blob;
  size_t bytes = bytes_of(gie_graph_context(g), &v->type);
  bool same = t->dtype == v->type.dtype && t->rank == v->type.shape.rank;
  for (int i = 0; same && i < t->rank; i++)
    same = t->dim[i] == v->type.shape.dim[i].b;
  if (!same)
    return gie_fail(gie_graph_context(g), GIE_E_INTERNAL,
                    "\"%s\" was computed as something else than inferred", v->name);
  GIE_TRY(gie_blob_new(gie_graph_context(g), bytes, &blob));
  if (bytes)
    memcpy(gie_blob_data(blob), t->data, bytes);
  GIE_TRY(pass_const(g, &v->type, blob, out));
  return gie_value_replace(g, v->id, *out);
}

static gie_status take_results(struct gie_graph *g, const struct gie_node *n, const struct gie_tensor *t,
                               gie_id *constants)
{
  gie_status s = GIE_OK;
  for (uint32_t i = 0; s == GIE_OK && i < n->n_out; i++) {
    constants[i] = GIE_NONE;
    if (gie_value_get(g, n->out[i])->n_uses)
      s = take_result(g, gie_value_get(g, n->out[i]), &t[i], &constants[i]);
  }
  uint32_t n_out = n->n_out;
  const gie_id *out = n->out;
  if (s == GIE_OK)
    s = gie_node_remove(g, n->id);
  for (uint32_t i = 0; s == GIE_OK && i < n_out; i++)
    if (constants[i] != GIE_NONE)
      s = gie_value_rename(g, constants[i], gie_value_get(g, out[i])->name);
  return s;
}

/* A node that does not run stays: that is no error of the pass. */
static gie_status fold_node(struct gie_graph *g, struct run_once *once, const struct gie_node *n,
                            uint32_t *changes)
{
  struct gie_context *ctx = gie_graph_context(g);
  uint32_t n_out = n->n_out;
  struct gie_tensor *t = gie_alloc(ctx, n_out, sizeof *t);
  gie_id *constants = gie_alloc(ctx, n_out, sizeof *constants);
  gie_status s = t && constants ? run_once_node(once, g, n->id, NULL, t) : GIE_E_MEMORY;
  if (s == GIE_OK) {
    s = take_results(g, n, t, constants);
    ++*changes;
  } else if (s != GIE_E_MEMORY) {
    gie_log(ctx, GIE_LOG_DEBUG, "pass", "fold_constants: left as it is: %s", gie_error_text(ctx));
    s = GIE_OK;
  }
  for (uint32_t i = 0; t && i < n_out; i++)
    gie_free(ctx, t[i].data);
  gie_free(ctx, t);
  gie_free(ctx, constants);
  return s;
}

/* In order, so that a folded result is a constant operand of the nodes behind it. The device is opened
 * at the first node that needs it; without one, nothing is computed. */
static gie_status fold_computed(struct gie_graph *g, uint32_t *changes)
{
  struct gie_context *ctx = gie_graph_context(g);
  struct run_once once;
  bool open = false;
  gie_status s = GIE_OK;
  for (gie_id id = gie_graph_first(g), next; s == GIE_OK && id != GIE_NONE; id = next) {
    const struct gie_node *n = gie_node_get(g, id);
    next = n->next;
    if (!match(g, n))
      continue;
    if (!open && (s = run_once_open(ctx, NULL, &once)) != GIE_OK)
      break;
    open = true;
    s = fold_node(g, &once, n, changes);
  }
  if (open)
    run_once_close(&once);
  return s == GIE_E_DEVICE && !open ? GIE_OK : s;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  (void)pc;
  GIE_TRY(fold_known(g, changes));
  return fold_computed(g, changes);
}

const struct gie_pass gie_pass_fold_constants = {
    sizeof(struct gie_pass), "fold_constants",
    "computes what has constant operands or is known from shapes; not graph outputs or what grows large",
    run};
