/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of inputs as people write them: name:1x3x224x224,other:16. */
#include "core/run/run.h"

/* "1x3x224x224" into dims; nothing for a scalar. */
static bool parse_dims(const char *s, const char *end, struct gie_shape *out)
{
  out->rank = 0;
  while (s < end) {
    int64_t d;
    if (out->rank == GIE_MAX_RANK || !gie_parse_int(s, end, &d, &s) || d < 0)
      return false;
    out->dim[out->rank++] = gie_dim_num(d);
    if (s < end && (*s++ != 'x' || s == end))
      return false;
  }
  return true;
}

static gie_status no_such_input(const struct gie_graph *g, const char *name, size_t n)
{
  struct gie_buf b;
  gie_buf_init(&b, g->ctx);
  for (uint32_t i = 0; i < gie_graph_n_inputs(g) && i < 16; i++)
    gie_buf_printf(&b, "%s%s", i ? ", " : "", gie_value_get(g, gie_graph_input(g, i))->name);
  gie_status st = gie_fail(g->ctx, GIE_E_USAGE, "there is no input \"%.*s\"; the network has: %s", (int)n,
                           name, b.data && b.len ? b.data : "none");
  gie_buf_free(&b);
  return st;
}

static gie_status set_shape(const struct gie_graph *g, const char *name, size_t n,
                            const struct gie_shape *shape, struct gie_type *types)
{
  char text[256];
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    const struct gie_shape *is = &v->type.shape;
    if (strlen(v->name) != n || memcmp(v->name, name, n) != 0)
      continue;
    bool fits = is->rank < 0 || is->rank == shape->rank;
    for (int k = 0; fits && k < is->rank; k++)
      fits = !gie_dim_is_num(is->dim[k]) || is->dim[k].b == shape->dim[k].b;
    if (!fits)
      return gie_fail(g->ctx, GIE_E_SHAPE, "input \"%s\" is %s in the network", v->name,
                      gie_shape_text(g, is, text, sizeof text));
    types[i].shape = *shape;
    return GIE_OK;
  }
  return no_such_input(g, name, n);
}

gie_status gie_graph_parse_shapes(const struct gie_graph *g, const char *text, struct gie_type *types)
{
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++)
    types[i] = gie_value_get(g, gie_graph_input(g, i))->type;
  for (const char *s = text; s && *s;) {
    const char *end = s + strcspn(s, ","), *colon = end;
    struct gie_shape shape;
    while (colon > s && *colon != ':') /* the last one: names may have colons */
      colon--;
    if (colon == s || !parse_dims(colon + 1, end, &shape))
      return gie_fail(g->ctx, GIE_E_USAGE, "%s: give NAME:1x3x224x224, several separated by commas", text);
    GIE_TRY(set_shape(g, s, (size_t)(colon - s), &shape, types));
    s = end + (*end == ',');
  }
  return GIE_OK;
}
