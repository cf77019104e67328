/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs in files: FILE.gie with FILE.weights beside it, and FILE.dot. */
#include "core/ir/text.h"

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

/* Both files are written in full before either takes its name, so that a full
 * disk leaves the old pair as it was. */
static gie_status write_pair(struct gie_context *ctx, const char *path, const char *text, size_t size,
                             struct weights_out *out)
{
  struct gie_save weights, main;
  char *beside = weights_path(ctx, path);
  if (!beside)
    return GIE_E_MEMORY;
  gie_status s = gie_save_begin(ctx, beside, &weights);
  gie_free(ctx, beside);
  GIE_TRY(s);
  s = gie_save_begin(ctx, path, &main);
  if (s != GIE_OK) {
    gie_save_abort(&weights);
    return s;
  }
  s = weights_write(out, &weights);
  if (s == GIE_OK)
    s = gie_save_write(&main, text, size);
  if (s != GIE_OK) {
    gie_save_abort(&weights);
    gie_save_abort(&main);
    return s;
  }
  s = gie_save_commit(&weights);
  if (s == GIE_OK)
    return gie_save_commit(&main);
  gie_save_abort(&main);
  return s;
}

gie_status ir_write_file(const struct gie_graph *g, const char *path)
{
  struct gie_context *ctx = gie_graph_context(g);
  struct gie_buf b;
  struct weights_out out = {ctx, NULL, 0, 0};
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
