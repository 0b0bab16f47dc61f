"""Small drawings of the judge's numbers about a table as SVG text; colours and letters belong to the page, by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from gandem.judge.figure import Figure

BARS, CATEGORIES = 24, 12
"""Bars of a number's histogram, and categories that are drawn, most frequent first; the others are one bar."""
WIDTH, HEIGHT = 144, 38
CELL, MARGIN, LETTERS = 22, 130, 18
"""Side of a cell of the heat map, room for names, and letters of a name that fit."""


def histogram(made: np.ndarray, real: np.ndarray, categorical: bool) -> str:
    """Draw how often values (n,) and (m,) occur: real ones filled, generated ones as a line; missing at the end."""
    ours, theirs = _shares(made, real, categorical)
    top = max(float(np.max([ours, theirs])), 1e-12)
    step = WIDTH / len(ours)
    heights = [[HEIGHT - (HEIGHT - 2) * float(share) / top for share in shares] for shares in (ours, theirs)]
    bars = "".join(
        f'<rect x="{index * step:.1f}" y="{y:.1f}" width="{step * 0.92:.1f}" height="{HEIGHT - y:.1f}"/>'
        for index, y in enumerate(heights[1])
    )
    line = " ".join(
        f"{index * step:.1f},{y:.1f} {(index + 1) * step:.1f},{y:.1f}" for index, y in enumerate(heights[0])
    )
    return (
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<g class="two">{bars}</g><polyline class="one" points="{line}"/></svg>'
    )


def bar(share: float, kind: str = "one") -> str:
    """Draw a share in [0, 1] as a bar."""
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="10"/><rect class="{kind}" width="{width:.1f}" height="10"/></svg>'
    )


def heat(values: Mapping[tuple[int, int], float], best: Mapping[tuple[int, int], float], names: Sequence[str]) -> str:
    """Draw a value in [0, 1] of each pair of columns: the paler, the nearer to what real rows reach."""
    size = MARGIN + CELL * len(names)
    cells = []
    for (i, j), value in values.items():
        lack = min(max((best.get((i, j), 1.0) - value) * 4, 0.0), 1.0)  # a quarter less is the darkest
        said = escape(f"{names[i]} and {names[j]}: {value:.3f}, real rows {best.get((i, j), 1.0):.3f}")
        x, y = MARGIN + i * CELL, 8 + j * CELL
        cells.append(
            f'<rect x="{x}" y="{y}" width="{CELL - 2}" height="{CELL - 2}" rx="3" opacity="{0.06 + 0.94 * lack:.2f}">'
            f"<title>{said}</title></rect>"
        )
    labels = "".join(
        f'<text x="{MARGIN - 6}" y="{8 + index * CELL + 14}" text-anchor="end">{_short(name)}</text>'
        f'<text transform="translate({MARGIN + index * CELL + 8} {14 + index * CELL}) rotate(-35)">'
        f"{_short(name)}</text>"
        for index, name in enumerate(names)
    )
    return (
        f'<svg class="heat" viewBox="0 0 {size + 60} {16 + CELL * len(names)}" role="img" '
        f'aria-label="pair trends">{"".join(cells)}{labels}</svg>'
    )


def forest(rows: Sequence[tuple[str, Figure, Figure]]) -> str:
    """Draw (name, generated, real) as two intervals each, on one axis."""
    low, high = (
        extreme(end(figure) for row in rows for figure in row[1:])
        for extreme, end in ((min, lambda figure: figure.low), (max, lambda figure: figure.high))
    )
    low, high = min(low, 0.0), max(high, 0.0)
    left, right, step = 230, 640, 30

    def place(value: float) -> float:
        return left + (value - low) / max(high - low, 1e-12) * (right - left)

    drawn = [f'<line class="axis" x1="{place(0):.1f}" x2="{place(0):.1f}" y1="4" y2="{step * len(rows) + 4}"/>']
    for index, (name, made, real) in enumerate(rows):
        y = step * index + 18
        drawn.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{_short(name, 34)}</text>')
        for figure, kind, down in ((made, "one", -4), (real, "two", 4)):
            drawn.append(
                f'<g class="{kind}"><line x1="{place(figure.low):.1f}" x2="{place(figure.high):.1f}" y1="{y + down}" '
                f'y2="{y + down}"/><circle cx="{place(figure.value):.1f}" cy="{y + down}" r="3.5"/></g>'
            )
    ends = (
        f'<text x="{left}" y="{step * len(rows) + 18}">{low:.2g}</text>'
        f'<text x="{right}" y="{step * len(rows) + 18}" text-anchor="end">{high:.2g}</text>'
    )
    return (
        f'<svg class="forest" viewBox="0 0 {right + 10} {step * len(rows) + 24}" role="img" '
        f'aria-label="coefficients">{"".join(drawn)}{ends}</svg>'
    )


def _shares(made: np.ndarray, real: np.ndarray, categorical: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of bars of both, (k,) each."""
    there = real[~np.isnan(real)]
    if categorical:
        known, counts = np.unique(there, return_counts=True)
        order = known[np.argsort(-counts, kind="stable")]
        kept = order[:CATEGORIES]
        parts = [np.array([(values == code).mean() for code in kept]) for values in (made, real)]
        if len(order) > len(kept) or not np.isin(made[~np.isnan(made)], kept).all():
            others = [
                1 - part.sum() - np.isnan(values).mean() for part, values in zip(parts, (made, real), strict=True)
            ]
            parts = [np.append(part, max(rest, 0.0)) for part, rest in zip(parts, others, strict=True)]
    else:
        low, high = np.quantile(there, (0.005, 0.995)) if len(there) else (0.0, 1.0)
        edges = np.linspace(low, high if high > low else low + 1, BARS + 1)
        parts = [
            np.histogram(np.clip(values[~np.isnan(values)], edges[0], edges[-1]), edges)[0] / len(values)
            for values in (made, real)
        ]
    missing = [float(np.isnan(values).mean()) for values in (made, real)]
    if max(missing) > 0:
        parts = [np.append(part, share) for part, share in zip(parts, missing, strict=True)]
    return parts[0], parts[1]


def _short(name: str, letters: int = LETTERS) -> str:
    return escape(name if len(name) <= letters else name[: letters - 1] + "…")
