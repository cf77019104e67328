# SPDX-License-Identifier: Apache-2.0
"""Four classifiers as ONNX models with seeded random weights, from short descriptions of their architecture.

    python networks.py FOLDER [NAME]...     writes FOLDER/NAME.onnx

The batch is the symbol "n"; every model takes "data" [n,3,224,224] and ends in 1000 scores without softmax.
"""
import math
import os
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Adds nodes behind each other; a value is its name and its number of channels."""

    def __init__(self, name, seed):
        self.name, self.nodes, self.weights = name, [], []
        self.random = numpy.random.default_rng(seed)

    def add(self, op, inputs, **attributes):
        output = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array.astype(numpy.float32), name))
        return name

    def normal(self, shape, fan_in):
        """He initialization: results keep their size through any number of layers."""
        return self.weight(self.random.standard_normal(shape) * math.sqrt(2 / fan_in))

    def relu(self, x):
        return self.add("Relu", [x[0]]), x[1]

    def relu6(self, x):
        low, high = self.weight(numpy.array(0)), self.weight(numpy.array(6))
        return self.add("Clip", [x[0], low, high]), x[1]

    def conv(self, x, channels, kernel, stride=1, pad=None, group=1, bias=True):
        pad = kernel // 2 if pad is None else pad
        fan_in = x[1] // group * kernel * kernel
        inputs = [x[0], self.normal((channels, x[1] // group, kernel, kernel), fan_in)]
        if bias:
            inputs.append(self.weight(self.random.uniform(-0.1, 0.1, channels)))
        y = self.add("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=group)
        return y, channels

    def norm(self, x, scale=1.0):
        u = self.random.uniform
        p = [u(0.9, 1.1, x[1]) * scale, u(-0.1, 0.1, x[1]), u(-0.1, 0.1, x[1]), u(0.9, 1.1, x[1])]
        return self.add("BatchNormalization", [x[0]] + [self.weight(v) for v in p]), x[1]

    def max_pool(self, x, kernel, stride, pad=0, ceil=0):
        y = self.add("MaxPool", [x[0]], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, ceil_mode=ceil)
        return y, x[1]

    def lrn(self, x):
        return self.add("LRN", [x[0]], size=5, alpha=1e-4, beta=0.75, bias=1.0), x[1]

    def concat(self, parts):
        return self.add("Concat", [p[0] for p in parts], axis=1), sum(p[1] for p in parts)

    def sum(self, a, b):
        return self.add("Add", [a[0], b[0]]), a[1]

    def average(self, x):
        return self.add("Flatten", [self.add("GlobalAveragePool", [x[0]])], axis=1), x[1]

    def dense(self, x, n):
        bias = self.weight(self.random.uniform(-0.1, 0.1, n))
        return self.add("Gemm", [x[0], self.normal((n, x[1]), x[1]), bias], transB=1), n

    def save(self, result, path):
        self.nodes[-1].output[0] = "scores"
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 3, 224, 224])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", result[1]])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="cpu_peers")
        model.ir_version = 8
        onnx.checker.check_model(model)
        onnx.save(model, path)


DATA = ("data", 3)


def squeezenet(b):
    """SqueezeNet 1.1 (F. N. Iandola et al., 2016)."""

    def fire(x, squeeze, expand):
        s = b.relu(b.conv(x, squeeze, 1))
        return b.concat([b.relu(b.conv(s, expand, 1)), b.relu(b.conv(s, expand, 3))])

    x = b.max_pool(b.relu(b.conv(DATA, 64, 3, 2, 0)), 3, 2, ceil=1)
    x = b.max_pool(fire(fire(x, 16, 64), 16, 64), 3, 2, ceil=1)
    x = b.max_pool(fire(fire(x, 32, 128), 32, 128), 3, 2, ceil=1)
    for squeeze, expand in ((48, 192), (48, 192), (64, 256), (64, 256)):
        x = fire(x, squeeze, expand)
    return b.average(b.relu(b.conv(x, 1000, 1)))


def googlenet(b):
    """GoogLeNet (C. Szegedy et al., 2014, table 1), with local response normalization."""

    def inception(x, n1, r3, n3, r5, n5, p):
        one = b.relu(b.conv(x, n1, 1))
        three = b.relu(b.conv(b.relu(b.conv(x, r3, 1)), n3, 3))
        five = b.relu(b.conv(b.relu(b.conv(x, r5, 1)), n5, 5))
        pool = b.relu(b.conv(b.max_pool(x, 3, 1, 1), p, 1))
        return b.concat([one, three, five, pool])

    x = b.lrn(b.max_pool(b.relu(b.conv(DATA, 64, 7, 2)), 3, 2, ceil=1))
    x = b.lrn(b.relu(b.conv(b.relu(b.conv(x, 64, 1)), 192, 3)))
    x = b.max_pool(x, 3, 2, ceil=1)
    x = inception(inception(x, 64, 96, 128, 16, 32, 32), 128, 128, 192, 32, 96, 64)
    x = b.max_pool(x, 3, 2, ceil=1)
    for row in (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ):
        x = inception(x, *row)
    x = b.max_pool(x, 3, 2, ceil=1)
    x = inception(inception(x, 256, 160, 320, 32, 128, 128), 384, 192, 384, 48, 128, 128)
    return b.dense(b.average(x), 1000)


def resnet50(b):
    """ResNet-50 (K. He et al., 2015), the stride in the 3x3 convolution."""

    def block(x, channels, stride):
        y = b.relu(b.norm(b.conv(x, channels, 1, bias=False)))
        y = b.relu(b.norm(b.conv(y, channels, 3, stride, bias=False)))
        y = b.norm(b.conv(y, 4 * channels, 1, bias=False), 0.5)
        if stride != 1 or x[1] != 4 * channels:
            x = b.norm(b.conv(x, 4 * channels, 1, stride, 0, bias=False))
        return b.relu(b.sum(y, x))

    x = b.max_pool(b.relu(b.norm(b.conv(DATA, 64, 7, 2, bias=False))), 3, 2, 1)
    for channels, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            x = block(x, channels, stride if i == 0 else 1)
    return b.dense(b.average(x), 1000)


def mobilenet_v2(b):
    """MobileNet v2 (M. Sandler et al., 2018, table 2)."""

    def block(x, factor, channels, stride):
        y, wide = x, x[1] * factor
        if factor != 1:
            y = b.relu6(b.norm(b.conv(y, wide, 1, bias=False)))
        y = b.relu6(b.norm(b.conv(y, wide, 3, stride, group=wide, bias=False)))
        y = b.norm(b.conv(y, channels, 1, bias=False))
        return b.sum(x, y) if stride == 1 and x[1] == channels else y

    x = b.relu6(b.norm(b.conv(DATA, 32, 3, 2, bias=False)))
    for factor, channels, blocks, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for i in range(blocks):
            x = block(x, factor, channels, stride if i == 0 else 1)
    x = b.relu6(b.norm(b.conv(x, 1280, 1, bias=False)))
    return b.dense(b.average(x), 1000)


NETWORKS = {"squeezenet": squeezenet, "googlenet": googlenet, "resnet50": resnet50, "mobilenet_v2": mobilenet_v2}


def write(folder, name, seed=1):
    """The path of NAME.onnx in the folder, made unless it is there."""
    path = os.path.join(folder, f"{name}.onnx")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        builder = Builder(name, seed)
        builder.save(NETWORKS[name](builder), path + ".tmp")
        os.replace(path + ".tmp", path)
    return path


if __name__ == "__main__":
    if len(sys.argv) < 2 or any(n not in NETWORKS for n in sys.argv[2:]):
        sys.exit(__doc__.strip() + "\nNames: " + " ".join(NETWORKS))
    for wanted in sys.argv[2:] or NETWORKS:
        print(write(sys.argv[1], wanted))
