/* SPDX-License-Identifier: Apache-2.0 */
/* Error texts, log filter, config table, and status codes. */
#include "tests/gie_check.h"

START_TEST(test_status)
{
  ck_assert_str_eq(gie_status_name(GIE_OK), "OK");
  ck_assert_str_eq(gie_status_name(GIE_E_SHAPE), "E_SHAPE");
  ck_assert_str_eq(gie_status_name((gie_status)-1), "E_INTERNAL");
  ck_assert_str_eq(gie_status_name((gie_status)1000), "E_INTERNAL");
  static const struct {
    gie_status status;
    int exit_code;
  } codes[] = {{GIE_OK, 0},         {GIE_E_NO, 1},       {GIE_E_USAGE, 64},    {GIE_E_DATA, 65},
               {GIE_E_NOINPUT, 66}, {GIE_E_DEVICE, 69},  {GIE_E_INTERNAL, 70}, {GIE_E_MEMORY, 71},
               {GIE_E_CREATE, 73},  {GIE_E_IO, 74},      {GIE_E_PERM, 77},     {GIE_E_CONFIG, 78},
               {GIE_E_MODULE, 78},  {(gie_status)77, 70}};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    ck_assert_int_eq(gie_status_exit_code(codes[i].status), codes[i].exit_code);
}
END_TEST

START_TEST(test_error_text)
{
  struct gie_context *ctx = check_context();
  ck_assert_str_eq(gie_error_text(ctx), "");
  ck_assert_int_eq(gie_fail(ctx, GIE_E_SHAPE, "%d is not %s", 3, "four"), GIE_E_SHAPE);
  ck_assert_str_eq(gie_error_text(ctx), "3 is not four");
  ck_assert_int_eq(gie_error_prefix(ctx, GIE_E_SHAPE, "node %d", 17), GIE_E_SHAPE);
  ck_assert_int_eq(gie_error_prefix(ctx, GIE_E_SHAPE, "model.onnx"), GIE_E_SHAPE);
  ck_assert_str_eq(gie_error_text(ctx), "model.onnx: node 17: 3 is not four");
  gie_fail(ctx, GIE_E_DATA, "the next one; it was: %s", gie_error_text(ctx));
  ck_assert_str_eq(gie_error_text(ctx), "the next one; it was: model.onnx: node 17: 3 is not four");
  gie_context_destroy(ctx);
  /* Without a context there is only the status. */
  ck_assert_int_eq(gie_fail(NULL, GIE_E_DATA, "x"), GIE_E_DATA);
  ck_assert_int_eq(gie_error_prefix(NULL, GIE_E_DATA, "x"), GIE_E_DATA);
  gie_context_destroy(NULL);
}
END_TEST

/* Names come from files: they can neither break the line nor control the terminal. */
START_TEST(test_control_characters)
{
  struct gie_context *ctx = check_context();
  gie_fail(ctx, GIE_E_DATA, "node \"%s\"", "a\nb\033[31m\r\t\x7f\x01 é");
  ck_assert_str_eq(gie_error_text(ctx), "node \"a\\nb\\x1b[31m\\x0d\\t\\x7f\\x01 é\"");
  gie_error_prefix(ctx, GIE_E_DATA, "%s", "x\ny");
  ck_assert_str_eq(gie_error_text(ctx), "x\\ny: node \"a\\nb\\x1b[31m\\x0d\\t\\x7f\\x01 é\"");
  gie_context_destroy(ctx);
}
END_TEST

/* ---- Log */

struct lines {
  int n;
  char last[256];
};

static void keep_line(void *user, enum gie_log_level level, const char *module, const char *text)
{
  struct lines *l = user;
  l->n++;
  snprintf(l->last, sizeof l->last, "%d %s %s", level, module, text);
}

static const struct {
  const char *filter;
  const char *topic;
  enum gie_log_level level;
  bool shown;
} log_cases[] = {
    {"LOG=", "onnx", GIE_LOG_WARN, true},
    {"LOG=", "onnx", GIE_LOG_INFO, false},
    {"LOG=debug", "onnx", GIE_LOG_DEBUG, true},
    {"LOG=error", "onnx", GIE_LOG_WARN, false},
    {"LOG=onnx:debug", "onnx", GIE_LOG_DEBUG, true},
    {"LOG=onnx:debug", "tune", GIE_LOG_INFO, false},
    {"LOG=onnx:debug", "onn", GIE_LOG_INFO, false},
    {"LOG=onnx:debug", "onnxx", GIE_LOG_INFO, false},
    {"LOG=onnx:debug", "tune", GIE_LOG_WARN, true},
    {"LOG=error,tune:info", "tune", GIE_LOG_INFO, true},
    {"LOG=error,tune:info", "tune", GIE_LOG_DEBUG, false},
    {"LOG=error,tune:info", "onnx", GIE_LOG_WARN, false},
    {"LOG=tune:info,error", "tune", GIE_LOG_INFO, false},
};

START_TEST(test_log_filter)
{
  for (size_t i = 0; i < sizeof log_cases / sizeof log_cases[0]; i++) {
    struct lines lines = {0};
    const char *const config[] = {log_cases[i].filter, NULL};
    struct gie_context_options options = {.struct_size = sizeof options,
                                          .log = keep_line,
                                          .log_user = &lines,
                                          .config = config};
    struct gie_context *ctx;
    ck_assert_int_eq(gie_context_init(&options, &ctx), GIE_OK);
    gie_log(ctx, log_cases[i].level, log_cases[i].topic, "line\n%d", 7);
    ck_assert_msg(lines.n == log_cases[i].shown, "%s, %s at level %d", log_cases[i].filter,
                  log_cases[i].topic, log_cases[i].level);
    if (lines.n) {
      char want[64];
      snprintf(want, sizeof want, "%d %s line\\n7", log_cases[i].level, log_cases[i].topic);
      ck_assert_str_eq(lines.last, want);
    }
    gie_context_destroy(ctx);
  }
  gie_log(NULL, GIE_LOG_ERROR, "x", "nowhere to go");
}
END_TEST

/* ---- Config table */

static gie_status init_with(const char *setting, struct lines *lines, struct gie_context **ctx)
{
  const char *const config[] = {setting, NULL};
  struct gie_context_options options = {.struct_size = sizeof options,
                                        .log = keep_line,
                                        .log_user = lines,
                                        .config = config};
  return gie_context_init(&options, ctx);
}

START_TEST(test_config)
{
  struct lines lines = {0};
  struct gie_context *ctx = NULL;
  unsetenv("GIE_MODULE_PATH");
  ck_assert_int_eq(init_with("LOG=info", &lines, &ctx), GIE_OK);
  ck_assert_str_eq(gie_config(ctx, "LOG"), "info");
  ck_assert_ptr_null(gie_config(ctx, "MODULE_PATH"));
  ck_assert_ptr_null(gie_config(ctx, "NO_SUCH_ROW"));
  ck_assert_ptr_null(gie_config(ctx, "LO"));
  gie_context_destroy(ctx);

  setenv("GIE_MODULE_PATH", "/from/environment", 1);
  setenv("GIE_LOG", "debug", 1);
  ck_assert_int_eq(init_with("MODULE_PATH=/from/program", &lines, &ctx), GIE_OK);
  ck_assert_str_eq(gie_config(ctx, "MODULE_PATH"), "/from/program");
  ck_assert_str_eq(gie_config(ctx, "LOG"), "debug");
  gie_context_destroy(ctx);

  /* A bad setting makes a context that only says why. */
  static const char *const bad[] = {"NO_SUCH_ROW=1",     "LOG", "=x", "LOG=loud", "LOG=onnx:", "LOG=,",
                                    "LOG=onnx:loud,info"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    ck_assert_int_eq(init_with(bad[i], &lines, &ctx), GIE_E_CONFIG);
    ck_assert_msg(strstr(gie_error_text(ctx), bad[i]) || strstr(bad[i], "LOG="), "%s", gie_error_text(ctx));
    ck_assert_str_ne(gie_error_text(ctx), "");
    gie_context_destroy(ctx);
  }
  ck_assert_int_eq(lines.n, 0);
  setenv("GIE_LOG", "loud", 1);
  ck_assert_int_eq(init_with(NULL, &lines, &ctx), GIE_E_CONFIG);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "GIE_LOG=loud"));
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_config_table)
{
  const char *name, *def, *help;
  unsigned n = 0;
  while (gie_config_row(n, &name, &def, &help)) {
    ck_assert(strlen(name) > 0 && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(name));
    ck_assert_ptr_nonnull(def);
    ck_assert(strlen(help) > 10 && help[strlen(help) - 1] != '.');
    n++;
  }
  ck_assert_uint_ge(n, 2);
}
END_TEST

/* An options struct of an older program is shorter: what it lacks counts as zero. */
START_TEST(test_short_options)
{
  struct lines lines = {0};
  const char *const config[] = {"LOG=loud", NULL};
  struct gie_context_options options = {.log = keep_line, .log_user = &lines, .config = config};
  struct gie_context *ctx;
  unsetenv("GIE_LOG");
  options.struct_size = offsetof(struct gie_context_options, config);
  ck_assert_int_eq(gie_context_init(&options, &ctx), GIE_OK);
  gie_log(ctx, GIE_LOG_ERROR, "x", "y");
  ck_assert_int_eq(lines.n, 1);
  gie_context_destroy(ctx);
}
END_TEST

/* ---- Threads share a context */

static void *fail_often(void *arg)
{
  struct gie_context *ctx = arg;
  for (int i = 0; i < 2000; i++) {
    gie_fail(ctx, GIE_E_DATA, "failure %d", i);
    gie_error_prefix(ctx, GIE_E_DATA, "thread");
    gie_log(ctx, GIE_LOG_WARN, "thread", "line %d", i);
    gie_free(ctx, gie_alloc(ctx, 10, 10));
  }
  return NULL;
}

START_TEST(test_threads)
{
  struct gie_context *ctx = check_context();
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, fail_often, ctx), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "failure 1999"));
  gie_context_destroy(ctx);
}
END_TEST

GIE_TESTS_MAIN("context", test_status, test_error_text, test_control_characters, test_log_filter, test_config,
               test_config_table, test_short_options, test_threads)
