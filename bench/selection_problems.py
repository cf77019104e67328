# SPDX-License-Identifier: Apache-2.0
"""Ten distinct convolutions of ResNet-50 and GoogLeNet at batch 1, one ONNX file each, for selection.sh.

    python3 bench/selection_problems.py FOLDER [NUMBER]...      writes FOLDER/NUMBER_NAME.onnx; without numbers all

Each is a convolution with bias and relu on random weights, with the pooling before or the sum behind it left out.
"""
import os
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

# name, channels, rows and columns, kernel, stride, outputs
PROBLEMS = (
    ("resnet_first", 3, 224, 7, 2, 64),
    ("resnet_2_3x3", 64, 56, 3, 1, 64),
    ("resnet_2_reduce", 256, 56, 1, 1, 64),
    ("resnet_2_expand", 64, 56, 1, 1, 256),
    ("resnet_3_3x3", 128, 28, 3, 1, 128),
    ("resnet_4_stride", 256, 28, 3, 2, 256),
    ("resnet_4_reduce", 1024, 14, 1, 1, 256),
    ("resnet_5_3x3", 512, 7, 3, 1, 512),
    ("google_3a_merged", 192, 28, 1, 1, 176),
    ("google_3a_3x3", 96, 28, 3, 1, 128),
)


def make(name, channels, side, kernel, stride, outputs):
    rng = numpy.random.default_rng(1)
    weights = rng.standard_normal((outputs, channels, kernel, kernel), dtype=numpy.float32)
    weights /= numpy.sqrt(numpy.float32(channels * kernel * kernel))
    nodes = [
        helper.make_node(
            "Conv", ["data", "w", "b"], ["sum"], strides=[stride] * 2, pads=[kernel // 2] * 4, kernel_shape=[kernel] * 2
        ),
        helper.make_node("Relu", ["sum"], ["result"]),
    ]
    out = (side + 2 * (kernel // 2) - kernel) // stride + 1
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", channels, side, side])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, ["n", outputs, out, out])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(numpy.zeros(outputs, numpy.float32), "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    folder, numbers = sys.argv[1], [int(n) for n in sys.argv[2:]] or range(len(PROBLEMS))
    os.makedirs(folder, exist_ok=True)
    for n in numbers:
        onnx.save(make(*PROBLEMS[n]), os.path.join(folder, "%d_%s.onnx" % (n, PROBLEMS[n][0])))


if __name__ == "__main__":
    main()
