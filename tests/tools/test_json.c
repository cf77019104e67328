/* SPDX-License-Identifier: Apache-2.0 */
/* The command's JSON: every --json is one document that a JSON library reads, with the members that scripts
 * rely on, whatever bytes the names in a network have. */
#include "config.h"
#include "tests/gie_check.h"
#include <unistd.h>

#ifdef HAVE_JANSSON
#include <jansson.h>

/* Names: quotes, backslash, control characters, UTF-8, and bytes that are none (a lone continuation, an
 * overlong slash, a surrogate, a number above U+10FFFF, a cut sequence). */
static const char net[] = "graph \"a \\\"net\\\" \\\\ \\x01 \xc3\xa9\" (n) {\n"
                          "  meta {producer=\"by \\\"hand\\\"\", opset=13}\n"
                          "  input %x : f32[n,2*n+1,4]\n"
                          "  input %\"\x80 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82\" : i64[2]\n"
                          "  %y : f32[n,2*n+1,4] = relu(%x)\n"
                          "  %z = \"org::\\n\\x1b\"(%y)\n"
                          "  output %y\n"
                          "}\n";

static char dir[] = "/tmp/gie-test-XXXXXX", file[64];

static void begin(void)
{
  ck_assert(mkdtemp(dir));
  snprintf(file, sizeof file, "%s/net.gie", dir);
  FILE *f = fopen(file, "w");
  ck_assert(f && fwrite(net, 1, sizeof net - 1, f) == sizeof net - 1 && fclose(f) == 0);
}

static void end(void)
{
  unlink(file);
  rmdir(dir);
}

/* Runs "gie <args> <file>" and parses all of its standard output. */
static json_t *run(const char *args, int wanted)
{
  const char *gie = getenv("GIE"), *top = getenv("top_builddir");
  char command[512];
  json_error_t error;
  if (gie)
    snprintf(command, sizeof command, "'%s' %s '%s'", gie, args, file);
  else
    snprintf(command, sizeof command, "'%s/gie' %s '%s'", top ? top : ".", args, file);
  FILE *f = popen(command, "r");
  ck_assert(f);
  json_t *j = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
  int status = pclose(f);
  ck_assert_msg(j != NULL, "%s: line %d: %s", command, error.line, error.text);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == wanted, "%s: status %d", command, status);
  return j;
}

static const char *text(json_t *j, const char *key) { return json_string_value(json_object_get(j, key)); }

START_TEST(inspect)
{
  begin();
  json_t *j = run("inspect --nodes --json", 0);
  json_t *in = json_object_get(j, "inputs"), *x = json_array_get(in, 0), *shape = json_object_get(x, "shape");
  ck_assert_str_eq(text(j, "name"), "a \"net\" \\ \x01 \xc3\xa9");
  ck_assert_str_eq(text(json_object_get(j, "meta"), "producer"), "by \"hand\"");
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(j, "meta"), "opset")), 13);
  ck_assert_uint_eq(json_array_size(in), 2);
  ck_assert_str_eq(text(x, "name"), "x");
  ck_assert_str_eq(text(x, "dtype"), "f32");
  ck_assert_str_eq(json_string_value(json_array_get(shape, 0)), "n");
  ck_assert_str_eq(json_string_value(json_array_get(shape, 1)), "2*n+1");
  ck_assert_int_eq(json_integer_value(json_array_get(shape, 2)), 4);
  ck_assert(strstr(text(json_array_get(in, 1), "name"), "\xef\xbf\xbd")); /* U+FFFD */
  ck_assert_str_eq(text(json_array_get(json_object_get(j, "outputs"), 0), "name"), "y");
  ck_assert_int_eq(json_integer_value(json_object_get(j, "node_count")), 2);
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(j, "nodes"), "relu")), 1);
  json_t *nodes = json_object_get(j, "node_list");
  ck_assert(text(json_array_get(nodes, 0), "kernel"));
  ck_assert_str_eq(text(json_array_get(nodes, 1), "op"), "org::\n\x1b");
  ck_assert(json_is_null(json_object_get(json_array_get(nodes, 1), "kernel")));
  ck_assert(json_is_null(
      json_object_get(json_array_get(json_object_get(json_array_get(nodes, 1), "results"), 0), "shape")));
  json_decref(j);
  end();
}
END_TEST

START_TEST(check)
{
  begin();
  json_t *j = run("check --json", 1), *bad = json_object_get(j, "unsupported");
  ck_assert(json_is_false(json_object_get(j, "supported")));
  ck_assert_uint_eq(json_array_size(bad), 1);
  ck_assert_str_eq(text(json_array_get(bad, 0), "node"), "z");
  ck_assert_str_eq(text(json_array_get(bad, 0), "opset"), "13");
  ck_assert(text(json_array_get(bad, 0), "reason"));
  json_decref(j);
  end();
}
END_TEST

START_TEST(opt)
{
  begin();
  json_t *j = run("opt --json --passes=eliminate_identity", 0);
  json_t *s = json_array_get(json_object_get(j, "passes"), 0);
  ck_assert_str_eq(text(s, "pass"), "eliminate_identity");
  ck_assert_int_eq(json_integer_value(json_object_get(s, "nodes_before")), 2);
  ck_assert(json_is_real(json_object_get(s, "seconds")));
  json_decref(j);
  j = run("opt --json --list", 0);
  ck_assert_uint_gt(json_array_size(json_object_get(j, "passes")), 10);
  ck_assert(text(j, "default"));
  json_decref(j);
  end();
}
END_TEST

START_TEST(run_verb)
{
  begin();
  FILE *f = fopen(file, "w");
  ck_assert(f);
  fputs("graph \"g\" (n) { input %x : f32[n,3] const %c : f32[] = {nan}\n"
        "%y : f32[n,3] = identity(%x) %z : f32[n,3] = add(%x, %c) output %y output %z }",
        f);
  fclose(f);
  json_t *j = run("run --json --random --profile --memory", 0),
         *first = json_array_get(json_object_get(j, "runs"), 0);
  json_t *y = json_array_get(json_object_get(first, "outputs"), 0),
         *z = json_array_get(json_object_get(first, "outputs"), 1);
  ck_assert_str_eq(text(y, "name"), "y");
  ck_assert(json_is_real(json_object_get(y, "max")));
  ck_assert(json_is_null(json_object_get(z, "max")));
  ck_assert_int_eq(json_integer_value(json_object_get(z, "not_finite")), 3);
  ck_assert_uint_ge(json_array_size(json_object_get(j, "profile")), 1);
  ck_assert(json_is_integer(json_object_get(json_object_get(j, "memory"), "activations")));
  json_decref(j);
  end();
}
END_TEST

/* ---- gie bench and gie debug */

static const char chain[] =
    "graph \"chain\" (n) { input %x : f32[n,64] const %t : i64[1] = {-1}\n"
    "%\"a\\n\\\"\" = relu(%x) %f = reshape(%\"a\\n\\\"\", %t) %y = tanh(%f) output %y }";

static void write_chain(void)
{
  FILE *f = fopen(file, "w");
  ck_assert(f && fputs(chain, f) >= 0 && fclose(f) == 0);
}

static double real(json_t *j, const char *key)
{
  json_t *v = json_object_get(j, key);
  ck_assert_msg(json_is_number(v), "no number \"%s\"", key);
  return json_number_value(v);
}

/* Runs "gie <args> <flag>=<a file>" and parses that file. */
static json_t *run_to_file(const char *args, const char *flag)
{
  char to[80], command[256];
  json_error_t error;
  snprintf(to, sizeof to, "%s/out.json", dir);
  snprintf(command, sizeof command, "%s --json %s='%s'", args, flag, to);
  json_decref(run(command, 0));
  json_t *j = json_load_file(to, JSON_REJECT_DUPLICATES, &error);
  ck_assert_msg(j != NULL, "%s: line %d: %s", flag, error.line, error.text);
  unlink(to);
  return j;
}

#define BENCH "bench --passes= --iterations=30 --duration=0 --warmUp=0 --batch=3"

START_TEST(bench)
{
  begin();
  write_chain();
  json_t *j = run(BENCH " --threads=1 --percentile=90,99 --dumpProfile --json", 0),
         *p = json_array_get(json_object_get(j, "batches"), 0), *l = json_object_get(p, "latency_ms"),
         *regime = json_object_get(j, "regime");
  ck_assert_str_eq(text(regime, "device"), "cpu");
  ck_assert(real(regime, "threads") == 1 && json_is_false(json_object_get(regime, "transfers")));
  ck_assert(real(p, "batch") == 3 && real(p, "iterations") == 30 && real(j, "best_batch") == 3);
  ck_assert(real(l, "min") <= real(l, "median_low") && real(l, "median_low") <= real(l, "median"));
  ck_assert(real(l, "median") <= real(l, "median_high") && real(l, "median_high") <= real(l, "max"));
  ck_assert(real(l, "p25") <= real(l, "median") && real(l, "median") <= real(l, "p75"));
  json_t *percentiles = json_object_get(l, "percentiles");
  ck_assert_uint_eq(json_array_size(percentiles), 2);
  ck_assert(real(json_array_get(percentiles, 1), "p") == 99);
  ck_assert(real(p, "images_per_s") > 2.9 * real(p, "throughput_qps"));
  ck_assert(json_is_null(json_object_get(p, "joules")) && !json_object_get(p, "h2d_ms"));
  ck_assert_uint_eq(json_array_size(json_object_get(j, "profile")), 3);
  json_decref(j);
  j = run_to_file(BENCH, "--exportTimes");
  ck_assert_uint_eq(json_array_size(j), 30);
  for (size_t i = 1; i < 30; i++)
    ck_assert(real(json_array_get(j, i), "startMs") >
              real(json_array_get(j, i - 1), "startMs") + real(json_array_get(j, i - 1), "computeMs"));
  json_decref(j);
  j = run_to_file(BENCH, "--exportProfile");
  ck_assert_uint_eq(json_array_size(j), 4);
  ck_assert(real(json_array_get(j, 0), "count") == 30);
  ck_assert_str_eq(text(json_array_get(j, 1), "name"), "a\n\"");
  ck_assert(real(json_array_get(j, 1), "bytes") == 2 * 3 * 64 * 4);
  ck_assert(real(json_array_get(j, 1), "timeMs") > 29 * real(json_array_get(j, 1), "averageMs"));
  json_decref(j);
  end();
}
END_TEST

/* Complete events with a name, a row that was named, and no two on one row at a time. */
static size_t check_trace(json_t *j, size_t *runs)
{
  json_t *events = json_object_get(j, "traceEvents"), *e;
  double last = -1;
  size_t i, n = 0;
  bool named = false;
  *runs = 0;
  json_array_foreach(events, i, e)
  {
    json_t *args = json_object_get(e, "args");
    ck_assert(text(e, "name") && json_is_integer(json_object_get(e, "pid")) && args);
    ck_assert(json_is_integer(json_object_get(e, "tid")));
    if (strcmp(text(e, "ph"), "M") == 0) {
      named |= strcmp(text(e, "name"), "thread_name") == 0 && strcmp(text(args, "name"), "stream 0") == 0;
      continue;
    }
    ck_assert_str_eq(text(e, "ph"), "X");
    ck_assert(real(e, "ts") >= last && real(e, "dur") > 0);
    last = real(e, "ts") + real(e, "dur");
    ck_assert(text(args, "op") && text(args, "kernel") && real(args, "bytes") > 0);
    *runs = (size_t)real(args, "run") + 1;
    n++;
  }
  ck_assert(named);
  return n;
}

START_TEST(trace)
{
  size_t runs;
  begin();
  write_chain();
  json_t *j = run_to_file(BENCH, "--trace");
  ck_assert_uint_eq(check_trace(j, &runs), 2 * 20); /* the view takes no time; the first 20 runs */
  ck_assert_uint_eq(runs, 20);
  json_decref(j);
  j = run_to_file("run --passes= --random", "--trace");
  ck_assert_uint_eq(check_trace(j, &runs), 2);
  json_decref(j);
  end();
}
END_TEST

START_TEST(debug)
{
  char args[128];
  begin();
  write_chain();
  snprintf(args, sizeof args, "debug compare --passes= --backend=+cpu. --json '%s'", file);
  json_t *j = run(args, 0), *tensors = json_object_get(j, "tensors"), *first = json_array_get(tensors, 0);
  ck_assert(json_is_true(json_object_get(j, "same")));
  ck_assert(real(j, "results") == 3 && real(j, "compared") == 3 && json_array_size(tensors) == 3);
  ck_assert_str_eq(text(first, "value"), "a\n\"");
  ck_assert_str_eq(text(first, "kernel"), "cpu.relu");
  ck_assert(real(first, "max_rel") < 1e-6 && real(first, "cosine") > 0.999999);
  ck_assert(json_is_null(json_object_get(j, "first_difference")));
  ck_assert(json_is_null(json_object_get(j, "first_nan")));
  json_decref(j);
  end();
}
END_TEST

GIE_TESTS_MAIN("tools/json", inspect, check, opt, run_verb, bench, trace, debug)

#else

int main(void)
{
  puts("SKIP: needs jansson to read what the command writes");
  return 77;
}

#endif
