/* SPDX-License-Identifier: Apache-2.0 */
/* What a variant says of the operands and results of a problem, checked against the op. */
#include "core/ir/ir.h"
#include "core/module/registry.h"

const struct gie_port *mod_port(const struct gie_problem *p, const struct gie_variant *v, uint32_t i)
{
  bool in = i < p->n_in;
  uint32_t k = in ? i : i - p->n_in;
  if (k >= (in ? v->n_in : v->n_out) || k >= GIE_MAX_IO)
    return in ? &v->any_in : &v->any_out;
  return in ? &v->in[k] : &v->out[k];
}

static enum gie_dtype given_dtype(const struct gie_problem *p, uint32_t i)
{
  return i < p->n_in ? p->in[i].dtype : p->out[i - p->n_in].dtype;
}

/* The element type that the port of an operand or result names, or that the problem has; NONE: omitted. */
static enum gie_dtype port_dtype(const struct gie_problem *p, const struct gie_variant *v, uint32_t i)
{
  enum gie_dtype given = given_dtype(p, i), named = mod_port(p, v, i)->dtype;
  return given == GIE_DTYPE_NONE || named == GIE_DTYPE_NONE ? given : named;
}

bool mod_changes_types(const struct gie_problem *p, const struct gie_variant *v)
{
  for (uint32_t i = 0; i < p->n_in + p->n_out; i++)
    if (port_dtype(p, v, i) != given_dtype(p, i))
      return true;
  return false;
}

static gie_status check_named(const struct gie_problem *p, const struct gie_variant *v)
{
  for (uint32_t i = 0; i < p->n_in + p->n_out; i++)
    if ((int)port_dtype(p, v, i) < 0 || port_dtype(p, v, i) >= GIE_DTYPE_COUNT)
      return gie_fail(p->ctx, GIE_E_TYPE, "element type %d of %s %u does not exist", (int)port_dtype(p, v, i),
                      i < p->n_in ? "operand" : "result", (unsigned)(i < p->n_in ? i : i - p->n_in));
  return GIE_OK;
}

static gie_status check_results(const struct gie_problem *p, const struct gie_variant *v,
                                const struct gie_type *made)
{
  for (uint32_t i = 0; i < p->n_out; i++) {
    enum gie_dtype wanted = port_dtype(p, v, p->n_in + i);
    if (made[i].dtype != GIE_DTYPE_NONE && made[i].dtype != wanted)
      return gie_fail(p->ctx, GIE_E_TYPE, "result %u is %s; %s makes it %s", (unsigned)i,
                      gie_dtype_name(wanted), p->node->op->name, gie_dtype_name(made[i].dtype));
  }
  return GIE_OK;
}

gie_status mod_check_types(const struct gie_problem *p, const struct gie_variant *v)
{
  struct gie_arena mem;
  if (!mod_changes_types(p, v))
    return GIE_OK;
  gie_arena_init(&mem, p->ctx);
  enum gie_dtype *as = gie_arena_alloc(&mem, p->n_in, sizeof *as);
  struct gie_type *made = gie_arena_alloc(&mem, p->n_out, sizeof *made);
  gie_status st = as && made ? check_named(p, v) : GIE_E_MEMORY;
  for (uint32_t i = 0; st == GIE_OK && i < p->n_in; i++)
    as[i] = port_dtype(p, v, i);
  if (st == GIE_OK)
    st = ir_infer_as(p->graph, p->node, as, made);
  if (st == GIE_OK)
    st = check_results(p, v, made);
  gie_arena_free(&mem);
  return st == GIE_OK || st == GIE_E_MEMORY ? st : gie_error_prefix(p->ctx, st, "mixes element types");
}
