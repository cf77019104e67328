/* SPDX-License-Identifier: Apache-2.0 */
/* From a graph with numbers as dims to a choice for every node: the parts of selection that only core/tune
 * sees. The order of work:
 *
 *   select_ask       every node asks every kernel, for every cut of its epilogue      (ask.c)
 *   select_expand    variants become alternatives with a form for each value          (alts.c)
 *   select_prune     what estimates say is not worth a measurement is left out         (prune.c)
 *   select_measure   the rest comes from the cache or a race                           (measure.c)
 *   select_solve     PBQP over the alternatives, then a search in true cost           (solve.c)
 *   select_prefer_views  no copies within the noise                                   (solve.c)
 *   select_settle    conversions in use are measured (measure.c) and what will read or write ranges is measured
 *                    on ranges (range.c); until nothing is new, solved again
 *   select_lower     the choice is written into a copy of the graph                   (lower.c)
 *
 * tune_choose does that for each structure of the graph and takes the fastest (structure.c). */
#ifndef GIE_CORE_TUNE_SELECT_H
#define GIE_CORE_TUNE_SELECT_H

#include "core/tune/tune.h"
#include <gie/plan.h>

#define TUNE_NONE UINT32_MAX
#define TUNE_MAX_LAYOUTS 4    /* of one value, plain included */
#define TUNE_MAX_VARIANTS 256 /* of one node: enough for every engine of a vendor library */
#define TUNE_MAX_SET 64       /* candidates for one conversion or left-over step */

/* ---- Candidates --------------------------------------------------------------------------------- */

enum tune_source { TUNE_ESTIMATED, TUNE_CACHED, TUNE_TIMED, TUNE_RANDOM };

struct tune_cand {
  const struct tune_problem *problem; /* the tuner's, shared by all candidates for it */
  const struct gie_kernel *kernel;
  const char *version; /* for the cache */
  uint64_t config;
  const char *label;
  double estimate, seconds, spread, error;
  enum tune_source source;
  bool wanted;                /* some alternative that is not pruned needs it */
  const char *bad;            /* why it must not be used; NULL: fine */
  enum probe_verdict verdict; /* with bad */
};

/* Candidates for one problem whose forms are all given (conversions, left-over steps): the best is used. */
struct tune_set {
  uint32_t n, *cands;
  uint32_t best;  /* candidate; TUNE_NONE until measured, or when none is usable */
  uint32_t n_cut; /* candidates that there was no room for */
  const char *key;
};

/* What a kernel may be asked with, shared by all profiles of a build. */
struct tuner {
  struct gie_context *ctx;
  struct gie_arena mem;
  const struct gie_build_options *o;
  struct run_device device;
  struct run_weights weights;
  struct run_binder binder; /* its rules say which kernels there are and in which order */
  struct gie_peaks peaks;
  struct tune_consts consts;
  const char *device_key; /* for the cache */
  struct tune_cache *cache;
  struct worker *worker; /* started when the first race needs it */
  double deadline;       /* of timing, on the clock of run_now(); 0: none */
  bool no_timing;
  bool no_saving; /* it was said at the start that measurements cannot be kept */
  uint32_t parts; /* structures over all profiles that are still to be measured */
  struct tune_problem **problems;
  size_t n_problems, cap_problems;
  struct gie_map problem_index; /* key */
  struct tune_cand *cands;
  size_t n_cands, cap_cands;
  struct gie_map cand_index; /* "key\tkernel\tconfig" */
  struct tune_set *sets;
  size_t n_sets, cap_sets;
  struct gie_map set_index;        /* problem key */
  struct gie_map conversion_index; /* conversion_name(): the set */
  struct gie_build_report report;
  struct gie_build_progress progress;
  double *stage, since; /* the member of report.times that counts, and since when */
};
/* Time counts for that member of report.times from here on; returns the one that it counted for. */
double *tuner_stage(struct tuner *t, double *stage);
gie_status tuner_open(struct gie_context *ctx, const struct gie_build_options *o, struct tuner *t);
void tuner_close(struct tuner *t);

/* ---- Alternatives ------------------------------------------------------------------------------- */

struct tune_port {
  struct tune_form form;
  bool pitch;   /* may be a range of something larger */
  uint8_t axes; /* as gie_port.pitch_axes */
  uint16_t align;
  double more; /* seconds that a range costs more than a whole tensor, as far as it was measured */
};
static inline bool tune_takes_range(const struct tune_port *p, int axis)
{
  return p->pitch && (p->axes == 0 || (p->axes >> axis & 1) != 0);
}

enum tune_alt_kind {
  ALT_KERNEL,
  ALT_FREE, /* reshape and the like on plain values: the result is the operand's bytes */
  ALT_VIEW  /* concat, split, slice with their views kept: nothing to do */
};

/* An alternative that was measured with ranges for some of its ports. */
struct tune_trial {
  uint64_t ports; /* bit i: operand i; bit n_in + i: result i */
  uint32_t cand;
  struct tune_trial *next;
};

struct tune_alt {
  enum tune_alt_kind kind;
  uint32_t cand;    /* ALT_KERNEL */
  uint32_t n_steps; /* that the candidate fuses */
  uint32_t n_rest;  /* sets, one per step that is left over */
  uint32_t *rest;
  struct tune_port *in, *out; /* by operand (all of node->in) and result */
  double cost;
  bool pruned;
  bool outdone; /* pruned because another one with such ports is no slower */
  bool doubted; /* pruned because others expect to be much faster */
  struct tune_trial *trials;
  const char *why; /* it takes no range; NULL: it does, or says itself that it does not */
};

/* A variant as a kernel stated it. */
struct tune_raw {
  const struct gie_kernel *kernel;
  uint32_t n_steps, n_in;
  uint64_t config;
  const char *label;
  double estimate;
  const struct tune_port *in, *out;
  const bool *any; /* n_in operands, then the results: takes every layout */
};

/* Of a node with bodies: no problem can hold those, so nothing is timed or chosen. */
struct tune_fixed {
  const struct gie_kernel *kernel; /* the first that takes it; NULL: not such a node, or nobody does */
  uint64_t config;
  double seconds; /* that it expects */
};

struct tune_node {
  bool open; /* has alternatives: alive, dims known */
  struct tune_fixed fixed;
  struct tune_raw *raws;
  size_t n_raws, cap_raws;
  struct tune_alt *alts;
  size_t n_alts, cap_alts;
  gie_id view_of; /* with an ALT_VIEW: the value whose storage its ranges are in */
  const char *refusals;
  const char *cut; /* what there was no room for; "": nothing */
  uint32_t choice;
};

struct tune_layouts {
  uint32_t n;
  struct gie_layout v[TUNE_MAX_LAYOUTS];
};

struct selection {
  struct tuner *t;
  const struct gie_graph *g;
  struct gie_arena mem;
  bool *is_live, *is_tail;
  struct tune_node *nodes;      /* by node */
  struct tune_layouts *layouts; /* by value */
  bool *has_view;               /* by value: it has a group */
  double fixed;                 /* seconds, part of every cost: nodes with bodies */
  double cost, lower_bound;
  bool exact;
};
gie_status selection_init(struct selection *s, struct tuner *t, const struct gie_graph *g);
void selection_free(struct selection *s);

gie_status select_ask(struct selection *s);
gie_status select_expand(struct selection *s);
/* Marks what estimates say is not worth a measurement (prune.c); *n: nodes with alternatives. */
void select_prune(struct selection *s, uint32_t *n);
/* Once a node is measured: takes those up again that expect no more than what the best really takes, however much less
 * others expected; true: there are some. */
bool select_reconsider(struct selection *s, gie_id id);
gie_status select_measure(struct selection *s);
gie_status select_solve(struct selection *s);
/* A copy that gains next to nothing over ranges is not made: its time, taken alone, has warm caches, and it needs memory. */
gie_status select_prefer_views(struct selection *s);
/* Measures the conversions that the choice makes and that rest on estimates yet; *changed: there were some, so
 * that another choice may be better now. */
gie_status select_settle(struct selection *s, bool *changed);
/* Measures the kernels that the choice gives ranges, with those, and what could replace them; *changed: a price has
 * changed or a port takes no ranges after all. `last`: what was not measured so by now takes none. (range.c) */
gie_status select_ranges(struct selection *s, bool last, bool *changed);
gie_status select_lower(struct selection *s, struct gie_graph **out);
/* Whether the lowered choice stays within the limit of memory, if there is one. *again: it does not, and some
 * candidate was given up: to be solved anew. E_MEMORY says what is needed at least. (fit.c) */
gie_status select_fit(struct selection *s, const struct gie_graph *lowered, bool *again);

/* One stream or several (streams.c): how long a run of the lowered graph takes. */
struct tune_run {
  uint32_t n_streams;           /* that parallel branches can have */
  double one, several, seconds; /* on one stream, on these, as chosen; 0: not known */
  bool takes_several;
};
/* Measures both where branches can have streams of their own, or `always`, and notes streams on *g where they pay. */
gie_status tune_streams(struct tuner *t, struct gie_graph **g, bool always, struct tune_run *out);
/* Of structures that take so long (0: not known) the fastest; of those that are no slower than that by more than noise the
 * one with the fewest kernels, and `cheapest`, whose nodes cost least, of several of them or where its time is not known. */
uint32_t tune_fastest(const double *seconds, const uint32_t *kernels, uint32_t n, uint32_t cheapest);

/* What a plan tells of how it was chosen (table.c): a profile with its nodes' alternatives, a run of the whole, and
 * sets that had no room. */
void select_put_table(struct gie_buf *b, const struct selection *s, uint32_t profile, const char *structure);
void tune_put_run(struct gie_buf *b, const struct tune_run *r);
void tuner_put_cut_sets(struct gie_buf *b, const struct tuner *t);

/* ---- Shared by the parts -------------------------------------------------------------------------- */

/* The problem of that key, which takes p's place: p is kept or freed. */
gie_status tuner_problem(struct tuner *t, struct tune_problem *p, const struct tune_problem **out);
/* Candidate for kernel and config on a problem of tuner_problem(), made if new. */
gie_status tuner_cand(struct tuner *t, const struct tune_problem *p, const struct gie_kernel *k,
                      uint64_t config, const char *label, double estimate, uint32_t *out);
/* Set of all candidates that take node n of g, epilogue cut to n_steps, in exactly these forms. */
gie_status tuner_set(struct tuner *t, const struct gie_graph *g, const struct gie_node *n,
                     const struct tune_form *in, const struct tune_form *out, uint32_t *set);
/* Set of the candidates that turn a value of that type from one form into another (equal forms: a copy). */
gie_status tuner_conversion(struct tuner *t, const struct gie_type *type, const struct tune_form *from,
                            const struct tune_form *to, uint32_t *set);
/* The step of n as a node of its own on a value of that form; `operand_form` of its operand, if any. */
gie_status tuner_step(struct tuner *t, const struct gie_graph *g, const struct gie_node *n, uint32_t step,
                      const struct tune_form *form, const struct tune_form *operand_form, uint32_t *set);
/* Figures for candidates that want one, from the cache or a race; `name` of the node is for the progress. */
gie_status tuner_measure(struct tuner *t, const char *name, const uint32_t *cands, uint32_t n);
/* Brings estimates to the level of what was measured, and decides which of each set is the best (price.c). */
gie_status tuner_price(struct tuner *t);
/* Times closer than this part of them are called equal. */
double tuner_noise(const struct tune_cand *c);
double tuner_set_seconds(const struct tuner *t, uint32_t set);
/* Marks the set's candidates that are worth a measurement (prune.c). */
void tuner_want_set(struct tuner *t, uint32_t set);
/* Whether the best of the set was measured, not estimated. */
bool tuner_set_is_measured(const struct tuner *t, uint32_t set);
/* Starts the worker if none is there. */
gie_status tuner_start_worker(struct tuner *t);
/* E_STOPPED when the caller wants it. */
gie_status tuner_check_stop(struct tuner *t);

/* The element type that nodes which compute nothing may pass on instead of f32, or NONE: without it the values around
 * a concat whose neighbours compute in f16 would go through f32. */
enum gie_dtype select_narrow_dtype(const struct selection *s, const struct gie_node *n);
/* Whether it is an input or output of the network, whose form is given. */
static inline bool select_is_edge(const struct gie_value *v)
{
  return v->kind == GIE_VALUE_INPUT || v->n_outputs > 0;
}
/* Whether the node reads an input or makes an output of the network: narrower variants cost a cast there. */
bool select_is_at_the_edge(const struct selection *s, const struct gie_node *n);
bool tune_form_equal(const struct tune_form *a, const struct tune_form *b, int rank);
/* To the letter: plain and its permutation are two, as they are for the cache. */
static inline bool tune_form_same(const struct tune_form *a, const struct tune_form *b)
{
  const struct gie_layout *x = &a->layout, *y = &b->layout;
  return a->dtype == b->dtype && x->rank == y->rank && memcmp(x->perm, y->perm, sizeof x->perm) == 0 &&
         x->block == y->block && x->block_axis == y->block_axis;
}
/* What a value has when nobody chooses: plain, of its dtype. */
struct tune_form tune_plain_form(const struct gie_value *v);
/* E_UNSUPPORTED, or E_MEMORY when that is what they failed for: names a node whose candidates have all failed and
 * says why; GIE_OK: there is none. */
gie_status select_check_failed(struct selection *s);
/* Seconds of the present choice, every conversion once. */
double select_true_cost(struct selection *s);
double select_alt_cost(const struct tuner *t, const struct tune_alt *a);
/* Prices the alternatives of a node and marks those that others outdo (price.c). */
void select_price(struct selection *s, gie_id id);

/* ---- Structures (structure.c) ------------------------------------------------------------------------ */

#define TUNE_MAX_STRUCTURES 16

/* The strategy for one profile. */
struct tune_outcome {
  struct gie_graph *graph; /* lowered */
  char *table;
  const char *structure;
  double cost, lower_bound;
  bool exact, measured;
  struct tune_run run; /* of the whole graph */
};
void tune_outcome_free(struct tune_outcome *o, struct gie_context *ctx);
uint32_t tune_count_structures(const struct tuner *t);
/* Chooses for each structure of a graph with numbers as dims; the fastest in *out. */
gie_status tune_choose(struct tuner *t, const struct gie_graph *g, uint32_t profile,
                       struct tune_outcome *out);

/* ---- Values under a choice (home.c) ------------------------------------------------------------------ */

static inline const struct gie_value *select_value(const struct selection *s, gie_id v)
{
  return gie_value_get(s->g, v);
}
/* It has alternatives. */
static inline bool select_is_open(const struct selection *s, gie_id node)
{
  return node != GIE_NONE && s->nodes[node].open;
}
static inline const struct tune_alt *select_chosen(const struct selection *s, gie_id node)
{
  return &s->nodes[node].alts[s->nodes[node].choice];
}

/* True for values whose form is open: no constant, dims known, made or read by a node with alternatives. */
bool select_is_chosen(const struct selection *s, gie_id value);
/* Distinct forms that alternatives left write the value in, and that readers, graph outputs and the storage
 * that it may be a range of want; at most `max` each. */
void select_forms(const struct selection *s, gie_id value, struct tune_form *from, uint32_t *n_from,
                  struct tune_form *to, uint32_t *n_to, uint32_t max);
/* The node whose ALT_VIEW would make the value a range of another: the concat that reads it, or the split or
 * slice that makes it. GIE_NONE: none. */
gie_id select_group(const struct selection *s, gie_id value);
/* Whether the reader, with its views kept, finds the value where it is: a concat that puts it there, or one inside that, or a
 * split or slice of what is a range itself. */
bool select_keeps(const struct selection *s, gie_id value, gie_id reader);

/* Where a value is under the present choice, and what has to be made of it. */
struct tune_home {
  struct tune_port from;  /* as its producer writes it */
  bool in_place;          /* written straight into its range of a base */
  bool copied;            /* into its range by a conversion of its own, to `range` */
  struct tune_form range; /* of the base, with in_place or copied */
  int axis;               /* of the range */
  double more;            /* what reading and writing it in place costs more than a tensor of its own */
  uint32_t n_forms;       /* further forms that readers need, each made once; equal to from: a dense copy */
  struct tune_form forms[8];
};
void select_home(const struct selection *s, gie_id value, struct tune_home *out);
/* Set of conversion i of a value that is at home there, i < n_forms + copied. */
gie_status select_home_conversion(struct selection *s, gie_id value, const struct tune_home *h, uint32_t i,
                                  uint32_t *set);
/* Seconds of a conversion of v; INFINITY when nothing can do it. */
double select_conversion(struct selection *s, const struct gie_value *v, const struct tune_form *from,
                         const struct tune_form *to);
/* Whether a reader with that port can take the value from where it is. */
bool select_reads_home(const struct tune_home *h, const struct tune_port *port, int rank);
/* Whether a maker with that port can write the value into its range. */
bool select_writes_range(const struct selection *s, gie_id value, const struct tune_port *port,
                         const struct tune_form *range);

/* The maker is a concat inside that concat: both keep their views, in one form, or none does. */
bool select_is_inner(const struct selection *s, const struct gie_value *v, gie_id reader);
/* The reader takes parts out of what is a range itself: it keeps its views where the group of v keeps its own, in one form. */
bool select_is_part(const struct selection *s, const struct gie_value *v, gie_id reader);
/* Whether both keep their views, in one form, or none does. */
bool select_agree(const struct tune_alt *a, const struct tune_alt *b, int rank);

#endif
