/* SPDX-License-Identifier: Apache-2.0 */
/* .png through libpng, from memory. A damaged file ends in an error, never in a half-read image.
 * libpng leaves a failed call by longjmp: what must survive it lives in struct reader, outside the function
 * that calls setjmp. */
#include "config.h"
#include "tools/image.h"

#ifdef HAVE_PNG
#include <png.h>

#define MAX_CHUNK ((size_t)1 << 23) /* of what is not the picture, unpacked */

struct reader {
  struct gie_context *ctx;
  const unsigned char *data;
  size_t size, at;
  png_structp png;
  png_infop info;
  png_bytep *rows;
  struct image *out;
  gie_status status; /* set when our own code failed; its text is recorded */
  char why[128];
};

static void on_error(png_structp png, png_const_charp text)
{
  struct reader *r = png_get_error_ptr(png);
  snprintf(r->why, sizeof r->why, "%s", text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
  struct reader *r = png_get_error_ptr(png);
  gie_log(r->ctx, GIE_LOG_INFO, "png", "%s", text);
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
  struct reader *r = png_get_io_ptr(png);
  if (n > r->size - r->at)
    png_error(png, "the file ends too early");
  memcpy(to, r->data + r->at, n);
  r->at += n;
}

/* 8 bits per channel, grey or RGB. */
static void set_transforms(struct reader *r)
{
  png_set_expand(r->png); /* palettes, less than 8 bits, transparent colours */
  png_set_scale_16(r->png);
  png_set_strip_alpha(r->png);
  png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
}

static void read_image(struct reader *r)
{
  png_read_info(r->png, r->info);
  set_transforms(r);
  uint32_t w = png_get_image_width(r->png, r->info), h = png_get_image_height(r->png, r->info);
  uint32_t channels = png_get_channels(r->png, r->info);
  size_t row = (size_t)w * channels;
  if ((channels != 1 && channels != 3) || png_get_rowbytes(r->png, r->info) != row)
    png_error(r->png, "a kind of pixel that should not occur");
  r->status = image_alloc(r->ctx, w, h, channels, r->out);
  if (r->status == GIE_OK && !(r->rows = gie_alloc(r->ctx, h, sizeof *r->rows)))
    r->status = GIE_E_MEMORY;
  if (r->status != GIE_OK)
    return;
  for (uint32_t y = 0; y < h; y++)
    r->rows[y] = r->out->data + y * row;
  png_read_image(r->png, r->rows);
  png_read_end(r->png, NULL);
}

static bool guarded(struct reader *r)
{
  if (setjmp(png_jmpbuf(r->png)))
    return false;
  png_set_read_fn(r->png, r, on_read);
  png_set_user_limits(r->png, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE);
  png_set_chunk_malloc_max(r->png, MAX_CHUNK);
  png_set_chunk_cache_max(r->png, 256);
  png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
  read_image(r);
  return true;
}

gie_status image_decode_png(struct gie_context *ctx, const unsigned char *data, size_t size,
                            struct image *out)
{
  struct reader r = {.ctx = ctx, .data = data, .size = size, .out = out};
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
  r.info = r.png ? png_create_info_struct(r.png) : NULL;
  if (!r.info)
    r.status = gie_fail(ctx, GIE_E_MEMORY, "out of memory");
  else if (!guarded(&r))
    r.status = gie_fail(ctx, GIE_E_DATA, "damaged .png image: %s", r.why);
  if (r.png)
    png_destroy_read_struct(&r.png, &r.info, NULL);
  gie_free(ctx, r.rows);
  return r.status;
}

/* ---- Writing */

struct writer {
  struct gie_context *ctx;
  const struct image *im;
  struct gie_buf file;
  png_structp png;
  png_infop info;
};

static void on_write(png_structp png, png_bytep from, size_t n)
{
  struct writer *w = png_get_io_ptr(png);
  gie_buf_put(&w->file, from, n);
}

static void on_flush(png_structp png) { (void)png; }

static bool encode(struct writer *w)
{
  const struct image *im = w->im;
  if (setjmp(png_jmpbuf(w->png)))
    return false;
  png_set_write_fn(w->png, w, on_write, on_flush);
  png_set_IHDR(w->png, w->info, im->width, im->height, 8,
               im->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(w->png, w->info);
  for (size_t y = 0; y < im->height; y++)
    png_write_row(w->png, im->data + y * im->width * im->channels);
  png_write_end(w->png, NULL);
  return true;
}

gie_status image_write_png(struct gie_context *ctx, const char *path, const struct image *im)
{
  struct writer w = {.ctx = ctx, .im = im};
  struct gie_save s;
  gie_buf_init(&w.file, ctx);
  w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  w.info = w.png ? png_create_info_struct(w.png) : NULL;
  bool done = w.info && encode(&w);
  if (w.png)
    png_destroy_write_struct(&w.png, &w.info);
  gie_status st = !done ? gie_fail(ctx, GIE_E_MEMORY, "%s: the image could not be packed", path)
                        : w.file.status;
  if (st == GIE_OK)
    st = gie_save_begin(ctx, path, &s);
  if (st == GIE_OK) {
    st = gie_save_write(&s, w.file.data, w.file.len);
    if (st == GIE_OK)
      st = gie_save_commit(&s);
    else
      gie_save_abort(&s);
  }
  gie_buf_free(&w.file);
  return st;
}

#else

gie_status image_write_png(struct gie_context *ctx, const char *path, const struct image *im)
{
  (void)im;
  return gie_fail(ctx, GIE_E_UNSUPPORTED, "%s: this gie was built without libpng and writes no images", path);
}

gie_status image_decode_png(struct gie_context *ctx, const unsigned char *data, size_t size,
                            struct image *out)
{
  (void)data, (void)size, (void)out;
  return gie_fail(ctx, GIE_E_UNSUPPORTED, "this gie was built without libpng; feed a .jpg, .npy or .pb");
}

#endif
