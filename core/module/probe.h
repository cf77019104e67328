/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one kernel on a one-node graph under suspicion: guard zones round every buffer, operands
 * compared afterwards, results compared with the reference kernel.
 *
 * This runs in the process that calls it, so a kernel that crashes takes it along; the worker
 * (worker.h) does it in a process of its own. */
#ifndef GIE_CORE_MODULE_PROBE_H
#define GIE_CORE_MODULE_PROBE_H

#include "core/module/registry.h"

/* verdict, word in the protocol */
#define PROBE_VERDICTS(X)                                                        \
  X(OK, "ok")           /* right results, nothing else touched */                \
  X(REFUSED, "refused") /* supports() says no; text: why */                      \
  X(FAILED, "failed")   /* a callback reports an error or breaks its contract */ \
  X(LIMIT, "limit")     /* asks for more workspace than the limit */             \
  X(WRONG, "wrong")     /* results differ from the reference */                  \
  X(STRAY, "stray")     /* wrote outside its results and workspace */            \
  X(CRASHED, "crashed") /* the worker ended: signal or exit */                   \
  X(HUNG, "hung")       /* no answer before the deadline */

enum probe_verdict {
#define PROBE_ENUM(name, word) PROBE_##name,
  PROBE_VERDICTS(PROBE_ENUM)
#undef PROBE_ENUM
};
const char *probe_verdict_word(enum probe_verdict v);

struct probe_input {
  uint32_t index; /* graph input */
  const void *data;
  size_t size; /* dense row-major, exactly what the type needs */
};

struct probe_request {
  const char *kernel;
  bool any_config; /* take the kernel's first variant, else the one with `config` */
  uint64_t config;
  uint64_t seed;          /* of the operands that are not given */
  uint64_t max_workspace; /* bytes; 0: 4 GiB */
  double tolerance;       /* of max|a-b| / max|b|; 0: by dtype, or what the variant states */
  uint32_t repeat;        /* timed runs after the checked one; `seconds` is the fastest */
  uint32_t n_inputs;
  const struct probe_input *inputs;
};

struct probe_result {
  enum probe_verdict verdict;
  bool compared;      /* a reference kernel was found (not the kernel itself) */
  double error;       /* max|a-b| / max|b| over all results */
  double seconds;     /* of a run; 0 when none was timed */
  uint64_t workspace; /* bytes the kernel asked for */
  char hash[65];      /* SHA-256 of the results in plain layout, one after the other */
  char text[512];     /* why; "" when all is well */
};

/* `g` has one node without bodies and only numbers as dims. Operands that are graph inputs get the
 * request's data or reproducible random values: floats uniform in [-1, 1], integers of the first
 * operand's dtype in -8 … 8 (0 … 8 if unsigned), other integers, which are mostly indices, 0 or 1.
 * A failure means that the probe could not be made (bad graph, unknown kernel, no device); what the
 * kernel does wrong is a verdict. */
gie_status probe_run(const struct gie_graph *g, const struct probe_request *rq, struct probe_result *out);

/* ---- Tensors of any dtype and layout, element by element (probe_data.c) */

/* Values for operand i, described by in[i]: as above, but what the op takes roots, logarithms or quotients of is
 * kept away from 0 and below, and indices of a gather stay inside. */
void probe_fill_operand(const struct gie_node *n, uint32_t i, const struct gie_desc *in, void *data,
                        uint64_t seed);
/* Zeroes the elements and pad lanes of a tensor, nothing between them. */
void probe_clear(const struct gie_desc *d, void *data);
/* True when nothing but the tensor at `offset` of the `bytes` bytes has a bit that is not set. The tensor itself
 * is overwritten. */
bool probe_gaps_unset(const struct gie_desc *d, void *data, size_t bytes, size_t offset);
/* Element i of an array as a double. */
double probe_element(enum gie_dtype t, const void *data, int64_t i);
/* A number rounded to a float dtype. */
double probe_round(enum gie_dtype t, double v);
/* The next of a sequence of random numbers, the same on every machine. */
uint64_t probe_random(uint64_t *state);
/* Copies logical elements between two descriptors of equal dims, converting the dtype. */
void probe_convert(const struct gie_desc *from, const void *src, const struct gie_desc *to, void *dst);
/* True when the pad lanes of a blocked axis are zero. */
bool probe_pads_zero(const struct gie_desc *d, const void *data);

struct probe_diff {
  double error; /* max|a-b| / max|b|; infinite where only one is finite or they are different infinities */
  int64_t at;   /* row-major index of the worst element */
  double a, b;  /* its values */
};
/* Compares n elements. Integers must be equal for error 0. NaN equals NaN. */
void probe_compare(enum gie_dtype t, const void *a, const void *b, int64_t n, struct probe_diff *out);
/* What error is fine for that dtype. */
double probe_tolerance(enum gie_dtype t);

#endif
