#!/usr/bin/env python3
"""Decode attention on this CPU: Einhead beside the floor and other libraries.

For each shape, cold and warm: `einhead bench`, which checks its result first,
then every library that is found.  Prints medians as a table; writes table.md,
results.json and roofline.svg into a folder.  Libraries that are not there are
named and left out.  Needs nothing but Python, and numpy for the libraries.

Exit codes: 0 done, 1 a result of Einhead is wrong or it failed, 2 usage.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys

import peers
import report
import roofline
import shapes
import yardstick
from processes import Peer

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(FOLDER))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--shape", action="append", metavar="TEXT",
        help="a shape (repeat it for more), in place of the list in shapes.py, which says how it "
             "is written: '32/8/128@4096 tokens=4'")
    add("--temperatures", default="cold,warm", metavar="cold,warm",
        help="cold: from memory; warm: one cache again and again")
    add("--peers", default=",".join(peers.LIBRARIES), metavar="a,b",
        help="of %(default)s; none")
    add("--threads", type=int, default=0, help="of everyone; 0: as many as there are cores")
    add("--seconds", type=float, default=2, help="of measuring, for each median")
    add("--limit", type=float, default=150, help="seconds that a library may take for a shape")
    add("--out", default=os.path.join("build", "bench-cpu"), help="folder of the files")
    add("--einhead", metavar="PATH", help="the tool; otherwise build/release/bin, then PATH")
    add("--cpu", default="host", help="the CPU that Einhead compiles for")
    add("--python", action="append", default=[], metavar="[PEER=]PATH",
        help="the interpreter that has the libraries, or one of them")
    add("--peak", action="append", default=[], metavar="NAME=GFLOP/s",
        help="a roof of the plot; otherwise those of `einhead doctor --measure`")
    add("--yardstick", metavar="BINARY",
        help="a program that prints times of the same shapes (yardstick.py says how): one column")
    add("--perturb", type=float, default=0, help=argparse.SUPPRESS)  # for the test
    arguments = parser.parse_args()

    def wrong(message):
        parser.exit(2, f"bench.py: {message}\n")

    arguments.temperatures = arguments.temperatures.split(",")
    if not set(arguments.temperatures) <= {"cold", "warm"}:
        wrong("--temperatures are cold and warm")
    arguments.peers = [] if arguments.peers == "none" else arguments.peers.split(",")
    for name in arguments.peers:
        if name not in peers.LIBRARIES:
            wrong(f"no peer '{name}'; there are {', '.join(peers.LIBRARIES)}")
    try:
        texts = arguments.shape or shapes.SHAPES
        arguments.shapes = [(str(shapes.parse(text)), shapes.parse(text)) for text in texts]
        arguments.roofs = [(peak.rsplit("=", 1)[0], float(peak.rsplit("=", 1)[1]))
                           for peak in arguments.peak]
    except shapes.ShapeError as error:
        wrong(error)
    except (ValueError, IndexError):
        wrong("write --peak as NAME=GFLOP/s, for example --peak='f32 FMA=230'")
    arguments.einhead = arguments.einhead or find_tool()
    if not arguments.einhead:
        wrong("no einhead; ./dev build, or give --einhead")
    arguments.threads = arguments.threads or len(os.sched_getaffinity(0))
    return arguments


def find_tool():
    built = os.path.join(ROOT, "build", "release", "bin", "einhead")
    return built if os.access(built, os.X_OK) else shutil.which("einhead")


def last_level_cache():
    """Bytes, as the system says."""
    sizes = [0]
    for index in range(8):
        try:
            with open(f"/sys/devices/system/cpu/cpu0/cache/index{index}/size") as file:
                text = file.read().strip()
        except OSError:
            continue
        units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
        sizes.append(int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text))
    return max(sizes)


def cpu_name():
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def measured_roofs(einhead):
    """GFLOP/s by name from `einhead doctor --measure`; none where it has not."""
    done = subprocess.run([einhead, "doctor", "--measure", "--json"], capture_output=True, text=True)
    try:
        rates = json.loads(done.stdout)["measured"]["products_gflop_s"]
        return [(rate["name"], rate["all"]) for rate in rates if rate["all"] > 0]
    except (ValueError, KeyError, TypeError):
        return []


def run_einhead(arguments, shape, temperature):
    command = [arguments.einhead, "bench", *shapes.bench_arguments(shape), "--json",
               f"--threads={arguments.threads}", f"--cpu={arguments.cpu}",
               f"--seconds={arguments.seconds}", f"--cold={str(temperature == 'cold').lower()}"]
    if arguments.perturb:
        command.append(f"--perturb={arguments.perturb}")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout)
    lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
    return {"failed": lines[0], "exit": done.returncode}


def start_peers(arguments):
    pythons = {}
    for entry in arguments.python:
        name, _, path = entry.rpartition("=")
        pythons[name] = path
    cold_bytes = max(2 * last_level_cache(), 1 << 30)
    options = {"threads": arguments.threads, "seconds": arguments.seconds,
               "temperatures": arguments.temperatures, "cold_bytes": cold_bytes}
    started = []
    for name in arguments.peers:
        python = pythons.get(name, pythons.get("", sys.executable))
        peer = Peer(name, [python, os.path.join(FOLDER, "peer.py"), name], options,
                    os.path.join(arguments.out, f"{name}.log"), arguments.limit)
        peer.start()
        note = f"found, {peer.version}" if peer.is_found else f"not found: {peer.missing}"
        print(f"{name}: {note}", flush=True)
        started.append(peer)
    return started


def save(results, folder):
    """Writes all files; returns the text of the table."""
    text = report.text(results)
    for name, content in (("results.json", json.dumps(results, indent=1) + "\n"),
                          ("table.md", text), ("roofline.svg", roofline.draw(results))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(content)
    return text


def main():
    arguments = parse_arguments()
    os.makedirs(arguments.out, exist_ok=True)
    results = {"cpu": cpu_name(), "threads": arguments.threads, "seconds": arguments.seconds,
               "last_level_cache": last_level_cache(), "peers": {}, "yardstick": None,
               "shapes": []}
    running = start_peers(arguments)
    for peer in running:
        results["peers"][peer.name] = {"version": peer.version} if peer.is_found else {
            "missing": peer.missing}
    roofs = arguments.roofs or measured_roofs(arguments.einhead)
    results["roofs_gflop_s"] = dict(roofs)
    if arguments.yardstick:
        results["yardstick"] = yardstick.run(arguments.yardstick, arguments.temperatures)
    try:
        for name, shape in arguments.shapes:
            entry = {"shape": name, "einhead": {}, "peers": []}
            for temperature in arguments.temperatures:
                entry["einhead"][temperature] = run_einhead(arguments, shape, temperature)
            for peer in running:
                entry["peers"] += [dict(line, peer=peer.name) for line in peer.ask(name)]
            results["shapes"].append(entry)
            text = save(results, arguments.out)  # a run that is stopped loses one shape
            print(report.progress(entry), flush=True)
    finally:
        for peer in running:
            peer.stop()
    print("\n" + text)
    print(f"files in {arguments.out}: table.md, results.json, roofline.svg")
    return 1 if report.failures(results) else 0


if __name__ == "__main__":
    sys.exit(main())
