"""A program outside the project that times the same shapes.

It is called with `cold` or `warm` and prints a line for each shape: a name, the
keys (of all sequences), megabytes of K and V, then columns that `|` separates, of
which the headings are in a line that starts with `shape`:

  shape                 S   KV MB |  read 1T  read 2T |   one 2T   two 2T | errors
  some 32/8/128      4096    16.8 |    600.1    483.2 |    694.0    678.1 | ...

A shape is known by HEADS/KV_HEADS/DEPTH, or HEADSxDEPTH/VALUE, in its name, its
keys and its bytes.  Of the columns that end in 2T and are no reads, the least
counts.
"""

import re
import subprocess

import shapes


def run(binary, temperatures):
    """{temperature: [{"keys", "bytes", "name", "us"}]}, or the reason why not."""
    results = {}
    for temperature in temperatures:
        done = subprocess.run([binary, temperature], capture_output=True, text=True)
        if done.returncode != 0:
            return {"failed": done.stderr.strip() or f"exit {done.returncode}"}
        results[temperature] = parse(done.stdout)
    return results


def parse(text):
    columns, rows = [], []
    for line in text.splitlines():
        groups = [re.split(r"\s{2,}|(?<=T)\s+", group.strip()) for group in line.split("|")]
        if line.startswith("shape"):
            columns = [name for group in groups[1:] for name in group]
            continue
        start = re.match(r"(.*?)\s+(\d+)\s+([\d.]+)\s*$", line.split("|")[0])
        if not columns or not start:
            continue
        numbers = [number for group in line.split("|")[1:] for number in group.split()]
        times = [float(number) for name, number in zip(columns, numbers)
                 if name.endswith("2T") and not name.startswith("read")]
        if times:
            rows.append({"name": start.group(1).strip(), "keys": int(start.group(2)),
                         "megabytes": float(start.group(3)), "us": min(times)})
    return rows


def find(results, text, temperature):
    """Its microseconds for a shape, or None."""
    shape = shapes.parse(text)
    if not results or shape.type != "bf16" or shape.window:
        return None
    names = [f"{shape.heads}/{shape.kv_heads}/{shape.depth}"]
    if shape.value:
        names = [f"{shape.heads}x{shape.depth}/{shape.value}"]
    for row in results.get(temperature, []):
        tokens = int((re.search(r"(\d+) tokens", row["name"]) or [0, 1])[1])
        is_ragged = "ragged" in row["name"]
        if (any(re.search(rf"(?<!\d){re.escape(name)}(?!\d)", row["name"]) for name in names)
                and row["keys"] == sum(shape.valid) and tokens == shape.tokens
                and is_ragged == shape.is_ragged):
            return row["us"]
    return None
