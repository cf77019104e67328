/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 after FIPS 180-4: names weights by content and protects the sections of files. */
#include "core/base/base.h"

/* Section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

void gie_sha256_blocks(uint32_t state[8], const unsigned char *p, size_t n_blocks)
{
  for (; n_blocks; n_blocks--, p += 64) {
    uint32_t w[64];
    for (int t = 0; t < 16; t++)
      w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 | (uint32_t)p[4 * t + 2] << 8 |
             p[4 * t + 3];
    for (int t = 16; t < 64; t++) {
      uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
      uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
      uint32_t s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25), choose = (e & f) ^ (~e & g);
      uint32_t s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22), majority = (a & b) ^ (a & c) ^ (b & c);
      uint32_t t1 = h + s1 + choose + sha_k[t] + w[t];
      h = g, g = f, f = e, e = d + t1;
      d = c, c = b, b = a, a = t1 + s0 + majority;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
}

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>

/* With the SHA instructions of x86: each does two rounds on the state kept as (a,b,e,f), (c,d,g,h),
 * highest element first. m[i % 4] holds the schedule's words 4i … 4i+3. */
__attribute__((target("sha,sse4.1"))) static void sha_blocks_x86(uint32_t state[8], const unsigned char *p,
                                                                 size_t n_blocks)
{
  const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
  __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
  for (; n_blocks; n_blocks--, p += 64) {
    __m128i m[4], abef_before = abef, cdgh_before = cdgh;
    for (int i = 0; i < 4; i++)
      m[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + (size_t)i * 16)), swap);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
      __m128i wk = _mm_add_epi32(m[i % 4], _mm_loadu_si128((const __m128i *)(sha_k + (size_t)i * 4)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e));
      if (i < 12) {
        __m128i last = m[(i + 3) % 4], w7 = _mm_alignr_epi8(last, m[(i + 2) % 4], 4);
        __m128i w = _mm_add_epi32(_mm_sha256msg1_epu32(m[i % 4], m[(i + 1) % 4]), w7);
        m[i % 4] = _mm_sha256msg2_epu32(w, last);
      }
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static bool has_sha(void)
{
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3))
    return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}
#else
static bool has_sha(void) { return false; }
#define sha_blocks_x86 gie_sha256_blocks
#endif

void gie_sha256_init(struct gie_sha256 *s)
{
  static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memset(s, 0, sizeof *s);
  memcpy(s->h, start, sizeof start);
  s->blocks = has_sha() ? sha_blocks_x86 : gie_sha256_blocks;
}

void gie_sha256_update(struct gie_sha256 *s, const void *p, size_t n)
{
  const unsigned char *q = p;
  size_t have = s->bytes % 64;
  s->bytes += n;
  if (have) {
    size_t take = n < 64 - have ? n : 64 - have;
    memcpy(s->block + have, q, take);
    q += take;
    n -= take;
    if (have + take < 64)
      return;
    s->blocks(s->h, s->block, 1);
  }
  s->blocks(s->h, q, n / 64);
  if (n % 64)
    memcpy(s->block, q + n / 64 * 64, n % 64);
}

void gie_sha256_final(struct gie_sha256 *s, unsigned char out[32])
{
  uint64_t bits = s->bytes * 8;
  unsigned char pad[72] = {0x80};
  size_t n_pad = 1 + (119 - s->bytes % 64) % 64;
  for (int i = 0; i < 8; i++)
    pad[n_pad + (size_t)i] = (unsigned char)(bits >> (56 - 8 * i));
  gie_sha256_update(s, pad, n_pad + 8);
  for (int i = 0; i < 32; i++)
    out[i] = (unsigned char)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void gie_sha256_hex(const unsigned char digest[32], char out[65])
{
  for (int i = 0; i < 32; i++) {
    out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
    out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
  }
  out[64] = '\0';
}
