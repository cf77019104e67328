#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# GoogLeNet's plan: every concat, bias, ReLU and normalization is part of something else; copies are counted. By
# estimates, so that the machine's load plays no part. Skips visibly (77) without the shared data.
set -eu
data=${GIE_SHARED:-../shared}/data
gie=${GIE:-${top_builddir:-.}/gie}
net=$data/caffe/bvlc_googlenet_deploy.prototxt
[ -e "$net" ] || { echo "SKIP: $net is not there"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() { echo "FAIL: $*"; exit 1; }

# kernels OP: how many nodes of the plan run on a kernel for it
kernels() { sed -n "s/^\([0-9]*\) [a-z]*\.$1\$/\1/p" "$tmp/nodes" | awk '{n += $1} END {print n + 0}'; }

"$gie" build "$net" --random-weights --batch=1 --estimate --timingCacheFile= --quiet -o "$tmp/g.plan"
"$gie" inspect "$tmp/g.plan" | sed -n 's/^ *nodes *[0-9]*: //p' | sed 's/, /\n/g' >"$tmp/nodes"
cat "$tmp/nodes"
for op in concat add relu mul batch_norm scale cast; do
  [ "$(kernels $op)" = 0 ] || fail "$(kernels $op) kernels for $op"
done
[ "$(kernels conv)" = 39 ] || fail "$(kernels conv) convolutions instead of 39: the siblings are not one"
[ "$(kernels reorder)" = 0 ] || fail "$(kernels reorder) copies: a part of a wide product is not where its concat is"
