/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy of mnist.onnx on the MNIST test set: at least 98 % of 10,000 digits (0-255, white on
 * black). Skips visibly (77) without the shared data. */
#include <gie/gie.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { IMAGES = 10000, PIXELS = 28 * 28, IMAGE_HEADER = 16, LABEL_HEADER = 8 };

/* Reads an IDX file (big-endian header, then bytes); its size is known, so the header is skipped. */
static unsigned char *read_gz(const char *dir, const char *name, size_t header, size_t bytes)
{
  char path[8192];
  snprintf(path, sizeof path, "%s/data/datasets/%s", dir, name);
  gzFile f = gzopen(path, "rb");
  if (!f) {
    printf("SKIP: %s is not there\n", path);
    exit(77);
  }
  unsigned char *p = malloc(bytes);
  if (!p || gzseek(f, (z_off_t)header, SEEK_SET) < 0 || gzread(f, p, (unsigned)bytes) != (int)bytes) {
    printf("FAIL: %s is shorter than expected\n", path);
    exit(1);
  }
  gzclose(f);
  return p;
}

static int fail(struct gie_context *ctx)
{
  printf("FAIL: %s\n", gie_error_text(ctx));
  return 1;
}

static int classify(struct gie_exec *x, const unsigned char *pixels, int *digit)
{
  float data[PIXELS];
  struct gie_tensor in = {
      .struct_size = sizeof in, .dtype = GIE_F32, .rank = 4, .dim = {1, 1, 28, 28}, .data = data};
  struct gie_tensor out = {.struct_size = sizeof out};
  for (int i = 0; i < PIXELS; i++)
    data[i] = pixels[i];
  gie_status s = gie_exec_set_input(x, "Input3", &in);
  if (s == GIE_OK)
    s = gie_exec_run(x);
  if (s == GIE_OK)
    s = gie_exec_output(x, "Plus214_Output_0", &out);
  if (s != GIE_OK)
    return s;
  *digit = 0;
  for (int i = 1; i < 10; i++)
    if (((float *)out.data)[i] > ((float *)out.data)[*digit])
      *digit = i;
  return GIE_OK;
}

int main(void)
{
  const char *dir = getenv("GIE_SHARED") ? getenv("GIE_SHARED") : "../shared";
  unsigned char *images = read_gz(dir, "mnist_t10k-images-idx3-ubyte.gz", IMAGE_HEADER,
                                  (size_t)IMAGES * PIXELS);
  unsigned char *labels = read_gz(dir, "mnist_t10k-labels-idx1-ubyte.gz", LABEL_HEADER, IMAGES);
  char path[8192];
  struct gie_context *ctx;
  struct gie_graph *g;
  struct gie_exec *x;
  int right = 0;
  snprintf(path, sizeof path, "%s/data/onnx/mnist.onnx", dir);
  if (gie_context_new(NULL, &ctx) != GIE_OK)
    return 1;
  if (gie_graph_load(ctx, path, NULL, &g) != GIE_OK || gie_pipeline_run(g, NULL, NULL) != GIE_OK ||
      gie_exec_new(g, NULL, &x) != GIE_OK)
    return fail(ctx);
  for (int i = 0; i < IMAGES; i++) {
    int digit;
    if (classify(x, images + (size_t)i * PIXELS, &digit) != GIE_OK)
      return fail(ctx);
    right += digit == labels[i];
  }
  printf("mnist.onnx: %d of %d right (%.2f %%)\n", right, IMAGES, 100.0 * right / IMAGES);
  gie_exec_free(x);
  gie_graph_free(g);
  gie_context_free(ctx);
  free(images);
  free(labels);
  return right >= IMAGES / 100 * 98 ? 0 : 1;
}
