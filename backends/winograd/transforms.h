/* SPDX-License-Identifier: Apache-2.0 */
/* Made by backends/winograd/transforms from points.def; a test makes it again and compares.
 * For each form, in one dimension: the filter's matrix G, and as code v = Bt d (input) and
 * y = At v (output). */
#ifndef GIE_WINOGRAD_TRANSFORMS_H
#define GIE_WINOGRAD_TRANSFORMS_H

#ifdef __CUDACC__
#define WG_FN static __host__ __device__ __forceinline__
#else
#define WG_FN static inline
#endif

/* F(2x2,3x3), points 0 1 -1 and infinity */

static const double wg_f2r3_filter[4][3] = {
    {1, 0, 0},
    {1.0 / 2, 1.0 / 2, 1.0 / 2},
    {1.0 / 2, -1.0 / 2, 1.0 / 2},
    {0, 0, 1},
};

WG_FN void wg_f2r3_input(const float d[4], float v[4])
{
  v[0] = d[0] - d[2];
  const float s1 = d[2];
  const float t1 = d[1];
  v[1] = s1 + t1;
  v[2] = s1 - t1;
  v[3] = d[3] - d[1];
}

WG_FN void wg_f2r3_output(const float v[4], float y[2])
{
  const float s1 = v[1] + v[2];
  const float t1 = v[1] - v[2];
  y[0] = v[0] + s1;
  y[1] = t1 + v[3];
}

/* F(4x4,3x3), points 0 3/4 -3/4 3/2 -3/2 and infinity */

static const double wg_f4r3_filter[6][3] = {
    {64.0 / 81, 0, 0},
    {128.0 / 243, 32.0 / 81, 8.0 / 27},
    {128.0 / 243, -32.0 / 81, 8.0 / 27},
    {32.0 / 243, 16.0 / 81, 8.0 / 27},
    {32.0 / 243, -16.0 / 81, 8.0 / 27},
    {0, 0, 1},
};

WG_FN void wg_f4r3_input(const float d[6], float v[6])
{
  v[0] = d[4] + 1.265625f * d[0] - 2.8125f * d[2];
  const float s1 = 2.25f * d[2] - d[4];
  const float t1 = 1.6875f * d[1] - 0.75f * d[3];
  v[1] = s1 + t1;
  v[2] = s1 - t1;
  const float s3 = d[4] - 0.5625f * d[2];
  const float t3 = -0.84375f * d[1] + 1.5f * d[3];
  v[3] = s3 + t3;
  v[4] = s3 - t3;
  v[5] = d[5] + 1.265625f * d[1] - 2.8125f * d[3];
}

WG_FN void wg_f4r3_output(const float v[6], float y[4])
{
  const float s1 = v[1] + v[2];
  const float t1 = v[1] - v[2];
  const float s3 = v[3] + v[4];
  const float t3 = v[3] - v[4];
  y[0] = v[0] + s1 + s3;
  y[1] = 0.75f * t1 + 1.5f * t3;
  y[2] = 0.5625f * s1 + 2.25f * s3;
  y[3] = v[5] + 0.421875f * t1 + 3.375f * t3;
}

/* F(2x2,5x5), points 0 3/4 -3/4 3/2 -3/2 and infinity */

static const double wg_f2r5_filter[6][5] = {
    {64.0 / 81, 0, 0, 0, 0},
    {128.0 / 243, 32.0 / 81, 8.0 / 27, 2.0 / 9, 1.0 / 6},
    {128.0 / 243, -32.0 / 81, 8.0 / 27, -2.0 / 9, 1.0 / 6},
    {32.0 / 243, 16.0 / 81, 8.0 / 27, 4.0 / 9, 2.0 / 3},
    {32.0 / 243, -16.0 / 81, 8.0 / 27, -4.0 / 9, 2.0 / 3},
    {0, 0, 0, 0, 1},
};

WG_FN void wg_f2r5_input(const float d[6], float v[6])
{
  v[0] = d[4] + 1.265625f * d[0] - 2.8125f * d[2];
  const float s1 = 2.25f * d[2] - d[4];
  const float t1 = 1.6875f * d[1] - 0.75f * d[3];
  v[1] = s1 + t1;
  v[2] = s1 - t1;
  const float s3 = d[4] - 0.5625f * d[2];
  const float t3 = -0.84375f * d[1] + 1.5f * d[3];
  v[3] = s3 + t3;
  v[4] = s3 - t3;
  v[5] = d[5] + 1.265625f * d[1] - 2.8125f * d[3];
}

WG_FN void wg_f2r5_output(const float v[6], float y[2])
{
  const float s1 = v[1] + v[2];
  const float t1 = v[1] - v[2];
  const float s3 = v[3] + v[4];
  const float t3 = v[3] - v[4];
  y[0] = v[0] + s1 + s3;
  y[1] = v[5] + 0.75f * t1 + 1.5f * t3;
}

/* F(6x6,3x3), points 0 1/2 -1/2 1 -1 2 -2 and infinity */

static const double wg_f6r3_filter[8][3] = {
    {1, 0, 0},
    {32.0 / 45, 16.0 / 45, 8.0 / 45},
    {32.0 / 45, -16.0 / 45, 8.0 / 45},
    {2.0 / 9, 2.0 / 9, 2.0 / 9},
    {2.0 / 9, -2.0 / 9, 2.0 / 9},
    {1.0 / 90, 1.0 / 45, 2.0 / 45},
    {1.0 / 90, -1.0 / 45, 2.0 / 45},
    {0, 0, 1},
};

WG_FN void wg_f6r3_input(const float d[8], float v[8])
{
  v[0] = d[0] - 5.25f * d[2] + 5.25f * d[4] - d[6];
  const float s1 = d[6] + 4.0f * d[2] - 5.0f * d[4];
  const float t1 = 2.0f * d[1] - 2.5f * d[3] + 0.5f * d[5];
  v[1] = s1 + t1;
  v[2] = s1 - t1;
  const float s3 = -d[2] + 4.25f * d[4] - d[6];
  const float t3 = -d[1] + 4.25f * d[3] - d[5];
  v[3] = s3 + t3;
  v[4] = s3 - t3;
  const float s5 = d[6] + 0.25f * d[2] - 1.25f * d[4];
  const float t5 = 0.5f * d[1] - 2.5f * d[3] + 2.0f * d[5];
  v[5] = s5 + t5;
  v[6] = s5 - t5;
  v[7] = d[7] - d[1] + 5.25f * d[3] - 5.25f * d[5];
}

WG_FN void wg_f6r3_output(const float v[8], float y[6])
{
  const float s1 = v[1] + v[2];
  const float t1 = v[1] - v[2];
  const float s3 = v[3] + v[4];
  const float t3 = v[3] - v[4];
  const float s5 = v[5] + v[6];
  const float t5 = v[5] - v[6];
  y[0] = v[0] + s1 + s3 + s5;
  y[1] = t3 + 0.5f * t1 + 2.0f * t5;
  y[2] = s3 + 0.25f * s1 + 4.0f * s5;
  y[3] = t3 + 0.125f * t1 + 8.0f * t5;
  y[4] = s3 + 0.0625f * s1 + 16.0f * s5;
  y[5] = t3 + 0.03125f * t1 + 32.0f * t5 + v[7];
}

#endif
