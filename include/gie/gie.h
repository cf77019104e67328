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
  bool verify_each;        /* always on in debug builds */
  const char *print_after; /* name of a pass, or NULL */
  void (*print)(void *user, const char *pass, const struct gie_graph *g);
  void *print_user;
  struct gie_pass_stat *stats; /* room for max_stats; *n_stats is set */
  uint32_t max_stats, *n_stats;
};

/* Runs "a,b,c" in order; NULL or "default": the default pipeline; "structure": the passes that make products wide and
 * results views; "": nothing. E_USAGE names an unknown pass. */
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

struct gie_exec_options {
  size_t struct_size;
  const char *device;   /* kind; NULL: "cpu" */
  const char *backends; /* "-onednn,+cpu": kernels whose name begins so are left out / tried first */
  uint32_t threads;     /* 0: all cores */
  bool profile;
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

struct gie_node_profile {
  gie_id node;
  const char *name, *op, *kernel; /* kernel "view": nothing to do, the results are in place */
  double seconds;                 /* of the last run */
};
/* Row i in order of execution; false past the end. */
GIE_API bool gie_exec_profile(const struct gie_exec *x, uint32_t i, struct gie_node_profile *out);

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
