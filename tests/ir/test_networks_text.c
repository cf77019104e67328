/* SPDX-License-Identifier: Apache-2.0 */
/* Every network at hand as text: what is saved reads back and prints the same, as imported and after
 * the default passes. Uses the networks of the tree, the shared data when it is there, and the
 * node models of ONNX where they are installed. */
#include "core/ir/ir.h"
#include "tests/gie_check.h"
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char work[] = "/tmp/gie-networks-XXXXXX";
static unsigned n_networks;

static void check_round_trip(struct gie_context *ctx, const struct gie_graph *g, const char *network)
{
  char path[64], *first, *second;
  size_t n, m;
  struct gie_graph *again;
  snprintf(path, sizeof path, "%s/net.gie", work);
  ck_gie_ok(ctx, gie_graph_save(g, path));
  ck_gie_ok(ctx, gie_graph_load(ctx, path, NULL, &again));
  ck_gie_ok(ctx, gie_graph_print(g, &first, &n));
  ck_gie_ok(ctx, gie_graph_print(again, &second, &m));
  ck_assert_msg(n == m && memcmp(first, second, n) == 0, "%s prints differently after it is read back",
                network);
  gie_free(ctx, first);
  gie_free(ctx, second);
  gie_graph_free(again);
  unlink(path);
  snprintf(path, sizeof path, "%s/net.weights", work);
  unlink(path);
}

/* A model that the importer refuses is no failure where `may_fail`: that it is refused is tested elsewhere. */
static void check_network(struct gie_context *ctx, const char *path, bool may_fail)
{
  struct gie_graph *g;
  struct gie_pipeline_options options = {.struct_size = sizeof options, .verify_each = true};
  gie_status s = gie_graph_load(ctx, path, NULL, &g);
  if (s != GIE_OK && may_fail)
    return;
  ck_gie_ok(ctx, s);
  check_round_trip(ctx, g, path);
  s = gie_pipeline_run(g, NULL, &options);
  ck_assert_msg(s == GIE_OK || (may_fail && s != GIE_E_INTERNAL), "%s: %s", path, gie_error_text(ctx));
  if (s == GIE_OK)
    check_round_trip(ctx, g, path);
  gie_graph_free(g);
  n_networks++;
}

static void walk(struct gie_context *ctx, const char *dir, bool may_fail, int depth)
{
  DIR *d = opendir(dir);
  const struct dirent *e;
  struct stat st;
  while (d && (e = readdir(d))) {
    char path[4096];
    size_t n = strlen(e->d_name);
    if (e->d_name[0] == '.' || (size_t)snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= sizeof path)
      continue;
    if (n > 5 && strcmp(e->d_name + n - 5, ".onnx") == 0)
      check_network(ctx, path, may_fail);
    else if (depth < 4 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
      walk(ctx, path, may_fail, depth + 1);
  }
  if (d)
    closedir(d);
}

START_TEST(test_all)
{
  const char *source = getenv("top_srcdir"), *shared = getenv("GIE_SHARED");
  char dir[4096];
  struct gie_context *ctx;
  struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  ck_assert_ptr_nonnull(mkdtemp(work));
  snprintf(dir, sizeof dir, "%s/examples", source ? source : ".");
  walk(ctx, dir, false, 0);
  ck_assert_uint_gt(n_networks, 0);
  snprintf(dir, sizeof dir, "%s/data/onnx", shared ? shared : "../shared");
  walk(ctx, dir, false, 0);
  walk(ctx, "/usr/share/libonnx-testdata/data", true, 0);
  printf("%u networks\n", n_networks);
  gie_context_free(ctx);
  rmdir(work);
}
END_TEST

int main(void)
{
  const char *shared = getenv("GIE_SHARED");
  char dir[4096];
  Suite *suite = suite_create("networks as text");
  TCase *tcase = check_tcase(suite, "networks", NULL, NULL);
  tcase_set_timeout(tcase, 600);
  tcase_add_test(tcase, test_all);
  int failed = check_suite(suite);
  snprintf(dir, sizeof dir, "%s/data/onnx", shared ? shared : "../shared");
  /* Visibly skipped when only the tree's own networks were there. */
  return failed ? 1 : access(dir, R_OK) == 0 ? 0 : 77;
}
