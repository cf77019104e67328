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
  struct {
    const struct gie_library *lib;
    void *handle;
  } libs[SIDE_MAX_LIBRARIES];
  uint32_t n_libs;
};
struct side_devices {
  struct gie_context *ctx;
  struct side_device v[SIDE_MAX_DEVICES];
  uint32_t n;
};
/* The device that a kernel runs on, opened at the first call. */
gie_status side_devices_get(struct side_devices *d, const struct gie_kernel *k, struct side_device **out);
void side_devices_close(struct side_devices *d);

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
  void *image; /* what an operand's buffer was filled with; NULL: a result */
  struct side_buffer buf;
  struct side_tensor *next;
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
  uint64_t seed;
  uint32_t n_inputs; /* given contents of graph inputs */
  const struct probe_input *inputs;
};
/* Takes over `g`, also on failure; it has one node without bodies and only numbers as dims. */
gie_status side_case_init(struct side_case *c, struct gie_graph *g, uint64_t seed, uint32_t n_inputs,
                          const struct probe_input *inputs);
/* Describes the node again after its epilogue was cut; no side is open. */
gie_status side_case_describe(struct side_case *c);
/* Devices of its tensors must still be open. */
void side_case_free(struct side_case *c);
/* The tensor of operand i, or of result i - n_in. */
gie_status side_case_tensor(struct side_case *c, struct side_device *d, uint32_t i,
                            const struct side_place *place, struct side_tensor **out);
gie_status side_fill(struct side_case *c, struct side_tensor *t, const void *image);
/* Result tensors hold NaN (all bits set) again. */
gie_status side_unset(struct side_case *c, struct side_tensor *t);

/* `image`: contents, or NULL: all bits set. */
gie_status side_buffer_new(struct gie_context *ctx, struct side_device *d, struct side_buffer *b,
                           size_t bytes, const void *image);
void side_buffer_free(struct side_device *d, struct side_buffer *b);
void *side_buffer_at(const struct side_buffer *b, size_t offset);
/* The contents (gie_free), and how many bytes before the start or behind the end were written. */
gie_status side_buffer_fetch(struct gie_context *ctx, struct side_device *d, const struct side_buffer *b,
                             unsigned char **contents, size_t *before, size_t *behind);

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
  void **out_plain; /* after side_collect(): results in plain layout, the problem's dtypes */
  /* inside */
  struct gie_arena arena; /* lives as long as the side */
  struct gie_arena results;
  void *library, *instance;
  struct gie_problem prob;
  struct gie_variant var;
  struct gie_desc *in, *out; /* as they lie in memory */
  struct side_tensor **in_tensor, **out_tensor;
  struct side_buffer *packed, workspace; /* by operand */
  void **packed_image;
  void **in_pointer, **out_pointer;
  void *apart; /* while the result overwrites operand var.in_place: where that operand is otherwise */
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
/* `n` runs one after the other, then waits for the device. */
gie_status side_launch(struct side *s, uint32_t n, double *seconds);
/* Results, guards and operands after a run. With `results` out_plain is filled. */
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
/* Compares result `i` with the expected elements (plain, the problem's dtype); *error grows to the largest. */
gie_status side_compare(struct side *s, uint32_t i, const void *expected, double tolerance, double *error);

#endif
