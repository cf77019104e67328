#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gie plugin info and test: modules that break one rule each get the line that says so, whatever they do to the process they
# run in; modules that break none pass.
set -eu
: "${top_srcdir:=.}" "${top_builddir:=.}" "${SANITIZE:=}"
# Sanitizers make everything slow, turn some signals into an exit, and see leaks by themselves.
deadline=1 crashed='it crashes: it was killed by signal 11' leak="leak:bytes behind; free in destroy" leak_failing="leak_failing:instances that fail leave"
[ -z "$SANITIZE" ] || { deadline=10 crashed='it crashes: it ' leak= leak_failing=; }
gie=$top_builddir/gie
modules=$top_builddir/tests/module/.libs
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "plugin_test: $*" >&2; exit 1; }

# ---- Good ones

layer=$top_builddir/plugins/templates/layer/.libs/template.so
"$gie" plugin info "$layer" >"$tmp/info.txt"
grep -q '^template 1.0 (layer, ABI 1\.[0-9]*)$' "$tmp/info.txt" || fail "$(cat "$tmp/info.txt")"
grep -q '^  op       template::Swish: x \* sigmoid(beta \* x)$' "$tmp/info.txt" || fail "$(cat "$tmp/info.txt")"
grep -q '^  kernel   template.swish: on cpu for template::Swish$' "$tmp/info.txt" || fail "$(cat "$tmp/info.txt")"
"$gie" plugin info "$layer" --json | grep -q '"kind": "kernel", "name": "template.swish"' || fail "info for machines"
"$gie" plugin test "$layer" --case="$top_srcdir/plugins/templates/layer/try.gie" >"$tmp/layer.txt" || fail "$(cat "$tmp/layer.txt")"
grep -q '^ok       kernel template.swish: template::Swish(f32\[2,3,4,4\]): ' "$tmp/layer.txt" || fail "the case was not tested"
grep -q ' 0 failed, 0 skipped$' "$tmp/layer.txt" || fail "$(cat "$tmp/layer.txt")"
"$gie" plugin test "$layer" --json | grep -q '"failed": 0' || fail "test for machines"
"$gie" plugin test "$top_builddir/plugins/templates/kernel/.libs/template.so" >"$tmp/kernel.txt" || fail "$(cat "$tmp/kernel.txt")"
grep -q 'against cpu\.' "$tmp/kernel.txt" || fail "no reference was found: $(cat "$tmp/kernel.txt")"
detection=$top_builddir/plugins/detection/.libs/detection.so
"$gie" plugin test "$detection" --case="$top_srcdir/tests/detection/cases.gie" >"$tmp/detection.txt" || fail "$(cat "$tmp/detection.txt")"
for k in detection_output non_max_suppression prior_box proposal psroi_pooling roi_align roi_pooling yolo_decode; do
  grep -q "^ok       kernel detection.$k: .*runs that agree" "$tmp/detection.txt" || fail "$k: $(grep $k "$tmp/detection.txt")"
done

# ---- Kernels that break one rule each

status=0
"$gie" plugin test "$modules/kernels.so" --deadline=$deadline >"$tmp/bad.txt" 2>"$tmp/err.txt" || status=$?
[ $status = 1 ] || fail "exit $status: $(cat "$tmp/err.txt")"
# says KERNEL TEXT: of relu, for which these kernels are made.
says() { grep "^failed   kernel test.$1: " "$tmp/bad.txt" | grep -v 'conv(' | grep -q "$2" || fail "$1: no \"$2\": $(grep "test.$1:" "$tmp/bad.txt")"; }
says crash "$crashed"
says abort 'it crashes: it was killed by signal 6'
says exit 'it crashes: it ended with exit status 0'
says hang "it hangs: no answer in $deadline s"
says sleep "it hangs: no answer in $deadline s"
says crash_supports "answers for relu: $crashed"
says no_variant 'it supports this and has 0 variants'
says many_variants 'variants returns 65 with room for 64'
says null 'create reports success without an instance'
says fail_create 'create failed with E_MEMORY: no room for the plan'
says fail_run 'run failed with E_DEVICE: the device fell asleep'
says huge 'asks for 1152921504606846976 bytes of workspace'
says wrong 'differs from the reference: element 70 is 0.5 instead of 0.0'
says wrong_over 'differs from the reference'
says nan 'is nan instead of'
says unset 'is nan instead of'
says pads 'pad lanes of result 0 are not zero'
says stray_after 'wrote 1 bytes behind the end of result 0'
says stray_before 'bytes before the start of result 0'
says stray_operand 'wrote into operand 0'
says stray_workspace 'wrote 1 bytes behind the end of workspace'
says wrong_shape 'behind the end of result 0'
says mixed 'variant 7 mixes element types: result 0 is f16; relu makes it f32$'
says untyped 'element type 99 of result 0 does not exist$'
grep -q '^failed   kernel test.mixed: conv(.*variant 7 mixes element types: operand 1 (w) is f16; conv takes f32$' "$tmp/bad.txt" ||
  fail "mixed, of conv: $(grep test.mixed: "$tmp/bad.txt")"
for k in over nhwc blocked no_steps prints; do
  ! grep "^failed   kernel test.$k: relu" "$tmp/bad.txt" || fail "$k does nothing wrong with relu"
done

# ---- Layers that break one rule each (layers.c says which)

layers() { TEST_LAYER=$1 "$gie" plugin test "$modules/layers.so" --deadline=$deadline >"$tmp/layers.txt" 2>&1 || status=$?; }
for what in "crash:op test::L: shapes: it crashes" "hang:op test::L: shapes: it hangs: no answer in" \
  "silent:refuses operands without a reason" "untyped:gives a result no element type" "moody:says something else when it is asked again" \
  "unsized:gives a result no size though all operands have one" "$leak" "$leak_failing" "ignores:create reports success though its allocation 2 failed" \
  "greedy:it crashes" "allocates:run allocates memory; ask for a workspace" \
  "estimate:estimate gives no number" "twice:two variants have config 3" "drifts:of a second run has other bits" \
  "layout:channels last: wrong" "forgets:supports() answers differently" "mute:supports() refuses without a reason"; do
  status=0
  [ -n "$what" ] || continue
  layers "${what%%:*}"
  [ $status = 1 ] && grep '^failed ' "$tmp/layers.txt" | grep -qF "${what#*:}" || fail "${what%%:*}: $status: $(cat "$tmp/layers.txt")"
done
status=0
layers right
[ $status = 0 ] || fail "right: $(cat "$tmp/layers.txt")"

# ---- Passes and formats (graphs.c says which)

printf 'tiny 7' >"$tmp/seven.tiny"
printf '%s\n' 'graph { input %x : f32[2,3] %a = relu(%x) %b = relu(%a) %y = sigmoid(%b) output %y }' >"$tmp/two.gie"
graphs() { TEST_GRAPH=$1 "$gie" plugin test "$modules/graphs.so" --case="$tmp/seven.tiny" --case="$tmp/two.gie" --deadline=$deadline >"$tmp/graphs.txt" 2>&1 || status=$?; }
leak_pass="pass_leaks:runs leave" leak_import="import_leaks:imports leave" leak_failing="import_leaks_failing:imports that fail leave"
[ -z "$SANITIZE" ] || leak_pass= leak_import= leak_failing=
for what in "pass_crash:seven.tiny: $crashed" "pass_hang:it hangs: no answer in" "pass_fails:fails on a valid graph: no idea what to do" \
  "pass_wrong:it changes what a graph computes: output" "pass_silent:it changes a graph and counts no change" \
  "pass_endless:it still changes a graph when it has run 100 times" "pass_again:seven.tiny: a second run right behind the first changes the graph again" "$leak_pass" "$leak_import" "$leak_failing" \
  "import_ignores:import reports success though allocation" \
  "probe:probe returns 101 and 101" "probe_moody:probe returns" "import_crash:seven.tiny: changed: $crashed" \
  "import_hang:it hangs: no answer in" "import_opens:files open" "import_nothing:reports success without a graph" \
  "import_silent:import fails without a reason" "export_wrong:import refuses what export wrote"; do
  status=0
  [ -n "$what" ] || continue
  graphs "${what%%:*}"
  [ $status != 0 ] && grep -e '^failed ' -e '^error' "$tmp/graphs.txt" | grep -qF "${what#*:}" || fail "${what%%:*}: $status: $(cat "$tmp/graphs.txt")"
done
status=0
graphs right
[ $status = 0 ] || fail "right graphs: $(cat "$tmp/graphs.txt")"
for text in 'case .*seven.tiny: loading: 7 nodes' 'pass tiny: .*seven.tiny: 6 changes in 1 of 1 graphs; 1 of those ran' \
  'pass tiny: without memory' 'format tiny: .*seven.tiny: cut: ' 'format tiny: .*seven.tiny: changed: ' 'format tiny: .*seven.tiny: without memory' \
  'format tiny: written and read again: [1-9][0-9]* graphs'; do
  grep -q "^ok       $text" "$tmp/graphs.txt" || fail "no \"$text\": $(cat "$tmp/graphs.txt")"
done
grep -q '^skipped  format tiny: strange bytes: nothing is tried: its probe takes none of 400 files' "$tmp/graphs.txt" || fail "strange bytes: $(cat "$tmp/graphs.txt")"
graphs pass_argument
[ $status = 0 ] && grep -q '^skipped  pass tiny: random graphs: it needs an argument (N)$' "$tmp/graphs.txt" || fail "pass_argument: $status: $(cat "$tmp/graphs.txt")"
for kind in pass/try.gie format/try.template; do
  "$gie" plugin test "$top_builddir/plugins/templates/${kind%/*}/.libs/template.so" --case="$top_srcdir/plugins/templates/$kind" >"$tmp/out.txt" || fail "$kind: $(cat "$tmp/out.txt")"
done

# ---- What cannot be a case

many=$(i=0; while [ $i -lt 65 ]; do printf ' --case=%s' "$tmp/seven.tiny"; i=$((i + 1)); done)
status=0
# shellcheck disable=SC2086
"$gie" plugin test "$modules/graphs.so" $many 2>"$tmp/err.txt" || status=$?
[ $status = 64 ] && grep -q '65 times --case; at most 64' "$tmp/err.txt" || fail "$status: $(cat "$tmp/err.txt")"
status=0
"$gie" plugin test "$modules/graphs.so" --case="$(printf 'a\nb')" 2>"$tmp/err.txt" || status=$?
[ $status = 64 ] && grep -q 'a line break in its name' "$tmp/err.txt" || fail "$status: $(cat "$tmp/err.txt")"
status=0
"$gie" plugin test "$modules/graphs.so" --case="$tmp/none.gie" >"$tmp/out.txt" || status=$?
[ $status = 1 ] && grep -q '^failed   case .*none.gie: loading: .*No such file' "$tmp/out.txt" || fail "$status: $(cat "$tmp/out.txt")"

# ---- Modules that do not load

refused() { # TEXT [ENVIRONMENT]
  status=0
  env "${2:-A=a}" "$gie" plugin test "$modules/$3.so" --deadline=$deadline >"$tmp/out.txt" 2>&1 || status=$?
  [ $status = 1 ] && grep '^failed ' "$tmp/out.txt" | grep -qF "$1" || fail "$3 $2: $status: $(cat "$tmp/out.txt")"
  status=0
  env "${2:-A=a}" "$gie" plugin info "$modules/$3.so" --deadline=$deadline >"$tmp/out.txt" 2>&1 || status=$?
  grep -qF "${1#load: it }" "$tmp/out.txt" || fail "info $3 $2: $status: $(cat "$tmp/out.txt")"
}
refused 'its init failed with E_DEVICE: the gadget is not plugged in' TEST_INIT=fail init
refused 'a registered pass has struct_size 31, at least 32 are needed' TEST_INIT=short init
[ -n "$SANITIZE" ] || refused 'the probe worker could not load its modules: it was killed by signal 11' TEST_LAYER=init_crash layers
for what in init constructor; do
  refused 'load: it ends the process when it is loaded' TEST_LAYER=${what}_exit layers
  refused "load: it hangs: it was not loaded in $deadline s" TEST_LAYER=${what}_hang layers
done
refused 'magic number' '' magic
refused 'does not export gie_module_init' '' noentry
refused 'no gie module; declare it with GIE_MODULE' '' plain
for verb in test info; do
  status=0
  "$gie" plugin $verb "$tmp/none.so" --json >"$tmp/out.txt" 2>"$tmp/err.txt" || status=$?
  [ $status = 66 ] && [ ! -s "$tmp/out.txt" ] && grep -q '^error.E_NOINPUT.: .*none.so: No such file' "$tmp/err.txt" || fail "$verb: $status: $(cat "$tmp/out.txt" "$tmp/err.txt")"
done
echo "plugin_test: $(grep -c '^failed' "$tmp/bad.txt") lines about bad kernels, $(grep -c '^ok' "$tmp/detection.txt") good ones of detection"
