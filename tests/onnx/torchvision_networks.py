#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""torchvision's classifiers as torch exports them, with seeded random weights.

    torchvision_networks.py [--dynamo] FOLDER [NAME]...     writes FOLDER/NAME.onnx

--dynamo takes the exporter that torch.export is behind, which optimizes, else it is the one that traces, told not to. The batch is symbolic. For
check_export.py; neither is run by `make check`. Needs the Python packages torch, torchvision, onnx, onnxscript.
"""
import os
import sys
import warnings

import torch
import torchvision.models as models

NETWORKS = {"googlenet": dict(init_weights=False, aux_logits=False), "inception_v3": dict(init_weights=False, aux_logits=False),
            "resnet50": {}, "mobilenet_v3_large": {}, "densenet121": {}, "shufflenet_v2_x1_0": {},
            "efficientnet_b0": {}, "vit_b_16": {}}


def make(name):
    """The network for inference; its normalizations have statistics that do something."""
    torch.manual_seed(1)
    torch.backends.mha.set_fastpath_enabled(False)  # which has no operators to export
    net = getattr(models, name)(weights=None, **NETWORKS[name])
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(m.weight, 0.9, 1.1)
            torch.nn.init.uniform_(m.bias, -0.1, 0.1)
            torch.nn.init.uniform_(m.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(m.running_var, 0.9, 1.1)
    for m in (m for m in net.modules() if isinstance(m, torch.nn.Linear)):
        torch.nn.init.normal_(m.weight, 0, 0.02)  # a head of zeros would agree with anything
    return net.eval()


def export(name, path, dynamo):
    size = 299 if name == "inception_v3" else 224
    x = torch.randn(2, 3, size, size)
    common = dict(input_names=["image"], output_names=["scores"], dynamo=dynamo)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            torch.onnx.export(make(name), (x,), path, opset_version=18, external_data=False, verbose=False,
                              dynamic_shapes=({0: torch.export.Dim("n", min=1)},), **common)
        else:
            torch.onnx.export(make(name), (x,), path, opset_version=17, do_constant_folding=False,
                              training=torch.onnx.TrainingMode.PRESERVE,  # leaves normalization to the optimizer
                              dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}}, **common)


def main():
    args = [a for a in sys.argv[1:] if a != "--dynamo"]
    if not args:
        sys.exit(__doc__)
    os.makedirs(args[0], exist_ok=True)
    for name in args[1:] or NETWORKS:
        export(name, os.path.join(args[0], name + ".onnx"), "--dynamo" in sys.argv)
        print(name, flush=True)


main()
