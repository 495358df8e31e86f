#!/usr/bin/env python3
"""The demo: three small models import, compile, speak and are checked.

usage: demo.py EINHEAD [--examples=DIR] [--out=DIR] [--threads=N] [--target=cuda]

For each form of attention in examples/kjv: `einhead import`, `einhead compile`,
`einhead run` from the golden prompt, greedily; the bytes are shown as they
come.  The tool compares every logit with the golden file; this script compares
the bytes once more, then prints one table.  Exits 1 when a check failed.
"""

import argparse
import json
import os
import re
import struct
import subprocess
import sys

FORMS = ("mha", "gqa2", "mqa")
PROMPT_BYTES = 22
COLUMNS = ("form", "K/V heads", "cache B/token", "K/V B read, last step",
           "us/step", "tokens/s", "largest logit error", "")


def read_tensor(path, name):
    """The shape and the bytes of a tensor of a safetensors file."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        entry = json.loads(file.read(size))[name]
        begin, end = entry["data_offsets"]
        file.seek(8 + size + begin)
        return entry["shape"], file.read(end - begin)


def call(command):
    print("$", " ".join(os.path.relpath(word) if os.path.isabs(word) else word
                        for word in command), flush=True)
    done = subprocess.run(command)
    if done.returncode != 0:
        sys.exit(f"demo: exit {done.returncode}")


def stream(command, length):
    """Runs it; shows the first `length` bytes of its output as they come."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
    output = b""
    while chunk := process.stdout.read(64):
        shown = chunk[:max(0, length - len(output))]
        output += chunk
        sys.stdout.buffer.write(shown)
        sys.stdout.flush()
    print("\n", flush=True)
    return process.wait(), output


def number(pattern, text):
    found = re.search(pattern, text)
    return found.group(1) if found else "?"


def demonstrate(arguments, form):
    """Returns a row of the table."""
    folder = os.path.join(arguments.examples, form)
    golden = os.path.join(folder, "golden.safetensors")
    graph = os.path.join(arguments.out, form + ".mlir")
    module = os.path.join(arguments.out, form + ".einhead")
    call([arguments.einhead, "import", folder, "-o", graph])
    call([arguments.einhead, "compile", f"--target={arguments.target}", graph,
          "-o", module])

    _, wanted = read_tensor(golden, "tokens")
    rows = read_tensor(golden, "logits")[0][0]
    status, output = stream(
        [arguments.einhead, "run", module,
         "--tokens=" + ",".join(map(str, wanted[:PROMPT_BYTES])),
         f"--steps={len(wanted) - PROMPT_BYTES}", f"--golden={golden}",
         "--stream=bytes", f"--threads={arguments.threads}"], len(wanted))
    report = output[len(wanted):].decode("utf-8", "replace")

    passed = (status == 0 and output[:len(wanted)] == wanted
              and number(r"golden: (\d+) steps", report) == str(rows))
    if not passed:
        print(f"{form}: exit {status}, {report.strip()}")
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        heads = json.load(file)["num_key_value_heads"]
    return (form, str(heads), number(r"cache: (\d+) bytes", report),
            number(r"last step: (\d+) bytes", report),
            number(r"median ([\d.]+) us", report),
            number(r"(\d+) tokens/s", report),
            number(r"largest logit error (\S+)", report),
            "PASS" if passed else "FAIL")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("einhead", help="the tool")
    parser.add_argument("--examples", default="examples/kjv")
    parser.add_argument("--out", default="build/demo", help="for .mlir and module files")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--target", choices=("cpu", "cuda"), default="cpu",
                        help="what runs the steps")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)

    rows = [demonstrate(arguments, form) for form in FORMS]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows)]
    for row in (COLUMNS, *rows):
        print("  ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                        for place, (cell, width) in enumerate(zip(row, widths))).rstrip())
    return 0 if all(row[-1] == "PASS" for row in rows) else 1


sys.exit(main())
