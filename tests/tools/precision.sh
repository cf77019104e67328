#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gie build --fp16, --tf32, --best and --mem-limit; devices that are not there. half.c offers products in f16.
set -u
. "$(dirname "$0")/expect.sh"
half=${top_builddir:-.}/tests/tools/.libs/half.so
flags="--module=$half --backend=+half,-cpu.matmul,-onednn --estimate --timingCacheFile= --passes="

# ok ARGUMENT...
ok()
{
  run "$@"
  [ "$code" = 0 ] || { fail "gie $*: exit $code"; cat "$tmp/err"; }
}

# %b is beyond what f16 holds, unless both products at it are kept.
cat >"$tmp/large.gie" <<'END'
graph "large" {
  input %x : f32[1,2]
  const %u : f32[2,2] = {1, 2, 3, 4}
  const %v : f32[2,2] = {30000, -20000, 10000, 50000}
  const %w : f32[2,2] = {1e-5, 2e-5, -1e-5, 3e-5}
  %a = matmul(%x, %u)
  %b = matmul(%a, %v)
  %y = matmul(%b, %w)
  output %y
}
END
sed 's/30000, -20000, 10000, 50000/3, -2, 1, 5/; s/e-5/e-1/g' "$tmp/large.gie" >"$tmp/small.gie"
cat >"$tmp/make.gie" <<'END'
graph "make" { input %x : f32[1,2] %y = identity(%x) output %y }
END
mkdir "$tmp/data"
for i in 1 2 3; do
  ok run "$tmp/make.gie" --random=$i --output "y=$tmp/data/$i.npy" --quiet
done

# ---- Usage

expect 64 'give --fp16, or --fp16=auto' build "$tmp/small.gie" --fp16=some -o "$tmp/x.plan"
expect 64 '--data is for --fp16=auto' build "$tmp/small.gie" --fp16 --data="$tmp/data" -o "$tmp/x.plan"
expect 64 '--error is not negative' build "$tmp/small.gie" --fp16=auto --error=-1 --data="$tmp/data" -o "$tmp/x.plan"
expect 64 '--mem-limit=3x' build "$tmp/small.gie" --mem-limit=3x -o "$tmp/x.plan"
expect 66 'folder cannot be read' build "$tmp/small.gie" $flags --fp16=auto --data="$tmp/nowhere" -o "$tmp/x.plan"
[ ! -e "$tmp/x.plan" ] || fail "a failed build left a plan"

# ---- Precision

ok build "$tmp/small.gie" $flags -o "$tmp/x.plan" --json
grep -q '"f16_nodes": 0' "$tmp/out" || { fail "f16 without being allowed"; cat "$tmp/out"; }
expect 0 'precision of profile 0: fp16 allowed; used: ' build "$tmp/small.gie" $flags --fp16 -o "$tmp/x.plan"
grep -q unverified "$tmp/err" || { fail "who verified that?"; cat "$tmp/err"; }
expect 0 'precision  fp16 allowed; used: ' inspect "$tmp/x.plan" --module="$half"
expect 0 'unverified' build "$tmp/small.gie" $flags --fp16=auto -o "$tmp/x.plan"
expect 0 '"allowed": "tf32"' build "$tmp/small.gie" $flags --tf32 --json -o "$tmp/x.plan"
grep -q '"tf32_products": 3' "$tmp/out" || { fail "three products may round"; cat "$tmp/out"; }
expect 0 'fp16,tf32 allowed' build "$tmp/small.gie" $flags --best -o "$tmp/x.plan"
expect 0 'of at most 0.01' build "$tmp/small.gie" $flags --fp16=auto --data="$tmp/data" -o "$tmp/x.plan"
grep -q 'on 3 inputs' "$tmp/err" && ! grep -q 'went back' "$tmp/err" || { fail "nothing had to go back"; cat "$tmp/err"; }
expect 0 'inf before 2 of 3 layers went back to f32' build "$tmp/large.gie" $flags --fp16=auto --data="$tmp/data" -o "$tmp/x.plan"
grep -q '2 kept in f32 on purpose' "$tmp/err" || { fail "two are kept"; cat "$tmp/err"; }
ok run "$tmp/x.plan" --module="$half" --input "$tmp/data/1.npy" --output "$tmp/y.npy"
ok run "$tmp/large.gie" --input "$tmp/data/1.npy" --compare "$tmp/y.npy" --rtol=0.01
expect 0 'before 3 of 3 layers' build "$tmp/small.gie" $flags --fp16=auto --data="$tmp/data" --error=0 -o "$tmp/x.plan"

# ---- Devices that are not here

expect 69 'there is no device "far"' run "$tmp/small.gie" --random --device=far
expect 69 'there is no device "far"' build "$tmp/small.gie" $flags --device=far -o "$tmp/x.plan"
expect 69 'there is no device "far"' bench "$tmp/small.gie" --device=far
for verb in run build bench target debug; do
  case $verb in
    run | bench) rest="$tmp/small.gie --random" ;;
    build) rest="$tmp/small.gie $flags -o $tmp/x.plan" ;;
    target) rest=--estimate ;;
    debug) rest="compare $tmp/small.gie $tmp/small.gie" ;;
  esac
  for device in '' cuda,cpu cpu:x; do
    expect 64 "device \"$device\": write one kind, or kind:index" $verb $rest --device=$device
  done
done
expect 64 'device "": write one kind' run "$tmp/small.gie" --random --device= --fallback=cpu
expect 64 '--fallback=gpu: only the cpu' run "$tmp/small.gie" --random --device=far --fallback=gpu
expect 0 'it runs on the cpu' run "$tmp/small.gie" --random --device=far --fallback=cpu
expect 0 'Throughput' bench "$tmp/small.gie" --device=far --fallback=cpu --iterations=1 --duration=0 --warmUp=0
expect 0 'runs one behind the other' bench "$tmp/small.gie" --noDataTransfers --iterations=2 --duration=0 --warmUp=0
ok build "$tmp/small.gie" $flags -o "$tmp/x.plan" --quiet
expect 78 'half.product' run "$tmp/x.plan" --random
expect 69 'the plan has no profile for device "far"' run "$tmp/x.plan" --random --module="$half" --device=far
expect 64 'device "": write one kind' run "$tmp/x.plan" --random --module="$half" --device=
expect 64 'device "cuda,cpu": write one kind' explain "$tmp/x.plan" --device=cuda,cpu
expect 0 "from the plan's graph without the plan's choices" run "$tmp/x.plan" --random --fallback=cpu --device=far

# ---- Memory

ok run "$tmp/small.gie" --random --mem-limit=1M
expect 71 'the limit is 16' run "$tmp/small.gie" --random --mem-limit=16
expect 71 'the limit is 16' build "$tmp/small.gie" $flags --mem-limit=16 -o "$tmp/x.plan"
ok build "$tmp/small.gie" $flags --mem-limit=1.5KiB -o "$tmp/x.plan"

finish
