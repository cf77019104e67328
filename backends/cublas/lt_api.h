/* SPDX-License-Identifier: Apache-2.0 */
/* cublasLt's functions, looked for when a device first needs them: the library is half a gigabyte, and a program that
 * only loads modules shall not wait for it. */
#ifndef GIE_BACKENDS_CUBLAS_LT_API_H
#define GIE_BACKENDS_CUBLAS_LT_API_H

#include "backends/cublas/cublas.h"

#include <cublasLt.h>

#define CB_LT_LIST(X)                      \
  X(cublasLtCreate)                        \
  X(cublasLtDestroy)                       \
  X(cublasLtGetVersion)                    \
  X(cublasLtGetStatusString)               \
  X(cublasLtMatrixLayoutInit_internal)     \
  X(cublasLtMatrixLayoutSetAttribute)      \
  X(cublasLtMatmulDescInit_internal)       \
  X(cublasLtMatmulDescSetAttribute)        \
  X(cublasLtMatmulPreferenceInit_internal) \
  X(cublasLtMatmulPreferenceSetAttribute)  \
  X(cublasLtMatmulAlgoGetHeuristic)        \
  X(cublasLtMatmulAlgoCheck)               \
  X(cublasLtMatmulAlgoConfigGetAttribute)  \
  X(cublasLtMatmul)

struct cb_lt_api {
#define CB_LT_MEMBER(name) __typeof__(name) *name;
  CB_LT_LIST(CB_LT_MEMBER)
#undef CB_LT_MEMBER
};

/* One for the whole process; filled by the first cb_lt_load() that succeeds. */
extern struct cb_lt_api cb_lt;
gie_status cb_lt_load(struct gie_context *ctx);

#endif
