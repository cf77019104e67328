/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels and devices: what a backend module registers.
 *
 * A *problem* is one node with every dim a number. A kernel says whether it supports it (and why
 * not), which *variants* it offers (dtype, layout, pitch per operand, fused steps), what each would
 * cost, and makes an *instance* that runs it. The engine decides and owns all memory.
 *
 * Threads: supports … workspace are pure and may be called from any thread. create is thread-safe
 * and cheap to repeat. An instance may run on several threads at once, each with its own launch. An
 * open device may be used by several threads at once. */
#ifndef GIE_KERNEL_H
#define GIE_KERNEL_H

#include <gie/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Devices -------------------------------------------------------------------------------- */

#define GIE_MAX_IO 64 /* operands or results of one node that a variant can describe one by one */

enum gie_device_flags {
  GIE_DEVICE_HOST = 1u << 0, /* its memory is host memory: no copies to and from it */
  GIE_DEVICE_F16 = 1u << 1,  /* computes in f16 (else graphs are up-cast to f32) */
  GIE_DEVICE_BF16 = 1u << 2,
  GIE_DEVICE_ENERGY = 1u << 3 /* has an energy counter */
};

struct gie_device_info {
  size_t struct_size;
  char name[96];    /* "NVIDIA H200", "x86_64 avx2" */
  char version[96]; /* library and driver versions that timings depend on */
  uint32_t flags;
  uint32_t units;  /* multiprocessors or cores */
  uint64_t memory; /* bytes */
};

/* Peaks for the cost model; 0: not measured. Units in the names. */
struct gie_peaks {
  size_t struct_size;
  double bytes_per_s, cache_bytes_per_s;
  double cache_bytes;
  double f32_flop_per_s, f16_flop_per_s, tf32_flop_per_s, i8_op_per_s;
  double launch_s;
};

enum gie_copy { GIE_COPY_TO_DEVICE, GIE_COPY_TO_HOST, GIE_COPY_ON_DEVICE };

/* A kind of device. `dev` is what open() made. Streams and events are opaque pointers; NULL stream
 * is the device's default. A host device may leave streams, events and capture NULL.
 *
 * Work of one stream runs in order. copy and fill on a stream may return before they are done; the
 * engine keeps both sides until it has waited (sync). On the default stream everything that was handed to
 * any stream before is done first, or the engine has waited for it. Event times are those of the device.
 *
 * Capture: between capture_begin and capture_end the engine calls kernels' run(), event_record and
 * event_wait on the captured stream, and on others that have waited for an event of it (they are captured
 * too, and the first waits for events of all of them at the end). It calls nothing else on that thread.
 * Other threads go on using the device in every way meanwhile, so a capture must concern its own thread only.
 * A capture that failed is ended all the same, and the stream works as before. */
struct gie_device {
  size_t struct_size;
  const char *kind;                      /* "cpu", "cuda": what kernels name as their device */
  int (*count)(struct gie_context *ctx); /* devices of this kind present; 0 with the reason logged */
  gie_status (*open)(struct gie_context *ctx, int index, void **dev);
  void (*close)(void *dev);
  gie_status (*info)(void *dev, struct gie_device_info *out);
  gie_status (*alloc)(void *dev, size_t bytes, void **out); /* aligned to 256 bytes */
  void (*free)(void *dev, void *p);
  gie_status (*copy)(void *dev, void *dst, const void *src, size_t bytes, enum gie_copy kind, void *stream);
  gie_status (*sync)(void *dev, void *stream);
  gie_status (*peaks)(void *dev, struct gie_peaks *out);
  /* streams and events */
  gie_status (*stream_new)(void *dev, void **stream);
  void (*stream_free)(void *dev, void *stream);
  gie_status (*event_new)(void *dev, void **event);
  void (*event_free)(void *dev, void *event);
  gie_status (*event_record)(void *dev, void *event, void *stream);
  gie_status (*event_wait)(void *dev, void *event, void *stream);
  gie_status (*event_elapsed)(void *dev, void *from, void *to, double *seconds);
  /* graph capture: record what is launched on `stream`, then replay */
  gie_status (*capture_begin)(void *dev, void *stream);
  gie_status (*capture_end)(void *dev, void *stream, void **graph);
  gie_status (*capture_launch)(void *dev, void *graph, void *stream);
  void (*capture_free)(void *dev, void *graph);
  gie_status (*energy)(void *dev, double *joules);
  /* All below may be NULL. activate makes the device current for the calling thread; the engine calls it on
   * every thread before anything else of the device, its libraries and kernels. NULL: there is no such thing. */
  gie_status (*activate)(void *dev);
  /* Sets bytes of the device's memory. NULL: the engine copies them there. */
  gie_status (*fill)(void *dev, void *dst, int byte, size_t bytes, void *stream);
  /* Host memory that copies to and from the device are fastest with, aligned to 64 bytes. Both or none. */
  gie_status (*host_alloc)(void *dev, size_t bytes, void **out);
  void (*host_free)(void *dev, void *p);
};

/* ---- Problems ------------------------------------------------------------------------------- */

enum gie_math {
  GIE_MATH_STRICT, /* accumulate in f32 (f64 for f64, i32 for i8); no TF32 */
  GIE_MATH_TF32,   /* f32 products may round their factors to TF32 */
  GIE_MATH_FAST    /* f16 accumulation allowed */
};

/* Whether variants that compute in narrower floats than the problem has are of use. Kernels may say more than is wanted,
 * but finding it out may take time. */
enum gie_narrow {
  GIE_NARROW_PERHAPS,
  GIE_NARROW_NO,    /* they would be refused */
  GIE_NARROW_WANTED /* where there are such variants, others are of no use */
};

/* in[0..n_in) follows node->in (operands, then step operands; an omitted operand has dtype
 * GIE_DTYPE_NONE). supports, variants and estimate see dense plain descriptors, and the variants say what
 * is wanted instead; pack_desc, pack, workspace and create see the layouts and strides at hand.
 *
 * The bodies of a node whose op has GIE_OP_BODIES are attributes of `node`. Their inputs are the last n_captures operands,
 * with the same types (but not their layouts); what is inferred inside has numbers as dims, except sizes that only data
 * tells. Bodies outlive the instance, as the node does. */
struct gie_problem {
  size_t struct_size;
  struct gie_context *ctx;
  const struct gie_graph *graph;
  const struct gie_node *node;
  uint32_t n_in, n_out;
  const struct gie_desc *in, *out;
  const void *const *in_data; /* bytes of constant operands in plain layout, else NULL */
  enum gie_math math;
  const char *device_kind;
  const struct gie_device_info *device;
  void *library;          /* handle of the kernel's library; NULL while no device is open */
  uint32_t threads;       /* budget of the launches to come, on a host device; 0: not known */
  enum gie_narrow narrow; /* asked by supports and variants; a module of before sees padding here */
};

/* What a variant wants of one operand or result. The dtypes of all ports together are such as the op takes (core/ir/ops.def): conv
 * with an f32 operand and f16 weights is refused. */
struct gie_port {
  enum gie_dtype dtype;     /* GIE_DTYPE_NONE: as in the problem */
  struct gie_layout layout; /* layout.any: whatever is there */
  bool pitch;               /* a view (pitched strides) is fine */
  uint16_t align;           /* bytes; 0: the element's */
  uint8_t pitch_axes;       /* with pitch: bits of the axes that it may be a range of; 0: any */
};

/* A way to run a problem. All of it is part of the timing key. */
struct gie_variant {
  size_t struct_size;
  uint64_t config;        /* the kernel's own number (tile, split, algorithm), stable over processes */
  char label[48];         /* the same for people: "engine 34, tile 128x64"; "" is fine */
  uint32_t n_steps;       /* epilogue steps it fuses (the first n) */
  int32_t in_place;       /* operand whose buffer out[0] may overwrite, or -1 */
  bool capture_safe;      /* may run inside a graph capture */
  float error;            /* bound on max|a-b|/max|b| against exact arithmetic; 0: as the op's default */
  struct gie_port any_in; /* operands from GIE_MAX_IO on and every one not described below */
  struct gie_port any_out;
  uint32_t n_in, n_out; /* how many of in[], out[] are filled */
  struct gie_port in[GIE_MAX_IO], out[GIE_MAX_IO];
};

struct gie_cost {
  size_t struct_size;
  double flops, bytes; /* of the roofline */
  double seconds;      /* if the kernel knows better; 0: roofline of the above */
  double waves;        /* tiles / (units x tiles per unit); 0: not tiled */
};

/* Packed weights of one operand: computed once by the engine, stored by (content, key, device). */
struct gie_pack {
  size_t struct_size;
  uint32_t operand; /* the constant operand that is packed */
  size_t bytes;
  char key[128]; /* everything the packed form depends on besides the content */
};

struct gie_launch {
  size_t struct_size;
  void *const *in; /* as in gie_problem; a packed operand points to its packed bytes */
  void *const *out;
  void *workspace; /* aligned to 256 bytes */
  void *stream;
  void *library;           /* handle of the kernel's library in this executor, or NULL */
  uint32_t threads;        /* thread budget on a host device, ≥ 1 */
  struct gie_context *ctx; /* for gie_fail() */
};

/* A vendor library's handle (cuDNN, cuBLAS …), shared by the kernels that point to it. Each executor and each build
 * has one of its own, so it is never used by two threads at once; it is closed after the instances. */
struct gie_library {
  size_t struct_size;
  const char *name;
  gie_status (*open)(struct gie_context *ctx, void *dev, void **handle);
  void (*close)(void *handle);
};

enum gie_kernel_flags {
  GIE_KERNEL_REFERENCE = 1u << 0 /* made to be right, not fast: where nobody chose, others are tried first */
};

/* A kernel. Only name, device, ops, supports, create and run are required. Order of the members is
 * the order of a backend file. */
struct gie_kernel {
  size_t struct_size;
  const char *name;       /* "<backend>.<what>": "cpu.conv" */
  const char *device;     /* kind of device it runs on */
  const char *const *ops; /* names of the ops it may support, ended by NULL */
  const struct gie_library *library;
  void *user; /* for the callbacks, reached through the kernel */
  /* Pure. true: it can run this problem in at least one variant. false: `why` says what is
   * missing, without the node's name ("group > 1"). */
  bool (*supports)(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size);
  /* Fills out[0..max), best guess first, and returns how many there are. NULL: one variant that
   * takes any layout and pitch, the dtypes of the problem and all steps. */
  uint32_t (*variants)(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                       uint32_t max);
  /* NULL: roofline of the op. */
  void (*estimate)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                   struct gie_cost *out);
  /* NULL: nothing is packed. Returns how many operands are; pack() fills one from its plain bytes. */
  uint32_t (*pack_desc)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                        struct gie_pack *out, uint32_t max);
  gie_status (*pack)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     const struct gie_pack *d, const void *plain, void *packed);
  /* Bytes of scratch memory that run() may write; NULL: none. */
  size_t (*workspace)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v);
  /* An instance (not NULL) for this problem and variant. It may keep a copy of the problem's contents but not
   * its pointers, except `node` and `graph`, which outlive it. */
  gie_status (*create)(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                       void **instance);
  void (*destroy)(void *instance);
  /* Neither allocates nor synchronizes. */
  gie_status (*run)(void *instance, const struct gie_launch *l);
  uint32_t flags;      /* enum gie_kernel_flags */
  const char *version; /* of the library behind the kernel, which timings depend on; NULL: the module's */
};

#ifdef __cplusplus
}
#endif
#endif
