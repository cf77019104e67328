/* SPDX-License-Identifier: Apache-2.0 */
/* Times of nodes over several runs: the table of medians, files for other programs. */
#ifndef GIE_TOOLS_PROFILE_H
#define GIE_TOOLS_PROFILE_H

#include "tools/tool.h"

#define PROFILE_TRACED 20 /* runs whose every start is kept for a trace */

/* One node; strings live as long as the command. */
struct profile_row {
  const char *name, *op, *kernel; /* op with its epilogue */
  int32_t stream;                 /* as in gie_node_profile */
  uint64_t bytes;                 /* of operands and results; 0: not known before the run */
  double total, mean, median;     /* seconds; after profile_finish() */
};

struct profile_run {
  double began; /* seconds from the first run that is kept */
  struct gie_run_times times;
};

struct profile {
  struct tool *t;
  const struct gie_graph *g; /* what the rows were made from */
  bool has_transfers;        /* the device is not the host */
  uint32_t n_rows, n_runs;
  struct profile_row *rows;
  double *seconds, *starts; /* [run][row]; starts of the first PROFILE_TRACED runs */
  size_t cap_seconds, cap_starts;
  struct profile_run runs[PROFILE_TRACED];
  double total, first; /* of all medians; by tool_now() */
};

void profile_init(struct tool *t, struct profile *p);
void profile_free(struct profile *p);
/* Takes the times of the run that just ended and began at `began` (tool_now()). A run with other shapes starts
 * afresh: only runs of the last shapes count. */
gie_status profile_add(struct profile *p, const struct gie_exec *x, double began);
/* Computes what the reports need; 0 runs are fine. */
gie_status profile_finish(struct profile *p);

/* In the order of execution: node, op, kernel, median. With `j` a member "profile". */
void profile_report(const struct profile *p, struct json *j);
/* The table that trtexec prints with --dumpProfile. */
void profile_dump(const struct profile *p);
/* What trtexec writes with --exportProfile: a list of layers, with kernel and bytes besides. */
gie_status profile_export(const struct profile *p, const char *path);
/* The first runs as Chrome trace events (chrome://tracing, Perfetto): one row per stream, one for the host, one
 * for transfers. `title` names the process. */
gie_status profile_trace(const struct profile *p, const char *path, const char *title);

#endif
