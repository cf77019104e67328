/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel choice on a mock backend: rules, wishes, refusals, variants, packed weights, workspace, failures. */
#include "tests/run/mock.h"

/* ---- Kernel choice ----------------------------------------------------------------------------- */

static const char RELU[] = "graph \"g\" { input %x : f32[4] %y = relu(%x) output %y }";
static const float X4[] = {-1, 2, -3, 4};

static const struct {
  const char *rules, *kernel; /* NULL: nobody */
} RULES[] = {
    {NULL, "a.relu"},      {"", "a.relu"},      {"-a", "b.relu"},    {"+c", "c.relu"},
    {"+b", "b.relu"},      {"-a,+c", "c.relu"}, {"+c,+b", "c.relu"}, {"-a.relu,-b", "c.relu"},
    {"-a,-b,-c", NULL},    {"+b,-b", "a.relu"}, {"-b,+b", "b.relu"}, {"+onednn,+b", "b.relu"},
    {"-onednn", "a.relu"},
};

START_TEST(rules_choose)
{
  struct gie_exec_options o = {.struct_size = sizeof o};
  kernel("c.relu");
  kernel("b.relu");
  kernel("a.relu");
  for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++) {
    struct gie_exec *x;
    o.backends = RULES[i].rules;
    gie_status st = try_exec(RELU, &o, &x);
    if (!RULES[i].kernel) {
      ck_gie(ctx, st, GIE_E_UNSUPPORTED);
      continue;
    }
    ck_gie_ok(ctx, st);
    ck_assert_str_eq(kernel_of(x, 0), RULES[i].kernel);
    gie_exec_free(x);
  }
}
END_TEST

START_TEST(bad_rules)
{
  static const char *const bad[] = {"a", "+", "-a,b", ",", "+a,,-b"};
  struct gie_exec_options o = {.struct_size = sizeof o};
  kernel("a.relu");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct gie_exec *x;
    o.backends = bad[i];
    ck_gie(ctx, try_exec(RELU, &o, &x), GIE_E_USAGE);
    HAS("backend rule");
  }
}
END_TEST

START_TEST(note_is_a_wish)
{
  struct mock *b = kernel("b.relu");
  kernel("a.relu");
  const char *text = "graph \"g\" { input %x : f32[4] %y = relu(%x) !{kernel=\"b.relu\"} output %y }";
  struct gie_exec *x = new_exec(text, NULL);
  ck_assert_str_eq(kernel_of(x, 0), "b.relu");
  gie_exec_free(x);
  x = new_exec(text, "-b");
  ck_assert_str_eq(kernel_of(x, 0), "a.relu");
  gie_exec_free(x);
  b->refuse = "not today";
  x = new_exec(text, NULL);
  ck_assert_str_eq(kernel_of(x, 0), "a.relu");
  gie_exec_free(x);
}
END_TEST

START_TEST(force_is_an_order)
{
  static const char *const config[] = {"FORCE=other:x,y:b.relu", NULL};
  gie_context_free(ctx);
  with_config(config);
  struct mock *b = kernel("b.relu");
  kernel("a.relu");
  struct gie_exec *x = new_exec(RELU, NULL);
  ck_assert_str_eq(kernel_of(x, 0), "b.relu");
  gie_exec_free(x);
  b->refuse = "not today";
  ck_gie(ctx, try_exec(RELU, NULL, &x), GIE_E_UNSUPPORTED);
  HAS("b.relu: not today");
  ck_gie(ctx,
         try_exec(RELU,
                  &(struct gie_exec_options){.struct_size = sizeof(struct gie_exec_options),
                                             .backends = "-b"},
                  &x),
         GIE_E_UNSUPPORTED);
  HAS("GIE_FORCE names \"b.relu\"");
}
END_TEST

START_TEST(all_refusals_are_listed)
{
  struct gie_exec *x;
  kernel("a.any")->refuse = "group > 1";
  kernel("b.any")->odd_variant = true;
  kernel("c.any")->layout = "10";
  kernel("d.any")->fail_create = GIE_E_INTERNAL;
  ck_gie(
      ctx,
      try_exec(
          "graph \"g\" { input %x : f32[4,4] %y = relu \"first\" (%x) %z = relu \"second\" (%y) %u = tanh(%z) output %z }",
          NULL, &x),
      GIE_E_UNSUPPORTED);
  HAS("2 nodes without a kernel on cpu: node 0 \"first\" (relu) (a.any: group > 1; b.any: its variant describes 65");
  HAS("c.any: wants operand 0 in layout 10, not plain; d.any: the mock was told not to be made), node 1 \"second\" (relu)");
  ck_gie(ctx,
         try_exec("graph \"g\" (n) { input %x : f32[n] %y = tanh(%x) %z = \"a.b::Warp\"(%y) output %z }",
                  NULL, &x),
         GIE_E_UNSUPPORTED);
  HAS("2 nodes without a kernel on cpu: node 0 \"y\" (tanh) (no kernel for this op), unsupported op a.b::Warp in node 1 \"z\"");
}
END_TEST

START_TEST(variants_must_fit)
{
  static const struct {
    struct mock m;
    const char *storage, *why;
  } T[] = {
      {{.layout = "nhwc"}, "", "wants operand 0 in layout nhwc, not nchw"},
      {{0}, "nhwc", "wants result 0 in layout nchw, not nhwc"},
      {{.dense = true}, "nchw view(%cat, 1, 0, 2)", "wants result 0 dense, not a view"},
      {{.align = 32}, "", NULL},
      {{.align = 128}, "", "wants operand 0 aligned to 128 bytes"},
      {{.one_step = true}, "", "fuses 1 of the 0 epilogue steps"},
      {{.any_layout = true}, "nhwc", NULL},
  };
  struct mock *m = kernel("a.any");
  for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
    char text[512];
    struct gie_exec *x;
    *m = T[i].m;
    snprintf(text, sizeof text,
             "graph \"g\" { input %%x : f32[1,2,2,2] nchw input %%z : f32[1,2,2,2] nchw"
             " %%y : f32[1,2,2,2] %s = relu(%%x) %%w : f32[1,2,2,2] nchw view(%%cat, 1, 2, 2) = relu(%%z)"
             " %%cat = concat(%%y, %%w) {axis=1} output %%%s }",
             T[i].storage, strstr(T[i].storage, "view") ? "cat" : "y");
    gie_status st = try_exec(text, NULL, &x);
    ck_gie(ctx, st, T[i].why ? GIE_E_UNSUPPORTED : GIE_OK);
    if (T[i].why)
      HAS(T[i].why);
    else
      gie_exec_free(x);
  }
}
END_TEST

START_TEST(steps_are_fused_or_refused)
{
  const char *text =
      "graph \"g\" { input %a : f32[1,4] const %b : f32[4,1] = {1, 1, 1, -10} %y = matmul(%a, %b) | relu output %y }";
  struct mock *m = kernel("a.any");
  const float a[] = {1, 2, 3, 4}, zero[] = {0};
  struct gie_exec *x = new_exec(text, NULL);
  ck_gie_ok(ctx, set(x, "a", a, 2, 1, 4, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  (void)zero;
  gie_exec_free(x);
  ck_assert_int_eq(m->runs, 1);
}
END_TEST

static const char CHAIN[] =
    "graph \"g\" { input %x : f32[256] %a = relu(%x) %b = relu(%a) %c = relu(%b) %y = relu(%c) output %y }";

START_TEST(workspace)
{
  struct mock *a = kernel("a.any"), *b = kernel("b.any");
  struct gie_exec *x;
  a->workspace = 1000;
  x = new_exec(CHAIN, NULL);
  float data[256] = {0};
  ck_gie_ok(ctx, set(x, "x", data, 1, 256, 0, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  ck_assert(!a->bad_address);
  gie_exec_free(x);
  /* who asks for what cannot be is left out */
  a->workspace = (size_t)1 << 60;
  x = new_exec(CHAIN, NULL);
  ck_assert_str_eq(kernel_of(x, 0), "b.any");
  gie_exec_free(x);
  /* and so is who makes no instance */
  a->workspace = 0;
  a->no_instance = true;
  x = new_exec(CHAIN, NULL);
  ck_assert_str_eq(kernel_of(x, 0), "b.any");
  gie_exec_free(x);
  a->no_instance = false;
  a->workspace = (size_t)1 << 60;
  b->refuse = "too";
  ck_gie(ctx, try_exec(RELU, NULL, &x), GIE_E_MEMORY);
  HAS("node 0 \"y\" (relu) (a.any: needs 1152921504606846976 bytes of workspace");
}
END_TEST

/* ---- Constants --------------------------------------------------------------------------------- */

static const char MATMUL[] =
    "graph \"g\" (n) { input %x : f32[n,2] const %w : f32[2,2] = {1, 2, 3, 4}"
    " const %same : f32[2,2] = {1, 2, 3, 4} %a = matmul(%x, %w) %y = matmul(%a, %same) output %y }";

START_TEST(packing_happens_once)
{
  struct mock *m = kernel("a.any");
  const float x1[] = {1, 1}, y1[] = {22, 32}, x2[] = {1, 1, 2, 0}, y2[] = {22, 32, 14, 20};
  m->pack_key = "transposed";
  struct gie_exec *x = new_exec(MATMUL, NULL);
  for (int i = 0; i < 2; i++) {
    ck_gie_ok(ctx, set(x, "x", x1, 2, 1, 2, 0, 0));
    ck_gie_ok(ctx, gie_exec_run(x));
    expect(x, "y", y1, 2);
    ck_gie_ok(ctx, set(x, "x", x2, 2, 2, 2, 0, 0));
    ck_gie_ok(ctx, gie_exec_run(x));
    expect(x, "y", y2, 4);
  }
  ck_assert_int_eq(m->packs, 1); /* two nodes, two shapes, one content */
  ck_assert_int_eq(m->creates, 4);
  struct gie_memory_report r = {.struct_size = sizeof r};
  ck_gie_ok(ctx, gie_exec_memory(x, &r));
  ck_assert_uint_eq(r.constants, 16);
  gie_exec_free(x);
}
END_TEST

START_TEST(packing_that_cannot_be)
{
  struct mock *m = kernel("a.any");
  struct gie_exec *x;
  m->pack_key = "k";
  const char *text = "graph \"g\" { input %x : f32[2,2] input %w : f32[2,2] %y = matmul(%x, %w) output %y }";
  ck_gie(ctx, try_exec(text, NULL, &x), GIE_E_UNSUPPORTED);
  HAS("packs operand 1, which is no constant");
  m->fail_pack = GIE_E_DEVICE;
  x = new_exec(MATMUL, NULL);
  const float x1[] = {1, 1};
  ck_gie_ok(ctx, set(x, "x", x1, 2, 1, 2, 0, 0));
  ck_gie(ctx, gie_exec_run(x), GIE_E_UNSUPPORTED);
  HAS("packing operand 1: the mock was told not to pack");
  m->fail_pack = GIE_OK; /* nothing of the failure stays */
  ck_gie_ok(ctx, gie_exec_run(x));
  gie_exec_free(x);
}
END_TEST

START_TEST(constants_are_aligned_on_demand)
{
  struct mock *m = kernel("a.any");
  struct gie_graph *g;
  struct gie_blob *blob;
  struct gie_type type = {GIE_F32, {1, {gie_dim_num(4)}}};
  gie_id in[2], node;
  m->align = 64;
  ck_gie_ok(ctx, gie_graph_new(ctx, "g", &g));
  ck_gie_ok(ctx, gie_blob_new(ctx, 24, &blob));
  memcpy((char *)gie_blob_data(blob) + 4, X4, sizeof X4);
  struct gie_const c = {blob, 4, sizeof X4};
  ck_gie_ok(ctx, gie_graph_add_input(g, "x", &type, &in[0]));
  ck_gie_ok(ctx, gie_graph_add_const(g, "c", &type, &c, &in[1]));
  gie_blob_unref(blob);
  struct gie_node_spec spec = GIE_NODE_SPEC("add");
  const char *name = "y";
  spec.n_in = 2;
  spec.in = in;
  spec.out_names = &name;
  ck_gie_ok(ctx, gie_node_add(g, &spec, &node));
  ck_gie_ok(ctx, gie_graph_add_output(g, gie_node_get(g, node)->out[0]));
  struct gie_exec *x;
  ck_gie_ok(ctx, gie_exec_new(g, NULL, &x));
  gie_graph_free(g);
  const float want[] = {-2, 4, -6, 8};
  ck_gie_ok(ctx, set(x, "x", X4, 1, 4, 0, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  expect(x, "y", want, 4);
  ck_assert(!m->bad_address);
  gie_exec_free(x);
}
END_TEST

/* ---- Failures ---------------------------------------------------------------------------------- */

START_TEST(a_failing_kernel_names_its_node)
{
  struct mock *m = kernel("a.any");
  struct gie_tensor t;
  struct gie_exec *x = new_exec(RELU, NULL);
  ck_gie_ok(ctx, set(x, "x", X4, 1, 4, 0, 0, 0));
  ck_gie_ok(ctx, gie_exec_run(x));
  m->fail_run = GIE_E_DEVICE;
  ck_gie(ctx, gie_exec_run(x), GIE_E_DEVICE);
  ck_assert_str_eq(gie_error_text(ctx), "node 0 \"y\" (relu), kernel a.any: the mock was told to fail");
  ck_gie(ctx, gie_exec_output(x, "y", &t), GIE_E_USAGE);
  m->fail_run = GIE_OK;
  ck_gie_ok(ctx, gie_exec_run(x));
  gie_exec_free(x);
}
END_TEST

START_TEST(devices_that_are_not_there)
{
  static const struct {
    const char *device, *text;
    gie_status status;
  } T[] = {{"cuda", "there is no device \"cuda\"; devices here: cpu", GIE_E_DEVICE},
           {"cpu:1", "there is no device cpu:1; 1 of that kind are present", GIE_E_DEVICE},
           {"cpu:x", "write one kind, or kind:index", GIE_E_USAGE},
           {"cpu:", "device \"cpu:\": write", GIE_E_USAGE},
           {"cpu:-1", "device \"cpu:-1\": write", GIE_E_USAGE},
           {"", "device \"\": write", GIE_E_USAGE},
           {":0", "device \":0\": write", GIE_E_USAGE},
           {"cuda,cpu", "device \"cuda,cpu\": write", GIE_E_USAGE},
           {"cuda cpu:1", "device \"cuda cpu:1\": write", GIE_E_USAGE}};
  kernel("a.any");
  for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
    struct gie_exec_options o = {.struct_size = sizeof o, .device = T[i].device};
    struct gie_exec *x;
    ck_gie(ctx, try_exec(RELU, &o, &x), T[i].status);
    HAS(T[i].text);
  }
}
END_TEST

GIE_TESTS_MAIN_WITH("bind", setup, teardown, rules_choose, bad_rules, note_is_a_wish, force_is_an_order,
                    all_refusals_are_listed, variants_must_fit, steps_are_fused_or_refused, workspace,
                    packing_happens_once, packing_that_cannot_be, constants_are_aligned_on_demand,
                    a_failing_kernel_names_its_node, devices_that_are_not_there)
