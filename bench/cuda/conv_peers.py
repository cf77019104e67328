# SPDX-License-Identifier: Apache-2.0
# torch's convolutions of the problems in a file (conv_layers.txt): cudnn.benchmark, CUDA graphs of 20 calls, channels last
# (f16) or the better of both layouts (f32, no TF32).
#   python3 conv_peers.py FILE f16|f32 SECONDS
import sys
import time

import torch

torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
CALLS = 20


def measure(call):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            call()
    graph.replay()
    torch.cuda.synchronize()
    times = []
    for _ in range(7):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / CALLS)
    return sorted(times)[3]


def main():
    path, kind, end = sys.argv[1], sys.argv[2], time.time() + float(sys.argv[3])
    dtype = torch.half if kind == "f16" else torch.float32
    formats = [torch.channels_last] if kind == "f16" else [torch.channels_last, torch.contiguous_format]
    for line in open(path):
        words = line.split()
        if line.startswith("#") or len(words) != 10 or time.time() > end:
            continue
        n, c, h, w, k, r, s, stride, pad = map(int, words[1:])
        best = float("inf")
        for form in formats:
            x = torch.randn(n, c, h, w, device="cuda", dtype=dtype).to(memory_format=form)
            weights = torch.randn(k, c, r, s, device="cuda", dtype=dtype).to(memory_format=form)
            with torch.no_grad():
                best = min(best, measure(lambda: torch.nn.functional.conv2d(x, weights, None, stride, pad)))
        print(f"PEER {kind} {words[0]} {best:.2f}", flush=True)


main()
