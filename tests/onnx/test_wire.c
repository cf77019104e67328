/* SPDX-License-Identifier: Apache-2.0 */
/* Broken files: the wire format, limits, truncation at every byte, every byte changed. */
#include "tests/onnx/onnx_test.h"
#include <fcntl.h>

/* ---- The wire format -------------------------------------------------------------------------- */

static void varint_of_11_bytes(struct ob *b)
{
  static const unsigned char v[] = {0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
  ob_raw(b, v, sizeof v);
}

static void varint_above_64_bits(struct ob *b)
{
  static const unsigned char v[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
  ob_raw(b, v, sizeof v);
}

static void length(struct ob *b, uint64_t n)
{
  ob_int(b, 1, 8);
  ob_tag(b, 7, 2);
  ob_varint(b, n);
  ob_raw(b, "\12\0", 2);
}

static void length_above_rest(struct ob *b) { length(b, 3); }
static void length_2_63(struct ob *b) { length(b, UINT64_C(1) << 63); }
static void length_2_64(struct ob *b) { length(b, UINT64_MAX); }

static void length_above_message(struct ob *b)
{
  ob_int(b, 1, 8);
  ob_begin(b, 7);
  ob_tag(b, 2, 2);
  ob_varint(b, 4);
  ob_raw(b, "n", 1);
  ob_end(b);
  ob_str(b, 2, "enough bytes, but outside the graph");
}

static void unknown_length_above_rest(struct ob *b)
{
  ob_int(b, 1, 8);
  ob_tag(b, 100, 2);
  ob_varint(b, UINT64_MAX);
}

static void groups(struct ob *b)
{
  ob_int(b, 1, 8);
  for (int i = 0; i < 1000000; i++)
    ob_tag(b, 100, 3);
}

static void end_group(struct ob *b) { ob_tag(b, 1, 4); }
static void wire_type(struct ob *b, unsigned wire)
{
  ob_int(b, 1, 8);
  ob_tag(b, 1, wire);
  ob_raw(b, "\0\0\0\0\0\0\0\0", 8);
}
static void wire_type_6(struct ob *b) { wire_type(b, 6); }
static void wire_type_7(struct ob *b) { wire_type(b, 7); }
static void field_0(struct ob *b) { ob_int(b, 0, 1); }

static void wrong_wire_type(struct ob *b) { ob_str(b, 1, "version"); }
static void graph_as_number(struct ob *b) { ob_int(b, 7, 1); }
static void packed_name(struct ob *b)
{
  ob_begin(b, 7);
  ob_int(b, 2, 5);
  ob_end(b);
}

static void broken_packed_floats(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_tensor(b, 5, "w", OB_F32, (const int64_t[]){1}, 1);
  ob_bytes(b, 4, "\0\0\0\0\0", 5);
}

static void broken_packed_ints(struct ob *b)
{
  onnx_test_relu(b);
  ob_tensor(b, 5, "w", OB_I64, (const int64_t[]){1}, 1);
  ob_bytes(b, 7, "\x80", 1);
}

static void graph_twice(struct ob *b)
{
  onnx_test_relu(b);
  ob_done(b);
  ob_begin(b, 7);
  ob_end(b);
}

static void empty_file(struct ob *b) { (void)b; }

/* 17 million empty operator sets: above the budget, long before memory runs out. */
static void many_entries(struct ob *b)
{
  static unsigned char block[1 << 20];
  for (size_t i = 0; i < sizeof block; i += 2)
    block[i] = 0x42;
  for (int i = 0; i < 33; i++)
    ob_raw(b, block, sizeof block);
}

static void with_name(struct ob *b, const char *name, size_t n)
{
  onnx_test_relu(b);
  ob_begin(b, 1);
  ob_bytes(b, 3, name, n);
}

static void name_not_utf8(struct ob *b) { with_name(b, "a\xff", 2); }
static void name_cut_utf8(struct ob *b) { with_name(b, "a\xc3", 2); }
static void name_surrogate(struct ob *b) { with_name(b, "\xed\xa0\x80", 3); }
static void name_with_nul(struct ob *b) { with_name(b, "a\0b", 3); }
static void name_too_long(struct ob *b)
{
  static char name[4097];
  memset(name, 'a', sizeof name);
  with_name(b, name, sizeof name);
}

static void deep_types(struct ob *b)
{
  onnx_test_relu(b);
  ob_begin(b, 11);
  ob_str(b, 1, "s");
  ob_begin(b, 2);
  for (int i = 0; i < 40; i++) {
    ob_begin(b, 4);
    ob_begin(b, 1);
  }
}

static void else_branch(struct ob *b)
{
  ob_attr(b, "else_branch", 5);
  ob_begin(b, 6);
  ob_node(b, "Neg", "x", "y");
  ob_end(b);
  ob_output(b, "y");
  ob_end(b);
  ob_end(b);
}

/* If in If in If … or Loop in Loop …: `levels` graphs inside the model's. */
static void nested_graphs(struct ob *b, int levels, const char *op, const char *in, const char *body)
{
  ob_model(b, 8, 13);
  ob_input(b, "c", OB_BOOL, "");
  ob_input(b, "x", OB_F32, "2");
  for (int i = 0; i < levels; i++) {
    ob_node(b, op, in, "y");
    ob_attr(b, body, 5);
    ob_begin(b, 6);
  }
  ob_node(b, "Relu", "x", "y");
  ob_end(b);
  for (int i = 0; i <= levels; i++) {
    ob_output(b, "y");
    if (i == levels)
      break;
    ob_end(b);
    ob_end(b);
    if (strcmp(op, "If") == 0)
      else_branch(b);
    ob_end(b);
  }
}
static void graphs_32(struct ob *b) { nested_graphs(b, 32, "If", "c", "then_branch"); }
static void graphs_33(struct ob *b) { nested_graphs(b, 33, "If", "c", "then_branch"); }
static void loops_33(struct ob *b) { nested_graphs(b, 33, "Loop", "_ c x", "body"); }

static void too_many_nodes(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "2");
  for (int i = 0; i <= 1 << 20; i++)
    ob_raw(b, "\12\0", 2);
  ob_output(b, "x");
}

START_TEST(test_wire)
{
  static const struct onnx_case cases[] = {
      {"empty file", empty_file, GIE_E_DATA, "empty"},
      {"11-byte varint", varint_of_11_bytes, GIE_E_PARSE, "longer than 64 bits"},
      {"varint above 64 bits", varint_above_64_bits, GIE_E_PARSE, "longer than 64 bits"},
      {"length above rest", length_above_rest, GIE_E_PARSE, "3 bytes, 2 are left"},
      {"length 2^63", length_2_63, GIE_E_PARSE, "9223372036854775808 bytes"},
      {"length 2^64-1", length_2_64, GIE_E_PARSE, "18446744073709551615 bytes"},
      {"length above message", length_above_message, GIE_E_PARSE, "GraphProto.name says 4 bytes, 1 are left"},
      {"unknown length", unknown_length_above_rest, GIE_E_PARSE, "longer than what is left"},
      {"groups", groups, GIE_E_PARSE, "group"},
      {"end of group", end_group, GIE_E_PARSE, ""},
      {"wire type 6", wire_type_6, GIE_E_PARSE, "no valid field tag"},
      {"wire type 7", wire_type_7, GIE_E_PARSE, "no valid field tag"},
      {"field 0", field_0, GIE_E_PARSE, "no valid field tag"},
      {"wrong wire type", wrong_wire_type, GIE_E_PARSE, "ModelProto.ir_version has the wrong wire type 2"},
      {"graph as number", graph_as_number, GIE_E_PARSE, "ModelProto.graph has the wrong wire type 0"},
      {"name as number", packed_name, GIE_E_PARSE, "GraphProto.name has the wrong wire type 0"},
      {"packed floats", broken_packed_floats, GIE_E_PARSE, "whole elements"},
      {"packed ints", broken_packed_ints, GIE_E_PARSE, "packed"},
      {"graph twice", graph_twice, GIE_E_PARSE, "ModelProto.graph is given twice"},
      {"many entries", many_entries, GIE_E_LIMIT, "more than 16777216 fields"},
      {"bad UTF-8", name_not_utf8, GIE_E_PARSE, "not UTF-8"},
      {"cut UTF-8", name_cut_utf8, GIE_E_PARSE, "not UTF-8"},
      {"surrogate", name_surrogate, GIE_E_PARSE, "not UTF-8"},
      {"NUL in a name", name_with_nul, GIE_E_PARSE, "without NUL"},
      {"long name", name_too_long, GIE_E_LIMIT, "name of 4097 bytes; at most 4096"},
      {"deep types", deep_types, GIE_E_LIMIT, "nested more than 64 deep"},
      {"32 graphs", graphs_32, GIE_OK, NULL},
      {"33 graphs", graphs_33, GIE_E_LIMIT, "nested more than 32 deep"},
      {"33 loops", loops_33, GIE_E_LIMIT, "nested more than 32 deep"},
      {"2^20+1 nodes", too_many_nodes, GIE_E_LIMIT, "1048577 nodes"},
  };
  onnx_test_cases(cases, sizeof cases / sizeof cases[0]);
}
END_TEST

/* 100 MB of fields that nobody knows, as one and as many, are skipped. */
START_TEST(test_unknown_fields)
{
  struct onnx_test t;
  struct ob b;
  struct gie_graph *g;
  onnx_test_begin(&t);
  ob_init(&b);
  onnx_test_relu(&b);
  ob_done(&b);
  for (int i = 0; i < 1000000; i++)
    ob_int(&b, 200, 5);
  ob_tag(&b, 100, 2);
  ob_varint(&b, 100 << 20);
  ob_save(&b, t.path);
  ck_assert_int_eq(truncate(t.path, (off_t)b.n + (100 << 20)), 0);
  ck_gie_ok(t.ctx, gie_graph_load(t.ctx, t.path, NULL, &g));
  ck_assert_uint_eq(gie_graph_count_nodes(g), 1);
  gie_graph_free(g);
  ob_free(&b);
  onnx_test_end(&t);
}
END_TEST

/* ---- Truncation and single bytes ---------------------------------------------------------------- */

/* Two small models that use most kinds of fields; in the first the graph comes last, in the second not. */
static void model_a(struct ob *b)
{
  static const float w[] = {1, 2, 3};
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "n,3");
  ob_floats(b, "w", w, 3);
  ob_node(b, "Mul", "x w", "m");
  ob_str(b, 3, "scale");
  ob_end(b);
  ob_node(b, "Softmax", "m", "y");
  ob_attr_int(b, "axis", -1);
  ob_end(b);
  ob_output(b, "y");
  ob_done(b);
}

static void model_b(struct ob *b)
{
  static const int64_t shape[] = {-1, 4};
  ob_int(b, 1, 7);
  ob_begin(b, 7);
  ob_str(b, 2, "b");
  ob_input(b, "x", OB_F32, "2,?,4");
  ob_ints(b, "shape", shape, 2);
  ob_node(b, "Reshape", "x shape", "r");
  ob_end(b);
  ob_node(b, "org.example.Unknown", "r", "u");
  ob_attr_str(b, "mode", "fast");
  OB_INTS(b, "list", 1, -2, 3);
  ob_end(b);
  ob_node(b, "Pad", "u", "y");
  OB_INTS(b, "pads", 0, 1, 0, 1);
  ob_attr_float(b, "value", 0.5f);
  ob_end(b);
  ob_output(b, "y");
  ob_done(b);
  ob_opset(b, "", 9);
}

/* Loads the n first bytes of p. */
static gie_status load_bytes(struct onnx_test *t, const void *p, size_t n, struct gie_graph **g)
{
  int fd = open(t->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
  close(fd);
  *g = NULL;
  return gie_graph_load(t->ctx, t->path, NULL, g);
}

static void check_model(void (*build)(struct ob *b))
{
  struct onnx_test t;
  struct ob b;
  struct gie_graph *g;
  onnx_test_begin(&t);
  ob_init(&b);
  build(&b);
  ck_gie_ok(t.ctx, load_bytes(&t, b.data, b.n, &g));
  gie_graph_free(g);
  for (size_t n = 0; n < b.n; n++) {
    gie_status st = load_bytes(&t, b.data, n, &g);
    ck_assert_msg(st == GIE_E_PARSE || st == GIE_E_DATA, "cut at %zu: %s: %s", n, gie_status_name(st),
                  gie_error_text(t.ctx));
  }
  for (size_t i = 0; i < b.n; i++)
    for (int k = 0; k < 3; k++) {
      static const unsigned char flip[] = {0x01, 0x80, 0xff};
      b.data[i] ^= flip[k];
      gie_status st = load_bytes(&t, b.data, b.n, &g);
      b.data[i] ^= flip[k];
      gie_graph_free(g);
      ck_assert_msg(st == GIE_OK || gie_status_exit_code(st) == 65, "byte %zu: %s: %s", i,
                    gie_status_name(st), gie_error_text(t.ctx));
    }
  ob_free(&b);
  onnx_test_end(&t);
}

START_TEST(test_bytes_a) { check_model(model_a); }
END_TEST
START_TEST(test_bytes_b) { check_model(model_b); }
END_TEST

/* The error is the same when memory fails at any point: E_MEMORY, nothing leaks. */
START_TEST(test_memory)
{
  struct onnx_test t;
  struct ob b;
  struct gie_graph *g;
  onnx_test_begin(&t);
  ob_init(&b);
  model_a(&b);
  ob_save(&b, t.path);
  ob_free(&b);
  gie_status st = GIE_E_MEMORY;
  long n = 1;
  for (; st != GIE_OK && n < 10000; n++) {
    g = NULL;
    t.ctx->fail_alloc_after = n;
    st = gie_graph_load(t.ctx, t.path, NULL, &g);
    t.ctx->fail_alloc_after = -1;
    ck_assert_msg(st == GIE_OK || st == GIE_E_MEMORY, "allocation %ld: %s: %s", n, gie_status_name(st),
                  gie_error_text(t.ctx));
    gie_graph_free(g);
  }
  ck_assert_int_eq(st, GIE_OK);
  ck_assert_int_gt(n, 20);
  onnx_test_end(&t);
}
END_TEST

GIE_TESTS_MAIN("onnx wire", test_wire, test_unknown_fields, test_bytes_a, test_bytes_b, test_memory)
