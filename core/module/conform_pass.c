/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of a pass: it leaves valid graphs that compute what they did, counts its changes, comes to an end, which
 * is after one run, and takes a want of memory as an error. Tried on random graphs (random_graph.h) and on those that were given. */
#include "core/module/conform.h"
#include <gie/gie.h>

#define GRAPHS 300
#define ROUNDS 100       /* in which it has to come to an end */
#define MAX_FAILURES 400 /* allocations that fail in turn */
#define WARM 50
#define LIFES 250

struct trial {
  struct conform *c;
  const struct gie_pass *p;
  uint32_t graphs, fired, changes, runs;
  bool wants_argument;    /* it refuses to run without */
  bool again;             /* a second run changed something */
  struct gie_graph *kept; /* one on which it fires */
};

static gie_status apply(const struct trial *t, struct gie_graph *g, uint32_t *changes)
{
  const struct gie_pass_ctx pc = {.struct_size = sizeof pc,
                                  .ctx = t->c->ctx,
                                  .device_flags = GIE_DEVICE_HOST};
  *changes = 0;
  return t->p->run(g, &pc, changes);
}

/* ---- One graph */

/* What it says of its changes is so. */
static bool check_count(struct trial *t, const struct gie_graph *before, const struct gie_graph *after,
                        uint32_t changes)
{
  char *a = NULL, *b = NULL;
  size_t n_a, n_b;
  bool printed = conform_text(before, &a, &n_a) && conform_text(after, &b, &n_b),
       same = printed && n_a == n_b && memcmp(a, b, n_a) == 0;
  gie_free(t->c->ctx, a);
  gie_free(t->c->ctx, b);
  if (!printed)
    return conform_wrong(t->c, "what it leaves cannot be printed: %s", gie_error_text(t->c->ctx));
  return same || changes || conform_wrong(t->c, "it changes a graph and counts no change");
}

/* Runs it again until it changes nothing, which is so at once if it is idempotent. */
static bool settle(struct trial *t, struct gie_graph *g)
{
  uint32_t changes = 1;
  for (int i = 0; changes; i++) {
    if (i == ROUNDS)
      return conform_wrong(t->c, "it still changes a graph when it has run %d times", ROUNDS);
    if (apply(t, g, &changes) != GIE_OK)
      return conform_wrong(t->c, "it fails when it is repeated: %s", gie_error_text(t->c->ctx));
    t->again |= changes > 0;
  }
  return true;
}

static bool check_after(struct trial *t, struct gie_graph *before, struct gie_graph *g)
{
  uint32_t changes;
  bool ran;
  char how[300];
  gie_status st = apply(t, g, &changes);
  t->wants_argument = st == GIE_E_USAGE && GIE_OPTION(t->p, argument);
  if (st != GIE_OK)
    return conform_wrong(t->c, "it fails on a valid graph: %s", gie_error_text(t->c->ctx));
  t->fired += changes > 0;
  t->changes += changes;
  if (gie_graph_verify(g) != GIE_OK)
    return conform_wrong(t->c, "it leaves a graph that is not valid: %s", gie_error_text(t->c->ctx));
  if (!check_count(t, before, g, changes))
    return false;
  if (changes == 0)
    return true;
  if (!conform_same(before, g, true, t->c->seed, &ran, how, sizeof how))
    return conform_wrong(t->c, "it changes what a graph computes: %s", how);
  t->runs += ran;
  if (!settle(t, g))
    return false;
  if (gie_graph_verify(g) != GIE_OK)
    return conform_wrong(t->c, "repeated, it leaves a graph that is not valid: %s",
                         gie_error_text(t->c->ctx));
  if (!conform_same(before, g, true, t->c->seed, &ran, how, sizeof how))
    return conform_wrong(t->c, "repeated, it changes what a graph computes: %s", how);
  if (t->again)
    return conform_wrong(t->c, "a second run right behind the first changes the graph again; do all in one");
  if (!t->kept && gie_graph_clone(before, &t->kept) != GIE_OK)
    t->kept = NULL;
  return true;
}

static bool check_graph(struct trial *t, struct gie_graph *g)
{
  struct gie_graph *copy;
  char ops[400];
  conform_ops_text(g, ops, sizeof ops);
  conform_doing(t->c, "%s", ops);
  if (gie_graph_clone(g, &copy) != GIE_OK)
    return conform_wrong(t->c, "%s", gie_error_text(t->c->ctx));
  t->graphs++;
  bool good = check_after(t, g, copy);
  gie_graph_free(copy);
  if (!good) {
    size_t n = strlen(t->c->wrong);
    snprintf(t->c->wrong + n, sizeof t->c->wrong - n, " (graph: %s)", ops);
  }
  return good;
}

static void end_graphs(struct trial *t, bool good)
{
  if (t->wants_argument)
    conform_end(t->c, CONFORM_SKIPPED, "it needs an argument (%s)", t->p->argument);
  else if (!good)
    conform_end(t->c, CONFORM_FAILED, "%s", t->c->wrong);
  else if (t->fired == 0)
    conform_end(t->c, CONFORM_SKIPPED, "it changes none of %u graphs; give one that it changes with --case",
                (unsigned)t->graphs);
  else
    conform_end(t->c, CONFORM_OK, "%u changes in %u of %u graphs; %u of those ran, with the same results",
                (unsigned)t->changes, (unsigned)t->fired, (unsigned)t->graphs, (unsigned)t->runs);
}

/* ---- Memory */

/* Each allocation fails in turn. The graph may be half changed then, and is thrown away. */
static bool check_failures(struct trial *t)
{
  struct gie_context *ctx = t->c->ctx;
  for (long n = 1; n < MAX_FAILURES; n++) {
    struct gie_graph *g;
    uint32_t changes;
    if (gie_graph_clone(t->kept, &g) != GIE_OK)
      return conform_wrong(t->c, "%s", gie_error_text(ctx));
    ctx->fail_alloc_after = n;
    gie_status st = apply(t, g, &changes);
    bool was_reached = ctx->fail_alloc_after <= 0;
    ctx->fail_alloc_after = -1;
    bool valid = st != GIE_OK || gie_graph_verify(g) == GIE_OK;
    gie_graph_free(g);
    if (!valid)
      return conform_wrong(t->c, "it reports success without memory, and the graph is not valid: %s",
                           gie_error_text(ctx));
    if (st != GIE_OK && !was_reached)
      return conform_wrong(t->c, "it fails without want of memory: %s", gie_error_text(ctx));
    if (!was_reached)
      break;
  }
  return true;
}

static bool run_again(void *user, long i)
{
  struct trial *t = user;
  struct gie_graph *g;
  uint32_t changes;
  (void)i;
  if (gie_graph_clone(t->kept, &g) != GIE_OK || apply(t, g, &changes) != GIE_OK)
    return conform_wrong(t->c, "it fails when it is repeated: %s", gie_error_text(t->c->ctx));
  gie_graph_free(g);
  return true;
}

static bool check_leaks(struct trial *t)
{
  const struct conform_repeat r = {WARM, LIFES, run_again, t, "runs", ""};
  return conform_repeat(t->c, &r);
}

/* ---- All */

static void check_random(struct trial *t)
{
  bool good = true, is_fatal = conform_is_fatal(t->c),
       wanted = conform_begin(t->c, "pass %s: random graphs", t->p->name);
  for (uint64_t i = 0; good && !is_fatal && i < GRAPHS && (wanted || !t->kept); i++) {
    struct gie_graph *g = conform_random(t->c->ctx, t->c->seed * GRAPHS + i);
    if (g)
      good = check_graph(t, g);
    gie_graph_free(g);
  }
  if (wanted)
    end_graphs(t, good);
}

static void check_cases(struct trial *t)
{
  for (uint32_t i = 0; i < t->c->n_cases; i++) {
    struct trial one = {.c = t->c, .p = t->p};
    if (!t->c->cases[i])
      continue;
    bool is_fatal = conform_is_fatal(t->c),
         wanted = conform_begin(t->c, "pass %s: %s", t->p->name, t->c->paths[i]);
    bool good = is_fatal || check_graph(&one, t->c->cases[i]);
    if (wanted)
      end_graphs(&one, good);
    if (!t->kept)
      t->kept = one.kept;
    else
      gie_graph_free(one.kept);
  }
}

void conform_pass(struct conform *c, const struct gie_pass *p)
{
  struct trial t = {.c = c, .p = p};
  check_random(&t);
  check_cases(&t);
  if (conform_begin(c, "pass %s: without memory, many runs", p->name)) {
    if (!t.kept)
      conform_end(c, CONFORM_SKIPPED, "no graph is there that it changes");
    else if (check_failures(&t) && check_leaks(&t))
      conform_end(c, CONFORM_OK,
                  "each failed allocation is an error or does no harm, and %d runs leave nothing behind",
                  LIFES);
    else
      conform_end(c, CONFORM_FAILED, "%s", t.c->wrong);
  }
  gie_graph_free(t.kept);
}
