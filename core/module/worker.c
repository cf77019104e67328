/* SPDX-License-Identifier: Apache-2.0 */
/* Parent's side of the probe worker: starting, asking with a deadline, burying. */
#include "core/module/worker.h"
#include "core/module/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_POLL_MS 100
#define KILLED "it was killed by signal"

struct worker {
  struct gie_context *ctx;
  struct gie_arena arena; /* the strings below */
  char *program, **argv;
  double deadline, start_deadline;
  bool quiet;
  bool (*stop)(void *user);
  void *stop_user;
  pid_t pid; /* 0: none is running */
  int fd;
  uint32_t starts;
};

/* ---- The process */

/* Kills it, takes its status and says how it ended. */
static void bury(struct worker *w, char *how, size_t size)
{
  int status = 0;
  pid_t got;
  if (!w->pid)
    return;
  close(w->fd);
  kill(-w->pid, SIGKILL);
  do
    got = waitpid(w->pid, &status, 0);
  while (got < 0 && errno == EINTR);
  w->pid = 0;
  if (got < 0)
    snprintf(how, size, "it ended");
  else if (WIFSIGNALED(status))
    snprintf(how, size, KILLED " %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else
    snprintf(how, size, "it ended with exit status %d", WEXITSTATUS(status));
}

/* A worker that has closed its end is about to be gone by itself: its own status is the answer, not
 * our kill. Waits a little for it. */
static void bury_ended(struct worker *w, char *how, size_t size)
{
  siginfo_t info = {0};
  for (int i = 0;
       i < 200 && waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && !info.si_pid; i++) {
    const struct timespec pause = {.tv_nsec = 5000000};
    nanosleep(&pause, NULL);
  }
  bury(w, how, size);
  if (!info.si_pid)
    snprintf(how, size, "it closed its connection");
}

/* Descriptors of the worker: nothing to read, prints to our standard error or nowhere, fd 3 to talk.
 * The signals that a program may have changed get their defaults. */
static int spawn(struct worker *w, int fd)
{
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attr;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int e = posix_spawn_file_actions_init(&files);
  if (e)
    return e;
  e = posix_spawnattr_init(&attr);
  if (e) {
    posix_spawn_file_actions_destroy(&files);
    return e;
  }
  e = posix_spawn_file_actions_adddup2(&files, fd, WIRE_FD);
  e = e ? e : posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  if (w->quiet)
    e = e ? e : posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  e = e ? e : posix_spawn_file_actions_adddup2(&files, 2, 1);
  e = e ? e : posix_spawnattr_setsigmask(&attr, &none);
  e = e ? e : posix_spawnattr_setsigdefault(&attr, &all);
  e = e ? e : posix_spawnattr_setpgroup(&attr, 0);
  e = e ? e
        : posix_spawnattr_setflags(&attr,
                                   POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  e = e ? e : posix_spawn(&w->pid, w->program, &files, &attr, w->argv, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attr);
  return e;
}

/* The pair's ends are above the descriptors that spawn() arranges. */
static int pair(int fd[2])
{
  int low[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, low) != 0)
    return errno;
  for (int i = 0; i < 2; i++)
    fd[i] = fcntl(low[i], F_DUPFD_CLOEXEC, WIRE_FD + 1);
  int e = fd[0] < 0 || fd[1] < 0 ? errno : 0;
  close(low[0]);
  close(low[1]);
  for (int i = 0; e && i < 2; i++)
    if (fd[i] >= 0)
      close(fd[i]);
  return e;
}

/* The next frame; asks on the way whether to stop. */
static gie_status receive(struct worker *w, double until, enum wire_type *type, char **payload, size_t *size)
{
  struct pollfd p = {.fd = w->fd, .events = POLLIN};
  while (w->stop && wire_now() < until) {
    if (w->stop(w->stop_user))
      return gie_fail(w->ctx, GIE_E_STOPPED, "stopped while candidates were timed");
    if (poll(&p, 1, STOP_POLL_MS) > 0)
      break;
  }
  return wire_receive(w->ctx, w->fd, until, type, payload, size);
}

/* It was started and has not greeted: it is another program, or a module is its end. */
static gie_status no_greeting(struct worker *w, gie_status st)
{
  char how[128] = "it said something else";
  if (st == GIE_E_MEMORY || st == GIE_E_STOPPED) {
    bury(w, how, sizeof how);
    return st;
  }
  if (st == GIE_E_NO) {
    bury(w, how, sizeof how);
    snprintf(how, sizeof how, "it said nothing in %g s", w->start_deadline);
  } else if (st == GIE_E_DEVICE) {
    bury_ended(w, how, sizeof how);
  } else {
    bury(w, (char[128]){0}, 128);
  }
  if (strncmp(how, KILLED, strlen(KILLED)) == 0) /* by what a module did, a wrong program just ends */
    return gie_fail(
        w->ctx, GIE_E_INTERNAL,
        "the probe worker could not load its modules: %s; see which one it was with GIE_LOG=debug", how);
  return gie_fail(w->ctx, GIE_E_CONFIG,
                  "%s does not work as probe worker: %s before it had loaded its modules; set GIE_WORKER to "
                  "gie-worker, and see what it prints with GIE_LOG=debug",
                  w->program, how);
}

static gie_status start(struct worker *w)
{
  struct gie_context *ctx = w->ctx;
  enum wire_type type;
  char *payload, how[128] = "";
  size_t size;
  int fd[2] = {-1, -1}, e = pair(fd);
  if (e)
    return gie_fail(ctx, GIE_E_IO, "a connection to the probe worker cannot be made: %s", strerror(e));
  e = spawn(w, fd[1]);
  close(fd[1]);
  if (e) {
    w->pid = 0;
    close(fd[0]);
    return gie_fail(ctx, GIE_E_CONFIG, "the probe worker %s cannot be started: %s; set GIE_WORKER to it",
                    w->program, strerror(e));
  }
  w->fd = fd[0];
  w->starts++;
  gie_status st = receive(w, wire_now() + w->start_deadline, &type, &payload, &size);
  if (st != GIE_OK)
    return no_greeting(w, st);
  if (type == WIRE_FAILURE)
    st = wire_get_failure(ctx, payload, size);
  gie_free(ctx, payload);
  if (st != GIE_OK)
    bury(w, how, sizeof how);
  else if (type != WIRE_HELLO)
    st = no_greeting(w, GIE_E_DATA);
  return st;
}

/* ---- Questions */

/* After these verdicts the worker's memory and device are as good as new. */
bool worker_is_harmless(enum probe_verdict v)
{
  return v == PROBE_OK || v == PROBE_REFUSED || v == PROBE_LIMIT || v == PROBE_WRONG;
}

void worker_replace(struct worker *w)
{
  char how[128];
  bury(w, how, sizeof how);
}

/* The worker did not do its part: says how it ended. Other failures end it too and are returned. */
static gie_status lost(struct worker *w, gie_status st, enum worker_end *end, char how[128])
{
  if (st == GIE_E_NO) {
    bury(w, how, 128);
    *end = WORKER_HUNG;
    snprintf(how, 128, "no answer in %g s", w->deadline);
    return GIE_OK;
  }
  if (st == GIE_E_DEVICE) {
    bury_ended(w, how, 128);
    *end = WORKER_CRASHED;
    return GIE_OK;
  }
  bury(w, how, 128);
  return st;
}

static gie_status take_frame(struct worker *w, enum wire_type type, char *payload, size_t size,
                             worker_frame_fn *frame, void *user)
{
  if (type == WIRE_FAILURE) /* it could not do it, but it is well */
    return wire_get_failure(w->ctx, payload, size);
  gie_status st = type == WIRE_REPLY || type == WIRE_PROGRESS
                      ? frame(user, type, payload, size)
                      : gie_fail(w->ctx, GIE_E_DATA, "the probe worker does not answer the question");
  if (st != GIE_OK)
    worker_replace(w);
  return st;
}

gie_status worker_talk(struct worker *w, enum wire_type type, const struct gie_buf *request,
                       worker_frame_fn *frame, void *user, enum worker_end *end, char how[128])
{
  enum wire_type got = WIRE_PROGRESS;
  *end = WORKER_ANSWERED;
  how[0] = 0;
  if (!w->pid)
    GIE_TRY(start(w));
  gie_status st = wire_send(w->ctx, w->fd, wire_now() + w->deadline, type, request->data, request->len);
  if (st != GIE_OK)
    return lost(w, st, end, how);
  while (got == WIRE_PROGRESS) {
    char *payload;
    size_t size;
    st = receive(w, wire_now() + w->deadline, &got, &payload, &size);
    if (st != GIE_OK)
      return lost(w, st, end, how);
    st = take_frame(w, got, payload, size, frame, user);
    gie_free(w->ctx, payload);
    GIE_TRY(st);
  }
  return GIE_OK;
}

struct answer {
  struct worker *w;
  struct probe_result result;
};

static gie_status take_answer(void *user, enum wire_type type, char *payload, size_t size)
{
  struct answer *a = user;
  return type == WIRE_REPLY ? wire_get_result(a->w->ctx, payload, size, &a->result) : GIE_OK;
}

gie_status worker_probe(struct worker *w, const char *text, size_t n_text, const char *weights,
                        const struct probe_request *rq, struct probe_result *out)
{
  const struct wire_request wire = {*rq, text, weights, n_text};
  struct answer a = {.w = w};
  enum worker_end end = WORKER_ANSWERED;
  struct gie_buf b;
  char how[128];
  gie_buf_init(&b, w->ctx);
  gie_status st = wire_put_request(&b, &wire);
  if (st == GIE_OK)
    st = worker_talk(w, WIRE_REQUEST, &b, take_answer, &a, &end, how);
  gie_buf_free(&b);
  if (st != GIE_OK)
    return st;
  if (end != WORKER_ANSWERED) {
    a.result = (struct probe_result){.verdict = end == WORKER_HUNG ? PROBE_HUNG : PROBE_CRASHED};
    snprintf(a.result.text, sizeof a.result.text, "%s", how);
  } else if (!worker_is_harmless(a.result.verdict)) {
    worker_replace(w);
  }
  *out = a.result;
  return GIE_OK;
}

void worker_set_deadline(struct worker *w, double seconds) { w->deadline = seconds; }
uint32_t worker_starts(const struct worker *w) { return w->starts; }
struct gie_context *worker_context(const struct worker *w) { return w->ctx; }

/* ---- Life */

/* "--name=value" in the arena, appended to argv. */
static gie_status add_argument(struct worker *w, size_t *n, const char *name, const char *value)
{
  size_t size = strlen(name) + strlen(value) + 1;
  char *s = gie_arena_alloc(&w->arena, size, 1);
  if (!s)
    return GIE_E_MEMORY;
  snprintf(s, size, "%s%s", name, value);
  w->argv[(*n)++] = s;
  return GIE_OK;
}

static gie_status configure(struct worker *w, const struct worker_options *o)
{
  static const struct worker_options none;
  const char *configured = gie_config(w->ctx, "WORKER");
  size_t n = 0, n_modules = 0;
  o = o ? o : &none;
  while (o->modules && o->modules[n_modules])
    n_modules++;
  w->deadline = o->deadline > 0 ? o->deadline : WORKER_DEADLINE;
  w->start_deadline = o->start_deadline > 0 ? o->start_deadline : 30;
  w->quiet = o->quiet && !gie_log_wants(w->ctx, GIE_LOG_DEBUG, "worker");
  w->stop = o->stop;
  w->stop_user = o->stop_user;
  w->program = gie_arena_strdup(&w->arena, o->program   ? o->program
                                           : configured ? configured
                                                        : mod_default_worker());
  w->argv = gie_arena_alloc(&w->arena, n_modules + 3, sizeof w->argv[0]);
  if (!w->program || !w->argv)
    return GIE_E_MEMORY;
  w->argv[n++] = w->program;
  if (o->module_dir)
    GIE_TRY(add_argument(w, &n, "--module-dir=", o->module_dir));
  for (size_t i = 0; i < n_modules; i++)
    GIE_TRY(add_argument(w, &n, "--module=", o->modules[i]));
  return GIE_OK;
}

gie_status worker_start(struct gie_context *ctx, const struct worker_options *options, struct worker **out)
{
  struct worker *w = gie_alloc(ctx, 1, sizeof *w);
  if (!w)
    return GIE_E_MEMORY;
  w->ctx = ctx;
  gie_arena_init(&w->arena, ctx);
  gie_status st = configure(w, options);
  if (st == GIE_OK)
    st = start(w);
  if (st != GIE_OK) {
    worker_stop(w);
    return st;
  }
  *out = w;
  return GIE_OK;
}

void worker_stop(struct worker *w)
{
  char how[128];
  if (!w)
    return;
  bury(w, how, sizeof how);
  gie_arena_free(&w->arena);
  gie_free(w->ctx, w);
}
