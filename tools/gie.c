/* SPDX-License-Identifier: Apache-2.0 */
/* The command: finds the verb, closes what it opened, and sees to it that a result that did not
 * arrive is not reported as success. */
#include "config.h"
#include "tools/tool.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

static const struct tool_verb verbs[] = {
    {"bench", tool_bench, "measure how fast a network runs"},
    {"build", tool_build, "tune a network for this machine and save the plan"},
    {"cache", tool_cache, "list, merge, compare or prune measured times of kernels"},
    {"check", tool_check, "list what in a network would not build"},
    {"debug", tool_debug, "find the node where an optimized network goes wrong"},
    {"explain", tool_explain, "show why each node of a plan got its kernel"},
    {"inspect", tool_inspect, "show a network's inputs, outputs, nodes and memory"},
    {"opt", tool_opt, "rewrite a network's graph and save it as text or a picture"},
    {"plugin", tool_plugin, "list the loaded modules, or begin a new one from a template"},
    {"retune", tool_retune, "build a plan again for this machine"},
    {"run", tool_run, "run a network on tensors or images"},
    {"target", tool_target, "write down what a device can do, for opt --target"},
};

const struct tool_verb *tool_verb_at(unsigned i)
{
  return i < sizeof verbs / sizeof verbs[0] ? &verbs[i] : NULL;
}

static const char *verb_name(const void *names, unsigned i)
{
  (void)names;
  const struct tool_verb *v = tool_verb_at(i);
  return v ? v->name : NULL;
}

static const struct tool_verb *find_verb(const char *name)
{
  const struct tool_verb *v;
  for (unsigned i = 0; (v = tool_verb_at(i)); i++)
    if (strcmp(v->name, name) == 0)
      return v;
  return NULL;
}

static void print_usage(FILE *f)
{
  const struct tool_verb *v;
  fprintf(f, "Usage: gie VERB [ARGUMENT]...\n"
             "An inference engine: optimizes trained networks and runs them.\n\nVerbs:\n");
  for (unsigned i = 0; (v = tool_verb_at(i)); i++)
    fprintf(f, "  %-10s %s\n", v->name, v->help);
  fprintf(f, "\n"
             "  gie help VERB    all about a verb, with examples\n"
             "  gie --version    the version\n");
}

static int unknown_verb(struct tool *t, const char *name)
{
  const char *near = tool_nearest(name, verb_name, NULL);
  if (near)
    return tool_fail(t, GIE_E_USAGE, "unknown verb \"%s\"; did you mean \"%s\"?", name, near);
  return tool_fail(t, GIE_E_USAGE, "unknown verb \"%s\"; \"gie help\" lists them", name);
}

static int print_version(void)
{
  printf("gie %s (module ABI %d.%d)\n", PACKAGE_VERSION, GIE_ABI_MAJOR, GIE_ABI_MINOR);
  return 0;
}

static int help(struct tool *t, int argc, char **argv)
{
  char *verb_argv[] = {argc > 1 ? argv[1] : NULL, (char[]){"--help"}, NULL};
  if (argc < 2) {
    print_usage(stdout);
    return 0;
  }
  t->verb = find_verb(argv[1]);
  return t->verb ? t->verb->run(t, 2, verb_argv) : unknown_verb(t, argv[1]);
}

static bool is_any(const char *s, const char *a, const char *b, const char *c)
{
  return strcmp(s, a) == 0 || strcmp(s, b) == 0 || (c && strcmp(s, c) == 0);
}

static int run(struct tool *t, int argc, char **argv)
{
  if (argc < 2) {
    print_usage(stderr);
    return gie_status_exit_code(GIE_E_USAGE);
  }
  if (is_any(argv[1], "help", "--help", "-h"))
    return help(t, argc - 1, argv + 1);
  if (is_any(argv[1], "--version", "version", NULL))
    return print_version();
  if (argv[1][0] == '-')
    return tool_fail(t, GIE_E_USAGE, "unknown flag \"%s\" before the verb; \"gie help\" shows the usage",
                     argv[1]);
  t->verb = find_verb(argv[1]);
  return t->verb ? t->verb->run(t, argc - 1, argv + 1) : unknown_verb(t, argv[1]);
}

/* A standard descriptor that is closed would be given to the next file that is opened, and messages would
 * be written into it. /dev/null the wrong way round keeps the number and fails as the closed one would. */
static void fill_standard_files(void)
{
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
      _exit(gie_status_exit_code(GIE_E_IO));
}

/* What was printed must have arrived, or the exit code says so. */
static int finish_output(struct tool *t, int exit_code)
{
  errno = 0;
  bool lost = fflush(stdout) != 0 || ferror(stdout);
  int error = errno;
  if (!lost || (exit_code != 0 && exit_code != gie_status_exit_code(GIE_E_NO)))
    return exit_code;
  /* It failed while the verb was at work, and why is forgotten. What has arrived is cut off anyway: another
   * byte fails for the same reason. */
  if (!error && write(STDOUT_FILENO, "\n", 1) < 0)
    error = errno;
  struct pollfd out = {.fd = STDOUT_FILENO};
  if (error == EPIPE || (poll(&out, 1, 0) == 1 && out.revents & POLLERR)) /* the reader has seen enough */
    return gie_status_exit_code(GIE_E_IO);
  return tool_fail(t, GIE_E_IO, "standard output: %s", strerror(error ? error : EIO));
}

int main(int argc, char **argv)
{
  struct tool t = {0};
  fill_standard_files();
  signal(SIGPIPE, SIG_IGN);
  gie_arena_init(&t.arena, NULL);
  int exit_code = finish_output(&t, run(&t, argc, argv));
  gie_context_free(t.ctx);
  gie_arena_free(&t.arena);
  if (t.stopped_by) { /* a shell wants to know that it was the signal: 128 + its number */
    signal(t.stopped_by, SIG_DFL);
    raise(t.stopped_by);
  }
  return exit_code;
}
