/* SPDX-License-Identifier: Apache-2.0 */
/* What the probe worker and its parent say to each other.
 *
 * The worker talks on file descriptor WIRE_FD, one end of a socket pair (a socket, so that writing
 * to a worker that has died is an error and no SIGPIPE). Both ends are the same build on the same
 * machine; every frame is
 *
 *     u32 magic "GIEP"   u32 type   u64 size   size bytes, in the machine's byte order
 *
 * A payload is lines "key value", an empty line, and then the bytes that keys announced.
 *
 *   HELLO    worker → parent   once, when its modules are loaded
 *   FAILURE  worker → parent   instead of HELLO or REPLY: it could not be done
 *            status E_NAME     text WHY
 *   REQUEST  parent → worker
 *            kernel NAME       config NUMBER (absent: the kernel's first variant)
 *            seed NUMBER       limit BYTES (of workspace)   tolerance NUMBER   repeat COUNT
 *            weights PATH      weights file of the graph's large constants
 *            graph BYTES       text IR of one node, first of the bytes that follow
 *            input INDEX BYTES contents of a graph input, in the order of these lines
 *   REPLY    worker → parent   verdict WORD   compared 0|1   error NUMBER   seconds NUMBER
 *                              workspace BYTES   hash HEX   text WHY
 *   RACE     parent → worker   see core/tune/race_wire.c
 *   CONFORM  parent → worker   see core/module/conform.h
 *   WAYS     parent → worker   see core/tune/ways.c
 *   PROGRESS worker → parent   any number before the REPLY to a RACE or CONFORM
 *
 * The parent sends the next request after the reply only. A worker whose parent is gone ends. */
#ifndef GIE_CORE_MODULE_WIRE_H
#define GIE_CORE_MODULE_WIRE_H

#include "core/module/probe.h"

#define WIRE_FD 3
#define WIRE_MAX ((uint64_t)4 << 30)

enum wire_type {
  WIRE_HELLO = 1,
  WIRE_FAILURE,
  WIRE_REQUEST,
  WIRE_REPLY,
  WIRE_RACE,
  WIRE_PROGRESS,
  WIRE_CONFORM,
  WIRE_WAYS
};

struct wire_frame {
  uint32_t magic, type;
  uint64_t size;
};

/* Seconds on a clock that only goes forward. */
double wire_now(void);
/* Sends and receives a frame; `until` on wire_now()'s clock, INFINITY: no limit. E_DEVICE: the other
 * end is gone; E_NO: too late; E_DATA: not this protocol. *payload gets a NUL behind it and is freed
 * with gie_free(). */
gie_status wire_send(struct gie_context *ctx, int fd, double until, enum wire_type type, const void *payload,
                     size_t size);
gie_status wire_receive(struct gie_context *ctx, int fd, double until, enum wire_type *type, char **payload,
                        size_t *size);

/* ---- Payloads */

/* Takes the line at *at: key and value as strings. False at the empty line, which is taken, and at the end. */
bool wire_next_line(char **at, char *end, const char **key, const char **value);
uint64_t wire_u64(const char *s);
double wire_double(const char *s);
void wire_put_u64(struct gie_buf *b, const char *key, uint64_t v);
void wire_put_double(struct gie_buf *b, const char *key, double v);
/* Control characters become spaces. */
void wire_put_line(struct gie_buf *b, const char *key, const char *s);
/* False when there is no such verdict. */
bool wire_verdict(const char *word, enum probe_verdict *out);

/* A request as it goes over the wire: `text` points into the payload after decoding. */
struct wire_request {
  struct probe_request probe;
  const char *text, *weights;
  size_t n_text;
};

gie_status wire_put_request(struct gie_buf *b, const struct wire_request *rq);
/* Cuts the payload up in place; the inputs' array is in the arena. */
gie_status wire_get_request(struct gie_context *ctx, struct gie_arena *arena, char *payload, size_t size,
                            struct wire_request *out);
void wire_put_result(struct gie_buf *b, const struct probe_result *r);
gie_status wire_get_result(struct gie_context *ctx, char *payload, size_t size, struct probe_result *out);
void wire_put_failure(struct gie_buf *b, gie_status status, const char *text);
/* Returns the status that the other end had, its text recorded. */
gie_status wire_get_failure(struct gie_context *ctx, char *payload, size_t size);

#endif
