"""Compares two .npy files of f32: `ulps.py A B LIMIT` fails where an element is
further off than LIMIT units in the last place, or a NaN or infinity is not one
in both.  The second file is what is right."""

import math
import struct
import sys


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    assert data[:6] == b"\x93NUMPY" and b"'<f4'" in data[:128], path
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    return struct.unpack("<%df" % ((len(data) - start) // 4), data[start:])


def off(got, want):
    if math.isnan(want) or math.isinf(want) or math.isnan(got) or math.isinf(got):
        return 0 if str(got) == str(want) else math.inf
    _, exponent = math.frexp(want)
    return abs(got - want) / 2.0 ** (max(exponent, -125) - 24)


got, want, limit = read(sys.argv[1]), read(sys.argv[2]), float(sys.argv[3])
assert len(got) == len(want) and got
worst = max(range(len(got)), key=lambda i: off(got[i], want[i]))
print("worst: %.3g ulp at %d, %r instead of %r"
      % (off(got[worst], want[worst]), worst, got[worst], want[worst]))
sys.exit(off(got[worst], want[worst]) > limit)
