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
expect 64 'leaves no time to measure' build "$net" --batch=1 --build-budget=0 -o "$tmp/x.plan"
expect 64 '--batch= says no batch' build "$net" --batch= -o "$tmp/x.plan"
expect 64 '--shapes= names no input' build "$net" --shapes= -o "$tmp/x.plan"
expect 64 '--threads=1000000 is more than the 1024' build "$net" --batch=1 --threads=1000000 -o "$tmp/x.plan"
for batch in 0 -1 1,,2 1, x 1x 99999999999999999999; do
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
expect 64 'has its weights in itself' build "$net" $plain --batch=1 --model=no-such.caffemodel -o "$tmp/x.plan"
expect 64 'has its weights in itself' run "$net" --random --weights=no-such.caffemodel
for verb in bench check inspect "opt -o $tmp/x.gie"; do
  # shellcheck disable=SC2086
  expect 64 'has its weights in itself' $verb "$net" --weights=no-such.caffemodel
done
expect 64 'has its weights in itself' run "$tmp/a.plan" --random --weights=no-such.caffemodel
expect 64 'has its weights in itself' bench "$tmp/a.plan" --weights=no-such.caffemodel
cmp "$tmp/a.plan" "$tmp/b.plan" || fail "two builds differ"
expect 0 'prob' run "$tmp/a.plan" --random
expect 0 'f32[0,44]' run "$tmp/a.plan" --random --shapes=image:0x3x48x48 # nothing in, nothing out
expect 64 '--shapes= names no input' run "$tmp/a.plan" --random --shapes=
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
expect 78 '/bin/false does not work as probe worker: it ended with exit status 1' \
  build "$net" --batch=1 --timingCacheFile= --config=WORKER=/bin/false -o "$tmp/w.plan"
printf '#!/bin/sh\necho "worker says: no" >&2\nexit 3\n' >"$tmp/worker"
chmod 755 "$tmp/worker"
run build "$net" --batch=1 --timingCacheFile= --config=WORKER="$tmp/worker" -o "$tmp/w.plan"
grep -q 'worker says' "$tmp/err" && fail "what the worker prints is shown unasked"
run build "$net" --batch=1 --timingCacheFile= --config=WORKER="$tmp/worker" --config=LOG=debug -o "$tmp/w.plan"
grep -q 'worker says: no' "$tmp/err" || fail "what the worker prints is not shown with LOG=debug"
[ ! -e "$tmp/w.plan" ] || fail "a plan without a worker"

# Another number of threads than it was tuned with is said once.
n=$(($(nproc) + 1))
expect 0 "and runs with $n: its choices are kept" run "$tmp/m.plan" --random --threads=$n
[ "$(grep -c 'its choices are kept' "$tmp/err")" = 1 ] || fail "said more than once"
run run "$tmp/m.plan" --random
grep -q 'its choices are kept' "$tmp/err" && fail "the same number of threads is no news"

# The time of a plan for several batches is said to be that of all.
expect 0 'ms for all profiles together' build "$net" $plain --batch=1,2 -o "$tmp/p.plan"

# A place where nothing can be kept is named before anything is timed.
expect 0 'what is measured will not be kept: /proc/no/timing.txt' \
  build "$net" --batch=1 --timingCacheFile=/proc/no/timing.txt --build-budget=0.001 -o "$tmp/p.plan"
[ "$(grep -c 'kept' "$tmp/err")" = 1 ] || { fail "said more than once"; cat "$tmp/err"; }

# ---- Kernels that fail

kernels=${top_builddir:-.}/tests/module/.libs/kernels.so
cat >"$tmp/relu.gie" <<'END'
graph "two" { input %x : f32[1,8,16,16] nchw %a = relu "first" (%x) %b = relu "second" (%a) output %b }
END
bad() { expect "$1" "$2" build "$tmp/relu.gie" --passes= --module="$kernels" --timingCacheFile="$tmp/bad.txt" --config=FORCE="$3" -o "$tmp/bad.plan"; }
bad 71 'node 1 "second" (relu): every kernel that takes it failed (test.huge: limit: asks for 1152921504606846976 bytes' \
  'first:cpu.relu,second:test.huge'
bad 65 'node 0 "first" (relu): every kernel that takes it failed (test.wrong: wrong: result 0 differs' \
  'first:test.wrong,second:cpu.relu'
[ ! -e "$tmp/bad.plan" ] || fail "a plan with a node that nothing runs"
expect 0 'wrong' cache list "$tmp/bad.txt"
expect 0 '0 gone' cache prune "$tmp/bad.txt" --module="$kernels"
expect 0 '1 would go (0 of kernels that are not loaded, 0 of devices that are not here, 1 of kernels that failed)' \
  cache prune "$tmp/bad.txt" --module="$kernels" --bad --dry-run
expect 0 '1 gone' cache prune "$tmp/bad.txt" --module="$kernels" --bad
run cache list "$tmp/bad.txt"
grep -q wrong "$tmp/out" && fail "what failed is still in the cache"
grep -q cpu.relu "$tmp/out" || fail "what was measured is gone"
expect 64 'gie cache merge takes at least 2 files, 1 is given' cache merge "$tmp/bad.txt"
expect 64 'gie cache diff takes at least 2 files, 0 are given' cache diff
expect 64 '"c" is one file too many' cache diff a b c

# ---- A signal: what was measured is kept, no plan is written, and the exit code is the signal's

stop()
{
  rm -f "$tmp/stop.txt"
  # a job in the background has INT ignored, one under nohup HUP
  env --default-signal=INT,HUP "$gie" build "$tmp/relu.gie" --passes= --module="$kernels" --timingCacheFile="$tmp/stop.txt" \
    --config=FORCE=first:cpu.relu,second:test.sleep -o "$tmp/stop.plan" 2>"$tmp/err" &
  pid=$!
  sleep 3
  kill -"$1" $pid
  code=0
  wait $pid || code=$?
  [ "$code" = "$2" ] || fail "signal $1: exit $code instead of $2"
  grep -q "^error\[E_STOPPED\]: .*: stopped by signal .*; no plan is saved, 1 measurement kept for the next time" "$tmp/err" ||
    { fail "signal $1 says"; cat "$tmp/err"; }
  grep -q 'cpu.relu' "$tmp/stop.txt" || fail "signal $1: the measurement is lost"
  [ ! -e "$tmp/stop.plan" ] || fail "signal $1: a plan was saved"
}
stop TERM 143
stop HUP 129
stop INT 130

# ---- Targets: measured once, read back, not kept where nothing can be

for i in 1 2; do
  run target --timingCacheFile="$tmp/peaks.txt" -o "$tmp/$i.target"
done
cmp "$tmp/1.target" "$tmp/2.target" || fail "what was measured was measured again"
grep -q '^peak bytes_per_s' "$tmp/peaks.txt" || fail "what was measured is not in the cache"
run target --timingCacheFile="$tmp/peaks.txt" --estimate -o "$tmp/3.target"
cmp "$tmp/1.target" "$tmp/3.target" || fail "--estimate does not take what the cache has"
expect 0 'units 3' target --timingCacheFile="$tmp/none.txt" --estimate --threads=3
[ ! -e "$tmp/none.txt" ] || fail "--estimate wrote a cache"
expect 0 'what was measured is not kept: /proc/no/timing.txt' target --timingCacheFile=/proc/no/timing.txt
expect 0 'nodes' opt "$net" --passes=default,structure --target="$tmp/1.target" -o "$tmp/wide.gie"
(cat "$tmp/1.target" && echo units 3) >"$tmp/twice.target"
expect 65 'units is in line 4 already' opt "$net" --target="$tmp/twice.target" -o "$tmp/x.gie"

finish
