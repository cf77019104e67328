/* SPDX-License-Identifier: Apache-2.0 */
/* How copies between two layouts are done, which is decided on the host: no device is needed. */
#include "backends/cuda/rows.cuh"

#include <check.h>

const struct gie_base_api *gie_base_api_; /* nothing here calls the engine */
const struct gie_graph_api *gie_graph_api_;

/* Rank 4 in memory order `order` ("nchw", "nhwc"; "Nchw2": blocks of 2 images; "nChw8": of 8 channels). */
static struct cuda_tensor tensor(enum gie_dtype dtype, const char *order, const int64_t *dim, int64_t pitch)
{
  struct cuda_tensor t = {};
  int64_t stride = 1;
  char last = order[strlen(order) - 1];
  t.dtype = dtype;
  t.size = int(gie_dtype_size(dtype));
  t.rank = 4;
  t.block_axis = order[0] == 'N' ? 0 : order[1] == 'C' ? 1 : -1;
  t.block = t.block_axis >= 0 ? last - '0' : 1;
  stride = t.block;
  for (int k = 3; k >= 0; k--) {
    int a = order[k] == 'n' || order[k] == 'N'   ? 0
            : order[k] == 'c' || order[k] == 'C' ? 1
            : order[k] == 'h'                    ? 2
                                                 : 3;
    t.dim[a] = dim[a];
    t.stride[a] = stride;
    stride *= a == t.block_axis ? (dim[a] + t.block - 1) / t.block : dim[a];
    if (a == 1)
      stride += pitch;
  }
  return t;
}

static const struct way {
  enum gie_dtype from, to;
  const char *from_order, *to_order;
  int64_t dim[4], pitch; /* pitch of the result's channels */
  const char *text;
  int rank; /* after joining axes; 0: not looked at */
} WAYS[] = {
    {GIE_F32, GIE_F32, "nchw", "nchw", {2, 64, 8, 8}, 0, "chunks", 1},
    {GIE_F32, GIE_F16, "nchw", "nchw", {2, 64, 8, 8}, 0, "chunks", 1},
    {GIE_F32, GIE_F32, "nhwc", "nhwc", {2, 64, 8, 8}, 16, "chunks", 2},
    {GIE_F32, GIE_F32, "nchw", "nhwc", {2, 64, 8, 8}, 0, "tiles", 3},
    {GIE_F16, GIE_F16, "nhwc", "nchw", {2, 64, 8, 8}, 0, "tiles", 3},
    {GIE_F16, GIE_F32, "nhwc", "nchw", {2, 64, 8, 8}, 0, "tiles", 3},
    {GIE_I8, GIE_I8, "nhwc", "nchw", {2, 64, 8, 8}, 0, "tiles", 3},
    {GIE_F32, GIE_F16, "nchw", "nhwc", {2, 3, 8, 8}, 0, "lanes", 3},
    {GIE_F16, GIE_F16, "nchw", "Nchw2", {4, 3, 8, 8}, 0, "lanes", 3},
    {GIE_F16, GIE_F16, "Nchw2", "nchw", {4, 3, 8, 8}, 0, "lanes", 3},
    {GIE_F32, GIE_F16, "nchw", "nChw4", {2, 3, 8, 8}, 0, "lanes", 3}, /* pad lanes in the only block */
    {GIE_F16, GIE_F16, "nChw8", "nchw", {2, 5, 8, 8}, 0, "lanes", 3},
    {GIE_F16, GIE_F16, "nhwc", "nChw4", {2, 3, 8, 8}, 0, "each", 0},
    {GIE_F16, GIE_F16, "nchw", "nChw4", {2, 7, 8, 8}, 0, "each", 0}, /* pad lanes in the last of two */
    {GIE_F16, GIE_F16, "Nchw2", "nchw", {3, 3, 8, 8}, 0, "each", 0},
    {GIE_F16, GIE_F16, "Nchw2", "Nchw2", {4, 3, 8, 8}, 0, "chunks", 1},
    {GIE_F32, GIE_F32, "nChw8", "nChw4", {2, 64, 8, 8}, 0, "each", 0}, /* different blocks */
    {GIE_F32, GIE_I32, "nchw", "nchw", {2, 64, 8, 8}, 0, "each", 0},
    {GIE_F32, GIE_F32, "nchw", "nhwc", {2, 64, 1, 1}, 0, "chunks", 1},
    {GIE_F32, GIE_F32, "nchw", "nhwc", {0, 64, 8, 8}, 0, "nothing", 0},
};

START_TEST(ways)
{
  const struct way *w = &WAYS[_i];
  struct cuda_tensor from = tensor(w->from, w->from_order, w->dim, 0),
                     to = tensor(w->to, w->to_order, w->dim, w->pitch);
  struct cuda_copy c;
  cuda_copy_make(&to, &from, &c);
  ck_assert_msg(strcmp(cuda_copy_text(&c), w->text) == 0, "row %d: %s instead of %s", _i, cuda_copy_text(&c),
                w->text);
  if (w->rank)
    ck_assert_int_eq(c.loop.rank, w->rank);
}
END_TEST

/* Lanes that are in no block are not taken for those of a block beside them: an nChw4c image of two columns into a range of
 * the columns of another image, and a transpose into a block. */
START_TEST(lanes_of_others)
{
  const int64_t image[4] = {1, 3, 1, 2}, turned[4] = {1, 3, 4, 5};
  struct cuda_copy c;
  struct cuda_tensor from = tensor(GIE_F16, "nChw4", image, 0), to = tensor(GIE_F16, "nchw", image, 0);
  to.stride[0] = 12, to.stride[1] = 4, to.stride[2] = 4;
  cuda_copy_make(&to, &from, &c);
  ck_assert_str_eq(cuda_copy_text(&c), "lanes");
  ck_assert(c.split); /* the operand's three, not the result's two columns, of which four would be stored */
  to = tensor(GIE_F16, "nChw4", turned, 0), from = tensor(GIE_F16, "nchw", turned, 0);
  from.stride[0] = 60, from.stride[1] = 4, from.stride[2] = 1, from.stride[3] = 12;
  cuda_copy_make(&to, &from, &c);
  ck_assert_str_eq(cuda_copy_text(&c), "each");
}
END_TEST

/* Which copies go together in one launch, and as what. */
START_TEST(rows)
{
  const int64_t wide[4] = {2, 16, 5, 7}, narrow[4] = {2, 3, 5, 7}, other[4] = {2, 16, 5, 6};
  struct cuda_rows r = {};
  struct cuda_copy last, first, turned, fewer;
  struct cuda_tensor to = tensor(GIE_F16, "nhwc", wide, 8), from = tensor(GIE_F16, "nhwc", wide, 0);
  cuda_copy_make(&to, &from, &last);
  to = tensor(GIE_F16, "nhwc", narrow, 21), from = tensor(GIE_F16, "nhwc", narrow, 0);
  cuda_copy_make(&to, &from, &first);
  to = tensor(GIE_F16, "nhwc", wide, 8), from = tensor(GIE_F16, "nchw", wide, 0);
  cuda_copy_make(&to, &from, &turned);
  to = tensor(GIE_F16, "nhwc", other, 8), from = tensor(GIE_F16, "nhwc", other, 0);
  cuda_copy_make(&to, &from, &fewer);
  ck_assert(cuda_rows_add(&r, &last) && cuda_rows_add(&r, &first));
  ck_assert_int_eq(r.n, 2);
  ck_assert_int_eq(r.rows, 2 * 5 * 7);
  ck_assert_int_eq(r.width[0], 32);
  ck_assert_int_eq(r.width[1], 6);
  ck_assert_int_eq(r.from_row[0], 32);
  ck_assert_int_eq(r.to_row[0], 48);
  ck_assert_int_eq(r.to_row[1], 48);
  ck_assert(!cuda_rows_add(&r, &turned));
  ck_assert_int_eq(r.n, 0);
  ck_assert(cuda_rows_add(&r, &last) && !cuda_rows_add(&r, &fewer));
  ck_assert_int_eq(r.n, 0);
}
END_TEST

/* Quotients by multiplication, as the device computes them. */
START_TEST(quotients)
{
  for (uint32_t d = 1; d < 2000000000u; d += d / 3 + 1) {
    struct cuda_div v = cuda_div_by(d);
    for (uint64_t n = 0; n < (uint64_t(1) << 31); n += n / 5 + d / 7 + 1) {
      uint32_t q = uint32_t((((n * v.multiplier) >> 32) + n) >> v.shift);
      ck_assert_msg(q == n / d, "%llu / %u is %u", (unsigned long long)n, d, q);
    }
  }
}
END_TEST

int main()
{
  Suite *suite = suite_create("cuda copies");
  TCase *tcase = tcase_create("cuda copies");
  tcase_set_timeout(tcase, 300);
  tcase_add_loop_test(tcase, ways, 0, int(sizeof WAYS / sizeof *WAYS));
  tcase_add_test(tcase, lanes_of_others);
  tcase_add_test(tcase, rows);
  tcase_add_test(tcase, quotients);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
