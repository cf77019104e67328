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
    {GIE_F32, GIE_F16, "nhwc", "nChw4", {2, 3, 8, 8}, 0, "lanes", 2},
    {GIE_F16, GIE_F16, "nchw", "nChw4", {2, 7, 8, 8}, 0, "each", 0}, /* pad lanes in the last of two */
    {GIE_F16, GIE_F16, "Nchw2", "nchw", {3, 3, 8, 8}, 0, "each", 0},
    {GIE_F16, GIE_F16, "nhwc", "Nhwc3", {2, 4, 1, 2}, 0, "each", 0}, /* no code for pad lanes of three */
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
  ck_assert_str_eq(cuda_copy_text(&c), "lanes");
  ck_assert(!c.split); /* the result's, with its pad lane */
  ck_assert_int_eq(c.width, 4);
}
END_TEST

/* ---- Lanes of random layouts, as copy_lanes() moves them, one place at a time */

static uint32_t random_state = 1;

static int below(int n)
{
  random_state = random_state * 1664525u + 1013904223u;
  return int((random_state >> 8) % uint32_t(n));
}

/* Axes of random order; axis a in blocks of `block` lanes (1: none), `more` elements behind axis b. *count: all there are. */
static struct cuda_tensor random_tensor(const int64_t *dim, int a, int64_t block, int b, int64_t more,
                                        int64_t *count)
{
  struct cuda_tensor t = {};
  int order[4] = {0, 1, 2, 3};
  for (int i = 3; i > 0; i--) {
    int k = below(i + 1), swap = order[i];
    order[i] = order[k];
    order[k] = swap;
  }
  t.dtype = GIE_F16, t.size = 2, t.rank = 4, t.block_axis = block > 1 ? a : -1, t.block = block;
  *count = block;
  for (int k = 3; k >= 0; k--) {
    int axis = order[k];
    int64_t extent = dim[axis] + (axis == b ? more : 0);
    t.dim[axis] = dim[axis];
    t.stride[axis] = *count;
    *count *= axis == t.block_axis ? (extent + block - 1) / block : extent;
  }
  return t;
}

static int64_t place_of(const struct cuda_tensor *t, const int64_t *idx)
{
  int64_t at = 0;
  for (int i = 0; i < 4; i++)
    at += i == t->block_axis ? idx[i] / t->block * t->stride[i] + idx[i] % t->block : idx[i] * t->stride[i];
  return at;
}

static bool next_index(int rank, const int64_t *dim, int without, int64_t *idx)
{
  for (int i = 0; i < rank; i++)
    if (i != without) {
      if (++idx[i] < dim[i])
        return true;
      idx[i] = 0;
    }
  return false;
}

#define MOST 8192

static void move_lanes(const struct cuda_copy *c, const short *from, short *to)
{
  const struct cuda_loop<2> *l = &c->loop;
  int lanes = c->split ? c->inner : 0, real = int(l->dim[lanes]);
  ck_assert(real == c->width || c->width == 4 || c->width == 8); /* there is no code for other pad lanes */
  int64_t lane = l->stride[c->split ? 0 : 1][lanes], idx[CUDA_LOOP_AXES] = {};
  do {
    int64_t in = 0, out = 0;
    for (int i = 0; i < l->rank; i++)
      in += i == lanes ? 0 : idx[i] * l->stride[1][i], out += i == lanes ? 0 : idx[i] * l->stride[0][i];
    for (int k = 0; k < c->width; k++)
      if (!c->split)
        to[out + k] = k < real ? from[in + k * lane] : 0;
      else if (k < real)
        to[out + k * lane] = from[in + k];
  } while (next_index(l->rank, l->dim, lanes, idx));
}

/* Every element arrives, pad lanes are zero, and nothing else is touched. */
START_TEST(random_lanes)
{
  static short from[MOST], to[MOST], want[MOST];
  int seen = 0;
  for (int n = 0; n < 40000; n++) {
    int64_t dim[4], idx[4] = {}, n_to, n_from;
    for (int i = 0; i < 4; i++)
      dim[i] = 1 + below(6);
    int blocked = below(3), axis = below(4);
    static const int64_t BLOCKS[] = {2, 3, 4, 4, 8, 8};
    int64_t block = BLOCKS[below(6)], more = blocked != 0 && below(2) ? below(6) : 0;
    struct cuda_tensor x = random_tensor(dim, axis, blocked == 1 ? block : 1, 0, 0, &n_from),
                       y = random_tensor(dim, axis, blocked == 0 ? block : 1, below(4), more, &n_to);
    struct cuda_copy c;
    cuda_copy_make(&y, &x, &c);
    if (c.kind != CUDA_COPY_LANES || n_to + 8 > MOST || n_from > MOST)
      continue;
    for (int i = 0; i < MOST; i++)
      to[i] = -1, want[i] = blocked == 0 && i < n_to ? 0 : -1;
    short v = 0;
    do
      want[place_of(&y, idx)] = from[place_of(&x, idx)] = ++v;
    while (next_index(4, dim, -1, idx));
    move_lanes(&c, from, to);
    ck_assert_msg(memcmp(to, want, sizeof to) == 0, "number %d: other elements", n);
    seen++;
  }
  printf("%d copies of lanes\n", seen);
  ck_assert_int_ge(seen, 4000);
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
  tcase_add_test(tcase, random_lanes);
  tcase_add_test(tcase, rows);
  tcase_add_test(tcase, quotients);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
