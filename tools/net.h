/* SPDX-License-Identifier: Apache-2.0 */
/* What a verb runs. Every verb that executes opens its FILE here, whatever kind of file it is. */
#ifndef GIE_TOOLS_NET_H
#define GIE_TOOLS_NET_H

#include "tools/feed.h"
#include <gie/plan.h>

struct tool_net {
  const char *path;
  struct gie_plan *plan;     /* NULL: a network */
  struct gie_graph *own;     /* the network after the passes, when it is not the plan's */
  const struct gie_graph *g; /* has the inputs and outputs by name */
};
/* `passes` as in gie opt; a plan has had its own and takes none. With t->fallback a plan's kernels may be missing.
 * Messages begin with the path. */
gie_status tool_open_net(struct tool *t, const char *path, const char *passes, struct tool_net *out);
void tool_close_net(struct tool_net *n); /* zeroed is fine */

struct tool_exec {
  struct gie_graph *g; /* inputs and outputs of this executor: what feeds are made for */
  struct gie_exec *x;
  bool has_batch; /* another one was asked for */
};
/* The rows of the flags that say where to run, for a verb's table of options. */
#define DEVICE_OPTIONS(t, device)                                                                  \
  {"device", 0, TOOL_TEXT, (device), "KIND[:N]", "device to run on; default: the plan's, or cpu"}, \
      {"fallback",     0,     TOOL_TEXT,                                                           \
       &(t)->fallback, "cpu", "run there, from the graph alone, what the device is not here for"}, \
  {                                                                                                \
    "mem-limit", 0, TOOL_TEXT, &(t)->memory, "SIZE",                                               \
        "bytes of the device for constants, activations and workspace: 512M, 2G"                   \
  }
/* TOOL_GO_ON, or the exit code for a --fallback that is none. */
int tool_check_fallback(struct tool *t);
/* A device that is absent is E_DEVICE, or with t->fallback the network, or the plan's graph, runs on the cpu and one
 * line says so.
 *
 * `batch` 0: as the network has it; else the number that the first dim of its inputs becomes: the symbol there
 * wherever it occurs, or the number, if all outputs follow. A plan runs it in the profile that fits, and takes no
 * backends. The net must stay open. */
gie_status tool_open_exec(struct tool *t, const struct tool_net *n, uint32_t batch,
                          const struct gie_exec_options *options, struct tool_exec *out);
void tool_close_exec(struct tool_exec *e); /* zeroed is fine */
/* feeds_make() for the executor; what is random gets the shapes of the plan's profile that is ready, unless --shapes
 * says others. */
gie_status tool_make_feeds(struct tool *t, const struct tool_net *n, const struct tool_exec *e,
                           const struct feed_options *o, struct feeds *out);
/* Sets the inputs of run `run`. */
gie_status tool_feed_exec(struct tool *t, const struct tool_net *n, const struct tool_exec *e,
                          const struct feeds *f, uint32_t run);

#endif
