/* SPDX-License-Identifier: Apache-2.0 */
/* Finds what each input of a network is fed with, and makes the tensors. */
#include "tools/feed.h"
#include "tools/kernels.h"
#include <unistd.h>

#define DEFAULT_SEED 1

/* ---- Names */

const char *feed_list(struct tool *t, const struct gie_graph *g, uint32_t n,
                      gie_id (*at)(const struct gie_graph *, uint32_t))
{
  const char *text = n ? "" : "none";
  for (uint32_t i = 0; i < n; i++) {
    const struct gie_value *v = gie_value_get(g, at(g, i));
    text = tool_format(t, "%s%s%s %s", text, i ? ", " : "", v->name, tool_type(t, g, &v->type));
  }
  return text;
}

gie_status feed_split(struct tool *t, const struct gie_graph *g, const char *what, uint32_t n,
                      gie_id (*at)(const struct gie_graph *, uint32_t), const char *text, uint32_t *index,
                      const char **file)
{
  /* A name may itself hold "=", so the names that there are decide. */
  for (uint32_t i = 0; i < n; i++) {
    const char *name = gie_value_get(g, at(g, i))->name;
    size_t k = strlen(name);
    if (strncmp(text, name, k) == 0 && text[k] == '=') {
      *index = i;
      *file = text + k + 1;
      return GIE_OK;
    }
  }
  const char *equals = strchr(text, '=');
  if (n == 1 && (!equals || access(text, F_OK) == 0)) {
    *index = 0;
    *file = text;
    return GIE_OK;
  }
  if (!equals)
    return gie_fail(t->ctx, GIE_E_USAGE, "--%s %s: say which %s, as NAME=FILE; the network has: %s", what,
                    text, what, feed_list(t, g, n, at));
  return gie_fail(t->ctx, GIE_E_USAGE, "there is no %s \"%.*s\"; the network has: %s", what,
                  (int)(equals - text), text, feed_list(t, g, n, at));
}

/* ---- Flags */

/* One number for all channels, or three. */
static gie_status parse_channels(struct tool *t, const char *flag, const char *text, double out[3])
{
  const char *s = text, *end = text + strlen(text);
  uint32_t n = 0;
  for (; n < 3; n++) {
    if (!gie_parse_double(s, end, &out[n], &s) || out[n] - out[n] != 0)
      break;
    if (s == end) {
      n++;
      break;
    }
    if (*s++ != ',')
      break;
  }
  if (s != end || (n != 1 && n != 3))
    return gie_fail(t->ctx, GIE_E_USAGE, "--%s=%s: give one number or three, separated by commas", flag,
                    text);
  if (n == 1)
    out[1] = out[2] = out[0];
  return GIE_OK;
}

static gie_status parse_resize(struct tool *t, const char *text, struct image_rule *rule)
{
  static const char linear[] = "linear";
  size_t n = strlen(text), k = sizeof linear - 1;
  const char *end = text + n, *s = text;
  int64_t w, h;
  rule->resize = true;
  if (n >= k && strcmp(end - k, linear) == 0 && (n == k || end[-(ptrdiff_t)k - 1] == ',')) {
    rule->linear = true;
    end = n == k ? text : end - k - 1;
  }
  if (n == 0 || n == k * rule->linear)
    return GIE_OK;
  if (!gie_parse_int(s, end, &w, &s) || s == end || *s++ != 'x' || !gie_parse_int(s, end, &h, &s) ||
      s != end || w < 1 || h < 1 || w > IMAGE_MAX_SIDE || h > IMAGE_MAX_SIDE)
    return gie_fail(
        t->ctx, GIE_E_USAGE,
        "--resize=%s: give WIDTHxHEIGHT, each 1 to %d, linear, both with a comma, or --resize alone", text,
        IMAGE_MAX_SIDE);
  rule->width = (uint32_t)w;
  rule->height = (uint32_t)h;
  return GIE_OK;
}

/* Caffe's mean images have that name. */
static bool is_mean_file(const char *text)
{
  static const char suffix[] = ".binaryproto";
  size_t n = strlen(text), k = sizeof suffix - 1;
  return n > k && strcmp(text + n - k, suffix) == 0;
}

/* Kept until the command ends. */
static gie_status read_mean(struct tool *t, const char *path, struct image_mean *out)
{
  struct image_mean m;
  GIE_TRY(image_mean_read(t->ctx, path, &m));
  size_t bytes = (size_t)m.channels * m.height * m.width * sizeof *m.data;
  float *kept = gie_arena_alloc(&t->arena, bytes, 1);
  if (kept)
    memcpy(kept, m.data, bytes);
  gie_free(t->ctx, m.data);
  *out = (struct image_mean){m.channels, m.height, m.width, kept};
  return kept ? GIE_OK : gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
}

static gie_status parse_image_rule(struct tool *t, const struct feed_options *o, struct image_rule *rule)
{
  *rule = (struct image_rule){.scale = {1, 1, 1}};
  if (o->mean && is_mean_file(o->mean))
    GIE_TRY(read_mean(t, o->mean, &rule->mean_image));
  else if (o->mean)
    GIE_TRY(parse_channels(t, "mean", o->mean, rule->mean));
  if (o->scale)
    GIE_TRY(parse_channels(t, "scale", o->scale, rule->scale));
  if (o->resize)
    GIE_TRY(parse_resize(t, o->resize, rule));
  rule->bgr = o->channel_order && strcmp(o->channel_order, "bgr") == 0;
  if (o->channel_order && !rule->bgr && strcmp(o->channel_order, "rgb") != 0)
    return gie_fail(t->ctx, GIE_E_USAGE, "--channel-order=%s: give rgb or bgr", o->channel_order);
  return GIE_OK;
}

static gie_status parse_seed(struct tool *t, const char *text, struct feeds *f)
{
  int64_t seed = DEFAULT_SEED;
  const char *end = text ? text + strlen(text) : NULL, *next = end;
  if (!text)
    return GIE_OK;
  if (*text && (!gie_parse_int(text, end, &seed, &next) || next != end))
    return gie_fail(t->ctx, GIE_E_USAGE, "--random=%s: the seed is a whole number", text);
  f->random = true;
  f->seed = (uint64_t)seed;
  return GIE_OK;
}

/* ---- Putting it together */

static gie_status add_file(struct tool *t, struct tool_list *files, const char *file)
{
  const char **v = gie_arena_alloc(&t->arena, (size_t)files->n + 2, sizeof *v);
  if (!v)
    return gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
  if (files->n)
    memcpy(v, files->v, files->n * sizeof *v);
  v[files->n++] = file;
  files->v = v;
  return GIE_OK;
}

static gie_status assign_files(struct tool *t, const struct tool_list *inputs, struct feeds *f)
{
  for (uint32_t i = 0; i < inputs->n; i++) {
    uint32_t index;
    const char *file;
    GIE_TRY(feed_split(t, f->g, "input", f->n, gie_graph_input, inputs->v[i], &index, &file));
    GIE_TRY(add_file(t, &f->v[index].files, file));
  }
  f->runs = 1;
  for (uint32_t i = 0; i < f->n; i++)
    f->runs = f->v[i].files.n > f->runs ? f->v[i].files.n : f->runs;
  for (uint32_t i = 0; i < f->n; i++)
    if (f->v[i].files.n > 1 && f->v[i].files.n != f->runs)
      return gie_fail(t->ctx, GIE_E_USAGE, "input \"%s\" is given %u times, another one %u times",
                      f->v[i].name, (unsigned)f->v[i].files.n, (unsigned)f->runs);
  return GIE_OK;
}

static gie_status take_shapes(struct tool *t, const char *text, struct feeds *f)
{
  struct gie_type *types = gie_arena_alloc(&t->arena, f->n, sizeof *types);
  if (!types)
    return gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
  if (text && !*text)
    return gie_fail(t->ctx, GIE_E_USAGE,
                    "--shapes= names no input; give NAME:1x3x224x224, several separated by commas");
  gie_status st = gie_graph_parse_shapes(f->g, text, types);
  if (st != GIE_OK)
    return gie_error_prefix(t->ctx, st, "--shapes");
  for (uint32_t i = 0; i < f->n; i++)
    f->v[i].type = types[i];
  return GIE_OK;
}

static gie_status check_complete(struct tool *t, const struct feeds *f)
{
  const char *missing = NULL;
  for (uint32_t i = 0; i < f->n; i++)
    if (f->v[i].needed && f->v[i].files.n == 0 && !f->random)
      missing = missing ? tool_format(t, "%s, %s", missing, f->v[i].name) : f->v[i].name;
  if (!missing)
    return GIE_OK;
  return gie_fail(
      t->ctx, GIE_E_USAGE,
      "nothing to feed %s with; the network's inputs are: %s; give --input NAME=FILE, or --random", missing,
      feed_list(t, f->g, f->n, gie_graph_input));
}

gie_status feeds_make(struct tool *t, const struct gie_graph *g, const struct feed_options *o,
                      struct feeds *out)
{
  struct feeds f = {.g = g, .n = gie_graph_n_inputs(g)};
  f.v = gie_arena_alloc(&t->arena, f.n, sizeof *f.v);
  if (!f.v)
    return gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
  for (uint32_t i = 0; i < f.n; i++) {
    const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
    f.v[i] = (struct feed){.name = v->name, .type = v->type, .needed = v->n_uses || v->n_outputs};
  }
  GIE_TRY(parse_image_rule(t, o, &f.rule));
  GIE_TRY(parse_seed(t, o->random, &f));
  GIE_TRY(take_shapes(t, o->shapes, &f));
  GIE_TRY(assign_files(t, &o->inputs, &f));
  GIE_TRY(check_complete(t, &f));
  *out = f;
  return GIE_OK;
}

/* ---- Tensors */

const char *feed_file(const struct feeds *f, uint32_t run, uint32_t i)
{
  const struct tool_list *files = &f->v[i].files;
  return files->n == 0 ? NULL : files->v[files->n == 1 ? 0 : run];
}

static bool is_image(struct tool *t, const char *path)
{
  unsigned char head[8];
  uint64_t size;
  int fd;
  if (gie_file_open(t->ctx, path, &fd, &size) != GIE_OK)
    return false; /* who reads it next says why */
  bool is = size >= sizeof head && gie_file_pread(t->ctx, fd, path, head, sizeof head, 0) == GIE_OK &&
            image_is(head, sizeof head);
  close(fd);
  return is;
}

const char *feed_image(struct tool *t, const struct feeds *f, uint32_t run)
{
  for (uint32_t i = 0; i < f->n; i++) {
    const char *file = feed_file(f, run, i);
    if (file && is_image(t, file))
      return file;
  }
  return NULL;
}

static gie_status load_image(struct tool *t, const struct feeds *f, const struct feed *feed, const char *path,
                             struct gie_tensor *out)
{
  struct image im;
  GIE_TRY(image_read(t->ctx, path, &im));
  gie_status st = image_tensor(t->ctx, &im, &feed->type, &f->rule, out);
  image_free(t->ctx, &im);
  return st == GIE_OK ? st : gie_error_prefix(t->ctx, st, "%s: input \"%s\"", path, feed->name);
}

static gie_status load_tensor(struct tool *t, const struct feed *feed, const char *path,
                              struct gie_tensor *out)
{
  struct gie_tensor as_is;
  GIE_TRY(tensor_read(t->ctx, path, &as_is));
  if (feed->type.dtype == GIE_DTYPE_NONE || as_is.dtype == feed->type.dtype) {
    *out = as_is;
    return GIE_OK;
  }
  gie_status st = tensor_convert(t->ctx, &as_is, feed->type.dtype, out);
  tensor_free(t->ctx, &as_is);
  return st;
}

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). */
static uint64_t next_random(uint64_t *state)
{
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* Floats in [0, 1), bytes 0 … 255, other integers and bool 0 or 1, which are safe as indices. */
static gie_status load_random(struct tool *t, const struct feeds *f, uint32_t i, struct gie_tensor *out)
{
  const struct feed *feed = &f->v[i];
  int64_t dim[GIE_MAX_RANK];
  uint64_t state = f->seed * 0x2545f4914f6cdd1du + i;
  if (feed->type.shape.rank < 0 || feed->type.dtype == GIE_DTYPE_NONE)
    return gie_fail(t->ctx, GIE_E_SHAPE, "the shape of input \"%s\" is not known; give --shapes=%s:…",
                    feed->name, feed->name);
  for (int k = 0; k < feed->type.shape.rank; k++)
    if (!dim_number(feed->type.shape.dim[k], &dim[k]))
      dim[k] = 1;
  GIE_TRY(tensor_new(t->ctx, feed->type.dtype, feed->type.shape.rank, dim, out));
  size_t n = tensor_count(out);
  bool is_float = gie_dtype_class(out->dtype) == 'f';
  for (size_t k = 0; k < n; k++) {
    uint64_t r = next_random(&state);
    tensor_set(out, k,
               is_float               ? (double)(r >> 40) / (1 << 24)
               : out->dtype == GIE_U8 ? (double)(r >> 56)
                                      : (double)(r >> 63));
  }
  return GIE_OK;
}

/* What --shapes said must be what the file has. */
static gie_status check_shape(struct tool *t, const struct feeds *f, const struct feed *feed,
                              const char *path, const struct gie_tensor *x)
{
  struct gie_type have = {.dtype = x->dtype, .shape = {.rank = x->rank}};
  bool fits = feed->type.shape.rank < 0 || feed->type.shape.rank == x->rank;
  for (int i = 0; i < x->rank; i++) {
    have.shape.dim[i] = gie_dim_num(x->dim[i]);
    fits = fits && (feed->type.shape.rank < 0 || !gie_dim_is_num(feed->type.shape.dim[i]) ||
                    feed->type.shape.dim[i].b == x->dim[i]);
  }
  if (fits)
    return GIE_OK;
  return gie_fail(t->ctx, GIE_E_SHAPE, "%s: the tensor is %s, input \"%s\" wants %s", path,
                  tool_type(t, f->g, &have), feed->name, tool_type(t, f->g, &feed->type));
}

gie_status feeds_load(struct tool *t, const struct feeds *f, uint32_t run, uint32_t i, struct gie_tensor *out)
{
  const struct feed *feed = &f->v[i];
  const char *path = feed_file(f, run, i);
  if (!path)
    return load_random(t, f, i, out);
  GIE_TRY(is_image(t, path) ? load_image(t, f, feed, path, out) : load_tensor(t, feed, path, out));
  gie_status st = check_shape(t, f, feed, path, out);
  if (st != GIE_OK)
    tensor_free(t->ctx, out);
  return st;
}
