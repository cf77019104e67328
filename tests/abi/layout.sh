#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pins sizes and member offsets of all public structs and the values of all public enums on x86-64:
# modules are compiled against them. Read from debug information, so that none is forgotten.
#
# Structs may grow at their end within an ABI major (gie/module.h). After such a change, or any before
# the first release: tests/abi/layout.sh --update, and read the difference.
set -eu
cd "$(dirname "$0")/../.."
: "${CC:=cc}"
case $($CC -dumpmachine) in x86_64-*) ;; *) echo "pinned on x86_64 only"; exit 0 ;; esac
pinned=tests/abi/layout-x86_64.txt
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for h in gie module kernel plan window; do echo "#include <gie/$h.h>"; done >"$tmp/all.c"
# shellcheck disable=SC2086
$CC -std=gnu11 -gdwarf-4 -fno-eliminate-unused-debug-types -Iinclude -c "$tmp/all.c" -o "$tmp/all.o"
readelf --debug-dump=info "$tmp/all.o" | awk '
  function value(line) { sub(/^[^:]*: */, "", line); sub(/^\(indirect string, offset: [^)]*\): */, "", line); sub(/[ \t]+$/, "", line); return line }
  function flush()
  {
    if (tag == "member" && name != "" && gie) print type "." name, at
    if (tag == "enumerator" && name ~ /^GIE_/) print "enum", name, constant
  }
  / Abbrev Number: / {
    flush()
    level = $1; sub(/^</, "", level); sub(/>.*/, "", level)
    tag = ""; name = ""; at = 0
    if (/DW_TAG_structure_type/) { tag = "structure"; if (level == 1) gie = 0 }
    else if (/DW_TAG_member/ && level == 2) tag = "member"
    else if (/DW_TAG_enumerator/) tag = "enumerator"
    else if (level == 1) gie = 0
  }
  /DW_AT_name/ { name = value($0); if (tag == "structure") { type = name; gie = name ~ /^gie_/ } }
  /DW_AT_byte_size/ { if (tag == "structure" && gie) print "struct", type, value($0) }
  /DW_AT_data_member_location/ { at = value($0) }
  /DW_AT_const_value/ { constant = value($0) }
  END { flush() }' | LC_ALL=C sort -u >"$tmp/layout"
[ "$(wc -l <"$tmp/layout")" -gt 100 ] || { echo "the debug information could not be read"; exit 1; }

if [ "${1:-}" = --update ]; then
  cp "$tmp/layout" "$pinned"
elif ! diff -u "$pinned" "$tmp/layout"; then
  echo "The binary interface has changed. If that is meant: tests/abi/layout.sh --update, and read the difference."
  exit 1
fi
echo "$(wc -l <"$tmp/layout") sizes, offsets and values"
