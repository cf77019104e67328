#!/usr/bin/env python3
"""Runs signs.onnx with ONNX Runtime on samples/ and on freshly rendered pictures.

Exits with 1 unless every sample is right and at least 98 % of the fresh pictures are.
"""
import argparse
import os
import sys

import numpy as np
import onnxruntime
from PIL import Image

import render

HERE = os.path.dirname(os.path.abspath(__file__))
FLOOR = 0.98


def main():
    ap = argparse.ArgumentParser(description="Check signs.onnx with ONNX Runtime.")
    ap.add_argument("--count", type=int, default=4400, help="pictures to render")
    ap.add_argument("--seed", type=int, default=4, help="1 is the training set, 2 the held-out set of train.py")
    ap.add_argument("--threads", type=int, default=1)
    args = ap.parse_args()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(os.path.join(HERE, "signs.onnx"), options, ["CPUExecutionProvider"])
    with open(os.path.join(HERE, "labels.txt")) as f:
        labels = f.read().split()
    assert labels == [sign.label for sign in render.CLASSES], "labels.txt and render.py disagree"

    def classify(images):                   # uint8 [n,48,48,3] -> probabilities [n,classes]
        x = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        return session.run(["prob"], {"image": x})[0]

    samples = os.path.join(HERE, "samples")
    with open(os.path.join(samples, "expected.txt")) as f:
        expected = [line.split() for line in f]
    right = 0
    for name, label in expected:
        picture = Image.open(os.path.join(samples, name)).convert("RGB").resize((48, 48), Image.Resampling.BILINEAR)
        prob = classify(np.asarray(picture)[None])[0]
        guess = labels[prob.argmax()]
        right += guess == label
        print(f"{name:28s} {guess:20s} {prob.max():.4f}  {'ok' if guess == label else 'WRONG, expected ' + label}")
    print(f"samples: {right} of {len(expected)}")

    hits = 0
    for first in range(0, args.count, 200):
        images, truth = render.batch(first, min(200, args.count - first), args.seed)
        hits += int((classify(images).argmax(1) == truth).sum())
    accuracy = hits / args.count
    print(f"fresh pictures (seed {args.seed}): {hits} of {args.count}, {accuracy:.2%}")
    return 0 if right == len(expected) and accuracy >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
