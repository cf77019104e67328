#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make check-tsan`: one plan on eight threads, and the streams of a host, under the thread sanitizer.
set -eu
: "${top_srcdir:=.}" "${MAKE:=make}"
unset MAKEFLAGS MFLAGS MAKELEVEL
mkdir -p tsan-build
cd tsan-build
[ -f config.status ] || "$top_srcdir/configure" --enable-sanitizers=thread --disable-openmp --with-cuda=no >configure.log
$MAKE -s -j"${JOBS:-2}" tests/plan/test_threads tests/run/test_streams backends/cpu/cpu.la
CK_FORK=no GIE_MODULE_PATH=$PWD/backends/cpu/.libs TSAN_OPTIONS=halt_on_error=1:exitcode=66
export CK_FORK GIE_MODULE_PATH TSAN_OPTIONS
tests/plan/test_threads
tests/run/test_streams
