#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# doc/manual.md shows what the command prints: runs the commands of its console blocks, in order, in a copy of
# examples/signs with the files of examples/cache, and compares. Times are not compared. `tests/tools/manual.sh --update` (from the top
# folder) writes what was printed into the manual; look at the difference before keeping it.
set -eu
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
gie=${GIE:-${top_builddir:-$top/build}/gie}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin" "$tmp/work"
gie=$(cd "$(dirname "$gie")" && pwd)/$(basename "$gie")
printf '#!/bin/sh\nexec "%s" "$@"\n' "$gie" >"$tmp/bin/gie"
chmod +x "$tmp/bin/gie"
PATH=$tmp/bin:$PATH
export PATH
for f in signs.onnx labels.txt samples; do cp -R "$top/examples/signs/$f" "$tmp/work"; done
cp "$top"/examples/cache/*.txt "$tmp/work"
chmod -R u+w,go-w "$tmp/work"

# Copies the manual with the output of the commands as they print it now.
in_block=no
cd "$tmp/work"
while IFS= read -r line; do
  case $in_block:$line in
    no:'```console') in_block=yes; printf '%s\n' "$line" ;;
    yes:'```') in_block=no; printf '%s\n' "$line" ;;
    yes:'$ '*)
      printf '%s\n' "$line"
      sh -c "${line#\$ }" </dev/null 2>&1 || :
      ;;
    yes:*) ;;
    *) printf '%s\n' "$line" ;;
  esac
done <"$top/doc/manual.md" >"$tmp/manual.md"
cd /

# Milliseconds and percent of tables, rounding errors, which backend is built, and the blanks that line them up.
mask() { sed -e 's/ \(cpu\|onednn\)\.\([a-z]\)/ #.\2/' -e 's/[0-9][0-9]*\.[0-9][0-9]*/#/g' -e 's/[0-9#]e-[0-9]*/#/g' -e 's/worst at element [0-9]*/worst/' -e 's/  */ /g' "$1"; }
mask "$top/doc/manual.md" >"$tmp/wanted"
mask "$tmp/manual.md" >"$tmp/got"
if [ "${1:-}" = --update ]; then
  cmp -s "$tmp/wanted" "$tmp/got" || cat "$tmp/manual.md" >"$top/doc/manual.md"
  exit 0
fi
diff -u "$tmp/wanted" "$tmp/got" || {
  echo 'FAIL: doc/manual.md shows something else than the command prints; see --update in this script'
  exit 1
}
