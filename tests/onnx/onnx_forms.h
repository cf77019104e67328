/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of models with pieces of the text that they are imported as. */
#ifndef GIE_TESTS_ONNX_FORMS_H
#define GIE_TESTS_ONNX_FORMS_H

#include "tests/onnx/onnx_test.h"

struct form {
  const char *name;
  void (*build)(struct ob *b);
  const char *wanted; /* pieces of the printed graph in order, separated by newlines */
};

/* True when all lines of `wanted` occur in `text` in order. */
static inline bool has_lines(const char *text, const char *wanted, char *missing, size_t size)
{
  while (*wanted) {
    size_t n = strcspn(wanted, "\n");
    snprintf(missing, size, "%.*s", (int)n, wanted);
    const char *at = strstr(text, missing);
    if (!at)
      return false;
    text = at + strlen(missing);
    wanted += n + (wanted[n] == '\n');
  }
  return true;
}

/* Reading the text gives a graph that prints as the same text. */
static inline void check_again(struct gie_context *ctx, const char *text, size_t size)
{
  struct gie_graph *g;
  char *again;
  size_t n;
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, size, NULL, &g));
  ck_gie_ok(ctx, gie_graph_print(g, &again, &n));
  ck_assert_str_eq(text, again);
  gie_free(ctx, again);
  gie_graph_free(g);
}

static inline void check_forms(const struct form *forms, size_t n)
{
  struct onnx_test t;
  int wrong = 0;
  onnx_test_begin(&t);
  for (size_t i = 0; i < n; i++) {
    struct ob b;
    struct gie_graph *g;
    char *text = NULL, missing[400];
    size_t size;
    ob_init(&b);
    forms[i].build(&b);
    gie_status st = onnx_test_load(&t, &b, &g);
    if (st == GIE_OK)
      ck_gie_ok(t.ctx, gie_graph_print(g, &text, &size));
    if (text)
      check_again(t.ctx, text, size);
    if (st != GIE_OK || !has_lines(text, forms[i].wanted, missing, sizeof missing)) {
      fprintf(stderr, "%s: %s\n%s\n", forms[i].name, st == GIE_OK ? missing : gie_error_text(t.ctx),
              text ? text : "");
      wrong++;
    }
    gie_free(t.ctx, text);
    gie_graph_free(g);
  }
  onnx_test_end(&t);
  ck_assert_msg(wrong == 0, "%d of %zu forms went wrong", wrong, n);
}
#define CHECK_FORMS(forms) check_forms(forms, sizeof forms / sizeof forms[0])

/* ---- Building ------------------------------------------------------------------------------------- */

/* A model with x of the given dims and one node, left open; y is the output. */
static inline void one(struct ob *b, int64_t opset, const char *dims, const char *op, const char *in,
                       const char *out)
{
  ob_model(b, 8, opset);
  ob_input(b, "x", OB_F32, dims);
  ob_output(b, "y");
  ob_node(b, op, in, out);
}

static inline void ints(struct ob *b, const char *name, int64_t u, int64_t v)
{
  const int64_t list[] = {u, v};
  ob_ints(b, name, list, 2);
}

static inline void scalar(struct ob *b, const char *name, float v)
{
  ob_tensor(b, 5, name, OB_F32, NULL, 0);
  ob_float(b, 4, v);
  ob_end(b);
}

static inline void two(struct ob *b, int64_t opset, const char *op, const char *dims, const char *other)
{
  ob_model(b, 8, opset);
  ob_input(b, "x", OB_F32, dims);
  ob_input(b, "w", OB_F32, other);
  ob_output(b, "y");
  ob_node(b, op, "x w", "y");
}

/* A model with x : f32[n,3]. */
static inline void model(struct ob *b)
{
  ob_model(b, 8, 13);
  ob_input(b, "x", OB_F32, "n,3");
}

/* A node that calls a function of the domain f, such a function, left open, and a node in it. */
static inline void call(struct ob *b, const char *function, const char *in, const char *out)
{
  ob_node(b, function, in, out);
  ob_str(b, 7, "f");
}

static inline void function(struct ob *b, const char *name, const char *in, const char *out)
{
  ob_begin(b, 25);
  ob_str(b, 1, name);
  ob_str(b, 10, "f");
  ob_list(b, 4, in);
  ob_list(b, 5, out);
}

static inline void function_node(struct ob *b, const char *op, const char *in, const char *out)
{
  ob_node_in(b, 7, op, in, out);
}

/* An attribute that has the value of one of the function. */
static inline void attr_ref(struct ob *b, const char *name, int type, const char *outer)
{
  ob_attr(b, name, type);
  ob_str(b, 21, outer);
  ob_end(b);
}

#endif
