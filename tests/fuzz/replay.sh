#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Replays every corpus through its fuzz target.
set -eu
for dir in "$top_srcdir"/tests/fuzz/corpus/*/; do
  name=$(basename "$dir")
  [ -x "$top_builddir/tests/fuzz/replay_$name" ] || continue # what it needs is not on this machine
  echo "$name"
  "$top_builddir/tests/fuzz/replay_$name" "$dir"
done
