/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as the core sees it. The file format is specified in doc/plan.md.
 *
 *   plan.c    the struct: made by a build or by loading, read by executors
 *   save.c    struct to bytes
 *   load.c    bytes to struct; believes nothing
 *   exec.c    an executor whose specializations are the plan's profiles
 *
 * Nothing that follows from the lowered graph is stored: schedule and memory plan are made again at load
 * by the code that every graph goes through, so a plan cannot state a wrong one. */
#ifndef GIE_CORE_PLAN_H
#define GIE_CORE_PLAN_H

#include "core/run/run.h"
#include <gie/plan.h>

struct plan_profile {
  struct gie_plan_profile pub; /* strings and graph are owned */
};

struct gie_plan {
  struct gie_context *ctx;
  struct gie_arena mem;
  struct gie_graph *base;
  struct plan_profile *profiles;
  uint32_t n_profiles;
  char *candidates;
};

/* An empty plan. Takes ownership of `base`. */
gie_status plan_new(struct gie_context *ctx, struct gie_graph *base, struct gie_plan **out);
/* Appends a profile: copies the strings, takes ownership of p->graph (also on failure). */
gie_status plan_add_profile(struct gie_plan *plan, const struct gie_plan_profile *p);
/* Copies the text. */
gie_status plan_set_candidates(struct gie_plan *plan, const char *text);

#endif
