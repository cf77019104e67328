/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the Caffe importer share.
 *
 *     text.c     the protobuf text format            emit.c     adding nodes and constants
 *     param.c    fields by name, with defaults       layers.c   table of layers
 *     model.c    .caffemodel: layers and blobs       lower_*.c  Caffe layers → canonical IR
 *     net.c      layers in order, blobs, phases      custom.c   layers of other modules
 *     caffe.c    module                              upgrade.c  format V0 → V1
 */
#ifndef GIE_PLUGINS_CAFFE_H
#define GIE_PLUGINS_CAFFE_H

#include "plugins/caffe/caffe.pb-c.h"
#include "plugins/caffe/text.h"
#include "plugins/common/prescan.h"

#ifndef CAFFE_MAX_RANDOM
#define CAFFE_MAX_RANDOM \
  (1u << 28) /* weights of a layer without a file; the fuzzers have no time for so many */
#endif
#define CAFFE_MAX_EDGES 4096u /* bottoms or tops of a layer */
#define CAFFE_MAX_V0 4096u    /* layers of a network in format V0 */

/* A named blob of the network on its way: layers that work in place give it a new value. */
struct caffe_blob {
  const char *name;
  gie_id value;  /* GIE_NONE: not made yet */
  uint32_t last; /* layer that makes it last */
  bool used;     /* read since it was made */
};

/* Where weights come from. */
struct caffe_model {
  const char *path; /* NULL: nowhere */
  struct gie_source src;
  struct prescan scan;
  const Caffe__Net *net;
  struct gie_map layers; /* name → index */
};

/* One import. */
struct caffe_import {
  struct gie_context *ctx;
  const struct gie_source *src;
  struct gie_arena arena;
  struct gie_graph *g;
  struct text_field *root;
  struct caffe_model model;
  const char *outputs; /* names separated by commas; NULL: all blobs that nobody reads */
  bool random, open_batch;
  uint64_t seed;
  struct gie_map blob_map; /* name → index in blobs */
  struct caffe_blob *blobs;
  size_t n_blobs, cap_blobs;
  struct gie_map warned; /* fields that were warned about */
  char bad_param[256];   /* what is wrong with the first field that has a bad value; "" */
};

/* One layer under import. */
struct caffe_layer {
  struct caffe_import *im;
  struct gie_context *ctx;
  struct gie_graph *g;
  struct text_field *f;
  uint32_t index;
  const char *name, *type;
  gie_id *in;
  uint32_t n_in;
  const char **tops;
  uint32_t n_top;
  Caffe__Blob *const *blobs;
  size_t n_blobs;
  const char *reason; /* why it has to stay opaque; set by caffe_refuse() */
};

/* A row of the table of layers. */
struct caffe_kind {
  const char *name;
  const char *v1; /* name of the enum in V1 files, or NULL */
  uint16_t min_in, max_in, min_top, max_top;
  gie_status (*lower)(struct caffe_layer *n);
};

struct caffe_attrs {
  struct gie_attr v[12];
  uint32_t n;
};

extern const struct gie_format caffe_format;

/* ---- param.c: a missing message reads as one without fields. A bad value is recorded in im->bad_param and
 * reads as something; caffe_params() makes it the error. Asking for a field makes it known. */

struct text_field *caffe_message(struct caffe_layer *n, const char *name);
struct text_field *caffe_find(const struct text_field *message, const char *name);
struct text_field *caffe_next(const struct text_field *field); /* the next of the same name */
uint32_t caffe_count(const struct text_field *message, const char *name);
int64_t caffe_int(struct caffe_import *im, const struct text_field *m, const char *name, int64_t def);
double caffe_real(struct caffe_import *im, const struct text_field *m, const char *name, double def);
bool caffe_bool(struct caffe_import *im, const struct text_field *m, const char *name, bool def);
/* A string, or the name of an enum's value. */
const char *caffe_text(struct caffe_import *im, const struct text_field *m, const char *name,
                       const char *def);
int64_t caffe_field_int(struct caffe_import *im, const struct text_field *f);
double caffe_field_real(struct caffe_import *im, const struct text_field *f);
/* Elements of a repeated number; E_LIMIT in bad_param for more than max. */
uint32_t caffe_ints(struct caffe_import *im, const struct text_field *m, const char *name, int64_t *out,
                    uint32_t max);
gie_status caffe_params(struct caffe_import *im);
/* Warns, once for each name, about fields that nobody asked for. */
gie_status caffe_warn_unknown(struct caffe_import *im, const struct text_field *message);

/* ---- model.c */

gie_status caffe_open_model(struct caffe_import *im, const char *path);
void caffe_close_model(struct caffe_import *im);
gie_status caffe_find_weights(struct caffe_layer *n);
/* Dims of blob i as the file has them; returns their number, -1 when there are too many. */
int caffe_blob_dims(const struct caffe_layer *n, uint32_t i, int64_t dims[GIE_MAX_RANK]);
/* Values of weights without a file. */
enum caffe_fill { CAFFE_HE, CAFFE_ZERO, CAFFE_ONE, CAFFE_QUARTER };
/* Blob i of the layer as f32 of that shape; the caller unrefs it. */
gie_status caffe_weights(struct caffe_layer *n, uint32_t i, const int64_t *dims, int rank,
                         enum caffe_fill fill, struct gie_blob **out);
/* The same as a constant of the graph, with the dims that the graph wants (as many elements). */
gie_status caffe_weight_const(struct caffe_layer *n, uint32_t i, const int64_t *dims, int rank,
                              enum caffe_fill fill, const int64_t *as, int as_rank, gie_id *out);

/* ---- upgrade.c */

/* Makes layers of format V1 of those of format V0. */
gie_status caffe_upgrade(struct caffe_import *im);

/* ---- net.c */

gie_status caffe_net(struct caffe_import *im);
struct caffe_blob *caffe_blob(struct caffe_import *im, const char *name); /* NULL: out of memory */
gie_status caffe_bind(struct caffe_layer *n, uint32_t top, gie_id value);

/* ---- emit.c */

void caffe_put_int(struct caffe_attrs *l, const char *name, int64_t v);
void caffe_put_float(struct caffe_attrs *l, const char *name, double v);
void caffe_put_ints(struct caffe_attrs *l, const char *name, const int64_t *v, uint32_t n);
GIE_PRINTF(2, 3) gie_status caffe_refuse(struct caffe_layer *n, const char *fmt, ...);
const char *caffe_fresh_name(struct caffe_layer *n, const char *what);
/* A node with one result on the way. */
gie_status caffe_step(struct caffe_layer *n, const char *what, const char *op, const gie_id *in,
                      uint32_t n_in, const struct caffe_attrs *attrs, gie_id *out);
/* The node that makes the tops. */
gie_status caffe_result(struct caffe_layer *n, const char *op, const gie_id *in, uint32_t n_in,
                        const struct caffe_attrs *attrs);
gie_status caffe_result_with(struct caffe_layer *n, const char *op, const gie_id *in, uint32_t n_in,
                             const struct gie_attr *attrs, uint32_t n_attrs);
gie_status caffe_opaque(struct caffe_layer *n);
gie_status caffe_const_ints(struct caffe_layer *n, const char *what, const int64_t *v, uint32_t count,
                            gie_id *out);
gie_status caffe_const_scalar(struct caffe_layer *n, const char *what, double v, gie_id *out);
/* Dims of operand i as numbers, 0 for a batch that is left open; false and refused when they are not known. */
bool caffe_dims(struct caffe_layer *n, uint32_t i, int64_t *dims, int *rank);
/* An axis from the file, negative from the end; false and refused when it is outside 0 … rank-1+extra. */
bool caffe_axis(struct caffe_layer *n, int64_t v, int rank, int extra, int *out);

/* ---- custom.c */

/* Name of the op that a layer without a row in the table would become; NULL: out of memory. */
const char *caffe_custom_op(struct caffe_layer *n);
gie_status caffe_lower_custom(struct caffe_layer *n, const struct gie_op *op);
/* The module that comes with gie and has layers of that type; NULL: none. */
const char *caffe_custom_module(const char *type);

/* ---- layers.c */

const struct caffe_kind *caffe_find_kind(const char *name);
const char *caffe_v1_type(const char *name); /* the name as is when no V1 type is called so */

/* ---- lower_*.c: caffe_lower_<function> */

gie_status caffe_lower_convolution(struct caffe_layer *n);
gie_status caffe_lower_deconvolution(struct caffe_layer *n);
gie_status caffe_lower_pooling(struct caffe_layer *n);
gie_status caffe_lower_inner_product(struct caffe_layer *n);
gie_status caffe_lower_lrn(struct caffe_layer *n);
gie_status caffe_lower_batch_norm(struct caffe_layer *n);
gie_status caffe_lower_scale(struct caffe_layer *n);
gie_status caffe_lower_bias(struct caffe_layer *n);
gie_status caffe_lower_normalize(struct caffe_layer *n);

gie_status caffe_lower_plain(struct caffe_layer *n);
gie_status caffe_lower_relu(struct caffe_layer *n);
gie_status caffe_lower_prelu(struct caffe_layer *n);
gie_status caffe_lower_elu(struct caffe_layer *n);
gie_status caffe_lower_power(struct caffe_layer *n);
gie_status caffe_lower_exp(struct caffe_layer *n);
gie_status caffe_lower_log(struct caffe_layer *n);
gie_status caffe_lower_softmax(struct caffe_layer *n);
gie_status caffe_lower_eltwise(struct caffe_layer *n);

gie_status caffe_lower_input(struct caffe_layer *n);
gie_status caffe_lower_silence(struct caffe_layer *n);
gie_status caffe_lower_copies(struct caffe_layer *n);
gie_status caffe_lower_concat(struct caffe_layer *n);
gie_status caffe_lower_slice(struct caffe_layer *n);
gie_status caffe_lower_crop(struct caffe_layer *n);
gie_status caffe_lower_permute(struct caffe_layer *n);
gie_status caffe_lower_interp(struct caffe_layer *n);
gie_status caffe_lower_flatten(struct caffe_layer *n);
gie_status caffe_lower_reshape(struct caffe_layer *n);

#endif
