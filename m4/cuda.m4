# SPDX-License-Identifier: Apache-2.0
# GIE_CUDA: --with-cuda=auto|DIR|no and --with-cuda-arch=LIST. Looks for nvcc and the runtime's header, and has
# nvcc compile a file for each architecture. Sets NVCC, GIE_NVCCFLAGS (what the rule for .cu in Makefile.am passes),
# CUDA_DIR, CUDA_CPPFLAGS, CUDA_LDFLAGS, CUDA_LIBS (the shared runtime: all modules must use the same), gie_cuda=yes|no
# and the conditional HAVE_CUDA. The libraries link with none of it; only backends do.
#
# The list: architectures by number (75, 80, 86, 89, 90a …) and ptxNN for code that newer devices translate; "release"
# is what a release is built for.
m4_define([GIE_CUDA_RELEASE],[75 80 86 89 90a ptx90])
AC_DEFUN([GIE_CUDA],
[AC_ARG_WITH([cuda],
  [AS_HELP_STRING([--with-cuda=auto|DIR|no],[CUDA toolkit for the CUDA backends (auto)])],,[with_cuda=auto])
AC_ARG_WITH([cuda-arch],
  [AS_HELP_STRING([--with-cuda-arch=LIST],[devices to compile for: numbers (90a,80), ptxNN, or release = ]GIE_CUDA_RELEASE[ (default: 90a)])],,
  [with_cuda_arch=default])
AC_ARG_VAR([NVCC],[compiler of CUDA sources])
AC_ARG_VAR([NVCCFLAGS],[flags for it])
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
   AS_IF([test "$gie_cuda" = yes],[GIE_CUDA_COMPILER])
   AS_IF([test "$gie_cuda" = no],
     [AS_CASE([$with_cuda],[auto],,[AC_MSG_ERROR([--with-cuda=$with_cuda: $gie_cuda_why])])])])
AM_CONDITIONAL([HAVE_CUDA],[test "$gie_cuda" = yes])
AC_SUBST([CUDA_DIR])
AC_SUBST([CUDA_CPPFLAGS])
AC_SUBST([CUDA_LDFLAGS])
AC_SUBST([CUDA_LIBS])
AC_SUBST([GIE_NVCCFLAGS])
AS_IF([test "$gie_cuda" = yes],[GIE_SUMMARY([CUDA],[$CUDA_DIR, for $gie_cuda_archs])],[GIE_SUMMARY([CUDA],[no ($gie_cuda_why)])])])

# GIE_NVCC_TRY(FLAGS, IF-YES, IF-NO): whether nvcc compiles the kernel of a file with them.
AC_DEFUN([GIE_NVCC_TRY],
[cat >conftest.cu <<'END'
struct gie_pair { int a, b; };
extern "C" __global__ void gie_kernel(int *x) { struct gie_pair p = {.a = 1, .b = 2}; *x = p.a + p.b; }
END
AS_IF([AC_TRY_COMMAND([$NVCC $1 $NVCCFLAGS -c -o conftest.$ac_objext conftest.cu >&AS_MESSAGE_LOG_FD 2>&1])],[$2],[$3])
rm -f conftest.cu conftest.$ac_objext])

# GIE_CUDA_COMPILER: GIE_NVCCFLAGS for the architectures asked for, or gie_cuda=no with gie_cuda_why.
AC_DEFUN([GIE_CUDA_COMPILER],
[CUDA_LIBS=-lcudart
gie_nvcc_base="-std=c++20 -O3 -lineinfo -Xcompiler -fvisibility=hidden,-fno-exceptions,-fno-rtti,-fno-threadsafe-statics"
gie_cuda_archs=
AS_CASE([$with_cuda_arch],
  [default|yes|no],[gie_cuda_wanted="90a 90 89 86 80 75"],
  [release],[gie_cuda_wanted="GIE_CUDA_RELEASE"],
  [gie_cuda_wanted=`AS_ECHO(["$with_cuda_arch"]) | tr , ' '`])
for gie_arch in $gie_cuda_wanted; do
  AC_MSG_CHECKING([whether $NVCC compiles for $gie_arch])
  AS_CASE([$gie_arch],
    [ptx*],[gie_number=`AS_ECHO(["$gie_arch"]) | sed 's/^ptx//'`
            gie_flag="-gencode=arch=compute_$gie_number,code=compute_$gie_number"],
    [gie_flag="-gencode=arch=compute_$gie_arch,code=sm_$gie_arch"])
  GIE_NVCC_TRY([$gie_nvcc_base $gie_flag],
    [AC_MSG_RESULT([yes])
     gie_cuda_archs="$gie_cuda_archs${gie_cuda_archs:+ }$gie_arch"
     gie_nvcc_base="$gie_nvcc_base $gie_flag"],
    [AC_MSG_RESULT([no])
     AS_CASE([$with_cuda_arch],[default|yes|no],,
       [AC_MSG_ERROR([--with-cuda-arch: $NVCC does not compile for $gie_arch; config.log says why])])])
  AS_CASE([$with_cuda_arch],[default|yes|no],[AS_IF([test "x$gie_cuda_archs" != x],[break])])
done
AS_IF([test "x$gie_cuda_archs" = x],
  [gie_cuda=no
   gie_cuda_why="$NVCC compiles no C++20 for any architecture; config.log says why"],
  [GIE_NVCCFLAGS=$gie_nvcc_base
   AS_IF([test "x$enable_werror" = xyes],[GIE_NVCCFLAGS="$GIE_NVCCFLAGS -Werror all-warnings"])])])
