# SPDX-License-Identifier: Apache-2.0
"""Times gie, ONNX Runtime and OpenVINO on the same networks, one after the other in many short turns.

Every engine gets the same file, input and number of threads. In each round each engine runs for --seconds, so that
what the machine does meanwhile hits all of them. Printed are the median latency over all rounds, its spread
(p75 - p25 over the median), and how often as fast as each peer gie is (above 1: faster). Before that the results
are compared with those of ONNX Runtime: max|a-b| <= 1e-4 max|b|.
"""
import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
import time

import numpy

import networks

TOLERANCE = 1e-4


class Gie:
    """The command, on the model itself or on what --prepare makes of it."""

    name = "gie"

    def __init__(self, options, folder, model, batch):
        self.gie, self.batch, self.threads, self.folder = options.gie, batch, options.threads, folder
        self.file = model
        if options.prepare:
            self.file = os.path.join(folder, f"{os.path.basename(model)}.{batch}.out")
            values = {"gie": self.gie, "model": model, "batch": batch, "threads": self.threads, "out": self.file}
            subprocess.run(shlex.split(options.prepare.format(**values)), check=True)

    def result(self, data):
        given, got = os.path.join(self.folder, "in.npy"), os.path.join(self.folder, "out.npy")
        numpy.save(given, data)
        subprocess.run(
            [self.gie, "run", self.file, f"--threads={self.threads}", f"--input=data={given}", f"--output=scores={got}"],
            check=True,
        )
        return numpy.load(got)

    def times(self, seconds, _data):
        to = os.path.join(self.folder, "times.json")
        command = [self.gie, "bench", self.file, f"--threads={self.threads}", f"--batch={self.batch}", "--iterations=1"]
        command += [f"--duration={seconds}", f"--warmUp={200 * seconds}", f"--exportTimes={to}", "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(to, encoding="utf-8") as file:
            return [run["latencyMs"] for run in json.load(file)]


class Peer:
    """An engine in this process: subclasses make self.run(data)."""

    def result(self, data):
        return self.run(data)

    def times(self, seconds, data):
        self.run(data)
        times, end = [], time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            begin = time.perf_counter()
            self.run(data)
            times.append(1e3 * (time.perf_counter() - begin))
        return times


class OnnxRuntime(Peer):
    name = "onnxruntime"

    def __init__(self, options, _folder, model, _batch):
        import onnxruntime

        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads, o.inter_op_num_threads = options.threads, 1
        # threads that spin between runs would take the cores from the engine whose turn it is
        o.add_session_config_entry("session.intra_op.allow_spinning", "0" if options.no_spinning else "1")
        o.add_session_config_entry("session.force_spinning_stop", "1")
        o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = onnxruntime.InferenceSession(model, o, providers=["CPUExecutionProvider"])
        self.run = lambda data: session.run(["scores"], {"data": data})[0]


class OpenVino(Peer):
    name = "openvino"

    def __init__(self, options, _folder, model, batch):
        import openvino

        core = openvino.Core()
        network = core.read_model(model)
        network.reshape([batch, 3, 224, 224])
        settings = {"INFERENCE_NUM_THREADS": options.threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        request = core.compile_model(network, "CPU", settings).create_infer_request()

        def run(data):
            request.infer({0: data}, share_inputs=True)
            return request.get_output_tensor(0).data

        self.run = run


ENGINES = {e.name: e for e in (Gie, OnnxRuntime, OpenVino)}


def spread(times):
    low, middle, high = numpy.percentile(times, [25, 50, 75])
    return (high - low) / middle


def measure(options, folder, name, batch):
    """{engine: [ms]} of one network at one batch; ends the program when a result is wrong."""
    model = networks.write(options.models, name)
    data = numpy.random.default_rng(batch).random((batch, 3, 224, 224), dtype=numpy.float32)
    engines = [ENGINES[e](options, folder, model, batch) for e in options.engines]
    want = next((e for e in engines if e.name == "onnxruntime"), engines[0]).result(data).copy()
    for engine in engines:
        error = numpy.abs(engine.result(data) - want).max() / numpy.abs(want).max()
        if not error <= TOLERANCE:
            sys.exit(f"{name}, batch {batch}: {engine.name} is off by {error:.3g} of the largest score")
    times = {e.name: [] for e in engines}
    for _ in range(options.rounds):
        for engine in engines:
            times[engine.name] += engine.times(options.seconds, data)
    return times


def row(name, batch, times):
    cells = [f"{name:13}", f"{batch:5}"]
    for engine, ms in times.items():
        cells.append(f"{numpy.median(ms):11.3f} {100 * spread(ms):5.1f} %")
    if "gie" in times:
        cells += [f"{numpy.median(ms) / numpy.median(times['gie']):13.2f}" for e, ms in times.items() if e != "gie"]
    return "  ".join(cells)


def head(engines):
    cells = [f"{'network':13}", "batch"] + [f"{e + ' ms':>19}" for e in engines]
    if "gie" in engines:
        cells += [f"{'x ' + e:>13}" for e in engines if e != "gie"]
    return "  ".join(cells)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    p.add_argument("--gie", default=os.path.join(here, "../../build/gie"), help="the command")
    p.add_argument("--prepare", help='what to run before, such as "{gie} build {model} --batch={batch} -o {out}"')
    p.add_argument("--models", default=os.path.join(tempfile.gettempdir(), "gie-cpu-peers"), help="folder for the networks")
    p.add_argument("--networks", nargs="+", default=list(networks.NETWORKS), choices=list(networks.NETWORKS))
    p.add_argument("--batches", nargs="+", type=int, default=[1, 16])
    p.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seconds", type=float, default=2.0, help="of each engine in each round")
    p.add_argument("--no-spinning", action="store_true", help="ONNX Runtime's threads sleep between kernels")
    p.add_argument("--json", help="file for all times")
    options = p.parse_args()
    ratios, everything = {}, []
    print(head(options.engines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            for batch in options.batches:
                times = measure(options, folder, name, batch)
                print(row(name, batch, times), flush=True)
                everything.append({"network": name, "batch": batch, "ms": times})
                for engine, ms in times.items():
                    if "gie" in times and engine != "gie":
                        ratios.setdefault(engine, []).append(numpy.median(ms) / numpy.median(times["gie"]))
    for engine, r in ratios.items():
        mean = math.exp(sum(map(math.log, r)) / len(r))
        print(f"geometric mean: gie is {mean:.2f} times as fast as {engine} (from {min(r):.2f} to {max(r):.2f})")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"threads": options.threads, "results": everything}, file)


if __name__ == "__main__":
    main()
