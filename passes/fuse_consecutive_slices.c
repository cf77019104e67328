/* SPDX-License-Identifier: Apache-2.0 */
/* A slice of a slice is one slice.
 *
 *     %a = slice(%x, [2], [9], [1])
 *     %b = slice(%a, [1], [4], [2])    ->    %b = slice(%x, [2, 1], [9, 4], [1, 2])
 *
 * Where both cut the same axis, both must have step 1 there and the axis of %x be a number.
 *
 * Does not fire: %a read by others or a graph output, bounds that are not known, views. */
#include "passes/util.h"

struct cut {
  bool given;
  int64_t start, end, step;
};

/* Bounds per axis as they were written; false when they are not known. */
static bool read_cuts(const struct gie_graph *g, const struct gie_node *n, int rank, struct cut *cut)
{
  int64_t starts[GIE_MAX_RANK], ends[GIE_MAX_RANK], axes[GIE_MAX_RANK], steps[GIE_MAX_RANK];
  uint32_t count, other;
  memset(cut, 0, GIE_MAX_RANK * sizeof *cut);
  if (!pass_ints(g, n, 1, starts, GIE_MAX_RANK, &count) || !pass_ints(g, n, 2, ends, GIE_MAX_RANK, &other) ||
      other != count)
    return false;
  bool has_axes = pass_has_operand(n, 3), has_steps = pass_has_operand(n, 4);
  if (has_axes && (!pass_ints(g, n, 3, axes, GIE_MAX_RANK, &other) || other != count))
    return false;
  if (has_steps && (!pass_ints(g, n, 4, steps, GIE_MAX_RANK, &other) || other != count))
    return false;
  for (uint32_t i = 0; i < count; i++) {
    int64_t axis = has_axes ? axes[i] : (int64_t)i;
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank || cut[axis].given)
      return false;
    cut[axis] = (struct cut){true, starts[i], ends[i], has_steps ? steps[i] : 1};
  }
  return true;
}

static int64_t clamp(int64_t v, int64_t extent)
{
  v += v < 0 ? extent : 0;
  return v < 0 ? 0 : v > extent ? extent : v;
}

/* b behind a on an axis of x; the result is in a. */
static bool combine(struct cut *a, const struct cut *b, struct gie_dim dim)
{
  if (!b->given)
    return true;
  if (!a->given) {
    *a = *b;
    return true;
  }
  if (a->step != 1 || b->step != 1 || !gie_dim_is_num(dim))
    return false;
  int64_t start = clamp(a->start, dim.b), end = clamp(a->end, dim.b), extent = end > start ? end - start : 0;
  int64_t from = clamp(b->start, extent), to = clamp(b->end, extent);
  *a = (struct cut){true, start + from, start + (to > from ? to : from), 1};
  return true;
}

static bool match(const struct gie_graph *g, const struct gie_node *n, const struct gie_node **first,
                  struct cut *cut)
{
  struct cut second[GIE_MAX_RANK];
  if (!pass_is_op(n, "slice") || n->n_steps || !(*first = pass_private_producer(g, n->in[0], "slice")))
    return false;
  const struct gie_shape *x = &gie_value_get(g, (*first)->in[0])->type.shape;
  if (x->rank < 0 || !read_cuts(g, *first, x->rank, cut) || !read_cuts(g, n, x->rank, second))
    return false;
  for (int i = 0; i < x->rank; i++)
    if (!combine(&cut[i], &second[i], x->dim[i]))
      return false;
  return true;
}

static gie_status rewrite(struct gie_graph *g, const struct gie_node *n, const struct gie_node *first,
                          const struct cut *cut)
{
  int64_t lists[4][GIE_MAX_RANK]; /* starts, ends, axes, steps */
  uint32_t count = 0, n_lists = 3;
  for (int i = 0; i < GIE_MAX_RANK; i++) {
    if (!cut[i].given)
      continue;
    lists[0][count] = cut[i].start, lists[1][count] = cut[i].end;
    lists[2][count] = i, lists[3][count++] = cut[i].step;
    n_lists = cut[i].step != 1 || pass_has_operand(n, 4) ? 4 : n_lists;
  }
  GIE_TRY(gie_node_set_input(g, n->id, 0, first->in[0]));
  for (uint32_t i = 0; i < n_lists; i++) {
    gie_id list;
    GIE_TRY(pass_const_ints(g, lists[i], count, &list));
    GIE_TRY(pass_set_operand(g, n, i + 1, list));
  }
  return gie_node_remove(g, first->id);
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  const struct gie_node *first;
  struct cut cut[GIE_MAX_RANK];
  (void)pc;
  GIE_FOR_NODES(g, id)
    if (match(g, gie_node_get(g, id), &first, cut)) {
      GIE_TRY(rewrite(g, gie_node_get(g, id), first, cut));
      ++*changes;
    }
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_consecutive_slices = {
    sizeof(struct gie_pass), "fuse_consecutive_slices",
    "makes a slice of a slice one slice; not of shared ones or with bounds that are not known", run, NULL};
