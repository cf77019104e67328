/* SPDX-License-Identifier: Apache-2.0 */
/* What moves of elements are made of: where an element comes from, what an instance does, and the functions that
 * find both out for an op (move_ops.cu); the kernels are in move.cu. */
#ifndef GIE_BACKENDS_CUDA_MOVE_CUH
#define GIE_BACKENDS_CUDA_MOVE_CUH

#include "backends/cuda/rows.cuh"

/* ---- Where an element of the result comes from */

enum move_map { MAP_AFFINE, MAP_NUMBER, MAP_TILE, MAP_TO_SPACE, MAP_TO_DEPTH, MAP_PAD, MAP_GATHER, MAP_FILL };
enum pad_mode { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT, PAD_WRAP };

struct move_each {
  struct cuda_tensor out, in, indices;
  struct cuda_order order;
  enum move_map map;
  int axis, block, depth_first, mode;
  int perm[GIE_MAX_RANK];
  int64_t begin[GIE_MAX_RANK], step[GIE_MAX_RANK], extent[GIE_MAX_RANK];
  uint64_t fill;
  const char *fill_from; /* NULL: fill */

  __device__ bool pad(const int64_t *to, int64_t *from) const
  {
    for (int i = 0; i < in.rank; i++) {
      int64_t n = extent[i], at = to[i] - begin[i];
      if (at < 0 || at >= n) {
        int64_t period = mode == PAD_WRAP ? n : n > 1 ? 2 * (n - 1) : 1;
        if (mode == PAD_CONSTANT)
          return false;
        if (mode == PAD_EDGE)
          at = at < 0 ? 0 : n - 1;
        else
          at = (at % period + period) % period;
        if (mode == PAD_REFLECT && at >= n)
          at = period - at;
      }
      from[i] = step[i] + at;
    }
    return true;
  }

  /* An index outside the axis is taken for the nearest one inside: a kernel cannot report it. */
  __device__ void gather(const int64_t *to, int64_t *from) const
  {
    int64_t i = cuda_read(indices, to + axis).i, n = in.dim[axis];
    i = i < 0 ? i + n : i;
    for (int a = 0; a < in.rank; a++)
      if (a != axis)
        from[a] = to[a < axis ? a : a - 1 + indices.rank];
    from[axis] = i < 0 ? 0 : i >= n ? n - 1 : i;
  }

  __device__ void number(const int64_t *to, int64_t *from) const
  {
    int64_t n = 0;
    for (int i = 0; i < out.rank; i++)
      n = n * out.dim[i] + to[i];
    for (int i = in.rank - 1; i >= 0; i--) {
      from[i] = n % in.dim[i];
      n /= in.dim[i];
    }
  }

  __device__ void blocks(const int64_t *to, int64_t *from) const
  {
    from[0] = to[0];
    if (map == MAP_TO_SPACE) {
      int64_t offset = to[2] % block * block + to[3] % block;
      from[1] = depth_first ? offset * out.dim[1] + to[1] : to[1] * block * block + offset;
      from[2] = to[2] / block;
      from[3] = to[3] / block;
    } else {
      int64_t offset = to[1] / in.dim[1];
      from[1] = to[1] % in.dim[1];
      from[2] = to[2] * block + offset / block;
      from[3] = to[3] * block + offset % block;
    }
  }

  __device__ void operator()(const int64_t *to) const
  {
    int64_t from[GIE_MAX_RANK];
    bool filled = map == MAP_FILL;
    if (map == MAP_AFFINE)
      for (int i = 0; i < in.rank; i++)
        from[perm[i]] = begin[i] + to[i] * step[i];
    else if (map == MAP_NUMBER)
      number(to, from);
    else if (map == MAP_TILE)
      for (int i = 0; i < in.rank; i++)
        from[i] = to[i] % in.dim[i];
    else if (map == MAP_PAD)
      filled = !pad(to, from);
    else if (map == MAP_GATHER)
      gather(to, from);
    else if (!filled)
      blocks(to, from);
    const char *element = fill_from ? fill_from : reinterpret_cast<const char *>(&fill);
    if (!filled)
      element = in.data + cuda_offset(in, from);
    cuda_copy_element(out.data + cuda_offset(out, to), element, out.size);
  }
};

#define CONCAT_OPERANDS 16

/* The range of a result index along the axis tells the operand. */
struct concat_each {
  struct cuda_tensor out, in[CONCAT_OPERANDS];
  struct cuda_order order;
  int axis, n;
  int64_t begin[CONCAT_OPERANDS + 1];
  __device__ void operator()(const int64_t *to) const
  {
    int64_t from[GIE_MAX_RANK];
    int k = 0;
    while (k < n - 1 && to[axis] >= begin[k + 1])
      k++;
    for (int i = 0; i < out.rank; i++)
      from[i] = to[i] - (i == axis ? begin[k] : 0);
    cuda_copy_element(out.data + cuda_offset(out, to), in[k].data + cuda_offset(in[k], from), out.size);
  }
};

/* ---- What an instance does */

struct move_job {
  struct cuda_copy copy;
  int in, out;
  int64_t in_offset, out_offset; /* bytes */
};

enum move_way { WAY_JOBS, WAY_EACH, WAY_CONCAT };

struct move {
  struct gie_context *ctx;
  enum move_way way;
  int fill_operand, mask; /* -1: none; mask: result that is all true */
  size_t mask_bytes;
  struct move_each each;
  struct concat_each *concat;
  struct cuda_rows rows; /* all jobs at once, where they go together */
  uint32_t n_jobs;
  struct move_job job[]; /* as many as there are operands and results */
};

/* ---- The ops: each fills *m for a problem; false: `why`, which is "" when memory ran out */

bool move_same(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_reshape(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_transpose(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_expand(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_slice(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_split(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_concat(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_gather(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_pad(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_tile(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_blocks(const struct gie_problem *p, struct move *m, char *why, size_t size);
bool move_constant(const struct gie_problem *p, struct move *m, char *why, size_t size);

#endif
