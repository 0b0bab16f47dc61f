"""The tables of modes: the ring and the grid in the plane, and stacked digits."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from typing import Any

from table_parts import ARMS, Result, interval, origin, table

GAUSSIANS = """
{count:,} points of each training's generator; budget of a training: {budget}, or as its row says. Modes: those with a
point within 3 deviations, and the standard error of their mean. High quality: points so near a mode. Reverse KL: of
these points over the modes; as many of the right distribution have {floors} in the mean. Means of all seeds, the worst
one in brackets. All three: seeds with every mode, at least 95 % and at most 0.02. Seconds: of one processor core. What
differs between our rows is the loss alone, and the budget where it is said. Published: means of 10 trainings (Lin et
al. 2018, "PacGAN", table 1), whose protocol this is; nothing of theirs was run here.
"""
PUBLISHED = {
    "GAN": [("6.3 ± 0.5", "98.2", "0.45"), ("17.3 ± 0.8", "94.8", "0.70")],
    "ALI": [("6.6 ± 0.3", "97.6", "0.36"), ("24.1 ± 0.4", "95.7", "0.14")],
    "PacGAN2": [("7.9 ± 0.1", "95.6", "0.07"), ("23.8 ± 0.7", "91.3", "0.13")],
    "PacGAN3": [("7.8 ± 0.1", "97.7", "0.10"), ("24.6 ± 0.4", "94.2", "0.06")],
    "PacGAN4": [("7.8 ± 0.1", "95.9", "0.07"), ("24.8 ± 0.2", "93.6", "0.04")],
}
MODES = {"ring": 8, "grid": 25}


def gaussians_section(results: list[Result]) -> list[str]:
    """Return how well every loss learns the ring and the grid, beside what was published."""
    by_loss: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(dict)
    first = results[0]["figures"]
    for figures in (result["figures"] for result in results):
        longer = "" if figures["budget"] == first["budget"] else f", {figures['budget'].replace('images', 'points')}"
        by_loss[figures["loss"] + longer][figures["shape"]] = figures["trainings"]
    rows = [
        [f"gandem, {loss}"] + [cell for name in MODES for cell in learnt(name, shapes.get(name))]
        for loss, shapes in by_loss.items()
    ]
    rows += [
        [f"{name}, published"] + [cell for shape in shapes for cell in (*shape, "-", "-")]
        for name, shapes in PUBLISHED.items()
    ]
    parts = ["modes of {modes}", "high quality, %", "reverse KL", "all three", "seconds"]
    head = [""] + [f"{name}: {part.format(modes=modes)}" for name, modes in MODES.items() for part in parts]
    count = first["trainings"][0]["modes"]["n"]
    floors = " and ".join(f"{(modes - 1) / 2 / count:.4f} ({name})" for name, modes in MODES.items())
    text = GAUSSIANS.format(count=count, budget=first["budget"].replace("images", "points"), floors=floors)
    return ["## Modes of the ring and the grid", text, "", *table(head, rows), *origin(results)]


def learnt(shape: str, trainings: list[dict[str, Any]] | None) -> list[str]:
    """Return a loss's cells for one shape."""
    if not trainings:
        return ["-"] * 5
    modes, near, kl = ([row[key]["value"] for row in trainings] for key in ("modes", "high_quality", "reverse_KL"))
    kl = [math.inf if value is None else value for value in kl]
    right = sum(m == MODES[shape] and q >= 0.95 and d <= 0.02 for m, q, d in zip(modes, near, kl, strict=True))
    error = statistics.stdev(modes) / math.sqrt(len(modes)) if len(modes) > 1 else 0.0
    return [
        f"{statistics.mean(modes):.1f} ± {error:.1f} ({min(modes)})",
        f"{100 * statistics.mean(near):.1f} ({100 * min(near):.1f})",
        f"{statistics.mean(kl):.4f} ({max(kl):.4f})",
        f"{right} of {len(trainings)}",
        f"{statistics.mean(row['processor_seconds'] for row in trainings):.0f}",
    ]


STACKED = """
Three random digits as the colours of one picture, without labels; {count:,} samples, each colour named by a classifier
that is right for {accuracy:.1%} of real test digits. KL: from the shares of the 1,000 modes to equal ones, in nats; so
many perfect samples have 0.019 because they are counted, and stacks of real test digits what stands in their row.
Published (two decimals as printed there; nothing of theirs was run here): PacDCGAN2 1,000 modes and 0.06 (Lin et al.
2018), StyleGAN2 940 and 0.42, R3GAN 1,000 and 0.029 (Huang et al. 2024, after 56 GPU hours); of the tiny networks with
which Metz et al. 2017 provoke a collapse 78.5 and 5.21 in the non-saturating game, 667 and 1.81 with PacDCGAN4 (Lin et
al. 2018, after 500,000 steps of 128).
"""


def stacked_section(results: list[Result]) -> list[str]:
    """Return how many modes of stacked digits came out, and how evenly."""
    rows = []
    for result in sorted(results, key=lambda r: (list(ARMS).index(r["figures"]["arm"]), r["seed"])):
        found, training = result["figures"], result["figures"]["training"]
        minutes = f"{training['seconds'] / 60:.0f} of {found['minutes']:g}" if training else "-"
        images = f"{training['images']:,}" if training else "-"
        name = f"{ARMS[found['arm']]}, seed {result['seed']}"
        rows.append([name, minutes, images, f"{found['modes']:,}", interval(found["kl"], digits=3)])
    first = results[0]["figures"]
    text = STACKED.format(count=first["kl"]["n"], accuracy=first["classifier_accuracy"])
    return ["## Stacked MNIST", text, "", *table(["", "minutes", "images", "modes", "KL"], rows), *origin(results)]
