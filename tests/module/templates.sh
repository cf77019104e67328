#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The templates as `gie plugin new` copies them, built against an installed gie: each builds without
# warnings, does what its own `make check` says, and is found once it is installed.
set -eu
. "${top_srcdir:-.}/tests/installed.sh"
cd "$tmp"

fail() { echo "templates: $*" >&2; exit 1; }

for kind in kernel pass layer format; do
  name=my_$kind
  echo "== $kind"
  gie plugin new --kind=$kind $name >new.txt
  grep -q "next: cd $name && make check" new.txt || fail "no next step: $(cat new.txt)"
  [ -f $name/$name.c ] || fail "no $name.c"
  ! grep -rq template $name || fail "the word template is left: $(grep -r template $name)"
  (cd $name && $MAKE CFLAGS="-O1 -g -Werror" check) >log.txt 2>&1 || { cat log.txt; fail "make check of $kind"; }
  cat log.txt
  grep -q "my_$kind 1.0 ($kind, ABI 1\.[0-9]*)" log.txt || fail "$kind is not listed"
  (cd $name && $MAKE -s install)
  gie plugin list --only=$name >list.txt || fail "$kind is not found where it is installed"
  (cd $name && $MAKE -s clean && [ ! -f $name.so ]) || fail "make clean"
done

# All four together, and what they register is there for everybody.
gie plugin list >list.txt
grep -q '^  kernel   my_kernel.relu$' list.txt || fail "my_kernel.relu is missing"
grep -q '^  op       my_layer::Swish$' list.txt || fail "my_layer::Swish is missing"
gie opt --list | grep -q my_pass || fail "my_pass is no pass"
gie plugin list --json | python3 -c '
import json, sys
modules = {m["name"]: m for m in json.load(sys.stdin)["modules"]}
assert modules["my_layer"]["ops"] == ["my_layer::Swish"] and modules["my_layer"]["kernels"][0] == "my_layer.swish"
assert modules["my_format"]["formats"] == ["my_format"] and modules["my_format"]["refused"] is None
assert modules["my_pass"]["passes"] == ["my_pass"] and modules["my_pass"]["kind"] == "pass"
' || fail "the list for machines is wrong"

# A layer from an importer that does not know it: the op is found by name.
printf 'my_format 1\ninput 4x5\nmy_layer::Swish\n' >chain.my_format
gie run chain.my_format --random --profile >run.txt
grep -q my_layer.swish run.txt || fail "the layer's kernel was not used: $(cat run.txt)"
# What is wrong in the format's file is said with its line.
printf 'my_format 1\ninput 4x\n' >bad.my_format
! gie inspect bad.my_format 2>err.txt || fail "a bad file was read"
grep -q '^error\[E_PARSE\]: bad.my_format: line 2: .* is no list of 1 to 8 dims' err.txt || fail "$(cat err.txt)"

# Refused modules are listed with the reason, and cost nothing else.
printf 'no module' >"$GIE_MODULE_PATH/broken.so"
gie plugin list >list.txt 2>err.txt
grep -q 'refused  not an ELF file' list.txt || fail "the refusal is not listed"
[ "$(grep -c 'broken.so' err.txt)" = 1 ] || fail "not one warning: $(cat err.txt)"
rm "$GIE_MODULE_PATH/broken.so"
status=0; gie plugin list --module=./none.so 2>err.txt || status=$?
[ $status = 78 ] && grep -q 'error\[E_MODULE\]: ./none.so: No such file' err.txt || fail "$status: $(cat err.txt)"

# Wrong use.
wrong() { # EXIT TEXT ARGUMENT...
  want=$1 text=$2; shift 2
  status=0; gie plugin "$@" >out.txt 2>err.txt || status=$?
  [ $status = "$want" ] && grep -q "$text" err.txt || fail "gie plugin $*: $status: $(cat err.txt)"
}
wrong 64 'list, info, test or new, not "build"' build
wrong 64 'needs a name' new --kind=pass
wrong 64 'kind is one of kernel, pass, layer, format$' new x
wrong 64 'kind is one of kernel, pass, layer, format, not gadget' new --kind=gadget x
wrong 64 'a module.s name is' new --kind=pass ../x
wrong 64 'a module.s name is' new --kind=pass X
wrong 64 'takes no name' list cpu
wrong 1 'no module "none" is loaded; searched were' list --only=none
wrong 73 'choose a directory that does not exist' new --kind=pass my_pass
wrong 73 'No such file' new --kind=pass x none/x
[ ! -e x ] || fail "something was left behind"
echo "templates: all four build, load and work"
