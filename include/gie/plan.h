/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: the result of tuning a network for a device, in one file that the light run time executes.
 *
 * A plan holds the graph after clean-up (what retuning starts from), one *profile* per input shape and
 * device (the lowered graph with the choice on every node), the weights once, and the table of
 * candidates that explains the choice. It holds data only: no code, no paths, no dates.
 *
 * Threads: a plan is read-only after loading and may be shared; each thread makes its own executor
 * from it (gie_exec_new_plan). Executors of one plan share the weights on the device. */
#ifndef GIE_PLAN_H
#define GIE_PLAN_H

#include <gie/gie.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gie_plan;

/* E_DATA for a file that is no plan (says what it looks like), is damaged (says which check failed), or
 * was made by another format version; E_MODULE when a kernel or op that it needs is not loaded: lists
 * name, version and where was looked. Everything is checked before anything is used. */
GIE_API gie_status gie_plan_load(struct gie_context *ctx, const char *path, struct gie_plan **out);
/* True when the file begins as a plan does: for programs that take networks and plans. Says no more. */
GIE_API bool gie_plan_probe(const char *path);
/* Atomic: the old file or the whole new one. Same plan, same bytes. */
GIE_API gie_status gie_plan_save(const struct gie_plan *plan, const char *path);
GIE_API void gie_plan_free(struct gie_plan *plan);

struct gie_plan_profile {
  size_t struct_size;
  const char *device;      /* kind */
  const char *device_name; /* it was tuned on */
  const char *device_version;
  uint32_t threads;
  bool measured;                 /* false: choices rest on estimates alone */
  double seconds;                /* sum of the chosen candidates */
  const struct gie_graph *graph; /* lowered; belongs to the plan */
  const char *precision; /* what kernels were allowed: "fp16", "tf32", "fp16,tf32"; "": as the types say */
};
GIE_API uint32_t gie_plan_n_profiles(const struct gie_plan *plan);
GIE_API gie_status gie_plan_profile(const struct gie_plan *plan, uint32_t i, struct gie_plan_profile *out);
/* The graph after clean-up; belongs to the plan. */
GIE_API const struct gie_graph *gie_plan_base(const struct gie_plan *plan);
/* The candidate table as text (doc/plan.md says its columns). */
GIE_API const char *gie_plan_candidates(const struct gie_plan *plan);

/* An executor for the plan's profiles. A run takes the profile whose input shapes match, else the one with
 * the next larger batch if the graph is proven independent of the batch (and logs it once), else
 * E_SHAPE lists the profiles. A device of another name or version than the profile's runs with its choices
 * (and logs once that the timings were made elsewhere). The plan must outlive the executor.
 * options->device NULL: that of the first profile whose device is here; options->backends is ignored. */
GIE_API gie_status gie_exec_new_plan(const struct gie_plan *plan, const struct gie_exec_options *options,
                                     struct gie_exec **out);

/* ---- Building [build] ------------------------------------------------------------------------- */

/* What is being done, for a progress line: `done` of `total` nodes over all profiles and structures, the best so far
 * of the present problem. `total` may change a little when a structure has more or fewer nodes. */
struct gie_build_progress {
  size_t struct_size;
  uint32_t done, total;
  const char *node, *kernel;
  double seconds;
};

struct gie_build_options {
  size_t struct_size;
  const char *device;         /* kind; NULL: "cpu" */
  const char *backends;       /* as in gie_exec_options */
  uint32_t threads;           /* 0: all cores */
  const char *const *modules; /* for the worker that times: as in gie_context_options */
  const char *module_dir;
  const char *pipeline; /* NULL: the default one; "": none (the graph is taken as it is) */
  const char *const
      *structures;           /* pipelines on the graph with numbers as dims; the cheapest result is taken */
  uint32_t n_structures;     /* 0: the built-in list; at most 16 */
  const char *const *shapes; /* one per profile, "input:1x3x224x224,other:…"; n_shapes 0: the graph's own */
  uint32_t n_shapes;
  const char *cache; /* timing cache; NULL: the default place; "": none */
  bool cache_read_only;
  double budget;          /* seconds of timing; 0: no limit, < 0: no timing, estimates alone */
  bool exhaustive;        /* time every candidate, prune none */
  bool reduced_precision; /* kernels may compute f32 nodes in narrower floats; casts are part of the choice */
  uint64_t random_costs;  /* tests: != 0 checks every candidate and takes random costs of this seed */
  void (*progress)(void *user, const struct gie_build_progress *p);
  void *progress_user;
  enum gie_math math; /* how products of floats may be computed; strict is the default */
  bool
      plain_layouts; /* kernels get and leave values in plain layout (nchw) only: to see what layouts bring */
  /* Asked ten times a second: true ends the build with E_STOPPED; what was measured is kept. */
  bool (*stop)(void *user);
  void *stop_user;
  uint64_t
      memory_limit; /* bytes of constants, activations and workspace on the device, of each profile; 0: none */
  /* What may be left out, to see what it brings. */
  const char *disable; /* "a,b": passes, of the pipeline, of the structures and assign_streams; NULL: none */
};
/* Where the time of a build goes: members of struct gie_build_times, and what they stand for. */
/* clang-format off */
#define GIE_BUILD_TIMES(X)                                     \
  X(open,     "opening the device, its peaks, the cache")      \
  X(passes,   "passes")                                        \
  X(ask,      "asking kernels what they take")                 \
  X(worker,   "starting the worker and its device")            \
  X(contents, "contents of operands, and their copies there")  \
  X(pack,     "packing weights")                               \
  X(create,   "making kernels")                                \
  X(check,    "checking results")                              \
  X(time,     "timing")                                        \
  X(choose,   "choosing")                                      \
  X(lower,    "writing the choice into the graph")             \
  X(streams,  "one stream or several")                         \
  X(save,     "saving the measurements")
/* clang-format on */
#define GIE_BUILD_TIME_MEMBER(name, text) double name;
struct gie_build_times {
  GIE_BUILD_TIMES(GIE_BUILD_TIME_MEMBER) /* seconds */
};
/* What the build did. */
struct gie_build_report {
  size_t struct_size;
  uint32_t nodes, problems, candidates, pruned, cached, timed, bad;
  double cost, lower_bound, seconds;
  bool exact, out_of_budget;
  struct gie_build_times times;
};
GIE_API gie_status gie_build(const struct gie_graph *g, const struct gie_build_options *options,
                             struct gie_build_report *report, struct gie_plan **out);

#ifdef __cplusplus
}
#endif
#endif
