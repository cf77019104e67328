/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the onednn backend. A kernel is a row of kernels.def: how it checks a problem and how it makes
 * oneDNN's primitive descriptor for given forms of the operands. Everything else is shared:
 *
 *   form.c     layouts that gie and oneDNN have in common; forms of operands and results
 *   build.c    a primitive descriptor being made: memory descriptors, arguments, attributes
 *   steps.c    epilogue steps as post-ops; table of functions
 *   kernel.c   supports, variants, packing, workspace: all by making primitive descriptors
 *   run.c      instances
 *   api.h      differences between the versions of oneDNN
 *
 * oneDNN fixes the number of threads when a primitive descriptor is made, so each one is made under the
 * budget of the problem (od_threads_enter). */
#ifndef GIE_BACKENDS_ONEDNN_H
#define GIE_BACKENDS_ONEDNN_H

#include "backends/onednn/api.h"

/* oneDNN computes extents, pads and strides as int; sums of a few of these stay inside. */
#define OD_MAX_EXTENT (1 << 28)

/* ---- Forms (form.c) ---------------------------------------------------------------------------- */

/* Layouts that can be asked for, by number; the number is part of a variant's config, so only add. */
enum od_code { OD_PLAIN, OD_LAST, OD_C16, OD_C8, OD_C4, OD_CODES };
/* false where the layout makes no sense for that tensor. */
bool od_layout(enum od_code code, const struct gie_desc *d, struct gie_layout *out);
const char *od_code_name(enum od_code code);
/* d without gaps in that layout. */
void od_dense(struct gie_desc *d, const struct gie_layout *layout);
/* A range along axis 1 of a larger tensor: what a view looks like. false: d has no such axis. */
bool od_pitched(struct gie_desc *d);
/* Which of the codes oneDNN's format is; false: none. */
bool od_code_of(od_mdp m, const struct gie_desc *d, enum od_code *out);
/* Strides other than the dense ones where it matters: a range of the channels of one image has none. */
bool od_has_gaps(const struct gie_desc *d);
bool od_same_dims(const struct gie_desc *a, const struct gie_desc *b);
bool od_is_empty(const struct gie_desc *d);
bool od_is_large(int n, const int64_t *extent); /* one is above OD_MAX_EXTENT */

/* How operands share layouts. `in` and `out` are the two layouts of a variant. */
enum od_shape {
  OD_WINDOW,    /* operand 0 has `in`, the result `out` */
  OD_POINTWISE, /* every operand of the result's dims has `out` (= in) */
  OD_ALL,       /* all operands have `out` (= in) */
  OD_FIXED,     /* plain */
  OD_ANY        /* whatever is there, on both sides */
};

/* ---- A primitive descriptor being made (build.c) ------------------------------------------------- */

#define OD_MAX_ARGS (GIE_MAX_IO + 34) /* operands, result, scratch and post-ops, of which oneDNN has 32 */
#define OD_OUT (-1)                   /* result 0 as an argument's source */
#define OD_SCRATCH (-2)

struct od_arg {
  int arg;    /* DNNL_ARG_… */
  int32_t io; /* operand, OD_OUT or OD_SCRATCH */
};

struct od_build {
  const struct gie_problem *p;
  const struct gie_desc *in, *out; /* forms that are wanted */
  uint32_t n_steps;                /* epilogue steps to fuse */
  int32_t sum;                     /* step whose operand is already in the result's buffer, or -1 */
  dnnl_primitive_attr_t attr;
  dnnl_post_ops_t ops;
  dnnl_primitive_desc_t pd; /* the answer */
  uint32_t n_args, n_md;
  struct od_arg args[OD_MAX_ARGS];
  struct od_md md[OD_MAX_ARGS];
  bool packs; /* operand `packed` is asked for in oneDNN's own format */
  uint32_t packed;
  struct gie_desc packed_plain; /* as that operand is given */
};

/* A kernel: the `user` of its gie_kernel. */
struct od_op {
  enum od_shape shape;
  /* What op tables do not say and oneDNN would not: false with a reason. */
  bool (*check)(const struct gie_problem *p, char *why, size_t size);
  /* Sets b->pd and the arguments. */
  dnnl_status_t (*make)(struct od_build *b);
  bool any_reference; /* oneDNN's implementations named ref are as fast as others */
  bool over_first;    /* the result may overwrite operand 0 of its dims and layout */
};

/* Makes the descriptor for these forms, or fails with oneDNN's status. od_build_free() in any case. */
struct od_build *od_build_new(const struct gie_problem *p);
dnnl_status_t od_build_make(struct od_build *b, const struct od_op *op, const struct gie_desc *in,
                            const struct gie_desc *out, uint32_t n_steps, int32_t sum);
void od_build_free(struct od_build *b);
/* For make(): a memory descriptor for d (NULL: cannot be had), an argument. */
od_mdp od_use(struct od_build *b, const struct gie_desc *d);
void od_bind(struct od_build *b, int arg, int32_t io);
/* Operand i as weights: a constant is given plain, whatever its form. */
struct gie_desc od_weights(const struct od_build *b, uint32_t i);
/* These with axes as oneDNN wants them: of a constant oneDNN chooses the format. */
od_mdp od_use_weights(struct od_build *b, uint32_t i, const struct gie_desc *d, int arg);

int od_threads(const struct gie_problem *p); /* budget that primitives are made for */
int od_threads_enter(int n);                 /* returns what to give to od_threads_leave() */
void od_threads_leave(int before);

__attribute__((format(printf, 3, 4))) bool od_refuse(char *why, size_t size, const char *fmt, ...);

/* ---- Steps (steps.c) ------------------------------------------------------------------------------ */

/* Functions of one operand: f(x), where the attributes are alpha and beta or these are constant. */
struct od_function {
  const char *op;
  const char *alpha, *beta; /* attributes; NULL: the constants */
  dnnl_alg_kind_t alg;
  float a, b;
  bool unit;        /* then clipped to [0, 1] */
  const char *when; /* attribute that is not 0; NULL: no condition */
};
const struct od_function *od_function_find(const struct gie_op *op, const struct gie_attrs *attrs);
float od_alpha(const struct od_function *f, const struct gie_op *op, const struct gie_attrs *attrs);
float od_beta(const struct od_function *f, const struct gie_op *op, const struct gie_attrs *attrs);
/* The binary algorithm, or dnnl_alg_kind_undef. */
dnnl_alg_kind_t od_binary_find(const char *op);

/* Appends the first b->n_steps steps to the attributes. */
dnnl_status_t od_steps(struct od_build *b);
/* Appends f(op(r)) or op(r, operand). */
dnnl_status_t od_append_function(struct od_build *b, const struct od_function *f, const struct gie_op *op,
                                 const struct gie_attrs *attrs);
dnnl_status_t od_append_operand(struct od_build *b, dnnl_alg_kind_t alg, uint32_t operand);
/* Operand i stretched to the result's rank by leading axes of 1. false: it does not fit. */
bool od_align(const struct gie_desc *d, int rank, struct gie_desc *out);

/* ---- Instances (run.c) ------------------------------------------------------------------------------ */

gie_status od_create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     void **instance);
void od_destroy(void *instance);
gie_status od_run(void *instance, const struct gie_launch *l);

/* ---- Kernels (kernel.c) ----------------------------------------------------------------------------- */

bool od_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size);
uint32_t od_variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                     uint32_t max);
uint32_t od_pack_desc(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                      struct gie_pack *out, uint32_t max);
gie_status od_pack(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                   const struct gie_pack *d, const void *plain, void *packed);
size_t od_workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v);
/* Step whose operand may be accumulated in the result's buffer, or -1. */
#define OD_SUM ((uint64_t)1 << 16) /* bit of a variant's config: adds to the residual where it lies */
int32_t od_sum_step(const struct gie_problem *p, const struct gie_desc *in, const struct gie_desc *out,
                    uint32_t n_steps);
/* The step that the variant sums in place, or -1. */
int32_t od_variant_sum(const struct gie_problem *p, const struct gie_variant *v);

#endif
