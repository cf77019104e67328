/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 against the examples of FIPS 180-4 and NIST's "SHA test vectors", and in pieces. */
#include "tests/gie_check.h"

/* Tests run twice: with what the CPU offers and with the portable code. */
static bool portable;

static void digest_hex(const void *p, size_t n, size_t piece, char hex[65])
{
  struct gie_sha256 s;
  unsigned char digest[32];
  gie_sha256_init(&s);
  if (portable)
    s.blocks = gie_sha256_blocks;
  for (size_t i = 0; i < n; i += piece)
    gie_sha256_update(&s, (const char *)p + i, piece < n - i ? piece : n - i);
  gie_sha256_final(&s, digest);
  gie_sha256_hex(digest, hex);
}

static const struct {
  const char *text, *hex;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

START_TEST(test_vectors)
{
  char hex[65];
  for (int run = 0; run < 2; run++, portable = true) {
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
      digest_hex(vectors[i].text, strlen(vectors[i].text), SIZE_MAX / 2, hex);
      ck_assert_str_eq(hex, vectors[i].hex);
    }
  }
}
END_TEST

START_TEST(test_million)
{
  char hex[65], *a = malloc(1000000);
  memset(a, 'a', 1000000);
  for (int run = 0; run < 2; run++, portable = true) {
    digest_hex(a, 1000000, 1000000, hex);
    ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
  free(a);
}
END_TEST

/* However the input is cut, and at every length round a block, the digest is the same. */
START_TEST(test_pieces)
{
  unsigned char data[300];
  char whole[65], cut[65];
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (unsigned char)(i * 7 + 3);
  for (size_t n = 0; n <= sizeof data; n++) {
    portable = true;
    digest_hex(data, n, sizeof data, whole);
    portable = false;
    for (size_t piece = 1; piece < 140; piece += 13) {
      digest_hex(data, n, piece, cut);
      ck_assert_str_eq(cut, whole);
    }
  }
}
END_TEST

GIE_TESTS_MAIN("sha256", test_vectors, test_million, test_pieces)
