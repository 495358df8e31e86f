"""Numbers for --attn-device-math.  `device_math.py write FOLDER` writes x.npy and
y.npy; `device_math.py check FOLDER LIMIT [SPOIL]` compares NAME.npy of each function
with the C library's f64 one, rounded: an element further off than LIMIT units in
the last place fails, and so does a NaN or infinity that is not one in both.
SPOIL names a function whose numbers are changed by 8 units first."""

import math
import os
import random
import struct
import sys

INF, NAN = math.inf, math.nan


def single(value):
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(INF, value)


def write(path, values):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }" % len(values)
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(struct.pack("<%df" % len(values), *values))


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack("<%df" % ((len(data) - start) // 4), data[start:])


def inputs():
    draw = random.Random(3)
    x = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 1e-45, -1e-45, 1e-38, -1e-38, 88.7, 88.8, -87.3,
         -88.0, -103.9, -104.0, -150.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1e30, -1e30, math.pi,
         math.pi / 2, 1e5, -123456.7, 1e9, 0.99999994, 1.0000001, 6.0, -6.0, 4.0, 3.9, 9.0, -9.0,
         20.0, 1e-4, -1e-4, 1e-2, 9.99e-3, 0.1, 0.0999, 1e38, -1e38]
    while len(x) < 2048:
        x.append(draw.choice([draw.gauss(0, 1), draw.gauss(0, 10), draw.uniform(-110, 110),
                              draw.choice([-1, 1]) * 2 ** draw.uniform(-30, 30),
                              draw.uniform(0, 4)]))
    y = [draw.choice([draw.gauss(0, 1), draw.gauss(0, 10), float(draw.randint(-5, 5)), 0.5, -0.5,
                      INF, -INF, 0.0, 2.0, 3.0, NAN]) for _ in x]
    return [single(v) for v in x], [single(v) for v in y]


def guarded(function, poles=None):
    """What C gives where Python raises."""
    def call(*values):
        try:
            return function(*values)
        except OverflowError:
            return INF if function is not math.sinh else math.copysign(INF, values[0])
        except ValueError:
            return poles.get(values[0], NAN) if poles else NAN
    return call


def power(x, y):
    try:
        return math.pow(x, y)
    except OverflowError:
        return -INF if x < 0 and y % 2 == 1 else INF
    except ValueError:
        is_odd = x == 0 and y == int(y) and y % 2 == 1
        return math.copysign(INF, x) if is_odd else INF if x == 0 else NAN


FUNCTIONS = {
    "exp": guarded(math.exp), "exp2": guarded(lambda x: 2.0 ** x),
    "expm1": guarded(math.expm1),
    "log": guarded(math.log, {0.0: -INF}), "log2": guarded(math.log2, {0.0: -INF}),
    "log10": guarded(math.log10, {0.0: -INF}), "log1p": guarded(math.log1p, {-1.0: -INF}),
    "sin": guarded(math.sin), "cos": guarded(math.cos), "tan": guarded(math.tan),
    "sinh": guarded(math.sinh), "cosh": guarded(math.cosh), "tanh": math.tanh, "erf": math.erf,
    "powf": power,
}
# The instruction, or LLVM's on a CPU; and angles that no reduction here takes.
LIMITED = {"sin": 2.0 ** 51, "cos": 2.0 ** 51, "tan": 2.0 ** 51}


def off(got, want):
    if math.isnan(want) or math.isinf(want) or math.isnan(got) or math.isinf(got):
        return 0 if str(got) == str(want) else INF
    return abs(got - want) / 2.0 ** (max(math.frexp(want)[1], -125) - 24)


def check(folder, limit, spoiled):
    x, y = read(os.path.join(folder, "x.npy")), read(os.path.join(folder, "y.npy"))
    bad = False
    for name, function in FUNCTIONS.items():
        got = read(os.path.join(folder, name + ".npy"))
        if name == spoiled:
            got = [g * (1 + 2.0 ** -21) for g in got]
        worst, at = -1, 0
        for i, arguments in enumerate(zip(x, y) if name == "powf" else zip(x)):
            if abs(arguments[0]) >= LIMITED.get(name, INF) and arguments[0] < INF:
                continue
            distance = off(got[i], single(function(*arguments)))
            if distance > worst:
                worst, at, want = distance, i, single(function(*arguments))
        print("%-6s %-8.3g ulp: x = %r, got %r, wanted %r" % (name, worst, x[at], got[at], want))
        bad |= worst > limit
    sys.exit(bad)


if sys.argv[1] == "write":
    for name, values in zip(["x", "y"], inputs()):
        write(os.path.join(sys.argv[2], name + ".npy"), values)
else:
    check(sys.argv[2], float(sys.argv[3]), (sys.argv[4:] or [""])[0])
