/* SPDX-License-Identifier: Apache-2.0 */
/* Text buffer: grows as text is put; the first failure sticks, so that writers check once at the end. */
#include "core/base/base.h"

void gie_buf_init(struct gie_buf *b, struct gie_context *ctx) { *b = (struct gie_buf){.ctx = ctx}; }

void gie_buf_free(struct gie_buf *b)
{
  gie_free(b->ctx, b->data);
  gie_buf_init(b, b->ctx);
}

/* Room for n more bytes and the NUL. */
static bool buf_room(struct gie_buf *b, size_t n)
{
  size_t need;
  if (b->status != GIE_OK)
    return false;
  if (!gie_add(b->len, n, &need) || !gie_add(need, 1, &need))
    need = SIZE_MAX;
  b->status = gie_grow(b->ctx, &b->data, &b->cap, need, 1);
  return b->status == GIE_OK;
}

void gie_buf_put(struct gie_buf *b, const void *p, size_t n)
{
  if (!buf_room(b, n))
    return;
  if (n)
    memcpy(b->data + b->len, p, n);
  b->len += n;
  b->data[b->len] = '\0';
}

void gie_buf_puts(struct gie_buf *b, const char *s) { gie_buf_put(b, s, strlen(s)); }

void gie_buf_printf(struct gie_buf *b, const char *fmt, ...)
{
  char small[256];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(small, sizeof small, fmt, ap);
  va_end(ap);
  if (n < 0) {
    if (b->status == GIE_OK)
      b->status = gie_fail(b->ctx, GIE_E_INTERNAL, "text cannot be formatted");
    return;
  }
  if ((size_t)n < sizeof small) {
    gie_buf_put(b, small, (size_t)n);
    return;
  }
  if (!buf_room(b, (size_t)n))
    return;
  va_start(ap, fmt);
  vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
  va_end(ap);
  b->len += (size_t)n;
}

void gie_buf_escape(struct gie_buf *b, const char *s, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    size_t run = 0;
    while (i + run < n && (unsigned char)s[i + run] >= 0x20 && s[i + run] != 0x7f && s[i + run] != '"' &&
           s[i + run] != '\\')
      run++;
    if (run) {
      gie_buf_put(b, s + i, run);
      i += run - 1;
    } else if (c == '"' || c == '\\') {
      gie_buf_put(b, (char[]){'\\', (char)c}, 2);
    } else if (c == '\n') {
      gie_buf_put(b, "\\n", 2);
    } else if (c == '\t') {
      gie_buf_put(b, "\\t", 2);
    } else {
      gie_buf_printf(b, "\\x%02x", c);
    }
  }
}

gie_status gie_buf_take(struct gie_buf *b, char **text, size_t *len)
{
  if (!b->data)
    gie_buf_put(b, "", 0);
  if (b->status != GIE_OK) {
    gie_status status = b->status;
    gie_buf_free(b);
    return status;
  }
  *text = b->data;
  if (len)
    *len = b->len;
  gie_buf_init(b, b->ctx);
  return GIE_OK;
}
