#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares models with what `gie opt` writes of them, in another runtime.

    check_export.py [--gie=PROGRAM] [--args=ARGS] [--keep=DIR] MODEL...

Each MODEL is optimized to ONNX; the result must pass onnx.checker with shape inference, must be written the same twice,
and ONNX Runtime's outputs of both must agree: |a - b| <= r * max(|b|, max of |b| over the tensor), r = 1e-3. Needs
the Python packages onnx and onnxruntime. Prints one line for each model; exit 1 when one does not agree.
"""
import argparse
import os
import shlex
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

R = 1e-3
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
         "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8,
         "tensor(bool)": np.bool_}


def session(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def feeds(s, flag):
    """The same random inputs each time; a dim that is no number is 1, a bool the flag: it may choose a branch."""
    rng = np.random.default_rng(1)
    out = {}
    for i in s.get_inputs():
        dims = [d if isinstance(d, int) and d > 0 else 1 for d in i.shape]
        dtype = TYPES[i.type]
        real = np.issubdtype(dtype, np.floating)
        out[i.name] = (rng.standard_normal(dims) if real else rng.integers(0, 2, dims)).astype(dtype)
        if dtype is np.bool_:
            out[i.name][...] = flag
    return out


def difference(a, b):
    """Greatest difference relative to the tensor's scale."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return float("inf")
    if a.size == 0:
        return 0.0
    scale = np.nanmax(np.abs(b))
    return float(np.nanmax(np.abs(a - b)) / (scale if scale > 0 else 1))


def optimize(gie, args, model, out):
    subprocess.run([gie, "opt", model, "-o", out] + args, check=True, stderr=subprocess.DEVNULL)


def check(gie, args, model, directory):
    out = os.path.join(directory, os.path.basename(model))
    optimize(gie, args, model, out)
    first = open(out, "rb").read()
    optimize(gie, args, model, out)
    if open(out, "rb").read() != first:
        raise AssertionError("written differently the second time")
    onnx.checker.check_model(out, full_check=True)
    before, after = onnx.load(model, load_external_data=False), onnx.load(out, load_external_data=False)
    a, b = session(model), session(out)
    names = [o.name for o in a.get_outputs()]
    if names != [o.name for o in b.get_outputs()] or \
            [i.name for i in a.get_inputs()] != [i.name for i in b.get_inputs()]:
        raise AssertionError("other names of inputs or outputs")
    flags = (False, True) if any(i.type == "tensor(bool)" for i in a.get_inputs()) else (False,)
    worst = max(difference(q, p) for x in (feeds(a, flag) for flag in flags)
                for p, q in zip(a.run(names, x), b.run(names, x)))
    sets = [m.opset_import[0].version for m in (before, after)]
    print(f"{'ok' if worst <= R else 'NOT OK'} {os.path.basename(model)}: {len(before.graph.node)} -> "
          f"{len(after.graph.node)} nodes, opset {sets[0]} -> {sets[1]}, difference {worst:.1e}", flush=True)
    return worst <= R


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gie", default="gie", help="the program to test")
    parser.add_argument("--args", default="", help="further arguments of gie opt")
    parser.add_argument("--keep", help="folder for the results")
    parser.add_argument("models", nargs="+")
    o = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as temp:
        for model in o.models:
            try:
                good = check(o.gie, shlex.split(o.args), model, o.keep or temp) and good
            except Exception as e:  # whatever the peers raise is the finding
                print(f"NOT OK {os.path.basename(model)}: {type(e).__name__}: {str(e)[:400]}", flush=True)
                good = False
    sys.exit(0 if good else 1)


main()
