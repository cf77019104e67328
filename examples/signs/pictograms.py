"""The pictograms of the signs as vector shapes.

Coordinates are those of a square from -1 to 1, x to the right, y down; a shape without a
colour takes the sign's ink.
"""
import math

BLACK, WHITE, GREY = (24, 24, 26), (240, 241, 240), (128, 131, 134)
RED, BLUE, YELLOW, GREEN = (198, 22, 32), (16, 82, 170), (246, 190, 20), (20, 150, 70)

# ---- primitives: each returns a tuple that render.draw_sign() understands ---------------------


def poly(*xy, c=None):
    return ("poly", c, xy)


def line(width, *xy, c=None):                      # round caps and joints
    return ("line", c, xy, width)


def disc(x, y, r, c=None):
    return ("disc", c, (x, y), r)


def arc(width, x, y, r, start, end, c=None):       # degrees, clockwise from three o'clock
    steps = max(2, int(abs(end - start) / 6))
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return line(width, *[v for a in angles for v in (x + r * math.cos(a), y + r * math.sin(a))], c=c)


def box(x0, y0, x1, y1, c=None):
    return poly(x0, y0, x1, y0, x1, y1, x0, y1, c=c)


def text(string, width, height, y=0.0, c=None):    # stretched to exactly width x height
    return ("text", c, (0.0, y), string, width, height)


def head(x, y, angle, r, c=None):                  # arrow head, its tip r beyond (x, y)
    pts = [(r, 0), (-0.55 * r, 0.95 * r), (-0.55 * r, -0.95 * r)]
    a = math.radians(angle)
    return poly(*[v for px, py in pts for v in (x + px * math.cos(a) - py * math.sin(a),
                                                y + px * math.sin(a) + py * math.cos(a))], c=c)


def mirror(prims):
    def flip(xy):
        return tuple(-v if i % 2 == 0 else v for i, v in enumerate(xy))
    return [(p[0], p[1], flip(p[2]), *p[3:]) for p in prims]


def move(prims, dx, dy, s=1.0):
    out = []
    for kind, c, xy, *rest in prims:
        xy = tuple(v * s + (dx, dy)[i % 2] for i, v in enumerate(xy))
        out.append((kind, c, xy, *[r * s if isinstance(r, float) else r for r in rest]))
    return out


def car_rear(c=None, glass=WHITE):
    return [poly(-.62, -.05, -.42, -.62, .42, -.62, .62, -.05, c=c), box(-.85, -.1, .85, .48, c=c),
            box(-.75, .4, -.4, .75, c=c), box(.4, .4, .75, .75, c=c),
            poly(-.42, -.12, -.3, -.48, .3, -.48, .42, -.12, c=glass),
            disc(-.58, .18, .12, c=glass), disc(.58, .18, .12, c=glass)]


def wheel(x, y, r, w):
    return arc(w, x, y, r, 0, 360)


# ---- pictograms -------------------------------------------------------------------------------

BEND_LEFT = [line(.26, .42, .95, .42, .28, .3, .02, -.25, -.28), head(-.38, -.36, 219, .48)]
TURN_RIGHT = [line(.26, -.42, .72, -.42, .05, -.3, -.18, -.06, -.25, .2, -.25), head(.36, -.25, 0, .46)]
KEEP_RIGHT = [line(.27, -.5, -.5, .2, .2), head(.3, .3, 45, .5)]
SNOW_ARM = [(math.cos(math.radians(a)), math.sin(math.radians(a))) for a in range(30, 390, 60)]
TRUCK = [box(-.95, -.5, .28, .3), poly(.36, -.28, .7, -.28, .95, .02, .95, .3, .36, .3),
         poly(.5, -.16, .64, -.16, .8, .04, .5, .04, c=WHITE), box(-.95, .3, .95, .38)] + \
        [p for x in (-.6, -.25, .62) for p in (disc(x, .42, .19), disc(x, .42, .08, c=WHITE))]
BICYCLE = [wheel(-.58, .3, .36, .1), wheel(.58, .3, .36, .1),
           line(.1, -.58, .3, -.26, -.22, .34, -.22, -.04, .3, -.58, .3), line(.1, -.04, .3, -.34, -.4),
           line(.1, .58, .3, .28, -.5, .48, -.56), line(.13, -.5, -.42, -.2, -.42)]
WALKER = [disc(.06, -.8, .17), line(.32, .02, -.42, -.04, .05), line(.19, -.04, .1, .26, .45, .36, .9),
          line(.19, -.06, .1, -.18, .5, -.48, .88), line(.13, .06, -.48, .32, -.14, .54, -.06),
          line(.13, -.02, -.48, -.3, -.22, -.38, .08)]
DIGGER = [disc(-.1, -.78, .18), line(.32, -.22, -.45, -.42, .1), line(.19, -.42, .1, -.2, .42, -.36, .88),
          line(.19, -.46, .12, -.68, .45, -.86, .88), line(.13, -.16, -.42, .12, -.12, .3, .06),
          line(.12, -.3, -.3, -.1, .12, .1, .16), line(.09, -.3, .02, .5, .32),
          poly(.4, .18, .78, .36, .6, .54, .36, .4), poly(.1, .95, .36, .62, .58, .5, .78, .64, 1.0, .95)]
DEER = [poly(-.82, -.1, -.5, -.3, .1, -.26, .36, -.56, .42, -.78, .62, -.78, .86, -.56, .82, -.46, .6, -.46, .5, -.16,
             .36, .12, .2, .16, -.3, .12, -.56, .22, -.74, .12),
        line(.13, .3, .02, .62, .22, .9, .1), line(.13, .22, .06, .44, .4, .7, .42),
        line(.15, -.62, .08, -.66, .42, -.92, .78), line(.15, -.5, .08, -.44, .42, -.62, .86),
        line(.08, .46, -.76, .3, -1.0, .1, -1.02), line(.08, .36, -.94, .36, -1.12),
        line(.08, .54, -.76, .6, -1.02, .5, -1.16), line(.1, -.8, -.08, -.94, .06)]
TRAIN = [box(-.92, -.62, -.36, .35), box(-1.0, -.74, -.28, -.6), box(-.36, -.22, .72, .35), box(.38, -.6, .6, -.2),
         box(.0, -.36, .18, -.2), box(-.8, -.44, -.5, -.12, c=WHITE), poly(.72, .3, 1.0, .72, .6, .72, .6, .3),
         disc(.42, -.8, .12), disc(.2, -.96, .16), disc(-.12, -1.06, .19)] + \
        [disc(x, .8 - r, r * hub, c=c) for x, r in ((-.64, .27), (-.04, .2), (.4, .2))
         for hub, c in ((1.0, None), (.4, WHITE))]
SLASH = [line(.19, -.56, -.56, .56, .56, c=RED)]

PICTOGRAMS = {
    "none": [],
    "bar": [box(-.72, -.2, .72, .2)],
    "stop": [text("STOP", 1.5, .58)],
    "overtake": move(car_rear(RED), -.31, .02, .36) + move(car_rear(), .31, .02, .36),
    "truck": move(TRUCK, 0, 0, .66),
    "no-left": move(mirror(TURN_RIGHT), .04, .04, .8) + SLASH,
    "no-right": move(TURN_RIGHT, -.04, .04, .8) + SLASH,
    "stripes": [line(.09, -e + d, e + d, e + d, -e + d) for d, e in ((-.2, .53), (-.07, .58), (.07, .58), (.2, .53))],
    "bang": [poly(-.21, -.95, .21, -.95, .12, .38, -.12, .38), disc(0, .72, .2)],
    "bend-left": BEND_LEFT,
    "bend-right": mirror(BEND_LEFT),
    "bumps": [poly(*[v for i in range(61) for v in (
        -1.15 + 2.3 * i / 60, .5 - .72 * abs(math.sin(math.pi * 2 * i / 60)) ** 1.3)], 1.15, .78, -1.15, .78)],
    "slippery": move(car_rear(), 0, -.42, .62) + [
        line(.13, *[v for i in range(25) for v in (s * .36 + .15 * math.sin(i / 24 * 2.5 * math.pi), .16 + i * .034)])
        for s in (-1, 1)],
    "narrows": [line(.2, -.58, .9, -.58, .3, -.2, -.1, -.2, -.8), line(.2, .58, .9, .58, .3, .2, -.1, .2, -.8)],
    "digger": DIGGER,
    "lights": [box(-.34, -1.0, .34, 1.0), disc(0, -.64, .25, c=(226, 32, 36)), disc(0, 0, .25, c=YELLOW),
               disc(0, .64, .25, c=GREEN)],
    "walker": WALKER,
    "bicycle": BICYCLE,
    "snow": [line(.13, 0, 0, .95 * x, .95 * y) for x, y in SNOW_ARM]
        + [line(.1, .55 * x, .55 * y, .7 * x - k * .26 * y, .7 * y + k * .26 * x)
           for x, y in SNOW_ARM for k in (-1, 1)],
    "deer": move(DEER, -.04, .1, .9),
    "train": TRAIN,
    "cross": [line(.26, -.62, -.62, .62, .62), line(.26, -.62, .62, .62, -.62)],
    "up": [line(.27, 0, .66, 0, -.2), head(0, -.3, -90, .48)],
    "right": [line(.27, -.66, 0, .2, 0), head(.3, 0, 0, .48)],
    "left": [line(.27, .66, 0, -.2, 0), head(-.3, 0, 180, .48)],
    "keep-right": move(KEEP_RIGHT, -.03, -.03, .88),
    "keep-left": move(mirror(KEEP_RIGHT), .03, -.03, .88),
    "roundabout": [p for a in (0, 120, 240) for p in (
        arc(.19, 0, 0, .48, a - 20, a + 46),
        head(.48 * math.cos(math.radians(a + 58)), .48 * math.sin(math.radians(a + 58)), a + 156, .28))],
    "parking": [text("P", .86, 1.3)],
    "hospital": [text("H", .9, 1.25)],
    "zebra": [poly(0, -.82, .86, .72, -.86, .72, c=WHITE)] + move(
        [(k, BLACK, *r) for k, _, *r in WALKER], 0, .0, .52)
        + [poly(x - .07, .5, x + .07, .5, x * 1.12 + .09, .68, x * 1.12 - .09, .68, c=BLACK)
           for x in (-.48, -.16, .16, .48)],
    "dead-end": [box(-.17, -.3, .17, .78), box(-.62, -.66, .62, -.28, c=RED)],
    "no-parking": [line(.2, -.52, -.52, .52, .52, c=RED)],
    "no-stopping": [line(.2, -.52, -.52, .52, .52, c=RED), line(.2, -.52, .52, .52, -.52, c=RED)],
}
for n in (20, 30, 50, 60, 70, 80, 100, 120):
    PICTOGRAMS[str(n)] = [text(str(n), 1.0 if n < 100 else 1.16, .72)]
