#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The demo recognizes all of its pictures, from any folder.
set -eu
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
GIE=${GIE:-${top_builddir:-$top/build}/gie}
export GIE
out=$(cd / && "$top/examples/signs/demo.sh")
printf '%s\n' "$out" | grep -q '^12 of 12 pictures recognized$' || { printf '%s\n' "$out"; exit 1; }
# Each part says something: the ops before and after, a pass, a kernel, memory, the comparison.
printf '%s\n' "$out" | grep -Eq ' (cpu|onednn)\.conv$' || { echo "FAIL: the demo shows no kernel of a convolution"; exit 1; }
for text in '26 batch_norm' 'fuse_bn_into_conv' '26 conv,' 'activations' 'same: prob'; do
  printf '%s\n' "$out" | grep -qF "$text" || { echo "FAIL: the demo shows no \"$text\""; exit 1; }
done
