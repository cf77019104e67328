/* SPDX-License-Identifier: Apache-2.0 */
/* What each op that moves elements comes to: copies between two views, or where each element of the result is
 * from. Formulas: ONNX operators of the corresponding names. */
#include "backends/cuda/move.cuh"

/* ---- Views */

static int64_t count_of(const struct cuda_tensor *t)
{
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++)
    n *= t->dim[i];
  return n;
}

/* Rows of all axes follow each other: the strides of the row-major order, where they matter. */
static bool is_dense(const struct cuda_tensor *t)
{
  int64_t stride = 1;
  for (int i = t->rank - 1; i >= 0; i--) {
    if (t->dim[i] != 1 && t->stride[i] != stride)
      return false;
    stride *= t->dim[i];
  }
  return t->block_axis < 0;
}

/* t's memory with the dims of `like`, row-major. */
static struct cuda_tensor dense_like(const struct cuda_tensor *t, const struct cuda_tensor *like)
{
  struct cuda_tensor d = *t;
  int64_t stride = 1;
  d.rank = like->rank;
  for (int i = like->rank - 1; i >= 0; i--) {
    d.dim[i] = like->dim[i];
    d.stride[i] = stride;
    stride *= like->dim[i];
  }
  return d;
}

static void add_job(struct move *m, const struct cuda_tensor *to, int64_t to_offset, int out,
                    const struct cuda_tensor *from, int64_t from_offset, int in)
{
  struct move_job *j = &m->job[m->n_jobs++];
  cuda_copy_make(to, from, &j->copy);
  j->in = in;
  j->out = out;
  j->in_offset = from_offset;
  j->out_offset = to_offset;
}

/* Range [begin, begin+extent) of axis a of t; false when it cuts a block. *offset in bytes. */
static bool range_of(struct cuda_tensor *t, int a, int64_t begin, int64_t extent, int64_t *offset)
{
  if (t->block_axis == a && begin % t->block != 0)
    return false;
  *offset = (t->block_axis == a ? begin / t->block : begin) * t->stride[a] * t->size;
  t->dim[a] = extent;
  return true;
}

/* Operands of a problem as views; small integer operands as numbers. */

static bool known_ints(const struct gie_problem *p, uint32_t i, int64_t *out, uint32_t max, uint32_t *n)
{
  return i < p->node->n_operands && p->node->in[i] != GIE_NONE &&
         gie_value_ints(p->graph, p->node->in[i], out, max, n);
}

static bool has_in(const struct gie_problem *p, uint32_t i)
{
  return i < p->node->n_operands && p->in[i].dtype != GIE_DTYPE_NONE;
}

static int axis_of(const struct gie_problem *p, int rank)
{
  int64_t axis = gie_node_int(p->node, "axis");
  axis += axis < 0 ? rank : 0;
  return axis < 0 || axis >= rank ? -1 : int(axis);
}

/* ---- The ops: each fills *m for a problem, or says why it cannot */

static bool each_way(struct move *m, const struct cuda_tensor *to, const struct cuda_tensor *from,
                     enum move_map map)
{
  m->way = WAY_EACH;
  m->each.map = map;
  m->each.out = *to;
  m->each.in = *from;
  m->each.order = cuda_order_of(*to);
  return true;
}

bool move_same(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor from = cuda_tensor_of(&p->in[0]), to = cuda_tensor_of(&p->out[0]);
  if (from.rank != to.rank)
    return cuda_refuse(why, size, "x and the result differ in rank");
  add_job(m, &to, 0, 0, &from, 0, 0);
  if (p->n_out > 1 && p->out[1].dtype == GIE_BOOL && gie_desc_count(&p->out[1]) > 0) { /* dropout's mask */
    struct cuda_tensor mask = cuda_tensor_of(&p->out[1]);
    m->mask = 1;
    m->mask_bytes = is_dense(&mask) ? size_t(count_of(&mask)) : 0;
    if (m->mask_bytes == 0)
      return cuda_refuse(why, size, "a mask in another layout");
  }
  return true;
}

bool move_reshape(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor from = cuda_tensor_of(&p->in[0]), to = cuda_tensor_of(&p->out[0]);
  if (count_of(&from) != count_of(&to))
    return cuda_refuse(why, size, "the shape does not have the operand's number of elements");
  if (is_dense(&to)) {
    struct cuda_tensor view = dense_like(&to, &from);
    add_job(m, &view, 0, 0, &from, 0, 0);
  } else if (is_dense(&from)) {
    struct cuda_tensor view = dense_like(&from, &to);
    add_job(m, &to, 0, 0, &view, 0, 0);
  } else {
    return each_way(m, &to, &from, MAP_NUMBER);
  }
  return true;
}

bool move_transpose(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor x = cuda_tensor_of(&p->in[0]), to = cuda_tensor_of(&p->out[0]), from = x;
  int64_t perm[GIE_MAX_RANK];
  unsigned seen = 0;
  uint32_t n = gie_node_ints(p->node, "perm", perm, GIE_MAX_RANK, 0);
  for (int i = 0; i < x.rank; i++) {
    perm[i] = n ? perm[i] : x.rank - 1 - i;
    seen |= perm[i] >= 0 && perm[i] < x.rank ? 1u << perm[i] : 0;
  }
  if ((n && n != uint32_t(x.rank)) || seen != (1u << x.rank) - 1)
    return cuda_refuse(why, size, "perm is no permutation of rank %d", x.rank);
  for (int i = 0; i < x.rank; i++) {
    from.dim[i] = x.dim[perm[i]];
    from.stride[i] = x.stride[perm[i]];
    if (x.block_axis == perm[i])
      from.block_axis = i;
  }
  add_job(m, &to, 0, 0, &from, 0, 0);
  return true;
}

bool move_expand(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor from = cuda_tensor_of(&p->in[0]), to = cuda_tensor_of(&p->out[0]);
  int shift = to.rank - from.rank;
  for (int i = 0; i < from.rank; i++)
    if (shift < 0 || (from.dim[i] != 1 && from.dim[i] != to.dim[i + shift]))
      return cuda_refuse(why, size, "the operand does not broadcast to the result's shape");
  from = cuda_broadcast(from, to);
  add_job(m, &to, 0, 0, &from, 0, 0);
  return true;
}

bool move_slice(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor x = cuda_tensor_of(&p->in[0]), to = cuda_tensor_of(&p->out[0]), from = x;
  int64_t start[GIE_MAX_RANK], axes[GIE_MAX_RANK], steps[GIE_MAX_RANK], offset = 0;
  uint32_t n = 0, k = 0;
  bool blocked = false;
  if (!known_ints(p, 1, start, GIE_MAX_RANK, &n))
    return cuda_refuse(why, size, "the bounds are not constant");
  for (int i = 0; i < GIE_MAX_RANK; i++) {
    axes[i] = i;
    steps[i] = 1;
    m->each.step[i] = 1;
    m->each.perm[i] = i;
  }
  if (has_in(p, 3) && (!known_ints(p, 3, axes, GIE_MAX_RANK, &k) || k != n))
    return cuda_refuse(why, size, "the axes are not constant, or not as many as bounds");
  if (has_in(p, 4) && (!known_ints(p, 4, steps, GIE_MAX_RANK, &k) || k != n))
    return cuda_refuse(why, size, "the steps are not constant, or not as many as bounds");
  for (uint32_t i = 0; i < n; i++) {
    int64_t a = axes[i] < 0 ? axes[i] + x.rank : axes[i];
    if (a < 0 || a >= x.rank || steps[i] == 0)
      return cuda_refuse(why, size, "bad axis or step of a slice");
    int64_t dim = x.dim[a], s = start[i] < 0 ? start[i] + dim : start[i], last = steps[i] > 0 ? dim : dim - 1;
    int64_t stride = steps[i] < 0 ? -(steps[i] + (steps[i] == INT64_MIN)) : steps[i];
    s = s < 0 ? 0 : s > last ? last : s;
    if (to.dim[a] > 1 && to.dim[a] - 1 > (dim - 1) / stride)
      return cuda_refuse(why, size, "the slice does not give the result's shape");
    m->each.begin[a] = s;
    m->each.step[a] = to.dim[a] > 1 ? steps[i] : 1; /* a huge step goes nowhere then */
    blocked = blocked || x.block_axis == a;
  }
  if (blocked && count_of(&to) > 0)
    return each_way(m, &to, &x, MAP_AFFINE);
  for (int a = 0; a < x.rank; a++) {
    offset += x.block_axis == a ? 0 : m->each.begin[a] * x.stride[a];
    from.stride[a] = x.stride[a] * m->each.step[a];
    from.dim[a] = to.dim[a];
  }
  add_job(m, &to, 0, 0, &from, offset * x.size, 0);
  return true;
}

bool move_split(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor x = cuda_tensor_of(&p->in[0]);
  int axis = axis_of(p, x.rank);
  int64_t begin = 0;
  if (axis < 0)
    return cuda_refuse(why, size, "the axis is outside rank %d", x.rank);
  for (uint32_t i = 0; i < p->n_out; i++) {
    struct cuda_tensor to = cuda_tensor_of(&p->out[i]), from = x;
    int64_t offset = 0;
    if (to.dtype == GIE_DTYPE_NONE)
      continue;
    if (to.rank != x.rank || begin + to.dim[axis] > x.dim[axis])
      return cuda_refuse(why, size, "the results are longer than the operand");
    if (!range_of(&from, axis, begin, to.dim[axis], &offset))
      return cuda_refuse(why, size, "a range that cuts a block");
    add_job(m, &to, 0, int(i), &from, offset, 0);
    begin += to.dim[axis];
  }
  return true;
}

static bool concat_each_way(const struct gie_problem *p, struct move *m, int axis, char *why, size_t size)
{
  struct concat_each f = {};
  if (p->node->n_operands > CONCAT_OPERANDS)
    return cuda_refuse(why, size, "more than %d operands in blocks", CONCAT_OPERANDS);
  f.out = cuda_tensor_of(&p->out[0]);
  f.order = cuda_order_of(f.out);
  f.axis = axis;
  for (uint32_t i = 0; i < p->node->n_operands; i++) {
    if (p->in[i].dim[axis] == 0)
      continue;
    f.in[f.n] = cuda_tensor_of(&p->in[i]);
    f.begin[f.n + 1] = f.begin[f.n] + p->in[i].dim[axis];
    f.n++;
  }
  if (f.n != int(p->node->n_operands))
    return cuda_refuse(why, size, "an empty operand among blocked ones");
  m->concat = static_cast<struct concat_each *>(gie_alloc(m->ctx, 1, sizeof f));
  if (!m->concat)
    return cuda_refuse(why, size, "out of memory");
  *m->concat = f;
  m->way = WAY_CONCAT;
  return true;
}

bool move_concat(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor whole = cuda_tensor_of(&p->out[0]);
  int axis = axis_of(p, whole.rank);
  int64_t begin = 0;
  if (axis < 0)
    return cuda_refuse(why, size, "the axis is outside rank %d", whole.rank);
  for (uint32_t i = 0; i < p->node->n_operands; i++) {
    struct cuda_tensor from = cuda_tensor_of(&p->in[i]), to = whole;
    int64_t offset = 0;
    if (from.rank != whole.rank || from.dtype != whole.dtype || begin + from.dim[axis] > whole.dim[axis])
      return cuda_refuse(why, size, "operand %u differs in rank or dtype, or is too long", i);
    for (int a = 0; a < whole.rank; a++)
      if (a != axis && from.dim[a] != whole.dim[a])
        return cuda_refuse(why, size, "operand %u differs on axis %d", i, a);
    /* only the last range may own pad lanes */
    bool last = begin + from.dim[axis] == whole.dim[axis];
    bool cuts = whole.block_axis == axis && !last && from.dim[axis] % whole.block != 0;
    if (cuts || !range_of(&to, axis, begin, from.dim[axis], &offset))
      return concat_each_way(p, m, axis, why, size);
    begin += from.dim[axis];
    if (from.dim[axis] > 0)
      add_job(m, &to, offset, 0, &from, 0, int(i));
  }
  return begin == whole.dim[axis] || cuda_refuse(why, size, "the operands do not fill the result");
}

bool move_gather(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor x = cuda_tensor_of(&p->in[0]), to = cuda_tensor_of(&p->out[0]);
  char class_ = gie_dtype_class(p->in[1].dtype);
  int64_t known[GIE_MAX_KNOWN];
  uint32_t n = 0;
  m->each.axis = axis_of(p, x.rank);
  m->each.indices = cuda_tensor_of(&p->in[1]);
  int rank = m->each.indices.rank;
  if (m->each.axis < 0 || (class_ != 'i' && class_ != 'u') || to.rank != x.rank - 1 + rank)
    return cuda_refuse(why, size, "axis, indices or result do not fit");
  for (int i = 0; i < rank; i++)
    if (to.dim[m->each.axis + i] != m->each.indices.dim[i])
      return cuda_refuse(why, size, "the result does not have the dims of the indices");
  int64_t extent = x.dim[m->each.axis];
  if (extent == 0 && count_of(&to) > 0)
    return cuda_refuse(why, size, "an axis without elements");
  if (known_ints(p, 1, known, GIE_MAX_KNOWN, &n))
    for (uint32_t i = 0; i < n; i++)
      if (known[i] < -extent || known[i] >= extent)
        return cuda_refuse(why, size, "index %lld is outside the axis", (long long)known[i]);
  return each_way(m, &to, &x, MAP_GATHER);
}

bool move_pad(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  static const char *const MODES[] = {"constant", "edge", "reflect", "wrap"};
  struct cuda_tensor x = cuda_tensor_of(&p->in[0]), to = cuda_tensor_of(&p->out[0]);
  int64_t pads[2 * GIE_MAX_RANK], axes[GIE_MAX_RANK];
  uint32_t n = 0, n_axes = uint32_t(x.rank);
  m->each.mode = -1;
  for (int i = 0; i < 4; i++)
    if (strcmp(MODES[i], gie_node_string(p->node, "mode")) == 0)
      m->each.mode = i;
  if (m->each.mode < 0 || x.rank != to.rank)
    return cuda_refuse(why, size, "unknown mode, or x and the result differ in rank");
  if (!known_ints(p, 1, pads, 2 * GIE_MAX_RANK, &n))
    return cuda_refuse(why, size, "the pads are not constant");
  for (int i = 0; i < x.rank; i++) {
    axes[i] = i;
    m->each.extent[i] = x.dim[i];
  }
  if (has_in(p, 3) && !known_ints(p, 3, axes, GIE_MAX_RANK, &n_axes))
    return cuda_refuse(why, size, "the axes are not constant");
  if (n != 2 * n_axes)
    return cuda_refuse(why, size, "pads does not have two entries per axis");
  for (uint32_t i = 0; i < n_axes; i++) {
    int64_t a = axes[i] < 0 ? axes[i] + x.rank : axes[i], b = pads[i], e = pads[n_axes + i];
    if (a < 0 || a >= x.rank || b < -INT32_MAX || e < -INT32_MAX || b > INT32_MAX || e > INT32_MAX)
      return cuda_refuse(why, size, "bad axis or pad");
    m->each.begin[a] = b > 0 ? b : 0;
    m->each.step[a] = b < 0 ? -b : 0;
    m->each.extent[a] += (b < 0 ? b : 0) + (e < 0 ? e : 0);
    if (x.dim[a] + b + e != to.dim[a])
      return cuda_refuse(why, size, "the pads do not give the result's shape");
  }
  for (int i = 0; i < x.rank; i++)
    if (m->each.extent[i] <= 0 && m->each.mode != PAD_CONSTANT && count_of(&to) > 0)
      return cuda_refuse(why, size, "nothing stays to be repeated");
  if (has_in(p, 2)) {
    if (p->in[2].dtype != p->in[0].dtype || gie_desc_count(&p->in[2]) < 1)
      return cuda_refuse(why, size, "the fill value is no element of x's dtype");
    m->fill_operand = 2;
  }
  return each_way(m, &to, &x, MAP_PAD);
}

/* Axes are cut in two: the copy has up to ten of them. What does not fit there is computed. */
bool move_tile(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor x = cuda_tensor_of(&p->in[0]), to = cuda_tensor_of(&p->out[0]), a = to, b = x;
  int rank = 0;
  if (x.rank != to.rank)
    return cuda_refuse(why, size, "operand and result differ in rank");
  for (int i = 0; i < x.rank; i++) {
    if (x.dim[i] == 0 ? to.dim[i] != 0 : to.dim[i] % x.dim[i] != 0)
      return cuda_refuse(why, size, "the result is no multiple of the operand");
    rank += x.dim[i] != to.dim[i] ? 2 : 1;
  }
  if (rank > GIE_MAX_RANK || x.block_axis >= 0 || to.block_axis >= 0 || count_of(&to) == 0)
    return each_way(m, &to, &x, MAP_TILE);
  a.rank = b.rank = rank;
  for (int i = 0, k = 0; i < x.rank; i++) {
    if (x.dim[i] != to.dim[i]) {
      a.dim[k] = b.dim[k] = to.dim[i] / x.dim[i];
      a.stride[k] = to.stride[i] * x.dim[i];
      b.stride[k++] = 0;
    }
    a.dim[k] = b.dim[k] = x.dim[i];
    a.stride[k] = to.stride[i];
    b.stride[k++] = x.stride[i];
  }
  add_job(m, &a, 0, 0, &b, 0, 0);
  return true;
}

bool move_blocks(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor x = cuda_tensor_of(&p->in[0]), to = cuda_tensor_of(&p->out[0]);
  int64_t n = gie_node_int(p->node, "block");
  bool to_space = strcmp(p->node->op->name, "depth_to_space") == 0;
  if (x.rank != 4 || to.rank != 4 || n < 1 || n > 32767)
    return cuda_refuse(why, size, "needs rank 4 and a block from 1 to 32767");
  const struct cuda_tensor *wide = to_space ? &to : &x, *deep = to_space ? &x : &to;
  if (deep->dim[1] != wide->dim[1] * n * n || wide->dim[2] != deep->dim[2] * n ||
      wide->dim[3] != deep->dim[3] * n)
    return cuda_refuse(why, size, "operand and result do not fit");
  m->each.block = int(n);
  m->each.depth_first = strcmp(p->node->op->name, "space_to_depth") == 0 ||
                        gie_node_string(p->node, "mode")[0] == 'D';
  if (x.block_axis >= 0 || to.block_axis >= 0)
    return each_way(m, &to, &x, to_space ? MAP_TO_SPACE : MAP_TO_DEPTH);
  /* axes: image, channel, row, row in block, column, column in block */
  struct cuda_tensor w = *wide, d = *deep;
  int64_t c = m->each.depth_first ? 1 : n * n, b = m->each.depth_first ? wide->dim[1] : 1;
  w.rank = d.rank = 6;
  const int64_t dim[6] = {wide->dim[0], wide->dim[1], deep->dim[2], n, deep->dim[3], n};
  const int64_t ws[6] = {wide->stride[0], wide->stride[1],     wide->stride[2] * n,
                         wide->stride[2], wide->stride[3] * n, wide->stride[3]};
  const int64_t ds[6] = {deep->stride[0],         deep->stride[1] * c, deep->stride[2],
                         deep->stride[1] * b * n, deep->stride[3],     deep->stride[1] * b};
  for (int i = 0; i < 6; i++) {
    w.dim[i] = d.dim[i] = dim[i];
    w.stride[i] = ws[i];
    d.stride[i] = ds[i];
  }
  add_job(m, to_space ? &w : &d, 0, 0, to_space ? &d : &w, 0, 0);
  return true;
}

bool move_constant(const struct gie_problem *p, struct move *m, char *why, size_t size)
{
  struct cuda_tensor to = cuda_tensor_of(&p->out[0]);
  const struct gie_attr *a = gie_attrs_find(&p->node->attrs, "value");
  if (a && (a->kind != GIE_ATTR_TENSOR || a->u.t->type.dtype != p->out[0].dtype ||
            a->u.t->data.size != size_t(to.size)))
    return cuda_refuse(why, size, "the value is not one element of the result's dtype");
  if (a)
    memcpy(&m->each.fill, static_cast<const char *>(gie_blob_data(a->u.t->data.blob)) + a->u.t->data.offset,
           size_t(to.size));
  return each_way(m, &to, &to, MAP_FILL);
}
