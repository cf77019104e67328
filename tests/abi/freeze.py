#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the module ABI of this tree into one header, for tests with modules of an earlier release.

    python3 tests/abi/freeze.py >tests/abi/gie_1_0.h

Every header and function list that gie/module.h and gie/window.h include is put in place of its include; comments are
left out. A frozen header is never written again.
"""
import pathlib
import re

INCLUDE = pathlib.Path(__file__).resolve().parents[2] / "include"
done = set()


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r"\s*//[^\n]*", "", text)


def expand(name, lists, out):
    text = without_comments((INCLUDE / name).read_text()).replace("\\\n", "\0")
    for line in text.split("\n"):
        line = line.replace("\0", "\\\n")
        include = re.match(r"#\s*include\s+(\S+)", line)
        define = re.match(r"#\s*define\s+GIE_FN_LIST\s+<(.*)>", line)
        if define:
            lists["GIE_FN_LIST"] = define.group(1)
        elif include and include.group(1) == "GIE_FN_LIST":
            expand(lists["GIE_FN_LIST"], lists, out)
        elif include and include.group(1).startswith("<gie/"):
            inner = include.group(1)[1:-1]
            if inner not in done or inner.endswith("fn_declare.h"):
                done.add(inner)
                expand(inner, lists, out)
        elif line.strip() and not re.match(r"#\s*undef\s+GIE_FN_LIST", line):
            out.append(line.rstrip())


def main():
    out = []
    for name in ("gie/module.h", "gie/window.h"):
        done.add(name)
        expand(name, {}, out)
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* The module ABI as it was in release 1.0; made by freeze.py, for tests only. */")
    print("/* clang-format off */")
    print("\n".join(out))


if __name__ == "__main__":
    main()
