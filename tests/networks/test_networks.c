/* SPDX-License-Identifier: Apache-2.0 */
/* Real networks against ONNX Runtime's recorded results (records/, made by record_ort.py): each one
 * runs on the reference kernels as imported and after the default passes. Skips visibly (77) without the shared data. */
#include "tests/records.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Tolerance r of max|a-b| <= r * max|b|: f32 networks, and one stored in f16. */
static const struct network {
  const char *stem;
  double r;
  bool passes_only; /* too slow to run twice */
} NETWORKS[] = {
    {"mnist", 1e-4, false},           {"gtsrb_dogun", 1e-4, false}, {"version-RFB-320", 1e-4, false},
    {"SqueezeNet_fp16", 2e-3, false}, {"candy_style", 1e-3, true},
};

/* The texture of record_ort.py. */
static double pattern(int64_t c, int64_t y, int64_t x)
{
  return (double)((3 * x + 5 * y + 40 * c + 60 * ((x / 16 + y / 16) % 2) + (x * y + 7 * x + c) % 31) % 256);
}

static uint16_t to_f16(float f)
{
  _Float16 h = (_Float16)f;
  uint16_t u;
  memcpy(&u, &h, 2);
  return u;
}

static double element(const struct gie_tensor *t, int64_t i)
{
  if (t->dtype == GIE_F32)
    return ((const float *)t->data)[i];
  ck_assert_int_eq(t->dtype, GIE_F16);
  _Float16 h;
  memcpy(&h, (const char *)t->data + 2 * i, 2);
  return (double)h;
}

static void parse_dims(const char *text, struct gie_tensor *t)
{
  t->rank = 0;
  for (char *end; *text; text = *end ? end + 1 : end)
    t->dim[t->rank++] = strtoll(text, &end, 10);
}

static void feed(struct gie_exec *x, const struct gie_graph *g, const char *line)
{
  char name[256], dims[128];
  double scale, offset;
  struct gie_tensor t = {.struct_size = sizeof t};
  ck_assert_int_eq(sscanf(line, "input %255s %127s scale %la offset %lf", name, dims, &scale, &offset), 4);
  parse_dims(dims, &t);
  t.dtype = gie_value_get(g, gie_value_find(g, name))->type.dtype;
  int64_t n = t.dim[1] * t.dim[2] * t.dim[3];
  char *data = malloc((size_t)n * 4);
  ck_assert_ptr_nonnull(data);
  for (int64_t i = 0; i < n; i++) {
    int64_t px = i % t.dim[3], py = i / t.dim[3] % t.dim[2], c = i / t.dim[3] / t.dim[2];
    float f = (float)((pattern(c, py, px) - offset) * scale);
    uint16_t h = to_f16(f);
    if (t.dtype == GIE_F16)
      memcpy(data + 2 * i, &h, 2);
    else
      memcpy(data + 4 * i, &f, 4);
  }
  t.data = data;
  ck_assert_int_eq(gie_exec_set_input(x, name, &t), GIE_OK);
  free(data);
}

/* Compares one output with its recorded samples, which follow in the file. */
static void compare(struct gie_exec *x, FILE *record, const char *line, const struct network *net,
                    const char *how)
{
  char name[256], dims[128];
  double peak, worst = 0;
  int samples;
  struct gie_tensor want = {.struct_size = sizeof want}, got = {.struct_size = sizeof got};
  ck_assert_int_eq(sscanf(line, "output %255s %127s max %lf samples %d", name, dims, &peak, &samples), 4);
  parse_dims(dims, &want);
  ck_assert_int_eq(gie_exec_output(x, name, &got), GIE_OK);
  ck_assert_int_eq(got.rank, want.rank);
  for (int i = 0; i < want.rank; i++)
    ck_assert_int_eq(got.dim[i], want.dim[i]);
  for (int s = 0; s < samples; s++) {
    long long i;
    double value;
    ck_assert_int_eq(fscanf(record, "%lld %lf\n", &i, &value), 2);
    double error = fabs(element(&got, i) - value);
    ck_assert_msg(isfinite(error), "%s %s: element %lld is not finite", net->stem, name, i);
    worst = error > worst ? error : worst;
  }
  printf("%s, %s: output %s max|a-b|/max|b| = %.2e over %d samples\n", net->stem, how, name, worst / peak,
         samples);
  ck_assert_msg(worst <= net->r * peak, "%s %s: %g > %g * %g", net->stem, name, worst, net->r, peak);
}

static void run_network(struct gie_context *ctx, struct gie_graph *g, const struct network *net,
                        const char *how)
{
  char path[8192], line[1024];
  struct gie_exec *x;
  snprintf(path, sizeof path, "%s/tests/networks/records/%s.txt", records_source(), net->stem);
  FILE *record = fopen(path, "r");
  ck_assert_ptr_nonnull(record);
  const struct gie_exec_options options = {.struct_size = sizeof options, .backends = "+cpu"};
  gie_status s = gie_exec_new(g, &options, &x);
  ck_assert_msg(s == GIE_OK, "%s: %s", net->stem, gie_error_text(ctx));
  while (fgets(line, sizeof line, record)) {
    if (strncmp(line, "input ", 6) == 0) {
      feed(x, g, line);
      s = gie_exec_run(x);
      ck_assert_msg(s == GIE_OK, "%s: %s", net->stem, gie_error_text(ctx));
    } else if (strncmp(line, "output ", 7) == 0) {
      compare(x, record, line, net, how);
    }
  }
  gie_exec_free(x);
  fclose(record);
}

/* Saves g as ONNX and reads it again in its place. */
static struct gie_graph *through_onnx(struct gie_context *ctx, struct gie_graph *g)
{
  char dir[] = "/tmp/gie-networks-XXXXXX", path[64];
  struct gie_graph *back;
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/a.onnx", dir);
  gie_status s = gie_graph_save(g, path);
  ck_assert_msg(s == GIE_OK, "%s", gie_error_text(ctx));
  s = gie_graph_load(ctx, path, NULL, &back);
  ck_assert_msg(s == GIE_OK, "%s", gie_error_text(ctx));
  unlink(path);
  rmdir(dir);
  gie_graph_free(g);
  return back;
}

START_TEST(networks)
{
  const struct network *net = &NETWORKS[_i];
  struct gie_context *ctx;
  struct gie_graph *g;
  char path[8192];
  ck_assert_int_eq(gie_context_new(NULL, &ctx), GIE_OK);
  snprintf(path, sizeof path, "%s/data/onnx/%s.onnx", records_shared(), net->stem);
  gie_status s = gie_graph_load(ctx, path, NULL, &g);
  ck_assert_msg(s == GIE_OK, "%s: %s", net->stem, gie_error_text(ctx));
  if (!net->passes_only)
    run_network(ctx, g, net, "as imported");
  s = gie_pipeline_run(g, NULL, NULL);
  ck_assert_msg(s == GIE_OK, "%s: %s", net->stem, gie_error_text(ctx));
  run_network(ctx, g, net, "after the passes");
  g = through_onnx(ctx, g);
  run_network(ctx, g, net, "after the passes, saved as ONNX and read again");
  gie_graph_free(g);
  gie_context_free(ctx);
}
END_TEST

int main(void)
{
  return records_main("networks", networks, sizeof NETWORKS / sizeof *NETWORKS, "onnx/mnist.onnx");
}
