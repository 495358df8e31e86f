"""A roofline plot, as SVG text.

Operations for each byte on one axis, operations a second on the other, both
logarithmic.  The slope is the fastest read; flat roofs are products of one kind
of instruction.  Each shape is a column of points; columns of one intensity
stand side by side around it.
"""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 560
LEFT, RIGHT, TOP, BOTTOM = 64, 300, 44, 52
INK, FAINT, ROOF, OWN, PEER = "#222222", "#dddddd", "#777777", "#0b5fa5", "#c2571a"


class Axes:
    """Logarithmic, from one power of ten to another."""

    def __init__(self, xs, ys):
        self.x = self.decades(xs)
        self.y = self.decades(ys)

    @staticmethod
    def decades(numbers):
        low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
        return low, max(high, low + 1)

    def at(self, x, y):
        """Pixels of a point."""
        across = (math.log10(x) - self.x[0]) / (self.x[1] - self.x[0])
        up = (math.log10(y) - self.y[0]) / (self.y[1] - self.y[0])
        return (LEFT + across * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM))

    def limits(self):
        return [10.0 ** power for power in (*self.x, *self.y)]


def line(start, end, color, width=1.0, dash=""):
    style = f' stroke-dasharray="{dash}"' if dash else ""
    return (f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
            f'stroke="{color}" stroke-width="{width}"{style}/>')


def label(x, y, words, color=INK, size=12, anchor="start", turn=0):
    rotation = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" font-size="{size}" '
            f'text-anchor="{anchor}"{rotation}>{escape(words)}</text>')


def dot(x, y, color, is_filled, title):
    fill = color if is_filled else "#ffffff"
    return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{color}" '
            f'stroke-width="1.5"><title>{escape(title)}</title></circle>')


def square(x, y, title):
    return (f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="#ffffff" '
            f'stroke="{PEER}" stroke-width="1.5"><title>{escape(title)}</title></rect>')


def brief(number):
    return f"{number:.0f}" if number >= 20 else f"{number:.2f}"


def shifts(found):
    """{number of the shape: pixels to the right}"""
    result = {}
    for intensity in {x for _, x, *_ in found}:
        numbers = sorted({number for number, x, *_ in found if math.isclose(x, intensity)})
        for index, number in enumerate(numbers):
            result[number] = 7 * (index - (len(numbers) - 1) / 2)
    return result


def grid(axes, prefix):
    low_x, high_x, low_y, high_y = axes.limits()
    for power in range(axes.x[0], axes.x[1] + 1):
        x, y = axes.at(10.0 ** power, low_y)
        yield line((x, y), axes.at(10.0 ** power, high_y), FAINT)
        yield label(x, y + 18, f"{10.0 ** power:g}", anchor="middle")
    for power in range(axes.y[0], axes.y[1] + 1):
        x, y = axes.at(low_x, 10.0 ** power)
        yield line((x, y), axes.at(high_x, 10.0 ** power), FAINT)
        yield label(x - 8, y + 4, f"{10.0 ** power:g}", anchor="end")
    yield label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "operations for each byte of K and V",
                anchor="middle")
    yield label(18, HEIGHT / 2, f"{prefix}FLOP/s", anchor="middle", turn=-90)


def roofs(axes, rate, peaks, prefix):
    low_x, high_x, low_y, high_y = axes.limits()
    top = max(peaks.values(), default=high_y)
    if rate:
        begin, end = max(low_x, low_y / rate), min(high_x, top / rate, high_y / rate)
        if begin < end:
            yield line(axes.at(begin, begin * rate), axes.at(end, end * rate), ROOF, 2)
            middle = math.sqrt(begin * end)
            x, y = axes.at(middle, middle * rate)
            yield label(x - 10, y, f"read, {brief(rate)} {prefix}B/s", ROOF, anchor="end")
    for name, peak in peaks.items():
        if not low_y < peak <= high_y:
            continue
        begin = min(max(low_x, peak / rate), high_x) if rate else low_x
        yield line(axes.at(begin, peak), axes.at(high_x, peak), ROOF, 2)
        x, y = axes.at(high_x, peak)
        yield label(x - 4, y - 5, f"{name}, {peak:.0f} {prefix}FLOP/s", ROOF, anchor="end")


def legend(names, markers):
    x, y = WIDTH - RIGHT + 24, TOP + 8
    for index, (kind, words) in enumerate(markers):
        yield mark(kind, x, y - 4 + 18 * index, "")
        yield label(x + 14, y + 18 * index, words)
    y += 18 * len(markers) + 12
    for number, words in enumerate(names, 1):
        words = f"{number}. {words}"
        yield label(x - 6, y + 18 * (number - 1),
                    words if len(words) < 42 else words[:40] + "…", size=11)


def mark(kind, x, y, title):
    """"filled" and "hollow" are ours, "peer" is another's."""
    return square(x, y, title) if kind == "peer" else dot(x, y, OWN, kind == "filled", title)


def roofline(title, found, names, markers, rate, peaks, prefix):
    """`found`: [(number of the shape, operations a byte, operations a second,
    kind of mark, title)]; `names` of the shapes from number 1 on; `markers`:
    [(kind, words)]; `rate` of reading and {name: peak}, in units of `prefix`,
    "G" or "T"."""
    height = max(HEIGHT, TOP + 80 + 18 * len(names))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
             label(LEFT, 24, title, size=15)]
    if not found:
        parts.append(label(LEFT, 60, "no shape has a time"))
        return "\n".join([*parts, "</svg>"]) + "\n"
    axes = Axes([x for _, x, _, _, _ in found],
                [y for _, _, y, _, _ in found] + list(peaks.values()))
    parts += [*grid(axes, prefix), *roofs(axes, rate, peaks, prefix)]
    moved = shifts(found)

    def place(number, x, y):
        across, down = axes.at(x, y)
        return across + moved[number], down

    for number in sorted(moved):
        column = [place(one, x, y) for one, x, y, _, _ in found if one == number]
        top, bottom = min(column, key=lambda at: at[1]), max(column, key=lambda at: at[1])
        parts.append(line(bottom, top, FAINT, 1.5))
        parts.append(label(top[0], top[1] - 9, str(number), size=11, anchor="middle"))
    for number, x, y, kind, name in found:
        parts.append(mark(kind, *place(number, x, y), name))
    return "\n".join([*parts, *legend(names, markers), "</svg>"]) + "\n"
