/* SPDX-License-Identifier: Apache-2.0 */
/* What the importer makes of networks: the graph's text. */
#include "tests/caffe/caffe_test.h"

static void check_type(const struct gie_graph *g, const char *name, const char *shape)
{
  char text[128];
  gie_id v = gie_value_find(g, name);
  ck_assert_msg(v != GIE_NONE, "no value \"%s\"", name);
  ck_assert_str_eq(gie_shape_text(g, &gie_value_get(g, v)->type.shape, text, sizeof text), shape);
}

/* One layer of each type on [1,2,5,5], with made-up weights: the shape of its top. */
static const struct {
  const char *layer, *shape;
} shapes[] = {
    {"type: 'Pooling' pooling_param { kernel_size: 2 stride: 2 }", "[1,2,3,3]"}, /* rounds up */
    /* no window starts in the end padding */
    {"type: 'Pooling' pooling_param { kernel_size: 2 stride: 3 pad: 1 }", "[1,2,2,2]"},
    {"type: 'Pooling' pooling_param { kernel_size: 3 stride: 4 pad: 2 pool: AVE }", "[1,2,2,2]"},
    {"type: 'Pooling' pooling_param { kernel_size: 2 stride: 2 round_mode: FLOOR }", "[1,2,2,2]"},
    {"type: 'Pooling' pooling_param { global_pooling: true pool: AVE }", "[1,2,1,1]"},
    {"type: 'Convolution' convolution_param { num_output: 4 kernel_h: 3 kernel_w: 1 group: 2 }", "[1,4,3,5]"},
    {"type: 'Convolution' convolution_param { num_output: 4 kernel_size: 3 pad: 2 dilation: 2 stride: 2 }",
     "[1,4,3,3]"},
    {"type: 'Deconvolution' convolution_param { num_output: 3 kernel_size: 4 stride: 2 pad: 1 }",
     "[1,3,10,10]"},
    {"type: 'InnerProduct' inner_product_param { num_output: 7 axis: 2 }", "[1,2,7]"},
    {"type: 'InnerProduct' inner_product_param { num_output: 7 transpose: true bias_term: false }", "[1,7]"},
    {"type: 'LRN' lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }", "[1,2,5,5]"},
    {"type: 'LRN'", "[1,2,5,5]"},
    {"type: 'BatchNorm'", "[1,2,5,5]"},
    {"type: 'Scale' scale_param { bias_term: true axis: 2 num_axes: 2 }", "[1,2,5,5]"},
    {"type: 'Bias'", "[1,2,5,5]"},
    {"type: 'Normalize' norm_param { across_spatial: false channel_shared: false }", "[1,2,5,5]"},
    {"type: 'PReLU'", "[1,2,5,5]"},
    {"type: 'Power' power_param { power: 2 scale: 0.5 shift: 1 }", "[1,2,5,5]"},
    {"type: 'Exp' exp_param { base: 2 }", "[1,2,5,5]"},
    {"type: 'Log' log_param { base: 2 }", "[1,2,5,5]"},
    {"type: 'ELU'", "[1,2,5,5]"},
    {"type: 'Dropout' dropout_param { dropout_ratio: 0.5 }", "[1,2,5,5]"},
    {"type: 'Interp' interp_param { height: 9 width: 3 }", "[1,2,9,3]"},
    {"type: 'Interp' interp_param { zoom_factor: 3 }", "[1,2,13,13]"},
    {"type: 'Interp' interp_param { shrink_factor: 2 zoom_factor: 2 }", "[1,2,5,5]"},
    {"type: 'Interp' bottom: 'x'", "[1,2,5,5]"},
    {"type: 'Flatten'", "[1,50]"},
    {"type: 'Flatten' flatten_param { axis: 1 end_axis: 2 }", "[1,10,5]"},
    {"type: 'Permute' permute_param { order: 0 order: 2 }", "[1,5,2,5]"},
    {"type: 'Reshape' reshape_param { shape { dim: 0 dim: -1 dim: 10 } }", "[1,5,10]"},
    {"type: 'Reshape' reshape_param { shape { dim: 10 } axis: 1 num_axes: 2 }", "[1,10,5]"},
    {"type: 'Eltwise' bottom: 'x' eltwise_param { operation: SUM coeff: 1 coeff: -2 }", "[1,2,5,5]"},
    {"type: 'Concat' bottom: 'x' concat_param { axis: -1 }", "[1,2,5,10]"},
    {"type: 'Concat' bottom: 'x' concat_param { concat_dim: 2 }", "[1,2,10,5]"},
};

START_TEST(test_shapes)
{
  struct files f;
  files_begin(&f);
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    char net[1024];
    struct gie_graph *g;
    snprintf(net, sizeof net, INPUT "layer { name: 'l' bottom: 'x' top: 'y' %s }", shapes[i].layer);
    ck_gie_ok(f.ctx, load(&f, net, "random_weights=1", &g));
    check_type(g, "y", shapes[i].shape);
    ck_assert_msg(!strstr(gie_node_get(g, gie_graph_last(g))->op->name, "::"), "%s is opaque",
                  shapes[i].layer);
    gie_graph_free(g);
  }
  files_end(&f);
}
END_TEST

START_TEST(test_slice_crop_split)
{
  static const char net[] = INPUT
      "layer { name: 's' type: 'Slice' bottom: 'x' top: 'a' top: 'b' slice_param { axis: 2 slice_point: 3 } }\n"
      "layer { name: 'c' type: 'Crop' bottom: 'a' bottom: 'b' top: 'c' crop_param { axis: 2 offset: 1 offset: 0 } }\n"
      "layer { name: 'p' type: 'Split' bottom: 'c' top: 'd' top: 'e' }\n";
  struct files f;
  struct gie_graph *g;
  files_begin(&f);
  ck_gie_ok(f.ctx, load(&f, net, NULL, &g));
  check_type(g, "a", "[1,2,3,5]");
  check_type(g, "b", "[1,2,2,5]");
  check_type(g, "c", "[1,2,2,5]");
  ck_assert_uint_eq(gie_graph_n_outputs(g), 2);
  gie_graph_free(g);
  files_end(&f);
}
END_TEST

/* A blob that layers change in place has its name at the end; phases and unknown fields. */
START_TEST(test_in_place)
{
  static const char net[] = INPUT
      "layer { name: 'd' type: 'Data' top: 'x' include { phase: TRAIN } }\n"
      "layer { name: 'p' type: 'Pooling' bottom: 'x' top: 'y' pooling_param { kernel_size: 5 } mystery: 3 }\n"
      "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'y' }\n"
      "layer { name: 't' type: 'TanH' bottom: 'y' top: 'y' exclude { phase: TEST } }\n"
      "layer { name: 's' type: 'Sigmoid' bottom: 'y' top: 'y' }\n";
  struct files f;
  struct gie_graph *g;
  files_begin(&f);
  ck_gie_ok(f.ctx, load(&f, net, NULL, &g));
  ck_assert_uint_eq(gie_graph_count_nodes(g), 3);
  const struct gie_value *y = gie_value_get(g, gie_value_find(g, "y"));
  ck_assert_str_eq(gie_node_get(g, y->producer)->op->name, "sigmoid");
  ck_assert_uint_eq(gie_graph_n_outputs(g), 1);
  ck_assert_uint_eq(gie_graph_output(g, 0), y->id);
  gie_graph_free(g);
  files_end(&f);
}
END_TEST

/* The same weights in files of each version, with old and new shapes, in floats and doubles. */
START_TEST(test_models)
{
  static const int w_new[] = {2, 50, 0}, w_old[] = {1, 1, 2, 50, 0}, b_new[] = {2, 0},
                   b_old[] = {1, 1, 1, 2, 0};
  struct files f;
  files_begin(&f);
  for (int i = 0; i < 12; i++) {
    bool legacy = i % 2, wide = i / 2 % 2;
    const struct bytes blobs[] = {blob(legacy ? w_old : w_new, legacy, wide, 1),
                                  blob(legacy ? b_old : b_new, legacy, wide, 500)};
    struct bytes net = {.n = 0};
    struct gie_graph *g;
    double v[100];
    uint32_t n;
    put_layer(&net, (enum version)(i / 4), "ip", blobs, 2);
    save(f.model, net.v, net.n);
    ck_gie_ok(f.ctx, load(&f, INPUT IP, f.option, &g));
    const struct gie_node *node = gie_node_get(g, gie_graph_last(g));
    ck_assert(gie_value_floats(g, node->in[1], v, 100, &n));
    ck_assert_uint_eq(n, 100);
    ck_assert(v[0] == 1 && v[99] == 100);
    ck_assert(gie_value_floats(g, node->in[2], v, 100, &n));
    ck_assert(v[0] == 500 && v[1] == 501);
    gie_graph_free(g);
  }
  files_end(&f);
}
END_TEST

/* The third blob divides mean and variance; 0 there makes both 0. */
START_TEST(test_batch_norm)
{
  static const int two[] = {2, 0}, one[] = {1, 0};
  struct files f;
  files_begin(&f);
  for (int divisor = 0; divisor < 5; divisor += 4) {
    const struct bytes blobs[] = {blob(two, false, false, 8), blob(two, false, false, 4),
                                  blob(one, false, false, (float)divisor)};
    struct bytes net = {.n = 0};
    struct gie_graph *g;
    double v[2];
    uint32_t n;
    put_layer(&net, V2, "bn", blobs, 3);
    save(f.model, net.v, net.n);
    ck_gie_ok(f.ctx,
              load(&f, INPUT "layer { name: 'bn' type: 'BatchNorm' bottom: 'x' top: 'y' }", f.option, &g));
    const struct gie_node *node = gie_node_get(g, gie_graph_last(g));
    ck_assert(gie_value_floats(g, node->in[3], v, 2, &n));
    ck_assert(v[0] == (divisor ? 2 : 0) && v[1] == (divisor ? 2.25 : 0));
    ck_assert(gie_value_floats(g, node->in[4], v, 2, &n));
    ck_assert(v[0] == (divisor ? 1 : 0) && v[1] == (divisor ? 1.25 : 0));
    gie_graph_free(g);
  }
  files_end(&f);
}
END_TEST

/* The seed decides, and so does the layer's name; the deviation is that of He. */
START_TEST(test_random_weights)
{
  static const char *const options[] = {"random_weights=1", "random_weights=1", "random_weights=2"};
  double v[3][100], squares = 0;
  uint32_t n;
  struct files f;
  files_begin(&f);
  for (int i = 0; i < 3; i++) {
    struct gie_graph *g;
    ck_gie_ok(f.ctx, load(&f, INPUT IP, options[i], &g));
    ck_assert(gie_value_floats(g, gie_node_get(g, gie_graph_last(g))->in[1], v[i], 100, &n));
    gie_graph_free(g);
  }
  ck_assert(memcmp(v[0], v[1], sizeof v[0]) == 0);
  ck_assert(memcmp(v[0], v[2], sizeof v[0]) != 0);
  for (int i = 0; i < 100; i++)
    squares += v[0][i] * v[0][i] / 100;
  ck_assert_msg(squares > 0.02 && squares < 0.06, "variance %g, wanted 2/50", squares);
  files_end(&f);
}
END_TEST

/* The batch of the file, or one that a build decides. */
START_TEST(test_open_batch)
{
  static const char net[] = INPUT
      "layer { name: 'p' type: 'Pooling' bottom: 'x' top: 'p' pooling_param { kernel_size: 2 stride: 2 } }\n"
      "layer { name: 'r' type: 'Reshape' bottom: 'p' top: 'r' reshape_param { shape { dim: 0 dim: 6 dim: 3 } } }\n"
      "layer { name: 's' type: 'Slice' bottom: 'p' top: 'a' top: 'b' slice_param { axis: 0 } }\n";
  static const char plain[] = INPUT
      "layer { name: 'p' type: 'Pooling' bottom: 'x' top: 'p' pooling_param { kernel_size: 2 stride: 2 } }\n"
      "layer { name: 'r' type: 'Reshape' bottom: 'p' top: 'r' reshape_param { shape { dim: 0 dim: 6 dim: 3 } } }\n"
      "layer { name: 'i' type: 'Flatten' bottom: 'r' top: 'y' }\n";
  struct files f;
  struct gie_graph *g;
  files_begin(&f);
  ck_gie_ok(f.ctx, load(&f, plain, "batch=open", &g));
  check_type(g, "p", "[n,2,3,3]");
  check_type(g, "r", "[n,6,3]");
  check_type(g, "y", "[n,18]");
  gie_graph_free(g);
  ck_gie(f.ctx, load(&f, net, "batch=open", &g), GIE_E_DATA);
  ck_gie(f.ctx, load(&f, plain, "batch=3", &g), GIE_E_USAGE);
  files_end(&f);
}
END_TEST

/* All unknown layers stay in the graph, each with its reason. */
START_TEST(test_unknown_layers)
{
  static const char net[] = INPUT
      "layer { name: 'a' type: 'Enigma' bottom: 'x' top: 'a' enigma_param { min_size: 10 min_size: 20 } }\n"
      "layer { name: 'b' type: 'Mystery' bottom: 'a' top: 'b' }\n"
      "layer { name: 'c' type: 'Pooling' bottom: 'b' top: 'c' pooling_param { kernel_size: 2 } }\n";
  struct files f;
  struct gie_graph *g;
  unsigned opaque = 0;
  files_begin(&f);
  ck_gie_ok(f.ctx, load(&f, net, NULL, &g));
  GIE_FOR_NODES(g, id)
    opaque += (gie_node_get(g, id)->op->flags & GIE_OP_OPAQUE) != 0;
  ck_assert_uint_eq(opaque, 3);
  const struct gie_node *a = gie_node_get(g, gie_graph_first(g));
  ck_assert_str_eq(a->op->name, "caffe::Enigma");
  ck_assert_str_eq(gie_attrs_find(&a->attrs, "min_size")->u.s, "10,20");
  ck_assert_ptr_nonnull(gie_attrs_find(&a->notes, "reason"));
  gie_graph_free(g);
  files_end(&f);
}
END_TEST

/* The same network in formats V0 and V2. */
START_TEST(test_v0)
{
  static const char v0[] = INPUT
      "layers { layer { name: 'pad' type: 'padding' pad: 2 } bottom: 'x' top: 'padded' }\n"
      "layers { layer { name: 'c' type: 'conv' num_output: 4 kernelsize: 3 stride: 2 biasterm: false group: 2\n"
      "  weight_filler { type: 'xavier' } blobs_lr: 1 } bottom: 'padded' top: 'c' }\n"
      "layers { layer { name: 'r' type: 'relu' } bottom: 'c' top: 'c' }\n"
      "layers { layer { name: 'p' type: 'pool' pool: AVE kernelsize: 2 stride: 2 } bottom: 'c' top: 'p' }\n"
      "layers { layer { name: 'n' type: 'lrn' local_size: 3 alpha: 0.1 beta: 0.5 } bottom: 'p' top: 'n' }\n"
      "layers { layer { name: 'd' type: 'dropout' dropout_ratio: 0.5 } bottom: 'n' top: 'n' }\n"
      "layers { layer { name: 'f' type: 'innerproduct' num_output: 3 } bottom: 'n' top: 'f' }\n"
      "layers { layer { name: 's' type: 'softmax' } bottom: 'f' top: 's' }\n";
  static const char v2[] = INPUT
      "layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c'\n"
      "  convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 2 bias_term: false group: 2 } }\n"
      "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' }\n"
      "layer { name: 'p' type: 'Pooling' bottom: 'c' top: 'p' pooling_param { pool: AVE kernel_size: 2 stride: 2 } }\n"
      "layer { name: 'n' type: 'LRN' bottom: 'p' top: 'n' lrn_param { local_size: 3 alpha: 0.1 beta: 0.5 } }\n"
      "layer { name: 'd' type: 'Dropout' bottom: 'n' top: 'n' }\n"
      "layer { name: 'f' type: 'InnerProduct' bottom: 'n' top: 'f' inner_product_param { num_output: 3 } }\n"
      "layer { name: 's' type: 'Softmax' bottom: 'f' top: 's' }\n";
  struct files f;
  struct gie_graph *a, *b;
  char *text_a, *text_b;
  size_t n_a, n_b;
  files_begin(&f);
  ck_gie_ok(f.ctx, load(&f, v0, "random_weights=1", &a));
  ck_gie_ok(f.ctx, load(&f, v2, "random_weights=1", &b));
  ck_gie_ok(f.ctx, gie_graph_print(a, &text_a, &n_a));
  ck_gie_ok(f.ctx, gie_graph_print(b, &text_b, &n_b));
  ck_assert_str_eq(text_a, text_b);
  gie_free(f.ctx, text_a);
  gie_free(f.ctx, text_b);
  gie_graph_free(a);
  gie_graph_free(b);
  files_end(&f);
}
END_TEST

/* Only the blobs that are named are outputs, whoever reads them. */
START_TEST(test_named_outputs)
{
  static const char net[] = INPUT "layer { name: 'a' type: 'ReLU' bottom: 'x' top: 'a' }\n"
                                  "layer { name: 'b' type: 'TanH' bottom: 'a' top: 'b' }\n"
                                  "layer { name: 'c' type: 'AbsVal' bottom: 'a' top: 'c' }\n";
  struct files f;
  struct gie_graph *g;
  files_begin(&f);
  ck_gie_ok(f.ctx, load(&f, net, "output=b,a", &g));
  ck_assert_uint_eq(gie_graph_n_outputs(g), 2);
  ck_assert_str_eq(gie_value_get(g, gie_graph_output(g, 0))->name, "b");
  ck_assert_str_eq(gie_value_get(g, gie_graph_output(g, 1))->name, "a");
  gie_graph_free(g);
  ck_gie(f.ctx, load(&f, net, "output=b,q", &g), GIE_E_USAGE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(f.ctx), "there is no blob \"q\""));
  ck_gie(f.ctx, load(&f, net, "output=", &g), GIE_E_USAGE);
  files_end(&f);
}
END_TEST

/* A layer that no table knows is the op of a module. */
START_TEST(test_module_layers)
{
  static const char net[] = INPUT
      "layer { name: 'p' type: 'PriorBox' bottom: 'x' bottom: 'x' top: 'p'\n"
      "  prior_box_param { min_size: 4 min_size: 6 flip: false clip: true mystery: 1 } }\n"
      "layer { name: 'l' type: 'Flatten' bottom: 'x' top: 'l' }\n";
  struct files f;
  struct gie_graph *g;
  files_begin(&f);
  ck_gie_ok(f.ctx, load(&f, net, NULL, &g));
  const struct gie_node *p = gie_node_get(g, gie_graph_first(g));
  ck_assert_str_eq(p->op->name, "caffe::PriorBox");
  ck_assert_uint_eq(p->op->flags & GIE_OP_OPAQUE, 0);
  check_type(g, "p", "[1,2,200]");
  ck_assert_uint_eq(gie_attrs_find(&p->attrs, "min_size")->n, 2);
  ck_assert_int_eq(gie_node_int(p, "flip"), 0);
  ck_assert_int_eq(gie_node_int(p, "clip"), 1);
  gie_graph_free(g);
  /* Attributes are wrong in the way that the op says. */
  ck_gie(
      f.ctx,
      load(
          &f,
          INPUT
          "layer { name: 'p' type: 'PriorBox' bottom: 'x' bottom: 'x' top: 'p' prior_box_param { min_size: 0 } }",
          NULL, &g),
      GIE_E_ATTR);
  ck_assert_ptr_nonnull(strstr(gie_error_text(f.ctx), "min_size has to be positive"));
  ck_gie(f.ctx,
         load(&f, INPUT "layer { name: 'p' type: 'PriorBox' bottom: 'x' bottom: 'x' top: 'p' }", NULL, &g),
         GIE_E_ATTR);
  ck_gie(
      f.ctx,
      load(
          &f,
          INPUT
          "layer { name: 'p' type: 'PriorBox' bottom: 'x' bottom: 'x' top: 'p' prior_box_param { min_size: q } }",
          NULL, &g),
      GIE_E_DATA);
  files_end(&f);
}
END_TEST

GIE_TESTS_MAIN("caffe import", test_shapes, test_slice_crop_split, test_in_place, test_models,
               test_batch_norm, test_random_weights, test_open_batch, test_v0, test_named_outputs,
               test_module_layers, test_unknown_layers)
