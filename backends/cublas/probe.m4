# SPDX-License-Identifier: Apache-2.0
# cublasLt of CUDA 12 or later: its header and library, with the CUDA toolkit or where CUBLAS_CFLAGS and CUBLAS_LIBS
# point to.
AC_ARG_VAR([CUBLAS_CFLAGS],[C compiler flags for cublasLt])
AC_ARG_VAR([CUBLAS_LIBS],[linker flags for cublasLt (default: -lcublasLt)])
AS_IF([test "x$CUBLAS_LIBS" = x],[CUBLAS_LIBS=-lcublasLt])
AS_IF([test "$gie_cuda" = yes],
  [AC_CACHE_CHECK([for cublasLt of CUDA 12 or later],[gie_cv_cublas],
    [gie_saved_cflags=$CFLAGS
     gie_saved_libs=$LIBS
     CFLAGS="$CFLAGS $CUBLAS_CFLAGS $CUDA_CPPFLAGS"
     LIBS="$LIBS $CUDA_LDFLAGS $CUBLAS_LIBS"
     AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cublasLt.h>
#if CUBLAS_VERSION < 120000
#error too old
#endif]],[[return cublasLtGetVersion() == 0;]])],[gie_cv_cublas=yes],[gie_cv_cublas=no])
     CFLAGS=$gie_saved_cflags
     LIBS=$gie_saved_libs])],
  [gie_cv_cublas=no])
AM_CONDITIONAL([HAVE_CUBLAS],[test "$gie_cv_cublas" = yes])
AS_IF([test "$gie_cv_cublas" = yes],
  [GIE_SUMMARY([cublas],[yes])],
  [AS_IF([test "$gie_cuda" = yes],
    [GIE_SUMMARY([cublas],[no (matrix products on the GPU left out; libcublas-dev of the CUDA toolkit)])],
    [GIE_SUMMARY([cublas],[no (needs CUDA)])])])
