#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what OpenCV's dnn module computes for small networks of detection layers.

    apt install python3-opencv
    python3 tests/detection/record_opencv.py tests/detection/records

A record is the network (prototxt, or a Darknet configuration for what Caffe does not have), what it is fed with, and all
that comes out. Inputs are numbers of SplitMix64, or listed.
"""
import pathlib
import sys
import tempfile

import cv2
import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniform(seed, count):
    """Numbers in [0, 1): the upper 24 bits of SplitMix64."""
    z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) / (1 << 24)


def head(**inputs):
    return "".join(f'input: "{name}" input_shape {{ {" ".join(f"dim: {d}" for d in dims)} }}\n'
                   for name, dims in inputs.items())


def layer(kind, bottoms, params="", top="y"):
    return (f'layer {{ name: "{top}" type: "{kind}" ' + " ".join(f'bottom: "{b}"' for b in bottoms) +
            f' top: "{top}" {params} }}\n')


def prior(params):
    return (head(x=(1, 2, 3, 4), image=(1, 3, 60, 80)) +
            layer("PriorBox", ("x", "image"), "prior_box_param { " + params + " }"))


def detection(classes, sets, params, priors=24, images=1):
    return (head(loc=(images, priors * sets * 4), conf=(images, priors * classes), x=(1, 2, 2, 3), image=(1, 3, 60, 80)) +
            layer("PriorBox", ("x", "image"), "prior_box_param { min_size: 20 max_size: 30 aspect_ratio: 2 clip: false "
                  "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }", "priors") +
            layer("DetectionOutput", ("loc", "conf", "priors"),
                  f"detection_output_param {{ num_classes: {classes} {params} }}"))


X = {"x": (1, 1, 0), "image": (2, 1, 0)}
D = {"loc": (3, 3, -1.5), "conf": (4, 1, 0), **X}
ROIS = [0, 0, 0, 50, 60, 0, 10, 5, 30, 20, 0, 33, 40, 70, 90, 0, 5, 5, 5, 5, 0, 60, 10, 20, 40]

# name -> (network, {input: (seed, scale, offset) or list of values}, output)
CASES = {
    "prior_box": (prior("min_size: 10 min_size: 20 max_size: 15 max_size: 40 aspect_ratio: 2 aspect_ratio: 3 "
                        "flip: true clip: false variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"), X, "y"),
    "prior_box_clip": (prior("min_size: 30 aspect_ratio: 2 flip: false clip: true variance: 0.3 step: 16 offset: 0.25"),
                       X, "y"),
    "detection_shared": (detection(3, 1, "share_location: true background_label_id: 0 nms_param { nms_threshold: 0.4 top_k: 12 } code_type: CENTER_SIZE keep_top_k: 9 "
                                   "confidence_threshold: 0.3"), D, "y"),
    "detection_sets": (detection(3, 3, "share_location: false background_label_id: -1 nms_param { nms_threshold: 0.3 } "
                                 "code_type: CORNER keep_top_k: 20 confidence_threshold: 0.6"), D, "y"),
    "detection_batch": (detection(4, 1, "share_location: true background_label_id: 2 nms_param { nms_threshold: 0.7 top_k: 10 } code_type: CENTER_SIZE "
                                  "keep_top_k: 15 confidence_threshold: 0.2", images=2),
                        D, "y"),
    "roi_pooling": (head(x=(1, 3, 12, 10), rois=(5, 5)) +
                    layer("ROIPooling", ("x", "rois"), "roi_pooling_param { pooled_w: 3 pooled_h: 2 spatial_scale: 0.125 }"),
                    {"x": (5, 2, -1), "rois": ROIS}, "y"),
    "psroi_pooling": (head(x=(1, 18, 12, 10), rois=(5, 5)) +
                      layer("PSROIPooling", ("x", "rois"), "psroi_pooling_param { output_dim: 2 group_size: 3 "
                            "spatial_scale: 0.125 }"), {"x": (6, 2, -1), "rois": ROIS}, "y"),
    "proposal": (head(scores=(1, 18, 6, 7), deltas=(1, 36, 6, 7), info=(1, 3)) +
                 layer("Proposal", ("scores", "deltas", "info"), "proposal_param { feat_stride: 16 base_size: 16 min_size: 1 "
                       "ratio: 0.5 ratio: 1 ratio: 2 scale: 1 scale: 2 scale: 4 pre_nms_topn: 60 post_nms_topn: 12 "
                       "nms_thresh: 0.5 }"),
                 {"scores": (7, 1, 0), "deltas": (8, 0.4, -0.2), "info": [96, 112, 1]}, "y"),
    "normalize": (head(x=(1, 4, 3, 5)) + layer("Normalize", ("x",), "norm_param { across_spatial: false channel_shared: true }"),
                  {"x": (10, 2, -1)}, "y"),
    "normalize_all": (head(x=(1, 4, 3, 5)) + layer("Normalize", ("x",), "norm_param { across_spatial: true channel_shared: true }"),
                      {"x": (10, 2, -1)}, "y"),
    "permute": (head(x=(1, 4, 3, 5)) + layer("Permute", ("x",), "permute_param { order: 0 order: 3 order: 1 order: 2 }"),
                {"x": (10, 2, -1)}, "y"),
    "yolo": ("[net]\nwidth=64\nheight=48\nchannels=14\n[yolo]\nmask=0,1\nanchors=10,13,30,20\nclasses=2\nnum=2\n"
             "scale_x_y=1.1\nthresh=0\nnms_threshold=0\n", {"data": (11, 6, -3)}, None),
}
# What a Darknet configuration is here.
YOLO = """graph "yolo" {
  input %data : f32[1,14,48,64]
  %boxes : f32[1,6144,4], %scores : f32[1,2,6144] = detection::YoloDecode(%data) {anchors=[10.0,13.0,30.0,20.0], classes=2, image=[48,64], scale_xy=1.1}
  output %boxes
  output %scores
}
"""


def feed(what, dims):
    count = int(np.prod(dims))
    if isinstance(what, list):
        return np.array(what, np.float32).reshape(dims), "values " + " ".join(map(str, what))
    seed, scale, offset = what
    values = (uniform(seed, count) * scale + offset).astype(np.float32).reshape(dims)
    return values, f"seed {seed} scale {scale} offset {offset}"


def output_lines(name, value):
    return [f"output {name} {'x'.join(map(str, value.shape))}"] + [f"{v:.9g}" for v in value.astype(np.float64).ravel()]


def dims_of(text, name):
    if text.startswith("[net]"):
        return (1, 14, 48, 64)
    part = text.split(f'input: "{name}"')[1].split("}")[0]
    return tuple(int(d) for d in part.split("dim:")[1:] for d in [d.strip()])


def record(name, out_dir):
    text, inputs, output = CASES[name]
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp, "net")
        path.write_text(text)
        net = cv2.dnn.readNetFromCaffe(str(path)) if output else cv2.dnn.readNetFromDarknet(str(path))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    shown = text if output else YOLO
    lines = [f"# OpenCV {cv2.__version__}; made by record_opencv.py", f"net {shown.count(chr(10))}", *shown.splitlines()]
    for input_name, what in inputs.items():
        values, how = feed(what, dims_of(text, input_name))
        net.setInput(values, input_name)
        lines.append(f"input {input_name} {'x'.join(map(str, values.shape))} {how}")
    value = net.forward(output) if output else net.forward()
    if output:
        lines += output_lines(output, value)
    else:  # rows (cx, cy, w, h, objectness, classes): every 97th
        rows = value.reshape(-1, 7)[::97]
        lines += ["rows 97"] + output_lines("boxes", rows[:, :4]) + output_lines("scores", rows[:, 5:])
    (out_dir / f"{name}.txt").write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(lines)} lines, {value.shape}")


def main():
    out_dir = pathlib.Path(sys.argv[1])
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        record(name, out_dir)


if __name__ == "__main__":
    main()
