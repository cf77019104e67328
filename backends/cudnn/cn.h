/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the cudnn backend. A kernel is a row of kernels.def: what it refuses, which tensors it has and how its
 * operation begins a cuDNN graph. Everything else is shared:
 *
 *   graph.c    operation graphs; the one file with engines.c that fills cuDNN's descriptors
 *   engines.c  heuristics, knobs, execution plans
 *   form.c     problems as cuDNN sees them: layouts, types, keys
 *   steps.c    epilogue steps as pointwise operations
 *   code.c     an engine and its knobs as one number
 *   store.c    plans in files
 *   library.c  handle of an executor: answers of the heuristics and plans that were made
 *   kernel.c   supports, variants, estimate, packing, workspace
 *   run.c      instances
 *   conv.c, pool.c
 *   legacy.c   ops that are functions of cuDNN, no graphs */
#ifndef GIE_BACKENDS_CUDNN_CN_H
#define GIE_BACKENDS_CUDNN_CN_H

#include "backends/cudnn/graph.h"

#include <gie/module.h>
#include <gie/window.h>
#include <pthread.h>

/* ---- Forms (form.c) ---------------------------------------------------------------------------- */

/* How a problem is computed besides the engine: bits of a variant's config, so only add. */
enum cn_form {
  CN_LAST = 1 << 0,     /* channels last */
  CN_HALF = 1 << 1,     /* operand 0 is f16 */
  CN_RESIDUAL = 1 << 2, /* the first step, an addition, comes before the bias */
  CN_BLOCK = 1 << 3 /* operand 0 is one block of CN_CHANNELS channels, the last of them zeros: for images */
};
#define CN_CHANNELS 4

struct cn_op;

/* A problem in one form. */
struct cn_case {
  const struct gie_problem *p;
  const struct cn_op *op;
  uint32_t form;
  bool dense;
  struct cn_tensor in[GIE_MAX_IO], out;
  struct cn_tensor bias; /* of a convolution; rank 0: none is added */
  struct cn_window window;
  bool zeros; /* the bias is no operand */
  int mode;   /* of the operation, where it has several */
};

/* A bias is added: the node's, or zeros where a convolution has steps and no bias, because most engines that come
 * compiled compute steps behind a bias only. */
bool cn_has_bias(const struct gie_problem *p);
bool cn_needs_zeros(const struct gie_problem *p);
/* The first step adds a tensor like the result, which may come before the bias. */
bool cn_first_is_residual(const struct gie_problem *p);
/* Operand 0 has so few channels that they fit into one block; the weights can be packed to that. */
bool cn_may_block(const struct gie_problem *p);
/* As it is to be for that form, without gaps (`dense`), or as the problem's descriptors say. false: cuDNN has no
 * word for it. */
bool cn_case_init(struct cn_case *c, const struct gie_problem *p, const struct cn_op *op, uint32_t form,
                  bool dense);
/* The layout of the form for a tensor of that rank. */
struct gie_layout cn_layout(uint32_t form, int rank);
/* Of operand 0: with CN_BLOCK one block of channels, which cuDNN sees as channels last. */
struct gie_layout cn_layout_of_first(uint32_t form, int rank);
/* A tensor of the problem as c->form has it; of a rank below the result's, it is stretched by leading axes of 1. */
bool cn_tensor_of(const struct cn_case *c, const struct gie_desc *d, struct cn_tensor *out);
/* At most three spatial axes; one becomes two. */
void cn_window_of(const struct gie_window *w, struct cn_window *out);
/* Strides of axes of 1, which mean nothing, as the layout would have them. */
void cn_tidy(struct cn_tensor *t, uint32_t form);
/* Everything that plans depend on, as text; false: it does not fit. */
bool cn_case_key(const struct cn_case *c, char *buf, size_t size);
bool cn_type(enum gie_dtype t, cudnnDataType_t *out);

/* ---- Operations ---------------------------------------------------------------------------------- */

/* A graph being written from its first operation on: the last operation writes the result, the others
 * tensors that never exist. Without a graph the operations are only counted. */
struct cn_flow {
  struct cn_graph *g;
  const struct cn_case *c;
  uint32_t n, of; /* operations so far, of how many */
  cn_desc at;     /* what the last one wrote */
};
cn_desc cn_flow_result(struct cn_flow *f);
/* at = f(at), f(at, operand b of the graph) */
void cn_flow_apply(struct cn_flow *f, const struct cn_pointwise *p, cn_desc b);

struct cn_op {
  /* What op tables do not say and cuDNN would not: false with a reason. */
  bool (*check)(const struct gie_problem *p, char *why, size_t size);
  /* Window and tensors in c->in, c->out as cuDNN wants their axes. */
  bool (*describe)(struct cn_case *c);
  /* The operations before the steps. */
  void (*begin)(struct cn_flow *f);
  bool weights;     /* operand 1 is packed to the form's layout */
  bool precompiled; /* engines that are compiled at run time are none of ours */
  uint32_t forms;   /* forms besides the layouts */
};

__attribute__((format(printf, 3, 4))) bool cn_refuse(char *why, size_t size, const char *fmt, ...);

/* Steps (steps.c): appends them; false: one is not among cuDNN's functions. */
bool cn_steps_check(const struct gie_problem *p, char *why, size_t size);
void cn_steps(struct cn_flow *f, uint32_t first);
/* The whole graph of a case. */
void cn_build(struct cn_graph *g, const struct cn_target *target, const struct cn_case *c);

/* ---- Codes (code.c) ------------------------------------------------------------------------------- */

/* Engine and knobs as a number that holds for every process with that version of cuDNN. Where they do not fit
 * it is a hash, to be found among the answers of the heuristics. */
uint64_t cn_code(uint32_t form, const struct cn_config *c, const struct cn_knob *knobs, uint32_t n_knobs);
uint32_t cn_code_form(uint64_t code);
bool cn_code_is_hash(uint64_t code);
int64_t cn_code_engine(uint64_t code);
bool cn_code_read(uint64_t code, const struct cn_knob *knobs, uint32_t n_knobs, struct cn_config *out);

static inline bool cn_has_note(const struct cn_config *c, cudnnBackendNumericalNote_t note)
{
  return c->notes >> note & 1;
}
/* Compiled when the plan is made. */
static inline bool cn_is_compiled(const struct cn_config *c)
{
  return c->behaviour >> CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION & 1;
}
/* Operands and result may be views: of the engines that are compiled for plain tensors one is known to write as
 * if they had no gaps. */
static inline bool cn_takes_pitch(uint32_t form, const struct cn_config *c)
{
  return (form & CN_LAST) || !cn_is_compiled(c);
}

/* ---- Plans in files (store.c) ------------------------------------------------------------------------ */

struct cn_store {
  struct gie_context *ctx;
  bool used;
  uint32_t n_files; /* once something was written */
  char directory[1024];
  char about[256]; /* device and versions that plans hold for */
};
void cn_store_init(struct cn_store *s, struct gie_context *ctx, const char *about);
/* What was written for that key (gie_free), or NULL. */
char *cn_store_read(const struct cn_store *s, const char *key, size_t *size);
void cn_store_write(struct cn_store *s, const char *key, const char *text, size_t size);

/* ---- The library handle (library.c) --------------------------------------------------------------- */

struct cn_choice {
  uint64_t code;
  struct cn_config config;
};

/* What the heuristics say about a case, best first. */
struct cn_list {
  struct cn_list *next;
  uint64_t hash;
  char *key;
  uint32_t n;
  struct cn_choice *v;
};

struct cn_plan {
  struct cn_plan *next;
  uint64_t hash;
  char *key;
  uint32_t users;
  struct cn_graph graph;
  cn_desc plan;  /* NULL: it cannot be had */
  bool restored; /* from a file */
  size_t workspace;
  char why[160];
};

#define CN_ZEROS_BYTES ((size_t)256 << 10)

struct cn_library {
  struct gie_context *ctx;
  pthread_mutex_t lock;
  struct cn_target target;
  void *stream; /* that the handle launches on */
  bool has_stream;
  void *zeros; /* CN_ZEROS_BYTES on the device; NULL without one */
  struct cn_store store;
  double worth_storing; /* seconds that making a plan takes */
  struct cn_list *lists;
  struct cn_plan *plans; /* latest first */
};

extern const struct gie_library cn_library_ops;
/* Takes over the target's handle; `about` is what stored plans hold for, "" stores none. NULL: out of memory. */
struct cn_library *cn_library_new(struct gie_context *ctx, const struct cn_target *target, const char *about);
void cn_library_free(struct cn_library *lib);
/* Makes the handle launch on that stream. The lock is held. */
cudnnStatus_t cn_library_stream(struct cn_library *lib, void *stream);
/* NULL: out of memory, or the case is beyond cuDNN. Valid as long as the library. */
const struct cn_list *cn_library_list(struct cn_library *lib, const struct cn_case *c);
/* A plan for a problem as it is and a variant's config, to be given back. */
gie_status cn_library_plan(struct cn_library *lib, const struct gie_problem *p, const struct cn_op *op,
                           uint64_t code, struct cn_plan **out);
void cn_library_plan_return(struct cn_library *lib, struct cn_plan *plan);

/* ---- Kernels (kernel.c, run.c) ---------------------------------------------------------------------- */

bool cn_supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size);
uint32_t cn_variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                     uint32_t max);
void cn_estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                 struct gie_cost *out);
uint32_t cn_pack_desc(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                      struct gie_pack *out, uint32_t max);
gie_status cn_pack(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                   const struct gie_pack *d, const void *plain, void *packed);
size_t cn_workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v);
gie_status cn_create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     void **instance);
void cn_destroy(void *instance);
gie_status cn_run(void *instance, const struct gie_launch *l);

/* Those of legacy.c; their version is set with the others'. */
#define CN_LEGACY_KERNELS 3
extern struct gie_kernel cn_legacy_kernels[CN_LEGACY_KERNELS];

#endif
