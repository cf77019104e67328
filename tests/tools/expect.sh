# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests that run the command: runs it, looks at the exit code and at what was printed.
set -u
gie=${GIE:-${top_builddir:-.}/gie}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0 number=0

fail() { echo "FAIL: $*"; failed=$((failed + 1)); }

# run ARGUMENT...: output and errors in $tmp/out and $tmp/err, exit code in $code
run()
{
  number=$((number + 1))
  code=0
  "$gie" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || code=$?
}

# expect CODE TEXT ARGUMENT...: runs, wants this exit code, and TEXT in what was printed. An error is one
# line, beginning error[E_…].
expect()
{
  want=$1 text=$2
  shift 2
  run "$@"
  [ "$code" = "$want" ] || { fail "gie $*: exit $code instead of $want"; cat "$tmp/out" "$tmp/err"; }
  cat "$tmp/out" "$tmp/err" | grep -qF -e "$text" ||
    { fail "gie $*: no \"$text\" in"; cat "$tmp/out" "$tmp/err"; }
  if [ "$code" -gt 1 ] && [ $# -gt 0 ]; then
    [ "$(wc -l <"$tmp/err" | tr -d ' ')" = 1 ] || { fail "gie $*: not one line:"; cat "$tmp/err"; }
    grep -q '^error\[E_[A-Z]*\]: ' "$tmp/err" || { fail "gie $*: no error[E_…]:"; cat "$tmp/err"; }
  fi
}

# lines N FILE
lines() { [ "$(wc -l <"$2" | tr -d ' ')" = "$1" ] || { fail "$2 has not $1 lines:"; cat "$2"; }; }

# Ends a test: a summary, and the exit code.
finish()
{
  echo "$number runs, $failed failed"
  [ "$failed" = 0 ]
}
