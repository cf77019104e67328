/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operators and how one is found. */
#include "plugins/onnx/onnx.h"

static const struct onnx_op ops[] = {
#define ONNX_OP(name, since, ir_op, attrs, function) {#name, since, ir_op, attrs, onnx_lower_##function},
#include "plugins/onnx/op_list.h"
};

static int compare(const void *name, const void *op)
{
  return strcmp(name, ((const struct onnx_op *)op)->name);
}

const struct onnx_op *onnx_find_op(const char *name)
{
  return bsearch(name, ops, sizeof ops / sizeof ops[0], sizeof ops[0], compare);
}

/* Old operators that became others (Crop, Upsample) are no way back. */
const struct onnx_op *onnx_op_of(const char *ir_op)
{
  for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
    if (*ops[i].ir_op && strcmp(ops[i].ir_op, ir_op) == 0 && ops[i].lower != onnx_lower_crop &&
        ops[i].lower != onnx_lower_upsample)
      return &ops[i];
  return NULL;
}
