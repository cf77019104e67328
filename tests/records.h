/* SPDX-License-Identifier: Apache-2.0 */
/* What tests against recorded results share: where records and networks are, and the main function of a test that loops over
 * them. */
#ifndef GIE_TESTS_RECORDS_H
#define GIE_TESTS_RECORDS_H

#include "tests/gie_check.h"

/* The top folder of the sources, and the shared data. */
static inline const char *records_source(void)
{
  const char *top = getenv("top_srcdir");
  return top ? top : ".";
}

static inline const char *records_shared(void)
{
  const char *dir = getenv("GIE_SHARED");
  return dir ? dir : "../shared";
}

/* Whether that file of the shared data is there; says so when it is not. */
static inline bool records_have(const char *file)
{
  char path[8192];
  snprintf(path, sizeof path, "%s/data/%s", records_shared(), file);
  FILE *f = fopen(path, "r");
  if (f)
    fclose(f);
  else
    printf("SKIP: %s is not there\n", path);
  return f != NULL;
}

/* Runs the test for 0 … n-1; the exit status. needs: a file of the shared data without which it is skipped, or NULL. */
static inline int records_main(const char *name, const TTest *test, size_t n, const char *needs)
{
  if (needs && !records_have(needs))
    return 77;
  Suite *suite = suite_create(name);
  TCase *tcase = check_tcase(suite, "records", NULL, NULL);
  tcase_add_loop_test(tcase, test, 0, (int)n);
  return check_suite(suite);
}

#endif
