/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the reader and the writer of the text form: tokens, the weights
 * file, and what may stand without quotes. The grammar is in doc/ir.md. */
#ifndef GIE_CORE_TEXT_H
#define GIE_CORE_TEXT_H

#include "core/ir/ir.h"
#include <gie/gie.h>

#define TEXT_MAX_SIZE ((size_t)512 << 20)
#define TEXT_INLINE_MAX 16 /* elements of a constant that are printed in place */
#define TEXT_MAX_ATTRS 256 /* of one node, step or graph */
#define TEXT_MAX_STEPS 64
#define TEXT_MAX_IO 65535

/* ---- Tokens (lex.c) */

enum lex_kind {
  LEX_END,
  LEX_PUNCT,  /* one character, in `start` */
  LEX_IDENT,  /* text */
  LEX_VALUE,  /* %name: text without the % */
  LEX_STRING, /* text, n bytes; may hold NULs */
  LEX_INT,    /* i */
  LEX_FLOAT,  /* f, already rounded to a float when it had the suffix */
  LEX_HEX,    /* bits */
  LEX_HASH    /* hash */
};

struct lex_token {
  enum lex_kind kind;
  const char *start; /* in the source */
  unsigned line, column;
  const char *text; /* NUL-terminated, in the arena */
  size_t n;
  int64_t i;
  double f;
  uint64_t bits;
  unsigned char hash[32];
};

struct lex {
  struct gie_context *ctx;
  struct gie_arena *arena;
  const char *p, *end, *line_start;
  unsigned line;
  struct lex_token tok; /* the one at hand */
};

/* Starts at the first token. */
gie_status lex_init(struct lex *lx, struct gie_context *ctx, struct gie_arena *arena, const char *text,
                    size_t size);
gie_status lex_next(struct lex *lx);
/* Goes back to the start of the token at hand and takes the run of letters,
 * digits, '/' and ':' from there as one identifier: a layout. */
gie_status lex_layout(struct lex *lx);
bool lex_is(const struct lex *lx, char punct);
bool lex_is_word(const struct lex *lx, const char *word);
/* Takes the punctuation at hand or says what was expected. */
gie_status lex_expect(struct lex *lx, char punct);
/* Takes it if it is there. */
gie_status lex_accept(struct lex *lx, char punct, bool *taken);
/* Fails with "line L, column C: <text>", the position of token `at`. */
GIE_PRINTF(4, 5)
gie_status lex_fail(const struct lex *lx, const struct lex_token *at, gie_status status, const char *fmt,
                    ...);
/* What the token at hand looks like, for "expected X, found Y". */
const char *lex_found(const struct lex *lx, char buf[64]);

/* True when the text needs no quotes as an identifier, as a value's name. */
bool text_is_ident(const char *s);
bool text_is_name(const char *s);

/* ---- The weights file (weights.c) */

/* "dir/net.gie" → "dir/net.weights"; freed with gie_free(). NULL: out of
 * memory. */
char *weights_path(struct gie_context *ctx, const char *gie_path);

struct weights_in;
/* Opens and checks magic and table. */
gie_status weights_open(struct gie_context *ctx, const char *path, struct weights_in **out);
/* The same where they are the part [base, base + size) of a larger file, whose fd stays the caller's. `remedy`
 * ends messages ("write the graph again"). */
gie_status weights_open_part(struct gie_context *ctx, int fd, const char *path, uint64_t base, uint64_t size,
                             const char *remedy, struct weights_in **out);
/* SHA-256 of header and table, which hold the hashes of all the rest. */
const unsigned char *weights_head_hash(const struct weights_in *w);
/* Reads all that were not asked for yet, in the file's order. */
gie_status weights_load_all(struct weights_in *w);
/* How many nobody has asked for. */
size_t weights_unused(const struct weights_in *w);
void weights_close(struct weights_in *w);
/* Blob of that hash and size, read and checked at the first call. The caller
 * gets a reference. */
gie_status weights_get(struct weights_in *w, const unsigned char hash[32], size_t size,
                       struct gie_blob **out);

/* Constants to be saved; the bytes belong to the graph, or are copied from another weights file. */
struct weights_out {
  struct gie_context *ctx;
  struct weights_item {
    unsigned char hash[32];
    const void *data; /* NULL: at `offset` of `from` */
    size_t size;
    uint64_t offset;
  } * items;
  size_t n, cap;
  const struct weights_in *from; /* must stay open */
};
gie_status weights_add(struct weights_out *w, const unsigned char hash[32], const void *data, size_t size);
/* Sorts and drops doubles; puts header and table into b; *size is that of the whole. */
gie_status weights_head(struct weights_out *w, struct gie_buf *b, uint64_t *size);
/* Writes what follows the table. */
gie_status weights_body(const struct weights_out *w, struct gie_save *save);
/* Sorts w and makes `both` of it and what else is in `old`. */
gie_status weights_join(struct weights_out *w, const struct weights_in *old, struct weights_out *both);
/* Writes everything into a begun save, in the file's order. */
gie_status weights_write(struct weights_out *w, struct gie_save *save);
void weights_out_free(struct weights_out *w);

/* ---- Writer (write.c) */

/* Prints into b; large constants are added to `out` unless it is NULL. */
gie_status text_print(const struct gie_graph *g, struct gie_buf *b, struct weights_out *out);

/* ---- Reader (read.c) */

/* gie_graph_parse() with weights that several texts share and that stay open; NULL: there are none. */
gie_status text_read(struct gie_context *ctx, const char *text, size_t size, struct weights_in *weights,
                     struct gie_graph **out);
/* Without the verifier: for texts that are written as a graph but are none (no outputs, say). */
gie_status text_read_meta(struct gie_context *ctx, const char *text, size_t size, struct gie_graph **out);

#endif
