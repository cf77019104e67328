#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what OpenCV's dnn module computes for Caffe networks with made-up weights (doc/caffe.md says how).

    apt install python3-opencv
    python3 tests/caffe/record_random.py build/gie ../shared/data/caffe tests/caffe/records [NETWORK...]

gie says which weights a network has; their values are made here, put into a .caffemodel, and OpenCV reads that.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from record_opencv import record_net

# record -> (prototxt, height and width, outputs)
NETWORKS = {
    "bvlc_alexnet": ("bvlc_alexnet_deploy", 227, ("fc8",)),
    "bvlc_googlenet": ("bvlc_googlenet_deploy", 224, ("loss3/classifier",)),
    "ResNet-50": ("ResNet-50-deploy", 224, ("fc1000",)),
    "mobilenet_v2": ("mobilenet_v2_deploy", 224, ("fc7",)),
    "VGG_ILSVRC_19": ("VGG_ILSVRC_19_layers_deploy", 224, ("fc8",)),
}
SEED, GOLDEN, MASK = 1, 0x9E3779B97F4A7C15, (1 << 64) - 1


CHUNK = 1 << 22


def he(layer, index, dims):
    h = 0xCBF29CE484222325
    for c in layer.encode():
        h = (h ^ c) * 0x100000001B3 & MASK
    state = (h + SEED * GOLDEN + index) & MASK
    count = int(np.prod(dims))
    out = np.empty(count, np.float32)
    for first in range(0, count, CHUNK):
        z = np.uint64(state) + np.arange(first + 1, min(first + CHUNK, count) + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        total = sum(((z >> np.uint64(s)) & np.uint64(0xFFFF)).astype(np.float64) for s in (0, 16, 32, 48))
        out[first:first + len(z)] = (total - 131070) * (np.sqrt(2.0 / (count // dims[0])) * np.sqrt(3.0) / 65536)
    return out


def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def blob(dims, values):
    return field(7, field(1, b"".join(map(varint, dims)))) + field(5, values.astype("<f4").tobytes())


def blobs_of(text):
    """layer -> {index: bytes} from the constants that gie lists."""
    layers = {}
    for name, part, dims in re.findall(r'const %"?([^\s"]+)\.(blob\d|mean)"? : f32\[([\d,]+)\]', text):
        dims = [int(d) for d in dims.split(",")]
        one = layers.setdefault(name, {})
        if part == "mean":  # BatchNorm: mean, variance, divisor
            one.update({0: blob(dims, np.zeros(dims[0])), 1: blob(dims, np.ones(dims[0])), 2: blob([1], np.ones(1))})
            continue
        index = int(part[4:])
        if len(dims) in (2, 4):
            one[index] = blob(dims, he(name, index, dims))
        else:  # a bias, or factors and shifts for each channel
            one[index] = blob(dims[:1], np.full(dims[0], float(len(dims) == 3 and index == 0)))
    return layers


def main():
    gie, data_dir, out_dir = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    wanted = sys.argv[4:] or NETWORKS
    for name in wanted:
        prototxt, side, outputs = NETWORKS[name]
        net = data_dir / f"{prototxt}.prototxt"
        with tempfile.TemporaryDirectory() as tmp:
            text = pathlib.Path(tmp, "net.gie")
            subprocess.run([gie, "opt", "--quiet", "--passes=", f"--random-weights={SEED}", net, "-o", text], check=True)
            model = pathlib.Path(tmp, "net.caffemodel")
            layers = blobs_of(text.read_text())
            with model.open("wb") as f:
                for layer, b in layers.items():
                    f.write(field(100, field(1, layer.encode()) + b"".join(field(7, b[i]) for i in sorted(b))))
            record_net(name, net, model, "data", (1, 3, side, side), 1 / 64, 127.0, outputs, out_dir)


if __name__ == "__main__":
    main()
