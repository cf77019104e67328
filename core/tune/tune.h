/* SPDX-License-Identifier: Apache-2.0 */
/* The strategy: which kernel, layout, dtype and epilogue cut each node of a graph gets.
 *
 *   problem.c   a node with the forms of its operands as a graph of its own
 *   key.c       its key
 *   cost.c      cost model: roofline, waves, launch; peaks of the device
 *   race.c      checks and times candidates of one problem, in the worker
 *   sample.c    f64 results of sampled outputs, for the check
 *   cache.c     the timing cache: text lines, merged under a lock
 *   ask.c       what kernels offer for every node: kernel x variant x cut
 *   alts.c      alternatives of every node: the same x form
 *   price.c     what they cost and which of them others outdo
 *   range.c     those that get ranges of larger tensors, measured so
 *   pbqp.c      the global choice
 *   select.c    cost graph of a network from its alternatives; local search
 *   lower.c     writes a choice into the graph: reorders, casts, cut epilogues, copies, notes
 *   build.c     from a network to a plan
 *
 * Words. A *form* is dtype and layout of a value as it lies in memory. A *candidate* is a kernel's
 * variant for a problem whose operands have given forms: what is timed. An *alternative* of a node is
 * a candidate plus the candidates of the epilogue steps that it leaves over. Seconds everywhere. */
#ifndef GIE_CORE_TUNE_H
#define GIE_CORE_TUNE_H

#include "core/module/worker.h"
#include "core/run/run.h"

/* ---- Problems (problem.c) --------------------------------------------------------------------- */

struct tune_form {
  enum gie_dtype dtype;
  struct gie_layout layout; /* rank 0: plain */
  bool pitched;             /* a range of something larger: the tensor has gaps */
};

/* One node with concrete forms: what a candidate is asked to run. The graph has one node (id of
 * gie_graph_first). Operands are inputs, or constants where the original's are: constants share the
 * original's bytes, so kernels see in_data. Value names are canonical (%i0, %i1, … %o0, …).
 *
 * The key is one line that two problems share exactly when a measurement of one holds for the other:
 *   conv(f32[1,64,56,56] nChw8c, const f32[64,64,3,3], const f32[64], f32[1,64,56,56] nChw8c) {pad=[1,1,1,1]}
 *     | add(3) | relu -> f32[1,64,56,56] nChw8c
 * The contents of constants count only for integers of up to GIE_MAX_KNOWN elements (they are shapes,
 * axes …), which are written out. */
struct tune_problem {
  struct gie_graph *g;
  char *key; /* gie_free */
};
/* `in`, `out`: forms by operand (as node->in) and result; NULL: plain, of the graph's dtype. `n_steps`:
 * the epilogue is cut to so many. All dims must be numbers. */
gie_status tune_problem_make(const struct gie_graph *g, const struct gie_node *n, uint32_t n_steps,
                             const struct tune_form *in, const struct tune_form *out, struct tune_problem *p);
/* The same with constants of other element types taken from `consts`. */
struct tune_consts;
gie_status tune_problem_make_with(struct tune_consts *consts, const struct gie_graph *g,
                                  const struct gie_node *n, uint32_t n_steps, const struct tune_form *in,
                                  const struct tune_form *out, struct tune_problem *p);
void tune_problem_free(struct tune_problem *p, struct gie_context *ctx);
/* Constants in other element types (consts.c): each is converted once, however many problems and nodes have it. */
struct tune_consts {
  struct gie_context *ctx;
  struct tune_const *first;
};
void tune_consts_free(struct tune_consts *c);
/* The bytes of constant v as `to`, both of them floats; a reference to the blob is the caller's. `c` NULL: converted
 * anew. */
gie_status tune_consts_get(struct tune_consts *c, const struct gie_graph *g, const struct gie_value *v,
                           enum gie_dtype to, struct gie_blob **out);
/* What the time of a node depends on, but for its kernel (key.c): op, attributes, epilogue, operands and results. */
void tune_key_of_node(struct gie_buf *b, const struct gie_graph *g, const struct gie_node *n);
/* The key of a problem's graph: that of its node; gie_free. */
gie_status tune_problem_key(const struct gie_graph *g, char **key);
/* A graph of one node has no larger tensor to be a range of. A pitched operand or result is listed in the
 * node's note `pitched` (operand i as i, result i as n_in + i) and lies in a tensor that is one block, or
 * without blocks TUNE_PITCH_GAP elements, larger along axis 1 (rank 1: axis 0), at its end. */
#define TUNE_PITCH_GAP 16
bool tune_is_pitched(const struct gie_node *n, uint32_t slot);
/* Descriptor of such a tensor, *bytes of the larger one, byte offset into it. A scalar stays dense. */
gie_status tune_pitched_desc(struct gie_context *ctx, const struct gie_type *t,
                             const struct gie_layout *layout, struct gie_desc *out, size_t *bytes,
                             size_t *offset);

/* Whether the node's note `keep_f32` (an int) is there and not 0: it is computed as strictly as its types say. */
bool tune_keeps_f32(const struct gie_node *n);

/* ---- Cost model (cost.c) ------------------------------------------------------------------------ */

/* Flops and bytes of a problem from its op and descriptors alone (formulas at each op). */
void tune_work(const struct gie_problem *p, struct gie_cost *out);
/* Whether the table has a row of that op; others count one flop per element of the result. */
bool tune_knows_op(const char *op);
/* Whether its kernels sum up products, so that enum gie_math says something to them. True for ops of modules. */
bool tune_has_math(const struct gie_op *op);
/* Expected seconds of a variant: the kernel's estimate() if it has one, else the roofline of
 * tune_work() with wave quantization; the device's launch cost is added. Never 0, always finite. */
double tune_estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     const struct gie_peaks *peaks);
/* Members of struct gie_peaks that the cache and targets keep. */
/* clang-format off */
#define TUNE_PEAKS(X)                                                                                     \
  X(bytes_per_s) X(cache_bytes_per_s) X(cache_bytes) X(f32_flop_per_s) X(f16_flop_per_s)                  \
  X(tf32_flop_per_s) X(i8_op_per_s) X(launch_s)
/* clang-format on */
/* Built-in peaks for a device that has none measured; they order candidates, nothing more. */
void tune_default_peaks(const struct gie_device_info *info, struct gie_peaks *out);

/* Seconds at best: arithmetic at `rate` flops per second or memory traffic, whichever takes longer, and the launch.
 * `waves` > 0: the last one takes as long as a full one. */
double tune_roofline(const struct gie_peaks *peaks, double flops, double rate, double bytes, double waves);

/* ---- Targets (target.c): what gie target writes and gie opt --target reads; the format is in doc/manual.md ---- */

/* What a device is, with the peaks that a cache has, else, with `measure`, measured and kept there, else built in (peaks.c).
 * `device` and `threads` as in run_device_open(), `cache` as in tune_cache_open_default(); strings are in `mem`. */
gie_status tune_target_of(struct gie_context *ctx, const char *device, uint32_t threads, const char *cache,
                          bool measure, struct gie_arena *mem, struct gie_target *out);
void tune_target_print(const struct gie_target *t, struct gie_buf *out);
/* Strings are in `mem`. E_DATA names the line that is wrong. parse() cuts the text, of `size` bytes and a NUL, into pieces. */
gie_status tune_target_parse(struct gie_context *ctx, const char *path, char *text, size_t size,
                             struct gie_arena *mem, struct gie_target *out);
gie_status tune_target_read(struct gie_context *ctx, const char *path, struct gie_arena *mem,
                            struct gie_target *out);

/* ---- Timing cache (cache.c) --------------------------------------------------------------------- */

struct tune_entry {
  const char *problem; /* key; strings belong to the cache, or to the caller for tune_cache_put() */
  const char *kernel;
  uint64_t config;
  const char *device;  /* tune_entry_device() */
  const char *version; /* tune_entry_version(); differs: stale */
  enum probe_verdict verdict;
  double seconds, spread; /* median of a run; (p75 - p25) / median */
  double error;           /* of the check */
  const char *text;       /* why, when the verdict is not ok; else "" */
};
#define TUNE_PEAK \
  "peak" /* in place of a kernel: an entry whose seconds are a peak of the device, named by `problem` */
#define TUNE_STREAMS \
  "streams" /* in place of a kernel: a whole plan on one stream (config 0) or several (1) */
struct tune_cache;
/* `path` NULL: in memory only. A missing file is an empty cache; lines that cannot be used are dropped
 * with one warning that counts them (the file is rewritten without them at the next save). A file that is
 * no timing cache is never written to: a warning, and the cache is in memory only. E_PERM for a symbolic
 * link or a file that others may write. read_only: never saved. The format is in doc/cache.md. */
gie_status tune_cache_open(struct gie_context *ctx, const char *path, bool read_only,
                           struct tune_cache **out);
/* The same for a file that the user asks about: E_NOINPUT when it is missing, E_DATA when it is no timing
 * cache; not getting the lock is E_IO. */
gie_status tune_cache_open_named(struct gie_context *ctx, const char *path, bool read_only,
                                 struct tune_cache **out);
/* The same in the default place for `path` NULL, in memory only for "". */
gie_status tune_cache_open_default(struct gie_context *ctx, const char *path, bool read_only,
                                   struct tune_cache **out);
void tune_cache_free(struct tune_cache *c);
/* Looks for the entry of key's problem, kernel, config and device. true: found and of key's version. Else
 * *why (may be NULL) is "absent" or says what made the entry stale; it belongs to the cache. */
bool tune_cache_find(const struct tune_cache *c, const struct tune_entry *key, struct tune_entry *out,
                     const char **why);
/* Adds or replaces the entry with e's problem, kernel, config, device and version. E_DATA for times that are
 * not finite or negative, for OK without a time, and for an entry too long for a line. */
gie_status tune_cache_put(struct tune_cache *c, const struct tune_entry *e);
/* Takes the entry out, if there is one; the next save takes it out of the file too unless somebody has
 * measured it anew. */
void tune_cache_drop(struct tune_cache *c, const struct tune_entry *key);
/* Takes the lock beside the file (waits at most 10 s, then goes on without saving, with a warning), reads
 * what others have added meanwhile, writes the union, sorted. A failure leaves the old file and is only a
 * warning for a build. Nothing is written when nothing has changed. */
gie_status tune_cache_save(struct tune_cache *c);
/* Whether there is a place to save in: makes the default's directory and the lock file, and says what fails. GIE_OK
 * for what is never saved. */
gie_status tune_cache_try(struct tune_cache *c);
/* Another limit for the lock, in seconds. */
void tune_cache_lock_wait(struct tune_cache *c, double seconds);
/* Entry i in sorted order (problem, kernel, config, device, version); false past the end. */
bool tune_cache_at(const struct tune_cache *c, size_t i, struct tune_entry *out);
/* false: in memory only, because of the path or of what the file is. */
bool tune_cache_is_file(const struct tune_cache *c);
/* Where measurements are kept by default: $XDG_CACHE_HOME/gie/timing.txt or ~/.cache/gie/timing.txt
 * (config row CACHE overrides); NULL when there is no such place. Saving makes the default's directory. */
const char *tune_cache_default_path(struct gie_context *ctx, struct gie_arena *mem);
/* `device` of an entry, "cpu|x86_64 avx2|threads=2", and `version`, "cpu 0.1|<versions of the device>", the
 * kernel's module coming first. NULL: out of memory. */
const char *tune_entry_device(struct gie_arena *mem, const char *kind, const struct gie_device_info *info,
                              uint32_t threads);
const char *tune_entry_version(struct gie_arena *mem, const struct gie_kernel *k,
                               const struct gie_device_info *info);
/* The peaks of a device whose entries have that key: the cache's, else measured and put there, else built in (peaks.c). */
gie_status tune_find_peaks(struct run_device *d, const char *key, struct tune_cache *c, bool measure,
                           struct gie_peaks *out);

/* ---- Race (race.c) ------------------------------------------------------------------------------ */

struct tune_candidate {
  /* in */
  const struct tune_problem *problem;
  const struct gie_kernel *kernel;
  uint64_t config;
  /* out */
  enum probe_verdict verdict;
  double seconds, spread, error;
  uint64_t workspace;
  char text[256];
};
/* Where the worker's time went, in seconds. */
struct tune_race_times {
  double worker, contents, pack, create, check, time;
};
struct tune_race_options {
  double min_time;    /* seconds that one sample lasts at least, by doubling; 0: 1 ms */
  uint32_t samples;   /* of each candidate, interleaved; 0: 7 */
  double stop_at;     /* a candidate slower than this times the best after a sample is not sampled on; 0: 2 */
  uint32_t threads;   /* budget of each launch */
  bool check_only;    /* correctness, no timing */
  const char *device; /* "cuda:1": which one of its kind; NULL: the first */
  uint64_t max_workspace;        /* of a candidate; 0: 4 GiB */
  uint64_t whole;                /* bytes of tensors that are fetched from a device as a whole; 0: 4 MiB */
  struct tune_race_times *times; /* added to; may be NULL */
};
/* Checks all candidates (sampled outputs against f64, guard zones), then times the right ones in
 * interleaved rounds. They run in the worker: one that crashes or hangs costs a restart, gets that
 * verdict, and the others are asked again without it. What a candidate does wrong is its verdict. */
gie_status tune_race(struct worker *w, struct tune_candidate *c, uint32_t n,
                     const struct tune_race_options *o);

/* ---- Global choice (pbqp.c) --------------------------------------------------------------------- */

/* min over choices of sum node_cost[u][x_u] + sum edge_cost[e][x_u][x_v]. Costs ≥ 0, INFINITY forbids. */
struct pbqp;
gie_status pbqp_new(struct gie_context *ctx, uint32_t n_nodes, const uint32_t *n_alts, struct pbqp **out);
void pbqp_free(struct pbqp *p);
void pbqp_add_cost(struct pbqp *p, uint32_t node, uint32_t alt, double cost);
/* Adds a matrix [n_alts(u)][n_alts(v)] to the edge between u and v. */
gie_status pbqp_add_edge(struct pbqp *p, uint32_t u, uint32_t v, const double *cost);
struct pbqp_result {
  double cost;          /* of the choice */
  double lower_bound;   /* of any choice; equal to cost when `exact` */
  bool exact;           /* only optimality-keeping reductions were used */
  uint32_t n_heuristic; /* nodes where the heuristic had to decide */
};
/* Fills choice[n_nodes]. Among equals the lower index wins. E_NO when every choice is forbidden. The
 * problem is used up. */
gie_status pbqp_solve(struct pbqp *p, uint32_t *choice, struct pbqp_result *out);

#endif
