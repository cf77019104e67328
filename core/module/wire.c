/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and payloads of the probe worker's protocol: see wire.h. */
#include "core/module/wire.h"
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#define MAGIC 0x50454947u /* "GIEP" */

double wire_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Frames */

static gie_status wait_for(struct gie_context *ctx, int fd, short events, double until)
{
  for (;;) {
    struct pollfd p = {.fd = fd, .events = events};
    double left = until - wire_now();
    if (left <= 0)
      return gie_fail(ctx, GIE_E_NO, "no answer before the deadline");
    int n = poll(&p, 1, left > 3600 ? 3600 * 1000 : (int)(left * 1000) + 1);
    if (n > 0)
      return GIE_OK;
    if (n < 0 && errno != EINTR)
      return gie_fail(ctx, GIE_E_IO, "waiting for the probe worker failed: %s", strerror(errno));
  }
}

static bool try_again(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

static gie_status gone(struct gie_context *ctx)
{
  return gie_fail(ctx, GIE_E_DEVICE, "the other end of the probe worker's connection is gone");
}

static gie_status send_all(struct gie_context *ctx, int fd, double until, const void *data, size_t size)
{
  for (const char *p = data; size > 0;) {
    GIE_TRY(wait_for(ctx, fd, POLLOUT, until));
    ssize_t n = send(fd, p, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && !try_again())
      return gone(ctx);
    if (n > 0) {
      p += n;
      size -= (size_t)n;
    }
  }
  return GIE_OK;
}

static gie_status receive_all(struct gie_context *ctx, int fd, double until, void *data, size_t size)
{
  for (char *p = data; size > 0;) {
    GIE_TRY(wait_for(ctx, fd, POLLIN, until));
    ssize_t n = recv(fd, p, size, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && !try_again()))
      return gone(ctx);
    if (n > 0) {
      p += n;
      size -= (size_t)n;
    }
  }
  return GIE_OK;
}

gie_status wire_send(struct gie_context *ctx, int fd, double until, enum wire_type type, const void *payload,
                     size_t size)
{
  const struct wire_frame f = {MAGIC, type, size};
  if (size > WIRE_MAX)
    return gie_fail(ctx, GIE_E_LIMIT, "a probe of %zu bytes is too large for the worker", size);
  GIE_TRY(send_all(ctx, fd, until, &f, sizeof f));
  return send_all(ctx, fd, until, payload, size);
}

gie_status wire_receive(struct gie_context *ctx, int fd, double until, enum wire_type *type, char **payload,
                        size_t *size)
{
  struct wire_frame f;
  GIE_TRY(receive_all(ctx, fd, until, &f, sizeof f));
  if (f.magic != MAGIC || f.type < WIRE_HELLO || f.type > WIRE_WAYS || f.size > WIRE_MAX)
    return gie_fail(ctx, GIE_E_DATA, "what arrived is no frame of the probe worker's protocol");
  char *p = gie_alloc_raw(ctx, (size_t)f.size + 1, 1);
  if (!p)
    return GIE_E_MEMORY;
  gie_status st = receive_all(ctx, fd, until, p, (size_t)f.size);
  if (st != GIE_OK) {
    gie_free(ctx, p);
    return st;
  }
  p[f.size] = 0;
  *type = (enum wire_type)f.type;
  *payload = p;
  *size = (size_t)f.size;
  return GIE_OK;
}

/* ---- Lines */

bool wire_next_line(char **at, char *end, const char **key, const char **value)
{
  char *line = *at, *stop = memchr(line, '\n', (size_t)(end - line));
  if (!stop)
    return false;
  *at = stop + 1;
  if (stop == line)
    return false;
  *stop = 0;
  char *space = strchr(line, ' ');
  if (space)
    *space = 0;
  *key = line;
  *value = space ? space + 1 : "";
  return true;
}

uint64_t wire_u64(const char *s)
{
  uint64_t v = 0;
  for (; *s >= '0' && *s <= '9'; s++)
    v = v * 10 + (uint64_t)(*s - '0');
  return v;
}

double wire_double(const char *s)
{
  double v = 0;
  const char *next;
  if (strcmp(s, "inf") == 0)
    return INFINITY;
  return gie_parse_double(s, s + strlen(s), &v, &next) ? v : 0;
}

void wire_put_u64(struct gie_buf *b, const char *key, uint64_t v)
{
  gie_buf_printf(b, "%s %llu\n", key, (unsigned long long)v);
}

void wire_put_double(struct gie_buf *b, const char *key, double v)
{
  char text[GIE_NUMBER_MAX];
  gie_buf_printf(b, "%s %s\n", key, gie_double_text(v, text));
}

void wire_put_line(struct gie_buf *b, const char *key, const char *s)
{
  gie_buf_printf(b, "%s ", key);
  for (; *s; s++)
    gie_buf_put(b, (unsigned char)*s < ' ' ? " " : s, 1);
  gie_buf_puts(b, "\n");
}

/* ---- Request */

gie_status wire_put_request(struct gie_buf *b, const struct wire_request *rq)
{
  const struct probe_request *p = &rq->probe;
  if (strchr(p->kernel, '\n') || (rq->weights && strchr(rq->weights, '\n')))
    return gie_fail(b->ctx, GIE_E_USAGE,
                    "a kernel's name or weights path with a line break cannot be sent to the worker");
  wire_put_line(b, "kernel", p->kernel);
  if (!p->any_config)
    wire_put_u64(b, "config", p->config);
  wire_put_u64(b, "seed", p->seed);
  wire_put_u64(b, "limit", p->max_workspace);
  wire_put_double(b, "tolerance", p->tolerance);
  wire_put_u64(b, "repeat", p->repeat);
  if (rq->weights)
    gie_buf_printf(b, "weights %s\n", rq->weights);
  wire_put_u64(b, "graph", rq->n_text);
  for (uint32_t i = 0; i < p->n_inputs; i++)
    gie_buf_printf(b, "input %u %zu\n", p->inputs[i].index, p->inputs[i].size);
  gie_buf_puts(b, "\n");
  gie_buf_put(b, rq->text, rq->n_text);
  for (uint32_t i = 0; i < p->n_inputs; i++)
    gie_buf_put(b, p->inputs[i].data, p->inputs[i].size);
  return b->status;
}

static gie_status put_input(struct gie_arena *arena, struct probe_input **v, size_t *cap, uint32_t *n,
                            const char *value)
{
  const char *space = strchr(value, ' ');
  if (*n == *cap) {
    size_t more = *cap ? 2 * *cap : 8;
    struct probe_input *grown = gie_arena_alloc(arena, more, sizeof *grown);
    if (!grown)
      return GIE_E_MEMORY;
    if (*n)
      memcpy(grown, *v, *n * sizeof *grown);
    *v = grown;
    *cap = more;
  }
  (*v)[(*n)++] = (struct probe_input){(uint32_t)wire_u64(value), NULL,
                                      space ? (size_t)wire_u64(space + 1) : 0};
  return GIE_OK;
}

gie_status wire_get_request(struct gie_context *ctx, struct gie_arena *arena, char *payload, size_t size,
                            struct wire_request *out)
{
  struct wire_request rq = {.probe = {.any_config = true}};
  struct probe_input *inputs = NULL;
  char *at = payload, *end = payload + size;
  const char *key, *value;
  size_t cap = 0;
  while (wire_next_line(&at, end, &key, &value)) {
    if (strcmp(key, "kernel") == 0)
      rq.probe.kernel = value;
    else if (strcmp(key, "config") == 0) {
      rq.probe.any_config = false;
      rq.probe.config = wire_u64(value);
    } else if (strcmp(key, "seed") == 0)
      rq.probe.seed = wire_u64(value);
    else if (strcmp(key, "limit") == 0)
      rq.probe.max_workspace = wire_u64(value);
    else if (strcmp(key, "tolerance") == 0)
      rq.probe.tolerance = wire_double(value);
    else if (strcmp(key, "repeat") == 0)
      rq.probe.repeat = (uint32_t)wire_u64(value);
    else if (strcmp(key, "weights") == 0)
      rq.weights = value;
    else if (strcmp(key, "graph") == 0)
      rq.n_text = (size_t)wire_u64(value);
    else if (strcmp(key, "input") == 0)
      GIE_TRY(put_input(arena, &inputs, &cap, &rq.probe.n_inputs, value));
    else
      return gie_fail(ctx, GIE_E_DATA, "a request has the unknown key \"%s\"", key);
  }
  if (!rq.probe.kernel || rq.n_text > (size_t)(end - at))
    return gie_fail(ctx, GIE_E_DATA, "a request lacks its kernel or its graph");
  rq.text = at;
  at += rq.n_text;
  for (uint32_t i = 0; i < rq.probe.n_inputs; i++) {
    if (inputs[i].size > (size_t)(end - at))
      return gie_fail(ctx, GIE_E_DATA, "a request lacks the bytes of an input");
    inputs[i].data = at;
    at += inputs[i].size;
  }
  rq.probe.inputs = inputs;
  *out = rq;
  return GIE_OK;
}

/* ---- Result and failure */

bool wire_verdict(const char *word, enum probe_verdict *out)
{
  for (int v = PROBE_OK; v <= PROBE_HUNG; v++)
    if (strcmp(probe_verdict_word((enum probe_verdict)v), word) == 0) {
      *out = (enum probe_verdict)v;
      return true;
    }
  return false;
}

void wire_put_result(struct gie_buf *b, const struct probe_result *r)
{
  wire_put_line(b, "verdict", probe_verdict_word(r->verdict));
  wire_put_u64(b, "compared", r->compared);
  wire_put_double(b, "error", r->error);
  wire_put_double(b, "seconds", r->seconds);
  wire_put_u64(b, "workspace", r->workspace);
  wire_put_line(b, "hash", r->hash);
  wire_put_line(b, "text", r->text);
}

gie_status wire_get_result(struct gie_context *ctx, char *payload, size_t size, struct probe_result *out)
{
  struct probe_result r = {0};
  char *at = payload, *end = payload + size;
  const char *key, *value;
  bool has_verdict = false;
  while (wire_next_line(&at, end, &key, &value)) {
    if (strcmp(key, "verdict") == 0)
      has_verdict = wire_verdict(value, &r.verdict);
    else if (strcmp(key, "compared") == 0)
      r.compared = wire_u64(value) != 0;
    else if (strcmp(key, "error") == 0)
      r.error = wire_double(value);
    else if (strcmp(key, "seconds") == 0)
      r.seconds = wire_double(value);
    else if (strcmp(key, "workspace") == 0)
      r.workspace = wire_u64(value);
    else if (strcmp(key, "hash") == 0)
      snprintf(r.hash, sizeof r.hash, "%s", value);
    else if (strcmp(key, "text") == 0)
      snprintf(r.text, sizeof r.text, "%s", value);
  }
  if (!has_verdict)
    return gie_fail(ctx, GIE_E_DATA, "a reply of the probe worker has no verdict");
  *out = r;
  return GIE_OK;
}

void wire_put_failure(struct gie_buf *b, gie_status status, const char *text)
{
  wire_put_line(b, "status", gie_status_name(status));
  wire_put_line(b, "text", text);
}

gie_status wire_get_failure(struct gie_context *ctx, char *payload, size_t size)
{
  char *at = payload, *end = payload + size;
  const char *key, *value, *text = "";
  gie_status status = GIE_E_INTERNAL;
  while (wire_next_line(&at, end, &key, &value)) {
    if (strcmp(key, "text") == 0)
      text = value;
    else if (strcmp(key, "status") == 0)
      for (int s = GIE_OK + 1; s <= GIE_E_MODULE; s++)
        if (strcmp(gie_status_name((gie_status)s), value) == 0)
          status = (gie_status)s;
  }
  return gie_fail(ctx, status, "%s", text);
}
