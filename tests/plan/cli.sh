#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plans on the command line: gie inspect, and gie run with the flags that networks have.
set -u
gie=${GIE:-${top_builddir:-.}/gie}
make_plan=${top_builddir:-.}/tests/plan/make_plan
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() { echo "FAIL: $*"; failed=$((failed + 1)); }

# expect CODE TEXT ARGUMENT...: runs gie, wants this exit code, and TEXT in what was printed.
expect()
{
  want=$1 text=$2 code=0
  shift 2
  "$gie" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || code=$?
  [ "$code" = "$want" ] || { fail "gie $*: exit $code instead of $want"; cat "$tmp/out" "$tmp/err"; }
  [ -z "$text" ] || cat "$tmp/out" "$tmp/err" | grep -qF -e "$text" || { fail "gie $*: no \"$text\" in"; cat "$tmp/out" "$tmp/err"; }
}

cat >"$tmp/net.gie" <<'END'
graph "net" (n) {
  input %x : f32[n,4]
  const %w : f32[4,5] = {1, 0, 0, 1, 1, 1, -1, -1, 1, 0, 0, 1, 1, 1, -1, -1, 1, 2, 3, 4}
  %m = matmul(%x, %w)
  %y = relu(%m)
  output %y
}
END
plan=$tmp/net.plan
"$make_plan" 2,4 "$plan" "$tmp/net.gie" || fail "make_plan"

# The plan gives what the network gives, in a profile of its own and filled up.
for batch in 2 3 4; do
  expect 0 "" run "$tmp/net.gie" --backend=+cpu --random=7 --shapes=x:${batch}x4 -o "$tmp/y.npy"
  expect 0 "same: y" run "$plan" --random=7 --shapes=x:${batch}x4 --compare "$tmp/y.npy" --atol=0
done
expect 0 "f32[2,5]" run "$plan" --random
expect 0 "a batch of 3 runs, filled up, in the profile for 4" run "$plan" --random --shapes=x:3x4
expect 65 "profiles: x:2x4 on cpu; x:4x4 on cpu" run "$plan" --random --shapes=x:5x4
expect 0 "cpu.matmul" run "$plan" --random --profile --memory
expect 0 '"kernel": "cpu.matmul"' run "$plan" --random --profile --json
expect 64 "give it when it is built" run "$plan" --random --backend=-cpu
expect 64 "give it when it is built" run "$plan" --random --passes=
expect 64 "nothing to feed x with" run "$plan"

expect 0 "profile 1    x:4x4 on cpu" inspect "$plan"
expect 0 "nodes      2: 1 cpu.matmul, 1 cpu.relu" inspect "$plan"
expect 0 "f32[4,5]  cpu.relu" inspect "$plan" --nodes
expect 0 '"weight_bytes": 80' inspect "$plan" --json
expect 0 '{"name": "y", "op": "relu", "kernel": "cpu.relu"}' inspect "$plan" --json --nodes

# Where the kernels are not: looking goes, running does not.
tool=${top_builddir:-.}/tools/gie
code=0
GIE_MODULE_PATH=/nonexistent "$tool" inspect "$plan" >"$tmp/out" 2>"$tmp/err" || code=$?
[ "$code" = 0 ] && grep -q "there is none here" "$tmp/out" || { fail "inspect without modules: $code"; cat "$tmp/out" "$tmp/err"; }
code=0
GIE_MODULE_PATH=/nonexistent "$tool" run "$plan" --random >"$tmp/out" 2>"$tmp/err" || code=$?
[ "$code" = 78 ] || fail "run without modules: $code"
grep -q "needs what no module here has: kernel cpu.matmul (cpu 1.0), kernel cpu.relu (cpu 1.0); modules were searched in /nonexistent, " "$tmp/err" || { fail "run without modules"; cat "$tmp/err"; }

expect 65 "looks like a plan of gie" check "$plan"
expect 65 "looks like a plan of gie" opt "$plan" -o "$tmp/x.gie"
head -c 1000 "$plan" >"$tmp/cut.plan"
expect 65 "the plan is cut off: 1000 of" run "$tmp/cut.plan" --random
expect 65 "the plan is cut off: 1000 of" inspect "$tmp/cut.plan"

[ "$failed" = 0 ] || { echo "$failed failed"; exit 1; }
