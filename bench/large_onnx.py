#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a large ONNX file: a chain of MatMul and Relu, its weights f32 of 4096x4096 (64 MiB each).

    bench/large_onnx.py FILE [--layers=N] [--external]

16 layers (the default) make 1 GiB. With --external the weights lie in FILE.data beside it. Only the
standard library is used, and one weight is in memory at a time.
"""
import random
import struct
import sys

SIDE = 4096
WEIGHT = SIDE * SIDE * 4
BLOCK = 1 << 20
FLOAT = 1


def varint(v):
    out = bytearray()
    while v > 0x7F:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


def number(field, v):
    return varint(field << 3) + varint(v)


def head(field, size):
    return varint(field << 3 | 2) + varint(size)


def data(field, payload):
    if isinstance(payload, str):
        payload = payload.encode()
    return head(field, len(payload)) + payload


def node(op, operands, result):
    body = b"".join(data(1, o) for o in operands) + data(2, result) + data(3, result) + data(4, op)
    return data(1, body)


def value(field, name):
    dims = data(1, number(1, 1)) + data(1, number(1, SIDE))
    return data(field, data(1, name) + data(2, data(1, number(1, FLOAT) + data(2, dims))))


def entry(key, text):
    return data(13, data(1, key) + data(2, text))


def tensor_front(name):
    return number(1, SIDE) + number(1, SIDE) + number(2, FLOAT) + data(8, name)


def weight_blocks(layer):
    """1 MiB of small numbers, told apart by its first element: no two weights are the same."""
    numbers = random.Random(1)
    block = struct.pack("<%df" % (BLOCK // 4), *(numbers.uniform(-1, 1) for _ in range(BLOCK // 4)))
    for i in range(WEIGHT // BLOCK):
        yield struct.pack("<f", layer * (WEIGHT // BLOCK) + i) + block[4:]


def write(path, layers, external):
    beside = open(path + ".data", "wb") if external else None
    with open(path, "wb") as f:
        nodes, last = b"", "x"
        for i in range(layers):
            nodes += node("MatMul", [last, "w%d" % i], "m%d" % i) + node("Relu", ["m%d" % i], "r%d" % i)
            last = "r%d" % i
        nodes += data(2, "large") + value(11, "x") + value(12, last)
        fronts = []
        for i in range(layers):
            front = tensor_front("w%d" % i)
            if external:
                name = path.rsplit("/", 1)[-1] + ".data"
                front += entry("location", name) + entry("offset", str(i * WEIGHT)) + entry("length", str(WEIGHT))
                front += number(14, 1)
                fronts.append((head(5, len(front)) + front, b""))
            else:
                raw = head(9, WEIGHT)
                fronts.append((head(5, len(front) + len(raw) + WEIGHT) + front, raw))
        size = len(nodes) + sum(len(a) + len(b) + (0 if external else WEIGHT) for a, b in fronts)
        f.write(number(1, 8) + head(7, size) + nodes)
        for i, (front, raw) in enumerate(fronts):
            f.write(front + raw)
            for block in weight_blocks(i):
                (beside or f).write(block)
        f.write(data(8, number(2, 13)))
    if beside:
        beside.close()


def main(argv):
    layers, external, paths = 16, False, []
    for a in argv:
        if a.startswith("--layers="):
            layers = int(a[len("--layers="):])
        elif a == "--external":
            external = True
        elif a.startswith("-"):
            sys.exit(__doc__)
        else:
            paths.append(a)
    if len(paths) != 1 or layers < 1:
        sys.exit(__doc__)
    write(paths[0], layers, external)


if __name__ == "__main__":
    main(sys.argv[1:])
