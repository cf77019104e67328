/* SPDX-License-Identifier: Apache-2.0 */
/* Check of text that comes from a file. */
#ifndef GIE_PLUGINS_UTF8_H
#define GIE_PLUGINS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Well-formed UTF-8 (RFC 3629: shortest forms, no surrogates, up to U+10FFFF) without NUL. */
static inline bool utf8_valid(const unsigned char *s, size_t n)
{
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  for (size_t i = 0; i < n;) {
    unsigned char c = s[i++];
    unsigned more = c < 0x80             ? 0
                    : (c & 0xe0) == 0xc0 ? 1
                    : (c & 0xf0) == 0xe0 ? 2
                    : (c & 0xf8) == 0xf0 ? 3
                                         : 4;
    if (c == 0 || more > 3 || more > n - i)
      return false;
    if (more == 0)
      continue;
    uint32_t code = c & (0x3fu >> more);
    for (unsigned k = 0; k < more; k++, i++) {
      if ((s[i] & 0xc0) != 0x80)
        return false;
      code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      return false;
  }
  return true;
}

#endif
