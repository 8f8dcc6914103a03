# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The lines of `growth.py` on standard input become a picture (SVG), or with `--table` a table (Markdown), on standard
output. Both axes are logarithmic: a straight line of slope 1 is a cost in proportion, a flat one no growth.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path

Points = dict[str, dict[str, dict[int, float]]]
"""Figure -> kind -> how many -> value."""

COLOURS = {"pods": "#1f6fb4", "services": "#c2571a", "policies": "#3b8a3e"}
LICENCE = "\n".join(["<!--", *(line[2:] for line in Path(__file__).read_text().splitlines()[:2]), "-->"])
"""Of this file; the picture has it too."""

WIDTH, HEIGHT, GAP_X, GAP_Y = 300, 190, 75, 70
COLUMNS = 3


def read(lines: Iterable[str]) -> tuple[Points, dict[str, str]]:
    """Points, and the unit of each figure. Lines of other benchmarks are left aside."""
    points: Points = {}
    units: dict[str, str] = {}
    for line in lines:
        found = json.loads(line) if line.startswith("{") else {}
        if found.get("name") == "growth":
            points.setdefault(found["figure"], {}).setdefault(found["kind"], {})[found["count"]] = found["value"]
            units[found["figure"]] = found["unit"]
    return points, units


def table(points: Points, units: dict[str, str]) -> str:
    """Rows are kinds and sizes."""
    figures = list(points)
    lines = [
        "| | " + " | ".join(f"{figure}, {units[figure]}" for figure in figures) + " |",
        "|---" * (len(figures) + 1) + "|",
    ]
    for kind in COLOURS:
        for count in sorted({count for figure in figures for count in points[figure].get(kind, {})}):
            cells = [points[figure].get(kind, {}).get(count) for figure in figures]
            words = ["" if cell is None else f"{cell:.3g}" for cell in cells]
            lines.append(f"| {count:,} {kind} | " + " | ".join(words) + " |")
    return "\n".join(lines) + "\n"


def picture(points: Points, units: dict[str, str]) -> str:
    """One panel for each figure."""
    rows = math.ceil(len(points) / COLUMNS)
    width, height = COLUMNS * (WIDTH + GAP_X) + 20, rows * (HEIGHT + GAP_Y) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, kind in enumerate(COLOURS):
        parts.append(f'<text x="{60 + number * 90}" y="18" fill="{COLOURS[kind]}" font-weight="bold">{kind}</text>')
    for number, (figure, series) in enumerate(points.items()):
        left = 60 + number % COLUMNS * (WIDTH + GAP_X)
        top = 55 + number // COLUMNS * (HEIGHT + GAP_Y)
        parts += _panel(left, top, f"{figure} ({units[figure]})", series)
    return "\n".join([LICENCE, *parts, "</svg>"]) + "\n"


def _panel(left: int, top: int, title: str, series: dict[str, dict[int, float]]) -> Iterable[str]:
    counts = [count for values in series.values() for count in values]
    values = [max(value, 0.001) for kind in series.values() for value in kind.values()]
    columns, rows = _decades(counts), _decades(values)

    def x(count: float) -> float:
        return left + WIDTH * (math.log10(count) - columns[0]) / (columns[-1] - columns[0])

    def y(value: float) -> float:
        return top + HEIGHT * (1 - (math.log10(max(value, 0.001)) - rows[0]) / (rows[-1] - rows[0]))

    yield f'<text x="{left}" y="{top - 8}" font-weight="bold">{escape(title)}</text>'
    for power in columns:
        yield _line(x(10**power), top, x(10**power), top + HEIGHT)
        yield f'<text x="{x(10**power):.0f}" y="{top + HEIGHT + 16}" text-anchor="middle">{_number(power)}</text>'
    for power in rows:
        yield _line(left, y(10**power), left + WIDTH, y(10**power))
        yield f'<text x="{left - 6}" y="{y(10**power) + 4:.0f}" text-anchor="end">{_number(power)}</text>'
    for kind, found in series.items():
        spots = [(x(count), y(value)) for count, value in sorted(found.items())]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in spots)
        yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[kind]}" stroke-width="2"/>'
        for across, down in spots:
            yield f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{COLOURS[kind]}"/>'


def _decades(values: Iterable[float]) -> range:
    """Powers of ten around the values, at least two."""
    logs = [math.log10(value) for value in values]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return range(low, max(high, low + 1) + 1)


def _number(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


if __name__ == "__main__":
    show = table if sys.argv[1:] == ["--table"] else picture
    sys.stdout.write(show(*read(sys.stdin)))
