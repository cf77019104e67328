#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SqueezeNet through the command: the published test vector within 5e-4 (and the same five best), and
# a cat for cat.jpg. Skips visibly (77) without the shared data.
set -eu
data=${GIE_SHARED:-../shared}/data
gie=${GIE:-${top_builddir:-.}/gie}
net=$data/onnx/SqueezeNet_fp16.onnx
[ -e "$net" ] || { echo "SKIP: $net is not there"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

"$gie" run "$net" --input "$data/onnx/SqueezeNet_input_0.pb" --output "softmaxout_1=$tmp/out.npy" \
  --compare "softmaxout_1=$data/onnx/SqueezeNet_output_0.pb" --atol 5e-4 --same-top 5

top=$("$gie" run "$net" --input "$data/images/cat.jpg" --resize --labels "$data/images/synset_words.txt" --top 5)
echo "$top"
echo "$top" | sed -n 2p | grep -q 'tabby' || { echo "FAIL: no tabby first for cat.jpg"; exit 1; }
