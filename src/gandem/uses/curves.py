"""Curves of a training as SVG text, to stand in a page: lists of points in, text out, nothing else needed.

Colours, strokes and letters belong to the page, by class (report.html); so a chart follows its light and its dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 440, 252
LEFT, RIGHT, TOP, BOTTOM = 50, 422, 48, 206
"""The drawing and the rectangle of the curves in it, in units of the drawing; a page scales them to its width."""
MOST = 100
"""Points of a line; with the corners of its band a curve takes three times as many."""
DOTS = 30
"""Up to so many points are drawn as dots too."""
SPAN = 20
"""Values that span more than this have a logarithmic axis."""
SMALLEST = 1e-30
"""What is smaller counts as 0."""

Point = tuple[float, float]
"""(images shown, value), both finite."""


@dataclass(frozen=True)
class Curve:
    """A line with its name in the legend."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Chart:
    """What is drawn. The horizontal axis counts the samples shown.

    key: a word that no other chart of the page has. unit: what the vertical axis measures. curves: one or two.
    reference: a value to compare with, and what it stands for. best: a point to mark. rulings: images at which the
    referee did something, marked 1, 2, ... noun: what the samples are called.
    """

    key: str
    title: str
    unit: str
    curves: Sequence[Curve]
    reference: tuple[float, str] | None = None
    best: Point | None = None
    rulings: Sequence[float] = ()
    noun: str = "images"


@dataclass(frozen=True)
class Axis:
    """Called with a value, returns its place in the drawing: `start` for low, `end` for high, the nearer if outside."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]
    log: bool = False

    def __call__(self, value: float) -> float:
        low, here, high = (
            math.log10(number) if self.log else number
            for number in (self.low, min(max(value, self.low), self.high), self.high)
        )
        return round(self.start + (here - low) / (high - low) * (self.end - self.start), 1)


def draw(chart: Chart) -> str:
    """Return a chart as an SVG element; valid XML. At least one of its curves must have a point."""
    x, y = _axes(chart)
    inside = [
        f'<title id="{chart.key}-title">{escape(chart.title)}</title>',
        f'<desc id="{chart.key}-said">{escape(summary(chart))}</desc>',
        _grid(x, y, chart.noun),
        *(_ruling(number, x(images)) for number, images in enumerate(chart.rulings, 1)),
    ]
    if chart.reference:
        height = y(chart.reference[0])
        inside.append(f'<line class="reference" x1="{LEFT}" x2="{RIGHT}" y1="{height}" y2="{height}"/>')
    for curve, colour in zip(chart.curves, ("one", "two"), strict=False):
        inside.append(_curve(curve, colour, x, y))
    if chart.best:
        across, height = x(chart.best[0]), y(chart.best[1])
        anchor = "end" if across > (LEFT + RIGHT) / 2 else "start"
        inside.append(
            f'<circle class="best" cx="{across}" cy="{height}" r="6"/><text class="best" x="{across}" '
            f'y="{height - 12:.1f}" text-anchor="{anchor}">best: {chart.best[1]:.3g}</text>'
        )
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-labelledby="{chart.key}-title '
        f'{chart.key}-said">{"".join(inside)}{_legend(chart, y.log)}</svg>'
    )


def summary(chart: Chart) -> str:
    """Say a chart in words, for those who do not see it."""
    said = []
    for curve in chart.curves:
        if points := sorted(curve.points, key=lambda point: point[0]):
            values = [value for _, value in points]
            said.append(
                f"{curve.name}: {values[0]:.3g} after {short(points[0][0])} {chart.noun}, {values[-1]:.3g} after "
                f"{short(points[-1][0])}; lowest {min(values):.3g}, highest {max(values):.3g}."
            )
    if chart.best:
        said.append(f"Best: {chart.best[1]:.3g} after {short(chart.best[0])} {chart.noun}.")
    if chart.rulings:
        said.append(f"Rulings of the referee after {', '.join(map(short, chart.rulings))} {chart.noun}.")
    return " ".join(said)


def thin(points: Sequence[Point], most: int = MOST) -> list[tuple[float, float, float, float]]:
    """Return at most `most` of (images, mean, lowest, highest), each of equally many neighbours; none is lost in it."""
    size = math.ceil(len(points) / most)
    buckets = [points[start : start + size] for start in range(0, len(points), max(size, 1))]
    found = []
    for bucket in buckets:
        images, values = zip(*bucket, strict=True)
        found.append((sum(images) / len(bucket), sum(values) / len(bucket), min(values), max(values)))
    return found


def linear_ticks(low: float, high: float) -> list[float]:
    """Return 3 to 5 round numbers in equal steps, the first at most `low` <= 0 and the last at least `high` >= 0."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    for digit in (1, 2, 5, 10, 20):
        first, last = math.floor(round(low / step / digit, 9)), math.ceil(round(high / step / digit, 9))
        if last - first <= 4:
            break
    return [float(f"{number * digit * step:.9g}") for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 3 to 5 numbers such as 0.1, 1, 10, the first at most `low` and the last at least `high`; both above 0."""
    bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits, decades in ((1, 2, 5), 1), ((1, 3), 1), *(((1,), decades) for decades in range(1, 80)):
        rungs = [
            float(f"{digit}e{power}")
            for power in range(bottom - decades, top + decades + 1, decades)
            for digit in digits
        ]
        first = max(rung for rung in rungs if rung <= low)
        last = min(rung for rung in rungs if rung >= high)
        ticks = [rung for rung in rungs if first <= rung <= last]
        if len(ticks) <= 5:
            return ticks
    raise ValueError(f"{low} to {high} is no range of measured numbers")


def short(value: float) -> str:
    """Return a number for an axis: 40k, 1.5M, 0.05."""
    for size, letter in (1e9, "G"), (1e6, "M"), (1e3, "k"):
        if size <= abs(value) < 1000 * size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.3g}"


def _axes(chart: Chart) -> tuple[Axis, Axis]:
    points = [point for curve in chart.curves for point in curve.points]
    longest = max([1.0, *(images for images, _ in points), *chart.rulings])
    counts = [tick for tick in linear_ticks(0, longest) if tick <= longest]
    x = Axis(0, longest, LEFT, RIGHT, counts)
    values = [value for _, value in points] + ([chart.reference[0]] if chart.reference else [])
    positive = [value for value in values if value > SMALLEST]
    # A logarithmic axis has no 0: values of 0 lie on its lower end.
    if positive and min(values) >= 0 and max(positive) > SPAN * min(positive):
        ticks = log_ticks(min(positive), max(positive))
        return x, Axis(ticks[0], ticks[-1], BOTTOM, TOP, ticks, log=True)
    low, high = min(0.0, *values), max(0.0, *values)
    ticks = linear_ticks(low, high if high - low > SMALLEST else low + 1)
    return x, Axis(ticks[0], ticks[-1], BOTTOM, TOP, ticks)


def _grid(x: Axis, y: Axis, noun: str) -> str:
    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>'
        f'<text x="{LEFT - 7}" y="{y(tick)}" dy=".35em" text-anchor="end">{short(tick)}</text>'
        for tick in y.ticks
    ]
    lines += [
        f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="{BOTTOM}" y2="{BOTTOM + 5}"/>'
        f'<text x="{x(tick)}" y="{BOTTOM + 20}" text-anchor="middle">{short(tick)}</text>'
        for tick in x.ticks
    ]
    lines.append(f'<text x="{RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{noun} shown</text>')
    return "".join(lines)


def _curve(curve: Curve, colour: str, x: Axis, y: Axis) -> str:
    rows = thin(sorted(curve.points, key=lambda point: point[0]))
    upper = [f"{x(images)},{y(high)}" for images, _, _, high in rows]
    lower = [f"{x(images)},{y(low)}" for images, _, low, _ in reversed(rows)]
    line = " ".join(f"{x(images)},{y(mean)}" for images, mean, _, _ in rows)
    band = (
        f'<polygon class="band {colour}" points="{" ".join(upper + lower)}"/>' if len(rows) < len(curve.points) else ""
    )
    dots = [f'<circle class="dot {colour}" cx="{x(images)}" cy="{y(mean)}" r="2.5"/>' for images, mean, _, _ in rows]
    return f'{band}<polyline class="line {colour}" points="{line}"/>{"".join(dots if len(rows) <= DOTS else [])}'


def _ruling(number: int, across: float) -> str:
    """Return the mark of a ruling; the numbers go down in turn, so that neighbours do not hide each other."""
    height = TOP + 10 + 14 * ((number - 1) % 3)
    return (
        f'<line class="ruling" x1="{across}" x2="{across}" y1="{TOP}" y2="{BOTTOM}"/>'
        f'<text class="ruling" x="{across - 4:.1f}" y="{height}" text-anchor="end">{number}</text>'
    )


def _legend(chart: Chart, log: bool) -> str:
    """Return the unit of the values, and the names of the lines where there is more than one to tell apart."""
    names = [(f"line {colour}", curve.name) for curve, colour in zip(chart.curves, ("one", "two"), strict=False)]
    if chart.reference:
        names.append(("reference", f"{chart.reference[0]:g}: {chart.reference[1]}"))
    if len(names) < 2:
        names = []
    across = LEFT
    parts = [f'<text x="{LEFT}" y="{14 if names else 32}">{escape(chart.unit)}{", logarithmic" if log else ""}</text>']
    for kind, name in names:
        parts.append(f'<line class="{kind}" x1="{across}" x2="{across + 22}" y1="32" y2="32"/>')
        parts.append(f'<text x="{across + 28}" y="32" dy=".35em">{escape(name)}</text>')
        across += 46 + 8 * len(name)
    return "".join(parts)
