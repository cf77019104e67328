/* SPDX-License-Identifier: Apache-2.0 */
/* Network files: which reader takes a file, and what to say when none does.
 *
 * Text IR is recognized by its first word or the suffix .gie; everything else goes to the format
 * module whose probe is surest (the first by name among equals). A file that is well known not to
 * be a network is named for what it is, unless a probe is certain. */
#include "core/ir/ir.h"
#include "core/module/registry.h"
#include <unistd.h>

#define HEAD_SIZE 4096
#define CERTAIN 90 /* a probe above this has seen a magic number */

/* ---- What a file looks like */

struct magic {
  size_t offset, n;
  const char *bytes;
  const char *what, *remedy;
};

#define EXPORT_ONNX "export the network to ONNX (torch.onnx.export) and give that file"
#define NOT_NETWORK "give the network's file"
static const struct magic magics[] = {
    {0, 4, "PK\3\4", "a zip archive, which PyTorch's .pt and .pth files and .npz are", EXPORT_ONNX},
    {0, 4, "PK\5\6", "an empty zip archive", NOT_NETWORK},
    {0, 2, "\x80\2", "a Python pickle, which old PyTorch files are", EXPORT_ONNX},
    {0, 2, "\x80\4", "a Python pickle", EXPORT_ONNX},
    {0, 2, "\x1f\x8b", "gzip data", "unpack it with gunzip first"},
    {0, 6,
     "\xfd"
     "7zXZ",
     "xz data", "unpack it with unxz first"},
    {0, 4, "\x28\xb5\x2f\xfd", "zstd data", "unpack it with unzstd first"},
    {0, 3, "BZh", "bzip2 data", "unpack it with bunzip2 first"},
    {257, 5, "ustar", "a tar archive", "unpack it with tar first"},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file, which Keras .h5 files are",
     "convert the network to ONNX (tf2onnx)"},
    {4, 4, "TFL3", "a TensorFlow Lite model", "convert the network to ONNX (tf2onnx --tflite)"},
    {0, 4, "GGUF", "a GGUF model", "export the original network to ONNX"},
    {0, 8, "\x89PNG\r\n\x1a\n", "a PNG image", NOT_NETWORK},
    {0, 3, "\xff\xd8\xff", "a JPEG image", NOT_NETWORK},
    {0, 6, "\x93NUMPY", "a NumPy array", NOT_NETWORK},
    {0, 4,
     "\x7f"
     "ELF",
     "a program or library", "modules are given with --module"},
    {0, 5, "%PDF-", "a PDF document", NOT_NETWORK},
    {0, 7, "GIEWGT1", "the weights file of a .gie text", "give the .gie file beside it"},
    {0, 8, "\x89GIEPLN\n", "a plan of gie",
     "give the network that it was built from, or run the plan with gie run"},
    {0, 20, "version https://git-", "a pointer of Git LFS", "fetch the file itself with git lfs pull"},
};

/* Skips blanks and, in text IR, comments. */
static const char *first_word(const char *s, const char *end, bool comments)
{
  for (;;) {
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n'))
      s++;
    if (!comments || s >= end || *s != '#')
      return s;
    while (s < end && *s != '\n')
      s++;
  }
}

/* ASCII only, whatever the locale. */
static bool same_folded(const char *a, const char *b, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + 32) : a[i];
    char y = b[i] >= 'A' && b[i] <= 'Z' ? (char)(b[i] + 32) : b[i];
    if (x != y)
      return false;
  }
  return true;
}

static bool word_is(const char *s, const char *end, const char *word)
{
  size_t n = strlen(word);
  if ((size_t)(end - s) < n || !same_folded(s, word, n))
    return false;
  char c = (size_t)(end - s) > n ? s[n] : ' ';
  return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_');
}

static const struct magic *find_magic(const struct gie_source *src)
{
  static const struct magic html = {0, 0, "", "a web page",
                                    "the download got an error or a viewer's page: fetch the raw file"};
  for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
    const struct magic *m = &magics[i];
    if (m->offset + m->n <= src->n_head && memcmp(src->head + m->offset, m->bytes, m->n) == 0)
      return m;
  }
  const char *end = (const char *)src->head + src->n_head,
             *s = first_word((const char *)src->head, end, false);
  if (word_is(s, end, "<!doctype") || word_is(s, end, "<html") || word_is(s, end, "<head") ||
      word_is(s, end, "<?xml"))
    return &html;
  return NULL;
}

static bool has_suffix(const char *path, const char *suffix)
{
  size_t n = strlen(path), k = strlen(suffix);
  return n > k && same_folded(path + n - k, suffix, k);
}

static bool is_text(const struct gie_source *src)
{
  const char *end = (const char *)src->head + src->n_head,
             *s = first_word((const char *)src->head, end, true);
  return has_suffix(src->path, ".gie") || word_is(s, end, "graph");
}

/* ---- Loading */

static const struct gie_format *surest(struct gie_context *ctx, const struct gie_source *src, int *score)
{
  const struct gie_format *best = NULL, *f;
  *score = 0;
  for (uint32_t i = 0; (f = gie_format_at(ctx, i)); i++) {
    int s = f->probe(src);
    if (s > *score) {
      best = f;
      *score = s;
    }
  }
  return best;
}

const char *mod_looks_like(struct gie_context *ctx, const struct gie_source *src, const char **remedy)
{
  int score;
  const struct gie_format *f = surest(ctx, src, &score);
  const struct magic *m = score > CERTAIN ? NULL : find_magic(src);
  *remedy = m ? m->remedy : "";
  if (m || f)
    return m ? m->what : f->name;
  return is_text(src) ? "gie text" : NULL;
}

static gie_status no_format(struct gie_context *ctx)
{
  const struct gie_format *f;
  struct gie_buf b;
  gie_buf_init(&b, ctx);
  gie_buf_puts(&b, "gie text (.gie)");
  for (uint32_t i = 0; (f = gie_format_at(ctx, i)); i++) {
    gie_buf_printf(&b, ", %s (", f->name);
    for (const char *const *s = f->suffixes; *s; s++)
      gie_buf_printf(&b, "%s%s", s == f->suffixes ? "" : " ", *s);
    gie_buf_puts(&b, ")");
  }
  gie_status st = b.status;
  if (st == GIE_OK)
    st = gie_fail(ctx, GIE_E_DATA, "no format recognizes this file; known here: %s", b.data);
  gie_buf_free(&b);
  return st;
}

static gie_status import(struct gie_context *ctx, const struct gie_source *src, struct gie_graph **out)
{
  int score;
  const struct gie_format *f = surest(ctx, src, &score);
  const struct magic *m = score > CERTAIN ? NULL : find_magic(src);
  struct gie_graph *g = NULL;
  if (m)
    return gie_fail(ctx, GIE_E_DATA, "this looks like %s; %s", m->what, m->remedy);
  if (!f)
    return no_format(ctx);
  GIE_TRY(f->import(ctx, src, &g));
  if (!g)
    return gie_fail(ctx, GIE_E_INTERNAL,
                    "format \"%s\" reports success without a graph; that is a bug of its module", f->name);
  *out = g;
  return GIE_OK;
}

static gie_status load(struct gie_context *ctx, struct gie_source *src, unsigned char *head,
                       struct gie_graph **out)
{
  struct gie_graph *g = NULL;
  if (src->size == 0)
    return gie_fail(ctx, GIE_E_DATA, "the file is empty; %s", NOT_NETWORK);
  src->head = head;
  src->n_head = src->size < HEAD_SIZE ? (size_t)src->size : HEAD_SIZE;
  GIE_TRY(gie_file_pread(ctx, src->fd, src->path, head, src->n_head, 0));
  GIE_TRY(is_text(src) ? ir_read_file(ctx, src->path, &g) : import(ctx, src, &g));
  gie_status st = gie_graph_verify(g);
  if (st == GIE_OK)
    *out = g;
  else
    gie_graph_free(g);
  return st;
}

/* Whether a message begins with the path, whose control characters are escaped there. */
static bool names_path(const char *text, const char *path)
{
  for (; *path; path++) {
    if ((unsigned char)*path >= ' ' && *path != 0x7f) {
      if (*text++ != *path)
        return false;
      continue;
    }
    if (text[0] != '\\' || !text[1] || (text[1] == 'x' && (!text[2] || !text[3])))
      return false;
    text += text[1] == 'x' ? 4 : 2;
  }
  return *text == ':';
}

/* The base layer and the text reader begin their messages with the path; everybody else leaves it to us. */
gie_status mod_with_path(struct gie_context *ctx, gie_status st, const char *path)
{
  if (st == GIE_OK || names_path(gie_error_text(ctx), path))
    return st;
  return gie_error_prefix(ctx, st, "%s", path);
}

gie_status gie_graph_load(struct gie_context *ctx, const char *path, const char *const *options,
                          struct gie_graph **out)
{
  struct gie_source src = {.struct_size = sizeof src, .path = path, .options = options};
  unsigned char head[HEAD_SIZE];
  gie_status st = gie_file_open(ctx, path, &src.fd, &src.size);
  if (st == GIE_OK) {
    st = load(ctx, &src, head, out);
    close(src.fd);
  }
  return mod_with_path(ctx, st, path);
}

/* ---- Saving */

static gie_status save_as(const struct gie_graph *g, const char *path, const struct gie_format *f)
{
  struct gie_context *ctx = gie_graph_context(g);
  struct gie_save s;
  GIE_TRY(gie_save_begin(ctx, path, &s));
  gie_status st = f->export_(ctx, g, path, s.fd);
  if (st == GIE_OK)
    return gie_save_commit(&s);
  gie_save_abort(&s);
  return st;
}

static bool takes_suffix(const struct gie_format *f, const char *path)
{
  for (const char *const *s = f->suffixes; *s; s++)
    if (has_suffix(path, *s))
      return true;
  return false;
}

/* What a graph can be written as: ".gie, .dot, .onnx". */
static void writable_suffixes(struct gie_context *ctx, char *text, size_t size)
{
  const struct gie_format *f;
  int n = snprintf(text, size, ".gie, .dot");
  for (uint32_t i = 0; (f = gie_format_at(ctx, i)); i++)
    for (const char *const *s = f->suffixes; f->export_ && *s; s++)
      if (n > 0 && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, ", %s", *s);
}

static gie_status save(const struct gie_graph *g, const char *path)
{
  struct gie_context *ctx = gie_graph_context(g);
  const struct gie_format *f, *read_only = NULL;
  if (ir_is_text_path(path))
    return ir_write_file(g, path);
  for (uint32_t i = 0; (f = gie_format_at(ctx, i)); i++) {
    if (takes_suffix(f, path) && f->export_)
      return save_as(g, path, f);
    if (takes_suffix(f, path))
      read_only = f;
  }
  char names[128];
  writable_suffixes(ctx, names, sizeof names);
  if (read_only)
    return gie_fail(ctx, GIE_E_UNSUPPORTED, "format \"%s\" can only be read; write %s", read_only->name,
                    names);
  return gie_fail(ctx, GIE_E_USAGE, "the suffix says no format that can be written; write %s", names);
}

gie_status gie_graph_save(const struct gie_graph *g, const char *path)
{
  return mod_with_path(gie_graph_context(g), save(g, path), path);
}
