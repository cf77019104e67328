/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs saved as ONNX and read again: forms by operator set, epilogues, bodies, metadata, files beside, refusals.
 * That results stay the same is for node_tests --export and the networks to show. */
#include "tests/onnx/onnx_test.h"
#include <dirent.h>

static struct gie_graph *parse(struct gie_context *ctx, const char *text)
{
  struct gie_graph *g = NULL;
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  return g;
}

static char *printed(struct gie_context *ctx, const struct gie_graph *g)
{
  char *text;
  ck_gie_ok(ctx, gie_graph_print(g, &text, NULL));
  return text;
}

/* ---- Forms ----------------------------------------------------------------------------------- */

/* A graph's lines between the braces, and pieces of the text of what is read again, each ended by a newline. */
static const struct form_case {
  const char *name, *graph, *pieces;
} forms[] = {
    {"a graph from elsewhere", "input %x : f32[n,3]\n %y : f32[n,3] = relu(%x)\n output %y",
     "opset=18\ninput %x : f32[n,3]\n%y : f32[n,3] = relu(%x)\noutput %y\n"},
    {"opset raised to the least", "meta {opset=7}\n input %x : f32[3]\n %y : f32[3] = relu(%x)\n output %y",
     "opset=13\n"},
    {"opset kept", "meta {opset=15}\n input %x : f32[3]\n %y : f32[3] = relu(%x)\n output %y", "opset=15\n"},
    {"gelu raises", "meta {opset=13}\n input %x : f32[3]\n %y : f32[3] = gelu(%x) {tanh=1}\n output %y",
     "opset=20\n%y : f32[3] = gelu(%x) {tanh=1}\n"},
    {"mish raises", "meta {opset=13}\n input %x : f32[3]\n %y : f32[3] = mish(%x)\n output %y", "opset=18\n"},
    {"layer_norm raises",
     "meta {opset=13}\n input %x : f32[2,3]\n input %s : f32[3]\n %y : f32[2,3] = layer_norm(%x, %s)\n output %y",
     "opset=17\n"},
    {"silu", "input %x : f32[3]\n %y : f32[3] = silu(%x)\n output %y",
     "%y.sigmoid : f32[3] = sigmoid\n%y : f32[3] = mul(%x, %y.sigmoid)\n"},
    {"clip",
     "input %x : f32[3]\n %a : f32[3] = clip(%x) {min=0.0, max=6.0}\n %y : f32[3] = clip(%a) {max=6.0}\n output %y",
     "%a : f32[3] = clip(%x) {min=0.0, max=6.0}\n%y : f32[3] = clip(%a) {max=6.0}\n"
     "const %const.f32.6.0 : f32[] = {6.0}\n"},
    {"clip of integers", "input %x : i8[3]\n %y : i8[3] = clip(%x) {min=-3.0}\n output %y",
     "const %const.i8.-3.0 : i8[] = {-3}\n%y : i8[3] = clip(%x) {min=-3.0}\n"},
    {"an epilogue",
     "input %x : f32[2,4]\n input %w : f32[4,3]\n input %b : f32[3]\n"
     "%y : f32[2,3] = matmul(%x, %w, %b) | reverse sub(%b) | relu\n output %y",
     "%y.matmul.product : f32[2,3] = matmul\n%y.matmul : f32[2,3] = add(%y.matmul.product, %b)\n"
     "%y.sub : f32[2,3] = sub(%b, %y.matmul)\n%y : f32[2,3] = relu(%y.sub)\n"},
    {"a fresh name is taken",
     "input %x : f32[2,4]\n input %y.matmul : f32[4,3]\n %y : f32[2,3] = matmul(%x, %y.matmul) | relu\n output %y",
     "%y.matmul_2 : f32[2,3] = matmul(%x, %y.matmul)\n"},
    {"reduction with an attribute",
     "meta {opset=13}\n input %x : f32[2,3]\n const %a : i64[1] = {1}\n %y : f32[2,1] = reduce_mean(%x, %a)\n output %y",
     "opset=13\n%y.axes : i64[1] = {1}\n%y : f32[2,1] = reduce_mean(%x, %y.axes)\n"},
    {"reduction with computed axes",
     "meta {opset=13}\n input %x : f32[2,3]\n input %a : i64[1]\n %y : f32[?,?] = reduce_max(%x, %a)\n output %y",
     "opset=18\n= reduce_max(%x, %a)\n"},
    {"split in equal parts",
     "input %x : f32[6]\n %a : f32[3], %b : f32[3] = split(%x)\n output %a\n output %b", "= split(%x)\n"},
    {"sums of integers", "meta {opset=13}\n input %x : i64[2]\n %y : i64[2] = add(%x, %x)\n output %y",
     "opset=13\n"},
    {"sums of narrow integers", "meta {opset=13}\n input %x : u8[2]\n %y : u8[2] = add(%x, %x)\n output %y",
     "opset=14\n"},
    {"a copy into a layout", "input %x : f32[1,3,4,4]\n %y : f32[1,3,4,4] nhwc = reorder(%x)\n output %y",
     "%y : f32[1,3,4,4] nchw = identity(%x)\n"},
    {"a window",
     "input %x : f32[1,1,5,5]\n input %w : f32[1,1,3,3]\n"
     "%y : f32[1,1,5,5] = conv(%x, %w) {auto_pad=\"same_lower\"}\n output %y",
     "auto_pad=\"same_lower\"\n"},
    {"an average with dilation",
     "input %x : f32[1,1,5,5]\n"
     "%y : f32[1,1,3,3] = average_pool(%x) {kernel=[2,2], dilation=[2,2]}\n output %y",
     "opset=19\ndilation=[2,2]\n"},
    {"a ceil_mode that does nothing",
     "input %x : f32[1,4,6,7]\n"
     "%y : f32[1,4,3,4] = max_pool(%x) {kernel=[1,1], stride=[2,2], ceil_mode=1}\n output %y",
     "= max_pool(%x) {kernel=[1,1], stride=[2,2]}\n"},
    {"a ceil_mode that adds a window",
     "input %x : f32[1,4,6,7]\n"
     "%y : f32[1,4,3,4] = max_pool(%x) {kernel=[1,2], stride=[2,2], ceil_mode=1}\n output %y",
     "{kernel=[1,2], ceil_mode=1, stride=[2,2]}\n"},
    {"a ceil_mode for sizes not known",
     "input %x : f32[1,4,n,7]\n"
     "%y : f32[1,4,?,4] = max_pool(%x) {kernel=[1,1], stride=[2,2], ceil_mode=1}\n output %y",
     "ceil_mode=1, stride=[2,2]}\n"},
    {"a constant output", "const %y : f32[2] = {1.0, 2.0}\n output %y",
     "const %y : f32[2] = {1.0, 2.0}\noutput %y\n"},
    {"metadata",
     "meta {opset=13, producer=\"p\", doc=\"two\\nlines\", model_version=3, meta.key=\"v\", opset.com.x=2}\n"
     "input %x : f32[3]\n %y : f32[3] = relu(%x)\n output %y",
     "producer=\"p\"\ndoc=\"two\\nlines\"\nmodel_version=3\nmeta.key=\"v\"\nopset.com.x=2\n"},
    {"branches",
     "meta {opset=13}\n input %c : bool[1]\n input %x : f32[n]\n const %k : f32[1] = {2.0}\n"
     "%y : f32[n], %z : i64[1] = if \"choose\" (%c; %x, %k) {then_branch=graph (n) {input %x : f32[n] input %k : f32[1] "
     "%m : f32[n] = mul(%x, %k) %r : f32[n] = relu(%m) %s = shape(%x) output %r output %s}, else_branch=graph (n) {input %x : f32[n] "
     "input %k : f32[1] const %z : i64[1] = {-1} output %x output %z}}\n output %y\n output %z",
     "opset=13\n%y : f32[n], %z : i64[1] = if(%c; %x, %k)\n%m : f32[n] = mul(%x, %k)\n%r : f32[n] = relu(%m)\n"
     "identity(%x)\nconst %z.inner : i64[1] = {-1}\noutput %z.inner\n"},
    {"branches of bf16",
     "meta {opset=13}\n input %c : bool[1]\n input %x : bf16[2]\n %y : bf16[2] = if(%c; %x) {then_branch=graph "
     "{input %x : bf16[2] output %x}, else_branch=graph {input %x : bf16[2] %r = neg(%x) output %r}}\n output %y",
     "opset=16\n= if(%c; %x)\n"},
    {"another domain",
     "meta {opset=13}\n input %x : f32[3]\n %y : f32[3] = com.x::Op \"n\" (%x) {s=\"t\", i=[1,2], f=[0.5], k=7} ! {opset=4}\n"
     "output %y",
     "opset.com.x=4\n%y : f32[3] = \"com.x::Op\" \"n\" (%x) {s=\"t\", i=[1,2], f=[0.5], k=7}\n"},
};

static void check_form(const struct onnx_test *t, const struct form_case *c)
{
  char text[4096], piece[512];
  struct gie_graph *g, *back;
  snprintf(text, sizeof text, "graph \"g\" (n) {\n%s\n}\n", c->graph);
  g = parse(t->ctx, text);
  ck_gie_ok(t->ctx, gie_graph_save(g, t->path));
  ck_gie_ok(t->ctx, gie_graph_load(t->ctx, t->path, NULL, &back));
  char *after = printed(t->ctx, back);
  for (const char *p = c->pieces; *p; p += strcspn(p, "\n") + 1) {
    snprintf(piece, sizeof piece, "%.*s", (int)strcspn(p, "\n"), p);
    ck_assert_msg(strstr(after, piece), "%s: no \"%s\" in\n%s", c->name, piece, after);
  }
  gie_free(t->ctx, after);
  gie_graph_free(back);
  gie_graph_free(g);
}

START_TEST(test_forms)
{
  struct onnx_test t;
  onnx_test_begin(&t);
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
    check_form(&t, &forms[i]);
  onnx_test_end(&t);
}
END_TEST

/* ---- Bodies ---------------------------------------------------------------------------------- */

/* A branch that adds two values from outside, and one that only hands one on. */
static void branches(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "c", 9, "");
  ob_input(b, "x", OB_F32, "3");
  ob_node(b, "Relu", "x", "r");
  ob_end(b);
  ob_node(b, "If", "c", "y");
  for (int i = 0; i < 2; i++) {
    ob_attr(b, i ? "else_branch" : "then_branch", 5);
    ob_begin(b, 6);
    ob_node(b, i ? "Identity" : "Add", i ? "r" : "r x", "z");
    ob_end(b);
    ob_str(b, 2, "branch");
    ob_output(b, "z");
    ob_end(b);
    ob_end(b);
  }
  ob_end(b);
  ob_output(b, "y");
}

START_TEST(test_bodies)
{
  struct onnx_test t;
  struct ob b;
  struct gie_graph *g, *back;
  onnx_test_begin(&t);
  ob_init(&b);
  branches(&b);
  ck_gie_ok(t.ctx, onnx_test_load(&t, &b, &g));
  char *before = printed(t.ctx, g);
  ck_assert_ptr_nonnull(strstr(before, "%y : f32[3] = if(%c; %r, %x)"));
  ck_gie_ok(t.ctx, gie_graph_save(g, t.path));
  ck_gie_ok(t.ctx, gie_graph_load(t.ctx, t.path, NULL, &back));
  char *after = printed(t.ctx, back);
  ck_assert_str_eq(before, after);
  gie_free(t.ctx, before);
  gie_free(t.ctx, after);
  gie_graph_free(back);
  gie_graph_free(g);
  onnx_test_end(&t);
}
END_TEST

/* What the file says of results that nobody knows is said again. */
START_TEST(test_declared)
{
  struct onnx_test t;
  struct ob b;
  struct gie_graph *g, *back;
  onnx_test_begin(&t);
  ob_init(&b);
  ob_model(&b, 8, 13);
  ob_input(&b, "x", OB_F32, "3");
  ob_node(&b, "Unheard", "x", "r");
  ob_str(&b, 7, "com.x");
  ob_end(&b);
  ob_node(&b, "Relu", "r", "y");
  ob_end(&b);
  ob_value(&b, 12, "y", OB_F32, "m,4,?");
  ck_gie_ok(t.ctx, onnx_test_load(&t, &b, &g));
  ck_gie_ok(t.ctx, gie_graph_save(g, t.path));
  ck_gie_ok(t.ctx, gie_graph_load(t.ctx, t.path, NULL, &back));
  char *after = printed(t.ctx, back);
  ck_assert_msg(strstr(after, "%y : f32[m,4,?] ncw = relu(%r)"), "%s", after);
  gie_free(t.ctx, after);
  gie_graph_free(back);
  gie_graph_free(g);
  onnx_test_end(&t);
}
END_TEST

/* ---- Refusals -------------------------------------------------------------------------------- */

START_TEST(test_refusals)
{
  static const struct {
    const char *graph, *text;
  } cases[] = {
      {"input %x : f32[3]\n %y : ?[*] = com.x::Op(%x)\n output %y", "output \"y\" has a type"},
      {"input %x : f32[3]\n %y : f32[3] = relu(%x)\n output %y\n output %y", "listed twice"},
      {"meta {opset=10}\n input %x : f32[3]\n %y : f32[3] = ai.onnx::Hardmax(%x) ! {opset=10}\n output %y",
       "which set 13 changed"},
      {"input %x : f32[3]\n %y : f32[3] = ai.onnx::Foo(%x) {a=\"tensor of a type that is not supported\"}\n output %y",
       "attribute a is a tensor of a type"},
      {"meta {opset=99}\n input %x : f32[3]\n %y : f32[3] = relu(%x)\n output %y", "operator set 99"},
      {"input %\"\\xff\" : f32[3]\n %y : f32[3] = relu(%\"\\xff\")\n output %y", "is not UTF-8"},
  };
  struct onnx_test t;
  onnx_test_begin(&t);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[1024];
    snprintf(text, sizeof text, "graph \"g\" {\n%s\n}\n", cases[i].graph);
    struct gie_graph *g = parse(t.ctx, text);
    ck_gie(t.ctx, gie_graph_save(g, t.path), GIE_E_UNSUPPORTED);
    ck_assert_msg(strstr(gie_error_text(t.ctx), cases[i].text), "%s: %s", cases[i].text,
                  gie_error_text(t.ctx));
    ck_assert_int_ne(access(t.path, F_OK), 0);
    gie_graph_free(g);
  }
  onnx_test_end(&t);
}
END_TEST

/* ---- Files ----------------------------------------------------------------------------------- */

#define BIG 300 /* f32: more than what always stays inside */

static struct gie_graph *big_graph(struct gie_context *ctx)
{
  struct gie_graph *g = parse(ctx, "graph \"g\" {\ninput %x : f32[300]\nconst %small : f32[1] = {2.0}\n"
                                   "%y : f32[300] = add(%x, %small)\noutput %y\n}\n");
  struct gie_type type = {GIE_F32, {.rank = 1, .dim = {gie_dim_num(BIG)}}};
  struct gie_node_spec spec = GIE_NODE_SPEC("mul");
  gie_id in[2] = {gie_value_find(g, "y")}, node;
  for (int i = 0; i < 2; i++) {
    struct gie_const data = {.size = BIG * sizeof(float)};
    ck_gie_ok(ctx, gie_blob_new(ctx, data.size, &data.blob));
    for (int k = 0; k < BIG; k++)
      ((float *)gie_blob_data(data.blob))[k] = (float)(k + i);
    ck_gie_ok(ctx, gie_graph_add_const(g, i ? "w1" : "w0", &type, &data, &in[1]));
    gie_blob_unref(data.blob);
    spec.in = in;
    spec.n_in = 2;
    ck_gie_ok(ctx, gie_node_add(g, &spec, &node));
    in[0] = gie_node_get(g, node)->out[0];
  }
  ck_gie_ok(ctx, gie_graph_add_output(g, in[0]));
  return g;
}

/* Removes the files beside; returns how many there were and the name of one. */
static int beside(const struct onnx_test *t, char name[400], bool remove)
{
  int n = 0;
  DIR *d = opendir(t->dir);
  for (const struct dirent *e; (e = readdir(d));) {
    if (strncmp(e->d_name, "m.onnx.", 7) != 0)
      continue;
    n++;
    snprintf(name, 400, "%s/%s", t->dir, e->d_name);
    if (remove)
      unlink(name);
  }
  closedir(d);
  return n;
}

static void save_and_compare(struct onnx_test *t, const struct gie_graph *g, int files)
{
  struct gie_graph *back;
  char name[400] = "";
  struct stat one, two;
  ck_gie_ok(t->ctx, gie_graph_save(g, t->path));
  ck_assert_int_eq(stat(t->path, &one), 0);
  ck_assert_int_eq(beside(t, name, false), files);
  ck_gie_ok(t->ctx, gie_graph_load(t->ctx, t->path, NULL, &back));
  for (int i = 0; i < 2; i++) {
    const char *w = i ? "w1" : "w0";
    size_t n;
    const void *a = gie_value_bytes(g, gie_value_find(g, w), NULL),
               *b = gie_value_bytes(back, gie_value_find(back, w), &n);
    ck_assert_uint_eq(n, BIG * sizeof(float));
    ck_assert_mem_eq(a, b, n);
  }
  gie_graph_free(back);
  ck_gie_ok(t->ctx, gie_graph_save(g, t->path)); /* the same once more, over itself */
  ck_assert_int_eq(stat(t->path, &two), 0);
  ck_assert_int_eq(one.st_size, two.st_size);
  ck_assert_int_eq(beside(t, name, true), files);
}

START_TEST(test_data)
{
  for (int outside = 0; outside < 2; outside++) {
    const char *const config[] = {outside ? "ONNX_INSIDE=1000" : "ONNX_INSIDE=100000", NULL};
    const struct gie_context_options options = {.struct_size = sizeof options,
                                                .log = check_no_log,
                                                .config = config};
    struct onnx_test t;
    onnx_test_begin(&t);
    gie_context_free(t.ctx);
    ck_assert_int_eq(gie_context_new(&options, &t.ctx), GIE_OK);
    struct gie_graph *g = big_graph(t.ctx);
    save_and_compare(&t, g, outside);
    gie_graph_free(g);
    onnx_test_end(&t);
  }
}
END_TEST

/* ---- A network ------------------------------------------------------------------------------- */

static struct gie_exec *run_network(struct gie_context *ctx, const struct gie_graph *g, float *out, int n)
{
  const struct gie_exec_options options = {.struct_size = sizeof options, .backends = "+cpu", .threads = 1};
  struct gie_tensor x = {.struct_size = sizeof x, .dtype = GIE_F32}, y = {.struct_size = sizeof y};
  const struct gie_value *in = gie_value_get(g, gie_graph_input(g, 0));
  struct gie_exec *e;
  int64_t count = 1;
  x.rank = in->type.shape.rank;
  for (int i = 0; i < x.rank; i++)
    count *= x.dim[i] = gie_dim_is_num(in->type.shape.dim[i]) ? in->type.shape.dim[i].b : 1;
  float *data = calloc((size_t)count, sizeof *data);
  ck_assert_ptr_nonnull(data);
  for (int64_t i = 0; i < count; i++)
    data[i] = (float)((i * 37 + i / 11) % 256) / 255;
  x.data = data;
  ck_gie_ok(ctx, gie_exec_new(g, &options, &e));
  ck_gie_ok(ctx, gie_exec_set_input(e, in->name, &x));
  ck_gie_ok(ctx, gie_exec_run(e));
  ck_gie_ok(ctx, gie_exec_output(e, gie_value_get(g, gie_graph_output(g, 0))->name, &y));
  memcpy(out, y.data, (size_t)n * sizeof *out);
  free(data);
  return e;
}

START_TEST(test_signs)
{
  struct onnx_test t;
  struct gie_graph *g, *back;
  char path[4200];
  float a[4], b[4];
  const char *top = getenv("top_srcdir");
  onnx_test_begin(&t);
  snprintf(path, sizeof path, "%s/examples/signs/signs.onnx", top ? top : ".");
  ck_gie_ok(t.ctx, gie_graph_load(t.ctx, path, NULL, &g));
  gie_exec_free(run_network(t.ctx, g, a, 4));
  ck_gie_ok(t.ctx, gie_pipeline_run(g, NULL, NULL));
  ck_gie_ok(t.ctx, gie_graph_save(g, t.path));
  ck_gie_ok(t.ctx, gie_graph_load(t.ctx, t.path, NULL, &back));
  gie_exec_free(run_network(t.ctx, back, b, 4));
  for (int i = 0; i < 4; i++)
    ck_assert_float_eq_tol(a[i], b[i], 1e-4f);
  gie_graph_free(back);
  gie_graph_free(g);
  onnx_test_end(&t);
}
END_TEST

GIE_TESTS_MAIN("onnx-export", test_forms, test_bodies, test_declared, test_refusals, test_data, test_signs)
