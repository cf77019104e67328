# SPDX-License-Identifier: Apache-2.0
# cuDNN 9 or later: its C header and library, beside CUDA or where CUDNN_CFLAGS and CUDNN_LIBS point.
AC_ARG_VAR([CUDNN_CFLAGS],[C compiler flags for cuDNN])
AC_ARG_VAR([CUDNN_LIBS],[linker flags for cuDNN (default: -lcudnn)])
gie_cudnn_why="no cudnn.h of version 9"
AS_IF([test "x$CUDNN_LIBS" = x],[CUDNN_LIBS=-lcudnn])
AS_IF([test "$gie_cuda" = yes],
  [AC_CACHE_CHECK([for cuDNN 9 or later],[gie_cv_cudnn],
    [gie_saved_cflags=$CFLAGS
     gie_saved_libs=$LIBS
     CFLAGS="$CFLAGS $CUDNN_CFLAGS $CUDA_CPPFLAGS"
     LIBS="$CUDA_LDFLAGS $CUDNN_LIBS $LIBS"
     AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cudnn.h>
#if CUDNN_MAJOR < 9
#error too old
#endif]],[[return cudnnGetVersion() == 0;]])],[gie_cv_cudnn=yes],[gie_cv_cudnn=no])
     CFLAGS=$gie_saved_cflags
     LIBS=$gie_saved_libs])],
  [gie_cv_cudnn=no
   gie_cudnn_why="no CUDA"])
AM_CONDITIONAL([HAVE_CUDNN],[test "$gie_cv_cudnn" = yes])
AS_IF([test "$gie_cv_cudnn" = yes],
  [GIE_SUMMARY([cudnn],[yes])],
  [GIE_SUMMARY([cudnn],[no ($gie_cudnn_why; its kernels are left out)])])
