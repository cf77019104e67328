#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compute-sanitizer over the kernels of this tree: each tool must first find its planted error and nothing in a program without
# one (exit 99 and 0); then it goes over the quick mode of the tests. One line a run; what it found is in FOLDER.
#
#   sanitize.sh DIR FOLDER [TOOL...]     DIR is a gpu-bundle; logs go to FOLDER
set -u
dir=$(cd "$1" && pwd) logs=$2
shift 2
mkdir -p "$logs"
export LD_LIBRARY_PATH="$dir/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" GIE_MODULE_PATH="$dir/modules" GIE_TEST_QUICK=1
export CK_VERBOSITY=normal CK_DEFAULT_TIMEOUT=600
cd "$dir" || exit 1

# check TOOL NAME PROGRAM [ARGUMENT...]
check()
{
  tool=$1 name=$2 start=$(date +%s)
  shift 2
  compute-sanitizer --tool "$tool" --print-limit 20 --error-exitcode 99 "$@" >"$logs/$tool.$name.txt" 2>&1
  rc=$?
  printf '%-10s %-20s exit %-3s %4s s  %s\n' "$tool" "$name" "$rc" $(($(date +%s) - start)) \
    "$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$logs/$tool.$name.txt" | tail -n 1 | sed 's/^=* *//')" \
    >"$logs/$tool.$name.line"
}

compute-sanitizer --version | tail -n 1
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
date -u +%Y-%m-%d
for tool in ${*:-memcheck racecheck initcheck synccheck}; do
  check "$tool" planted bin/planted "$tool"
  check "$tool" clean bin/planted none
  check "$tool" cuda_kernels tests/cuda/test_kernels &
  check "$tool" cuda_conv tests/cuda/test_conv &
  check "$tool" cublas_own tests/cublas/test_kernels own 25 & # what the library launches is not ours
done
wait
cat "$logs"/*.line
