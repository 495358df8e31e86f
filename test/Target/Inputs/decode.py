"""Writes a function of one attention with lengths, a log-sum-exp and f16, and
its inputs, as .npy: decode.py FOLDER b=3,g=2,r=5,m=130,k=64,v=64 130,0,65
[OFFSET].  Keys and values past the lengths are NaN.  With OFFSET the value is
that many columns into the key's tensor, where no access of 16 bytes begins."""
import os
import random
import struct
import sys

folder, sizes, lengths, *offset = sys.argv[1:]
s = {name: int(n) for name, n in (each.split("=") for each in sizes.split(","))}
lengths = [int(n) for n in lengths.split(",")]
offset = int(offset[0]) if offset else None
os.makedirs(folder, exist_ok=True)
random.seed(7)


def save(name, dtype, shape, data):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(f"{folder}/{name}.npy", "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def numbers(name, shape, keys_at=None):
    """Random ones; NaN where the index `keys_at` is past the first one's length."""
    inner = 1
    for extent in shape[keys_at + 1:] if keys_at else []:
        inner *= extent
    count = 1
    for extent in shape:
        count *= extent
    values = []
    for i in range(count):
        past = keys_at and i // inner % s["m"] >= lengths[i // (count // shape[0])]
        values.append(float("nan") if past else random.gauss(0, 1))
    save(name, "<f2", shape, struct.pack(f"<{count}e", *values))


b, g, r, m, k, v = (s[c] for c in "bgrmkv")
width = k if offset is None else max(k, offset + v)
numbers("query", [b, g, r, k])
numbers("key", [b, g, m, width], keys_at=2)
if offset is None:
    numbers("value", [b, g, m, v], keys_at=2)
save("lengths", "<i8", [b], struct.pack(f"<{b}q", *lengths))

key, value = f"tensor<{b}x{g}x{m}x{k}xf16>", f"tensor<{b}x{g}x{m}x{v}xf16>"
query, wide = f"tensor<{b}x{g}x{r}x{k}xf16>", f"tensor<{b}x{g}x{m}x{width}xf16>"
out, state = f"tensor<{b}x{g}x{r}x{v}xf32>", f"tensor<{b}x{g}x{r}xf32>"
arguments = f'%q: {query} {{attn.name = "query"}}, '
slices = ""
if offset is None:
    arguments += f'%k: {key} {{attn.name = "key"}}, %v: {value} {{attn.name = "value"}}, '
else:
    arguments += f'%kv: {wide} {{attn.name = "key"}}, '
    for name, first, columns, kind in (("k", 0, k, key), ("v", offset, v, value)):
        slices += (f"  %{name} = tensor.extract_slice %kv[0, 0, 0, {first}] [{b}, {g}, {m}, {columns}]"
                   f" [1, 1, 1, 1] : {wide} to {kind}\n")
print(f"""func.func @decode({arguments}%n: tensor<{b}xi64> {{attn.name = "lengths"}})
    -> ({out} {{attn.name = "output"}}, {state} {{attn.name = "lse"}}) {{
{slices}  %init = tensor.empty() : {out}
  %none = tensor.empty() : {state}
  %y, %lse = attn.attention "bgrk, bgmk, bgmv -> bgrv" query(%q : {query}) key(%k : {key}) value(%v : {value})
    scale 0.2 valid(%n : tensor<{b}xi64>) outs(%init : {out}) lse(%none : {state}) -> {out}, {state}
  return %y, %lse : {out}, {state}
}}""")
