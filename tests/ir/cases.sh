#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs all textual pass tests; `cases.sh --update` (in the build tree's environment, see
# doc/pass.md) writes what comes out as the new expectations. Every pass has its file, with cases in
# which it does not fire.
set -eu
for pass in $(sed -n 's/^GIE_PASS(\(.*\))$/\1/p' "$top_srcdir/passes/passes.def"); do
  file=$top_srcdir/tests/ir/$pass.gie
  if ! grep -q '^## case: .*\<not\>' "$file"; then
    echo "$file: has no case in which $pass does not fire" >&2
    exit 1
  fi
done
exec "$top_builddir/tests/ir/run_cases" "$@" "$top_srcdir"/tests/ir/*.gie
