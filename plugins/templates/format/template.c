/* SPDX-License-Identifier: Apache-2.0 */
/* A file format for gie: a chain of layers as text, one per line.
 *
 *     template 1              first line: name and version
 *     input 2x3x4             dims
 *     add 1                   adds a whole number
 *     relu                    any op that has one operand and needs no attribute
 *
 * The result of the last line is the network's output. */
#include <gie/module.h>

#define FIRST_LINE "template 1\n"
#define MAX_SIZE (1 << 20)

/* 1. Is this file ours? From the first bytes and the suffix alone: 0 (no) to 100 (certainly). */
static int probe(const struct gie_source *src)
{
  size_t n = strlen(FIRST_LINE);
  return src->n_head >= n && memcmp(src->head, FIRST_LINE, n) == 0 ? 95 : 0;
}

/* 2. Reading one line into the graph. Nothing in a file is believed: every number is checked, and
 *    errors say where and what to do. `last` is the value that the next layer reads. */
struct chain {
  struct gie_context *ctx;
  struct gie_graph *g;
  gie_id last;
};

static gie_status read_input(struct chain *c, const char *dims)
{
  struct gie_type type = {GIE_F32, {0, {{0, 0, 0}}}};
  char *end;
  do {
    long long n = strtoll(dims, &end, 10);
    if (end == dims || n < 1 || n > INT32_MAX || type.shape.rank == GIE_MAX_RANK || !strchr("x", *end))
      return gie_fail(c->ctx, GIE_E_PARSE, "\"%s\" is no list of 1 to %d dims like 2x3x4; correct it", dims,
                      GIE_MAX_RANK);
    type.shape.dim[type.shape.rank++] = gie_dim_num(n);
    dims = end + 1;
  } while (*end);
  return gie_graph_add_input(c->g, "input", &type, &c->last);
}

static gie_status read_add(struct chain *c, const char *number)
{
  struct gie_node_spec spec = GIE_NODE_SPEC("add");
  const struct gie_type scalar = {GIE_F32, {0, {{0, 0, 0}}}};
  struct gie_const data = {NULL, 0, sizeof(float)};
  gie_id in[2] = {c->last, GIE_NONE}, node;
  char *end;
  float v = (float)strtoll(number, &end, 10);
  if (end == number || *end)
    return gie_fail(c->ctx, GIE_E_PARSE, "\"%s\" is no whole number; correct it", number);
  GIE_TRY(gie_blob_new(c->ctx, sizeof v, &data.blob));
  memcpy(gie_blob_data(data.blob), &v, sizeof v);
  gie_status st = gie_graph_add_const(c->g, NULL, &scalar, &data, &in[1]);
  gie_blob_unref(data.blob); /* the graph has its own reference */
  GIE_TRY(st);
  spec.in = in;
  spec.n_in = 2;
  GIE_TRY(gie_node_add(c->g, &spec, &node));
  c->last = gie_node_get(c->g, node)->out[0];
  return GIE_OK;
}

static gie_status read_layer(struct chain *c, const char *op)
{
  struct gie_node_spec spec = GIE_NODE_SPEC(op);
  gie_id node;
  /* Ops that nobody knows are kept as opaque nodes: `gie check` lists them all at once. */
  spec.opaque = true;
  spec.in = &c->last;
  spec.n_in = 1;
  GIE_TRY(gie_node_add(c->g, &spec, &node));
  c->last = gie_node_get(c->g, node)->out[0];
  return GIE_OK;
}

static gie_status read_line(struct chain *c, char *line)
{
  char *rest = strchr(line, ' ');
  if (rest)
    *rest++ = 0;
  if (strcmp(line, "input") == 0 && rest && c->last == GIE_NONE)
    return read_input(c, rest);
  if (c->last == GIE_NONE)
    return gie_fail(c->ctx, GIE_E_PARSE, "expected \"input DIMS\" before the layers");
  if (strcmp(line, "add") == 0 && rest)
    return read_add(c, rest);
  if (rest)
    return gie_fail(c->ctx, GIE_E_PARSE, "\"%s\" takes nothing behind it", line);
  return read_layer(c, line);
}

/* 3. Reading the file. The graph that fails half-way is freed; the engine adds the file's name. */
static gie_status read_lines(struct chain *c, char *text)
{
  int number = 1;
  for (char *line = strchr(text, '\n') + 1, *next; *line; line = next) {
    size_t n = strcspn(line, "\n");
    next = line + n + (line[n] != 0);
    line[n] = 0;
    number++;
    gie_status st = n ? read_line(c, line) : GIE_OK;
    if (st != GIE_OK)
      return gie_error_prefix(c->ctx, st, "line %d", number);
  }
  if (c->last == GIE_NONE)
    return gie_fail(c->ctx, GIE_E_PARSE, "no input; write \"input DIMS\" in the second line");
  return gie_graph_add_output(c->g, c->last);
}

static gie_status import(struct gie_context *ctx, const struct gie_source *src, struct gie_graph **out)
{
  struct chain c = {ctx, NULL, GIE_NONE};
  if (src->size > MAX_SIZE)
    return gie_fail(ctx, GIE_E_LIMIT, "%llu bytes, more than %d are no chain", (unsigned long long)src->size,
                    MAX_SIZE);
  size_t size = (size_t)src->size;
  char *text = gie_alloc(ctx, size + 1, 1);
  if (!text)
    return GIE_E_MEMORY;
  gie_status st = gie_file_pread(ctx, src->fd, src->path, text, size, 0);
  if (st == GIE_OK && memchr(text, 0, size))
    st = gie_fail(ctx, GIE_E_PARSE, "a zero byte in a text; is the file damaged?");
  if (st == GIE_OK)
    st = gie_graph_new(ctx, "chain", &c.g);
  if (st == GIE_OK)
    st = read_lines(&c, text);
  gie_free(ctx, text);
  if (st == GIE_OK)
    *out = c.g;
  else
    gie_graph_free(c.g);
  return st;
}

/* 4. The table. */
static const char *const suffixes[] = {".template", NULL};
static const struct gie_format format = {
    .struct_size = sizeof format,
    .name = "template",
    .suffixes = suffixes,
    .help = "a chain of layers as text",
    .probe = probe,
    .import = import,
};

/* 5. The module: its name, its kind and what it registers. */
static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  return host->register_format(host, &format);
}

GIE_MODULE("template", GIE_MODULE_FORMAT, init)
