/* SPDX-License-Identifier: Apache-2.0 */
/* Bad networks and weights: the status and a piece of the message. */
#include "tests/caffe/caffe_test.h"

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

GIE_TESTS_MAIN("caffe bad", test_bad_networks, test_bad_models, test_bytes)
