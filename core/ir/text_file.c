/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs in files: FILE.gie with FILE.weights beside it, and FILE.dot. */
#include "core/ir/text.h"
#include <unistd.h>

static bool has_suffix(const char *path, const char *suffix)
{
  size_t n = strlen(path), m = strlen(suffix);
  return n > m && strcmp(path + n - m, suffix) == 0;
}

bool ir_is_text_path(const char *path) { return has_suffix(path, ".gie") || has_suffix(path, ".dot"); }

gie_status ir_read_file(struct gie_context *ctx, const char *path, struct gie_graph **out)
{
  char *text, *weights = weights_path(ctx, path);
  size_t size;
  if (!weights)
    return GIE_E_MEMORY;
  gie_status s = gie_file_read(ctx, path, TEXT_MAX_SIZE, &text, &size);
  if (s == GIE_OK) {
    s = gie_graph_parse(ctx, text, size, weights, out);
    if (s != GIE_OK)
      gie_error_prefix(ctx, s, "%s", path);
    gie_free(ctx, text);
  }
  gie_free(ctx, weights);
  return s;
}

static gie_status write_text(struct gie_context *ctx, const char *path, const char *text, size_t size)
{
  struct gie_save save;
  GIE_TRY(gie_save_begin(ctx, path, &save));
  gie_status s = gie_save_write(&save, text, size);
  if (s == GIE_OK)
    return gie_save_commit(&save);
  gie_save_abort(&save);
  return s;
}

/* ---- Text and weights
 *
 * Two files cannot be renamed at once. So the weights file first gets what the older text needs as well, then
 * the text changes, then the weights file gets what the newer one needs and no more: whenever the process is
 * killed or the disk is full, there is a text that has its weights. */

struct pair {
  struct gie_context *ctx;
  const char *path, *text;
  size_t size;
  char *beside;
  struct weights_out *out;
  struct weights_in *old; /* NULL: there is no older pair, or it is unreadable already */
};

static gie_status save_weights(struct pair *p, struct weights_out *out, struct gie_save *save)
{
  GIE_TRY(gie_save_begin(p->ctx, p->beside, save));
  gie_status s = weights_write(out, save);
  if (s != GIE_OK)
    gie_save_abort(save);
  return s;
}

/* Both files are complete on the disk before either takes its name. */
static gie_status save_both(struct pair *p, struct weights_out *out)
{
  struct gie_save weights, main;
  GIE_TRY(save_weights(p, out, &weights));
  gie_status s = gie_save_begin(p->ctx, p->path, &main);
  if (s == GIE_OK)
    s = gie_save_write(&main, p->text, p->size);
  if (s != GIE_OK) {
    gie_save_abort(&weights);
    return s;
  }
  s = gie_save_commit(&weights);
  if (s == GIE_OK)
    return gie_save_commit(&main);
  gie_save_abort(&main);
  return s;
}

/* The pair is saved already: that it stays larger than it must is no failure. */
static void trim_weights(struct pair *p)
{
  struct gie_save weights;
  gie_status s = save_weights(p, p->out, &weights);
  if (s == GIE_OK)
    s = gie_save_commit(&weights);
  if (s != GIE_OK)
    gie_log(p->ctx, GIE_LOG_WARN, "text", "%s: still has the constants of the text before: %s", p->beside,
            gie_error_text(p->ctx));
}

static gie_status save_over(struct pair *p)
{
  struct weights_out both;
  gie_status s = weights_join(p->out, p->old, &both);
  bool more = s == GIE_OK && both.n > p->out->n;
  if (s == GIE_OK)
    s = save_both(p, &both);
  if (s == GIE_OK && more)
    trim_weights(p);
  weights_out_free(&both);
  return s;
}

static gie_status write_pair(struct gie_context *ctx, const char *path, const char *text, size_t size,
                             struct weights_out *out)
{
  struct pair p = {.ctx = ctx, .path = path, .text = text, .size = size, .out = out};
  p.beside = weights_path(ctx, path);
  if (!p.beside)
    return GIE_E_MEMORY;
  if (access(path, F_OK) != 0 || access(p.beside, F_OK) != 0 || weights_open(ctx, p.beside, &p.old) != GIE_OK)
    p.old = NULL;
  gie_status s = p.old ? save_over(&p) : save_both(&p, out);
  weights_close(p.old);
  gie_free(ctx, p.beside);
  return s;
}

gie_status ir_write_file(const struct gie_graph *g, const char *path)
{
  struct gie_context *ctx = gie_graph_context(g);
  struct gie_buf b;
  struct weights_out out = {.ctx = ctx};
  gie_status s;
  if (has_suffix(path, ".dot")) {
    char *dot;
    size_t size;
    GIE_TRY(gie_graph_print_dot(g, &dot, &size));
    s = write_text(ctx, path, dot, size);
    gie_free(ctx, dot);
    return s;
  }
  gie_buf_init(&b, ctx);
  s = text_print(g, &b, &out);
  if (s == GIE_OK)
    s = out.n ? write_pair(ctx, path, b.data, b.len, &out) : write_text(ctx, path, b.data, b.len);
  gie_buf_free(&b);
  weights_out_free(&out);
  return s;
}
