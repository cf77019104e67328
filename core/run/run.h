/* SPDX-License-Identifier: Apache-2.0 */
/* Running a graph, as the core sees it. The public part is "Execution" in gie/gie.h.
 *
 *   struct run_device     an open device
 *   struct run_weights    constants as kernels want them: uploaded, reordered, packed; each once
 *   struct run_binder     which kernel runs which node, and why the others do not; their libraries' handles
 *   struct run_spec       a graph with every input dim a number: places, steps, schedule, memory
 *   struct run_once       evaluates single nodes: the dynamic host tail and constant folding
 *   struct gie_exec       a graph, its specializations and its inputs
 *
 * A specialization has a *static* part, whose dims are all known before the run, so that kernels are
 * bound and memory is planned ahead, and a *tail*: the nodes whose dims depend on computed values, and
 * everything behind them. The tail runs node by node on a host device. */
#ifndef GIE_CORE_RUN_H
#define GIE_CORE_RUN_H

#include "core/base/base.h"
#include "core/ir/ir.h"
#include <gie/gie.h>
#include <stdatomic.h>

#define RUN_ALIGN 64            /* of every buffer in the arena */
#define RUN_WORKSPACE_ALIGN 256 /* promised by struct gie_launch */
#define RUN_MAX_VARIANTS 128    /* asked of one kernel for one problem */
#define RUN_MAX_SPECS 8         /* input shapes that an executor keeps ready */
#define RUN_NONE UINT32_MAX

/* ---- Devices (device.c) ---------------------------------------------------------------------- */

struct run_device {
  struct gie_context *ctx;
  const struct gie_device *ops;
  void *dev;
  struct gie_device_info info;
  bool host; /* its memory is host memory */
  uint32_t threads;
};

/* "cuda:1" to the length of "cuda" and 1; without an index 0. E_USAGE: no text of that form. */
gie_status run_device_parse(struct gie_context *ctx, const char *device, size_t *len, int *index);
/* `kind` is "cpu" or "cuda:1"; NULL: "cpu". threads 0: as many as the process may use.
 * E_DEVICE lists the kinds there are. An open device may be used by several threads. */
gie_status run_device_open(struct gie_context *ctx, const char *kind, uint32_t threads,
                           struct run_device *out);
void run_device_close(struct run_device *d);
/* Makes it current for the calling thread. Every function of the API that may reach the device calls this first. */
gie_status run_device_activate(struct run_device *d);
gie_status run_device_alloc(struct run_device *d, size_t bytes, void **out);
void run_device_free(struct run_device *d, void *p);
/* Copies that return when the bytes are there. */
gie_status run_device_upload(struct run_device *d, void *dst, const void *src, size_t bytes);
gie_status run_device_download(struct run_device *d, void *dst, const void *src, size_t bytes);
gie_status run_device_sync(struct run_device *d);
/* Memory that only grows; contents are lost when it does. *moved (may be NULL) is set when it did. */
struct run_memory_block {
  void *data;
  size_t bytes;
};
gie_status run_block_reserve(struct run_device *d, struct run_memory_block *b, size_t bytes, bool *moved);
void run_block_free(struct run_device *d, struct run_memory_block *b);
/* The same in host memory that copies to and from the device are fastest with, where it has such. */
gie_status run_pinned_reserve(struct run_device *d, struct run_memory_block *b, size_t bytes, bool *moved);
void run_pinned_free(struct run_device *d, struct run_memory_block *b);
/* The same in plain host memory, aligned to RUN_ALIGN; data is freed with gie_free(). */
gie_status run_host_reserve(struct gie_context *ctx, struct run_memory_block *b, size_t bytes, bool *moved);

/* ---- Tensors in memory (tensor.c) ------------------------------------------------------------- */

/* True when logical order and memory order are the same without gaps (axes of 1 do not count). */
bool run_desc_is_plain(const struct gie_desc *d);
/* Same elements in the same places. */
bool run_desc_equal(const struct gie_desc *a, const struct gie_desc *b);
/* Copies element by element from one layout to another (same dtype and dims); pad lanes become 0. */
void run_reorder(const struct gie_desc *from, const void *src, const struct gie_desc *to, void *dst);
/* Bytes of a plain tensor; E_LIMIT on overflow, E_SHAPE for a bad rank or dim. */
gie_status run_tensor_bytes(struct gie_context *ctx, const struct gie_tensor *t, size_t *bytes);
struct gie_type run_tensor_type(const struct gie_tensor *t);
/* True when dtype and every dim are known. */
bool run_type_is_static(const struct gie_type *t);

/* ---- Places of values (place.c) --------------------------------------------------------------- */

/* Where a value lives: `offset` bytes into the storage of `root`, described by `desc`. */
struct run_value {
  bool placed;  /* the rest is valid */
  bool is_tail; /* computed by the tail: no place before the run */
  gie_id root;
  size_t offset;
  size_t bytes; /* of a root: its own storage, padding included */
  struct gie_desc desc;
  uint32_t buffer;           /* of a root: index of the planned buffer, or RUN_NONE */
  struct run_weight *weight; /* of a constant root: bytes on the device, once needed */
};

/* Places the values that live static nodes touch; `values` has one zeroed entry per value of g.
 * `is_live`, `is_tail`: by node id. */
gie_status run_place_values(const struct gie_graph *g, const bool *is_live, const bool *is_tail,
                            struct run_value *values);
/* A node whose results are in place already: a concat of views, a split or slice into views, or a
 * reshape-like node whose result shares its operand's bytes; also one that computes no element. */
bool run_node_is_free(const struct gie_graph *g, const struct gie_node *n, const struct run_value *values);
/* Whether that can happen at all. */
bool run_op_may_be_free(const char *op);

/* ---- Problems (problem.c) --------------------------------------------------------------------- */

/* A problem with the memory for its arrays, used again for node after node. */
struct run_problem {
  struct gie_problem pub;
  struct gie_desc *plain, *here; /* operands, then results: dense plain; as they are stored */
  const void **in_data;
  size_t cap_plain, cap_here, cap_data;
};
/* Describes a node whose dims are all numbers. `values` NULL: everything is stored plain. */
gie_status run_problem_fill(struct run_problem *p, struct run_device *d, const struct gie_graph *g,
                            const struct gie_node *n, const struct run_value *values);
/* Which descriptors the kernel sees: the plain ones while it is asked, those at hand afterwards. */
void run_problem_show(struct run_problem *p, bool here);
void run_problem_free(struct run_problem *p, struct gie_context *ctx);

/* ---- Constants on a device (weights.c) -------------------------------------------------------- */

struct run_weight {
  struct gie_const content; /* what it was made from (a reference is held) */
  char *key;                /* how: layout, or the kernel's pack key */
  void *data;               /* on the device, or the blob's own bytes */
  size_t bytes;
  bool borrowed; /* data belongs to the blob */
  struct run_weight *next;
};

/* Several threads may ask for weights; what is in the table stays as it is until the end. */
struct run_weights {
  struct run_device *device;
  pthread_mutex_t lock;
  struct run_weight **slots; /* hashed by content and key */
  size_t n_slots, n;
};
void run_weights_init(struct run_weights *w, struct run_device *d);
void run_weights_free(struct run_weights *w);
/* A constant in the layout of `desc`, its address a multiple of `align`. */
gie_status run_weights_plain(struct run_weights *w, const struct gie_value *v, const struct gie_desc *desc,
                             uint32_t align, struct run_weight **out);
/* A packed operand; the kernel's pack() is called only the first time. */
gie_status run_weights_packed(struct run_weights *w, const struct gie_kernel *k, const struct gie_problem *p,
                              const struct gie_variant *v, const struct gie_pack *d, struct run_weight **out);
/* Bytes held, borrowed ones included. */
uint64_t run_weights_bytes(struct run_weights *w);

/* ---- Engines (engine.c) ---------------------------------------------------------------------- */

struct run_engine {
  struct gie_context *ctx;
  char *kind;                     /* as asked for */
  struct run_device device, host; /* host.ops NULL: the device is one itself */
  struct run_weights weights, host_weights;
  atomic_bool said_missed; /* see run_binder */
  uint32_t refs;           /* guarded by the pool's lock */
  struct run_engines *pool;
  struct run_engine *next;
};
/* Engines that are shared, by kind of device. Each lives as long as somebody has it. */
struct run_engines {
  pthread_mutex_t lock;
  struct run_engine *first;
};
void run_engines_init(struct run_engines *pool);
void run_engines_free(struct run_engines *pool); /* all were given back */
/* `kind` as in run_device_open(). pool NULL: one that nobody else gets. */
gie_status run_engine_get(struct run_engines *pool, struct gie_context *ctx, const char *kind,
                          struct run_engine **out);
void run_engine_put(struct run_engine *e); /* NULL is fine */

/* ---- Kernel choice (bind.c, rules.c) ---------------------------------------------------------- */

/* Kernels of one device kind in the order they are tried. */
struct run_rules {
  const struct gie_kernel **order;
  size_t n;
  char *force; /* GIE_FORCE: "node:kernel,…", or NULL */
};
/* `backends` as in gie_exec_options. E_USAGE for a rule without sign. */
gie_status run_rules_init(struct run_rules *r, struct gie_context *ctx, const char *kind,
                          const char *backends);
/* Reference kernels before all others: for results that are the same on every machine. */
void run_rules_reference_first(struct run_rules *r);
void run_rules_free(struct run_rules *r, struct gie_context *ctx);
/* A warning for each name in GIE_FORCE that no node has. */
void run_rules_warn_forced(const struct run_rules *r, struct gie_context *ctx, const struct gie_graph *g);
/* The kernel that GIE_FORCE names for a node (copied to buf), or NULL. */
const char *run_rules_forced(const struct run_rules *r, const struct gie_node *n, char *buf, size_t size);
bool run_kernel_has_op(const struct gie_kernel *k, const char *op);
/* What a kernel offers for a problem that it supports: its variants(), or the one that stands for no
 * such callback. Fills out[0..max), max ≥ 1, and returns how many. */
uint32_t run_kernel_variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                             uint32_t max);

/* A node with its kernel, ready to run. */
struct run_binding {
  const struct gie_kernel *kernel; /* NULL: not bound */
  void *instance, *library;
  size_t workspace;
  int32_t in_place;
  bool capture_safe;
  struct run_weight **packed; /* by operand, NULL where it is not; NULL if none is */
  uint32_t *align;            /* by operand: what the kernel asks of constants; NULL: nothing */
};

struct run_library {
  const struct gie_library *lib;
  void *handle;
  gie_status failed; /* to open; it is not tried again */
};

/* Of one executor or one build: used by one thread at a time. */
struct run_binder {
  struct run_device *device;
  struct run_library *libs;
  size_t n_libs, cap_libs;
  struct run_weights *weights;
  struct run_rules rules;
  struct run_problem problem;
  uint32_t threads; /* that problems speak of; 0: the device's */
  uint32_t
      streams; /* of the present specialization that run beside each other on a host and share them; 0: 1 */
  struct gie_variant *variants; /* RUN_MAX_VARIANTS */
  struct gie_buf refusals;      /* "kernel: why; …" of the node at hand */
  gie_status failed;            /* the worst reason: E_UNSUPPORTED or E_MEMORY */
  size_t max_workspace;         /* kernels that want more are refused; 0: what the device has */
  atomic_bool *said_missed;     /* not NULL: the line about them is logged once for all who share this */
  uint32_t n_missed;    /* nodes that did not get the kernel and configuration that their notes name */
  char missed_why[256]; /* the first of them and what stood in the way */
};
gie_status run_binder_init(struct run_binder *b, struct run_device *d, struct run_weights *w,
                           const char *backends);
void run_binder_free(struct run_binder *b); /* what it bound is gone by now */
/* The binder's handle of a vendor library, opened on first use; NULL for lib == NULL. */
gie_status run_binder_library(struct run_binder *b, const struct gie_library *lib, void **handle);
/* Binds the kernel and configuration that the node's notes name (`kernel`, a string; `config`, an int:
 * gie_variant.config), else the first kernel that takes the node; arrays come from `mem`. When none does,
 * out->kernel stays NULL, b->refusals says why and b->failed is set; the call itself succeeds. */
gie_status run_bind_node(struct run_binder *b, struct gie_arena *mem, const struct gie_graph *g,
                         const struct gie_node *n, const struct run_value *values, struct run_binding *out);
void run_binding_free(struct run_binding *b);

/* ---- Schedule (schedule.c) -------------------------------------------------------------------- */

/* Steps in launch order on streams. Steps of one stream run one after the other; a step of another
 * stream runs before only if it was waited for. `clock` states what that means: step b starts after
 * the first clock[s] steps of every stream s. Storage is a flat array, n_streams per step. */
struct run_position {
  uint32_t stream, index; /* index in its stream */
  uint32_t first_wait, n_waits;
};
struct run_schedule {
  uint32_t n_steps, n_streams;
  struct run_position *at;
  uint32_t *clocks; /* [n_steps][n_streams] */
  uint32_t *waits;  /* positions of steps on other streams to wait for */
  size_t n_waits;
};
/* deps[first[i] … first[i+1]) are the steps that step i needs, all below i. `stream_of` NULL: one
 * stream. Waits that are implied by others are left out. Memory comes from the arena. */
gie_status run_schedule_make(struct gie_arena *mem, uint32_t n_steps, uint32_t n_streams,
                             const uint32_t *stream_of, const uint32_t *first, const uint32_t *deps,
                             struct run_schedule *out);
/* True when step a is finished before step b starts, whatever the timing. */
static inline bool run_before(const struct run_schedule *s, uint32_t a, uint32_t b)
{
  return s->clocks[(size_t)b * s->n_streams + s->at[a].stream] > s->at[a].index;
}

/* ---- Memory plan (memory.c) ------------------------------------------------------------------- */

enum run_category { RUN_ACTIVATION, RUN_WORKSPACE, RUN_OUTPUT };

/* Bytes that steps touch. Two buffers may share memory only if all steps that touch the one are
 * before all that touch the other. */
struct run_buffer {
  size_t bytes;
  uint32_t align;
  enum run_category category;     /* RUN_OUTPUT: shares with nothing */
  bool from_start, to_end;        /* filled before the first step; read after the last */
  uint32_t n_touches, last_touch; /* last in launch order */
  uint32_t first_link;            /* list of touches in run_touches, RUN_NONE: none */
  uint32_t merged;                /* into that buffer, or RUN_NONE */
  size_t offset;                  /* result, in the arena or among the outputs */
};

struct run_plan {
  const struct run_schedule *schedule;
  struct run_buffer *buffers;
  uint32_t n, *touch_step, *touch_next;
  size_t cap, n_touches, cap_step, cap_next;
  /* results */
  size_t arena, outputs;         /* bytes to allocate */
  size_t activations, workspace; /* parts of the arena: what activations need alone, what workspace adds */
};
void run_plan_init(struct run_plan *p, const struct run_schedule *s);
void run_plan_free(struct run_plan *p, struct gie_context *ctx);
gie_status run_plan_buffer(struct run_plan *p, struct gie_context *ctx, size_t bytes,
                           enum run_category category, uint32_t *out);
gie_status run_plan_touch(struct run_plan *p, struct gie_context *ctx, uint32_t buffer, uint32_t step);
/* The buffer that stands for it after merges. */
uint32_t run_plan_find(const struct run_plan *p, uint32_t buffer);
/* True when `step` may overwrite the buffer: everybody else who touches it is done before. */
bool run_plan_is_last(const struct run_plan *p, uint32_t buffer, uint32_t step);
/* Buffer `b` becomes buffer `a`: a step writes its result over its operand. */
void run_plan_merge(struct run_plan *p, uint32_t a, uint32_t b);
/* Sets every offset. Largest first, each into the smallest gap that holds it. E_MEMORY when the sum
 * is beyond what a size can hold. */
gie_status run_plan_make(struct run_plan *p, struct gie_context *ctx);

/* ---- Specializations (specialize.c, build.c) -------------------------------------------------- */

struct run_step {
  gie_id node;
  const char *kernel; /* "view" for a free node */
  bool free;
  struct run_binding bound;
  uint32_t workspace; /* buffer or RUN_NONE */
  void **in, **out;   /* addresses of the present run */
  void *scratch;
  double start, seconds; /* of the last run, start from its beginning */
  bool awaited;          /* by a step of another stream */
  void *before, *behind; /* events of the device; NULL: not made yet */
};

struct run_spec {
  struct gie_graph *graph;
  struct gie_arena mem;
  int64_t *key; /* dims of all inputs */
  size_t n_key;
  bool *is_live, *is_tail; /* by node */
  struct run_value *values;
  uint32_t n_static, n_tail;
  struct run_step *steps; /* static, then tail */
  struct run_schedule schedule;
  struct run_plan plan;
  uint64_t unshared;
  uint64_t linked; /* generation of addresses that `in` and `out` hold */
  uint64_t used;   /* for replacing the least recently used */
  /* on a device with memory of its own (flow.c) */
  struct run_device *device; /* NULL: not so */
  bool can_capture;          /* all steps allow it */
  bool warm;                 /* the steps ran once */
  void *graph_of_steps;      /* captured with the addresses of generation `captured`; NULL: not yet */
  uint64_t captured;
  struct run_spec *next;
};

/* E_SHAPE unless these types (by position of the input; those not static are left out) fit the graph's inputs and
 * give every symbol one value. */
gie_status run_check_inputs(const struct gie_graph *g, const struct gie_type *types);
/* Clone of `g` with the inputs' types set to `types` (by position of the input), symbols bound, types
 * inferred again, shape arithmetic that is known by now made constant. */
gie_status run_specialize(const struct gie_graph *g, const struct gie_type *types, struct gie_graph **out);
/* Marks nodes that the outputs need, and those whose dims are not all numbers or that depend on one. */
gie_status run_classify(const struct gie_graph *g, bool *is_live, bool *is_tail);
/* Binds, schedules and plans spec->graph, which it owns from here on. E_UNSUPPORTED lists all nodes without
 * a kernel. `tail` (may be NULL) has the kernels of the tail. */
gie_status run_spec_build(struct run_spec *s, struct run_binder *b, struct run_binder *tail);
void run_spec_free(struct run_spec *s);
/* E_UNSUPPORTED with all live nodes that need a kernel for sure and whose op no kernel of either binder names:
 * what can be said before shapes are known. */
gie_status run_check_ops(const struct gie_graph *g, struct run_binder *b, struct run_binder *tail);

/* ---- Single nodes (once.c) -------------------------------------------------------------------- */

/* Evaluates nodes one at a time on a host device. Not to be shared by threads. */
struct run_once {
  struct run_device device_own, *device;
  struct run_weights weights_own;
  struct run_binder binder_own, *binder;
  struct run_memory_block scratch;
  uint32_t threads;
  const char *kernel; /* of the last node */
};
/* A host device of its own, reference kernels first: kind NULL is "cpu". E_DEVICE when there is none. */
gie_status run_once_open(struct gie_context *ctx, const char *kind, struct run_once *out);
/* On a device and binder that somebody else owns. */
void run_once_share(struct run_once *o, struct run_binder *binder, uint32_t threads);
void run_once_close(struct run_once *o);
/* Evaluates node `node` of g. in[i] is operand i (as in node->in) as a plain host tensor; data NULL: the
 * constant of the graph, or an omitted operand. `in` NULL: all are. Dims are inferred from what
 * is there; small tensors count as constants, so a Reshape by a computed shape has a known shape. out[i].data
 * is new memory, for gie_free(). */
gie_status run_once_node(struct run_once *o, const struct gie_graph *g, gie_id node,
                         const struct gie_tensor *in, struct gie_tensor *out);

/* ---- The executor (exec.c, segment.c, tail.c) ------------------------------------------------- */

/* Where an executor's specializations come from when they are not made from its own graph: a plan.
 * The first member of a struct that choose() and free() know. */
struct run_source {
  /* Puts the types that the run will have into types[] (by position of the input; at first those of the
   * tensors set) and gives the graph for them: inputs and outputs are those of the executor's graph by
   * position and name, nodes and values may be others. */
  gie_status (*choose)(struct run_source *s, struct gie_type *types, const struct gie_graph **graph);
  void (*free)(struct run_source *s);
  /* Set by choose(). rows >= 0: the batch at hand, filled up to the types' first dim; cut[i]: output i is to
   * be cut to it. */
  int64_t rows;
  const bool *cut;
};

struct run_input {
  gie_id value;
  struct gie_tensor t;            /* t.data: the executor's copy */
  struct run_memory_block block;  /* pinned */
  struct run_memory_block turned; /* the same in the device's layout; pinned */
  bool set;
};
struct run_watch {
  gie_status (*fn)(void *user, const struct gie_watched *w); /* NULL: nobody looks */
  void *user;
  struct run_memory_block block; /* host copy of the result at hand */
};
struct run_output {
  struct gie_tensor t;
  struct run_memory_block block; /* host copy, when the result is not where it can be shown */
  /* of a device with memory of its own: the plain result, the root that it was a part of */
  struct run_memory_block pinned, whole;
  bool on_way;
};

#define RUN_MAX_STREAMS 8
/* Places in the work of a run that times are taken between. */
enum run_mark { RUN_BEGIN, RUN_STAGED, RUN_COMPUTED, RUN_FETCHING, RUN_FETCHED, RUN_MARKS };
/* The executor's streams on a device with memory of its own. */
struct run_flow {
  uint32_t n_streams;            /* made so far; 0: the device has none, stream[0] is its default */
  void *stream[RUN_MAX_STREAMS]; /* copies and steps without a note: 0 */
  void *join[RUN_MAX_STREAMS];   /* events: [0] others begin behind it, [i] is at the end of stream i */
  void *mark[RUN_MARKS];         /* events, or */
  double at[RUN_MARKS];          /* by the host's clock */
  bool no_capture;               /* it has failed, or the config row GRAPH says so */
  bool replayed;                 /* the last run replayed a graph */
  bool sync_each;                /* config row SYNC */
};

struct gie_exec {
  struct gie_context *ctx;
  struct gie_graph *graph;   /* as given, with symbols */
  struct run_source *source; /* NULL: specializations are made from `graph` */
  struct run_engine *engine;
  struct run_device *device, *host; /* of the engine; host NULL: the device is one itself */
  struct run_binder binder, host_binder;
  uint32_t threads;
  struct run_once once;
  uint32_t n_inputs, n_outputs;
  struct run_input *inputs;
  struct run_output *outputs;
  struct run_spec *specs, *current;
  struct run_memory_block arena, out_arena;
  struct run_flow flow;
  struct run_tail *tail; /* by value of the present specialization */
  uint32_t n_tail_values;
  uint64_t tail_bytes, tail_peak; /* memory that the tail holds now, held at most in the last run */
  struct run_threads *helpers;    /* of several streams on a host; NULL: none yet */
  uint64_t generation, runs;      /* generation changes when an address does */
  bool profile, ran;
  uint64_t memory_limit; /* 0: none */
  double began;          /* the last run, by run_now() */
  struct gie_run_times times;
  struct run_watch watch;
};

/* An executor. Takes ownership of graph and source (NULL: none), also on failure. `backends` as in
 * gie_exec_options. */
gie_status run_exec_new(struct gie_graph *graph, struct run_source *source, struct run_engine *engine,
                        const struct gie_exec_options *o, const char *backends, struct gie_exec **out);
/* Makes the specialization of g for these input types the present one; the first time it is built. */
gie_status run_use_spec(struct gie_exec *x, const struct gie_graph *g, const struct gie_type *types);
/* Fills up inputs with their last row to the first dim that types[] say. */
gie_status run_pad_inputs(struct gie_exec *x, const struct gie_type *types);
/* Address of a placed value in the present run. */
void *run_address(const struct gie_exec *x, const struct run_spec *s, gie_id value);
/* Sets the addresses of all steps, when any changed since the last time. */
gie_status run_link(struct gie_exec *x, struct run_spec *s);
/* Brings the inputs where they need another layout or memory. */
gie_status run_stage(struct gie_exec *x, struct run_spec *s);
/* Runs the static steps on a host device. */
gie_status run_static(struct gie_exec *x, struct run_spec *s);
/* Launches one step on a stream. */
gie_status run_launch(struct gie_exec *x, const struct run_spec *s, struct run_step *step, void *stream);
/* Shows what the step computed to who watches. */
gie_status run_show_step(struct gie_exec *x, const struct run_spec *s, const struct run_step *step);

/* Several streams on a host, a thread each (threads.c). Whether this run goes so: not while every step is looked at. */
bool run_wants_threads(const struct gie_exec *x, const struct run_spec *s);
gie_status run_in_threads(struct gie_exec *x, struct run_spec *s);
void run_threads_free(struct gie_exec *x);

/* A value that is not of the tail as a plain host tensor: where it is, or copied to *block. `mine`: where it
 * stays until the next run, even if inputs change. */
gie_status run_static_value(struct gie_exec *x, const struct run_spec *s, gie_id value, bool mine,
                            struct run_memory_block *block, struct gie_tensor *out);

/* Whether the value is in host memory although the device is another: an input, or a constant. */
bool run_is_on_host(const struct gie_exec *x, const struct run_spec *s, const struct gie_value *v);

/* ---- Devices with memory of their own (flow.c) */

/* Events with times; streams as well. */
bool run_has_events(const struct run_device *d);
bool run_has_streams(const struct run_device *d);
gie_status run_flow_open(struct gie_exec *x);
void run_flow_close(struct gie_exec *x);
/* Inputs, steps, tail, copies of outputs; waits for all of it and sets x->times. */
gie_status run_flow(struct gie_exec *x, struct run_spec *s);
/* n times the static steps, on the inputs of the last run. */
gie_status run_flow_repeat(struct gie_exec *x, struct run_spec *s, uint32_t n, double *seconds);
/* Output i after a run in which it was on_way. */
gie_status run_flow_output(struct gie_exec *x, const struct run_spec *s, uint32_t i, struct gie_tensor *t);
/* Waits for the executor's work, which ends on its first stream. */
gie_status run_flow_sync(struct gie_exec *x);
/* Gives events and graph of the specialization back. */
void run_flow_forget(struct run_spec *s);

/* A value of the tail, as a plain host tensor. */
struct run_tail {
  struct gie_tensor t;
  uint32_t uses; /* readers to come */
  bool owned, output;
  size_t bytes; /* of owned memory */
};
gie_status run_tail_nodes(struct gie_exec *x, struct run_spec *s);
/* The value as a plain host tensor; static ones are brought over on first use. */
gie_status run_tail_value(struct gie_exec *x, struct run_spec *s, gie_id value, struct gie_tensor *out);
void run_tail_reset(struct gie_exec *x);

/* Where a time measurement starts (profile.c). */
double run_now(void);
/* Shows a result to who watches. */
gie_status run_show(struct gie_exec *x, const struct run_spec *s, const struct run_step *step, gie_id value,
                    const struct gie_tensor *t);

#endif
