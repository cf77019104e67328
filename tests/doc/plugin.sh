#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# doc/plugin.md makes a layer from nothing: runs the commands of its console blocks, in order, against an installed gie and
# compares what they print. Numbers with a point, times and the place of the installation are not compared.
# `tests/doc/plugin.sh --update` (from the top folder, with top_builddir set) writes what was printed into the page.
set -eu
. "${top_srcdir:-.}/tests/installed.sh"
page=$(cd "$top_srcdir" && pwd)/doc/plugin.md
GIE_WORKER=$(find "$tmp/root" -name gie-worker -type f)
# Whether there is an nvcc is no matter of the page.
NVCC=
# A crash is a crash, not a report of a sanitizer.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0
UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}handle_segv=0
export GIE_WORKER NVCC ASAN_OPTIONS UBSAN_OPTIONS
mkdir "$tmp/page"
cd "$tmp/page"
in_block=no
while IFS= read -r line; do
  case $in_block:$line in
    no:'```console') in_block=yes; printf '%s\n' "$line" ;;
    yes:'```') in_block=no; printf '%s\n' "$line" ;;
    yes:'$ cd '*) printf '%s\n' "$line"; cd "${line#\$ cd }" ;;
    yes:'$ '*)
      printf '%s\n' "$line"
      CFLAGS='-O2 -g' sh -c "${line#\$ }" </dev/null 2>&1 || printf 'exit code %d\n' $?
      ;;
    yes:*) ;;
    *) printf '%s\n' "$line" ;;
  esac
done <"$page" | sed -e "s|$tmp/page/||g" -e "s|[^ ]*/lib/gie/modules-1|/usr/local/lib/gie/modules-1|g" -e "s|-I[^ ]*/include|-I/usr/local/include|g" \
  -e '/^make\[[0-9]*\]: /d' -e 's|\(/usr/local/lib/gie/modules-1\), \1|\1|' -e "s|^$CC |cc |" >"$tmp/plugin.md"
cd /
mask() { sed -e 's/ \(cpu\|onednn\)\.\([a-z]\)/ #.\2/' -e 's/[0-9][0-9]*\.[0-9][0-9]*/#/g' -e 's/[0-9#]e-[0-9]*/#/g' -e 's/[0-9]* candidates: .*/#/' -e 's/  */ /g' "$1"; }
mask "$page" >"$tmp/wanted"
mask "$tmp/plugin.md" >"$tmp/got"
if [ "${1:-}" = --update ]; then
  cat "$tmp/plugin.md" >"$page"
  exit 0
fi
diff -u "$tmp/wanted" "$tmp/got" || {
  echo 'FAIL: doc/plugin.md shows something else than its commands print; see --update in this script'
  exit 1
}
printf 'plugin.md: %d commands\n' "$(grep -c '^\$ ' "$page")"
