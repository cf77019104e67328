#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How much of an exhaustive search does selection need, and what does it lose? For each network two builds from
# one cache: --exhaustive, which times every candidate, then the ordinary one, which finds all figures there. So both
# choose from the same measurements, and what differs is the choice. Then both plans are run in turn.
#
#   bench/selection.sh NETWORK.onnx...        (GIE: the command, default build/gie; BATCH: default 1)
#   FLAGS='--device=cuda --fp16' TURN='--noDataTransfers --duration=0.5' bench/selection.sh PROBLEM.onnx...
#
# FLAGS are for the builds, TURN for each run of a plan (default --duration=2); with SHOW=1 what was chosen is listed. bench/cpu_peers/networks.py writes four
# networks with random weights, bench/selection_problems.py ten single convolutions, for a GPU where a whole network
# would take an hour.
set -eu
gie=${GIE:-build/gie} batch=${BATCH:-1} turn=${TURN:---duration=2}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
number() { sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" "$2" | head -n 1; }
# $FLAGS and $turn are several words.
median() { "$gie" bench "$1" $turn 2>/dev/null | sed -n 's/^Latency:.*median = \([0-9.]*\) ms.*/\1/p'; }
# The chosen candidates of a plan, in order of its nodes.
chosen() { "$gie" explain "$1" | sed -n "s/^  \*  /    $2: /p" | tr -s ' '; }
printf '%-16s %18s %18s %7s %20s %20s %7s\n' network 'exhaustive: timed' 'ordinary: used' '%' \
  'expected, exh. ms' 'ordinary ms' '+%'
for model in "$@"; do
  cache=$tmp/cache.txt
  rm -f "$cache"
  "$gie" build "$model" --batch="$batch" ${FLAGS:-} --exhaustive --timingCacheFile="$cache" --json -o "$tmp/all.plan" >"$tmp/all.json"
  "$gie" build "$model" --batch="$batch" ${FLAGS:-} --timingCacheFile="$cache" --cache-read-only --json -o "$tmp/some.plan" >"$tmp/some.json"
  awk -v name="$(basename "$model" .onnx)" -v a="$(number timed "$tmp/all.json")" -v b="$(number cached "$tmp/some.json")" \
    -v x="$(number cost_ms "$tmp/all.json")" -v y="$(number cost_ms "$tmp/some.json")" \
    'BEGIN { printf "%-16s %18d %18d %7.1f %20.4f %20.4f %7.2f\n", name, a, b, 100 * b / a, x, y, 100 * (y / x - 1) }'
  [ -z "${SHOW:-}" ] || { chosen "$tmp/all.plan" exhaustive; chosen "$tmp/some.plan" ordinary; }
  for i in 1 2 3; do
    printf '  run %d: exhaustive %s ms, ordinary %s ms\n' "$i" "$(median "$tmp/all.plan")" "$(median "$tmp/some.plan")"
  done
done
