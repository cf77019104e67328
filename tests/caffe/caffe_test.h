/* SPDX-License-Identifier: Apache-2.0 */
/* Networks for Caffe as files: their text, and weights that are made field by field. */
#ifndef GIE_TESTS_CAFFE_TEST_H
#define GIE_TESTS_CAFFE_TEST_H

#include "tests/gie_check.h"
#include <sys/stat.h>
#include <unistd.h>

#define INPUT "input: \"x\" input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 5\n"
#define IP \
  "layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'y' inner_product_param { num_output: 2 } }"

struct files {
  struct gie_context *ctx;
  char dir[64], net[96], model[96], option[128];
};

static inline void files_begin(struct files *f)
{
  const struct gie_context_options options = {.struct_size = sizeof options, .log = check_no_log};
  ck_assert_int_eq(gie_context_new(&options, &f->ctx), GIE_OK);
  strcpy(f->dir, "/tmp/gie-caffe-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(f->dir));
  snprintf(f->net, sizeof f->net, "%s/deploy.prototxt", f->dir);
  snprintf(f->model, sizeof f->model, "%s/net.caffemodel", f->dir);
  snprintf(f->option, sizeof f->option, "weights=%s", f->model);
}

static inline void files_end(struct files *f)
{
  gie_context_free(f->ctx);
  unlink(f->net);
  unlink(f->model);
  ck_assert_int_eq(rmdir(f->dir), 0);
}

static inline void save(const char *path, const void *p, size_t n)
{
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(p, 1, n, f), n);
  ck_assert_int_eq(fclose(f), 0);
}

static inline gie_status load(struct files *f, const char *net, const char *option, struct gie_graph **g)
{
  const char *options[] = {option, NULL};
  *g = NULL;
  save(f->net, net, strlen(net));
  return gie_graph_load(f->ctx, f->net, options, g);
}

/* ---- A .caffemodel ----------------------------------------------------------------------------- */

struct bytes {
  unsigned char v[4096];
  size_t n;
};

static inline void put(struct bytes *b, const void *p, size_t n)
{
  ck_assert(b->n + n <= sizeof b->v);
  memcpy(b->v + b->n, p, n);
  b->n += n;
}

static inline void put_varint(struct bytes *b, uint64_t v)
{
  for (; v > 0x7f; v >>= 7)
    put(b, &(unsigned char){(unsigned char)(v | 0x80)}, 1);
  put(b, &(unsigned char){(unsigned char)v}, 1);
}

static inline void put_field(struct bytes *b, unsigned number, const void *p, size_t n)
{
  put_varint(b, number << 3 | 2);
  put_varint(b, n);
  put(b, p, n);
}

/* A blob whose elements count up from `first`; dims ended by 0, the old form for `legacy`. */
static inline struct bytes blob(const int *dims, bool legacy, bool wide, float first)
{
  struct bytes b = {.n = 0}, shape = {.n = 0}, data = {.n = 0};
  size_t count = 1;
  for (unsigned i = 0; dims[i]; i++) {
    count *= (size_t)dims[i];
    if (legacy)
      put_varint(&b, (i + 1) << 3);
    put_varint(legacy ? &b : &shape, (uint64_t)dims[i]);
  }
  for (size_t i = 0; i < count; i++) {
    double d = (double)first + (double)i;
    float f = (float)d;
    put(&data, wide ? (void *)&d : (void *)&f, wide ? sizeof d : sizeof f);
  }
  if (!legacy) {
    struct bytes message = {.n = 0};
    put_field(&message, 1, shape.v, shape.n);
    put_field(&b, 7, message.v, message.n);
  }
  put_field(&b, wide ? 8 : 5, data.v, data.n);
  return b;
}

enum version { V0, V1, V2 };

static inline void put_layer(struct bytes *net, enum version version, const char *name,
                             const struct bytes *blobs, int n)
{
  struct bytes l = {.n = 0};
  put_field(&l, version == V1 ? 4 : 1, name, strlen(name));
  for (int i = 0; i < n; i++)
    put_field(&l, version == V0 ? 50 : version == V1 ? 6 : 7, blobs[i].v, blobs[i].n);
  if (version == V0) {
    struct bytes outer = {.n = 0};
    put_field(&outer, 1, l.v, l.n);
    l = outer;
  }
  put_field(net, version == V2 ? 100 : 2, l.v, l.n);
}

#endif
