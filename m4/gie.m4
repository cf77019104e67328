# SPDX-License-Identifier: Apache-2.0
# Macros of configure.ac that are also there for the probe.m4 of backends and plugins.

# GIE_SUMMARY(NAME, VALUE): a row of the table that configure prints at its end.
AC_DEFUN([GIE_SUMMARY],
[gie_summary="$gie_summary`printf '\n  %-18s %s' "$1" "$2"`"])

# GIE_SUMMARY_SHOW: prints the table.
AC_DEFUN([GIE_SUMMARY_SHOW],
[AS_ECHO([""])
AS_ECHO(["$PACKAGE_NAME $PACKAGE_VERSION"])
AS_ECHO(["$gie_summary"])
AS_ECHO([""])])

# GIE_PKG(NAME, PKG-CONFIG MODULES, DEBIAN PACKAGES, WHAT NEEDS IT): an optional library. Sets
# NAME_CFLAGS and NAME_LIBS, the conditional and macro HAVE_NAME, have_NAME=yes|no, and a row.
AC_DEFUN([GIE_PKG],
[PKG_CHECK_MODULES([$1],[$2],[have_$1=yes],[have_$1=no])
AM_CONDITIONAL([HAVE_$1],[test "x$have_$1" = xyes])
AS_VAR_IF([have_$1],[yes],
  [AC_DEFINE([HAVE_$1],[1],[Define to 1 if $2 is there.])
   GIE_SUMMARY([m4_bpatsubst([$2],[ .*])],[yes])],
  [GIE_SUMMARY([m4_bpatsubst([$2],[ .*])],[no ($4 left out; Debian: $3)])])])

# GIE_TRY_CFLAG(VARIABLE, FLAG...): adds each flag to the variable if the compiler takes it.
AC_DEFUN([GIE_TRY_CFLAG],
[for gie_flag in $2; do
  AC_MSG_CHECKING([whether $CC takes $gie_flag])
  gie_saved=$CFLAGS
  CFLAGS="$CFLAGS $$1 -Werror $gie_flag"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([@%:@include <string.h>])],
    [AC_MSG_RESULT([yes]); AS_VAR_APPEND([$1],[" $gie_flag"])],[AC_MSG_RESULT([no])])
  CFLAGS=$gie_saved
done])

# GIE_TRY_LDFLAG(VARIABLE, FLAG...): the same for the linker.
AC_DEFUN([GIE_TRY_LDFLAG],
[for gie_flag in $2; do
  AC_MSG_CHECKING([whether the linker takes $gie_flag])
  gie_saved=$LDFLAGS
  LDFLAGS="$LDFLAGS $$1 $gie_flag"
  AC_LINK_IFELSE([AC_LANG_PROGRAM],
    [AC_MSG_RESULT([yes]); AS_VAR_APPEND([$1],[" $gie_flag"])],[AC_MSG_RESULT([no])])
  LDFLAGS=$gie_saved
done])

# GIE_COMPILER_FLAGS: GIE_CFLAGS, GIE_LDFLAGS and GIE_PROGRAM_LDFLAGS: the language, warnings, and
# hardening or sanitizers (which exclude each other: FORTIFY hides what the sanitizers look for).
AC_DEFUN([GIE_COMPILER_FLAGS],
[GIE_CFLAGS="-std=gnu11 -fvisibility=hidden"
GIE_LDFLAGS=
GIE_PROGRAM_LDFLAGS=
GIE_TRY_CFLAG([GIE_CFLAGS],[-Wall -Wextra -Wvla -Wshadow -Wstrict-prototypes -Wmissing-prototypes])
AS_VAR_IF([enable_sanitizers],[no],
  [GIE_TRY_CFLAG([GIE_CFLAGS],[-fstack-protector-strong -fstack-clash-protection])
   gie_fortify=
   GIE_TRY_CFLAG([gie_fortify],[-U_FORTIFY_SOURCE\ -D_FORTIFY_SOURCE=3])
   AS_IF([test "x$gie_fortify" = x],[GIE_TRY_CFLAG([gie_fortify],[-U_FORTIFY_SOURCE\ -D_FORTIFY_SOURCE=2])])
   GIE_CFLAGS="$GIE_CFLAGS$gie_fortify"
   GIE_TRY_LDFLAG([GIE_LDFLAGS],[-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed])
   GIE_DEFS_LDFLAGS=
   GIE_TRY_LDFLAG([GIE_DEFS_LDFLAGS],[-Wl,-z,defs])],
  [AS_VAR_IF([enable_sanitizers],[yes],[enable_sanitizers=address,undefined])
   GIE_SANITIZE="-fsanitize=$enable_sanitizers"
   GIE_CFLAGS="$GIE_CFLAGS $GIE_SANITIZE -fno-sanitize-recover=all -fno-omit-frame-pointer"
   GIE_LDFLAGS=$GIE_SANITIZE
   AC_DEFINE([GIE_SANITIZERS],[1],[Define to 1 when built with sanitizers.])])
AC_MSG_CHECKING([whether $CC makes position-independent programs])
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([@%:@if !defined __PIE__
@%:@error no
@%:@endif])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([when asked])
   GIE_CFLAGS="$GIE_CFLAGS -fPIE"
   GIE_PROGRAM_LDFLAGS="-pie"])
AM_CONDITIONAL([SANITIZERS],[test "x$enable_sanitizers" != xno])
AS_VAR_IF([enable_werror],[yes],[GIE_CFLAGS="$GIE_CFLAGS -Werror"])
dnl Makefile.am defines it, where Automake sees its -module; here it becomes a name that Automake knows.
AC_SUBST([GIE_MODULE_LDFLAGS])
AC_SUBST([GIE_CFLAGS])
AC_SUBST([GIE_LDFLAGS])
AC_SUBST([GIE_SANITIZE])
AC_SUBST([GIE_DEFS_LDFLAGS])
AC_SUBST([GIE_PROGRAM_LDFLAGS])])
