/* SPDX-License-Identifier: Apache-2.0 */
/* The base layer as the core sees it: context, arena, text buffers, checked arithmetic, numbers as
 * text, name map, files, SHA-256. Public parts are in gie/base.h. */
#ifndef GIE_CORE_BASE_H
#define GIE_CORE_BASE_H

#include <gie/base.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Context (context.c) */

struct gie_registry; /* core/module: what modules registered */

struct gie_context {
  pthread_mutex_t lock; /* guards error and log */
  char *error;          /* last failure's text or NULL */
  bool error_lost;      /* out of memory while recording: a fixed text is shown */
  enum gie_log_level log_level;
  void (*log)(void *user, enum gie_log_level level, const char *module, const char *text);
  void *log_user;
  char **config; /* values by row of the config table, NULL where unset */
  struct gie_registry *registry;
  long fail_alloc_after; /* tests: allocation number n fails; < 0: never */
};

/* Member of a versioned options struct (NULL is fine), or zero where the caller's is too short to have it. */
#define GIE_OPTION(o, member) \
  ((o) && (o)->struct_size >= offsetof(__typeof__(*(o)), member) + sizeof(o)->member ? (o)->member : 0)

struct gie_context_options;
/* A context without modules; gie_context_new() (core/module) adds the registry. *out is set as there:
 * after a failure it serves for the error's text and gie_context_destroy(). */
gie_status gie_context_init(const struct gie_context_options *options, struct gie_context **out);
void gie_context_destroy(struct gie_context *ctx);
/* Row i of the config table for documentation; false past the end. */
bool gie_config_row(unsigned i, const char **name, const char **def, const char **help);

/* Whether a message of that level and topic would be shown. */
bool gie_log_wants(const struct gie_context *ctx, enum gie_log_level level, const char *topic);

/* ---- Checked arithmetic: every size product and sum goes through these */

static inline bool gie_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool gie_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool gie_mul64(int64_t a, int64_t b, int64_t *out)
{
  return !__builtin_mul_overflow(a, b, out);
}
static inline bool gie_add64(int64_t a, int64_t b, int64_t *out)
{
  return !__builtin_add_overflow(a, b, out);
}

/* Grows *data (elements of `size` bytes) so that `need` fit; doubles. *cap is updated. */
gie_status gie_grow(struct gie_context *ctx, void *data, size_t *cap, size_t need, size_t size);

/* ---- Arena (arena.c): many small allocations freed together; all zeroed, aligned to 16 bytes */

struct gie_arena {
  struct gie_context *ctx;
  struct gie_arena_chunk *chunks;
  size_t total;
};
void gie_arena_init(struct gie_arena *a, struct gie_context *ctx);
void gie_arena_free(struct gie_arena *a);
void *gie_arena_alloc(struct gie_arena *a, size_t n, size_t size); /* NULL: E_MEMORY recorded */
char *gie_arena_strdup(struct gie_arena *a, const char *s);
void *gie_arena_copy(struct gie_arena *a, const void *p, size_t n, size_t size);

/* ---- Text buffer (buf.c): grows; the first failure sticks and is returned by gie_buf_take() */

struct gie_buf {
  struct gie_context *ctx;
  char *data; /* NUL-terminated once anything was put */
  size_t len, cap;
  gie_status status;
};
void gie_buf_init(struct gie_buf *b, struct gie_context *ctx);
void gie_buf_free(struct gie_buf *b);
void gie_buf_put(struct gie_buf *b, const void *p, size_t n);
void gie_buf_puts(struct gie_buf *b, const char *s);
GIE_PRINTF(2, 3) void gie_buf_printf(struct gie_buf *b, const char *fmt, ...);
/* Appends s with quotes, backslash and control characters escaped (\n, \t, \", \\, \xNN), no quotes round it. */
void gie_buf_escape(struct gie_buf *b, const char *s, size_t n);
/* Gives the text to the caller (gie_free) or returns the sticky failure. */
gie_status gie_buf_take(struct gie_buf *b, char **text, size_t *len);

/* ---- Numbers as text, independent of the locale (number.c) */

#define GIE_NUMBER_MAX 40
/* Shortest decimal that gie_parse_double() reads back as exactly v ("0.1", "1e-05", "inf", "-inf", "nan"); it always
 * has one of ".ein", so that it reads as a float. For a float, the shortest that is exact as a float. */
char *gie_double_text(double v, char buf[GIE_NUMBER_MAX]);
char *gie_float_text(float v, char buf[GIE_NUMBER_MAX]);
/* Parse the longest prefix of [s,end) that is a number (decimal, hexadecimal float, inf, nan; never the locale's
 * form); *next is set behind it. false if there is none, it overflows or has more than 1023 characters. */
bool gie_parse_double(const char *s, const char *end, double *out, const char **next);
bool gie_parse_int(const char *s, const char *end, int64_t *out, const char **next);

/* ---- Half precision (number.c): IEEE 754 binary16 and bfloat16, round to nearest even */

float gie_f16_to_f32(uint16_t h);
uint16_t gie_f32_to_f16(float f);
static inline float gie_bf16_to_f32(uint16_t h)
{
  uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}
uint16_t gie_f32_to_bf16(float f);

/* ---- Name → id map (map.c): open addressing; keys are not copied and must outlive the map */

struct gie_map {
  struct gie_context *ctx;
  struct gie_map_slot *slots;
  size_t cap, used;
};
void gie_map_init(struct gie_map *m, struct gie_context *ctx);
void gie_map_free(struct gie_map *m);
gie_status gie_map_set(struct gie_map *m, const char *key, uint32_t id); /* adds or overwrites */
uint32_t gie_map_get(const struct gie_map *m, const char *key);          /* UINT32_MAX: absent */
void gie_map_remove(struct gie_map *m, const char *key);

/* ---- Files (file.c, save.c). Messages begin with the path. */

/* Opens a regular file read-only (O_NONBLOCK first, so a FIFO cannot hang): E_NOINPUT missing,
 * directory or not regular; E_PERM unreadable. */
gie_status gie_file_open(struct gie_context *ctx, const char *path, int *fd, uint64_t *size);
/* Whole file, NUL added behind; E_LIMIT above max bytes. Freed with gie_free(). */
gie_status gie_file_read(struct gie_context *ctx, const char *path, size_t max, char **data, size_t *size);
/* gie_file_pread() and gie_file_open_beside() (openat2 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, O_NOFOLLOW,
 * fstat) are public: gie/base_list.h. */

/* Atomic save: temporary file in the same directory (0600, O_EXCL), written, fsynced, renamed over
 * `path`, directory fsynced. Stale temporaries of the same target are swept. */
struct gie_save {
  struct gie_context *ctx;
  char *path;          /* as given, for messages */
  char *target, *temp; /* what is replaced (links followed) and by what */
  int fd;
};
gie_status gie_save_begin(struct gie_context *ctx, const char *path, struct gie_save *s);
gie_status gie_save_write(struct gie_save *s, const void *p, size_t n);
gie_status gie_save_commit(struct gie_save *s); /* ends it, also on failure */
void gie_save_abort(struct gie_save *s);

/* ---- SHA-256 (sha256.c), FIPS 180-4 */

struct gie_sha256 {
  uint32_t h[8];
  uint64_t bytes;
  unsigned char block[64];
  void (*blocks)(uint32_t h[8], const unsigned char *p, size_t n_blocks);
};
/* The portable compression function; gie_sha256_init() takes a faster one where the CPU has it. */
void gie_sha256_blocks(uint32_t h[8], const unsigned char *p, size_t n_blocks);
void gie_sha256_init(struct gie_sha256 *s);
void gie_sha256_update(struct gie_sha256 *s, const void *p, size_t n);
void gie_sha256_final(struct gie_sha256 *s, unsigned char out[32]);
/* Lower-case hex with NUL. */
void gie_sha256_hex(const unsigned char digest[32], char out[65]);

#endif
