/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of the command share: options and help, the context, messages, tables, JSON.
 *
 * A verb is a function in a file of its own, listed in gie.c. It describes its flags in a struct
 * tool_command, from which the parser, the hint for a misspelt flag and the help text come:
 *
 *     int tool_check(struct tool *t, int argc, char **argv)
 *     {
 *       bool json = false;
 *       const struct tool_option options[] = {{"json", 0, TOOL_FLAG, &json, NULL, "the same for machines"}, {NULL}};
 *       const struct tool_command cmd = {"MODEL", what, examples, options, 1, 1};
 *       struct tool_list args;
 *       int exit_code = tool_parse(t, &cmd, argc, argv, &args);
 *       if (exit_code != TOOL_GO_ON)
 *         return exit_code;
 *       …
 *       return status == GIE_OK ? 0 : tool_error(t, status);
 *     }
 *
 * Results go to standard output, everything else to standard error. main() looks at the end whether
 * standard output took all of it, so nobody checks printf(). What is printed of a file or the command line
 * goes through tool_safe() or one of the writers here, which escape control characters. */
#ifndef GIE_TOOLS_TOOL_H
#define GIE_TOOLS_TOOL_H

#include "core/base/base.h"
#include <gie/gie.h>

/* ---- Verbs (gie.c) */

struct tool;
struct tool_verb {
  const char *name;
  int (*run)(struct tool *t, int argc, char **argv); /* argv[0] is the verb; returns the exit code */
  const char *help;                                  /* one line */
};
const struct tool_verb *tool_verb_at(unsigned i); /* NULL past the end */

int tool_bench(struct tool *t, int argc, char **argv);
int tool_build(struct tool *t, int argc, char **argv);
int tool_cache(struct tool *t, int argc, char **argv);
int tool_check(struct tool *t, int argc, char **argv);
int tool_debug(struct tool *t, int argc, char **argv);
int tool_explain(struct tool *t, int argc, char **argv);
int tool_inspect(struct tool *t, int argc, char **argv);
int tool_opt(struct tool *t, int argc, char **argv);
int tool_plugin(struct tool *t, int argc, char **argv);
int tool_retune(struct tool *t, int argc, char **argv);
int tool_target(struct tool *t, int argc, char **argv);
int tool_run(struct tool *t, int argc, char **argv);

/* ---- One run of the command */

/* Values of a flag that may be given several times; v[n] is NULL. */
struct tool_list {
  const char **v;
  uint32_t n;
};

struct tool {
  const struct tool_verb *verb;
  struct gie_context *ctx; /* after tool_open() */
  struct gie_arena arena;  /* lives as long as the command; without a context */
  /* common flags */
  bool quiet;
  uint32_t threads;
  struct tool_list modules, config;
  const char *deploy, *weights, *random_weights; /* NULL: not given */
  struct tool_list load_options;                 /* of them, for gie_graph_load() */
  int stopped_by;       /* the signal that ended the work; main() ends the process with it */
  const char *memory;   /* --mem-limit of what runs; NULL: none */
  const char *fallback; /* where what was asked to run on a device that is absent runs; NULL: nowhere */
};

/* Opens the context with the modules of the common flags. Fails like a verb: prints and returns an
 * exit code, TOOL_GO_ON on success. main() closes it. */
int tool_open(struct tool *t);
/* The same without any module. */
int tool_open_bare(struct tool *t);

/* ---- Signals (stop.c) */

/* From here on SIGINT, SIGTERM and SIGHUP are noted once instead of ending the process; a second one ends it. */
void tool_catch_signals(struct tool *t);
/* The signals do again what they did. Sets t->stopped_by. */
void tool_release_signals(struct tool *t);
/* For gie_build_options.stop; `tool` is a struct tool. */
bool tool_is_stopped(void *tool);

/* ---- Options (option.c) */

enum tool_option_kind {
  TOOL_FLAG,  /* bool */
  TOOL_TEXT,  /* const char *: --name VALUE or --name=VALUE; the last one counts */
  TOOL_MAYBE, /* const char *: --name=VALUE, or --name alone, which gives "" */
  TOOL_LIST,  /* struct tool_list: may be given several times */
  TOOL_COUNT, /* uint32_t */
  TOOL_REAL   /* double */
};

struct tool_option {
  const char *name;
  char letter; /* -o; 0: none */
  enum tool_option_kind kind;
  void *to;
  const char *value; /* what the value is called in the help */
  const char *help;
};

struct tool_command {
  const char *usage;                 /* what follows "gie VERB" */
  const char *what;                  /* a few lines of text */
  const char *examples;              /* lines, each with its newline */
  const struct tool_option *options; /* ended by name == NULL */
  uint32_t min_args, max_args;
};

/* Returned where the verb is not over: everything else is its exit code. */
#define TOOL_GO_ON (-1)

/* Reads argv[1…]: the verb's options and the common ones into where they point, the rest into *args. Prints
 * the help for --help. */
int tool_parse(struct tool *t, const struct tool_command *cmd, int argc, char **argv, struct tool_list *args);
/* Refuses --weights for a network that reads none, a plan or an ONNX model. */
gie_status tool_check_weights(struct tool *t, const char *file);
/* gie_graph_load() with what the flags say about weights, for verbs with one network. */
gie_status tool_load(struct tool *t, const char *file, struct gie_graph **out);
/* One more "key=value" for importers (struct gie_source). */
int tool_load_option(struct tool *t, const char *option);
/* The name nearest to a misspelt one, or NULL when none is near. `name_at` gives name i or NULL. */
const char *tool_nearest(const char *given, const char *(*name_at)(const void *names, unsigned i),
                         const void *names);

/* ---- Messages (print.c) */

/* Prints "error[E_X]: <text>" and returns the exit code. */
GIE_PRINTF(3, 4) int tool_fail(struct tool *t, gie_status status, const char *fmt, ...);
/* The same with the context's text. */
int tool_error(struct tool *t, gie_status status);
/* A line on standard error that is no error; not with --quiet. */
GIE_PRINTF(2, 3) void tool_note(struct tool *t, const char *fmt, ...);
/* Copy of s with control characters escaped, kept until the command ends. */
const char *tool_safe(struct tool *t, const char *s);
GIE_PRINTF(2, 3) const char *tool_format(struct tool *t, const char *fmt, ...);
/* "732 bytes", "1.25 MiB". */
const char *tool_bytes(struct tool *t, uint64_t bytes);
/* The other way, for the value of a flag: "1000", "512M", "1.5GiB". E_USAGE names the flag. */
gie_status tool_parse_bytes(struct tool *t, const char *flag, const char *text, uint64_t *out);
/* "f32[n,3,224,224]" of a value. */
const char *tool_type(struct tool *t, const struct gie_graph *g, const struct gie_type *type);
/* "conv | add | relu": the op with its epilogue. */
const char *tool_op(struct tool *t, const struct gie_node *n);

/* Progress of `total` things that take over two seconds: on a terminal a line that is rewritten, elsewhere a line
 * every ten seconds. */
struct tool_progress {
  double start, last;
  bool on, terminal, shown;
};
void tool_progress_begin(struct tool *t, struct tool_progress *p);
void tool_progress_step(struct tool_progress *p, uint32_t done, uint32_t total, const char *what);
void tool_progress_end(struct tool_progress *p);
/* Seconds from some fixed point. */
double tool_now(void);

/* ---- Tables (table.c) */

/* Columns as wide as their widest cell. */
struct tool_table {
  struct tool *t;
  const char *const *heads;
  const char *align; /* 'l' or 'r' per column; its length is the number of columns */
  const char **cells;
  size_t n, cap;
  bool failed;
};
void tool_table_begin(struct tool *t, struct tool_table *tab, const char *align, const char *const *heads);
/* The next cell, in rows; control characters are escaped. */
GIE_PRINTF(2, 3) void tool_cell(struct tool_table *tab, const char *fmt, ...);
/* Prints it on standard output, each line behind `indent` blanks. */
void tool_table_end(struct tool_table *tab, int indent);

/* ---- JSON (json.c, json_read.c) */

struct json {
  FILE *to;
  char outer; /* bracket round the document */
  int depth;
  bool comma;    /* a member was written at this depth */
  uint32_t flat; /* bit d: what is open at depth d is on one line */
};
void json_begin(struct json *j); /* an object on standard output */
void json_begin_on(struct json *j, FILE *to, char bracket);
void json_end(struct json *j);
/* `key` is NULL inside arrays. `flat`: on one line. */
void json_open(struct json *j, const char *key, char bracket, bool flat);
void json_close(struct json *j, char bracket);
void json_text(struct json *j, const char *key,
               const char *s); /* NULL: null; bytes that are no UTF-8 become U+FFFD */
void json_int(struct json *j, const char *key, int64_t v);
void json_real(struct json *j, const char *key, double v); /* null unless finite */
void json_bool(struct json *j, const char *key, bool v);
/* {"name", "dtype", "shape"} members of a value. */
void json_value(struct json *j, const struct gie_graph *g, gie_id value);
/* A file with what `fill` writes into the outer bracket. Atomic. */
gie_status json_save(struct tool *t, const char *path, char bracket,
                     void (*fill)(struct tool *t, struct json *j, const void *what), const void *what);

/* One value of a document: `where` is its path, "batches[0].latency_ms.median". */
struct json_item {
  const char *where;
  const char *text; /* of a string, else NULL */
  double number;    /* NaN for everything but numbers */
};
/* Reads a file and calls `each` for every string, number, true, false and null in it, in order. E_PARSE says the
 * line. */
gie_status json_read(struct tool *t, const char *path,
                     gie_status (*each)(void *user, const struct json_item *i), void *user);

#endif
