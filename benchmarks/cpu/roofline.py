"""The roofline plot: operations of both products for each byte of K and V; of
each shape Einhead, cold and warm, and the best library.
"""

import os
import sys

import report

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import plot  # noqa: E402, shared with benchmarks/gpu

MARKERS = [("filled", "Einhead, cold"), ("hollow", "Einhead, warm"),
           ("peer", "best library, cold")]


def points(results):
    """[(number of the shape, operations a byte, GFLOP/s, kind, title)]"""
    found = []
    for number, entry in enumerate(results["shapes"], 1):
        for temperature, own in entry["einhead"].items():
            if "median_us" not in own:
                continue
            intensity = own["operations"] / own["kv_bytes"]
            times = [(own["median_us"], f"Einhead {temperature}")]
            peer = report.best(entry, temperature)
            if peer and temperature == "cold":
                times.append((peer[temperature]["median_us"], peer["case"]))
            for microseconds, name in times:
                kind = "peer"
                if name.startswith("Einhead"):
                    kind = "filled" if temperature == "cold" else "hollow"
                found.append((number, intensity, own["operations"] / microseconds / 1e3, kind,
                              f"{number}. {entry['shape']}: {name}, {microseconds:.1f} µs"))
    return found


def bandwidth(results):
    """GB/s of the fastest cold read, or of the fastest one without a cold run."""
    for temperature in ("cold", "warm"):
        rates = [own["kv_bytes"] / own["floor_us"] / 1e3 for entry in results["shapes"]
                 for name, own in entry["einhead"].items()
                 if name == temperature and "floor_us" in own]
        if rates:
            return max(rates)
    return None


def draw(results):
    title = f"Decode attention, {results['cpu']}, {results['threads']} threads"
    return plot.roofline(title, points(results), [entry["shape"] for entry in results["shapes"]],
                         MARKERS, bandwidth(results), results["roofs_gflop_s"], "G")
