#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A network of 1 GiB, its weights inside and beside the file: is it imported in less than 3 times the time
# of reading it and within twice its size in memory? Run in a build folder after `make bench-programs`;
# the files are made in $TMPDIR and removed. Exit status 1: a limit is missed.
#
#     cd build && ../bench/import_large.sh [LAYERS]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
layers=${1:-16}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
GIE=${GIE:-$PWD/gie}
export GIE
failed=0

echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors, Linux $(uname -r), $(date -u +%Y-%m-%d)"
"$here/large_onnx.py" "$tmp/inside.onnx" "--layers=$layers"
bench/import_large "$tmp/inside.onnx" || failed=1
rm -f "$tmp/inside.onnx"
"$here/large_onnx.py" "$tmp/beside.onnx" "--layers=$layers" --external
bench/import_large "$tmp/beside.onnx" "$tmp/beside.onnx.data" || failed=1
exit "$failed"
