/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that ask a long verb to end: noted, so that it can keep what it has found out. */
#include "tools/tool.h"
#include <signal.h>

static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP};
#define N_SIGNALS (sizeof SIGNALS / sizeof *SIGNALS)

/* A handler has nothing else to reach. */
static volatile sig_atomic_t noted;
static struct sigaction before[N_SIGNALS];

static void note(int number) { noted = number; }

void tool_catch_signals(struct tool *t)
{
  struct sigaction mine = {.sa_handler = note, .sa_flags = SA_RESETHAND};
  (void)t;
  noted = 0;
  for (size_t i = 0; i < N_SIGNALS; i++)
    if (sigaction(SIGNALS[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
      sigaction(SIGNALS[i], &mine, NULL);
}

void tool_release_signals(struct tool *t)
{
  for (size_t i = 0; i < N_SIGNALS; i++)
    sigaction(SIGNALS[i], &before[i], NULL);
  t->stopped_by = noted;
}

bool tool_is_stopped(void *tool)
{
  (void)tool;
  return noted != 0;
}
