/* SPDX-License-Identifier: Apache-2.0 */
/* What the importer's unit tests share: a folder for files, a context with the modules of the build tree, and
 * tables of models with what each must give. */
#ifndef GIE_TESTS_ONNX_TEST_H
#define GIE_TESTS_ONNX_TEST_H

#include "tests/gie_check.h"
#include "tests/onnx/onnx_build.h"
#include <sys/stat.h>
#include <unistd.h>

struct onnx_test {
  struct gie_context *ctx;
  char dir[64], path[96];
};

static inline void onnx_test_begin(struct onnx_test *t)
{
  const struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  ck_assert_int_eq(gie_context_new(&options, &t->ctx), GIE_OK);
  strcpy(t->dir, "/tmp/gie-onnx-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(t->dir));
  snprintf(t->path, sizeof t->path, "%s/m.onnx", t->dir);
}

static inline void onnx_test_end(struct onnx_test *t)
{
  gie_context_free(t->ctx);
  unlink(t->path);
  ck_assert_int_eq(rmdir(t->dir), 0);
}

/* Closes, saves and loads the model, and frees the builder. */
static inline gie_status onnx_test_load(struct onnx_test *t, struct ob *b, struct gie_graph **out)
{
  *out = NULL;
  ob_done(b);
  ob_save(b, t->path);
  ob_free(b);
  return gie_graph_load(t->ctx, t->path, NULL, out);
}

/* A model, and the status and a piece of the message that loading it gives. */
struct onnx_case {
  const char *name;
  void (*build)(struct ob *b);
  gie_status status;
  const char *text;
};

/* Prints every case that goes wrong, then fails. */
static inline void onnx_test_cases(const struct onnx_case *cases, size_t n)
{
  struct onnx_test t;
  int wrong = 0;
  onnx_test_begin(&t);
  for (size_t i = 0; i < n; i++) {
    const struct onnx_case *c = &cases[i];
    struct ob b;
    struct gie_graph *g;
    ob_init(&b);
    c->build(&b);
    gie_status st = onnx_test_load(&t, &b, &g);
    const char *text = st == GIE_OK ? "" : gie_error_text(t.ctx);
    if (st != c->status || (st != GIE_OK && (!strstr(text, c->text) || strchr(text, '\n')))) {
      fprintf(stderr, "%s: wanted %s with \"%s\", got %s: %s\n", c->name, gie_status_name(c->status),
              c->text ? c->text : "", gie_status_name(st), text);
      wrong++;
    }
    gie_graph_free(g);
  }
  onnx_test_end(&t);
  ck_assert_msg(wrong == 0, "%d of %zu cases went wrong", wrong, n);
}

/* A node without attributes. */
static inline void node(struct ob *b, const char *op, const char *in, const char *out)
{
  ob_node(b, op, in, out);
  ob_end(b);
}

/* A good model round whatever a case adds: x f32[n,3] → Relu → y, outputs open. */
static inline void onnx_test_relu(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "n,3");
  ob_node(b, "Relu", "x", "y");
  ob_end(b);
  ob_output(b, "y");
}

#endif
