/* SPDX-License-Identifier: Apache-2.0 */
/* Order and greedy suppression of boxes. */
#include "plugins/detection/element.h"

/* ---- Heap sort: in place, without a call that may allocate */

static bool before(const struct det_score *a, const struct det_score *b)
{
  bool a_is = a->score == a->score, b_is = b->score == b->score;
  if (a_is != b_is)
    return a_is;
  if (a_is && a->score != b->score)
    return a->score > b->score;
  return a->index < b->index;
}

static void sift(struct det_score *v, uint32_t at, uint32_t n)
{
  struct det_score moved = v[at];
  for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && before(&v[child], &v[child + 1]))
      child++;
    if (!before(&moved, &v[child]))
      break;
    v[at] = v[child];
  }
  v[at] = moved;
}

void det_sort(struct det_score *v, uint32_t n)
{
  for (uint32_t i = n / 2; i-- > 0;)
    sift(v, i, n);
  for (uint32_t end = n; end > 1;) {
    struct det_score last = v[--end];
    v[end] = v[0];
    v[0] = last;
    sift(v, 0, end);
  }
}

/* ---- Suppression */

uint32_t det_suppress(const struct det_suppress *s, struct det_score *v, uint32_t n)
{
  float threshold = s->threshold;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < n && kept < s->max; i++) {
    bool keep = true;
    for (uint32_t k = 0; k < kept && keep; k++)
      keep = det_iou(&s->boxes[v[i].index], &s->boxes[v[k].index], s->pixel) <= threshold;
    if (!keep)
      continue;
    v[kept++] = v[i];
    if (s->eta < 1 && threshold > 0.5f)
      threshold *= s->eta;
  }
  return kept;
}
