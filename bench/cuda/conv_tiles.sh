#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tiled convolution on the layers of GoogLeNet and ResNet-50 at batch 1 against torch. Needs a GPU, the program
# (make bench-programs) and torch. FOLDER is where bench/cuda/conv_tiles was built.
#   bench/cuda/conv_tiles.sh FOLDER [KIND…]      kinds: f16 f32 tf32 tf32x3
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$1/bench/cuda/conv_tiles
shift
[ $# != 0 ] || set -- f16 f32 tf32x3
out=$(mktemp)
trap 'rm -f "$out"' EXIT
"$program" check 20
for kind in "$@"; do
  "$program" time "$kind" "$here/conv_layers.txt" >>"$out"
done
python3 "$here/conv_peers.py" "$here/conv_layers.txt" f16 600 >>"$out"
python3 "$here/conv_peers.py" "$here/conv_layers.txt" f32 600 >>"$out"
python3 "$here/conv_table.py" "$out"
