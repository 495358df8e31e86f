#!/usr/bin/env python3
"""Writes f32 arrays as .npy files, without numpy.

  npy.py DIR NAME=KIND:SHAPE...

KIND is `uniform*S` (between -S and S) or `causal`: over the last two
dimensions n, m, 0 where m - n <= |m| - |n| and -inf elsewhere.
"""

import array
import itertools
import os
import random
import struct
import sys


def elements(kind, shape):
    count = 1
    for extent in shape:
        count *= extent
    if kind == "causal":
        n, m = shape[-2:]
        plane = [0.0 if j - i <= m - n else float("-inf") for i in range(n) for j in range(m)]
        return itertools.islice(itertools.cycle(plane), count)
    scale = float(kind.split("*")[1])
    numbers = random.Random(str(shape))
    return (numbers.uniform(-scale, scale) for _ in range(count))


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for argument in sys.argv[2:]:
        name, what = argument.split("=")
        kind, letters = what.split(":")
        shape = tuple(int(extent) for extent in letters.split(","))
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
        header += " " * (-(len(header) + 11) % 64) + "\n"
        path = os.path.join(folder, name + ".npy")
        with open(path, "wb") as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
            file.write(array.array("f", elements(kind, shape)).tobytes())


main()
