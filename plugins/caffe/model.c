/* SPDX-License-Identifier: Apache-2.0 */
/* The .caffemodel: a pre-scan that leaves the payloads in the file, layers by name, blobs as f32. Weights for
 * a network without a file are made here too. */
#include "plugins/caffe/caffe.h"
#include "plugins/common/unpack.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define END                      \
  {                              \
    0, PRE_VARINT, 0, NULL, NULL \
  }

static const struct pre_field shape_fields[] = {{1, PRE_VARINT, PRE_REPEATED, "dim", NULL}, END};
static const struct pre_message shape = {"BlobShape", shape_fields, 0};

static const struct pre_field blob_fields[] = {{1, PRE_VARINT, 0, "num", NULL},
                                               {2, PRE_VARINT, 0, "channels", NULL},
                                               {3, PRE_VARINT, 0, "height", NULL},
                                               {4, PRE_VARINT, 0, "width", NULL},
                                               {5, PRE_FIXED32, PRE_REPEATED | PRE_LIFT, "data", NULL},
                                               {7, PRE_MESSAGE, 0, "shape", &shape},
                                               {8, PRE_FIXED64, PRE_REPEATED | PRE_LIFT, "double_data", NULL},
                                               END};
static const struct pre_message blob = {"BlobProto", blob_fields, 0};

static const struct pre_field v0_fields[] = {{1, PRE_NAME, 0, "name", NULL},
                                             {50, PRE_MESSAGE, PRE_REPEATED, "blobs", &blob},
                                             END};
static const struct pre_message v0 = {"V0LayerParameter", v0_fields, 0};

static const struct pre_field v1_fields[] = {{1, PRE_MESSAGE, 0, "layer", &v0},
                                             {4, PRE_NAME, 0, "name", NULL},
                                             {6, PRE_MESSAGE, PRE_REPEATED, "blobs", &blob},
                                             END};
static const struct pre_message v1 = {"V1LayerParameter", v1_fields, 0};

static const struct pre_field v2_fields[] = {{1, PRE_NAME, 0, "name", NULL},
                                             {7, PRE_MESSAGE, PRE_REPEATED, "blobs", &blob},
                                             END};
static const struct pre_message v2 = {"LayerParameter", v2_fields, 0};

static const struct pre_field net_fields[] = {{2, PRE_MESSAGE, PRE_REPEATED, "layers", &v1},
                                              {100, PRE_MESSAGE, PRE_REPEATED, "layer", &v2},
                                              END};
static const struct pre_message net = {"NetParameter", net_fields, 0};

/* ---- Opening --------------------------------------------------------------------------------- */

static gie_status parse(struct caffe_import *im)
{
  struct caffe_model *m = &im->model;
  ProtobufCMessage *parsed;
  GIE_TRY(unpack_file(im->ctx, &im->arena, &m->src, &net, &caffe__net__descriptor, &m->scan, &parsed));
  m->net = (Caffe__Net *)parsed;
  return GIE_OK;
}

static const char *v1_name(const Caffe__LayerV1 *l)
{
  const char *name = l->layer && l->layer->name ? l->layer->name : l->name;
  return name ? name : "";
}

static gie_status index_layers(struct caffe_import *im)
{
  struct caffe_model *m = &im->model;
  size_t n = m->net->n_layer ? m->net->n_layer : m->net->n_layers;
  if (m->net->n_layer && m->net->n_layers)
    return gie_fail(im->ctx, GIE_E_DATA,
                    "layers of format V1 and V2 in one file; convert it to V2 with Caffe's upgrade tool");
  if (n > GIE_MAX_NODES)
    return gie_fail(im->ctx, GIE_E_LIMIT, "%zu layers; at most %u are supported", n, GIE_MAX_NODES);
  if (!n)
    return gie_fail(im->ctx, GIE_E_DATA, "no layers in the file; it is truncated or no .caffemodel");
  for (size_t i = 0; i < n; i++) {
    const char *name = m->net->n_layers         ? v1_name(m->net->layers[i])
                       : m->net->layer[i]->name ? m->net->layer[i]->name
                                                : "";
    GIE_TRY(gie_map_set(&m->layers, name, (uint32_t)i));
  }
  return GIE_OK;
}

/* O_NONBLOCK: opening a FIFO must not wait. */
static gie_status open_file(struct caffe_import *im, const char *path, int *fd, uint64_t *size)
{
  struct stat s;
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (*fd < 0 || fstat(*fd, &s) != 0) {
    int why = errno;
    if (*fd >= 0)
      close(*fd);
    return gie_fail(im->ctx, why == EACCES ? GIE_E_PERM : GIE_E_NOINPUT, "%s: %s", path, strerror(why));
  }
  *size = (uint64_t)s.st_size;
  if (S_ISREG(s.st_mode))
    return GIE_OK;
  close(*fd);
  return gie_fail(im->ctx, GIE_E_NOINPUT, "%s: not a regular file", path);
}

gie_status caffe_open_model(struct caffe_import *im, const char *path)
{
  struct caffe_model *m = &im->model;
  m->src = (struct gie_source){.struct_size = sizeof m->src, .path = path};
  GIE_TRY(open_file(im, path, &m->src.fd, &m->src.size));
  m->path = path;
  m->scan.ctx = im->ctx;
  gie_status st = parse(im);
  if (st == GIE_OK)
    st = index_layers(im);
  return st == GIE_OK ? st : gie_error_prefix(im->ctx, st, "%s", path);
}

void caffe_close_model(struct caffe_import *im)
{
  if (im->model.path) {
    close(im->model.src.fd);
    prescan_free(&im->model.scan);
  }
}

gie_status caffe_find_weights(struct caffe_layer *n)
{
  const struct caffe_model *m = &n->im->model;
  uint32_t i = m->path ? gie_map_get(&m->layers, n->name) : UINT32_MAX;
  if (i == UINT32_MAX)
    return GIE_OK;
  if (m->net->n_layer) {
    n->blobs = m->net->layer[i]->blobs;
    n->n_blobs = m->net->layer[i]->n_blobs;
    return GIE_OK;
  }
  const Caffe__LayerV1 *l = m->net->layers[i];
  n->blobs = l->layer ? l->layer->blobs : l->blobs;
  n->n_blobs = l->layer ? l->layer->n_blobs : l->n_blobs;
  return GIE_OK;
}

/* ---- One blob -------------------------------------------------------------------------------- */

/* Equal but for leading dims of 1: old files have four dims whatever the blob is. */
static bool same_shape(const int64_t *a, size_t na, const int64_t *b, size_t nb)
{
  while (na && a[0] == 1)
    a++, na--;
  while (nb && b[0] == 1)
    b++, nb--;
  return na == nb && (!na || memcmp(a, b, na * sizeof *a) == 0);
}

static void dims_text(const int64_t *dims, size_t n, char *buf, size_t size)
{
  size_t at = (size_t)snprintf(buf, size, "[");
  for (size_t i = 0; i < n && at < size; i++)
    at += (size_t)snprintf(buf + at, size - at, "%s%lld", i ? "," : "", (long long)dims[i]);
  if (at < size)
    snprintf(buf + at, size - at, "]");
}

int caffe_blob_dims(const struct caffe_layer *n, uint32_t i, int64_t dims[GIE_MAX_RANK])
{
  const Caffe__Blob *b = n->blobs[i];
  const int64_t legacy[] = {b->num, b->channels, b->height, b->width};
  size_t rank = b->shape ? b->shape->n_dim : 4;
  if (rank > GIE_MAX_RANK)
    return -1;
  if (rank)
    memcpy(dims, b->shape ? b->shape->dim : legacy, rank * sizeof *dims);
  return (int)rank;
}

static gie_status check_shape(struct caffe_layer *n, uint32_t i, const int64_t *dims, int rank)
{
  const Caffe__Blob *b = n->blobs[i];
  const int64_t legacy[] = {b->num, b->channels, b->height, b->width};
  const int64_t *have = b->shape ? b->shape->dim : legacy;
  size_t n_have = b->shape ? b->shape->n_dim : 4;
  char is[256], wanted[256];
  if (same_shape(have, n_have, dims, (size_t)rank))
    return GIE_OK;
  dims_text(have, n_have < 8 ? n_have : 8, is, sizeof is);
  dims_text(dims, (size_t)rank, wanted, sizeof wanted);
  return gie_fail(n->ctx, GIE_E_SHAPE,
                  "layer \"%s\": blob %u is %s in %s, the layer wants %s; the two files are"
                  " not of the same network",
                  n->name, (unsigned)i, is, n->im->model.path, wanted);
}

/* Elements that are there, in one field and on one side of the pre-scan's limit. */
struct payload {
  const void *data;
  size_t n;
  const uint32_t *lifted;
  size_t n_lifted, element;
};

static gie_status find_payload(struct caffe_layer *n, const Caffe__Blob *b, struct payload *out)
{
  bool wide = b->n_double_data || b->n_lifted_double;
  *out = wide ? (struct payload){b->double_data, b->n_double_data, b->lifted_double, b->n_lifted_double, 8}
              : (struct payload){b->data, b->n_data, b->lifted_data, b->n_lifted_data, 4};
  if ((wide && (b->n_data || b->n_lifted_data)) || (out->n && out->n_lifted) || out->n_lifted > 1)
    return gie_fail(n->ctx, GIE_E_UNSUPPORTED,
                    "layer \"%s\": a blob's data is in several pieces; save the"
                    " .caffemodel again",
                    n->name);
  return GIE_OK;
}

static gie_status read_floats(struct caffe_layer *n, const struct payload *p, float *to, size_t count)
{
  const struct caffe_model *m = &n->im->model;
  size_t bytes = count * p->element;
  const struct pre_lift *l = p->n_lifted && p->lifted[0] < m->scan.n_lifts ? &m->scan.lifts[p->lifted[0]]
                                                                           : NULL;
  if (l ? l->size != bytes : p->n != count)
    return gie_fail(n->ctx, GIE_E_DATA,
                    "layer \"%s\": a blob needs %zu numbers, %llu are in %s; the file is"
                    " damaged",
                    n->name, count, (unsigned long long)(l ? l->size / p->element : p->n), m->path);
  if (p->element == 4) {
    if (l)
      return gie_file_pread(n->ctx, m->src.fd, m->path, to, bytes, l->offset);
    if (count)
      memcpy(to, p->data, bytes);
    return GIE_OK;
  }
  double chunk[512];
  for (size_t i = 0; i < count;) {
    size_t k = count - i < 512 ? count - i : 512;
    const double *from = l ? chunk : (const double *)p->data + i;
    if (l)
      GIE_TRY(gie_file_pread(n->ctx, m->src.fd, m->path, chunk, k * 8, l->offset + i * 8));
    for (size_t j = 0; j < k; j++)
      to[i + j] = (float)from[j];
    i += k;
  }
  return GIE_OK;
}

/* ---- Made-up weights: SplitMix64, seeded by the layer's name; four 16-bit parts of each number are added
 * up, which is close enough to a normal distribution and the same on every machine. */

static uint64_t next_random(uint64_t *state)
{
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static uint64_t stream(const struct caffe_layer *n, uint32_t i)
{
  uint64_t h = 0xcbf29ce484222325u;
  for (const char *s = n->name; *s; s++)
    h = (h ^ (unsigned char)*s) * 0x100000001b3u;
  return h + n->im->seed * 0x9e3779b97f4a7c15u + i;
}

static void make_up(const struct caffe_layer *n, uint32_t i, size_t fan_in, enum caffe_fill fill, float *to,
                    size_t count)
{
  static const float constants[] = {[CAFFE_ZERO] = 0, [CAFFE_ONE] = 1, [CAFFE_QUARTER] = 0.25f};
  uint64_t state = stream(n, i);
  /* The sum of four numbers below 65536 has a deviation of 65536/sqrt(3). */
  double scale = sqrt(2.0 / (double)(fan_in ? fan_in : 1)) * sqrt(3.0) / 65536;
  for (size_t k = 0; k < count; k++) {
    if (fill != CAFFE_HE) {
      to[k] = constants[fill];
      continue;
    }
    uint64_t r = next_random(&state);
    double sum = (double)(r & 0xffff) + (double)(r >> 16 & 0xffff) + (double)(r >> 32 & 0xffff) +
                 (double)(r >> 48);
    to[k] = (float)((sum - 131070) * scale);
  }
}

/* ---- For the layers -------------------------------------------------------------------------- */

static gie_status check_there(struct caffe_layer *n, uint32_t i)
{
  const struct caffe_import *im = n->im;
  if (im->random || (im->model.path && i < n->n_blobs))
    return GIE_OK;
  if (!im->model.path)
    return gie_fail(n->ctx, GIE_E_DATA,
                    "layer \"%s\" has weights, and no file with them is given; give one with"
                    " --weights=FILE.caffemodel, or --random-weights=SEED to try without",
                    n->name);
  return gie_fail(n->ctx, GIE_E_DATA,
                  "layer \"%s\" has no blob %u in %s; the two files are not of the same network", n->name,
                  (unsigned)i, im->model.path);
}

static gie_status count_of(struct caffe_layer *n, const int64_t *dims, int rank, size_t *count)
{
  size_t bytes;
  *count = 1;
  for (int i = 0; i < rank; i++)
    if (dims[i] < 1 || !gie_mul(*count, (size_t)dims[i], count))
      return gie_fail(n->ctx, GIE_E_LIMIT, "layer \"%s\": its weights have no possible size", n->name);
  if (!gie_mul(*count, sizeof(float), &bytes) || bytes > INT64_MAX)
    return gie_fail(n->ctx, GIE_E_LIMIT, "layer \"%s\": the size of its weights overflows", n->name);
  return GIE_OK;
}

gie_status caffe_weights(struct caffe_layer *n, uint32_t i, const int64_t *dims, int rank,
                         enum caffe_fill fill, struct gie_blob **out)
{
  size_t count;
  struct payload p = {0};
  struct gie_blob *b;
  GIE_TRY(check_there(n, i));
  GIE_TRY(count_of(n, dims, rank, &count));
  if (!n->im->random) {
    GIE_TRY(check_shape(n, i, dims, rank));
    GIE_TRY(find_payload(n, n->blobs[i], &p));
    if (!p.n && !p.n_lifted)
      return gie_fail(n->ctx, GIE_E_DATA, "layer \"%s\": blob %u has no data in %s", n->name, (unsigned)i,
                      n->im->model.path);
    if (p.n_lifted == 0 && p.n != count)
      return read_floats(n, &p, NULL, count);
  }
  if (n->im->random && count > CAFFE_MAX_RANDOM)
    return gie_fail(n->ctx, GIE_E_LIMIT, "layer \"%s\" has %zu weights; at most %u are made up", n->name,
                    count, CAFFE_MAX_RANDOM);
  if (count > n->im->model.src.size && !n->im->random)
    return gie_fail(n->ctx, GIE_E_DATA, "layer \"%s\": blob %u is greater than %s", n->name, (unsigned)i,
                    n->im->model.path);
  GIE_TRY(gie_blob_new_raw(n->ctx, count * sizeof(float), &b));
  gie_status st = GIE_OK;
  if (n->im->random)
    make_up(n, i, count / (size_t)(rank ? dims[0] : 1), fill, gie_blob_data(b), count);
  else
    st = read_floats(n, &p, gie_blob_data(b), count);
  if (st == GIE_OK)
    *out = b;
  else
    gie_blob_unref(b);
  return st;
}

gie_status caffe_weight_const(struct caffe_layer *n, uint32_t i, const int64_t *dims, int rank,
                              enum caffe_fill fill, const int64_t *as, int as_rank, gie_id *out)
{
  struct gie_type type = {GIE_F32, {as_rank, {{0}}}};
  struct gie_blob *b = NULL;
  char what[32];
  snprintf(what, sizeof what, "blob%u", (unsigned)i);
  for (int k = 0; k < as_rank; k++)
    type.shape.dim[k] = gie_dim_num(as[k]);
  GIE_TRY(caffe_weights(n, i, dims, rank, fill, &b));
  const struct gie_const data = {b, 0, gie_blob_size(b)};
  const char *name = caffe_fresh_name(n, what);
  gie_status st = name ? gie_graph_add_const(n->g, name, &type, &data, out) : GIE_E_MEMORY;
  gie_blob_unref(b);
  return st;
}
