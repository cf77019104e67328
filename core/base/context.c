/* SPDX-License-Identifier: Apache-2.0 */
/* The context: error text, log, memory and the config table. */
#include "core/base/base.h"
#include <gie/gie.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Status codes */

static const struct {
  const char *name;
  int exit_code;
} status_table[] = {
#define STATUS_ROW(name, exit_code, text) {#name, exit_code},
    GIE_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

const char *gie_status_name(gie_status status)
{
  size_t i = (size_t)status;
  return i < sizeof status_table / sizeof status_table[0] ? status_table[i].name : "E_INTERNAL";
}

int gie_status_exit_code(gie_status status)
{
  size_t i = (size_t)status;
  return i < sizeof status_table / sizeof status_table[0] ? status_table[i].exit_code : 70;
}

/* ---- Text of messages: formatted, then control characters escaped, so that a name from a file can
 * neither break the line nor talk to the terminal. Uses malloc: it runs when gie_alloc has failed. */

static size_t escaped_put(char *out, unsigned char c)
{
  if (c >= 0x20 && c != 0x7f) {
    if (out)
      *out = (char)c;
    return 1;
  }
  char text[8];
  int n = c == '\n'   ? snprintf(text, sizeof text, "\\n")
          : c == '\t' ? snprintf(text, sizeof text, "\\t")
                      : snprintf(text, sizeof text, "\\x%02x", c);
  if (out)
    memcpy(out, text, (size_t)n);
  return (size_t)n;
}

static char *escaped(const char *s)
{
  size_t n = 0;
  for (const char *p = s; *p; p++)
    n += escaped_put(NULL, (unsigned char)*p);
  char *out = malloc(n + 1), *q = out;
  if (!out)
    return NULL;
  for (const char *p = s; *p; p++)
    q += escaped_put(q, (unsigned char)*p);
  *q = '\0';
  return out;
}

GIE_PRINTF(1, 0) static char *message(const char *fmt, va_list ap)
{
  char *text = NULL;
  if (vasprintf(&text, fmt, ap) < 0)
    return NULL;
  char *safe = escaped(text);
  free(text);
  return safe;
}

/* ---- Errors */

gie_status gie_vfail(struct gie_context *ctx, gie_status status, const char *fmt, va_list ap)
{
  if (!ctx)
    return status;
  /* Formatted before the old text goes: an argument may be that text. */
  char *text = message(fmt, ap);
  pthread_mutex_lock(&ctx->lock);
  free(ctx->error);
  ctx->error = text;
  ctx->error_lost = !text;
  pthread_mutex_unlock(&ctx->lock);
  return status;
}

gie_status gie_verror_prefix(struct gie_context *ctx, gie_status status, const char *fmt, va_list ap)
{
  if (!ctx)
    return status;
  char *prefix = message(fmt, ap), *text = NULL;
  pthread_mutex_lock(&ctx->lock);
  if (prefix && !ctx->error_lost && asprintf(&text, "%s: %s", prefix, ctx->error ? ctx->error : "") >= 0) {
    free(ctx->error);
    ctx->error = text;
  } /* else out of memory: the text without its prefix says more than none */
  pthread_mutex_unlock(&ctx->lock);
  free(prefix);
  return status;
}

const char *gie_error_text(const struct gie_context *ctx)
{
  if (!ctx || ctx->error_lost)
    return "out of memory while an error was being described";
  return ctx->error ? ctx->error : "";
}

/* ---- Log */

static const char *const level_names[] = {"error", "warn", "info", "debug"};
#define N_LEVELS (sizeof level_names / sizeof level_names[0])

/* Level named by s[0..n), or -1. */
static int level_of(const char *s, size_t n)
{
  for (size_t i = 0; i < N_LEVELS; i++)
    if (strlen(level_names[i]) == n && memcmp(level_names[i], s, n) == 0)
      return (int)i;
  return -1;
}

/* Level that the filter (the config row LOG) gives to a topic; the last entry that fits counts. With
 * topic NULL the most talkative of all entries. -1: the filter is malformed. */
static int filter_level(const char *filter, const char *topic)
{
  int level = topic ? GIE_LOG_WARN : 0;
  for (const char *s = filter; *s;) {
    size_t n = strcspn(s, ","), n_topic = strcspn(s, ":,");
    bool named = s[n_topic] == ':';
    int l = named ? level_of(s + n_topic + 1, n - n_topic - 1) : level_of(s, n);
    if (l < 0)
      return -1;
    if (!topic)
      level = l > level ? l : level;
    else if (!named || (strlen(topic) == n_topic && memcmp(topic, s, n_topic) == 0))
      level = l;
    s += n + (s[n] == ',');
  }
  return level;
}

bool gie_log_wants(const struct gie_context *ctx, enum gie_log_level level, const char *topic)
{
  return ctx && level <= ctx->log_level && (int)level <= filter_level(gie_config(ctx, "LOG"), topic);
}

void gie_vlog(struct gie_context *ctx, enum gie_log_level level, const char *module, const char *fmt,
              va_list ap)
{
  if (!gie_log_wants(ctx, level, module))
    return;
  char *text = message(fmt, ap);
  pthread_mutex_lock(&ctx->lock);
  if (ctx->log)
    ctx->log(ctx->log_user, level, module, text ? text : "out of memory while a message was being formatted");
  pthread_mutex_unlock(&ctx->lock);
  free(text);
}

/* The default: one plain line on standard error. */
static void log_stderr(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user;
  fprintf(stderr, "%s: %s: %s\n", level_names[level], module, text);
}

/* ---- Memory */

#define ALLOC_ALIGN 64
#define ALLOC_HUGE ((size_t)8 << 20)

/* Asks for huge pages in a large block: filling a fresh gigabyte is else mostly page faults. Only whole huge
 * pages inside the block become one, so it takes no more memory. */
static void advise_huge(void *p, size_t bytes)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = (page - (uintptr_t)p % page) % page;
  /* A kernel without them says no. */
  (void)madvise((char *)p + skip, (bytes - skip) / page * page, MADV_HUGEPAGE);
}

static void *alloc_bytes(struct gie_context *ctx, size_t n, size_t size, bool zero)
{
  size_t bytes;
  void *p = NULL;
  if (!gie_mul(n, size, &bytes) || bytes > PTRDIFF_MAX)
    return gie_fail(ctx, GIE_E_MEMORY, "%zu elements of %zu bytes are more than the address space holds", n,
                    size),
           NULL;
  bool injected = ctx && ctx->fail_alloc_after >= 0 &&
                  __atomic_fetch_sub(&ctx->fail_alloc_after, 1, __ATOMIC_RELAXED) == 1;
  if (injected || posix_memalign(&p, ALLOC_ALIGN, bytes ? bytes : 1) != 0)
    return gie_fail(ctx, GIE_E_MEMORY, "out of memory (%zu bytes wanted)", bytes), NULL;
  if (bytes >= ALLOC_HUGE)
    advise_huge(p, bytes);
  if (zero)
    memset(p, 0, bytes);
  return p;
}

void *gie_alloc(struct gie_context *ctx, size_t n, size_t size) { return alloc_bytes(ctx, n, size, true); }

void *gie_alloc_raw(struct gie_context *ctx, size_t n, size_t size)
{
  return alloc_bytes(ctx, n, size, false);
}

void gie_free(struct gie_context *ctx, void *p)
{
  (void)ctx;
  free(p);
}

/* ---- Config table */

static const struct config_row {
  const char *name, *def, *help;
} config_table[] = {
#define GIE_CONFIG(name, def, help) {name, def, help},
#include "core/base/config_list.h"
#undef GIE_CONFIG
};
#define N_CONFIG (sizeof config_table / sizeof config_table[0])

bool gie_config_row(unsigned i, const char **name, const char **def, const char **help)
{
  if (i >= N_CONFIG)
    return false;
  *name = config_table[i].name;
  *def = config_table[i].def;
  *help = config_table[i].help;
  return true;
}

static size_t config_find(const char *name, size_t n)
{
  size_t i = 0;
  while (i < N_CONFIG && (strlen(config_table[i].name) != n || memcmp(config_table[i].name, name, n) != 0))
    i++;
  return i;
}

const char *gie_config(const struct gie_context *ctx, const char *name)
{
  size_t i = ctx ? config_find(name, strlen(name)) : N_CONFIG;
  if (i == N_CONFIG)
    return NULL;
  const char *value = ctx->config[i] && *ctx->config[i] ? ctx->config[i] : config_table[i].def;
  return *value ? value : NULL;
}

static gie_status config_set(struct gie_context *ctx, size_t row, const char *value)
{
  size_t size = strlen(value) + 1;
  char *copy = gie_alloc(ctx, size, 1);
  if (!copy)
    return GIE_E_MEMORY;
  memcpy(copy, value, size);
  gie_free(ctx, ctx->config[row]);
  ctx->config[row] = copy;
  return GIE_OK;
}

/* The environment, then the program's settings, which win. */
static gie_status config_read(struct gie_context *ctx, const char *const *settings)
{
  ctx->config = gie_alloc(ctx, N_CONFIG, sizeof *ctx->config);
  if (!ctx->config)
    return GIE_E_MEMORY;
  for (size_t i = 0; i < N_CONFIG; i++) {
    char name[64];
    snprintf(name, sizeof name, "GIE_%s", config_table[i].name);
    const char *value = getenv(name);
    if (value)
      GIE_TRY(config_set(ctx, i, value));
  }
  for (; settings && *settings; settings++) {
    const char *equals = strchr(*settings, '=');
    size_t row = equals ? config_find(*settings, (size_t)(equals - *settings)) : N_CONFIG;
    if (row == N_CONFIG)
      return gie_fail(ctx, GIE_E_CONFIG, "setting \"%s\" is not NAME=value with a known NAME", *settings);
    GIE_TRY(config_set(ctx, row, equals + 1));
  }
  const char *filter = gie_config(ctx, "LOG");
  int level = filter ? filter_level(filter, NULL) : GIE_LOG_WARN;
  if (level < 0)
    return gie_fail(ctx, GIE_E_CONFIG,
                    "GIE_LOG=%s is not a list of LEVEL or TOPIC:LEVEL with levels error, warn, info, debug",
                    filter);
  ctx->log_level = (enum gie_log_level)level;
  return GIE_OK;
}

/* ---- Life */

gie_status gie_context_init(const struct gie_context_options *options, struct gie_context **out)
{
  struct gie_context *ctx = calloc(1, sizeof *ctx);
  if (!ctx)
    return GIE_E_MEMORY;
  ctx->fail_alloc_after = -1;
  ctx->log_level = GIE_LOG_ERROR;
  ctx->log = GIE_OPTION(options, log);
  ctx->log_user = GIE_OPTION(options, log_user);
  if (!ctx->log)
    ctx->log = log_stderr;
  if (pthread_mutex_init(&ctx->lock, NULL) != 0) {
    free(ctx);
    return GIE_E_MEMORY;
  }
  /* Also on failure: the text of the error is in it. */
  *out = ctx;
  return config_read(ctx, GIE_OPTION(options, config));
}

void gie_context_destroy(struct gie_context *ctx)
{
  if (!ctx)
    return;
  for (size_t i = 0; ctx->config && i < N_CONFIG; i++)
    gie_free(ctx, ctx->config[i]);
  gie_free(ctx, ctx->config);
  free(ctx->error);
  pthread_mutex_destroy(&ctx->lock);
  free(ctx);
}
