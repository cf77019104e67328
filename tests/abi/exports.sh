#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The libraries export what the headers declare and nothing else.
set -eu
: "${top_srcdir:=.}" "${NM:=nm}"
lib=.libs
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Declared: GIE_API functions, and the lines of the function lists.
{
  cat "$top_srcdir"/include/gie/*.h | tr '\n' ' ' | tr ';' '\n' | sed -n 's/.*GIE_API [^(]*[ *]\(gie_[a-z0-9_]*\)(.*/\1/p'
  sed -n 's/^GIE_FN([^,]*, *\([a-z0-9_]*\),.*/gie_\1/p; s/^GIE_FN_VOID(\([a-z0-9_]*\),.*/gie_\1/p' "$top_srcdir"/include/gie/*_list.h
} | sort -u >"$tmp/declared"

failed=0
for so in libgie-rt.so libgie.so; do
  $NM -D --defined-only "$lib/$so" | awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | sort -u >"$tmp/$so"
  if ! grep -q . "$tmp/$so"; then echo "$so exports nothing"; failed=1; fi
  comm -13 "$tmp/declared" "$tmp/$so" >"$tmp/extra"
  if [ -s "$tmp/extra" ]; then
    echo "$so exports what no installed header declares:"
    cat "$tmp/extra"
    failed=1
  fi
  printf '%s: %d functions\n' "$so" "$(wc -l <"$tmp/$so")"
done
comm -23 "$tmp/declared" "$tmp/libgie.so" >"$tmp/missing"
if [ -s "$tmp/missing" ]; then
  echo "declared in a header, but not in libgie:"
  cat "$tmp/missing"
  failed=1
fi
exit "$failed"
