/* SPDX-License-Identifier: Apache-2.0 */
/* gie target: writes down what a device can do, for passes that ask whether a rewrite pays. */
#include "core/tune/tune.h"
#include "tools/tool.h"

static const char what[] =
    "Prints or saves what the cost model knows of a device: its bandwidths and rates, measured once and then taken from the\n"
    "timing cache. gie opt --target=FILE decides by it whether a rewrite pays, on any machine, with or without the device.";
static const char examples[] =
    "  gie target\n"
    "  gie target --device=cuda -o h200.target\n"
    "  gie opt model.onnx --passes=default,structure --target=h200.target -o out.gie\n";

struct target_flags {
  const char *device, *cache, *out;
  bool estimate;
};

static gie_status save(struct tool *t, const char *path, const struct gie_buf *text)
{
  struct gie_save s;
  GIE_TRY(gie_save_begin(t->ctx, path, &s));
  gie_status st = gie_save_write(&s, text->data, text->len);
  if (st == GIE_OK)
    return gie_save_commit(&s);
  gie_save_abort(&s);
  return st;
}

static gie_status write_target(struct tool *t, const struct target_flags *f, const struct gie_target *target)
{
  struct gie_buf text;
  gie_buf_init(&text, t->ctx);
  tune_target_print(target, &text);
  gie_status st = text.status;
  if (st == GIE_OK && f->out)
    st = save(t, f->out, &text);
  else if (st == GIE_OK)
    fwrite(text.data, 1, text.len, stdout);
  gie_buf_free(&text);
  return st;
}

static gie_status describe(struct tool *t, const struct target_flags *f)
{
  struct gie_target target;
  GIE_TRY(tune_target_of(t->ctx, f->device, t->threads, f->cache, !f->estimate, &t->arena, &target));
  return write_target(t, f, &target);
}

int tool_target(struct tool *t, int argc, char **argv)
{
  struct target_flags f = {0};
  const struct tool_option options[] = {
      {"output", 'o', TOOL_TEXT, &f.out, "FILE", "where to save it; without it, it is printed"},
      {"device", 0, TOOL_TEXT, &f.device, "KIND[:N]", "which device; without it, the cpu"},
      {"timingCacheFile", 0, TOOL_TEXT, &f.cache, "FILE", "where measured figures are kept"},
      {"estimate", 0, TOOL_FLAG, &f.estimate, NULL,
       "measure nothing: built-in figures, or those of the cache"},
      {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"[-o FILE] [OPTION]...", what, examples, options, 0, 0};
  struct tool_list args;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  if ((exit_code = tool_open(t)) != TOOL_GO_ON)
    return exit_code;
  gie_status st = describe(t, &f);
  return st == GIE_OK ? 0 : tool_error(t, st);
}
