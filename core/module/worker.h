/* SPDX-License-Identifier: Apache-2.0 */
/* The probe worker, parent's side: a program of its own (gie-worker) that loads the modules and runs
 * candidate kernels on request, so that one that crashes, hangs or damages memory costs a restart
 * and nothing else.
 *
 * Start it before any call into a device library that does not survive a fork of its process. A
 * worker is used by one thread at a time; several workers may run side by side. */
#ifndef GIE_CORE_MODULE_WORKER_H
#define GIE_CORE_MODULE_WORKER_H

#include "core/module/wire.h"

struct worker;

#define WORKER_DEADLINE 10.0 /* seconds for a request, if nothing else is said */

struct worker_options {
  const char *program;        /* NULL: GIE_WORKER, else the installed gie-worker */
  const char *const *modules; /* as in gie_context_options; GIE_MODULE_PATH is searched too */
  const char *module_dir;
  double deadline;          /* seconds for a request; 0: WORKER_DEADLINE */
  double start_deadline;    /* seconds until the modules are loaded; 0: 30 */
  bool quiet;               /* throw away what kernels print, unless debug messages are wanted */
  bool (*stop)(void *user); /* asked while it works; true: the question ends with E_STOPPED */
  void *stop_user;
};

/* Starts the program and waits until its modules are loaded. The strings of `options` (may be NULL)
 * are copied. */
gie_status worker_start(struct gie_context *ctx, const struct worker_options *options, struct worker **out);
/* Ends it; NULL is fine. */
void worker_stop(struct worker *w);

/* probe_run() in the worker, on text IR; `weights` (may be NULL) as in gie_graph_parse(). What the
 * kernel does is a verdict; a failure means that the question could not be put. A worker that ended,
 * hung or may be damaged is replaced before the next question. */
gie_status worker_probe(struct worker *w, const char *text, size_t n_text, const char *weights,
                        const struct probe_request *rq, struct probe_result *out);
/* Another deadline for the questions to come. */
void worker_set_deadline(struct worker *w, double seconds);
/* How many times it was started. */
uint32_t worker_starts(const struct worker *w);
struct gie_context *worker_context(const struct worker *w);

/* ---- Other conversations */

/* How one ended: with a REPLY or FAILURE, with the worker's death, with its silence. */
enum worker_end { WORKER_ANSWERED, WORKER_CRASHED, WORKER_HUNG };
/* A frame that came back; the payload may be cut up. */
typedef gie_status worker_frame_fn(void *user, enum wire_type type, char *payload, size_t size);
/* Sends a frame and hands `frame` all that come back, up to and with the REPLY. The next one has to come
 * within the deadline. A FAILURE is returned as the status that it has. A worker that died or was silent is buried;
 * *how says what happened to it. A failure of `frame` ends the conversation and the worker. */
gie_status worker_talk(struct worker *w, enum wire_type type, const struct gie_buf *request,
                       worker_frame_fn *frame, void *user, enum worker_end *end, char how[128]);
/* Whether the worker's memory and device are as good as new after that verdict. */
bool worker_is_harmless(enum probe_verdict v);
/* Ends a worker that may be damaged; the next question starts another. */
void worker_replace(struct worker *w);

#endif
