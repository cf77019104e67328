/* SPDX-License-Identifier: Apache-2.0 */
/* A whole graph run on one stream and on several, as the worker does it: the request, what comes back, and requests that
 * are damaged. The worker's side runs in this process, on the mocks of tests/run. */
#include "core/tune/ways.h"
#include "tests/run/mock.h"
#include <sys/socket.h>
#include <unistd.h>

/* A constant that is made up (%w), one that is sent (%i), one that stands in the text (%s), and one that nobody reads. */
static const char NET[] =
    "graph \"g\" { input %x : f32[32,40] const %w : f32[40,32] = @1280 const %lost : f32[1280] = @1280 "
    "const %s : f32[4] = @4 const %i : f32[32] = @32 "
    "%m = matmul(%x, %w) %a = relu(%m) %b = relu(%m) %c = add(%a, %b) %d = add(%c, %i) "
    "%e = relu(%s) output %d output %e }";

/* "@N" stands for N numbers. */
static struct gie_graph *network(void)
{
  struct gie_buf b;
  gie_buf_init(&b, ctx);
  for (const char *s = NET; *s; s++) {
    if (*s != '@') {
      gie_buf_put(&b, s, 1);
      continue;
    }
    int n = atoi(s + 1);
    for (int i = 0; i < n; i++)
      gie_buf_printf(&b, "%s%d.5", i ? ", " : "{", i % 11 - 5);
    gie_buf_puts(&b, "}");
    s += strspn(s + 1, "0123456789");
  }
  struct gie_graph *g = parse(b.data);
  gie_buf_free(&b);
  return g;
}

static void put_stream(struct gie_graph *g, const char *value, int64_t stream)
{
  const struct gie_attr a = {.name = "stream", .kind = GIE_ATTR_INT, .u.i = stream};
  ck_gie_ok(ctx, gie_node_set_note(g, gie_value_get(g, gie_value_find(g, value))->producer, &a));
}

static void make_request(struct gie_buf *b)
{
  const struct ways_request rq = {.device = "far", .threads = 2};
  struct gie_graph *g = network();
  put_stream(g, "b", 1);
  gie_buf_init(b, ctx);
  ck_gie_ok(ctx, ways_put_request(g, &rq, b));
  gie_graph_free(g);
}

static void far_kernels(void)
{
  mock_register_device(ctx, &mock_far);
  kernel_on("far", "far.any")->seconds = 2e-3;
}

START_TEST(test_both_ways)
{
  struct gie_buf b;
  int fd[2];
  enum wire_type type;
  char *payload, *at;
  size_t n;
  const char *key, *value;
  double one = 0, several = 0;
  far_kernels();
  make_request(&b);
  ck_assert_ptr_nonnull(strstr(b.data, "\nrandom "));
  ck_assert_ptr_nonnull(strstr(b.data, "\ndata 128 "));
  ck_assert_ptr_null(strstr(b.data, "lost"));
  ck_assert_uint_lt(b.len, 2048); /* no weights */
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
  ck_gie_ok(ctx, ways_serve(ctx, fd[1], b.data, b.len));
  ck_gie_ok(ctx, wire_receive(ctx, fd[0], wire_now() + 10, &type, &payload, &n));
  ck_assert_int_eq(type, WIRE_REPLY);
  for (at = payload; wire_next_line(&at, payload + n, &key, &value);)
    *(strcmp(key, "one") == 0 ? &one : &several) = wire_double(value);
  /* six kernels of 2 ms each, by the device's clock */
  ck_assert_msg(one > 11e-3 && one < 1 && several > 5e-3 && several < 1, "%g on one stream, %g on several",
                one, several);
  gie_free(ctx, payload);
  close(fd[0]);
  close(fd[1]);
  gie_buf_free(&b);
}
END_TEST

/* Cut anywhere: a failure with words, and nothing is left open. */
START_TEST(test_damaged)
{
  struct gie_buf b;
  far_kernels();
  make_request(&b);
  for (size_t n = 0; n < b.len; n += n < 200 ? 1 : 37) {
    char *copy = gie_alloc(ctx, n + 1, 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, b.data, n);
    gie_status st = ways_serve(ctx, -1, copy, n);
    ck_assert_msg(st != GIE_OK && *gie_error_text(ctx), "%zu of %zu bytes", n, b.len);
    gie_free(ctx, copy);
  }
  gie_buf_free(&b);
}
END_TEST

GIE_TESTS_MAIN_WITH("ways", setup, teardown, test_both_ways, test_damaged)
