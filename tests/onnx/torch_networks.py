#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classifiers in the node by node form in which exporters of PyTorch write them, with seeded random weights.

    torch_networks.py FOLDER [NAME]...     writes FOLDER/NAME.onnx

For check_export.py; neither is run by `make check`. Sizes are the published ones; what counts here is the variety of the
graphs: concats that grow by prefixes, channel shuffles, squeeze and excitation, hard swish, asymmetric branches, layer
normalization and GELU taken apart, attention. Needs the Python packages numpy and onnx.
"""
import math
import os
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Adds nodes behind each other; a value is its name and its number of channels."""

    def __init__(self, name, seed=1):
        self.name, self.nodes, self.weights = name, [], []
        self.random = numpy.random.default_rng(seed)

    def add(self, op, inputs, n=1, **attributes):
        outputs = [f"{op.lower()}_{len(self.nodes)}_{i}" for i in range(n)]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"{op}_{len(self.nodes)}", **attributes))
        return outputs[0] if n == 1 else outputs

    def const(self, value, dtype=numpy.float32):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.asarray(value, dtype), name))
        return name

    def ints(self, *value):
        return self.const(value, numpy.int64)

    def normal(self, shape, fan_in):
        return self.const(self.random.standard_normal(shape) * math.sqrt(2 / fan_in))

    def conv(self, x, channels, kernel, stride=1, pad=None, group=1, bias=False):
        kh, kw = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        ph, pw = (kh // 2, kw // 2) if pad is None else (pad, pad)
        inputs = [x[0], self.normal((channels, x[1] // group, kh, kw), x[1] // group * kh * kw)]
        if bias:
            inputs.append(self.const(self.random.uniform(-0.1, 0.1, channels)))
        y = self.add("Conv", inputs, kernel_shape=[kh, kw], strides=[stride] * 2, pads=[ph, pw, ph, pw], group=group)
        return y, channels

    def norm(self, x):
        u = self.random.uniform
        p = [u(0.9, 1.1, x[1]), u(-0.1, 0.1, x[1]), u(-0.1, 0.1, x[1]), u(0.9, 1.1, x[1])]
        return self.add("BatchNormalization", [x[0]] + [self.const(v) for v in p], epsilon=1e-3), x[1]

    def relu(self, x):
        return self.add("Relu", [x[0]]), x[1]

    def silu(self, x):
        return self.add("Mul", [x[0], self.add("Sigmoid", [x[0]])]), x[1]

    def hard_swish(self, x):
        shifted = self.add("Add", [x[0], self.const(3)])
        clipped = self.add("Clip", [shifted, self.const(0), self.const(6)])
        return self.add("Div", [self.add("Mul", [x[0], clipped]), self.const(6)]), x[1]

    def pool(self, op, x, kernel, stride, pad=0, **more):
        return self.add(op, [x[0]], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, **more), x[1]

    def concat(self, parts):
        return self.add("Concat", [p[0] for p in parts], axis=1), sum(p[1] for p in parts)

    def sum(self, a, b):
        return self.add("Add", [a[0], b[0]]), a[1]

    def excite(self, x, squeezed, act, gate):
        s = self.add("GlobalAveragePool", [x[0]]), x[1]
        s = self.conv(act(self.conv(s, squeezed, 1, bias=True)), x[1], 1, bias=True)
        return self.add("Mul", [x[0], self.add(gate, [s[0]])]), x[1]

    def head(self, x, n=1000):
        flat = self.add("Flatten", [self.add("GlobalAveragePool", [x[0]])], axis=1)
        bias = self.const(self.random.uniform(-0.1, 0.1, n))
        return self.add("Gemm", [flat, self.normal((n, x[1]), x[1]), bias], transB=1), n

    def save(self, result, path, size=224):
        self.nodes[-1].output[0] = "scores"
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 3, size, size])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", result[1]])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], producer_name="torch_networks")
        model.ir_version = 8
        onnx.checker.check_model(model)
        onnx.save(model, path)


DATA = ("data", 3)


def densenet121(b):
    """Every layer reads the concat of all before it in its block."""
    x = b.pool("MaxPool", b.relu(b.norm(b.conv(DATA, 64, 7, 2))), 3, 2, 1)
    for i, layers in enumerate((6, 12, 24, 16)):
        parts = [x]
        for _ in range(layers):
            y = b.concat(parts) if len(parts) > 1 else parts[0]
            y = b.conv(b.relu(b.norm(y)), 128, 1)
            parts.append(b.conv(b.relu(b.norm(y)), 32, 3))
        x = b.concat(parts)
        if i < 3:
            x = b.pool("AveragePool", b.conv(b.relu(b.norm(x)), x[1] // 2, 1), 2, 2)
    return b.head(b.relu(b.norm(x)))


def inception_v3(b):
    def cbr(x, *args, **more):
        return b.relu(b.norm(b.conv(x, *args, **more)))

    def average(x):
        return b.pool("AveragePool", x, 3, 1, 1, count_include_pad=1)

    def a(x, p):
        five = cbr(cbr(x, 48, 1), 64, 5)
        three = cbr(cbr(cbr(x, 64, 1), 96, 3), 96, 3)
        return b.concat([cbr(x, 64, 1), five, three, cbr(average(x), p, 1)])

    def c(x, n):
        seven = cbr(cbr(cbr(x, n, 1), n, (1, 7)), 192, (7, 1))
        twice = cbr(cbr(cbr(cbr(cbr(x, n, 1), n, (7, 1)), n, (1, 7)), n, (7, 1)), 192, (1, 7))
        return b.concat([cbr(x, 192, 1), seven, twice, cbr(average(x), 192, 1)])

    def e(x):
        three, double = cbr(x, 384, 1), cbr(cbr(x, 448, 1), 384, 3)
        three = b.concat([cbr(three, 384, (1, 3)), cbr(three, 384, (3, 1))])
        double = b.concat([cbr(double, 384, (1, 3)), cbr(double, 384, (3, 1))])
        return b.concat([cbr(x, 320, 1), three, double, cbr(average(x), 192, 1)])

    x = cbr(cbr(cbr(DATA, 32, 3, 2, 0), 32, 3, 1, 0), 64, 3)
    x = b.pool("MaxPool", x, 3, 2)
    x = b.pool("MaxPool", cbr(cbr(x, 80, 1), 192, 3, 1, 0), 3, 2)
    x = a(a(a(x, 32), 64), 64)
    x = b.concat([cbr(x, 384, 3, 2, 0), cbr(cbr(cbr(x, 64, 1), 96, 3), 96, 3, 2, 0), b.pool("MaxPool", x, 3, 2)])
    for n in (128, 160, 160, 192):
        x = c(x, n)
    seven = cbr(cbr(cbr(cbr(x, 192, 1), 192, (1, 7)), 192, (7, 1)), 192, 3, 2, 0)
    x = b.concat([cbr(cbr(x, 192, 1), 320, 3, 2, 0), seven, b.pool("MaxPool", x, 3, 2)])
    return b.head(e(e(x)))


def mobilenet_v3(b):
    """The small one: hard swish taken apart, hard sigmoid as an operator."""
    x = b.hard_swish(b.norm(b.conv(DATA, 16, 3, 2)))
    for kernel, wide, channels, excite, act, stride in (
        (3, 16, 16, True, b.relu, 2),
        (3, 72, 24, False, b.relu, 2),
        (3, 88, 24, False, b.relu, 1),
        (5, 96, 40, True, b.hard_swish, 2),
        (5, 240, 40, True, b.hard_swish, 1),
        (5, 120, 48, True, b.hard_swish, 1),
        (5, 288, 96, True, b.hard_swish, 2),
        (5, 576, 96, True, b.hard_swish, 1),
    ):
        y = x if wide == x[1] else act(b.norm(b.conv(x, wide, 1)))
        y = act(b.norm(b.conv(y, wide, kernel, stride, group=wide)))
        y = b.excite(y, max(8, wide // 4), b.relu, "HardSigmoid") if excite else y
        y = b.norm(b.conv(y, channels, 1))
        x = b.sum(x, y) if stride == 1 and channels == x[1] else y
    return b.head(b.hard_swish(b.norm(b.conv(x, 576, 1))))


def shufflenet_v2(b):
    """x1.0: halves by Split, channels shuffled by Reshape, Transpose, Reshape."""

    def shuffle(x, size):
        y = b.add("Reshape", [x[0], b.ints(-1, 2, x[1] // 2, size, size)])
        y = b.add("Transpose", [y], perm=[0, 2, 1, 3, 4])
        return b.add("Reshape", [y, b.ints(-1, x[1], size, size)]), x[1]

    def branch(x, n, stride):
        y = b.norm(b.conv(b.relu(b.norm(b.conv(x, n, 1))), n, 3, stride, group=n))
        return b.relu(b.norm(b.conv(y, n, 1)))

    x, size = b.pool("MaxPool", b.relu(b.norm(b.conv(DATA, 24, 3, 2))), 3, 2, 1), 56
    for channels, repeats in ((116, 4), (232, 8), (464, 4)):
        size //= 2
        half = channels // 2
        left = b.norm(b.conv(x, x[1], 3, 2, group=x[1]))
        x = shuffle(b.concat([b.relu(b.norm(b.conv(left, half, 1))), branch(x, half, 2)]), size)
        for _ in range(repeats - 1):
            left, right = b.add("Split", [x[0], b.ints(half, half)], 2, axis=1)
            x = shuffle(b.concat([(left, half), branch((right, half), half, 1)]), size)
    return b.head(b.relu(b.norm(b.conv(x, 1024, 1))))


def efficientnet_b0(b):
    x = b.silu(b.norm(b.conv(DATA, 32, 3, 2)))
    for factor, channels, repeats, stride, kernel in (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ):
        for i in range(repeats):
            wide, s = x[1] * factor, stride if i == 0 else 1
            y = x if factor == 1 else b.silu(b.norm(b.conv(x, wide, 1)))
            y = b.silu(b.norm(b.conv(y, wide, kernel, s, group=wide)))
            y = b.excite(y, max(1, x[1] // 4), b.silu, "Sigmoid")
            y = b.norm(b.conv(y, channels, 1))
            x = b.sum(y, x) if s == 1 and channels == x[1] else y
    return b.head(b.silu(b.norm(b.conv(x, 1280, 1))))


def vit_b16(b, width=768, heads=12, layers=12):
    """Layer normalization and GELU taken apart, as for operator sets before 17 and 20."""

    def layer_norm(x):
        d = b.add("Sub", [x, b.add("ReduceMean", [x], axes=[-1])])
        v = b.add("ReduceMean", [b.add("Pow", [d, b.const(2)])], axes=[-1])
        y = b.add("Div", [d, b.add("Sqrt", [b.add("Add", [v, b.const(1e-6)])])])
        y = b.add("Mul", [y, b.const(b.random.uniform(0.9, 1.1, width))])
        return b.add("Add", [y, b.const(b.random.uniform(-0.1, 0.1, width))])

    def dense(x, n_in, n_out):
        y = b.add("MatMul", [x, b.const(b.random.standard_normal((n_in, n_out)) / math.sqrt(n_in))])
        return b.add("Add", [b.const(b.random.uniform(-0.1, 0.1, n_out)), y])

    def gelu(x):
        e = b.add("Erf", [b.add("Div", [x, b.const(math.sqrt(2))])])
        return b.add("Mul", [b.add("Mul", [x, b.add("Add", [e, b.const(1)])]), b.const(0.5)])

    def attention(x):
        qkv = b.add("Reshape", [dense(x, width, 3 * width), b.ints(0, 197, 3, heads, width // heads)])
        q, k, v = b.add("Split", [b.add("Transpose", [qkv], perm=[2, 0, 3, 1, 4]), b.ints(1, 1, 1)], 3, axis=0)
        q, k, v = (b.add("Squeeze", [t, b.ints(0)]) for t in (q, k, v))
        scores = b.add("MatMul", [b.add("Mul", [q, b.const((width // heads) ** -0.5)]), b.add("Transpose", [k], perm=[0, 1, 3, 2])])
        y = b.add("MatMul", [b.add("Softmax", [scores], axis=-1), v])
        y = b.add("Reshape", [b.add("Transpose", [y], perm=[0, 2, 1, 3]), b.ints(0, 197, width)])
        return dense(y, width, width)

    x = b.conv(DATA, width, 16, 16, 0, bias=True)[0]
    x = b.add("Transpose", [b.add("Reshape", [x, b.ints(0, width, 196)])], perm=[0, 2, 1])
    batch = b.add("Gather", [b.add("Shape", [x]), b.ints(0)], axis=0)
    token = b.add("Expand", [b.const(b.random.standard_normal((1, 1, width))), b.add("Concat", [batch, b.ints(1, width)], axis=0)])
    x = b.add("Concat", [token, x], axis=1)
    x = b.add("Add", [x, b.const(b.random.standard_normal((1, 197, width)) * 0.02)])
    for _ in range(layers):
        x = b.add("Add", [x, attention(layer_norm(x))])
        x = b.add("Add", [x, dense(gelu(dense(layer_norm(x), width, 4 * width)), 4 * width, width)])
    x = b.add("Gather", [layer_norm(x), b.const(0, numpy.int64)], axis=1)
    return b.add("Gemm", [x, b.normal((1000, width), width), b.const(numpy.zeros(1000))], transB=1), 1000


def vit_small(b):
    """The same with less of everything."""
    return vit_b16(b, 192, 3, 2)


NETWORKS = {f.__name__: f for f in (densenet121, inception_v3, mobilenet_v3, shufflenet_v2, efficientnet_b0, vit_b16, vit_small)}

if __name__ == "__main__":
    if len(sys.argv) < 2 or any(n not in NETWORKS for n in sys.argv[2:]):
        sys.exit(__doc__.strip() + "\nNames: " + " ".join(NETWORKS))
    os.makedirs(sys.argv[1], exist_ok=True)
    for wanted in sys.argv[2:] or NETWORKS:
        builder = Builder(wanted)
        where = os.path.join(sys.argv[1], wanted + ".onnx")
        builder.save(NETWORKS[wanted](builder), where, 299 if wanted == "inception_v3" else 224)
        print(where)
