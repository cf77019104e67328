/* SPDX-License-Identifier: Apache-2.0 */
/* Command-line options: a table per verb gives the parser, the help and the hint for misspelt flags. */
#include "tools/tool.h"
#include <gie/plan.h>
#include <limits.h>

#define HELP_COLUMN 30
#define MAX_COMMON 10 /* with the end mark */
#define MAX_THREADS 1024

/* The flags that every verb takes; returns how many were filled, without the end mark. */
static void common_options(struct tool *t, bool *help, struct tool_option out[MAX_COMMON])
{
  const struct tool_option options[] = {
      {"module", 0, TOOL_LIST, &t->modules, "FILE", "load this module too (may be repeated); it must fit"},
      {"threads", 0, TOOL_COUNT, &t->threads, "N", "threads to compute with; default: all cores"},
      {"config", 0, TOOL_LIST, &t->config, "NAME=VALUE", "a setting that the environment knows as GIE_NAME"},
      {"deploy", 0, TOOL_TEXT, &t->deploy, "FILE", "a network for Caffe, instead of the argument MODEL"},
      {"model", 0, TOOL_TEXT, &t->weights, "FILE", "the same as --weights"},
      {"weights", 0, TOOL_TEXT, &t->weights, "FILE", "the .caffemodel that belongs to a .prototxt"},
      {"random-weights", 0, TOOL_MAYBE, &t->random_weights, "SEED", "make up the weights of a .prototxt"},
      {"quiet", 0, TOOL_FLAG, &t->quiet, NULL, "errors only on standard error"},
      {"help", 'h', TOOL_FLAG, help, NULL, "this text"},
      {NULL, 0, TOOL_FLAG, NULL, NULL, NULL},
  };
  memcpy(out, options, sizeof options);
}

/* ---- Help */

static void print_options(const struct tool_option *o)
{
  for (; o->name; o++) {
    char text[96];
    int n = o->letter ? snprintf(text, sizeof text, "  -%c, --%s", o->letter, o->name)
                      : snprintf(text, sizeof text, "  --%s", o->name);
    if (o->kind == TOOL_MAYBE)
      n += snprintf(text + n, sizeof text - (size_t)n, "[=%s]", o->value);
    else if (o->value)
      n += snprintf(text + n, sizeof text - (size_t)n, "=%s", o->value);
    if (n < HELP_COLUMN - 1)
      printf("%-*s%s\n", HELP_COLUMN, text, o->help);
    else
      printf("%s\n%*s%s\n", text, HELP_COLUMN, "", o->help);
  }
}

static void print_help(struct tool *t, const struct tool_command *cmd, const struct tool_option *common)
{
  printf("Usage: gie %s %s\n\n%s\n", t->verb->name, cmd->usage, cmd->what);
  if (cmd->options && cmd->options->name) {
    printf("\nOptions:\n");
    print_options(cmd->options);
  }
  printf("\nCommon options:\n");
  print_options(common);
  printf("\nExamples:\n%s", cmd->examples);
}

/* ---- Names that are near */

/* Edit distance, or a number above `limit` as soon as it is sure to be larger. */
static unsigned distance(const char *a, const char *b, unsigned limit)
{
  enum { MAX = 40 };
  unsigned row[MAX + 1];
  size_t n = strlen(a), m = strlen(b);
  if (n > MAX || m > MAX)
    return limit + 1;
  for (size_t j = 0; j <= m; j++)
    row[j] = (unsigned)j;
  for (size_t i = 1; i <= n; i++) {
    unsigned diagonal = row[0];
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= m; j++) {
      unsigned change = diagonal + (a[i - 1] != b[j - 1]), best = row[j] < row[j - 1] ? row[j] : row[j - 1];
      diagonal = row[j];
      row[j] = best + 1 < change ? best + 1 : change;
    }
  }
  return row[m];
}

const char *tool_nearest(const char *given, const char *(*name_at)(const void *names, unsigned i),
                         const void *names)
{
  size_t n = strlen(given);
  unsigned limit = n <= 3 ? 1 : n <= 6 ? 2 : 3;
  const char *best = NULL, *name, *begins = NULL;
  for (unsigned i = 0; (name = name_at(names, i)); i++) {
    unsigned d = distance(given, name, limit);
    if (d <= limit) {
      best = name;
      limit = d ? d - 1 : 0;
    }
    if (!begins && n >= 2 && strncmp(name, given, n) == 0)
      begins = name;
  }
  return begins ? begins : best;
}

/* ---- Parsing */

struct parser {
  struct tool *t;
  const struct tool_option *own, *common;
  int argc, at;
  char **argv;
  bool help;
};

static const char *option_name(const void *names, unsigned i)
{
  const struct parser *p = names;
  const struct tool_option *o = p->own;
  for (; o && o->name; o++)
    if (i-- == 0)
      return o->name;
  for (o = p->common; o->name; o++)
    if (i-- == 0)
      return o->name;
  return NULL;
}

static const struct tool_option *find_in(const struct tool_option *o, const char *name, size_t n, char letter)
{
  for (; o && o->name; o++)
    if (letter ? o->letter == letter : strlen(o->name) == n && memcmp(o->name, name, n) == 0)
      return o;
  return NULL;
}

static const struct tool_option *find(const struct parser *p, const char *name, size_t n, char letter)
{
  const struct tool_option *o = find_in(p->own, name, n, letter);
  return o ? o : find_in(p->common, name, n, letter);
}

static int list_add(struct tool *t, struct tool_list *list, const char *value)
{
  const char **v = gie_arena_alloc(&t->arena, (size_t)list->n + 2, sizeof *v);
  if (!v)
    return tool_fail(t, GIE_E_MEMORY, "out of memory");
  if (list->n)
    memcpy(v, list->v, list->n * sizeof *v);
  v[list->n++] = value;
  list->v = v;
  return TOOL_GO_ON;
}

static int set_number(struct tool *t, const struct tool_option *o, const char *value)
{
  const char *end = value + strlen(value), *next = value;
  int64_t i;
  double d;
  if (o->kind == TOOL_COUNT && gie_parse_int(value, end, &i, &next) && next == end && i >= 0 &&
      i <= INT32_MAX) {
    *(uint32_t *)o->to = (uint32_t)i;
    return TOOL_GO_ON;
  }
  if (o->kind == TOOL_REAL && gie_parse_double(value, end, &d, &next) && next == end && d == d) {
    *(double *)o->to = d;
    return TOOL_GO_ON;
  }
  return tool_fail(t, GIE_E_USAGE, "--%s wants a %s, not \"%s\"", o->name,
                   o->kind == TOOL_COUNT ? "whole number" : "number", value);
}

static int set_option(struct tool *t, const struct tool_option *o, const char *value)
{
  switch (o->kind) {
  case TOOL_FLAG:
    *(bool *)o->to = true;
    return TOOL_GO_ON;
  case TOOL_TEXT:
  case TOOL_MAYBE:
    *(const char **)o->to = value;
    return TOOL_GO_ON;
  case TOOL_LIST:
    return list_add(t, o->to, value);
  default:
    return set_number(t, o, value);
  }
}

static int unknown_flag(struct parser *p, const char *flag, const char *name, size_t n)
{
  char given[64];
  int shown = (int)(name - flag + (ptrdiff_t)n);
  snprintf(given, sizeof given, "%.*s", (int)(n < sizeof given ? n : sizeof given - 1), name);
  const char *near = tool_nearest(given, option_name, p);
  if (near)
    return tool_fail(p->t, GIE_E_USAGE, "unknown flag \"%.*s\"; did you mean \"--%s\"?", shown, flag, near);
  return tool_fail(p->t, GIE_E_USAGE, "unknown flag \"%.*s\"; \"gie help %s\" lists them", shown, flag,
                   p->t->verb->name);
}

/* One flag, with the value that belongs to it. */
static int parse_flag(struct parser *p)
{
  char *flag = p->argv[p->at++];
  bool is_short = flag[1] != '-';
  const char *name = flag + (is_short ? 1 : 2), *value = NULL;
  size_t n = strcspn(name, "=");
  const struct tool_option *o = find(p, name, n, is_short ? flag[1] : 0);
  if (!o)
    return unknown_flag(p, flag, name, n);
  if (is_short)
    value = flag[2] ? flag + 2 : NULL;
  else
    value = name[n] ? name + n + 1 : NULL;
  if (o->kind == TOOL_FLAG && value)
    return tool_fail(p->t, GIE_E_USAGE, "--%s takes no value", o->name);
  if (o->kind == TOOL_MAYBE && value && !*value)
    return tool_fail(p->t, GIE_E_USAGE, "--%s= has no value; give --%s=%s, or --%s alone", o->name, o->name,
                     o->value, o->name);
  if (o->kind == TOOL_MAYBE && !value)
    value = "";
  if (o->kind != TOOL_FLAG && !value) {
    if (p->at >= p->argc)
      return tool_fail(p->t, GIE_E_USAGE, "--%s needs a value: --%s=%s", o->name, o->name, o->value);
    value = p->argv[p->at++];
  }
  return set_option(p->t, o, value);
}

static int parse(struct parser *p, struct tool_list *args)
{
  bool flags = true;
  while (p->at < p->argc) {
    const char *a = p->argv[p->at];
    int exit_code;
    if (flags && strcmp(a, "--") == 0) {
      flags = false;
      p->at++;
      continue;
    }
    if (flags && a[0] == '-' && a[1])
      exit_code = parse_flag(p);
    else
      exit_code = list_add(p->t, args, p->argv[p->at++]);
    if (exit_code != TOOL_GO_ON)
      return exit_code;
  }
  return TOOL_GO_ON;
}

/* --deploy stands for the first argument. */
static int add_deploy(struct tool *t, struct tool_list *args)
{
  struct tool_list all = {NULL, 0};
  int exit_code = list_add(t, &all, t->deploy);
  for (uint32_t i = 0; exit_code == TOOL_GO_ON && i < args->n; i++)
    exit_code = list_add(t, &all, args->v[i]);
  *args = all;
  return exit_code;
}

int tool_load_option(struct tool *t, const char *option) { return list_add(t, &t->load_options, option); }

/* What the flags say about weights, for the importer. */
static int add_load_options(struct tool *t)
{
  int exit_code = TOOL_GO_ON;
  if (t->weights)
    exit_code = list_add(t, &t->load_options, tool_format(t, "weights=%s", t->weights));
  if (exit_code == TOOL_GO_ON && t->random_weights)
    exit_code = list_add(t, &t->load_options, tool_format(t, "random_weights=%s", t->random_weights));
  return exit_code;
}

gie_status tool_check_weights(struct tool *t, const char *file)
{
  size_t n = strlen(file);
  if (!t->weights || (!(n > 5 && strcmp(file + n - 5, ".onnx") == 0) && !gie_plan_probe(file)))
    return GIE_OK;
  return gie_fail(t->ctx, GIE_E_USAGE,
                  "%s has its weights in itself; --weights and --model go with a .prototxt",
                  tool_safe(t, file));
}

gie_status tool_load(struct tool *t, const char *file, struct gie_graph **out)
{
  GIE_TRY(tool_check_weights(t, file));
  return gie_graph_load(t->ctx, file, t->load_options.v, out);
}

int tool_parse(struct tool *t, const struct tool_command *cmd, int argc, char **argv, struct tool_list *args)
{
  struct tool_option common[MAX_COMMON];
  struct parser p = {t, cmd->options, common, argc, 1, argv, false};
  static const char *none[] = {NULL};
  common_options(t, &p.help, common);
  args->v = none;
  args->n = 0;
  int exit_code = parse(&p, args);
  if (exit_code != TOOL_GO_ON)
    return exit_code;
  if (p.help) {
    print_help(t, cmd, common);
    return 0;
  }
  if (t->threads > MAX_THREADS)
    return tool_fail(t, GIE_E_USAGE, "--threads=%u is more than the %d that can be asked for",
                     (unsigned)t->threads, MAX_THREADS);
  if (t->deploy && (exit_code = add_deploy(t, args)) != TOOL_GO_ON)
    return exit_code;
  if ((exit_code = add_load_options(t)) != TOOL_GO_ON)
    return exit_code;
  if (args->n < cmd->min_args)
    return tool_fail(t, GIE_E_USAGE, "an argument is missing; usage: gie %s %s", t->verb->name, cmd->usage);
  if (args->n > cmd->max_args)
    return tool_fail(t, GIE_E_USAGE, "argument \"%s\" is too many; usage: gie %s %s", args->v[cmd->max_args],
                     t->verb->name, cmd->usage);
  return TOOL_GO_ON;
}
