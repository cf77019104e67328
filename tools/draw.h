/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes that a detector found: taken from its outputs, drawn into the image, listed. */
#ifndef GIE_TOOLS_DRAW_H
#define GIE_TOOLS_DRAW_H

#include "tools/image.h"
#include "tools/report.h"

struct draw_box {
  double score, x1, y1, x2, y2; /* corners as fractions of the image */
  int64_t class_;
};

/* Boxes with a score of at least `threshold`, best first, from one of two forms of outputs:
 *   rows [..., 7] of (image, class, score, x1, y1, x2, y2), of which those of image 0 count;
 *   corners [..., n, 4] with scores [..., n, k] of k classes, the first of several being the background; what overlaps a
 *   better box of its class by more than 0.45 is left out.
 * E_USAGE when there is neither. */
gie_status draw_find(struct tool *t, const struct outputs *o, double threshold, struct draw_box **out,
                     uint32_t *n);

/* Draws the boxes with their labels (`labels` may be empty: numbers) into the image in `from` and saves it as .png. */
gie_status draw_save(struct tool *t, const char *from, const char *to, const struct draw_box *v, uint32_t n,
                     const struct labels *labels);

/* Prints them, corners in pixels, or with `j` as an array of the open object. */
void draw_report(struct tool *t, struct json *j, const struct draw_box *v, uint32_t n,
                 const struct labels *labels);

#endif
