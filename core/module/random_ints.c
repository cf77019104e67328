/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of random networks that compute integers and truth; see random_graph.h. */
#include "core/module/random_gen.h"

static int int_number(struct gen *g, int v)
{
  gie_buf_printf(g->b, "  const %%k%d : %s[] = {%d}\n", g->k, g->ti, v);
  return g->k++;
}

void random_int_unary(struct gen *g)
{
  static const char *const ops[] = {"abs(%v)",      "clip(%v) {min=0, max=6}",
                                    "identity(%v)", "max(%v)",
                                    "relu(%v)",     "neg(%v)"};
  int x = pick_kind(g, INTS, 0);
  bool is_signed = g->ti[0] == 'i';
  const char *op = ops[rnd(g, is_signed ? 6 : 4)], *at = strstr(op, "%v");
  gie_buf_printf(g->b, "  %%v%d = %.*s%%v%d%s\n", g->n, (int)(at - op), op, x, at + 2);
  add(g, g->v[x]);
}

void random_int_binary(struct gen *g)
{
  static const char *const ops[] = {"add", "sub", "mul", "max", "min"};
  int x = pick_kind(g, INTS, 0), y = pick_like(g, x);
  if (rnd(g, 2))
    gie_buf_printf(g->b, "  %%v%d = %s(%%v%d, %%v%d)\n", g->n, ops[rnd(g, 5)], x, y);
  else if (rnd(g, 3))
    gie_buf_printf(g->b, "  %%v%d = %s(%%v%d, %%k%d)\n", g->n, ops[rnd(g, 5)], x,
                   int_number(g, (int)rnd(g, 3)));
  else
    gie_buf_printf(g->b, "  %%v%d = div(%%v%d, %%k%d)\n", g->n, x, int_number(g, 1 + (int)rnd(g, 4)));
  add(g, g->v[x]);
}

void random_compare_ints(struct gen *g)
{
  static const char *const ops[] = {"equal", "greater", "less"};
  int x = pick_kind(g, INTS, 0), y = pick_like(g, x);
  struct value v = g->v[x];
  gie_buf_printf(g->b, "  %%v%d = %s(%%v%d, %%v%d)\n", g->n, ops[rnd(g, 3)], x, y);
  v.kind = BOOLS;
  add(g, v);
}

void random_int_move(struct gen *g)
{
  int x = pick_kind(g, rnd(g, 3) ? INTS : BOOLS, 4), k;
  if (x < 0)
    return;
  struct value v = g->v[x];
  if (rnd(g, 2) && v.dim[1] < 6) {
    gie_buf_printf(g->b, "  %%v%d = concat(%%v%d, %%v%d) {axis=1}\n", g->n, x, x);
    v.dim[1] *= 2;
  } else if (rnd(g, 2)) {
    gie_buf_printf(
        g->b, "  %%t%d = transpose(%%v%d) {perm=[0,2,3,1]}\n  %%v%d = transpose(%%t%d) {perm=[0,3,1,2]}\n",
        g->k, x, g->n, g->k);
    g->k++;
  } else {
    k = ints(g, 2, (const int64_t[]){0, v.dim[1] * v.dim[2] * v.dim[3]});
    gie_buf_printf(g->b, "  %%v%d = reshape(%%v%d, %%k%d)\n", g->n, x, k);
    v = (struct value){2, {0, v.dim[1] * v.dim[2] * v.dim[3]}, v.kind};
  }
  add(g, v);
}

/* Truth chooses between floats, or counts. */
void random_where(struct gen *g)
{
  int c = pick_kind(g, BOOLS, 0), x = -1;
  if (c < 0)
    return;
  struct value v = g->v[c];
  v.kind = FLOATS;
  for (int i = 0; i < g->n; i++)
    if (g->v[i].kind == FLOATS && g->v[i].rank == v.rank && memcmp(g->v[i].dim, v.dim, sizeof v.dim) == 0)
      x = i;
  if (x >= 0 && rnd(g, 3))
    gie_buf_printf(g->b, "  %%v%d = where(%%v%d, %%v%d, %%k%d)\n", g->n, c, x, number(g, 0.25));
  else
    gie_buf_printf(g->b, "  %%t%d = not(%%v%d)\n  %%v%d = cast(%%t%d) {to=%s}\n", g->k, c, g->n, g->k, g->t);
  g->k++;
  add(g, v);
}

/* Small enough that no float type rounds them. */
void random_to_floats(struct gen *g)
{
  int x = pick_kind(g, INTS, 0);
  struct value v = g->v[x];
  gie_buf_printf(g->b, "  %%t%d = clip(%%v%d) {min=0, max=9}\n  %%v%d = cast(%%t%d) {to=%s}\n", g->k, x, g->n,
                 g->k, g->t);
  g->k++;
  v.kind = FLOATS;
  add(g, v);
}
