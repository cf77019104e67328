/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX node tests: models with inputs and expected outputs, run by gie and compared.
 *
 *     node_tests.c   finds and runs the cases, each in a process of its own
 *     node_data.c    tensors from .pb files, comparison
 *     node_doc.c     doc/onnx-support.md from ops.def and the results
 */
#ifndef GIE_TESTS_NODE_TESTS_H
#define GIE_TESTS_NODE_TESTS_H

#include <gie/gie.h>
#include <stdio.h>

#define NODE_MAX_OPS 64 /* operators of a case that are remembered */

enum node_outcome {
  NODE_PASSED,
  NODE_UNSUPPORTED, /* refused with E_UNSUPPORTED: `text` says what */
  NODE_WRONG,       /* anything else: wrong result, wrong error, crash, too slow */
};

struct node_case {
  char *set, *name;
  enum node_outcome outcome;
  char text[400];
  const char *reason; /* why it is excluded; NULL: it is not */
  int64_t opset;
  unsigned n_ops;
  char *ops[NODE_MAX_OPS]; /* operators of the default domain, each once */
};

struct node_exclusion {
  char *pattern, *reason;
  unsigned n_cases;
};

/* A tensor from a file that holds a TensorProto; frees with free(t->data). False with a reason. */
bool node_read_tensor(const char *path, struct gie_tensor *t, const char **why);
/* |a - b| <= 1e-7 + 1e-3 |b| for floats (bf16: 2^-7), NaN equals NaN; integers exactly. False with what differs. */
bool node_compare(const struct gie_tensor *got, const struct gie_tensor *wanted, char *text, size_t size);
/* Operators and opset of a model. */
bool node_read_ops(const char *path, struct node_case *c);

void node_write_doc(FILE *f, const struct node_case *cases, size_t n, const struct node_exclusion *exclusions,
                    size_t n_exclusions);

#endif
