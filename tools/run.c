/* SPDX-License-Identifier: Apache-2.0 */
/* gie run: feeds a network, runs it, and says what came out. */
#include "tools/draw.h"
#include "tools/net.h"
#include "tools/profile.h"
#include "tools/report.h"
#include <math.h>

static const char what[] =
    "Runs a network or a plan. Inputs are tensors (.npy, ONNX TensorProto .pb) or images (.png, .jpg), which become\n"
    "(x - mean) * scale per channel; types are converted to the network's. An input given several times\n"
    "makes several runs. Exit 1 when a comparison fails.";
static const char examples[] =
    "  gie run model.onnx --input data=in.npy --output prob=out.npy\n"
    "  gie run model.onnx --input in.pb --compare expected.pb --rtol=1e-4\n"
    "  gie run model.onnx --input cat.jpg --resize --mean=123,117,104 --labels=names.txt --top=5\n"
    "  gie run model.onnx --random --shapes=data:1x3x224x224 --profile --memory\n"
    "  gie run faces.onnx --input photo.jpg --resize --mean=127 --scale=0.0078125 --draw boxes.png\n"
    "  gie run model.plan --input in.npy --compare expected.npy\n"
    "  gie run model.onnx --random --trace=trace.json     open it in Perfetto or chrome://tracing\n";

#define DEFAULT_TOP 5
#define DEFAULT_THRESHOLD 0.5
#define NO_BATCH UINT32_MAX /* the flag was not given */

struct run {
  struct feed_options feed;
  struct tool_list outputs, compare;
  struct compare_rule rule;
  const char *labels_file, *passes, *backend, *device, *trace, *draw;
  double threshold; /* of boxes that are drawn */
  uint32_t top, batch;
  bool profile, memory, is_json;
  /* while running */
  const char *model;
  struct tool_net net;
  struct tool_exec exec;
  struct feeds feeds;
  struct profile times;
  struct labels labels;
  struct outputs out;
  struct json json, *j; /* j: NULL for text */
  bool differs;
};

/* ---- One run */

static gie_status get_outputs(struct run *r)
{
  for (uint32_t i = 0; i < r->out.n; i++)
    GIE_TRY(gie_exec_output(r->exec.x, gie_value_get(r->exec.g, gie_graph_output(r->exec.g, i))->name,
                            &r->out.v[i]));
  return GIE_OK;
}

/* What the run is called: the file that changes from run to run, else the first. */
static const char *run_name(const struct run *r, uint32_t run)
{
  const char *name = NULL;
  for (uint32_t i = 0; i < r->feeds.n; i++) {
    const char *file = feed_file(&r->feeds, run, i);
    if (file && (!name || r->feeds.v[i].files.n > 1))
      name = file;
  }
  return name ? name : "random input";
}

/* Whether anything but the summary of the outputs was asked for. */
static bool wants_more(const struct run *r)
{
  return r->labels.n || r->outputs.n || r->compare.n || r->profile || r->memory || r->trace || r->draw;
}

/* The boxes that were found, as a list and in the image. */
static gie_status draw_run(struct tool *t, struct run *r, uint32_t run)
{
  struct draw_box *boxes;
  uint32_t n;
  const char *image = feed_image(t, &r->feeds, run);
  if (!image)
    return gie_fail(t->ctx, GIE_E_USAGE, "--draw draws into the image that was fed, and there is none");
  GIE_TRY(draw_find(t, &r->out, r->threshold, &boxes, &n));
  draw_report(t, r->j, boxes, n, &r->labels);
  if (r->j)
    json_close(r->j, '}');
  return draw_save(t, image, r->draw, boxes, n, &r->labels);
}

static gie_status report_run(struct tool *t, struct run *r, uint32_t run)
{
  if (r->j) {
    json_open(r->j, NULL, '{', false);
    json_text(r->j, "input", run_name(r, run));
    report_outputs(t, r->j, &r->out);
  } else if (!wants_more(r)) {
    if (r->feeds.runs > 1)
      printf("%s\n", tool_safe(t, run_name(r, run)));
    report_outputs(t, NULL, &r->out);
  }
  gie_status st = GIE_OK;
  if (r->draw)
    return draw_run(t, r, run);
  if (r->labels.n)
    st = report_top(t, r->j, &r->out, &r->labels, r->top, run_name(r, run));
  if (r->j)
    json_close(r->j, '}');
  return st == GIE_OK ? st : gie_error_prefix(t->ctx, st, "%s", r->labels_file);
}

static gie_status run_once(struct tool *t, struct run *r, uint32_t run)
{
  GIE_TRY(tool_feed_exec(t, &r->net, &r->exec, &r->feeds, run));
  double began = tool_now();
  gie_status st = gie_exec_run(r->exec.x);
  if (st == GIE_OK && (r->profile || r->trace))
    st = profile_add(&r->times, r->exec.x, began);
  if (st == GIE_OK)
    st = get_outputs(r);
  if (st != GIE_OK)
    return gie_error_prefix(t->ctx, st, "%s", r->model);
  return report_run(t, r, run);
}

/* ---- After the runs */

static gie_status write_outputs(struct tool *t, struct run *r)
{
  for (uint32_t i = 0; i < r->outputs.n; i++) {
    uint32_t index;
    const char *file;
    GIE_TRY(feed_split(t, r->exec.g, "output", r->out.n, gie_graph_output, r->outputs.v[i], &index, &file));
    GIE_TRY(tensor_write(t->ctx, file, gie_value_get(r->exec.g, gie_graph_output(r->exec.g, index))->name,
                         &r->out.v[index]));
  }
  return GIE_OK;
}

static gie_status compare_one(struct tool *t, struct run *r, const char *text)
{
  uint32_t index;
  const char *file;
  struct gie_tensor want;
  struct compare_result result;
  GIE_TRY(feed_split(t, r->exec.g, "output", r->out.n, gie_graph_output, text, &index, &file));
  GIE_TRY(tensor_read(t->ctx, file, &want));
  gie_status st = compare_tensors(t->ctx, &r->out.v[index], &want, &r->rule, &result);
  tensor_free(t->ctx, &want);
  if (st != GIE_OK)
    return gie_error_prefix(t->ctx, st, "%s", file);
  if (r->j)
    json_open(r->j, NULL, '{', true);
  report_compare(t, r->j, gie_value_get(r->exec.g, gie_graph_output(r->exec.g, index))->name, file, &result,
                 &r->rule);
  if (r->j)
    json_close(r->j, '}');
  r->differs |= !result.same;
  return GIE_OK;
}

static gie_status compare_all(struct tool *t, struct run *r)
{
  if (r->j && r->compare.n)
    json_open(r->j, "compare", '[', false);
  for (uint32_t i = 0; i < r->compare.n; i++)
    GIE_TRY(compare_one(t, r, r->compare.v[i]));
  if (r->j && r->compare.n)
    json_close(r->j, ']');
  return GIE_OK;
}

/* ---- The whole */

static gie_status prepare(struct tool *t, struct run *r)
{
  struct gie_exec_options options = {.struct_size = sizeof options,
                                     .device = r->device,
                                     .backends = r->backend,
                                     .threads = t->threads,
                                     .profile = r->profile || r->trace};
  profile_init(t, &r->times);
  GIE_TRY(tool_check_weights(t, r->model));
  GIE_TRY(tool_open_net(t, r->model, r->passes, &r->net));
  GIE_TRY(tool_open_exec(t, &r->net, r->batch, &options, &r->exec));
  GIE_TRY(tool_make_feeds(t, &r->net, &r->exec, &r->feed, &r->feeds));
  if (r->labels_file)
    GIE_TRY(labels_read(t, r->labels_file, &r->labels));
  if (r->feeds.runs > 1 && (r->outputs.n || r->compare.n || r->draw))
    return gie_fail(t->ctx, GIE_E_USAGE,
                    "--output, --compare and --draw go with one run; here an input is given %u times",
                    (unsigned)r->feeds.runs);
  if (r->draw && (strlen(r->draw) < 5 || strcmp(r->draw + strlen(r->draw) - 4, ".png") != 0))
    return gie_fail(t->ctx, GIE_E_USAGE, "--draw=%s: the picture is a PNG; give a name that ends in .png",
                    r->draw);
  r->out = (struct outputs){r->exec.g, gie_graph_n_outputs(r->exec.g), NULL};
  r->out.v = gie_arena_alloc(&t->arena, r->out.n, sizeof *r->out.v);
  return r->out.v ? GIE_OK : gie_fail(t->ctx, GIE_E_MEMORY, "out of memory");
}

static gie_status run_all(struct tool *t, struct run *r)
{
  struct tool_progress progress;
  gie_status st = GIE_OK;
  if (r->j) {
    json_begin(r->j);
    json_text(r->j, "file", r->model);
    json_open(r->j, "runs", '[', false);
  }
  tool_progress_begin(t, &progress);
  for (uint32_t i = 0; st == GIE_OK && i < r->feeds.runs; i++) {
    tool_progress_step(&progress, i, r->feeds.runs, tool_safe(t, run_name(r, i)));
    st = run_once(t, r, i);
  }
  tool_progress_end(&progress);
  if (r->j)
    json_close(r->j, ']');
  return st;
}

static gie_status report_all(struct tool *t, struct run *r)
{
  GIE_TRY(write_outputs(t, r));
  GIE_TRY(compare_all(t, r));
  if (r->profile || r->trace)
    GIE_TRY(profile_finish(&r->times));
  if (r->profile)
    profile_report(&r->times, r->j);
  if (r->trace)
    GIE_TRY(profile_trace(&r->times, r->trace, r->model));
  if (r->memory)
    GIE_TRY(report_memory(t, r->j, r->exec.x));
  if (r->j)
    json_end(r->j);
  return GIE_OK;
}

static int run(struct tool *t, struct run *r)
{
  gie_status st = prepare(t, r);
  if (st == GIE_OK)
    st = run_all(t, r);
  if (st == GIE_OK)
    st = report_all(t, r);
  int exit_code = st != GIE_OK ? tool_error(t, st) : r->differs ? gie_status_exit_code(GIE_E_NO) : 0;
  labels_free(t, &r->labels);
  profile_free(&r->times);
  tool_close_exec(&r->exec);
  tool_close_net(&r->net);
  return exit_code;
}

int tool_run(struct tool *t, int argc, char **argv)
{
  struct run r = {.rule = {NAN, NAN, 0},
                  .top = DEFAULT_TOP,
                  .threshold = DEFAULT_THRESHOLD,
                  .batch = NO_BATCH};
  const struct tool_option options[] = {
      {"input", 'i', TOOL_LIST, &r.feed.inputs, "[NAME=]FILE",
       "what to feed an input with: .npy, .pb, .png, .jpg"},
      {"random", 0, TOOL_MAYBE, &r.feed.random, "SEED", "feed the other inputs with random numbers"},
      {"shapes", 0, TOOL_TEXT, &r.feed.shapes, "NAME:DIMS,...",
       "dims of inputs that the network leaves open: data:1x3x224x224"},
      {"batch", 0, TOOL_COUNT, &r.batch, "N", "first dim of the inputs, whatever the network says"},
      {"resize", 0, TOOL_MAYBE, &r.feed.resize, "[WxH][,linear]",
       "resize images to what the input wants, or to W x H; linear: as OpenCV does"},
      {"mean", 0, TOOL_TEXT, &r.feed.mean, "M[,M,M]|FILE",
       "subtracted from image channels, in --channel-order; FILE: a mean image, .binaryproto"},
      {"scale", 0, TOOL_TEXT, &r.feed.scale, "S[,S,S]", "image channels are multiplied with this afterwards"},
      {"channel-order", 0, TOOL_TEXT, &r.feed.channel_order, "rgb|bgr",
       "order of an image's channels; default rgb"},
      {"output", 'o', TOOL_LIST, &r.outputs, "[NAME=]FILE", "save an output: .npy, .pb"},
      {"labels", 0, TOOL_TEXT, &r.labels_file, "FILE", "print the best labels; the file has one per line"},
      {"top", 0, TOOL_COUNT, &r.top, "K", "how many of them; default 5"},
      {"draw", 0, TOOL_TEXT, &r.draw, "FILE", "save the image with the boxes that were found: .png"},
      {"threshold", 0, TOOL_REAL, &r.threshold, "S", "least score of a box that is drawn; default 0.5"},
      {"compare", 0, TOOL_LIST, &r.compare, "[NAME=]FILE",
       "compare an output with this reference: .npy, .pb"},
      {"rtol", 0, TOOL_REAL, &r.rule.rtol, "R",
       "tolerate max|a-b| <= R * max|b|; default: by type, f32 1e-4"},
      {"atol", 0, TOOL_REAL, &r.rule.atol, "A", "tolerate max|a-b| <= A instead"},
      {"same-top", 0, TOOL_COUNT, &r.rule.same_top, "K", "also want the K greatest in the same order"},
      {"passes", 0, TOOL_TEXT, &r.passes, "LIST", "passes to run before, as in gie opt"},
      {"backend", 0, TOOL_TEXT, &r.backend, "-NAME,+NAME",
       "leave out kernels, or try them first, by how their names begin"},
      DEVICE_OPTIONS(t, &r.device),
      {"profile", 0, TOOL_FLAG, &r.profile, NULL, "print the time of each node, the median over the runs"},
      {"trace", 0, TOOL_TEXT, &r.trace, "FILE", "save the times as Chrome trace events"},
      {"memory", 0, TOOL_FLAG, &r.memory, NULL, "print the memory used at the peak, by category"},
      {"json", 0, TOOL_FLAG, &r.is_json, NULL, "everything for machines"},
      {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"MODEL --input [NAME=]FILE [OPTION]...", what, examples, options, 1, 1};
  struct tool_list args;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  if (!r.compare.n && (r.rule.rtol >= 0 || r.rule.atol >= 0 || r.rule.same_top))
    return tool_fail(t, GIE_E_USAGE, "--rtol, --atol and --same-top go with --compare");
  if (r.rule.rtol < 0 || r.rule.atol < 0)
    return tool_fail(t, GIE_E_USAGE, "a tolerance cannot be negative");
  if (r.top == 0)
    return tool_fail(t, GIE_E_USAGE, "--top wants at least 1");
  if (r.batch == 0)
    return tool_fail(t, GIE_E_USAGE, "--batch wants at least 1");
  if (r.batch == NO_BATCH)
    r.batch = 0;
  if ((exit_code = tool_check_fallback(t)) != TOOL_GO_ON || (exit_code = tool_open(t)) != TOOL_GO_ON)
    return exit_code;
  r.model = args.v[0];
  r.j = r.is_json ? &r.json : NULL;
  return run(t, &r);
}
