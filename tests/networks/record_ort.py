#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what ONNX Runtime computes for the test networks.

    python3 -m venv venv && venv/bin/pip install onnxruntime numpy
    venv/bin/python tests/networks/record_ort.py ../shared/data/onnx tests/networks/records

Each network gets a text file: its input recipe and, per output, the shape, the largest absolute
value, and up to 1,000 sampled elements. The input is a pattern that needs no file and no random
generator (see pattern()), so test_networks.c makes the same one.
"""
import pathlib
import sys

import numpy as np
import onnxruntime as ort

# network -> (scale, offset): input = (pattern - offset) * scale, pattern in 0 … 255
RECIPES = {
    "SqueezeNet_fp16": (1.0, 0.0),
    "candy_style": (1.0, 0.0),
    "gtsrb_dogun": (1.0 / 256, 0.0),
    "mnist": (1.0, 0.0),
    "version-RFB-320": (1.0 / 128, 127.0),
}
SAMPLES = 1000


def pattern(shape):
    """Integer texture of an image tensor [1,C,H,W]: smooth parts, edges and a little noise."""
    _, channels, height, width = shape
    c, y, x = np.meshgrid(np.arange(channels), np.arange(height), np.arange(width), indexing="ij")
    value = (3 * x + 5 * y + 40 * c + 60 * ((x // 16 + y // 16) % 2) + (x * y + 7 * x + c) % 31) % 256
    return value.reshape(shape)


def record(model, out_dir):
    scale, offset = RECIPES[model.stem]
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    inp = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else 1 for d in inp.shape]
    dtype = np.float16 if "float16" in inp.type else np.float32
    data = ((pattern(shape).astype(np.float32) - np.float32(offset)) * np.float32(scale)).astype(dtype)
    lines = [
        f"# ONNX Runtime {ort.__version__}, CPU; made by record_ort.py",
        f"input {inp.name} {'x'.join(map(str, shape))} scale {float(np.float32(scale)).hex()} offset {offset}",
    ]
    for info, value in zip(session.get_outputs(), session.run(None, {inp.name: data})):
        flat = value.astype(np.float64).ravel()
        step = max(1, flat.size // SAMPLES)
        picked = np.arange(0, flat.size, step)
        lines.append(f"output {info.name} {'x'.join(map(str, value.shape))} max {np.abs(flat).max():.9g} samples {picked.size}")
        lines += [f"{i} {flat[i]:.9g}" for i in picked]
    (out_dir / f"{model.stem}.txt").write_text("\n".join(lines) + "\n")
    print(f"{model.stem}: {len(lines)} lines")


def main():
    models, out_dir = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in RECIPES:
        record(models / f"{name}.onnx", out_dir)


if __name__ == "__main__":
    main()
