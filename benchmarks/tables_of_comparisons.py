"""The tables of comparisons at equal time: the default recipe beside classic ones, and augmentation of few images."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from typing import Any

from table_parts import Result, interval, origin, table

Figures = dict[str, Any]

CLASSICS = """
The default recipe, tuned to none of these sets, beside four classic ones with the settings of their papers
(`benchmarks/classics.py` has them), {minutes:g} minutes on one core each. Kernel distance x100 between generated and
held-out images in gandem's features; in brackets the 95 % interval of one seed, or the values of several. The default
is better or worse than the best classic recipe of a set where the 95 % interval of the difference of their means (of
the samples, not of the trainings) leaves out 0; else they tie.
"""
SMALL = """
Trained on about 100 images, CIFAR-10 on 500, {minutes:g} minutes on one core each, with no augmentation, always full,
and adaptive. Distances of 2,000 samples to all other images of the set, which nobody has learnt from, by features that
know none of these sets; the kernel distance x100. Means of the seeds ({seeds}). Copied: share of samples that lie too
near to a training image, and that of held-out images. Strength: of the adaptive augmentation at the end of each
training. Adaptive beside it: by how much the distance of the adaptive one is lower, with its 95 % interval; the same
real images judge both, so that their chance falls out of the difference. The intervals are those of samples, not of
trainings.
"""
AUGMENTED = ("none", "fixed", "adaptive")
ARMS = {"default": "gandem", "dcgan": "DCGAN", "sn_hinge": "SN, hinge", "wgan_gp": "WGAN-GP", "r1": "R1 alone"}


def classics_section(results: list[Result]) -> list[str]:
    """Return the table of one recipe for everything, and where it wins, ties and loses."""
    by_set: dict[str, dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        by_set[result["figures"]["set"]][result["figures"]["arm"]].append(result["figures"])
    rows = []
    for name, arms in by_set.items():
        named = {arm: [each["kernel_distance"] for each in runs if "failed" not in each] for arm, runs in arms.items()}
        cells = [distances(named.get(arm, [])) for arm in ARMS]
        rows.append([name, *cells, beside(named)])
    text = CLASSICS.format(minutes=results[0]["figures"]["minutes"])
    told = Counter(row[-1].partition(" ")[0] for row in rows)
    summary = ", ".join(f"{word} on {count}" for word, count in told.items())
    head = ["set", *ARMS.values(), "the default beside the best of the classics"]
    return [
        "## One recipe for everything",
        text,
        "",
        *table(head, rows),
        "",
        f"The default: {summary}.",
        *origin(results),
    ]


def distances(found: list[Figures]) -> str:
    """Return one arm's cell."""
    if not found:
        return "failed"
    if len(found) == 1:
        return interval(found[0], 100)
    values = ", ".join(f"{each['value'] * 100:.2f}" for each in found)
    return f"{mean_of(found)[0] * 100:.2f} ({values})"


def mean_of(found: list[Figures]) -> tuple[float, float]:
    """Return the mean of several distances and the half-width of its interval, from theirs."""
    halves = [(each["high"] - each["low"]) / 2 for each in found]
    return statistics.mean(each["value"] for each in found), math.hypot(*halves) / len(halves)


def beside(arms: dict[str, list[Figures]]) -> str:
    """Say in a word how the default stands to the best of the others."""
    ours, half = mean_of(arms["default"])
    others = {arm: mean_of(found) for arm, found in arms.items() if arm != "default" and found}
    best = min(others, key=lambda arm: others[arm][0])
    theirs, other_half = others[best]
    word = "tie" if abs(ours - theirs) <= math.hypot(half, other_half) else "better" if ours < theirs else "worse"
    return f"{word} than {ARMS[best]}" if word != "tie" else f"tie with {ARMS[best]}"


def small_section(results: list[Result]) -> list[str]:
    """Return the table of three kinds of augmentation where there is little data."""
    by_set: dict[str, dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        by_set[result["figures"]["set"]][result["figures"]["arm"]].append(result["figures"])
    rows = [
        [told if arm == AUGMENTED[0] else "", arm, *augmented(arms[arm]), *leads(arm, arms["adaptive"])]
        for name, arms in by_set.items()
        for told in [f"{name}: {arms['none'][0]['training']:,}, judged by {arms['none'][0]['judges']:,}"]
        for arm in AUGMENTED
        if arms[arm]
    ]
    head = ["images", "augmentation", "Fréchet distance", "kernel distance", "copied, %", "strength"]
    head += ["adaptive beside it, Fréchet", "adaptive beside it, kernel"]
    seeds = ", ".join(str(seed) for seed in sorted({result["seed"] for result in results}))
    text = SMALL.format(minutes=results[0]["figures"]["minutes"], seeds=seeds)
    return ["## Few images", text, "", *table(head, rows), *origin(results)]


def augmented(found: list[Figures]) -> list[str]:
    """Return both distances, the share of copies and the strengths of one arm."""
    mean, half = mean_of([each["kernel_distance"] for each in found])
    frechet = statistics.mean(each["frechet_distance"] for each in found)
    strengths = ", ".join(f"{each['augmentation'] or 0:.2f}" for each in found)
    return [f"{frechet:.2f}", f"{mean * 100:.2f} (± {half * 100:.2f})", copied(found), strengths]


def copied(found: list[Figures]) -> str:
    """Return the share of copies among samples and, in brackets, among held-out images."""
    shares = [each["copied_share"] for each in found if each["copied_share"]]
    if not shares:
        return "-"
    return "{:.1f} ({:.1f})".format(
        *(100 * statistics.mean(share[kind]["value"] for share in shares) for kind in ("generated", "held_out"))
    )


def leads(arm: str, found: list[Figures]) -> list[str]:
    """Say how much lower both distances of the adaptive one are, over all seeds, and in a word what that means."""
    cells = []
    for kind, factor in (("frechet_lead", 1), ("lead", 100)):
        known = [each[kind][arm] for each in found if arm in each.get(kind, {})]
        if not known:
            cells.append("")
            continue
        mean, half = mean_of(known)
        word = "tie" if abs(mean) <= half else "better" if mean > 0 else "worse"
        cells.append(f"{word}: {mean * factor:+.2f} (± {half * factor:.2f})")
    return cells
