#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each installed header compiles alone, in pedantic C11 and C++11, for programs and for modules; and
# every header of the folder is installed.
set -eu
: "${top_srcdir:=.}" "${CC:=cc}" "${CXX:=}"
include=$top_srcdir/include
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

# compile HEADER WHAT COMMAND...
compile()
{
  header=$1 what=$2
  shift 2
  printf '#include <gie/%s>\n' "$header" >"$tmp/header.c"
  if ! "$@" -Wall -Wextra -Werror -I"$include" -fsyntax-only "$tmp/header.c" 2>"$tmp/log"; then
    printf 'gie/%s does not compile alone as %s:\n' "$header" "$what"
    cat "$tmp/log"
    failed=1
  fi
}

n=0
for path in "$include"/gie/*.h; do
  header=${path##*/}
  grep -q "include/gie/$header" "$include/local.mk" || { echo "gie/$header is not installed: add it to include/local.mk"; failed=1; }
  case $header in *_list.h | *_inline.h | fn_declare.h) continue ;; esac
  n=$((n + 1))
  for define in -DPROGRAM -DGIE_MODULE_BUILD; do
    # shellcheck disable=SC2086
    compile "$header" "C11 $define" $CC -std=c11 -pedantic-errors $define -x c
    # shellcheck disable=SC2086
    [ -z "$CXX" ] || compile "$header" "C++11 $define" $CXX -std=c++11 -pedantic-errors $define -x c++
  done
done
echo "$n headers compiled alone"
exit "$failed"
