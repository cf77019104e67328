# SPDX-License-Identifier: Apache-2.0
"""gie beside torch on one GPU: the same network, weights and input, in turns within one process.

    python3 peers.py shard --network=N --dtype=D --batch=B    one measurement, appended to --results as a line of JSON
    python3 peers.py all                         every shard that --results does not have yet, each in a process of its own,
                                                 until --seconds are over; run again to go on
    python3 peers.py table                       what --results has, as a table with ratios

Peers: torch with the network captured in a CUDA graph (cuDNN's benchmark mode), and torch.compile with frozen weights and CUDA
graphs. fp32 is strict (no TF32), fp16 has channels last. gie runs a plan that is built in the shard (`gie build`, `gie
bench --noDataTransfers`). Inputs and outputs stay on the device. Each round gives every engine one turn; a time is the median
of its rounds. Outputs are compared with torch in fp32: max|a-b| <= 1e-3 max|b| in fp32; in fp16 3e-2, or where half
precision itself is further off than that, no more than torch's own (of the peer that is further off).
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NETWORKS = ("googlenet", "resnet50", "vgg19", "squeezenet1_1", "mobilenet_v2", "inception_v3")
DTYPES = ("fp16", "fp32")
BATCHES = (1, 128)
TOLERANCE = {"fp32": 1e-3, "fp16": 3e-2}
PEERS = ("cudagraph", "inductor")


# ---- torch, in a shard


def graphed(call):
    """call() as a captured graph: (replay, where its result is)."""
    import torch

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(4):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = call()
    return graph.replay, result


def turn(call, seconds):
    """Median milliseconds of call() over about that many seconds, by the device's clock."""
    import torch

    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    for _ in range(3):
        call()
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize()
    one = max(begin.elapsed_time(end), 1e-3)
    inner = max(1, int(10 / one))
    times, stop = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < stop:
        begin.record()
        for _ in range(inner):
            call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / inner)
    return statistics.median(times)


class Torch:
    """The two peers and the reference result."""

    def __init__(self, options, network, dtype, batch):
        import torch
        import torch._inductor.config

        import networks

        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch._inductor.config.freezing = True
        side = networks.side(network)
        generator = torch.Generator().manual_seed(batch)
        self.data = torch.randn(batch, 3, side, side, generator=generator)
        net = networks.make(network).cuda()
        x = self.data.cuda()
        with torch.inference_mode():
            self.want = torch.cat([net(part) for part in x.split(16)]).cpu().numpy()
        if dtype == "fp16":
            net, x = net.half().to(memory_format=torch.channels_last), x.half().to(memory_format=torch.channels_last)
        self.calls, self.results, self.build = {}, {}, {}
        with torch.inference_mode():
            if "cudagraph" in options.peers:
                self.calls["cudagraph"], self.results["cudagraph"] = graphed(lambda: net(x))
            if "inductor" in options.peers:
                begin = time.perf_counter()
                compiled = torch.compile(net, mode="reduce-overhead")
                for _ in range(3):
                    compiled(x)
                torch.cuda.synchronize()
                self.build["inductor"] = time.perf_counter() - begin
                self.calls["inductor"] = lambda: compiled(x)
        self.options = options

    def time(self, peer):
        import torch

        with torch.inference_mode():
            return turn(self.calls[peer], self.options.turn)

    def profile(self, peer, file):
        """The kernels of one run of a peer, in order."""
        import torch
        from torch.profiler import ProfilerActivity

        with torch.inference_mode(), torch.profiler.profile(activities=[ProfilerActivity.CUDA]) as seen:
            self.calls[peer]()
            torch.cuda.synchronize()
        kernels = [e for e in seen.events() if e.device_type == torch.autograd.DeviceType.CUDA]
        kernels.sort(key=lambda e: e.time_range.start)
        spent = [e.time_range.end - e.time_range.start for e in kernels]
        print(f"{peer}: {len(kernels)} kernels, {sum(spent):.1f} us", file=file)
        for event, us in zip(kernels, spent):
            print(f"{us:9.2f} us  {event.name[:150]}", file=file)

    def result(self, peer):
        import torch

        with torch.inference_mode():
            value = self.calls[peer]()
        value = self.results[peer] if peer in self.results else value
        torch.cuda.synchronize()
        return value.float().cpu().numpy()


# ---- gie


class Gie:
    def __init__(self, options, folder, network, dtype, batch):
        import networks

        self.options, self.folder, self.batch = options, folder, batch
        model = networks.write(options.models, network)
        self.plan = os.path.join(folder, "plan")
        command = [options.gie, "build", model, f"--batch={batch}", "-o", self.plan, "--device=cuda"]
        command += [f"--timingCacheFile={options.cache}", "--quiet"]
        command += ["--fp16"] if dtype == "fp16" else []
        command += options.build_flag
        begin = time.perf_counter()
        self.call(command)
        self.build = time.perf_counter() - begin

    def call(self, command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=self.options.limit)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[:2])}: exit code {done.returncode}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def time(self):
        command = [self.options.gie, "bench", self.plan, "--noDataTransfers", f"--duration={self.options.turn}"]
        point = json.loads(self.call(command + ["--warmUp=100", "--iterations=3", "--json"]))["batches"][0]
        part = point.get("compute_ms") or point["latency_ms"]
        return part["median"]

    def profile(self, file):
        command = [self.options.gie, "bench", self.plan, "--dumpProfile", "--iterations=30", "--duration=0", "--warmUp=50"]
        print("gie\n" + self.call(command), file=file)

    def result(self, data):
        import numpy

        given, got = os.path.join(self.folder, "in.npy"), os.path.join(self.folder, "out.npy")
        numpy.save(given, data.numpy())
        self.call([self.options.gie, "run", self.plan, f"--input=data={given}", f"--output=scores={got}"])
        return numpy.load(got)


def difference(value, want):
    import numpy

    return float(numpy.abs(value.astype("float64") - want).max() / numpy.abs(want).max())


def shard(options):
    import torch

    row = {"network": options.network, "dtype": options.dtype, "batch": options.batch, "ms": {}, "error": {}, "build_s": {}}
    row["device"] = torch.cuda.get_device_name()
    row["torch"] = torch.__version__
    row["cudnn"] = torch.backends.cudnn.version()
    row["date"] = time.strftime("%Y-%m-%d")
    with tempfile.TemporaryDirectory() as folder:
        peers = Torch(options, options.network, options.dtype, options.batch)
        row["build_s"] = dict(peers.build)
        for peer in peers.calls:
            row["error"][peer] = difference(peers.result(peer), peers.want)
        gie = None
        try:
            gie = Gie(options, folder, options.network, options.dtype, options.batch)
            row["build_s"]["gie"] = gie.build
            row["error"]["gie"] = difference(gie.result(peers.data), peers.want)
            own = max((row["error"][p] for p in peers.calls), default=0) if options.dtype == "fp16" else 0
            row["agrees"] = row["error"]["gie"] <= max(TOLERANCE[options.dtype], own)
        except (RuntimeError, subprocess.TimeoutExpired) as failure:
            row["failure"] = str(failure)
            gie = None
        times = {name: [] for name in peers.calls}
        for _ in range(options.rounds):
            for peer in peers.calls:
                times[peer].append(peers.time(peer))
            if gie:
                times.setdefault("gie", []).append(gie.time())
        row["ms"] = {name: statistics.median(t) for name, t in times.items()}
        row["spread"] = {name: (max(t) - min(t)) / statistics.median(t) for name, t in times.items()}
        if options.profile and gie:
            with open(f"{options.profile}/{options.network}_{options.dtype}_{options.batch}.txt", "w", encoding="utf-8") as file:
                print(line(row), file=file)
                gie.profile(file)
                peers.profile(min(peers.calls, key=lambda p: row["ms"][p]), file)
    with open(options.results, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(line(row), flush=True)


# ---- Many shards, and the table


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(text) for text in file if text.strip()]


def key(row):
    return row["network"], row["dtype"], row["batch"]


def line(row):
    cells = [f"{row['network']:14} {row['dtype']:5} {row['batch']:5}"]
    for name in PEERS + ("gie",):
        cells.append(f"{row['ms'][name]:10.4f}" if name in row["ms"] else f"{'-':>10}")
    best = min((row["ms"][p] for p in PEERS if p in row["ms"]), default=None)
    cells.append(f"{best / row['ms']['gie']:8.2f}" if best and "gie" in row["ms"] else f"{'-':>8}")
    cells.append(f"{row['error'].get('gie', math.nan):9.1e}")
    cells.append(f"{row['build_s'].get('inductor', math.nan):8.1f} {row['build_s'].get('gie', math.nan):8.1f}")
    if "failure" in row:
        cells.append(" " + row["failure"][:120])
    elif not row.get("agrees", True):
        cells.append(" wrong")
    return " ".join(cells)


def table(options):
    rows = {key(row): row for row in read(options.results)}
    heads = ["network        dtype batch", " cudagraph", "  inductor", "       gie", "speed-up", "    error", "inductor", "   gie s"]
    print(" ".join(heads))
    ratios = {}
    for row in sorted(rows.values(), key=lambda r: (r["dtype"], r["batch"], NETWORKS.index(r["network"]))):
        print(line(row))
        best = min((row["ms"][p] for p in PEERS if p in row["ms"]), default=None)
        if best and "gie" in row["ms"] and row.get("agrees"):
            ratios.setdefault((row["dtype"], row["batch"]), []).append(best / row["ms"]["gie"])
    for (dtype, batch), r in sorted(ratios.items()):
        mean = math.exp(sum(map(math.log, r)) / len(r))
        print(f"{dtype}, batch {batch}: {mean:.2f} times as fast as the better peer, geometric mean of {len(r)} (least {min(r):.2f})")
    for device in sorted({f"{r['device']}, torch {r['torch']}, cuDNN {r['cudnn']}, {r['date']}" for r in rows.values()}):
        print(device)


def every(options):
    begin, longest = time.perf_counter(), 40.0
    done = {key(row) for row in read(options.results)}
    for batch in options.batches:
        for dtype in options.dtypes:
            for network in options.networks:
                left = options.seconds - (time.perf_counter() - begin)
                if (network, dtype, batch) in done or left < longest:
                    continue
                started = time.perf_counter()
                command = [sys.executable, os.path.abspath(__file__)] + sys.argv[1:]
                command[2 + sys.argv[1:].index("all")] = "shard"
                command += ["--network", network, "--dtype", dtype, "--batch", str(batch)]
                try:
                    subprocess.run(command, timeout=left, check=False)
                except subprocess.TimeoutExpired:
                    print(f"{network} {dtype} {batch}: no time left")
                longest = max(longest, 0.7 * (time.perf_counter() - started))
    table(options)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["shard", "all", "table"])
    p.add_argument("--gie", default=os.path.join(HERE, "../gie"), help="the command")
    p.add_argument("--results", default="gpu_peers.jsonl", help="file of lines that is read and appended to")
    p.add_argument("--models", default=os.path.join(tempfile.gettempdir(), "gie-gpu-peers"), help="folder for the networks")
    p.add_argument("--cache", default=os.path.join(tempfile.gettempdir(), "gie-gpu-peers-timing.txt"), help="gie's timing cache")
    p.add_argument("--build-flag", action="append", default=[], help="another argument for gie build")
    p.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    p.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=DTYPES)
    p.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    p.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--turn", type=float, default=0.5, help="seconds of each engine in each round")
    p.add_argument("--limit", type=float, default=300, help="seconds that one command of gie may take")
    p.add_argument("--profile", help="folder for a file per shard: each node of gie beside each kernel of the faster peer")
    p.add_argument("--seconds", type=float, default=1e9, help="all: start no shard that would end later")
    p.add_argument("--network", choices=NETWORKS)
    p.add_argument("--dtype", choices=DTYPES)
    p.add_argument("--batch", type=int)
    options = p.parse_args()
    if options.what == "shard" and not (options.network and options.dtype and options.batch):
        p.error("shard needs --network, --dtype and --batch")
    {"shard": shard, "all": every, "table": table}[options.what](options)


if __name__ == "__main__":
    main()
