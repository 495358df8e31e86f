"""sections.py ONE... ALL: the codes of the modules ONE are those of ALL, in order."""

import struct
import sys


def codes(path):
    with open(path, "rb") as file:
        data = file.read()
    (count,) = struct.unpack_from("<I", data, 24)
    for i in range(count):
        kind, flags, offset, size = struct.unpack_from("<IIQQ", data, 48 + 48 * i)
        if kind != 1:
            assert flags == (1 if kind == 2 else 0), (kind, flags)
            yield data[offset : offset + size]


ones = [code for path in sys.argv[1:-1] for code in codes(path)]
together = list(codes(sys.argv[-1]))
assert len(set(together)) == len(together) > 1
assert ones == together, [len(code) for code in ones + together]
