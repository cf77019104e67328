/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the timing cache share.
 *
 *   cache.c        the entries in memory
 *   cache_text.c   an entry as a line, and back
 *   cache_file.c   reading, the lock, saving the union
 *   cache_place.c  the default path; devices and versions as entries name them */
#ifndef GIE_CORE_CACHE_H
#define GIE_CORE_CACHE_H

#include "core/tune/tune.h"

#define CACHE_HEADER "gie timing cache 1\n"
#define CACHE_MAX_LINE 65536        /* bytes with the newline */
#define CACHE_MAX_FILE (256u << 20) /* bytes */

/* Strings are kept once and known by number. */
struct cache_item {
  uint32_t problem, kernel, device, version;
  uint64_t config;
  const char *text;
  double seconds, spread, error;
  enum probe_verdict verdict;
  uint32_t pass;    /* the last reading of the file that had it */
  uint32_t sibling; /* 1 + another version of the same candidate, or 0 */
  bool fresh;       /* put by this process: counts more than what the file says */
  bool dropped;
};

struct cache_order {
  uint32_t *v;
  size_t cap, n;
  bool valid;
};

struct tune_cache {
  struct gie_context *ctx;
  struct gie_arena mem; /* strings */
  char *path;           /* NULL: in memory only */
  bool read_only;
  bool named;       /* the user asks about this file: what a build gets over is a failure */
  bool make_dir;    /* the directory may be made */
  bool unsaved;     /* the file lacks something, or has what it should not */
  double lock_wait; /* seconds */
  uint32_t pass;    /* readings of the file */
  size_t n_twice;   /* lines of the last one whose entry had come before */

  struct gie_map ids;
  const char **names; /* by number; behind a prefix, see cache_stale() */
  size_t n_names, cap_names;
  struct cache_item *items;
  size_t n_items, cap_items;
  uint32_t *slots; /* 1 + item: open addressing by candidate; cap_slots is a power of two */
  size_t cap_slots;
  struct cache_order *order; /* sorted items, made when asked for */
};

/* cache.c */
gie_status cache_add(struct tune_cache *c, const struct tune_entry *e, bool fresh);

/* cache_text.c */
/* NULL, or why the entry cannot be kept. */
const char *cache_unfit(const struct tune_entry *e);
void cache_put_line(struct gie_buf *b, const struct tune_entry *e);
/* Reads a line without its newline; its bytes are changed, the entry points into it. Else returns why not. */
const char *cache_read_line(char *line, size_t n, struct tune_entry *out);

/* cache_file.c */
/* Adds what the file holds (text: its bytes, with a NUL behind; they are changed). `first`: warns about damage, and a named file must
 * be there. *foreign: it is none of ours, and nothing was added. */
gie_status cache_read_text(struct tune_cache *c, char *data, size_t size, bool first, bool *foreign);
gie_status cache_read_file(struct tune_cache *c, bool first, bool *foreign);

/* cache_place.c */
/* The default path without the config row; NULL: none, or out of memory. */
const char *cache_home_path(struct gie_arena *mem);

#endif
