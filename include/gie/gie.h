/* SPDX-License-Identifier: Apache-2.0 */
/* The library API: what a program calls. libgie-rt has everything but the functions marked [build],
 * which are in libgie.
 *
 *     struct gie_context *ctx; struct gie_graph *g; struct gie_exec *x;
 *     gie_context_new(NULL, &ctx);
 *     gie_graph_load(ctx, "model.onnx", NULL, &g);
 *     gie_pipeline_run(g, NULL, NULL);                       // the default passes
 *     gie_exec_new(g, NULL, &x);
 *     gie_exec_set_input(x, "data", &tensor); gie_exec_run(x); gie_exec_output(x, "prob", &out);
 */
#ifndef GIE_GIE_H
#define GIE_GIE_H

#include <gie/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Context -------------------------------------------------------------------------------- */

struct gie_context_options {
  size_t struct_size;
  /* NULL: standard error. Called under the context's lock. */
  void (*log)(void *user, enum gie_log_level level, const char *module, const char *text);
  void *log_user;
  const char *const *config;  /* "NAME=value" strings ended by NULL; win over the environment */
  const char *module_dir;     /* NULL: the installed directory (build tree: GIE_MODULE_PATH) */
  const char *const *modules; /* files to load by name, ended by NULL; refusal is an error */
  bool no_modules;            /* load none */
};

/* Makes a context and loads the modules. `options` may be NULL. On failure *out is NULL (no memory)
 * or a context that serves for gie_error_text() and gie_context_free() only. */
GIE_API gie_status gie_context_new(const struct gie_context_options *options, struct gie_context **out);
/* Everything made from the context must be freed before. NULL is fine. */
GIE_API void gie_context_free(struct gie_context *ctx);
/* "E_SHAPE" and the exit code for a status. */
GIE_API const char *gie_status_name(gie_status status);
GIE_API int gie_status_exit_code(gie_status status);

/* ---- Registries (read) ---------------------------------------------------------------------- */

struct gie_module_info {
  size_t struct_size;
  const char *path, *name, *version;
  enum gie_module_kind kind;
  uint16_t abi_major, abi_minor;
  const char *refused; /* NULL: loaded; else why not */
};

/* Each: element i, or NULL (false) past the end. Order of registration, which is sorted and stable. */
GIE_API bool gie_module_at(const struct gie_context *ctx, uint32_t i, struct gie_module_info *out);
GIE_API const struct gie_device *gie_device_at(const struct gie_context *ctx, uint32_t i);
GIE_API const struct gie_kernel *gie_kernel_at(const struct gie_context *ctx, uint32_t i);
GIE_API const struct gie_pass *gie_pass_at(const struct gie_context *ctx, uint32_t i);
GIE_API const struct gie_format *gie_format_at(const struct gie_context *ctx, uint32_t i);
GIE_API const struct gie_op *gie_op_at(const struct gie_context *ctx, uint32_t i);

/* ---- Files ---------------------------------------------------------------------------------- */

/* Reads a network: .gie text or whatever a format module takes. `options` as in gie_source. The
 * result is verified. */
GIE_API gie_status gie_graph_load(struct gie_context *ctx, const char *path, const char *const *options,
                                  struct gie_graph **out);
/* Writes .gie (with FILE.weights when a constant is large), .dot, or what a format exports. Atomic:
 * an older file stays intact until the new one is complete. */
GIE_API gie_status gie_graph_save(const struct gie_graph *g, const char *path);
/* Text form to memory, freed with gie_free(); constants above 16 elements print as their hash. */
GIE_API gie_status gie_graph_print(const struct gie_graph *g, char **text, size_t *size);
/* Reads text. `weights` (may be NULL) is the path of the .weights file for hashed constants. */
GIE_API gie_status gie_graph_parse(struct gie_context *ctx, const char *text, size_t size,
                                   const char *weights, struct gie_graph **out);
GIE_API gie_status gie_graph_print_dot(const struct gie_graph *g, char **text, size_t *size);

/* ---- Passes [build] ------------------------------------------------------------------------- */

struct gie_pass_stat {
  const char *pass;
  uint32_t changes, nodes_before, nodes_after;
  double seconds;
};

struct gie_pipeline_options {
  size_t struct_size;
  uint64_t device_flags;   /* what the graph is meant for; 0: a plain f32 CPU */
  bool verify_each;        /* not only at the end; always on in debug builds */
  const char *print_after; /* name of a pass, or NULL */
  void (*print)(void *user, const char *pass, const struct gie_graph *g);
  void *print_user;
  struct gie_pass_stat *stats; /* room for max_stats; *n_stats is set */
  uint32_t max_stats, *n_stats;
  const char
      *disable; /* "a,b": passes that are left out of the list and of the pipelines in it; NULL: none */
  const struct gie_target *target; /* what passes that ask whether a rewrite pays go by; NULL: it pays */
};

/* Runs "a,b=argument,c" in order; NULL or "default": the default pipeline; "structure": the passes that make products
 * wide and results views; "": nothing. E_USAGE names an unknown pass, and an argument that a pass does not take. */
GIE_API gie_status gie_pipeline_run(struct gie_graph *g, const char *pipeline,
                                    const struct gie_pipeline_options *options);
GIE_API const char *gie_pipeline_default(void);

/* ---- Execution ------------------------------------------------------------------------------ */

/* A host tensor in plain layout; the caller owns `data`. */
struct gie_tensor {
  size_t struct_size;
  enum gie_dtype dtype;
  int32_t rank;
  int64_t dim[GIE_MAX_RANK];
  void *data;
};

/* Types of g's inputs with the shapes that `text` states, "data:1x3x224x224,mask:1x7"; the others stay as the graph
 * has them. types has room for all inputs. E_USAGE for a text or name that is wrong, E_SHAPE for a dim
 * that contradicts the graph's. */
GIE_API gie_status gie_graph_parse_shapes(const struct gie_graph *g, const char *text,
                                          struct gie_type *types);

struct gie_exec_options {
  size_t struct_size;
  const char *device;   /* kind; NULL: "cpu" */
  const char *backends; /* "-onednn,+cpu": kernels whose name begins so are left out / tried first */
  uint32_t threads;     /* 0: all cores */
  bool profile;
  uint64_t memory_limit; /* bytes of constants, activations and workspace on the device; 0: what it has */
};

struct gie_exec;

/* Prepares a graph for running: binds kernels, plans memory. The graph is cloned. E_UNSUPPORTED
 * lists the nodes that no kernel takes. */
GIE_API gie_status gie_exec_new(const struct gie_graph *g, const struct gie_exec_options *options,
                                struct gie_exec **out);
GIE_API void gie_exec_free(struct gie_exec *x);
/* Copies the tensor in. Dtype and dims are checked against the graph's input; symbols get bound. */
GIE_API gie_status gie_exec_set_input(struct gie_exec *x, const char *name, const struct gie_tensor *t);
GIE_API gie_status gie_exec_run(struct gie_exec *x);
/* The output's bytes, owned by x and valid until the next run. */
GIE_API gie_status gie_exec_output(struct gie_exec *x, const char *name, struct gie_tensor *out);

/* The graph that the last run executed (before the first: that the next will, as far as it is known): all dims
 * known, choices on the nodes. Valid until the next run. */
GIE_API const struct gie_graph *gie_exec_graph(const struct gie_exec *x);

struct gie_node_profile {
  gie_id node;                    /* of gie_exec_graph() */
  const char *name, *op, *kernel; /* kernel "view": nothing to do, the results are in place */
  double seconds;                 /* of the last run */
  double start;                   /* seconds from the beginning of the last run */
  int32_t stream;                 /* of the device; -1: on the host, as its shape was computed */
};
/* Row i in order of execution; false past the end. */
GIE_API bool gie_exec_profile(const struct gie_exec *x, uint32_t i, struct gie_node_profile *out);

/* Seconds that the parts of the last run took, profile or not. The caller sets struct_size. */
struct gie_run_times {
  size_t struct_size;
  double upload;   /* inputs to the device, or into the layout that they are stored in */
  double enqueue;  /* until all work was handed to the device; part of `compute` */
  double compute;  /* until it was done */
  double download; /* outputs to the host, or into plain layout */
  double device;   /* of `compute`, what the device itself says of its part; 0: it has no clock */
  bool replayed;   /* the launches were a captured graph */
};
/* On a device with a clock of its own upload, compute and download are by that clock, without the gaps between them. */
GIE_API gie_status gie_exec_times(const struct gie_exec *x, struct gie_run_times *out);
/* Runs n times more on the inputs of the last run, where they are, without transfers and without waiting between: for
 * measuring. *seconds is for all n. E_USAGE before the first run; E_UNSUPPORTED when shapes are computed on the way. */
GIE_API gie_status gie_exec_repeat(struct gie_exec *x, uint32_t n, double *seconds);

/* The device that it runs on: kind and what the device says of itself. */
GIE_API const char *gie_exec_device(const struct gie_exec *x, struct gie_device_info *out);
/* Threads that a launch may use. */
GIE_API uint32_t gie_exec_threads(const struct gie_exec *x);
/* Joules that the device has used since some fixed point. E_UNSUPPORTED: it does not count them. */
GIE_API gie_status gie_exec_energy(struct gie_exec *x, double *joules);

/* A result as soon as it is computed, before its memory is used again. */
struct gie_watched {
  size_t struct_size;
  const struct gie_graph *graph; /* gie_exec_graph() */
  gie_id node, value;
  const char *kernel;
  const struct gie_tensor *tensor; /* on the host in plain layout, until the call returns */
};
/* Calls `fn` for every result that is read while a run goes on, in order of execution; each step is waited
 * for. What fn returns ends the run unless it is GIE_OK. NULL: no more. */
GIE_API void gie_exec_watch(struct gie_exec *x, gie_status (*fn)(void *user, const struct gie_watched *w),
                            void *user);

/* Bytes at the peak of a run, by category. The caller sets struct_size; no more than that is written. */
struct gie_memory_report {
  size_t struct_size;
  uint64_t constants, activations, workspace, inputs, outputs;
  uint64_t unshared; /* activations if no two shared memory */
  uint64_t
      tail; /* held at most by nodes of computed shapes, which get their memory while they run; of the last run */
};
GIE_API gie_status gie_exec_memory(const struct gie_exec *x, struct gie_memory_report *out);

#ifdef __cplusplus
}
#endif
#endif
