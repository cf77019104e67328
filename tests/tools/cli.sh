#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What scripts rely on: exit codes, one-line errors, and what each verb writes.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tools/expect.sh"

# ---- Networks

cat >"$tmp/net.gie" <<'END'
graph "net" (n) {
  meta {producer="by hand", opset=13}
  input %x : f32[n,4]
  const %w : f32[4,3] = {1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.5, 0.5}
  const %b : f32[3] = {0.0, 0.25, 0.5}
  %m : f32[n,3] = matmul(%x, %w)
  %s : f32[n,3] = add(%m, %b)
  %i : f32[n,3] = identity(%s)
  %y : f32[n,3] = relu(%i)
  output %y
}
END
cat >"$tmp/two.gie" <<'END'
graph "two" (n) {
  input %a : f32[n,2]
  input %k : i64[2]
  input %unused : f32[1]
  %s : f32[n,2] = add(%a, %a)
  %g : i64[2] = identity(%k)
  output %s
  output %g
}
END
cat >"$tmp/twice.gie" <<'END'
graph "twice" () {
  input %x : f32[3]
  %y : f32[3] = relu(%x)
  output %y
  output %y
}
END
cat >"$tmp/opaque.gie" <<'END'
graph "opaque" () {
  input %x : f32[3]
  %a : f32[3] = "org.example::Warp" "warp1" (%x) {mode="fast"} !{reason="no such op", opset=21}
  %b : f32[3] = "Foo\n\x1b[31m"(%a)
  %y : f32[3] = relu(%b)
  output %y
}
END
cat >"$tmp/image.gie" <<'END'
graph "image" (h) {
  input %pic : u8[1,3,h,2]
  %y : u8[1,3,h,2] = identity(%pic)
  output %y
}
END

# ---- Usage

run
[ "$code" = 64 ] && grep -q '^Usage: gie' "$tmp/err" || fail "gie alone"
expect 0 'gie ' --version
lines 1 "$tmp/out"
expect 0 'Usage: gie VERB' --help
expect 0 'Usage: gie VERB' help
for verb in bench check inspect opt run; do
  expect 0 "Usage: gie $verb" help $verb
  grep -q '^Examples:' "$tmp/out" || fail "help $verb has no examples"
  expect 0 "Usage: gie $verb" $verb --help
  expect 64 'did you mean "--help"?' $verb --hepl
  expect 64 'an argument is missing' $verb
  expect 66 'No such file' $verb "$tmp/missing.gie" $([ $verb != opt ] || echo --stats)
  expect 66 'is a directory' $verb "$tmp" $([ $verb != opt ] || echo --stats)
done
expect 64 'did you mean "check"?' chekc
expect 64 'unknown verb "frobnicate"' frobnicate
expect 64 'unknown verb "x\n\x1b[31m"' "$(printf 'x\n\033[31m')"
expect 64 'unknown flag "--version2" before the verb' --version2
expect 64 'unknown flag "--inptu"; did you mean "--input"?' run --inptu=x "$tmp/net.gie"
expect 64 'did you mean "--channel-order"?' run --channel "$tmp/net.gie"
expect 64 'unknown flag "--zzz"; "gie help run"' run --zzz "$tmp/net.gie"
expect 64 '--top wants a whole number' run --top=many "$tmp/net.gie"
expect 64 '--top needs a value' run "$tmp/net.gie" --top
expect 64 '--json takes no value' check --json=yes "$tmp/net.gie"
expect 64 'is too many' check "$tmp/net.gie" "$tmp/net.gie"
expect 66 'No such file' check -- --json
expect 78 'setting' check --config=NOSUCH=1 "$tmp/net.gie"
expect 78 'not an ELF file' check --module="$0" "$tmp/net.gie"

# The man page has every flag and every row of the config table.
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
sed 's/\\-/-/g' "$top/doc/gie.1" >"$tmp/man"
for verb in bench cache check debug inspect opt plugin run; do
  grep -q "^\.SS gie $verb\$" "$tmp/man" || fail "doc/gie.1 does not know $verb"
  for flag in $("$gie" help $verb | sed -n 's/^  \(-[a-z], \)\{0,1\}\(--[a-zA-Z-]*\).*/\2/p'); do
    grep -qe "$flag" "$tmp/man" || fail "doc/gie.1 does not know $flag"
  done
done
for row in $(sed -n 's/^GIE_CONFIG("\([A-Z_]*\)".*/\1/p' "$top/core/base/config_list.h"); do
  grep -q "GIE_$row" "$tmp/man" || fail "doc/gie.1 does not know GIE_$row"
done

# ---- Files that are no networks

: >"$tmp/empty.onnx"
expect 65 'empty' check "$tmp/empty.onnx"
mkfifo "$tmp/fifo"
expect 66 'not a regular file' check "$tmp/fifo"
printf 'PK\003\004 and so on' >"$tmp/model.onnx"
expect 65 'zip archive' check "$tmp/model.onnx"
printf 'graph "x" {' >"$tmp/cut.gie"
expect 65 'line 1, column 12' check "$tmp/cut.gie"
odd="$tmp/$(printf 'odd\n\033[31m').gie"
printf 'graph' >"$odd"
expect 65 'odd\n\x1b[31m.gie' check "$odd"

# ---- check

expect 0 'all 4 nodes are supported' check "$tmp/net.gie"
lines 1 "$tmp/out"
expect 1 '2 of 3 nodes are not supported' check "$tmp/opaque.gie"
lines 4 "$tmp/out"
grep -q '^warp1  *org.example::Warp  *21  *no such op$' "$tmp/out" || { fail "check's table"; cat "$tmp/out"; }
grep -qF 'Foo\n\x1b[31m' "$tmp/out" || fail "check does not escape"
expect 1 '"supported": false' check --json "$tmp/opaque.gie"

# ---- inspect

expect 0 'f32[n,4]' inspect "$tmp/net.gie"
for text in 'x  f32[n,4]' 'y  f32[n,3]' '4: 1 add, 1 identity, 1 matmul, 1 relu' '60 bytes in 2' 'producer by hand' \
  'every symbol 1'; do
  grep -qF "$text" "$tmp/out" || { fail "inspect: no \"$text\""; cat "$tmp/out"; }
done
expect 0 'cpu.' inspect --nodes "$tmp/net.gie"
expect 0 '"shape": ["n", 4]' inspect --json "$tmp/net.gie"
expect 0 'Foo\n\x1b[31m' inspect --nodes "$tmp/opaque.gie"

# ---- opt

expect 0 'eliminate_identity' opt --list
expect 0 '"eliminate_identity"' opt --list --json
expect 64 'nothing to do with the result' opt "$tmp/net.gie"
expect 64 'no pass "nosuch"' opt "$tmp/net.gie" --passes=nosuch -o "$tmp/o.gie"
expect 64 'not among those that run' opt "$tmp/net.gie" --print-after=nosuch -o "$tmp/o.gie"
expect 64 'suffix says no format that can be written; write .gie, .dot' opt "$tmp/net.gie" -o "$tmp/o.txt"
expect 73 'No such file' opt "$tmp/net.gie" -o "$tmp/none/o.gie"
run opt "$tmp/net.gie" --quiet -o "$tmp/o.gie"
[ "$code" = 0 ] || fail "opt --quiet: exit $code"
[ -s "$tmp/out" ] || [ -s "$tmp/err" ] && fail "opt --quiet says something"
grep -q identity "$tmp/o.gie" && fail "the default pipeline leaves an identity"
expect 0 '4 nodes, 4 before' opt "$tmp/net.gie" --passes= -o "$tmp/same.gie"
grep -q identity "$tmp/same.gie" || fail "--passes= does something"
expect 0 '3 nodes, 4 before' opt "$tmp/net.gie" --passes=eliminate_identity -o "$tmp/o.gie"
expect 0 'o.dot: 4 nodes' opt "$tmp/net.gie" -o "$tmp/o.dot" --passes=
grep -q digraph "$tmp/o.dot" || fail "no dot"
expect 0 'eliminate_identity' opt "$tmp/net.gie" --passes=eliminate_identity,eliminate_deadend --stats
lines 4 "$tmp/out"
grep -q '^eliminate_identity  *1  *4  *3 ' "$tmp/out" || { fail "--stats"; cat "$tmp/out"; }
expect 0 '# after eliminate_identity' opt "$tmp/net.gie" --print-after=eliminate_identity
expect 0 'graph "net" (n)' opt "$tmp/net.gie" --print-after=eliminate_identity
expect 64 'not among those that run' opt "$tmp/net.gie" --disable=eliminate_concat --stats
expect 0 '4 nodes, 4 before' opt "$tmp/net.gie" --passes=eliminate_identity --disable=eliminate_identity -o "$tmp/same.gie"
expect 0 'fuse_epilogue' opt "$tmp/net.gie" --disable=eliminate_identity,fold_constants --stats
grep -q '^eliminate_identity\|^fold_constants' "$tmp/out" && fail "--disable leaves a pass"
expect 0 'nothing changes in round 2' opt "$tmp/net.gie" --fixpoint --verify-each -o "$tmp/o.gie"
expect 0 '-  %i : f32[n,3] = identity' opt "$tmp/net.gie" --passes=eliminate_identity --diff
grep -q '^--- ' "$tmp/out" && grep -q '^@@ -[0-9,]* +[0-9,]* @@$' "$tmp/out" || fail "--diff is no unified difference"
run opt "$tmp/net.gie" --passes= --diff
[ "$code" = 0 ] && [ ! -s "$tmp/out" ] || fail "--diff of what is equal"
run opt "$tmp/net.gie" --report="$tmp/r.html"
[ "$code" = 0 ] && grep -q '<svg' "$tmp/r.html" && grep -q 'class="gone"' "$tmp/r.html" || fail "--report draws nothing"
grep -q 'http\|src=' "$tmp/r.html" && fail "--report fetches something"
expect 73 'No such file' opt "$tmp/net.gie" --report="$tmp/none/r.html"
if [ "$("$gie" opt "$tmp/net.gie" --quiet -o "$tmp/o.onnx" 2>/dev/null && echo yes)" = yes ]; then
  expect 0 'opset 13' inspect "$tmp/o.onnx"
  printf 'graph "h" () {\n input %%x : f16[2]\n %%y : f16[2] = relu(%%x)\n output %%y\n}\n' >"$tmp/half.gie"
  expect 0 '1 nodes, 1 before' opt "$tmp/half.gie" -o "$tmp/half.onnx"
  expect 65 'listed twice' opt "$tmp/twice.gie" --passes= -o "$tmp/twice.onnx"
  [ ! -e "$tmp/twice.onnx" ] || fail "a refused model is there"
fi
# An older result stays when a new one fails.
cp "$tmp/o.gie" "$tmp/kept"
expect 64 'no pass' opt "$tmp/net.gie" --passes=nosuch -o "$tmp/o.gie"
cmp -s "$tmp/o.gie" "$tmp/kept" || fail "the old file is gone"

# ---- run: feeding

expect 64 'nothing to feed a, k with; the network'"'"'s inputs are: a f32[n,2], k i64[2], unused f32[1]' run "$tmp/two.gie"
expect 64 'say which input' run "$tmp/two.gie" --input "$tmp/x.npy"
expect 64 'there is no input "z"' run "$tmp/two.gie" --input z="$tmp/x.npy"
expect 66 'No such file' run "$tmp/net.gie" --input "$tmp/none.npy"
run run "$tmp/net.gie" --random --output "$tmp/y.npy" --output y="$tmp/y.pb"
[ "$code" = 0 ] && [ ! -s "$tmp/out" ] || fail "--output: exit $code"
expect 0 'f32[1,3]' run "$tmp/net.gie" --random=7
expect 0 'f32[5,3]' run "$tmp/net.gie" --random=7 --shapes=x:5x4
expect 65 '[n,4] in the network' run "$tmp/net.gie" --random --shapes=x:5x5
expect 64 'there is no input "q"' run "$tmp/net.gie" --random --shapes=q:5x4
for shapes in x x: x:5x x:ax4 x:-1x4 x:5x4x x:1x1x1x1x1x1x1x1x1; do
  run "$tmp/net.gie" --random --shapes=$shapes
  run run "$tmp/net.gie" --random --shapes=$shapes
  [ "$code" = 64 ] || [ "$code" = 65 ] || fail "--shapes=$shapes: exit $code"
done
expect 64 'the seed is a whole number' run "$tmp/net.gie" --random=x

# ---- run: comparison

expect 0 'same: y against' run "$tmp/net.gie" --random --compare "$tmp/y.npy"
expect 0 'same: y against' run "$tmp/net.gie" --random --compare y="$tmp/y.pb" --passes=
expect 1 'DIFFERENT: y against' run "$tmp/net.gie" --random=2 --compare "$tmp/y.npy"
grep -q 'max abs error [0-9.e-]*, relative [0-9.e-]* (rtol 0.0001)' "$tmp/out" || { fail "comparison"; cat "$tmp/out"; }
expect 0 'atol 5' run "$tmp/net.gie" --random=2 --compare "$tmp/y.npy" --atol=5
expect 0 'rtol 5' run "$tmp/net.gie" --random=2 --compare "$tmp/y.npy" --rtol=5
expect 0 'the 2 best in the same order' run "$tmp/net.gie" --random --compare "$tmp/y.npy" --same-top=2
expect 1 'the shapes differ' run "$tmp/net.gie" --random --shapes=x:2x4 --compare "$tmp/y.npy"
expect 64 'go with --compare' run "$tmp/net.gie" --random --rtol=1
expect 64 'cannot be negative' run "$tmp/net.gie" --random --compare "$tmp/y.npy" --rtol=-1
expect 64 'there is no output "q"' run "$tmp/net.gie" --random --compare q="$tmp/y.npy"
expect 66 'No such file' run "$tmp/net.gie" --random --compare "$tmp/none.npy"
# A feed of another type is converted.
printf '\223NUMPY\001\000\071\000{"descr": "<i2", "fortran_order": False, "shape": (1,4)}\n\001\000\002\000\003\000\004\000' >"$tmp/i2.npy"
expect 0 'f32[1,3]' run "$tmp/net.gie" --input x="$tmp/i2.npy"
grep -q '^y .* 3  *5.5  *4.25  *0$' "$tmp/out" || { fail "1 2 3 4 gave"; cat "$tmp/out"; }
expect 65 'wants f32[3,4]' run "$tmp/net.gie" --input x="$tmp/i2.npy" --shapes=x:3x4

# ---- run: several runs, labels, reports

printf 'first\nsecond\r\nthird' >"$tmp/labels"
printf 'one\ntwo\n' >"$tmp/two"
expect 0 'third' run "$tmp/net.gie" --input "$tmp/i2.npy" --labels "$tmp/labels"
lines 4 "$tmp/out"
sed -n 2p "$tmp/out" | grep -q '5.5  third$' || { fail "the best label"; cat "$tmp/out"; }
expect 0 'third' run "$tmp/net.gie" --input "$tmp/i2.npy" --input "$tmp/i2.npy" --labels "$tmp/labels" --top 1
lines 4 "$tmp/out"
expect 0 '[1]' run "$tmp/net.gie" --random --shapes=x:2x4 --labels "$tmp/labels" --top 1
expect 65 'no output has one element for each of the 2 labels' run "$tmp/net.gie" --random --labels "$tmp/two"
expect 64 'go with one run' run "$tmp/net.gie" --input "$tmp/i2.npy" --input "$tmp/i2.npy" --output "$tmp/z.npy"
expect 64 '--top wants at least 1' run "$tmp/net.gie" --random --top=0
expect 64 '--batch wants at least 1' run "$tmp/net.gie" --random --batch=0
expect 64 '--resize= has no value' run "$tmp/image.gie" --random --resize=
expect 64 '--random-weights= has no value' run "$tmp/net.gie" --random --random-weights=
expect 0 'total' run "$tmp/net.gie" --random --profile
expect 0 'activations' run "$tmp/net.gie" --random --memory
expect 64 'backend rule' run "$tmp/net.gie" --random --backend=cpu
expect 65 'without a kernel' run "$tmp/net.gie" --random --backend=-cpu,-onednn
expect 65 'warp1' run "$tmp/opaque.gie" --random
expect 64 '.npy or .pb' run "$tmp/net.gie" --random --output "$tmp/y.txt"
expect 73 'No such file' run "$tmp/net.gie" --random --output "$tmp/none/y.npy"

# ---- Images: 2 x 2 grey pixels 0 85 170 255 in a .png

printf '\211PNG\r\n\032\n\000\000\000\015IHDR\000\000\000\002\000\000\000\002\002\000\000\000\000\256\230g\326\000\000\000\012IDATx\234c`d\003\000\000\014\000\007' >"$tmp/cut.png"
expect 65 'damaged .png' run "$tmp/image.gie" --input "$tmp/cut.png"
for flags in --resize=0x1 --resize=1x --resize=x --resize=2x2x2 --resize=2x2,fast --resize=,linear2 --resize=2x2linear --mean=1,2 --mean=a --mean=1,2,3,4 --scale=inf \
  --channel-order=rbg; do
  expect 64 "$flags" run "$tmp/image.gie" --random $flags
done

# ---- cache

line() { printf '%s\t%s\t%s\tcpu|board|threads=1\tv\t%s\t%s\t0.0\t0.0\t\n' "$@"; }
{ echo 'gie timing cache 1'; line p a.k 0x0 ok 0.001; line p b.k 0x1 ok 0.002; line q a.k 0x0 ok 0.003; } >"$tmp/a.txt"
{ echo 'gie timing cache 1'; line p a.k 0x0 ok 0.00105; line p b.k 0x1 wrong 0.0; line 'r\n' a.k 0x0 ok 0.004; } >"$tmp/b.txt"
chmod 644 "$tmp/a.txt" "$tmp/b.txt"
expect 64 'takes list, merge, diff or prune, not "show"' cache show
expect 64 'an argument is missing' cache
expect 64 'gie cache merge OUT IN...' cache merge "$tmp/a.txt"
expect 64 'gie cache diff A B' cache diff "$tmp/a.txt"
expect 64 '--tolerance wants a percentage' cache diff --tolerance=much "$tmp/a.txt" "$tmp/b.txt"
expect 0 '3 entries' cache list "$tmp/a.txt"
lines 5 "$tmp/out"
expect 0 '1 of 3 entries' cache list --problem=p --kernel=b "$tmp/a.txt"
expect 0 '"problem": "r\u000a"' cache list --json "$tmp/b.txt"
expect 0 'r\n' cache list "$tmp/b.txt"
lines 5 "$tmp/out"
expect 0 '3 entries' cache list --config=CACHE="$tmp/a.txt"
expect 0 '0 entries' cache list --config=CACHE="$tmp/none.txt"
expect 66 'no such file' cache list "$tmp/none.txt"
expect 78 'no timing cache by default' cache list --config=CACHE=none
expect 65 'no timing cache of this version' cache list "$tmp/net.gie"
expect 65 'no timing cache of this version' cache merge "$tmp/net.gie" "$tmp/a.txt"
head -n 1 "$tmp/net.gie" | grep -q '^graph' || fail "cache merge wrote over another file"
ln -s a.txt "$tmp/link.txt"
expect 77 'symbolic link' cache list "$tmp/link.txt"
expect 0 '0 differences' cache diff "$tmp/a.txt" "$tmp/a.txt"
expect 1 '3 differences' cache diff "$tmp/a.txt" "$tmp/b.txt"
grep -q '^ok, then wrong .*b.k 0x1' "$tmp/out" && grep -q '^only in .*a.txt .* q$' "$tmp/out" &&
  grep -q '^only in .*b.txt .* r.n$' "$tmp/out" || { fail "cache diff"; cat "$tmp/out"; }
expect 1 '4 differences' cache diff --tolerance=4% "$tmp/a.txt" "$tmp/b.txt"
grep -qF '1.0000 ms, then 1.0500 ms (+5.0 %)' "$tmp/out" || { fail "cache diff --tolerance"; cat "$tmp/out"; }
expect 0 '4 entries added, 2 changed' cache merge "$tmp/m.txt" "$tmp/a.txt" "$tmp/b.txt"
expect 0 '0 entries added, 2 changed' cache merge "$tmp/m.txt" "$tmp/a.txt"
expect 66 'no such file' cache merge "$tmp/m.txt" "$tmp/a.txt" "$tmp/none.txt"
expect 73 'not saved' cache merge "$tmp/no/m.txt" "$tmp/a.txt"
expect 0 '4 would go (4 of kernels that are not loaded' cache prune --dry-run "$tmp/m.txt"
expect 0 '4 entries' cache list "$tmp/m.txt"
expect 0 '4 gone' cache prune "$tmp/m.txt"
expect 0 '0 entries' cache list "$tmp/m.txt"

# ---- Standard output that does not take it

code=0
"$gie" opt --list >&- 2>"$tmp/err" || code=$?
[ "$code" = 74 ] || fail "closed standard output: exit $code"
if [ -c /dev/full ]; then
  code=0
  "$gie" opt --list >/dev/full 2>"$tmp/err" || code=$?
  [ "$code" = 74 ] && grep -q 'error\[E_IO\]: standard output: No space' "$tmp/err" || fail "full: exit $code"
fi
{ sleep 1; code=0; "$gie" opt --list 2>"$tmp/err" || code=$?; echo "$code" >"$tmp/code"; } | :
[ "$(cat "$tmp/code")" = 74 ] || fail "a reader that went away: exit $(cat "$tmp/code")"
[ -s "$tmp/err" ] && fail "a reader that went away is no error to talk about"
# A closed standard error must not become the file that is written.
"$gie" opt "$tmp/net.gie" -o "$tmp/quiet.gie" 2>&- || fail "closed standard error"
head -c 5 "$tmp/quiet.gie" | grep -q graph || fail "a message went into the output"

finish
