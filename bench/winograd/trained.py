#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Weights of convolutions from Caffe models, for `layers errors=FILE`.

    trained.py OUT MODEL:LAYER:EXTENT...

OUT gets, for each, four numbers of 32 bits (input channels, output channels, window, EXTENT of the image to use) and
the weights in f32. Only models of the new format, whose layers are field 100 of the network."""
import struct
import sys


def fields(data):
    """Number, wire type and content of each field of a protocol buffer."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, 0, varint()
        else:
            size = varint() if key & 7 == 2 else 8 if key & 7 == 1 else 4
            yield key >> 3, key & 7, data[at:at + size]
            at += size


def dims(shape):
    out = []
    for number, kind, content in fields(shape):
        if number == 1 and kind == 0:
            out.append(content)
        elif number == 1:
            while content:
                value = shift = 0
                while True:
                    byte, content = content[0], content[1:]
                    value |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                out.append(value)
    return out


def blob(data):
    legacy, shape, values = {}, [], b""
    for number, kind, content in fields(data):
        if number in (1, 2, 3, 4) and kind == 0:
            legacy[number] = content
        elif number == 7:
            shape = dims(content)
        elif number == 5:
            values += bytes(content)
    return shape or [legacy.get(i, 1) for i in (1, 2, 3, 4)], values


def weights(model, layer):
    with open(model, "rb") as f:
        data = memoryview(f.read())
    for number, _, content in fields(data):
        if number != 100:
            continue
        found = list(fields(content))
        if any(n == 1 and bytes(c).decode() == layer for n, k, c in found if k == 2 and n == 1):
            return blob(next(c for n, k, c in found if n == 7))
    sys.exit(f"{model}: no layer {layer}")


def main():
    with open(sys.argv[1], "wb") as out:
        for what in sys.argv[2:]:
            model, layer, extent = what.split(":")
            shape, values = weights(model, layer)
            k, c, r, r2 = shape
            if r != r2 or len(values) != 4 * k * c * r * r:
                sys.exit(f"{what}: no square convolution")
            out.write(struct.pack("<4i", c, k, r, int(extent)) + values)
            print(what, shape)


main()
