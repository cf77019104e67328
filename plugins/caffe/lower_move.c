/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that move data, and Interp. Rules: the layer catalogue of Caffe's documentation. */
#include "plugins/caffe/caffe.h"

/* ---- Copies ---------------------------------------------------------------------------------- */

gie_status caffe_lower_silence(struct caffe_layer *n)
{
  (void)n;
  return GIE_OK;
}

/* Split, and Dropout, which does nothing after training: the tops are other names of the bottom. */
gie_status caffe_lower_copies(struct caffe_layer *n)
{
  const char **tops = n->tops;
  uint32_t count = n->n_top;
  gie_status st = GIE_OK;
  n->n_top = 1;
  for (; st == GIE_OK && n->tops < tops + count; n->tops++)
    st = caffe_result(n, "identity", n->in, 1, NULL);
  n->tops = tops;
  n->n_top = count;
  return st;
}

/* ---- Along an axis --------------------------------------------------------------------------- */

/* "axis", or its older name. */
static bool find_axis(struct caffe_layer *n, const struct text_field *p, const char *older, int rank,
                      int *axis)
{
  int64_t v = caffe_int(n->im, p, older, 1);
  return caffe_axis(n, caffe_int(n->im, p, "axis", v), rank, 0, axis);
}

gie_status caffe_lower_concat(struct caffe_layer *n)
{
  struct caffe_attrs attrs = {.n = 0};
  int64_t x[GIE_MAX_RANK];
  int rank, axis;
  if (!caffe_dims(n, 0, x, &rank) ||
      !find_axis(n, caffe_message(n, "concat_param"), "concat_dim", rank, &axis))
    return GIE_OK;
  caffe_put_int(&attrs, "axis", axis);
  return caffe_result(n, "concat", n->in, n->n_in, &attrs);
}

gie_status caffe_lower_slice(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "slice_param");
  struct caffe_attrs attrs = {.n = 0};
  int64_t x[GIE_MAX_RANK], from = 0;
  int rank, axis;
  gie_id in[2] = {n->in[0]};
  if (!caffe_dims(n, 0, x, &rank) || !find_axis(n, p, "slice_dim", rank, &axis))
    return GIE_OK;
  int64_t *sizes = gie_arena_alloc(&n->im->arena, n->n_top + 1, sizeof *sizes);
  if (!sizes)
    return GIE_E_MEMORY;
  uint32_t given = caffe_count(p, "slice_point");
  if (given ? given != n->n_top - 1 : x[axis] % n->n_top != 0)
    return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\": %lld cannot be cut into %u tops at %u points",
                    n->f->line, n->f->column, n->name, (long long)x[axis], (unsigned)n->n_top,
                    (unsigned)given);
  caffe_ints(n->im, p, "slice_point", sizes, given);
  for (uint32_t i = 0; i < n->n_top; i++) {
    int64_t to = !given ? from + x[axis] / n->n_top : i < given ? sizes[i] : x[axis];
    if (to <= from || to > x[axis])
      return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\": slice points have to ascend within %lld",
                      n->f->line, n->f->column, n->name, (long long)x[axis]);
    sizes[i] = to - from;
    from = to;
  }
  caffe_put_int(&attrs, "axis", axis);
  GIE_TRY(caffe_const_ints(n, "sizes", sizes, n->n_top, &in[1]));
  return caffe_result(n, "split", in, 2, &attrs);
}

/* The first bottom cut to the size of the second, from axis on. */
gie_status caffe_lower_crop(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "crop_param");
  int64_t x[GIE_MAX_RANK], like[GIE_MAX_RANK], offset[GIE_MAX_RANK], end[GIE_MAX_RANK], axes[GIE_MAX_RANK];
  int rank, like_rank, axis;
  gie_id in[4] = {n->in[0]};
  if (!caffe_dims(n, 0, x, &rank) || !caffe_dims(n, 1, like, &like_rank) ||
      !caffe_axis(n, caffe_int(n->im, p, "axis", 2), rank, 0, &axis))
    return GIE_OK;
  if (x[axis] == 0)
    return caffe_refuse(n, "crops a batch that is left open");
  uint32_t count = (uint32_t)(rank - axis), given = caffe_ints(n->im, p, "offset", offset, count);
  if (like_rank != rank || (given > 1 && given != count))
    return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\": its bottoms or offsets do not fit together",
                    n->f->line, n->f->column, n->name);
  for (uint32_t i = 0; i < count; i++) {
    offset[i] = given > 1 ? offset[i] : given ? offset[0] : 0;
    axes[i] = axis + (int)i;
    if (offset[i] < 0 || offset[i] > x[axes[i]] - like[axes[i]])
      return gie_fail(n->ctx, GIE_E_SHAPE, "%u:%u: layer \"%s\" crops beyond its bottom on axis %lld",
                      n->f->line, n->f->column, n->name, (long long)axes[i]);
    end[i] = offset[i] + like[axes[i]];
  }
  GIE_TRY(caffe_const_ints(n, "starts", offset, count, &in[1]));
  GIE_TRY(caffe_const_ints(n, "ends", end, count, &in[2]));
  GIE_TRY(caffe_const_ints(n, "axes", axes, count, &in[3]));
  return caffe_result(n, "slice", in, 4, NULL);
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

gie_status caffe_lower_permute(struct caffe_layer *n)
{
  struct caffe_attrs attrs = {.n = 0};
  int64_t x[GIE_MAX_RANK], perm[GIE_MAX_RANK];
  int rank;
  if (!caffe_dims(n, 0, x, &rank))
    return GIE_OK;
  int k = (int)caffe_ints(n->im, caffe_message(n, "permute_param"), "order", perm, (uint32_t)rank);
  GIE_TRY(caffe_params(n->im));
  /* Axes that are not named follow in their order. */
  for (int a = 0; a < rank; a++) {
    bool named = false;
    for (int i = 0; i < k; i++)
      named = named || perm[i] == a;
    if (!named && k < rank)
      perm[k++] = a;
  }
  caffe_put_ints(&attrs, "perm", perm, (uint32_t)rank);
  return caffe_result(n, "transpose", n->in, 1, &attrs);
}

/* Dims for a reshape: 0 where the batch is, so that another batch fits too. */
static gie_status reshape(struct caffe_layer *n, const int64_t *dims, int rank)
{
  gie_id in[2] = {n->in[0]};
  GIE_TRY(caffe_const_ints(n, "shape", dims, (uint32_t)rank, &in[1]));
  return caffe_result(n, "reshape", in, 2, NULL);
}

gie_status caffe_lower_flatten(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "flatten_param");
  struct caffe_attrs attrs = {.n = 0};
  int64_t x[GIE_MAX_RANK], y[GIE_MAX_RANK + 1];
  int rank, axis, end, k = 0;
  if (!caffe_dims(n, 0, x, &rank) || !caffe_axis(n, caffe_int(n->im, p, "axis", 1), rank, 0, &axis) ||
      !caffe_axis(n, caffe_int(n->im, p, "end_axis", -1), rank, 0, &end))
    return GIE_OK;
  if (end < axis)
    return caffe_refuse(n, "axes %d to %d", axis, end);
  if (axis == 1 && end == rank - 1) {
    caffe_put_int(&attrs, "axis", 1);
    return caffe_result(n, "flatten", n->in, 1, &attrs);
  }
  for (; k < axis; k++)
    y[k] = 0;
  y[k++] = -1;
  for (int i = end + 1; i < rank; i++)
    y[k++] = x[i];
  return reshape(n, y, k);
}

/* The dims from axis on, num_axes of them, become those of the shape; 0 there copies, -1 is what is left. */
gie_status caffe_lower_reshape(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "reshape_param"), *shape = caffe_find(p, "shape");
  int64_t x[GIE_MAX_RANK], y[2 * GIE_MAX_RANK], dims[GIE_MAX_RANK];
  int rank, axis, k = 0;
  if (!caffe_dims(n, 0, x, &rank) || !caffe_axis(n, caffe_int(n->im, p, "axis", 0), rank, 1, &axis))
    return GIE_OK;
  int64_t num = caffe_int(n->im, p, "num_axes", -1);
  int end = num == -1 ? rank : axis + (num >= 0 && num <= rank ? (int)num : rank + 1),
      given = (int)caffe_ints(n->im, shape, "dim", dims, GIE_MAX_RANK);
  if (end < rank && x[end] == 0)
    return caffe_refuse(n, "a reshape that moves a batch that is left open");
  if (end > rank || axis + given + rank - end > GIE_MAX_RANK)
    return caffe_refuse(n, "a reshape to too many dims");
  for (; k < axis; k++)
    y[k] = 0;
  for (int i = 0; i < given; i++, k++) {
    if (dims[i] == 0 && axis + i >= rank)
      return caffe_refuse(n, "a reshape that copies a dim that is not there");
    y[k] = dims[i];
  }
  for (int i = end; i < rank; i++)
    y[k++] = x[i];
  return reshape(n, y, k);
}

/* ---- Interp ---------------------------------------------------------------------------------- */

/* Extent after shrinking and growing, corners on corners; 0: not possible. */
static int64_t interp_extent(struct caffe_layer *n, const struct text_field *p, const char *side, int64_t in)
{
  int64_t given = caffe_int(n->im, p, side, 0), shrink = caffe_int(n->im, p, "shrink_factor", 1),
          zoom = caffe_int(n->im, p, "zoom_factor", 1), out = in;
  if (given > 0)
    return given;
  if (shrink < 1 || zoom < 1 || shrink > INT32_MAX || zoom > INT32_MAX || in < 1 || in > INT32_MAX)
    return 0;
  out = (in - 1) / shrink + 1;
  return out + (out - 1) * (zoom - 1);
}

/* Bilinear, with corners on corners, to a size that is given or that of the second bottom. */
gie_status caffe_lower_interp(struct caffe_layer *n)
{
  const struct text_field *p = caffe_message(n, "interp_param");
  static const char mode[] = "linear", coordinate[] = "align_corners";
  const int64_t axes[] = {2, 3};
  int64_t x[GIE_MAX_RANK], like[GIE_MAX_RANK], sizes[2];
  int rank, like_rank;
  gie_id in[4] = {n->in[0], GIE_NONE, GIE_NONE};
  if (!caffe_dims(n, 0, x, &rank) || (n->n_in == 2 && !caffe_dims(n, 1, like, &like_rank)))
    return GIE_OK;
  if (rank != 4 || (n->n_in == 2 && like_rank != 4))
    return caffe_refuse(n, "interpolation of a blob with %d dims", rank);
  if (caffe_int(n->im, p, "pad_beg", 0) != 0 || caffe_int(n->im, p, "pad_end", 0) != 0)
    return caffe_refuse(n, "interpolation of a blob that is cropped first (pad_beg, pad_end)");
  sizes[0] = n->n_in == 2 ? like[2] : interp_extent(n, p, "height", x[2]);
  sizes[1] = n->n_in == 2 ? like[3] : interp_extent(n, p, "width", x[3]);
  if (sizes[0] < 1 || sizes[1] < 1)
    return gie_fail(n->ctx, GIE_E_DATA, "%u:%u: layer \"%s\": a size of %lld by %lld is not possible",
                    n->f->line, n->f->column, n->name, (long long)sizes[0], (long long)sizes[1]);
  GIE_TRY(caffe_const_ints(n, "sizes", sizes, 2, &in[3]));
  const struct gie_attr attrs[] = {
      {.name = "mode", .kind = GIE_ATTR_STRING, .n = sizeof mode - 1, .u.s = mode},
      {.name = "coordinate", .kind = GIE_ATTR_STRING, .n = sizeof coordinate - 1, .u.s = coordinate},
      {.name = "axes", .kind = GIE_ATTR_INTS, .n = 2, .u.is = axes},
  };
  return caffe_result_with(n, "resize", in, 4, attrs, 3);
}
