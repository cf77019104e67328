#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gie plugin test on modules with kernels for CUDA devices: the detection layers, and the layer that is a template. Skips
# visibly (77) without a device. GIE_TEST_MODULES: folders of the modules, when they are not in the build.
set -eu
: "${top_srcdir:=.}" "${top_builddir:=.}"
gie=$top_builddir/gie
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# find_module FOLDER NAME
find_module()
{
  for d in ${GIE_TEST_MODULES:-"$top_builddir/plugins/$1/.libs"}; do [ ! -f "$d/$2.so" ] || echo "$d/$2.so"; done
}

# try MODULE ARGUMENT...: all is well, and nothing skipped but what cannot be guessed.
try()
{
  "$gie" plugin test "$@" >"$tmp/out.txt" || { cat "$tmp/out.txt"; exit 1; }
  ! grep -q '^skipped.*there is no "cuda" device' "$tmp/out.txt" || { echo "SKIP: needs a device of kind cuda"; exit 77; }
  tail -n 1 "$tmp/out.txt"
}
try "$(find_module detection detection_cuda)" --case="$top_srcdir/tests/detection/cases.gie"
for k in prior_box detection_output proposal roi_pooling psroi_pooling roi_align yolo_decode; do
  grep -q "^ok       kernel detection_cuda.$k: .* against detection.$k" "$tmp/out.txt" || { cat "$tmp/out.txt"; echo "FAIL: $k"; exit 1; }
done
try "$(find_module templates/layer with_cuda)"
grep -q '^ok       kernel template.swish_cuda: .* against template.swish' "$tmp/out.txt" || { cat "$tmp/out.txt"; exit 1; }
