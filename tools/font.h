/* SPDX-License-Identifier: Apache-2.0 */
/* Letters for labels in pictures: five by seven pixels, capitals and digits. */
#ifndef GIE_TOOLS_FONT_H
#define GIE_TOOLS_FONT_H

#define FONT_WIDTH 5
#define FONT_HEIGHT 7
#define FONT_ADVANCE 6

/* Pixels of a row, the leftmost in bit 4. Small letters look like capitals; what is not there is a box. */
unsigned font_row(char c, int row);

#endif
