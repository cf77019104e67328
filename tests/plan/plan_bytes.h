/* SPDX-License-Identifier: Apache-2.0 */
/* Plan files as bytes, for tests and fuzzing. */
#ifndef GIE_TESTS_PLAN_BYTES_H
#define GIE_TESTS_PLAN_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes the hashes right for what the table says now, as far as the sections lie in the file: those of the
 * sections, then that of the header. Contents of weights keep their hashes. */
void fix_hashes(uint8_t *p, size_t size);
uint64_t peek64(const uint8_t *p);
void poke32(uint8_t *p, uint32_t v);
void poke64(uint8_t *p, uint64_t v);

/* Whole files; failures end the test. Read bytes are for free(). */
uint8_t *read_bytes(const char *path, size_t *size);
void write_bytes(const char *path, const void *p, size_t size);

#endif
