/* SPDX-License-Identifier: Apache-2.0 */
/* The vector forms of the steps, which are C++, for a test in C. */
#ifndef GIE_TESTS_CUDA_STEPS_VECTOR_H
#define GIE_TESTS_CUDA_STEPS_VECTOR_H

#include <gie/cuda_steps.h>

#ifdef __cplusplus
extern "C" {
#endif
/* Elements (n, c, p) and the v-1 behind it along c or p through the steps, on the host. v is 1, 2, 4 or 8. */
void steps_vector(const struct gie_cuda_steps *s, int v, bool along_c, float *r, int64_t n, int64_t c,
                  int64_t p);
#ifdef __cplusplus
}
#endif
#endif
