#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Follows doc/pass.md: compiles the pass that it shows and runs the commands that it shows.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
doc=$top_srcdir/doc/pass.md
# Block number $2 of language $1.
block() { awk -v lang="$1" -v want="$2" '/^```/{ if (on) { on = 0 } else if ($0 == "```" lang && ++n == want) { on = 1; next } } on' "$doc"; }
block c 1 >"$dir/eliminate_double_neg.c"
block sh 1 >"$dir/commands"
awk '/^    graph "net"/{ on = 1 } on && !/^    /{ exit } on' "$doc" | sed 's/^    //' >"$dir/expected"
# Stand-ins for what is installed.
include=$(cd "$top_srcdir/include" && pwd)
gie=$(cd "$top_builddir" && pwd)/gie
mkdir "$dir/bin"
printf '#!/bin/sh\nexec %s -Wall -Wextra -Werror "$@"\n' "${CC:-cc}" >"$dir/bin/cc"
printf '#!/bin/sh\necho -I%s\n' "$include" >"$dir/bin/pkg-config"
printf '#!/bin/sh\nexec %s "$@"\n' "$gie" >"$dir/bin/gie"
chmod +x "$dir"/bin/*
cd "$dir"
PATH=$dir/bin:$PATH sh -eu commands
diff expected out.gie
