/* SPDX-License-Identifier: Apache-2.0 */
/* What `gie build` and `gie retune` share: flags of a build, running it with progress, saying what it did. */
#ifndef GIE_TOOLS_BUILD_H
#define GIE_TOOLS_BUILD_H

#include "tools/tool.h"
#include <gie/plan.h>

struct build_flags {
  const char *out, *backend, *passes, *cache, *device;
  struct tool_list shapes, batches;
  struct tool_list outputs; /* --output: the plan, or with --deploy outputs of the network */
  double budget;            /* NaN: none given */
  bool cache_read_only, exhaustive, estimate, json;
};

/* The rows of these flags, for a verb's table of options. */
#define BUILD_OPTIONS(f)                                                                                     \
  {"saveEngine", 'o', TOOL_TEXT, &(f)->out, "PLAN", "where to save the plan"},                               \
      {"output",      0,           TOOL_LIST,                                                                \
       &(f)->outputs, "PLAN|NAME", "the same; with --deploy an output of the network (may be repeated)"},    \
      {"shapes",        0,                                                                                   \
       TOOL_LIST,       &(f)->shapes,                                                                        \
       "NAME:DIMS,...", "dims of inputs; given several times: one profile each"},                            \
      {"batch",       0,       TOOL_LIST,                                                                    \
       &(f)->batches, "N,...", "first dim of every input that leaves it open; one profile each"},            \
      {"backend", 0, TOOL_TEXT, &(f)->backend, "-NAME,+NAME", "leave out kernels by how their names begin"}, \
      {"device", 0, TOOL_TEXT, &(f)->device, "KIND[:N]", "device to build for; default cpu"},                \
      {"timingCacheFile",                                                                                    \
       0,                                                                                                    \
       TOOL_TEXT,                                                                                            \
       &(f)->cache,                                                                                          \
       "FILE",                                                                                               \
       "where measurements are kept; empty: nowhere; default: GIE_CACHE, else ~/.cache/gie/timing.txt"},     \
      {"cache-read-only", 0, TOOL_FLAG, &(f)->cache_read_only, NULL, "add nothing to it"},                   \
      {"build-budget", 0,         TOOL_REAL,                                                                 \
       &(f)->budget,   "SECONDS", "stop timing after that; estimates decide the rest"},                      \
      {"estimate", 0, TOOL_FLAG, &(f)->estimate, NULL, "time nothing"},                                      \
      {"exhaustive", 0, TOOL_FLAG, &(f)->exhaustive, NULL, "time every candidate, however unlikely"},        \
  {                                                                                                          \
    "json", 0, TOOL_FLAG, &(f)->json, NULL, "what was done, for machines"                                    \
  }

/* Sorts out what --output means and where the plan goes. TOOL_GO_ON or an exit code. */
int build_place(struct tool *t, struct build_flags *f);
/* Checks what the flags say; TOOL_GO_ON or an exit code. */
int build_check(struct tool *t, const struct build_flags *f);
/* What the flags are before they are read. */
struct build_flags build_flags_new(void);
/* Builds and saves. `file` is named in messages; `shapes` (may be NULL) replaces those of the flags. */
gie_status build_and_save(struct tool *t, const struct build_flags *f, const struct gie_graph *g,
                          const char *file, const struct tool_list *shapes);

#endif
