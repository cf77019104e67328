#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A layer built against the frozen headers of release 1.0, by the compiler of this build and by clang, loads and runs here and in
# a host that is ahead; one of another major or of a later minor is refused.
set -eu
: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}" "${SANITIZE:=}"
gie=$top_builddir/gie
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "frozen: $*" >&2; exit 1; }
try=$top_srcdir/plugins/templates/layer/try.gie

# build COMPILER MAJOR MINOR FILE
build()
{
  mkdir -p "$tmp/$2.$3/gie"
  sed -e "s/^#define GIE_ABI_MAJOR 1$/#define GIE_ABI_MAJOR $2/" -e "s/^#define GIE_ABI_MINOR 0$/#define GIE_ABI_MINOR $3/" \
    "$top_srcdir/tests/abi/gie_1_0.h" >"$tmp/$2.$3/gie/module.h"
  # shellcheck disable=SC2086
  $1 -std=gnu11 -Wall -Wextra -Werror -O2 -fPIC -fvisibility=hidden -DGIE_MODULE_BUILD -I"$tmp/$2.$3" -shared \
    -o "$tmp/$4" "$top_srcdir/plugins/templates/layer/template.c" -lm
}

for compiler in "$CC" clang; do
  command -v "${compiler%% *}" >/dev/null 2>&1 || { echo "no $compiler here: left out"; continue; }
  build "$compiler" 1 0 layer.so
  "$gie" plugin test "$tmp/layer.so" >"$tmp/test.txt" || fail "$compiler: $(cat "$tmp/test.txt")"
  "$gie" run "$try" --module="$tmp/layer.so" --random --output d="$tmp/d.npy" --quiet
  "$gie" run "$try" --module="$tmp/layer.so" --random --compare a="$tmp/d.npy" >"$tmp/run.txt" || fail "$compiler: $(cat "$tmp/run.txt")"
  printf '%s: ' "${compiler##* }"
  "$top_builddir/tests/abi/host_ahead" "$tmp/layer.so" "$try"
done

# refused TEXT FILE: when it is named, when it is found, and by the tester.
refused()
{
  status=0; "$gie" plugin list --module="$tmp/$2" >"$tmp/out.txt" 2>&1 || status=$?
  [ $status = 78 ] && grep -qF "error[E_MODULE]: $tmp/$2: $1" "$tmp/out.txt" || fail "$2: $status: $(cat "$tmp/out.txt")"
  status=0; "$gie" plugin test "$tmp/$2" >"$tmp/out.txt" 2>&1 || status=$?
  [ $status = 1 ] && grep '^failed   note: ' "$tmp/out.txt" | grep -qF "$1" || fail "$2: $status: $(cat "$tmp/out.txt")"
}
build "$CC" 2 0 major.so
refused 'it is built for module ABI 2.0' major.so
build "$CC" 1 99 minor.so
refused 'it needs module ABI 1.99' minor.so
