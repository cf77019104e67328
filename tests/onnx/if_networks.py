#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes networks with If into a folder, for check_export.py and gie run.

    if_networks.py DIR

Captures of inputs and constants, several results of several types, an If in an If, one whose condition is constant, a
branch that hands on what it captures. Needs the Python packages numpy and onnx.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper


def const(name, values, dtype):
    return numpy_helper.from_array(np.array(values, dtype), name)


def info(name, dtype, shape):
    return h.make_tensor_value_info(name, dtype, shape)


def branch(name, nodes, outputs, constants=()):
    return h.make_graph(nodes, name, [], outputs, list(constants))


def choose(cond, outputs, then, other, name="choose"):
    return h.make_node("If", [cond], outputs, name=name, then_branch=then, else_branch=other)


def captures():
    y = info("r", T.FLOAT, ["n", 4])
    then = branch("then", [h.make_node("MatMul", ["x", "w"], ["p"]), h.make_node("Relu", ["p"], ["r"])], [y])
    other = branch("else", [h.make_node("Mul", ["x", "k"], ["m"]), h.make_node("Add", ["m", "late"], ["r"])], [y])
    nodes = [h.make_node("Tanh", ["x"], ["late"]), choose("c", ["y"], then, other)]
    w = const("w", np.arange(16).reshape(4, 4) / 8, np.float32)
    return nodes, [info("c", T.BOOL, []), info("x", T.FLOAT, ["n", 4])], [info("y", T.FLOAT, ["n", 4])], \
        [w, const("k", [0.5, 1, 2, 4], np.float32)]


def results():
    outs = [info("a", T.FLOAT16, [3]), info("b", T.INT64, [1]), info("d", T.BOOL, [3])]
    zero = const("zero", 0, np.float16)
    then = branch("then", [h.make_node("Neg", ["x"], ["a"]), h.make_node("Shape", ["x"], ["b"]),
                           h.make_node("Greater", ["x", "zero"], ["d"])], outs, [zero])
    other = branch("else", [h.make_node("Identity", ["x"], ["a"]),
                            h.make_node("Constant", [], ["b"], value=const("", [-7], np.int64)),
                            h.make_node("Less", ["x", "zero"], ["d"])], outs, [zero])
    return [choose("c", ["p", "q", "r"], then, other)], [info("c", T.BOOL, [1]), info("x", T.FLOAT16, [3])], \
        [info("p", T.FLOAT16, [3]), info("q", T.INT64, [1]), info("r", T.BOOL, [3])], []


def nested():
    y = [info("r", T.FLOAT, [2, 3])]
    inner = choose("d", ["r"], branch("tt", [h.make_node("Add", ["own", "x"], ["r"])], y),
                   branch("te", [h.make_node("Identity", ["own"], ["r"])], y), "inner")
    then = branch("t", [h.make_node("Exp", ["x"], ["own"]), h.make_node("Not", ["c"], ["d"]), inner], y)
    other = branch("e", [choose("true", ["s"], branch("et", [h.make_node("Abs", ["x"], ["r"])], y),
                                branch("ee", [h.make_node("Neg", ["x"], ["r"])], y), "known"),
                         h.make_node("Sub", ["s", "x"], ["r"])], y)
    return [choose("c", ["y"], then, other)], [info("c", T.BOOL, []), info("x", T.FLOAT, [2, 3])], \
        [info("y", T.FLOAT, [2, 3])], [const("true", True, np.bool_)]


def shapes():
    y = [info("r", T.FLOAT, [3, 2])]
    then = branch("t", [h.make_node("Reshape", ["x", "s"], ["r"])], y)
    other = branch("e", [h.make_node("Transpose", ["x"], ["r"])], y)
    return [choose("c", ["y"], then, other)], [info("c", T.BOOL, []), info("x", T.FLOAT, [2, 3])], \
        [info("y", T.FLOAT, [3, 2])], [const("s", [3, -1], np.int64)]


def main():
    for make in (captures, results, nested, shapes):
        nodes, inputs, outputs, constants = make()
        graph = h.make_graph(nodes, make.__name__, inputs, outputs, constants)
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, os.path.join(sys.argv[1], f"if_{make.__name__}.onnx"))


if __name__ == "__main__":
    main()
