#!/usr/bin/env python3
"""A table and a roofline plot of what einhead-gpu-bench and peers.py have measured.

    benchmarks/gpu/report.py result.json [--peers=peers.json] --out=FOLDER

Writes table.md and roofline.svg.  Needs nothing but Python.
"""
import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import plot  # noqa: E402, shared with benchmarks/cpu

# Dense bf16 with sums in f32, TFLOP/s: what the vendor's datasheets say.
PEAKS = {"H200": {"bf16 tensor cores": 989}, "H100": {"bf16 tensor cores": 989},
         "A100": {"bf16 tensor cores": 312}}
MARKERS = [("filled", "Einhead"), ("peer", "best library of the run")]


def best(peers, name):
    """(microseconds, library) of the fastest right one, or None."""
    cases = [(case["us"], case["peer"]) for case in peers.get("rows", [])
             if case["name"] == name and "us" in case]
    return min(cases, default=None)


def roofline(result, peers):
    rows = [row for row in result["rows"] if row.get("operations") and "us" in row]
    found = []
    for number, row in enumerate(rows, 1):
        times = [("filled", row["us"], "Einhead")]
        peer = best(peers, row["name"])
        if peer:
            times.append(("peer", *peer))
        for kind, microseconds, who in times:
            found.append((number, row["operations"] / row["bytes"],
                          row["operations"] / microseconds / 1e6, kind,
                          f"{number}. {row['name']}: {who}, {microseconds:.1f} µs"))
    peaks = next((peaks for chip, peaks in PEAKS.items() if chip in result["gpu"]), {})
    return plot.roofline(f"Decode attention and projections, {result['gpu']}", found,
                         [row["name"] for row in rows], MARKERS, result["read_tbs"], peaks, "T")


def micros(number):
    return f"{number:.1f}" if number < 1000 else f"{number:.0f}"


def table(result, peers):
    lines = ["| shape | floor µs | Einhead µs | TB/s | TFLOP/s | best library µs | |",
             "|---|--:|--:|--:|--:|--:|---|"]
    for row in result["rows"]:
        if "us" not in row:
            lines.append(f"| {row['name']} | | {row['error'].splitlines()[0]} | | | | |")
            continue
        flops = row.get("operations", 0) / row["us"] / 1e6
        peer = best(peers, row["name"])
        library = f"{micros(peer[0])} | {peer[1]}" if peer else "|"
        lines.append(f"| {row['name']} | {micros(row['floor_us'])} | {micros(row['us'])} | "
                     f"{row['tbs']:.2f} | {f'{flops:.0f}' if flops else ''} | {library} |")
    missing = [f"{case['name']}, {case['peer']}: {case['why']}" for case in peers.get("rows", [])
               if "why" in case]
    if missing:
        lines += ["", "Not timed:", ""] + [f"- {line}" for line in missing]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--peers", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    result = json.loads(arguments.result.read_text())
    peers = json.loads(arguments.peers.read_text()) if arguments.peers else {}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "table.md").write_text(table(result, peers))
    (arguments.out / "roofline.svg").write_text(roofline(result, peers))
    print(table(result, peers), end="")


if __name__ == "__main__":
    main()
