# SPDX-License-Identifier: Apache-2.0
# oneDNN 2.6 or later: its C header and library; it ships no pkg-config file. DNNL_CFLAGS and DNNL_LIBS
# point elsewhere than to where the compiler looks anyway.
AC_ARG_VAR([DNNL_CFLAGS],[C compiler flags for oneDNN])
AC_ARG_VAR([DNNL_LIBS],[linker flags for oneDNN (default: -ldnnl)])
AS_IF([test "x$DNNL_LIBS" = x],[DNNL_LIBS=-ldnnl])
AC_CACHE_CHECK([for oneDNN 2.6 or later],[gie_cv_onednn],
  [gie_saved_cflags=$CFLAGS
   gie_saved_libs=$LIBS
   CFLAGS="$CFLAGS $DNNL_CFLAGS"
   LIBS="$LIBS $DNNL_LIBS"
   AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <oneapi/dnnl/dnnl.h>
#if DNNL_VERSION_MAJOR < 2 || (DNNL_VERSION_MAJOR == 2 && DNNL_VERSION_MINOR < 6)
#error too old
#endif]],[[return dnnl_version()->major;]])],[gie_cv_onednn=yes],[gie_cv_onednn=no])
   CFLAGS=$gie_saved_cflags
   LIBS=$gie_saved_libs])
AM_CONDITIONAL([HAVE_ONEDNN],[test "$gie_cv_onednn" = yes])
AS_IF([test "$gie_cv_onednn" = yes],
  [GIE_SUMMARY([onednn],[yes])],
  [GIE_SUMMARY([onednn],[no (fast kernels on the CPU left out; Debian: libdnnl-dev)])])
