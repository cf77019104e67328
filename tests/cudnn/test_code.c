/* SPDX-License-Identifier: Apache-2.0 */
/* Engines and knobs as numbers: what is written is read back, distinct configurations have distinct numbers, and
 * what does not fit says so. */
#include "backends/cudnn/cn.h"
#include "tests/gie_check.h"

static const struct cn_knob KNOBS[] = {{CUDNN_KNOB_TYPE_TILE_SIZE, 0, 23, 1},
                                       {CUDNN_KNOB_TYPE_SPLIT_K_BUF, 1, 2048, 1},
                                       {CUDNN_KNOB_TYPE_STAGES, 2, 14, 4}};
#define N_KNOBS 3

static struct cn_config config(int64_t engine, int64_t tile, int64_t split, int64_t stages)
{
  const int64_t v[N_KNOBS] = {tile, split, stages};
  struct cn_config c = {.engine = engine, .n_knobs = N_KNOBS};
  for (int i = 0; i < N_KNOBS; i++) {
    c.knob[i].type = KNOBS[i].type;
    c.knob[i].value = v[i];
  }
  return c;
}

static int64_t value_of(const struct cn_config *c, cudnnBackendKnobType_t type)
{
  for (uint32_t i = 0; i < c->n_knobs; i++)
    if (c->knob[i].type == type)
      return c->knob[i].value;
  return INT64_MIN;
}

START_TEST(reads_what_it_writes)
{
  static const int64_t splits[] = {-1, 1, 2, 2047, 2048};
  uint64_t seen[4096];
  unsigned n = 0;
  for (int64_t tile = 0; tile <= 23; tile++)
    for (int s = 0; s < 5; s++)
      for (int64_t stages = 2; stages <= 14; stages += 4) {
        struct cn_config c = config(41, tile, splits[s], stages), back;
        uint64_t code = cn_code(CN_LAST | CN_HALF, &c, KNOBS, N_KNOBS);
        ck_assert(!cn_code_is_hash(code) && (int64_t)code > 0);
        ck_assert_uint_eq(cn_code_form(code), CN_LAST | CN_HALF);
        ck_assert_int_eq(cn_code_engine(code), 41);
        ck_assert(cn_code_read(code, KNOBS, N_KNOBS, &back));
        ck_assert_int_eq(back.engine, 41);
        ck_assert_uint_eq(back.n_knobs, N_KNOBS);
        for (int k = 0; k < N_KNOBS; k++)
          ck_assert_int_eq(value_of(&back, KNOBS[k].type), c.knob[k].value);
        for (unsigned i = 0; i < n; i++)
          ck_assert_uint_ne(seen[i], code);
        seen[n++] = code;
      }
}
END_TEST

START_TEST(knobs_may_be_left_open)
{
  struct cn_config c = config(7, 3, 5, 6), back;
  c.n_knobs = 1;
  uint64_t code = cn_code(0, &c, KNOBS, N_KNOBS);
  ck_assert(!cn_code_is_hash(code) && cn_code_read(code, KNOBS, N_KNOBS, &back));
  ck_assert_uint_eq(back.n_knobs, 1);
  ck_assert_int_eq(value_of(&back, CUDNN_KNOB_TYPE_TILE_SIZE), 3);
  c.n_knobs = 0;
  ck_assert_uint_ne(cn_code(0, &c, KNOBS, N_KNOBS), code);
  ck_assert(cn_code_read(cn_code(0, &c, NULL, 0), NULL, 0, &back) && back.n_knobs == 0 && back.engine == 7);
}
END_TEST

START_TEST(what_does_not_fit_is_hashed)
{
  static const struct cn_knob wide[] = {{CUDNN_KNOB_TYPE_TILE_SIZE, 0, INT64_MAX, 1},
                                        {CUDNN_KNOB_TYPE_STAGES, 0, INT64_MAX, 1}};
  static const struct cn_knob still[] = {{CUDNN_KNOB_TYPE_TILE_SIZE, 0, 4, 0}};
  struct cn_config a = config(1, 3, 1, 2), b = config(1, 4, 1, 2), odd = config(1, 3, 4000, 2),
                   unknown = config(1 << 20, 3, 1, 2), back;
  ck_assert(cn_code_is_hash(cn_code(0, &odd, KNOBS, N_KNOBS)));
  ck_assert(cn_code_is_hash(cn_code(0, &unknown, KNOBS, N_KNOBS)));
  ck_assert(cn_code_is_hash(cn_code(0, &a, KNOBS, 2))); /* a knob that the engine does not list */
  ck_assert(cn_code_is_hash(cn_code(0, &a, KNOBS, UINT32_MAX)));
  a.n_knobs = b.n_knobs = 1;
  ck_assert(cn_code_is_hash(cn_code(0, &a, wide, 2)) && cn_code_is_hash(cn_code(0, &a, still, 1)));
  ck_assert_uint_ne(cn_code(0, &a, wide, 2), cn_code(0, &b, wide, 2));
  ck_assert_uint_eq(cn_code_form(cn_code(CN_HALF, &a, wide, 2)), CN_HALF);
  ck_assert((int64_t)cn_code(CN_LAST, &a, wide, 2) > 0);
  /* numbers from elsewhere: digits are left over, or the engine has other knobs */
  ck_assert(!cn_code_read(UINT64_MAX & ~(uint64_t)16, KNOBS, N_KNOBS, &back));
  ck_assert(!cn_code_read(INT64_MAX & ~(int64_t)16, KNOBS, N_KNOBS, &back));
  ck_assert(!cn_code_read((uint64_t)5 << 40, still, 1, &back));
}
END_TEST

GIE_TESTS_MAIN("cudnn code", reads_what_it_writes, knobs_may_be_left_open, what_does_not_fit_is_hashed)
