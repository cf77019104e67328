/* SPDX-License-Identifier: Apache-2.0 */
/* Targets as text: what is printed reads back the same, and what is wrong is one line that says where. */
#include "core/tune/tune.h"
#include "tests/gie_check.h"

static struct gie_context *ctx;
static struct gie_arena mem;

static void start(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .no_modules = true};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  gie_arena_init(&mem, ctx);
}

static void stop(void)
{
  gie_arena_free(&mem);
  gie_context_free(ctx);
}

static gie_status parse(const char *text, struct gie_target *out)
{
  char copy[1024];
  snprintf(copy, sizeof copy, "%s", text);
  return tune_target_parse(ctx, "t", copy, strlen(copy), &mem, out);
}

START_TEST(test_round)
{
  const struct gie_target t = {.struct_size = sizeof t,
                               .device = "cuda",
                               .name = "NVIDIA H200",
                               .flags = GIE_DEVICE_F16 | GIE_DEVICE_ENERGY,
                               .units = 132,
                               .peaks = {.struct_size = sizeof t.peaks,
                                         .bytes_per_s = 4.1e12,
                                         .cache_bytes_per_s = 1e13,
                                         .cache_bytes = 5e7,
                                         .f32_flop_per_s = 6.1e13,
                                         .f16_flop_per_s = 9e14,
                                         .tf32_flop_per_s = 4e14,
                                         .i8_op_per_s = 1.9e15,
                                         .launch_s = 2e-6}};
  struct gie_target back;
  struct gie_buf b;
  gie_buf_init(&b, ctx);
  tune_target_print(&t, &b);
  ck_gie_ok(ctx, parse(b.data, &back));
  ck_assert_str_eq(back.device, t.device);
  ck_assert_str_eq(back.name, t.name);
  ck_assert(back.flags == t.flags && back.units == t.units);
  ck_assert_mem_eq(&back.peaks, &t.peaks, sizeof t.peaks);
  gie_buf_free(&b);
}
END_TEST

#define LEAST "gie target 1\ndevice cpu\nbytes_per_s 1e9\nf32_flop_per_s 1e9\n"

START_TEST(test_bad)
{
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"", "it is no target"},
      {"gie target 12\n", "it is no target"},
      {"gie target 1", "does not say for which device"},
      {"gie target 1\ndevice cpu\nbytes_per_s 1e9\n", "bytes_per_s and f32_flop_per_s are needed"},
      {LEAST "launch 1\n", "t: line 5: nothing is called so"},
      {LEAST "launch_s -1\n", "t: line 5: a figure is no number"},
      {LEAST "launch_s nan\n", "t: line 5: a figure is no number"},
      {LEAST "launch_s 1 2\n", "t: line 5: a figure is no number"},
      {LEAST "launch_s\n", "t: line 5: a figure is no number"},
      {LEAST "\n# a remark\nflags f16 f8\n", "t: line 7: there is no such flag"},
      {LEAST "units -1\n", "t: line 5: units is no number"},
      {LEAST "units 99999999999\n", "t: line 5: units is no number"},
      {LEAST "# a remark\ndevice cpu\n", "t: line 6: device is in line 2 already; leave one of them out"},
      {LEAST "f32_flop_per_s 2e9\n", "t: line 5: f32_flop_per_s is in line 4 already"},
      {LEAST "name a\nlaunch_s 0\nlaunch_s 0\n", "t: line 7: launch_s is in line 6 already"},
      {LEAST "name a\nname b\n", "t: line 6: name is in line 5 already"},
      {LEAST "units 1\nunits 1\n", "t: line 6: units is in line 5 already"},
      {LEAST "flags\nflags f16\n", "t: line 6: flags is in line 5 already"},
  };
  struct gie_target t;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ck_gie(ctx, parse(cases[i].text, &t), GIE_E_DATA);
    ck_assert_msg(strstr(gie_error_text(ctx), cases[i].message), "%s: %s", cases[i].text,
                  gie_error_text(ctx));
  }
  ck_gie_ok(ctx, parse(LEAST "\r\nflags\n  \n", &t));
  ck_gie_ok(ctx, parse("gie target 1\r\ndevice cpu\r\nbytes_per_s 1e9\r\nf32_flop_per_s 1e9\r\n", &t));
  ck_assert_str_eq(t.device, "cpu");
  char nul[] = LEAST "\0launch_s 1\n";
  ck_gie(ctx, tune_target_parse(ctx, "t", nul, sizeof nul - 1, &mem, &t), GIE_E_DATA);
  ck_gie(ctx, tune_target_read(ctx, "/nonexistent", &mem, &t), GIE_E_NOINPUT);
}
END_TEST

GIE_TESTS_MAIN_WITH("target", start, stop, test_round, test_bad)
