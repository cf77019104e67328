/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: shared objects that plug into gie. One exported function, one ELF note.
 *
 *     #define GIE_MODULE_BUILD          (on the compiler's command line: every file of a module)
 *     #include <gie/module.h>
 *
 *     static gie_status init(const struct gie_host *host, void **state)
 *     {
 *       return host->register_pass(host, &my_pass);
 *     }
 *     GIE_MODULE("my-pass", GIE_MODULE_PASS, init)
 *
 * The note is checked in the file, before dlopen: a module of another ABI major, or one that needs
 * a later minor, is never loaded. ABI rule: structs begin with struct_size and grow only at the end;
 * tables too; what was added in which release is said at the member. A host accepts any module of
 * its major whose minor is not above its own (minimum-ABI). */
#ifndef GIE_MODULE_H
#define GIE_MODULE_H

#include <gie/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GIE_ABI_MAJOR 1
#define GIE_ABI_MINOR 0

enum gie_module_kind { GIE_MODULE_KERNEL = 1, GIE_MODULE_PASS, GIE_MODULE_LAYER, GIE_MODULE_FORMAT };

/* ---- Passes --------------------------------------------------------------------------------- */

/* What a graph is optimized for: a device as the cost model knows it. `gie target` writes one as text, `gie opt
 * --target` reads it. */
struct gie_target {
  size_t struct_size;
  const char *device;     /* kind: "cpu" */
  const char *name;       /* what the device calls itself; "" if unknown */
  uint64_t flags;         /* enum gie_device_flags */
  uint32_t units;         /* multiprocessors, or the cores that a run uses; 0: not known */
  struct gie_peaks peaks; /* 0 where not known */
};

struct gie_pass_ctx {
  size_t struct_size;
  struct gie_context *ctx;
  const struct gie_target *target; /* NULL: whoever runs the pass has decided that what it does pays */
  uint64_t device_flags;           /* enum gie_device_flags of the device the graph is meant for */
  const char *argument;            /* "nhwc" of "layout=nhwc"; NULL: none was given */
};

struct gie_pass {
  size_t struct_size;
  const char *name; /* lower case, words joined by _; onnxoptimizer's name where it has one */
  const char *help; /* one line: what it does, when it does not fire */
  /* Adds its changes to *changes. On error the graph may be half changed and is discarded. */
  gie_status (*run)(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes);
  const char *argument; /* what may stand behind its name and a "=" ("LAYOUT"); NULL: nothing */
};

/* ---- Formats -------------------------------------------------------------------------------- */

/* The file at hand: `path` for messages and for files beside it, opened read-only on `fd`, a regular
 * file of `size` bytes; `head` are its first bytes. */
struct gie_source {
  size_t struct_size;
  const char *path;
  int fd;
  uint64_t size;
  const unsigned char *head;
  size_t n_head;
  const char *const *options; /* "key=value" strings ended by NULL, or NULL (weights=x.caffemodel) */
};

struct gie_format {
  size_t struct_size;
  const char *name;            /* "onnx" */
  const char *const *suffixes; /* ".onnx", ended by NULL */
  const char *help;
  /* How sure it is that the file is its own, 0 … 100; looks at head and suffix only. */
  int (*probe)(const struct gie_source *src);
  /* Every node that has no op is kept opaque; the importer's `reason` note says why (doc/ir.md). */
  gie_status (*import)(struct gie_context *ctx, const struct gie_source *src, struct gie_graph **out);
  /* Optional. Writes the graph to a file that the caller has opened. */
  gie_status (*export_)(struct gie_context *ctx, const struct gie_graph *g, const char *path, int fd);
};

/* ---- The host ------------------------------------------------------------------------------- */

/* Handed to init and valid as long as its context; a process with several contexts runs init once for
 * each. Everything registered must stay valid for the process (static storage). A registration is
 * refused with E_MODULE when the name is taken, a required member is NULL or init has ended; the
 * module is then refused as a whole. */
struct gie_host {
  size_t struct_size;
  uint16_t abi_major, abi_minor;
  struct gie_context *ctx;
  gie_status (*register_device)(const struct gie_host *host, const struct gie_device *device);
  gie_status (*register_op)(const struct gie_host *host, const struct gie_op *op);
  gie_status (*register_kernel)(const struct gie_host *host, const struct gie_kernel *kernel);
  gie_status (*register_pass)(const struct gie_host *host, const struct gie_pass *pass);
  gie_status (*register_format)(const struct gie_host *host, const struct gie_format *format);
  /* Function table by name ("gie.base", "gie.graph") and major, or NULL. */
  const void *(*interface_)(const struct gie_host *host, const char *name, uint16_t major);
};

typedef gie_status gie_module_init_fn(const struct gie_host *host, void **state);

/* ---- The note ------------------------------------------------------------------------------- */

#define GIE_NOTE_SECTION ".note.gie"
#define GIE_NOTE_OWNER "gie"
#define GIE_NOTE_TYPE 1
#define GIE_NOTE_MAGIC 0x31454947u /* "GIE1" in the file's byte order */

/* Descriptor of the ELF note; strings are NUL-terminated inside their arrays. */
struct gie_note {
  uint32_t magic, struct_size;
  uint16_t abi_major, abi_minor; /* the module was built against these */
  uint32_t kind;
  char name[32];
  char version[16];
  uint32_t n_requires;
  struct {
    char name[24];
    uint16_t major, min_minor;
  } requires_[4]; /* interfaces it cannot do without */
};

struct gie_note_section {
  uint32_t namesz, descsz, type;
  char owner[4];
  struct gie_note desc;
};

#ifdef GIE_MODULE_BUILD
/* clang-format off */
#define GIE_MODULE(module_name, module_kind, module_init_fn)                               \
  const struct gie_base_api *gie_base_api_;                                                \
  const struct gie_graph_api *gie_graph_api_;                                              \
  __attribute__((section(GIE_NOTE_SECTION), used, aligned(4)))                             \
  static const struct gie_note_section gie_module_note = {                                 \
      sizeof(GIE_NOTE_OWNER),                                                              \
      sizeof(struct gie_note),                                                             \
      GIE_NOTE_TYPE,                                                                       \
      GIE_NOTE_OWNER,                                                                      \
      {GIE_NOTE_MAGIC, sizeof(struct gie_note), GIE_ABI_MAJOR, GIE_ABI_MINOR, module_kind, \
       module_name, GIE_MODULE_VERSION, 2, {{"gie.base", 1, 0}, {"gie.graph", 1, 0}}}};    \
  gie_status gie_module_init(const struct gie_host *host, void **state);                   \
  __attribute__((visibility("default")))                                                   \
  gie_status gie_module_init(const struct gie_host *host, void **state)                    \
  {                                                                                        \
    gie_base_api_ = (const struct gie_base_api *)host->interface_(host, "gie.base", 1);    \
    gie_graph_api_ = (const struct gie_graph_api *)host->interface_(host, "gie.graph", 1); \
    return gie_base_api_ && gie_graph_api_ ? module_init_fn(host, state) : GIE_E_MODULE;   \
  }
/* clang-format on */
#ifndef GIE_MODULE_VERSION
#define GIE_MODULE_VERSION "1.0"
#endif
#endif

#ifdef __cplusplus
}
#endif
#endif
