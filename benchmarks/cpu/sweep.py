#!/usr/bin/env python3
"""One number of a shape runs through a range: are there cliffs?

  rows    1 to 128 query heads on one K/V head
  depth   head dims 8 to 576 in steps of 8
  tokens  1 to 8 new tokens

Times each shape with `einhead bench`, which checks it first.  Writes
sweep-NAME.svg and sweep-NAME.json, and names each point that takes more than
1.3 times what its neighbours let expect: a straight line through two on each
side, or the time of the one before, grown as the number does.  Such a point is
timed up to twice more and its least median counts, for other work on the
machine makes cliffs too.

Exit codes: 0 done, 1 a result is wrong or failed, 2 usage.
"""

import argparse
import json
import os
import sys

import bench
import shapes
from plot import FAINT, INK, OWN, ROOF, dot, label, line

CLIFF = 1.3
SWEEPS = {
    "rows": ("{}/1/128@4096", range(1, 129)),
    "depth": ("8/1/{}@4096", range(8, 577, 8)),
    "tokens": ("32/8/128@4096 tokens={}", range(1, 9)),
}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 64, 24, 44, 52


def numbers(text):
    """"1,2,8-32:8": numbers and ranges with a step."""
    result = []
    for part in text.split(","):
        first, _, rest = part.partition("-")
        last, _, step = rest.partition(":")
        result += range(int(first), int(last or first) + 1, int(step or 1))
    return result


def trend(points, index):
    """Where the line through up to two points on each side meets this one."""
    near = [points[i] for i in range(max(0, index - 2), min(len(points), index + 3)) if i != index]
    mean_x = sum(x for x, _ in near) / len(near)
    mean_y = sum(y for _, y in near) / len(near)
    spread = sum((x - mean_x) ** 2 for x, _ in near)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in near) / spread
    return mean_y + slope * (points[index][0] - mean_x)


def cliffs(points):
    """[(x, microseconds, times the expected)] of the points that stand out."""
    found = []
    for index, (x, y) in enumerate(points):
        ratios = [0.0]
        if 0 < index < len(points) - 1:  # the ends have neighbours on one side
            ratios.append(y / max(trend(points, index), 1e-9))
        if index > 0:
            before_x, before_y = points[index - 1]
            ratios.append(y / (before_y * x / before_x))
        if max(ratios) > CLIFF:
            found.append((x, y, max(ratios)))
    return found


def ticks(largest):
    """About five round numbers from 0."""
    step = 10.0 ** (len(str(int(largest))) - 1)
    while largest / step < 4:
        step /= 2
    return [step * i for i in range(int(largest / step) + 1)]


def draw(name, template, points, floors):
    largest_x = max(x for x, _ in points)
    largest_y = max(y for _, y in points + floors) or 1

    def at(x, y):
        return (LEFT + x / largest_x * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - y / largest_y * (HEIGHT - TOP - BOTTOM))

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
             f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
             label(LEFT, 24, f"{template.format('N')}: µs by {name}", INK, 15)]
    for x in ticks(largest_x):
        parts += [line(at(x, 0), at(x, largest_y), FAINT),
                  label(at(x, 0)[0], HEIGHT - BOTTOM + 18, f"{x:g}", anchor="middle")]
    for y in ticks(largest_y):
        parts += [line(at(0, y), at(largest_x, y), FAINT),
                  label(LEFT - 8, at(0, y)[1] + 4, f"{y:g}", anchor="end")]
    for series, color in ((floors, ROOF), (points, OWN)):
        parts += [line(at(*one), at(*two), color, 1.5) for one, two in zip(series, series[1:])]
    steep = {x for x, _, _ in cliffs(points)}
    parts += [dot(*at(x, y), OWN, x in steep, f"{x}: {y:.1f} µs") for x, y in points]
    parts.append(label(WIDTH - RIGHT, HEIGHT - 12, "line: Einhead, grey: the read floor; filled: "
                       f"over {CLIFF} times what its neighbours let expect", size=11, anchor="end"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--over", choices=SWEEPS, required=True, help="what runs through a range")
    add("--points", help="in place of the whole range: 1,2,8-32:8")
    add("--shape", metavar="TEXT", help="in place of the sweep's own, with {} for the number")
    add("--temperature", choices=("cold", "warm"), default="cold")
    add("--threads", type=int, default=0, help="0: as many as there are cores")
    add("--seconds", type=float, default=0.3, help="of measuring, for each point")
    add("--out", default=os.path.join("build", "bench-cpu"), help="folder of the files")
    add("--einhead", metavar="PATH", help="the tool; otherwise build/release/bin, then PATH")
    add("--cpu", default="host", help="the CPU that Einhead compiles for")
    add("--perturb", type=float, default=0, help=argparse.SUPPRESS)  # for the test
    arguments = parser.parse_args()
    template, values = SWEEPS[arguments.over]
    arguments.template = arguments.shape or template
    arguments.einhead = arguments.einhead or bench.find_tool()
    try:
        arguments.values = numbers(arguments.points) if arguments.points else list(values)
        for value in arguments.values:
            shapes.parse(arguments.template.format(value))
    except (shapes.ShapeError, ValueError, IndexError) as error:
        parser.exit(2, f"sweep.py: {error}\n")
    if not arguments.einhead:
        parser.exit(2, "sweep.py: no einhead; ./dev build, or give --einhead\n")
    arguments.threads = arguments.threads or len(os.sched_getaffinity(0))
    return arguments


def main():
    arguments = parse_arguments()
    os.makedirs(arguments.out, exist_ok=True)
    points, floors, records, failed = [], [], [], 0

    def measure(value):
        shape = shapes.parse(arguments.template.format(value))
        return str(shape), bench.run_einhead(arguments, shape, arguments.temperature)

    stem = os.path.join(arguments.out, f"sweep-{arguments.over}")
    for value in arguments.values:
        shape, own = measure(value)
        records.append(dict(own, shape=shape))
        if "failed" in own:
            failed += 1
            print(f"{shape}: {own['failed']}", flush=True)
            continue
        points.append((value, own["median_us"]))
        floors.append((value, own["floor_us"]))
        print(f"{shape}: {own['median_us']:.1f} µs, floor {own['floor_us']:.1f}", flush=True)
    for _ in range(2):
        for x, y, _ in cliffs(points):
            shape, own = measure(x)
            records.append(dict(own, shape=shape))
            if "failed" not in own:
                points[points.index((x, y))] = (x, min(y, own["median_us"]))
    with open(stem + ".json", "w", encoding="utf-8") as file:
        json.dump(records, file, indent=1)
    if points:
        with open(stem + ".svg", "w", encoding="utf-8") as file:
            file.write(draw(arguments.over, arguments.template, points, floors))
    for x, y, ratio in cliffs(points):
        print(f"cliff: {arguments.template.format(x)} takes {y:.1f} µs, {ratio:.2f} times what "
              "its neighbours let expect")
    print(f"files: {stem}.json, {stem}.svg")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
