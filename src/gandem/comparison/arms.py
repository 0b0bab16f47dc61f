"""The arms of a comparison, and what several trainings of each say: means over seeds, and differences seed by seed."""

from __future__ import annotations

import contextlib
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gandem.errors import RecipeError
from gandem.judge.figure import Figure, quantile, shown
from gandem.recipe import load_recipe, parse_settings

AS_THEY_ARE = {"data.mirror": False, "data.turn": False}
"""Settings under which arms read the same samples that differ in how these are shown."""


@dataclass(frozen=True)
class Arm:
    """One way to train. name: as it was asked for. recipe: a preset or a file; settings: keys of it that differ."""

    name: str
    recipe: str
    settings: dict[str, Any]

    @property
    def folder(self) -> str:
        """A name for its folder."""
        return re.sub(r"[^\w.=+-]+", "_", self.name).strip("._") or "arm"


def parse_arm(text: str) -> Arm:
    """Read "default" or "default+game.loss=hinge+game.gamma=1": a recipe, and keys of it that are changed.

    Raises RecipeError for a recipe or a key that is not known, with the arm in front.
    """
    recipe, *changes = text.split("+")
    with of_arm(text):
        arm = Arm(text, recipe, parse_settings(changes))
        load_recipe(arm.recipe, arm.settings)
    return arm


@contextlib.contextmanager
def of_arm(name: str) -> Iterator[None]:
    """Say in front of a RecipeError which arm it is about."""
    try:
        yield
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from error


def parse_arms(texts: Sequence[str]) -> list[Arm]:
    """Read the arms of a comparison, two at least, all different, and of the same data; raises RecipeError."""
    arms = [parse_arm(text) for text in texts]
    folders = [arm.folder for arm in arms]
    if len(arms) < 2 or len(set(folders)) < len(folders):
        raise RecipeError(
            "a comparison takes two or more different recipes, as in: gandem compare default default+game.loss=hinge"
        )
    seen = [load_recipe(arm.recipe, arm.settings | AS_THEY_ARE).data for arm in arms]
    for arm, data in zip(arms, seen, strict=True):
        if data != seen[0]:  # judged by other samples: their distances could not be compared
            raise RecipeError(
                f"{arm.name} and {arms[0].name} read the data in different ways; use --set data... for all"
            )
    return arms


def mean(values: Sequence[float]) -> Figure:
    """Return the mean of values of several trainings with its t interval (Student 1908); of one, without bounds."""
    centre, n = statistics.fmean(values), len(values)
    half = quantile(n - 1) * statistics.stdev(values) / math.sqrt(n) if n > 1 else math.inf
    return Figure(centre, centre - half, centre + half, n)


def standing(found: Sequence[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Say how each arm stands by a distance: its mean over seeds, and its difference to the first arm, seed by seed.

    found: {"arm", "seed", metric: a figure in JSON types or None, "failed": why, or None} of every training, the arms
    in order. The difference rests on the seeds that both arms have; "word" is better, worse or "cannot tell" if its
    interval holds 0, and says how many trainings failed: neither arm is the better one if any of its own did.
    """
    values: dict[str, dict[int, float]] = {}
    failed: Counter[str] = Counter()
    seeds = Counter(row["arm"] for row in found)
    for row in found:
        measured = values.setdefault(row["arm"], {})
        failed[row["arm"]] += row["failed"] is not None
        if row[metric] is not None:
            measured[row["seed"]] = row[metric]["value"]
    base, first = next(iter(values.items()))
    rows = []
    for arm, measured in values.items():
        both = [measured[seed] - first[seed] for seed in measured if seed in first]
        difference = mean(both) if both and arm != base else None
        word = "the first" if arm == base else _word(difference)
        praised = {"better": arm, "worse": base}.get(word)
        if praised and failed[praised]:
            word = "cannot tell"
        lost = f", {failed[arm]} of {seeds[arm]} failed" if failed[arm] else ""
        rows.append(
            {
                "arm": arm,
                "mean": mean(list(measured.values())).to_dict() if measured else None,
                "difference": difference.to_dict() if difference else None,
                "failed": failed[arm],
                "word": word + lost,
            }
        )
    return rows


def table(found: Sequence[dict[str, Any]], metrics: dict[str, str]) -> str:
    """Return everything as Markdown: a table of every metric (by title), then every training."""
    lines = []
    for metric, title in metrics.items():
        lines += [f"## {title}", "", "| | mean | beside the first | |", "| --- | --- | --- | --- |"]
        for row in standing(found, metric):
            lines.append(_line([row["arm"], _shown(row["mean"]), _shown(row["difference"]), row["word"]]))
        lines.append("")
    lines += [
        "## Every training",
        "",
        "| | seed | images | seconds | " + " | ".join(metrics.values()) + " | verdict |",
        "| --- |" + " --- |" * (4 + len(metrics)),
    ]
    for row in found:
        cells = [_shown(row[metric], counts=True) for metric in metrics]
        told = [row["arm"], str(row["seed"]), f"{row['images']:,}", f"{row['seconds']:.0f}", *cells, row["verdict"]]
        lines.append(_line(told))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    """Return a line of a table; what failed may be told with bars of its own, which are no borders."""
    plain = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(plain)} |"


def _word(difference: Figure | None) -> str:
    if difference is None:
        return "no numbers"
    if difference.n < 2:
        return "cannot tell: one seed"
    return "better" if difference.high < 0 else "worse" if difference.low > 0 else "cannot tell"


def _shown(figure: dict[str, Any] | None, counts: bool = False) -> str:
    """Return a figure for a table, with a word where one seed gives it no bounds."""
    if figure is None:
        return "-"
    if figure["low"] is None:
        return f"{figure['value']:.3g} (one seed)"
    return shown(figure) + (f", n {figure['n']:,}" if counts else f", {figure['n']} seeds")
