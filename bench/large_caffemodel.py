#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a large network for Caffe: a chain of InnerProduct and ReLU, its weights f32 of 4096x4096 (64 MiB each).

    bench/large_caffemodel.py FILE.prototxt FILE.caffemodel [--layers=N]

4 layers (the default) make 256 MiB. Only the standard library is used, and one weight is in memory at a time.
"""
import sys

from large_onnx import SIDE, WEIGHT, data, head, number, weight_blocks


def layer(name, bottom):
    return (f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}"\n'
            f"  inner_product_param {{ num_output: {SIDE} bias_term: false }} }}\n"
            f'layer {{ name: "{name}_relu" type: "ReLU" bottom: "{name}" top: "{name}" }}\n')


def main():
    layers = 4
    for arg in sys.argv[3:]:
        layers = int(arg.partition("=")[2])
    net = f'input: "x" input_shape {{ dim: 1 dim: {SIDE} }}\n'
    with open(sys.argv[2], "wb") as f:
        for i in range(layers):
            net += layer(f"ip{i}", f"ip{i - 1}" if i else "x")
            shape = data(7, data(1, number(1, SIDE)[1:] * 2))
            front = data(1, f"ip{i}")
            blob = len(shape) + len(head(5, WEIGHT)) + WEIGHT
            f.write(head(100, len(front) + len(head(7, blob)) + blob) + front + head(7, blob) + shape + head(5, WEIGHT))
            for block in weight_blocks(i):
                f.write(block)
    with open(sys.argv[1], "w") as f:
        f.write(net)


if __name__ == "__main__":
    main()
