/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of gie opt share: opt.c is the verb, opt_report.c the page of --report, opt_streams.c the table of
 * --streams. */
#ifndef GIE_TOOLS_OPT_H
#define GIE_TOOLS_OPT_H

#include "tools/tool.h"

#define OPT_MAX_STATS 4096
#define OPT_MAX_ROUNDS 16 /* of --fixpoint */

struct opt {
  const char *passes, *out, *print_after, *disable, *report, *target_file;
  bool list, stats, json, verify_each, fixpoint, diff, streams;
  uint32_t rounds;
  struct gie_pass_stat stat[OPT_MAX_STATS];
  uint32_t n_stats;
  struct gie_target target; /* with target_file */
};

/* Saves a page with both graphs and what each pass did. Atomic. */
gie_status opt_report(struct tool *t, const struct opt *o, const char *model, const struct gie_graph *before,
                      const struct gie_graph *after);
/* Prints where streams begin and wait. */
gie_status opt_streams(struct tool *t, const struct gie_graph *g);

#endif
