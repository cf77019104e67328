/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that move elements without looking at them: concat, split, slice, gather, transpose, pad, tile,
 * expand, reshapes, reorders, … An op says where the element of a result index comes from; one driver
 * copies. Formulas: ONNX operators of the corresponding names. Indices are checked before every
 * access, since some of them are data. */
#include "backends/cpu/cpu.h"

struct move;
/* Fills from[] with the index in src of the element at to[] of dst. */
enum source { FROM_SRC, FROM_FILL, FROM_NOWHERE };
typedef enum source move_map(const struct move *m, const int64_t *to, int64_t *from);

struct move {
  struct cpu_tensor src, dst, indices;
  struct cpu_box box; /* of dst */
  move_map *map;
  const char *error; /* for FROM_NOWHERE */
  int axis, indices_rank;
  int64_t begin[GIE_MAX_RANK], step[GIE_MAX_RANK], extent[GIE_MAX_RANK]; /* meaning depends on the op */
  const char *mode;
  uint64_t fill; /* an element's bits */
};

static void copy_element(char *to, const char *from, size_t size)
{
  switch (size) {
  case 1:
    *to = *from;
    break;
  case 2:
    *(uint16_t *)(void *)to = *(const uint16_t *)(const void *)from;
    break;
  case 4:
    *(uint32_t *)(void *)to = *(const uint32_t *)(const void *)from;
    break;
  default:
    *(uint64_t *)(void *)to = *(const uint64_t *)(const void *)from;
  }
}

static gie_status move_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct move *m = arg;
  size_t size = gie_dtype_size(m->dst.dtype);
  int64_t to[GIE_MAX_RANK], from[GIE_MAX_RANK] = {0};
  int n = cpu_box_at(&m->box, item, to);
  (void)slot;
  for (int k = 0; k < n; k++) {
    const char *element = (const char *)&m->fill;
    enum source source = m->map(m, to, from);
    for (int i = 0; i < m->src.rank && source == FROM_SRC; i++)
      if (from[i] < 0 || from[i] >= m->src.dim[i])
        source = FROM_NOWHERE;
    if (source == FROM_NOWHERE)
      return gie_fail(c->launch->ctx, GIE_E_DATA, "%s",
                      m->error ? m->error : "the operands do not give the result's shape");
    if (source == FROM_SRC)
      element = m->src.data + cpu_offset(&m->src, from) * (int64_t)size;
    copy_element(m->dst.data + cpu_offset(&m->dst, to) * (int64_t)size, element, size);
    if (m->box.axis >= 0)
      to[m->box.axis]++;
  }
  return GIE_OK;
}

static gie_status move_run(const struct cpu_call *c, struct move *m)
{
  m->box = cpu_box(&m->dst, 0, NULL);
  return cpu_for(c, m->box.rows, 4, move_body, m);
}

/* A move from operand 0 to result 0. */
static struct move move_of(const struct cpu_call *c, move_map *map)
{
  struct move m = {.src = cpu_in(c, 0), .dst = cpu_out(c, 0), .map = map};
  return m;
}

/* Axis from an attribute, counted from the end when negative; -1 when outside. */
static int node_axis(const struct gie_node *node, int rank)
{
  int64_t axis = gie_node_int(node, "axis");
  axis += axis < 0 ? rank : 0;
  return axis < 0 || axis >= rank ? -1 : (int)axis;
}

static bool axis_check(const struct gie_problem *p, char *why, size_t size)
{
  if (node_axis(p->node, p->in[0].rank) < 0)
    return cpu_refuse(why, size, "axis %lld is outside rank %d", (long long)gie_node_int(p->node, "axis"),
                      p->in[0].rank);
  return true;
}

/* ---- Same elements in row-major order: reshape, flatten, squeeze, unsqueeze, and reorder */

static enum source map_same_number(const struct move *m, const int64_t *to, int64_t *from)
{
  int64_t number = 0;
  for (int i = 0; i < m->dst.rank; i++)
    number = number * m->dst.dim[i] + to[i];
  for (int i = m->src.rank - 1; i >= 0; i--) {
    from[i] = number % m->src.dim[i];
    number /= m->src.dim[i];
  }
  return number ? FROM_NOWHERE : FROM_SRC;
}

static gie_status reshape_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_same_number);
  int64_t n = cpu_count(&m.dst);
  if (cpu_count(&m.src) != n)
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "the shape does not have the operand's number of elements");
  if (cpu_is_dense(&m.src, 0) && cpu_is_dense(&m.dst, 0)) {
    if (n > 0)
      memmove(m.dst.data, m.src.data, (size_t)n * gie_dtype_size(m.dst.dtype));
    return GIE_OK;
  }
  return move_run(c, &m);
}

static enum source map_same_index(const struct move *m, const int64_t *to, int64_t *from)
{
  memcpy(from, to, sizeof *to * (size_t)m->src.rank);
  return FROM_SRC;
}

static gie_status reorder_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_same_index);
  return move_run(c, &m);
}

/* ---- concat, split: ranges of an axis */

static enum source map_shifted(const struct move *m, const int64_t *to, int64_t *from)
{
  memcpy(from, to, sizeof *to * (size_t)m->src.rank);
  from[m->axis] += m->begin[m->axis];
  return FROM_SRC;
}

/* The operands follow each other in the result: each is a copy into a range of it. Offsets inside a
 * blocked axis need not be multiples of the block here, so the range is made by shifting indices. */
static enum source map_concat(const struct move *m, const int64_t *to, int64_t *from)
{
  memcpy(from, to, sizeof *to * (size_t)m->src.rank);
  from[m->axis] -= m->begin[m->axis];
  return FROM_SRC;
}

static gie_status concat_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_concat);
  m.axis = node_axis(c->self->node, m.dst.rank);
  for (uint32_t i = 0; i < c->self->node->n_operands; i++) {
    int64_t zero[GIE_MAX_RANK] = {0};
    m.src = cpu_in(c, i);
    m.box = cpu_box(&m.src, 0, zero);
    m.box.begin[m.axis] = m.begin[m.axis];
    if (m.src.dim[m.axis] > m.dst.dim[m.axis] - m.begin[m.axis])
      return gie_fail(c->launch->ctx, GIE_E_SHAPE, "the operands are longer than the result");
    GIE_TRY(cpu_for(c, m.box.rows, 4, move_body, &m));
    m.begin[m.axis] += m.src.dim[m.axis];
  }
  return GIE_OK;
}

static bool concat_check(const struct gie_problem *p, char *why, size_t size)
{
  int axis = node_axis(p->node, p->out[0].rank);
  if (axis < 0)
    return cpu_refuse(why, size, "axis %lld is outside rank %d", (long long)gie_node_int(p->node, "axis"),
                      p->out[0].rank);
  for (uint32_t i = 0; i < p->node->n_operands; i++) {
    if (p->in[i].rank != p->out[0].rank || p->in[i].dtype != p->out[0].dtype)
      return cpu_refuse(why, size, "operand %u differs in rank or dtype", i);
    for (int a = 0; a < p->out[0].rank; a++)
      if (a != axis && p->in[i].dim[a] != p->out[0].dim[a])
        return cpu_refuse(why, size, "operand %u differs on axis %d", i, a);
  }
  return true;
}

static gie_status split_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_shifted);
  m.axis = node_axis(c->self->node, m.src.rank);
  for (uint32_t i = 0; i < c->self->n_out; i++) {
    m.dst = cpu_tensor_of(&c->self->out[i], c->launch->out[i]);
    if (c->launch->out[i])
      GIE_TRY(move_run(c, &m));
    m.begin[m.axis] += m.dst.dim[m.axis];
  }
  return GIE_OK;
}

/* ---- slice: numpy slicing, bounds clamped (ONNX Slice 13) */

static enum source map_slice(const struct move *m, const int64_t *to, int64_t *from)
{
  for (int i = 0; i < m->src.rank; i++)
    from[i] = m->begin[i] + to[i] * m->step[i];
  return FROM_SRC;
}

static gie_status slice_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_slice);
  struct cpu_tensor t = cpu_in(c, 1);
  int64_t start[GIE_MAX_RANK], axes[GIE_MAX_RANK], steps[GIE_MAX_RANK];
  int n = cpu_read_ints(&t, start, GIE_MAX_RANK), rank = m.src.rank;
  for (int i = 0; i < GIE_MAX_RANK; i++) {
    axes[i] = i;
    m.step[i] = steps[i] = 1;
  }
  if (n < 0)
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "more starts than a tensor can have axes");
  if (cpu_has_in(c, 3) && (t = cpu_in(c, 3), cpu_read_ints(&t, axes, GIE_MAX_RANK) != n))
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "starts and axes differ in length");
  if (cpu_has_in(c, 4) && (t = cpu_in(c, 4), cpu_read_ints(&t, steps, GIE_MAX_RANK) != n))
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "starts and steps differ in length");
  for (int i = 0; i < n; i++) {
    int64_t a = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (a < 0 || a >= rank || steps[i] == 0)
      return gie_fail(c->launch->ctx, GIE_E_DATA, "bad axis or step of a slice");
    int64_t dim = m.src.dim[a], s = start[i] < 0 ? start[i] + dim : start[i],
            last = steps[i] > 0 ? dim : dim - 1;
    m.begin[a] = s < 0 ? 0 : s > last ? last : s;
    m.step[a] = m.dst.dim[a] > 1 ? steps[i] : 1; /* a huge step goes nowhere then */
    int64_t stride = steps[i] < 0 ? -(steps[i] + (steps[i] == INT64_MIN)) : steps[i];
    if (m.dst.dim[a] > 1 && m.dst.dim[a] - 1 > (dim - 1) / stride)
      return gie_fail(c->launch->ctx, GIE_E_DATA, "the slice does not give the result's shape");
  }
  return move_run(c, &m);
}

/* ---- gather: to = [before axis, index dims, after axis] */

static enum source map_gather(const struct move *m, const int64_t *to, int64_t *from)
{
  int64_t i;
  int zero_d = m->indices_rank == 0;
  cpu_read(&m->indices, to + m->axis, zero_d ? -1 : m->indices_rank - 1, 1, 1, &i);
  for (int a = 0; a < m->src.rank; a++)
    if (a != m->axis)
      from[a] = to[a < m->axis ? a : a - 1 + m->indices_rank];
  from[m->axis] = i < 0 ? i + m->src.dim[m->axis] : i;
  return FROM_SRC;
}

static gie_status gather_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_gather);
  m.indices = cpu_in(c, 1);
  m.indices_rank = m.indices.rank;
  m.axis = node_axis(c->self->node, m.src.rank);
  m.error = "an index is outside the axis it gathers from";
  return move_run(c, &m);
}

static bool gather_check(const struct gie_problem *p, char *why, size_t size)
{
  char t = gie_dtype_class(p->in[1].dtype);
  if (t != 'i' && t != 'u')
    return cpu_refuse(why, size, "the indices are no integers");
  if (!axis_check(p, why, size))
    return false;
  int axis = node_axis(p->node, p->in[0].rank), rank = p->in[1].rank;
  if (p->out[0].rank != p->in[0].rank - 1 + rank)
    return cpu_refuse(why, size, "the result does not have rank %d", p->in[0].rank - 1 + rank);
  for (int i = 0; i < rank; i++)
    if (p->out[0].dim[axis + i] != p->in[1].dim[i])
      return cpu_refuse(why, size, "the result does not have the dims of the indices");
  return true;
}

/* ---- transpose: result axis i is axis perm[i] */

static enum source map_transpose(const struct move *m, const int64_t *to, int64_t *from)
{
  for (int i = 0; i < m->dst.rank; i++)
    from[m->step[i]] = to[i];
  return FROM_SRC;
}

static gie_status transpose_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_transpose);
  int rank = m.src.rank;
  if (gie_node_ints(c->self->node, "perm", m.step, GIE_MAX_RANK, 0) == 0)
    for (int i = 0; i < rank; i++)
      m.step[i] = rank - 1 - i;
  return move_run(c, &m);
}

static bool transpose_check(const struct gie_problem *p, char *why, size_t size)
{
  int64_t perm[GIE_MAX_RANK];
  uint32_t n = gie_node_ints(p->node, "perm", perm, GIE_MAX_RANK, 0), seen = 0;
  for (uint32_t i = 0; i < n; i++)
    if (perm[i] >= 0 && perm[i] < p->in[0].rank)
      seen |= 1u << perm[i];
  if (n && (n != (uint32_t)p->in[0].rank || seen != (1u << n) - 1))
    return cpu_refuse(why, size, "perm is no permutation of rank %d", p->in[0].rank);
  return true;
}

/* ---- pad: constant, edge, reflect (without repeating the border), wrap. Negative pads cut, and what
 * is cut off does not come back in reflect and wrap. begin: elements put in front; step: first index of
 * the source that stays; extent: how many stay. */

static enum source map_pad(const struct move *m, const int64_t *to, int64_t *from)
{
  for (int i = 0; i < m->src.rank; i++) {
    int64_t n = m->extent[i], at = to[i] - m->begin[i];
    if (at < 0 || at >= n) {
      if (m->mode[0] == 'c')
        return FROM_FILL;
      if (n <= 0)
        return FROM_NOWHERE;
      if (m->mode[0] == 'e') {
        at = at < 0 ? 0 : n - 1;
      } else if (m->mode[0] == 'w') {
        at = (at % n + n) % n;
      } else {
        int64_t period = n > 1 ? 2 * (n - 1) : 1;
        at = (at % period + period) % period;
        at = at < n ? at : period - at;
      }
    }
    from[i] = m->step[i] + at;
  }
  return FROM_SRC;
}

static gie_status pad_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_pad);
  struct cpu_tensor t = cpu_in(c, 1);
  int64_t pads[2 * GIE_MAX_RANK], axes[GIE_MAX_RANK], zero[GIE_MAX_RANK] = {0};
  int rank = m.src.rank, n = cpu_read_ints(&t, pads, 2 * GIE_MAX_RANK);
  m.mode = gie_node_string(c->self->node, "mode");
  for (int i = 0; i < rank; i++) {
    axes[i] = i;
    m.extent[i] = m.src.dim[i];
  }
  int n_axes = rank;
  if (cpu_has_in(c, 3)) {
    t = cpu_in(c, 3);
    n_axes = cpu_read_ints(&t, axes, GIE_MAX_RANK);
  }
  if (n_axes < 0 || n != 2 * n_axes)
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "pads does not have two entries per axis");
  for (int i = 0; i < n_axes; i++) {
    int64_t a = axes[i] < 0 ? axes[i] + rank : axes[i], b = pads[i], e = pads[n_axes + i];
    if (a < 0 || a >= rank || b < -INT32_MAX || e < -INT32_MAX || b > INT32_MAX || e > INT32_MAX)
      return gie_fail(c->launch->ctx, GIE_E_DATA, "bad axis or pad");
    m.begin[a] = b > 0 ? b : 0;
    m.step[a] = b < 0 ? -b : 0;
    m.extent[a] += (b < 0 ? b : 0) + (e < 0 ? e : 0);
    if (m.src.dim[a] + b + e != m.dst.dim[a])
      return gie_fail(c->launch->ctx, GIE_E_SHAPE, "the pads do not give the result's shape");
  }
  if (cpu_has_in(c, 2)) {
    t = cpu_in(c, 2);
    memcpy(&m.fill, t.data + cpu_offset(&t, zero) * (int64_t)gie_dtype_size(t.dtype),
           gie_dtype_size(t.dtype));
  }
  return move_run(c, &m);
}

static bool pad_check(const struct gie_problem *p, char *why, size_t size)
{
  static const char *const modes[] = {"constant", "edge", "reflect", "wrap"};
  const char *mode = gie_node_string(p->node, "mode");
  bool known = false;
  for (int i = 0; i < 4; i++)
    known = known || strcmp(modes[i], mode) == 0;
  if (!known)
    return cpu_refuse(why, size, "unknown mode %s", mode);
  if (p->node->n_operands > 2 && p->in[2].dtype != GIE_DTYPE_NONE &&
      (p->in[2].dtype != p->in[0].dtype || gie_desc_count(&p->in[2]) < 1))
    return cpu_refuse(why, size, "the fill value is no element of x's dtype");
  if (p->in[0].rank != p->out[0].rank)
    return cpu_refuse(why, size, "x and the result differ in rank");
  return true;
}

/* ---- expand, tile */

static gie_status expand_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_same_index);
  int shift = m.dst.rank - m.src.rank;
  for (int i = 0; i < m.src.rank; i++)
    if (shift < 0 || (m.src.dim[i] != 1 && m.src.dim[i] != m.dst.dim[i + shift]))
      return gie_fail(c->launch->ctx, GIE_E_SHAPE, "the operand does not broadcast to the result's shape");
  m.src = cpu_broadcast(&m.src, m.dst.rank, m.dst.dim);
  return move_run(c, &m);
}

static enum source map_tile(const struct move *m, const int64_t *to, int64_t *from)
{
  for (int i = 0; i < m->src.rank; i++) {
    if (m->src.dim[i] == 0)
      return FROM_NOWHERE;
    from[i] = to[i] % m->src.dim[i];
  }
  return FROM_SRC;
}

static gie_status tile_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_tile);
  if (m.src.rank != m.dst.rank)
    return gie_fail(c->launch->ctx, GIE_E_SHAPE, "operand and result differ in rank");
  return move_run(c, &m);
}

/* ---- depth_to_space, space_to_depth; begin[0] is the block, mode "DCR" or "CRD" says how channels
 * are cut: [block][block][C] or [C][block][block] */

static enum source map_depth_to_space(const struct move *m, const int64_t *to, int64_t *from)
{
  int64_t b = m->begin[0], offset = to[2] % b * b + to[3] % b;
  from[0] = to[0];
  from[1] = m->mode[0] == 'D' ? offset * m->dst.dim[1] + to[1] : to[1] * b * b + offset;
  from[2] = to[2] / b;
  from[3] = to[3] / b;
  return FROM_SRC;
}

static enum source map_space_to_depth(const struct move *m, const int64_t *to, int64_t *from)
{
  int64_t b = m->begin[0], channels = m->src.dim[1], offset = to[1] / channels;
  from[0] = to[0];
  from[1] = to[1] % channels;
  from[2] = to[2] * b + offset / b;
  from[3] = to[3] * b + offset % b;
  return FROM_SRC;
}

static gie_status depth_to_space_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_depth_to_space);
  m.begin[0] = gie_node_int(c->self->node, "block");
  m.mode = gie_node_string(c->self->node, "mode");
  return move_run(c, &m);
}

static gie_status space_to_depth_run(const struct cpu_call *c)
{
  struct move m = move_of(c, map_space_to_depth);
  m.begin[0] = gie_node_int(c->self->node, "block");
  return move_run(c, &m);
}

static bool block_check(const struct gie_problem *p, char *why, size_t size)
{
  int64_t block = gie_node_int(p->node, "block");
  if (p->in[0].rank != 4 || p->out[0].rank != 4 || block < 1 || block > INT32_MAX)
    return cpu_refuse(why, size, "needs rank 4 and a block from 1 to 2^31-1");
  return true;
}

const struct cpu_op cpu_op_reshape = {reshape_run, NULL, NULL, false};
const struct cpu_op cpu_op_reorder = {reorder_run, NULL, NULL, false};
const struct cpu_op cpu_op_concat = {concat_run, concat_check, NULL, false};
const struct cpu_op cpu_op_split = {split_run, axis_check, NULL, false};
const struct cpu_op cpu_op_slice = {slice_run, NULL, NULL, false};
const struct cpu_op cpu_op_gather = {gather_run, gather_check, NULL, false};
const struct cpu_op cpu_op_transpose = {transpose_run, transpose_check, NULL, false};
const struct cpu_op cpu_op_pad = {pad_run, pad_check, NULL, false};
const struct cpu_op cpu_op_expand = {expand_run, NULL, NULL, false};
const struct cpu_op cpu_op_tile = {tile_run, NULL, NULL, false};
const struct cpu_op cpu_op_depth_to_space = {depth_to_space_run, block_check, NULL, false};
const struct cpu_op cpu_op_space_to_depth = {space_to_depth_run, block_check, NULL, false};
