/* SPDX-License-Identifier: Apache-2.0 */
/* A whole lowered graph run two ways in the worker: on the streams that its notes say, and on one. */
#ifndef GIE_CORE_TUNE_WAYS_H
#define GIE_CORE_TUNE_WAYS_H

#include "core/tune/tune.h"

struct ways_request {
  const char *device, *backends; /* as in gie_build_options; may be NULL */
  uint32_t threads;
};
/* Asks the worker. seconds[0]: of a run on one stream; [1]: on several. What the graph does to the worker is E_DEVICE. */
gie_status ways_measure(struct worker *w, const struct gie_graph *g, const struct ways_request *rq,
                        double seconds[2]);
/* The request as it goes over the wire. */
gie_status ways_put_request(const struct gie_graph *g, const struct ways_request *rq, struct gie_buf *b);
/* The worker's side: answers on descriptor `fd`. A failure has not been sent yet. */
gie_status ways_serve(struct gie_context *ctx, int fd, char *payload, size_t size);

#endif
