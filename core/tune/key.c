/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a problem: what a measurement depends on, on one line. Attributes stand in the order of
 * the op's table and only where they differ from their default, so that two ways to write one node
 * share a key. Numbers are printed without the locale. */
#include "core/module/registry.h"
#include "core/tune/tune.h"

/* Lists whose absence means the same as a list of that number. */
static const struct {
  const char *name;
  int64_t fill;
} FILLS[] = {{"stride", 1}, {"dilation", 1}, {"pad", 0}, {"output_pad", 0}};

static bool is_default_list(const struct gie_op *op, const struct gie_attr *a)
{
  if (ir_builtin_find(op->name) != op)
    return false;
  for (size_t i = 0; i < sizeof FILLS / sizeof *FILLS; i++) {
    if (strcmp(FILLS[i].name, a->name) != 0)
      continue;
    for (uint32_t j = 0; j < a->n; j++)
      if (a->u.is[j] != FILLS[i].fill)
        return false;
    return true;
  }
  return false;
}

static bool is_default(const struct gie_op *op, const struct gie_attr_spec *s, const struct gie_attr *a)
{
  if (a->kind == GIE_ATTR_INTS)
    return is_default_list(op, a);
  if (s->presence != GIE_DEFAULT)
    return false;
  if (a->kind == GIE_ATTR_STRING)
    return s->text && strcmp(s->text, a->u.s) == 0;
  if (a->kind == GIE_ATTR_FLOAT)
    return a->u.f == s->num;
  return (a->kind == GIE_ATTR_INT || a->kind == GIE_ATTR_DTYPE) && (double)a->u.i == s->num;
}

static void put_type(struct gie_buf *b, const struct gie_type *t)
{
  gie_buf_printf(b, "%s[", gie_dtype_name(t->dtype));
  for (int i = 0; i < t->shape.rank; i++)
    gie_buf_printf(b, "%s%lld", i ? "," : "", (long long)t->shape.dim[i].b);
  gie_buf_puts(b, "]");
}

static void put_string(struct gie_buf *b, const char *s, size_t n)
{
  gie_buf_puts(b, "\"");
  gie_buf_escape(b, s, n);
  gie_buf_puts(b, "\"");
}

static void put_attr(struct gie_buf *b, const struct gie_attr *a)
{
  char num[GIE_NUMBER_MAX];
  gie_buf_printf(b, "%s=", a->name);
  switch (a->kind) {
  case GIE_ATTR_INT:
    gie_buf_printf(b, "%lld", (long long)a->u.i);
    break;
  case GIE_ATTR_FLOAT:
    gie_buf_puts(b, gie_double_text(a->u.f, num));
    break;
  case GIE_ATTR_STRING:
    put_string(b, a->u.s, a->n);
    break;
  case GIE_ATTR_DTYPE:
    gie_buf_puts(b, gie_dtype_name((enum gie_dtype)a->u.i));
    break;
  case GIE_ATTR_INTS:
  case GIE_ATTR_FLOATS:
  case GIE_ATTR_STRINGS:
    gie_buf_puts(b, "[");
    for (uint32_t i = 0; i < a->n; i++) {
      gie_buf_puts(b, i ? "," : "");
      if (a->kind == GIE_ATTR_INTS)
        gie_buf_printf(b, "%lld", (long long)a->u.is[i]);
      else if (a->kind == GIE_ATTR_FLOATS)
        gie_buf_puts(b, gie_double_text(a->u.fs[i], num));
      else
        put_string(b, a->u.ss[i], strlen(a->u.ss[i]));
    }
    gie_buf_puts(b, "]");
    break;
  case GIE_ATTR_TENSOR: /* what it is filled with costs the same */
    put_type(b, &a->u.t->type);
    break;
  case GIE_ATTR_GRAPH:
    break; /* problems have no bodies */
  }
}

static void put_attrs(struct gie_buf *b, const struct gie_op *op, const struct gie_attrs *attrs)
{
  uint32_t n = 0;
  for (const struct gie_attr_spec *s = op->attrs; s && s->name; s++) {
    const struct gie_attr *a = gie_attrs_find(attrs, s->name);
    if (!a || is_default(op, s, a))
      continue;
    gie_buf_puts(b, n++ ? ", " : " {");
    put_attr(b, a);
  }
  if (n)
    gie_buf_puts(b, "}");
}

/* Quantized and how; scales cost nothing, zeros that are not 0 may. */
static void put_quant(struct gie_buf *b, const struct gie_quant *q)
{
  bool zero = true;
  if (q->n == 0)
    return;
  for (uint32_t i = 0; i < q->n; i++)
    zero = zero && q->zero[i] == 0;
  gie_buf_printf(b, " q(%s", zero ? "0" : "z");
  if (q->axis >= 0)
    gie_buf_printf(b, ",axis=%d", (int)q->axis);
  gie_buf_puts(b, ")");
}

static void put_ints(struct gie_buf *b, const struct gie_graph *g, const struct gie_value *v)
{
  int64_t known[GIE_MAX_KNOWN];
  uint32_t n;
  if (v->kind != GIE_VALUE_CONST || !gie_value_ints(g, v->id, known, GIE_MAX_KNOWN, &n))
    return;
  gie_buf_puts(b, "{");
  for (uint32_t i = 0; i < n; i++)
    gie_buf_printf(b, "%s%lld", i ? "," : "", (long long)known[i]);
  gie_buf_puts(b, "}");
}

static void put_value(struct gie_buf *b, const struct gie_graph *g, const struct gie_node *n, uint32_t slot)
{
  static const struct gie_layout plain;
  const struct gie_value *v = gie_value_get(g, slot < n->n_in ? n->in[slot] : n->out[slot - n->n_in]);
  char layout[64];
  if (!v) {
    gie_buf_puts(b, "_");
    return;
  }
  for (uint32_t j = 0; j < slot && slot < n->n_in; j++)
    if (n->in[j] == n->in[slot]) { /* read twice: its bytes move once */
      gie_buf_printf(b, "=%u", (unsigned)j);
      return;
    }
  gie_buf_puts(b, v->kind == GIE_VALUE_CONST ? "const " : "");
  put_type(b, &v->type);
  put_ints(b, g, v);
  if (!gie_layout_equal(&v->layout, &plain, v->type.shape.rank))
    gie_buf_printf(b, " %s", gie_layout_text(&v->layout, v->type.shape.rank, layout, sizeof layout));
  if (tune_is_pitched(n, slot))
    gie_buf_puts(b, " pitched");
  put_quant(b, &v->quant);
}

static void put_steps(struct gie_buf *b, const struct gie_node *n)
{
  for (uint32_t i = 0; i < n->n_steps; i++) {
    const struct gie_step *s = &n->steps[i];
    gie_buf_printf(b, " | %s%s", s->reverse ? "reverse " : "", s->op->name);
    if (s->operand >= 0)
      gie_buf_printf(b, "(%d)", (int)s->operand);
    put_attrs(b, s->op, &s->attrs);
  }
}

void tune_key_of_node(struct gie_buf *b, const struct gie_graph *g, const struct gie_node *n)
{
  static const char *const MATHS[] = {"", " math=tf32", " math=fast"};
  gie_buf_escape(b, n->op->name, strlen(n->op->name));
  gie_buf_puts(b, "(");
  for (uint32_t i = 0; i < n->n_in; i++) {
    gie_buf_puts(b, i ? ", " : "");
    put_value(b, g, n, i);
  }
  gie_buf_puts(b, ")");
  put_attrs(b, n->op, &n->attrs);
  put_steps(b, n);
  gie_buf_puts(b, MATHS[mod_math(n)]);
  gie_buf_puts(b, " -> ");
  for (uint32_t i = 0; i < n->n_out; i++) {
    gie_buf_puts(b, i ? ", " : "");
    put_value(b, g, n, n->n_in + i);
  }
}

gie_status tune_problem_key(const struct gie_graph *g, char **key)
{
  struct gie_buf b;
  gie_buf_init(&b, gie_graph_context(g));
  tune_key_of_node(&b, g, gie_node_get(g, gie_graph_first(g)));
  return gie_buf_take(&b, key, NULL);
}
