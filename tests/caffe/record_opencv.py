#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what OpenCV's dnn module computes for the Caffe test networks.

    apt install python3-opencv
    python3 tests/caffe/record_opencv.py ../shared/data/caffe tests/caffe/records

The format is that of tests/networks/record_ort.py, whose texture is the input here too.
"""
import pathlib
import sys

import cv2
import numpy as np

# record -> (prototxt, caffemodel, input, shape, scale, offset, outputs)
NETWORKS = {
    "mtcnn_det1": ("mtcnn_det1", "mtcnn_det1", "data", (1, 3, 12, 12), 1 / 128, 127.5, ("conv4-2", "prob1")),
    "mtcnn_det2": ("mtcnn_det2", "mtcnn_det2", "data", (1, 3, 24, 24), 1 / 128, 127.5, ("conv5-2", "prob1")),
    "mtcnn_det3": ("mtcnn_det3", "mtcnn_det3", "data", (1, 3, 48, 48), 1 / 128, 127.5,
                   ("conv6-2", "conv6-3", "prob1")),
    "slim-320": ("slim-320", "slim-320", "input", (1, 3, 240, 320), 1 / 128, 127.0, ("boxes", "scores")),
    "squeezenet_v1.1": ("squeezenet_v1.1_deploy", "squeezenet_v1.1.DERIVED", "data", (1, 3, 227, 227), 1.0, 110.0,
                        ("pool10",)),
    "cifar10_quick": ("cifar10_quick", "cifar10_quick_iter_5000", "data", (1, 3, 32, 32), 1.0, 120.0, ("ip2",)),
    "lenet": ("lenet", "lenet_iter_10000", "data", (1, 1, 28, 28), 1 / 256, 0.0, ("ip2",)),
}
SAMPLES = 200


def pattern(shape):
    """The texture of record_ort.py."""
    _, channels, height, width = shape
    c, y, x = np.meshgrid(np.arange(channels), np.arange(height), np.arange(width), indexing="ij")
    value = (3 * x + 5 * y + 40 * c + 60 * ((x // 16 + y // 16) % 2) + (x * y + 7 * x + c) % 31) % 256
    return value.reshape(shape)


def record_net(name, prototxt, model, inp, shape, scale, offset, outputs, out_dir):
    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(model))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.setInput((pattern(shape).astype(np.float32) - np.float32(offset)) * np.float32(scale), inp)
    lines = [
        f"# OpenCV {cv2.__version__}; made by record_opencv.py",
        f"input {inp} {'x'.join(map(str, shape))} scale {float(np.float32(scale)).hex()} offset {offset}",
    ]
    for out, value in zip(outputs, net.forward(list(outputs))):
        flat = value.astype(np.float64).ravel()
        picked = np.arange(0, flat.size, max(1, flat.size // SAMPLES))
        dims = "x".join(map(str, value.shape))
        lines.append(f"output {out} {dims} max {np.abs(flat).max():.9g} samples {picked.size}")
        lines += [f"{i} {flat[i]:.9g}" for i in picked]
    (out_dir / f"{name}.txt").write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(lines)} lines")


def record(name, data_dir, out_dir):
    prototxt, model, *rest = NETWORKS[name]
    record_net(name, data_dir / f"{prototxt}.prototxt", data_dir / f"{model}.caffemodel", *rest, out_dir)


def main():
    data_dir, out_dir = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        record(name, data_dir, out_dir)


if __name__ == "__main__":
    main()
