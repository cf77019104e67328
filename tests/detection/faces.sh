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
[ ! -e "$tmp/x.png" ] || fail "a picture was left behind"
echo "faces: found and drawn by both networks"
