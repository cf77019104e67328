/* SPDX-License-Identifier: Apache-2.0 */
/* A backend for tests of the executor: two devices and a kernel whose every answer is set by the test.
 *
 *   cpu   host memory
 *   far   memory that the host cannot touch: its addresses are not canonical, so reading one crashes; work waits
 *         in streams until it is waited for (mock_far.c) */
#ifndef GIE_TESTS_RUN_MOCK_H
#define GIE_TESTS_RUN_MOCK_H

#include "core/run/run.h"
#include "tests/gie_check.h"

/* How a mock kernel behaves and what happened to it; gie_kernel.user. */
struct mock {
  /* behaviour, zero is obliging */
  const char *refuse; /* supports() says no, with this reason */
  const char *layout; /* the only layout it takes for operand 0; NULL: plain */
  bool any_layout;    /* takes every layout */
  bool dense;         /* takes no views */
  bool in_place;      /* relu and add may overwrite operand 0 */
  bool odd_variant;   /* describes more operands than can be */
  bool one_step;      /* fuses one epilogue step only */
  bool no_instance;   /* create() makes none */
  uint32_t align;     /* of every operand */
  size_t workspace;
  const char *pack_key; /* packs operand 1 of matmul, which must be constant */
  gie_status fail_create, fail_run, fail_pack;
  bool no_capture;                               /* its variants must not be captured */
  double seconds;                                /* of a launch on far; 0: 1 us */
  void (*flaw)(const struct mock *m, void *out); /* what it does behind the result */
  /* what happened */
  _Atomic int creates, destroys, packs, runs;
  _Atomic bool bad_address; /* memory of the wrong device, or misaligned */
  _Atomic bool was_pitched; /* operand 0 or result 0 of the last run */
};

extern const struct gie_device mock_cpu, mock_far, mock_far_bare;

/* The far device: behaviour, and what happened; all zero but fail_after, which setup() sets to -1. */
struct far_state {
  bool absent, fail_sync, fail_capture;
  uint64_t memory; /* 0: plenty */
  long fail_after; /* so many allocations from now, device and pinned, one fails; < 0: none */
  _Atomic int activates;
  int index, copies, syncs, captures, replays, allocs;
  uint64_t to_device, to_host, on_device, allocated; /* bytes */
};
extern struct far_state far;
#define MOCK_FAR ((uintptr_t)1 << 62)
static inline void *mock_near(void *p) { return (void *)((uintptr_t)p & ~MOCK_FAR); }
/* Hands fn(copy of job) to a stream of far. */
void mock_far_run(void *stream, double seconds, void (*fn)(void *job), const void *job, size_t size);
extern const struct gie_library mock_library;
extern _Atomic int mock_library_opens; /* handles that are open now */

/* A kernel with that behaviour: relu, add, concat, split, reshape, identity, matmul on f32 and, where they
 * only move elements, any dtype. */
struct gie_kernel mock_kernel(const char *name, const char *device, struct mock *m);

/* A context without modules into which the test registers. `config` as in gie_context_options. */
struct gie_context *mock_context(const char *const *config);
void mock_register_device(struct gie_context *ctx, const struct gie_device *d);
void mock_register_op(struct gie_context *ctx, const struct gie_op *op);
void mock_register_kernel(struct gie_context *ctx, const struct gie_kernel *k);

/* ---- Tests: a context `ctx` with the device cpu, kernels named by the test, executors from text */

extern struct gie_context *ctx;
extern struct mock mocks[4];
extern struct gie_kernel kernels[4];
extern uint32_t n_kernels;

void with_config(const char *const *config);
void setup(void);
void teardown(void); /* every instance was destroyed, every library closed */
/* Registers the next mock under that name. */
struct mock *kernel_on(const char *device, const char *name);
struct mock *kernel(const char *name);
struct gie_graph *parse(const char *text);
gie_status try_exec(const char *text, const struct gie_exec_options *o, struct gie_exec **x);
struct gie_exec *new_exec(const char *text, const char *backends);
struct gie_tensor tensor(enum gie_dtype dtype, void *data, int rank, int64_t d0, int64_t d1, int64_t d2,
                         int64_t d3);
gie_status set(struct gie_exec *x, const char *name, const float *data, int rank, int64_t d0, int64_t d1,
               int64_t d2, int64_t d3);
/* The output has exactly these elements. */
void expect(struct gie_exec *x, const char *name, const float *want, int n);
const char *kernel_of(struct gie_exec *x, uint32_t row);

#define HAS(text) \
  ck_assert_msg(strstr(gie_error_text(ctx), text) != NULL, "\"%s\" in: %s", text, gie_error_text(ctx))

#endif
