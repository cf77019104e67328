/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: plan files, as they come and with right hashes. What loads must be whole: its graphs obey the
 * rules, the proof about batches comes to an end, and its texts print. Nothing else may happen than an error. */
#include "core/plan/plan.h"
#include "tests/fuzz/fuzz.h"
#include "tests/plan/plan_bytes.h"
#include <sys/mman.h>
#include <unistd.h>

static void no_log(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module, (void)text;
}

/* Made once: a context without modules. */
static struct gie_context *context(void)
{
  static struct gie_context *ctx;
  struct gie_context_options options = {.struct_size = sizeof options, .log = no_log, .no_modules = true};
  if (!ctx)
    fuzz_check(gie_context_new(&options, &ctx) == GIE_OK);
  return ctx;
}

/* A file in memory, made once; its path. */
static const char *memory_file(const uint8_t *data, size_t size)
{
  static int fd = -1;
  static char path[64];
  if (fd < 0)
    fuzz_check((fd = memfd_create("plan", MFD_CLOEXEC)) >= 0);
  fuzz_check(ftruncate(fd, (off_t)size) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return path;
}

static void look_at(struct gie_context *ctx, const struct gie_plan *plan)
{
  struct gie_buf b;
  bool is_free;
  gie_buf_init(&b, ctx);
  fuzz_check(gie_plan_n_profiles(plan) > 0);
  fuzz_check(gie_graph_verify(gie_plan_base(plan)) == GIE_OK);
  fuzz_check(plan_batch_is_free(gie_plan_base(plan), &is_free, NULL) == GIE_OK);
  fuzz_check(plan_put_meta(plan, &b) == GIE_OK);
  for (uint32_t i = 0; i < gie_plan_n_profiles(plan); i++) {
    struct gie_plan_profile p = {.struct_size = sizeof p};
    fuzz_check(gie_plan_profile(plan, i, &p) == GIE_OK);
    fuzz_check(gie_graph_verify(p.graph) == GIE_OK);
    plan_put_profile(plan, i, &b);
  }
  fuzz_check(b.status == GIE_OK);
  gie_buf_free(&b);
}

static void load(struct gie_context *ctx, const uint8_t *data, size_t size)
{
  struct gie_plan *plan;
  gie_status st = plan_load_any(ctx, memory_file(data, size), &plan);
  fuzz_check(st != GIE_E_INTERNAL);
  if (st != GIE_OK)
    return;
  look_at(ctx, plan);
  gie_plan_free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct gie_context *ctx = context();
  load(ctx, data, size);
  uint8_t *right = malloc(size ? size : 1);
  fuzz_check(right != NULL);
  if (size)
    memcpy(right, data, size);
  fix_hashes(right, size);
  load(ctx, right, size);
  free(right);
  return 0;
}
