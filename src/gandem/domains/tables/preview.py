"""Rows as a picture of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    import polars as pl

MOST_ROWS, MOST_COLUMNS, MOST_LETTERS = 16, 16, 18
PAPER, HEAD, STRIPE, INK, GREY = (255, 255, 255), (30, 60, 100), (243, 246, 250), (30, 30, 30), (150, 150, 150)
ROW, GAP = 20, 8
MISSING, CUT = "-", ".."
"""Of signs that Pillow's own font has."""


def drawn(frame: pl.DataFrame) -> Image.Image:
    """Draw the first rows and columns of a table."""
    font = ImageFont.load_default(13)
    shown = frame.head(MOST_ROWS)
    names = shown.columns[:MOST_COLUMNS]
    cells = [[_short(name), *(_text(value) for value in shown[name].to_list())] for name in names]
    widths = [max(round(font.getlength(cell)) for cell in column) + 2 * GAP for column in cells]
    paper = Image.new("RGB", (sum(widths) + 1, (shown.height + 1) * ROW + 1), PAPER)
    pen = ImageDraw.Draw(paper)
    for row in range(shown.height + 1):
        fill = HEAD if row == 0 else STRIPE if row % 2 else PAPER
        pen.rectangle((0, row * ROW, paper.width, (row + 1) * ROW - 1), fill=fill)
    left = 0
    for name, column, width in zip(names, cells, widths, strict=True):
        right_bound = shown[name].dtype.is_numeric()
        for row, cell in enumerate(column):
            at = left + width - GAP - font.getlength(cell) if right_bound else left + GAP
            ink = PAPER if row == 0 else GREY if cell == MISSING else INK
            pen.text((at, row * ROW + 2), cell, ink, font)
        left += width
    return paper


def _text(value: object) -> str:
    if value is None:
        return MISSING
    return _short(f"{value:.6g}" if isinstance(value, float) else str(value))


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - len(CUT)] + CUT
