/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing what a detector found: see draw.h. */
#include "tools/draw.h"
#include "tools/font.h"
#include <math.h>
#include <stdlib.h>

#define OVERLAP 0.45
#define MAX_BOXES 10000 /* that suppression looks at */

/* Boxes of at least the threshold. What is beyond `most` makes room for what is better. */
struct found {
  struct draw_box *v; /* room for twice as many */
  size_t most, n, all;
  uint32_t turned; /* that end before they begin */
  double threshold;
};

/* ---- Rows of seven */

static int best_first(const void *a, const void *b)
{
  const struct draw_box *x = a, *y = b;
  return x->score != y->score     ? (x->score < y->score ? 1 : -1)
         : x->class_ != y->class_ ? (x->class_ > y->class_ ? 1 : -1)
         : x->x1 != y->x1         ? (x->x1 > y->x1 ? 1 : -1)
                                  : (x->y1 > y->y1) - (x->y1 < y->y1);
}

static void add_box(struct found *f, const struct draw_box *b)
{
  if (!(b->score >= f->threshold) || !isfinite(b->x1 + b->y1 + b->x2 + b->y2) || b->class_ < 0)
    return;
  if (b->x1 > b->x2 || b->y1 > b->y2) {
    f->turned++;
    return;
  }
  f->v[f->n++] = *b;
  f->all++;
  if (f->n < 2 * f->most)
    return;
  qsort(f->v, f->n, sizeof *f->v, best_first);
  f->n = f->most;
}

static void best_of(struct found *f)
{
  qsort(f->v, f->n, sizeof *f->v, best_first);
  if (f->n > f->most)
    f->n = f->most;
}

static int64_t whole(double v) { return v >= 0 && v < 1e9 ? (int64_t)v : -1; }

static void take_rows(const struct gie_tensor *x, struct found *f)
{
  for (size_t i = 0; i < tensor_count(x) / 7; i++) {
    struct draw_box b = {.class_ = whole(tensor_get(x, 7 * i + 1)),
                         .score = tensor_get(x, 7 * i + 2),
                         .x1 = tensor_get(x, 7 * i + 3),
                         .y1 = tensor_get(x, 7 * i + 4),
                         .x2 = tensor_get(x, 7 * i + 5),
                         .y2 = tensor_get(x, 7 * i + 6)};
    if (tensor_get(x, 7 * i) == 0)
      add_box(f, &b);
  }
}

/* ---- Corners and scores */

static void take_corners(const struct gie_tensor *corners, const struct gie_tensor *scores, struct found *f)
{
  size_t rows = (size_t)corners->dim[corners->rank - 2], classes = (size_t)scores->dim[scores->rank - 1];
  for (size_t i = 0; i < rows; i++)
    for (size_t c = classes > 1; c < classes; c++) {
      struct draw_box b = {.class_ = (int64_t)c,
                           .score = tensor_get(scores, i * classes + c),
                           .x1 = tensor_get(corners, 4 * i),
                           .y1 = tensor_get(corners, 4 * i + 1),
                           .x2 = tensor_get(corners, 4 * i + 2),
                           .y2 = tensor_get(corners, 4 * i + 3)};
      add_box(f, &b);
    }
}

static double area(const struct draw_box *b) { return fmax(b->x2 - b->x1, 0) * fmax(b->y2 - b->y1, 0); }

static double overlap(const struct draw_box *a, const struct draw_box *b)
{
  const struct draw_box both = {.x1 = fmax(a->x1, b->x1),
                                .y1 = fmax(a->y1, b->y1),
                                .x2 = fmin(a->x2, b->x2),
                                .y2 = fmin(a->y2, b->y2)};
  double common = area(&both);
  return common > 0 ? common / (area(a) + area(b) - common) : 0;
}

static uint32_t suppress(struct draw_box *v, uint32_t n)
{
  uint32_t kept = 0;
  for (uint32_t i = 0; i < n; i++) {
    bool keep = true;
    for (uint32_t k = 0; k < kept && keep; k++)
      keep = v[k].class_ != v[i].class_ || overlap(&v[k], &v[i]) <= OVERLAP;
    if (keep)
      v[kept++] = v[i];
  }
  return kept;
}

/* ---- Which outputs they are in */

struct choice {
  const struct gie_tensor *rows, *corners, *scores;
  uint32_t n_rows, n_pairs; /* how many would do */
};

/* The last dim of an output that may have boxes or scores, else 0. */
static int64_t last_dim(const struct gie_tensor *x)
{
  return x->rank >= 2 && gie_dtype_class(x->dtype) == 'f' ? x->dim[x->rank - 1] : 0;
}

/* Corners go with scores of as many rows. Seven numbers are a row only where no such pair is: they may be
 * the scores of seven classes. */
static struct choice choose(const struct outputs *o)
{
  struct choice c = {.n_rows = 0};
  for (uint32_t i = 0; i < o->n; i++) {
    const struct gie_tensor *x = &o->v[i];
    if (last_dim(x) == 7) {
      c.rows = x;
      c.n_rows++;
    }
    for (uint32_t k = 0; last_dim(x) == 4 && k < o->n; k++) {
      const struct gie_tensor *s = &o->v[k];
      if (k == i || last_dim(s) < 1 || s->dim[s->rank - 2] != x->dim[x->rank - 2])
        continue;
      c.corners = x;
      c.scores = s;
      c.n_pairs++;
    }
  }
  return c;
}

static gie_status check_choice(struct tool *t, const struct choice *c)
{
  if (!c->n_pairs && !c->n_rows)
    return gie_fail(
        t->ctx, GIE_E_USAGE,
        "no output has boxes: neither rows (image, class, score, x1, y1, x2, y2) nor corners [n,4] with "
        "scores [n,classes]");
  if (c->n_pairs > 1 || (!c->n_pairs && c->n_rows > 1))
    return gie_fail(t->ctx, GIE_E_USAGE,
                    "which outputs have the boxes is not clear: %u %s fit equally well; leave out the "
                    "outputs that are something else",
                    (unsigned)(c->n_pairs ? c->n_pairs : c->n_rows),
                    c->n_pairs ? "pairs of corners and scores" : "outputs with rows of seven");
  return GIE_OK;
}

gie_status draw_find(struct tool *t, const struct outputs *o, double threshold, struct draw_box **out,
                     uint32_t *n)
{
  struct choice c = choose(o);
  GIE_TRY(check_choice(t, &c));
  struct found f = {.most = c.corners ? MAX_BOXES : tensor_count(c.rows) / 7 + 1, .threshold = threshold};
  if (!(f.v = gie_arena_alloc(&t->arena, f.most, 2 * sizeof *f.v)))
    return gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
  if (c.corners)
    take_corners(c.corners, c.scores, &f);
  else
    take_rows(c.rows, &f);
  best_of(&f);
  if (f.turned)
    tool_note(t, "boxes left out, since they end before they begin (x2 < x1 or y2 < y1): %u",
              (unsigned)f.turned);
  if (f.all > f.n)
    tool_note(t, "of %zu boxes only the best %zu are looked at; raise --threshold", f.all, f.n);
  *n = c.corners ? suppress(f.v, (uint32_t)f.n) : (uint32_t)f.n;
  *out = f.v;
  return GIE_OK;
}

/* ---- Drawing */

struct canvas {
  struct image im; /* three channels */
  int64_t pen;     /* size of a pixel of the font; lines are one wider */
};

struct colour {
  unsigned char v[3];
};

static struct colour colour_of(int64_t class_)
{
  static const struct colour palette[] = {{{230, 25, 75}},  {{60, 180, 75}},  {{0, 130, 200}},
                                          {{245, 130, 48}}, {{145, 30, 180}}, {{0, 128, 128}},
                                          {{240, 50, 230}}, {{128, 128, 0}}};
  return palette[class_ % (int64_t)(sizeof palette / sizeof palette[0])];
}

/* The part of the rectangle that is inside. */
static void fill(struct canvas *c, int64_t x, int64_t y, int64_t w, int64_t h, struct colour colour)
{
  for (int64_t i = y < 0 ? 0 : y; i < y + h && i < c->im.height; i++)
    for (int64_t k = x < 0 ? 0 : x; k < x + w && k < c->im.width; k++)
      memcpy(c->im.data + 3 * ((size_t)i * c->im.width + (size_t)k), colour.v, 3);
}

static void text(struct canvas *c, int64_t x, int64_t y, const char *s, struct colour colour)
{
  for (; *s; s++, x += FONT_ADVANCE * c->pen)
    for (int row = 0; row < FONT_HEIGHT; row++)
      for (int column = 0; column < FONT_WIDTH; column++)
        if (font_row(*s, row) >> (FONT_WIDTH - 1 - column) & 1)
          fill(c, x + column * c->pen, y + row * c->pen, c->pen, c->pen, colour);
}

static int64_t pixel(double fraction, uint32_t extent)
{
  return (int64_t)lround(fmin(fmax(fraction, -1), 2) * extent);
}

static const char *label_of(struct tool *t, const struct draw_box *b, const struct labels *l)
{
  return b->class_ < (int64_t)l->n ? tool_safe(t, l->v[b->class_])
                                   : tool_format(t, "%lld", (long long)b->class_);
}

static void draw(struct tool *t, struct canvas *c, const struct draw_box *b, const struct labels *l)
{
  static const struct colour white = {{255, 255, 255}};
  struct colour colour = colour_of(b->class_);
  int64_t x1 = pixel(b->x1, c->im.width), y1 = pixel(b->y1, c->im.height), x2 = pixel(b->x2, c->im.width),
          y2 = pixel(b->y2, c->im.height), pen = c->pen, line = pen + 1;
  const char *s = tool_format(t, "%s %.2f", label_of(t, b, l), b->score);
  int64_t w = ((int64_t)strlen(s) * FONT_ADVANCE + 1) * pen, h = (FONT_HEIGHT + 2) * pen;
  int64_t top = y1 - h >= 0 ? y1 - h : y1;
  fill(c, x1, y1, x2 - x1, line, colour);
  fill(c, x1, y2 - line, x2 - x1, line, colour);
  fill(c, x1, y1, line, y2 - y1, colour);
  fill(c, x2 - line, y1, line, y2 - y1, colour);
  fill(c, x1, top, w, h, colour);
  text(c, x1 + pen, top + pen, s, white);
}

/* The image in colour. */
static gie_status open_canvas(struct tool *t, const char *path, struct canvas *c)
{
  struct image im;
  GIE_TRY(image_read(t->ctx, path, &im));
  uint32_t least = im.width < im.height ? im.width : im.height;
  gie_status st = image_alloc(t->ctx, im.width, im.height, 3, &c->im);
  for (size_t i = 0; st == GIE_OK && i < (size_t)im.width * im.height * 3; i++)
    c->im.data[i] = im.data[im.channels == 3 ? i : i / 3];
  c->pen = least < 400 ? 1 : least / 200;
  image_free(t->ctx, &im);
  return st;
}

gie_status draw_save(struct tool *t, const char *from, const char *to, const struct draw_box *v, uint32_t n,
                     const struct labels *labels)
{
  struct canvas c = {.pen = 1};
  GIE_TRY(open_canvas(t, from, &c));
  for (uint32_t i = n; i-- > 0;) /* the best on top */
    draw(t, &c, &v[i], labels);
  gie_status st = image_write_png(t->ctx, to, &c.im);
  image_free(t->ctx, &c.im);
  return st;
}

/* ---- Listing */

void draw_report(struct tool *t, struct json *j, const struct draw_box *v, uint32_t n,
                 const struct labels *labels)
{
  static const char *const heads[] = {"label", "score", "x1", "y1", "x2", "y2"};
  struct tool_table tab;
  if (j)
    json_open(j, "boxes", '[', false);
  else
    tool_table_begin(t, &tab, "lrrrrr", heads);
  for (uint32_t i = 0; i < n; i++) {
    const double corners[] = {v[i].x1, v[i].y1, v[i].x2, v[i].y2};
    if (!j) {
      tool_cell(&tab, "%s", label_of(t, &v[i], labels));
      tool_cell(&tab, "%.3f", v[i].score);
      for (int k = 0; k < 4; k++)
        tool_cell(&tab, "%.4f", corners[k]);
      continue;
    }
    json_open(j, NULL, '{', true);
    json_text(j, "label", label_of(t, &v[i], labels));
    json_real(j, "score", v[i].score);
    json_open(j, "corners", '[', true);
    for (int k = 0; k < 4; k++)
      json_real(j, NULL, corners[k]);
    json_close(j, ']');
    json_close(j, '}');
  }
  if (j)
    json_close(j, ']');
  else if (n)
    tool_table_end(&tab, 0);
  else
    printf("no box\n");
}
