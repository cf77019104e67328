/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor data in files beside the model: which files are opened, and offset and length. Also how tensors are
 * stored inside a file: every element type in every field that ONNX allows, small and lifted. */
#include "tests/onnx/onnx_test.h"
#include <fcntl.h>

/* ---- External data ---------------------------------------------------------------------------- */

static void pair(struct ob *b, unsigned field, const char *key, const char *value, size_t n)
{
  ob_begin(b, field);
  ob_str(b, 1, key);
  ob_bytes(b, 2, value, n);
  ob_end(b);
}

/* A model with w f32[4] in `location`, n bytes of name; offset and length may be NULL. */
static void external(struct ob *b, const char *location, size_t n, const char *offset, const char *length)
{
  static const int64_t dims[] = {4};
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "4");
  ob_tensor(b, 5, "w", OB_F32, dims, 1);
  if (location)
    pair(b, 13, "location", location, n);
  if (offset)
    pair(b, 13, "offset", offset, strlen(offset));
  if (length)
    pair(b, 13, "length", length, strlen(length));
  pair(b, 13, "checksum", "not looked at", 13);
  ob_int(b, 14, 1);
  ob_end(b);
  ob_node(b, "Add", "x w", "y");
  ob_end(b);
  ob_output(b, "y");
}

static const float numbers[] = {-1, 0, 1, 2, 3, 4, 5, 6};

/* The folder of the test: data and links of all kinds. What is in `names` is removed at the end. */
static const char *const names[] = {"w.bin", "link", "hard", "sub/w.bin", "sublink", "fifo", "sub", "short"};

static void fill_folder(const struct onnx_test *t)
{
  char path[200];
  int dir = open(t->dir, O_RDONLY | O_DIRECTORY), fd;
  ck_assert_int_ge(dir, 0);
  ck_assert_int_eq(mkdirat(dir, "sub", 0700), 0);
  for (int i = 0; i < 4; i++) {
    static const char *const files[] = {"w.bin", "sub/w.bin", "hard0", "short"};
    fd = openat(dir, files[i], O_WRONLY | O_CREAT, 0600);
    size_t n = i == 3 ? 15 : sizeof numbers;
    ck_assert_int_eq(write(fd, numbers, n), (ssize_t)n);
    close(fd);
  }
  ck_assert_int_eq(symlinkat("w.bin", dir, "link"), 0);
  ck_assert_int_eq(symlinkat("sub", dir, "sublink"), 0);
  ck_assert_int_eq(linkat(dir, "hard0", dir, "hard", 0), 0);
  snprintf(path, sizeof path, "%s/fifo", t->dir);
  ck_assert_int_eq(mkfifo(path, 0600), 0);
  close(dir);
}

static void empty_folder(const struct onnx_test *t)
{
  int dir = open(t->dir, O_RDONLY | O_DIRECTORY);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    unlinkat(dir, names[i], strcmp(names[i], "sub") == 0 ? AT_REMOVEDIR : 0);
  unlinkat(dir, "hard0", 0);
  close(dir);
}

START_TEST(test_external)
{
  static const struct {
    const char *location, *offset, *length;
    gie_status status;
    const char *text;
  } cases[] = {
      {"w.bin", NULL, NULL, GIE_OK, ""},
      {"w.bin", "16", "16", GIE_OK, ""},
      {"sub/w.bin", "0", "16", GIE_OK, ""},
      {"./w.bin", "0", "16", GIE_OK, ""},
      {"sub/../w.bin", "0", "16", GIE_E_DATA, "has a \"..\""},
      {"w.bin", "17", "16", GIE_E_DATA, "lie outside the file of 32 bytes"},
      {"w.bin", "32", NULL, GIE_E_DATA, "lie outside"},
      {"w.bin", "18446744073709551615", "16", GIE_E_DATA, "lie outside"},
      {"w.bin", "18446744073709551616", "16", GIE_E_DATA, "no number of bytes"},
      {"w.bin", "-1", "16", GIE_E_DATA, "offset \"-1\" is no number of bytes"},
      {"w.bin", "", "16", GIE_E_DATA, "no number of bytes"},
      {"w.bin", "1x", "16", GIE_E_DATA, "no number of bytes"},
      {"w.bin", "0", "-16", GIE_E_DATA, "length \"-16\" is no number of bytes"},
      {"w.bin", "0", "15", GIE_E_DATA, "length is 15, the tensor needs 16 bytes"},
      {"w.bin", "0", "17", GIE_E_DATA, "length is 17"},
      {"w.bin", "0", "9223372036854775808", GIE_E_DATA, "length is 9223372036854775808"},
      {"short", "0", "16", GIE_E_DATA, "lie outside the file of 15 bytes"},
      {NULL, "0", "16", GIE_E_DATA, "without a location"},
      {"", "0", "16", GIE_E_DATA, "without a location"},
      {"absent.bin", NULL, NULL, GIE_E_NOINPUT, "absent.bin"},
      {"sub", NULL, NULL, GIE_E_DATA, "directory"},
      {"fifo", NULL, NULL, GIE_E_DATA, "regular file"},
      {"../x", NULL, NULL, GIE_E_DATA, "../x"},
      {"sub/../../x", NULL, NULL, GIE_E_DATA, "sub/../../x"},
      {"/etc/passwd", NULL, NULL, GIE_E_DATA, "/etc/passwd"},
      {"link", NULL, NULL, GIE_E_DATA, "link"},
      {"sublink/w.bin", NULL, NULL, GIE_E_DATA, "sublink"},
      {"hard", NULL, NULL, GIE_E_DATA, "hard"},
  };
  struct onnx_test t;
  int wrong = 0;
  onnx_test_begin(&t);
  fill_folder(&t);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *location = cases[i].location;
    struct gie_graph *g;
    struct ob b;
    ob_init(&b);
    external(&b, location, location ? strlen(location) : 0, cases[i].offset, cases[i].length);
    gie_status st = onnx_test_load(&t, &b, &g);
    if (st != cases[i].status || (st != GIE_OK && !strstr(gie_error_text(t.ctx), cases[i].text))) {
      fprintf(stderr, "%s %s %s: %s: %s\n", location, cases[i].offset, cases[i].length, gie_status_name(st),
              st == GIE_OK ? "" : gie_error_text(t.ctx));
      wrong++;
    }
    if (st == GIE_OK) {
      const float *w = gie_value_bytes(g, gie_value_find(g, "w"), NULL);
      size_t first = cases[i].offset ? strtoul(cases[i].offset, NULL, 10) / 4 : 0;
      ck_assert_mem_eq(w, numbers + first, 16);
    }
    gie_graph_free(g);
  }
  empty_folder(&t);
  onnx_test_end(&t);
  ck_assert_int_eq(wrong, 0);
}
END_TEST

START_TEST(test_external_nul)
{
  struct onnx_test t;
  struct gie_graph *g;
  struct ob b;
  onnx_test_begin(&t);
  ob_init(&b);
  external(&b, "w.bin\0x", 7, NULL, NULL);
  ck_gie(t.ctx, onnx_test_load(&t, &b, &g), GIE_E_PARSE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(t.ctx), "without NUL"));
  onnx_test_end(&t);
}
END_TEST

/* More files than stay open, each used twice. */
START_TEST(test_external_many)
{
  struct onnx_test t;
  struct gie_graph *g;
  struct ob b;
  char path[200], name[16];
  static const int64_t dims[] = {1};
  onnx_test_begin(&t);
  ob_init(&b);
  ob_model(&b, 8, 13);
  ob_input(&b, "x", OB_F32, "1");
  for (int i = 0; i < 40; i++) {
    float v = (float)(i % 20);
    snprintf(name, sizeof name, "f%d", i % 20);
    snprintf(path, sizeof path, "%s/%s", t.dir, name);
    FILE *f = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(&v, 4, 1, f), 1);
    fclose(f);
    char w[16];
    snprintf(w, sizeof w, "w%d", i);
    ob_tensor(&b, 5, w, OB_F32, dims, 1);
    pair(&b, 13, "location", name, strlen(name));
    ob_int(&b, 14, 1);
    ob_end(&b);
  }
  ob_node(&b, "Add", "x w7", "y");
  ob_end(&b);
  ob_output(&b, "y");
  ck_gie_ok(t.ctx, onnx_test_load(&t, &b, &g));
  for (int i = 0; i < 40; i++) {
    snprintf(name, sizeof name, "w%d", i);
    const float *w = gie_value_bytes(g, gie_value_find(g, name), NULL);
    ck_assert_float_eq(*w, (float)(i % 20));
  }
  gie_graph_free(g);
  for (int i = 0; i < 20; i++) {
    snprintf(path, sizeof path, "%s/f%d", t.dir, i);
    unlink(path);
  }
  onnx_test_end(&t);
}
END_TEST

/* ---- Storage inside the file --------------------------------------------------------------------- */

/* Element type, field, bits of the elements as ONNX stores them (i) and the bytes of the IR (size). */
static const struct storage {
  int dtype;
  unsigned field;
  size_t size;
} storages[] = {
    {OB_F32, 4, 4},  {OB_F64, 10, 8}, {OB_I32, 5, 4}, {OB_I8, 5, 1},  {OB_U8, 5, 1}, {4, 5, 2},   {5, 5, 2},
    {OB_BOOL, 5, 1}, {OB_F16, 5, 2},  {16, 5, 2},     {OB_I64, 7, 8}, {12, 11, 4},   {13, 11, 8},
};

/* Element i as the bits that a varint holds: some negative where the type is signed. */
static int64_t element(int dtype, int64_t i)
{
  bool is_signed = dtype == OB_I8 || dtype == 5 || dtype == OB_I32 || dtype == OB_I64;
  if (dtype == OB_BOOL)
    return i % 2;
  return is_signed && i % 3 == 0 ? -(i % 100) : i % 100;
}

static void put_elements(struct ob *b, const struct storage *s, int64_t n, bool raw, bool packed)
{
  struct ob data;
  ob_init(&data);
  for (int64_t i = 0; i < n; i++) {
    int64_t v = element(s->dtype, i);
    float f = (float)v;
    double d = (double)v;
    const void *bits = s->field == 4 ? (void *)&f : s->field == 10 ? (void *)&d : (void *)&v;
    if (raw || s->field == 4 || s->field == 10)
      ob_raw(&data, bits, s->size);
    else if (packed)
      ob_varint(&data, (uint64_t)v);
    else
      ob_int(b, s->field, v);
  }
  if (raw || packed || s->field == 4 || s->field == 10)
    ob_bytes(b, raw ? 9 : s->field, data.data, data.n);
  ob_free(&data);
}

static void check_storage(struct onnx_test *t, const struct storage *s, int64_t n, bool raw, bool packed)
{
  struct gie_graph *g;
  struct ob b;
  ob_init(&b);
  onnx_test_relu(&b);
  ob_tensor(&b, 5, "w", s->dtype, &n, 1);
  put_elements(&b, s, n, raw, packed);
  ob_end(&b);
  ck_gie_ok(t->ctx, onnx_test_load(t, &b, &g));
  size_t size;
  const char *w = gie_value_bytes(g, gie_value_find(g, "w"), &size);
  ck_assert_uint_eq(size, (size_t)n * s->size);
  for (int64_t i = 0; i < n; i++) {
    int64_t v = element(s->dtype, i);
    float f = (float)v;
    double d = (double)v;
    const void *bits = s->field == 4 ? (void *)&f : s->field == 10 ? (void *)&d : (void *)&v;
    ck_assert_msg(memcmp(w + (size_t)i * s->size, bits, s->size) == 0,
                  "type %d, field %u, %lld elements, element %lld", s->dtype, raw ? 9 : s->field,
                  (long long)n, (long long)i);
  }
  gie_graph_free(g);
}

START_TEST(test_storage)
{
  struct onnx_test t;
  onnx_test_begin(&t);
  for (size_t i = 0; i < sizeof storages / sizeof storages[0]; i++)
    for (int k = 0; k < 2; k++) {
      int64_t n = k ? 100000 : 10;
      check_storage(&t, &storages[i], n, true, false);
      check_storage(&t, &storages[i], n, false, true);
      check_storage(&t, &storages[i], n, false, false);
    }
  onnx_test_end(&t);
}
END_TEST

GIE_TESTS_MAIN("onnx tensors", test_external, test_external_nul, test_external_many, test_storage)
