/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as the core sees it. The file format is specified in doc/plan.md.
 *
 *   plan.c    the struct: made by a build or by loading, read by executors
 *   need.c    the kernels and ops that it cannot do without
 *   meta.c    its texts that are no networks: general part, heads of profiles
 *   save.c    struct to bytes
 *   load.c    bytes to struct; believes nothing
 *   batch.c   the proof that a network treats the items of a batch apart
 *   exec.c    an executor whose specializations are the plan's profiles
 *
 * Nothing that follows from the lowered graph is stored: schedule and memory plan are made again at load
 * by the code that every graph goes through, so a plan cannot state a wrong one. */
#ifndef GIE_CORE_PLAN_H
#define GIE_CORE_PLAN_H

#include "core/run/run.h"
#include <gie/plan.h>
#include <stdatomic.h>

#define PLAN_MAX_PROFILES 1024
#define PLAN_MAX_NEEDS 4096 /* kernels, and ops, that it may name */

struct plan_profile {
  struct gie_plan_profile pub; /* strings are in the plan's arena, the graph is owned */
};

/* A kernel or an op of a module. */
struct plan_need {
  const char *name;
  const char *origin; /* "cpu 1.0": the module and its version when the plan was made */
};
struct plan_needs {
  struct plan_need *v; /* sorted by name */
  uint32_t n;
  size_t cap;
};

struct gie_plan {
  struct gie_context *ctx;
  struct gie_arena mem;
  struct gie_graph *base;
  struct plan_profile *profiles;
  uint32_t n_profiles;
  size_t cap_profiles;
  char *candidates;
  const char *version; /* of the gie that made it */
  uint16_t abi_major, abi_minor;
  struct plan_needs kernels, ops;
  struct plan_shared *shared; /* what executors share; changes behind a const plan */
};

struct plan_shared {
  struct run_engines engines;
  atomic_bool said_elsewhere, said_batch, said_threads; /* lines that are logged once */
};

/* An empty plan. Takes ownership of `base`, also on failure. */
gie_status plan_new(struct gie_context *ctx, struct gie_graph *base, struct gie_plan **out);
/* Appends a profile: copies the strings (NULL: ""), takes ownership of p->graph (also on failure). E_GRAPH,
 * E_SHAPE: its inputs and outputs are not those of the base, or not all dims of inputs are numbers. E_USAGE:
 * there is one for this device and these shapes. */
gie_status plan_add_profile(struct gie_plan *plan, const struct gie_plan_profile *p);
/* Copies the text. */
gie_status plan_set_candidates(struct gie_plan *plan, const char *text);

/* True when there is a device of the profile's kind. */
bool plan_profile_is_here(const struct gie_plan *plan, uint32_t i);
/* "data:1x3x224x224,mask:1x4 on cpu" */
void plan_put_profile(const struct gie_plan *plan, uint32_t i, struct gie_buf *b);

/* ---- What it needs (need.c) ------------------------------------------------------------------- */

/* Adds the kernels that notes of g name and the ops of modules in it, with where they come from now. */
gie_status plan_add_needs(struct gie_plan *plan, const struct gie_graph *g);
/* E_MODULE lists the ops that are not there, with version and the places searched. */
gie_status plan_check_ops(const struct gie_plan *plan);
/* The same for the kernels of profiles whose device is here; of all profiles when none is. Warns once
 * when one comes from another version of its module. */
gie_status plan_check_kernels(const struct gie_plan *plan);
/* E_DATA unless both hold the same names. */
gie_status plan_same_needs(const struct gie_plan *plan, const struct plan_needs *kernels,
                           const struct plan_needs *ops);

/* ---- Texts (meta.c) --------------------------------------------------------------------------- */

gie_status plan_put_meta(const struct gie_plan *plan, struct gie_buf *b);
gie_status plan_put_head(const struct gie_plan_profile *p, struct gie_context *ctx, struct gie_buf *b);
/* The other way; E_DATA for anything that plan_put_meta() would not have written. Strings go to plan->mem. */
gie_status plan_read_meta(struct gie_plan *plan, const char *text, size_t size);
gie_status plan_read_head(struct gie_plan *plan, const char *text, size_t size, struct gie_plan_profile *p);

/* ---- The file --------------------------------------------------------------------------------- */

#define PLAN_MAGIC "\x89GIEPLN\n"
#define PLAN_FORMAT 1u
#define PLAN_ENDIAN 0x01020304u
#define PLAN_HEADER 64u
#define PLAN_ENTRY 64u
#define PLAN_ALIGN 64u

/* Order in the file: meta, base, then head and graph of each profile, candidates, weights. */
enum plan_kind { PLAN_META = 1, PLAN_BASE, PLAN_HEAD, PLAN_GRAPH, PLAN_CANDIDATES, PLAN_WEIGHTS };
const char *plan_kind_name(enum plan_kind kind);
static inline uint32_t plan_n_sections(uint32_t n_profiles) { return 4 + 2 * n_profiles; }
/* Kind and index of section i of a plan with that many profiles. */
enum plan_kind plan_section_kind(uint32_t n_profiles, uint32_t i, uint32_t *index);

/* gie_plan_load() for looking only: kernels may be missing. */
gie_status plan_load_any(struct gie_context *ctx, const char *path, struct gie_plan **out);

/* ---- The batch (batch.c) ---------------------------------------------------------------------- */

/* True when every input and every output that depends on one has the same symbol as its first dim, and
 * row i of the outputs depends on row i of the inputs only, whatever the number of rows. False: not proven.
 * has_rows (by output, may be NULL) is set: does it depend on an input? */
gie_status plan_batch_is_free(const struct gie_graph *base, bool *is_free, bool *has_rows);

#endif
