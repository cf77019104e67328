/* SPDX-License-Identifier: Apache-2.0 */
/* Text → graph (doc/ir.md): recursive descent over the tokens of lex.c. The
 * only recursion is a body inside an attribute, at most GIE_MAX_BODY_DEPTH
 * deep. Every list is bounded, nothing is allocated for a size that the text
 * merely claims, and the time is linear in the text. */
#include "core/ir/read.h"

/* ---- Nodes ------------------------------------------------------------------------------------------- */

struct result {
  struct lex_token at;
  const char *name;
  bool typed;
  struct gie_type type;
  struct storage storage;
};

struct results {
  struct result *v;
  size_t n, cap;
};

struct ids {
  gie_id *v;
  size_t n, cap;
};

static gie_status find_value(struct reader *r, const struct scope *sc, gie_id *out)
{
  struct lex *lx = &r->lx;
  char found[64];
  if (lx->tok.kind != LEX_VALUE)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected a value, found %s", lex_found(lx, found));
  *out = gie_value_find(sc->g, lx->tok.text);
  if (*out == GIE_NONE)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "undefined value %%%.100s; define it before it is used",
                    lx->tok.text);
  return lex_next(lx);
}

static gie_status add_id(struct reader *r, struct ids *ids, gie_id id)
{
  if (ids->n == TEXT_MAX_IO)
    return lex_fail(&r->lx, &r->lx.tok, GIE_E_LIMIT, "more than %d operands", TEXT_MAX_IO);
  GIE_TRY(gie_grow(r->ctx, &ids->v, &ids->cap, ids->n + 1, sizeof *ids->v));
  ids->v[ids->n++] = id;
  return GIE_OK;
}

/* "(a, _, b; c, d)": *n_operands of the ids are operands, the others captures.
 */
static gie_status read_operands(struct reader *r, const struct scope *sc, struct ids *ids, size_t *n_operands)
{
  struct lex *lx = &r->lx;
  gie_id id = GIE_NONE;
  bool more = true;
  GIE_TRY(lex_expect(lx, '('));
  if (lex_is(lx, ')') || lex_is(lx, ';'))
    more = false;
  while (more) {
    id = GIE_NONE;
    if (lex_is_word(lx, "_")) {
      GIE_TRY(lex_next(lx));
    } else {
      GIE_TRY(find_value(r, sc, &id));
    }
    GIE_TRY(add_id(r, ids, id));
    GIE_TRY(lex_accept(lx, ',', &more));
  }
  *n_operands = ids->n;
  GIE_TRY(lex_accept(lx, ';', &more));
  while (more) {
    GIE_TRY(find_value(r, sc, &id));
    GIE_TRY(add_id(r, ids, id));
    GIE_TRY(lex_accept(lx, ',', &more));
  }
  return lex_expect(lx, ')');
}

static gie_status read_results(struct reader *r, const struct scope *sc, struct results *rs)
{
  struct lex *lx = &r->lx;
  bool more = lx->tok.kind == LEX_VALUE, typed;
  while (more) {
    char found[64];
    if (lx->tok.kind != LEX_VALUE)
      return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected a result, found %s", lex_found(lx, found));
    if (rs->n == TEXT_MAX_IO)
      return lex_fail(lx, &lx->tok, GIE_E_LIMIT, "more than %d results", TEXT_MAX_IO);
    GIE_TRY(gie_grow(r->ctx, &rs->v, &rs->cap, rs->n + 1, sizeof *rs->v));
    struct result *res = &rs->v[rs->n++];
    memset(res, 0, sizeof *res);
    res->at = lx->tok;
    res->name = lx->tok.text;
    res->type.shape.rank = -1;
    GIE_TRY(lex_next(lx));
    GIE_TRY(lex_accept(lx, ':', &typed));
    if ((res->typed = typed)) {
      GIE_TRY(read_type(r, sc, &res->type));
      GIE_TRY(read_storage(r, &res->storage));
    }
    GIE_TRY(lex_accept(lx, ',', &more));
  }
  return lex_expect(lx, '=');
}

/* Every dim must be equal, unless one side does not know it. */
static bool types_agree(const struct gie_type *declared, const struct gie_type *inferred)
{
  const struct gie_shape *a = &declared->shape, *b = &inferred->shape;
  if (declared->dtype && inferred->dtype && declared->dtype != inferred->dtype)
    return false;
  if (a->rank < 0 || b->rank < 0)
    return true;
  for (int i = 0; i < a->rank && a->rank == b->rank; i++)
    if (gie_dim_is_known(a->dim[i]) && gie_dim_is_known(b->dim[i]) && !gie_dim_equal(a->dim[i], b->dim[i]))
      return false;
  return a->rank == b->rank;
}

static gie_status apply_result(struct reader *r, struct scope *sc, gie_id value, const struct result *res)
{
  const struct gie_value *v = gie_value_get(sc->g, value);
  char declared[256], inferred[256];
  if (!res->typed)
    return GIE_OK;
  if (!types_agree(&res->type, &v->type))
    return lex_fail(&r->lx, &res->at, GIE_E_SHAPE, "%%%.100s is declared %s%s, but its node makes %s%s",
                    res->name, gie_dtype_name(res->type.dtype),
                    gie_shape_text(sc->g, &res->type.shape, declared, sizeof declared),
                    gie_dtype_name(v->type.dtype),
                    gie_shape_text(sc->g, &v->type.shape, inferred, sizeof inferred));
  GIE_TRY(gie_value_set_type(sc->g, value, &res->type));
  gie_status s = apply_storage(r, sc, value, &res->storage);
  if (s != GIE_OK)
    return gie_error_prefix(r->ctx, s, "line %u, column %u", res->at.line, res->at.column);
  return GIE_OK;
}

static gie_status read_step(struct reader *r, const struct scope *sc, gie_id node)
{
  struct lex *lx = &r->lx;
  struct gie_attrs attrs = {0, NULL};
  gie_id operand = GIE_NONE;
  const char *op;
  bool reverse = lex_is_word(lx, "reverse"), taken;
  if (reverse)
    GIE_TRY(lex_next(lx));
  struct lex_token at = lx->tok;
  if (gie_node_get(sc->g, node)->n_steps == TEXT_MAX_STEPS)
    return lex_fail(lx, &at, GIE_E_LIMIT, "more than %d epilogue steps", TEXT_MAX_STEPS);
  GIE_TRY(read_word(r, true, "an epilogue step", &op));
  GIE_TRY(lex_accept(lx, '(', &taken));
  if (taken) {
    GIE_TRY(find_value(r, sc, &operand));
    GIE_TRY(lex_expect(lx, ')'));
  }
  if (lex_is(lx, '{'))
    GIE_TRY(read_attrs(r, sc, &attrs));
  GIE_TRY(fit_attrs(r, gie_op_find(r->ctx, op), &attrs));
  gie_status s = gie_node_add_step(sc->g, node, op, operand, reverse, &attrs);
  return s == GIE_OK ? s : gie_error_prefix(r->ctx, s, "line %u, column %u", at.line, at.column);
}

static gie_status read_steps(struct reader *r, const struct scope *sc, gie_id node)
{
  bool more;
  GIE_TRY(lex_accept(&r->lx, '|', &more));
  while (more) {
    GIE_TRY(read_step(r, sc, node));
    GIE_TRY(lex_accept(&r->lx, '|', &more));
  }
  return GIE_OK;
}

/* Everything behind the operands; the node is added as soon as its attributes
 * are known. */
static gie_status build_node(struct reader *r, struct scope *sc, const struct lex_token *at,
                             struct gie_node_spec *spec, const struct results *rs, const struct ids *ids,
                             gie_id *node)
{
  struct gie_attrs attrs = {0, NULL};
  struct gie_type *types = gie_arena_alloc(&r->arena, rs->n, sizeof *types);
  const char **names = gie_arena_alloc(&r->arena, rs->n, sizeof(char *));
  if (!types || !names)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < rs->n; i++) {
    types[i] = rs->v[i].type;
    names[i] = rs->v[i].name;
  }
  if (lex_is(&r->lx, '{'))
    GIE_TRY(read_attrs(r, sc, &attrs));
  const struct gie_op *op = gie_op_find(r->ctx, spec->op);
  if (!op && !spec->opaque)
    return lex_fail(&r->lx, at, GIE_E_UNSUPPORTED,
                    "unknown op %.100s; see doc/ir.md for how to carry one through", spec->op);
  GIE_TRY(fit_attrs(r, op, &attrs));
  spec->n_attrs = attrs.n;
  spec->attrs = attrs.v;
  spec->in = ids->v;
  spec->n_out = (uint32_t)rs->n;
  spec->out_names = names;
  spec->out_types = op ? NULL : types;
  gie_status s = gie_node_add(sc->g, spec, node);
  return s == GIE_OK ? s : gie_error_prefix(r->ctx, s, "line %u, column %u", at->line, at->column);
}

/* The op's name is at hand. */
static gie_status read_call(struct reader *r, struct scope *sc, const struct results *rs, struct ids *ids)
{
  struct lex *lx = &r->lx;
  struct gie_node_spec spec = GIE_NODE_SPEC(NULL);
  struct lex_token at = rs->n ? rs->v[0].at : lx->tok;
  struct gie_attrs notes = {0, NULL};
  size_t n_operands;
  gie_id node = GIE_NONE;
  bool noted;
  spec.opaque = lx->tok.kind == LEX_STRING;
  GIE_TRY(read_word(r, true, "an op", &spec.op));
  spec.opaque = spec.opaque || strstr(spec.op, "::");
  if (lx->tok.kind == LEX_STRING)
    GIE_TRY(read_word(r, true, "a node's name", &spec.name));
  GIE_TRY(read_operands(r, sc, ids, &n_operands));
  spec.n_in = (uint32_t)n_operands;
  GIE_TRY(build_node(r, sc, &at, &spec, rs, ids, &node));
  GIE_TRY(read_steps(r, sc, node));
  struct ir_node *n = ir_node(sc->g, node);
  for (size_t i = n_operands; i < ids->n; i++) {
    GIE_TRY(ir_node_append_in(sc->g, n, n->pub.n_in, ids->v[i]));
    n->pub.n_captures++;
  }
  if (n->pub.n_captures) {
    gie_status s = ir_infer_declared(sc->g, n);
    if (s != GIE_OK)
      return gie_error_prefix(r->ctx, s, "line %u, column %u", at.line, at.column);
  }
  GIE_TRY(lex_accept(lx, '!', &noted));
  if (noted) {
    GIE_TRY(read_attrs(r, sc, &notes));
    GIE_TRY(ir_copy_attrs(sc->g, &notes, &n->pub.notes));
  }
  for (size_t i = 0; i < rs->n; i++)
    GIE_TRY(apply_result(r, sc, n->pub.out[i], &rs->v[i]));
  return GIE_OK;
}

static gie_status read_node(struct reader *r, struct scope *sc)
{
  struct results rs = {NULL, 0, 0};
  struct ids ids = {NULL, 0, 0};
  gie_status s = read_results(r, sc, &rs);
  if (s == GIE_OK)
    s = read_call(r, sc, &rs, &ids);
  gie_free(r->ctx, rs.v);
  gie_free(r->ctx, ids.v);
  return s;
}

/* ---- Statements -------------------------------------------------------------------------------------- */

/* "input %x : type storage" and "const %x : type storage = tensor". */
static gie_status read_declared(struct reader *r, struct scope *sc, bool constant)
{
  struct lex *lx = &r->lx;
  struct gie_type type;
  struct storage storage;
  struct gie_const data = {NULL, 0, 0};
  char found[64];
  gie_id id;
  GIE_TRY(lex_next(lx));
  struct lex_token at = lx->tok;
  if (at.kind != LEX_VALUE)
    return lex_fail(lx, &at, GIE_E_PARSE, "expected a value, found %s", lex_found(lx, found));
  GIE_TRY(lex_next(lx));
  GIE_TRY(lex_expect(lx, ':'));
  GIE_TRY(read_type(r, sc, &type));
  GIE_TRY(read_storage(r, &storage));
  if (constant) {
    GIE_TRY(lex_expect(lx, '='));
    GIE_TRY(read_tensor(r, &type, &data));
  }
  gie_status s = constant ? gie_graph_add_const(sc->g, at.text, &type, &data, &id)
                          : gie_graph_add_input(sc->g, at.text, &type, &id);
  gie_blob_unref(data.blob);
  if (s == GIE_OK)
    s = apply_storage(r, sc, id, &storage);
  return s == GIE_OK ? s : gie_error_prefix(r->ctx, s, "line %u, column %u", at.line, at.column);
}

static gie_status read_output(struct reader *r, struct scope *sc)
{
  gie_id id = GIE_NONE;
  GIE_TRY(lex_next(&r->lx));
  GIE_TRY(find_value(r, sc, &id));
  return gie_graph_add_output(sc->g, id);
}

static gie_status read_meta(struct reader *r, struct scope *sc)
{
  struct gie_attrs attrs;
  if (sc->g->meta.n)
    return lex_fail(&r->lx, &r->lx.tok, GIE_E_PARSE, "a graph has one meta line; put all of it there");
  GIE_TRY(lex_next(&r->lx));
  GIE_TRY(read_attrs(r, sc, &attrs));
  return ir_copy_attrs(sc->g, &attrs, &sc->g->meta);
}

static void free_temporaries(struct reader *r, size_t n_bodies, size_t n_blobs)
{
  while (r->n_bodies > n_bodies)
    gie_graph_free(r->bodies[--r->n_bodies]);
  while (r->n_blobs > n_blobs)
    gie_blob_unref(r->blobs[--r->n_blobs]);
}

static gie_status read_statement(struct reader *r, struct scope *sc)
{
  struct lex *lx = &r->lx;
  char found[64];
  if (lex_is_word(lx, "input") || lex_is_word(lx, "const"))
    return read_declared(r, sc, *lx->tok.text == 'c');
  if (lex_is_word(lx, "output"))
    return read_output(r, sc);
  if (lex_is_word(lx, "meta"))
    return read_meta(r, sc);
  if (lx->tok.kind == LEX_VALUE || lex_is(lx, '='))
    return read_node(r, sc);
  return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected input, const, output, meta, a node or '}', found %s",
                  lex_found(lx, found));
}

static gie_status resolve_views(struct reader *r, struct scope *sc)
{
  for (size_t i = 0; i < sc->n_views; i++) {
    struct late_view *lv = &sc->views[i];
    lv->view.base = gie_value_find(sc->g, lv->base);
    if (lv->view.base == GIE_NONE)
      return lex_fail(&r->lx, &lv->at, GIE_E_PARSE, "undefined value %%%.100s as the base of a view",
                      lv->base);
    gie_status s = gie_value_set_view(sc->g, lv->value, &lv->view);
    if (s != GIE_OK)
      return gie_error_prefix(r->ctx, s, "line %u, column %u", lv->at.line, lv->at.column);
  }
  return GIE_OK;
}

/* ---- Graph ------------------------------------------------------------------------------------------- */

static gie_status read_symbols(struct reader *r, struct scope *sc)
{
  struct lex *lx = &r->lx;
  bool more;
  GIE_TRY(lex_accept(lx, '(', &more));
  if (!more)
    return GIE_OK;
  for (more = !lex_is(lx, ')'); more;) {
    struct lex_token at = lx->tok;
    const char *name;
    uint32_t sym;
    GIE_TRY(read_word(r, true, "a dim", &name));
    if (gie_map_get(&sc->symbols, name) != UINT32_MAX)
      return lex_fail(lx, &at, GIE_E_PARSE, "dim %.100s is listed twice", name);
    gie_status s = gie_graph_symbol(sc->g, name, &sym);
    if (s != GIE_OK)
      return gie_error_prefix(r->ctx, s, "line %u, column %u", at.line, at.column);
    GIE_TRY(gie_map_set(&sc->symbols, gie_graph_symbol_name(sc->g, sym), sym));
    GIE_TRY(lex_accept(lx, ',', &more));
  }
  return lex_expect(lx, ')');
}

static gie_status read_block(struct reader *r, struct scope *sc)
{
  struct lex *lx = &r->lx;
  GIE_TRY(read_symbols(r, sc));
  GIE_TRY(lex_expect(lx, '{'));
  while (!lex_is(lx, '}')) {
    size_t n_bodies = r->n_bodies, n_blobs = r->n_blobs;
    gie_status s = read_statement(r, sc);
    free_temporaries(r, n_bodies, n_blobs);
    GIE_TRY(s);
  }
  GIE_TRY(resolve_views(r, sc));
  return lex_expect(lx, '}');
}

gie_status read_graph(struct reader *r, struct gie_graph **out)
{
  struct lex *lx = &r->lx;
  struct scope sc = {0};
  const char *name = NULL;
  char found[64];
  if (!lex_is_word(lx, "graph"))
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected graph, found %s", lex_found(lx, found));
  GIE_TRY(lex_next(lx));
  if (lx->tok.kind == LEX_STRING)
    GIE_TRY(read_word(r, true, "the name of a graph", &name));
  GIE_TRY(gie_graph_new(r->ctx, name, &sc.g));
  sc.g->depth = r->depth;
  gie_map_init(&sc.symbols, r->ctx);
  gie_status s = read_block(r, &sc);
  gie_map_free(&sc.symbols);
  gie_free(r->ctx, sc.views);
  if (s != GIE_OK)
    gie_graph_free(sc.g);
  else
    *out = sc.g;
  return s;
}

static gie_status read_file(struct reader *r, const char *text, size_t size, struct gie_graph **out)
{
  char found[64];
  GIE_TRY(lex_init(&r->lx, r->ctx, &r->arena, text, size));
  GIE_TRY(read_graph(r, out));
  if (r->lx.tok.kind == LEX_END)
    return GIE_OK;
  gie_graph_free(*out);
  return lex_fail(&r->lx, &r->lx.tok, GIE_E_PARSE, "expected the end of the text, found %s",
                  lex_found(&r->lx, found));
}

static gie_status read_text(struct reader *r, const char *text, size_t size, struct gie_graph **out)
{
  struct gie_graph *g = NULL;
  if (size > TEXT_MAX_SIZE)
    return gie_fail(r->ctx, GIE_E_LIMIT, "the text has %zu bytes; at most %zu are allowed", size,
                    TEXT_MAX_SIZE);
  gie_arena_init(&r->arena, r->ctx);
  gie_status s = read_file(r, text, size, &g);
  free_temporaries(r, 0, 0);
  gie_free(r->ctx, r->bodies);
  gie_free(r->ctx, r->blobs);
  gie_arena_free(&r->arena);
  if (s == GIE_OK)
    *out = g;
  return s;
}

gie_status text_read_meta(struct gie_context *ctx, const char *text, size_t size, struct gie_graph **out)
{
  struct reader r = {.ctx = ctx};
  return read_text(&r, text, size, out);
}

static gie_status read_verified(struct reader *r, const char *text, size_t size, struct gie_graph **out)
{
  struct gie_graph *g = NULL;
  GIE_TRY(read_text(r, text, size, &g));
  gie_status s = gie_graph_verify(g);
  if (s == GIE_OK)
    *out = g;
  else
    gie_graph_free(g);
  return s;
}

gie_status text_read(struct gie_context *ctx, const char *text, size_t size, struct weights_in *weights,
                     struct gie_graph **out)
{
  struct reader r = {.ctx = ctx, .weights = weights};
  return read_verified(&r, text, size, out);
}

gie_status gie_graph_parse(struct gie_context *ctx, const char *text, size_t size, const char *weights,
                           struct gie_graph **out)
{
  struct reader r = {.ctx = ctx, .weights_path = weights};
  gie_status s = read_verified(&r, text, size, out);
  weights_close(r.weights);
  return s;
}
