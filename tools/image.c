/* SPDX-License-Identifier: Apache-2.0 */
/* Images: which decoder, limits, and the way into a network's input. */
#include "tools/image.h"
#include "tools/tensor.h"

#define MAX_FILE ((size_t)1 << 28)

static bool is_png(const unsigned char *p, size_t n)
{
  return n >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0;
}
static bool is_jpeg(const unsigned char *p, size_t n) { return n >= 3 && memcmp(p, "\xff\xd8\xff", 3) == 0; }

bool image_is(const unsigned char *head, size_t n) { return is_png(head, n) || is_jpeg(head, n); }

gie_status image_alloc(struct gie_context *ctx, uint32_t width, uint32_t height, uint32_t channels,
                       struct image *out)
{
  if (width == 0 || height == 0)
    return gie_fail(ctx, GIE_E_DATA, "the image is empty (%ux%u)", (unsigned)width, (unsigned)height);
  if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE || (size_t)width * height > IMAGE_MAX_PIXELS)
    return gie_fail(ctx, GIE_E_LIMIT, "an image of %ux%u pixels; at most %d per side and %zu in all are read",
                    (unsigned)width, (unsigned)height, IMAGE_MAX_SIDE, IMAGE_MAX_PIXELS);
  out->width = width;
  out->height = height;
  out->channels = channels;
  out->data = gie_alloc(ctx, (size_t)width * height, channels);
  return out->data ? GIE_OK : GIE_E_MEMORY;
}

void image_free(struct gie_context *ctx, struct image *im)
{
  gie_free(ctx, im->data);
  im->data = NULL;
}

gie_status image_decode(struct gie_context *ctx, const unsigned char *data, size_t size, struct image *out)
{
  struct image im = {0, 0, 0, NULL};
  gie_status st;
  if (is_png(data, size))
    st = image_decode_png(ctx, data, size, &im);
  else if (is_jpeg(data, size))
    st = image_decode_jpeg(ctx, data, size, &im);
  else
    st = gie_fail(ctx, GIE_E_DATA, "this is neither a .png nor a .jpg image");
  if (st == GIE_OK)
    *out = im;
  else
    image_free(ctx, &im);
  return st;
}

gie_status image_read(struct gie_context *ctx, const char *path, struct image *out)
{
  char *data;
  size_t size;
  GIE_TRY(gie_file_read(ctx, path, MAX_FILE, &data, &size));
  gie_status st = image_decode(ctx, (unsigned char *)data, size, out);
  gie_free(ctx, data);
  return st == GIE_OK ? st : gie_error_prefix(ctx, st, "%s", path);
}

/* ---- Into the input */

/* Which axes of the input are what. */
struct axes {
  int channel, row, column;
};

static bool is_channels(struct gie_dim d) { return gie_dim_is_num(d) && (d.b == 1 || d.b == 3); }

static gie_status find_axes(struct gie_context *ctx, const struct gie_shape *s, struct axes *out)
{
  int r = s->rank, first = r - 3;
  if (r != 3 && r != 4)
    return gie_fail(ctx, GIE_E_SHAPE,
                    "an image fits an input of 3 or 4 dims, this one has %d; feed a .npy or .pb", r);
  if (r == 4 && gie_dim_is_num(s->dim[0]) && s->dim[0].b != 1)
    return gie_fail(ctx, GIE_E_SHAPE,
                    "the input takes %lld images at once, one was given; feed a .npy or .pb",
                    (long long)s->dim[0].b);
  if (is_channels(s->dim[first]))
    *out = (struct axes){first, first + 1, first + 2};
  else if (is_channels(s->dim[r - 1]))
    *out = (struct axes){r - 1, first, first + 1};
  else
    return gie_fail(ctx, GIE_E_SHAPE,
                    "no dim of the input is the 1 or 3 channels of an image; feed a .npy or .pb");
  return GIE_OK;
}

/* Extent along one axis: the network's, or what was asked for, or the image's. */
static gie_status find_extent(struct gie_context *ctx, struct gie_dim d, uint32_t asked, uint32_t has,
                              bool resize, const char *what, uint32_t *out)
{
  uint32_t want = gie_dim_is_num(d) && d.b >= 1 && d.b <= IMAGE_MAX_SIDE ? (uint32_t)d.b : 0;
  if (gie_dim_is_num(d) && !want)
    return gie_fail(ctx, GIE_E_SHAPE, "no image fits an input of %s %lld", what, (long long)d.b);
  if (want && asked && asked != want)
    return gie_fail(ctx, GIE_E_SHAPE, "--resize asks for %s %u, the network wants %u", what, (unsigned)asked,
                    (unsigned)want);
  want = want ? want : asked ? asked : has;
  if (want != has && !resize)
    return gie_fail(ctx, GIE_E_SHAPE, "the image has %s %u, the network wants %u; give --resize", what,
                    (unsigned)has, (unsigned)want);
  *out = want;
  return GIE_OK;
}

/* Value of channel c (as fed) of a pixel, from planes of the image's own channels. */
static float channel(const float *planes, size_t plane, uint32_t has, uint32_t wants, uint32_t c,
                     size_t pixel)
{
  if (has == wants)
    return planes[c * plane + pixel];
  if (has == 1)
    return planes[pixel];
  /* Luma of ITU-R BT.601, as JPEG and most image libraries define grey. */
  return 0.299f * planes[pixel] + 0.587f * planes[plane + pixel] + 0.114f * planes[2 * plane + pixel];
}

/* What is taken off a pixel. */
static double mean_at(const struct image_rule *rule, uint32_t c, size_t x, size_t y, size_t w, size_t h)
{
  const struct image_mean *m = &rule->mean_image;
  if (!m->data)
    return rule->mean[c];
  size_t row = (m->height - h) / 2 + y, column = (m->width - w) / 2 + x;
  return (double)m->data[((m->channels == 1 ? 0 : c) * (size_t)m->height + row) * m->width + column];
}

static gie_status check_mean(struct gie_context *ctx, const struct image_mean *m, uint32_t channels,
                             uint32_t w, uint32_t h)
{
  if (!m->data || (m->width >= w && m->height >= h && (m->channels == 1 || m->channels == channels)))
    return GIE_OK;
  return gie_fail(ctx, GIE_E_SHAPE, "the mean image has %ux%u pixels of %u channels, the input %ux%u of %u",
                  (unsigned)m->width, (unsigned)m->height, (unsigned)m->channels, (unsigned)w, (unsigned)h,
                  (unsigned)channels);
}

static void fill_tensor(const float *planes, uint32_t has, const struct image_rule *rule, struct axes ax,
                        struct gie_tensor *t)
{
  size_t w = (size_t)t->dim[ax.column], plane = w * (size_t)t->dim[ax.row];
  uint32_t n = (uint32_t)t->dim[ax.channel];
  bool last = ax.channel == t->rank - 1;
  for (uint32_t c = 0; c < n; c++) {
    uint32_t from = rule->bgr && n == 3 ? 2 - c : c;
    for (size_t i = 0; i < plane; i++) {
      double v = channel(planes, plane, has, n, from, i);
      tensor_set(t, last ? i * n + c : c * plane + i,
                 (v - mean_at(rule, c, i % w, i / w, w, plane / w)) * rule->scale[c]);
    }
  }
}

gie_status image_tensor(struct gie_context *ctx, const struct image *im, const struct gie_type *type,
                        const struct image_rule *rule, struct gie_tensor *out)
{
  struct axes ax = {0, 1, 2};
  uint32_t w, h;
  int64_t dim[GIE_MAX_RANK] = {1};
  bool resize = rule->resize;
  GIE_TRY(find_axes(ctx, &type->shape, &ax));
  GIE_TRY(find_extent(ctx, type->shape.dim[ax.column], rule->width, im->width, resize, "width", &w));
  GIE_TRY(find_extent(ctx, type->shape.dim[ax.row], rule->height, im->height, resize, "height", &h));
  dim[ax.channel] = type->shape.dim[ax.channel].b;
  dim[ax.row] = h;
  dim[ax.column] = w;
  if ((size_t)w * h > IMAGE_MAX_PIXELS)
    return gie_fail(ctx, GIE_E_LIMIT, "an input of %ux%u pixels; at most %zu are possible", (unsigned)w,
                    (unsigned)h, IMAGE_MAX_PIXELS);
  GIE_TRY(check_mean(ctx, &rule->mean_image, (uint32_t)dim[ax.channel], w, h));
  float *planes = gie_alloc_raw(ctx, (size_t)w * h * im->channels, sizeof *planes);
  if (!planes)
    return GIE_E_MEMORY;
  gie_status st = image_resize(ctx, im, w, h, rule->linear, planes);
  if (st == GIE_OK)
    st = tensor_new(ctx, type->dtype, type->shape.rank, dim, out);
  if (st == GIE_OK)
    fill_tensor(planes, im->channels, rule, ax, out);
  gie_free(ctx, planes);
  return st;
}
