/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels are tried and in which order: registration order with references last, changed by the
 * rules of `backends` ("-onednn,+cpu") and by GIE_FORCE ("conv1:cpu.conv,relu2:cpu.relu"). */
#include "core/run/run.h"

#define MAX_RULE 64

struct rule {
  bool first; /* '+': tried first; '-': left out */
  size_t len;
  const char *prefix;
  bool matched;
};

struct rule_list {
  struct rule v[MAX_RULE];
  size_t n;
};

static gie_status parse_rules(struct gie_context *ctx, const char *text, struct rule_list *out)
{
  out->n = 0;
  for (const char *s = text; s && *s;) {
    size_t len = strcspn(s, ",");
    if (len < 2 || (s[0] != '+' && s[0] != '-'))
      return gie_fail(ctx, GIE_E_USAGE,
                      "backend rule \"%.*s\"; write -name to leave out or +name to try first", (int)len, s);
    if (out->n == MAX_RULE)
      return gie_fail(ctx, GIE_E_LIMIT, "more than %d backend rules", MAX_RULE);
    out->v[out->n++] = (struct rule){s[0] == '+', len - 1, s + 1, false};
    s += len + (s[len] == ',');
  }
  return GIE_OK;
}

/* Index of the last rule that the kernel's name begins with, or -1: later rules win. */
static int rule_of(struct rule_list *rules, const struct gie_kernel *k)
{
  int found = -1;
  for (size_t i = 0; i < rules->n; i++)
    if (strncmp(k->name, rules->v[i].prefix, rules->v[i].len) == 0) {
      rules->v[i].matched = true;
      found = (int)i;
    }
  return found;
}

static bool on_device(const struct gie_kernel *k, const char *kind) { return strcmp(k->device, kind) == 0; }

/* Kernels whose last rule is `rule` (-1: none), in order of registration, references last. */
static gie_status add_kernels(struct run_rules *r, size_t *cap, struct gie_context *ctx, const char *kind,
                              struct rule_list *rules, int rule)
{
  const struct gie_kernel *k;
  for (int reference = 0; reference < 2; reference++)
    for (uint32_t i = 0; (k = gie_kernel_at(ctx, i)); i++)
      if (on_device(k, kind) && rule_of(rules, k) == rule &&
          (int)(k->flags & GIE_KERNEL_REFERENCE) == reference) {
        GIE_TRY(gie_grow(ctx, &r->order, cap, r->n + 1, sizeof *r->order));
        r->order[r->n++] = k;
      }
  return GIE_OK;
}

static gie_status fill(struct run_rules *r, struct gie_context *ctx, const char *kind,
                       struct rule_list *rules)
{
  size_t cap = 0;
  for (size_t i = 0; i < rules->n; i++)
    if (rules->v[i].first)
      GIE_TRY(add_kernels(r, &cap, ctx, kind, rules, (int)i));
  GIE_TRY(add_kernels(r, &cap, ctx, kind, rules, -1));
  for (size_t i = 0; i < rules->n; i++)
    if (!rules->v[i].matched && r->n)
      gie_log(ctx, GIE_LOG_WARN, "run", "no kernel for %s has a name that begins with \"%.*s\"", kind,
              (int)rules->v[i].len, rules->v[i].prefix);
  const char *force = gie_config(ctx, "FORCE");
  if (force && *force) {
    size_t n = strlen(force) + 1;
    r->force = gie_alloc(ctx, n, 1);
    if (!r->force)
      return GIE_E_MEMORY;
    memcpy(r->force, force, n);
  }
  return GIE_OK;
}

gie_status run_rules_init(struct run_rules *r, struct gie_context *ctx, const char *kind,
                          const char *backends)
{
  struct rule_list rules;
  memset(r, 0, sizeof *r);
  GIE_TRY(parse_rules(ctx, backends, &rules));
  gie_status st = fill(r, ctx, kind, &rules);
  if (st != GIE_OK)
    run_rules_free(r, ctx);
  return st;
}

void run_rules_reference_first(struct run_rules *r)
{
  size_t at = 0;
  for (size_t i = 0; i < r->n; i++) {
    const struct gie_kernel *k = r->order[i];
    if (!(k->flags & GIE_KERNEL_REFERENCE))
      continue;
    memmove(&r->order[at + 1], &r->order[at], (i - at) * sizeof(*r->order));
    r->order[at++] = k;
  }
}

void run_rules_free(struct run_rules *r, struct gie_context *ctx)
{
  gie_free(ctx, r->order);
  gie_free(ctx, r->force);
  memset(r, 0, sizeof *r);
}

/* One "node:kernel" of the list: the node's name is the first *name bytes, the kernel's begins at *kernel; returns the
 * length of both. The kernel's name has no colon, a node's may. */
static size_t forced_pair(const char *s, size_t *name, size_t *kernel)
{
  size_t len = strcspn(s, ","), colon = len;
  while (colon > 0 && s[colon - 1] != ':')
    colon--;
  *name = colon > 0 ? colon - 1 : 0;
  *kernel = colon;
  return len;
}

const char *run_rules_forced(const struct run_rules *r, const struct gie_node *n, char *buf, size_t size)
{
  size_t name, kernel, len;
  for (const char *s = r->force; s && *s; s += len + (s[len] == ',')) {
    len = forced_pair(s, &name, &kernel);
    if (kernel > 0 && name == strlen(n->name) && memcmp(s, n->name, name) == 0 && len - kernel < size) {
      memcpy(buf, s + kernel, len - kernel);
      buf[len - kernel] = 0;
      return buf;
    }
  }
  return NULL;
}

static bool has_node(const struct gie_graph *g, const char *name, size_t len)
{
  GIE_FOR_NODES(g, id) {
    const char *own = gie_node_get(g, id)->name;
    if (strlen(own) == len && memcmp(own, name, len) == 0)
      return true;
  }
  return false;
}

void run_rules_warn_forced(const struct run_rules *r, struct gie_context *ctx, const struct gie_graph *g)
{
  size_t name, kernel, len;
  for (const char *s = r->force; s && *s; s += len + (s[len] == ',')) {
    len = forced_pair(s, &name, &kernel);
    if (!has_node(g, s, name))
      gie_log(ctx, GIE_LOG_WARN, "run",
              "GIE_FORCE: \"%.*s\" names no node of the graph; it is NODE:KERNEL, with the name "
              "that the node has after the passes",
              (int)len, s);
  }
}

bool run_kernel_has_op(const struct gie_kernel *k, const char *op)
{
  for (const char *const *p = k->ops; p && *p; p++)
    if (strcmp(*p, op) == 0)
      return true;
  return false;
}
