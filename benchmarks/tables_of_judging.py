"""The tables of the judge and its cheats in docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from table_parts import Result, interval, longest_first, origin, table

SETS = ("fashion", "cifar", "faces", "cells")
"""The columns, from left to right."""
CHEATS = ("blurred", "one class", "one image repeated", "noise")
KINDS = ("none", "plain", "mirrored", "shifted")
WORDS = """
Verdict and, in brackets, Fréchet share; downwards the words should get worse. Features: {features}. The 371 cells are
judged with features of their own, learnt in the same way from all the other sets: the shipped ones have learnt from
half of the cells, and of the rest too few are left for three parts of 100.
"""
COPIES = """
How often copying is said of samples of which none, or a tenth, are copies (samples a trial: {counts}).
"""


def judging_section(results: dict[str, Result]) -> list[str]:
    """Return what the judge says of cheats, and how often it calls out copies; results by set."""
    names = [name for name in SETS if name in results]
    figures = [results[name]["figures"] for name in names]
    runs = longest_first({name: told for found in figures for name, told in found["verdicts"].items()})
    words = [[name, *(_word(found["verdicts"].get(name)) for found in figures)] for name in ("real", *runs, *CHEATS)]
    order = [f"{name} {_order(found['order'])}" for name, found in zip(names, figures, strict=True)]
    called_out = [found["copies"]["called_out"] for found in figures]
    copied = [[kind, *(f"{interval(shares[kind], 100, 0)} %" for shares in called_out)] for kind in KINDS]
    counts = [f"{name} {found['copies']['n']:,}" for name, found in zip(names, figures, strict=True)]
    features = dict.fromkeys("{name} ({fingerprint})".format(**found["features"]) for found in figures)
    return [
        "## What the judge says of cheats",
        WORDS.format(features=", ".join(features)),
        *table(["", *names], words),
        f"\nOrder of the words: {'; '.join(order)}.",
        COPIES.format(counts=", ".join(counts)),
        *table(["a tenth copied", *names], copied),
        *origin([results[name] for name in names]),
    ]


def _word(told: dict[str, Any] | None) -> str:
    if told is None:
        return "-"
    return told["verdict"] + (f" ({interval(told['frechet_share'])})" if "frechet_share" in told else "")


def _order(order: dict[str, Any]) -> str:
    """Say which neighbours have the same word, or have theirs the wrong way round."""
    said = [f"{one} = {other}" for one, other in order["ties"]]
    said += [f"{one} worse than {other}" for one, other in order["reversed"]]
    return ", ".join(said) or "strict"
