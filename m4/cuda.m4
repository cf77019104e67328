# SPDX-License-Identifier: Apache-2.0
# GIE_CUDA: --with-cuda=auto|DIR|no. Looks for nvcc and the runtime's header. Sets NVCC, CUDA_DIR,
# CUDA_CPPFLAGS, CUDA_LDFLAGS, gie_cuda=yes|no and the conditional HAVE_CUDA. The libraries link with
# none of it; only backends do.
AC_DEFUN([GIE_CUDA],
[AC_ARG_WITH([cuda],
  [AS_HELP_STRING([--with-cuda=auto|DIR|no],[CUDA toolkit for the CUDA backends (auto)])],,[with_cuda=auto])
AC_ARG_VAR([NVCC],[compiler of CUDA sources])
CUDA_DIR=
gie_cuda=no
gie_cuda_why="switched off"
AS_VAR_IF([with_cuda],[no],,
  [AS_CASE([$with_cuda],
    [auto|yes],
      [gie_nvcc=$NVCC
       AS_IF([test "x$gie_nvcc" = x],
         [AC_PATH_PROG([gie_path_nvcc],[nvcc],[],[$PATH$PATH_SEPARATOR/usr/local/cuda/bin])
          gie_nvcc=$gie_path_nvcc])
       AS_IF([test "x$gie_nvcc" != x],[CUDA_DIR=`dirname "$gie_nvcc"`; CUDA_DIR=`cd "$CUDA_DIR/.." && pwd`])],
    [CUDA_DIR=$with_cuda
     gie_nvcc=${NVCC:-$CUDA_DIR/bin/nvcc}])
   gie_cuda_why="no nvcc"
   AS_IF([test "x$gie_nvcc" != x && test -x "$gie_nvcc"],
     [gie_cuda_why="no cuda_runtime.h under $CUDA_DIR"
      for gie_dir in "$CUDA_DIR/include" "$CUDA_DIR/targets/$host_cpu-linux/include" /usr/include; do
        AS_IF([test "$gie_cuda" = no && test -f "$gie_dir/cuda_runtime.h"],
          [gie_cuda=yes
           NVCC=$gie_nvcc
           CUDA_CPPFLAGS="-isystem $gie_dir"])
      done
      for gie_dir in "$CUDA_DIR/lib64" "$CUDA_DIR/targets/$host_cpu-linux/lib"; do
        AS_IF([test "x$CUDA_LDFLAGS" = x && test -d "$gie_dir"],[CUDA_LDFLAGS="-L$gie_dir"])
      done])
   AS_IF([test "$gie_cuda" = no],
     [AS_CASE([$with_cuda],[auto],,[AC_MSG_ERROR([--with-cuda=$with_cuda: $gie_cuda_why])])])])
AM_CONDITIONAL([HAVE_CUDA],[test "$gie_cuda" = yes])
AC_SUBST([CUDA_DIR])
AC_SUBST([CUDA_CPPFLAGS])
AC_SUBST([CUDA_LDFLAGS])
AS_IF([test "$gie_cuda" = yes],[GIE_SUMMARY([CUDA],[$CUDA_DIR])],[GIE_SUMMARY([CUDA],[no ($gie_cuda_why)])])])
