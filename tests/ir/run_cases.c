/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the textual pass tests: run_cases [--update] FILE.gie …
 *
 * A file holds named cases. Lines that begin with "## " are directives, the rest is graph text:
 *
 *     ## case: fires
 *     ## passes: fuse_epilogue
 *     ## flags: f16                 optional: what the device computes in (f16, bf16)
 *     ## target: bytes_per_s 1e9; … optional: lines of a target for a cpu, separated by "; "
 *     ## runs: no                   optional: the graph cannot be executed
 *     ## tolerance: 2e-3           optional: of the results' largest element
 *     ## error: <text>              optional: a pass fails, and its message has this text
 *     graph "…" { … }
 *     ## expect
 *     graph "…" { … }
 *
 * For each case: the passes make exactly the expected text; that text reads back and prints the same; a
 * second run of the same passes changes nothing; when a device is there, the graph computes the
 * same from random inputs before and after; and each allocation of the passes may fail. --update writes what came out as the new
 * expectation, to be reviewed as a diff. */
#include "core/base/base.h"
#include "core/tune/tune.h"
#include <gie/gie.h>
#include <math.h>
#include <stdio.h>

#define MAX_PASSES 80

/* Text of a section, [from, to) of the file's. */
struct span {
  const char *from, *to;
};

struct test {
  char name[128], passes[512], error[256], target[512];
  uint64_t flags;
  bool runs;
  double tolerance; /* 0: by dtype */
  struct span input, expected;
};

struct runner {
  struct gie_context *ctx;
  const char *file;
  bool update;
  struct gie_buf updated;
  unsigned passed, failed, not_run;
};

static bool fail(struct runner *r, const struct test *t, const char *what)
{
  printf("FAIL %s: %s: %s\n", r->file, t->name, what);
  return false;
}

static bool fail_status(struct runner *r, const struct test *t, const char *what)
{
  printf("FAIL %s: %s: %s: %s\n", r->file, t->name, what, gie_error_text(r->ctx));
  return false;
}

/* ---- The file ------------------------------------------------------------------------------------ */

static const char *line_end(const char *s, const char *end)
{
  const char *nl = memchr(s, '\n', (size_t)(end - s));
  return nl ? nl + 1 : end;
}

/* "## key: value" → value; false if the line is another. */
static bool directive(const char *line, const char *end, const char *key, char *value, size_t size)
{
  size_t n = strlen(key);
  if ((size_t)(end - line) < n + 3 || memcmp(line, "## ", 3) != 0 || memcmp(line + 3, key, n) != 0)
    return false;
  line += 3 + n;
  while (line < end && (*line == ':' || *line == ' '))
    line++;
  while (end > line && (end[-1] == '\n' || end[-1] == ' '))
    end--;
  if (value)
    snprintf(value, size, "%.*s", (int)(end - line), line);
  return true;
}

static uint64_t parse_flags(const char *text)
{
  uint64_t flags = 0;
  for (const char *s = text; *s; s += strcspn(s, " "), s += strspn(s, " "))
    flags |= strncmp(s, "f16", 3) == 0 ? GIE_DEVICE_F16 : strncmp(s, "bf16", 4) == 0 ? GIE_DEVICE_BF16 : 0;
  return flags;
}

/* Takes the next case; what stands before it is skipped. *rest is set behind it. */
static bool next_test(const char *s, const char *end, struct test *t, const char **rest)
{
  char value[512];
  memset(t, 0, sizeof *t);
  t->runs = true;
  while (s < end && !directive(s, line_end(s, end), "case", t->name, sizeof t->name))
    s = line_end(s, end);
  if (s >= end)
    return false;
  bool expects = false;
  const char *at = line_end(s, end);
  t->input.from = t->input.to = at;
  for (; at < end; at = line_end(at, end)) {
    const char *le = line_end(at, end);
    if (directive(at, le, "case", NULL, 0))
      break;
    if (directive(at, le, "passes", t->passes, sizeof t->passes) ||
        directive(at, le, "target", t->target, sizeof t->target) ||
        directive(at, le, "error", t->error, sizeof t->error)) {
      t->input.from = le;
    } else if (directive(at, le, "flags", value, sizeof value)) {
      t->flags = parse_flags(value);
      t->input.from = le;
    } else if (directive(at, le, "tolerance", value, sizeof value)) {
      const char *next;
      gie_parse_double(value, value + strlen(value), &t->tolerance, &next);
      t->input.from = le;
    } else if (directive(at, le, "runs", value, sizeof value)) {
      t->runs = strcmp(value, "no") != 0;
      t->input.from = le;
    } else if (directive(at, le, "expect", NULL, 0)) {
      expects = true;
      t->expected.from = le;
    }
    *(expects ? &t->expected.to : &t->input.to) = directive(at, le, "expect", NULL, 0) ? t->expected.from
                                                                                       : le;
  }
  *rest = at;
  return true;
}

/* ---- Executing ------------------------------------------------------------------------------------ */

static uint32_t next_random(uint64_t *state)
{
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}

/* Floats of [-1, 1], integers 0 … 3: good as values and as small indices. */
static void fill(struct gie_tensor *t, size_t n, uint64_t *state)
{
  for (size_t i = 0; i < n; i++) {
    float f = (float)(next_random(state) % 2001) / 1000 - 1;
    uint16_t h = t->dtype == GIE_F16 ? gie_f32_to_f16(f) : gie_f32_to_bf16(f);
    double d = f;
    int64_t v = next_random(state) % (t->dtype == GIE_BOOL ? 2 : 4);
    size_t size = gie_dtype_size(t->dtype);
    const void *from = t->dtype == GIE_F32                ? (void *)&f
                       : t->dtype == GIE_F64              ? (void *)&d
                       : gie_dtype_class(t->dtype) == 'f' ? (void *)&h
                                                          : (void *)&v;
    memcpy((char *)t->data + i * size, from, size);
  }
}

static size_t bytes_of(const struct gie_tensor *t)
{
  size_t n = gie_dtype_size(t->dtype);
  for (int i = 0; i < t->rank; i++)
    n *= (size_t)t->dim[i];
  return n;
}

static gie_status set_inputs(struct runner *r, const struct gie_graph *g, struct gie_exec *x)
{
  uint64_t state = 7;
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    struct gie_tensor t = {.struct_size = sizeof t, .dtype = v->type.dtype, .rank = v->type.shape.rank};
    for (int k = 0; k < t.rank; k++) {
      struct gie_dim d = v->type.shape.dim[k];
      t.dim[k] = gie_dim_is_num(d) ? d.b : d.a * (2 + (int64_t)d.sym) + d.b; /* symbol number i is 2+i */
    }
    size_t bytes = bytes_of(&t);
    if (!(t.data = gie_alloc(r->ctx, bytes, 1)))
      return GIE_E_MEMORY;
    fill(&t, bytes / gie_dtype_size(t.dtype), &state);
    gie_status s = gie_exec_set_input(x, v->name, &t);
    gie_free(r->ctx, t.data);
    GIE_TRY(s);
  }
  return GIE_OK;
}

static gie_status execute(struct runner *r, const struct gie_graph *g, struct gie_exec **out)
{
  const struct gie_exec_options options = {.struct_size = sizeof options, .backends = "+cpu"};
  struct gie_exec *x;
  GIE_TRY(gie_exec_new(g, &options, &x));
  gie_status s = set_inputs(r, g, x);
  if (s == GIE_OK)
    s = gie_exec_run(x);
  if (s == GIE_OK)
    *out = x;
  else
    gie_exec_free(x);
  return s;
}

static double element(const struct gie_tensor *t, size_t i)
{
  const char *p = (const char *)t->data + i * gie_dtype_size(t->dtype);
  float f;
  double d;
  uint16_t h;
  int64_t v = 0;
  switch (t->dtype) {
  case GIE_F32:
    memcpy(&f, p, sizeof f);
    return f;
  case GIE_F64:
    memcpy(&d, p, sizeof d);
    return d;
  case GIE_F16:
  case GIE_BF16:
    memcpy(&h, p, sizeof h);
    return t->dtype == GIE_F16 ? gie_f16_to_f32(h) : gie_bf16_to_f32(h);
  default:
    memcpy(&v, p, gie_dtype_size(t->dtype));
    return (double)v;
  }
}

static double tolerance(enum gie_dtype t)
{
  static const double of[GIE_DTYPE_COUNT] = {
      [GIE_F64] = 1e-12, [GIE_F32] = 1e-5, [GIE_F16] = 4e-3, [GIE_BF16] = 3e-2};
  return of[t];
}

static bool same_tensor(const struct gie_tensor *a, const struct gie_tensor *b, double relative)
{
  double error = 0, largest = 0;
  size_t n = bytes_of(a) / gie_dtype_size(a->dtype);
  if (a->dtype != b->dtype || a->rank != b->rank ||
      memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) != 0)
    return false;
  for (size_t i = 0; i < n; i++) {
    double x = element(a, i), y = element(b, i);
    if (isnan(x) != isnan(y))
      return false;
    error = isnan(x) || x == y ? error : fmax(error, fabs(x - y));
    largest = isfinite(y) ? fmax(largest, fabs(y)) : largest;
  }
  return error <= (relative > 0 ? relative : tolerance(a->dtype)) * largest;
}

/* Outputs by position: their names must be the same, too. */
static bool compare_runs(struct runner *r, const struct test *t, const struct gie_graph *before,
                         const struct gie_graph *after)
{
  struct gie_exec *x = NULL, *y = NULL;
  gie_status s = execute(r, before, &x);
  if (s == GIE_E_DEVICE) {
    r->not_run++;
    return true;
  }
  if (s != GIE_OK)
    return fail_status(r, t, "the input does not run (## runs: no, if that is right)");
  bool ok = execute(r, after, &y) == GIE_OK || fail_status(r, t, "what the passes made does not run");
  for (uint32_t i = 0; ok && i < gie_graph_n_outputs(before); i++) {
    const char *name = gie_value_get(before, gie_graph_output(before, i))->name;
    const char *new_name = gie_value_get(after, gie_graph_output(after, i))->name;
    struct gie_tensor a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    if (strcmp(name, new_name) != 0)
      ok = fail(r, t, "an output has another name");
    else if (gie_exec_output(x, name, &a) != GIE_OK || gie_exec_output(y, name, &b) != GIE_OK)
      ok = fail_status(r, t, "no output");
    else if (!same_tensor(&b, &a, t->tolerance))
      ok = fail(r, t, "an output is different after the passes");
  }
  gie_exec_free(x);
  gie_exec_free(y);
  return ok;
}

/* ---- One case ------------------------------------------------------------------------------------- */

/* In *out unless the test names none. */
static gie_status read_target(const struct test *t, struct gie_context *ctx, struct gie_arena *mem,
                              struct gie_target *out)
{
  char text[640];
  int n = snprintf(text, sizeof text, "gie target 1\ndevice cpu\n%s\n", t->target);
  for (char *s = text; (s = strstr(s, "; "));)
    memcpy(s, "\n\n", 2);
  return *t->target ? tune_target_parse(ctx, "## target", text, (size_t)n, mem, out) : GIE_OK;
}

static gie_status run_passes(const struct test *t, struct gie_graph *g, uint32_t *changes)
{
  struct gie_arena mem;
  struct gie_target target;
  gie_arena_init(&mem, gie_graph_context(g));
  struct gie_pass_stat stats[MAX_PASSES];
  uint32_t n = 0;
  struct gie_pipeline_options options = {.struct_size = sizeof options,
                                         .device_flags = t->flags,
                                         .verify_each = true,
                                         .target = *t->target ? &target : NULL,
                                         .stats = stats,
                                         .max_stats = MAX_PASSES,
                                         .n_stats = &n};
  *changes = 0;
  gie_status st = read_target(t, gie_graph_context(g), &mem, &target);
  if (st == GIE_OK)
    st = gie_pipeline_run(g, t->passes, &options);
  gie_arena_free(&mem);
  GIE_TRY(st);
  for (uint32_t i = 0; i < n; i++)
    *changes += stats[i].changes;
  return GIE_OK;
}

static void print_difference(const char *want, const char *got)
{
  size_t same = 0;
  while (want[same] && want[same] == got[same])
    same++;
  while (same > 0 && want[same - 1] != '\n')
    same--;
  printf("  expected from here: %.*s\n", (int)strcspn(want + same, "\n"), want + same);
  printf("  but it is:          %.*s\n%s", (int)strcspn(got + same, "\n"), got + same, got);
}

/* The printed graph against the expectation, and read back against itself. */
static bool check_text(struct runner *r, const struct test *t, const char *got)
{
  struct gie_graph *again;
  char *text;
  size_t size;
  struct span want = t->expected;
  while (want.to > want.from && want.to[-1] == '\n')
    want.to--;
  if (r->update) {
    gie_buf_puts(&r->updated, got);
  } else if (strlen(got) != (size_t)(want.to - want.from) + 1 ||
             memcmp(got, want.from, (size_t)(want.to - want.from)) != 0) {
    char *copy = want.from ? strndup(want.from, (size_t)(want.to - want.from)) : strdup("");
    fail(r, t, "the graph is not as expected");
    print_difference(copy, got);
    free(copy);
    return false;
  }
  if (gie_graph_parse(r->ctx, got, strlen(got), NULL, &again) != GIE_OK)
    return fail_status(r, t, "the result does not read back");
  bool ok = gie_graph_print(again, &text, &size) == GIE_OK && strcmp(text, got) == 0;
  gie_graph_free(again);
  gie_free(r->ctx, text);
  return ok || fail(r, t, "the result prints differently after it is read back");
}

static bool check_graph(struct runner *r, const struct test *t, struct gie_graph *g,
                        const struct gie_graph *before)
{
  uint32_t changes;
  char *first, *second;
  size_t size;
  gie_status s = run_passes(t, g, &changes);
  if (*t->error) {
    if (s == GIE_OK || !strstr(gie_error_text(r->ctx), t->error))
      return fail_status(r, t, "the passes do not fail as expected");
    return true;
  }
  if (s != GIE_OK)
    return fail_status(r, t, "the passes fail");
  if (gie_graph_print(g, &first, &size) != GIE_OK)
    return fail_status(r, t, "printing fails");
  bool ok = check_text(r, t, first);
  if (t->runs)
    ok = compare_runs(r, t, before, g) && ok;
  if (run_passes(t, g, &changes) != GIE_OK || gie_graph_print(g, &second, &size) != GIE_OK) {
    ok = fail_status(r, t, "a second run fails");
  } else {
    if (changes || strcmp(first, second) != 0)
      ok = fail(r, t, "a second run of the passes changes something");
    gie_free(r->ctx, second);
  }
  gie_free(r->ctx, first);
  return ok;
}

/* The passes with allocation 1, 2, … failing: nothing but E_MEMORY, and nothing breaks. */
static bool check_memory(struct runner *r, const struct test *t, const struct gie_graph *before)
{
  for (long n = 1;; n++) {
    struct gie_graph *g;
    uint32_t changes;
    if (gie_graph_clone(before, &g) != GIE_OK)
      return fail_status(r, t, "clone");
    r->ctx->fail_alloc_after = n;
    gie_status s = run_passes(t, g, &changes);
    r->ctx->fail_alloc_after = -1;
    gie_graph_free(g);
    if (s == GIE_OK)
      return true;
    if (s != GIE_E_MEMORY)
      return fail_status(r, t, "out of memory, the passes end with another error");
  }
}

static bool run_test(struct runner *r, const struct test *t)
{
  struct gie_graph *g, *before;
  if (gie_graph_parse(r->ctx, t->input.from, (size_t)(t->input.to - t->input.from), NULL, &g) != GIE_OK)
    return fail_status(r, t, "the input cannot be read");
  if (gie_graph_clone(g, &before) != GIE_OK) {
    gie_graph_free(g);
    return fail_status(r, t, "clone");
  }
  bool ok = check_graph(r, t, g, before) && (*t->error || check_memory(r, t, before));
  gie_graph_free(g);
  gie_graph_free(before);
  return ok;
}

/* ---- One file ------------------------------------------------------------------------------------- */

static void run_tests(struct runner *r, const char *text, const char *end)
{
  struct test t;
  const char *rest;
  for (const char *s = text; next_test(s, end, &t, &rest); s = rest) {
    const char *start = s;
    if (r->update && t.expected.from)
      gie_buf_put(&r->updated, start, (size_t)(t.expected.from - start));
    bool ok = run_test(r, &t);
    *(ok ? &r->passed : &r->failed) += 1;
    if (r->update && !t.expected.from)
      gie_buf_put(&r->updated, start, (size_t)(rest - start));
    else if (r->update && rest < end)
      gie_buf_puts(&r->updated, "\n");
  }
}

static bool run_file(struct runner *r, const char *path)
{
  char *text;
  size_t size;
  r->file = path;
  if (gie_file_read(r->ctx, path, (size_t)16 << 20, &text, &size) != GIE_OK) {
    printf("FAIL %s: %s\n", path, gie_error_text(r->ctx));
    return false;
  }
  gie_buf_init(&r->updated, r->ctx);
  run_tests(r, text, text + size);
  bool ok = true;
  struct gie_save save;
  if (r->update) {
    gie_status s = gie_save_begin(r->ctx, path, &save);
    if (s == GIE_OK && (s = gie_save_write(&save, r->updated.data, r->updated.len)) == GIE_OK)
      s = gie_save_commit(&save);
    ok = s == GIE_OK;
  }
  gie_buf_free(&r->updated);
  gie_free(r->ctx, text);
  return ok;
}

int main(int argc, char **argv)
{
  struct runner r = {NULL};
  if (gie_context_new(NULL, &r.ctx) != GIE_OK)
    return 99;
  bool ok = true;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--update") == 0)
      r.update = true;
    else
      ok = run_file(&r, argv[i]) && ok;
  }
  printf("%u cases passed, %u failed, %u not executed\n", r.passed, r.failed, r.not_run);
  gie_context_free(r.ctx);
  return !ok || r.failed || r.passed == 0;
}
