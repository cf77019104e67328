#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# transforms.h is what the generator makes of points.def. To write it again:
#   build/tests/winograd/transforms > backends/winograd/transforms.h
set -eu
"$top_builddir"/tests/winograd/transforms | diff -u "$top_srcdir"/backends/winograd/transforms.h - ||
  { echo "backends/winograd/transforms.h is not what tests/winograd/transforms writes; write it again" >&2; exit 1; }
