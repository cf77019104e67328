# SPDX-License-Identifier: Apache-2.0
# cublasLt of CUDA 12 or later: its header, with the CUDA toolkit or where CUBLAS_CFLAGS points to. The library is loaded
# at run time, so that none is needed here.
AC_ARG_VAR([CUBLAS_CFLAGS],[C compiler flags for cublasLt])
AS_IF([test "$gie_cuda" = yes],
  [AC_CACHE_CHECK([for cublasLt of CUDA 12 or later],[gie_cv_cublas],
    [gie_saved_cflags=$CFLAGS
     CFLAGS="$CFLAGS $CUBLAS_CFLAGS $CUDA_CPPFLAGS"
     AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <cublasLt.h>
#if CUBLAS_VERSION < 120000
#error too old
#endif]],[[cublasLtHandle_t handle; (void)handle;]])],[gie_cv_cublas=yes],[gie_cv_cublas=no])
     CFLAGS=$gie_saved_cflags])],
  [gie_cv_cublas=no])
AM_CONDITIONAL([HAVE_CUBLAS],[test "$gie_cv_cublas" = yes])
AS_IF([test "$gie_cv_cublas" = yes],
  [GIE_SUMMARY([cublas],[yes])],
  [AS_IF([test "$gie_cuda" = yes],
    [GIE_SUMMARY([cublas],[no (matrix products on the GPU left out; CUDA toolkit: libcublas-dev)])],
    [GIE_SUMMARY([cublas],[no (needs CUDA)])])])
