/* SPDX-License-Identifier: Apache-2.0 */
/* Element types, dims and symbols. */
#include "plugins/onnx/onnx.h"

/* By data_type; what the IR does not have is named for messages. */
static const struct {
  enum gie_dtype dtype;
  const char *name;
} types[] = {
    [ONNX_FLOAT] = {GIE_F32, "float"},
    [ONNX_UINT8] = {GIE_U8, "uint8"},
    [ONNX_INT8] = {GIE_I8, "int8"},
    [ONNX_UINT16] = {GIE_U16, "uint16"},
    [ONNX_INT16] = {GIE_I16, "int16"},
    [ONNX_INT32] = {GIE_I32, "int32"},
    [ONNX_INT64] = {GIE_I64, "int64"},
    [ONNX_STRING] = {GIE_DTYPE_NONE, "string"},
    [ONNX_BOOL] = {GIE_BOOL, "bool"},
    [ONNX_FLOAT16] = {GIE_F16, "float16"},
    [ONNX_DOUBLE] = {GIE_F64, "double"},
    [ONNX_UINT32] = {GIE_U32, "uint32"},
    [ONNX_UINT64] = {GIE_U64, "uint64"},
    [ONNX_COMPLEX64] = {GIE_DTYPE_NONE, "complex64"},
    [ONNX_COMPLEX128] = {GIE_DTYPE_NONE, "complex128"},
    [ONNX_BFLOAT16] = {GIE_BF16, "bfloat16"},
    [17] = {GIE_DTYPE_NONE, "float8e4m3fn"},
    [18] = {GIE_DTYPE_NONE, "float8e4m3fnuz"},
    [19] = {GIE_DTYPE_NONE, "float8e5m2"},
    [20] = {GIE_DTYPE_NONE, "float8e5m2fnuz"},
    [21] = {GIE_DTYPE_NONE, "uint4"},
    [22] = {GIE_DTYPE_NONE, "int4"},
    [23] = {GIE_DTYPE_NONE, "float4e2m1"},
};

enum gie_dtype onnx_dtype(int32_t t)
{
  return t > 0 && (size_t)t < sizeof types / sizeof types[0] ? types[t].dtype : GIE_DTYPE_NONE;
}

int32_t onnx_data_type(enum gie_dtype dtype)
{
  for (int32_t t = 1; dtype && (size_t)t < sizeof types / sizeof types[0]; t++)
    if (types[t].dtype == dtype)
      return t;
  return 0;
}

const char *onnx_dtype_name(int32_t t)
{
  return t > 0 && (size_t)t < sizeof types / sizeof types[0] ? types[t].name : NULL;
}

const char *onnx_foreign_type(const Onnx__Type *t)
{
  if (!t)
    return NULL;
  if (t->sequence)
    return "a sequence";
  if (t->map)
    return "a map";
  if (t->opaque)
    return "of an opaque type";
  if (t->sparse)
    return "a sparse tensor";
  if (t->optional_type)
    return "an optional";
  if (t->tensor && t->tensor->has_elem_type && !onnx_dtype(t->tensor->elem_type))
    return onnx_dtype_name(t->tensor->elem_type) ? onnx_dtype_name(t->tensor->elem_type) : NULL;
  return NULL;
}

/* A dim without a name: unknown, or in an input the symbol "<input>_d<axis>". */
static gie_status unnamed_dim(struct onnx_scope *s, const char *input, size_t axis, struct gie_dim *out)
{
  char name[GIE_MAX_NAME + 1];
  *out = gie_dim_unknown();
  if (!input)
    return GIE_OK;
  snprintf(name, sizeof name, "%.*s_d%zu", GIE_MAX_NAME - 8, input, axis);
  *out = (struct gie_dim){1, 0, 0};
  return gie_graph_symbol(s->g, name, &out->sym);
}

/* Inputs define symbols; elsewhere a name that nothing has defined is an unknown dim. */
static gie_status named_dim(struct onnx_scope *s, const char *name, bool define, struct gie_dim *out)
{
  *out = (struct gie_dim){1, 0, 0};
  if (define)
    return gie_graph_symbol(s->g, name, &out->sym);
  for (uint32_t i = 0; i < gie_graph_n_symbols(s->g); i++)
    if (strcmp(gie_graph_symbol_name(s->g, i), name) == 0) {
      out->sym = i;
      return GIE_OK;
    }
  *out = gie_dim_unknown();
  return GIE_OK;
}

/* `input`: name of the input whose type it is, or NULL. What is no input can only say too much: a dim or rank that
 * cannot be is not known. */
static gie_status read_shape(struct onnx_scope *s, const Onnx__Shape *shape, const char *value,
                             const char *input, bool define, struct gie_shape *out)
{
  if (shape->n_dim > GIE_MAX_RANK && !input)
    return GIE_OK;
  if (shape->n_dim > GIE_MAX_RANK)
    return gie_fail(s->im->ctx, GIE_E_LIMIT, "\"%s\" has rank %zu; at most %d is supported", value,
                    shape->n_dim, GIE_MAX_RANK);
  out->rank = (int32_t)shape->n_dim;
  for (size_t i = 0; i < shape->n_dim; i++) {
    const Onnx__Dim *d = shape->dim[i];
    if (d->has_value && d->value < 0 && input)
      return gie_fail(s->im->ctx, GIE_E_SHAPE,
                      "\"%s\" has the dim %lld; name a dim that varies (dim_param) or leave it out", value,
                      (long long)d->value);
    if (d->has_value)
      out->dim[i] = d->value < 0 ? gie_dim_unknown() : gie_dim_num(d->value);
    else if (d->param && *d->param)
      GIE_TRY(named_dim(s, d->param, define, &out->dim[i]));
    else
      GIE_TRY(unnamed_dim(s, input, i, &out->dim[i]));
  }
  return GIE_OK;
}

static gie_status read_type(struct onnx_scope *s, const Onnx__ValueInfo *v, bool is_input, bool define,
                            struct gie_type *out)
{
  const char *name = onnx_str(v->name);
  *out = (struct gie_type){GIE_DTYPE_NONE, {.rank = -1}};
  if (!v->type || !v->type->tensor)
    return GIE_OK;
  const Onnx__TensorType *t = v->type->tensor;
  out->dtype = onnx_dtype(t->elem_type);
  if (t->elem_type && !onnx_dtype_name(t->elem_type))
    return gie_fail(s->im->ctx, GIE_E_TYPE, "\"%s\" has the element type %d, which does not exist", name,
                    (int)t->elem_type);
  return t->shape ? read_shape(s, t->shape, name, is_input ? name : NULL, define, &out->shape) : GIE_OK;
}

gie_status onnx_input_type(struct onnx_scope *s, const Onnx__ValueInfo *v, struct gie_type *out)
{
  return read_type(s, v, true, true, out);
}

gie_status onnx_output_type(struct onnx_scope *s, const Onnx__ValueInfo *v, bool define, struct gie_type *out)
{
  return read_type(s, v, false, define, out);
}

static gie_status index_infos(struct onnx_scope *s)
{
  size_t n_outputs = s->proto ? s->proto->n_output : 0;
  for (size_t i = 0; i < s->n_infos; i++)
    if (s->infos[i]->name)
      GIE_TRY(gie_map_set(&s->info_map, s->infos[i]->name, (uint32_t)i));
  for (size_t i = 0; i < n_outputs; i++)
    if (s->proto->output[i]->name)
      GIE_TRY(gie_map_set(&s->info_map, s->proto->output[i]->name, (uint32_t)(s->n_infos + i)));
  s->has_info_map = true;
  return GIE_OK;
}

gie_status onnx_declared_type(struct onnx_scope *s, const char *name, struct gie_type *out)
{
  *out = (struct gie_type){GIE_DTYPE_NONE, {.rank = -1}};
  if (!s->has_info_map)
    GIE_TRY(index_infos(s));
  uint32_t i = gie_map_get(&s->info_map, name);
  if (i == UINT32_MAX)
    return GIE_OK;
  return read_type(s, i < s->n_infos ? s->infos[i] : s->proto->output[i - s->n_infos], false, false, out);
}

/* ---- What a graph declares of its outputs ---------------------------------------------------- */

static const char *type_text(const struct onnx_scope *s, const struct gie_type *t, char *buf, size_t size)
{
  char shape[200];
  snprintf(buf, size, "%s%s", t->dtype ? gie_dtype_name(t->dtype) : "?",
           gie_shape_text(s->g, &t->shape, shape, sizeof shape));
  return buf;
}

static bool may_be_same(const struct gie_shape *a, const struct gie_shape *b)
{
  bool same = a->rank < 0 || b->rank < 0 || a->rank == b->rank;
  for (int i = 0; same && i < a->rank && i < b->rank; i++)
    same = !gie_dim_is_num(a->dim[i]) || !gie_dim_is_num(b->dim[i]) || a->dim[i].b == b->dim[i].b;
  return same;
}

void onnx_fill_type(struct gie_type *type, const struct gie_type *from, bool dims)
{
  struct gie_shape *s = &type->shape;
  if (!type->dtype)
    type->dtype = from->dtype;
  if (s->rank < 0) {
    s->rank = from->shape.rank;
    for (int i = 0; i < s->rank; i++)
      s->dim[i] = gie_dim_unknown();
  }
  for (int i = 0; dims && s->rank == from->shape.rank && i < s->rank; i++)
    if (!gie_dim_is_known(s->dim[i]))
      s->dim[i] = from->shape.dim[i];
}

/* Another element type is an error. Shapes that were left as they were when the inputs changed are common, and what
 * the nodes make is the better one. */
gie_status onnx_take_declared(struct onnx_scope *s, const Onnx__ValueInfo *info, gie_id id, bool dims)
{
  const struct gie_value *v = gie_value_get(s->g, id);
  struct gie_type declared, type = v->type;
  char a[256], b[256];
  GIE_TRY(onnx_output_type(s, info, dims && !s->depth, &declared));
  if (declared.dtype && type.dtype && declared.dtype != type.dtype)
    return gie_fail(s->im->ctx, GIE_E_TYPE, "output \"%.200s\" is declared as %s, but the graph makes it %s",
                    v->name, type_text(s, &declared, a, sizeof a), type_text(s, &type, b, sizeof b));
  if (!may_be_same(&declared.shape, &type.shape)) {
    gie_log(s->im->ctx, GIE_LOG_WARN, "onnx",
            "%s: output \"%.200s\" is declared as %s, but the graph makes it %s", s->im->src->path, v->name,
            type_text(s, &declared, a, sizeof a), type_text(s, &type, b, sizeof b));
    return GIE_OK;
  }
  onnx_fill_type(&type, &declared, dims);
  return v->kind == GIE_VALUE_RESULT ? gie_value_set_type(s->g, id, &type) : GIE_OK;
}
