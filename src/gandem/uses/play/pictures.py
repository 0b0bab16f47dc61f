"""The moments of a game as pictures: the plane with both players in it, and their losses beside it."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gandem.uses.play.playing import EXTENT, FIELD, Moment, Played

SIDE, PANEL, MARGIN = 440, 300, 14
"""Pixels of the plane's sides, of the curves' width, and between them."""
TOP = 30
PAPER, INK, FAINT = (255, 255, 255), (40, 40, 40), (150, 150, 150)
REAL, MADE = (120, 120, 120), (20, 20, 20)
LOW, HIGH, STEPS = torch.tensor([120, 165, 220]), torch.tensor([245, 170, 95]), 6
"""Where the discriminator finds samples generated, and real; shades of each, few, so that the file is small."""
CURVES = {
    "discriminator/adversarial": ("loss of the discriminator", (200, 95, 20)),
    "generator/adversarial": ("loss of the generator", (30, 90, 170)),
}
ARROWS = 14
FRAME_MILLISECONDS, LAST_MILLISECONDS = 90, 2500


def animation(played: Played, title: str) -> bytes:
    """Return a GIF of all moments; the last one stays for a while."""
    frames = [frame(played, number, title) for number in range(len(played.moments))]
    palette = frames[-1].quantize(64)
    drawn = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
    durations = [FRAME_MILLISECONDS] * (len(drawn) - 1) + [LAST_MILLISECONDS]
    data = io.BytesIO()
    drawn[0].save(data, "GIF", save_all=True, append_images=drawn[1:], duration=durations, loop=0)
    return data.getvalue()


def frame(played: Played, number: int, title: str) -> Image.Image:
    """Return one moment: the plane on the left, the losses up to now on the right, a title above."""
    moment = played.moments[number]
    paper = Image.new("RGB", (3 * MARGIN + SIDE + PANEL, TOP + SIDE + MARGIN), PAPER)
    pen = ImageDraw.Draw(paper)
    pen.text((MARGIN, 8), title, INK, font=ImageFont.load_default(13))
    paper.paste(plane(played.real, moment), (MARGIN, TOP))
    paper.paste(losses(played.moments[: number + 1]), (2 * MARGIN + SIDE, TOP))
    return paper


def plane(real: Tensor, moment: Moment) -> Image.Image:
    """Draw what the discriminator thinks of every place, where it pulls, real points in grey and generated in black."""
    score = torch.tanh(moment.field - moment.field.median()).nan_to_num().flip(0)
    smooth = Image.fromarray(score.numpy()).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    score = torch.from_numpy(np.asarray(smooth).copy())[:, :, None]
    share = (score.abs() * STEPS).round() / STEPS
    shade = torch.where(score > 0, HIGH, LOW) * share + PAPER[0] * (1 - share)
    picture = Image.fromarray(shade.byte().numpy())
    pen = ImageDraw.Draw(picture)
    _arrows(pen, moment.slope.numpy())
    _dots(pen, real, 1.0, REAL)
    _dots(pen, moment.made, 1.5, MADE)
    pen.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=FAINT)
    return picture


def losses(moments: Sequence[Moment]) -> Image.Image:
    """Draw the losses of both players up to the last of the moments."""
    picture = Image.new("RGB", (PANEL, SIDE), PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    left, top, right, bottom = 34, 64, PANEL - 4, SIDE - 30
    values = [moment.losses[name] for moment in moments for name in CURVES if math.isfinite(moment.losses[name])]
    low, high = min([0.0, *values]), max([1.0, *values])
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - top)
        pen.line((left, y, right, y), fill=(225, 225, 225))
        pen.text((0, y - 7), f"{low + share * (high - low):.2g}", FAINT, font=font)
    for row, (name, (words, colour)) in enumerate(CURVES.items()):
        pen.text((left, 4 + 18 * row), f"{words}: {moments[-1].losses[name]:.2f}", colour, font=font)
        line = [
            (left + each.progress * (right - left), bottom - (each.losses[name] - low) / (high - low) * (bottom - top))
            for each in moments
            if math.isfinite(each.losses[name])
        ]
        if len(line) > 1:
            pen.line(line, fill=colour, width=2)
    pen.text((left, bottom + 8), f"{moments[-1].step:,} steps", FAINT, font=font)
    return picture


def _place(points: np.ndarray) -> np.ndarray:
    """Turn coordinates into pixels of the plane."""
    return np.stack([(points[..., 0] + EXTENT), (EXTENT - points[..., 1])], -1) * (SIDE / (2 * EXTENT))


def _dots(pen: ImageDraw.ImageDraw, points: Tensor, radius: float, colour: tuple[int, int, int]) -> None:
    for x, y in _place(points.numpy()).tolist():
        if math.isfinite(x) and math.isfinite(y):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _arrows(pen: ImageDraw.ImageDraw, slope: np.ndarray) -> None:
    """Draw the way in which a generated point would be pulled, longer where the pull is stronger."""
    picked = np.linspace(1, FIELD - 2, ARROWS).round().astype(int)
    axis = np.linspace(-EXTENT, EXTENT, FIELD)[picked]
    pull = slope[np.ix_(picked, picked)]
    size = np.linalg.norm(pull, axis=2, keepdims=True)
    reach = 0.7 * (2 * EXTENT / ARROWS) * pull / max(float(np.median(size)) * 2, 1e-9)
    reach *= np.minimum(1, 0.7 * (2 * EXTENT / ARROWS) / np.maximum(np.linalg.norm(reach, axis=2, keepdims=True), 1e-9))
    start = np.stack(np.meshgrid(axis, axis), -1)
    for tail, head in zip(_place(start).reshape(-1, 2), _place(start + reach).reshape(-1, 2), strict=True):
        along = head - tail
        length = float(np.hypot(*along))
        if not length > 2:
            continue
        pen.line((*tail, *head), fill=FAINT)
        across = np.array([-along[1], along[0]]) / length
        for side in (-1, 1):
            pen.line((*head, *(head - 3 * along / length + side * 2 * across)), fill=FAINT)
