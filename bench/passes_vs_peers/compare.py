#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`gie opt` beside onnxoptimizer, onnxsim and ONNX Runtime's offline "extended" optimization: nodes left and time.

    compare.py [--gie=PROGRAM] [--runs=N] MODEL...

Nodes: of the saved model, without Constant, with ONNX Runtime's fused operators counted as the standard ones that they
stand for (in parentheses as they are). Time: median of reading, optimizing and saving; for gie that is the whole
command, for the others the calls without the start of Python. A peer that is not installed is left out.
"""
import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import onnx


def by_gie(program):
    def run(model, out):
        subprocess.run([program, "opt", model, "--quiet", "-o", out], check=True)
    return run


def by_onnxoptimizer():
    import onnxoptimizer
    passes = onnxoptimizer.get_fuse_and_elimination_passes()

    def run(model, out):
        onnx.save(onnxoptimizer.optimize(onnx.load(model), passes), out)
    return run


def by_onnxsim():
    import onnxsim

    def run(model, out):
        simplified, _ = onnxsim.simplify(onnx.load(model))
        onnx.save(simplified, out)
    return run


def by_onnxruntime():
    import onnxruntime

    def run(model, out):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = out
        options.log_severity_level = 3
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return run


def has_attribute(node, name):
    return any(a.name == name for a in node.attribute)


def standard_nodes(node):
    """How many standard nodes a node stands for."""
    if node.op_type == "FusedConv":
        return 1 + has_attribute(node, "activation") + (len(node.input) > 3)
    if node.op_type == "FusedGemm":
        return 1 + has_attribute(node, "activation")
    return {"Constant": 0, "BiasGelu": 2, "QuickGelu": 2, "SkipLayerNormalization": 2}.get(node.op_type, 1)


def count(path):
    nodes = onnx.load(path, load_external_data=False).graph.node
    plain = sum(n.op_type != "Constant" for n in nodes)
    standard = sum(standard_nodes(n) for n in nodes)
    return str(standard) if plain == standard else f"{standard} ({plain})"


def measure(run, model, runs, directory):
    """Nodes and milliseconds, or why there are none."""
    out = os.path.join(directory, "out.onnx")
    times = []
    try:
        for _ in range(runs):
            if os.path.exists(out):
                os.unlink(out)
            start = time.perf_counter()
            run(model, out)
            times.append(1e3 * (time.perf_counter() - start))
        return count(out), f"{statistics.median(times):.0f}"
    except Exception as e:  # whatever a peer raises is its result
        return "failed", type(e).__name__


def processor():
    with open("/proc/cpuinfo", encoding="ascii") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gie", default="build/gie", help="the program")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("models", nargs="+")
    o = parser.parse_args()
    optimizers = {"gie": by_gie(o.gie)}
    for name, make in (("onnxoptimizer", by_onnxoptimizer), ("onnxsim", by_onnxsim), ("onnxruntime", by_onnxruntime)):
        try:
            optimizers[name] = make()
        except ImportError:
            print(f"{name} is not installed and left out", file=sys.stderr)
    print(f"# {processor()}, {os.cpu_count()} processors, {time.strftime('%Y-%m-%d')}; median of {o.runs}; nodes, ms")
    rows = [["network", "before"] + [f"{n}, ms" for n in optimizers]]
    with tempfile.TemporaryDirectory() as directory:
        for model in o.models:
            cells = [measure(run, model, o.runs, directory) for run in optimizers.values()]
            rows.append([os.path.splitext(os.path.basename(model))[0], count(model)] + [", ".join(c) for c in cells])
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip())


main()
