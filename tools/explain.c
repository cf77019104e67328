/* SPDX-License-Identifier: Apache-2.0 */
/* gie explain: why each node of a plan got its kernel, from the table of candidates that the plan keeps. */
#include "core/run/run.h"
#include "tools/tool.h"
#include <gie/plan.h>

static const char what[] =
    "Shows how a plan came about: for every node (or those named) the candidates with what they cost, which one was\n"
    "chosen, and why others were not possible. A cost is that of the node alone; conversions between layouts are\n"
    "part of the choice, so the cheapest candidate of a node need not be the best for the network.\n"
    "fused: steps of the node's epilogue that the kernel does itself, of those there are. reads, writes: element type and\n"
    "layout of each operand that is no constant, and of each result; dense: not as a range of something larger.";
static const char examples[] =
    "  gie explain model.plan\n"
    "  gie explain model.plan conv1 conv2\n"
    "  gie explain model.plan --all          # pruned candidates and refusals too\n";

#define FIELDS 10

/* Cuts a line of the table into its fields; missing ones are "". */
static void cut(char *line, const char *field[FIELDS])
{
  for (int i = 0; i < FIELDS; i++) {
    field[i] = line;
    line += strcspn(line, "\t");
    if (*line)
      *line++ = 0;
  }
}

static double number(const char *s)
{
  double v = 0;
  const char *next;
  return gie_parse_double(s, s + strlen(s), &v, &next) ? v : -1;
}

struct explain {
  struct tool *t;
  bool all;
  const char *device; /* profiles of that kind only; NULL: of all */
  size_t kind;        /* its length without an index */
  const struct gie_plan *plan;
  bool skipped; /* the profile at hand is another device's */
  struct tool_list names;
  bool *seen; /* by name: a node has it */
  struct tool_table tab;
  bool open, wanted; /* a table has begun; the node at hand is shown */
};

static void end_table(struct explain *e)
{
  if (e->open)
    tool_table_end(&e->tab, 2);
  e->open = false;
}

static bool is_named(struct explain *e, const char *name)
{
  bool found = e->names.n == 0;
  for (uint32_t i = 0; i < e->names.n; i++)
    if (strcmp(e->names.v[i], name) == 0)
      found = e->seen[i] = true;
  return found;
}

static bool is_other_device(const struct explain *e, const char *index)
{
  struct gie_plan_profile p = {.struct_size = sizeof p};
  return e->device && gie_plan_profile(e->plan, (uint32_t)number(index), &p) == GIE_OK &&
         (strlen(p.device) != e->kind || memcmp(p.device, e->device, e->kind) != 0);
}

static void show_profile(struct explain *e, const char *field[FIELDS])
{
  end_table(e);
  e->wanted = false;
  if ((e->skipped = is_other_device(e, field[1])))
    return;
  printf("profile %s: %.3f ms expected, no choice is below %.3f ms%s%s\n", field[1], 1e3 * number(field[3]),
         1e3 * number(field[4]), *field[2] ? "; structure: " : "", field[2]);
}

static void show_node(struct explain *e, const char *field[FIELDS])
{
  static const char *const heads[] = {"",       "kernel", "variant", "fused",  "reads",
                                      "writes", "ms",     "ms are",  "why not"};
  end_table(e);
  e->wanted = !e->skipped && is_named(e, field[1]);
  if (!e->wanted)
    return;
  printf("\n%s (%s)\n", tool_safe(e->t, field[1]), field[2]);
  tool_table_begin(e->t, &e->tab, "llllllrll", heads);
  e->open = true;
}

/* "201/b1:8", an order of axes without a name, in words. */
static const char *layout_words(struct tool *t, const char *s, size_t n)
{
  size_t order = strspn(s, "0123456789");
  const char *end = s + n, *next;
  int64_t axis, block;
  if (order == 0 || order > n)
    return tool_format(t, " %.*s", (int)n, s);
  if (order == n)
    return tool_format(t, " axes %.*s", (int)n, s);
  if (strncmp(s + order, "/b", 2) == 0 && gie_parse_int(s + order + 2, end, &axis, &next) && *next == ':' &&
      gie_parse_int(next + 1, end, &block, &next))
    return tool_format(t, " axes %.*s, axis %lld by %lld", (int)order, s, (long long)axis, (long long)block);
  return tool_format(t, " %.*s", (int)n, s);
}

/* "f32:nchw! f32": forms of the table in words. */
static const char *form_words(struct tool *t, const char *s)
{
  const char *out = "";
  while (*s) {
    size_t n = strcspn(s, " "), type = strcspn(s, ":! ");
    bool dense = n && s[n - 1] == '!';
    size_t layout = n - type - dense;
    out = tool_format(t, "%s%s%.*s%s%s", out, *out ? "; " : "", (int)type, s,
                      layout > 1 ? layout_words(t, s + type + 1, layout - 1) : "", dense ? " dense" : "");
    s += n + (s[n] == ' ');
  }
  return out;
}

static const char *kernel_words(const char *s)
{
  return strcmp(s, "free") == 0 ? "(same bytes)" : strcmp(s, "view") == 0 ? "(kept in place)" : s;
}

static void show_candidate(struct explain *e, const char *field[FIELDS])
{
  bool chosen = strcmp(field[0], "chosen") == 0;
  if (!e->wanted || (!e->all && strcmp(field[0], "pruned") == 0))
    return;
  double seconds = number(field[7]);
  tool_cell(&e->tab, "%s", chosen ? "*" : "");
  tool_cell(&e->tab, "%s", kernel_words(field[1]));
  tool_cell(&e->tab, "%s", *field[3] ? field[3] : "-");
  tool_cell(&e->tab, "%s", strcmp(field[4], "0/0") == 0 ? "-" : field[4]);
  tool_cell(&e->tab, "%s", form_words(e->t, field[5]));
  tool_cell(&e->tab, "%s", form_words(e->t, field[6]));
  tool_cell(&e->tab, "%s", seconds < 0 ? "-" : tool_format(e->t, "%.4f", 1e3 * seconds));
  tool_cell(&e->tab, "%s", field[8]);
  tool_cell(&e->tab, "%s%s", strcmp(field[0], "pruned") == 0 ? "pruned " : "", field[9]);
}

static void show_line(struct explain *e, char *line)
{
  const char *field[FIELDS];
  cut(line, field);
  if (strcmp(field[0], "profile") == 0) {
    show_profile(e, field);
  } else if (strcmp(field[0], "node") == 0) {
    show_node(e, field);
  } else if (strcmp(field[0], "streams") == 0) {
    end_table(e);
    if (e->names.n == 0)
      printf("\n%s streams take %.3f ms, one takes %.3f ms: %s kept\n", field[1], 1e3 * number(field[3]),
             1e3 * number(field[2]), strcmp(field[4], "one") == 0 ? "one is" : "several are");
  } else if (strcmp(field[0], "cut") == 0) {
    end_table(e);
    if (e->wanted)
      printf("  no room for: %s\n", tool_safe(e->t, field[1]));
  } else if (strcmp(field[0], "cut_set") == 0) {
    end_table(e);
    if (e->names.n == 0)
      printf("\nno room for: %s\n", tool_safe(e->t, field[1]));
  } else if (strcmp(field[0], "refused") == 0) {
    end_table(e);
    if (e->wanted && e->all)
      printf("  refused: %s\n", tool_safe(e->t, field[1]));
  } else if (*field[0]) {
    show_candidate(e, field);
  }
}

static int explain(struct explain *e, const struct gie_plan *plan)
{
  char *text = gie_arena_strdup(&e->t->arena, gie_plan_candidates(plan));
  e->seen = gie_arena_alloc(&e->t->arena, (size_t)e->names.n + 1, sizeof *e->seen);
  if (!text || !e->seen)
    return tool_fail(e->t, GIE_E_MEMORY, "out of memory");
  for (char *line = text, *next; line && *line; line = next) {
    next = strchr(line, '\n');
    if (next)
      *next++ = 0;
    show_line(e, line);
  }
  end_table(e);
  for (uint32_t i = 0; i < e->names.n; i++)
    if (!e->seen[i])
      return tool_fail(e->t, GIE_E_USAGE, "no node \"%s\" had a choice; without names all are listed",
                       e->names.v[i]);
  return 0;
}

int tool_explain(struct tool *t, int argc, char **argv)
{
  struct explain e = {.t = t};
  const struct tool_option options[] = {{"all", 'a', TOOL_FLAG, &e.all, NULL,
                                         "what was pruned by its estimate and what kernels refused, too"},
                                        {"device", 0, TOOL_TEXT, &e.device, "KIND",
                                         "profiles for that kind of device only"},
                                        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL}};
  const struct tool_command cmd = {"PLAN [NODE]...", what, examples, options, 1, 1000};
  struct tool_list args;
  struct gie_plan *plan;
  int exit_code = tool_parse(t, &cmd, argc, argv, &args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  if ((exit_code = tool_open(t)) != TOOL_GO_ON)
    return exit_code;
  int index;
  gie_status st = e.device ? run_device_parse(t->ctx, e.device, &e.kind, &index) : GIE_OK;
  if (st == GIE_OK)
    st = gie_plan_load(t->ctx, args.v[0], &plan);
  if (st != GIE_OK)
    return tool_error(t, st);
  e.plan = plan;
  e.names = (struct tool_list){args.v + 1, args.n - 1};
  exit_code = explain(&e, plan);
  gie_plan_free(plan);
  return exit_code;
}
