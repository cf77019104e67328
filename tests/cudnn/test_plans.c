/* SPDX-License-Identifier: Apache-2.0 */
/* What cuDNN says to the graphs of this backend for a device that is only described: no device is needed to ask
 * the heuristics and to make plans. That graphs compute the right thing is for tests/cudnn/test_kernels.c. */
#include "backends/cudnn/cn.h"
#include "tests/gie_check.h"
#include "tests/op_cases.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_IO 8
#define MAX_VARIANTS 256

static const char DEVICE[] =
    "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"
    "\"multiProcessorCount\":132,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,"
    "\"maxSharedMemoryPerBlockOptin\":232448,\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,"
    "\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":6,"
    "\"isTccDriver\":0,\"supportCoopLaunch\":1,\"totalGlobalMem\":150109880320,\"smClockRateKHz\":1980000,"
    "\"memClockRateKHz\":3201000,\"l2CacheSize\":62914560,\"cudaDeviceId\":0,\"deviceVer\":900,"
    "\"driverVer\":13000,\"deviceName\":\"NVIDIA H200\"}";

extern const struct cn_op cn_op_conv;
static const struct gie_kernel KERNEL = {.struct_size = sizeof KERNEL,
                                         .name = "cudnn.conv",
                                         .device = "cuda",
                                         .user = (void *)&cn_op_conv};

static struct gie_context *ctx;
static struct cn_library *lib;
static cn_desc device;

static void setup_with(const char *about)
{
  ctx = check_context();
  ck_assert_int_eq(cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &device), 0);
  ck_assert_int_eq(cudnnBackendSetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                            CUDNN_TYPE_CHAR, (int64_t)strlen(DEVICE), DEVICE),
                   0);
  ck_assert_int_eq(cudnnBackendFinalize(device), 0);
  const struct cn_target target = {NULL, device};
  ck_assert((lib = cn_library_new(ctx, &target, about)) != NULL);
}

static void setup(void) { setup_with(""); }

static void teardown(void)
{
  cn_library_free(lib);
  cudnnBackendDestroyDescriptor(device);
  gie_context_free(ctx);
}

/* ---- A problem: operands behind the first are constants of zeros */

struct question {
  struct gie_graph *g;
  struct gie_desc desc[MAX_IO];
  const void *data[MAX_IO];
  struct gie_problem p;
};

static void ask(struct question *q, const char *dtype, const char *text)
{
  static const char zeros[1 << 22];
  static const struct gie_layout plain;
  const struct op_case c = {"a case", dtype, text};
  ck_gie_ok(ctx, op_case_graph(ctx, &c, dtype, &q->g));
  const struct gie_node *n = op_case_node(q->g);
  ck_assert_uint_le(n->n_in + n->n_out, MAX_IO);
  for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
    gie_id id = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
    size_t bytes;
    ck_gie_ok(ctx, gie_desc_make(ctx, &gie_value_get(q->g, id)->type, &plain, &q->desc[i], &bytes));
    q->data[i] = i == 1 || i == 2 ? zeros : NULL;
    ck_assert_uint_le(bytes, sizeof zeros);
  }
  q->p = (struct gie_problem){.struct_size = sizeof q->p,
                              .ctx = ctx,
                              .graph = q->g,
                              .node = n,
                              .n_in = n->n_in,
                              .n_out = n->n_out,
                              .in = q->desc,
                              .out = q->desc + n->n_in,
                              .in_data = q->data,
                              .device_kind = "cuda",
                              .library = lib};
}

/* The same with the layouts of a variant, as an instance is made for. */
static void take_forms(struct question *q, const struct gie_variant *v)
{
  uint32_t n_in = q->p.n_in;
  for (uint32_t i = 0; i < n_in + q->p.n_out; i++) {
    const struct gie_port *port = i < n_in ? &v->in[i] : &v->out[i - n_in];
    const struct gie_node *n = q->p.node;
    const struct gie_value *value = gie_value_get(q->g, i < n_in ? n->in[i] : n->out[i - n_in]);
    ck_gie_ok(ctx, gie_desc_make(ctx, &value->type, &port->layout, &q->desc[i], NULL));
  }
}

static uint32_t variants_of(struct question *q, struct gie_variant *v)
{
  char why[256] = "";
  ck_assert_msg(cn_supports(&KERNEL, &q->p, why, sizeof why), "%s", why);
  memset(v, 0, MAX_VARIANTS * sizeof *v);
  return cn_variants(&KERNEL, &q->p, v, MAX_VARIANTS);
}

#define CONV_INPUTS "input %x : T[1,64,14,14] input %w : T[64,64,3,3] input %b : T[64] "
#define CONV "%y = conv(%x, %w, %b) {pad=[1,1,1,1]} "

/* ---- Tests */

START_TEST(graphs_are_taken)
{
  static const char *const steps[] = {
      "| relu",
      "| leaky_relu {alpha=0.1}",
      "| clip {min=-1.0, max=6.0}",
      "| sigmoid",
      "| tanh",
      "| elu {alpha=0.7}",
      "| gelu",
      "| gelu {tanh=1}",
      "| silu",
      "| softplus",
      "| hard_sigmoid",
      "| hard_swish",
      "| mish",
      "| sqrt | exp | log",
      "| neg | abs | erf",
      "| floor | ceil | identity",
      "| add(%r)",
      "| mul(%c)",
      "| sub(%c) | reverse sub(%c)",
      "| div(%s)",
      "| max(%c) | min(%r)",
      "| pow(%s)",
      "| prelu(%c)",
  };
  static const char *const dtypes[] = {"f32", "f16", "bf16"};
  setup();
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
    for (int d = 0; d < 3; d++)
      for (uint32_t last = 0; last <= CN_LAST; last++) {
        struct question q;
        struct cn_case c;
        struct cn_graph g;
        char text[512];
        snprintf(text, sizeof text,
                 "%s input %%r : T[1,64,14,14] input %%c : T[64,1,1] input %%s : T[] %s%s output %%y",
                 CONV_INPUTS, CONV, steps[i]);
        ask(&q, dtypes[d], text);
        ck_assert(cn_case_init(&c, &q.p, &cn_op_conv, last | (d == 1 ? CN_HALF : 0), true));
        cn_build(&g, &lib->target, &c);
        ck_assert_msg(g.status == CUDNN_STATUS_SUCCESS, "%s: %s", steps[i], cudnnGetErrorString(g.status));
        cn_graph_free(&g);
        gie_graph_free(q.g);
      }
  teardown();
}
END_TEST

/* Numbers of configurations are read back as what the heuristics said, and give plans. */
static void check_plans(struct question *q, uint32_t form)
{
  struct cn_case c;
  ck_assert(cn_case_init(&c, &q->p, &cn_op_conv, form, true));
  const struct cn_list *list = cn_library_list(lib, &c);
  ck_assert(list != NULL && list->n > 3);
  ck_assert_ptr_eq(cn_library_list(lib, &c), list);
  struct cn_graph g;
  cn_build(&g, &lib->target, &c);
  uint32_t hashed = 0;
  for (uint32_t i = 0; i < list->n; i++) {
    struct cn_knob knobs[CN_MAX_KNOBS];
    struct cn_config back;
    const struct cn_config *want = &list->v[i].config;
    ck_assert_uint_eq(cn_code_form(list->v[i].code), form);
    if (cn_code_is_hash(list->v[i].code)) {
      hashed++;
      continue;
    }
    ck_assert_int_eq(cn_code_engine(list->v[i].code), want->engine);
    ck_assert(cn_code_read(list->v[i].code, knobs, cn_knobs(&g, want->engine, knobs), &back));
    ck_assert_uint_eq(back.n_knobs, want->n_knobs);
    for (uint32_t a = 0; a < back.n_knobs; a++) {
      uint32_t b = 0;
      while (b < want->n_knobs && want->knob[b].type != back.knob[a].type)
        b++;
      ck_assert(b < want->n_knobs && want->knob[b].value == back.knob[a].value);
    }
  }
  ck_assert_uint_le(hashed, list->n / 4);
  cn_graph_free(&g);
}

START_TEST(numbers_stand_for_configurations)
{
  static const struct {
    const char *dtype;
    uint32_t form;
  } rows[] = {{"f16", CN_HALF | CN_LAST}, {"f16", CN_HALF}, {"f32", CN_LAST}, {"f32", 0}, {"bf16", CN_LAST}};
  setup();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct question q;
    ask(&q, rows[i].dtype, CONV_INPUTS CONV "| relu output %y");
    check_plans(&q, rows[i].form);
    gie_graph_free(q.g);
  }
  teardown();
}
END_TEST

static uint32_t count(const struct gie_variant *v, uint32_t n, const char *word)
{
  uint32_t found = 0;
  for (uint32_t i = 0; i < n; i++)
    found += strstr(v[i].label, word) != NULL;
  return found;
}

START_TEST(variants_keep_to_the_math)
{
  static struct gie_variant v[MAX_VARIANTS];
  struct question q;
  setup();
  ask(&q, "f32", CONV_INPUTS CONV "| relu output %y");
  uint32_t n = variants_of(&q, v);
  ck_assert_uint_gt(n, 10);
  ck_assert_uint_eq(count(v, n, "tf32"), 0);
  for (uint32_t i = 0; i < n; i++) {
    bool half = strstr(v[i].label, "f16") != NULL;
    ck_assert_uint_eq(v[i].in[0].dtype, half ? GIE_F16 : GIE_DTYPE_NONE);
    ck_assert_uint_eq(v[i].out[0].dtype, v[i].in[0].dtype);
    ck_assert_uint_eq(v[i].out[0].layout.rank, strstr(v[i].label, "last") ? 4 : 0);
    ck_assert(v[i].capture_safe && v[i].n_steps == 1 && v[i].in[1].layout.rank == 0);
    for (uint32_t j = 0; j < i; j++)
      ck_assert_uint_ne(v[i].config, v[j].config);
  }
  q.p.math = GIE_MATH_TF32;
  n = variants_of(&q, v);
  ck_assert_uint_gt(count(v, n, "tf32"), 10);
  gie_graph_free(q.g);
  /* a variant in f16 is offered with its number when the problem is in f16 */
  static struct gie_variant half[MAX_VARIANTS];
  ask(&q, "f16", CONV_INPUTS CONV "| relu output %y");
  uint32_t n_half = variants_of(&q, half), same = 0, narrow = count(v, n, "f16");
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n_half; j++)
      same += v[i].config == half[j].config;
  ck_assert_uint_eq(same, narrow);
  gie_graph_free(q.g);
  teardown();
}
END_TEST

START_TEST(residuals_come_before_the_bias)
{
  static struct gie_variant v[MAX_VARIANTS];
  struct question q;
  setup();
  ask(&q, "f16", CONV_INPUTS "input %r : T[1,64,14,14] " CONV "| add(%r) | relu output %y");
  uint32_t n = variants_of(&q, v), sum = count(v, n, "sum");
  ck_assert_uint_gt(sum, 10); /* engines that come compiled */
  gie_graph_free(q.g);
  ask(&q, "f16", CONV_INPUTS "input %r : T[64,1,1] " CONV "| add(%r) | relu output %y");
  n = variants_of(&q, v);
  ck_assert_uint_eq(count(v, n, "sum"), 0);
  gie_graph_free(q.g);
  teardown();
}
END_TEST

/* Engines that come compiled want a bias before other steps; zeros are one. */
START_TEST(zeros_stand_for_a_bias)
{
  static struct gie_variant v[MAX_VARIANTS];
  struct question q;
  setup();
  for (int last = 0; last < 2; last++) {
    ask(&q, last ? "f16" : "f32",
        "input %x : T[1,64,14,14] input %w : T[64,64,3,3] input %r : T[1,64,14,14] %y = conv(%x, %w) "
        "{pad=[1,1,1,1]} | add(%r) | relu output %y");
    uint32_t n = variants_of(&q, v);
    ck_assert_uint_gt(count(v, n, "plain"), 3);
    ck_assert_uint_gt(count(v, n, "last"), 3);
    ck_assert_uint_gt(count(v, n, "sum"), 3);
    gie_graph_free(q.g);
  }
  teardown();
}
END_TEST

/* Images have three channels; engines for them want four, so the operand is one block with a lane of zeros. */
START_TEST(channels_of_images_fill_a_block)
{
  static struct gie_variant v[MAX_VARIANTS];
  struct question q;
  struct gie_pack pack = {.struct_size = sizeof pack};
  struct cn_plan *plan;
  float plain[4 * 3 * 2 * 2], packed[4 * 2 * 2 * 4];
  setup();
  ask(&q, "f16",
      "input %x : T[8,3,56,56] input %w : T[64,3,7,7] input %b : T[64] %y = conv(%x, %w, %b) {pad=[3,3,3,3], "
      "stride=[2,2]} | relu output %y");
  uint32_t n = variants_of(&q, v), i = 0;
  ck_assert_uint_gt(count(v, n, "block"), 3);
  while (strstr(v[i].label, "block") == NULL)
    i++;
  ck_assert(v[i].in[0].layout.block == CN_CHANNELS && v[i].in[0].layout.block_axis == 1 && !v[i].in[0].pitch);
  ck_assert(v[i].out[0].layout.block <= 1 && v[i].out[0].layout.rank == 4);
  take_forms(&q, &v[i]);
  ck_gie_ok(ctx, cn_library_plan(lib, &q.p, &cn_op_conv, v[i].config, &plan));
  cn_library_plan_return(lib, plan);
  gie_graph_free(q.g);
  ask(&q, "f32",
      "input %x : T[1,3,8,8] input %w : T[4,3,2,2] input %b : T[4] %y = conv(%x, %w, %b) | relu output %y");
  n = variants_of(&q, v);
  for (i = 0; i < n && (!strstr(v[i].label, "block") || strstr(v[i].label, "f16"));)
    i++;
  ck_assert_uint_lt(i, n);
  ck_assert_uint_eq(cn_pack_desc(&KERNEL, &q.p, &v[i], &pack, 1), 1);
  ck_assert_uint_eq(pack.bytes, sizeof packed);
  for (int e = 0; e < 4 * 3 * 2 * 2; e++)
    plain[e] = 1 + (float)e;
  ck_gie_ok(ctx, cn_pack(&KERNEL, &q.p, &v[i], &pack, plain, packed));
  for (int e = 0; e < 4 * 2 * 2 * 4; e++) {
    int c = e % 4, at = e / 4 % 4, of = e / 16;
    ck_assert(packed[e] == (c < 3 ? plain[(of * 3 + c) * 4 + at] : 0));
  }
  gie_graph_free(q.g);
  /* what needs no block is asked about without one */
  ask(&q, "f16", CONV_INPUTS CONV "| relu output %y");
  n = variants_of(&q, v);
  ck_assert_uint_eq(count(v, n, "block"), 0);
  gie_graph_free(q.g);
  teardown();
}
END_TEST

START_TEST(a_noted_choice_is_the_only_one)
{
  static struct gie_variant v[MAX_VARIANTS], one[MAX_VARIANTS];
  struct question q;
  struct cn_plan *plan;
  setup();
  ask(&q, "f16", CONV_INPUTS CONV "| relu output %y");
  ck_assert_uint_gt(variants_of(&q, v), 3);
  struct gie_attr kernel = {.name = "kernel", .kind = GIE_ATTR_STRING, .n = 10, .u.s = "cudnn.conv"};
  struct gie_attr config = {.name = "config", .kind = GIE_ATTR_INT, .u.i = (int64_t)v[2].config};
  ck_gie_ok(ctx, gie_node_set_note(q.g, q.p.node->id, &kernel));
  ck_gie_ok(ctx, gie_node_set_note(q.g, q.p.node->id, &config));
  q.p.node = op_case_node(q.g);
  ck_assert_uint_eq(variants_of(&q, one), 1);
  ck_assert_uint_eq(one[0].config, v[2].config);
  ck_assert(gie_layout_equal(&one[0].out[0].layout, &v[2].out[0].layout, 4));
  take_forms(&q, &one[0]);
  ck_gie_ok(ctx, cn_library_plan(lib, &q.p, &cn_op_conv, one[0].config, &plan));
  cn_library_plan_return(lib, plan);
  /* a number that no engine has */
  ck_gie(ctx, cn_library_plan(lib, &q.p, &cn_op_conv, one[0].config ^ (uint64_t)3 << 60, &plan),
         GIE_E_UNSUPPORTED);
  ck_assert(strstr(gie_error_text(ctx), "this cuDNN has no configuration") != NULL);
  ck_gie(ctx, cn_library_plan(lib, &q.p, &cn_op_conv, INT64_MAX, &plan), GIE_E_UNSUPPORTED);
  gie_graph_free(q.g);
  teardown();
}
END_TEST

START_TEST(weights_are_packed)
{
  struct question q;
  struct gie_pack pack = {.struct_size = sizeof pack};
  const struct gie_variant v = {.config = CN_LAST};
  float plain[2 * 3 * 4], packed[24];
  setup();
  ask(&q, "f32", "input %x : T[1,3,5,5] input %w : T[2,3,2,2] %y = conv(%x, %w) output %y");
  for (int i = 0; i < 24; i++)
    plain[i] = (float)i;
  ck_assert_uint_eq(cn_pack_desc(&KERNEL, &q.p, &v, &pack, 1), 1);
  ck_assert_uint_eq(pack.bytes, sizeof plain);
  ck_gie_ok(ctx, cn_pack(&KERNEL, &q.p, &v, &pack, plain, packed));
  for (int k = 0; k < 2; k++)
    for (int at = 0; at < 4; at++)
      for (int c = 0; c < 3; c++)
        ck_assert(packed[(k * 4 + at) * 3 + c] == plain[(k * 3 + c) * 4 + at]);
  const struct gie_variant as_is = {.config = 0};
  ck_assert_uint_eq(cn_pack_desc(&KERNEL, &q.p, &as_is, &pack, 1), 0);
  gie_graph_free(q.g);
  teardown();
}
END_TEST

START_TEST(refusals)
{
  static const struct {
    const char *dtype, *text, *why;
  } rows[] = {
      {"f64", "input %x : T[1,3,5,5] input %w : T[2,3,2,2] %y = conv(%x, %w) output %y", "f64"},
      {"f32", "input %x : T[0,3,5,5] input %w : T[2,3,2,2] %y = conv(%x, %w) output %y", "no elements"},
      {"f32", "input %x : T[1,3,5,5] input %w : T[2,3,2,2] %y = conv(%x, %w) | cast {to=f16} output %y",
       "element type"},
      {"f32", "input %x : T[1,1,2,2,2,2] input %w : T[2,1,1,1,1,1] %y = conv(%x, %w) output %y", "rank 6"},
  };
  setup();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct question q;
    char why[256] = "";
    ask(&q, rows[i].dtype, rows[i].text);
    ck_assert(!cn_supports(&KERNEL, &q.p, why, sizeof why));
    ck_assert_msg(strstr(why, rows[i].why) != NULL, "%s", why);
    gie_graph_free(q.g);
  }
  teardown();
}
END_TEST

/* ---- Plans in files */

static unsigned count_files(const char *dir, char *last, size_t size)
{
  DIR *d = opendir(dir);
  struct dirent *e;
  unsigned n = 0;
  while (d && (e = readdir(d)) != NULL)
    if (e->d_name[0] != '.') {
      snprintf(last, size, "%s/%s", dir, e->d_name);
      n++;
    }
  if (d)
    closedir(d);
  return n;
}

static bool holds(const char *key, const char *want)
{
  size_t n = 0;
  char *text = cn_store_read(&lib->store, key, &n);
  bool same = text && n == strlen(want) && memcmp(text, want, n) == 0;
  gie_free(ctx, text);
  return same;
}

START_TEST(stored_plans)
{
  char place[] = "/tmp/gie-cudnn-XXXXXX", cache[64], dir[96], file[512];
  ck_assert(mkdtemp(place) != NULL);
  snprintf(cache, sizeof cache, "%s/timing.txt", place);
  snprintf(dir, sizeof dir, "%s.cudnn", cache);
  setenv("GIE_CACHE", cache, 1);
  setup_with("device a");
  ck_assert(!holds("key 1", "text"));
  cn_store_write(&lib->store, "key 1", "text", 4);
  cn_store_write(&lib->store, "key 2", "other text", 10);
  ck_assert_uint_eq(count_files(dir, file, sizeof file), 2);
  ck_assert(holds("key 1", "text") && holds("key 2", "other text") && !holds("key 3", "text"));
  teardown();
  setup_with("device b"); /* nothing of another device's */
  ck_assert(!holds("key 1", "text"));
  teardown();
  /* damaged files, and such that others could have written */
  setup_with("device a");
  ck_assert_int_eq(chmod(file, 0622), 0);
  ck_assert(!(holds("key 1", "text") && holds("key 2", "other text")));
  ck_assert_int_eq(chmod(file, 0600), 0);
  ck_assert(holds("key 1", "text") && holds("key 2", "other text"));
  FILE *f = fopen(file, "r+");
  ck_assert(f && fseek(f, -1, SEEK_END) == 0 && fputc('T' + 1, f) != EOF && fclose(f) == 0);
  ck_assert(!(holds("key 1", "text") && holds("key 2", "other text")));
  ck_assert_int_eq(truncate(file, 7), 0);
  ck_assert(!(holds("key 1", "text") && holds("key 2", "other text")));
  ck_assert_int_eq(chmod(dir, 0777), 0);
  ck_assert(!holds("key 1", "text") && !holds("key 2", "other text"));
  teardown();
  setenv("GIE_CACHE", "none", 1);
  setup_with("device a");
  ck_assert(!lib->store.used);
  teardown();
  while (count_files(dir, file, sizeof file))
    unlink(file);
  rmdir(dir);
  rmdir(place);
}
END_TEST

/* A plan that took long is stored, and read by the next handle. */
START_TEST(slow_plans_are_stored)
{
  static struct gie_variant v[MAX_VARIANTS];
  char place[] = "/tmp/gie-cudnn-XXXXXX", cache[64], dir[96], file[512];
  ck_assert(mkdtemp(place) != NULL);
  snprintf(cache, sizeof cache, "%s/timing.txt", place);
  snprintf(dir, sizeof dir, "%s.cudnn", cache);
  setenv("GIE_CACHE", cache, 1);
  struct cn_plan *plan;
  size_t workspace = 0;
  for (int round = 0; round < 2; round++) {
    struct question q;
    setup_with("a device");
    lib->worth_storing = 0;
    ask(&q, "f16", CONV_INPUTS CONV "| relu output %y");
    ck_assert_uint_gt(variants_of(&q, v), 3);
    take_forms(&q, &v[0]);
    ck_gie_ok(ctx, cn_library_plan(lib, &q.p, &cn_op_conv, v[0].config, &plan));
    ck_assert(round == 0 || plan->workspace == workspace);
    workspace = plan->workspace;
    ck_assert(plan->restored == (round == 1));
    cn_library_plan_return(lib, plan);
    ck_assert_uint_eq(count_files(dir, file, sizeof file), 1);
    gie_graph_free(q.g);
    teardown();
  }
  unlink(file);
  rmdir(dir);
  rmdir(place);
}
END_TEST

GIE_TESTS_MAIN("cudnn plans", graphs_are_taken, numbers_stand_for_configurations, variants_keep_to_the_math,
               residuals_come_before_the_bias, zeros_stand_for_a_bias, channels_of_images_fill_a_block,
               a_noted_choice_is_the_only_one, weights_are_packed, refusals, stored_plans,
               slow_plans_are_stored)
