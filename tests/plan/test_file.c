/* SPDX-License-Identifier: Apache-2.0 */
/* The plan's file: the same bytes after reading and writing, and an error for everything else. */
#include "core/module/registry.h"
#include "tests/plan/plan_check.h"
#include <unistd.h>

static const int ONE[] = {1, 0}, TWO[] = {1, 4, 0};

/* Bytes of a small plan. */
static uint8_t *small_bytes(const int *batches, size_t *size)
{
  const char *path = temp_path("small.plan");
  struct gie_plan *plan = small_plan(batches);
  ck_gie_ok(ctx, gie_plan_save(plan, path));
  gie_plan_free(plan);
  return read_bytes(path, size);
}

static gie_status load_bytes(const uint8_t *p, size_t size, struct gie_plan **plan)
{
  const char *path = temp_path("bytes.plan");
  write_bytes(path, p, size);
  return gie_plan_load(ctx, path, plan);
}

/* Refused as bad data, with one line that names the file. */
static void refused(const uint8_t *p, size_t size, const char *what)
{
  struct gie_plan *plan = NULL;
  gie_status st = load_bytes(p, size, &plan);
  ck_assert_msg(st == GIE_E_DATA, "%s: %s: %s", what, gie_status_name(st), gie_error_text(ctx));
  ck_assert_ptr_null(plan);
  ck_assert_msg(strstr(gie_error_text(ctx), "bytes.plan: ") != NULL, "%s: %s", what, gie_error_text(ctx));
  ck_assert_ptr_null(strchr(gie_error_text(ctx), '\n'));
}

START_TEST(reads_what_it_wrote)
{
  const char *path = temp_path("a.plan"), *again = temp_path("b.plan");
  struct gie_plan *plan, *back;
  struct gie_plan_profile p = {.struct_size = sizeof p};
  size_t n, m;
  kernel(SMALL_KERNEL);
  plan = small_plan(TWO);
  ck_gie_ok(ctx, gie_plan_save(plan, path));
  ck_gie_ok(ctx, gie_plan_load(ctx, path, &back));
  ck_gie_ok(ctx, gie_plan_save(back, again));
  uint8_t *a = read_bytes(path, &n), *b = read_bytes(again, &m);
  ck_assert_uint_eq(n, m);
  ck_assert_mem_eq(a, b, n);
  ck_assert_uint_eq(gie_plan_n_profiles(back), 2);
  ck_gie_ok(ctx, gie_plan_profile(back, 1, &p));
  ck_assert_str_eq(p.device, "cpu");
  ck_assert_str_eq(p.device_name, "mock");
  ck_assert_str_eq(p.device_version, "1");
  ck_assert_uint_eq(p.threads, 2);
  ck_assert(p.measured && p.seconds == 0.001);
  ck_gie(ctx, gie_plan_profile(back, 2, &p), GIE_E_USAGE);
  ck_assert_str_eq(gie_plan_candidates(back), "matmul\ta.any\t0\t1e-05\n");
  /* one copy of the weights, at a multiple of 64 in memory and in the file */
  const void *w = gie_value_bytes(gie_plan_base(back), gie_value_find(gie_plan_base(back), "w"), NULL);
  ck_assert_ptr_eq(w, gie_value_bytes(p.graph, gie_value_find(p.graph, "w"), NULL));
  ck_assert_uint_eq((uintptr_t)w % 64, 0);
  ck_assert_uint_eq((n - 80) % 64, 0);
  free(a);
  free(b);
  gie_plan_free(plan);
  gie_plan_free(back);
}
END_TEST

START_TEST(two_makings_are_equal)
{
  size_t n, m;
  uint8_t *a = small_bytes(TWO, &n), *b = small_bytes(TWO, &m);
  ck_assert_uint_eq(n, m);
  ck_assert_mem_eq(a, b, n);
  ck_assert_ptr_null(memmem(a, n, "/tmp", 4));
  free(a);
  free(b);
}
END_TEST

START_TEST(every_byte_counts)
{
  static const uint8_t masks[] = {0xff, 0x01, 0x80, 0x20};
  size_t n;
  kernel(SMALL_KERNEL);
  uint8_t *p = small_bytes(ONE, &n);
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < sizeof masks; k++) {
      char what[64];
      snprintf(what, sizeof what, "byte %zu ^ %02x", i, masks[k]);
      p[i] ^= masks[k];
      refused(p, n, what);
      p[i] ^= masks[k];
    }
  free(p);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
  size_t n;
  kernel(SMALL_KERNEL);
  uint8_t *p = small_bytes(ONE, &n);
  for (size_t i = 0; i < n; i++)
    refused(p, i, "cut off");
  uint8_t *longer = calloc(1, n + 64);
  memcpy(longer, p, n);
  refused(longer, n + 1, "longer");
  refused(longer, n + 64, "longer");
  free(longer);
  free(p);
}
END_TEST

static uint64_t seed = 88172645463325252u;
static uint64_t random64(void)
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^= seed << 17;
}

START_TEST(random_damage_is_refused)
{
  size_t n;
  kernel(SMALL_KERNEL);
  uint8_t *p = small_bytes(TWO, &n), *q = malloc(n);
  for (int i = 0; i < 10000; i++) {
    memcpy(q, p, n);
    for (uint64_t k = 1 + random64() % 16; k > 0; k--)
      q[random64() % n] = (uint8_t)random64();
    if (memcmp(p, q, n) != 0)
      refused(q, n, "random damage");
  }
  free(p);
  free(q);
}
END_TEST

/* The same with hashes made right again: nothing but an error or a plan, whatever it is. */
START_TEST(random_damage_under_right_hashes)
{
  size_t n;
  int loaded = 0;
  kernel(SMALL_KERNEL);
  uint8_t *p = small_bytes(TWO, &n), *q = malloc(n);
  for (int i = 0; i < 5000; i++) {
    struct gie_plan *plan;
    memcpy(q, p, n);
    for (uint64_t k = 1 + random64() % 4; k > 0; k--)
      q[32 + random64() % (n - 32)] ^= (uint8_t)(1u << random64() % 8);
    fix_hashes(q, n);
    gie_status st = load_bytes(q, n, &plan);
    ck_assert_msg(st == GIE_OK || st == GIE_E_DATA || st == GIE_E_MODULE, "%s: %s", gie_status_name(st),
                  gie_error_text(ctx));
    loaded += st == GIE_OK;
    if (st == GIE_OK)
      gie_plan_free(plan);
  }
  ck_assert_int_gt(loaded, 0);
  free(p);
  free(q);
}
END_TEST

/* ---- Hostile fields under right hashes --------------------------------------------------------- */

static void changed(const uint8_t *p, size_t n, size_t at, int bytes, uint64_t value)
{
  char what[96];
  uint8_t *q = malloc(n);
  snprintf(what, sizeof what, "%d bytes at %zu = %llu", bytes, at, (unsigned long long)value);
  memcpy(q, p, n);
  if (bytes == 4)
    poke32(q + at, (uint32_t)value);
  else
    poke64(q + at, value);
  if (memcmp(p, q, n) != 0) {
    fix_hashes(q, n);
    refused(q, n, what);
  }
  free(q);
}

START_TEST(hostile_numbers)
{
  static const uint64_t numbers[] = {0,
                                     1,
                                     2,
                                     3,
                                     5,
                                     7,
                                     63,
                                     64,
                                     65,
                                     127,
                                     1u << 16,
                                     (uint64_t)INT32_MAX,
                                     UINT32_MAX - 1,
                                     UINT32_MAX,
                                     (uint64_t)1 << 32,
                                     (uint64_t)1 << 62,
                                     INT64_MAX,
                                     (uint64_t)1 << 63,
                                     UINT64_MAX - 63,
                                     UINT64_MAX - 1,
                                     UINT64_MAX};
  static const int fields32[] = {8, 12, 24, 28}, fields64[] = {16};
  size_t n;
  kernel(SMALL_KERNEL);
  uint8_t *p = small_bytes(ONE, &n);
  uint32_t sections = p[24];
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    for (size_t k = 0; k < sizeof fields32 / sizeof fields32[0]; k++)
      changed(p, n, (size_t)fields32[k], 4, numbers[i]);
    for (size_t k = 0; k < sizeof fields64 / sizeof fields64[0]; k++)
      changed(p, n, (size_t)fields64[k], 8, numbers[i]);
    for (uint32_t s = 0; s < sections; s++) {
      size_t e = PLAN_HEADER + (size_t)s * PLAN_ENTRY;
      changed(p, n, e, 4, numbers[i]);
      changed(p, n, e + 4, 4, numbers[i]);
      changed(p, n, e + 8, 8, numbers[i]);
      changed(p, n, e + 16, 8, numbers[i]);
      changed(p, n, e + 24, 8, numbers[i]);
      changed(p, n, e + 8, 8, n - numbers[i]);
      changed(p, n, e + 16, 8, n - numbers[i]);
    }
    size_t w = (size_t)peek64(p + PLAN_HEADER + (sections - 1) * PLAN_ENTRY + 8);
    changed(p, n, w + 8, 8, numbers[i]);
    changed(p, n, w + 16 + 32, 8, numbers[i]);
    changed(p, n, w + 16 + 40, 8, numbers[i]);
  }
  free(p);
}
END_TEST

/* A plan with one text exchanged for another of any length: sections are laid out anew. */
static uint8_t *with_text(const uint8_t *p, size_t n, uint32_t section, const char *text, size_t *size)
{
  uint32_t sections = p[24];
  size_t at = PLAN_HEADER + sections * PLAN_ENTRY, len = strlen(text);
  uint8_t *q = calloc(1, n + len + 128);
  memcpy(q, p, at);
  for (uint32_t i = 0; i < sections; i++) {
    uint8_t *e = q + PLAN_HEADER + i * PLAN_ENTRY;
    uint64_t from = peek64(e + 8), bytes = i == section ? len : peek64(e + 16);
    at = (at + 63) / 64 * 64;
    memcpy(q + at, i == section ? (const uint8_t *)text : p + from, (size_t)bytes);
    poke64(e + 8, at);
    poke64(e + 16, bytes);
    at += (size_t)bytes;
  }
  poke64(q + 16, at);
  fix_hashes(q, at);
  *size = at;
  return q;
}

enum { META, BASE, HEAD, GRAPH, CANDIDATES, WEIGHTS };

START_TEST(hostile_texts)
{
  static const struct {
    uint32_t section;
    const char *text, *says;
  } T[] = {
      {META, "", "section meta"},
      {META, "graph \"plan\" {\n}\n", "\"gie\" is missing"},
      {META, "graph \"plan\" {\n  meta {gie=1}\n}\n", "\"gie\" is missing"},
      {META,
       "graph \"plan\" {\n  meta {gie=\"0\", abi=[1, 0], kernels=[\"b\", \"a\"], kernel_modules=[\"\", \"\"], "
       "ops=strings [], op_modules=strings []}\n}\n",
       "not in order"},
      {META,
       "graph \"plan\" {\n  meta {gie=\"0\", abi=[1, 0], kernels=[\"a\"], kernel_modules=[\"\", \"\"], "
       "ops=strings [], op_modules=strings []}\n}\n",
       "\"kernels\" is missing"},
      {META,
       "graph \"plan\" {\n  meta {gie=\"0\", abi=[2, 0], kernels=strings [], kernel_modules=strings [], "
       "ops=strings [], op_modules=strings [], path=\"/x.so\"}\n}\n",
       "there is more in it"},
      {BASE, "graph \"net\" { input %x : f32[4] output %x }", "profile"},
      {BASE, "graph \"net\" { input %x : f32[4,4] %y = relu(%x) output %y }", "graph 0"},
      {BASE, "grap", "section base 0"},
      {BASE,
       "graph \"net\" (n) { input %x : f32[n,4] const %w : f32[4,5] = @sha256:"
       "0000000000000000000000000000000000000000000000000000000000000000 %a = matmul(%x, %w) %y = relu(%a) "
       "output %y }",
       "has no entry"},
      {HEAD, "graph \"profile\" {\n}\n", "\"device\" is missing"},
      {HEAD,
       "graph \"profile\" {\n  meta {device=\"cpu\", device_name=\"\", device_version=\"\", threads=-1, measured=1, "
       "seconds=0.0}\n}\n",
       "\"threads\""},
      {HEAD,
       "graph \"profile\" {\n  meta {device=\"cpu\", device_name=\"\", device_version=\"\", threads=1, measured=2, "
       "seconds=0.0}\n}\n",
       "\"measured\""},
      {HEAD,
       "graph \"profile\" {\n  meta {device=\"cpu\", device_name=\"\", device_version=\"\", threads=1, measured=1, "
       "seconds=nan}\n}\n",
       "\"seconds\""},
      {HEAD,
       "graph \"profile\" {\n  meta {device=\"cpu\", device_name=\"\", device_version=\"\", threads=1, measured=1, "
       "seconds=-1.0}\n}\n",
       "\"seconds\""},
      {GRAPH, "graph \"net\" (n) { input %x : f32[n,4] %y = relu(%x) output %y }", "is no number"},
      {GRAPH, "graph \"net\" { input %z : f32[1,4] %y = relu(%z) output %y }", "is not that of the network"},
      {GRAPH, "graph \"net\" { input %x : f32[1,5] %y = relu(%x) output %y }", "is not that of the network"},
      {GRAPH, "graph \"net\" { input %x : f16[1,4] %y = relu(%x) output %y }", "is not that of the network"},
      {GRAPH, "graph \"net\" { input %x : f32[1,4] %y = relu(%x) output %y output %y }", "2 outputs"},
      {GRAPH, "graph \"net\" { input %x : f32[1,4] %y = \"a::b\"(%x) output %y }", "section graph 0"},
      {GRAPH, "graph \"net\" { input %x : f32[1,4] %y = nonsense(%x) output %y }", "unknown op"},
  };
  size_t n, m;
  kernel(SMALL_KERNEL);
  uint8_t *p = small_bytes(ONE, &n);
  for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
    uint8_t *q = with_text(p, n, T[i].section, T[i].text, &m);
    refused(q, m, T[i].text);
    HAS(T[i].says);
    free(q);
  }
  /* with nothing changed it is the plan */
  struct gie_plan *plan;
  uint8_t *q = with_text(p, n, CANDIDATES, "other", &m);
  ck_gie_ok(ctx, load_bytes(q, m, &plan));
  ck_assert_str_eq(gie_plan_candidates(plan), "other");
  gie_plan_free(plan);
  free(q);
  free(p);
}
END_TEST

/* What stands behind the hash of a constant is wrong: the weight that was found goes again. */
START_TEST(a_weight_is_not_lost)
{
  char text[512];
  size_t n, m;
  kernel(SMALL_KERNEL);
  uint8_t *p = small_bytes(ONE, &n);
  const char *hash = memmem(p, n, "@sha256:", 8);
  ck_assert_ptr_nonnull(hash);
  snprintf(text, sizeof text, "graph \"net\" (n) { input %%x : f32[n,4] const %%w : f32[4,5] = %.72s \"open",
           hash);
  uint8_t *q = with_text(p, n, BASE, text, &m);
  refused(q, m, text);
  HAS("section base 0");
  free(q);
  free(p);
}
END_TEST

/* A kernel that the meta section does not list, and weights that nobody reads. */
START_TEST(lists_must_agree)
{
  size_t n, m;
  kernel(SMALL_KERNEL);
  uint8_t *p = small_bytes(ONE, &n);
  uint8_t *q =
      with_text(p, n, GRAPH,
                "graph \"net\" { input %x : f32[1,4] const %w : f32[4,5] = {1, 2, 3, 4, 5, -1, -2, -3, -4, "
                "-5, 0.5, 0.25, 0, 7, 8, 1, -1, 1, -1, 1} %a = matmul(%x, %w) %y = relu(%a) "
                "!{kernel=\"b.other\"} output %y }",
                &m);
  refused(q, m, "kernels");
  HAS("the list of kernels is not that of the graphs");
  free(q);
  q = with_text(p, n, BASE, "graph \"net\" { input %x : f32[1,4] %y : f32[1,5] = \"a::b\"(%x) output %y }",
                &m);
  uint8_t *r = with_text(q, m, GRAPH,
                         "graph \"net\" { input %x : f32[1,4] %y : f32[1,5] = \"a::b\"(%x) output %y }", &n);
  refused(r, n, "weights");
  HAS("1 weights belong to no graph");
  free(r);
  free(q);
  free(p);
}
END_TEST

/* ---- Other files, other plans ------------------------------------------------------------------ */

START_TEST(other_files_are_named)
{
  static const struct {
    const char *bytes;
    size_t n;
    const char *says;
  } T[] = {
      {"", 0, "the file is empty"},
      {"PK\3\4....", 8, "looks like a zip archive"},
      {"graph \"x\" { }", 13, "looks like gie text"},
      {"<!DOCTYPE html><html>", 21, "looks like a web page"},
      {"\x7f"
       "ELF\2\1\1",
       7, "looks like a program or library"},
      {"GIEWGT1\n", 8, "looks like the weights file"},
      {"\x89PNG\r\n\x1a\n", 8, "looks like a PNG image"},
      {"?!", 2, "this is no plan; give a file that gie build has written"},
      {"\x89GIEPLN\n", 8, "cut off after 8 bytes"},
  };
  struct gie_plan *plan;
  for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
    refused((const uint8_t *)T[i].bytes, T[i].n, T[i].says);
    HAS(T[i].says);
    ck_assert(gie_plan_probe(temp_path("bytes.plan")) == (T[i].n == 8 && T[i].bytes[1] == 'G'));
  }
  ck_gie(ctx, gie_plan_load(ctx, temp_path("absent.plan"), &plan), GIE_E_NOINPUT);
  ck_gie(ctx, gie_plan_load(ctx, "/tmp", &plan), GIE_E_NOINPUT);
  ck_gie(ctx, gie_plan_load(ctx, "/dev/zero", &plan), GIE_E_NOINPUT);
  ck_assert(!gie_plan_probe(temp_path("absent.plan")));
}
END_TEST

START_TEST(a_plan_is_no_network)
{
  struct gie_graph *g;
  struct gie_plan *plan = small_plan(ONE);
  const char *path = temp_path("net.onnx");
  ck_gie_ok(ctx, gie_plan_save(plan, path));
  ck_gie(ctx, gie_graph_load(ctx, path, NULL, &g), GIE_E_DATA);
  HAS("looks like a plan of gie");
  gie_plan_free(plan);
}
END_TEST

START_TEST(other_versions_say_which)
{
  size_t n;
  uint8_t *p = small_bytes(ONE, &n);
  poke32(p + 8, 7);
  refused(p, n, "version");
  HAS("format version 7, this gie reads version 1");
  poke32(p + 8, 0x01000000);
  poke32(p + 12, 0x04030201);
  refused(p, n, "byte order");
  HAS("the other byte order");
  free(p);
}
END_TEST

START_TEST(missing_kernels_are_listed)
{
  size_t n;
  struct gie_plan *plan;
  uint8_t *p = small_bytes(ONE, &n);
  ck_gie(ctx, load_bytes(p, n, &plan), GIE_E_MODULE);
  HAS("kernel " SMALL_KERNEL " (version not known); modules were searched in nowhere");
  write_bytes(temp_path("look.plan"), p, n);
  ck_gie_ok(ctx, plan_load_any(ctx, temp_path("look.plan"), &plan));
  gie_plan_free(plan);
  free(p);
}
END_TEST

static gie_status infer_same(struct gie_infer *x)
{
  x->out[0] = x->in[0];
  return GIE_OK;
}

static const struct gie_op layer = {.struct_size = sizeof layer,
                                    .name = "test::Layer",
                                    .min_in = 1,
                                    .max_in = 1,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = infer_same,
                                    .help = "the operand"};

static void register_op(const struct gie_op *op)
{
  struct gie_registry *r = ctx->registry;
  r->open = true;
  r->loading = UINT32_MAX;
  ck_gie_ok(ctx, r->host.register_op(&r->host, op));
  r->open = false;
}

/* Ops of modules, of base and profiles, are asked for before anything is parsed. */
START_TEST(missing_ops_are_listed)
{
  const char *text = "graph \"net\" { input %x : f32[4] %y = test::Layer(%x) output %y }";
  char path[256];
  struct gie_plan *plan;
  snprintf(path, sizeof path, "%s", temp_path("op.plan"));
  register_op(&layer);
  ck_gie_ok(ctx, plan_new(ctx, parse(text), &plan));
  add_profile(plan, parse(text));
  ck_gie_ok(ctx, gie_plan_save(plan, path));
  gie_plan_free(plan);
  ck_gie_ok(ctx, gie_plan_load(ctx, path, &plan));
  gie_plan_free(plan);
  teardown();
  setup();
  ck_gie(ctx, gie_plan_load(ctx, path, &plan), GIE_E_MODULE);
  HAS("needs what no module here has: op test::Layer (the program); modules were searched in nowhere");
  ck_gie(ctx, plan_load_any(ctx, path, &plan), GIE_E_MODULE);
}
END_TEST

START_TEST(memory_may_end_anywhere)
{
  const char *path = temp_path("memory.plan");
  struct gie_plan *plan = small_plan(TWO), *back = NULL;
  gie_status st = GIE_E_MEMORY;
  kernel(SMALL_KERNEL);
  ck_gie_ok(ctx, gie_plan_save(plan, path));
  long n = 0;
  while (st != GIE_OK) {
    ctx->fail_alloc_after = ++n;
    st = gie_plan_load(ctx, path, &back);
    ctx->fail_alloc_after = -1;
    ck_assert_msg(st == GIE_OK || st == GIE_E_MEMORY, "allocation %ld: %s", n, gie_error_text(ctx));
  }
  ck_assert_int_gt(n, 50);
  gie_plan_free(back);
  for (n = 0, st = GIE_E_MEMORY; st != GIE_OK;) {
    ctx->fail_alloc_after = ++n;
    st = gie_plan_save(plan, path);
    ctx->fail_alloc_after = -1;
    ck_assert(st == GIE_OK || st == GIE_E_MEMORY);
    ck_gie_ok(ctx, gie_plan_load(ctx, path, &back));
    gie_plan_free(back);
  }
  gie_plan_free(plan);
}
END_TEST

GIE_TESTS_MAIN_WITH("plan file", setup, teardown, reads_what_it_wrote, two_makings_are_equal,
                    every_byte_counts, every_truncation_is_refused, random_damage_is_refused,
                    random_damage_under_right_hashes, hostile_numbers, hostile_texts, a_weight_is_not_lost,
                    lists_must_agree, other_files_are_named, a_plan_is_no_network, other_versions_say_which,
                    missing_kernels_are_listed, missing_ops_are_listed, memory_may_end_anywhere)
