#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the distinct 1x1 convolutions and fully connected layers of some networks as lines for `products`.

usage: networks.py DTYPE BATCH [conv|fc|all] [EPILOGUE]"""
import sys

CONV = {  # network: (input channels, side, results, has an addend)
    "googlenet": [(64, 56, 64)] + [(192, 28, k) for k in (64, 96, 16, 32, 176)]
    + [(256, 28, k) for k in (128, 32, 64, 288)] + [(480, 14, k) for k in (192, 96, 16, 64, 304)]
    + [(512, 14, k) for k in (160, 112, 24, 64, 128, 144, 32, 296, 280, 288)]
    + [(528, 14, k) for k in (256, 160, 32, 128, 448)] + [(832, 7, k) for k in (256, 160, 32, 128, 448)]
    + [(832, 7, k) for k in (384, 192, 48, 624)],
    "resnet50": [(64, 56, 64), (64, 56, 256, 1), (256, 56, 64), (256, 56, 128), (128, 28, 512, 1), (512, 28, 128),
                 (512, 28, 256), (256, 14, 1024, 1), (1024, 14, 256), (1024, 14, 512), (512, 7, 2048, 1),
                 (2048, 7, 512)],
    "squeezenet": [(64, 55, 16), (16, 55, 64), (128, 55, 16), (128, 27, 32), (32, 27, 128), (256, 27, 32),
                   (256, 13, 48), (48, 13, 192), (384, 13, 48), (384, 13, 64), (64, 13, 256), (512, 13, 64),
                   (512, 13, 1000)],
    "mobilenet_v2": [(32, 112, 16), (16, 112, 96), (96, 56, 24), (24, 56, 144), (144, 56, 24, 1), (144, 28, 32),
                     (32, 28, 192), (192, 28, 32, 1), (192, 14, 64), (64, 14, 384), (384, 14, 64, 1), (384, 14, 96),
                     (96, 14, 576), (576, 14, 96, 1), (576, 7, 160), (160, 7, 960), (960, 7, 160, 1), (960, 7, 320),
                     (320, 7, 1280)],
}
FC = {"vgg19.fc6": (25088, 4096), "vgg19.fc7": (4096, 4096), "vgg19.fc8": (4096, 1000), "googlenet.fc": (1024, 1000),
      "resnet50.fc": (2048, 1000), "mobilenet_v2.fc": (1280, 1000), "excite.down": (960, 40), "excite.up": (40, 960)}

dtype, batch = sys.argv[1], int(sys.argv[2])
what = sys.argv[3] if len(sys.argv) > 3 else "all"
for network, layers in CONV.items() if what != "fc" else ():
    for layer in layers:
        c, h, k, addend = (*layer, 0)[:4]
        epilogue = int(sys.argv[4]) if len(sys.argv) > 4 else 2 if addend else 1
        print(f"{network}.{c}x{h}x{h}.{k} {dtype} {epilogue} conv {batch} {c} {h} {k}")
for name, (c, k) in FC.items() if what != "conv" else ():
    print(f"{name} {dtype} 1 fc {batch} {c} 1 {k}")
