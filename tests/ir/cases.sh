#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs all textual pass tests; `cases.sh --update` (in the build tree's environment, see
# doc/pass.md) writes what comes out as the new expectations.
set -eu
exec "$top_builddir/tests/ir/run_cases" "$@" "$top_srcdir"/tests/ir/*.gie
