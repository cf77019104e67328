/* SPDX-License-Identifier: Apache-2.0 */
/* What `gie build` and `gie retune` share: flags of a build, running it with progress, saying what it did. */
#ifndef GIE_TOOLS_BUILD_H
#define GIE_TOOLS_BUILD_H

#include "tools/precision.h"

struct build_flags {
  const char *out, *backend, *passes, *disable, *cache, *device;
  struct tool_list shapes, batches;
  struct tool_list outputs; /* --output: the plan, or with --deploy outputs of the network */
  double budget;            /* NaN: none given */
  bool cache_read_only, exhaustive, estimate, plain, json, stats, tf32, best;
  const char *fp16, *memory; /* NULL: not given */
  struct precision_goal goal;
};

/* The rows of these flags, for a verb's table of options. */
#define BUILD_OPTIONS(f)                                                                                       \
  {"saveEngine", 'o', TOOL_TEXT, &(f)->out, "PLAN", "where to save the plan"},                                 \
      {"output",      0,           TOOL_LIST,                                                                  \
       &(f)->outputs, "PLAN|NAME", "the same; with --deploy an output of the network (may be repeated)"},      \
      {"shapes",        0,                                                                                     \
       TOOL_LIST,       &(f)->shapes,                                                                          \
       "NAME:DIMS,...", "dims of inputs; given several times: one profile each"},                              \
      {"batch",       0,       TOOL_LIST,                                                                      \
       &(f)->batches, "N,...", "first dim of every input that leaves it open; one profile each"},              \
      {"backend", 0, TOOL_TEXT, &(f)->backend, "-NAME,+NAME", "leave out kernels by how their names begin"},   \
      {"device", 0, TOOL_TEXT, &(f)->device, "KIND[:N]", "device to build for; default cpu"},                  \
      {"fp16",     0,                                                                                          \
       TOOL_MAYBE, &(f)->fp16,                                                                                 \
       "auto",     "kernels may compute in f16; =auto keeps f32 where --data shows that it is needed"},        \
      {"tf32", 0, TOOL_FLAG, &(f)->tf32, NULL, "f32 products may round their factors to TF32"},                \
      {"best", 0, TOOL_FLAG, &(f)->best, NULL, "--fp16 and --tf32"},                                           \
      {"data",         0,     TOOL_TEXT,                                                                       \
       &(f)->goal.dir, "DIR", "inputs (as in gie run) for --fp16=auto; with several inputs one folder each"},  \
      {"error",          0,   TOOL_REAL,                                                                       \
       &(f)->goal.error, "R", "what --fp16=auto holds: max|a-b| <= R * max|b| of every output; default 0.01"}, \
      {"mean", 0, TOOL_TEXT, &(f)->goal.feed.mean, "M[,M,M]", "of the images of --data, as in gie run"},       \
      {"scale", 0, TOOL_TEXT, &(f)->goal.feed.scale, "S[,S,S]", "the same"},                                   \
      {"channel-order", 0, TOOL_TEXT, &(f)->goal.feed.channel_order, "rgb|bgr", "the same"},                   \
      {"resize", 0, TOOL_MAYBE, &(f)->goal.feed.resize, "WxH", "the same"},                                    \
      {"mem-limit",  0,      TOOL_TEXT,                                                                        \
       &(f)->memory, "SIZE", "bytes on the device for constants, activations and workspace: 512M, 2G"},        \
      {"timingCacheFile",                                                                                      \
       0,                                                                                                      \
       TOOL_TEXT,                                                                                              \
       &(f)->cache,                                                                                            \
       "FILE",                                                                                                 \
       "where measurements are kept; empty: nowhere; default: GIE_CACHE, else ~/.cache/gie/timing.txt"},       \
      {"cache-read-only", 0, TOOL_FLAG, &(f)->cache_read_only, NULL, "add nothing to it"},                     \
      {"build-budget", 0,         TOOL_REAL,                                                                   \
       &(f)->budget,   "SECONDS", "stop timing after that; estimates decide the rest"},                        \
      {"estimate", 0, TOOL_FLAG, &(f)->estimate, NULL, "time nothing"},                                        \
      {"exhaustive", 0, TOOL_FLAG, &(f)->exhaustive, NULL, "time every candidate, however unlikely"},          \
      {"disable", 0, TOOL_TEXT, &(f)->disable, "LIST", "passes to leave out, also those that a build tries"},  \
      {"plain", 0, TOOL_FLAG, &(f)->plain, NULL, "values stay in plain layout (nchw)"},                        \
      {"stats", 0, TOOL_FLAG, &(f)->stats, NULL, "say what the build spent its time on"},                      \
  {                                                                                                            \
    "json", 0, TOOL_FLAG, &(f)->json, NULL, "what was done, for machines"                                      \
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
