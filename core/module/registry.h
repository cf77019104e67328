/* SPDX-License-Identifier: Apache-2.0 */
/* Modules as the core sees them: the note in the file, the registries, the search.
 *
 * A registry is filled while its context is made and only read afterwards, so reading it needs no
 * lock. Every list is sorted by name: what a program sees does not depend on which directory a
 * module was found in. */
#ifndef GIE_CORE_MODULE_REGISTRY_H
#define GIE_CORE_MODULE_REGISTRY_H

#include "core/base/base.h"
#include <gie/gie.h>

enum mod_kind { MOD_DEVICE, MOD_OP, MOD_KERNEL, MOD_PASS, MOD_FORMAT, MOD_KINDS };

struct mod_entry {
  const char *name;
  const void *what; /* struct gie_device, gie_op, gie_kernel, gie_pass or gie_format */
  uint32_t module;  /* index of the module that registered it, or UINT32_MAX: the program itself */
};

struct mod_list {
  struct mod_entry *v;
  size_t n, cap;
};

struct mod_module {
  char *path;           /* with symbolic links resolved, as it was given to the dynamic linker */
  char *refused;        /* NULL: loaded */
  struct gie_note note; /* zero where the note could not be read */
  void *handle, *state;
};

struct gie_registry {
  struct gie_host host; /* first: the host that callbacks get casts back to the registry */
  struct mod_list list[MOD_KINDS];
  struct mod_module *modules;
  size_t n_modules, cap_modules;
  struct gie_buf searched; /* places, separated by ", " */
  bool open;               /* registrations are accepted: a module's init is running */
  uint32_t loading;        /* its index */
  gie_status failed;       /* its first refused registration, which refuses the module */
};

/* ---- Registries (registry.c) */

gie_status mod_registry_new(struct gie_context *ctx);
void mod_registry_free(struct gie_context *ctx);
/* Forgets what module `index` registered. */
void mod_forget(struct gie_registry *r, uint32_t index);
const char *mod_kind_name(enum mod_kind kind);
/* Names are typed in lists ("a,b"), printed in text IR and compared: 1 to 128 visible ASCII characters without , and ". */
bool mod_is_name(const char *s, size_t n);
/* Entry i of a list with the module it came from; NULL past the end. */
const struct mod_entry *mod_entry_at(const struct gie_context *ctx, enum mod_kind kind, uint32_t i);
/* By name; NULL when there is none. */
const void *mod_find(const struct gie_context *ctx, enum mod_kind kind, const char *name);

/* What the node's note `math` (an int, enum gie_math) allows its kernel; without one: strict. */
enum gie_math mod_math(const struct gie_node *n);
/* Entry by name; NULL when there is none. */
const struct mod_entry *mod_find_entry(const struct gie_context *ctx, enum mod_kind kind, const char *name);
/* "cpu 1.0", the module that an entry came from; "the program" where none did. */
const char *mod_origin(const struct gie_context *ctx, const struct mod_entry *e, char *buf, size_t size);

/* ---- Variants (variant.c) */

/* What a variant says of operand i, or of result i - n_in. */
const struct gie_port *mod_port(const struct gie_problem *p, const struct gie_variant *v, uint32_t i);
/* Whether its ports name other element types than the problem has. */
bool mod_changes_types(const struct gie_problem *p, const struct gie_variant *v);
/* Then: whether the op takes operands of these types together and makes of them what the ports of the results name. Its
 * shape function is asked. "mixes element types: …", without the node's name; E_MEMORY is no answer. */
gie_status mod_check_types(const struct gie_problem *p, const struct gie_variant *v);

/* An interface that the host offers by name. */
struct mod_interface {
  const char *name;
  uint16_t major, minor;
  const void *table;
};
const struct mod_interface *mod_interface_find(const char *name);

/* ---- The note (note.c) */

/* Reads and checks the note of the shared object open on `fd`, without running any of its code.
 * E_MODULE says which check failed and what to do, without the file's name. *absent (set in any
 * case): a shared object that is none of ours, having no note section at all. */
gie_status mod_note_read(struct gie_context *ctx, int fd, const char *path, uint64_t size,
                         struct gie_note *out, bool *absent);

/* ---- The search (load.c) */

/* Loads what the options name (refusal fails), then every module of the search path (refusal warns). */
gie_status mod_load_all(struct gie_context *ctx, const struct gie_context_options *options);

/* The files and directories where modules were looked for, for messages. */
const char *mod_searched(const struct gie_context *ctx);

/* ---- Files (io.c) */

/* The base layer and the text reader begin their messages with the path; this puts it before others. */
gie_status mod_with_path(struct gie_context *ctx, gie_status st, const char *path);

/* What the first bytes look like, when that is known: "an ONNX file", with advice; NULL otherwise. */
const char *mod_looks_like(struct gie_context *ctx, const struct gie_source *src, const char **remedy);

/* ---- Installed parts (dirs.c) */

const char *mod_default_dir(void);      /* modules; searched last */
const char *mod_default_worker(void);   /* the probe worker's program */
const char *mod_default_data_dir(void); /* templates and other data */

#endif
