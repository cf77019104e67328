/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors from .pb files, the operators of a model, and the comparison of results. The files are those of the
 * test data package: they are trusted, so the generated parser alone is enough. */
#include "core/base/base.h"
#include "plugins/onnx/onnx.pb-c.h"
#include "tests/onnx/node_tests.h"
#include <math.h>

static unsigned char *read_whole(const char *path, size_t *size)
{
  FILE *f = fopen(path, "rb");
  if (!f)
    return NULL;
  fseek(f, 0, SEEK_END);
  long n = ftell(f);
  rewind(f);
  unsigned char *p = n >= 0 ? malloc((size_t)n + 1) : NULL;
  if (p && fread(p, 1, (size_t)n, f) != (size_t)n) {
    free(p);
    p = NULL;
  }
  fclose(f);
  *size = (size_t)n;
  return p;
}

/* ---- Tensors ------------------------------------------------------------------------------------- */

static enum gie_dtype dtype_of(int32_t t)
{
  static const enum gie_dtype types[] = {GIE_DTYPE_NONE, GIE_F32, GIE_U8,  GIE_I8,         GIE_U16,
                                         GIE_I16,        GIE_I32, GIE_I64, GIE_DTYPE_NONE, GIE_BOOL,
                                         GIE_F16,        GIE_F64, GIE_U32, GIE_U64,        GIE_DTYPE_NONE,
                                         GIE_DTYPE_NONE, GIE_BF16};
  return t > 0 && (size_t)t < sizeof types / sizeof types[0] ? types[t] : GIE_DTYPE_NONE;
}

/* Element i of the typed fields, in the low bytes. */
static uint64_t typed_element(const Onnx__Tensor *t, size_t i)
{
  uint64_t v = 0;
  if (t->n_float_data > i)
    memcpy(&v, &t->float_data[i], 4);
  else if (t->n_double_data > i)
    memcpy(&v, &t->double_data[i], 8);
  else if (t->n_int32_data > i)
    v = (uint64_t)t->int32_data[i];
  else if (t->n_int64_data > i)
    v = (uint64_t)t->int64_data[i];
  else if (t->n_uint64_data > i)
    v = t->uint64_data[i];
  return v;
}

static const char *convert(const Onnx__Tensor *p, struct gie_tensor *t)
{
  size_t count = 1;
  *t = (struct gie_tensor){.struct_size = sizeof *t,
                           .dtype = dtype_of(p->data_type),
                           .rank = (int32_t)p->n_dims};
  if (!t->dtype)
    return "an element type that gie does not have";
  if (p->n_dims > GIE_MAX_RANK)
    return "rank above the limit";
  for (size_t i = 0; i < p->n_dims; i++) {
    t->dim[i] = p->dims[i];
    count *= (size_t)p->dims[i];
  }
  size_t size = gie_dtype_size(t->dtype);
  t->data = calloc(count + 1, size);
  if (!t->data)
    return "out of memory";
  if (p->has_raw_data && p->raw_data.len != count * size)
    return "raw_data of the wrong size";
  if (p->has_raw_data && count)
    memcpy(t->data, p->raw_data.data, count * size);
  for (size_t i = 0; !p->has_raw_data && i < count; i++) {
    uint64_t v = typed_element(p, i);
    memcpy((char *)t->data + i * size, &v, size);
  }
  return NULL;
}

bool node_read_tensor(const char *path, struct gie_tensor *t, const char **why)
{
  size_t size;
  unsigned char *bytes = read_whole(path, &size);
  Onnx__Tensor *p = bytes ? onnx__tensor__unpack(NULL, size, bytes) : NULL;
  *why = !bytes ? "cannot be read" : !p ? "is no tensor" : convert(p, t);
  if (p)
    onnx__tensor__free_unpacked(p, NULL);
  free(bytes);
  return !*why;
}

/* ---- Comparison ----------------------------------------------------------------------------------- */

static double float_at(const struct gie_tensor *t, size_t i)
{
  const char *p = t->data;
  uint16_t h;
  float f;
  double d;
  switch (t->dtype) {
  case GIE_F32:
    memcpy(&f, p + 4 * i, 4);
    return (double)f;
  case GIE_F64:
    memcpy(&d, p + 8 * i, 8);
    return d;
  default:
    memcpy(&h, p + 2 * i, 2);
    return (double)(t->dtype == GIE_F16 ? gie_f16_to_f32(h) : gie_bf16_to_f32(h));
  }
}

/* The cases' bf16 results are cut off instead of rounded, so that they may be off by one unit. */
static bool floats_equal(enum gie_dtype dtype, double a, double b)
{
  if (isnan(a) || isnan(b))
    return isnan(a) && isnan(b);
  if (isinf(a) || isinf(b))
    return a == b;
  return fabs(a - b) <= 1e-7 + (dtype == GIE_BF16 ? 0x1p-7 : 1e-3) * fabs(b);
}

bool node_compare(const struct gie_tensor *got, const struct gie_tensor *wanted, char *text, size_t size)
{
  size_t count = 1, wrong = 0, element = gie_dtype_size(got->dtype);
  if (got->dtype != wanted->dtype) {
    snprintf(text, size, "element type %s instead of %s", gie_dtype_name(got->dtype),
             gie_dtype_name(wanted->dtype));
    return false;
  }
  for (int i = 0; i < wanted->rank; i++)
    count *= (size_t)wanted->dim[i];
  if (got->rank != wanted->rank ||
      memcmp(got->dim, wanted->dim, (size_t)got->rank * sizeof got->dim[0]) != 0) {
    snprintf(text, size, "rank %d, first dim %lld instead of rank %d, first dim %lld", got->rank,
             (long long)got->dim[0], wanted->rank, (long long)wanted->dim[0]);
    return false;
  }
  bool is_float = gie_dtype_class(got->dtype) == 'f';
  for (size_t i = 0; i < count; i++) {
    bool same = is_float ? floats_equal(got->dtype, float_at(got, i), float_at(wanted, i))
                         : memcmp((char *)got->data + i * element, (char *)wanted->data + i * element,
                                  element) == 0;
    if (!same && wrong++ == 0)
      snprintf(text, size, "element %zu of %zu: %g instead of %g", i, count, is_float ? float_at(got, i) : 0,
               is_float ? float_at(wanted, i) : 0);
  }
  return wrong == 0;
}

/* ---- Models ----------------------------------------------------------------------------------------- */

static void add_op(struct node_case *c, const char *op)
{
  for (unsigned i = 0; i < c->n_ops; i++)
    if (strcmp(c->ops[i], op) == 0)
      return;
  if (c->n_ops < NODE_MAX_OPS)
    c->ops[c->n_ops++] = strdup(op);
}

bool node_read_ops(const char *path, struct node_case *c)
{
  size_t size;
  unsigned char *bytes = read_whole(path, &size);
  Onnx__Model *m = bytes ? onnx__model__unpack(NULL, size, bytes) : NULL;
  free(bytes);
  if (!m || !m->graph)
    return false;
  for (size_t i = 0; i < m->n_opset_import; i++)
    if (!m->opset_import[i]->domain || !*m->opset_import[i]->domain)
      c->opset = m->opset_import[i]->version;
  for (size_t i = 0; i < m->graph->n_node; i++)
    add_op(c, m->graph->node[i]->op_type);
  onnx__model__free_unpacked(m, NULL);
  return true;
}
