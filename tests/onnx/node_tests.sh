#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The node tests, and that doc/onnx-support.md says what they gave.
exec "$top_builddir/tests/onnx/node_tests" --check-doc="$top_srcdir/doc/onnx-support.md"
