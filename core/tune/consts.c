/* SPDX-License-Identifier: Apache-2.0 */
/* Constants in other element types: a network's weights are large, and every candidate that computes in another type
 * has a problem with them. */
#include "core/pass/form.h"
#include "core/tune/tune.h"

struct tune_const {
  struct gie_const from; /* a reference to its blob is held */
  enum gie_dtype to;
  struct gie_blob *blob;
  struct tune_const *next;
};

void tune_consts_free(struct tune_consts *c)
{
  for (struct tune_const *i = c->first, *next; i; i = next) {
    next = i->next;
    gie_blob_unref(i->from.blob);
    gie_blob_unref(i->blob);
    gie_free(c->ctx, i);
  }
  c->first = NULL;
}

static gie_status add(struct tune_consts *c, const struct gie_value *v, enum gie_dtype to,
                      struct gie_blob *blob)
{
  struct tune_const *i = gie_alloc(c->ctx, 1, sizeof *i);
  if (!i)
    return GIE_E_MEMORY;
  *i = (struct tune_const){v->data, to, blob, c->first};
  gie_blob_ref(v->data.blob);
  gie_blob_ref(blob);
  c->first = i;
  return GIE_OK;
}

gie_status tune_consts_get(struct tune_consts *c, const struct gie_graph *g, const struct gie_value *v,
                           enum gie_dtype to, struct gie_blob **out)
{
  for (struct tune_const *i = c ? c->first : NULL; i; i = i->next)
    if (i->to == to && i->from.blob == v->data.blob && i->from.offset == v->data.offset &&
        i->from.size == v->data.size) {
      gie_blob_ref(i->blob);
      *out = i->blob;
      return GIE_OK;
    }
  GIE_TRY(form_bytes(g, v, to, out));
  gie_status st = c ? add(c, v, to, *out) : GIE_OK;
  if (st != GIE_OK)
    gie_blob_unref(*out);
  return st;
}
