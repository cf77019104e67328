/* SPDX-License-Identifier: Apache-2.0 */
/* What the shape functions (infer_*.c) share. A shape function reads struct gie_infer and fills the
 * results' types; where an operand's dim, rank or dtype is not known, so is what follows from it:
 * only what is certainly wrong is an error. Messages do not name the node: ir_infer_node() does. */
#ifndef GIE_CORE_INFER_H
#define GIE_CORE_INFER_H

#include "core/ir/ir.h"

/* Shape functions by the name in ops.def. */
#define GIE_OP(name, onnx, tier, flags, min_in, max_in, min_out, max_out, dtypes, infer, operands, help, \
               ...)                                                                                      \
  gie_status ir_shape_##infer(struct gie_infer *x);
#include "core/ir/ops.def"
#undef GIE_OP

/* ---- Operands */

static inline bool ir_has(const struct gie_infer *x, uint32_t i)
{
  return i < x->n_in && x->node->in[i] != GIE_NONE;
}
/* Rank of operand i, -1 if unknown or omitted. */
static inline int ir_rank(const struct gie_infer *x, uint32_t i)
{
  return i < x->n_in ? x->in[i].shape.rank : -1;
}
static inline struct gie_dim ir_dim(const struct gie_infer *x, uint32_t i, int axis)
{
  return x->in[i].shape.dim[axis];
}
/* Elements of a small integer operand, NULL when they are not known; single ones may be unknown. */
static inline const struct gie_dim *ir_known(const struct gie_infer *x, uint32_t i, uint32_t *n)
{
  const struct gie_dim *k = i < x->n_in && x->known_in ? x->known_in[i] : NULL;
  *n = k ? x->n_known_in[i] : 0;
  return k;
}
/* Number of elements of a list operand (axes, sizes …); -1 if not known. */
int64_t ir_list_length(const struct gie_infer *x, uint32_t i);
/* A list operand has rank 1 (or 0 elements are listed by an omitted one); E_SHAPE otherwise. */
gie_status ir_check_list(const struct gie_infer *x, uint32_t i, const char *what);

/* ---- Results */

void ir_set_rank(struct gie_shape *s,
                 int rank); /* all dims unknown; rank above the limit: E_LIMIT by the caller */
gie_status ir_check_rank(const struct gie_infer *x, int64_t rank);
/* The elements of result 0 are known. n > GIE_MAX_KNOWN: does nothing. */
void ir_set_known(const struct gie_infer *x, const struct gie_dim *dims, uint32_t n);
/* Result 0 is operand 0 with other dims: same elements, in order. */
void ir_pass_known(const struct gie_infer *x);

/* ---- What only inference writes (infer.c, infer_bodies.c) */

/* The better known of two types, where the new one wins any conflict. */
void ir_refine(struct gie_value *v, const struct gie_type *new_type);
/* UINT32_MAX: the elements are not known. */
gie_status ir_write_known(struct gie_graph *g, struct gie_value *v, const struct gie_dim *known, uint32_t n);
/* Takes the captures' types and known elements into the bodies of a node with GIE_OP_BODIES and infers there. Captures
 * that are still to be added are waited for. `declared`: a body's input may not contradict its capture. */
gie_status ir_infer_bodies(struct gie_graph *g, const struct gie_node *n, bool declared);

/* ---- Axes */

/* Turns an axis -rank … rank-1 into 0 … rank-1; E_ATTR otherwise. */
gie_status ir_axis(const struct gie_infer *x, int64_t axis, int rank, int *out);
/* The known elements of operand i as a set of different axes of `rank`: bit mask. *known false when
 * the operand's elements are not all numbers. */
gie_status ir_axes(const struct gie_infer *x, uint32_t i, int rank, uint32_t *mask, bool *known);

/* ---- Dims */

/* False only when the two are certainly different numbers. Symbols stand for numbers ≥ 0. */
bool ir_dim_may_equal(struct gie_dim a, struct gie_dim b);
/* True when d ≥ n for every value of its symbol. */
bool ir_dim_at_least(struct gie_dim d, int64_t n);
/* The better known of two dims that must be equal. */
struct gie_dim ir_dim_merge(struct gie_dim a, struct gie_dim b);
/* Arithmetic that refuses an overflow of numbers with E_LIMIT instead of calling it unknown. */
gie_status ir_dim_add(const struct gie_infer *x, struct gie_dim a, struct gie_dim b, struct gie_dim *out);
gie_status ir_dim_mul(const struct gie_infer *x, struct gie_dim a, struct gie_dim b, struct gie_dim *out);
/* floor(d / k) for k ≥ 1; unknown when that is no a*sym+b. */
struct gie_dim ir_dim_floor_div(struct gie_dim d, int64_t k);
/* "n*2+1" of one dim, for messages. */
const char *ir_dim_text(const struct gie_infer *x, struct gie_dim d, char *buf, size_t size);
/* "f32[n,3]" of a type. */
const char *ir_type_text(const struct gie_infer *x, const struct gie_type *t, char *buf, size_t size);

/* numpy broadcasting of two shapes (multidirectional); E_SHAPE when they do not fit. */
gie_status ir_broadcast(const struct gie_infer *x, const struct gie_shape *a, const struct gie_shape *b,
                        struct gie_shape *out);
/* b must broadcast to a without enlarging it; `what` names b in the message. */
gie_status ir_broadcast_to(const struct gie_infer *x, const struct gie_shape *a, const struct gie_shape *b,
                           const char *what);
/* Shapes that must be the same: *out takes the better known dims. False when they cannot be. */
bool ir_shape_merge(const struct gie_shape *a, const struct gie_shape *b, struct gie_shape *out);

/* The same dtype, or one of them unknown: *io takes the known one. E_TYPE otherwise. */
gie_status ir_same_dtype(const struct gie_infer *x, enum gie_dtype *io, enum gie_dtype t, const char *what);

/* One of a list of strings ended by NULL; E_ATTR names the choices. */
gie_status ir_one_of(const struct gie_infer *x, const char *attr, const char *const *choices, int *index);

#endif
