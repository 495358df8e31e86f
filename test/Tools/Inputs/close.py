"""close.py FILE FILE TOLERANCE: fails where two f32 .npy files differ by more."""

import struct
import sys


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack(f"<{(len(data) - start) // 4}f", data[start:])


one, other = read(sys.argv[1]), read(sys.argv[2])
assert one and len(one) == len(other), (len(one), len(other))
worst = max(abs(a - b) for a, b in zip(one, other))
print(f"largest difference {worst}")
sys.exit(not worst <= float(sys.argv[3]))
