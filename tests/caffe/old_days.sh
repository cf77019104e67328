#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The flags that users of Caffe know: gie build --deploy --model --output --batch, and a mean image for photographs. Skips
# visibly (77) without the shared data.
set -eu
data=${GIE_SHARED:-../shared}/data
gie=${GIE:-${top_builddir:-.}/gie}
case $gie in /*) ;; *) gie=$PWD/$gie ;; esac
[ -e "$data/caffe/lenet.prototxt" ] || { echo "SKIP: $data/caffe is not there"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
export GIE_CACHE="$tmp/cache.txt"
fail() { echo "old_days: $*" >&2; exit 1; }

# ---- build

"$gie" build --deploy="$data/caffe/lenet.prototxt" --model="$data/caffe/lenet_iter_10000.caffemodel" --output=ip2 --output=pool1 \
  --batch=2 --estimate --quiet
[ -f lenet.plan ] || fail "no lenet.plan: $(ls)"
"$gie" inspect lenet.plan >inspect.txt
grep -q 'ip2 *f32\[n,10\]' inspect.txt && grep -q 'pool1 *f32\[n,20,12,12\]' inspect.txt || fail "outputs: $(cat inspect.txt)"
! grep -q '^ *prob ' inspect.txt || fail "prob is an output: $(cat inspect.txt)"
"$gie" run lenet.plan --random --batch=2 >run.txt
grep -q 'ip2 *f32\[2,10\]' run.txt || fail "$(cat run.txt)"
"$gie" build --deploy="$data/caffe/lenet.prototxt" --model="$data/caffe/lenet_iter_10000.caffemodel" -o other.plan --estimate --quiet
[ -f other.plan ] || fail "-o with --deploy"
status=0
"$gie" build --deploy="$data/caffe/lenet.prototxt" --random-weights --output=probability --estimate >out.txt 2>&1 || status=$?
[ $status = 64 ] && grep -q 'there is no blob "probability"' out.txt || fail "$status: $(cat out.txt)"
"$gie" build "$data/caffe/lenet.prototxt" --random-weights --output=third.plan --estimate --quiet
[ -f third.plan ] || fail "--output without --deploy is the plan"

# ---- mean.binaryproto: 60 of the test images, of which 73 % are right over all

net="$data/caffe/cifar10_quick.prototxt --weights=$data/caffe/cifar10_quick_iter_5000.caffemodel"
mean=$data/caffe/cifar10_mean.binaryproto
printf '%s\n' airplane automobile bird cat deer dog frog horse ship truck >labels.txt
tar xzf "$data/datasets/cifar10_test_jpg.tar.gz"
inputs=
for class in $(cat labels.txt); do
  for image in $(find test/$class -name '*.jpg' | LC_ALL=C sort | head -n 6); do inputs="$inputs --input $image"; done
done
# shellcheck disable=SC2086
"$gie" run $net $inputs --batch=1 --mean="$mean" --labels=labels.txt --top=1 --json >top.json
right=$(tr -d ' \n' <top.json | sed 's/"input":"test\//\n/g' | awk -F/ 'NR > 1 && $0 ~ "\"label\":\"" $1 "\"" {n++} END {print n + 0}')
[ "$right" -ge 36 ] || fail "$right of 60 images are right: $(head -c 600 top.json)"

# refused EXIT TEXT MEAN
refused()
{
  status=0
  # shellcheck disable=SC2086
  "$gie" run $net --input test/bird/0338.jpg --batch=1 --mean="$3" >out.txt 2>&1 || status=$?
  [ $status = "$1" ] && grep -q "$2" out.txt || fail "--mean=$3: $status: $(cat out.txt)"
}
head -c 5000 "$mean" >cut.binaryproto
printf 'not a blob' >text.binaryproto
printf '\010\001\020\003\030\001\040\001\052\014AAAABBBBCCCC' >small.binaryproto
printf '\010\001\020\003\030\002\040\001\052\014AAAABBBBCCCC' >wrong.binaryproto
: >empty.binaryproto
refused 65 'no BlobProto' cut.binaryproto
refused 65 'no BlobProto' text.binaryproto
refused 65 'the mean image has 1x1 pixels of 3 channels, the input 32x32 of 3' small.binaryproto
refused 65 'the image has 6 numbers, 3 are there' wrong.binaryproto
refused 65 'empty' empty.binaryproto
refused 66 'No such file' none.binaryproto
echo "old_days: $right of 60 images are right"
