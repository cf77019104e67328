#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`gie opt` beside onnxoptimizer, onnxsim and ONNX Runtime's offline "extended" optimization: nodes left and time.

    compare.py [--build=FOLDER] [--runs=N] MODEL...

Nodes: of the saved model, without Constant, with ONNX Runtime's fused operators counted as the standard ones that they
stand for (in parentheses as they are). Time: median of what leads from a model on disk to the optimized one on disk, in a
process that has loaded what it needs: for gie bench/passes_vs_peers/in_process (`make bench-programs`), for the others
their calls in this Python. None of that has fsync in it, which only gie calls. Behind it what optimizing alone takes, between
reading and writing, and how many times as long onnxsim takes for the whole and for that; then fsync, and the whole command
`gie opt` with its start and fsync. A peer that is not installed is left out.
"""
import argparse
import glob
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import onnx


def by_command(build):
    def run(model, out):
        subprocess.run([os.path.join(build, "gie"), "opt", model, "--quiet", "-o", out], check=True)
    return run


def in_process(build, model, runs, directory):
    """Nodes and the medians of in_process; or why there are none."""
    out = os.path.join(directory, "out.onnx")
    folders = sorted({os.path.dirname(p) for p in glob.glob(os.path.join(os.path.abspath(build), "*", "*", ".libs", "*.so"))
                      if "/tests/" not in p})
    try:
        done = subprocess.run([os.path.join(build, "bench/passes_vs_peers/in_process"), f"--runs={runs}", model, out],
                              check=True, stdout=subprocess.PIPE, env={**os.environ, "GIE_MODULE_PATH": ":".join(folders)})
        return count(out), json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError) as e:
        return "failed", {"all": type(e).__name__}


def by_onnxoptimizer():
    import onnxoptimizer
    passes = onnxoptimizer.get_fuse_and_elimination_passes()

    def run(model, out):
        onnx.save(onnxoptimizer.optimize(onnx.load(model), passes), out)
    return run


def by_onnxsim():
    import onnxsim

    def run(model, out):
        loaded = onnx.load(model)
        start = time.perf_counter()
        simplified, _ = onnxsim.simplify(loaded)
        alone = 1e3 * (time.perf_counter() - start)
        onnx.save(simplified, out)
        return alone
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
    """Nodes and milliseconds, of all and of what run() returns; or why there are none."""
    out = os.path.join(directory, "out.onnx")
    times, alone = [], []
    try:
        for _ in range(runs):
            if os.path.exists(out):
                os.unlink(out)
            start = time.perf_counter()
            alone.append(run(model, out))
            times.append(1e3 * (time.perf_counter() - start))
        return count(out), statistics.median(times), statistics.median(alone) if alone[0] else None
    except Exception as e:  # whatever a peer raises is its result
        return "failed", type(e).__name__, None


def text(ms):
    """Three digits of a time; anything else as it is."""
    return f"{ms:.3g}" if isinstance(ms, float) and ms < 100 else f"{ms:.0f}" if isinstance(ms, float) else str(ms)


def ratio(a, b):
    return f"{a / b:.1f}" if isinstance(a, float) and isinstance(b, float) else ""


def row(o, model, peers, directory):
    nodes, gie = in_process(o.build, model, o.runs, directory)
    others = {name: measure(run, model, o.runs, directory) for name, run in peers.items()}
    command = measure(by_command(o.build), model, o.runs, directory)[1]
    _, whole, alone = others.get("onnxsim", (None, None, None))
    return [os.path.splitext(os.path.basename(model))[0], count(model), f"{nodes}, {text(gie['all'])}"] + \
        [f"{n}, {text(t)}" for n, t, _ in others.values()] + \
        [text(gie.get("passes", "")), "" if alone is None else text(alone), ratio(whole, gie["all"]),
         ratio(alone, gie.get("passes")), text(gie.get("fsync", "")), text(command)]


def processor():
    with open("/proc/cpuinfo", encoding="ascii") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build", help="the build folder")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("models", nargs="+")
    o = parser.parse_args()
    peers = {}
    for name, make in (("onnxoptimizer", by_onnxoptimizer), ("onnxsim", by_onnxsim), ("onnxruntime", by_onnxruntime)):
        try:
            peers[name] = make()
        except ImportError:
            print(f"{name} is not installed and left out", file=sys.stderr)
    load = os.getloadavg()[0]
    rows = [["network", "before", "gie"] + list(peers) +
            ["gie alone", "onnxsim alone", "times", "alone", "fsync", "gie opt"]]
    with tempfile.TemporaryDirectory() as directory:
        for model in o.models:
            rows.append(row(o, model, peers, directory))
    print(f"# {processor()}, {os.cpu_count()} processors, load {load:.1f} to {os.getloadavg()[0]:.1f} of which 1 is this, "
          f"{time.strftime('%Y-%m-%d')}; median of {o.runs}; nodes, ms")
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip())


main()
