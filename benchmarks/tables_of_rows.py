"""The tables of rows: real tables beside other generators, and rows on conditions."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from table_parts import Result, origin, table

ROWS = """
A fifth of each table, never shown to anybody, judges. Told apart: AUC of a gradient-boosted classifier between made and
held-out real rows, equally many, each scored by a model that has not seen it; 0.5 if it cannot. Useful: AUC on held-out
real rows of such a classifier that learnt the target from made rows. Pairs: 1 - total variation of two columns
together, mean over all pairs. Target: share of its rarer value in made and in real rows. Seconds: of one processor
core, for reading and training, and in brackets for the judgement that follows in ours, with its page. Absent:
categories of the training rows that are in none of as many made rows as there are held-out ones, in brackets in none of
those: rare ones are absent from real rows as well. Gaps: the largest difference, in points, of the share of rows in
which a column is missing, and in which two are missing together. Means of the seeds, in brackets the half-width of the
95 % interval over the held-out rows of the first. CTGAN and TVAE at their own defaults (300 epochs); the real rows are
the training rows themselves, which no generator can be better than; independent columns are the floor.
"""
ORDER = ("real", "gandem", "ctgan", "tvae", "independent")
NAMES = {
    "real": "real rows",
    "gandem": "gandem",
    "ctgan": "CTGAN",
    "tvae": "TVAE",
    "independent": "independent columns",
}


def rows_section(results: dict[str, Result]) -> list[str]:
    """Return how well gandem and others learn each table; results by name, rows-<table>-<arm>[-budget]-seed<n>."""
    by_table: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for name, result in results.items():
        _, of, arm, *budget, _ = name.split("-")
        by_table[of]["-".join([arm, *budget])].append(result)
    head = ["", "seeds", "told apart", "useful", "pairs", "target, %", "seconds", "absent", "gaps", "impossible rows"]
    lines = ["## Tables", ROWS]
    for of, arms in by_table.items():
        ordered = sorted(arms, key=lambda arm: (ORDER.index(arm.partition("-")[0]), arm))
        lines += ["", f"### {of}", "", *table(head, [_cells(arm, arms[arm]) for arm in ordered])]
    return [*lines, *origin([each for arms in by_table.values() for many in arms.values() for each in many])]


FOLDS = """
A single fifth of a small table tells little, so here each of five is the test once, and every arm learns from the other
four. Mean of the five AUCs on real rows, half-width of its 95 % interval from that of each; difference of gandem, fold
by fold (paired t, five folds: 2.776 standard errors); seconds of one processor core for a fold, as above.
"""
T_FIVE = 2.776
"""97.5 % point of Student's t with four degrees of freedom."""


def folds_section(results: dict[str, Result]) -> list[str]:
    """Return how useful rows are when every row of a table is tested on once; results by name, folds-<table>-<arm>."""
    by_table: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(dict)
    for name, result in results.items():
        _, of, arm = name.split("-")
        by_table[of][arm] = result["figures"]["folds"]
    rows = []
    for of, arms in by_table.items():
        for arm in sorted(arms, key=ORDER.index):
            useful = [fold["useful"] for fold in arms[arm]]
            half = sum(((each["high"] - each["low"]) / 2) ** 2 for each in useful) ** 0.5 / len(useful)
            ahead = [ours["useful"]["value"] - each["value"] for ours, each in zip(arms["gandem"], useful, strict=True)]
            error = T_FIVE * statistics.stdev(ahead) / len(ahead) ** 0.5
            rows.append(
                [
                    of,
                    NAMES[arm],
                    f"{_mean([each['value'] for each in useful]):.3f} (± {half:.3f})",
                    "-" if arm == "gandem" else f"{_mean(ahead):+.3f} (± {error:.3f})",
                    _seconds(arms[arm]),
                ]
            )
    head = ["table", "", "useful", "gandem is ahead by", "seconds"]
    return ["## Useful, fold by fold", FOLDS, *table(head, rows), *origin(list(results.values()))]


def _cells(arm: str, results: list[Result]) -> list[str]:
    found = [result["figures"] for result in results]
    name, _, budget = arm.partition("-")
    budget = budget or str(found[0].get("budget", ""))
    shown = f", {budget}" + ("" if budget.endswith(("m", "s")) else " rows shown") if name == "gandem" else ""
    return [
        NAMES[name] + shown,
        str(len(found)),
        _figure([each["told_apart"] for each in found]),
        _figure([each["useful"] for each in found]),
        f"{_mean([each['pairs'] for each in found]):.3f}",
        f"{100 * _mean([each['target_share'] for each in found]):.1f} ({100 * found[0]['real_target_share']:.1f})",
        _seconds(found),
        _absent([each["absent"] for each in found if "absent" in each]),
        _gaps([each["gaps"] for each in found if "gaps" in each]),
        ", ".join(f"{key} {_mean([each['nonsense'][key] for each in found]):,.0f}" for key in found[0]["nonsense"]),
    ]


def _seconds(found: list[dict[str, Any]]) -> str:
    """Say how long the training took, and the judgement after it."""
    judging = [each.get("judging_cpu_seconds", 0.0) for each in found]
    training = [each["cpu_seconds"] - after for each, after in zip(found, judging, strict=True)]
    return f"{_mean(training):,.0f}" + (f" (+ {_mean(judging):,.0f})" if any(judging) else "")


def _absent(counts: list[dict[str, int]]) -> str:
    """Say how many categories are absent from made rows, and from real ones; older results do not know it."""
    if not counts:
        return "-"
    return f"{_mean([each['made'] for each in counts]):.1f} ({counts[0]['real']}) of {counts[0]['rows']:,} rows"


def _gaps(points: list[dict[str, float]]) -> str:
    return ", ".join(f"{_mean([each[of] for each in points]):.1f}" for of in ("column", "pair")) if points else "-"


def _figure(figures: list[dict[str, Any]]) -> str:
    values = [each["value"] for each in figures]
    if None in values:
        return "-"
    return f"{_mean(values):.3f} (± {(figures[0]['high'] - figures[0]['low']) / 2:.3f})"


def _mean(values: list[float]) -> float:
    return statistics.fmean(values)


def conditions_section(result: Result) -> list[str]:
    """Return how rows on conditions compare with real rows that meet them."""
    found = result["figures"]
    rows = [
        [
            " ".join(each["asked"]).replace("|", "\\|"),
            f"{each['real_rows']:,}",
            f"{100 * each['share']:.1f} ({100 * each['chance']:.1f})" if each["chance"] is not None else "-",
            f"{100 * each['met']:.1f}",
            f"{each['variation']:.3f}",
            f"{each['real_halves']:.3f}",
        ]
        for each in found["conditions"]
    ]
    head = ["asked", "real rows", "part of all, % (as told)", "met, %", "total variation", "of real halves"]
    text = (
        f"Twenty random conditions on Adult, {found['count']:,} rows each: met in {100 * found['mean_met']:.2f} % of "
        "them; total variation of the other columns from real rows that meet them, mean over columns, and the same "
        "between two halves of those real rows, which is what their number makes out of nothing."
    )
    return ["## Rows on conditions", "", text, "", *table(head, rows), *origin([result])]


def drawing_section(result: Result) -> list[str]:
    """Return how many rows a second come out."""
    found = result["figures"]
    rows = [
        [
            each["conditions"] or "none",
            f"{found['count'] / each['cpu_seconds']:,.0f}",
            f"{found['count'] / each['seconds']:,.0f}",
            str(each["threads"]),
        ]
        for each in found["drawn"]
    ]
    text = (
        f"{found['count']:,} rows of {found['columns']} columns into a {found['file']} file, the run opened, drawn and "
        f"written: the best of {found['repeats']}. Other programs beside it matter less for seconds of the processor."
    )
    head = ["conditions", "rows a second of the processor", "rows a second", "threads"]
    return ["## Drawing rows", "", text, "", *table(head, rows), *origin([result])]
