/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of a kernel: what it answers, and what it computes for operands that lie in memory as they do in a network:
 * as the kernel wants it, plain, with the channels last, as a range of a larger tensor. */
#include "core/module/conform.h"
#include <math.h>

#define GUESSES 1500
#define MAX_CASES 4       /* of guesses, for each op */
#define MAX_VARIANTS 6    /* tried for each case */
#define MAX_ASKED 64      /* variants that are asked for */
#define MAX_FAILURES 1000 /* allocations of an instance that fail in turn */
#define WARM 200
#define LIFES 4000 /* instances made and ended in search of a leak */
#define BIG_COUNT 1000000

/* A case under test. */
struct trial {
  struct conform *c;
  const struct gie_kernel *k;
  struct side_devices devices;
  struct side_case sc;
  uint64_t config[MAX_VARIANTS];
  uint32_t n_variants, n_runs, n_refused;
  void **expected; /* by result; NULL: not known yet */
  bool has_reference, no_device;
  const char *by; /* whose results are expected */
  double error;
};

/* A side that did wrong, or a device that did. */
static bool blame(struct trial *t, const struct side *s, gie_status st, const char *form)
{
  if (st == GIE_E_NO)
    return conform_wrong(t->c, "%s: %s: %s", form, probe_verdict_word(s->verdict), s->text);
  return conform_wrong(t->c, "%s: %s", form, gie_error_text(t->c->ctx));
}

/* ---- Forms: how the tensors of a run lie */

static const char *const forms[] = {"as it wants", "plain", "channels last", "view"};
enum { WANTED, PLAIN, LAST, VIEW, N_FORMS };
#define VIEW_MORE 3 /* elements that the larger tensor has more */

static gie_status place(struct trial *t, const struct gie_desc *plain, int form, struct side_place *out)
{
  struct gie_type type = {.dtype = plain->dtype, .shape = {.rank = plain->rank}};
  struct gie_layout layout = {0};
  struct gie_desc base;
  int axis = plain->rank > 1;
  for (int i = 0; i < plain->rank; i++)
    type.shape.dim[i] = gie_dim_num(plain->dim[i] + (form == VIEW && i == axis ? VIEW_MORE : 0));
  if (form == LAST && plain->rank >= 2) {
    layout.rank = (uint8_t)plain->rank;
    for (int i = 1; i + 1 < plain->rank; i++)
      layout.perm[i] = (uint8_t)(i + 1);
    layout.perm[plain->rank - 1] = 1;
    if (plain->rank == 2) {
      layout.perm[0] = 1;
      layout.perm[1] = 0;
    }
  }
  *out = (struct side_place){0};
  GIE_TRY(gie_desc_make(t->c->ctx, &type, &layout, &base, &out->bytes));
  out->desc = base;
  if (form == VIEW)
    return gie_desc_view(t->c->ctx, &base, axis, 1, plain->dim[axis], &out->desc, &out->offset);
  return GIE_OK;
}

static gie_status set_form(struct trial *t, int form)
{
  struct side_case *sc = &t->sc;
  struct side_place *places = gie_arena_alloc(&sc->arena, (size_t)sc->n_in + sc->n_out + 1, sizeof *places);
  if (!places)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < sc->n_in + sc->n_out; i++) {
    const struct gie_desc *d = i < sc->n_in ? &sc->in[i] : &sc->out[i - sc->n_in];
    bool placed = form != WANTED && d->dtype != GIE_DTYPE_NONE && (form != VIEW || d->rank > 0);
    if (placed)
      GIE_TRY(place(t, d, form, &places[i]));
    sc->places[i] = placed ? &places[i] : NULL;
  }
  return GIE_OK;
}

/* ---- Runs */

static size_t result_bytes(const struct trial *t, uint32_t i)
{
  return (size_t)gie_desc_count(&t->sc.out[i]) * gie_dtype_size(t->sc.out[i].dtype);
}

static bool keep_results(struct trial *t, const struct side *s, const char *by)
{
  t->expected = gie_arena_alloc(&t->sc.arena, t->sc.n_out + 1, sizeof *t->expected);
  for (uint32_t i = 0; t->expected && i < t->sc.n_out; i++) {
    t->expected[i] = gie_arena_alloc(&t->sc.arena, result_bytes(t, i) + 1, 1);
    if (!t->expected[i])
      t->expected = NULL;
    else
      memcpy(t->expected[i], s->out_plain[i], result_bytes(t, i));
  }
  t->by = by;
  return t->expected || conform_wrong(t->c, "out of memory");
}

/* A run whose results were not there before. */
static gie_status run_afresh(struct trial *t, struct side *s)
{
  double seconds;
  for (uint32_t i = 0; i < t->sc.n_out; i++)
    if (s->out_tensor[i])
      GIE_TRY(side_unset(&t->sc, s->out_tensor[i]));
  s->out_plain = gie_arena_alloc(&s->arena, t->sc.n_out + 1, sizeof *s->out_plain);
  if (!s->out_plain)
    return GIE_E_MEMORY;
  t->c->ctx->fail_alloc_after = BIG_COUNT;
  gie_status st = side_launch(s, 1, &seconds);
  bool allocated = t->c->ctx->fail_alloc_after != BIG_COUNT;
  t->c->ctx->fail_alloc_after = -1;
  GIE_TRY(st);
  if (allocated && t->k == s->k)
    return side_verdict(s, PROBE_FAILED, "run allocates memory; ask for a workspace");
  return side_collect(s, true);
}

static gie_status compare_all(struct trial *t, struct side *s)
{
  for (uint32_t i = 0; t->expected && i < t->sc.n_out; i++)
    GIE_TRY(side_compare(s, i, t->expected[i], side_tolerance(s, i), &t->error));
  return GIE_OK;
}

/* Two runs, which must give the same bits and what is expected; then over an operand, where the variant says so. */
static gie_status run_side(struct trial *t, struct side *s)
{
  double seconds;
  GIE_TRY(side_prepare(s));
  GIE_TRY(run_afresh(t, s));
  if (s->k != t->k)
    return GIE_OK;
  void **first = s->out_plain;
  GIE_TRY(run_afresh(t, s));
  for (uint32_t i = 0; i < t->sc.n_out; i++)
    if (result_bytes(t, i) && memcmp(first[i], s->out_plain[i], result_bytes(t, i)) != 0)
      return side_verdict(s, PROBE_WRONG, "result %u of a second run has other bits", (unsigned)i);
  GIE_TRY(compare_all(t, s));
  if (!side_overwrites(s))
    return GIE_OK;
  GIE_TRY(side_set_over(s, true));
  GIE_TRY(side_launch(s, 1, &seconds));
  GIE_TRY(side_collect(s, true));
  GIE_TRY(compare_all(t, s));
  return side_set_over(s, false);
}

static bool run_form(struct trial *t, uint64_t config, int form, uint32_t threads)
{
  struct side s = {.k = t->k, .threads = threads};
  gie_status st = set_form(t, form);
  if (st == GIE_OK)
    st = side_open(&s, &t->sc, &t->devices);
  if (st == GIE_OK)
    st = side_choose(&s, false, config);
  if (st == GIE_OK)
    st = run_side(t, &s);
  bool good = st == GIE_OK, refused = st == GIE_E_NO && s.verdict == PROBE_REFUSED;
  t->n_runs += good;
  t->n_refused += refused; /* it need not take every form */
  if (good && !t->expected)
    good = keep_results(t, &s, "itself");
  if (!good && !refused && !*t->c->wrong)
    blame(t, &s, st, forms[form]);
  side_close(&s);
  return good || refused;
}

static bool run_reference(struct trial *t)
{
  struct side r = {0};
  bool found = false;
  gie_status st = side_open_reference(&r, &t->sc, &t->devices, t->k, &found);
  if (st == GIE_OK && found)
    st = run_side(t, &r);
  bool good = st == GIE_OK;
  if (!good)
    blame(t, &r, st, "the reference kernel");
  else if (found)
    good = keep_results(t, &r, r.k->name);
  t->has_reference = good && found;
  side_close(&r);
  return good;
}

/* ---- Variants and numbers */

/* What the op makes of the element types that it names. */
static bool check_types(struct trial *t, const struct side *s, const struct gie_variant *v)
{
  return mod_check_types(&s->prob, v) == GIE_OK ||
         conform_wrong(t->c, "variant %llu %s", (unsigned long long)v->config, gie_error_text(t->c->ctx));
}

static bool check_numbers(struct trial *t, const struct side *s, const struct gie_variant *v)
{
  struct gie_cost cost = {.struct_size = sizeof cost};
  if (!memchr(v->label, 0, sizeof v->label))
    return conform_wrong(t->c, "the label of variant %llu has no end", (unsigned long long)v->config);
  if (t->k->estimate)
    t->k->estimate(t->k, &s->prob, v, &cost);
  if (!(isfinite(cost.flops) && isfinite(cost.bytes) && isfinite(cost.seconds)) || cost.flops < 0 ||
      cost.bytes < 0 || cost.seconds < 0)
    return conform_wrong(t->c, "estimate gives no number of at least 0 (variant %llu)",
                         (unsigned long long)v->config);
  return true;
}

static bool list_variants(struct trial *t, struct side *s)
{
  struct gie_variant *v = gie_arena_alloc(&t->sc.arena, MAX_ASKED, sizeof *v);
  if (!v)
    return conform_wrong(t->c, "out of memory");
  if (!t->k->variants) {
    t->config[t->n_variants++] = 0;
    return true;
  }
  for (uint32_t i = 0; i < MAX_ASKED; i++)
    v[i] = (struct gie_variant){.struct_size = sizeof *v, .in_place = -1};
  uint32_t n = t->k->variants(t->k, &s->prob, v, MAX_ASKED);
  if (n == 0 || n > MAX_ASKED)
    return conform_wrong(t->c,
                         n ? "variants returns %u with room for %d"
                           : "it supports this and has %u variants of %d",
                         (unsigned)n, MAX_ASKED);
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t j = 0; j < i; j++)
      if (v[i].config == v[j].config)
        return conform_wrong(t->c, "two variants have config %llu", (unsigned long long)v[i].config);
    if (!check_types(t, s, &v[i]) || !check_numbers(t, s, &v[i]))
      return false;
    if (t->n_variants < MAX_VARIANTS)
      t->config[t->n_variants++] = v[i].config;
  }
  return true;
}

/* ---- Memory */

/* An instance whose allocation n fails; *reached: create came to it. */
static bool create_without(struct trial *t, struct side *s, long n, bool *reached)
{
  struct gie_context *ctx = t->c->ctx;
  void *instance = NULL;
  ctx->fail_alloc_after = n;
  gie_status st = t->k->create(t->k, &s->prob, &s->var, &instance);
  *reached = ctx->fail_alloc_after <= 0;
  ctx->fail_alloc_after = -1;
  if (st == GIE_OK && t->k->destroy)
    t->k->destroy(instance);
  if (st == GIE_OK && *reached)
    return conform_wrong(t->c, "create reports success though its allocation %ld failed", n);
  return st == GIE_OK || *reached ||
         conform_wrong(t->c, "create fails without want of memory: %s", gie_error_text(ctx));
}

struct lives {
  struct trial *t;
  struct side *s;
  long n; /* allocations 1 to n - 1 are there */
};

static bool fail_again(void *user, long i)
{
  struct lives *l = user;
  bool reached;
  if (i % 100 == 0)
    conform_doing(l->t->c, "failing instance %ld of %d", i, WARM + LIFES);
  return create_without(l->t, l->s, 1 + i % (l->n - 1), &reached);
}

/* Each allocation of create() fails in turn, which is an error; many times, of which nothing may be left. */
static bool check_failures(struct trial *t, struct side *s)
{
  struct lives l = {t, s, 1};
  bool reached = true;
  while (l.n < MAX_FAILURES && reached)
    if (!create_without(t, s, l.n++, &reached))
      return false;
  l.n -= !reached;
  const struct conform_repeat r = {
      WARM, LIFES, fail_again, &l, "instances that fail", "; free in create what it allocated"};
  return l.n == 1 || conform_repeat(t->c, &r);
}

static bool live_again(void *user, long i)
{
  struct lives *l = user;
  const struct gie_kernel *k = l->t->k;
  void *instance = NULL;
  (void)i;
  if (k->create(k, &l->s->prob, &l->s->var, &instance) != GIE_OK)
    return conform_wrong(l->t->c, "create fails when it is repeated: %s", gie_error_text(l->t->c->ctx));
  if (k->destroy)
    k->destroy(instance);
  return true;
}

/* Many instances, of which nothing may be left. */
static bool check_leaks(struct trial *t, struct side *s)
{
  struct lives l = {t, s, 0};
  const struct conform_repeat r = {WARM, LIFES,       live_again,
                                   &l,   "instances", "; free in destroy what create allocates"};
  return conform_repeat(t->c, &r);
}

/* ---- What it answers */

struct answers {
  uint32_t supported, refused;
  const char *wrong; /* with what it answers; NULL: nothing */
  char why[256];     /* the last refusal */
  struct gie_graph *cases[MAX_CASES];
  uint32_t n_cases;
  bool no_device;
};

static void judge(struct answers *a, const bool yes[2], char why[2][256])
{
  if (!a->wrong && (yes[0] != yes[1] || strcmp(why[0], why[1]) != 0))
    a->wrong = "answers differently when it is asked again";
  if (!a->wrong && !yes[0] && !why[0][0])
    a->wrong = "refuses without a reason";
  a->supported += yes[0];
  a->refused += !yes[0];
  if (!yes[0])
    memcpy(a->why, why[0], sizeof a->why);
}

/* Asks twice; true: it supports the problem. */
static bool ask(struct conform *c, const struct gie_kernel *k, struct gie_graph *g, struct answers *a)
{
  struct side s = {.k = k, .threads = 1};
  struct side_devices devices = {.ctx = c->ctx};
  struct side_case sc;
  char why[2][256] = {"", ""};
  bool yes[2] = {false, false};
  struct gie_graph *copy;
  if (gie_graph_clone(g, &copy) != GIE_OK)
    return false;
  gie_status st = side_case_init(&sc, copy, c->seed, 0, 0, NULL);
  if (st == GIE_OK)
    st = side_open(&s, &sc, &devices);
  for (int i = 0; i < 2 && st == GIE_OK; i++) {
    yes[i] = k->supports(k, &s.prob, why[i], sizeof why[i]);
    why[i][sizeof why[i] - 1] = 0;
  }
  a->no_device |= st == GIE_E_DEVICE;
  if (st == GIE_OK)
    judge(a, yes, why);
  else
    snprintf(a->why, sizeof a->why, "%s", gie_error_text(c->ctx));
  side_close(&s);
  side_case_free(&sc);
  side_devices_close(&devices);
  return yes[0];
}

/* ---- A case */

static bool open_trial(struct trial *t, struct conform *c, const struct gie_kernel *k, struct gie_graph *g)
{
  *t = (struct trial){.c = c, .k = k, .devices = {.ctx = c->ctx}};
  return side_case_init(&t->sc, g, c->seed, 0, 0, NULL) == GIE_OK ||
         conform_wrong(t->c, "%s", gie_error_text(c->ctx));
}

static void close_trial(struct trial *t)
{
  side_case_free(&t->sc);
  side_devices_close(&t->devices);
}

static bool run_case(struct trial *t)
{
  struct side s = {.k = t->k, .threads = 1};
  gie_status st = side_open(&s, &t->sc, &t->devices);
  bool good = st == GIE_OK ? list_variants(t, &s) : blame(t, &s, st, "opening");
  side_close(&s);
  good = good && run_reference(t);
  for (uint32_t i = 0; good && i < t->n_variants; i++)
    for (int form = 0; good && form < N_FORMS; form++)
      good = run_form(t, t->config[i], form, 1);
  return good && (t->n_variants == 0 || run_form(t, t->config[0], WANTED, 3));
}

static void end_case(struct conform *c, const struct trial *t, bool good)
{
  char error[GIE_NUMBER_MAX];
  if (!good)
    conform_end(c, CONFORM_FAILED, "%s", t->c->wrong);
  else if (t->n_runs == 0)
    conform_end(c, CONFORM_SKIPPED, "it takes the operands in none of the forms that are tried");
  else if (t->has_reference)
    conform_end(c, CONFORM_OK, "%u runs, error at most %s against %s", (unsigned)t->n_runs,
                gie_double_text(t->error, error), t->by);
  else
    conform_end(c, CONFORM_OK, "%u runs that agree; no reference to compare with", (unsigned)t->n_runs);
}

/* Takes over the graph. */
static void check_case(struct conform *c, const struct gie_kernel *k, struct gie_graph *g)
{
  struct trial t;
  char operands[400];
  const struct gie_node *n = gie_node_get(g, gie_graph_first(g));
  conform_operands_text(g, n, operands, sizeof operands);
  if (!conform_begin(c, "kernel %s: %s(%s)", k->name, n->op->name, operands)) {
    gie_graph_free(g);
    return;
  }
  struct answers a = {0};
  if (!ask(c, k, g, &a)) {
    conform_end(c, a.wrong ? CONFORM_FAILED : CONFORM_SKIPPED, "%s%s",
                a.wrong ? "supports() " : "not supported: ", a.wrong ? a.wrong : a.why);
    gie_graph_free(g);
    return;
  }
  bool good = open_trial(&t, c, k, g) && run_case(&t);
  end_case(c, &t, good);
  close_trial(&t);
}

static bool open_side(struct trial *t, struct side *s)
{
  gie_status st = side_open(s, &t->sc, &t->devices);
  t->no_device = st == GIE_E_DEVICE;
  if (st == GIE_OK)
    st = side_choose(s, true, 0);
  if (st == GIE_OK)
    st = side_prepare(s);
  return st == GIE_OK || blame(t, s, st, "preparing");
}

/* Takes over the graph. */
static void check_memory(struct conform *c, const struct gie_kernel *k, struct gie_graph *g)
{
  struct trial t;
  struct side s = {.k = k, .threads = 1};
  if (!conform_begin(c, "kernel %s: without memory, many instances", k->name)) {
    gie_graph_free(g);
    return;
  }
  bool good = open_trial(&t, c, k, g) && open_side(&t, &s),
       refused = t.no_device || s.verdict == PROBE_REFUSED;
  good = good && check_leaks(&t, &s) && check_failures(&t, &s);
  side_close(&s);
  if (good)
    conform_end(c, CONFORM_OK, "each failed allocation is an error, and %d instances leave nothing behind",
                LIFES);
  else
    conform_end(c, refused ? CONFORM_SKIPPED : CONFORM_FAILED, "%s", t.c->wrong);
  close_trial(&t);
}

/* ---- Guesses */

static void ask_guesses(struct conform *c, const struct gie_kernel *k, const struct gie_op *op, bool is_check,
                        struct answers *a)
{
  uint64_t random = c->seed;
  for (int i = 0; i < GUESSES && !a->no_device && a->n_cases < MAX_CASES; i++) {
    gie_status st;
    if (!is_check && i % 50 == 0)
      conform_doing(c, "guesses of its operands");
    struct gie_graph *g = conform_guess(c->ctx, op, &random, i % 2 == 1, &st);
    if (!g)
      continue;
    if (conform_is_static(g, gie_node_get(g, gie_graph_first(g))) && ask(c, k, g, a))
      a->cases[a->n_cases++] = g;
    else
      gie_graph_free(g);
  }
}

static void end_answers(struct conform *c, const struct gie_kernel *k, const struct answers *a)
{
  if (a->wrong)
    conform_end(c, CONFORM_FAILED, "supports() %s", a->wrong);
  else if (a->no_device)
    conform_end(c, CONFORM_SKIPPED, "there is no \"%s\" device on this machine", k->device);
  else if (a->supported + a->refused == 0)
    conform_end(c, CONFORM_SKIPPED, "no operands were guessed that the op takes; give graphs with --case");
  else if (a->supported == 0)
    conform_end(c, CONFORM_SKIPPED,
                "it supports none of the %u problems that were guessed; give graphs with --case",
                (unsigned)a->refused);
  else
    conform_end(c, CONFORM_OK, "%u problems supported, %u refused with a reason", (unsigned)a->supported,
                (unsigned)a->refused);
}

static void copy_and_check_memory(struct conform *c, const struct gie_kernel *k, const struct gie_graph *g,
                                  bool *done)
{
  struct gie_graph *copy;
  if (!*done && gie_graph_clone(g, &copy) == GIE_OK)
    check_memory(c, k, copy);
  *done = true;
}

static void check_op(struct conform *c, const struct gie_kernel *k, const struct gie_op *op, bool *has_memory)
{
  struct answers a = {0};
  bool is_fatal = conform_is_fatal(c),
       wanted = conform_begin(c, "kernel %s: answers for %s", k->name, op->name);
  if (!is_fatal)
    ask_guesses(c, k, op, wanted, &a); /* also when the check was made before: its cases follow */
  if (wanted)
    end_answers(c, k, &a);
  for (uint32_t i = 0; i < a.n_cases; i++) {
    copy_and_check_memory(c, k, a.cases[i], has_memory);
    check_case(c, k, a.cases[i]);
  }
}

/* Nodes of the graphs that were given. */
static void check_given(struct conform *c, const struct gie_kernel *k, bool *has_memory)
{
  for (uint32_t i = 0; i < c->n_cases; i++) {
    const struct gie_graph *g = c->cases[i];
    if (!g)
      continue;
    GIE_FOR_NODES(g, id) {
      const struct gie_node *n = gie_node_get(g, id);
      struct gie_graph *one = side_lists_op(k, n->op->name) ? conform_extract(g, n) : NULL;
      if (!one)
        continue;
      copy_and_check_memory(c, k, one, has_memory);
      check_case(c, k, one);
    }
  }
}

void conform_kernel(struct conform *c, const struct gie_kernel *k)
{
  bool has_memory = false;
  for (const char *const *name = k->ops; *name; name++) {
    const struct gie_op *op = gie_op_find(c->ctx, *name);
    if (op)
      check_op(c, k, op, &has_memory);
    else if (conform_begin(c, "kernel %s: answers for %s", k->name, *name))
      conform_end(c, CONFORM_FAILED, "there is no op of that name");
  }
  check_given(c, k, &has_memory);
}
