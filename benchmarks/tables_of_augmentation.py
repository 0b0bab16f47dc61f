"""The tables of `gandem augment`: trials whose answer is known, and the answers for real tables and images."""

from __future__ import annotations

from typing import Any

from table_parts import Result, interval, origin, table

TEXT = """\
Answers of `gandem augment` for gandem's own generator, by cross-validation with test rows that it never saw; a
difference below 0.01 in the AUC is of no practical use. Free arms: noise, mixup, flips and crops of images, and where
classes differ in size class weights, oversampling, SMOTE; where one helps, or harms, it is named. Smallest effect:
what would have been found in four of five such experiments. Worth: as much as so many more, or fewer, real ones,
where the learning curve rises clearly. Learners: boosted trees and logistic regression, of images a small network of
300 steps and logistic regression; in every fold the one that is better without anything. The network takes as many
steps with more images as without. One run each.
"""
TRIALS = """
Trials whose answer is known, 100 of each. Nothing can help: copies of the training rows; columns shuffled within their
class; labels by chance. Planted: nine tenths of the rows are held back and are the generator.
"""


def augmentation_section(results: dict[str, Result]) -> list[str]:
    """Return how far the verdict can be trusted, and what it is; results by name, augmentation-<what>."""
    lines = ["## Does synthetic data help?", TRIALS]
    trials = [results[name] for name in sorted(results) if "-repeats" in name]
    head = ["what stands for the generator", "folds", "HELPS, %", "verdicts", "mean gain in AUC"]
    lines += table(head, [row for result in trials for row in _trials(result["figures"])])
    lines += origin(trials)
    answers = [results[f"augmentation-{what}"] for what in ("tables", "images") if f"augmentation-{what}" in results]
    head = ["data", "rows or images", "folds", "verdict", "AUC without", "difference", "smallest effect", "worth"]
    head += ["Brier score, difference", "free arms"]
    rows = [_answer(name, each) for result in answers for name, each in _asked(result).items()]
    lines += [TEXT, *table(head, rows), *origin(answers)]
    return lines


def _trials(figures: dict[str, Any]) -> list[list[str]]:
    folds = f"{figures['folds']} x {figures['repeats']}"
    return [
        [
            kind,
            folds,
            interval(each["helps"], 100, 0),
            ", ".join(f"{word} {count}" for word, count in each["verdicts"].items()),
            f"{each['gain']['mean']:+.3f}",
        ]
        for kind, each in figures.items()
        if isinstance(each, dict)
    ]


def _asked(result: Result) -> dict[str, Any]:
    """Return the answers by source, each with the samples that its generator was shown."""
    figures = result["figures"]
    of = figures["images"] if "images" in figures else figures["tables"]
    return {f"{name.partition(':')[0]}, {figures['budget']} shown": each for name, each in of.items()}


def _answer(name: str, found: dict[str, Any]) -> list[str]:
    free = [f"{arm} {each['answer']}" for arm, each in found["arms"].items() if arm != "generator"]
    worth = found["worth"]["rows"] if found["worth"] else None
    return [
        name,
        f"{sum(found['counts'].values()):,}",
        str(found["folds"]),
        found["verdict"],
        f"{found['baseline']:.3f}",
        interval(found["difference"], digits=3),
        f"{found['smallest']:.3f}",
        "-" if worth is None else f"{worth:+,} ({found['worth']['low']:+,} to {found['worth']['high']:+,})",
        interval(found["calibration"], digits=3),
        ", ".join(each for each in free if each.endswith(("HELPS", "HURTS"))) or "none",
    ]
