/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/plan/plan_bytes.h"
#include "core/plan/plan.h"
#include "tests/fuzz/fuzz.h"

uint64_t peek64(const uint8_t *p)
{
  uint64_t v = 0;
  for (int i = 7; i >= 0; i--)
    v = v << 8 | p[i];
  return v;
}

void poke64(uint8_t *p, uint64_t v)
{
  for (int i = 0; i < 8; i++)
    p[i] = (uint8_t)(v >> (8 * i));
}

void poke32(uint8_t *p, uint32_t v)
{
  for (int i = 0; i < 4; i++)
    p[i] = (uint8_t)(v >> (8 * i));
}

static void sha(const uint8_t *p, size_t n, const uint8_t *q, size_t m, uint8_t out[32])
{
  struct gie_sha256 s;
  gie_sha256_init(&s);
  gie_sha256_update(&s, p, n);
  if (m)
    gie_sha256_update(&s, q, m);
  gie_sha256_final(&s, out);
}

/* Of a weights section header and table are hashed. */
static uint64_t hashed(const uint8_t *section, uint64_t size, uint32_t kind)
{
  if (kind != PLAN_WEIGHTS || size < 16)
    return size;
  uint64_t n = peek64(section + 8);
  return n <= (size - 16) / 48 ? 16 + n * 48 : size;
}

void fix_hashes(uint8_t *p, size_t size)
{
  if (size < PLAN_HEADER)
    return;
  uint64_t n = peek64(p + 24) & UINT32_MAX, fits = (size - PLAN_HEADER) / PLAN_ENTRY;
  n = n < fits ? n : fits;
  for (uint64_t i = 0; i < n; i++) {
    uint8_t *e = p + PLAN_HEADER + i * PLAN_ENTRY;
    uint64_t offset = peek64(e + 8), bytes = peek64(e + 16);
    if (offset <= size && bytes <= size - offset)
      sha(p + offset, (size_t)hashed(p + offset, bytes, e[0]), NULL, 0, e + 32);
  }
  sha(p, 32, p + PLAN_HEADER, (size_t)(n * PLAN_ENTRY), p + 32);
}

uint8_t *read_bytes(const char *path, size_t *size)
{
  FILE *f = fopen(path, "rb");
  fuzz_check(f && fseek(f, 0, SEEK_END) == 0);
  long n = ftell(f);
  fuzz_check(n >= 0 && fseek(f, 0, SEEK_SET) == 0);
  uint8_t *p = malloc((size_t)n + 1);
  fuzz_check(p && fread(p, 1, (size_t)n, f) == (size_t)n);
  fclose(f);
  *size = (size_t)n;
  return p;
}

void write_bytes(const char *path, const void *p, size_t size)
{
  FILE *f = fopen(path, "wb");
  fuzz_check(f && fwrite(p, 1, size, f) == size && fclose(f) == 0);
}
