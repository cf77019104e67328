/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor files of the command (.npy, TensorProto), conversion between types, comparison. */
#include "tests/gie_check.h"
#include "tools/tensor.h"
#include <math.h>
#include <unistd.h>

static struct gie_context *ctx;

/* ---- Making .npy files */

static size_t npy(unsigned char *out, int version, const char *header, const void *data, size_t size)
{
  size_t n = strlen(header), at = version == 1 ? 10 : 12;
  memcpy(out, "\x93NUMPY", 6);
  out[6] = (unsigned char)version;
  out[7] = 0;
  for (size_t i = 8; i < at; i++)
    out[i] = (unsigned char)(n >> 8 * (i - 8));
  memcpy(out + at, header, n);
  if (size)
    memcpy(out + at + n, data, size);
  return at + n + size;
}

static gie_status decode(int version, const char *header, const void *data, size_t size, struct gie_tensor *t)
{
  unsigned char buf[4096];
  return npy_decode(ctx, buf, npy(buf, version, header, data, size), t);
}

static const enum gie_dtype all_dtypes[] = {GIE_F32, GIE_F16, GIE_BF16, GIE_F64, GIE_I8,  GIE_I16, GIE_I32,
                                            GIE_I64, GIE_U8,  GIE_U16,  GIE_U32, GIE_U64, GIE_BOOL};
#define N_DTYPES (sizeof all_dtypes / sizeof all_dtypes[0])

static struct gie_tensor sample(enum gie_dtype dtype, int rank, const int64_t *dim)
{
  struct gie_tensor t;
  ck_gie_ok(ctx, tensor_new(ctx, dtype, rank, dim, &t));
  for (size_t i = 0; i < tensor_count(&t); i++)
    tensor_set(&t, i, gie_dtype_class(dtype) == 'f' ? (double)i - 1.5 : (double)(i % 2));
  return t;
}

static void same_tensor(const struct gie_tensor *a, const struct gie_tensor *b)
{
  ck_assert_int_eq(a->dtype, b->dtype);
  ck_assert_int_eq(a->rank, b->rank);
  for (int i = 0; i < a->rank; i++)
    ck_assert_int_eq(a->dim[i], b->dim[i]);
  ck_assert_mem_eq(a->data, b->data, tensor_count(a) * gie_dtype_size(a->dtype));
}

/* ---- Round trips through files */

START_TEST(round_trips)
{
  static const struct {
    int rank;
    int64_t dim[GIE_MAX_RANK];
  } shapes[] = {{0, {0}},      {1, {5}}, {2, {2, 3}}, {4, {1, 2, 3, 4}}, {8, {1, 2, 1, 2, 1, 2, 1, 3}},
                {3, {2, 0, 4}}};
  static const char *const suffixes[] = {"npy", "pb"};
  char dir[] = "/tmp/gie-test-XXXXXX", path[64];
  ctx = check_context();
  ck_assert(mkdtemp(dir));
  for (size_t d = 0; d < N_DTYPES; d++)
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
      for (int f = 0; f < 2; f++) {
        struct gie_tensor t = sample(all_dtypes[d], shapes[s].rank, shapes[s].dim), back, wide;
        snprintf(path, sizeof path, "%s/t.%s", dir, suffixes[f]);
        ck_gie_ok(ctx, tensor_write(ctx, path, "t", &t));
        ck_gie_ok(ctx, tensor_read(ctx, path, &back));
        if (t.dtype == GIE_BF16 && f == 0) { /* .npy has no bf16 */
          ck_gie_ok(ctx, tensor_convert(ctx, &t, GIE_F32, &wide));
          tensor_free(ctx, &t);
          t = wide;
        }
        same_tensor(&t, &back);
        tensor_free(ctx, &t);
        tensor_free(ctx, &back);
        unlink(path);
      }
  rmdir(dir);
  gie_context_free(ctx);
}
END_TEST

START_TEST(file_errors)
{
  struct gie_tensor t = {.dtype = GIE_F32};
  float one = 1;
  ctx = check_context();
  t.data = &one;
  ck_gie(ctx, tensor_read(ctx, "/nonexistent.npy", &t), GIE_E_NOINPUT);
  ck_gie(ctx, tensor_read(ctx, "/dev/zero", &t), GIE_E_NOINPUT);
  ck_gie(ctx, tensor_read(ctx, "/tmp", &t), GIE_E_NOINPUT);
  ck_gie(ctx, tensor_write(ctx, "/tmp/x.txt", "t", &t), GIE_E_USAGE);
  ck_gie(ctx, tensor_write(ctx, "/nonexistent/x.npy", "t", &t), GIE_E_CREATE);
  gie_context_free(ctx);
}
END_TEST

/* ---- .npy as others write it */

START_TEST(npy_variants)
{
  static const float f4[] = {1, 2, 3, 4, 5, 6};
  static const unsigned char big[] = {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0};
  static const unsigned char flags[] = {0, 2, 1};
  struct gie_tensor t;
  ctx = check_context();
  for (int version = 1; version <= 3; version++) {
    ck_gie_ok(ctx,
              decode(version, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", f4, 24, &t));
    ck_assert(t.rank == 2 && t.dim[0] == 2 && t.dim[1] == 3 && tensor_get(&t, 5) == 6);
    tensor_free(ctx, &t);
  }
  /* Members in another order, double quotes, no blanks, a Python 2 long, Fortran order. */
  ck_gie_ok(ctx, decode(1, "{\"shape\":(2L,3L),\"fortran_order\":True,\"descr\":\"=f4\"}", f4, 24, &t));
  static const double transposed[] = {1, 3, 5, 2, 4, 6};
  for (size_t i = 0; i < 6; i++)
    ck_assert_double_eq(tensor_get(&t, i), transposed[i]);
  tensor_free(ctx, &t);
  ck_gie_ok(ctx, decode(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", big, 8, &t));
  ck_assert(tensor_get(&t, 0) == 1 && tensor_get(&t, 1) == -2);
  tensor_free(ctx, &t);
  ck_gie_ok(ctx, decode(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", flags, 3, &t));
  ck_assert(t.dtype == GIE_BOOL && ((unsigned char *)t.data)[1] == 1);
  tensor_free(ctx, &t);
  ck_gie_ok(ctx,
            decode(1, "{'descr': '<f8', 'fortran_order': True, 'shape': ()}", "\0\0\0\0\0\0\xf0?", 8, &t));
  ck_assert(t.rank == 0 && tensor_get(&t, 0) == 1);
  tensor_free(ctx, &t);
  ck_gie_ok(ctx, decode(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 0, 2)}", NULL, 0, &t));
  ck_assert(tensor_count(&t) == 0);
  tensor_free(ctx, &t);
  gie_context_free(ctx);
}
END_TEST

static const struct {
  const char *header;
  size_t size;
  gie_status status;
} bad_npy[] = {
    {"", 0, GIE_E_PARSE},
    {"{", 0, GIE_E_PARSE},
    {"[1]", 0, GIE_E_PARSE},
    {"{'descr': '<f4', 'fortran_order': False}", 4, GIE_E_PARSE},
    {"{'descr': '<f4', 'shape': ()}", 4, GIE_E_PARSE},
    {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': ()}", 4, GIE_E_PARSE},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, GIE_E_PARSE},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}", 4, GIE_E_PARSE},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", 4, GIE_E_PARSE},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1}", 4, GIE_E_PARSE},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, GIE_E_PARSE},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}", 8, GIE_E_PARSE},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 4, GIE_E_PARSE},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", 4, GIE_E_UNSUPPORTED},
    {"{'descr': '<c8', 'fortran_order': False, 'shape': ()}", 8, GIE_E_UNSUPPORTED},
    {"{'descr': '|O', 'fortran_order': False, 'shape': ()}", 8, GIE_E_UNSUPPORTED},
    {"{'descr': '<U3', 'fortran_order': False, 'shape': ()}", 12, GIE_E_UNSUPPORTED},
    {"{'descr': '<f16', 'fortran_order': False, 'shape': ()}", 16, GIE_E_UNSUPPORTED},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4, GIE_E_LIMIT},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 4, GIE_E_LIMIT},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4294967296, 4294967296)}", 0, GIE_E_LIMIT},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}", 4, GIE_E_DATA},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 4, GIE_E_DATA},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 5, GIE_E_DATA},
};

START_TEST(npy_bad)
{
  static const char zeros[64];
  struct gie_tensor t;
  ctx = check_context();
  for (size_t i = 0; i < sizeof bad_npy / sizeof bad_npy[0]; i++)
    for (int version = 1; version <= 2; version++)
      ck_gie(ctx, decode(version, bad_npy[i].header, zeros, bad_npy[i].size, &t), bad_npy[i].status);
  ck_gie(ctx, decode(4, "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", zeros, 4, &t),
         GIE_E_UNSUPPORTED);
  /* A header of 4 GB announced in a few bytes. */
  ck_gie(ctx, npy_decode(ctx, "\x93NUMPY\2\0\xff\xff\xff\xff{", 13, &t), GIE_E_LIMIT);
  gie_context_free(ctx);
}
END_TEST

START_TEST(npy_truncated)
{
  static const float f4[] = {1, 2};
  unsigned char buf[256], *exact;
  struct gie_tensor t;
  ctx = check_context();
  size_t n = npy(buf, 1, "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", f4, 8);
  for (size_t k = 0; k < n; k++) {
    exact = malloc(k ? k : 1); /* so that the sanitizer sees a read behind the end */
    memcpy(exact, buf, k);
    ck_assert_msg(npy_decode(ctx, exact, k, &t) != GIE_OK, "%zu of %zu bytes were accepted", k, n);
    free(exact);
  }
  ck_gie_ok(ctx, npy_decode(ctx, buf, n, &t));
  tensor_free(ctx, &t);
  gie_context_free(ctx);
}
END_TEST

/* ---- TensorProto as others write it */

#define BYTES(s) s, sizeof(s) - 1
static const struct {
  const char *what, *data;
  size_t size;
  gie_status status;
  double first;
} protos[] = {
    /* dims 2, type 1, packed float_data {1, 2} */
    {"packed dims, packed floats", BYTES("\x0a\1\2\x10\1\x22\x8\0\0\x80?\0\0\0@"), GIE_OK, 1},
    {"floats one by one", BYTES("\x8\2\x10\1\x25\0\0\x80?\x25\0\0\0@"), GIE_OK, 1},
    {"scalar", BYTES("\x10\1\x4a\4\0\0\x80?"), GIE_OK, 1},
    {"i8 as negative int32_data", BYTES("\x10\3\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), GIE_OK, -1},
    {"f16 in int32_data", BYTES("\x10\x0a\x28\x80\x78"), GIE_OK, 1},
    {"i64", BYTES("\x10\7\x38\5"), GIE_OK, 5},
    {"u64 in uint64_data", BYTES("\x10\x0d\x58\5"), GIE_OK, 5},
    {"f64", BYTES("\x10\x0b\x51\0\0\0\0\0\0\xf0?"), GIE_OK, 1},
    {"bool that is 7", BYTES("\x10\x9\x4a\1\7"), GIE_OK, 1},
    {"unknown field, name, doc_string", BYTES("\x10\7\x38\5\x42\1x\x62\1d\xa2\6\2zz"), GIE_OK, 5},
    {"empty dim", BYTES("\x8\0\x10\1"), GIE_OK, NAN},
    {"no type", BYTES("\x8\1"), GIE_E_DATA, 0},
    {"type 0", BYTES("\x10\0\x4a\0"), GIE_E_DATA, 0},
    {"type 99", BYTES("\x10\x63"), GIE_E_UNSUPPORTED, 0},
    {"strings", BYTES("\x10\x8\x32\1x"), GIE_E_UNSUPPORTED, 0},
    {"complex", BYTES("\x10\xe"), GIE_E_UNSUPPORTED, 0},
    {"external", BYTES("\x10\1\x70\1"), GIE_E_UNSUPPORTED, 0},
    {"segment", BYTES("\x10\1\x1a\0"), GIE_E_UNSUPPORTED, 0},
    {"raw_data short", BYTES("\x10\1\x4a\3\0\0\x80"), GIE_E_DATA, 0},
    {"raw_data long", BYTES("\x10\1\x4a\5\0\0\x80?\0"), GIE_E_DATA, 0},
    {"raw_data and float_data", BYTES("\x10\1\x4a\4\0\0\x80?\x25\0\0\x80?"), GIE_E_DATA, 0},
    {"too few elements", BYTES("\x8\2\x10\1\x25\0\0\x80?"), GIE_E_DATA, 0},
    {"elements in the wrong field", BYTES("\x10\1\x38\5"), GIE_E_DATA, 0},
    {"dim -1", BYTES("\x8\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\x10\1"), GIE_E_SHAPE, 0},
    {"4 TB in a few bytes", BYTES("\x8\x80\x80\x80\x80\x80\x20\x10\1\x4a\4\0\0\0\0"), GIE_E_DATA, 0},
    {"dims 2^32 x 2^32", BYTES("\x8\x80\x80\x80\x80\x10\x8\x80\x80\x80\x80\x10\x10\1"), GIE_E_LIMIT, 0},
    {"nine dims", BYTES("\x0a\x9\1\1\1\1\1\1\1\1\1\x10\1"), GIE_E_LIMIT, 0},
    {"dims as fixed32", BYTES("\xd\1\0\0\0\x10\1"), GIE_E_PARSE, 0},
    {"type with a length", BYTES("\x12\1\1"), GIE_E_PARSE, 0},
    {"varint of 11 bytes", BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), GIE_E_PARSE, 0},
    {"length behind the end", BYTES("\x10\1\x4a\x7f\0"), GIE_E_PARSE, 0},
    {"length 2^64-1", BYTES("\x10\1\x4a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), GIE_E_PARSE, 0},
    {"packed floats cut", BYTES("\x10\1\x22\3\0\0\0"), GIE_E_PARSE, 0},
    {"group", BYTES("\x10\1\x1b"), GIE_E_PARSE, 0},
    {"wire type 6", BYTES("\x10\1\x1e"), GIE_E_PARSE, 0},
    {"wire type 7", BYTES("\x10\1\x1f"), GIE_E_PARSE, 0},
    {"field 0", BYTES("\x10\1\0\1"), GIE_E_PARSE, 0},
};

START_TEST(proto_table)
{
  struct gie_tensor t;
  ctx = check_context();
  for (size_t i = 0; i < sizeof protos / sizeof protos[0]; i++) {
    unsigned char *exact = malloc(protos[i].size);
    memcpy(exact, protos[i].data, protos[i].size);
    gie_status st = proto_decode(ctx, exact, protos[i].size, &t);
    ck_assert_msg(st == protos[i].status, "%s: %s %s", protos[i].what, gie_status_name(st),
                  gie_error_text(ctx));
    if (st == GIE_OK && !isnan(protos[i].first))
      ck_assert_msg(tensor_get(&t, 0) == protos[i].first, "%s: %g", protos[i].what, tensor_get(&t, 0));
    if (st == GIE_OK)
      tensor_free(ctx, &t);
    free(exact);
  }
  gie_context_free(ctx);
}
END_TEST

/* Cut anywhere and with any byte changed: an error or a tensor, and no stray access. */
START_TEST(proto_damaged)
{
  static const char whole[] = "\x8\2\x10\1\x42\1x\x22\x8\0\0\x80?\0\0\0@\xa2\6\2zz";
  struct gie_tensor t;
  ctx = check_context();
  for (size_t k = 1; k < sizeof whole - 1; k++) {
    unsigned char *exact = malloc(k);
    memcpy(exact, whole, k);
    if (proto_decode(ctx, exact, k, &t) == GIE_OK)
      tensor_free(ctx, &t);
    for (unsigned c = 0; c < 256; c++) {
      exact[k - 1] = (unsigned char)c;
      if (proto_decode(ctx, exact, k, &t) == GIE_OK)
        tensor_free(ctx, &t);
    }
    free(exact);
  }
  gie_context_free(ctx);
}
END_TEST

/* ---- Conversion */

START_TEST(conversion)
{
  static const struct {
    enum gie_dtype from, to;
    double in, out;
  } cases[] = {
      {GIE_F32, GIE_F16, 1.0 / 3, 0.333251953125},
      {GIE_F16, GIE_F32, 0.5, 0.5},
      {GIE_F32, GIE_BF16, 1.00390625, 1},
      {GIE_F32, GIE_I8, 200, 127},
      {GIE_F32, GIE_I8, -200, -128},
      {GIE_F32, GIE_U8, -1, 0},
      {GIE_F32, GIE_U8, 255.9, 255},
      {GIE_F32, GIE_U8, 256, 255},
      {GIE_F32, GIE_I32, NAN, 0},
      {GIE_F32, GIE_I64, INFINITY, 9223372036854775807.0},
      {GIE_F32, GIE_I64, -INFINITY, -9223372036854775808.0},
      {GIE_F32, GIE_U64, INFINITY, 18446744073709551615.0},
      {GIE_F32, GIE_BOOL, 0.25, 1},
      {GIE_BOOL, GIE_F32, 1, 1},
      {GIE_I32, GIE_I8, 300, 127},
      {GIE_I32, GIE_U16, -5, 0},
      {GIE_U8, GIE_I64, 255, 255},
      {GIE_I64, GIE_U32, 5000000000.0, 4294967295.0},
      {GIE_I32, GIE_U64, -5, 0},
      {GIE_F64, GIE_F32, 1e300, INFINITY},
  };
  ctx = check_context();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct gie_tensor a, b;
    ck_gie_ok(ctx, tensor_new(ctx, cases[i].from, 0, NULL, &a));
    tensor_set(&a, 0, cases[i].in);
    ck_gie_ok(ctx, tensor_convert(ctx, &a, cases[i].to, &b));
    ck_assert_msg(tensor_get(&b, 0) == cases[i].out, "case %zu: %g", i, tensor_get(&b, 0));
    tensor_free(ctx, &a);
    tensor_free(ctx, &b);
  }
  /* 64-bit integers do not go over a double. */
  struct gie_tensor a, b;
  ck_gie_ok(ctx, tensor_new(ctx, GIE_I64, 0, NULL, &a));
  ((int64_t *)a.data)[0] = INT64_MAX;
  ck_gie_ok(ctx, tensor_convert(ctx, &a, GIE_U64, &b));
  ck_assert_uint_eq(((uint64_t *)b.data)[0], INT64_MAX);
  tensor_free(ctx, &b);
  a.dtype = GIE_U64;
  ((uint64_t *)a.data)[0] = UINT64_MAX;
  ck_gie_ok(ctx, tensor_convert(ctx, &a, GIE_I64, &b));
  ck_assert_int_eq(((int64_t *)b.data)[0], INT64_MAX);
  tensor_free(ctx, &a);
  tensor_free(ctx, &b);
  gie_context_free(ctx);
}
END_TEST

/* ---- Comparison */

static struct gie_tensor floats(enum gie_dtype dtype, int rank, const int64_t *dim, const double *v)
{
  struct gie_tensor t;
  ck_gie_ok(ctx, tensor_new(ctx, dtype, rank, dim, &t));
  for (size_t i = 0; i < tensor_count(&t); i++)
    tensor_set(&t, i, v[i]);
  return t;
}

START_TEST(comparison)
{
  static const double b[] = {1, 2, 4, 3};
  static const struct {
    enum gie_dtype dtype;
    double a[4], rtol, atol;
    uint32_t top;
    bool same;
  } cases[] = {
      {GIE_F32, {1, 2, 4, 3}, NAN, NAN, 0, true},
      {GIE_F32, {1.0003, 2, 4, 3}, NAN, NAN, 0, true}, /* 1e-4 of 4 */
      {GIE_F32, {1.0005, 2, 4, 3}, NAN, NAN, 0, false},
      {GIE_F16, {1.0048828125, 2, 4, 3}, NAN, NAN, 0, true}, /* 2e-3 of 4 */
      {GIE_F32, {1.0005, 2, 4, 3}, 1e-3, NAN, 0, true},
      {GIE_F32, {1.5, 2, 4, 3}, NAN, 0.5, 0, true},
      {GIE_F32, {1.5, 2, 4, 3}, 1, 0.4, 0, false}, /* atol wins */
      {GIE_F32, {NAN, 2, 4, 3}, 1, NAN, 0, false},
      {GIE_F32, {1, 2, 4, INFINITY}, 1, NAN, 0, false},
      {GIE_F32, {1, 2, 3.5, 3.6}, 1, NAN, 0, true},
      {GIE_F32, {1, 2, 3.5, 3.6}, 1, NAN, 1, false},
      {GIE_F32, {2.5, 2, 4, 3}, 1, NAN, 2, true},
      {GIE_F32, {2.5, 2, 4, 3}, 1, NAN, 3, false},
      {GIE_I32, {1, 2, 4, 3}, NAN, NAN, 0, true},
      {GIE_I32, {1, 2, 4, 4}, NAN, NAN, 0, false},
  };
  static const int64_t dim[] = {4}, other[] = {1, 4, 1}, wrong[] = {2, 2};
  struct compare_result r;
  struct compare_rule rule;
  ctx = check_context();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct gie_tensor x = floats(cases[i].dtype, 1, dim, cases[i].a), y = floats(cases[i].dtype, 1, dim, b);
    rule = (struct compare_rule){cases[i].rtol, cases[i].atol, cases[i].top};
    ck_gie_ok(ctx, compare_tensors(ctx, &x, &y, &rule, &r));
    ck_assert_msg(r.same == cases[i].same, "case %zu: max abs %g", i, r.max_abs);
    tensor_free(ctx, &x);
    tensor_free(ctx, &y);
  }
  rule = (struct compare_rule){NAN, NAN, 0};
  struct gie_tensor x = floats(GIE_F32, 1, dim, b), y = floats(GIE_F32, 3, other, b),
                    z = floats(GIE_F32, 2, wrong, b);
  ck_gie_ok(ctx, compare_tensors(ctx, &x, &y, &rule, &r));
  ck_assert(r.same && r.same_shape);
  ck_gie_ok(ctx, compare_tensors(ctx, &x, &z, &rule, &r));
  ck_assert(!r.same && !r.same_shape);
  /* References that cannot tell right from wrong. */
  for (size_t i = 0; i < 4; i++)
    tensor_set(&y, i, 7);
  ck_gie(ctx, compare_tensors(ctx, &x, &y, &rule, &r), GIE_E_DATA);
  rule.atol = 1;
  ck_gie_ok(ctx, compare_tensors(ctx, &x, &y, &rule, &r));
  ck_assert(!r.same);
  tensor_set(&y, 0, NAN);
  ck_gie(ctx, compare_tensors(ctx, &x, &y, &rule, &r), GIE_E_DATA);
  tensor_free(ctx, &x);
  tensor_free(ctx, &y);
  tensor_free(ctx, &z);
  gie_context_free(ctx);
}
END_TEST

START_TEST(best)
{
  static const double v[] = {0, 3, NAN, 5, 3, -1};
  static const int64_t dim[] = {6};
  static const size_t wanted[] = {3, 1, 4, 0, 5, 2};
  size_t got[6];
  ctx = check_context();
  struct gie_tensor t = floats(GIE_F32, 1, dim, v);
  for (uint32_t k = 1; k <= 6; k++) {
    compare_top(&t, 0, 6, k, got);
    for (uint32_t i = 0; i < k; i++)
      ck_assert_uint_eq(got[i], wanted[i]);
  }
  tensor_free(ctx, &t);
  gie_context_free(ctx);
}
END_TEST

GIE_TESTS_MAIN("tools/tensor", round_trips, file_errors, npy_variants, npy_bad, npy_truncated, proto_table,
               proto_damaged, conversion, comparison, best)
