#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whole detectors, as a person runs them: Slim-320 with the layers of examples/faces behind it, and RFB-320. A face is where
# it is in the picture, the picture that is drawn says so, and what cannot be drawn is refused.
set -eu
: "${top_srcdir:=.}" "${top_builddir:=.}" "${GIE_SHARED:=../shared}"
data=$GIE_SHARED/data
[ -f "$data/caffe/slim-320.prototxt" ] || { echo "SKIP: $data/caffe is not there"; exit 77; }
gie=$top_builddir/gie
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "faces: $*" >&2; exit 1; }
image=$data/images/voc_000001.jpg
feed="--resize --mean=127 --scale=0.0078125 --labels=$top_srcdir/examples/faces/labels.txt"

cat "$data/caffe/slim-320.prototxt" "$top_srcdir/examples/faces/detect.prototxt" >"$tmp/faces.prototxt"
slim="$tmp/faces.prototxt --weights=$data/caffe/slim-320.caffemodel"
# shellcheck disable=SC2086
"$gie" check $slim | grep -q 'all 103 nodes are supported' || fail "the network is not supported"

# near FILE: one face, its corners within 0.05 of where it is.
near()
{
  awk -v name="$1" 'NR == 2 { split("0.41 0.11 0.76 0.44", want, " "); good = $1 == "face" && $2 > 0.9
      for (i = 1; i <= 4; i++) good = good && $(i + 2) - want[i] < 0.05 && want[i] - $(i + 2) < 0.05 }
    END { if (NR != 2 || !good) { print name ": not the face"; exit 1 } }' "$1" || { cat "$1"; exit 1; }
}
# shellcheck disable=SC2086
"$gie" run $slim --input "$image" $feed --draw "$tmp/slim.png" >"$tmp/slim.txt"
near "$tmp/slim.txt"
# shellcheck disable=SC2086
"$gie" run "$data/onnx/version-RFB-320.onnx" --input input="$image" $feed --draw "$tmp/rfb.png" >"$tmp/rfb.txt"
near "$tmp/rfb.txt"

# The drawing is the image with a green box round the face: its size is the image's, and it can be read back.
[ "$(head -c 8 "$tmp/slim.png" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || fail "slim.png is no PNG"
# shellcheck disable=SC2086
"$gie" run $slim --input "$tmp/slim.png" $feed --draw "$tmp/again.png" >"$tmp/again.txt"
near "$tmp/again.txt"
cmp -s "$tmp/slim.png" "$tmp/again.png" && fail "nothing was drawn"
# shellcheck disable=SC2086
"$gie" run $slim --input "$image" $feed --draw "$tmp/j.png" --json >"$tmp/j.json"
grep -q '"label": "face"' "$tmp/j.json" || fail "no label in JSON: $(cat "$tmp/j.json")"
cmp "$tmp/slim.png" "$tmp/j.png" || fail "two pictures of one run"
# shellcheck disable=SC2086
"$gie" run $slim --input "$data/images/voc_000067.jpg" $feed --draw "$tmp/none.png" | grep -qx 'no box' || fail "a face too many"

# refused EXIT TEXT ARGUMENT...
refused()
{
  want=$1 text=$2; shift 2
  status=0; "$gie" run "$@" >"$tmp/out.txt" 2>"$tmp/err.txt" || status=$?
  [ $status = "$want" ] && grep -q "$text" "$tmp/err.txt" || fail "gie run $*: $status: $(cat "$tmp/err.txt")"
}
# shellcheck disable=SC2086
refused 64 'no output has boxes' "$data/onnx/candy_style.onnx" --input "$image" --resize --draw "$tmp/x.png"
# shellcheck disable=SC2086
refused 64 'there is none' $slim --random --draw "$tmp/x.png"
# shellcheck disable=SC2086
refused 64 'ends in .png' $slim --input "$image" $feed --draw "$tmp/x.jpg"
# shellcheck disable=SC2086
refused 73 'No such file' $slim --input "$image" $feed --draw "$tmp/none/x.png"

# outputs SCORES BOXES: a network that gives these, the scores first, whatever the image.
outputs()
{
  printf 'graph { input %%x : f32[1,3,8,8]\nconst %%s : f32[1,%s}\nconst %%b : f32[1,%s}\n' "$1" "$2"
  echo '%p = identity(%s) %q = identity(%b) output %p output %q }'
}
square=0.1,0.1,0.5,0.5
outputs "2,7] = {0,0,0,0.9,0,0,0, 0,0,0,0,0,0,0.2" "2,4] = {$square,$square" >"$tmp/seven.gie"
outputs "2,4] = {0,0.9,0,0,0,0,0,0" "2,4] = {$square,$square" >"$tmp/four.gie"
outputs "1,7] = {0,0.9,0,0,0,0,0" "1,4] = {0.5,0.1,0.1,0.5" >"$tmp/turned.gie"
many=10001
outputs "$many,2] = {$(awk -v n=$many 'BEGIN { while (--n) printf "0,0.6," }')0,0.95" \
  "$many,4] = {$(awk -v n=$many -v b=$square 'BEGIN { while (--n) printf "%s,", b }')$square" >"$tmp/many.gie"
# drawn FILE: the boxes, without the corners
drawn() { "$gie" run "$tmp/$1" --input "$image" --resize --draw "$tmp/y.png" 2>"$tmp/err.txt" | sed 's/  */ /g' | cut -d' ' -f1-2; }
[ "$(drawn seven.gie | tail -n +2)" = '3 0.900' ] || fail "scores of seven classes: $(drawn seven.gie)"
[ "$(drawn turned.gie)" = 'no box' ] && grep -q 'end before they begin' "$tmp/err.txt" || fail "a turned box: $(drawn turned.gie)"
[ "$(drawn many.gie | tail -n +2)" = '1 0.950' ] && grep -q 'only the best 10000' "$tmp/err.txt" || fail "many boxes: $(drawn many.gie)"
refused 64 'fit equally well' "$tmp/four.gie" --input "$image" --resize --draw "$tmp/x.png"
[ ! -e "$tmp/x.png" ] || fail "a picture was left behind"

# What an unknown layer makes is of no type yet: the layers behind it are not wrong, and the table says all.
cat >"$tmp/unknown.prototxt" <<'END'
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "rois" type: "Input" top: "rois" input_param { shape { dim: 2 dim: 5 } } }
layer { name: "mine" type: "MyLayer" bottom: "data" top: "mine" }
layer { name: "prior" type: "PriorBox" bottom: "mine" bottom: "data" top: "prior" prior_box_param { min_size: 4 } }
layer { name: "a" type: "ROIPooling" bottom: "mine" bottom: "rois" top: "a" roi_pooling_param { pooled_h: 2 pooled_w: 2 } }
layer { name: "b" type: "ROIPooling" bottom: "data" bottom: "mine" top: "b" roi_pooling_param { pooled_h: 2 pooled_w: 2 } }
layer { name: "c" type: "DetectionOutput" bottom: "mine" bottom: "data" bottom: "prior" top: "c" detection_output_param { num_classes: 2 } }
layer { name: "d" type: "DetectionOutput" bottom: "data" bottom: "mine" bottom: "prior" top: "d" detection_output_param { num_classes: 2 } }
END
status=0; "$gie" check "$tmp/unknown.prototxt" >"$tmp/out.txt" 2>&1 || status=$?
[ $status = 1 ] && grep -q 'no layer of this type is known' "$tmp/out.txt" && grep -q '1 of 6 nodes are not supported' "$tmp/out.txt" ||
  fail "an unknown layer: $status: $(cat "$tmp/out.txt")"

# Slim-320 makes one row of all its boxes, whatever the batch: it is built for its own batch only.
# shellcheck disable=SC2086
"$gie" build "$data/caffe/slim-320.prototxt" ${slim#* } --batch=1 --estimate --quiet -o "$tmp/slim.plan" || fail "no plan for its own batch"
status=0
# shellcheck disable=SC2086
"$gie" build "$data/caffe/slim-320.prototxt" ${slim#* } --batch=2 --estimate -o "$tmp/two.plan" >"$tmp/out.txt" 2>&1 || status=$?
[ $status = 65 ] && grep -q 'does not follow the batch' "$tmp/out.txt" || fail "a batch of 2: $status: $(cat "$tmp/out.txt")"
echo "faces: found and drawn by both networks"
