#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gie build, explain and retune: exit codes, messages, what they leave behind.
set -u
. "$(dirname "$0")/expect.sh"
top=${top_srcdir:-.}
net=$top/examples/signs/signs.onnx
plain="--backend=+cpu,-onednn --estimate --timingCacheFile="

# ---- Usage

expect 64 'give one network' build -o "$tmp/x.plan"
expect 64 'nowhere to save the plan' build "$net"
expect 64 'not both' build "$net" --batch=1 --shapes=image:1x3x48x48 -o "$tmp/x.plan"
expect 64 'cannot be negative' build "$net" --build-budget=-1 -o "$tmp/x.plan"
for batch in 0 -1 1,,2 x 1x 99999999999999999999; do
  expect 64 'give numbers of at least 1' build "$net" --batch=$batch -o "$tmp/x.plan"
done
expect 65 'a plan needs numbers' build "$net" $plain -o "$tmp/x.plan"
expect 64 'there is no input "q"' build "$net" $plain --shapes=q:1 -o "$tmp/x.plan"
expect 66 'nothing.onnx' build "$tmp/nothing.onnx" -o "$tmp/x.plan"
expect 73 'no-such-dir' build "$net" $plain --batch=1 -o "$tmp/no-such-dir/x.plan"
[ ! -e "$tmp/x.plan" ] || fail "a failed build left a plan"
cat >"$tmp/odd.gie" <<'END'
graph { input %x : f32[2] %y : f32[2] = "org.example::Odd" "odd1" (%x) output %y }
END
expect 65 'org.example::Odd' build "$tmp/odd.gie" $plain -o "$tmp/x.plan"

# ---- A plan, what it says, and the same again

expect 0 '2 profiles' build "$net" $plain --batch=1,4 -o "$tmp/a.plan"
expect 0 '"profiles": 2' build "$net" $plain --batch=1,4 --json -o "$tmp/b.plan"
cmp "$tmp/a.plan" "$tmp/b.plan" || fail "two builds differ"
expect 0 'prob' run "$tmp/a.plan" --random
expect 0 'profile 1:' explain "$tmp/a.plan"
expect 0 '*  cpu.max_pool' explain "$tmp/a.plan" /pool1/MaxPool
lines=$(wc -l <"$tmp/out")
expect 0 '*  cpu.max_pool' explain "$tmp/a.plan" --all /pool1/MaxPool
[ "$(wc -l <"$tmp/out")" -ge "$lines" ] || fail "explain --all says less"
expect 64 'no node "pool9"' explain "$tmp/a.plan" pool9
expect 65 'this is no plan' explain "$net"
run retune "$tmp/b.plan" $plain --quiet
[ "$code" = 0 ] || fail "retune in place: exit $code"
cmp "$tmp/a.plan" "$tmp/b.plan" || fail "retuning with the same flags gives another plan"
expect 0 '1 profile' retune "$tmp/b.plan" $plain --batch=2 -o "$tmp/c.plan"
expect 65 'this is no plan' retune "$net" $plain -o "$tmp/d.plan"

expect 64 'give each shape once' build "$net" $plain --batch=2,2 -o "$tmp/x.plan"

# ---- One constant, read in two ways

cat >"$tmp/twice.gie" <<'END'
graph {
  input %x : f32[2,3]
  const %w : f32[3,3] = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0}
  %a : f32[2,3] = gemm(%x, %w)
  %b : f32[2,3] = gemm(%x, %w) {trans_b=1}
  output %a
  output %b
}
END
expect 0 'same: worst relative error' debug compare "$tmp/twice.gie" "$tmp/twice.gie"

# ---- With measurements

expect 0 'from the cache' build "$net" --batch=1 --timingCacheFile="$tmp/cache.txt" -o "$tmp/m.plan"
expect 0 ' 0 timed' build "$net" --batch=1 --timingCacheFile="$tmp/cache.txt" --cache-read-only -o "$tmp/n.plan"
cmp "$tmp/m.plan" "$tmp/n.plan" || fail "one cache, two plans"
expect 0 'results have a counterpart' debug compare "$tmp/m.plan" "$net"
expect 78 'worker' build "$net" --batch=1 --timingCacheFile= --config=WORKER=/nowhere/at/all -o "$tmp/w.plan"

finish
