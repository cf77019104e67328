/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in ops: ops.def expanded into the rows of the registry, and looking one up by name. */
#include "core/ir/infer.h"
#include <math.h>

/* ---- Attribute lists: one array per op, ended by an entry without a name */

#define GIE_A_INT(a, def) {#a, GIE_ATTR_INT, GIE_DEFAULT, def, NULL},
#define GIE_A_INT_REQ(a) {#a, GIE_ATTR_INT, GIE_REQUIRED, 0, NULL},
#define GIE_A_FLOAT(a, def) {#a, GIE_ATTR_FLOAT, GIE_DEFAULT, def, NULL},
#define GIE_A_STRING(a, def) {#a, GIE_ATTR_STRING, GIE_DEFAULT, 0, def},
#define GIE_A_INTS(a) {#a, GIE_ATTR_INTS, GIE_OPTIONAL, 0, NULL},
#define GIE_A_INTS_REQ(a) {#a, GIE_ATTR_INTS, GIE_REQUIRED, 0, NULL},
#define GIE_A_DTYPE_REQ(a) {#a, GIE_ATTR_DTYPE, GIE_REQUIRED, 0, NULL},
#define GIE_A_TENSOR(a) {#a, GIE_ATTR_TENSOR, GIE_OPTIONAL, 0, NULL},
#define GIE_A_GRAPH_REQ(a) {#a, GIE_ATTR_GRAPH, GIE_REQUIRED, 0, NULL},

#define GIE_OP(name, onnx, tier, flags, min_in, max_in, min_out, max_out, dtypes, infer, operands, help, \
               ...)                                                                                      \
  static const struct gie_attr_spec attrs_##name[] = {__VA_ARGS__{NULL, GIE_ATTR_INT, GIE_OPTIONAL, 0, NULL}};
#include "core/ir/ops.def"
#undef GIE_OP

static const struct gie_op ops[] = {
#define GIE_OP(name, onnx, tier, flags, min_in, max_in, min_out, max_out, dtypes, infer, operands, help, \
               ...)                                                                                      \
  {sizeof(struct gie_op), #name, flags, min_in, max_in, min_out, max_out, dtypes, attrs_##name,          \
   ir_shape_##infer,      help},
#include "core/ir/ops.def"
#undef GIE_OP
};

static const struct ir_op_doc docs[] = {
#define GIE_OP(name, onnx, tier, flags, min_in, max_in, min_out, max_out, dtypes, infer, operands, help, \
               ...)                                                                                      \
  {onnx, operands, tier},
#include "core/ir/ops.def"
#undef GIE_OP
};

enum { N_OPS = sizeof ops / sizeof ops[0] };

const struct gie_op *ir_builtin_op(unsigned i) { return i < N_OPS ? &ops[i] : NULL; }

const struct ir_op_doc *ir_builtin_doc(unsigned i) { return i < N_OPS ? &docs[i] : NULL; }

const struct ir_op_doc *ir_op_doc(const struct gie_op *op)
{
  uintptr_t at = (uintptr_t)op - (uintptr_t)ops;
  return (uintptr_t)op >= (uintptr_t)ops && at < sizeof ops ? &docs[at / sizeof ops[0]] : NULL;
}

/* ---- Lookup: an open-addressing index over constant data, filled on first use and never changed */

enum { N_SLOTS = 512 };
_Static_assert(N_OPS * 2 <= N_SLOTS && N_OPS < UINT8_MAX, "the index over the built-in ops is too small");

static struct {
  pthread_once_t once;
  uint8_t slot[N_SLOTS]; /* 0: free, else op number + 1 */
} by_name = {PTHREAD_ONCE_INIT, {0}};

/* FNV-1a */
static unsigned hash(const char *s)
{
  uint32_t h = 2166136261u;
  for (; *s; s++)
    h = (h ^ (unsigned char)*s) * 16777619u;
  return h % N_SLOTS;
}

static void fill_index(void)
{
  for (unsigned i = 0; i < N_OPS; i++) {
    unsigned at = hash(ops[i].name);
    while (by_name.slot[at])
      at = (at + 1) % N_SLOTS;
    by_name.slot[at] = (uint8_t)(i + 1);
  }
}

const struct gie_op *ir_builtin_find(const char *name)
{
  pthread_once(&by_name.once, fill_index);
  for (unsigned at = hash(name); by_name.slot[at]; at = (at + 1) % N_SLOTS)
    if (strcmp(ops[by_name.slot[at] - 1].name, name) == 0)
      return &ops[by_name.slot[at] - 1];
  return NULL;
}

/* ---- Operand declarations: "x w b?", "x indices:int", "x*" */

static uint32_t dtype_set(const char *s, size_t n)
{
  static const struct {
    const char *name;
    uint32_t set;
  } sets[] = {{"any", GIE_DT_ALL}, {"int", GIE_DT(I32) | GIE_DT(I64)}};
  for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
    if (strlen(sets[i].name) == n && memcmp(sets[i].name, s, n) == 0)
      return sets[i].set;
  for (int t = GIE_DTYPE_NONE + 1; t < GIE_DTYPE_COUNT; t++)
    if (strlen(gie_dtype_name(t)) == n && memcmp(gie_dtype_name(t), s, n) == 0)
      return 1u << t;
  return 0;
}

bool ir_op_operand(const struct gie_op *op, uint32_t i, struct ir_operand *out)
{
  const struct ir_op_doc *doc = ir_op_doc(op);
  if (!doc)
    return false;
  const char *s = doc->operands;
  for (uint32_t k = 0;; k++) {
    size_t len = strcspn(s, " ");
    char last = s[len - 1];
    if (k == i || last == '*') {
      size_t end = last == '*' || last == '?' ? len - 1 : len, name = strcspn(s, ":");
      out->name = s;
      out->name_len = (int)(name < end ? name : end);
      out->optional = last == '?';
      out->dtypes = name < end ? dtype_set(s + name + 1, end - name - 1) : 0;
      return true;
    }
    if (!s[len])
      return false;
    s += len + 1;
  }
}
