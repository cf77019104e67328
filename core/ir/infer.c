/* SPDX-License-Identifier: Apache-2.0 */
/* Inference of one node: gathers the operands' types and known elements, calls the op's shape
 * function, checks what it said (it may be a module's), runs through the epilogue, and writes the
 * results' types. */
#include "core/ir/infer.h"

/* What the shape function sees of the operands. Small nodes fit into the frame, others into the arena. */
enum { FEW = 6 };
struct frame {
  struct gie_arena arena;
  const enum gie_dtype *as; /* by operand: element types to suppose, NONE: its own; NULL: all their own */
  struct gie_type *in;
  const struct gie_dim **known;
  uint32_t *n_known;
  struct gie_type few_in[FEW];
  const struct gie_dim *few_known[FEW];
  uint32_t few_n_known[FEW];
  struct gie_dim pool[GIE_MAX_KNOWN];
  uint32_t pooled;
};

/* ---- Operands -------------------------------------------------------------------------------------- */

static gie_status frame_init(struct frame *f, struct gie_context *ctx, uint32_t n, const enum gie_dtype *as)
{
  gie_arena_init(&f->arena, ctx);
  f->as = as;
  f->pooled = 0;
  f->in = f->few_in;
  f->known = f->few_known;
  f->n_known = f->few_n_known;
  if (n <= FEW)
    return GIE_OK;
  f->in = gie_arena_alloc(&f->arena, n, sizeof *f->in);
  f->known = gie_arena_alloc(&f->arena, n, sizeof(struct gie_dim *));
  f->n_known = gie_arena_alloc(&f->arena, n, sizeof *f->n_known);
  return f->in && f->known && f->n_known ? GIE_OK : GIE_E_MEMORY;
}

/* Elements of a small integer constant as dims. A tensor that execution has bound to a value counts too. */
static gie_status const_elements(struct frame *f, const struct gie_value *v, uint32_t i)
{
  size_t size = gie_dtype_size(v->type.dtype), n = size ? v->data.size / size : 0;
  const char *bytes = (const char *)gie_blob_data(v->data.blob) + v->data.offset;
  char cls = gie_dtype_class(v->type.dtype);
  if (cls == 'f' || cls == 0 || n > GIE_MAX_KNOWN)
    return GIE_OK;
  struct gie_dim *k = &f->pool[f->pooled];
  if (n > GIE_MAX_KNOWN - f->pooled) {
    if (!(k = gie_arena_alloc(&f->arena, n, sizeof *k)))
      return GIE_E_MEMORY;
  } else {
    f->pooled += (uint32_t)n;
  }
  for (size_t j = 0; j < n; j++) {
    int64_t e;
    k[j] = ir_int_at(v->type.dtype, bytes, j, &e) ? gie_dim_num(e) : gie_dim_unknown();
  }
  f->known[i] = k;
  f->n_known[i] = (uint32_t)n;
  return GIE_OK;
}

static struct gie_type type_of(const struct frame *f, const struct gie_value *v, uint32_t i)
{
  static const struct gie_type unknown = {GIE_DTYPE_NONE, {-1, {{0, 0, 0}}}};
  struct gie_type t = v ? v->type : unknown;
  if (v && f->as && f->as[i] != GIE_DTYPE_NONE)
    t.dtype = f->as[i];
  return t;
}

static gie_status gather_operand(struct frame *f, const struct gie_graph *g, gie_id id, uint32_t i)
{
  const struct gie_value *v = gie_value_get(g, id);
  f->in[i] = type_of(f, v, i);
  f->known[i] = NULL;
  f->n_known[i] = 0;
  if (v && v->data.blob)
    return const_elements(f, v, i);
  if (v && v->n_known <= GIE_MAX_KNOWN) {
    f->known[i] = v->known;
    f->n_known[i] = v->n_known;
  }
  return GIE_OK;
}

static gie_status dtype_fail(const struct gie_infer *x, uint32_t i, const struct ir_operand *d,
                             uint32_t wanted)
{
  char list[128] = "";
  size_t at = 0;
  for (int t = GIE_DTYPE_NONE + 1; t < GIE_DTYPE_COUNT && at < sizeof list; t++)
    if (wanted >> t & 1)
      at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "",
                             gie_dtype_name((enum gie_dtype)t));
  return gie_fail(x->ctx, GIE_E_TYPE, "operand %u%s%.*s%s is %s; %s takes %s", (unsigned)i, d ? " (" : "",
                  d ? d->name_len : 0, d ? d->name : "", d ? ")" : "", gie_dtype_name(x->in[i].dtype),
                  x->node->op->name, list);
}

/* Dtypes that the op's row asks for: of operand 0, and of the others as declared. */
static gie_status check_dtypes(const struct gie_infer *x)
{
  uint32_t set = x->node->op->dtypes;
  for (uint32_t i = 0; i < x->n_in; i++) {
    struct ir_operand d;
    bool declared = ir_op_operand(x->node->op, i, &d);
    uint32_t wanted = i == 0 ? set : declared ? d.dtypes : 0;
    if (i > 0 && declared && !wanted) /* follows operand 0 */
      wanted = x->in[0].dtype != GIE_DTYPE_NONE ? 1u << x->in[0].dtype : set;
    if (wanted && x->in[i].dtype != GIE_DTYPE_NONE && !(wanted >> x->in[i].dtype & 1))
      return dtype_fail(x, i, declared ? &d : NULL, wanted);
  }
  return GIE_OK;
}

/* ---- Results --------------------------------------------------------------------------------------- */

static gie_status check_dim(const struct gie_infer *x, uint32_t out, int i, struct gie_dim d)
{
  bool bad_symbol = !gie_dim_is_num(d) && gie_dim_is_known(d) &&
                    (d.a == 0 || d.sym >= gie_graph_n_symbols(x->graph));
  if (gie_dim_is_num(d) && d.b < 0)
    return gie_fail(x->ctx, GIE_E_SHAPE, "dim %d of result %u would be %lld", i, (unsigned)out,
                    (long long)d.b);
  if (bad_symbol)
    return gie_fail(x->ctx, GIE_E_INTERNAL, "the shape function of %s returned a dim with a bad symbol",
                    x->node->op->name);
  return GIE_OK;
}

/* What a shape function said must be a possible type whose size can be computed. */
static gie_status check_result(const struct gie_infer *x, uint32_t i)
{
  const struct gie_type *t = &x->out[i];
  bool numbers = t->shape.rank >= 0;
  int64_t count;
  if ((int)t->dtype < GIE_DTYPE_NONE || t->dtype >= GIE_DTYPE_COUNT || t->shape.rank < -1 ||
      t->shape.rank > GIE_MAX_RANK)
    return gie_fail(x->ctx, GIE_E_INTERNAL, "the shape function of %s returned no possible type",
                    x->node->op->name);
  for (int a = 0; a < t->shape.rank; a++) {
    GIE_TRY(check_dim(x, i, a, t->shape.dim[a]));
    numbers &= gie_dim_is_num(t->shape.dim[a]);
  }
  if (!numbers)
    return GIE_OK;
  GIE_TRY(gie_shape_count(x->ctx, &t->shape, &count));
  if (!gie_mul64(count, (int64_t)gie_dtype_size(t->dtype), &count))
    return gie_fail(x->ctx, GIE_E_LIMIT, "result %u would have more than 2^63-1 bytes", (unsigned)i);
  return GIE_OK;
}

/* Known elements must be as many as the result has; a wrong list (of a module) is dropped. */
static void check_known(struct gie_infer *x)
{
  int64_t count = 1;
  const struct gie_shape *s = &x->out[0].shape;
  bool fits = *x->n_known_out <= GIE_MAX_KNOWN && s->rank >= 0 && x->node->n_steps == 0;
  for (int i = 0; fits && i < s->rank; i++)
    fits = gie_dim_is_num(s->dim[i]) && gie_mul64(count, s->dim[i].b, &count);
  for (uint32_t i = 0; fits && i < *x->n_known_out; i++) {
    struct gie_dim d = x->known_out[i];
    fits = gie_dim_is_num(d) || !gie_dim_is_known(d) || (d.a != 0 && d.sym < gie_graph_n_symbols(x->graph));
  }
  if (!fits || count != *x->n_known_out || gie_dtype_class(x->out[0].dtype) == 'f')
    *x->n_known_out = UINT32_MAX;
}

/* ---- Epilogue ---------------------------------------------------------------------------------------- */

/* One step as a node of its own on the result so far: its shape must stay, its dtype may change. */
static gie_status infer_step(const struct frame *f, const struct gie_infer *of, const struct gie_step *s,
                             struct gie_type *result)
{
  struct gie_node n = {.id = of->node->id, .name = of->node->name, .op = s->op, .attrs = s->attrs};
  gie_id in[2] = {of->node->out[0], GIE_NONE};
  struct gie_type types[2] = {*result, *result}, out = {GIE_DTYPE_NONE, {-1, {{0, 0, 0}}}};
  struct gie_dim known[GIE_MAX_KNOWN];
  const struct gie_dim *known_in[2] = {NULL, NULL};
  uint32_t n_known_in[2] = {0, 0}, n_known = UINT32_MAX;
  n.n_in = n.n_operands = s->operand >= 0 ? 2 : 1;
  if (s->operand >= 0) {
    const struct gie_value *v = gie_value_get(of->graph, of->node->in[s->operand]);
    in[!s->reverse] = of->node->in[s->operand];
    in[s->reverse] = of->node->out[0];
    if (v)
      types[!s->reverse] = type_of(f, v, (uint32_t)s->operand);
    GIE_TRY(ir_same_dtype(of, &result->dtype, types[!s->reverse].dtype, "the step's operand"));
    GIE_TRY(ir_broadcast_to(of, &result->shape, &types[!s->reverse].shape, "the step's operand"));
  }
  n.in = in;
  n.n_out = 1;
  n.out = of->node->out;
  struct gie_infer x = {sizeof x, of->ctx,    of->graph, &n,   n.n_in, types,
                        known_in, n_known_in, 1,         &out, known,  &n_known};
  GIE_TRY(check_dtypes(&x));
  GIE_TRY(s->op->infer(&x));
  if (result->shape.rank >= 0 && !ir_shape_merge(&result->shape, &out.shape, &out.shape))
    return gie_fail(of->ctx, GIE_E_SHAPE, "the step changes the shape of the result");
  result->dtype = out.dtype;
  return GIE_OK;
}

static gie_status infer_steps(const struct frame *f, const struct gie_infer *x)
{
  enum gie_dtype first = x->out[0].dtype;
  for (uint32_t i = 0; i < x->node->n_steps; i++) {
    const struct gie_step *s = &x->node->steps[i];
    gie_status status = GIE_OK;
    if (i > 0 && x->out[0].dtype != first)
      status = gie_fail(x->ctx, GIE_E_TYPE, "only the last step may change the dtype");
    if (status == GIE_OK)
      status = infer_step(f, x, s, &x->out[0]);
    if (status != GIE_OK)
      return gie_error_prefix(x->ctx, status, "step %u (%s)", (unsigned)i, s->op->name);
  }
  return GIE_OK;
}

/* ---- Glue ----------------------------------------------------------------------------------------------- */

static gie_status infer_frame(struct frame *f, struct gie_infer *x)
{
  for (uint32_t i = 0; i < x->n_in; i++)
    GIE_TRY(gather_operand(f, x->graph, x->node->in[i], i));
  x->in = f->in;
  x->known_in = f->known;
  x->n_known_in = f->n_known;
  for (uint32_t i = 0; i < x->n_out; i++) {
    x->out[i].dtype = GIE_DTYPE_NONE;
    x->out[i].shape.rank = -1;
  }
  if (x->n_in < x->node->op->min_in)
    return gie_fail(x->ctx, GIE_E_GRAPH, "%u operands are too few", (unsigned)x->n_in);
  GIE_TRY(check_dtypes(x));
  GIE_TRY(x->node->op->infer(x));
  for (uint32_t i = 0; i < x->n_out; i++)
    GIE_TRY(check_result(x, i));
  check_known(x);
  return infer_steps(f, x);
}

static gie_status infer_types(const struct gie_graph *g, const struct gie_node *n, const enum gie_dtype *as,
                              struct gie_type *out, struct gie_dim *known, uint32_t *n_known)
{
  struct frame f;
  struct gie_infer x = {.struct_size = sizeof x,
                        .ctx = g->ctx,
                        .graph = g,
                        .node = n,
                        .n_in = n->n_operands,
                        .n_out = n->n_out,
                        .out = out,
                        .known_out = known,
                        .n_known_out = n_known};
  *n_known = UINT32_MAX;
  if (!n->op->infer) {
    for (uint32_t i = 0; i < n->n_out; i++)
      out[i] = gie_value_get(g, n->out[i])->type;
    return GIE_OK;
  }
  gie_status s = frame_init(&f, g->ctx, n->n_operands, as);
  if (s == GIE_OK)
    s = infer_frame(&f, &x);
  gie_arena_free(&f.arena);
  return s;
}

gie_status ir_infer_types(const struct gie_graph *g, const struct gie_node *n, struct gie_type *out,
                          struct gie_dim *known, uint32_t *n_known)
{
  char label[400];
  gie_status s = infer_types(g, n, NULL, out, known, n_known);
  return s == GIE_OK ? s : gie_error_prefix(g->ctx, s, "%s", ir_node_label(n, label, sizeof label));
}

gie_status ir_infer_as(const struct gie_graph *g, const struct gie_node *n, const enum gie_dtype *as,
                       struct gie_type *out)
{
  struct gie_dim known[GIE_MAX_KNOWN];
  uint32_t n_known;
  return infer_types(g, n, as, out, known, &n_known);
}

bool ir_type_merge(const struct gie_type *a, const struct gie_type *b, struct gie_type *out)
{
  struct gie_type r = *a;
  if (a->dtype == GIE_DTYPE_NONE)
    r.dtype = b->dtype;
  else if (b->dtype != GIE_DTYPE_NONE && b->dtype != a->dtype)
    return false;
  if (!ir_shape_merge(&a->shape, &b->shape, &r.shape))
    return false;
  *out = r;
  return true;
}

static bool same_elements(const struct gie_dim *a, const struct gie_dim *b, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++)
    if (a[i].a != b[i].a || a[i].b != b[i].b || a[i].sym != b[i].sym)
      return false;
  return true;
}

gie_status ir_write_known(struct gie_graph *g, struct gie_value *v, const struct gie_dim *known, uint32_t n)
{
  if (n == UINT32_MAX) {
    v->n_known = UINT32_MAX;
    return GIE_OK;
  }
  /* Inferring again is common; the same elements need no new place. */
  if (n > 0 && v->n_known == n && same_elements(v->known, known, n))
    return GIE_OK;
  const struct gie_dim *copy = gie_arena_copy(&g->arena, known, n, sizeof *known);
  if (!copy)
    return GIE_E_MEMORY;
  v->known = copy;
  v->n_known = n;
  return GIE_OK;
}

void ir_refine(struct gie_value *v, const struct gie_type *new_type)
{
  struct gie_type *old = &v->type;
  struct gie_type merged = *new_type;
  if (merged.dtype == GIE_DTYPE_NONE)
    merged.dtype = old->dtype;
  if (merged.shape.rank < 0)
    merged.shape = old->shape;
  for (int i = 0; old->shape.rank == merged.shape.rank && i < merged.shape.rank; i++)
    if (!gie_dim_is_known(merged.shape.dim[i]))
      merged.shape.dim[i] = old->shape.dim[i];
  *old = merged;
  if (v->layout.rank && v->layout.rank != v->type.shape.rank)
    memset(&v->layout, 0, sizeof v->layout); /* a layout of another rank says nothing */
}

static gie_status contradiction(const struct gie_graph *g, const struct gie_node *n,
                                const struct gie_value *v, const struct gie_type *t)
{
  struct gie_infer x = {.graph = g};
  char label[400], a[200], b[200];
  gie_status s = t->dtype != v->type.dtype ? GIE_E_TYPE : GIE_E_SHAPE;
  return gie_fail(g->ctx, s, "%s: result \"%.200s\" is declared as %s, but its operands make it %s",
                  ir_node_label(n, label, sizeof label), v->name, ir_type_text(&x, &v->type, a, sizeof a),
                  ir_type_text(&x, t, b, sizeof b));
}

static gie_status infer_and_write(struct gie_graph *g, struct ir_node *n, struct gie_type *out, bool declared)
{
  struct gie_dim known[GIE_MAX_KNOWN];
  struct gie_type merged;
  uint32_t n_known;
  GIE_TRY(ir_infer_types(g, &n->pub, out, known, &n_known));
  for (uint32_t i = 0; i < n->pub.n_out; i++) {
    struct gie_value *v = &g->values[n->pub.out[i]]->pub;
    if (declared && !ir_type_merge(&v->type, &out[i], &merged))
      return contradiction(g, &n->pub, v, &out[i]);
    if (declared)
      v->type = merged;
    ir_refine(v, &out[i]);
    GIE_TRY(ir_write_known(g, v, known, i == 0 ? n_known : UINT32_MAX));
  }
  return GIE_OK;
}

static gie_status infer_with(struct gie_graph *g, struct ir_node *n, bool declared)
{
  struct gie_type few[2], *out = few;
  if (!n->pub.op->infer)
    return GIE_OK;
  if (n->pub.op->flags & GIE_OP_BODIES)
    GIE_TRY(ir_infer_bodies(g, &n->pub, declared));
  if (n->pub.n_out > 2 && !(out = gie_alloc(g->ctx, n->pub.n_out, sizeof *out)))
    return GIE_E_MEMORY;
  gie_status s = infer_and_write(g, n, out, declared);
  if (out != few)
    gie_free(g->ctx, out);
  return s;
}

gie_status ir_infer_node(struct gie_graph *g, struct ir_node *n) { return infer_with(g, n, false); }

gie_status ir_infer_declared(struct gie_graph *g, struct ir_node *n) { return infer_with(g, n, true); }
