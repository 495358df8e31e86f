#!/usr/bin/env python3
"""Compiles the modules of a list of shapes for a GPU, and writes the list that
einhead-gpu-bench reads.

    benchmarks/gpu/compile.py --einhead=build/bin/einhead --chip=sm_90a OUT

Needs no GPU.  OUT gets one module for each shape and list.json.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import layer

SPEC = "bgrk, bgmk, bgmv -> bgrv"
TOKENS = "bgrnk, bgmk, bgmv -> bgrnv"
LATENT = "bhk, bmk, bmv -> bhv"


def attention(name, batch, heads, groups, keys, depth, **more):
    """Attention of one new token by batch, query and KV heads, of bf16."""
    tokens = more.pop("tokens", 1)
    sizes = dict(b=batch, g=groups, r=heads // groups, m=keys, k=depth, v=depth)
    more.setdefault("type", "bf16")
    if tokens > 1:
        sizes["n"] = tokens
        more.setdefault("mask", "causal")
    return dict(name=name, spec=TOKENS if tokens > 1 else SPEC, sizes=sizes,
                **more)


def float8(name, *sizes, **more):
    """The same with keys and values of f8E4M3FN."""
    return attention("fp8 " + name, *sizes, type="f8e4m3", **more)


def latent(heads, batch, keys):
    return dict(name=f"MLA {heads} heads 576/512, {batch} x {keys}", spec=LATENT,
                sizes=dict(b=batch, h=heads, m=keys, k=576, v=512),
                type="bf16", value_in_key=True)


SHAPES = [
    attention("MHA 32/32/128, 16 x 8K", 16, 32, 32, 8192, 128),
    attention("GQA 32/8/128, 64 x 8K", 64, 32, 8, 8192, 128),
    attention("GQA 64/8/128, 16 x 32K", 16, 64, 8, 32768, 128),
    attention("MQA 64/1/128, 64 x 32K", 64, 64, 1, 32768, 128),
    attention("MQA 71/1/64, 64 x 8K", 64, 71, 1, 8192, 64),
    attention("GQA 64/8/128, 1 x 128K", 1, 64, 8, 131072, 128),
    attention("MQA 64/1/128, 1 x 128K", 1, 64, 1, 131072, 128),
    attention("GQA 32/8/128, 8 x 2K", 8, 32, 8, 2048, 128),
    attention("GQA 32/8/128, 1 x 1K", 1, 32, 8, 1024, 128),
    attention("GQA 32/8/128, 64 x 8K, 4 tokens", 64, 32, 8, 8192, 128, tokens=4),
    attention("MQA 8/1/128, 1024 x 128", 1024, 8, 1, 128, 128),
    attention("MHA 8/8/128, 1024 x 128", 1024, 8, 8, 128, 128),
    latent(16, 128, 4096),
    latent(128, 128, 4096),
    attention("GQA 32/8/128, 8 x 2K, ragged", 8, 32, 8, 2048, 128,
              lengths=[2048, 1, 17, 300, 1024, 2047, 257, 64]),
    float8("GQA 32/8/128, 64 x 8K", 64, 32, 8, 8192, 128),
    float8("MQA 64/1/128, 64 x 32K", 64, 64, 1, 32768, 128),
    float8("GQA 32/8/128, 8 x 2K, ragged", 8, 32, 8, 2048, 128,
           lengths=[2048, 1, 17, 300, 1024, 2047, 257, 64]),
    float8("GQA 15/3/40, 3 x 257, ragged", 3, 15, 3, 257, 40,
           lengths=[257, 3, 130]),
    float8("MQA 7/1/65, 2 x 77", 2, 7, 1, 77, 65),
    float8("GQA 6/2/64, 2 x 129, 4 tokens", 2, 6, 2, 129, 64, tokens=4),
    float8("MHA 32/32/128, 16 x 8K", 16, 32, 32, 8192, 128),
    float8("MQA 71/1/64, 64 x 8K", 64, 71, 1, 8192, 64),
    float8("GQA 64/8/128, 1 x 128K", 1, 64, 8, 131072, 128),
    float8("GQA 32/8/128, 8 x 2K", 8, 32, 8, 2048, 128),
    float8("GQA 32/8/128, 1 x 1K", 1, 32, 8, 1024, 128),
    float8("MQA 8/1/128, 1024 x 128", 1024, 8, 1, 128, 128),
    dict(latent(16, 128, 4096), name="fp8 MLA 16 heads 576/512, 128 x 4096",
         type="f8e4m3"),
    float8("GQA 20/1/96, 5 x 1537, ragged", 5, 20, 1, 1537, 96,
           lengths=[1537, 1, 64, 129, 768]),
    float8("GQA 40/2/256, 4 x 513, ragged", 4, 40, 2, 513, 256,
           lengths=[513, 1, 128, 257]),
    float8("GQA 21/3/80, 7 x 1001", 7, 21, 3, 1001, 80),
]


def flags(shape):
    """The options of `einhead bench` that say this attention."""
    result = ["--spec=" + shape["spec"], "--type=" + shape["type"],
              "--output-type=" + shape.get("output_type", "bf16"),
              "--size=" + ",".join(f"{k}={v}" for k, v in shape["sizes"].items())]
    if "mask" in shape:
        result.append("--mask=" + shape["mask"])
    if "lengths" in shape:
        result.append("--lengths=" + ",".join(map(str, shape["lengths"])))
    if shape.get("value_in_key"):
        result.append("--value-in-key")
    return result


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def works(einhead):
    """Names, functions that print graphs, and entries of the list."""
    for i, shape in enumerate(SHAPES):
        entry = {key: shape[key] for key in ("name", "spec", "mask", "lengths")
                 if key in shape}
        # For peers.py, which reads no module.
        entry["extents"], entry["type"] = shape["sizes"], shape["type"]
        command = [einhead, "bench", "--print-graph"] + flags(shape)
        yield (shape["name"], lambda command=command: run(command),
               dict(entry, module=f"shape{i}"))
    for i, one in enumerate(layer.LAYERS):
        yield (one["name"], lambda one=one: layer.graph(one),
               dict(layer.entry(one), module=f"layer{i}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--einhead", default="einhead")
    parser.add_argument("--chip", default="sm_90a")
    parser.add_argument("--only", default="", help="shapes with this in the name")
    parser.add_argument("--option", action="append", default=[],
                        help="more options of `einhead compile`")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    entries, failures = [], 0
    for name, write, entry in works(arguments.einhead):
        if arguments.only not in name:
            continue
        graph = arguments.out / f"{entry['module']}.mlir"
        module = arguments.out / f"{entry['module']}.einhead"
        try:
            graph.write_text(write())
            run([arguments.einhead, "compile", "--target=cuda",
                 "--chip=" + arguments.chip, *arguments.option, str(graph), "-o",
                 str(module)])
        except RuntimeError as error:
            failures += 1
            print(f"{name}: {error}", file=sys.stderr)
            continue
        entries.append(dict(entry, module=module.name))
    (arguments.out / "list.json").write_text(json.dumps(entries, indent=1) + "\n")
    print(f"{len(entries)} modules, {failures} failed: {arguments.out}/list.json")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
