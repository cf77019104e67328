#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fuzzes with libFuzzer: a build of its own in fuzz-build/ with clang and sanitizers, then each target
# for FUZZ_SECONDS (default 60). `make fuzz FUZZ_TARGETS=text FUZZ_SECONDS=600`. What was found new stays in
# fuzz-build/corpus/, a failing input in fuzz-build/.
set -eu
targets=${FUZZ_TARGETS:-$(cd "$top_srcdir/tests/fuzz/corpus" && echo *)}
mkdir -p fuzz-build
cd fuzz-build
flags='-g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined'
[ -f config.status ] || "$top_srcdir/configure" CC=clang CFLAGS="$flags"
for t in $targets; do
  make "tests/fuzz/fuzz_$t"
  mkdir -p "corpus/$t"
  dict=$top_srcdir/tests/fuzz/$t.dict
  args="-max_total_time=${FUZZ_SECONDS:-60} -timeout=20 -rss_limit_mb=4096 -print_final_stats=1"
  [ ! -f "$dict" ] || args="$args -dict=$dict"
  echo "fuzzing $t"
  # shellcheck disable=SC2086
  "tests/fuzz/fuzz_$t" $args "corpus/$t" "$top_srcdir/tests/fuzz/corpus/$t"
done
