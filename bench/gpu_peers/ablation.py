# SPDX-License-Identifier: Apache-2.0
"""What each optimization brings on one network: built again with one of them switched off, and timed beside the full build.

    python3 ablation.py [--network=googlenet] [--batches=1,32]

All plans of a batch are built first, over one timing cache, so that what two builds have in common was measured once; then they
are timed in turns. A time is the median of the rounds; images per joule are there where the device counts its energy.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VERTICAL = "fuse_epilogue,fuse_add_bias_into_conv,fuse_bn_into_conv,fuse_mul_into_conv,fuse_scale_into_next_conv"
CASES = (  # name, flags of the build, environment of the run
    ("everything on", ["--fp16"], {}),
    ("vertical fusion", ["--fp16", "--disable=" + VERTICAL], {}),
    ("horizontal fusion", ["--fp16", "--disable=fuse_sibling_convs"], {}),
    ("concat removal", ["--fp16", "--disable=eliminate_concat,eliminate_split,widen_concat"], {}),
    ("streams", ["--fp16", "--disable=assign_streams"], {}),
    ("layouts", ["--fp16", "--plain"], {}),
    ("GEMV", ["--fp16", "--backend=-cublas.gemv"], {}),
    ("half precision", [], {}),
    ("CUDA graph", ["--fp16"], {"GIE_GRAPH": "0"}),
)


def call(command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, **(env or {})), check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


def bench(options, plan, env):
    command = [options.gie, "bench", plan, "--noDataTransfers", f"--duration={options.turn}", "--warmUp=50", "--iterations=3", "--json"]
    point = json.loads(call(command, env))["batches"][0]
    part = point.get("compute_ms") or point["latency_ms"]
    return part["median"], point.get("images_per_j")


def build_all(options, model, batch, folder):
    """The plan of each case; cases that differ in how they run share one."""
    plans = {}
    for name, flags, _ in CASES:
        key = tuple(flags)
        begin = time.perf_counter()
        if key not in plans:
            plans[key] = os.path.join(folder, f"plan{batch}_{len(plans)}")
            command = [options.gie, "build", model, f"--batch={batch}", "-o", plans[key], "--device=cuda", "--quiet"]
            call(command + [f"--timingCacheFile={options.cache}"] + flags)
        print(f"# batch {batch} without {name}: built in {time.perf_counter() - begin:.1f} s", file=sys.stderr, flush=True)
    return plans


def one_batch(options, model, batch, folder):
    plans = build_all(options, model, batch, folder)
    times, energy = {name: [] for name, _, _ in CASES}, {name: [] for name, _, _ in CASES}
    for _ in range(options.rounds):
        for name, flags, env in CASES:
            ms, per_joule = bench(options, plans[tuple(flags)], env)
            times[name].append(ms)
            if per_joule:
                energy[name].append(per_joule)
    print(f"{options.network + f', batch {batch}':28}   ms   times as long   spread   images/s   images/J")
    full = statistics.median(times[CASES[0][0]])
    for i, (name, _, _) in enumerate(CASES):
        t = statistics.median(times[name])
        spread = (max(times[name]) - min(times[name])) / t
        joule = f"{statistics.median(energy[name]):10.2f}" if energy[name] else f"{'-':>10}"
        name = "without " + name if i else name
        print(f"{name:26} {t:8.4f} {t / full:11.3f} {100 * spread:9.1f} % {1e3 * batch / t:9.0f} {joule}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="googlenet")
    parser.add_argument("--batches", default="1,32")
    parser.add_argument("--gie", default=os.path.join(os.path.dirname(HERE), "gie"))
    parser.add_argument("--models", default=os.path.join(tempfile.gettempdir(), "gie-gpu-peers"), help="folder for the networks")
    parser.add_argument("--cache", default=os.path.join(tempfile.gettempdir(), "gie-ablation.txt"), help="timing cache")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", type=float, default=0.3, help="seconds of one measurement")
    options = parser.parse_args()
    import networks

    model = networks.write(options.models, options.network)
    with tempfile.TemporaryDirectory() as folder:
        for batch in options.batches.split(","):
            one_batch(options, model, int(batch), folder)


if __name__ == "__main__":
    main()
