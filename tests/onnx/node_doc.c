/* SPDX-License-Identifier: Apache-2.0 */
/* doc/onnx-support.md: what comes from ops.def, from the importer's table, and from the run. */
#include "tests/onnx/node_tests.h"
#include <string.h>

/* ---- Tables ---------------------------------------------------------------------------------------- */

/* Rows of ops.def that have an ONNX operator. */
static const struct ir_row {
  const char *name, *onnx;
  int tier;
  const char *operands, *help;
} ir_ops[] = {
#define GIE_OP(name, onnx, tier, flags, min_in, max_in, min_out, max_out, dtypes, infer, operands, help, \
               ...)                                                                                      \
  {#name, onnx, tier, operands, help},
#include "core/ir/ops.def"
#undef GIE_OP
};

static const struct onnx_row {
  const char *name;
  int since;
  const char *ir_op;
} onnx_ops[] = {
#define ONNX_OP(name, since, ir_op, attrs, function) {#name, since, ir_op},
#include "plugins/onnx/op_list.h"
};

#define N_IR (sizeof ir_ops / sizeof ir_ops[0])
#define N_ONNX (sizeof onnx_ops / sizeof onnx_ops[0])

static bool is_read(const char *onnx)
{
  for (size_t i = 0; i < N_ONNX; i++)
    if (strcmp(onnx_ops[i].name, onnx) == 0)
      return true;
  return false;
}

static const struct ir_row *ir_row(const char *onnx)
{
  for (size_t i = 0; i < N_IR; i++)
    if (strcmp(ir_ops[i].onnx, onnx) == 0)
      return &ir_ops[i];
  return NULL;
}

/* Forms that a sentence explains better than a table. */
static const struct {
  const char *onnx, *text;
} remarks[] = {
    {"Affine", "of ONNX 1.0 to 1.4: mul, add"},
    {"BatchNormalization", "inference form; training form and spatial=0 are refused"},
    {"Cast", "to the element types above"},
    {"CastLike", "to the element types above; that of operand 1 has to be known"},
    {"Clip", "constant bounds become attributes, others max and min"},
    {"Constant", "all forms but strings and sparse tensors; becomes a constant"},
    {"Crop", "of ONNX 1.0 to 1.4: slice"},
    {"Dropout", "inference form"},
    {"Gemm", "opset 6: C broadcasts as ever since"},
    {"If",
     "branches of known operators that yield the same element types and shapes, every size in them known before they run; on the host, with "
     "reference kernels. Any other goes when its condition is constant"},
    {"ImageScaler", "of ONNX 1.0 to 1.4: mul, add"},
    {"LayerNormalization", "statistics in f32"},
    {"LogSoftmax", "below opset 13: flatten, log_softmax, reshape where the axis is not the last"},
    {"Resize",
     "opset 10 nearest needs constant scales; tf_half_pixel_for_nn with nearest_mode floor or round_prefer_floor"},
    {"Softmax", "below opset 13: flatten, softmax, reshape where the axis is not the last"},
    {"Upsample", "resize, asymmetric"},
};

static const char *remark(const char *onnx)
{
  for (size_t i = 0; i < sizeof remarks / sizeof remarks[0]; i++)
    if (strcmp(remarks[i].onnx, onnx) == 0)
      return remarks[i].text;
  return "";
}

/* ---- Counting ---------------------------------------------------------------------------------------- */

static bool has_op(const struct node_case *c, const char *op)
{
  for (unsigned i = 0; i < c->n_ops; i++)
    if (strcmp(c->ops[i], op) == 0)
      return true;
  return false;
}

static unsigned count_op(const struct node_case *cases, size_t n, const char *op)
{
  unsigned count = 0;
  for (size_t i = 0; i < n; i++)
    count += cases[i].outcome == NODE_PASSED && has_op(&cases[i], op);
  return count;
}

static void write_sets(FILE *f, const struct node_case *cases, size_t n)
{
  fputs("| set | cases | passed | excluded |\n|---|---|---|---|\n", f);
  for (size_t i = 0; i < n;) {
    unsigned all = 0, passed = 0, excluded = 0;
    const char *set = cases[i].set;
    for (; i < n && strcmp(cases[i].set, set) == 0; i++, all++) {
      passed += cases[i].outcome == NODE_PASSED;
      excluded += cases[i].reason != NULL;
    }
    fprintf(f, "| %s | %u | %u | %u |\n", set, all, passed, excluded);
  }
}

/* Reasons in the order of the file, each with its number of cases. */
static void write_reasons(FILE *f, const struct node_exclusion *e, size_t n)
{
  fputs("| why excluded | cases |\n|---|---|\n", f);
  for (size_t i = 0; i < n; i++) {
    unsigned count = 0;
    bool seen = false;
    for (size_t k = 0; k < n; k++) {
      bool same = strcmp(e[k].reason, e[i].reason) == 0;
      count += same ? e[k].n_cases : 0;
      seen = seen || (same && k < i);
    }
    if (!seen)
      fprintf(f, "| %s | %u |\n", e[i].reason, count);
  }
}

/* Operators of refused cases that are not in the table. */
static void write_missing(FILE *f, const struct node_case *cases, size_t n)
{
  const char *names[512];
  size_t count = 0;
  for (size_t i = 0; i < n; i++)
    for (unsigned k = 0; k < cases[i].n_ops; k++) {
      size_t at = 0;
      const char *op = cases[i].ops[k];
      if (ir_row(op) || is_read(op) || count + 1 == sizeof names / sizeof names[0])
        continue;
      while (at < count && strcmp(names[at], op) < 0)
        at++;
      if (at < count && strcmp(names[at], op) == 0)
        continue;
      memmove(&names[at + 1], &names[at], (count - at) * sizeof names[0]);
      names[at] = op;
      count++;
    }
  fputs("\nOperators of the cases that are not in the table:", f);
  for (size_t i = 0; i < count; i++)
    fprintf(f, "%s %s", i ? "," : "", names[i]);
  fputs(". NonMaxSuppression and RoiAlign come with the module `detection`.\n", f);
}

/* ---- The page ------------------------------------------------------------------------------------------ */

static const char head[] =
    "# ONNX support\n"
    "\n"
    "*Made by `make onnx-support` from `core/ir/ops.def`, `plugins/onnx/op_list.h` and a run of the ONNX node tests; a test checks "
    "that it is up to date.*\n"
    "\n"
    "Models of IR version 1 to 10 and operator sets 7 to 21 are imported; operator sets 1 to 6 where the operator's form is in the table "
    "below. Attributes that became operands over time are read in both forms. Element types: f32, f16, bf16, f64, i8 to i64, u8 to u64, "
    "bool. Weights may be inside the file in any of the fields ONNX allows, or in external files beside it. Initializers that are listed as inputs "
    "are constants. Functions of the model are inlined.\n"
    "\n"
    "A node that is not supported is kept as it is, with the reason: `gie check MODEL` lists all of them at once, and `run` refuses the "
    "model. Not supported: operators that are not in the table, strings, sequences, optionals, maps, sparse tensors, complex, 8-bit and "
    "4-bit floats, 4-bit integers, training forms.\n"
    "\n"
    "Limits: 2^20 nodes, rank 8, names of 4096 bytes, graphs nested 32 deep, 2 GiB of everything but tensor data.\n"
    "\n";

void node_write_doc(FILE *f, const struct node_case *cases, size_t n, const struct node_exclusion *exclusions,
                    size_t n_exclusions)
{
  fputs(head, f);
  fputs(
      "## Operators\n\n`from`: first operator set whose form is read. `tests`: node tests with the operator that pass.\n\n"
      "| operator | from | becomes | tests | remarks |\n|---|---|---|---|---|\n",
      f);
  for (size_t i = 0; i < N_ONNX; i++) {
    const struct onnx_row *o = &onnx_ops[i];
    const struct ir_row *r = ir_row(o->name);
    fprintf(f, "| %s | %d | %s | %u | %s |\n", o->name, o->since,
            r           ? r->name
            : *o->ir_op ? o->ir_op
                        : "several",
            count_op(cases, n, o->name), remark(o->name));
  }
  fputs(
      "\n## Node tests\n\nThe test data of ONNX as Debian packages it (`libonnx-testdata`). Every case runs on the reference backend, without passes and "
      "with the default ones, and every output must agree within 1e-7 + 1e-3·|expected|. Excluded cases (`tests/onnx/excluded.txt`) must be refused as "
      "unsupported.\n\n",
      f);
  write_sets(f, cases, n);
  fputs("\n", f);
  write_reasons(f, exclusions, n_exclusions);
  write_missing(f, cases, n);
}
