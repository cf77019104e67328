#!/usr/bin/env python3
"""Trains the sign network on rendered pictures and writes signs.onnx, labels.txt and train.log."""
import argparse
import collections
import hashlib
import multiprocessing
import os
import platform
import tempfile
import time
import warnings

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

import pictograms
import render

HERE = os.path.dirname(os.path.abspath(__file__))
TRAIN_SEED, HELD_OUT_SEED = 1, 2            # render.py's seeds; samples/ and check_ort.py use others


class ConvBnRelu(nn.Sequential):
    def __init__(self, cin, cout, kernel):
        super().__init__(collections.OrderedDict(
            conv=nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=False),
            bn=nn.BatchNorm2d(cout),
            relu=nn.ReLU()))


class Inception(nn.Module):
    """GoogLeNet's module; r3 and r5 are the widths of the 1x1 reductions."""

    def __init__(self, cin, c1, r3, c3, r5, c5, cp):
        super().__init__()
        self.b1 = ConvBnRelu(cin, c1, 1)
        self.b3_reduce, self.b3 = ConvBnRelu(cin, r3, 1), ConvBnRelu(r3, c3, 3)
        self.b5_reduce, self.b5 = ConvBnRelu(cin, r5, 1), ConvBnRelu(r5, c5, 5)
        self.pool, self.bp = nn.MaxPool2d(3, stride=1, padding=1), ConvBnRelu(cin, cp, 1)
        self.width = c1 + c3 + c5 + cp

    def forward(self, x):
        return torch.cat((self.b1(x), self.b3(self.b3_reduce(x)),
                          self.b5(self.b5_reduce(x)), self.bp(self.pool(x))), 1)


class SignNet(nn.Module):
    """Raw pixels 0..255 [n,3,48,48] -> class scores."""

    def __init__(self, classes, mean, scale):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1))
        self.stem1 = ConvBnRelu(3, 24, 3)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)           # 48 -> 24
        self.stem2 = ConvBnRelu(24, 48, 3)
        self.pool2 = nn.MaxPool2d(3, stride=2, padding=1)           # 24 -> 12
        self.inception1 = Inception(48, 24, 24, 32, 8, 16, 16)
        self.inception2 = Inception(self.inception1.width, 32, 32, 48, 8, 16, 24)
        self.pool3 = nn.MaxPool2d(3, stride=2, padding=1)           # 12 -> 6
        self.inception3 = Inception(self.inception2.width, 48, 40, 64, 12, 24, 24)
        self.inception4 = Inception(self.inception3.width, 64, 48, 80, 12, 32, 32)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.3)
        self.classifier = nn.Linear(self.inception4.width, classes)

    def forward(self, x):
        x = (x - self.mean) * self.scale
        x = self.pool2(self.stem2(self.pool1(self.stem1(x))))
        x = self.pool3(self.inception2(self.inception1(x)))
        x = self.average(self.inception4(self.inception3(x)))
        return self.classifier(self.dropout(torch.flatten(x, 1)))


class WithSoftmax(SignNet):
    def forward(self, x):
        return F.softmax(super().forward(x), 1)


# ---- data -------------------------------------------------------------------------------------

def pictures(count, seed, workers):
    """`count` rendered pictures, kept in the temporary folder for the next run."""
    version = hashlib.sha256()
    for module in (render, pictograms):
        with open(module.__file__, "rb") as f:
            version.update(f.read())
    path = os.path.join(tempfile.gettempdir(), f"signs-{version.hexdigest()[:12]}-{seed}-{count}.npy")
    if not os.path.exists(path):
        jobs = [(i, min(500, count - i), seed) for i in range(0, count, 500)]
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            images = np.concatenate([images for images, _ in pool.starmap(render.batch, jobs, chunksize=4)])
        np.save(path, images)
    return np.load(path), np.arange(count, dtype=np.int64) % len(render.CLASSES)


def tensor(images):
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)      # channels_last in memory
    return x.float()


def augment(x, rng):
    """Cheap variety on top of the renderer's own: a shift of the batch, each picture's light."""
    dy, dx = rng.integers(-3, 4, 2)
    x = F.pad(x, (3, 3, 3, 3), mode="replicate")[:, :, 3 + dy:51 + dy, 3 + dx:51 + dx]
    n = len(x)
    gain = torch.from_numpy(rng.uniform(.75, 1.2, (n, 1, 1, 1)).astype(np.float32))
    lift = torch.from_numpy(rng.uniform(-15, 15, (n, 1, 1, 1)).astype(np.float32))
    return (x * gain + lift).clamp(0, 255).contiguous(memory_format=torch.channels_last)


def evaluate(net, images, labels):
    net.eval()
    with torch.no_grad():
        guess = torch.cat([net(tensor(images[i:i + 256])).argmax(1) for i in range(0, len(images), 256)]).numpy()
    right = guess == labels
    per_class = np.array([right[labels == c].mean() for c in range(len(render.CLASSES))])
    return right.mean(), per_class, guess


# ---- export -----------------------------------------------------------------------------------

def export(net, path, opset=13):
    """BatchNormalization stays a node of its own: fusing it is the inference engine's job.

    The exporter folds it into the convolution unless told to preserve the (evaluation) mode."""
    final = WithSoftmax(len(render.CLASSES), [0.0] * 3, [1.0] * 3)
    final.load_state_dict(net.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(final.eval(), torch.zeros(2, 3, 48, 48), path, dynamo=False, opset_version=opset,
                          training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
                          input_names=["image"], output_names=["prob"],
                          dynamic_axes={"image": {0: "n"}, "prob": {0: "n"}})
    model = onnx.load(path)
    model.graph.name = "signs"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    ops = collections.Counter(node.op_type for node in model.graph.node)
    convs, norms = ops["Conv"], [n for n in model.graph.node if n.op_type == "BatchNormalization"]
    assert len(norms) == convs and all(len(n.output) == 1 for n in norms)
    assert not set(ops) & {"Dropout", "Identity", "Constant"}, ops
    assert all(t.HasField("raw_data") for t in model.graph.initializer)
    return ops


def main():
    ap = argparse.ArgumentParser(description="Train the sign network.")
    ap.add_argument("--epochs", type=int, default=14)
    ap.add_argument("--train", type=int, default=44000, help="pictures to train on")
    ap.add_argument("--held-out", type=int, default=8800, help="pictures to measure on")
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--rate", type=float, default=4e-3)
    ap.add_argument("--seed", type=int, default=1, help="initial weights, order and augmentation")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--out", default=HERE, help="folder for signs.onnx, labels.txt, train.log")
    args = ap.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    labels = [s.label for s in render.CLASSES]
    logfile = open(os.path.join(args.out, "train.log"), "w")

    def log(line):
        print(line, flush=True)
        print(line, file=logfile, flush=True)

    log(f"python {platform.python_version()}, torch {torch.__version__}, onnx {onnx.__version__}, "
        f"numpy {np.__version__}, pillow {render.Image.__version__}")
    log(f"seed {args.seed}, render seeds: training {TRAIN_SEED}, held out {HELD_OUT_SEED}")
    start = time.time()
    x_train, y_train = pictures(args.train, TRAIN_SEED, args.threads)
    x_test, y_test = pictures(args.held_out, HELD_OUT_SEED, args.threads)
    log(f"{len(labels)} classes, {len(x_train)} training and {len(x_test)} held-out pictures "
        f"({time.time() - start:.0f} s)")

    mean = x_train[:5000].mean((0, 1, 2), dtype=np.float64)
    std = x_train[:5000].std((0, 1, 2), dtype=np.float64)
    net = SignNet(len(labels), mean.round(1).astype(np.float32), (1 / std).round(5).astype(np.float32))
    net = net.to(memory_format=torch.channels_last)
    log(f"{sum(p.numel() for p in net.parameters())} parameters, "
        f"mean {net.mean.numpy().ravel()}, scale {net.scale.numpy().ravel()}")

    decay = [p for p in net.parameters() if p.dim() > 1]
    plain = [p for p in net.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}])
    batches = len(x_train) // args.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.rate, args.epochs * batches, pct_start=.2)
    for epoch in range(1, args.epochs + 1):
        net.train()
        order, total = rng.permutation(len(x_train)), 0.0
        for b in range(batches):
            pick = order[b * args.batch:(b + 1) * args.batch]
            scores = net(augment(tensor(x_train[pick]), rng))
            loss = F.cross_entropy(scores, torch.from_numpy(y_train[pick]), label_smoothing=.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        accuracy, per_class, guess = evaluate(net, x_test, y_test)
        worst = int(per_class.argmin())
        log(f"epoch {epoch:2d}  loss {total / batches:.4f}  held-out accuracy {accuracy:.4%}  "
            f"worst class {labels[worst]} {per_class[worst]:.2%}  {time.time() - start:.0f} s")

    log("held-out accuracy per class:")
    for c in per_class.argsort(kind="stable"):
        wrong = collections.Counter(labels[g] for g in guess[y_test == c] if g != c).most_common(3)
        log(f"  {labels[c]:20s} {per_class[c]:.2%}  {', '.join(f'{n}x {w}' for w, n in wrong)}")

    path = os.path.join(args.out, "signs.onnx")
    ops = export(net, path)
    with open(os.path.join(args.out, "labels.txt"), "w") as f:
        f.writelines(label + "\n" for label in labels)
    log(f"signs.onnx: {os.path.getsize(path)} bytes, {sum(ops.values())} nodes: "
        + ", ".join(f"{n} {op}" for op, n in sorted(ops.items())))
    log(f"final: held-out accuracy {accuracy:.4%}, worst class {labels[per_class.argmin()]} {per_class.min():.2%}")


if __name__ == "__main__":
    main()
