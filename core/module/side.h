/* SPDX-License-Identifier: Apache-2.0 */
/* Running a kernel under suspicion, as the probe (probe.c) and the race (core/tune) do it.
 *
 *   struct side_devices   open devices with the library handles of their kernels
 *   struct side_case      one node with contents for its operands, and the tensors made of them
 *   struct side           one kernel in one variant on a case
 *
 * Tensors lie between guard zones. Sides of a case share them: an operand in one form is stored once
 * and so is a result, so a case with many candidates needs no more memory than with one. Only one side
 * may run at a time.
 *
 * Everything happens on one stream per device and is waited for.
 *
 * Functions return GIE_E_NO when the kernel did something wrong: then the side has the verdict. Other
 * failures say that nothing could be found out. */
#ifndef GIE_CORE_MODULE_SIDE_H
#define GIE_CORE_MODULE_SIDE_H

#include "core/module/probe.h"

/* ---- Devices (side_case.c) */

#define SIDE_MAX_DEVICES 4
#define SIDE_MAX_LIBRARIES 16

struct side_device {
  const struct gie_device *ops;
  void *dev;
  struct gie_device_info info;
  void *stream;      /* of everything here; NULL: the default */
  void *from, *to;   /* events; NULL: it has none */
  bool has_captures; /* and events */
  void *stage;       /* host memory for what comes back */
  size_t stage_bytes;
  struct {
    const struct gie_library *lib;
    void *handle;
  } libs[SIDE_MAX_LIBRARIES];
  uint32_t n_libs;
};
struct side_devices {
  struct gie_context *ctx;
  const char *kind; /* "cuda:1": which device of that kind; NULL: the first of every kind */
  struct side_device v[SIDE_MAX_DEVICES];
  uint32_t n;
};
/* The device that a kernel runs on, opened at the first call. */
gie_status side_devices_get(struct side_devices *d, const struct gie_kernel *k, struct side_device **out);
void side_devices_close(struct side_devices *d);
void side_device_unstage(struct gie_context *ctx, struct side_device *d);

/* ---- Cases (side_case.c) */

/* How a tensor lies in memory: `offset` bytes into a tensor of `bytes` bytes. */
struct side_place {
  struct gie_desc desc;
  size_t bytes, offset;
};

struct side_buffer {
  char *base; /* device memory: guard, bytes, guard; NULL: none */
  size_t bytes;
};

/* An operand or result in one place on one device. */
struct side_tensor {
  struct side_device *device;
  gie_id value;
  struct side_place place;
  void *image;        /* what an operand's buffer was filled with, over and over; NULL: a result */
  size_t image_bytes; /* all of it, or whole periods */
  struct side_buffer buf;
  struct side_tensor *next;
};

/* A form of a constant that a kernel has packed, by operand and key. */
struct side_pack {
  struct side_device *device;
  uint32_t operand;
  size_t bytes;
  char key[128];
  void *image;
  struct side_buffer buf;
  struct side_pack *next;
};

/* Elements of a result by row-major index. */
struct side_points {
  uint32_t n;
  const int64_t *at;
};

struct side_case {
  struct gie_context *ctx;
  struct gie_arena arena;
  struct gie_graph *g; /* owned */
  const struct gie_node *node;
  uint32_t n_in, n_out;
  struct gie_desc *in, *out; /* plain */
  const void **in_host;      /* contents of the operands; NULL where omitted */
  const void **in_const;     /* the same for constants, else NULL */
  const struct side_place *
      *places; /* operands, then results: where they must lie; NULL: as the variant wants */
  struct side_tensor *tensors;
  struct side_pack *packs;
  /* != 0: operands that are no constants and begin with axis 0 of result 0 repeat after so many of its rows, and
   * in_host has those only */
  int64_t period;
  /* On a device with memory of its own tensors of more bytes (0: none) are looked at in samples: results at points[],
   * by result; NULL: none were given and all is fetched. */
  size_t whole;
  struct side_points *points;
  uint64_t seed;
  uint32_t n_inputs; /* given contents of graph inputs */
  const struct probe_input *inputs;
};
/* Takes over `g`, also on failure; it has one node without bodies and only numbers as dims. `period` as in the
 * struct. */
gie_status side_case_init(struct side_case *c, struct gie_graph *g, uint64_t seed, int64_t period,
                          uint32_t n_inputs, const struct probe_input *inputs);
/* Whether operand i repeats. */
bool side_repeats(const struct side_case *c, uint32_t i);
/* Describes the node again after its epilogue was cut; no side is open. */
gie_status side_case_describe(struct side_case *c);
/* Devices of its tensors must still be open. */
void side_case_free(struct side_case *c);
/* The tensor of operand i, or of result i - n_in. */
gie_status side_case_tensor(struct side_case *c, struct side_device *d, uint32_t i,
                            const struct side_place *place, struct side_tensor **out);
/* Result tensors hold NaN (all bits set) again. */
gie_status side_unset(struct side_case *c, struct side_tensor *t);

/* ---- Buffers (side_buffer.c) */

#define SIDE_UNSET 0xff /* what results hold before the run: NaN in every float type */

/* `image`: the first n bytes of the contents, which repeat; NULL: all bits set. */
gie_status side_buffer_new(struct gie_context *ctx, struct side_device *d, struct side_buffer *b,
                           size_t bytes, const void *image, size_t n);
gie_status side_buffer_fill(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                            const void *image, size_t n);
void side_buffer_free(struct side_device *d, struct side_buffer *b);
void *side_buffer_at(const struct side_buffer *b, size_t offset);
/* The contents of one become those of another of the same size. */
gie_status side_buffer_copy(struct side_device *d, const struct side_buffer *to,
                            const struct side_buffer *from);
/* The contents (gie_free), and how many bytes before the start or behind the end were written. */
gie_status side_buffer_fetch(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                             unsigned char **contents, size_t *before, size_t *behind);
/* The same without the contents. */
gie_status side_buffer_guards(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                              size_t *before, size_t *behind);
/* Pieces of `size` bytes at offsets, to out[index]. The array is sorted. */
struct side_pick {
  size_t offset, staged; /* staged: inside */
  uint32_t index;
};
gie_status side_buffer_gather(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                              struct side_pick *picks, uint32_t n, size_t size, void *out);

/* ---- Sides (side.c) */

struct side {
  struct side_case *c;
  const struct gie_kernel *k;
  struct side_device *device;
  uint32_t threads;       /* of each launch; 0: 1 */
  uint64_t max_workspace; /* 0: 4 GiB */
  /* what it is found to be */
  enum probe_verdict verdict;
  char text[512];
  uint64_t workspace_bytes;
  double contents_seconds, pack_seconds; /* that side_prepare() took for tensors and for packing */
  void **out_plain;  /* after side_collect(): results in plain layout, the problem's dtypes; NULL: */
  void **out_points; /* of large ones the elements at the case's points */
  /* inside */
  struct gie_arena arena; /* lives as long as the side */
  struct gie_arena results;
  void *library, *instance;
  struct gie_problem prob;
  struct gie_variant var;
  struct gie_desc *in, *out; /* as they lie in memory */
  struct side_tensor **in_tensor, **out_tensor;
  struct side_buffer *packed, workspace; /* by operand; packed ones belong to the case */
  void **packed_image;
  void **in_pointer, **out_pointer;
  void *graph;         /* captured runs; NULL: none */
  uint32_t graph_runs; /* in it */
  bool no_graph;       /* capturing has failed */
  void *apart;         /* while the result overwrites operand var.in_place: where that operand is otherwise */
};
/* Zero-initialize, then set k, threads and max_workspace. Opens the device. */
gie_status side_open(struct side *s, struct side_case *c, struct side_devices *devices);
bool side_lists_op(const struct gie_kernel *k, const char *op);
/* Asks supports() and takes a variant: the first, or the one with that number. */
gie_status side_choose(struct side *s, bool any, uint64_t config);
/* Tensors, packed operands, workspace, instance. */
gie_status side_prepare(struct side *s);
/* Whether the variant may write result 0 over an operand, and operand and result are alike, so that it can be tried. */
bool side_overwrites(const struct side *s);
/* From now on it does: the result's buffer holds what the operand has. `over` false: no more. */
gie_status side_set_over(struct side *s, bool over);
/* `n` runs one after the other, then waits for the device. By the device's clock where it has one. */
gie_status side_launch(struct side *s, uint32_t n, double *seconds);
/* The same for timing: replays captured runs where device and variant allow it. It ran before. */
gie_status side_time(struct side *s, uint32_t n, double *seconds);
/* Results, guards and operands after a run (side_check.c). With `results` out_plain is filled. */
gie_status side_collect(struct side *s, bool results);
void side_forget_results(struct side *s);
/* Ready for the next side_open(); verdict and text stay. */
void side_close(struct side *s);
/* A kernel of the cpu backend, or one that says it is a reference, that is not `suspect` and supports the case, opened; *found says whether. */
gie_status side_open_reference(struct side *s, struct side_case *c, struct side_devices *devices,
                               const struct gie_kernel *suspect, bool *found);
/* Records a verdict; returns GIE_E_NO. */
GIE_PRINTF(3, 4)
gie_status side_verdict(struct side *s, enum probe_verdict v, const char *fmt, ...);
/* What error of result `out` is fine: by the least exact dtype of what is read and written, or what the
 * variant states. */
double side_tolerance(const struct side *s, uint32_t out);
/* Compares result `i` with the expected elements (plain, the problem's dtype; of a large one those at the points);
 * *error grows to the largest. */
gie_status side_compare(struct side *s, uint32_t i, const void *expected, double tolerance, double *error);

#endif
