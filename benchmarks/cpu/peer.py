"""peer.py NAME OPTIONS-AS-JSON: times one library in a process of its own.

Prints a JSON line, {"found": version} or {"missing": reason}.  Then it reads
shapes, a line each, and prints a record for each case and {"done": true}.
bench.py calls it.
"""

import gc
import importlib
import json
import statistics
import sys
import time
import traceback

# Largest error, as a part of the largest number of the answer: a result above
# is wrong, and no time to compare with.  Libraries accumulate 16-bit products
# in f16 too, so this is far wider than the bound that Einhead must keep.
TOLERANCE = {"f32": 1e-3, "f16": 5e-2, "bf16": 5e-2}


def measure(calls, seconds):
    """Median and least microseconds of one call, calls taken in turn."""
    fewest, most = 5, 100000
    start = time.perf_counter()
    calls[-1]()
    if time.perf_counter() - start > seconds:
        fewest = 3
    samples, start, turn = [], time.perf_counter(), 0
    while len(samples) < fewest or (time.perf_counter() - start < seconds and len(samples) < most):
        call = calls[turn % len(calls)]
        begin = time.perf_counter_ns()
        call()
        samples.append((time.perf_counter_ns() - begin) / 1e3)
        turn += 1
    return {"median_us": statistics.median(samples), "min_us": min(samples),
            "samples": len(samples), "copies": len(calls)}


def record(case, answers, shape, options):
    import numpy as np
    from data import Data
    if case.kind not in answers:
        answers[case.kind] = Data(shape, case.kind).expected()
    expected = answers[case.kind]
    error = float(np.abs(case.result() - expected).max() / np.abs(expected).max())
    result = {"case": case.name, "kind": case.kind, "error": error}
    if not error <= TOLERANCE[case.kind]:
        result["wrong"] = True
    for temperature in options["temperatures"]:
        calls = case.calls if temperature == "cold" else case.calls[:1]
        result[temperature] = measure(calls, options["seconds"])
    return result


def reason(error):
    """Its first line; all of it goes to the log."""
    traceback.print_exc()
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def run(peer, text, options):
    import shapes
    from peers import Unsupported
    shape = shapes.parse(text).cached()
    copies = 1
    if "cold" in options["temperatures"]:
        copies = max(2, -(-options["cold_bytes"] // shape.buffer_bytes()))
    answers = {}
    try:
        for case in peer.cases(shape, options["threads"], copies):
            try:
                yield record(case, answers, shape, options)
            except Exception as error:  # one case of a library, not all
                yield {"case": case.name, "failed": reason(error)}
            del case
            gc.collect()
    except Unsupported as error:
        yield {"unsupported": str(error)}
    except Exception as error:
        yield {"failed": reason(error)}


def main():
    name, options = sys.argv[1], json.loads(sys.argv[2])

    def say(line):
        print(json.dumps(line), flush=True)

    try:
        peer = importlib.import_module(f"peers.{name}")
        say({"found": peer.version()})
    except Exception as error:
        return say({"missing": reason(error)})
    for text in sys.stdin:
        for line in run(peer, text.strip(), options):
            say(line)
        say({"done": True})


if __name__ == "__main__":
    main()
