"""A comparison as one picture: every training a dot with its interval, every arm's first samples beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from gandem.comparison.arms import standing
from gandem.uses.curves import linear_ticks

LABEL, PLOT, STRIP, ROW, TOP, MARGIN = 250, 420, 620, 76, 54, 16
"""Pixels: width of the names, of the plot and of the samples; height of an arm and of the head; margin."""
PAPER, INK, FAINT, DOT, REAL = (255, 255, 255), (40, 40, 40), (225, 225, 225), (30, 90, 170), (20, 130, 80)


def draw(found: Sequence[dict[str, Any]], strips: Mapping[str, Image.Image], metric: str, title: str) -> Image.Image:
    """Return the picture of a distance.

    found: {"arm", "seed", metric: a figure in JSON types or None, "real": the same of real samples or None, "failed":
    why, or None, "verdict"}.
    strips: samples of each arm that made any.
    """
    words = {row["arm"]: row["word"] for row in standing(found, metric)}
    arms = list(words)
    paper = Image.new("RGB", (4 * MARGIN + LABEL + PLOT + STRIP, TOP + ROW * len(arms) + MARGIN), PAPER)
    pen, small, large = ImageDraw.Draw(paper), ImageFont.load_default(12), ImageFont.load_default(15)
    left = 2 * MARGIN + LABEL
    figures = [row[metric] for row in found if row[metric] is not None]
    real = next((row["real"]["value"] for row in found if row.get("real")), None)
    ends = [end for figure in figures for end in (figure["low"], figure["high"])] + [0.0 if real is None else real]
    ticks = linear_ticks(min(0.0, *ends), max(0.0, *ends) or 1.0)
    low, high = ticks[0], ticks[-1]

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * PLOT

    pen.text((left, 10), f"{title}, lower is better; each dot a training with its 95 % interval", INK, font=small)
    for tick in ticks:
        pen.line([(across(tick), TOP), (across(tick), TOP + ROW * len(arms))], FAINT)
        pen.text((across(tick), TOP - 20), f"{tick:.3g}", INK, font=small, anchor="ma")
    if real is not None:
        pen.line([(across(real), TOP), (across(real), TOP + ROW * len(arms))], REAL, 2)
        pen.text((across(real) + 4, TOP + ROW * len(arms) + 1), "real", REAL, font=small)
    for number, arm in enumerate(arms):
        top = TOP + ROW * number
        for line, part in enumerate(arm.split("+")):
            pen.text(
                (MARGIN, top + 8 + 17 * line), ("+ " if line else "") + part, INK, font=large if not line else small
            )
        pen.text((MARGIN + LABEL, top + 10), words[arm], DOT, font=small, anchor="ra")
        rows = [row for row in found if row["arm"] == arm]
        for place, row in enumerate(rows):
            height = top + ROW * (place + 1) / (len(rows) + 1)
            if (figure := row[metric]) is None:
                pen.text((left, height - 6), f"seed {row['seed']}: {row['verdict']}", INK, font=small)
                continue
            pen.line([(across(figure["low"]), height), (across(figure["high"]), height)], DOT, 2)
            x = across(figure["value"])
            pen.ellipse([x - 4, height - 4, x + 4, height + 4], DOT)
        if arm in strips:
            strip = strips[arm].convert("RGB")
            strip.thumbnail((STRIP, ROW - 8), Image.Resampling.LANCZOS)
            paper.paste(strip, (left + PLOT + MARGIN, top + (ROW - strip.height) // 2))
        pen.line([(MARGIN, top), (paper.width - MARGIN, top)], FAINT)
    return paper
