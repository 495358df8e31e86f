#!/usr/bin/env python3
"""Compiles the modules of a list of shapes for a GPU, and writes the list that
einhead-gpu-bench reads.

    benchmarks/gpu/compile.py --einhead=build/bin/einhead --chip=sm_90a OUT

Needs no GPU.  OUT gets one module for each shape and list.json.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

import layer
import shapes


def flags(shape):
    """The options of `einhead bench` that say this attention."""
    element = "i8" if shape.get("scaled") else shape["type"]
    result = ["--spec=" + shape["spec"], "--type=" + element,
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


def graph(einhead, shape):
    """The graph that `einhead bench` prints.  With scales it has a query of f32
    and keys and values of i8: here the query is bf16, and they may be f8E4M3FN."""
    text = run([einhead, "bench", "--print-graph"] + flags(shape))
    if shape.get("scaled"):
        text = re.sub(r"(%q: tensor<[0-9x]*x)f32", r"\1bf16", text)
        text = re.sub(r"(\(%q, .* : \(tensor<[0-9x]*x)f32", r"\1bf16", text)
        if shape["type"] == "f8e4m3":
            text = text.replace("xi8>", "xf8E4M3FN>")
            text = text.replace("arith.sitofp", "arith.extf")
    return text


def works(einhead, checks):
    """Names, functions that print graphs, and entries of the list."""
    for i, shape in enumerate(shapes.CHECKED if checks else shapes.TIMED):
        entry = {key: shape[key] for key in ("name", "spec", "mask", "lengths")
                 if key in shape}
        # For peers.py, which reads no module.
        entry["extents"], entry["type"] = shape["sizes"], shape["type"]
        yield (shape["name"], lambda shape=shape: graph(einhead, shape),
               dict(entry, module=f"shape{i}"))
    for i, one in enumerate([] if checks else layer.LAYERS):
        yield (one["name"], lambda one=one: layer.graph(one),
               dict(layer.entry(one), module=f"layer{i}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--einhead", default="einhead")
    parser.add_argument("--chip", default="sm_90a")
    parser.add_argument("--checks", action="store_true",
                        help="small shapes, to be checked and not timed")
    parser.add_argument("--only", default="", help="shapes with this in the name")
    parser.add_argument("--option", action="append", default=[],
                        help="more options of `einhead compile`")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    entries, failures = [], 0
    for name, write, entry in works(arguments.einhead, arguments.checks):
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
