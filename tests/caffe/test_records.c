/* SPDX-License-Identifier: Apache-2.0 */
/* Caffe networks against the recorded results of OpenCV's dnn module (records/, made by record_opencv.py
 * and record_random.py), as
 * imported and after the default passes. Skips visibly (77) without the shared data. */
#include "tests/records.h"
#include <math.h>

#define TOLERANCE 1e-3 /* r of max|a-b| <= r * max|b| */

static const struct network {
  const char *record, *prototxt, *model; /* no model: made-up weights */
} networks[] = {
    {"mtcnn_det1", "mtcnn_det1", "mtcnn_det1"},
    {"mtcnn_det2", "mtcnn_det2", "mtcnn_det2"},
    {"mtcnn_det3", "mtcnn_det3", "mtcnn_det3"},
    {"slim-320", "slim-320", "slim-320"},
    {"squeezenet_v1.1", "squeezenet_v1.1_deploy", "squeezenet_v1.1.DERIVED"},
    {"cifar10_quick", "cifar10_quick", "cifar10_quick_iter_5000"},
    {"lenet", "lenet", "lenet_iter_10000"},
    {"bvlc_alexnet", "bvlc_alexnet_deploy", NULL},
    {"bvlc_googlenet", "bvlc_googlenet_deploy", NULL},
    {"ResNet-50", "ResNet-50-deploy", NULL},
    {"mobilenet_v2", "mobilenet_v2_deploy", NULL},
    {"VGG_ILSVRC_19", "VGG_ILSVRC_19_layers_deploy", NULL},
};

/* The texture of record_ort.py. */
static double pattern(int64_t c, int64_t y, int64_t x)
{
  return (double)((3 * x + 5 * y + 40 * c + 60 * ((x / 16 + y / 16) % 2) + (x * y + 7 * x + c) % 31) % 256);
}

static void parse_dims(const char *text, struct gie_tensor *t)
{
  t->rank = 0;
  for (char *end; *text; text = *end ? end + 1 : end)
    t->dim[t->rank++] = strtoll(text, &end, 10);
}

static void parse_input(const char *line, char name[256], struct gie_tensor *t, double *scale, double *offset)
{
  char dims[128];
  ck_assert_int_eq(sscanf(line, "input %255s %127s scale %la offset %lf", name, dims, scale, offset), 4);
  parse_dims(dims, t);
}

/* Gives the network the record's batch, and makes outputs of what the record knows. */
static void prepare(struct gie_context *ctx, struct gie_graph *g, FILE *record)
{
  char line[1024], name[256];
  double scale, offset;
  while (fgets(line, sizeof line, record)) {
    struct gie_tensor t = {.struct_size = sizeof t};
    if (strncmp(line, "input ", 6) == 0) {
      parse_input(line, name, &t, &scale, &offset);
      gie_id in = gie_value_find(g, name);
      ck_assert_uint_ne(in, GIE_NONE);
      struct gie_type type = gie_value_get(g, in)->type;
      type.shape.dim[0] = gie_dim_num(t.dim[0]);
      ck_gie_ok(ctx, gie_value_set_type(g, in, &type));
      ck_gie_ok(ctx, gie_graph_infer(g));
    } else if (sscanf(line, "output %255s", name) == 1) {
      gie_id out = gie_value_find(g, name);
      ck_assert_uint_ne(out, GIE_NONE);
      if (!gie_value_get(g, out)->n_outputs)
        ck_gie_ok(ctx, gie_graph_add_output(g, out));
    }
  }
  rewind(record);
}

static void feed(struct gie_context *ctx, struct gie_exec *x, const char *line)
{
  char name[256];
  double scale, offset;
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = GIE_F32};
  parse_input(line, name, &t, &scale, &offset);
  int64_t n = t.dim[1] * t.dim[2] * t.dim[3];
  float *data = malloc((size_t)n * sizeof *data);
  ck_assert_ptr_nonnull(data);
  for (int64_t i = 0; i < n; i++)
    data[i] = (float)((pattern(i / t.dim[3] / t.dim[2], i / t.dim[3] % t.dim[2], i % t.dim[3]) - offset) *
                      scale);
  t.data = data;
  ck_gie_ok(ctx, gie_exec_set_input(x, name, &t));
  free(data);
}

/* Compares one output with its recorded samples, which follow in the file. */
static void compare(struct gie_context *ctx, struct gie_exec *x, FILE *record, const char *line,
                    const char *what)
{
  char name[256], dims[128];
  double peak, worst = 0;
  int samples;
  struct gie_tensor want = {.struct_size = sizeof want}, got = {.struct_size = sizeof got};
  ck_assert_int_eq(sscanf(line, "output %255s %127s max %lf samples %d", name, dims, &peak, &samples), 4);
  parse_dims(dims, &want);
  ck_gie_ok(ctx, gie_exec_output(x, name, &got));
  ck_assert_int_eq(got.rank, want.rank);
  for (int i = 0; i < want.rank; i++)
    ck_assert_int_eq(got.dim[i], want.dim[i]);
  for (int s = 0; s < samples; s++) {
    long long i;
    double value;
    ck_assert_int_eq(fscanf(record, "%lld %lf\n", &i, &value), 2);
    double error = fabs((double)((const float *)got.data)[i] - value);
    ck_assert_msg(isfinite(error), "%s %s: element %lld is not finite", what, name, i);
    worst = fmax(worst, error);
  }
  printf("%s: output %s max|a-b|/max|b| = %.2e over %d samples\n", what, name, worst / peak, samples);
  ck_assert_msg(worst <= TOLERANCE * peak, "%s %s: %g > %g * %g", what, name, worst, TOLERANCE, peak);
}

static void run_network(struct gie_context *ctx, struct gie_graph *g, FILE *record, const char *what)
{
  char line[1024];
  struct gie_exec *x;
  ck_gie_ok(ctx, gie_exec_new(g, NULL, &x));
  while (fgets(line, sizeof line, record)) {
    if (strncmp(line, "input ", 6) == 0) {
      feed(ctx, x, line);
      ck_gie_ok(ctx, gie_exec_run(x));
    } else if (strncmp(line, "output ", 7) == 0) {
      compare(ctx, x, record, line, what);
    }
  }
  gie_exec_free(x);
  rewind(record);
}

START_TEST(test_records)
{
  const struct network *net = &networks[_i];
  char path[8192], weights[8192];
  const char *options[] = {weights, NULL};
  struct gie_context *ctx;
  struct gie_graph *g;
  snprintf(path, sizeof path, "%s/tests/caffe/records/%s.txt", records_source(), net->record);
  FILE *record = fopen(path, "r");
  ck_assert_ptr_nonnull(record);
  snprintf(path, sizeof path, "%s/data/caffe/%s.prototxt", records_shared(), net->prototxt);
  snprintf(weights, sizeof weights, "weights=%s/data/caffe/%s.caffemodel", records_shared(),
           net->model ? net->model : "");
  if (!net->model)
    strcpy(weights, "random_weights=1");
  ck_assert_int_eq(gie_context_new(NULL, &ctx), GIE_OK);
  ck_gie_ok(ctx, gie_graph_load(ctx, path, options, &g));
  prepare(ctx, g, record);
  run_network(ctx, g, record, net->record);
  ck_gie_ok(ctx, gie_pipeline_run(g, NULL, NULL));
  run_network(ctx, g, record, net->record);
  gie_graph_free(g);
  gie_context_free(ctx);
  fclose(record);
}
END_TEST

int main(void)
{
  return records_main("caffe networks", test_records, sizeof networks / sizeof *networks,
                      "caffe/lenet.prototxt");
}
