/* SPDX-License-Identifier: Apache-2.0 */
/* What the importer makes of networks, good and bad: the graph's text, or status and a piece of the message. The
 * weights are files made here, field by field. */
#include "tests/gie_check.h"
#include <sys/stat.h>
#include <unistd.h>

struct files {
  struct gie_context *ctx;
  char dir[64], net[96], model[96], option[128];
};

static void files_begin(struct files *f)
{
  const struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  ck_assert_int_eq(gie_context_new(&options, &f->ctx), GIE_OK);
  strcpy(f->dir, "/tmp/gie-caffe-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(f->dir));
  snprintf(f->net, sizeof f->net, "%s/deploy.prototxt", f->dir);
  snprintf(f->model, sizeof f->model, "%s/net.caffemodel", f->dir);
  snprintf(f->option, sizeof f->option, "weights=%s", f->model);
}

static void files_end(struct files *f)
{
  gie_context_free(f->ctx);
  unlink(f->net);
  unlink(f->model);
  ck_assert_int_eq(rmdir(f->dir), 0);
}

static void save(const char *path, const void *p, size_t n)
{
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(p, 1, n, f), n);
  ck_assert_int_eq(fclose(f), 0);
}

static gie_status load(struct files *f, const char *net, const char *option, struct gie_graph **g)
{
  const char *options[] = {option, NULL};
  *g = NULL;
  save(f->net, net, strlen(net));
  return gie_graph_load(f->ctx, f->net, options, g);
}

/* ---- A .caffemodel ----------------------------------------------------------------------------- */

struct bytes {
  unsigned char v[4096];
  size_t n;
};

static void put(struct bytes *b, const void *p, size_t n)
{
  ck_assert(b->n + n <= sizeof b->v);
  memcpy(b->v + b->n, p, n);
  b->n += n;
}

static void put_varint(struct bytes *b, uint64_t v)
{
  for (; v > 0x7f; v >>= 7)
    put(b, &(unsigned char){(unsigned char)(v | 0x80)}, 1);
  put(b, &(unsigned char){(unsigned char)v}, 1);
}

static void put_field(struct bytes *b, unsigned number, const void *p, size_t n)
{
  put_varint(b, number << 3 | 2);
  put_varint(b, n);
  put(b, p, n);
}

/* A blob whose elements count up from `first`; dims ended by 0, the old form for `legacy`. */
static struct bytes blob(const int *dims, bool legacy, bool wide, float first)
{
  struct bytes b = {.n = 0}, shape = {.n = 0}, data = {.n = 0};
  size_t count = 1;
  for (unsigned i = 0; dims[i]; i++) {
    count *= (size_t)dims[i];
    if (legacy)
      put_varint(&b, (i + 1) << 3);
    put_varint(legacy ? &b : &shape, (uint64_t)dims[i]);
  }
  for (size_t i = 0; i < count; i++) {
    double d = (double)first + (double)i;
    float f = (float)d;
    put(&data, wide ? (void *)&d : (void *)&f, wide ? sizeof d : sizeof f);
  }
  if (!legacy) {
    struct bytes message = {.n = 0};
    put_field(&message, 1, shape.v, shape.n);
    put_field(&b, 7, message.v, message.n);
  }
  put_field(&b, wide ? 8 : 5, data.v, data.n);
  return b;
}

enum version { V0, V1, V2 };

static void put_layer(struct bytes *net, enum version version, const char *name, const struct bytes *blobs,
                      int n)
{
  struct bytes l = {.n = 0};
  put_field(&l, version == V1 ? 4 : 1, name, strlen(name));
  for (int i = 0; i < n; i++)
    put_field(&l, version == V0 ? 50 : version == V1 ? 6 : 7, blobs[i].v, blobs[i].n);
  if (version == V0) {
    struct bytes outer = {.n = 0};
    put_field(&outer, 1, l.v, l.n);
    l = outer;
  }
  put_field(net, version == V2 ? 100 : 2, l.v, l.n);
}

/* ---- Good networks ----------------------------------------------------------------------------- */

#define INPUT "input: \"x\" input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 5\n"
#define IP \
  "layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'y' inner_product_param { num_output: 2 } }"

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

/* ---- Bad networks ------------------------------------------------------------------------------ */

static const struct {
  const char *net;
  gie_status status;
  const char *text;
} bad[] = {
    {"name: 'x'", GIE_E_DATA, "no layers in the file"},
    {INPUT "layer { name: 's type: 'ReLU' }", GIE_E_PARSE, "2:29: a colon or {"},
    {INPUT "layer { name: \"s\n }", GIE_E_PARSE, "2:15: the string has no end"},
    {INPUT "layers { type: RELU bottom: 'x' top: 'y' }\nlayer { type: 'ReLU' }", GIE_E_DATA,
     "format V1 (\"layers\") and V2"},
    {INPUT "layer { name: 'r' type: 'ReLU' bottom: 'q' top: 'y' }", GIE_E_GRAPH,
     "reads a blob that no layer makes: \"q\""},
    {INPUT
     "layer { name: 'a' type: 'ReLU' bottom: 'b' top: 'a' }\nlayer { name: 'b' type: 'ReLU' bottom: 'a' top: 'b' }",
     GIE_E_GRAPH, "layer \"a\" reads a blob that only later layers make: \"b\""},
    {INPUT "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'y' }", GIE_E_GRAPH,
     "only later layers make: \"y\""},
    {INPUT
     "layer { name: 'a' type: 'ReLU' bottom: 'x' top: 'y' }\nlayer { name: 'b' type: 'ReLU' bottom: 'x' top: 'y' }",
     GIE_E_GRAPH, "makes a blob that is there already: \"y\""},
    {INPUT "layer { name: 'a' type: 'Split' bottom: 'x' top: 'y' top: 'y' }", GIE_E_GRAPH,
     "makes a blob twice"},
    {INPUT "layer { name: 'a' type: 'Eltwise' bottom: 'x' top: 'y' }", GIE_E_DATA,
     "has 1 bottoms and 1 tops"},
    {INPUT "layer { name: 'a' bottom: 'x' top: 'y' }", GIE_E_DATA, "has no type"},
    {INPUT "layer { name: 'a' type: 'ReLU' bottom: x top: 'y' }", GIE_E_DATA,
     "\"bottom\" has to be a name in quotes"},
    {INPUT "layer: 3", GIE_E_DATA, "2:1: a layer has to be a message"},
    {INPUT "layers { layer { name: 'a' type: 'glue' } bottom: 'x' top: 'y' }", GIE_E_DATA,
     "no layer of type \"glue\" in format V0"},
    {INPUT
     "layers { layer { type: 'relu' } bottom: 'x' top: 'y' } layers { type: RELU bottom: 'y' top: 'z' }",
     GIE_E_DATA, "format V0 and V1"},
    {INPUT "layers { layer: 1 bottom: 'x' top: 'y' }", GIE_E_DATA, "\"layer\" has to be a message"},
    {INPUT "layers { layer { type: 'padding' pad: 1 } bottom: 'x' top: 'y' }\n"
           "layers { layer { type: 'relu' } bottom: 'y' top: 'z' }",
     GIE_E_DATA, "has to stand before a convolution"},
    {INPUT "layer { name: 'i' type: 'Interp' bottom: 'x' top: 'y' interp_param { shrink_factor: 0 } }",
     GIE_E_DATA, "a size of 0 by 0 is not possible"},
    {INPUT "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' include { phase: TRAIN } }", GIE_E_GRAPH,
     "no layer is left in the test phase"},
    {"input: 'x' input_dim: 1\n" IP, GIE_E_DATA, "one shape or four dims"},
    {"input: 'x' input_dim: 1 input_dim: 0 input_dim: 1 input_dim: 1\n" IP, GIE_E_SHAPE,
     "dims are at least 1"},
    {INPUT IP, GIE_E_DATA, "layer \"ip\" has weights, and no file with them is given"},
    {INPUT "layer { name: 'l' type: 'LRN' bottom: 'x' top: 'y' lrn_param { local_size: 2.5 } }", GIE_E_DATA,
     "2:64: \"local_size\" has to be a whole number"},
    {INPUT "layer { name: 'l' type: 'LRN' bottom: 'x' top: 'y' lrn_param: 1 }", GIE_E_DATA,
     "has to be a message"},
    {INPUT "layer { name: 'l' type: 'Pooling' bottom: 'x' top: 'y' pooling_param { kernel_size: 0 } }",
     GIE_E_DATA, "kernel_size 0 is not possible"},
    {INPUT "layer { name: 'l' type: 'Slice' bottom: 'x' top: 'y' top: 'z' slice_param { slice_point: 2 } }",
     GIE_E_DATA, "slice points have to ascend"},
};

START_TEST(test_bad_networks)
{
  struct files f;
  int wrong = 0;
  files_begin(&f);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct gie_graph *g;
    gie_status st = load(&f, bad[i].net, NULL, &g);
    if (st == bad[i].status && strstr(gie_error_text(f.ctx), bad[i].text))
      continue;
    fprintf(stderr, "%s\n  gives %s: %s\n", bad[i].net, gie_status_name(st),
            st == GIE_OK ? "" : gie_error_text(f.ctx));
    gie_graph_free(g);
    wrong++;
  }
  files_end(&f);
  ck_assert_int_eq(wrong, 0);
}
END_TEST

static void check_model(struct files *f, const struct bytes *net, gie_status status, const char *text)
{
  struct gie_graph *g;
  save(f->model, net->v, net->n);
  ck_gie(f->ctx, load(f, INPUT IP, f->option, &g), status);
  ck_assert_msg(strstr(gie_error_text(f->ctx), text), "%s: not in: %s", text, gie_error_text(f->ctx));
}

START_TEST(test_bad_models)
{
  static const int w[] = {2, 50, 0}, b[] = {2, 0}, other[] = {50, 2, 0};
  struct bytes blobs[] = {blob(w, false, false, 1), blob(b, false, false, 1)},
               wrong = blob(other, false, false, 1);
  struct bytes net = {.n = 0}, short_data = blobs[0];
  struct gie_graph *g;
  struct files f;
  files_begin(&f);
  ck_gie(f.ctx, load(&f, INPUT IP, "weights=/nonexistent.caffemodel", &g), GIE_E_NOINPUT);
  ck_assert_ptr_nonnull(strstr(gie_error_text(f.ctx), "No such file"));
  check_model(&f, &net, GIE_E_DATA, "the file is empty");
  put_layer(&net, V2, "else", blobs, 2);
  check_model(&f, &net, GIE_E_DATA, "layer \"ip\" has no blob 0 in");
  put_layer(&net, V2, "ip", &wrong, 1);
  check_model(&f, &net, GIE_E_SHAPE, "layer \"ip\": blob 0 is [50,2] in");
  put_layer(&net, V1, "ip", blobs, 2);
  check_model(&f, &net, GIE_E_DATA, "layers of format V1 and V2 in one file");
  net.n = 0;
  put_layer(&net, V2, "ip", blobs, 1);
  check_model(&f, &net, GIE_E_DATA, "has no blob 1");
  put_layer(&net, V2, "ip", blobs, 2);
  net.n -= 1;
  check_model(&f, &net, GIE_E_PARSE, "byte ");
  net.n = 0;
  short_data.n = 6; /* the shape alone */
  put_layer(&net, V2, "ip", &short_data, 1);
  check_model(&f, &net, GIE_E_DATA, "has no data");
  ck_gie(f.ctx, gie_graph_load(f.ctx, f.model, NULL, &g), GIE_E_USAGE);
  ck_gie(f.ctx, load(&f, INPUT IP, "random_weights=x", &g), GIE_E_USAGE);
  files_end(&f);
}
END_TEST

/* A file cut at every byte, and with every byte changed, is read or refused. */
START_TEST(test_bytes)
{
  static const int w[] = {2, 50, 0}, b[] = {2, 0};
  const struct bytes blobs[] = {blob(w, false, false, 1), blob(b, false, false, 1)};
  struct bytes net = {.n = 0};
  struct files f;
  struct gie_graph *g;
  files_begin(&f);
  put_layer(&net, V2, "ip", blobs, 2);
  for (size_t i = 1; i < net.n; i++) {
    save(f.model, net.v, i);
    ck_assert_int_ne(load(&f, INPUT IP, f.option, &g), GIE_OK);
    net.v[i] ^= 0x5a;
    save(f.model, net.v, net.n);
    if (load(&f, INPUT IP, f.option, &g) == GIE_OK)
      gie_graph_free(g);
    net.v[i] ^= 0x5a;
  }
  files_end(&f);
}
END_TEST

GIE_TESTS_MAIN("caffe import", test_shapes, test_slice_crop_split, test_in_place, test_models,
               test_batch_norm, test_random_weights, test_open_batch, test_v0, test_named_outputs,
               test_module_layers, test_unknown_layers, test_bad_networks, test_bad_models, test_bytes)
