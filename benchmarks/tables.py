"""Make the tables of docs/benchmarks.md from the result files.

    python benchmarks/tables.py [--check]

Nothing in that page is typed by hand. --check writes nothing and exits with 1 when the page is not what they say.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter, defaultdict
from typing import Any

from measured import ROOT, load_results
from rows import TABLES
from table_parts import ARMS, Result, interval, origin, table
from tables_of_augmentation import augmentation_section
from tables_of_comparisons import classics_section, small_section
from tables_of_judging import judging_section
from tables_of_modes import gaussians_section, stacked_section
from tables_of_rows import conditions_section, drawing_section, folds_section, rows_section

PAGE = ROOT / "docs" / "benchmarks.md"
TASKS = {
    "fashion": "Fashion-MNIST, class-conditional, 28x28",
    "mnist": "MNIST, class-conditional, 28x28",
    "faces": "Faces (LFWcrop), 64x64 colour",
}
QUALITY = """
Both generators learn for the same minutes from the same images: one after the other, or at the same time with one core
each where the machine is said to have 1 core. Distances are taken between {count:,} generated images and real images
that no generator and no feature has seen, in the features of a small CNN trained on real images ({fingerprint}); they
compare rows of this table only. "real images" are real training images in the place of generated ones: the floor.
Kernel distance: unbiased, cubic kernel, all rows.
"""
SPEED = """
Medians of alternating repeats in one process. GFLOP/s: work done by gandem's step (4 G + (9 + 6 p) D forward passes per
image, p the part of the batch with penalties). Of peak: that, as a part of what a 4096^3 matrix product reaches
in the same precision in the same run; kernels: the same for the step's convolutions and matrix products alone, played
back with nothing between them. Plain: the same networks, loss and full-batch penalties, fp32, NCHW, eager.
"""


def quality_section(task: str, results: list[Result]) -> list[str]:
    """Return one task's table: a row for each arm and seed, then the ratios."""
    order = sorted(results, key=lambda r: (list(ARMS).index(r["figures"]["arm"]), r["seed"]))
    rows = []
    for result in order:
        figures, training = result["figures"], result["figures"]["training"]
        real = figures["arm"] == "real"
        rows.append(
            [
                ARMS[figures["arm"]] + ("" if real else f", seed {result['seed']}"),
                "-" if real else f"{figures['minutes']:g}",
                f"{training['images']:,}" if "images" in training else "-",
                interval(figures["frechet_distance"]),
                interval(figures["kernel_distance"], 100),
                interval(figures.get("accuracy_trained_on_it"), 100, 1),
            ]
        )
    head = [
        "",
        "minutes",
        "images seen",
        "Fréchet distance",
        "kernel distance x100",
        "test accuracy of a CNN trained on it, %",
    ]
    kernel = order[0]["figures"]["kernel_distance"]
    text = QUALITY.format(
        count=kernel["n"],
        fingerprint=", ".join(sorted({r["figures"]["features"] for r in results})),
    )
    whole = [f for r in order if (f := r["figures"].get("accuracy_trained_on_all_real"))]
    more = [f"Trained on all {f['trained_on']:,} real training images: {interval(f, 100, 1)} %." for f in whole]
    return [f"## {TASKS[task]}", text, *table(head, rows), "", *ratios(order), *more, *origin(results)]


def ratios(results: list[Result]) -> list[str]:
    """Return how many times lower gandem's distances are, per seed and in the mean."""
    by_seed: dict[int, dict[str, Result]] = defaultdict(dict)
    for result in results:
        by_seed[result["seed"]][result["figures"]["arm"]] = result["figures"]
    pairs = [(arms["gandem"], arms["dcgan"]) for arms in by_seed.values() if {"gandem", "dcgan"} <= arms.keys()]
    lines = []
    for key in ("frechet_distance", "kernel_distance"):
        each = [dcgan[key]["value"] / ours[key]["value"] for ours, dcgan in pairs]
        if each:
            listed = ", ".join(f"{value:.2f}" for value in each)
            name = {"frechet_distance": "Fréchet", "kernel_distance": "Kernel"}[key]
            mean = statistics.mean(each)
            word = f"{mean:.2f} times lower" if mean > 1 else f"not lower (1 / {1 / mean:.2f})"
            lines.append(f"{name} distance: **{word}** than the textbook DCGAN's (ratios by seed: {listed}).  ")
    return lines


def speed_section(results: list[Result]) -> list[str]:
    """Return the table of a step's speed on every device that was measured."""
    head = [
        "device",
        "pixels",
        "width",
        "batch",
        "images/s",
        "GFLOP/s",
        "of peak",
        "kernels",
        "peak fp32 / bf16",
        "plain images/s",
        "speed-up",
    ]
    head += ["data and logging", "peak memory"]
    rows = []
    for row in (row for result in results for row in result["figures"]["rows"]):
        peak, precision, memory = row["peak_gflops_per_second"], row["precision"], row["peak_gib"]["gandem"]
        rows.append(
            [
                f"{row['device']}, {precision}",
                f"{row['size']} x{row['channels']}",
                str(row["width"]),
                str(row["batch"]),
                f"{row['images_per_second']['gandem']:,.0f}",
                f"{row['gflops_per_second']['gandem']:,.0f}",
                f"{row['fraction_of_peak'][precision]:.2f}",
                f"{row['fraction_of_peak_kernels'][precision]:.2f}" if "fraction_of_peak_kernels" in row else "-",
                f"{peak['fp32']:,.0f} / {peak['bf16']:,.0f}",
                f"{row['images_per_second']['plain']:,.0f}",
                f"{row['speed_up']:.2f}x",
                f"{100 * row['chores_share']:.1f} %",
                f"{memory:.2f} GiB" if memory else "-",
            ]
        )
    return ["## Speed of a training step", SPEED, *table(head, rows), *origin(results)]


def kill_section(result: Result) -> list[str]:
    """Return what became of the run that was killed."""
    figures = result["figures"]
    waited = figures["most_seconds_since_checkpoint"]
    rows = [
        ["kills, over how many runs", f"{figures['kills']}, {figures['runs']}"],
        [
            "tensors of the final checkpoint that differ",
            f"{len(figures['tensors_different'])} of {figures['tensors_compared']}",
        ],
        ["unreadable checkpoint files", str(figures["unreadable_checkpoint_files"])],
        ["seconds between checkpoints", f"{figures['checkpoint_seconds']:g}"],
        ["most seconds lost", "-" if waited is None else f"{waited:.1f}"],
        ["most images lost", f"{figures['most_images_lost']:,}"],
    ]
    return ["## kill -9 and resume", "", *table(["", ""], rows), *origin([result])]


def peers_section(result: Result) -> list[str]:
    """Return the judge's numbers beside those of other libraries."""
    figures = result["figures"]
    rows = [
        [name.replace("_", " "), f"{row['ours']:.9f}", f"{row['theirs']:.9f}", f"{row['relative']:.0e}"]
        for name, row in figures["numbers"].items()
    ]
    text = f"{figures['rows']:,} random rows of {figures['width']}: prdc 0.2 (k = 5) and torch-fidelity 0.4.0."
    head = ["", "gandem", "the other", "relative difference"]
    return ["## The judge beside prdc and torch-fidelity", "", text, "", *table(head, rows), *origin([result])]


FAULTS = """
Trainings with one thing wrong each, of as many images as one core sees in about a minute: {images}. Seen: a warning
about the data, a trouble in the referee's words, or a ruling other than "settled"; in time: within 5 % of the budget
after it began. Score: Fréchet distance on held-out samples as a multiple of the mean of the set's healthy trainings
(median). A healthy training that is "seen" is a false alarm."""


RECOVERABLE = ("rate x 10", "gamma / 100", "NaN in a weight")


def faults_section(results: list[Result]) -> list[str]:
    """Return how often each fault was seen, how soon, and what became of the training."""
    by_fault: dict[str, list[dict[str, Any]]] = defaultdict(list)
    trainings = [(result["name"].split("-")[1], row) for result in results for row in result["figures"]["trainings"]]
    healthy: dict[str, list[float]] = defaultdict(list)
    for task, row in trainings:
        if row["fault"] == "healthy":
            healthy[task].append(row["frechet_distance"]["value"])
    for task, row in trainings:
        own = row["frechet_distance"]
        ratio = own["value"] / statistics.mean(healthy[task]) if own else None
        by_fault[row["fault"]].append(row | {"ratio": ratio})
    budgets = {result["name"].split("-")[1]: result["figures"]["images"] for result in results}
    rows = []
    counts: Counter[str] = Counter()
    for fault, found in by_fault.items():
        begins = 0.5 if fault == "NaN in a weight" else 0.0
        seen = [row for row in found if row["seen_at"] is not None]
        in_time = [row for row in seen if row["seen_at"] <= begins + 0.05]
        counts += Counter({"alarms": len(seen)} if fault == "healthy" else {"in time": len(in_time), "all": len(found)})
        ratios = [row["ratio"] for row in found if row["ratio"] is not None]
        if fault in RECOVERABLE:
            counts += Counter(recovered=sum(ratio <= 1.2 for ratio in ratios), recoverable=len(ratios))
        said = Counter(row["said"].split(":")[0] for row in seen).most_common(1)
        rows.append(
            [
                fault,
                str(len(found)),
                str(len(seen)),
                str(len(in_time)),
                str(sum(row["acted"] for row in found)),
                f"{statistics.median(ratios):.2f}" if ratios else "-",
                f"{sum(ratio <= 1.2 for ratio in ratios)} of {len(ratios)}",
                said[0][0] if said else "-",
            ]
        )
    head = ["fault", "trainings", "seen", "in time", "acted on", "score", "within 1.2 of healthy", "mostly said"]
    return [
        "## What the referee sees",
        FAULTS.format(images=", ".join(f"{task} {count:,}" for task, count in sorted(budgets.items()))),
        *["", *table(head, rows), ""],
        f"Faults seen in time: {counts['in time']} of {counts['all']}. False alarms: {counts['alarms']} of "
        f"{len(by_fault['healthy'])}. Recovered, of {', '.join(RECOVERABLE)}: "
        f"{counts['recovered']} of {counts['recoverable']}.",
        *origin(results),
    ]


STOPPING = """
Each training to its full length on one core. Oracle: of the generators at its quick judgements, that with the smallest
kernel distance x100, by features and real samples that no training has seen. Stopped: the same training, cooled down
and ended from the judgement at which the referee says "settled"; if it never does, the full one. Right: the stopped
one's distance is within 10 % of the oracle's, or cannot be told from it at this count. Still gained: how much smaller
the distance is at the end than at the last judgement before 70 % of the time, where it can be told from 0. The
"stopped" are of an earlier rule: today's ends fewer of them (docs/experiments.md, "Settled, once more"). Judging:
seconds of all quick judgements and of the final one."""


def stopping_section(results: list[Result]) -> list[str]:
    """Return where trainings were stopped, and how good they were beside the best moment of the full ones."""
    rows, found = [], [row for result in results for row in result["figures"]["trainings"]]
    names = [result["name"].split("-")[1] for result in results for _ in result["figures"]["trainings"]]
    for name, each in zip(names, found, strict=True):
        stopped, oracle, judging = each["stopped"], each["oracle"], each["full"].get("judging")
        full = each["full"]["kernel_distance"]
        earlier = max((at, value) for at, value in each["course"] if at <= 0.7)[1]
        rows.append(
            [
                f"{name}, seed {each['seed']}, {each['minutes']:g} minutes",
                interval(full, 100),
                f"{interval(oracle['kernel_distance'], 100)} at {oracle['part']:.0%}",
                f"{interval(stopped['kernel_distance'], 100)} at {stopped['part']:.0%}",
                stopped["ended"],
                "yes" if each["right"] else "no",
                f"{1 - full['value'] / earlier:.0%}" if full["low"] > 0 else "-",
                f"{judging['quick']:.0f} + {judging['final']:.0f}" if judging else "-",
            ]
        )
    head = ["", "full length", "oracle", "stopped", "because", "right", "still gained", "judging, s"]
    summary = f"Right: {sum(each['right'] for each in found)} of {len(found)}. Saved, on average:"
    for kind, these in (("tables", True), ("images", False)):
        saved = [
            1 - each["stopped"]["part"] for name, each in zip(names, found, strict=True) if (name in TABLES) is these
        ]
        summary += f" {statistics.mean(saved):.0%} of the time of {len(saved)} trainings on {kind}." if saved else ""
    return ["## Stopping", STOPPING, "", *table(head, rows), "", summary, *origin(results)]


def cost_section(results: list[Result]) -> list[str]:
    """Return what judging cost in trainings with the defaults."""
    rows = [
        [
            f"{found['set']}, {found['minutes']:g} minutes",
            f"{found['judgements']}",
            f"{found['quick']:.0f}",
            f"{found['final']:.0f}",
            f"{found['quick'] + found['final']:.0f}",
        ]
        for found in (result["figures"] for result in results)
    ]
    text = (
        "Seconds of a training with the defaults, as its own log has them. The final judgement comes after the budget."
    )
    head = ["", "quick judgements", "of them, s", "final one, s", "together, s"]
    return ["## What judging costs", "", text, "", *table(head, rows), *origin(results)]


def page(results: dict[str, Result]) -> str:
    """Return the whole page."""
    lines = ["# Benchmarks", "", "Made by `benchmarks/tables.py` from `benchmarks/results/*.json`; do not edit."]
    lines += ["Intervals are 95 %: bootstrap for Fréchet, U-statistic for kernel distances, Wilson for accuracies.", ""]
    for task in TASKS:
        if found := [result for result in results.values() if result["figures"].get("task") == task]:
            lines += quality_section(task, found)
    if speed := [result for name, result in results.items() if name.startswith("speed")]:
        lines += speed_section(speed)
    if judging := {name[8:]: result for name, result in results.items() if name.startswith("judging-")}:
        lines += judging_section(judging)
    if "peers" in results:
        lines += peers_section(results["peers"])
    if faults := [result for name, result in results.items() if name.startswith("faults-")]:
        lines += faults_section(faults)
    if stopping := [result for name, result in results.items() if name.startswith("stopping-")]:
        lines += stopping_section(stopping)
    if costs := [result for name, result in results.items() if name.startswith("cost-")]:
        lines += cost_section(costs)
    if gaussians := [result for name, result in results.items() if name.startswith("gaussians-")]:
        lines += gaussians_section(gaussians)
    if stacked := [result for name, result in results.items() if name.startswith("stacked-")]:
        lines += stacked_section(stacked)
    if classics := [result for name, result in results.items() if name.startswith("classics-")]:
        lines += classics_section(classics)
    if small := [result for name, result in results.items() if name.startswith("small-")]:
        lines += small_section(small)
    if rows := {name: result for name, result in results.items() if name.startswith("rows-")}:
        lines += rows_section(rows)
    if folds := {name: result for name, result in results.items() if name.startswith("folds-")}:
        lines += folds_section(folds)
    if "conditions" in results:
        lines += conditions_section(results["conditions"])
    if "drawing" in results:
        lines += drawing_section(results["drawing"])
    if augmentation := {name: result for name, result in results.items() if name.startswith("augmentation-")}:
        lines += augmentation_section(augmentation)
    if "kill" in results:
        lines += kill_section(results["kill"])
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write the page, or compare it with the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = page(load_results())
    if options.check:
        sys.exit(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
