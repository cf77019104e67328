/* SPDX-License-Identifier: Apache-2.0 */
/* The search for modules, what is refused and how it is said: E_MODULE when a file was named, one
 * warning when it was found in a directory. Then what the registries hold. */
#include "tests/module/module_check.h"

static const struct gie_module_info *module_info(const struct gie_context *ctx, uint32_t i)
{
  static struct gie_module_info info;
  info.struct_size = sizeof info;
  return gie_module_at(ctx, i, &info) ? &info : NULL;
}

/* The file is refused with that text, named and found. */
static void check_refused(const char *path, const char *dir, const char *text)
{
  struct gie_context *ctx;
  struct log_lines lines;
  const char *const named[] = {path, NULL};
  ck_gie(ctx, new_context(named, NULL, &lines, &ctx), GIE_E_MODULE);
  ck_assert_msg(strstr(gie_error_text(ctx), text) && strstr(gie_error_text(ctx), path), "%s without \"%s\"",
                gie_error_text(ctx), text);
  ck_assert_int_eq(lines.warnings, 0);
  ck_assert_ptr_nonnull(module_info(ctx, 0)->refused);
  gie_context_free(ctx);

  ck_gie_ok(ctx, new_context(NULL, dir, &lines, &ctx));
  ck_assert_msg(lines.warnings == 1 && strstr(lines.last, text) && strstr(lines.last, path),
                "%d: %s without \"%s\"", lines.warnings, lines.last, text);
  ck_assert_ptr_nonnull(module_info(ctx, 0)->refused);
  ck_assert_ptr_null(gie_pass_at(ctx, 0));
  gie_context_free(ctx);
}

START_TEST(test_good)
{
  struct gie_context *ctx, *second;
  struct log_lines lines;
  const char *dir = new_folder(), *path = in_folder(dir, "good.so");
  const char *const named[] = {path, NULL};
  copy_file(built_module("good"), path);
  ck_gie_ok(ctx, new_context(named, NULL, &lines, &ctx));
  ck_assert_msg(lines.warnings == 0, "%s", lines.last);
  const struct gie_module_info *info = module_info(ctx, 0);
  ck_assert_str_eq(info->name, "good");
  ck_assert_str_eq(info->version, "1.0");
  ck_assert_str_eq(info->path, path);
  ck_assert_int_eq(info->kind, GIE_MODULE_LAYER);
  ck_assert_ptr_null(info->refused);
  ck_assert_ptr_null(module_info(ctx, 1));

  ck_assert_str_eq(gie_pass_at(ctx, 0)->name, "test_nothing");
  ck_assert_ptr_null(gie_pass_at(ctx, 1));
  ck_assert_str_eq(gie_kernel_at(ctx, 0)->name, "test.same");
  ck_assert_str_eq(gie_format_at(ctx, 0)->name, "testfmt");
  ck_assert_ptr_null(gie_device_at(ctx, 0));
  const struct gie_op *op = gie_op_find(ctx, "test::Same");
  ck_assert_ptr_nonnull(op);
  ck_assert_ptr_nonnull(gie_op_find(ctx, "conv"));
  ck_assert_ptr_null(gie_op_find(ctx, "test::Other"));
  uint32_t n = 0;
  while (gie_op_at(ctx, n))
    n++;
  ck_assert_ptr_eq(gie_op_at(ctx, n - 1), op);

  /* Another context has registries of its own, with the same module. */
  ck_gie_ok(second, new_context(NULL, dir, &lines, &second));
  ck_assert_ptr_eq(gie_op_find(second, "test::Same"), op);
  gie_context_free(second);
  ck_assert_ptr_eq(gie_op_find(ctx, "test::Same"), op);
  gie_context_free(ctx);
  remove_folder(dir);
}
END_TEST

START_TEST(test_not_modules)
{
  static const struct {
    const char *name, *content, *text;
  } cases[] = {
      {"empty.so", "", "the file is empty"},
      {"script.so",
       "#!/bin/sh\necho this is no module, whatever its name says, and it is long enough for a header\n",
       "not an ELF file"},
      {"short.so", "\177ELF", "cut off after 4 bytes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *dir = new_folder(), *path = in_folder(dir, cases[i].name);
    write_all(path, cases[i].content, strlen(cases[i].content));
    check_refused(path, dir, cases[i].text);
    remove_folder(dir);
  }
}
END_TEST

/* The constructor of a module that is refused by its note never runs; that of one which passes does. */
START_TEST(test_before_dlopen)
{
  static const struct {
    const char *name, *text;
    bool runs;
  } cases[] = {
      {"magic", "magic number", false},
      {"noentry", "does not export gie_module_init", true},
      {"undefined", "undefined symbol: nobody_defines_this", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *dir = new_folder(), *path = in_folder(dir, "m.so"), *mark = in_folder(dir, "loaded");
    copy_file(built_module(cases[i].name), path);
    setenv("TEST_MODULE_MARK", mark, 1);
    check_refused(path, dir, cases[i].text);
    ck_assert_msg((access(mark, F_OK) == 0) == cases[i].runs, "%s", cases[i].name);
    unsetenv("TEST_MODULE_MARK");
    remove_folder(dir);
  }
}
END_TEST

START_TEST(test_init)
{
  static const struct {
    const char *what, *text;
  } cases[] = {
      {"fail", "its init failed with E_DEVICE: the gadget is not plugged in; plug it in"},
      {"silent", "its init failed with E_IO: no reason given"},
      {"twice", "pass \"init_pass\" is already registered by this module"},
      {"ignore", "pass \"init_pass\" has no run, which is required"},
      {"null", "registers a NULL pass"},
      {"null-run", "pass \"init_pass\" has no run, which is required"},
      {"short", "a registered pass has struct_size 31, at least 32 are needed"},
      {"no-name", "a registered pass has no name"},
      {"comma", "a registered pass has no name of 1 to 128 visible characters without comma"},
      {"builtin", "op \"relu\" is built in"},
      {"backwards", "op \"test::B\" takes 2 to 1 operands"},
      {"no-ops", "kernel \"test.k\" lists no ops"},
      {"interface", "its init failed with E_NO"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *dir = new_folder(), *path = in_folder(dir, "init.so");
    copy_file(built_module("init"), path);
    setenv("TEST_INIT", cases[i].what, 1);
    check_refused(path, dir, cases[i].text);
    unsetenv("TEST_INIT");
    remove_folder(dir);
  }
}
END_TEST

START_TEST(test_same_name)
{
  struct gie_context *ctx;
  struct log_lines lines;
  const char *a = new_folder(), *b = new_folder(), *first = in_folder(a, "a.so"),
             *same = in_folder(a, "b.so");
  const char *other = in_folder(b, "c.so"), *link = in_folder(b, "link.so");
  char path[2 * PATH_MAX];
  snprintf(path, sizeof path, "%s:%s", a, b);
  copy_file(built_module("good"), first);

  /* Two directories: the first hides the second without a word. */
  copy_file(built_module("good"), other);
  ck_gie_ok(ctx, new_context(NULL, path, &lines, &ctx));
  ck_assert_msg(lines.warnings == 0, "%s", lines.last);
  ck_assert_str_eq(module_info(ctx, 0)->path, first);
  ck_assert_str_eq(module_info(ctx, 1)->path, other);
  ck_assert_ptr_nonnull(strstr(module_info(ctx, 1)->refused, "already loaded from"));
  gie_context_free(ctx);

  /* One directory: a mistake. */
  copy_file(built_module("good"), same);
  ck_gie_ok(ctx, new_context(NULL, a, &lines, &ctx));
  ck_assert_int_eq(lines.warnings, 1);
  ck_assert_ptr_nonnull(strstr(lines.last, "a module named \"good\" is already loaded from"));
  gie_context_free(ctx);

  /* Named: an error, unless it is the same file. */
  const char *const two[] = {first, other, NULL}, *const once[] = {first, first, link, NULL};
  ck_gie(ctx, new_context(two, NULL, &lines, &ctx), GIE_E_MODULE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "already loaded from"));
  gie_context_free(ctx);
  ck_assert_int_eq(symlink(first, link), 0);
  ck_gie_ok(ctx, new_context(once, NULL, &lines, &ctx));
  ck_assert_ptr_null(module_info(ctx, 1));
  gie_context_free(ctx);

  /* Two modules, one registration: the second module is refused as a whole. */
  remove_folder(a);
  remove_folder(b);
}
END_TEST

START_TEST(test_order)
{
  struct gie_context *ctx;
  struct log_lines lines;
  const char *dir = new_folder();
  copy_file(built_module("kernels"), in_folder(dir, "b.so"));
  copy_file(built_module("good"), in_folder(dir, "c.so"));
  copy_file(built_module("init"), in_folder(dir, "a.so"));
  ck_gie_ok(ctx, new_context(NULL, dir, &lines, &ctx));
  ck_assert_str_eq(module_info(ctx, 0)->name, "init");
  ck_assert_str_eq(module_info(ctx, 1)->name, "test-kernels");
  ck_assert_str_eq(module_info(ctx, 2)->name, "good");
  ck_assert_str_eq(gie_pass_at(ctx, 0)->name, "init_pass");
  ck_assert_str_eq(gie_pass_at(ctx, 1)->name, "test_nothing");
  for (uint32_t i = 1; gie_kernel_at(ctx, i); i++)
    ck_assert_int_lt(strcmp(gie_kernel_at(ctx, i - 1)->name, gie_kernel_at(ctx, i)->name), 0);
  gie_context_free(ctx);
  remove_folder(dir);
}
END_TEST

/* Plain libraries and other files beside modules are nobody's business. */
START_TEST(test_other_files)
{
  struct gie_context *ctx;
  struct log_lines lines;
  const char *dir = new_folder(), *plain = in_folder(dir, "plain.so");
  copy_file(built_module("plain"), plain);
  write_all(in_folder(dir, "good.la"), "x", 1);
  write_all(in_folder(dir, "good.so.bak"), "x", 1);
  write_all(in_folder(dir, ".hidden.so"), "x", 1);
  ck_gie_ok(ctx, new_context(NULL, dir, &lines, &ctx));
  ck_assert_msg(lines.warnings == 0, "%s", lines.last);
  ck_assert_ptr_null(module_info(ctx, 0));
  gie_context_free(ctx);
  const char *const named[] = {plain, NULL};
  ck_gie(ctx, new_context(named, NULL, &lines, &ctx), GIE_E_MODULE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "no gie module; declare it with GIE_MODULE"));
  gie_context_free(ctx);
  remove_folder(dir);
}
END_TEST

START_TEST(test_writable)
{
  struct gie_context *ctx;
  struct log_lines lines;
  const char *dir = new_folder(), *path = in_folder(dir, "m.so");
  const char *const named[] = {path, NULL};
  copy_file(built_module("good"), path);
  chmod(path, 0666);
  check_refused(path, dir, "the file is writable by other users (mode 0666)");
  chmod(path, 0644);
  chmod(dir, 0777);
  ck_gie(ctx, new_context(named, NULL, &lines, &ctx), GIE_E_MODULE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "its directory is writable by other users"));
  gie_context_free(ctx);
  ck_gie_ok(ctx, new_context(NULL, dir, &lines, &ctx));
  ck_assert_int_eq(lines.warnings, 1);
  ck_assert_ptr_nonnull(strstr(lines.last, "the directory is writable by other users"));
  ck_assert_ptr_null(gie_pass_at(ctx, 0));
  gie_context_free(ctx);

  /* A link to such a place is no way round. */
  const char *safe = new_folder();
  ck_assert_int_eq(symlink(path, in_folder(safe, "link.so")), 0);
  ck_gie_ok(ctx, new_context(NULL, safe, &lines, &ctx));
  ck_assert_int_eq(lines.warnings, 1);
  ck_assert_ptr_nonnull(strstr(lines.last, "its directory is writable by other users"));
  gie_context_free(ctx);
  chmod(dir, 0755);
  if (geteuid() == 0) {
    ck_assert_int_eq(chown(path, 12345, 12345), 0);
    check_refused(path, dir, "the file belongs to user 12345");
    ck_assert_int_eq(chown(path, 0, 12345), 0);
    chmod(path, 0664);
    check_refused(path, dir, "the file is writable by other users (mode 0664)");
  }
  remove_folder(dir);
  remove_folder(safe);
}
END_TEST

/* Neither the current directory nor LD_LIBRARY_PATH is a place for modules. */
START_TEST(test_current_directory)
{
  static const char *const paths[] = {"", ":", ".", "./", "sub/..", ":.:"};
  struct gie_context *ctx;
  struct log_lines lines;
  char before[PATH_MAX];
  const char *dir = new_folder();
  ck_assert_ptr_nonnull(getcwd(before, sizeof before));
  copy_file(built_module("good"), in_folder(dir, "good.so"));
  ck_assert_int_eq(chdir(dir), 0);
  setenv("LD_LIBRARY_PATH", dir, 1);
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    ck_gie_ok(ctx, new_context(NULL, paths[i], &lines, &ctx));
    ck_assert_ptr_null(module_info(ctx, 0));
    ck_assert_int_eq(lines.warnings, strpbrk(paths[i], ".") ? 1 : 0);
    gie_context_free(ctx);
  }
  const char *const bare[] = {"good.so", NULL}, *const dotted[] = {"./good.so", NULL};
  ck_gie(ctx, new_context(bare, NULL, &lines, &ctx), GIE_E_MODULE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "write ./good.so"));
  gie_context_free(ctx);
  ck_gie_ok(ctx, new_context(dotted, NULL, &lines, &ctx));
  gie_context_free(ctx);
  unsetenv("LD_LIBRARY_PATH");
  ck_assert_int_eq(chdir(before), 0);
  remove_folder(dir);
}
END_TEST

START_TEST(test_missing)
{
  struct gie_context *ctx;
  struct log_lines lines;
  const char *dir = new_folder(), *path = in_folder(dir, "none.so");
  const char *const named[] = {path, NULL}, *const folder[] = {dir, NULL};
  ck_gie(ctx, new_context(named, NULL, &lines, &ctx), GIE_E_MODULE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "none.so: No such file"));
  gie_context_free(ctx);
  ck_gie(ctx, new_context(folder, NULL, &lines, &ctx), GIE_E_MODULE);
  gie_context_free(ctx);
  ck_gie_ok(ctx, new_context(NULL, in_folder(dir, "none"), &lines, &ctx));
  ck_assert_int_eq(lines.warnings, 1);
  gie_context_free(ctx);
  /* A FIFO must not hang. */
  ck_assert_int_eq(mkfifo(path, 0600), 0);
  check_refused(path, dir, "regular file");
  remove_folder(dir);
}
END_TEST

/* Without memory at any point: an error, no leak, nothing half registered. */
START_TEST(test_no_memory)
{
  const char *dir = new_folder(), *path = in_folder(dir, "good.so");
  const char *const named[] = {path, NULL};
  const struct gie_context_options options = {.struct_size = sizeof options,
                                              .log = check_no_log,
                                              .modules = named,
                                              .module_dir = dir};
  copy_file(built_module("good"), path);
  gie_status st = GIE_E_MEMORY;
  unsetenv("GIE_MODULE_PATH");
  for (long n = 1; st != GIE_OK; n++) {
    struct gie_context *ctx = check_context();
    ctx->fail_alloc_after = n;
    st = mod_registry_new(ctx);
    if (st == GIE_OK)
      st = mod_load_all(ctx, &options);
    ck_assert_msg(st == GIE_OK || st == GIE_E_MEMORY || st == GIE_E_MODULE, "allocation %ld: %s", n,
                  gie_status_name(st));
    ck_assert(st == GIE_OK || !ctx->registry || !mod_entry_at(ctx, MOD_PASS, 0));
    gie_context_free(ctx);
    ck_assert_int_lt(n, 1000);
  }
  remove_folder(dir);
}
END_TEST

GIE_TESTS_MAIN("load", test_good, test_not_modules, test_before_dlopen, test_init, test_same_name, test_order,
               test_other_files, test_writable, test_current_directory, test_missing, test_no_memory)
