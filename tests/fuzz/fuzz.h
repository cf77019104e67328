/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets share: the entry point that libFuzzer and replay.c call, and a check that also
 * holds in release builds. */
#ifndef GIE_TESTS_FUZZ_H
#define GIE_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_check(condition)                                                   \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                  \
    }                                                                           \
  } while (0)

#endif
