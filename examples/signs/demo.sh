#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The demo of gie: optimizes the traffic-sign network, then classifies the sample pictures with it.
# `./bootstrap demo` builds gie and runs this. Environment: GIE (the command; default ../../build/gie).
# Exit 0 if every picture was recognized, else 1.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
GIE=${GIE:-$here/../../build/gie}
[ -x "$GIE" ] || { echo "demo: $GIE is not there; run ./bootstrap first" >&2; exit 66; }
GIE=$(cd "$(dirname "$GIE")" && pwd)/$(basename "$GIE")
cd "$here"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# step TITLE, then what happens in it
step() { printf '\n━━━ %s\n\n' "$1"; }
# show COMMAND...: prints it as one would type it, runs it
show()
{
  printf '$ gie %s\n' "$*" | sed "s|$tmp/||g"
  "$GIE" "$@" >"$tmp/shown"
  sed "s|$tmp/||g" "$tmp/shown"
}

step "1. The network as it was trained"
show inspect signs.onnx

step "2. Rewriting its graph (passes that found nothing to do are left out)"
echo "$ gie opt signs.onnx --stats -o signs.gie"
"$GIE" opt signs.onnx --quiet --stats -o "$tmp/signs.gie" >"$tmp/stats"
awk '$2 != "0"' "$tmp/stats"

step "3. The same network afterwards, and the kernel that runs each node"
show inspect --nodes "$tmp/signs.gie"

step "4. Memory at the peak of a run, before and after"
"$GIE" run signs.onnx --passes= --random --output "$tmp/before.npy" --memory >"$tmp/memory.before"
"$GIE" run "$tmp/signs.gie" --random --memory >"$tmp/memory.after"
awk 'BEGIN { printf "%-12s %12s %12s\n", "", "before", "after" }
     NR == FNR { before[$1] = $2 " " $3; next }
     { printf "%-12s %12s %12s\n", $1, before[$1], $2 " " $3 }' "$tmp/memory.before" "$tmp/memory.after"
echo
echo "Both compute the same (random input, largest difference against the network before):"
"$GIE" run "$tmp/signs.gie" --random --compare "$tmp/before.npy" >"$tmp/shown"
sed "s|$tmp/||g" "$tmp/shown"

step "5. Twelve pictures: the five best labels of each"
set --
while read -r picture _; do
  set -- "$@" --input "samples/$picture"
done <samples/expected.txt
echo "$ gie run signs.gie --input samples/01-stop.png --input … --resize --labels labels.txt --top 5"
"$GIE" run "$tmp/signs.gie" "$@" --resize --labels labels.txt --top 5 >"$tmp/top"
awk '
  NR == FNR { expected["samples/" $1] = $2; next }
  /^[^ ]/ { picture = $1; rank = 0; all++; printf "\n%s\n", picture; next }
  { mark = "" }
  ++rank == 1 {
    ok = $3 == expected[picture]
    right += ok
    mark = ok ? "✓" : "✗ it is " expected[picture]
  }
  { printf "%-36s %s\n", $0, mark }
  END {
    printf "\n%d of %d pictures recognized\n", right, all
    exit right == all && all > 0 ? 0 : 1
  }' samples/expected.txt "$tmp/top" | sed 's/ *$//' >"$tmp/report" || :
cat "$tmp/report"
right=$(sed -n '$s/ of .*//p' "$tmp/report")
[ "$right" = "$(wc -l <samples/expected.txt | tr -d ' ')" ]
