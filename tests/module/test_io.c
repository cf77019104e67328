/* SPDX-License-Identifier: Apache-2.0 */
/* Network files: which reader takes what, and what is said of files that are none. */
#include "tests/module/module_check.h"

static struct gie_context *context_with_format(const char *dir)
{
  struct gie_context *ctx;
  struct log_lines lines;
  const char *const modules[] = {in_folder(dir, "good.so"), NULL};
  copy_file(built_module("good"), modules[0]);
  ck_gie_ok(ctx, new_context(modules, NULL, &lines, &ctx));
  return ctx;
}

/* Text of the error; one line that names the file once. */
static const char *load_fails(struct gie_context *ctx, const char *path, gie_status status)
{
  struct gie_graph *g = NULL;
  ck_gie(ctx, gie_graph_load(ctx, path, NULL, &g), status);
  ck_assert_ptr_null(g);
  const char *text = gie_error_text(ctx);
  const char *name = strrchr(path, '/'), *first = strstr(text, name);
  ck_assert_msg(!strchr(text, '\n') && first && !strstr(first + 1, name), "%s", text);
  return text;
}

#define GRAPH "graph \"t\" { input %x : f32[2] %y : f32[2] = relu(%x) output %y }"

START_TEST(test_readers)
{
  static const struct {
    const char *name, *content, *graph;
  } files[] = {
      {"a.gie", GRAPH, "t"},
      {"b.txt", GRAPH, "t"},
      {"c.txt", "# a comment with graph in it\n\n  " GRAPH, "t"},
      {"d.GIE", "\n" GRAPH, "t"},
      {"e.onnx", "TESTFMT\nrest", "imported"},
      {"noname", "TESTFMT\nrest", "imported"},
  };
  const char *dir = new_folder();
  struct gie_context *ctx = context_with_format(dir);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    const char *path = in_folder(dir, files[i].name);
    struct gie_graph *g;
    write_all(path, files[i].content, strlen(files[i].content));
    ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &g));
    ck_assert_str_eq(gie_graph_name(g), files[i].graph);
    gie_graph_free(g);
  }
  gie_context_free(ctx);
  remove_folder(dir);
}
END_TEST

START_TEST(test_no_network)
{
#define BYTES(s) s, sizeof(s) - 1
  static const struct {
    const char *name, *content;
    size_t size;
    const char *text;
  } files[] = {
      {"empty.onnx", BYTES(""), "the file is empty"},
      {"empty.gie", BYTES(""), "the file is empty"},
      {"model.onnx", BYTES("PK\3\4\x14"), "looks like a zip archive, which PyTorch's .pt and .pth files"},
      {"old.pt", BYTES("\x80\2\x8a\n"), "looks like a Python pickle"},
      {"page.onnx", BYTES("<!DOCTYPE html><html>"), "looks like a web page; the download got an error"},
      {"page2.onnx", BYTES("\r\n  <HTML lang=en>"), "looks like a web page"},
      {"error.onnx", BYTES("<?xml version=1.0?>"), "looks like a web page"},
      {"m.onnx", BYTES("\x1f\x8b\x08"), "looks like gzip data; unpack it with gunzip"},
      {"m.h5", BYTES("\x89HDF\r\n\x1a\n"), "looks like an HDF5 file"},
      {"m.tflite", BYTES("\x1c\0\0\0TFL3"), "looks like a TensorFlow Lite model"},
      {"m.png", BYTES("\x89PNG\r\n\x1a\n"), "looks like a PNG image; give the network's file"},
      {"m.so", BYTES("\177ELF"), "modules are given with --module"},
      {"m.weights", BYTES("GIEWGT1\nxxxxxxxx"), "give the .gie file beside it"},
      {"lfs.onnx", BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"},
      {"unknown.bin", BYTES("hello"),
       "no format recognizes this file; known here: gie text (.gie), testfmt (.tst)"},
      {"one.gie", BYTES("g"), "line 1"},
      {"graphs", BYTES("graphs are not a graph"), "no format recognizes this file"},
  };
  const char *dir = new_folder();
  struct gie_context *ctx = context_with_format(dir);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    const char *path = in_folder(dir, files[i].name);
    write_all(path, files[i].content, files[i].size);
    const char *text = load_fails(ctx, path,
                                  strcmp(files[i].name, "one.gie") == 0 ? GIE_E_PARSE : GIE_E_DATA);
    ck_assert_msg(strstr(text, files[i].text), "%s: %s", files[i].name, text);
  }
  gie_context_free(ctx);
  remove_folder(dir);
}
END_TEST

START_TEST(test_no_file)
{
  const char *dir = new_folder(), *path = in_folder(dir, "none.onnx"), *fifo = in_folder(dir, "fifo");
  const char *odd = in_folder(dir, "a\nb\033.onnx");
  struct gie_context *ctx = context_with_format(dir);
  struct gie_graph *g;
  ck_assert_ptr_nonnull(strstr(load_fails(ctx, path, GIE_E_NOINPUT), "No such file"));
  load_fails(ctx, dir, GIE_E_NOINPUT);
  ck_gie(ctx, gie_graph_load(ctx, "/dev/zero", NULL, &g), GIE_E_NOINPUT);
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  load_fails(ctx, fifo, GIE_E_NOINPUT);
  if (geteuid() != 0) { /* root reads everything */
    write_all(path, GRAPH, strlen(GRAPH));
    chmod(path, 0);
    load_fails(ctx, path, GIE_E_PERM);
  }
  /* Names are escaped, and said once all the same. */
  ck_gie(ctx, gie_graph_load(ctx, odd, NULL, &g), GIE_E_NOINPUT);
  const char *first = strstr(gie_error_text(ctx), "a\\nb\\x1b.onnx");
  ck_assert_msg(first && !strstr(first + 1, "a\\nb"), "%s", gie_error_text(ctx));
  gie_context_free(ctx);
  remove_folder(dir);
}
END_TEST

/* What a format module does wrong. */
START_TEST(test_importers)
{
  const char *dir = new_folder(), *path = in_folder(dir, "x.tst");
  struct gie_context *ctx = context_with_format(dir);
  write_all(path, "TESTFMT\n", 8);
  ck_assert_ptr_nonnull(strstr(load_fails(ctx, path, GIE_E_PARSE), "the name is missing"));
  write_all(path, "TESTFMT\n!", 9);
  ck_assert_ptr_nonnull(strstr(load_fails(ctx, path, GIE_E_INTERNAL), "reports success without a graph"));
  gie_context_free(ctx);
  remove_folder(dir);
}
END_TEST

START_TEST(test_save)
{
  const char *dir = new_folder(), *path = in_folder(dir, "a.gie"), *dot = in_folder(dir, "a.dot");
  struct gie_context *ctx = context_with_format(dir);
  struct gie_graph *g, *back;
  size_t size;
  write_all(path, GRAPH, strlen(GRAPH));
  ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &g));
  ck_gie_ok(ctx, gie_graph_save(g, path));
  ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &back));
  gie_graph_free(back);
  ck_gie_ok(ctx, gie_graph_save(g, dot));
  char *text = read_all(dot, &size);
  ck_assert_int_eq(strncmp(text, "digraph", 7), 0);
  free(text);
  ck_gie(ctx, gie_graph_save(g, in_folder(dir, "a.tst")), GIE_E_UNSUPPORTED);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "format \"testfmt\" can only be read"));
  ck_gie(ctx, gie_graph_save(g, in_folder(dir, "a")), GIE_E_USAGE);
  ck_gie(ctx, gie_graph_save(g, in_folder(dir, "none/a.gie")), GIE_E_CREATE);
  gie_graph_free(g);
  gie_context_free(ctx);
  remove_folder(dir);
}
END_TEST

GIE_TESTS_MAIN("io", test_readers, test_no_network, test_no_file, test_importers, test_save)
