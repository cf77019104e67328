/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products, the core of convolutions and matrix products. A tile of CPU_COLS columns of b is
 * gathered once and used for all rows of a band; its numbers are doubles or 64-bit integers whatever
 * the dtype, so the sum of one output is always taken over t in ascending order, in one accumulator. */
#include "backends/cpu/cpu.h"

#define ROWS 4   /* rows of a that share the loads of b */
#define BAND 256 /* rows that one item of work computes from a gathered tile */
#define LANES 4

typedef double lanes_f __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef uint64_t lanes_i __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

/* sum[r][c] = sum over t of a[r][t] * b[t][c] for ROWS rows and the first n columns. */
#define TILE(name, type, lanes)                                                            \
  static void name(int64_t taps, const type *a, const type *b, int n, struct cpu_row *sum) \
  {                                                                                        \
    for (int c = 0; c < n; c += LANES) {                                                   \
      lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};                                        \
      for (int64_t t = 0; t < taps; t++) {                                                 \
        lanes v = *(const lanes *)(b + t * CPU_COLS + c);                                  \
        s0 += a[t] * v;                                                                    \
        s1 += a[taps + t] * v;                                                             \
        s2 += a[2 * taps + t] * v;                                                         \
        s3 += a[3 * taps + t] * v;                                                         \
      }                                                                                    \
      memcpy(&sum[0].f[c], &s0, sizeof s0);                                                \
      memcpy(&sum[1].f[c], &s1, sizeof s1);                                                \
      memcpy(&sum[2].f[c], &s2, sizeof s2);                                                \
      memcpy(&sum[3].f[c], &s3, sizeof s3);                                                \
    }                                                                                      \
  }
TILE(tile_float, double, lanes_f)
TILE(tile_int, uint64_t, lanes_i)

size_t cpu_contract_scratch(int64_t taps)
{
  size_t bytes;
  taps += taps == 0; /* scratch that is there, even if nothing is summed */
  if (__builtin_mul_overflow((size_t)taps, 8 * (CPU_COLS + ROWS), &bytes))
    return SIZE_MAX;
  return bytes;
}

static gie_status band_body(const struct cpu_call *c, const void *arg, int64_t item, int slot)
{
  const struct cpu_contract *t = arg;
  int64_t bands = (t->rows + BAND - 1) / BAND, tiles = (t->cols + CPU_COLS - 1) / CPU_COLS;
  int64_t band = item % bands * BAND, col = item / bands % tiles * CPU_COLS, outer = item / bands / tiles;
  int64_t end = band + BAND < t->rows ? band + BAND : t->rows;
  int n = t->cols - col < CPU_COLS ? (int)(t->cols - col) : CPU_COLS;
  char *b = cpu_scratch(c, slot), *a = b + 8 * CPU_COLS * t->taps;
  enum gie_dtype dtype = c->self->in[0].dtype;
  struct cpu_row sum[ROWS];
  memset(b, 0, (size_t)(8 * CPU_COLS * t->taps));
  t->load_b(t, outer, col, n, b);
  for (int64_t row = band; row < end; row += ROWS) {
    int64_t rows = end - row < ROWS ? end - row : ROWS;
    for (int64_t r = 0; r < ROWS; r++) {
      if (r < rows)
        t->load_a(t, outer, row + r, a + 8 * r * t->taps);
      else
        memset(a + 8 * r * t->taps, 0, (size_t)(8 * t->taps));
    }
    if (cpu_is_float(dtype))
      tile_float(t->taps, (const double *)a, (const double *)b, n, sum);
    else
      tile_int(t->taps, (const uint64_t *)a, (const uint64_t *)b, n, sum);
    for (int64_t r = 0; r < rows; r++) {
      sum[r].dtype = dtype;
      for (int k = 0; k < n && !cpu_is_float(dtype); k++)
        sum[r].i[k] = cpu_wrap(sum[r].i[k], dtype);
      GIE_TRY(t->emit(c, t, outer, row + r, col, n, &sum[r]));
    }
  }
  return GIE_OK;
}

gie_status cpu_contract(const struct cpu_call *c, const struct cpu_contract *t)
{
  int64_t bands = (t->rows + BAND - 1) / BAND, tiles = (t->cols + CPU_COLS - 1) / CPU_COLS;
  return cpu_for(c, t->outer * bands * tiles, 1, band_body, t);
}
