/* SPDX-License-Identifier: Apache-2.0 */
/* One table of op cases (op_cases.def) drives the tests of every backend: each case is a graph of one
 * node in text form, tried in several dtypes, layouts and pitches. This is its reader and a runner that
 * calls a kernel by its ABI alone, with guard zones around every buffer. Link with a library that has
 * the core's internal symbols. */
#ifndef GIE_TESTS_OP_CASES_H
#define GIE_TESTS_OP_CASES_H

#include "core/ir/ir.h"
#include <gie/gie.h>

struct op_case {
  const char *name;
  const char *dtypes; /* what T in the text stands for, one after the other: "f32 f16 i32" */
  const char *text;   /* statements of the graph */
};
extern const struct op_case OP_CASES[];
extern const unsigned N_OP_CASES;

/* How the tensors of a run lie in memory. Where a form does not fit a tensor's rank, it is plain. */
struct op_form {
  const char *name;
  char permutation; /* 0: plain; 'l': channels last; 'r': axes reversed */
  int block_axis;   /* with block > 1; counted from the end when negative */
  int block;
  bool pitched; /* every tensor is a range of a larger one */
};
extern const struct op_form OP_FORMS[]; /* the first is plain */
extern const unsigned N_OP_FORMS;

/* The graph of a case with T = dtype (NULL: the first of its list). Its one node that is no `want`. */
gie_status op_case_graph(struct gie_context *ctx, const struct op_case *c, const char *dtype,
                         struct gie_graph **out);
const struct gie_node *op_case_node(const struct gie_graph *g);
/* The i-th dtype of the list as text in buf; false past the end. */
bool op_case_dtype(const struct op_case *c, unsigned i, char buf[8]);

/* Results of a run as doubles (integers beyond 2^53 lose their last bits), in row-major order. */
struct op_result {
  struct gie_type type;
  int64_t count;
  double *v;
};
struct op_device {
  const struct gie_device *ops;
  void *dev;
  struct gie_device_info info;
  uint32_t threads;
  enum gie_math math;
  void *library, *stream; /* of the kernels that are run; NULL: none */
};
/* Runs node n of g with variant v (NULL: the default one) of kernel k on the device; operands and results have the
 * dtypes that its ports ask for. Operands that are no constants get small pseudo-random numbers that every dtype
 * represents exactly. Fails with E_NO and a text when the kernel writes outside its results, leaves an element or a
 * pad lane unwritten. */
gie_status op_run(const struct op_device *d, const struct gie_graph *g, const struct gie_node *n,
                  const struct gie_kernel *k, const struct gie_variant *v, const struct op_form *form,
                  struct op_result *results);
/* Operand i as op_run() gives it to the kernel; count 0 and v NULL where it is omitted. */
gie_status op_operand(const struct gie_graph *g, const struct gie_node *n, uint32_t i, struct op_result *out);
void op_results_free(struct gie_context *ctx, struct op_result *results, uint32_t n);
/* Elements of constant `name` of g as a result; false if there is none. */
bool op_constant(const struct gie_graph *g, const char *name, struct op_result *out);
/* Whether a is b within r·max|b|, element by element, NaN like NaN and infinity like infinity; text says
 * where it is worst. */
bool op_compare(const struct op_result *a, const struct op_result *b, double r, char *text, size_t size);
/* r for one rounding to that dtype. */
double op_epsilon(enum gie_dtype t);

#endif
