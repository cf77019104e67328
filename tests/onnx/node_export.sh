#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The node tests, each model saved as ONNX and read again before it runs.
exec "$top_builddir/tests/onnx/node_tests" --export
