#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gie bench: the lines that people grep for, batches, files, energy, and the comparison with a baseline. Times are not
# looked at, only what must hold between them.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tools/expect.sh"
meter=${top_builddir:-.}/tests/tools/.libs/meter.so
quick='--iterations=7 --duration=0 --warmUp=0 --threads=1'

cat >"$tmp/net.gie" <<'END'
graph "net" (n) {
  input %x : f32[n,4]
  input %y : f32[2*n,4]
  const %w : f32[4,3] = {1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.5, 0.5}
  %m : f32[n,3] = matmul(%x, %w)
  %r : f32[n,3] = relu(%m)
  %s : f32[2*n,4] = relu(%y)
  output %r
  output %s
}
END
cat >"$tmp/fixed.gie" <<'END'
graph "fixed" () {
  input %x : f32[2,4]
  input %k : f32[3]
  %r : f32[2,4] = relu(%x)
  %t : f32[3] = relu(%k)
  output %r
  output %t
}
END
cat >"$tmp/folded.gie" <<'END'
graph "folded" () {
  input %x : f32[1,4]
  const %s : i64[2] = {1, -1}
  %r = reshape(%x, %s)
  output %r
}
END
cat >"$tmp/scalar.gie" <<'END'
graph "scalar" () { input %x : f32[] %r = relu(%x) output %r }
END

# number KEY: what follows "KEY" in the output
number_of() { sed -n "s/.*$1 *\\([0-9.][0-9.]*\\).*/\\1/p" "$tmp/out" | head -n 1; }
# holds EXPRESSION: of awk
holds() { awk "BEGIN { exit !($1) }" || { fail "$1"; cat "$tmp/out"; }; }

# ---- The lines

expect 0 'Throughput: ' bench "$tmp/net.gie" $quick --percentile=50,99.9
for line in '^Throughput: [0-9.]* qps$' '^Total Host Walltime: [0-9.]* s$' '^Iterations: 7$' \
  '^=== Performance summary ===$' '^Regime: cpu (.*), 1 thread, one stream, .* no transfers (host memory)$' \
  '^Latency: min = [0-9.]* ms, max = [0-9.]* ms, mean = [0-9.]* ms, median = [0-9.]* ms, percentile(50%) = [0-9.]* ms, percentile(99.9%) = [0-9.]* ms$'; do
  grep -q "$line" "$tmp/out" || { fail "no line $line"; cat "$tmp/out"; }
done
grep -q 'H2D\|D2H\|GPU\|Enqueue\|Energy' "$tmp/out" && fail "the host has transfers"
holds "$(number_of 'min =') <= $(number_of 'median =') && $(number_of 'median =') <= $(number_of 'max =')"
holds "$(number_of 'median =') == $(number_of 'percentile(50%) =')"
expect 0 'Iterations: ' bench "$tmp/net.gie" --iterations=1 --duration=0.2 --warmUp=1
holds "$(number_of 'Walltime:') >= 0.2 && $(number_of 'Iterations:') > 1"

expect 64 '--iterations is at least 1' bench "$tmp/net.gie" --iterations=0
expect 64 'not negative' bench "$tmp/net.gie" --duration=-1
expect 64 'not negative' bench "$tmp/net.gie" --duration=inf
expect 64 'not negative' bench "$tmp/net.gie" --max-latency=-1
for flag in --percentile=101 --percentile= --percentile=1, --percentile=a --batch=0 --batch=1.5 --batch=1,,2 \
  --batch=1048577 --fail-over=x --fail-over=3% --fail-over=-1 --fail-over=3%%; do
  expect 64 "${flag%%=*}" bench "$tmp/net.gie" $flag
done
expect 64 'there is no input "q"' bench "$tmp/net.gie" --shapes=q:1x4
expect 66 'No such file' bench "$tmp/net.gie" --input x="$tmp/none.npy"
expect 69 'no device "warp"' bench "$tmp/net.gie" --device=warp
expect 64 'unknown flag "--warmup"; did you mean "--warmUp"?' bench "$tmp/net.gie" --warmup=1

# ---- Batches

expect 0 'at a batch of 5' bench "$tmp/net.gie" $quick --batch=5
expect 0 'at a batch of 6' bench "$tmp/net.gie" $quick --shapes=x:6x4,y:12x4
expect 0 'at a batch of 2' bench "$tmp/fixed.gie" $quick
expect 0 'at a batch of 9' bench "$tmp/fixed.gie" $quick --batch=9
expect 65 'with a batch of 3: ' bench "$tmp/folded.gie" $quick --batch=3
expect 65 'output "r" does not follow the batch' bench "$tmp/folded.gie" $quick --batch=3
expect 65 'no input has a first dim that could be the batch' bench "$tmp/scalar.gie" $quick --batch=3
expect 0 'at a batch of 1' bench "$tmp/scalar.gie" $quick
expect 0 'Best batch: ' bench "$tmp/net.gie" $quick --batch=1,2,64
grep -q '^ *batch  *median ms  *percentile(90%) ms  *images/s  *images/J$' "$tmp/out" || { fail "the sweep"; cat "$tmp/out"; }
[ "$(grep -c '^ *[0-9]* *[0-9.]* *[0-9.]* *[0-9.]* *-$' "$tmp/out")" = 3 ] || { fail "three rows"; cat "$tmp/out"; }
expect 1 'No batch keeps percentile(90%) at 1e-07 ms.' bench "$tmp/net.gie" $quick --batch=1,2 --max-latency=1e-7
grep -q 'too slow$' "$tmp/out" || fail "too slow is not said"
expect 1 'No batch keeps' bench "$tmp/net.gie" $quick --max-latency=1e-7
expect 0 'Best batch: ' bench "$tmp/net.gie" $quick --batch=1,2 --max-latency=1e7
expect 64 'go with one batch' bench "$tmp/net.gie" $quick --batch=1,2 --dumpProfile

# ---- Nodes, files

expect 0 '=== Profile (7 iterations ) ===' bench "$tmp/net.gie" $quick --backend=+cpu. --dumpProfile --exportProfile="$tmp/p.json" \
  --exportTimes="$tmp/t.json" --trace="$tmp/trace.json"
grep -q '^ *Time(ms)  *Avg.(ms)  *Median(ms)  *Time(%)  *Layer' "$tmp/out" || { fail "the profile"; cat "$tmp/out"; }
grep -q '^ *[0-9.]*  *[0-9.]*  *[0-9.]*  *[0-9.]*  s  *cpu.relu$' "$tmp/out" || { fail "node s"; cat "$tmp/out"; }
grep -q '^ *[0-9.]*  *[0-9.]*  *[0-9.]*  *100.0  Total$' "$tmp/out" || { fail "the total"; cat "$tmp/out"; }
[ "$(grep -c latencyMs "$tmp/t.json")" = 7 ] || { fail "--exportTimes"; cat "$tmp/t.json"; }
grep -q '"count": 7' "$tmp/p.json" || { fail "--exportProfile"; cat "$tmp/p.json"; }
expect 73 'No such file' bench "$tmp/net.gie" $quick --trace="$tmp/none/trace.json"

# ---- A plan with profiles for batches of 1 and 4

cat >"$tmp/row.gie" <<'END'
graph "row" (n) { input %x : f32[n,8] %y : f32[n,8] = relu(%x) %z : f32[n,8] = tanh(%y) output %z }
END
make_plan=${top_builddir:-.}/tests/plan/make_plan
"$make_plan" 1,4 "$tmp/row.plan" "$tmp/row.gie" || fail "make_plan"
expect 0 'at a batch of 1' bench "$tmp/row.plan" $quick
expect 0 'at a batch of 4' bench "$tmp/row.plan" $quick --batch=4
expect 0 'at a batch of 4' bench "$tmp/row.plan" $quick --shapes=x:4x8
expect 0 'Best batch: ' bench "$tmp/row.plan" $quick --batch=1,4
expect 0 'filled up, in the profile for 4' bench "$tmp/row.plan" $quick --batch=3
expect 65 'no profile of the plan is for inputs x [5,8]' bench "$tmp/row.plan" $quick --batch=5
expect 64 '--backend chooses what a plan has chosen' bench "$tmp/row.plan" $quick --backend=+cpu
expect 64 '--passes chooses what a plan has chosen' bench "$tmp/row.plan" $quick --passes=
expect 69 'the plan has no profile for device "warp"' bench "$tmp/row.plan" $quick --device=warp
expect 64 '--passes chooses what a plan has chosen' run "$tmp/row.plan" --random --passes=
expect 0 'f32[4,8]' run "$tmp/row.plan" --random --shapes=x:4x8

# ---- A device with memory of its own and an energy counter: 2 ms in, 4 ms out, 50 W

cat >"$tmp/relu.gie" <<'END'
graph "relu" (n) { input %x : f32[n,8] %y : f32[n,8] = relu(%x) output %y }
END
[ -f "$meter" ] || { echo "tests/tools/meter.la is not built"; exit 1; }
expect 0 'transfers in and out included' bench "$tmp/relu.gie" $quick --module="$meter" --device=meter --batch=4
for line in 'Enqueue Time' 'H2D Latency' 'GPU Compute Time' 'D2H Latency'; do
  grep -q "^$line: min = [0-9.]* ms, max = .* percentile(99%) = [0-9.]* ms$" "$tmp/out" || { fail "no $line"; cat "$tmp/out"; }
done
grep -q '^Total GPU Compute Time: [0-9.]* s$' "$tmp/out" || fail "no total"
in=$(sed -n 's/^H2D Latency: min = \([0-9.]*\).*/\1/p' "$tmp/out")
out=$(sed -n 's/^D2H Latency: min = \([0-9.]*\).*/\1/p' "$tmp/out")
all=$(sed -n 's/^Latency: min = \([0-9.]*\).*/\1/p' "$tmp/out")
holds "$in >= 2 && $out >= 4 && $all >= $in + $out"
energy() { sed -n "s|^Energy: $1\$|\\1|p" "$tmp/out"; }
joules=$(energy '\([0-9.]*\) J, .*') images=$(energy '.* J, \([0-9.]*\) images/J, .*')
watts=$(energy '.* images/J, \([0-9.]*\) W')
holds "$watts > 49.9 && $watts < 80"
holds "$joules * $images > 27.9 && $joules * $images < 28.1"
expect 0 '"joules": ' bench "$tmp/relu.gie" $quick --module="$meter" --device=meter --json
grep -q '"joules": null' "$tmp/out" && fail "the energy is not in the JSON"
expect 0 'images/J' bench "$tmp/relu.gie" $quick --module="$meter" --device=meter --batch=1,2 --trace="$tmp/far.json" --batch=3 --dumpProfile
grep -q '"transfers"' "$tmp/far.json" || fail "the trace has no row for transfers"

# ---- A baseline

expect 0 '"median_low"' bench "$tmp/net.gie" $quick --batch=1,2 --json
cp "$tmp/out" "$tmp/old.json"
# old MEDIAN LOW HIGH: a baseline with these figures, in ms
old()
{
  sed "s/\"latency_ms\": {\\(.*\\)\"median\": [^,]*, \"median_low\": [^,]*, \"median_high\": [^,]*/\"latency_ms\": {\\1\"median\": $1, \"median_low\": $2, \"median_high\": $3/" \
    "$tmp/old.json" >"$tmp/made.json"
}
old 1e-6 1e-6 1e-6
expect 1 'WORSE' bench "$tmp/net.gie" $quick --batch=1,2 --baseline="$tmp/made.json"
[ "$(grep -c 'WORSE$' "$tmp/out")" = 2 ] || { fail "two rows are worse"; cat "$tmp/out"; }
expect 1 'failing over 3 %' bench "$tmp/net.gie" $quick --batch=2 --baseline="$tmp/made.json"
expect 1 '"verdict": "WORSE"' bench "$tmp/net.gie" $quick --batch=2 --baseline="$tmp/made.json" --json
old 1e6 1e6 1e6
expect 0 'better' bench "$tmp/net.gie" $quick --batch=1 --baseline="$tmp/made.json" --fail-over=0%
old 1e-6 1e-6 1e6 # slower, but within the noise of the baseline
expect 0 'same' bench "$tmp/net.gie" $quick --batch=1 --baseline="$tmp/made.json" --fail-over=0
old 1e-6 1e-6 1e-6 # beyond noise, but not more than was allowed
expect 64 'from 0 to 1000' bench "$tmp/net.gie" $quick --batch=1 --baseline="$tmp/made.json" --fail-over=1001%
expect 65 'has none of the batches' bench "$tmp/net.gie" $quick --batch=7 --baseline="$tmp/old.json"
sed 's/"threads": 1/"threads": 9/' "$tmp/old.json" >"$tmp/made.json"
expect 65 'measured with 9 threads, now with 1; give --threads=9' bench "$tmp/net.gie" $quick --baseline="$tmp/made.json"
sed 's/"device_name": "[^"]*"/"device_name": "Z80\\u001b[31m"/' "$tmp/old.json" >"$tmp/made.json"
expect 65 'measured on cpu (Z80\x1b[31m)' bench "$tmp/net.gie" $quick --baseline="$tmp/made.json"
if [ -s "$tmp/out" ]; then fail "something is printed before the baseline is refused"; fi
printf '{"batches": []}\n' >"$tmp/made.json"
expect 65 'no measurement' bench "$tmp/net.gie" $quick --baseline="$tmp/made.json"
head -n 9 "$tmp/old.json" >"$tmp/made.json"
expect 65 'line 10: ' bench "$tmp/net.gie" $quick --baseline="$tmp/made.json"
expect 66 'No such file' bench "$tmp/net.gie" $quick --baseline="$tmp/none.json"

finish
