#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SqueezeNet v1.1 through the command: a cat for cat.jpg, with the flags as they are and as in the old days. Skips
# visibly (77) without the shared data.
set -eu
data=${GIE_SHARED:-../shared}/data
gie=${GIE:-${top_builddir:-.}/gie}
net=$data/caffe/squeezenet_v1.1_deploy.prototxt weights=$data/caffe/squeezenet_v1.1.DERIVED.caffemodel
[ -e "$net" ] || { echo "SKIP: $net is not there"; exit 77; }

feed="--batch=1 --resize=linear --channel-order bgr --mean 104,117,123 --labels $data/images/synset_words.txt --top 5"
# shellcheck disable=SC2086
top=$("$gie" run "$net" --weights "$weights" --input "$data/images/cat.jpg" $feed)
echo "$top"
echo "$top" | sed -n 2p | grep -q 'tabby, tabby cat$' || { echo "FAIL: no tabby first for cat.jpg"; exit 1; }
# shellcheck disable=SC2086
same=$("$gie" run --deploy="$net" --model="$weights" --input "$data/images/cat.jpg" $feed)
[ "$top" = "$same" ] || { echo "FAIL: --deploy with --model differs"; exit 1; }
