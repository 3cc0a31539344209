"""The plot of the growing store: it owns turning figures into a small SVG, and knows no store.

Both axes are logarithmic: a line as steep as the dotted one costs in proportion to the objects, a
level one costs the same however many there are. Greys and mid-tone colours on no background, so
that it reads on a light page as on a dark one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 236, 28, 44
GREY = "#8b949e"
SERIES = (
    ("put_s_per_million", "put, s per million objects", "#2f81f7"),
    ("start_s", "start, s", "#e3732f"),
    ("plan_half_s", "export of a half planned, s", "#3fa14a"),
    ("reindex_s", "reindex, s", "#a371f7"),
    ("first_page_s", "first page of a batch, s", "#d4488e"),
    ("view_million_s", "view of a million published, s", "#6e7781"),
    ("engine_gb", "engine's memory at most, GB", "#b8860b"),
)
ENGINE_MEMORIES = ("engine_started_mb", "put_engine_mb", "plan_half_engine_mb", "reindex_engine_mb")


def draw(found: Sequence[dict[str, float]]) -> str:
    """Return the SVG of the figures of several sizes."""
    points = {name: [(f["objects"], value_of(name, f)) for f in found] for name, _, _ in SERIES}
    values = [value for line in points.values() for _, value in line]
    plane = _Plane([f["objects"] for f in found], values)
    parts = [*plane.grid(), plane.proportional()]
    heights = _apart([plane.y(points[name][-1][1]) for name, _, _ in SERIES], 17)
    for (name, label, colour), height in zip(SERIES, heights, strict=True):
        parts += plane.line(points[name], colour)
        at = WIDTH - RIGHT + 14
        parts.append(f'<text x="{at}" y="{height + 4:.0f}" fill="{colour}">{label}</text>')
    style = "font-family='system-ui,sans-serif' font-size='13'"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {style}>'
    title = "<title>What the store costs as it grows, both axes logarithmic</title>"
    return "\n".join([head, title, *parts, "</svg>", ""])


def value_of(name: str, figures: dict[str, float]) -> float:
    """Return what a series shows of one size's figures; all are seconds, or gigabytes."""
    match name:
        case "put_s_per_million":
            return 1e6 / figures["put_objects_per_s"]
        case "first_page_s":
            return figures["first_page_ms"] / 1e3
        case "engine_gb":
            return max(figures[name] for name in ENGINE_MEMORIES) / 1e3
        case _:
            return figures[name]


class _Plane:
    """Where a pair of values lies in the picture."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.decades_x = _decades(xs)
        self.decades_y = _decades(ys)

    def x(self, value: float) -> float:
        low, high = self.decades_x[0], self.decades_x[-1]
        return LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.decades_y[0], self.decades_y[-1]
        share = (math.log10(max(value, 10**low)) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def grid(self) -> Iterable[str]:
        for decade in self.decades_y:
            y = self.y(10.0**decade)
            yield _stroke([(LEFT, y), (WIDTH - RIGHT, y)], GREY, "stroke-opacity='0.35'")
            yield _text(LEFT - 8, y + 4, f"{10.0**decade:g}", "end")
        for decade in self.decades_x:
            x = self.x(10.0**decade)
            yield _stroke([(x, TOP), (x, HEIGHT - BOTTOM)], GREY, "stroke-opacity='0.35'")
            yield _text(x, HEIGHT - BOTTOM + 18, f"{10**decade:,}", "middle")
        yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "objects in the store", "middle")
        yield _text(LEFT, TOP - 12, "s or GB", "middle")

    def line(self, points: Sequence[tuple[float, float]], colour: str) -> Iterable[str]:
        places = [(self.x(x), self.y(y)) for x, y in points]
        yield _stroke(places, colour, "stroke-width='2.2'")
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4" fill="{colour}"/>'

    def proportional(self) -> str:
        """A dotted line of slope one through the upper left of the picture."""
        steps = min(self.decades_x[-1] - self.decades_x[0], self.decades_y[-1] - self.decades_y[0])
        x, y = 10.0 ** self.decades_x[0], 10.0 ** (self.decades_y[-1] - steps)
        ends = [(self.x(x), self.y(y)), (self.x(x * 10**steps), self.y(y * 10**steps))]
        return _stroke(ends, GREY, "stroke-dasharray='2 4'")


def _decades(values: Sequence[float]) -> range:
    low = math.floor(math.log10(min(value for value in values if value > 0)) + 1e-9)
    high = math.ceil(math.log10(max(values)) - 1e-9)
    return range(low, max(high, low + 1) + 1)


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """Move labels down until none covers another one."""
    placed = list(heights)
    last = -math.inf
    for position in sorted(range(len(placed)), key=lambda position: heights[position]):
        last = placed[position] = max(placed[position], last + least)
    return placed


def _stroke(points: Sequence[tuple[float, float]], colour: str, more: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" {more}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{GREY}" text-anchor="{anchor}">{text}</text>'
