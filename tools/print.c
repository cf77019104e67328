/* SPDX-License-Identifier: Apache-2.0 */
/* What the command says: errors, notes, sizes, progress; and the context, whose log goes the same way. */
#include "tools/tool.h"
#include <math.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_AFTER 2.0
#define PROGRESS_LINES 10.0 /* seconds between lines where there is no terminal */

/* ---- Text */

const char *tool_safe(struct tool *t, const char *s)
{
  size_t n = strlen(s), need = 1;
  for (size_t i = 0; i < n; i++)
    need += (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? 4 : 1;
  if (need == n + 1)
    return s;
  char *out = gie_arena_alloc(&t->arena, need, 1), *q = out;
  if (!out)
    return "?";
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '\n' || c == '\t')
      q += sprintf(q, c == '\n' ? "\\n" : "\\t");
    else if (c < 0x20 || c == 0x7f)
      q += sprintf(q, "\\x%02x", c);
    else
      *q++ = (char)c;
  }
  *q = '\0';
  return out;
}

GIE_PRINTF(2, 0) static const char *format(struct tool *t, const char *fmt, va_list ap)
{
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, again);
  va_end(again);
  char *out = n < 0 ? NULL : gie_arena_alloc(&t->arena, (size_t)n + 1, 1);
  if (!out)
    return "?";
  vsnprintf(out, (size_t)n + 1, fmt, ap);
  return out;
}

const char *tool_format(struct tool *t, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  const char *out = format(t, fmt, ap);
  va_end(ap);
  return out;
}

gie_status tool_parse_bytes(struct tool *t, const char *flag, const char *text, uint64_t *out)
{
  static const char units[] = "KMGT";
  const char *end = text + strlen(text), *next = text, *unit;
  double v = 0, factor = 1;
  bool ok = gie_parse_double(text, end, &v, &next) && v > 0;
  if (ok && *next && (unit = strchr(units, *next >= 'a' ? *next - 'a' + 'A' : *next)) != NULL) {
    for (const char *u = units; u <= unit; u++)
      factor *= 1024;
    next++;
    next += strcmp(next, "iB") == 0 ? 2 : strcmp(next, "B") == 0;
  }
  if (!ok || *next || !(v * factor >= 1) || !(v * factor < 1e18))
    return gie_fail(t->ctx, GIE_E_USAGE, "--%s=%s: give bytes, or with K, M, G, T: 512M", flag, text);
  *out = (uint64_t)(v * factor);
  return GIE_OK;
}

const char *tool_bytes(struct tool *t, uint64_t bytes)
{
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double v = (double)bytes / 1024;
  unsigned u = 0;
  if (bytes < 1024)
    return tool_format(t, "%u bytes", (unsigned)bytes);
  for (; v >= 1023.995 && u + 1 < sizeof units / sizeof units[0]; u++)
    v /= 1024;
  return tool_format(t, v < 10 ? "%.2f %s" : v < 100 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

const char *tool_type(struct tool *t, const struct gie_graph *g, const struct gie_type *type)
{
  char shape[512];
  return tool_format(t, "%s%s", gie_dtype_name(type->dtype),
                     gie_shape_text(g, &type->shape, shape, sizeof shape));
}

const char *tool_op(struct tool *t, const struct gie_node *n)
{
  const char *text = n->op->name;
  for (uint32_t i = 0; i < n->n_steps; i++)
    text = tool_format(t, "%s | %s", text, n->steps[i].op->name);
  return text;
}

/* ---- Messages */

static int print_error(struct tool *t, gie_status status, const char *text)
{
  fflush(stdout);
  fprintf(stderr, "error[%s]: %s\n", gie_status_name(status), tool_safe(t, text));
  return gie_status_exit_code(status);
}

int tool_fail(struct tool *t, gie_status status, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  const char *text = format(t, fmt, ap);
  va_end(ap);
  return print_error(t, status, text);
}

int tool_error(struct tool *t, gie_status status) { return print_error(t, status, gie_error_text(t->ctx)); }

void tool_note(struct tool *t, const char *fmt, ...)
{
  if (t->quiet)
    return;
  va_list ap;
  va_start(ap, fmt);
  const char *text = format(t, fmt, ap);
  va_end(ap);
  fflush(stdout);
  fprintf(stderr, "%s\n", tool_safe(t, text));
}

/* ---- Context */

static void log_line(void *user, enum gie_log_level level, const char *topic, const char *text)
{
  static const char *const names[] = {"error", "warning", "info", "debug"};
  struct tool *t = user;
  if (t->quiet && level > GIE_LOG_ERROR)
    return;
  fflush(stdout);
  fprintf(stderr, "%s: %s: %s\n", level <= GIE_LOG_DEBUG ? names[level] : "debug", topic, text);
}

static int open_context(struct tool *t, bool no_modules)
{
  struct gie_context_options o = {.struct_size = sizeof o,
                                  .log = log_line,
                                  .log_user = t,
                                  .config = t->config.v,
                                  .modules = t->modules.v,
                                  .no_modules = no_modules};
  gie_status st = gie_context_new(&o, &t->ctx);
  if (st == GIE_OK)
    return TOOL_GO_ON;
  /* A context that could not even start has said why in the log. */
  return t->ctx ? tool_error(t, st) : tool_fail(t, st, "cannot start");
}

int tool_open(struct tool *t) { return open_context(t, false); }

int tool_open_bare(struct tool *t) { return open_context(t, true); }

/* ---- Progress */

double tool_now(void)
{
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

void tool_progress_begin(struct tool *t, struct tool_progress *p)
{
  p->start = p->last = tool_now();
  p->on = !t->quiet;
  p->terminal = isatty(STDERR_FILENO);
  p->shown = false;
}

void tool_progress_step(struct tool_progress *p, uint32_t done, uint32_t total, const char *what)
{
  double now = p->on ? tool_now() : 0, spent = now - p->start;
  if (!p->on || spent < PROGRESS_AFTER || (!p->terminal && now - p->last < PROGRESS_LINES))
    return;
  p->last = now;
  fprintf(stderr, "%s[%u/%u] %s", p->terminal ? "\r\033[K" : "", (unsigned)done, (unsigned)total, what);
  if (done) {
    unsigned left = (unsigned)ceil(spent / done * (total - done));
    fprintf(stderr, "  ETA %u:%02u", left / 60, left % 60);
  }
  if (!p->terminal)
    fputc('\n', stderr);
  fflush(stderr);
  p->shown = p->terminal;
}

void tool_progress_end(struct tool_progress *p)
{
  if (p->shown)
    fprintf(stderr, "\r\033[K");
  p->shown = false;
}
