/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that stayed as they were on import: attributes and bodies as given. They mean what their operator set
 * says, so one whose form another version changed holds the model at its own. */
#include "plugins/onnx/export.h"

#define LOST "tensor of a type that is not supported" /* what the importer writes in place of one */

/* The operator sets that changed how an operator is written or what it does, not only its types. Source: the
 * ONNX operator change log. */
static const struct {
  const char *op;
  int version;
} changes[] = {
    {"AveragePool", 19},
    {"BatchNormalization", 9},
    {"BatchNormalization", 14},
    {"Clip", 11},
    {"Dropout", 12},
    {"GroupNormalization", 21},
    {"Hardmax", 13},
    {"LogSoftmax", 13},
    {"Pad", 11},
    {"ReduceL1", 18},
    {"ReduceL2", 18},
    {"ReduceLogSum", 18},
    {"ReduceLogSumExp", 18},
    {"ReduceMax", 18},
    {"ReduceMean", 18},
    {"ReduceMin", 18},
    {"ReduceProd", 18},
    {"ReduceSum", 13},
    {"ReduceSumSquare", 18},
    {"Resize", 11},
    {"Scan", 9},
    {"Scatter", 11},
    {"Slice", 10},
    {"Softmax", 13},
    {"Split", 13},
    {"Split", 18},
    {"Squeeze", 13},
    {"TopK", 10},
    {"TopK", 11},
    {"Unsqueeze", 13},
    {"Upsample", 9},
    {"Upsample", 10},
};

static gie_status check_version(struct ex *x, const char *type, int64_t own)
{
  for (size_t i = 0; own && i < sizeof changes / sizeof changes[0]; i++)
    if (strcmp(changes[i].op, type) == 0 && own < changes[i].version && changes[i].version <= x->opset)
      return gie_fail(x->ctx, GIE_E_UNSUPPORTED,
                      "kept as operator set %lld has it, which set %d changed, and the graph needs set %lld; "
                      "export the model again with that one",
                      (long long)own, changes[i].version, (long long)x->opset);
  return GIE_OK;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static gie_status put_value(struct ex *x, struct ex_scope *s, const struct gie_node *n,
                            const struct gie_attr *a, bool list, struct gie_buf *out)
{
  struct gie_buf m;
  gie_status st = GIE_OK;
  gie_buf_init(&m, x->ctx);
  if (a->kind == GIE_ATTR_TENSOR) {
    ex_tensor(&m, &a->u.t->type, (char *)gie_blob_data(a->u.t->data.blob) + a->u.t->data.offset,
              a->u.t->data.size, "");
    wire_message(out, list ? 10 : 5, &m);
  } else {
    st = ex_body(x, a->u.g, s, n, &m);
    wire_message(out, list ? 11 : 6, &m);
  }
  return st;
}

static enum onnx_attr_type put_plain(const struct gie_attr *a, struct gie_buf *out)
{
  float f;
  switch (a->kind) {
  case GIE_ATTR_INT:
    wire_int(out, 3, a->u.i);
    return ONNX_A_INT;
  case GIE_ATTR_DTYPE:
    wire_int(out, 3, onnx_data_type((enum gie_dtype)a->u.i));
    return ONNX_A_INT;
  case GIE_ATTR_FLOAT:
    f = (float)a->u.f;
    wire_tag(out, 2, 5);
    gie_buf_put(out, &f, sizeof f);
    return ONNX_A_FLOAT;
  case GIE_ATTR_STRING:
    wire_bytes(out, 4, a->u.s, a->n);
    return ONNX_A_STRING;
  case GIE_ATTR_INTS:
    for (uint32_t i = 0; i < a->n; i++)
      wire_int(out, 8, a->u.is[i]);
    return ONNX_A_INTS;
  case GIE_ATTR_FLOATS:
    for (uint32_t i = 0; i < a->n; i++) {
      f = (float)a->u.fs[i];
      wire_tag(out, 7, 5);
      gie_buf_put(out, &f, sizeof f);
    }
    return ONNX_A_FLOATS;
  default:
    for (uint32_t i = 0; i < a->n; i++)
      wire_text(out, 9, a->u.ss[i]);
    return ONNX_A_STRINGS;
  }
}

/* Length of "name" in "name.<k>", which the importer makes of element k of a list; 0: it is none. */
static size_t list_stem(const struct gie_attr *a, unsigned k)
{
  char suffix[16];
  size_t n = strlen(a->name);
  int len = snprintf(suffix, sizeof suffix, ".%u", k);
  bool listed = a->kind == GIE_ATTR_TENSOR || a->kind == GIE_ATTR_GRAPH;
  return listed && n > (size_t)len && strcmp(a->name + n - (size_t)len, suffix) == 0 ? n - (size_t)len : 0;
}

/* Writes attribute i, with those that are the rest of its list; *next is the one behind. */
static gie_status put_attr(struct ex *x, struct ex_scope *s, const struct gie_node *n, uint32_t i,
                           struct gie_buf *node, uint32_t *next)
{
  const struct gie_attr *v = n->attrs.v, *a = &v[i];
  size_t stem = list_stem(a, 0);
  struct gie_buf b;
  gie_status st = GIE_OK;
  int type;
  *next = i + 1;
  if (a->kind == GIE_ATTR_STRING && strcmp(a->u.s, LOST) == 0)
    return gie_fail(x->ctx, GIE_E_UNSUPPORTED, "attribute %.200s is a %s; write .gie", a->name, LOST);
  gie_buf_init(&b, x->ctx);
  wire_bytes(&b, 1, a->name, stem ? stem : strlen(a->name));
  if (a->kind != GIE_ATTR_TENSOR && a->kind != GIE_ATTR_GRAPH) {
    type = put_plain(a, &b);
  } else if (!stem) {
    type = a->kind == GIE_ATTR_TENSOR ? ONNX_A_TENSOR : ONNX_A_GRAPH;
    st = put_value(x, s, n, a, false, &b);
  } else {
    type = a->kind == GIE_ATTR_TENSOR ? ONNX_A_TENSORS : ONNX_A_GRAPHS;
    for (unsigned k = 0; st == GIE_OK && i + k < n->attrs.n && v[i + k].kind == a->kind; k++) {
      if (list_stem(&v[i + k], k) != stem || memcmp(v[i + k].name, a->name, stem) != 0)
        break;
      st = put_value(x, s, n, &v[i + k], true, &b);
      *next = i + k + 1;
    }
  }
  wire_int(&b, 20, type);
  wire_message(node, 5, &b);
  return st;
}

/* ---- The node -------------------------------------------------------------------------------- */

/* "ai.onnx::Loop" → "" and "Loop". */
static gie_status split_name(struct ex *x, const char *op, const char **domain, const char **type)
{
  const char *at = strstr(op, "::");
  if (!at)
    return gie_fail(x->ctx, GIE_E_UNSUPPORTED,
                    "an operator without a domain has no form in ONNX; write .gie");
  char *d = gie_arena_copy(&x->arena, op, (size_t)(at - op) + 1, 1);
  if (!d)
    return GIE_E_MEMORY;
  d[at - op] = '\0';
  *domain = strcmp(d, "ai.onnx") == 0 ? "" : d;
  *type = at + 2;
  return GIE_OK;
}

gie_status ex_attrs(struct ex *x, struct ex_scope *s, const struct gie_node *n, struct gie_buf *node)
{
  for (uint32_t i = 0; i < n->attrs.n;) {
    if (!(n->op->flags & GIE_OP_OPAQUE) && strcmp(n->attrs.v[i].name, "opset") == 0)
      i++; /* the importer's word for the version of the operator set */
    else
      GIE_TRY(put_attr(x, s, n, i, node, &i));
  }
  return GIE_OK;
}

gie_status ex_raw(struct ex *x, struct ex_scope *s, const struct gie_node *n, const char *const *results,
                  struct gie_buf *out)
{
  const char *domain = "", *type = "";
  const struct gie_attr *opset = gie_attrs_find(&n->notes, "opset");
  int64_t own = opset && opset->kind == GIE_ATTR_INT ? opset->u.i : 0;
  struct gie_buf node;
  GIE_TRY(split_name(x, n->op->name, &domain, &type));
  if (*domain)
    GIE_TRY(ex_domain(x, domain, own));
  else
    GIE_TRY(check_version(x, type, own));
  if (strcmp(n->op->name, "ai.onnx::Constant") == 0 && !n->attrs.n)
    return gie_fail(x->ctx, GIE_E_UNSUPPORTED, "the constant's type is not supported and its data not kept");
  const char **in = gie_arena_alloc(&x->arena, (size_t)n->n_operands + 1, sizeof *in);
  if (!in)
    return GIE_E_MEMORY;
  for (uint32_t i = 0; i < n->n_operands; i++)
    in[i] = ex_name(s, n->in[i]);
  ex_node_begin(x, &node, in, n->n_operands, results, n->n_out);
  gie_status st = ex_attrs(x, s, n, &node);
  ex_node_end(out, &node, n->name, type, domain);
  return st;
}
