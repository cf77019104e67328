/* SPDX-License-Identifier: Apache-2.0 */
/* The graph's editing functions: uses, names, order, views, clones, compaction, layouts, dims, and what
 * happens when memory runs out at each allocation. */
#include "core/ir/ir.h"
#include "tests/gie_check.h"
#include <gie/gie.h>

static struct gie_context *ctx;
static struct gie_graph *g;

static void setup(void)
{
  struct gie_context_options options = {.struct_size = sizeof options, .no_modules = true};
  ck_assert_int_eq(gie_context_new(&options, &ctx), GIE_OK);
  ck_assert_int_eq(gie_graph_new(ctx, "test", &g), GIE_OK);
}

static void teardown(void)
{
  gie_graph_free(g);
  gie_context_free(ctx);
}

static gie_id input(const char *name)
{
  gie_id id;
  struct gie_type type = {GIE_F32, {2, {gie_dim_num(2), gie_dim_num(3)}}};
  ck_assert_int_eq(gie_graph_add_input(g, name, &type, &id), GIE_OK);
  return id;
}

static gie_id add(const char *op, const char *out, gie_id a, gie_id b)
{
  gie_id in[2] = {a, b}, id;
  struct gie_node_spec spec = GIE_NODE_SPEC(op);
  spec.n_in = b == GIE_NONE ? 1 : 2;
  spec.in = in;
  spec.out_names = &out;
  ck_assert_msg(gie_node_add(g, &spec, &id) == GIE_OK, "%s", gie_error_text(ctx));
  return id;
}

static gie_id out(gie_id node) { return gie_node_get(g, node)->out[0]; }
static uint32_t uses(gie_id value) { return gie_value_get(g, value)->n_uses; }

START_TEST(uses_follow_edits)
{
  gie_id x = input("x"), y = input("y");
  gie_id a = add("add", "a", x, y), r = add("relu", "r", out(a), GIE_NONE);
  ck_assert_uint_eq(uses(x), 1);
  ck_assert_int_eq(gie_node_set_input(g, a, 1, x), GIE_OK);
  ck_assert_uint_eq(uses(x), 2);
  ck_assert_uint_eq(uses(y), 0);
  struct gie_use use = {GIE_NONE, 0};
  ck_assert(gie_value_next_use(g, x, &use) && use.node == a && use.slot == 0);
  ck_assert(gie_value_next_use(g, x, &use) && use.node == a && use.slot == 1);
  ck_assert(!gie_value_next_use(g, x, &use));
  ck_assert_int_ne(gie_node_remove(g, a), GIE_OK);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "still in use"));
  ck_assert_int_eq(gie_node_remove(g, r), GIE_OK);
  ck_assert_int_eq(gie_node_remove(g, a), GIE_OK);
  ck_assert_uint_eq(uses(x), 0);
  ck_assert_uint_eq(gie_graph_count_nodes(g), 0);
  ck_assert_uint_eq(gie_value_find(g, "a"), GIE_NONE);
}
END_TEST

START_TEST(replace_keeps_output_names)
{
  gie_id x = input("x");
  gie_id a = add("relu", "a", x, GIE_NONE), b = add("tanh", "b", x, GIE_NONE),
         c = add("add", "c", out(a), out(a));
  gie_id a_out = out(a), b_out = out(b);
  ck_assert_int_eq(gie_graph_add_output(g, a_out), GIE_OK);
  ck_assert_int_eq(gie_value_replace(g, a_out, b_out), GIE_OK);
  ck_assert_uint_eq(gie_graph_output(g, 0), b_out);
  ck_assert_str_eq(gie_value_get(g, b_out)->name, "a");
  ck_assert_uint_eq(gie_value_find(g, "a"), b_out);
  ck_assert_uint_eq(uses(a_out), 0);
  ck_assert_uint_eq(uses(b_out), 2);
  ck_assert_uint_eq(gie_node_get(g, c)->in[1], b_out);
  ck_assert_int_eq(gie_graph_verify(g), GIE_OK);
}
END_TEST

/* The name goes with what the value means, in the middle of a graph too; an output keeps its own. */
START_TEST(replace_keeps_what_a_name_means)
{
  gie_id x = input("x");
  gie_id a = add("relu", "a", x, GIE_NONE), b = add("tanh", "b", out(a), GIE_NONE),
         c = add("abs", "c", out(b), GIE_NONE);
  gie_id a_out = out(a), b_out = out(b), c_out = out(c);
  ck_assert_int_eq(gie_graph_add_output(g, c_out), GIE_OK);
  ck_assert_int_eq(gie_value_replace(g, b_out, a_out), GIE_OK);
  ck_assert_str_eq(gie_value_get(g, a_out)->name, "b");
  ck_assert_uint_eq(gie_value_find(g, "b"), a_out);
  ck_assert_int_eq(gie_value_replace(g, a_out, c_out), GIE_OK);
  ck_assert_str_eq(gie_value_get(g, c_out)->name, "c");
  ck_assert_int_eq(gie_value_replace(g, c_out, x), GIE_OK);
  ck_assert_str_eq(gie_value_get(g, x)->name, "x");
}
END_TEST

START_TEST(names_are_unique_and_checked)
{
  struct gie_type type = {GIE_F32, {0, {{0, 0, 0}}}};
  gie_id id;
  char *huge = malloc(GIE_MAX_NAME + 2);
  memset(huge, 'a', GIE_MAX_NAME + 1);
  huge[GIE_MAX_NAME + 1] = 0;
  input("x");
  ck_assert_int_eq(gie_graph_add_input(g, "x", &type, &id), GIE_E_GRAPH);
  ck_assert_str_eq(gie_error_text(ctx), "two values are named \"x\"");
  ck_assert_int_eq(gie_graph_add_input(g, "", &type, &id), GIE_E_GRAPH);
  ck_assert_int_eq(gie_graph_add_input(g, huge, &type, &id), GIE_E_LIMIT);
  ck_assert_int_eq(gie_graph_add_input(g, "t0", &type, &id), GIE_OK);
  gie_id n = add("relu", NULL, id, GIE_NONE);
  ck_assert_str_eq(gie_value_get(g, out(n))->name, "t1");
  ck_assert_int_eq(gie_value_rename(g, id, "x"), GIE_E_GRAPH);
  ck_assert_int_eq(gie_value_rename(g, id, "z"), GIE_OK);
  ck_assert_uint_eq(gie_value_find(g, "z"), id);
  ck_assert_uint_eq(gie_value_find(g, "t0"), GIE_NONE);
  free(huge);
}
END_TEST

START_TEST(sort_is_stable_and_names_cycles)
{
  gie_id x = input("x");
  gie_id a = add("relu", "a", x, GIE_NONE), b = add("relu", "b", out(a), GIE_NONE),
         c = add("relu", "c", x, GIE_NONE);
  ck_assert_int_eq(gie_node_move(g, a, GIE_NONE), GIE_OK); /* b c a */
  ck_assert_int_eq(gie_graph_sort(g), GIE_OK);
  ck_assert_uint_eq(gie_graph_first(g), a);
  ck_assert_uint_eq(gie_node_get(g, a)->next, b);
  ck_assert_uint_eq(gie_node_get(g, b)->next, c);
  ck_assert_uint_eq(gie_graph_last(g), c);
  ck_assert_int_eq(gie_node_set_input(g, a, 0, out(b)), GIE_OK);
  ck_assert_int_eq(gie_graph_sort(g), GIE_E_GRAPH);
  ck_assert_str_eq(gie_error_text(ctx), "the graph has a cycle: a -> b -> a");
}
END_TEST

START_TEST(sorts_a_long_chain_backwards)
{
  gie_id x = input("x"), v = x;
  for (int i = 0; i < 100000; i++) {
    gie_id n = add("relu", NULL, v, GIE_NONE);
    ck_assert_int_eq(gie_node_move(g, n, gie_graph_first(g)), GIE_OK);
    v = out(n);
  }
  ck_assert_int_eq(gie_graph_sort(g), GIE_OK);
  ck_assert_uint_eq(gie_node_get(g, gie_graph_first(g))->in[0], x);
  ck_assert_uint_eq(out(gie_graph_last(g)), v);
}
END_TEST

static gie_id conv(gie_id x)
{
  struct gie_blob *blob;
  gie_id w, id;
  struct gie_type type = {GIE_F32, {4, {gie_dim_num(4), gie_dim_num(3), gie_dim_num(1), gie_dim_num(1)}}};
  ck_assert_int_eq(gie_blob_new_raw(ctx, 48, &blob), GIE_OK);
  memset(gie_blob_data(blob), 0, gie_blob_size(blob));
  struct gie_const data = {blob, 0, 48};
  ck_assert_int_eq(gie_graph_add_const(g, NULL, &type, &data, &w), GIE_OK);
  gie_blob_unref(blob);
  gie_id in[2] = {x, w};
  struct gie_node_spec spec = GIE_NODE_SPEC("conv");
  spec.n_in = 2;
  spec.in = in;
  ck_assert_msg(gie_node_add(g, &spec, &id) == GIE_OK, "%s", gie_error_text(ctx));
  return id;
}

static gie_id image(const char *name, int64_t channels)
{
  gie_id id;
  struct gie_type type = {GIE_F32,
                          {4, {gie_dim_num(1), gie_dim_num(channels), gie_dim_num(5), gie_dim_num(5)}}};
  ck_assert_int_eq(gie_graph_add_input(g, name, &type, &id), GIE_OK);
  return id;
}

START_TEST(steps_and_operands_share_one_list)
{
  gie_id x = image("x", 3), r = image("r", 4), s = image("s", 4), c = conv(x);
  const struct gie_node *n = gie_node_get(g, c);
  ck_assert_int_eq(gie_node_add_step(g, c, "add", r, false, NULL), GIE_OK);
  ck_assert_int_eq(gie_node_add_step(g, c, "relu", GIE_NONE, false, NULL), GIE_OK);
  ck_assert_int_eq(gie_node_add_step(g, c, "mul", s, false, NULL), GIE_OK);
  ck_assert_uint_eq(n->n_in, 4);
  ck_assert_int_eq(n->steps[0].operand, 2);
  ck_assert_int_eq(n->steps[1].operand, -1);
  ck_assert_int_eq(n->steps[2].operand, 3);
  gie_id bias;
  struct gie_type type = {GIE_F32, {1, {gie_dim_num(4)}}};
  ck_assert_int_eq(gie_graph_add_input(g, "bias", &type, &bias), GIE_OK);
  ck_assert_int_eq(gie_node_add_operand(g, c, bias), GIE_OK);
  ck_assert_uint_eq(n->n_operands, 3);
  ck_assert_int_eq(n->steps[2].operand, 4);
  ck_assert_uint_eq(n->in[4], s);
  ck_assert_int_eq(gie_node_cut_steps(g, c, 1), GIE_OK);
  ck_assert_uint_eq(n->n_in, 4);
  ck_assert_uint_eq(uses(s), 0);
  ck_assert_uint_eq(uses(r), 1);
  /* What is no pointwise op, or would enlarge the result, is refused and leaves the node as it was. */
  gie_id big = image("big", 4);
  struct gie_type huge = {GIE_F32,
                          {5,
                           {gie_dim_num(2), gie_dim_num(1), gie_dim_num(4), gie_dim_num(5), gie_dim_num(5)}}};
  ck_assert_int_eq(gie_value_set_type(g, big, &huge), GIE_OK);
  ck_assert_int_ne(gie_node_add_step(g, c, "softmax", GIE_NONE, false, NULL), GIE_OK);
  ck_assert_int_ne(gie_node_add_step(g, c, "add", big, false, NULL), GIE_OK);
  ck_assert_uint_eq(n->n_steps, 1);
  ck_assert_uint_eq(n->n_in, 4);
  ck_assert_uint_eq(uses(big), 0);
}
END_TEST

START_TEST(views_are_checked)
{
  gie_id base = image("base", 8), part = image("part", 4), other = image("other", 4);
  struct gie_view v = {base, 1, 4, 4};
  ck_assert_int_eq(gie_value_set_view(g, part, &v), GIE_OK);
  v.offset = 5;
  ck_assert_int_eq(gie_value_set_view(g, part, &v), GIE_E_SHAPE);
  v = (struct gie_view){part, 1, 0, 4};
  ck_assert_int_eq(gie_value_set_view(g, other, &v), GIE_E_GRAPH);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "never nested"));
  ck_assert_int_ne(gie_value_remove(g, base), GIE_OK);
  ck_assert_int_eq(gie_value_replace(g, base, other), GIE_OK);
  ck_assert_uint_eq(gie_value_get(g, part)->view.base, other);
}
END_TEST

START_TEST(clone_and_compact_keep_everything)
{
  gie_id x = image("x", 3), c = conv(x), dead = add("relu", "dead", x, GIE_NONE);
  gie_id r = add("relu", "r", out(c), GIE_NONE);
  struct gie_attr note = {"kernel", GIE_ATTR_STRING, 0, {.s = "cpu.relu"}};
  ck_assert_int_eq(gie_node_set_note(g, r, &note), GIE_OK);
  ck_assert_int_eq(gie_graph_add_output(g, out(r)), GIE_OK);
  ck_assert_int_eq(gie_node_remove(g, dead), GIE_OK);
  struct gie_graph *copy;
  ck_assert_int_eq(gie_graph_clone(g, &copy), GIE_OK);
  ck_assert_int_eq(gie_graph_compact(copy), GIE_OK);
  ck_assert_uint_eq(gie_graph_n_nodes(copy), 2);
  ck_assert_uint_eq(gie_graph_n_values(copy), 4);
  ck_assert_int_eq(gie_graph_verify(copy), GIE_OK);
  gie_id last = gie_graph_last(copy);
  ck_assert_uint_eq(last, 1);
  ck_assert_str_eq(gie_node_get(copy, last)->notes.v[0].u.s, "cpu.relu");
  ck_assert_uint_eq(gie_value_get(copy, gie_value_find(copy, "x"))->n_uses, 1);
  gie_graph_free(copy);
  ck_assert_int_eq(gie_graph_verify(g), GIE_OK);
}
END_TEST

static const struct {
  const char *text;
  int rank;
  const char *printed; /* NULL: refused */
} LAYOUTS[] = {
    {"nchw", 4, "nchw"},        {"0123", 4, "nchw"}, {"0231", 4, "nhwc"},        {"nhwc", 3, NULL},
    {"0123/b1:8", 4, "nChw8c"}, {"10", 2, "10"},     {"0123/b0:2", 4, "Nchw2n"}, {"01/b1:4", 2, "01/b1:4"},
    {"0122", 4, NULL},          {"01", 3, NULL},     {"012/b3:2", 3, NULL},      {"012/b1:1", 3, NULL},
    {"012/b1:99999", 3, NULL},  {"", 0, ""},         {"01x", 2, NULL},
};

START_TEST(layouts)
{
  struct gie_layout l;
  char buf[64];
  gie_status s = gie_layout_parse(ctx, LAYOUTS[_i].text, LAYOUTS[_i].rank, &l);
  ck_assert_int_eq(s == GIE_OK, LAYOUTS[_i].printed != NULL);
  if (s == GIE_OK)
    ck_assert_str_eq(gie_layout_text(&l, LAYOUTS[_i].rank, buf, sizeof buf), LAYOUTS[_i].printed);
}
END_TEST

START_TEST(descriptors)
{
  struct gie_type type = {GIE_F16, {4, {gie_dim_num(2), gie_dim_num(12), gie_dim_num(3), gie_dim_num(5)}}};
  struct gie_layout l;
  struct gie_desc d, v;
  size_t bytes, offset;
  ck_assert_int_eq(gie_layout_parse(ctx, "nChw8c", 4, &l), GIE_OK);
  ck_assert_int_eq(gie_desc_make(ctx, &type, &l, &d, &bytes), GIE_OK);
  ck_assert_uint_eq(bytes, 2 * 16 * 3 * 5 * 2);
  ck_assert_int_eq(gie_desc_offset(&d, (int64_t[]){1, 9, 2, 4}), 240 + 120 + (2 * 5 + 4) * 8 + 1);
  ck_assert_int_eq(gie_desc_view(ctx, &d, 1, 8, 4, &v, &offset), GIE_OK);
  ck_assert_uint_eq(offset, 240);
  ck_assert(v.pitched && v.dim[1] == 4);
  ck_assert_int_eq(gie_desc_view(ctx, &d, 1, 4, 4, &v, &offset), GIE_E_SHAPE);
  ck_assert_int_eq(gie_desc_view(ctx, &d, 1, 8, INT64_MAX, &v, &offset), GIE_E_SHAPE);
  struct gie_layout plain = {0};
  type.shape.dim[0] = type.shape.dim[1] = gie_dim_num(INT64_C(1) << 32);
  ck_assert_int_eq(gie_desc_make(ctx, &type, &plain, &d, &bytes), GIE_E_LIMIT);
  type.shape.dim[0] = gie_dim_num(0);
  ck_assert_int_eq(gie_desc_make(ctx, &type, &plain, &d, &bytes), GIE_OK);
  ck_assert_uint_eq(bytes, 0);
}
END_TEST

START_TEST(dims)
{
  struct gie_dim n = {1, 0, 0}, m = {1, 0, 1}, two = gie_dim_num(2), big = gie_dim_num(INT64_MAX);
  struct gie_dim n2 = gie_dim_mul(n, two);
  ck_assert(n2.a == 2 && n2.sym == 0);
  ck_assert(gie_dim_equal(gie_dim_div(n2, two), n));
  ck_assert(gie_dim_equal(gie_dim_sub(gie_dim_add(n, two), n), two));
  ck_assert(gie_dim_equal(gie_dim_div(n, n), gie_dim_num(1)));
  ck_assert(!gie_dim_is_known(gie_dim_add(n, m)));
  ck_assert(!gie_dim_is_known(gie_dim_mul(n, m)));
  ck_assert(!gie_dim_is_known(gie_dim_div(n, two)));
  ck_assert(!gie_dim_is_known(gie_dim_add(big, two)));
  ck_assert(!gie_dim_is_known(gie_dim_mul(big, two)));
  ck_assert(!gie_dim_is_known(gie_dim_div(gie_dim_num(INT64_MIN), gie_dim_num(-1))));
}
END_TEST

/* Builds, clones and compacts with allocation number _i failing: an error, never a crash or a leak. */
START_TEST(survives_allocation_failure)
{
  struct gie_context_options options = {.struct_size = sizeof options, .no_modules = true};
  struct gie_context *c;
  struct gie_graph *graph = NULL, *copy = NULL;
  struct gie_type type = {GIE_F32, {1, {gie_dim_num(4)}}};
  gie_id x, n;
  ck_assert_int_eq(gie_context_new(&options, &c), GIE_OK);
  c->fail_alloc_after = _i;
  struct gie_node_spec spec = GIE_NODE_SPEC("relu");
  gie_status s = gie_graph_new(c, "g", &graph);
  if (s == GIE_OK)
    s = gie_graph_add_input(graph, "x", &type, &x);
  spec.n_in = 1;
  spec.in = &x;
  for (int i = 0; i < 20 && s == GIE_OK; i++)
    s = gie_node_add(graph, &spec, &n);
  if (s == GIE_OK)
    s = gie_graph_clone(graph, &copy);
  if (s == GIE_OK)
    s = gie_graph_compact(copy);
  if (s == GIE_OK)
    s = gie_graph_sort(copy);
  ck_assert(s == GIE_OK || s == GIE_E_MEMORY);
  c->fail_alloc_after = -1;
  gie_graph_free(copy);
  gie_graph_free(graph);
  gie_context_free(c);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("graph");
  TCase *tc = check_tcase(suite, "graph", setup, teardown);
  tcase_add_test(tc, uses_follow_edits);
  tcase_add_test(tc, replace_keeps_output_names);
  tcase_add_test(tc, replace_keeps_what_a_name_means);
  tcase_add_test(tc, names_are_unique_and_checked);
  tcase_add_test(tc, sort_is_stable_and_names_cycles);
  tcase_add_test(tc, sorts_a_long_chain_backwards);
  tcase_add_test(tc, steps_and_operands_share_one_list);
  tcase_add_test(tc, views_are_checked);
  tcase_add_test(tc, clone_and_compact_keep_everything);
  tcase_add_loop_test(tc, layouts, 0, (int)(sizeof LAYOUTS / sizeof *LAYOUTS));
  tcase_add_test(tc, descriptors);
  tcase_add_test(tc, dims);
  TCase *oom = check_tcase(suite, "memory", NULL, NULL);
  tcase_add_loop_test(oom, survives_allocation_failure, 0, 60);
  return check_suite(suite);
}
