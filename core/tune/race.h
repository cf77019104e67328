/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the race: what parent and worker agree on, and the worker's side.
 *
 * Regime of the timing: warm. Before every sample the candidate runs once untimed, so operands, weights
 * and results are in the cache as far as they fit, as in a network where the producer has just written the
 * operand. All candidates of a problem share its tensors and are measured in turn, so what slows the machine
 * for a while slows all of them. */
#ifndef GIE_CORE_TUNE_RACE_H
#define GIE_CORE_TUNE_RACE_H

#include "core/module/side.h"
#include "core/tune/sample.h"
#include "core/tune/tune.h"

/* ---- The wire (race_wire.c) */

/* An operand that the worker makes a constant of: its bytes, or random ones. */
struct race_constant {
  uint32_t operand;
  const void *data; /* NULL: random */
  size_t size;
};
struct race_problem {
  const char *text; /* the graph; constants are inputs */
  size_t n_text;
  struct race_constant *constants;
  uint32_t n_constants;
};
struct race_entry {
  uint32_t problem;
  uint64_t config;
  bool checked; /* an earlier worker found it right */
  const char *kernel;
};
struct race_request {
  struct tune_race_options options;
  struct race_problem *problems;
  struct race_entry *entries;
  uint32_t n_problems, n_entries;
};
gie_status race_put_request(struct gie_buf *b, const struct race_request *rq);
/* Points into the payload; arrays are in the arena. */
gie_status race_get_request(struct gie_context *ctx, struct gie_arena *mem, char *payload, size_t size,
                            struct race_request *out);
/* The problem of the wire; text and constants live in the arena. */
gie_status race_export(struct gie_arena *mem, const struct gie_graph *g, struct race_problem *out);

/* What the worker says while it is at it. */
enum race_word {
  RACE_START,   /* works on entry i from here on */
  RACE_CHECKED, /* entry i is right: error and workspace */
  RACE_RESULT   /* that is all about entry i */
};
struct race_news {
  enum race_word word;
  uint32_t entry;
  enum probe_verdict verdict;
  double seconds, spread, error;
  uint64_t workspace;
  const char *text;
};
void race_put_news(struct gie_buf *b, const struct race_news *n);
gie_status race_get_news(struct gie_context *ctx, char *payload, size_t size, struct race_news *out);

/* The reply: how long the worker took for what. */
void race_put_times(struct gie_buf *b, const struct tune_race_times *t);
/* Adds them to *t. */
void race_get_times(char *payload, size_t size, struct tune_race_times *t);

/* ---- Cases (race_case.c) */

/* A problem with contents, and what its results must be. */
/* On a device with memory of its own, where every copy of a large tensor takes longer than all runs: operands and
 * results of a node that treats the rows of its first axis apart repeat after an odd number of them, so that a
 * network's batch of hundreds needs contents, and a reference result, of a few. */
struct race_case {
  struct side_case c;
  struct side_place *places;
  struct gie_graph *few; /* the same with the rows of a period; NULL: nothing repeats */
  bool has_expected, has_samples;
  char *key;                 /* of the problem, whatever its layouts and ranges */
  struct race_case *twin;    /* one before with that key: what it expects holds here too; NULL: none */
  struct sample_set samples; /* of result 0 */
  void **expected; /* results of the reference kernel, at the points if there are any; NULL: there is none */
};
/* `whole`: bytes of tensors that are looked at as a whole; 0: all are, nothing repeats. */
gie_status race_case_init(struct race_case *c, struct gie_context *ctx, const struct race_problem *p,
                          uint64_t seed, size_t whole);
void race_case_free(struct race_case *c);
/* Looks for a twin among the n cases before. */
void race_case_pair(struct race_case *c, struct race_case *before, uint32_t n);
/* Compares the collected results; the first call computes what is expected. */
gie_status race_case_compare(struct race_case *c, struct side_devices *devices, struct side *s,
                             double *error);

/* ---- The worker's side (race_run.c) */

/* What lasts from race to race: opening a device and its libraries takes longer than most races. */
struct race_worker {
  struct side_devices devices;
  char kind[64];
};
void race_worker_init(struct race_worker *w, struct gie_context *ctx);
void race_worker_free(struct race_worker *w);
/* Answers a RACE on descriptor `fd`. A failure has not been sent yet. */
gie_status race_serve(struct race_worker *w, int fd, char *payload, size_t size);

#endif
