/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded pre-scan of a protobuf file, shared by the importers.
 *
 * It walks the wire format through small pread windows, checks everything that a parser would trip
 * over (lengths, depths, wire types, counts, strings), and writes a slim copy: unknown fields are
 * dropped, and large tensor payloads are *lifted* out, that is replaced by an index into a list of
 * (offset, length) ranges of the file. The generated parser then runs on the slim copy, and each
 * tensor is read straight into its own memory, so that no payload is ever held twice.
 *
 * What the messages look like is a table; the code knows no format. Wire format: the "Encoding" page
 * of the Protocol Buffers documentation. */
#ifndef GIE_PLUGINS_PRESCAN_H
#define GIE_PLUGINS_PRESCAN_H

#include <gie/module.h>

enum pre_type {
  PRE_VARINT, /* int32, int64, uint…, bool, enum */
  PRE_FIXED32,
  PRE_FIXED64,
  PRE_NAME,   /* string of up to GIE_MAX_NAME bytes: UTF-8 without NUL */
  PRE_TEXT,   /* string of any length: UTF-8 without NUL */
  PRE_REMARK, /* the same, but one that is no UTF-8 is taken as empty: nothing depends on it */
  PRE_BYTES,
  PRE_MESSAGE
};

enum pre_flags {
  PRE_REPEATED = 1, /* numbers may be packed */
  PRE_LIFT =
      2 /* a payload of PRE_LIFT_SIZE bytes or more is lifted: field n becomes the varint field n + PRE_LIFT_BASE */
};

#define PRE_LIFT_SIZE 1024
#define PRE_LIFT_BASE 1000
#define PRE_MAX_DEPTH 64              /* messages inside messages */
#define PRE_MAX_ENTRIES (1u << 24)    /* fields in the slim copy */
#define PRE_MAX_SLIM (INT32_MAX - 1u) /* bytes of the slim copy: what protobuf-c takes */

struct pre_message;

struct pre_field {
  uint32_t number; /* 0 ends a table; at most 64 fields */
  enum pre_type type;
  unsigned flags;
  const char *name;
  const struct pre_message *message; /* PRE_MESSAGE only */
};

struct pre_message {
  const char *name;
  const struct pre_field *fields;
  /* 0, or how deep the message may sit in itself. PRE_MAX_DEPTH then counts from the innermost one. */
  unsigned max_nesting;
};

/* A payload left in the file. */
struct pre_lift {
  uint64_t offset, size;
};

struct prescan {
  struct gie_context *ctx;
  unsigned char *slim;
  size_t n_slim, cap_slim;
  struct pre_lift *lifts;
  size_t n_lifts, cap_lifts;
};

/* Scans the whole file as one message `root`. E_PARSE "byte 17: …" for a broken file, E_LIMIT above a
 * limit, E_IO when it cannot be read (any more). */
gie_status prescan_file(struct gie_context *ctx, const struct gie_source *src, const struct pre_message *root,
                        struct prescan *out);
/* Frees the slim copy alone, once it was parsed. */
void prescan_drop_slim(struct prescan *p);
void prescan_free(struct prescan *p);

#endif
