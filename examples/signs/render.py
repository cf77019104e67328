#!/usr/bin/env python3
"""Draws traffic signs as a camera might see them; every image follows from (seed, index).

    render.py --out DIR --count N --seed S      N pictures and DIR/expected.txt
    render.py --sheet FILE.png                  one clean and three rendered pictures per class

The signs are drawn from the tables here and in pictograms.py: no photographs, no data set.
"""
import argparse
import functools
import math
import os
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pictograms import BLACK, BLUE, GREY, PICTOGRAMS, RED, WHITE, YELLOW


class Sign(NamedTuple):
    label: str
    shape: str
    layers: tuple       # (colour, inset) from the outside in
    ink: tuple
    pictogram: str


LIMIT = ("circle", ((RED, 0), (WHITE, .2)), BLACK)
WARN = ("triangle", ((RED, 0), (WHITE, .15)), BLACK)
ORDER = ("circle", ((WHITE, 0), (BLUE, .05)), WHITE)
INFO = ("square", ((WHITE, 0), (BLUE, .06)), WHITE)
NO_HALT = ("circle", ((RED, 0), (BLUE, .19)), RED)

CLASSES = [Sign(label, *kind, pictogram) for label, kind, pictogram in (
    ("limit-20", LIMIT, "20"),
    ("limit-30", LIMIT, "30"),
    ("limit-50", LIMIT, "50"),
    ("limit-60", LIMIT, "60"),
    ("limit-70", LIMIT, "70"),
    ("limit-80", LIMIT, "80"),
    ("limit-100", LIMIT, "100"),
    ("limit-120", LIMIT, "120"),
    ("no-entry", ("circle", ((WHITE, 0), (RED, .04)), WHITE), "bar"),
    ("no-vehicles", LIMIT, "none"),
    ("no-overtaking", LIMIT, "overtake"),
    ("no-trucks", LIMIT, "truck"),
    ("no-left-turn", LIMIT, "no-left"),
    ("no-right-turn", LIMIT, "no-right"),
    ("end-of-limits", ("circle", ((GREY, 0), (WHITE, .05)), BLACK), "stripes"),
    ("stop", ("octagon", ((WHITE, 0), (RED, .06)), WHITE), "stop"),
    ("give-way", ("triangle-down", ((RED, 0), (WHITE, .19)), BLACK), "none"),
    ("priority-road", ("diamond", ((BLACK, 0), (WHITE, .03), (YELLOW, .22)), BLACK), "none"),
    ("danger", WARN, "bang"),
    ("bend-left", WARN, "bend-left"),
    ("bend-right", WARN, "bend-right"),
    ("bumpy-road", WARN, "bumps"),
    ("slippery-road", WARN, "slippery"),
    ("road-narrows", WARN, "narrows"),
    ("road-works", WARN, "digger"),
    ("traffic-lights", WARN, "lights"),
    ("pedestrians", WARN, "walker"),
    ("bicycles", WARN, "bicycle"),
    ("snow", WARN, "snow"),
    ("wild-animals", WARN, "deer"),
    ("level-crossing", WARN, "train"),
    ("crossroads", WARN, "cross"),
    ("ahead-only", ORDER, "up"),
    ("right-only", ORDER, "right"),
    ("left-only", ORDER, "left"),
    ("keep-right", ORDER, "keep-right"),
    ("keep-left", ORDER, "keep-left"),
    ("roundabout", ORDER, "roundabout"),
    ("parking", INFO, "parking"),
    ("hospital", INFO, "hospital"),
    ("pedestrian-crossing", INFO, "zebra"),
    ("dead-end", INFO, "dead-end"),
    ("no-parking", NO_HALT, "no-parking"),
    ("no-stopping", NO_HALT, "no-stopping"),
)]

# Regular polygons: corners, angle of the first one, circumradius, centre's y, corner rounding,
# and the scale that a pictogram gets inside.
SHAPES = {
    "circle": (72, 0, .96, 0, 0, 1.0),
    "triangle": (3, -90, 1.22, .27, .12, .44),
    "triangle-down": (3, 90, 1.22, -.27, .12, .42),
    "octagon": (8, 22.5, 1.02, 0, .03, 1.0),
    "diamond": (4, 0, 1.06, 0, .1, 1.0),
    "square": (4, 45, 1.28, 0, .12, .92),
}
MARGIN = 1.06       # the template's edge, so that the outline's soft edge is inside the template


# ---- the clean sign ---------------------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def draw_sign(index, size):
    """The sign as RGBA, size x size, drawn three times as large and reduced."""
    big = size * 3
    image = Image.new("RGBA", (big, big))
    draw = ImageDraw.Draw(image)
    unit = big / 2 / MARGIN

    def stroke(points, width, fill):
        draw.line(points, fill=fill, width=max(1, round(width)))
        r = (round(width) - 1) / 2          # an ellipse's box includes its last pixel
        for x, y in points:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    sign = CLASSES[index]
    corners, first, radius, cy, rounding, scale = SHAPES[sign.shape]
    for colour, inset in sign.layers:
        # Insetting by d moves each corner of a regular polygon by d / cos(pi / n); a rounded
        # corner is a smaller polygon with a thick round-jointed outline.
        r = max(rounding - inset * .5, .02) if rounding else 0
        reach = radius - (inset + r) / math.cos(math.pi / corners)
        angles = [math.radians(first + 360 * i / corners) for i in range(corners)]
        ring = [(big / 2 + unit * reach * math.cos(a), big / 2 + unit * (cy + reach * math.sin(a))) for a in angles]
        draw.polygon(ring, fill=colour)
        if r:
            stroke(ring + ring[:1], 2 * r * unit, colour)

    def place(xy):
        return [(big / 2 + unit * scale * x, big / 2 + unit * (cy + scale * y)) for x, y in zip(xy[::2], xy[1::2])]

    for kind, colour, xy, *rest in PICTOGRAMS[sign.pictogram]:
        fill, points = colour or sign.ink, place(xy)
        if kind == "poly":
            draw.polygon(points, fill=fill)
        elif kind == "line":
            stroke(points, rest[0] * scale * unit, fill)
        elif kind == "disc":
            (x, y), r = points[0], rest[0] * scale * unit
            draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        else:
            string, width, height = rest
            font = ImageFont.load_default(big / 3)
            bold = round(big / 100)
            mask = Image.new("L", (big * 2, big))
            ImageDraw.Draw(mask).text((big // 4, big // 4), string, 255, font, stroke_width=bold)
            mask = mask.crop(mask.getbbox()).resize((round(width * scale * unit), round(height * scale * unit)))
            x, y = points[0]
            image.paste(fill, (round(x - mask.width / 2), round(y - mask.height / 2)), mask)
    return image.resize((size, size), Image.Resampling.LANCZOS)


# ---- the scene --------------------------------------------------------------------------------

GROUNDS = np.array([(150, 185, 225), (205, 212, 220), (70, 100, 50), (110, 135, 75), (115, 112, 108),
                    (150, 125, 100), (60, 62, 66), (170, 95, 75)], np.float32)


def background(rng, size):
    top, bottom = GROUNDS[rng.integers(len(GROUNDS), size=2)]
    t = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    cut = rng.uniform(.2, 1.1)
    t = np.clip((t - cut) * rng.uniform(1, 20) + .5, 0, 1)
    out = top * (1 - t) + bottom * t + np.zeros((size, size, 3), np.float32)
    for cells in (4, 9, 22):       # cloud, foliage, gravel
        grid = rng.normal(0, rng.uniform(0, 26), (cells, cells)).astype(np.float32)
        out += np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC))[:, :, None]
    image = Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(0, 5)):     # houses, windows, kerbs, other plates
        x, y, w, h = rng.uniform((-.3, -.3, .05, .05), (1, 1, .6, .6)) * size
        colour = tuple(int(v) for v in rng.integers(20, 240, 3) * .5 + GROUNDS[rng.integers(len(GROUNDS))] * .5)
        draw.rectangle((x, y, x + w, y + h), fill=colour)
    return image.filter(ImageFilter.GaussianBlur(size / 96 * rng.uniform(.3, 2)))


def perspective(quad, size):
    """Coefficients that map output pixels inside `quad` to a template of size x size."""
    rows, rhs = [], []
    for (x, y), (u, v) in zip(quad, ((0, 0), (size, 0), (size, size), (0, size))):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        rhs += [u, v]
    return np.linalg.solve(np.array(rows, float), np.array(rhs, float))


def render(index, size, rng, hard=1.0):
    """One picture of class `index`: uint8, size x size x 3. `hard` scales every disturbance."""
    s2 = size * 2                                   # everything geometric happens at twice the size
    scene = background(rng, s2)

    half = s2 / 2 * rng.uniform(1.0 - .32 * hard, 1.0) * MARGIN * .96
    roll = math.radians(rng.normal(0, 5) * hard)
    squeeze = rng.uniform(1 - .28 * hard, 1)        # seen from the side
    centre = s2 / 2 + rng.uniform(-.07, .07, 2) * hard * s2
    quad = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float) * (squeeze, 1)
    quad = quad @ np.array([(math.cos(roll), math.sin(roll)), (-math.sin(roll), math.cos(roll))])
    quad = centre + half * (quad + rng.uniform(-.09, .09, (4, 2)) * hard)

    if rng.random() < .7:                           # the post
        w = s2 * rng.uniform(.02, .05)
        tone = int(rng.integers(70, 180))
        ImageDraw.Draw(scene).rectangle((centre[0] - w, centre[1], centre[0] + w, s2), fill=(tone, tone, tone + 4))
    plate = draw_sign(index, s2).transform((s2, s2), Image.Transform.PERSPECTIVE, perspective(quad, s2),
                                           Image.Resampling.BICUBIC)
    scene.paste(plate, (0, 0), plate)

    if rng.random() < .2 * hard:                    # a leaf or a splash of mud on the sign
        a, d = rng.uniform(0, 2 * math.pi), rng.uniform(.45, .95) * half
        x, y = centre[0] + d * math.cos(a), centre[1] + d * math.sin(a)
        rx, ry = rng.uniform(.06, .2, 2) * half
        ground = tuple(int(v) for v in GROUNDS[rng.integers(2, len(GROUNDS))])
        ImageDraw.Draw(scene).ellipse((x - rx, y - ry, x + rx, y + ry), fill=ground)

    scene = scene.filter(ImageFilter.GaussianBlur(s2 / 96 * hard * rng.uniform(0, 2.0)))
    img = np.asarray(scene, np.float32)
    if rng.random() < .3 * hard:                    # camera shake
        a, length = rng.uniform(0, math.pi), rng.uniform(.01, .055) * hard * s2
        steps = np.linspace(-.5, .5, max(3, int(length)))
        img = sum(np.roll(img, (round(length * t * math.sin(a)), round(length * t * math.cos(a))), (0, 1))
                  for t in steps) / len(steps)
    img = img.reshape(size, 2, size, 2, 3).mean((1, 3))

    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32) / size - .5
    if rng.random() < .35:                          # a shadow across the picture
        a = rng.uniform(0, 2 * math.pi)
        edge = np.clip((xx * math.cos(a) + yy * math.sin(a) + rng.uniform(-.3, .3)) * rng.uniform(3, 40) + .5, 0, 1)
        img *= (1 - edge * rng.uniform(.15, .15 + .5 * hard))[:, :, None]
    a = rng.uniform(0, 2 * math.pi)                 # uneven light, colour of the light, exposure
    img *= (1 + rng.uniform(0, .35) * hard * (xx * math.cos(a) + yy * math.sin(a)))[:, :, None]
    img *= 1 + rng.normal(0, .06, 3).astype(np.float32) * hard
    img *= math.exp(rng.uniform(-.95 * hard, .22))
    img += rng.uniform(0, 70) * hard * rng.random()                      # haze
    img += rng.normal(0, rng.uniform(1, 11) * hard + .5, img.shape).astype(np.float32)
    return np.clip(img + .5, 0, 255).astype(np.uint8)


def picture_rng(seed, number):
    return np.random.Generator(np.random.PCG64([seed, number]))


def batch(first, count, seed, size=48, hard=1.0):
    """Pictures first .. first+count-1 of a seed, the classes taking turns."""
    images = np.empty((count, size, size, 3), np.uint8)
    labels = (np.arange(first, first + count) % len(CLASSES)).astype(np.int64)
    for i in range(count):
        images[i] = render(labels[i], size, picture_rng(seed, first + i), hard)
    return images, labels


def sheet(path, seed, cell=96, columns=4):
    rows = -(-len(CLASSES) // columns)
    page = Image.new("RGB", (columns * 4 * (cell + 4) + 4, rows * (cell + 18) + 4), (200, 204, 208))
    draw = ImageDraw.Draw(page)
    for i, sign in enumerate(CLASSES):
        x, y = 4 + i % columns * 4 * (cell + 4), 4 + i // columns * (cell + 18)
        clean = draw_sign(i, cell)
        page.paste(clean, (x, y), clean)
        for k in range(3):
            small = Image.fromarray(render(i, 48, picture_rng(seed, i * 3 + k)))
            page.paste(small.resize((cell, cell), Image.Resampling.BICUBIC), (x + (k + 1) * (cell + 2), y))
        draw.text((x, y + cell), f"{i} {sign.label}", (0, 0, 0), ImageFont.load_default(13))
    page.save(path)


def main():
    ap = argparse.ArgumentParser(description="Render traffic signs.")
    ap.add_argument("--out", help="folder for the pictures and expected.txt")
    ap.add_argument("--count", type=int, default=len(CLASSES))
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--size", type=int, default=48)
    ap.add_argument("--hard", type=float, default=1.0, help="0: clean .. 1: as in training")
    ap.add_argument("--only", help="labels to draw from, separated by commas (default: all)")
    ap.add_argument("--sheet", help="write a contact sheet of every class")
    args = ap.parse_args()
    if args.sheet:
        sheet(args.sheet, args.seed)
    if args.out:
        names = [s.label for s in CLASSES]
        chosen = [names.index(n) for n in args.only.split(",")] if args.only else range(len(names))
        os.makedirs(args.out, exist_ok=True)
        with open(os.path.join(args.out, "expected.txt"), "w") as listing:
            for i in range(args.count):
                k = chosen[i % len(chosen)]
                name = f"{i + 1:0{len(str(args.count))}d}-{names[k]}.png"
                picture = render(k, args.size, picture_rng(args.seed, i), args.hard)
                Image.fromarray(picture).save(os.path.join(args.out, name))
                listing.write(f"{name} {names[k]}\n")


if __name__ == "__main__":
    main()
