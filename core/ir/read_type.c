/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of the text form: words and numbers, dims, types, and what stands
 * behind a type. */
#include "core/ir/read.h"

gie_status read_word(struct reader *r, bool quoted, const char *what, const char **out)
{
  struct lex *lx = &r->lx;
  char found[64];
  if (lx->tok.kind != LEX_IDENT && !(quoted && lx->tok.kind == LEX_STRING))
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected %s, found %s", what, lex_found(lx, found));
  if (lx->tok.n == 0 || lx->tok.n > GIE_MAX_NAME || memchr(lx->tok.text, 0, lx->tok.n))
    return lex_fail(lx, &lx->tok, GIE_E_LIMIT, "%s must have 1 to %d bytes and no NUL", what, GIE_MAX_NAME);
  *out = lx->tok.text;
  return lex_next(lx);
}

gie_status read_int(struct reader *r, int64_t min, int64_t max, const char *what, int64_t *out)
{
  struct lex *lx = &r->lx;
  char found[64];
  if (lx->tok.kind != LEX_INT)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected %s, found %s", what, lex_found(lx, found));
  if (lx->tok.i < min || lx->tok.i > max)
    return lex_fail(lx, &lx->tok, GIE_E_LIMIT, "%s must be between %lld and %lld", what, (long long)min,
                    (long long)max);
  *out = lx->tok.i;
  return lex_next(lx);
}

/* ---- Types ------------------------------------------------------------------------------------------- */

static gie_status read_symbol(struct reader *r, const struct scope *sc, uint32_t *out)
{
  struct lex_token at = r->lx.tok;
  const char *name = "";
  GIE_TRY(read_word(r, true, "a dim", &name));
  *out = gie_map_get(&sc->symbols, name);
  if (*out == UINT32_MAX)
    return lex_fail(&r->lx, &at, GIE_E_PARSE, "unknown dim %.100s; list it in the graph's header", name);
  return GIE_OK;
}

static gie_status read_dim(struct reader *r, const struct scope *sc, struct gie_dim *out)
{
  struct lex *lx = &r->lx;
  bool taken;
  *out = gie_dim_unknown();
  GIE_TRY(lex_accept(lx, '?', &taken));
  if (taken)
    return GIE_OK;
  struct gie_dim d = {1, 0, GIE_NONE};
  if (lx->tok.kind == LEX_INT) {
    GIE_TRY(read_int(r, INT64_MIN, INT64_MAX, "a dim", &d.a));
    GIE_TRY(lex_accept(lx, '*', &taken));
    if (!taken) {
      if (d.a < 0)
        return lex_fail(lx, &lx->tok, GIE_E_SHAPE, "a dim is negative");
      *out = gie_dim_num(d.a);
      return GIE_OK;
    }
    if (d.a == 0)
      return lex_fail(lx, &lx->tok, GIE_E_SHAPE, "a dim multiplies a symbol by 0; write a number");
  }
  GIE_TRY(read_symbol(r, sc, &d.sym));
  GIE_TRY(lex_accept(lx, '+', &taken));
  if (taken || (lx->tok.kind == LEX_INT && *lx->tok.start == '-'))
    GIE_TRY(read_int(r, taken ? 0 : INT64_MIN, INT64_MAX, "the offset of a dim", &d.b));
  *out = d;
  return GIE_OK;
}

bool find_dtype(const struct lex *lx, enum gie_dtype *out)
{
  *out = GIE_DTYPE_NONE;
  if (lex_is(lx, '?'))
    return true;
  for (int t = GIE_DTYPE_NONE + 1; lx->tok.kind == LEX_IDENT && t < GIE_DTYPE_COUNT; t++)
    if (strcmp(lx->tok.text, gie_dtype_name((enum gie_dtype)t)) == 0) {
      *out = (enum gie_dtype)t;
      return true;
    }
  return false;
}

gie_status read_shape(struct reader *r, const struct scope *sc, struct gie_shape *out)
{
  struct lex *lx = &r->lx;
  bool more;
  GIE_TRY(lex_expect(lx, '['));
  GIE_TRY(lex_accept(lx, '*', &more));
  out->rank = more ? -1 : 0;
  if (!more && !lex_is(lx, ']'))
    do {
      if (out->rank == GIE_MAX_RANK)
        return lex_fail(lx, &lx->tok, GIE_E_LIMIT, "the rank is above %d", GIE_MAX_RANK);
      GIE_TRY(read_dim(r, sc, &out->dim[out->rank++]));
      GIE_TRY(lex_accept(lx, ',', &more));
    } while (more);
  return lex_expect(lx, ']');
}

gie_status read_type(struct reader *r, const struct scope *sc, struct gie_type *out)
{
  struct lex *lx = &r->lx;
  char found[64];
  memset(out, 0, sizeof *out);
  if (!find_dtype(lx, &out->dtype))
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected an element type, found %s", lex_found(lx, found));
  GIE_TRY(lex_next(lx));
  return read_shape(r, sc, &out->shape);
}

/* ---- Storage: layout, view, quantization ------------------------------------------------------------- */

static gie_status read_view(struct reader *r, struct storage *st)
{
  struct lex *lx = &r->lx;
  char found[64];
  int64_t axis = 0;
  st->view.at = lx->tok;
  GIE_TRY(lex_next(lx));
  GIE_TRY(lex_expect(lx, '('));
  if (lx->tok.kind != LEX_VALUE)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected the base of the view, found %s",
                    lex_found(lx, found));
  st->view.base = lx->tok.text;
  GIE_TRY(lex_next(lx));
  GIE_TRY(lex_expect(lx, ','));
  GIE_TRY(read_int(r, 0, GIE_MAX_RANK - 1, "the axis of a view", &axis));
  GIE_TRY(lex_expect(lx, ','));
  GIE_TRY(read_int(r, 0, INT64_MAX, "the offset of a view", &st->view.view.offset));
  GIE_TRY(lex_expect(lx, ','));
  GIE_TRY(read_int(r, 0, INT64_MAX, "the extent of a view", &st->view.view.extent));
  st->view.view.axis = (int32_t)axis;
  st->has_view = true;
  return lex_expect(lx, ')');
}

static gie_status read_scale(struct reader *r, float *out)
{
  struct lex *lx = &r->lx;
  char found[64];
  if (lx->tok.kind != LEX_INT && lx->tok.kind != LEX_FLOAT)
    return lex_fail(lx, &lx->tok, GIE_E_PARSE, "expected a scale, found %s", lex_found(lx, found));
  double v = lx->tok.kind == LEX_INT ? (double)lx->tok.i : lx->tok.f;
  if (!(v > 0 && v <= 3.4e38))
    return lex_fail(lx, &lx->tok, GIE_E_DATA, "a scale must be a positive f32");
  *out = (float)v;
  return lex_next(lx);
}

/* "[s, s, …], [z, z, …]" behind "axis=N,". */
static gie_status read_quant_axis(struct reader *r, struct gie_quant *q)
{
  struct lex *lx = &r->lx;
  struct gie_buf scales, zeros;
  gie_status s;
  bool more = true;
  uint32_t n = 0;
  gie_buf_init(&scales, r->ctx);
  gie_buf_init(&zeros, r->ctx);
  for (s = lex_expect(lx, '['); s == GIE_OK && more; q->n++) {
    float scale = 0;
    if ((s = read_scale(r, &scale)) == GIE_OK)
      s = lex_accept(lx, ',', &more);
    gie_buf_put(&scales, &scale, sizeof scale);
  }
  if (s == GIE_OK && (s = lex_expect(lx, ']')) == GIE_OK && (s = lex_expect(lx, ',')) == GIE_OK)
    s = lex_expect(lx, '[');
  for (more = true; s == GIE_OK && more; n++) {
    int64_t zero = 0;
    if ((s = read_int(r, INT32_MIN, INT32_MAX, "a zero point", &zero)) == GIE_OK)
      s = lex_accept(lx, ',', &more);
    gie_buf_put(&zeros, &(int32_t){(int32_t)zero}, sizeof(int32_t));
  }
  if (s == GIE_OK && n != q->n)
    s = lex_fail(lx, &lx->tok, GIE_E_DATA, "%u scales but %u zero points", (unsigned)q->n, (unsigned)n);
  if (s == GIE_OK)
    s = lex_expect(lx, ']');
  if (s == GIE_OK && (scales.status != GIE_OK || zeros.status != GIE_OK))
    s = GIE_E_MEMORY;
  if (s == GIE_OK) {
    q->scale = gie_arena_copy(&r->arena, scales.data, q->n, sizeof *q->scale);
    q->zero = gie_arena_copy(&r->arena, zeros.data, q->n, sizeof *q->zero);
    s = q->scale && q->zero ? GIE_OK : GIE_E_MEMORY;
  }
  gie_buf_free(&scales);
  gie_buf_free(&zeros);
  return s;
}

static gie_status read_quant(struct reader *r, struct gie_quant *q)
{
  struct lex *lx = &r->lx;
  int64_t number = 0;
  GIE_TRY(lex_next(lx));
  GIE_TRY(lex_expect(lx, '('));
  if (lex_is_word(lx, "axis")) {
    GIE_TRY(lex_next(lx));
    GIE_TRY(lex_expect(lx, '='));
    GIE_TRY(read_int(r, -1, GIE_MAX_RANK - 1, "the axis of quantization", &number));
    q->axis = (int32_t)number;
    GIE_TRY(lex_expect(lx, ','));
    GIE_TRY(read_quant_axis(r, q));
    return lex_expect(lx, ')');
  }
  float scale = 0;
  GIE_TRY(read_scale(r, &scale));
  GIE_TRY(lex_expect(lx, ','));
  GIE_TRY(read_int(r, INT32_MIN, INT32_MAX, "a zero point", &number));
  int32_t zero = (int32_t)number;
  q->n = 1;
  q->axis = -1;
  q->scale = gie_arena_copy(&r->arena, &scale, 1, sizeof scale);
  q->zero = gie_arena_copy(&r->arena, &zero, 1, sizeof zero);
  if (!q->scale || !q->zero)
    return GIE_E_MEMORY;
  return lex_expect(lx, ')');
}

static bool starts_statement(const struct lex *lx)
{
  return lex_is_word(lx, "input") || lex_is_word(lx, "const") || lex_is_word(lx, "output") ||
         lex_is_word(lx, "meta");
}

gie_status read_storage(struct reader *r, struct storage *st)
{
  struct lex *lx = &r->lx;
  memset(st, 0, sizeof *st);
  for (;;) {
    bool word = lx->tok.kind == LEX_IDENT && !starts_statement(lx);
    if (word && strcmp(lx->tok.text, "view") == 0 && !st->has_view) {
      GIE_TRY(read_view(r, st));
    } else if (word && strcmp(lx->tok.text, "q") == 0 && st->quant.n == 0) {
      GIE_TRY(read_quant(r, &st->quant));
    } else if ((word || lx->tok.kind == LEX_INT) && !st->layout) {
      GIE_TRY(lex_layout(lx));
      st->layout = lx->tok.text;
      GIE_TRY(lex_next(lx));
    } else {
      return GIE_OK;
    }
  }
}

gie_status apply_storage(struct reader *r, struct scope *sc, gie_id value, const struct storage *st)
{
  static const struct gie_layout plain;
  int rank = gie_value_get(sc->g, value)->type.shape.rank;
  struct gie_layout layout;
  if (st->layout) {
    GIE_TRY(gie_layout_parse(r->ctx, st->layout, rank, &layout));
    if (!gie_layout_equal(&layout, &plain, rank))
      GIE_TRY(gie_value_set_layout(sc->g, value, &layout));
  }
  if (st->has_view) {
    GIE_TRY(gie_grow(r->ctx, &sc->views, &sc->cap_views, sc->n_views + 1, sizeof *sc->views));
    sc->views[sc->n_views] = st->view;
    sc->views[sc->n_views++].value = value;
  }
  return st->quant.n ? gie_value_set_quant(sc->g, value, &st->quant) : GIE_OK;
}
