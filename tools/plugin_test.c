/* SPDX-License-Identifier: Apache-2.0 */
/* gie plugin info and test: what a module's file says, and whether what it registers keeps its contracts. None of its code
 * runs in this process: the note is read from the file, everything else happens in the probe worker. */
#include "core/module/conform.h"
#include "core/module/worker.h"
#include "tools/plugin.h"
#include <errno.h>
#include <limits.h>
#include <unistd.h>

struct job {
  struct tool *t;
  const struct plugin *p;
  const char *file;
  char path[PATH_MAX];
  struct gie_note note;
  struct worker *worker;
  struct json json, *j; /* j: NULL for text */
  /* the check at hand */
  bool is_open;
  char *name, doing[400];
  uint32_t next; /* index of the next check */
  uint32_t n_ok, n_failed, n_skipped;
  uint32_t fatal[CONFORM_MAX_FATAL], n_fatal; /* checks that ended a worker */
};

static gie_status find_file(struct job *job)
{
  if (realpath(job->file, job->path))
    return GIE_OK;
  return gie_fail(job->t->ctx, errno == ENOENT || errno == ENOTDIR ? GIE_E_NOINPUT : GIE_E_IO,
                  "%s: %s; give the path of a module", job->file, strerror(errno));
}

static gie_status read_note(struct job *job)
{
  struct gie_context *ctx = job->t->ctx;
  uint64_t size;
  bool absent;
  int fd;
  gie_status st = gie_file_open(ctx, job->path, &fd, &size);
  if (st != GIE_OK)
    return gie_error_prefix(ctx, GIE_E_MODULE, "%s", job->file);
  st = mod_note_read(ctx, fd, job->path, size, &job->note, &absent);
  close(fd);
  return st == GIE_OK ? GIE_OK : gie_error_prefix(ctx, st, "%s", job->file);
}

/* The worker without the module, in the same time: then it is the module's doing that it was not ready with it. */
static bool starts_without(struct job *job)
{
  const struct worker_options options = {.start_deadline = job->p->deadline, .quiet = true};
  struct worker *w;
  if (worker_start(job->t->ctx, &options, &w) != GIE_OK)
    return false;
  worker_stop(w);
  return true;
}

/* `it`: the module, in messages. */
static gie_status start_worker(struct job *job, const char *it)
{
  struct gie_context *ctx = job->t->ctx;
  const char *modules[] = {job->path, NULL};
  const double deadline = job->p->deadline, begin = wire_now();
  const struct worker_options options = {.modules = modules,
                                         .deadline = deadline,
                                         .start_deadline = deadline,
                                         .quiet = true};
  gie_status st = worker_start(ctx, &options, &job->worker);
  bool in_time = wire_now() < begin + deadline;
  if (st != GIE_E_CONFIG || !starts_without(job))
    return st;
  if (in_time)
    return gie_fail(ctx, GIE_E_MODULE, "%s ends the process when it is loaded; return an error from its init",
                    it);
  return gie_fail(ctx, GIE_E_MODULE, "%s hangs: it was not loaded in %g s", it, deadline);
}

static gie_status talk(struct job *job, bool list, worker_frame_fn *frame, enum worker_end *end,
                       char how[128])
{
  const struct conform_request rq = {job->note.name,  job->p->seed, job->next,   list,
                                     job->p->cases.v, job->fatal,   job->n_fatal};
  struct gie_buf b;
  gie_buf_init(&b, job->t->ctx);
  conform_put_request(&b, &rq);
  gie_status st = b.status;
  if (st == GIE_OK)
    st = worker_talk(job->worker, WIRE_CONFORM, &b, frame, job, end, how);
  gie_buf_free(&b);
  return st;
}

/* ---- info */

static gie_status show_entry(void *user, enum wire_type type, char *payload, size_t size)
{
  struct job *job = user;
  struct conform_news n;
  if (type == WIRE_REPLY)
    return GIE_OK;
  GIE_TRY(conform_get_news(job->t->ctx, payload, size, &n));
  const char *space = strchr(n.name, ' ');
  if (!space)
    return gie_fail(job->t->ctx, GIE_E_DATA, "the probe worker lists \"%s\"", n.name);
  if (!job->j) {
    printf("  %-8.*s %s%s%s\n", (int)(space - n.name), n.name, tool_safe(job->t, space + 1),
           *n.text ? ": " : "", tool_safe(job->t, n.text));
    return GIE_OK;
  }
  json_open(job->j, NULL, '{', true);
  json_text(job->j, "kind", tool_format(job->t, "%.*s", (int)(space - n.name), n.name));
  json_text(job->j, "name", space + 1);
  json_text(job->j, "help", n.text);
  json_close(job->j, '}');
  return GIE_OK;
}

static void show_note(struct job *job)
{
  struct tool *t = job->t;
  const struct gie_note *n = &job->note;
  const char *requires = "";
  for (uint32_t i = 0; i < n->n_requires && i < 4; i++) {
    requires = tool_format(t, "%s%s%s %u.%u", requires, i ? ", " : "", n->requires_[i].name,
                           n->requires_[i].major, n->requires_[i].min_minor);
  }
  if (job->j) {
    json_text(job->j, "name", n->name);
    json_text(job->j, "version", n->version);
    json_text(job->j, "kind", plugin_kind_text((enum gie_module_kind)n->kind));
    json_text(job->j, "abi", tool_format(t, "%u.%u", n->abi_major, n->abi_minor));
    json_text(job->j, "file", job->path);
    json_text(job->j, "requires", requires);
    return;
  }
  printf("%s %s (%s, ABI %u.%u)\n", tool_safe(t, n->name), tool_safe(t, n->version),
         plugin_kind_text((enum gie_module_kind)n->kind), n->abi_major, n->abi_minor);
  printf("  %-8s %s\n  %-8s %s\n", "file", tool_safe(t, job->path), "requires", requires);
}

static gie_status show_entries(struct job *job)
{
  enum worker_end end;
  char how[128];
  fflush(stdout);
  GIE_TRY(start_worker(job, job->file));
  if (job->j)
    json_open(job->j, "registers", '[', false);
  GIE_TRY(talk(job, true, show_entry, &end, how));
  if (job->j)
    json_close(job->j, ']');
  return end == WORKER_ANSWERED ? GIE_OK : gie_fail(job->t->ctx, GIE_E_INTERNAL, "the probe worker: %s", how);
}

int plugin_info(struct tool *t, const struct plugin *p, const char *file)
{
  struct job job = {.t = t, .p = p, .file = file};
  gie_status st = find_file(&job);
  if (st == GIE_OK)
    st = read_note(&job);
  if (st != GIE_OK)
    return tool_error(t, st);
  job.j = p->is_json ? &job.json : NULL;
  if (job.j)
    json_begin(job.j);
  show_note(&job);
  st = show_entries(&job);
  if (job.j && st == GIE_OK)
    json_end(job.j);
  worker_stop(job.worker);
  return st == GIE_OK ? 0 : tool_error(t, st);
}

/* ---- test */

static void report(struct job *job, enum conform_word word, const char *name, const char *text)
{
  static const char *const words[] = {
      [CONFORM_OK] = "ok", [CONFORM_FAILED] = "failed", [CONFORM_SKIPPED] = "skipped"};
  job->n_ok += word == CONFORM_OK;
  job->n_failed += word == CONFORM_FAILED;
  job->n_skipped += word == CONFORM_SKIPPED;
  if (!job->j) {
    printf("%-8s %s: %s\n", words[word], tool_safe(job->t, name), tool_safe(job->t, text));
    fflush(stdout);
    return;
  }
  json_open(job->j, NULL, '{', true);
  json_text(job->j, "check", name);
  json_text(job->j, "verdict", words[word]);
  json_text(job->j, "text", text);
  json_close(job->j, '}');
}

static gie_status take_news(void *user, enum wire_type type, char *payload, size_t size)
{
  struct job *job = user;
  struct conform_news n;
  if (type == WIRE_REPLY)
    return GIE_OK;
  GIE_TRY(conform_get_news(job->t->ctx, payload, size, &n));
  if (n.word == CONFORM_ENTRY) { /* still at work */
    snprintf(job->doing, sizeof job->doing, "%s", n.text);
    return GIE_OK;
  }
  job->next = n.index + 1;
  job->doing[0] = 0;
  if (n.word == CONFORM_START) {
    job->name = gie_arena_strdup(&job->t->arena, n.name);
    job->is_open = job->name != NULL;
    return job->name ? GIE_OK : GIE_E_MEMORY;
  }
  if (job->is_open)
    report(job, n.word, job->name, n.text);
  job->is_open = false;
  return GIE_OK;
}

/* Until the worker says that it was all; after a death it goes on behind the check that was fatal. */
static gie_status run_checks(struct job *job)
{
  enum worker_end end = WORKER_CRASHED;
  while (end != WORKER_ANSWERED) {
    char how[128];
    GIE_TRY(talk(job, false, take_news, &end, how));
    if (end == WORKER_ANSWERED)
      break;
    if (!job->is_open)
      return gie_fail(job->t->ctx, GIE_E_INTERNAL, "the probe worker ended between two checks: %s", how);
    report(job, CONFORM_FAILED, job->name,
           tool_format(job->t, "%s: %s%s%s%s", end == WORKER_HUNG ? "it hangs" : "it crashes", how,
                       *job->doing ? " (" : "", job->doing, *job->doing ? ")" : ""));
    job->is_open = false;
    if (job->n_fatal == CONFORM_MAX_FATAL)
      return gie_fail(job->t->ctx, GIE_E_LIMIT, "%d checks ended the probe worker; the test is given up",
                      CONFORM_MAX_FATAL);
    job->fatal[job->n_fatal++] = job->next - 1;
  }
  return GIE_OK;
}

static gie_status check_module(struct job *job)
{
  struct tool *t = job->t;
  const struct gie_note *n = &job->note;
  gie_status st = read_note(job);
  if (st != GIE_OK && st != GIE_E_MODULE)
    return st;
  report(job, st == GIE_OK ? CONFORM_OK : CONFORM_FAILED, "note",
         st == GIE_OK
             ? tool_format(t, "%s %s, %s, ABI %u.%u", n->name, n->version,
                           plugin_kind_text((enum gie_module_kind)n->kind), n->abi_major, n->abi_minor)
             : gie_error_text(t->ctx));
  if (st != GIE_OK)
    return GIE_OK;
  st = start_worker(job, "it");
  if (st == GIE_E_MEMORY || st == GIE_E_CONFIG || st == GIE_E_IO)
    return st;
  report(job, st == GIE_OK ? CONFORM_OK : CONFORM_FAILED, "load",
         st == GIE_OK ? "its init registers everything" : gie_error_text(t->ctx));
  return st == GIE_OK ? run_checks(job) : GIE_OK;
}

/* What the worker can be told of. */
static int check_cases(struct tool *t, const struct plugin *p)
{
  if (p->cases.n > CONFORM_MAX_CASES)
    return tool_fail(t, GIE_E_USAGE, "%u times --case; at most %d are taken", (unsigned)p->cases.n,
                     CONFORM_MAX_CASES);
  for (uint32_t i = 0; i < p->cases.n; i++)
    if (strchr(p->cases.v[i], '\n'))
      return tool_fail(t, GIE_E_USAGE, "--case=%s: a line break in its name; rename the file", p->cases.v[i]);
  return TOOL_GO_ON;
}

int plugin_test(struct tool *t, const struct plugin *p, const char *file)
{
  struct job job = {.t = t, .p = p, .file = file, .j = NULL};
  int exit_code = check_cases(t, p);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  gie_status st = find_file(&job);
  if (st != GIE_OK)
    return tool_error(t, st);
  job.j = p->is_json ? &job.json : NULL;
  if (job.j) {
    json_begin(job.j);
    json_text(job.j, "file", file);
    json_open(job.j, "checks", '[', false);
  }
  st = check_module(&job);
  worker_stop(job.worker);
  if (st != GIE_OK)
    return tool_error(t, st);
  if (job.j) {
    json_close(job.j, ']');
    json_int(job.j, "ok", job.n_ok);
    json_int(job.j, "failed", job.n_failed);
    json_int(job.j, "skipped", job.n_skipped);
    json_end(job.j);
  } else {
    printf("%u checks: %u ok, %u failed, %u skipped\n", (unsigned)(job.n_ok + job.n_failed + job.n_skipped),
           (unsigned)job.n_ok, (unsigned)job.n_failed, (unsigned)job.n_skipped);
  }
  return job.n_failed ? gie_status_exit_code(GIE_E_NO) : 0;
}
