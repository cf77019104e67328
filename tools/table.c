/* SPDX-License-Identifier: Apache-2.0 */
/* Tables on standard output: cells are collected, then printed in columns. */
#include "tools/tool.h"

void tool_table_begin(struct tool *t, struct tool_table *tab, const char *align, const char *const *heads)
{
  memset(tab, 0, sizeof *tab);
  tab->t = t;
  tab->align = align;
  tab->heads = heads;
}

static bool grow(struct tool_table *tab)
{
  size_t cap = tab->cap ? 2 * tab->cap : 64;
  const char **cells = realloc(tab->cells, cap * sizeof *cells);
  if (!cells) {
    tab->failed = true;
    return false;
  }
  tab->cells = cells;
  tab->cap = cap;
  return true;
}

void tool_cell(struct tool_table *tab, const char *fmt, ...)
{
  char *text = NULL;
  va_list ap;
  va_start(ap, fmt);
  int n = vasprintf(&text, fmt, ap);
  va_end(ap);
  if (n < 0 || (tab->n == tab->cap && !grow(tab))) {
    tab->failed = true;
    if (n >= 0)
      free(text);
    return;
  }
  char *kept = gie_arena_strdup(&tab->t->arena, text);
  free(text);
  tab->failed |= !kept;
  tab->cells[tab->n++] = kept ? tool_safe(tab->t, kept) : "?";
}

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t width(const char *s)
{
  size_t n = 0;
  for (; *s; s++)
    n += ((unsigned char)*s & 0xc0) != 0x80;
  return n;
}

static void put_blanks(size_t n)
{
  while (n--)
    putchar(' ');
}

static void put_row(const struct tool_table *tab, const char *const *row, const size_t *wide, size_t columns,
                    int indent)
{
  while (columns > 0 && !*row[columns - 1]) /* no blanks at the end of a line */
    columns--;
  put_blanks((size_t)indent);
  for (size_t c = 0; c < columns; c++) {
    size_t pad = wide[c] - width(row[c]);
    if (tab->align[c] == 'r')
      put_blanks(pad);
    fputs(row[c], stdout);
    if (c + 1 < columns)
      put_blanks((tab->align[c] == 'r' ? 0 : pad) + 2);
  }
  putchar('\n');
}

void tool_table_end(struct tool_table *tab, int indent)
{
  enum { MAX_COLUMNS = 16 };
  size_t wide[MAX_COLUMNS] = {0}, columns = strlen(tab->align);
  for (size_t c = 0; c < columns && tab->heads; c++)
    wide[c] = width(tab->heads[c]);
  for (size_t i = 0; i < tab->n; i++) {
    size_t w = width(tab->cells[i]), c = i % columns;
    wide[c] = w > wide[c] ? w : wide[c];
  }
  if (tab->heads)
    put_row(tab, tab->heads, wide, columns, indent);
  for (size_t i = 0; i + columns <= tab->n; i += columns)
    put_row(tab, tab->cells + i, wide, columns, indent);
  if (tab->failed)
    tool_note(tab->t, "out of memory: the table is not complete");
  free(tab->cells);
  tab->cells = NULL;
}
