#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Follows doc/backend.md literally against an installed gie: its commands run as they stand, and the
# kernel that comes out is short, agrees with the reference and refuses what the page says.
set -eu
. "${top_srcdir:-.}/tests/installed.sh"
page=$(cd "$top_srcdir" && pwd)/doc/backend.md
fail() { cat "$tmp/log.txt"; echo "backend.md: $*" >&2; exit 1; }

awk '/^```sh$/ {on = 1; next} /^```/ {on = 0} on' "$page" >"$tmp/commands.sh"
[ "$(grep -c '^make check$' "$tmp/commands.sh")" = 2 ] || fail "the page lacks commands"
mkdir "$tmp/work" && cd "$tmp/work"
CFLAGS='-O1 -g -Werror' sh -eu "$tmp/commands.sh" >"$tmp/log.txt" 2>&1 || fail "a command failed"

cd mine
lines=$(wc -l <mine.c)
[ "$lines" -le 120 ] || fail "mine.c has $lines lines, promised are 120"
[ "$(grep -c '^same: y against reference.npy' "$tmp/log.txt")" = 2 ] || fail "the results were not compared"
[ "$(grep -c 'mine.gemm' "$tmp/log.txt")" -ge 6 ] || fail "the kernel was not used at both nodes"
# What the page shows as output is what comes out, up to the dots.
shown=$(sed -n 's/^    \(error.*\) …$/\1/p' "$page")
grep -qF "$shown" "$tmp/log.txt" || fail "not printed: $shown"
grep -q '^exit code 65$' "$tmp/log.txt" || fail "the refusal has another exit code"
printf 'backend.md: %d lines of kernel, found, used and right\n' "$lines"
