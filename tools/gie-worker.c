/* SPDX-License-Identifier: Apache-2.0 */
/* The probe worker: loads modules and runs candidate kernels for a parent that asks on descriptor 3.
 * The protocol is in core/module/wire.h. Not meant to be started by hand. */
#include "core/module/conform.h"
#include "core/tune/race.h"
#include "core/tune/ways.h"
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A kernel may hang while the parent dies; nobody would end this process then. */
static void *watch_parent(void *unused)
{
  struct pollfd p = {.fd = WIRE_FD, .events = POLLRDHUP};
  (void)unused;
  while (poll(&p, 1, -1) <= 0 || !(p.revents & (POLLHUP | POLLRDHUP | POLLERR)))
    ;
  _exit(GIE_E_NO);
}

static bool start_watching(void)
{
  pthread_t thread;
  pthread_attr_t attr;
  sigset_t all, old;
  sigfillset(&all);
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the main thread */
  int e = pthread_create(&thread, &attr, watch_parent, NULL);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  return e == 0;
}

static gie_status send_failure(struct gie_context *ctx, gie_status status)
{
  struct gie_buf b;
  gie_buf_init(&b, ctx);
  wire_put_failure(&b, status, gie_error_text(ctx));
  gie_status st = b.status;
  if (st == GIE_OK)
    st = wire_send(ctx, WIRE_FD, INFINITY, WIRE_FAILURE, b.data, b.len);
  gie_buf_free(&b);
  return st;
}

static gie_status run_request(struct gie_context *ctx, char *payload, size_t size, struct probe_result *out)
{
  struct wire_request rq;
  struct gie_arena arena;
  struct gie_graph *g = NULL;
  gie_arena_init(&arena, ctx);
  gie_status st = wire_get_request(ctx, &arena, payload, size, &rq);
  if (st == GIE_OK)
    st = gie_graph_parse(ctx, rq.text, rq.n_text, rq.weights, &g);
  if (st == GIE_OK) {
    st = probe_run(g, &rq.probe, out);
    gie_graph_free(g);
  }
  gie_arena_free(&arena);
  return st;
}

static gie_status answer(struct gie_context *ctx, char *payload, size_t size)
{
  struct probe_result result;
  struct gie_buf b;
  gie_status st = run_request(ctx, payload, size, &result);
  if (st != GIE_OK)
    return send_failure(ctx, st);
  gie_buf_init(&b, ctx);
  wire_put_result(&b, &result);
  st = b.status;
  if (st == GIE_OK)
    st = wire_send(ctx, WIRE_FD, INFINITY, WIRE_REPLY, b.data, b.len);
  gie_buf_free(&b);
  return st;
}

static gie_status answer_race(struct gie_context *ctx, struct race_worker *w, char *payload, size_t size)
{
  gie_status st = race_serve(w, WIRE_FD, payload, size);
  return st == GIE_OK ? GIE_OK : send_failure(ctx, st);
}

static gie_status answer_ways(struct gie_context *ctx, char *payload, size_t size)
{
  gie_status st = ways_serve(ctx, WIRE_FD, payload, size);
  return st == GIE_OK ? GIE_OK : send_failure(ctx, st);
}

static gie_status answer_conform(struct gie_context *ctx, char *payload, size_t size)
{
  gie_status st = conform_serve(ctx, WIRE_FD, payload, size);
  return st == GIE_OK ? GIE_OK : send_failure(ctx, st);
}

static gie_status serve(struct gie_context *ctx, struct race_worker *racer)
{
  enum wire_type type;
  char *payload;
  size_t size;
  GIE_TRY(wire_send(ctx, WIRE_FD, INFINITY, WIRE_HELLO, "", 0));
  for (;;) {
    GIE_TRY(wire_receive(ctx, WIRE_FD, INFINITY, &type, &payload, &size));
    gie_status st = type == WIRE_REQUEST   ? answer(ctx, payload, size)
                    : type == WIRE_RACE    ? answer_race(ctx, racer, payload, size)
                    : type == WIRE_CONFORM ? answer_conform(ctx, payload, size)
                    : type == WIRE_WAYS    ? answer_ways(ctx, payload, size)
                                           : GIE_E_DATA;
    gie_free(ctx, payload);
    GIE_TRY(st);
  }
}

int main(int argc, char **argv)
{
  const struct rlimit no_core = {0};
  struct gie_context_options options = {.struct_size = sizeof options};
  struct gie_context *ctx = NULL;
  struct stat st;
  size_t n = 0;
  /* Large blocks go back to the system with the candidate that had them. The default threshold grows with what is
   * freed, up to 32 MiB, and a build's races leave the heap full of holes. */
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  if (fstat(WIRE_FD, &st) != 0 || !S_ISSOCK(st.st_mode)) {
    fprintf(stderr, "gie-worker is started by gie, which talks to it on descriptor %d\n", WIRE_FD);
    return gie_status_exit_code(GIE_E_USAGE);
  }
#ifdef SYS_close_range
  syscall(SYS_close_range, WIRE_FD + 1, ~0u, 0); /* what the parent forgot to close is not for kernels */
#endif
  setrlimit(RLIMIT_CORE, &no_core);
  const char **modules = start_watching() ? calloc((size_t)argc + 1, sizeof *modules) : NULL;
  if (!modules)
    return gie_status_exit_code(GIE_E_MEMORY);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--module=", 9) == 0)
      modules[n++] = argv[i] + 9;
    else if (strncmp(argv[i], "--module-dir=", 13) == 0)
      options.module_dir = argv[i] + 13;
  }
  options.modules = modules;
  gie_status status = gie_context_new(&options, &ctx);
  struct race_worker racer;
  race_worker_init(&racer, ctx);
  status = status == GIE_OK ? serve(ctx, &racer) : send_failure(ctx, status);
  race_worker_free(&racer);
  gie_context_free(ctx);
  free(modules);
  return status == GIE_OK || status == GIE_E_DEVICE ? 0 : gie_status_exit_code(status);
}
