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
  ck_assert_ptr_nonnull(strstr(text(json_array_get(nodes, 0), "kernel"), ".relu"));
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

GIE_TESTS_MAIN("tools/json", inspect, check, opt, run_verb)

#else

int main(void)
{
  puts("SKIP: needs jansson to read what the command writes");
  return 77;
}

#endif
