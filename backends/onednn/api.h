/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that knows how the C interfaces of oneDNN 2.6 … and 3.x differ. Version 2 has memory
 * descriptors as structs and makes a primitive descriptor from an operation descriptor; version 3 has
 * them behind pointers and makes it at once. Everything else here is the common part. */
#ifndef GIE_BACKENDS_ONEDNN_API_H
#define GIE_BACKENDS_ONEDNN_API_H

#include <gie/module.h>
#include <oneapi/dnnl/dnnl.h>

#define OD_V3 (DNNL_VERSION_MAJOR >= 3)

/* A memory descriptor of our own, and one that is only looked at. */
struct od_md {
  dnnl_memory_desc_t d;
};
#if OD_V3
typedef const_dnnl_memory_desc_t od_mdp;
#else
typedef const dnnl_memory_desc_t *od_mdp;
#endif

/* The tensor as oneDNN sees it; layout.any leaves the format to oneDNN. Fails where oneDNN has no word
 * for the layout, dtype or strides. */
dnnl_status_t od_md_make(const struct gie_desc *d, struct od_md *m);
void od_md_free(struct od_md *m);
static inline od_mdp od_md_ref(const struct od_md *m)
{
#if OD_V3
  return m->d;
#else
  return &m->d;
#endif
}
/* Everything that the bytes of a tensor in this format depend on, as text; false when it cannot be told. */
bool od_md_text(od_mdp m, char *buf, size_t size);

/* ---- Primitive descriptors. Dilations are 1 for none here as in gie. */

struct od_geometry {
  dnnl_dims_t kernel, stride, dilation, pad_begin, pad_end;
};
dnnl_status_t od_pd_conv(dnnl_primitive_desc_t *pd, bool transpose, dnnl_alg_kind_t alg, od_mdp src, od_mdp w,
                         od_mdp bias, od_mdp dst, const struct od_geometry *g, dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_matmul(dnnl_primitive_desc_t *pd, od_mdp a, od_mdp b, od_mdp bias, od_mdp dst,
                           dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_pool(dnnl_primitive_desc_t *pd, dnnl_alg_kind_t alg, od_mdp src, od_mdp dst,
                         const struct od_geometry *g, dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_lrn(dnnl_primitive_desc_t *pd, od_mdp src, od_mdp dst, int64_t size, float alpha,
                        float beta, float k, dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_softmax(dnnl_primitive_desc_t *pd, bool log, od_mdp src, od_mdp dst, int axis,
                            dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_eltwise(dnnl_primitive_desc_t *pd, dnnl_alg_kind_t alg, od_mdp src, od_mdp dst,
                            float alpha, float beta, dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_binary(dnnl_primitive_desc_t *pd, dnnl_alg_kind_t alg, od_mdp a, od_mdp b, od_mdp dst,
                           dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_prelu(dnnl_primitive_desc_t *pd, od_mdp src, od_mdp slope, od_mdp dst,
                          dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_concat(dnnl_primitive_desc_t *pd, od_mdp dst, int axis, int n, const struct od_md *src,
                           dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_reorder(dnnl_primitive_desc_t *pd, od_mdp src, od_mdp dst, dnnl_primitive_attr_t attr);
dnnl_status_t od_pd_resize(dnnl_primitive_desc_t *pd, dnnl_alg_kind_t alg, od_mdp src, od_mdp dst,
                           dnnl_primitive_attr_t attr);

dnnl_status_t od_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta);
dnnl_status_t od_append_sum(dnnl_post_ops_t ops);

/* Descriptor of execution argument `arg` (NULL: it has none), of the scratchpad; name of the code. */
od_mdp od_pd_arg(const_dnnl_primitive_desc_t pd, int arg);
size_t od_pd_scratch(const_dnnl_primitive_desc_t pd);
const char *od_pd_name(const_dnnl_primitive_desc_t pd);

/* The engine of the process: the host has no state that contexts would have to keep apart. */
dnnl_engine_t od_engine(void);
const char *od_version(void); /* of the library that was loaded: "oneDNN 2.6.3" */

#endif
