#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gie debug compare: names the first wrong node exactly, whatever made it wrong, and where NaN comes from.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tools/expect.sh"
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
kernels=${top_builddir:-.}/tests/module/.libs/kernels.so
[ -f "$kernels" ] || { echo "tests/module/kernels.la is not built"; exit 1; }

cat >"$tmp/net.gie" <<'END'
graph "net" (n) {
  input %x : f32[n,4]
  const %w : f32[4,4] = {1.0, 0.5, 0.0, 0.0, 1.0, 0.25, 0.0, 0.0, 1.0, 0.5, 0.5, 0.5, -1.0, 2.0, -3.0, 0.5}
  %m : f32[n,4] = matmul "product" (%x, %w)
  %r : f32[n,4] = relu "first" (%m)
  %s : f32[n,4] = relu "second" (%r)
  %t : f32[n,4] = tanh "third" (%s)
  %u : f32[n,4] = relu "fourth" (%t)
  output %u
}
END

# ---- Nothing wrong

expect 0 '5 of 5 results have a counterpart' debug compare "$tmp/net.gie" "$tmp/net.gie" --passes=
grep -q '^same: worst relative error 0$' "$tmp/out" || { fail "the same"; cat "$tmp/out"; }
lines 8 "$tmp/out"
# With passes there are fewer nodes; their results are matched by what they mean, not by which node is left.
expect 0 '1 of 1 results have a counterpart' debug compare "$tmp/net.gie" "$tmp/net.gie"
expect 0 'results have a counterpart' debug compare "$top/examples/signs/signs.onnx" "$top/examples/signs/signs.onnx" --backend=+cpu.
grep -qE '^([0-9]+) of \1 results' "$tmp/out" || fail "some results of the signs network have no counterpart"
grep -q '^/stem1/conv/Conv  *conv | relu  *cpu.conv  *[0-9.e-]*  *[0-9.e-]*  *1.00000000$' "$tmp/out" ||
  { fail "a fused node"; cat "$tmp/out"; }

# ---- A result in f32 of something in f16 is as exact as f16

cat >"$tmp/half.gie" <<'END'
graph { input %x : f32[64] %h = cast "down" (%x) {to=f16} %e = exp "exp" (%h) %y : f32[64] = cast "up" (%e) {to=f32} output %y }
END
cat >"$tmp/late.gie" <<'END'
graph { input %x : f32[64] %e0 = exp "exp" (%x) %h0 = cast "down" (%e0) {to=f16} %y : f32[64] = cast "up" (%h0) {to=f32} output %y }
END
expect 0 'same: ' debug compare "$tmp/late.gie" "$tmp/half.gie" --passes=
expect 1 'first difference' debug compare "$tmp/late.gie" "$tmp/half.gie" --passes= --rtol=1e-4
expect 0 'same: ' debug compare "$tmp/half.gie" "$tmp/late.gie" --passes=
sed 's/%e0 = exp/%e0 = tanh/' "$tmp/late.gie" >"$tmp/other.gie"
expect 1 'first difference' debug compare "$tmp/other.gie" "$tmp/half.gie" --passes=

# ---- A wrong kernel, forced on one node. The reference does not get it.

bad() { expect "$1" "$2" debug compare "$tmp/net.gie" "$tmp/net.gie" --passes= --module="$kernels" --config=FORCE="$3"; }
for node in first second fourth; do
  bad 1 "first difference: node \"$node\" (relu, kernel test.wrong)" "$node:test.wrong"
  grep -q "; its operands agree$" "$tmp/out" || { fail "the operands of $node"; cat "$tmp/out"; }
  bad 0 'same: ' "$node:test.right"
done
grep -q 'test.right' "$tmp/out" || { fail "the forced kernel did not run"; cat "$tmp/out"; }
bad 1 'first difference: node "first"' 'first:test.wrong,second:test.wrong'
expect 1 '(rtol 0.01)' debug compare "$tmp/net.gie" "$tmp/net.gie" --passes= --module="$kernels" \
  --config=FORCE=fourth:test.wrong --rtol=0.01
expect 0 'same: ' debug compare "$tmp/net.gie" "$tmp/net.gie" --passes= --module="$kernels" \
  --config=FORCE=fourth:test.wrong --rtol=100
expect 0 'GIE_FORCE: "nobody:test.wrong" names no node' debug compare "$tmp/net.gie" "$tmp/net.gie" --passes= \
  --module="$kernels" --config=FORCE=nobody:test.wrong
# Only the last element is wrong: NaN there and in all that reads it.
bad 1 'first NaN: node "second" (relu, kernel test.nan), value "s"; its operands have none' 'second:test.nan'
grep -q 'first difference: node "second" (relu, kernel test.nan), value "s": relative error inf' "$tmp/out" ||
  { fail "NaN is a difference"; cat "$tmp/out"; }
grep -q 'first Inf' "$tmp/out" && fail "there is no Inf"
expect 1 '"first_nan": {"node": "second", "op": "relu", "kernel": "test.nan", "value": "s", "operand": null, "in_reference": false}' \
  debug compare "$tmp/net.gie" "$tmp/net.gie" --passes= --module="$kernels" --config=FORCE=second:test.nan --json
expect 1 'test.wrong' debug compare "$tmp/net.gie" "$tmp/net.gie" --passes= --module="$kernels" --backend=+test.wrong
bad 69 'net.gie: node 2 "second" (relu), kernel test.fail_run: the device fell asleep' 'second:test.fail_run'

# Nor does it get what a node's note names.
sed 's/"second" (%r)/& !{kernel="test.wrong"}/' "$tmp/net.gie" >"$tmp/noted.gie"
expect 1 'first difference: node "second" (relu, kernel test.wrong)' debug compare "$tmp/noted.gie" "$tmp/noted.gie" --passes= \
  --module="$kernels"

# ---- A wrong pass: its result, edited by hand

gie_opt() { "$gie" opt "$tmp/net.gie" --quiet --passes="$1" -o "$tmp/opt.gie" || fail "gie opt"; }
gie_opt fuse_epilogue
sed 's/ | tanh/ | sigmoid/' "$tmp/opt.gie" >"$tmp/edited.gie"
expect 1 'first difference: node "product" (matmul | relu | relu | sigmoid | relu, kernel cpu.matmul), value "u"' \
  debug compare "$tmp/edited.gie" "$tmp/net.gie" --backend=+cpu.
gie_opt ''
sed 's/ = tanh/ = neg/' "$tmp/opt.gie" >"$tmp/edited.gie"
expect 1 'first difference: node "third" (neg, kernel cpu.neg), value "t"' debug compare "$tmp/edited.gie" "$tmp/net.gie" --passes= --backend=+cpu.
sed -e 's/%t : f32\[n,4\] = tanh/%t : f32[n,4] = neg/' -e 's/%s\([^a-z]\)/%other\1/g' "$tmp/opt.gie" >"$tmp/edited.gie"
expect 1 'its operand "other" could not be compared, so the error may be older' \
  debug compare "$tmp/edited.gie" "$tmp/net.gie" --passes=
grep -q '^4 of 5 results' "$tmp/out" || { fail "one has no counterpart"; cat "$tmp/out"; }
# Another shape under the same name.
cat >"$tmp/edited.gie" <<'END'
graph "net" (n) {
  input %x : f32[n,4]
  const %a : i64[1] = {-1}
  %m = reshape(%x, %a)
  %u = relu(%m)
  output %u
}
END
expect 1 'value "m": another shape' debug compare "$tmp/edited.gie" "$tmp/net.gie" --passes= --shapes=x:2x4

# ---- NaN and Inf that the network itself makes

cat >"$tmp/nan.gie" <<'END'
graph "nan" () {
  input %x : f32[2]
  const %big : f32[2] = {1e38, 1.0}
  const %c : f32[2] = {nan, 1.0}
  %l = log "logarithm" (%x)
  %n = neg "minus" (%x)
  %q = sqrt "root" (%n)
  %e = mul "huge" (%big, %big)
  %a = add "sum" (%q, %e)
  %b = add "with constant" (%a, %c)
  output %b
  output %l
}
END
expect 0 'first NaN: node "root" (sqrt, kernel cpu.sqrt), value "q"; its operands have none; the reference has it there too' \
  debug compare "$tmp/nan.gie" "$tmp/nan.gie" --passes= --backend=+cpu.
grep -q '^first Inf: node "huge" (mul, kernel cpu.mul), value "e"; its operands have none; the reference' "$tmp/out" ||
  { fail "Inf"; cat "$tmp/out"; }
sed 's/%q = sqrt "root" (%n)/%q = neg "root" (%c)/' "$tmp/nan.gie" >"$tmp/const.gie"
expect 0 'node "root" (neg, kernel cpu.neg), value "q"; it comes from constant "c"' debug compare "$tmp/const.gie" "$tmp/const.gie" --passes= --backend=+cpu.

# ---- Shapes that are computed: the tail

cat >"$tmp/tail.gie" <<'END'
graph "tail" () {
  input %x : f32[1]
  input %s : i64[1]
  %a = relu "before" (%x)
  %r = reshape "computed" (%a, %s)
  %y = relu "last" (%r)
  output %y
}
END
expect 0 '3 of 3 results' debug compare "$tmp/tail.gie" "$tmp/tail.gie" --passes=
expect 1 'first difference: node "last" (relu, kernel test.wrong)' debug compare "$tmp/tail.gie" "$tmp/tail.gie" --passes= \
  --module="$kernels" --config=FORCE=last:test.wrong

# ---- A plan, in the profile that fits and in one for a larger batch, whose other rows do not count

plan()
{
  "${top_builddir:-.}/tests/plan/make_plan" 1,4 "$tmp/net.plan" "$1" || fail "make_plan"
  shift
  expect "$@"
}
plan "$tmp/net.gie" 0 '5 of 5 results' debug compare "$tmp/net.plan" "$tmp/net.gie"
for batch in 3 4; do
  expect 0 '5 of 5 results' debug compare "$tmp/net.plan" "$tmp/net.gie" --shapes=x:${batch}x4
done
sed 's/ = tanh/ = neg/' "$tmp/net.gie" >"$tmp/edited.gie"
plan "$tmp/edited.gie" 1 'first difference: node "third" (neg, kernel ' \
  debug compare "$tmp/net.plan" "$tmp/net.gie" --shapes=x:3x4

# ---- Wrong use

expect 64 'gie debug does not know "compere"' debug compere "$tmp/net.gie" "$tmp/net.gie"
expect 64 'an argument is missing' debug compare "$tmp/net.gie"
expect 64 'a tolerance cannot be negative' debug compare "$tmp/net.gie" "$tmp/net.gie" --rtol=-1
expect 66 'No such file' debug compare "$tmp/net.gie" "$tmp/none.gie"
expect 66 'No such file' debug compare "$tmp/none.gie" "$tmp/net.gie"
expect 65 'there is no input "x"; give the network that the other file was made from' \
  debug compare "$tmp/net.gie" "$top/examples/signs/signs.onnx"
sed 's/%\([mrstu]\)\>/%\1\1/g' "$tmp/net.gie" >"$tmp/names.gie"
expect 65 'no result has a name that is in' debug compare "$tmp/names.gie" "$tmp/net.gie" --passes=
printf 'graph "two" (n) { input %%x : f32[n,4] input %%z : f32[n,4] %%m = add(%%x, %%z) output %%m }' >"$tmp/two.gie"
expect 65 'input "z" is not one of the other file' debug compare "$tmp/net.gie" "$tmp/two.gie"

finish
