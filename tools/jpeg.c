/* SPDX-License-Identifier: Apache-2.0 */
/* .jpg through libjpeg, from memory. libjpeg reports errors through a callback that must not return: it leaves by
 * longjmp, and what must survive that lives in struct reader, outside the function that calls setjmp.
 * Where libjpeg would fill a damaged rest with grey and warn, this is an error: a network should not see
 * a picture that is not there. */
#include "config.h"
#include "tools/image.h"

#ifdef HAVE_JPEG
#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdio.h>

#define MAX_SCANS 500 /* a small progressive file can ask for an hour of work */

struct reader {
  struct jpeg_error_mgr errors; /* first: the library's pointer to it casts back */
  struct jpeg_progress_mgr progress;
  struct jpeg_decompress_struct jpeg;
  struct gie_context *ctx;
  struct image *out;
  gie_status status;
  bool too_many_scans;
  char why[JMSG_LENGTH_MAX];
  jmp_buf leave;
};

static void on_error(j_common_ptr jpeg)
{
  struct reader *r = (struct reader *)(void *)jpeg->err;
  jpeg->err->format_message(jpeg, r->why);
  longjmp(r->leave, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
  struct reader *r = (struct reader *)(void *)jpeg->err;
  char text[JMSG_LENGTH_MAX];
  if (level >= 0)
    return;
  if (jpeg->err->msg_code == JWRN_JPEG_EOF || jpeg->err->msg_code == JWRN_HIT_MARKER ||
      jpeg->err->msg_code == JWRN_HUFF_BAD_CODE)
    on_error(jpeg);
  jpeg->err->format_message(jpeg, text);
  gie_log(r->ctx, GIE_LOG_INFO, "jpeg", "%s", text);
}

static void on_progress(j_common_ptr jpeg)
{
  struct reader *r = (struct reader *)(void *)jpeg->err;
  if (r->jpeg.input_scan_number <= MAX_SCANS)
    return;
  snprintf(r->why, sizeof r->why, "more than %d scans", MAX_SCANS);
  longjmp(r->leave, 1);
}

static void read_image(struct reader *r)
{
  struct jpeg_decompress_struct *j = &r->jpeg;
  jpeg_read_header(j, TRUE);
  if (j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK) {
    r->status = gie_fail(r->ctx, GIE_E_UNSUPPORTED, "a .jpg image in CMYK; convert it to RGB");
    return;
  }
  j->out_color_space = j->jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
  uint32_t channels = j->out_color_space == JCS_RGB ? 3 : 1;
  /* Before the decoder asks for memory of that size itself. */
  r->status = image_alloc(r->ctx, j->image_width, j->image_height, channels, r->out);
  if (r->status != GIE_OK)
    return;
  jpeg_start_decompress(j);
  while (j->output_scanline < j->output_height) {
    JSAMPROW row = r->out->data + (size_t)j->output_scanline * j->output_width * channels;
    jpeg_read_scanlines(j, &row, 1);
  }
  jpeg_finish_decompress(j);
}

static bool guarded(struct reader *r, const unsigned char *data, size_t size)
{
  if (setjmp(r->leave))
    return false;
  jpeg_create_decompress(&r->jpeg);
  r->progress.progress_monitor = on_progress;
  r->jpeg.progress = &r->progress;
  jpeg_mem_src(&r->jpeg, data, (unsigned long)size);
  read_image(r);
  return true;
}

gie_status image_decode_jpeg(struct gie_context *ctx, const unsigned char *data, size_t size,
                             struct image *out)
{
  struct reader r = {.ctx = ctx, .out = out};
  r.jpeg.err = jpeg_std_error(&r.errors);
  r.errors.error_exit = on_error;
  r.errors.emit_message = on_message;
  if (!guarded(&r, data, size))
    r.status = gie_fail(ctx, GIE_E_DATA, "damaged .jpg image: %s", r.why);
  jpeg_destroy_decompress(&r.jpeg);
  return r.status;
}

#else

gie_status image_decode_jpeg(struct gie_context *ctx, const unsigned char *data, size_t size,
                             struct image *out)
{
  (void)data, (void)size, (void)out;
  return gie_fail(ctx, GIE_E_UNSUPPORTED, "this gie was built without libjpeg; feed a .png, .npy or .pb");
}

#endif
