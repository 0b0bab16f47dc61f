"""Samples of numbers as a picture: points in a plane, or a line for each."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

SIDE, CELL, MARGIN = 480, (96, 64), 10
PAPER, FRAME, INK = (255, 255, 255), (225, 225, 225), (30, 90, 170)
COLOURS = ((30, 90, 170), (200, 95, 20), (40, 140, 70), (150, 60, 150), (120, 120, 120), (180, 150, 20))
MOST = 512
"""Numbers of a sample that a line goes through; longer ones are thinned out."""


def drawn(samples: np.ndarray, columns: int | None = None) -> Image.Image:
    """Draw (n, 2) as points, other shapes as lines in cells, row by row, all on one scale.

    columns: samples in a row, where every column may be a class; as many columns as rows when None.
    """
    values = np.asarray(samples, np.float64).reshape(len(samples), -1)
    return _points(values, columns) if values.shape[1] == 2 else _lines(values, columns)


def _points(values: np.ndarray, columns: int | None) -> Image.Image:
    paper = Image.new("RGB", (SIDE, SIDE), PAPER)
    pen = ImageDraw.Draw(paper)
    pen.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=FRAME)
    places = MARGIN + (SIDE - 2 * MARGIN) * _scaled(values, axis=0)
    for number, (x, y) in enumerate(places):
        pen.circle((x, SIDE - y), 2, COLOURS[number % (columns or 1) % len(COLOURS)])
    return paper


def _lines(values: np.ndarray, columns: int | None) -> Image.Image:
    columns = columns or math.ceil(math.sqrt(len(values)))
    width, height = CELL
    paper = Image.new("RGB", (columns * width + 1, math.ceil(len(values) / columns) * height + 1), PAPER)
    pen = ImageDraw.Draw(paper)
    values = values[:, :: math.ceil(values.shape[1] / MOST)]
    inside = height - 2 * MARGIN
    heights = MARGIN + inside * (1 - _scaled(values, axis=None))
    along = np.linspace(MARGIN / 2, width - MARGIN / 2, values.shape[1]) if values.shape[1] > 1 else [width / 2]
    for number, line in enumerate(heights):
        x, y = number % columns * width, number // columns * height
        pen.rectangle((x, y, x + width, y + height), outline=FRAME)
        points = [(x + right, y + down) for right, down in zip(along, line, strict=True)]
        if len(points) > 1:
            pen.line(points, INK, 1)
        else:
            pen.circle(points[0], 2, INK)
    return paper


def _scaled(values: np.ndarray, axis: int | None) -> np.ndarray:
    """Bring values onto [0, 1]."""
    low, high = values.min(axis=axis), values.max(axis=axis)
    return (values - low) / np.where(high > low, high - low, 1.0)
