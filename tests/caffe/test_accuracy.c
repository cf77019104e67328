/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy of the Caffe test networks on their test sets: LeNet on MNIST, CIFAR-10 quick (weights in a file of
 * format V1 and one of V2) on the test set as JPEGs. Skips visibly (77) without the shared data. */
#include "tools/image.h"
#include <gie/gie.h>
#include <math.h>
#include <zlib.h>

enum { IMAGES = 10000, BATCH = 100, CLASSES = 10, MNIST = 28 * 28, CIFAR = 3 * 32 * 32, TAR = 512 };

static char shared[4096];
static struct gie_context *ctx;

static float *pixels; /* IMAGES of the data set at hand */
static int labels[IMAGES];

static void stop(const char *what)
{
  printf("FAIL: %s: %s\n", what, gie_error_text(ctx));
  exit(1);
}

static gzFile open_data(const char *name)
{
  char path[8192];
  snprintf(path, sizeof path, "%s/data/datasets/%s", shared, name);
  gzFile f = gzopen(path, "rb");
  if (!f) {
    printf("SKIP: %s is not there\n", path);
    exit(77);
  }
  return f;
}

static void read_all(gzFile f, void *to, size_t n)
{
  if (gzread(f, to, (unsigned)n) != (int)n)
    stop("a data set is shorter than expected");
}

/* IDX files: 16 bytes, then pixels; 8 bytes, then labels. */
static void load_mnist(void)
{
  static unsigned char bytes[IMAGES * MNIST], header[16];
  gzFile f = open_data("mnist_t10k-images-idx3-ubyte.gz");
  read_all(f, header, 16);
  read_all(f, bytes, sizeof bytes);
  gzclose(f);
  for (size_t i = 0; i < sizeof bytes; i++)
    pixels[i] = (float)bytes[i] / 256;
  f = open_data("mnist_t10k-labels-idx1-ubyte.gz");
  read_all(f, header, 8);
  read_all(f, bytes, IMAGES);
  gzclose(f);
  for (int i = 0; i < IMAGES; i++)
    labels[i] = bytes[i];
}

/* The mean image is the end of its file. */
static void load_mean(float *mean)
{
  char path[8192];
  snprintf(path, sizeof path, "%s/data/caffe/cifar10_mean.binaryproto", shared);
  FILE *f = fopen(path, "rb");
  if (!f || fseek(f, -(long)(CIFAR * sizeof *mean), SEEK_END) != 0 ||
      fread(mean, sizeof *mean, CIFAR, f) != CIFAR)
    stop(path);
  fclose(f);
}

static int class_of(const char *path)
{
  static const char *const names[CLASSES] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                             "dog",      "frog",       "horse", "ship", "truck"};
  for (int i = 0; i < CLASSES; i++)
    if (strstr(path, names[i]))
      return i;
  return -1;
}

/* Planes of red, green and blue: the order that CIFAR-10 itself has. */
static void to_planes(const struct image *im, const float *mean, float *to)
{
  for (size_t i = 0; i < CIFAR; i++)
    to[i] = (float)im->data[i % 1024 * 3 + i / 1024] - mean[i];
}

/* A tar file: headers with name and size, data in blocks of 512 bytes. */
static void load_cifar(void)
{
  static unsigned char file[1 << 16];
  static float mean[CIFAR];
  char header[TAR + 1] = {0};
  int n = 0;
  gzFile f = open_data("cifar10_test_jpg.tar.gz");
  load_mean(mean);
  while (gzread(f, header, TAR) == TAR && header[0]) {
    size_t size = strtoul(header + 124, NULL, 8);
    struct image im;
    if (size > sizeof file)
      stop("a file of the data set is too great");
    read_all(f, file, (size + TAR - 1) / TAR * TAR);
    if (size == 0 || n == IMAGES)
      continue;
    if (image_decode(ctx, file, size, &im) != GIE_OK || im.width != 32 || im.height != 32 || im.channels != 3)
      stop(header);
    to_planes(&im, mean, pixels + (size_t)n * CIFAR);
    labels[n++] = class_of(header);
    image_free(ctx, &im);
  }
  gzclose(f);
  if (n != IMAGES)
    stop("the data set is not complete");
}

static int best(const float *p)
{
  int k = 0;
  for (int i = 1; i < CLASSES; i++)
    k = p[i] > p[k] ? i : k;
  return k;
}

static struct gie_exec *open_network(const char *prototxt, const char *model)
{
  char path[8192], weights[8192];
  const char *options[] = {weights, NULL};
  struct gie_graph *g;
  struct gie_exec *x;
  snprintf(path, sizeof path, "%s/data/caffe/%s.prototxt", shared, prototxt);
  snprintf(weights, sizeof weights, "weights=%s/data/caffe/%s.caffemodel", shared, model);
  if (gie_graph_load(ctx, path, options, &g) != GIE_OK)
    stop(path);
  struct gie_type type = gie_value_get(g, gie_graph_input(g, 0))->type;
  type.shape.dim[0] = gie_dim_num(BATCH);
  if (gie_value_set_type(g, gie_graph_input(g, 0), &type) != GIE_OK || gie_graph_infer(g) != GIE_OK ||
      gie_pipeline_run(g, NULL, NULL) != GIE_OK || gie_exec_new(g, NULL, &x) != GIE_OK)
    stop(path);
  gie_graph_free(g);
  return x;
}

/* Whether the accuracy in percent is within `margin` of what is known. */
static bool check(const char *prototxt, const char *model, const struct gie_tensor *shape, double known,
                  double margin)
{
  struct gie_exec *x = open_network(prototxt, model);
  struct gie_tensor in = *shape, out = {.struct_size = sizeof out};
  size_t per_image = (size_t)(in.dim[1] * in.dim[2] * in.dim[3]);
  int right = 0;
  for (int i = 0; i < IMAGES; i += BATCH) {
    in.data = pixels + (size_t)i * per_image;
    if (gie_exec_set_input(x, "data", &in) != GIE_OK || gie_exec_run(x) != GIE_OK ||
        gie_exec_output(x, "prob", &out) != GIE_OK)
      stop(model);
    for (int k = 0; k < BATCH; k++)
      right += best((const float *)out.data + (size_t)k * CLASSES) == labels[i + k];
  }
  gie_exec_free(x);
  double percent = 100.0 * right / IMAGES;
  bool ok = fabs(percent - known) <= margin;
  printf("%s%s: %d of %d right (%.2f %%, known %.2f)\n", ok ? "" : "FAIL: ", model, right, IMAGES, percent,
         known);
  return ok;
}

int main(void)
{
  const char *dir = getenv("GIE_SHARED");
  const struct gie_tensor mnist = {.struct_size = sizeof mnist,
                                   .dtype = GIE_F32,
                                   .rank = 4,
                                   .dim = {BATCH, 1, 28, 28}};
  const struct gie_tensor cifar = {.struct_size = sizeof cifar,
                                   .dtype = GIE_F32,
                                   .rank = 4,
                                   .dim = {BATCH, 3, 32, 32}};
  snprintf(shared, sizeof shared, "%s", dir ? dir : "../shared");
  if (gie_context_new(NULL, &ctx) != GIE_OK)
    return 1;
  pixels = malloc(sizeof *pixels * IMAGES * CIFAR);
  if (!pixels)
    return 1;
  load_mnist();
  bool ok = check("lenet", "lenet_iter_10000", &mnist, 99.14, 0.1);
  load_cifar();
  ok &= check("cifar10_quick", "cifar10_quick_iter_5000.v1", &cifar, 73.5, 0.5);
  ok &= check("cifar10_quick", "cifar10_quick_iter_5000", &cifar, 73.9, 0.5);
  free(pixels);
  gie_context_free(ctx);
  return ok ? 0 : 1;
}
