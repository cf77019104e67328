/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance, the worker's frame: which checks there are, in which order, and what is said of them. */
#include "core/module/conform.h"
#include <malloc.h>
#include <math.h>

#define LEAK 16384 /* bytes that may stay when something was repeated many times */

/* ---- The wire */

static const char *const words[] = {
#define CONFORM_WORD(name, word) word,
    CONFORM_WORDS(CONFORM_WORD)
#undef CONFORM_WORD
};
#define N_WORDS (sizeof words / sizeof words[0])

void conform_put_request(struct gie_buf *b, const struct conform_request *rq)
{
  wire_put_line(b, "module", rq->module);
  wire_put_u64(b, "seed", rq->seed);
  wire_put_u64(b, "from", rq->from);
  wire_put_u64(b, "list", rq->list);
  for (const char *const *path = rq->cases; path && *path; path++)
    wire_put_line(b, "case", *path);
  for (uint32_t i = 0; i < rq->n_fatal; i++)
    wire_put_u64(b, "fatal", rq->fatal[i]);
  gie_buf_puts(b, "\n");
}

gie_status conform_get_news(struct gie_context *ctx, char *payload, size_t size, struct conform_news *out)
{
  char *at = payload;
  const char *key, *value;
  size_t word = N_WORDS;
  *out = (struct conform_news){.name = "", .text = ""};
  while (wire_next_line(&at, payload + size, &key, &value)) {
    for (size_t i = 0; strcmp(key, "word") == 0 && i < N_WORDS; i++)
      word = strcmp(value, words[i]) == 0 ? i : word;
    if (strcmp(key, "index") == 0)
      out->index = (uint32_t)wire_u64(value);
    else if (strcmp(key, "name") == 0)
      out->name = value;
    else if (strcmp(key, "text") == 0)
      out->text = value;
  }
  if (word == N_WORDS)
    return gie_fail(ctx, GIE_E_DATA, "the probe worker says nothing of a check");
  out->word = (enum conform_word)word;
  return GIE_OK;
}

static void say(struct conform *c, enum conform_word word, const char *name, const char *text)
{
  struct gie_buf b;
  gie_buf_init(&b, c->ctx);
  wire_put_line(&b, "word", words[word]);
  wire_put_u64(&b, "index", c->n);
  wire_put_line(&b, "name", name);
  wire_put_line(&b, "text", text);
  gie_buf_puts(&b, "\n");
  if (c->status == GIE_OK)
    c->status = b.status;
  if (c->status == GIE_OK)
    c->status = wire_send(c->ctx, c->fd, INFINITY, WIRE_PROGRESS, b.data, b.len);
  gie_buf_free(&b);
}

void conform_doing(struct conform *c, const char *fmt, ...)
{
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  say(c, CONFORM_ENTRY, "", text);
}

bool conform_is_fatal(const struct conform *c)
{
  for (uint32_t i = 0; i < c->n_fatal; i++)
    if (c->fatal[i] == c->n)
      return true;
  return false;
}

bool conform_begin(struct conform *c, const char *fmt, ...)
{
  char name[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(name, sizeof name, fmt, ap);
  va_end(ap);
  c->wrong[0] = 0;
  if (c->status != GIE_OK || c->n < c->from) {
    c->n++;
    return false;
  }
  say(c, CONFORM_START, name, "");
  return c->status == GIE_OK;
}

bool conform_wrong(struct conform *c, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(c->wrong, sizeof c->wrong, fmt, ap);
  va_end(ap);
  return false;
}

void conform_end(struct conform *c, enum conform_word word, const char *fmt, ...)
{
  char text[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  say(c, word, "", text);
  c->n++;
}

static size_t heap(void)
{
  struct mallinfo2 m = mallinfo2();
  return m.uordblks + m.hblkhd;
}

bool conform_repeat(struct conform *c, const struct conform_repeat *r)
{
  size_t before = 0, after;
  for (long i = 0; i < r->warm + r->n; i++) {
    if (i == r->warm)
      before = heap();
    if (!r->once(r->user, i))
      return false;
  }
  after = heap();
  return after <= before + LEAK ||
         conform_wrong(c, "%ld %s leave %zu bytes behind%s", r->n, r->what, after - before, r->hint);
}

/* ---- What the module registers */

static const char *help_of(enum mod_kind kind, const void *what, char *buf, size_t size)
{
  size_t at = 0;
  if (kind == MOD_OP)
    return ((const struct gie_op *)what)->help;
  if (kind == MOD_PASS)
    return ((const struct gie_pass *)what)->help;
  if (kind == MOD_FORMAT)
    return ((const struct gie_format *)what)->help;
  if (kind != MOD_KERNEL)
    return "";
  const struct gie_kernel *k = what;
  at = (size_t)snprintf(buf, size, "on %s for", k->device);
  for (const char *const *op = k->ops; *op && at < size; op++)
    at += (size_t)snprintf(buf + at, size - at, "%s %s", op == k->ops ? "" : ",", *op);
  return buf;
}

static void list(struct conform *c, uint32_t module)
{
  const struct mod_entry *e;
  char name[256], text[512];
  for (int kind = 0; kind < MOD_KINDS; kind++)
    for (uint32_t i = 0; (e = mod_entry_at(c->ctx, (enum mod_kind)kind, i)); i++)
      if (e->module == module) {
        snprintf(name, sizeof name, "%s %s", mod_kind_name((enum mod_kind)kind), e->name);
        say(c, CONFORM_ENTRY, name, help_of((enum mod_kind)kind, e->what, text, sizeof text));
      }
}

/* ---- All checks of a module */

static void check_all(struct conform *c, uint32_t module)
{
  const struct mod_entry *e;
  for (uint32_t i = 0; (e = mod_entry_at(c->ctx, MOD_OP, i)); i++)
    if (e->module == module)
      conform_op(c, e->what);
  for (uint32_t i = 0; (e = mod_entry_at(c->ctx, MOD_KERNEL, i)); i++)
    if (e->module == module)
      conform_kernel(c, e->what);
  for (uint32_t i = 0; (e = mod_entry_at(c->ctx, MOD_PASS, i)); i++)
    if (e->module == module)
      conform_pass(c, e->what);
  for (uint32_t i = 0; (e = mod_entry_at(c->ctx, MOD_FORMAT, i)); i++)
    if (e->module == module)
      conform_format(c, e->what);
}

static gie_status load_cases(struct conform *c, char **paths, uint32_t n)
{
  c->cases = gie_alloc(c->ctx, n + 1, sizeof *c->cases);
  if (!c->cases)
    return GIE_E_MEMORY;
  c->paths = paths;
  for (; c->n_cases < n; c->n_cases++) {
    uint32_t i = c->n_cases;
    bool is_fatal = conform_is_fatal(c), wanted = conform_begin(c, "case %s: loading", paths[i]);
    gie_status st = is_fatal ? GIE_E_NO : gie_graph_load(c->ctx, paths[i], NULL, &c->cases[i]);
    if (wanted && st == GIE_OK)
      conform_end(c, CONFORM_OK, "%u nodes", (unsigned)gie_graph_count_nodes(c->cases[i]));
    else if (wanted)
      conform_end(c, CONFORM_FAILED, "%s", gie_error_text(c->ctx));
  }
  return GIE_OK;
}

static uint32_t find_module(const struct gie_context *ctx, const char *name)
{
  struct gie_module_info m = {.struct_size = sizeof m};
  for (uint32_t i = 0; gie_module_at(ctx, i, &m); i++)
    if (!m.refused && strcmp(m.name, name) == 0)
      return i;
  return UINT32_MAX;
}

gie_status conform_serve(struct gie_context *ctx, int fd, char *payload, size_t size)
{
  struct conform c = {.ctx = ctx, .fd = fd};
  char *at = payload, *paths[CONFORM_MAX_CASES];
  const char *key, *value, *module = "";
  uint32_t n_paths = 0, fatal[CONFORM_MAX_FATAL];
  bool only_list = false;
  c.fatal = fatal;
  while (wire_next_line(&at, payload + size, &key, &value)) {
    if (strcmp(key, "module") == 0)
      module = value;
    else if (strcmp(key, "seed") == 0)
      c.seed = wire_u64(value);
    else if (strcmp(key, "from") == 0)
      c.from = (uint32_t)wire_u64(value);
    else if (strcmp(key, "list") == 0)
      only_list = wire_u64(value) != 0;
    else if (strcmp(key, "fatal") == 0 && c.n_fatal < CONFORM_MAX_FATAL)
      fatal[c.n_fatal++] = (uint32_t)wire_u64(value);
    else if (strcmp(key, "case") == 0 && n_paths < CONFORM_MAX_CASES)
      paths[n_paths++] = (char *)value;
  }
  uint32_t index = find_module(ctx, module);
  gie_status st = index == UINT32_MAX ? gie_fail(ctx, GIE_E_MODULE, "no module \"%s\" is loaded", module)
                  : only_list         ? GIE_OK
                                      : load_cases(&c, paths, n_paths);
  if (st == GIE_OK && only_list)
    list(&c, index);
  else if (st == GIE_OK)
    check_all(&c, index);
  for (uint32_t i = 0; i < c.n_cases; i++)
    gie_graph_free(c.cases[i]);
  gie_free(ctx, c.cases);
  GIE_TRY(st);
  GIE_TRY(c.status);
  return wire_send(ctx, fd, INFINITY, WIRE_REPLY, "\n", 1);
}
