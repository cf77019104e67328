/* SPDX-License-Identifier: Apache-2.0 */
/* See api.h. */
#include "backends/onednn/api.h"

#include <pthread.h>
#include <stdio.h>

#define CACHED_PRIMITIVES 64

/* ---- The process's engine and the library's version */

static struct {
  pthread_once_t once;
  dnnl_engine_t engine;
  char version[64];
} process = {.once = PTHREAD_ONCE_INIT};

static void open_process(void)
{
  const dnnl_version_t *v = dnnl_version();
  snprintf(process.version, sizeof process.version, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
  /* Its cache of 1,024 primitives keeps their code: hundreds of MiB after a build's candidates. */
  dnnl_set_primitive_cache_capacity(CACHED_PRIMITIVES);
  if (dnnl_engine_create(&process.engine, dnnl_cpu, 0) != dnnl_success)
    process.engine = NULL;
}

dnnl_engine_t od_engine(void)
{
  pthread_once(&process.once, open_process);
  return process.engine;
}

const char *od_version(void)
{
  pthread_once(&process.once, open_process);
  return process.version;
}

/* ---- Memory descriptors */

static dnnl_data_type_t dtype_of(enum gie_dtype t)
{
  switch (t) {
  case GIE_F32:
    return dnnl_f32;
  case GIE_F16:
    return dnnl_f16;
  default:
    return dnnl_data_type_undef;
  }
}

/* oneDNN's arrays of dims are longer than gie's. */
static void copy_dims(int rank, const int64_t *from, dnnl_dims_t to)
{
  for (int i = 0; i < DNNL_MAX_NDIMS; i++)
    to[i] = i < rank ? from[i] : 0;
}

#if OD_V3
#define MD_BY_TAG dnnl_memory_desc_create_with_tag
#define MD_BY_STRIDES dnnl_memory_desc_create_with_strides

void od_md_free(struct od_md *m)
{
  if (m->d)
    dnnl_memory_desc_destroy(m->d);
  m->d = NULL;
}

/* Tag of channels in blocks, axes in order. */
static dnnl_format_tag_t block_tag(int rank, int block)
{
  static const struct {
    int rank, block;
    dnnl_format_tag_t tag;
  } TAGS[] = {{3, 4, dnnl_aBc4b},   {3, 8, dnnl_aBc8b},   {3, 16, dnnl_aBc16b},
              {4, 4, dnnl_aBcd4b},  {4, 8, dnnl_aBcd8b},  {4, 16, dnnl_aBcd16b},
              {5, 4, dnnl_aBcde4b}, {5, 8, dnnl_aBcde8b}, {5, 16, dnnl_aBcde16b}};
  for (size_t i = 0; i < sizeof TAGS / sizeof *TAGS; i++)
    if (TAGS[i].rank == rank && TAGS[i].block == block)
      return TAGS[i].tag;
  return dnnl_format_tag_undef;
}

/* Extents of the dense tensor that d is a range of; its strides tell them. How far apart the images lie says
 * nothing when there is one. */
static bool base_dims(const struct gie_desc *d, dnnl_dims_t dims)
{
  int64_t block = d->layout.block, below = block, blocks = (d->dim[1] + block - 1) / block;
  for (int i = d->rank - 1; i >= 0; i--) {
    int64_t own = i == 1 ? blocks : d->dim[i];
    bool free = i == 0 || (i == 1 && d->dim[0] == 1);
    if ((d->layout.rank && d->layout.perm[i] != i) || (d->stride[i] != below && d->dim[i] != 1))
      return false;
    int64_t outer = free ? below * own : d->stride[i - 1];
    if (below < 1 || outer % below)
      return false;
    dims[i] = outer / below;
    below = outer;
  }
  if (dims[1] == blocks)
    dims[1] = d->dim[1];
  else if (d->dim[1] % block) /* pad lanes inside the base: oneDNN would not know of them */
    return false;
  else
    dims[1] *= block;
  return true;
}

static dnnl_status_t md_blocked(const struct gie_desc *d, struct od_md *m)
{
  dnnl_dims_t dims, offsets = {0};
  struct od_md base;
  dnnl_format_tag_t tag = block_tag(d->rank, d->layout.block);
  if (tag == dnnl_format_tag_undef || d->layout.block_axis != 1 || !base_dims(d, dims))
    return dnnl_unimplemented;
  dnnl_status_t st = MD_BY_TAG(&base.d, d->rank, dims, dtype_of(d->dtype), tag);
  if (st != dnnl_success)
    return st;
  copy_dims(d->rank, d->dim, dims);
  st = dnnl_memory_desc_create_submemory(&m->d, base.d, dims, offsets);
  od_md_free(&base);
  return st;
}

#else
#define MD_BY_TAG dnnl_memory_desc_init_by_tag
#define MD_BY_STRIDES dnnl_memory_desc_init_by_strides

void od_md_free(struct od_md *m) { (void)m; }

static dnnl_status_t md_blocked(const struct gie_desc *d, struct od_md *m)
{
  int axis = d->layout.block_axis, block = d->layout.block;
  dnnl_dims_t dims;
  copy_dims(d->rank, d->dim, dims);
  dnnl_status_t st = dnnl_memory_desc_init_by_tag(&m->d, d->rank, dims, dtype_of(d->dtype),
                                                  dnnl_format_tag_any);
  if (st != dnnl_success)
    return st;
  m->d.format_kind = dnnl_blocked;
  for (int i = 0; i < d->rank; i++) {
    m->d.padded_dims[i] = i == axis ? (d->dim[i] + block - 1) / block * block : d->dim[i];
    m->d.format_desc.blocking.strides[i] = d->stride[i];
  }
  m->d.format_desc.blocking.inner_nblks = 1;
  m->d.format_desc.blocking.inner_blks[0] = block;
  m->d.format_desc.blocking.inner_idxs[0] = axis;
  return dnnl_success;
}
#endif

dnnl_status_t od_md_make(const struct gie_desc *d, struct od_md *m)
{
  static const dnnl_dims_t one = {1};
  dnnl_dims_t dims, strides;
  memset(m, 0, sizeof *m);
  if (dtype_of(d->dtype) == dnnl_data_type_undef)
    return dnnl_unimplemented;
  if (d->rank == 0)
    return MD_BY_STRIDES(&m->d, 1, one, dtype_of(d->dtype), one);
  if (d->layout.block > 1)
    return md_blocked(d, m);
  copy_dims(d->rank, d->dim, dims);
  copy_dims(d->rank, d->stride, strides);
  if (d->layout.any)
    return MD_BY_TAG(&m->d, d->rank, dims, dtype_of(d->dtype), dnnl_format_tag_any);
  return MD_BY_STRIDES(&m->d, d->rank, dims, dtype_of(d->dtype), strides);
}

/* What the text is made of, read from either kind of descriptor. */
struct format {
  int ndims, n_blocks;
  dnnl_dims_t dims, padded, strides, blocks, block_axes;
};

#if OD_V3
static void read_dims(od_mdp m, dnnl_query_t what, int n, dnnl_dims_t out)
{
  const dnnl_dims_t *dims = NULL;
  if (n > 0 && dnnl_memory_desc_query(m, what, (void *)&dims) == dnnl_success && dims)
    memcpy(out, *dims, (size_t)n * sizeof out[0]);
}

static bool read_format(od_mdp m, struct format *f)
{
  dnnl_format_kind_t kind = dnnl_format_kind_undef;
  memset(f, 0, sizeof *f);
  if (dnnl_memory_desc_query(m, dnnl_query_format_kind, &kind) != dnnl_success || kind != dnnl_blocked)
    return false;
  dnnl_memory_desc_query(m, dnnl_query_ndims_s32, &f->ndims);
  dnnl_memory_desc_query(m, dnnl_query_inner_nblks_s32, &f->n_blocks);
  read_dims(m, dnnl_query_dims, f->ndims, f->dims);
  read_dims(m, dnnl_query_padded_dims, f->ndims, f->padded);
  read_dims(m, dnnl_query_strides, f->ndims, f->strides);
  read_dims(m, dnnl_query_inner_blks, f->n_blocks, f->blocks);
  read_dims(m, dnnl_query_inner_idxs, f->n_blocks, f->block_axes);
  return true;
}
#else
static bool read_format(od_mdp m, struct format *f)
{
  const dnnl_blocking_desc_t *b = &m->format_desc.blocking;
  memset(f, 0, sizeof *f);
  if (m->format_kind != dnnl_blocked || m->extra.flags != dnnl_memory_extra_flag_none)
    return false;
  f->ndims = m->ndims;
  f->n_blocks = b->inner_nblks;
  memcpy(f->dims, m->dims, sizeof f->dims);
  memcpy(f->padded, m->padded_dims, sizeof f->padded);
  memcpy(f->strides, b->strides, sizeof f->strides);
  memcpy(f->blocks, b->inner_blks, sizeof f->blocks);
  memcpy(f->block_axes, b->inner_idxs, sizeof f->block_axes);
  return true;
}
#endif

bool od_md_text(od_mdp m, char *buf, size_t size)
{
  struct format f;
  if (!read_format(m, &f))
    return false;
  size_t at = 0;
  for (int i = 0; i < f.ndims && at < size; i++)
    at += (size_t)snprintf(buf + at, size - at, "%s%lld", i ? "," : "", (long long)f.dims[i]);
  for (int i = 0; i < f.ndims && at < size; i++)
    at += (size_t)snprintf(buf + at, size - at, "%c%lld", i ? ',' : ' ', (long long)f.strides[i]);
  for (int i = 0; i < f.n_blocks && at < size; i++)
    at += (size_t)snprintf(buf + at, size - at, "%c%lld%c", i ? ',' : ' ', (long long)f.blocks[i],
                           (char)('a' + f.block_axes[i]));
  return at < size;
}

/* ---- Primitive descriptors */

#if OD_V3
/* PD(name, extra arguments, …): version 3's function. */
#define PD(kind, pd, attr, ...) dnnl_##kind##_primitive_desc_create(pd, od_engine(), __VA_ARGS__, attr)
#else
/* Version 2's two steps. */
#define PD2(desc, init, pd, attr, ...)                                                             \
  {                                                                                                \
    desc op;                                                                                       \
    dnnl_status_t st = init(&op, __VA_ARGS__);                                                     \
    return st == dnnl_success ? dnnl_primitive_desc_create(pd, &op, attr, od_engine(), NULL) : st; \
  }
#endif

static void dilations(const struct od_geometry *g, dnnl_dims_t out)
{
  for (int i = 0; i < DNNL_MAX_NDIMS; i++)
    out[i] = g->dilation[i] - 1;
}

dnnl_status_t od_pd_conv(dnnl_primitive_desc_t *pd, bool transpose, dnnl_alg_kind_t alg, od_mdp src, od_mdp w,
                         od_mdp bias, od_mdp dst, const struct od_geometry *g, dnnl_primitive_attr_t attr)
{
  dnnl_dims_t d;
  dilations(g, d);
#if OD_V3
  return transpose ? PD(deconvolution_forward, pd, attr, dnnl_forward_inference, alg, src, w, bias, dst,
                        g->stride, d, g->pad_begin, g->pad_end)
                   : PD(convolution_forward, pd, attr, dnnl_forward_inference, alg, src, w, bias, dst,
                        g->stride, d, g->pad_begin, g->pad_end);
#else
  if (transpose)
    PD2(dnnl_deconvolution_desc_t, dnnl_dilated_deconvolution_forward_desc_init, pd, attr,
        dnnl_forward_inference, alg, src, w, bias, dst, g->stride, d, g->pad_begin, g->pad_end)
  PD2(dnnl_convolution_desc_t, dnnl_dilated_convolution_forward_desc_init, pd, attr, dnnl_forward_inference,
      alg, src, w, bias, dst, g->stride, d, g->pad_begin, g->pad_end)
#endif
}

dnnl_status_t od_pd_matmul(dnnl_primitive_desc_t *pd, od_mdp a, od_mdp b, od_mdp bias, od_mdp dst,
                           dnnl_primitive_attr_t attr)
{
#if OD_V3
  return PD(matmul, pd, attr, a, b, bias, dst);
#else
  PD2(dnnl_matmul_desc_t, dnnl_matmul_desc_init, pd, attr, a, b, bias, dst)
#endif
}

dnnl_status_t od_pd_pool(dnnl_primitive_desc_t *pd, dnnl_alg_kind_t alg, od_mdp src, od_mdp dst,
                         const struct od_geometry *g, dnnl_primitive_attr_t attr)
{
  dnnl_dims_t d;
  dilations(g, d);
#if OD_V3
  return PD(pooling_forward, pd, attr, dnnl_forward_inference, alg, src, dst, g->stride, g->kernel, d,
            g->pad_begin, g->pad_end);
#else
  PD2(dnnl_pooling_v2_desc_t, dnnl_pooling_v2_forward_desc_init, pd, attr, dnnl_forward_inference, alg, src,
      dst, g->stride, g->kernel, d, g->pad_begin, g->pad_end)
#endif
}

dnnl_status_t od_pd_lrn(dnnl_primitive_desc_t *pd, od_mdp src, od_mdp dst, int64_t size, float alpha,
                        float beta, float k, dnnl_primitive_attr_t attr)
{
#if OD_V3
  return PD(lrn_forward, pd, attr, dnnl_forward_inference, dnnl_lrn_across_channels, src, dst, size, alpha,
            beta, k);
#else
  if (!dnnl_memory_desc_equal(src, dst)) /* one descriptor says both */
    return dnnl_unimplemented;
  PD2(dnnl_lrn_desc_t, dnnl_lrn_forward_desc_init, pd, attr, dnnl_forward_inference, dnnl_lrn_across_channels,
      src, size, alpha, beta, k)
#endif
}

dnnl_status_t od_pd_softmax(dnnl_primitive_desc_t *pd, bool log, od_mdp src, od_mdp dst, int axis,
                            dnnl_primitive_attr_t attr)
{
  dnnl_alg_kind_t alg = log ? dnnl_softmax_log : dnnl_softmax_accurate;
#if OD_V3
  return PD(softmax_forward, pd, attr, dnnl_forward_inference, alg, src, dst, axis);
#else
  PD2(dnnl_softmax_v2_desc_t, dnnl_softmax_v2_forward_desc_init, pd, attr, dnnl_forward_inference, alg, src,
      dst, axis)
#endif
}

dnnl_status_t od_pd_eltwise(dnnl_primitive_desc_t *pd, dnnl_alg_kind_t alg, od_mdp src, od_mdp dst,
                            float alpha, float beta, dnnl_primitive_attr_t attr)
{
#if OD_V3
  return PD(eltwise_forward, pd, attr, dnnl_forward_inference, alg, src, dst, alpha, beta);
#else
  if (!dnnl_memory_desc_equal(src, dst)) /* one descriptor says both */
    return dnnl_unimplemented;
  PD2(dnnl_eltwise_desc_t, dnnl_eltwise_forward_desc_init, pd, attr, dnnl_forward_inference, alg, src, alpha,
      beta)
#endif
}

dnnl_status_t od_pd_binary(dnnl_primitive_desc_t *pd, dnnl_alg_kind_t alg, od_mdp a, od_mdp b, od_mdp dst,
                           dnnl_primitive_attr_t attr)
{
#if OD_V3
  return PD(binary, pd, attr, alg, a, b, dst);
#else
  PD2(dnnl_binary_desc_t, dnnl_binary_desc_init, pd, attr, alg, a, b, dst)
#endif
}

dnnl_status_t od_pd_prelu(dnnl_primitive_desc_t *pd, od_mdp src, od_mdp slope, od_mdp dst,
                          dnnl_primitive_attr_t attr)
{
#if OD_V3
  return PD(prelu_forward, pd, attr, dnnl_forward_inference, src, slope, dst);
#else
  if (!dnnl_memory_desc_equal(src, dst)) /* one descriptor says both */
    return dnnl_unimplemented;
  PD2(dnnl_prelu_desc_t, dnnl_prelu_forward_desc_init, pd, attr, dnnl_forward_inference, src, slope)
#endif
}

dnnl_status_t od_pd_concat(dnnl_primitive_desc_t *pd, od_mdp dst, int axis, int n, const struct od_md *src,
                           dnnl_primitive_attr_t attr)
{
#if OD_V3
  return dnnl_concat_primitive_desc_create(pd, od_engine(), dst, n, axis,
                                           (const_dnnl_memory_desc_t const *)&src->d, attr);
#else
  return dnnl_concat_primitive_desc_create(pd, dst, n, axis, &src->d, attr, od_engine());
#endif
}

dnnl_status_t od_pd_reorder(dnnl_primitive_desc_t *pd, od_mdp src, od_mdp dst, dnnl_primitive_attr_t attr)
{
  return dnnl_reorder_primitive_desc_create(pd, src, od_engine(), dst, od_engine(), attr);
}

dnnl_status_t od_pd_resize(dnnl_primitive_desc_t *pd, dnnl_alg_kind_t alg, od_mdp src, od_mdp dst,
                           dnnl_primitive_attr_t attr)
{
#if OD_V3
  return PD(resampling_forward, pd, attr, dnnl_forward_inference, alg, NULL, src, dst);
#else
  PD2(dnnl_resampling_desc_t, dnnl_resampling_forward_desc_init, pd, attr, dnnl_forward_inference, alg, NULL,
      src, dst)
#endif
}

/* ---- Post-ops */

dnnl_status_t od_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta)
{
#if OD_V3
  return dnnl_post_ops_append_eltwise(ops, alg, alpha, beta);
#else
  return dnnl_post_ops_append_eltwise(ops, 1, alg, alpha, beta);
#endif
}

dnnl_status_t od_append_sum(dnnl_post_ops_t ops)
{
#if OD_V3
  return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
#else
  return dnnl_post_ops_append_sum(ops, 1);
#endif
}

/* ---- Queries */

od_mdp od_pd_arg(const_dnnl_primitive_desc_t pd, int arg)
{
  return dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg);
}

size_t od_pd_scratch(const_dnnl_primitive_desc_t pd)
{
  od_mdp m = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
  return m ? dnnl_memory_desc_get_size(m) : 0;
}

const char *od_pd_name(const_dnnl_primitive_desc_t pd)
{
  const char *name = NULL;
  if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name) != dnnl_success || !name)
    return "";
  return name;
}
