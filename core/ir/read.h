/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of the text form, split over read.c (graphs, nodes), read_type.c
 * (words, types, storage) and read_attr.c (tensors, attributes). */
#ifndef GIE_CORE_READ_H
#define GIE_CORE_READ_H

#include "core/ir/text.h"

struct reader {
  struct gie_context *ctx;
  struct lex lx;
  struct gie_arena arena; /* texts and arrays of the whole read */
  const char *weights_path;
  struct weights_in *weights; /* opened at the first hash */
  uint32_t depth;             /* of the graph being read */
  /* Bodies and tensors of the statement at hand: the node takes copies. */
  struct gie_graph **bodies;
  size_t n_bodies, cap_bodies;
  struct gie_blob **blobs;
  size_t n_blobs, cap_blobs;
};

/* A view whose base may be defined later: resolved when the graph ends. */
struct late_view {
  struct lex_token at;
  gie_id value;
  const char *base;
  struct gie_view view;
};

/* What belongs to one graph while it is read. */
struct scope {
  struct gie_graph *g;
  struct gie_map symbols;
  struct late_view *views;
  size_t n_views, cap_views;
};

/* What may stand behind a type. */
struct storage {
  const char *layout; /* NULL: not given */
  bool has_view;
  struct late_view view;
  struct gie_quant quant;
};

/* ---- read_type.c */

/* Takes a word (or, where allowed, a string without NUL) that names something.
 */
gie_status read_word(struct reader *r, bool quoted, const char *what, const char **out);
gie_status read_int(struct reader *r, int64_t min, int64_t max, const char *what, int64_t *out);
/* True if a dtype's word or '?' is at hand. */
bool find_dtype(const struct lex *lx, enum gie_dtype *out);
gie_status read_shape(struct reader *r, const struct scope *sc, struct gie_shape *out);
gie_status read_type(struct reader *r, const struct scope *sc, struct gie_type *out);
gie_status read_storage(struct reader *r, struct storage *st);
gie_status apply_storage(struct reader *r, struct scope *sc, gie_id value, const struct storage *st);

/* ---- read_attr.c */

/* "{…}" or a hash, as the type says; the caller owns out->blob. */
gie_status read_tensor(struct reader *r, const struct gie_type *type, struct gie_const *out);
gie_status read_attrs(struct reader *r, const struct scope *sc, struct gie_attrs *out);
/* Turns ints into floats where the op (may be NULL) wants floats. */
gie_status fit_attrs(struct reader *r, const struct gie_op *op, struct gie_attrs *attrs);

/* ---- read.c */

gie_status read_graph(struct reader *r, struct gie_graph **out);

#endif
