/* SPDX-License-Identifier: Apache-2.0 */
/* What the three files of the global choice share.
 *
 *   pbqp.c        the problem; reductions that keep the optimum; decisions read backwards
 *   pbqp_core.c   what the reductions leave: message passing, branch and bound, else the heuristic
 *   pbqp_local.c  true cost, local search, ties */
#ifndef GIE_CORE_PBQP_H
#define GIE_CORE_PBQP_H

#include "core/tune/tune.h"
#include <math.h>

struct pbqp_edge {
  uint32_t node[2];
  double *cost;       /* [alts of node[0]][alts of node[1]]; changes while solving */
  const double *orig; /* as it was added; NULL: made by a reduction */
  bool dead;          /* no longer in the graph; one that a decided node had stays readable */
  bool dirty;         /* to be normalized: the matrix or the alternatives of an end have changed */
};
struct pbqp_node {
  uint32_t n;   /* alternatives */
  double *cost; /* INFINITY: dropped */
  const double *orig;
  struct pbqp_edge **edges; /* dead ones are taken out when the node is looked at */
  uint32_t n_edges, cap_edges;
  bool queued;    /* in the queue */
  bool gone;      /* taken out of the graph: its choice is made, or made from its neighbours' at the end */
  bool estimated; /* in a component for which the heuristic has decided something */
};
struct pbqp {
  struct gie_context *ctx;
  struct gie_arena mem;
  uint64_t max_work; /* costs that branch and bound looks at in one component; tests lower it */
  uint32_t n;
  struct pbqp_node *nodes;
  struct pbqp_edge **edges;
  size_t n_edges, cap_edges;
  /* while solving */
  struct pbqp_edge **inc; /* edges as added, by node: inc[inc_at[u]] .. inc[inc_at[u + 1]] */
  uint32_t *inc_at;
  uint32_t *queue; /* ring of n */
  uint32_t queue_head, queue_used;
  uint32_t *stack;                /* nodes in the order in which they were reduced */
  uint32_t n_stack, n_stack_core; /* now; when the reductions alone were done */
  uint32_t *choice;
  uint32_t *second;     /* another choice for what the reductions left, or NULL */
  double bound;         /* sum of what is proven so far */
  double largest;       /* finite cost that was added: the scale of rounding */
  uint32_t n_heuristic; /* decisions */
};

/* A matrix seen from one end: element (i of that end, j of the other) is c[i * si + j * sj]. */
struct pbqp_view {
  double *c;
  size_t si, sj;
  uint32_t other, n; /* node at the other end, its alternatives */
};
static inline struct pbqp_view pbqp_view(const struct pbqp *p, const struct pbqp_edge *e, uint32_t from,
                                         bool orig)
{
  double *c = orig ? (double *)(uintptr_t)e->orig : e->cost;
  size_t width = p->nodes[e->node[1]].n;
  if (e->node[0] == from)
    return (struct pbqp_view){c, width, 1, e->node[1], (uint32_t)width};
  return (struct pbqp_view){c, 1, width, e->node[0], p->nodes[e->node[0]].n};
}

/* Lowest index of the least element of c[n]; 0 when all are INFINITY. */
static inline uint32_t pbqp_argmin(const double *c, uint32_t n)
{
  uint32_t best = 0;
  for (uint32_t i = 1; i < n; i++)
    if (c[i] < c[best])
      best = i;
  return best;
}

/* pbqp.c */
gie_status pbqp_reduce(struct pbqp *p);      /* until the queue is empty */
void pbqp_touch(struct pbqp *p, uint32_t u); /* into the queue; its edges are to be normalized */
void pbqp_compact(struct pbqp_node *node);
/* Takes u out with its choice made: neighbours take over its row, its edges die. */
void pbqp_decide(struct pbqp *p, uint32_t u, uint32_t alt);
/* Moves row minima of a matrix into the costs of `from`'s end; true: one became INFINITY. */
bool pbqp_pull(struct pbqp *p, struct pbqp_edge *e, uint32_t from);

/* pbqp_core.c: decides all nodes that are left. */
gie_status pbqp_solve_core(struct pbqp *p);

/* pbqp_local.c */
double pbqp_true_cost(const struct pbqp *p, const uint32_t *choice);
/* No alternative of one node (with `pairs`, of two neighbours) is better afterwards, none of equal cost lower. */
gie_status pbqp_improve(struct pbqp *p, bool pairs);

#endif
