/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded parser of the protobuf text format. It knows no schema: a file becomes a tree of fields with the
 * place of each, and whoever reads it asks by name. Language: the "Text Format Language Specification" of
 * the Protocol Buffers documentation. Left out: extensions and `[type.url/…]` names. */
#ifndef GIE_PLUGINS_CAFFE_TEXT_H
#define GIE_PLUGINS_CAFFE_TEXT_H

#include "core/base/base.h"

#define TEXT_MAX_DEPTH 64            /* messages inside messages */
#define TEXT_MAX_FIELDS (1u << 22)   /* fields in a file, elements of lists included */
#define TEXT_MAX_SIZE (64u << 20)    /* bytes of a file */
#define TEXT_MAX_STRING GIE_MAX_NAME /* bytes of a string after its escapes */

enum text_kind { TEXT_WORD, TEXT_NUMBER, TEXT_STRING, TEXT_MESSAGE };

/* One field. A list `f: [1, 2]` is as many fields as it has elements. */
struct text_field {
  const char *name;
  enum text_kind kind;
  uint32_t line, column;
  const char *text;         /* the word, string or number as it was written, NUL-terminated */
  size_t n;                 /* bytes of text: a string may hold NULs */
  struct text_field *first; /* of a message */
  struct text_field *next;
  bool seen; /* for the reader: it knows the field */
};

/* Parses into the arena: *out is a message that holds the fields of the file. E_PARSE "3:17: …" with line and
 * column, both from 1, the column in bytes; E_LIMIT above a limit, with the place as well. */
gie_status text_parse(struct gie_context *ctx, struct gie_arena *arena, const char *text, size_t n,
                      struct text_field **out);

#endif
