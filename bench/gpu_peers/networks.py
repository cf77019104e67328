# SPDX-License-Identifier: Apache-2.0
"""torchvision's networks with seeded random weights, as torch modules and as ONNX files.

    python3 networks.py FOLDER [NAME]...     writes FOLDER/NAME.onnx

Random weights let activations grow or vanish with depth; so batch normalization takes its statistics from one batch of
noise, after which every layer's values are about 1 and half precision can hold them. The batch is the symbol "n"; a
model takes "data" [n,3,S,S] and ends in 1000 "scores".
"""
import os
import sys
import warnings

import torch
import torchvision

NETWORKS = ("googlenet", "resnet50", "vgg19", "squeezenet1_1", "mobilenet_v2", "inception_v3")


def side(name):
    return 299 if name == "inception_v3" else 224


def make(name, seed=0):
    """The network in evaluation mode on the CPU; the same numbers for the same seed and torch."""
    torch.manual_seed(seed)
    options = {"weights": None}
    if name in ("googlenet", "inception_v3"):
        options.update(aux_logits=False, transform_input=False, init_weights=False)
    net = getattr(torchvision.models, name)(**options)
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if norms:
        for m in norms:
            m.momentum = 1.0
        net.train().to(device)
        for m in net.modules():
            if isinstance(m, torch.nn.Dropout):
                m.eval()
        # strict and repeatable, whatever the caller has set: an exporting process must get what a comparing one gets
        strict = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.no_grad(), strict:
            net(torch.randn(16, 3, side(name), side(name), generator=torch.Generator().manual_seed(seed)).to(device))
    return net.eval().cpu()


def write(folder, name):
    """FOLDER/NAME.onnx, written if it is not there; its path."""
    path = os.path.join(folder, name + ".onnx")
    if os.path.exists(path):
        return path
    os.makedirs(folder, exist_ok=True)
    data = torch.zeros(2, 3, side(name), side(name))
    common = {"input_names": ["data"], "output_names": ["scores"], "opset_version": 17}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            make(name), (data,), path + ".tmp", dynamo=False, dynamic_axes={"data": {0: "n"}, "scores": {0: "n"}}, **common
        )
    os.replace(path + ".tmp", path)
    return path


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for name in sys.argv[2:] or NETWORKS:
        print(write(sys.argv[1], name))


if __name__ == "__main__":
    main()
