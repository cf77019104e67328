#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A .caffemodel of 256 MiB: is it imported in less than 3 times the time of reading it and within twice its size in memory? Run in
# a build folder after `make bench-programs`; the files are made in $TMPDIR and removed. Exit status 1: a limit is missed.
#
#     cd build && ../bench/import_caffe.sh [LAYERS]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
# The command alone, with the importer and the host: libraries of devices, which every run loads, are not what is measured.
GIE=${GIE:-$PWD/tools/gie}
GIE_MODULE_PATH=$PWD/plugins/caffe/.libs:$PWD/backends/cpu/.libs
export GIE GIE_MODULE_PATH
echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors, Linux $(uname -r), $(date -u +%Y-%m-%d)"
"$here/large_caffemodel.py" "$tmp/net.prototxt" "$tmp/net.caffemodel" "--layers=${1:-4}"
bench/import_large "$tmp/net.prototxt" "$tmp/net.caffemodel"
