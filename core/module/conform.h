/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of a module: does what it registers keep the contracts of gie/graph.h, gie/kernel.h and gie/module.h? The checks run in
 * the probe worker, because that is what a module can crash or hang; the parent (tools/plugin_test.c) asks again for what
 * comes behind a check that did.
 *
 *   CONFORM  parent → worker   module NAME   seed NUMBER   from INDEX (checks to leave out)   case PATH (any number)
 *                              fatal INDEX (any number): checks that ended a worker, so nothing of them is repeated
 *                              list 1: say only what the module registers
 *   PROGRESS worker → parent   entry: word entry   name NAME   text WHAT; without a name: still at work, with TEXT
 *                              a check begins: word start   index NUMBER   name NAME
 *                              … and ends:     word ok|failed|skipped   index NUMBER   text WHAT
 *   REPLY    worker → parent   empty: that was all */
#ifndef GIE_CORE_MODULE_CONFORM_H
#define GIE_CORE_MODULE_CONFORM_H

#include "core/module/side.h"
#include "core/module/wire.h"

/* word of the protocol */
#define CONFORM_WORDS(X) \
  X(ENTRY, "entry") X(START, "start") X(OK, "ok") X(FAILED, "failed") X(SKIPPED, "skipped")
enum conform_word {
#define CONFORM_ENUM(name, word) CONFORM_##name,
  CONFORM_WORDS(CONFORM_ENUM)
#undef CONFORM_ENUM
};

struct conform_request {
  const char *module;
  uint64_t seed;
  uint32_t from;
  bool list;
  const char *const *cases; /* ended by NULL; or NULL */
  const uint32_t *fatal;
  uint32_t n_fatal;
};

#define CONFORM_MAX_CASES 64
#define CONFORM_MAX_FATAL 1000 /* workers that a module may end before its test is given up */

struct conform_news {
  enum conform_word word;
  uint32_t index;
  const char *name, *text; /* "" where there is none */
};

/* ---- The wire (conform.c) */

void conform_put_request(struct gie_buf *b, const struct conform_request *rq);
/* Cuts the payload up in place. */
gie_status conform_get_news(struct gie_context *ctx, char *payload, size_t size, struct conform_news *out);
/* The worker's side: reads the request, makes the checks and says what came of each. */
gie_status conform_serve(struct gie_context *ctx, int fd, char *payload, size_t size);

/* ---- Inside the worker */

/* A check under way. conform_begin() says that it begins, false: it is to be left out; then one of the others ends it. */
struct conform {
  struct gie_context *ctx;
  int fd;
  uint64_t seed;
  uint32_t from, n;
  gie_status status;        /* of the connection: all is over when it is not OK */
  struct gie_graph **cases; /* NULL: it could not be loaded */
  char **paths;
  uint32_t n_cases;
  uint32_t *fatal;
  uint32_t n_fatal;
  char wrong[700]; /* what the check under way has found */
};
/* Says what is wrong, which conform_begin() forgets; false, for the one who found it to return. */
GIE_PRINTF(2, 3) bool conform_wrong(struct conform *c, const char *fmt, ...);
/* Still at work, and at what: it is said when the worker ends there. */
GIE_PRINTF(2, 3) void conform_doing(struct conform *c, const char *fmt, ...);
/* Whether the next check ended an earlier worker. */
bool conform_is_fatal(const struct conform *c);
GIE_PRINTF(2, 3) bool conform_begin(struct conform *c, const char *fmt, ...);
GIE_PRINTF(3, 4) void conform_end(struct conform *c, enum conform_word word, const char *fmt, ...);

/* Something that is done warm + n times, i = 0, 1, …, and leaves nothing behind: n WHAT do, the message says otherwise, with a HINT. `once` says
 * itself what else is wrong, and returns false. */
struct conform_repeat {
  long warm, n; /* the heap keeps some freed blocks at hand: it is measured after `warm` */
  bool (*once)(void *user, long i);
  void *user;
  const char *what, *hint;
};
bool conform_repeat(struct conform *c, const struct conform_repeat *r);

/* ---- Guesses of operands and attributes (conform_guess.c) */

/* A graph of one node with that op and random operands that the op accepts, or NULL: *refused has the status and the error
 * text says why. `constants`: the operands behind the first are constants. */
struct gie_graph *conform_guess(struct gie_context *ctx, const struct gie_op *op, uint64_t *random,
                                bool constants, gie_status *refused);
/* The node alone, with the types that its operands have; NULL when they are not all known. */
struct gie_graph *conform_extract(const struct gie_graph *g, const struct gie_node *n);
bool conform_is_static(const struct gie_graph *g, const struct gie_node *n);
/* "f32[2,3,4,4], f32[3]" of the operands. */
void conform_operands_text(const struct gie_graph *g, const struct gie_node *n, char *buf, size_t size);

/* ---- Whole graphs (conform_graph.c) */

/* A random network, or NULL. */
struct gie_graph *conform_random(struct gie_context *ctx, uint64_t seed);
/* "conv relu add" of the nodes. */
void conform_ops_text(const struct gie_graph *g, char *buf, size_t size);
/* The graph as text, freed with gie_free(). */
bool conform_text(const struct gie_graph *g, char **text, size_t *size);
/* Whether both have as many inputs and outputs, of the same names if that is asked for, and compute the same, if the first
 * one runs (*ran); false: `wrong`. */
bool conform_same(const struct gie_graph *before, const struct gie_graph *after, bool names, uint64_t seed,
                  bool *ran, char *wrong, size_t size);

/* ---- Checks (conform_op.c, conform_kernel.c, conform_pass.c, conform_format.c) */

void conform_op(struct conform *c, const struct gie_op *op);
void conform_kernel(struct conform *c, const struct gie_kernel *k);
void conform_pass(struct conform *c, const struct gie_pass *p);
void conform_format(struct conform *c, const struct gie_format *f);

#endif
