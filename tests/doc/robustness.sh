#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every row of doc/robustness.md: the exit code is that of the code, the test is there and runs, and its file
# speaks of that code and that message.
set -eu
top=${top_srcdir:-.}
page=$top/doc/robustness.md
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0 rows=0

fail() { echo "robustness.md: $*"; failed=1; }

# has FILE TEXT: in the file as it is, or with the quotes of a C string.
has() { grep -qF -e "$2" "$1" || sed 's/\\"/"/g' "$1" | grep -qF -e "$2"; }

# check_test WHAT EXIT CODE MESSAGE FILE TEST: one test of a row; CODE and MESSAGE may be empty.
check_test()
{
  file=$top/$5
  [ -f "$file" ] || { fail "$1: there is no $5"; return; }
  case $5 in
    *.c)
      grep -q "^START_TEST($6)" "$file" || fail "$1: $5 has no test $6"
      [ "$(grep -cw -e "$6" "$file")" -gt 1 ] || fail "$1: $5 does not run $6"
      [ -z "$3" ] || grep -q "GIE_$3" "$file" || fail "$1: $5 does not know $3"
      ;;
    *) [ "$2" = 0 ] || [ -z "$4" ] || grep -qw -e "$2" "$file" || fail "$1: $5 does not know exit code $2" ;;
  esac
  [ -z "$4" ] || has "$file" "$4" || fail "$1: $5 has no \"$4\""
}

sed -n 's/^  X(\([A-Z_]*\), \([0-9]*\), .*/\1 \2/p' "$top/include/gie/status.h" >"$tmp/codes"
grep -c . "$tmp/codes" >/dev/null || fail "no codes in status.h"

# What, exit code, code, message, tests: a line each. A message is what stands between backquotes.
awk -F ' *[|] *' '/^## / {section = substr($0, 4)} /^[|] / && $2 != "what" {
  quoted = $4 ~ /^`.*`$/; message = quoted ? substr($4, 2, length($4) - 2) : ""; code = ""
  if (match(message, /^E_[A-Z]*: /)) { code = substr(message, 1, RLENGTH - 2); message = substr(message, RLENGTH + 1) }
  print section ": " $2; print $3; print code; print message; gsub(/`/, "", $5); print $5 }' "$page" >"$tmp/rows"

while IFS= read -r what && IFS= read -r code && IFS= read -r name && IFS= read -r message && IFS= read -r tests; do
  rows=$((rows + 1))
  if [ -n "$name" ]; then
    grep -qx "$name $code" "$tmp/codes" || fail "$what: $name does not end with exit code $code"
  fi
  [ -n "$tests" ] || fail "$what: no test"
  printf '%s\n' "$tests" | sed 's/, */\n/g' >"$tmp/tests"
  while IFS= read -r t; do
    check_test "$what" "$code" "$name" "$message" "${t%%: *}" "${t#*: }"
  done <"$tmp/tests"
done <"$tmp/rows"

for section in Files 'Protobuf wire' Graph Tensors Attributes 'External data' Modules; do
  [ "$(grep -c "^$section: " "$tmp/rows")" -ge 10 ] || fail "too few rows about $section"
done
echo "$rows kinds of bad input"
[ "$failed" = 0 ]
