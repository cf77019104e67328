# SPDX-License-Identifier: Apache-2.0
# Joins what conv_tiles and conv_peers.py printed (FILE) into a table: own microseconds, the peer's, their ratio, the roofline.
import math
import re
import sys

BEST = re.compile(r"BEST (\S+) (\S+) (\S+) us early (\S+) split1 (\S+) floor (\S+) \| (.*?) \| early (.*?) \| (.*)")


def main():
    peers, rows, ratios = {}, [], {}
    for line in open(sys.argv[1]):
        words = line.split()
        if line.startswith("PEER"):
            peers[words[1], words[2]] = float(words[3])
        elif (match := BEST.match(line)):
            rows.append(match.groups())
    print(f"{'kind':8}{'layer':22}{'us':>8}{'early':>8}{'peer':>8}{'ratio':>7}{'early':>7}{'floor':>7}  tile (early)")
    for kind, name, late, early, _, floor, _, tile, rest in rows:
        peer = peers.get(("f16" if kind == "f16" else "f32", name))
        late, early = float(late), float(early)
        text = f"{peer:8.2f}{peer / late:7.2f}{peer / early:7.2f}" if peer else f"{'-':>8}{'-':>7}{'-':>7}"
        print(f"{kind:8}{name:22}{late:8.2f}{early:8.2f}{text}{float(floor):7.2f}  {tile} {rest}")
        if peer:
            ratios.setdefault(kind, []).append((peer / late, peer / early))
    for kind, v in ratios.items():
        mean = [math.exp(sum(math.log(x[i]) for x in v) / len(v)) for i in range(2)]
        print(f"{kind}: {len(v)} layers, peer/own {mean[0]:.3f}, early {mean[1]:.3f} (geometric means), worst {min(v)[0]:.2f}")


main()
