#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# examples/plan_run as a user would build it: with the installed headers and libgie-rt alone.
set -eu
: "${top_builddir:=$PWD}" "${top_srcdir:=.}"
make_plan=$(cd "$top_builddir" && pwd)/tests/plan/make_plan
. "$top_srcdir/tests/installed.sh"
cat >"$tmp/net.gie" <<'END'
graph "net" (n) {
  input %x : f32[n,4]
  const %w : f32[4,2] = {1, 0, 0, 1, 1, 1, -1, -1}
  %m = matmul(%x, %w)
  %y = relu(%m)
  output %y
}
END
"$make_plan" 1,4 "$tmp/net.plan" "$tmp/net.gie"
# shellcheck disable=SC2046,SC2086
$CC $SANITIZE -std=c11 -Wall -Wextra -Werror "$top_srcdir/examples/plan_run/plan_run.c" -o "$tmp/plan_run" \
  $($PKG_CONFIG --cflags --libs gie-rt)
libraries=$(readelf -d "$tmp/plan_run" | sed -n 's/.*NEEDED.*\[\(.*\)\].*/\1/p')
case $libraries in *libgie.so*) echo "it links with the builder: $libraries"; exit 1 ;; esac
case $libraries in *libgie-rt.so*) ;; *) echo "it does not link with the run time: $libraries"; exit 1 ;; esac

LD_LIBRARY_PATH=$($PKG_CONFIG --variable=libdir gie-rt)
export LD_LIBRARY_PATH
[ "$("$tmp/plan_run" "$tmp/net.plan" 2>"$tmp/err")" = 'y [1,2]: 0 0' ]
# one row of 1, 2, 3, 4 as NumPy writes it
{ printf '\223NUMPY\1\0\166\0'; printf "%-117s\n" "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }"
  printf '\0\0\200\77\0\0\0\100\0\0\100\100\0\0\200\100'; } >"$tmp/x.npy"
out=$("$tmp/plan_run" "$tmp/net.plan" "$tmp/x.npy" 2>"$tmp/err")
[ "$out" = 'y [1,2]: 0 1' ] || { echo "it prints $out"; exit 1; }
code=0
"$tmp/plan_run" "$tmp/net.gie" 2>"$tmp/err" || code=$?
[ "$code" = 65 ] && grep -q 'looks like gie text' "$tmp/err"
