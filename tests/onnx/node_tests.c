/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the node tests of the ONNX project (Debian: libonnx-testdata): each model with its inputs, without passes and with the
 * default ones, on the reference backend, against the expected outputs. A case that excluded.txt lists must end as "unsupported";
 * all others must pass.
 *
 *     node_tests [--list] [--export] [--doc=FILE | --check-doc=FILE] [PATTERN]
 *
 * With --export each model is saved as ONNX and read again first, without passes and with them, and what was read runs. A graph
 * that does not run must be as large as before, or be refused as unsupported when it is saved.
 *
 * Exit: 0, 1 when anything went wrong, 77 when the test data is not there. */
#include "tests/onnx/node_tests.h"
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE 60 /* seconds for a case */

static const char *const sets[] = {"node", "simple", "pytorch-operator", "pytorch-converted"};

struct run {
  const char *data;
  struct node_case *cases;
  size_t n_cases;
  struct node_exclusion *exclusions;
  size_t n_exclusions;
};

/* ---- Running a case, in a process of its own ------------------------------------------------------ */

struct answer {
  enum node_outcome outcome;
  char text[400];
};

static void quiet(void *user, enum gie_log_level level, const char *module, const char *text)
{
  (void)user, (void)level, (void)module, (void)text;
}

/* What a failed call means: E_UNSUPPORTED is the one good answer. */
static bool failed(struct answer *a, struct gie_context *ctx, gie_status st, const char *doing)
{
  if (st == GIE_OK)
    return false;
  a->outcome = st == GIE_E_UNSUPPORTED ? NODE_UNSUPPORTED : NODE_WRONG;
  snprintf(a->text, sizeof a->text, "%s: %s: %s", doing, gie_status_name(st), gie_error_text(ctx));
  return true;
}

static bool wrong(struct answer *a, const char *what, const char *which)
{
  a->outcome = NODE_WRONG;
  snprintf(a->text, sizeof a->text, "%.180s: %.200s", which, what);
  return false;
}

/* The files hold bf16 as u16. */
static void bits_of(struct gie_tensor *t, enum gie_dtype wanted)
{
  if (wanted == GIE_BF16 && t->dtype == GIE_U16)
    t->dtype = GIE_BF16;
}

static bool set_inputs(struct answer *a, const struct gie_graph *g, struct gie_exec *x, const char *dir)
{
  struct gie_context *ctx = gie_graph_context(g);
  for (uint32_t i = 0; i < gie_graph_n_inputs(g); i++) {
    char path[700];
    struct gie_tensor t;
    const char *why;
    snprintf(path, sizeof path, "%s/input_%u.pb", dir, (unsigned)i);
    if (!node_read_tensor(path, &t, &why))
      return wrong(a, why, path);
    bits_of(&t, gie_value_get(g, gie_graph_input(g, i))->type.dtype);
    gie_status st = gie_exec_set_input(x, gie_value_get(g, gie_graph_input(g, i))->name, &t);
    free(t.data);
    if (failed(a, ctx, st, "input"))
      return false;
  }
  return true;
}

static bool check_outputs(struct answer *a, const struct gie_graph *g, struct gie_exec *x, const char *dir)
{
  struct gie_context *ctx = gie_graph_context(g);
  for (uint32_t i = 0; i < gie_graph_n_outputs(g); i++) {
    char path[700], text[200];
    struct gie_tensor got = {.struct_size = sizeof got}, wanted;
    const char *why, *name = gie_value_get(g, gie_graph_output(g, i))->name;
    snprintf(path, sizeof path, "%s/output_%u.pb", dir, (unsigned)i);
    if (!node_read_tensor(path, &wanted, &why))
      return wrong(a, why, path);
    if (failed(a, ctx, gie_exec_output(x, name, &got), "output"))
      return false;
    bits_of(&wanted, got.dtype);
    bool same = node_compare(&got, &wanted, text, sizeof text);
    free(wanted.data);
    if (!same)
      return wrong(a, text, name);
  }
  return true;
}

/* Runs all data sets of the case on `g`. */
static bool run_graph(struct answer *a, struct gie_graph *g, const char *dir)
{
  struct gie_context *ctx = gie_graph_context(g);
  const struct gie_exec_options options = {.struct_size = sizeof options, .backends = "+cpu", .threads = 1};
  struct gie_exec *x;
  bool good = true;
  if (failed(a, ctx, gie_exec_new(g, &options, &x), "prepare"))
    return false;
  for (int i = 0; good; i++) {
    char set[600];
    snprintf(set, sizeof set, "%s/test_data_set_%d", dir, i);
    if (access(set, R_OK) != 0)
      break;
    good = set_inputs(a, g, x, set) && !failed(a, ctx, gie_exec_run(x), "run") && check_outputs(a, g, x, set);
  }
  gie_exec_free(x);
  return good;
}

/* ---- Saved and read again ------------------------------------------------------------------------- */

static uint32_t opaque_nodes(const struct gie_graph *g)
{
  uint32_t n = 0;
  GIE_FOR_NODES(g, id)
    n += (gie_node_get(g, id)->op->flags & GIE_OP_OPAQUE) != 0;
  return n;
}

/* Replaces *g by what is read of it. */
static bool save_and_read(struct answer *a, struct gie_graph **g)
{
  struct gie_context *ctx = gie_graph_context(*g);
  struct gie_graph *back;
  char dir[] = "/tmp/gie-export-XXXXXX", path[64];
  if (!mkdtemp(dir))
    return wrong(a, "no temporary folder", "export");
  snprintf(path, sizeof path, "%s/a.onnx", dir);
  bool good = !failed(a, ctx, gie_graph_save(*g, path), "export") &&
              !failed(a, ctx, gie_graph_load(ctx, path, NULL, &back), "read again");
  unlink(path);
  rmdir(dir);
  if (!good) /* what gie writes it must be able to read */
    a->outcome = strncmp(a->text, "read", 4) == 0 ? NODE_WRONG : a->outcome;
  else if (opaque_nodes(*g) != opaque_nodes(back))
    good = wrong(a, "another number of nodes that no op is", "export");
  if (!good)
    return false;
  gie_graph_free(*g);
  *g = back;
  return true;
}

static bool run_exported(struct answer *a, struct gie_graph **g, const char *dir)
{
  return save_and_read(a, g) && run_graph(a, *g, dir) &&
         !failed(a, gie_graph_context(*g), gie_pipeline_run(*g, NULL, NULL), "passes") &&
         save_and_read(a, g) && run_graph(a, *g, dir);
}

static void run_case(struct answer *a, const char *dir, bool export)
{
  const struct gie_context_options options = {.struct_size = sizeof options, .log = quiet};
  struct gie_context *ctx;
  struct gie_graph *g;
  char path[700];
  snprintf(path, sizeof path, "%s/model.onnx", dir);
  a->outcome = NODE_WRONG;
  if (gie_context_new(&options, &ctx) != GIE_OK) {
    snprintf(a->text, sizeof a->text, "no context");
    return;
  }
  if (!failed(a, ctx, gie_graph_load(ctx, path, NULL, &g), "load")) {
    if (export) {
      if (run_exported(a, &g, dir))
        a->outcome = NODE_PASSED;
    } else if (run_graph(a, g, dir) && !failed(a, ctx, gie_pipeline_run(g, NULL, NULL), "passes") &&
               run_graph(a, g, dir))
      a->outcome = NODE_PASSED;
    gie_graph_free(g);
  }
  gie_context_free(ctx);
}

/* A crash or a hang costs the case, not the run. */
static void run_isolated(struct node_case *c, const char *dir, bool export)
{
  struct answer a = {.outcome = NODE_WRONG};
  int fds[2], status = 0;
  if (pipe(fds) != 0)
    exit(1);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    close(fds[0]);
    alarm(DEADLINE);
    run_case(&a, dir, export);
    _exit(write(fds[1], &a, sizeof a) == (ssize_t)sizeof a ? 0 : 1);
  }
  close(fds[1]);
  ssize_t n = pid > 0 ? read(fds[0], &a, sizeof a) : 0;
  close(fds[0]);
  if (pid < 0 || waitpid(pid, &status, 0) != pid || n != (ssize_t)sizeof a || status != 0) {
    a.outcome = NODE_WRONG;
    if (WIFSIGNALED(status))
      snprintf(a.text, sizeof a.text, "ended by signal %d%s", WTERMSIG(status),
               WTERMSIG(status) == SIGALRM ? " (too slow)" : "");
    else
      snprintf(a.text, sizeof a.text, "ended with status %d", WEXITSTATUS(status));
  }
  c->outcome = a.outcome;
  memcpy(c->text, a.text, sizeof c->text);
}

/* ---- Cases and exclusions ---------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
  const struct node_case *x = a, *y = b;
  return strcmp(x->name, y->name);
}

/* Room for one more element of an array that doubles at powers of two. */
static void *more(void *array, size_t n, size_t size)
{
  if (n & (n - 1))
    return array;
  array = realloc(array, (n ? 2 * n : 1) * size);
  if (!array)
    exit(1);
  return array;
}

static void find_cases(struct run *r, const char *set)
{
  char path[600];
  size_t first = r->n_cases;
  struct dirent *e;
  snprintf(path, sizeof path, "%s/%s", r->data, set);
  DIR *d = opendir(path);
  while (d && (e = readdir(d))) {
    if (strncmp(e->d_name, "test_", 5) != 0)
      continue;
    r->cases = more(r->cases, r->n_cases, sizeof *r->cases);
    struct node_case *c = &r->cases[r->n_cases++];
    memset(c, 0, sizeof *c);
    c->set = strdup(set);
    c->name = strdup(e->d_name);
    snprintf(path, sizeof path, "%s/%s/%s/model.onnx", r->data, set, c->name);
    node_read_ops(path, c);
  }
  if (d)
    closedir(d);
  if (r->n_cases > first)
    qsort(r->cases + first, r->n_cases - first, sizeof *r->cases, by_name);
}

/* Lines "PATTERN  reason"; # begins a comment. The pattern is for fnmatch on "set/name". */
static void read_exclusions(struct run *r, const char *path)
{
  char line[500];
  FILE *f = fopen(path, "r");
  if (!f) {
    perror(path);
    exit(1);
  }
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = '\0';
    size_t n = strcspn(line, " ");
    if (line[0] == '#' || n == 0)
      continue;
    r->exclusions = more(r->exclusions, r->n_exclusions, sizeof *r->exclusions);
    r->exclusions[r->n_exclusions++] = (struct node_exclusion){strndup(line, n),
                                                               strdup(line + n + strspn(line + n, " ")), 0};
  }
  fclose(f);
}

static void forget_all(struct run *r)
{
  for (size_t i = 0; i < r->n_cases; i++) {
    for (unsigned k = 0; k < r->cases[i].n_ops; k++)
      free(r->cases[i].ops[k]);
    free(r->cases[i].set);
    free(r->cases[i].name);
  }
  for (size_t i = 0; i < r->n_exclusions; i++) {
    free(r->exclusions[i].pattern);
    free(r->exclusions[i].reason);
  }
  free(r->cases);
  free(r->exclusions);
}

static void find_reason(struct run *r, struct node_case *c)
{
  char name[300];
  snprintf(name, sizeof name, "%s/%s", c->set, c->name);
  for (size_t i = 0; i < r->n_exclusions && !c->reason; i++)
    if (fnmatch(r->exclusions[i].pattern, name, 0) == 0) {
      c->reason = r->exclusions[i].reason;
      r->exclusions[i].n_cases++;
    }
}

/* ---- The run ---------------------------------------------------------------------------------------------- */

/* Refused as unsupported, or with the status that the reason begins with. */
static bool ends_as_listed(const struct node_case *c, bool export)
{
  char status[32];
  if (strncmp(c->reason, "E_", 2) != 0)
    return c->outcome == NODE_UNSUPPORTED &&
           (strstr(c->text, "unsupported op") || (export && strncmp(c->text, "export", 6) == 0));
  snprintf(status, sizeof status, "%.*s", (int)strcspn(c->reason, " "), c->reason);
  return c->outcome == NODE_WRONG && strstr(c->text, status);
}

static size_t run_all(struct run *r, const char *pattern, bool list, bool export)
{
  size_t bad = 0, passed = 0, excluded = 0;
  for (size_t i = 0; i < r->n_cases; i++) {
    struct node_case *c = &r->cases[i];
    char dir[600];
    find_reason(r, c);
    snprintf(dir, sizeof dir, "%s/%s/%s", r->data, c->set, c->name);
    if (pattern && fnmatch(pattern, c->name, 0) != 0)
      continue;
    run_isolated(c, dir, export);
    bool good = c->reason ? ends_as_listed(c, export) : c->outcome == NODE_PASSED;
    if (!good || list)
      printf("%s %s/%s: %s\n", good ? "ok" : "NOT OK", c->set, c->name,
             c->outcome != NODE_PASSED ? c->text
             : c->reason               ? "is excluded but passes"
                                       : "");
    bad += !good;
    passed += good && !c->reason;
    excluded += good && c->reason;
  }
  for (size_t i = 0; i < r->n_exclusions && !pattern; i++)
    if (!r->exclusions[i].n_cases) {
      printf("NOT OK excluded.txt: pattern %s fits no case\n", r->exclusions[i].pattern);
      bad++;
    }
  printf("%zu passed, %zu excluded, %zu wrong\n", passed, excluded, bad);
  return bad;
}

/* Writes the page, or compares it with the one there is. */
static int document(struct run *r, const char *path, bool check)
{
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  if (!f)
    return 1;
  node_write_doc(f, r->cases, r->n_cases, r->exclusions, r->n_exclusions);
  fclose(f);
  if (!check) {
    f = fopen(path, "w");
    int bad = !f || fwrite(text, 1, size, f) != size || fclose(f) != 0;
    free(text);
    return bad;
  }
  char *old = calloc(size + 2, 1);
  f = fopen(path, "r");
  size_t n = old && f ? fread(old, 1, size + 1, f) : 0;
  if (f)
    fclose(f);
  int differs = n != size || memcmp(old, text, size) != 0;
  if (differs)
    printf("NOT OK %s is out of date; write it again with `make onnx-support`\n", path);
  free(old);
  free(text);
  return differs;
}

int main(int argc, char **argv)
{
  const char *top = getenv("top_srcdir"), *data = getenv("GIE_ONNX_TESTDATA"), *doc = NULL, *pattern = NULL;
  bool check = false, list = false, export = false;
  char path[600];
  struct run r = {.data = data ? data : "/usr/share/libonnx-testdata/data"};
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--doc=", 6) == 0)
      doc = argv[i] + 6;
    else if (strncmp(argv[i], "--check-doc=", 12) == 0)
      doc = argv[i] + 12, check = true;
    else if (strcmp(argv[i], "--list") == 0)
      list = true;
    else if (strcmp(argv[i], "--export") == 0)
      export = true;
    else
      pattern = argv[i];
  }
  for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
    find_cases(&r, sets[i]);
  if (r.n_cases == 0) {
    printf("skipped: no test data in %s (Debian: libonnx-testdata)\n", r.data);
    return 77;
  }
  snprintf(path, sizeof path, "%s/tests/onnx/excluded.txt", top ? top : ".");
  read_exclusions(&r, path);
  size_t bad = run_all(&r, pattern, list, export);
  if (doc && document(&r, doc, check) != 0)
    bad++;
  forget_all(&r);
  return bad != 0;
}
