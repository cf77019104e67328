/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: deep copies into a graph's arena, and setting one in a list. The graph owns what an
 * attribute points to: bodies and the blobs of tensors are kept in lists and released with it. */
#include "core/ir/ir.h"

static gie_status keep_blob(struct gie_graph *g, struct gie_blob *b)
{
  GIE_TRY(gie_grow(g->ctx, &g->blobs, &g->cap_blobs, g->n_blobs + 1, sizeof(struct gie_blob *)));
  g->blobs[g->n_blobs++] = gie_blob_ref(b);
  return GIE_OK;
}

static gie_status copy_body(struct gie_graph *g, const struct gie_graph *body, struct gie_graph **out)
{
  if (g->depth + 1 > GIE_MAX_BODY_DEPTH)
    return gie_fail(g->ctx, GIE_E_LIMIT, "bodies are nested deeper than %d", GIE_MAX_BODY_DEPTH);
  GIE_TRY(gie_grow(g->ctx, &g->bodies, &g->cap_bodies, g->n_bodies + 1, sizeof(struct gie_graph *)));
  GIE_TRY(ir_clone_at_depth(body, g->depth + 1, out));
  g->bodies[g->n_bodies++] = *out;
  return GIE_OK;
}

static gie_status copy_strings(struct gie_graph *g, const struct gie_attr *from, struct gie_attr *to)
{
  char **copy = gie_arena_alloc(&g->arena, from->n, sizeof(char *));
  if (!copy)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < from->n; i++)
    if (!(copy[i] = gie_arena_strdup(&g->arena, from->u.ss[i])))
      return GIE_E_MEMORY;
  to->u.ss = (const char *const *)copy;
  return GIE_OK;
}

static gie_status copy_attr(struct gie_graph *g, const struct gie_attr *from, struct gie_attr *to)
{
  *to = *from;
  if (!(to->name = gie_arena_strdup(&g->arena, from->name)))
    return GIE_E_MEMORY;
  switch (from->kind) {
  case GIE_ATTR_STRING: {
    /* n may be left 0 by callers that pass a C string. */
    size_t len = from->n ? from->n : strlen(from->u.s);
    char *copy = gie_arena_alloc(&g->arena, len + 1, 1);
    if (!copy)
      return GIE_E_MEMORY;
    memcpy(copy, from->u.s, len);
    to->u.s = copy;
    to->n = (uint32_t)len;
    return GIE_OK;
  }
  case GIE_ATTR_INTS:
    to->u.is = gie_arena_copy(&g->arena, from->u.is, from->n, sizeof *from->u.is);
    return to->u.is ? GIE_OK : GIE_E_MEMORY;
  case GIE_ATTR_FLOATS:
    to->u.fs = gie_arena_copy(&g->arena, from->u.fs, from->n, sizeof *from->u.fs);
    return to->u.fs ? GIE_OK : GIE_E_MEMORY;
  case GIE_ATTR_STRINGS:
    return copy_strings(g, from, to);
  case GIE_ATTR_TENSOR:
    to->u.t = gie_arena_copy(&g->arena, from->u.t, 1, sizeof *from->u.t);
    return to->u.t ? keep_blob(g, from->u.t->data.blob) : GIE_E_MEMORY;
  case GIE_ATTR_GRAPH:
    return copy_body(g, from->u.g, &to->u.g);
  default:
    return GIE_OK;
  }
}

gie_status ir_copy_attrs(struct gie_graph *g, const struct gie_attrs *from, struct gie_attrs *to)
{
  struct gie_attr *v = gie_arena_alloc(&g->arena, from->n, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < from->n; i++)
    GIE_TRY(copy_attr(g, &from->v[i], &v[i]));
  to->n = from->n;
  to->v = v;
  return GIE_OK;
}

/* The list is copied on every change, so attributes that were handed out stay readable. */
gie_status ir_attrs_set(struct gie_graph *g, struct gie_attrs *attrs, const struct gie_attr *attr)
{
  struct gie_attr copy;
  struct gie_attr *v = gie_arena_alloc(&g->arena, attrs->n + 1, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  GIE_TRY(copy_attr(g, attr, &copy));
  uint32_t n = 0;
  bool placed = false;
  for (uint32_t i = 0; i < attrs->n; i++) {
    bool same = strcmp(attrs->v[i].name, attr->name) == 0;
    placed |= same;
    v[n++] = same ? copy : attrs->v[i];
  }
  if (!placed)
    v[n++] = copy;
  attrs->n = n;
  attrs->v = v;
  return GIE_OK;
}

gie_status ir_attrs_unset(struct gie_graph *g, struct gie_attrs *attrs, const char *name)
{
  if (!gie_attrs_find(attrs, name))
    return GIE_OK;
  struct gie_attr *v = gie_arena_alloc(&g->arena, attrs->n, sizeof *v);
  if (!v)
    return GIE_E_MEMORY;
  uint32_t n = 0;
  for (uint32_t i = 0; i < attrs->n; i++)
    if (strcmp(attrs->v[i].name, name) != 0)
      v[n++] = attrs->v[i];
  attrs->n = n;
  attrs->v = v;
  return GIE_OK;
}
