"""The table."""

import math

import yardstick
from peers import LIBRARIES


def best(entry, temperature, name=None):
    """The fastest right case of one library, or of all."""
    cases = [record for record in entry["peers"]
             if temperature in record and not record.get("wrong")
             and name in (None, record["peer"])]
    return min(cases, key=lambda record: record[temperature]["median_us"], default=None)


def micros(number):
    return f"{number:.1f}" if number < 100 else f"{number:.0f}"


def cell(entry, temperature, name):
    """Of a library: its best time, or why there is none."""
    record = best(entry, temperature, name)
    if record:
        return micros(record[temperature]["median_us"])
    records = [record for record in entry["peers"] if record["peer"] == name]
    if any(record.get("wrong") for record in records):
        return "wrong"
    return "failed" if any("failed" in record for record in records) else "–"


def geometric_mean(numbers):
    numbers = list(numbers)
    return math.exp(sum(map(math.log, numbers)) / len(numbers)) if numbers else None


def ratios(results, temperature):
    """{heading: numbers} of the columns that have a mean."""
    found = {"÷ floor": [], "÷ best peer": [], "÷ yardstick": []}
    for entry in results["shapes"]:
        own = entry["einhead"][temperature]
        if "median_us" not in own:
            continue
        found["÷ floor"].append(own["ratio"])
        peer = best(entry, temperature)
        if peer:
            found["÷ best peer"].append(own["median_us"] / peer[temperature]["median_us"])
        measure = yardstick.find(results["yardstick"], entry["shape"], temperature)
        if measure:
            found["÷ yardstick"].append(own["median_us"] / measure)
    return found


def row(results, entry, temperature, names, has_yardstick):
    own, peer = entry["einhead"][temperature], best(entry, temperature)
    if "median_us" in own:
        cells = [f"{own['kv_bytes'] / 1e6:.1f}", micros(own["floor_us"]), micros(own["median_us"]),
                 f"{own['ratio']:.2f}", f"{own['kv_bytes'] / own['median_us'] / 1e3:.1f}",
                 f"{own['operations'] / own['median_us'] / 1e3:.0f}"]
    else:
        cells = ["", "", "wrong" if own["exit"] == 1 else "failed", "", "", ""]
    time = own.get("median_us")
    if has_yardstick:
        measure = yardstick.find(results["yardstick"], entry["shape"], temperature)
        cells += [micros(measure) if measure else "–",
                  f"{time / measure:.2f}" if time and measure else ""]
    if names:
        cells.append(f"{time / peer[temperature]['median_us']:.2f}" if time and peer else "")
    return [entry["shape"]] + cells + [cell(entry, temperature, name) for name in names]


def table(results, temperature):
    names = [name for name, peer in results["peers"].items() if "version" in peer]
    has_yardstick = bool(results["yardstick"]) and "failed" not in results["yardstick"]
    head = ["shape", "K/V MB", "floor µs", "Einhead µs", "÷ floor", "GB/s", "GFLOP/s"]
    head += ["yardstick µs", "÷ yardstick"] * has_yardstick + ["÷ best peer"] * bool(names)
    head += [f"{LIBRARIES[name][0]} µs" for name in names]
    rows = [row(results, entry, temperature, names, has_yardstick) for entry in results["shapes"]]
    means = {name: geometric_mean(numbers)
             for name, numbers in ratios(results, temperature).items()}
    last = ["geometric mean"] + [f"{means[name]:.2f}" if means.get(name) else ""
                                 for name in head[1:]]
    return markdown([head] + rows + [last])


def markdown(rows):
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]

    def text(cells):
        return "| " + " | ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths))) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if column == 0 else ":")
                          for column, width in enumerate(widths)) + "|"
    return "\n".join([text(rows[0]), rule] + [text(line) for line in rows[1:]])


def cases_text(results):
    """Which ways of a library were the fastest, and how often."""
    lines = []
    for name, peer in results["peers"].items():
        if "missing" in peer:
            title, install = LIBRARIES[name]
            lines.append(f"- {title}: not found ({peer['missing']}); {install}")
            continue
        counts = {}
        for entry in results["shapes"]:
            for temperature in entry["einhead"]:
                record = best(entry, temperature, name)
                if record:
                    counts[record["case"]] = counts.get(record["case"], 0) + 1
        ways = ", ".join(f"{case} ({count})" for case, count in
                         sorted(counts.items(), key=lambda item: -item[1])) or "no time"
        lines.append(f"- {LIBRARIES[name][0]} {peer['version']}: {ways}")
    return lines


def wrong_text(results):
    for entry in results["shapes"]:
        for record in entry["peers"]:
            what = record.get("case", LIBRARIES[record["peer"]][0])
            if record.get("wrong"):
                yield (f"- {entry['shape']}: {what} is wrong by {record['error']:.1e} of the "
                       "largest number")
            elif "failed" in record:
                yield f"- {entry['shape']}: {what} failed: {record['failed']}"


def failures(results):
    """What Einhead itself got wrong."""
    return [f"- {entry['shape']}, {temperature}: {own['failed']}"
            for entry in results["shapes"] for temperature, own in entry["einhead"].items()
            if "failed" in own]


def text(results):
    parts = [f"{results['cpu']}, {results['threads']} threads; medians, of each library its "
             "fastest right way; ÷ is Einhead's time by another one"]
    titles = {"cold": "Cold: caches that are read from memory",
              "warm": "Warm: one cache again and again"}
    for temperature in titles:
        if results["shapes"] and temperature in results["shapes"][0]["einhead"]:
            parts.append(f"### {titles[temperature]}\n\n{table(results, temperature)}")
    lists = [("Libraries, with the ways that were fastest and how often", cases_text(results)),
             ("Einhead failed", failures(results)),
             ("Not counted", list(wrong_text(results)))]
    if results["yardstick"] and "failed" in results["yardstick"]:
        lists.append(("Yardstick", [f"- {results['yardstick']['failed']}"]))
    parts += [f"{title}:\n\n" + "\n".join(lines) for title, lines in lists if lines]
    return "\n\n".join(parts) + "\n"


def progress(entry):
    """One line, as shapes are done."""
    parts = []
    for temperature, own in entry["einhead"].items():
        part = f"{temperature} {micros(own['median_us'])} µs, {own['ratio']:.2f} of the floor" \
            if "median_us" in own else f"{temperature} {own['failed']}"
        peer = best(entry, temperature)
        if peer:
            part += f", best peer {micros(peer[temperature]['median_us'])} ({peer['case']})"
        parts.append(part)
    return f"{entry['shape']}: " + "; ".join(parts)
