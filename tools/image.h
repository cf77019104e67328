/* SPDX-License-Identifier: Apache-2.0 */
/* Images as network inputs: decoding, resizing, normalization. */
#ifndef GIE_TOOLS_IMAGE_H
#define GIE_TOOLS_IMAGE_H

#include "core/base/base.h"
#include <gie/gie.h>

/* Limits on what is decoded: files can announce anything. */
#define IMAGE_MAX_SIDE 32768
#define IMAGE_MAX_PIXELS ((size_t)1 << 26)

/* Interleaved bytes, row by row; 1 (grey) or 3 (red, green, blue) channels. */
struct image {
  uint32_t width, height, channels;
  unsigned char *data;
};

/* True for the first bytes of a .png or .jpg file. */
bool image_is(const unsigned char *head, size_t n);
/* Decodes .png (any depth and colour, alpha dropped) and .jpg (grey and colour; no CMYK). Messages begin
 * with the path. */
gie_status image_read(struct gie_context *ctx, const char *path, struct image *out);
gie_status image_decode(struct gie_context *ctx, const unsigned char *data, size_t size, struct image *out);
void image_free(struct gie_context *ctx, struct image *im);
/* Allocates data for the size announced, after checking it (image.c, for the decoders). */
gie_status image_alloc(struct gie_context *ctx, uint32_t width, uint32_t height, uint32_t channels,
                       struct image *out);
/* png.c, jpeg.c */
gie_status image_decode_png(struct gie_context *ctx, const unsigned char *data, size_t size,
                            struct image *out);
gie_status image_decode_jpeg(struct gie_context *ctx, const unsigned char *data, size_t size,
                             struct image *out);

/* Saves as .png, atomically. */
gie_status image_write_png(struct gie_context *ctx, const char *path, const struct image *im);

/* A mean image: planes of floats, in the order of the channels as fed. */
struct image_mean {
  uint32_t channels, height, width;
  float *data; /* NULL: there is none */
};
/* Reads Caffe's .binaryproto (binaryproto.c); freed with gie_free(). Messages begin with the path. */
gie_status image_mean_read(struct gie_context *ctx, const char *path, struct image_mean *out);

/* How an image becomes numbers: (x - mean) * scale per channel, in the order of the channels as fed. */
struct image_rule {
  double mean[3], scale[3];
  struct image_mean
      mean_image; /* instead of mean; the middle of it where it is larger than the input, as Caffe crops */
  bool bgr;
  bool resize;            /* to what the input wants, or to width and height */
  bool linear;            /* shrink by bilinear interpolation too */
  uint32_t width, height; /* 0: not given */
};

/* The image as a tensor for an input of that type: [1,C,H,W], [1,H,W,C], or without the 1, with C 1 or 3. `fixed`
 * (may be NULL) are dims that replace those of the type. The network decides the size, where its dims are
 * numbers; else the image does. */
gie_status image_tensor(struct gie_context *ctx, const struct image *im, const struct gie_type *type,
                        const struct image_rule *rule, struct gie_tensor *out);

/* Planes of floats: [channel][y][x], resized. Shrinking averages over the pixels that fall into one, growing is
 * bilinear; pixel centres are at half coordinates in both. `linear`: shrinking is bilinear too, from the nearest pixels. */
gie_status image_resize(struct gie_context *ctx, const struct image *im, uint32_t width, uint32_t height,
                        bool linear, float *out);

#endif
