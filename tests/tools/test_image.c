/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the command: decoding what others write, damaged files, resizing, and the way into an input. */
#include "config.h"
#include "tests/gie_check.h"
#include "tools/image.h"
#include "tools/tensor.h"
#include <math.h>
#include <stdio.h>
#ifdef HAVE_PNG
#include <png.h>
#endif
#ifdef HAVE_JPEG
#include <jpeglib.h>
#endif

static struct gie_context *ctx;

struct file {
  unsigned char *data;
  size_t size;
};

/* A decode of exactly so many bytes, so that the sanitizer sees a read behind the end. */
static gie_status decode(const unsigned char *data, size_t size, struct image *im)
{
  unsigned char *exact = malloc(size ? size : 1);
  memcpy(exact, data, size);
  gie_status st = image_decode(ctx, exact, size, im);
  free(exact);
  return st;
}

/* Cut everywhere: an error each time. Changed everywhere: an error or a picture. */
static void damage(const struct file *f, size_t step, size_t tail)
{
  struct image im;
  for (size_t n = 0; n + tail < f->size; n += n < 200 ? 1 : step)
    ck_assert_msg(decode(f->data, n, &im) != GIE_OK, "%zu of %zu bytes were accepted", n, f->size);
  for (size_t i = 0; i < f->size; i += i < 200 ? 1 : step)
    for (int bit = 0; bit < 8; bit++) {
      f->data[i] ^= (unsigned char)(1 << bit);
      if (decode(f->data, f->size, &im) == GIE_OK)
        image_free(ctx, &im);
      f->data[i] ^= (unsigned char)(1 << bit);
    }
}

/* ---- .png */

#ifdef HAVE_PNG
static void put(png_structp png, png_bytep p, size_t n)
{
  struct file *f = png_get_io_ptr(png);
  f->data = realloc(f->data, f->size + n);
  memcpy(f->data + f->size, p, n);
  f->size += n;
}

static void flush(png_structp png) { (void)png; }

/* 5 x 3 pixels whose samples count up. */
#define WIDTH 5
#define HEIGHT 3
static struct file make_png(int color, int bits, int interlace)
{
  struct file f = {NULL, 0};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  int channels = color == PNG_COLOR_TYPE_RGB          ? 3
                 : color == PNG_COLOR_TYPE_RGBA       ? 4
                 : color == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                      : 1;
  size_t row = ((size_t)WIDTH * (size_t)channels * (size_t)bits + 7) / 8;
  unsigned char samples[HEIGHT][WIDTH * 8];
  png_bytep rows[HEIGHT];
  png_color palette[4] = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}, {100, 110, 120}};
  for (int y = 0; y < HEIGHT; y++) {
    rows[y] = samples[y];
    for (size_t x = 0; x < row; x++)
      samples[y][x] = (unsigned char)(color == PNG_COLOR_TYPE_PALETTE ? (x + (size_t)y) % 4
                                                                      : 16 * (size_t)y + x);
  }
  png_set_write_fn(png, &f, put, flush);
  png_set_IHDR(png, info, WIDTH, HEIGHT, bits, color, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (color == PNG_COLOR_TYPE_PALETTE)
    png_set_PLTE(png, info, palette, 4);
  png_write_info(png, info);
  png_write_image(png, rows);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return f;
}

START_TEST(png_kinds)
{
  static const struct {
    int color, bits;
    uint32_t channels;
    unsigned char pixel[3]; /* x 1, y 2 */
  } kinds[] = {
      {PNG_COLOR_TYPE_RGB, 8, 3, {35, 36, 37}},
      {PNG_COLOR_TYPE_RGBA, 8, 3, {36, 37, 38}},
      {PNG_COLOR_TYPE_GRAY, 8, 1, {33}},
      {PNG_COLOR_TYPE_GRAY_ALPHA, 8, 1, {34}},
      {PNG_COLOR_TYPE_GRAY, 16, 1, {34}},
      {PNG_COLOR_TYPE_RGB, 16, 3, {38, 40, 42}},
      {PNG_COLOR_TYPE_PALETTE, 8, 3, {100, 110, 120}},
  };
  ctx = check_context();
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    for (int interlace = 0; interlace < 2; interlace++) {
      struct image im;
      struct file f = make_png(kinds[i].color, kinds[i].bits, interlace);
      ck_gie_ok(ctx, decode(f.data, f.size, &im));
      ck_assert(im.width == WIDTH && im.height == HEIGHT && im.channels == kinds[i].channels);
      for (uint32_t c = 0; c < im.channels; c++)
        ck_assert_msg(im.data[(2 * WIDTH + 1) * im.channels + c] == kinds[i].pixel[c],
                      "kind %zu channel %u: %u", i, (unsigned)c, im.data[(2 * WIDTH + 1) * im.channels + c]);
      image_free(ctx, &im);
      free(f.data);
    }
  /* Bits become bytes. */
  struct image im;
  struct file f = make_png(PNG_COLOR_TYPE_GRAY, 1, 0);
  ck_gie_ok(ctx, decode(f.data, f.size, &im));
  ck_assert(im.channels == 1 && im.data[0] == 0 && im.data[2 * WIDTH + 2] == 255);
  image_free(ctx, &im);
  free(f.data);
  gie_context_free(ctx);
}
END_TEST

START_TEST(png_damaged)
{
  ctx = check_context();
  for (int interlace = 0; interlace < 2; interlace++) {
    struct file f = make_png(PNG_COLOR_TYPE_RGB, 8, interlace);
    damage(&f, 7, 0);
    free(f.data);
  }
  gie_context_free(ctx);
}
END_TEST

static uint32_t crc(const unsigned char *p, size_t n)
{
  uint32_t c = UINT32_MAX;
  for (size_t i = 0; i < n; i++) {
    c ^= p[i];
    for (int k = 0; k < 8; k++)
      c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
  }
  return ~c;
}

static void put32(unsigned char *p, uint32_t v)
{
  for (int i = 0; i < 4; i++)
    p[i] = (unsigned char)(v >> (24 - 8 * i));
}

/* Dims in the header that the rest of the file does not hold. */
START_TEST(png_huge)
{
  static const uint32_t sizes[][2] = {{0, 1},          {1, 0},     {0x7fffffff, 0x7fffffff},
                                      {0xffffffff, 1}, {32769, 1}, {32768, 32768}};
  ctx = check_context();
  struct file f = make_png(PNG_COLOR_TYPE_RGB, 8, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct image im;
    put32(f.data + 16, sizes[i][0]);
    put32(f.data + 20, sizes[i][1]);
    put32(f.data + 29, crc(f.data + 12, 17));
    gie_status st = decode(f.data, f.size, &im);
    ck_assert_msg(st == GIE_E_DATA || st == GIE_E_LIMIT, "%ux%u: %s", (unsigned)sizes[i][0],
                  (unsigned)sizes[i][1], gie_status_name(st));
  }
  free(f.data);
  gie_context_free(ctx);
}
END_TEST
#endif

/* ---- .jpg */

#ifdef HAVE_JPEG
static struct file make_jpeg(J_COLOR_SPACE space, bool progressive)
{
  struct file f = {NULL, 0};
  struct jpeg_compress_struct j;
  struct jpeg_error_mgr errors;
  unsigned long size = 0;
  unsigned char row[20 * 4];
  JSAMPROW rows[] = {row};
  j.err = jpeg_std_error(&errors);
  jpeg_create_compress(&j);
  jpeg_mem_dest(&j, &f.data, &size);
  j.image_width = 20;
  j.image_height = 11;
  j.input_components = space == JCS_GRAYSCALE ? 1 : space == JCS_CMYK ? 4 : 3;
  j.in_color_space = space;
  jpeg_set_defaults(&j);
  jpeg_set_quality(&j, 100, TRUE);
  if (progressive)
    jpeg_simple_progression(&j);
  jpeg_start_compress(&j, TRUE);
  for (int x = 0; x < 20 * j.input_components; x++) /* the same red in every pixel */
    row[x] = x % j.input_components == 0 ? 200 : 40;
  while (j.next_scanline < j.image_height)
    jpeg_write_scanlines(&j, rows, 1);
  jpeg_finish_compress(&j);
  jpeg_destroy_compress(&j);
  f.size = size;
  return f;
}

START_TEST(jpeg_kinds)
{
  ctx = check_context();
  for (int progressive = 0; progressive < 2; progressive++) {
    struct image im;
    struct file f = make_jpeg(JCS_RGB, progressive);
    ck_gie_ok(ctx, decode(f.data, f.size, &im));
    ck_assert(im.width == 20 && im.height == 11 && im.channels == 3);
    ck_assert(abs(im.data[0] - 200) <= 2 && abs(im.data[1] - 40) <= 2 && abs(im.data[2] - 40) <= 2);
    image_free(ctx, &im);
    free(f.data);
    f = make_jpeg(JCS_GRAYSCALE, progressive);
    ck_gie_ok(ctx, decode(f.data, f.size, &im));
    ck_assert(im.channels == 1 && abs(im.data[0] - 200) <= 1);
    image_free(ctx, &im);
    free(f.data);
    f = make_jpeg(JCS_CMYK, progressive);
    ck_gie(ctx, decode(f.data, f.size, &im), GIE_E_UNSUPPORTED);
    free(f.data);
  }
  gie_context_free(ctx);
}
END_TEST

START_TEST(jpeg_damaged)
{
  ctx = check_context();
  for (int progressive = 0; progressive < 2; progressive++) {
    struct file f = make_jpeg(JCS_RGB, progressive);
    /* The end marker itself may be missing: libjpeg has all pixels by then. */
    damage(&f, 3, 2);
    free(f.data);
  }
  gie_context_free(ctx);
}
END_TEST

/* Dims in the frame header that the rest of the file does not hold. */
START_TEST(jpeg_huge)
{
  ctx = check_context();
  struct image im;
  struct file f = make_jpeg(JCS_RGB, false);
  unsigned char *frame = memmem(f.data, f.size, "\xff\xc0", 2);
  ck_assert(frame);
  memset(frame + 5, 0xff, 4);
  gie_status st = decode(f.data, f.size, &im);
  ck_assert(st == GIE_E_LIMIT || st == GIE_E_DATA);
  memset(frame + 5, 0, 4);
  ck_gie(ctx, decode(f.data, f.size, &im), GIE_E_DATA);
  free(f.data);
  gie_context_free(ctx);
}
END_TEST
#endif

START_TEST(not_images)
{
  struct image im;
  ctx = check_context();
  ck_gie(ctx, decode((const unsigned char *)"GIF89a", 6, &im), GIE_E_DATA);
  ck_gie(ctx, decode((const unsigned char *)"", 0, &im), GIE_E_DATA);
  ck_gie(ctx, image_read(ctx, "/nonexistent.png", &im), GIE_E_NOINPUT);
  gie_context_free(ctx);
}
END_TEST

/* ---- Resizing */

static void resize(const unsigned char *in, uint32_t w, uint32_t h, uint32_t to_w, uint32_t to_h, float *out)
{
  struct image im = {w, h, 1, (unsigned char *)(uintptr_t)in};
  ck_gie_ok(ctx, image_resize(ctx, &im, to_w, to_h, false, out));
}

START_TEST(resizing)
{
  static const unsigned char ramp[] = {0, 100}, four[] = {0, 80, 160, 240}, square[] = {0, 100, 100, 200};
  float out[64];
  ctx = check_context();
  /* Same size: the same. */
  resize(four, 4, 1, 4, 1, out);
  ck_assert(out[0] == 0 && out[1] == 80 && out[3] == 240);
  /* Growing 2 → 4: centres at 0.25, 0.75, 1.25, 1.75; bilinear between 0.5 and 1.5, the border repeated. */
  resize(ramp, 2, 1, 4, 1, out);
  ck_assert_float_eq_tol(out[0], 0, 1e-4);
  ck_assert_float_eq_tol(out[1], 25, 1e-4);
  ck_assert_float_eq_tol(out[2], 75, 1e-4);
  ck_assert_float_eq_tol(out[3], 100, 1e-4);
  /* Shrinking 4 → 2: a triangle of half-width 2 round 1: weights 3/4 3/4 1/4 of (0, 80, 160), normalized. */
  resize(four, 4, 1, 2, 1, out);
  ck_assert_float_eq_tol(out[0], (0.75f * 80 + 0.25f * 160) / 1.75f, 1e-3);
  ck_assert_float_eq_tol(out[1], (0.25f * 80 + 0.75f * 160 + 0.75f * 240) / 1.75f, 1e-3);
  /* The same from the nearest pixels only: centres at 1 and 3, and 5 → 2 with centres at 1.25 and 3.75. */
  static const unsigned char five[] = {0, 40, 80, 120, 160};
  struct image im = {4, 1, 1, (unsigned char *)(uintptr_t)four};
  ck_gie_ok(ctx, image_resize(ctx, &im, 2, 1, true, out));
  ck_assert_float_eq_tol(out[0], 40, 1e-3);
  ck_assert_float_eq_tol(out[1], 200, 1e-3);
  im = (struct image){5, 1, 1, (unsigned char *)(uintptr_t)five};
  ck_gie_ok(ctx, image_resize(ctx, &im, 2, 1, true, out));
  ck_assert_float_eq_tol(out[0], 30, 1e-3);
  ck_assert_float_eq_tol(out[1], 130, 1e-3);
  /* Both axes, and down to one pixel. */
  resize(square, 2, 2, 1, 1, out);
  ck_assert_float_eq_tol(out[0], 100, 1e-4);
  resize(square, 2, 2, 3, 3, out);
  ck_assert_float_eq_tol(out[4], 100, 1e-4);
  /* Constants stay. */
  unsigned char flat[35];
  memset(flat, 77, sizeof flat);
  resize(flat, 7, 5, 3, 8, out);
  for (int i = 0; i < 24; i++)
    ck_assert_float_eq_tol(out[i], 77, 1e-4);
  gie_context_free(ctx);
}
END_TEST

/* ---- Into an input */

static struct gie_type type_of(enum gie_dtype dtype, int rank, const int64_t *dim)
{
  struct gie_type t = {.dtype = dtype, .shape = {.rank = rank}};
  for (int i = 0; i < rank; i++)
    t.shape.dim[i] = dim[i] < 0 ? gie_dim_unknown() : gie_dim_num(dim[i]);
  return t;
}

START_TEST(into_inputs)
{
  /* 2 x 1 pixels: red 10 green 20 blue 30, red 40 green 50 blue 60 */
  unsigned char pixels[] = {10, 20, 30, 40, 50, 60}, grey_pixels[] = {7, 9};
  struct image color = {2, 1, 3, pixels}, grey = {2, 1, 1, grey_pixels};
  static const struct {
    int rank;
    int64_t dim[4];
    bool grey, bgr;
    size_t n;
    double wanted[6];
  } cases[] = {
      {4, {1, 3, 1, 2}, false, false, 6, {10, 40, 20, 50, 30, 60}},
      {4, {-1, 3, -1, -1}, false, false, 6, {10, 40, 20, 50, 30, 60}},
      {4, {1, 3, 1, 2}, false, true, 6, {30, 60, 20, 50, 10, 40}},
      {4, {1, 1, 2, 3}, false, false, 0, {0}}, /* NCHW wins: 1 channel, and the size is wrong */
      {4, {1, -1, -1, 3}, false, false, 6, {10, 20, 30, 40, 50, 60}},
      {3, {3, 1, 2}, false, false, 6, {10, 40, 20, 50, 30, 60}},
      {4, {1, 3, 1, 2}, true, false, 6, {7, 9, 7, 9, 7, 9}},
      {4, {1, 1, 1, 2}, true, true, 2, {7, 9}},
      {4, {1, 1, 1, 2}, false, false, 2, {18.15, 48.15}}, /* .299 .587 .114 */
      {4, {2, 3, 1, 2}, false, false, 0, {0}},
      {2, {1, 2}, false, false, 0, {0}},
      {4, {1, 4, 1, 2}, false, false, 0, {0}},
      {4, {1, 3, 2, 2}, false, false, 0, {0}}, /* needs --resize */
  };
  ctx = check_context();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct image_rule rule = {.scale = {1, 1, 1}, .bgr = cases[i].bgr};
    struct gie_type type = type_of(GIE_F32, cases[i].rank, cases[i].dim);
    struct gie_tensor t;
    gie_status st = image_tensor(ctx, cases[i].grey ? &grey : &color, &type, &rule, &t);
    ck_assert_msg((st == GIE_OK) == (cases[i].n > 0), "case %zu: %s", i, gie_error_text(ctx));
    if (st != GIE_OK) {
      ck_assert_int_eq(st, GIE_E_SHAPE);
      continue;
    }
    ck_assert_uint_eq(tensor_count(&t), cases[i].n);
    for (size_t k = 0; k < cases[i].n; k++)
      ck_assert_double_eq_tol(tensor_get(&t, k), cases[i].wanted[k], 1e-4);
    tensor_free(ctx, &t);
  }
  gie_context_free(ctx);
}
END_TEST

START_TEST(normalization)
{
  unsigned char pixels[] = {10, 20, 30};
  struct image im = {1, 1, 3, pixels};
  static const int64_t dim[] = {1, 3, 2, 2};
  struct image_rule rule = {.mean = {1, 2, 3}, .scale = {2, 0.5, 1}, .bgr = true, .resize = true};
  struct gie_type type = type_of(GIE_F16, 4, dim);
  struct gie_tensor t;
  ctx = check_context();
  ck_gie_ok(ctx, image_tensor(ctx, &im, &type, &rule, &t));
  ck_assert_int_eq(t.dtype, GIE_F16);
  ck_assert_double_eq(tensor_get(&t, 0), (30 - 1) * 2); /* mean and scale are in the order fed */
  ck_assert_double_eq(tensor_get(&t, 4), (20 - 2) * 0.5);
  ck_assert_double_eq(tensor_get(&t, 8), 10 - 3);
  tensor_free(ctx, &t);
  rule.width = rule.height = 3;
  ck_gie(ctx, image_tensor(ctx, &im, &type, &rule, &t), GIE_E_SHAPE);
  gie_context_free(ctx);
}
END_TEST

#ifdef HAVE_PNG
#define PNG_TESTS png_kinds, png_damaged, png_huge,
#else
#define PNG_TESTS
#endif
#ifdef HAVE_JPEG
#define JPEG_TESTS jpeg_kinds, jpeg_damaged, jpeg_huge,
#else
#define JPEG_TESTS
#endif

GIE_TESTS_MAIN("tools/image", PNG_TESTS JPEG_TESTS not_images, resizing, into_inputs, normalization)
