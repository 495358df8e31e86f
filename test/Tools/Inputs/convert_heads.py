"""Checkpoints for the tests of convert-heads, and a second opinion on them.

usage: convert_heads.py make FOLDER TYPE SHARDS    TYPE: F32, F16, BF16
       convert_heads.py check IN OUT GROUPS METHOD

`make` writes a model of 2 layers with 6 key/value heads, biases and odd values.
`check` computes OUT from IN anew, in whole numbers; it exits 1 and says what
differs.  Nothing here is shared with the tool.
"""

import functools
import json
import math
import os
import random
import struct
import sys

FORMATS = {"F32": (23, 8), "F16": (10, 5), "BF16": (7, 8)}  # bits of fraction and exponent
LAYERS, HEADS, HEAD_SIZE, HIDDEN = 2, 6, 4, 5


def unit(kind):
    """The exponent of the smallest positive number: values are counted in it."""
    fraction, exponent = FORMATS[kind]
    return 2 - (1 << exponent - 1) - fraction


@functools.lru_cache(maxsize=None)
def decode(code, kind):
    """(sign, magnitude): a whole number of units, "inf" or "nan"."""
    fraction, exponent = FORMATS[kind]
    sign = code >> (fraction + exponent)
    field = code >> fraction & ((1 << exponent) - 1)
    rest = code & ((1 << fraction) - 1)
    if field == (1 << exponent) - 1:
        return sign, "nan" if rest else "inf"
    return sign, (rest + (1 << fraction)) << field - 1 if field else rest


def encode(sign, total, count, kind):
    """`total / count` units, at least 0, to nearest even."""
    fraction, exponent = FORMATS[kind]
    shift = max(0, (total // count).bit_length() - fraction - 1)
    whole, rest = divmod(total, count << shift)
    rest = 2 * rest - (count << shift)
    whole += rest > 0 or (rest == 0 and whole % 2)
    code = min(whole + (shift << fraction), (1 << exponent) - 1 << fraction)
    return code | sign << (fraction + exponent)


def mean(codes, kind):
    """The code of the mean, or "nan"."""
    fraction, exponent = FORMATS[kind]
    numbers = [decode(code, kind) for code in codes]
    infinite = {sign for sign, value in numbers if value == "inf"}
    if any(value == "nan" for _, value in numbers) or len(infinite) == 2:
        return "nan"
    if infinite:
        return (infinite.pop() << exponent | (1 << exponent) - 1) << fraction
    total = sum(-value if sign else value for sign, value in numbers)
    negative = total < 0 or (total == 0 and all(sign for sign, _ in numbers))
    return encode(int(negative), abs(total), len(codes), kind)


def read(path):
    """Tensors by name, and the other keys of the header."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    assert size % 8 == 0, f"{path}: data at byte {8 + size}"
    metadata = header.pop("__metadata__", None)
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, after = entry["data_offsets"]
        assert begin == end, f"{path}: a gap before {name}"
        end = after
        tensors[name] = (entry["dtype"], entry["shape"], data[begin:after])
    assert end == len(data), f"{path}: {len(data)} bytes, tensors end at {end}"
    return tensors, metadata


def read_folder(folder):
    """(tensors by file, index or None)"""
    index = os.path.join(folder, "model.safetensors.index.json")
    if not os.path.exists(index):
        return {"model.safetensors": read(os.path.join(folder, "model.safetensors"))}, None
    with open(index, encoding="utf-8") as file:
        index = json.load(file)
    return {name: read(os.path.join(folder, name))
            for name in sorted(set(index["weight_map"].values()))}, index


def codes_of(tensor):
    return struct.unpack(f"<{len(tensor[2]) // (4 if tensor[0] == 'F32' else 2)}"
                         + ("I" if tensor[0] == "F32" else "H"), tensor[2])


def check_projection(name, old, new, heads, groups, method):
    kind, rows = old[0], old[1][0]
    assert new[0] == kind, f"{name}: {new[0]}"
    assert new[1] == [rows // heads * groups] + old[1][1:], f"{name}: shape {new[1]}"
    before, after = codes_of(old), codes_of(new)
    size = len(before) // heads
    if method == "random":
        numbers = [math.ldexp(-value if sign else value, unit(kind))
                   for sign, value in (decode(code, kind) for code in after)]
        if name.endswith("bias"):
            assert not any(numbers), f"{name}: a bias starts at 0"
            return
        deviation = math.sqrt(sum(x * x for x in numbers) / len(numbers))
        assert abs(sum(numbers) / len(numbers)) < 0.02 * 5 / math.sqrt(len(numbers)), name
        assert abs(deviation - 0.02) < 0.02 * 4 / math.sqrt(len(numbers)), f"{name}: {deviation}"
        return
    share = heads // groups
    for i, got in enumerate(after):
        group, place = divmod(i, size)
        mine = [before[(group * share + head) * size + place] for head in range(share)]
        wanted = mine[0] if method == "first" or share == 1 else mean(mine, kind)
        if wanted == "nan":
            assert decode(got, kind)[1] == "nan", f"{name}[{i}]: {got:#x}, wanted NaN"
        else:
            assert got == wanted, f"{name}[{i}]: {got:#x}, wanted {wanted:#x}"


def check(source, target, groups, method):
    with open(os.path.join(source, "config.json"), encoding="utf-8") as file:
        old_config = json.load(file)
    with open(os.path.join(target, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    heads = old_config.get("num_key_value_heads", old_config["num_attention_heads"])
    assert config == {**old_config, "num_key_value_heads": groups}, config

    old_files, old_index = read_folder(source)
    files, index = read_folder(target)
    assert list(files) == list(old_files), list(files)
    total, parameters, converted = 0, 0, 0
    for file, (tensors, metadata) in files.items():
        old_tensors, old_metadata = old_files[file]
        assert list(tensors) == list(old_tensors), f"{file}: {list(tensors)}"
        assert metadata == old_metadata, f"{file}: {metadata}"
        for name, tensor in tensors.items():
            total += len(tensor[2])
            parameters += math.prod(tensor[1])
            if ".k_proj." in name or ".v_proj." in name:
                check_projection(name, old_tensors[name], tensor, heads, groups, method)
                converted += 1
            else:
                assert tensor == old_tensors[name], f"{name} changed"
    assert (index is None) == (old_index is None)
    if index:
        old_index["metadata"].update(total_size=total, total_parameters=parameters)
        assert index == old_index, index
    for name in os.listdir(source):
        path = os.path.join(source, name)
        wanted = not name.startswith(".") and os.path.isfile(path) and not name.endswith(
            (".safetensors", ".bin", ".index.json")) and name not in ("params.json", "config.json")
        if wanted:
            with open(path, "rb") as one, open(os.path.join(target, name), "rb") as other:
                assert one.read() == other.read(), name
        elif name != "config.json" and name not in old_files and not name.endswith(".index.json"):
            assert not os.path.exists(os.path.join(target, name)), f"{name} was copied"
    print(f"{converted} projections are right")


def make(folder, kind, shards):
    os.makedirs(folder)
    fraction, exponent = FORMATS[kind]
    numbers = random.Random(7)
    special = [0, 1, 2, 1 << (fraction + exponent), 1 << (fraction + exponent) | 1,
               (1 << exponent) - 1 << fraction, ((1 << exponent) - 1 << fraction) - 1,
               ((1 << exponent) - 1 << fraction) + 1]

    def values(shape):
        codes = [numbers.choice(special) if numbers.random() < 0.1 else
                 encode(numbers.randrange(2), numbers.randrange(1, 1 << 40) << -40 - unit(kind)
                        if kind != "F16" else numbers.randrange(1, 1 << 26), 1, kind)
                 for _ in range(math.prod(shape))]
        return kind, shape, struct.pack(f"<{len(codes)}" + ("I" if kind == "F32" else "H"), *codes)

    rows = HEADS * HEAD_SIZE
    tensors = {"model.embed_tokens.weight": values([7, HIDDEN]),
               "steps": ("I64", [], struct.pack("<q", 3)), "nothing": ("F32", [0, 4], b"")}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}.self_attn."
        for name in ("q_proj", "k_proj", "v_proj"):
            tensors[f"{prefix}{name}.weight"] = values([rows, HIDDEN])
            tensors[f"{prefix}{name}.bias"] = values([rows])
        tensors[prefix + "o_proj.weight"] = values([HIDDEN, rows])
        tensors[prefix + "k_norm.weight"] = values([HEAD_SIZE])
    files = {} if shards > 1 else {"model.safetensors": tensors}
    if shards > 1:
        for place, name in enumerate(tensors):
            file = f"model-{place % shards + 1:05}-of-{shards:05}.safetensors"
            files.setdefault(file, {})[name] = tensors[name]
        index = {"metadata": {"total_size": 1, "total_parameters": 1, "author": "none"},
                 "weight_map": {name: file for file, some in files.items() for name in some}}
        with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
            json.dump(index, file)
    for name, some in files.items():
        header, data = {"__metadata__": {"format": "pt", "note": 'a "quoted" word'}}, b""
        for tensor, (dtype, shape, content) in some.items():
            header[tensor] = {"dtype": dtype, "shape": shape,
                              "data_offsets": [len(data), len(data) + len(content)]}
            data += content
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(os.path.join(folder, name), "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + data)
    # No num_key_value_heads: as many as query heads.
    others = {"config.json": json.dumps({
                  "hidden_size": HIDDEN, "num_attention_heads": HEADS, "head_dim": HEAD_SIZE,
                  "num_hidden_layers": LAYERS, "nested": {"num_key_value_heads": 99}}),
              "tokenizer.json": "{}", "tokenizer.model": "\0\1", "generation_config.json": "[1]",
              "pytorch_model.bin": "old", "params.json": "{}", ".gitattributes": "-"}
    for name, content in others.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(content)
    os.mkdir(os.path.join(folder, "original"))


if sys.argv[1] == "make":
    make(sys.argv[2], sys.argv[3], int(sys.argv[4]))
else:
    try:
        check(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    except AssertionError as wrong:
        print(wrong)
        sys.exit(1)
