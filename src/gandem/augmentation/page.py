"""The answer as one page that can be sent to a colleague: no network, no scripts, pictures inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from gandem.augmentation.arms import GENERATOR, NOTHING
from gandem.augmentation.scores import METRICS
from gandem.run import encoded
from gandem.training.checkpoint import write_atomic

COLOURS = {"HELPS": "good", "NO DIFFERENCE": "fair", "CANNOT TELL": "fair", "HURTS": "bad"}
WIDTH, LEFT, RIGHT, ROW = 640, 170, 590, 26
"""The drawing, the range of its horizontal axis, and the height of a row, in units of the drawing."""
CURVE_HEIGHT = 220


def write(facts: Mapping[str, Any], path: Path) -> None:
    """Write the page, whole or not at all; facts: as in augmentation.json."""
    template = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))
    question = facts["question"]
    page = template.substitute(
        target=escape(str(question["target"])),
        source=escape(str(question["source"])),
        verdict=escape(facts["verdict"]),
        mark=COLOURS[facts["verdict"]],
        sentence=escape(_below(facts)),
        because="".join(f"<li><b>{escape(name)}</b> <span>{escape(said)}</span></li>" for name, said in _facts(facts)),
        intervals=_intervals(facts),
        curve=_curve(facts),
        tables="".join(_table(name, facts) for name in facts["table"]),
        done=_done(facts),
        about=f"gandem augment, {facts['folds']} folds. What tested was real, and no generator has seen it.",
    )
    write_atomic(path, encoded(page))


def lines(facts: Mapping[str, Any], page: Path) -> list[str]:
    """Say the answer in a few lines for a terminal."""
    files = [f"{name}: {page.parent / name}" for name in facts["files"]]
    return [facts["sentence"], *(f"{name}: {said}" for name, said in _facts(facts)), *files, f"the page: {page}"]


def _below(facts: Mapping[str, Any]) -> str:
    """Return the sentence without the word that stands above it."""
    said = facts["sentence"].removeprefix(f"{facts['verdict']}: ")
    return said[:1].upper() + said[1:]


def signed(figure: Mapping[str, Any]) -> str:
    """Return a difference as "+0.012 (-0.003 to +0.027)"."""
    return f"{_number(figure['value'])} ({_number(figure['low'])} to {_number(figure['high'])})"


def _number(value: float | None) -> str:
    return "?" if value is None or not math.isfinite(value) else f"{value:+.3f}"


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    brier = facts["calibration"]
    helped = [arm for arm, each in facts["arms"].items() if arm != GENERATOR and each["answer"] == "HELPS"]
    smallest = facts["smallest"]
    return [
        ("AUC without augmentation", f"{facts['baseline']:.3f}"),
        (f"difference with generated {facts['noun']}", signed(facts["difference"])),
        ("smallest effect this data could show", f"{smallest:.3f}" if math.isfinite(smallest or math.inf) else "none"),
        ("cost in calibration, Brier score (above 0 is worse)", signed(brier)),
        (f"worth in real {facts['noun']}", facts["worth_said"]),
        ("free arms that help", ", ".join(helped) or "none"),
    ]


def _intervals(facts: Mapping[str, Any]) -> str:
    """Draw the difference of every arm to doing nothing, the generator's first."""
    arms = {GENERATOR: facts["arms"][GENERATOR], **facts["arms"]}
    finite = [
        abs(each[end]) for each in arms.values() for end in ("low", "high") if math.isfinite(each[end] or math.inf)
    ]
    reach = 1.05 * max([facts["margin"] * 1.5, *finite])
    height = ROW * len(arms) + 44

    def x(value: float) -> float:
        return round((LEFT + RIGHT) / 2 + max(min(value / reach, 1), -1) * (RIGHT - LEFT) / 2, 1)

    margin = facts["margin"]
    parts = [
        f'<rect class="margin" x="{x(-margin)}" width="{x(margin) - x(-margin):.1f}" y="8" height="{height - 44}"/>',
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="8" y2="{height - 36}"/>',
    ]
    for row, (arm, each) in enumerate(arms.items()):
        y = 8 + ROW * (row + 0.5)
        kind = "ours" if arm == GENERATOR else "one"
        low, high = (
            x(end) if end is not None else x(math.copysign(reach, side))
            for end, side in ((each["low"], -1), (each["high"], 1))
        )
        parts.append(
            f'<text class="name" x="{LEFT - 10}" y="{y}" dy=".35em" text-anchor="end">{escape(arm)}</text>'
            f'<g class="{kind}"><line class="bar" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>'
            f'<circle class="dot" cx="{x(each["value"])}" cy="{y}" r="5"/></g>'
        )
    for tick in (-reach / 1.05, 0, reach / 1.05):
        parts.append(f'<text x="{x(tick)}" y="{height - 18}" text-anchor="middle">{tick:+.3f}</text>')
    parts.append(f'<text x="{RIGHT}" y="{height - 5}" text-anchor="end">difference of the AUC to doing nothing</text>')
    said = "; ".join(f"{arm} {signed(each)}, {each['answer']}" for arm, each in arms.items())
    return _section(
        "What each arm changes",
        f"95 % intervals, corrected because the folds share what they learn from. Grey: differences within {margin:g}, "
        "which are of no practical use. The generator is the one planned comparison; the free arms are judged with "
        "Holm's procedure.",
        f'<div class="card">{_svg("Differences to doing nothing", said, height, parts)}</div>' + _beside(facts),
    )


def _beside(facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(arm)}</th><td>{facts["arms"][arm]["answer"]}</td>'
        f"<td>{signed(facts['arms'][arm])}</td><td>{signed(lead)}</td></tr>"
        for arm, lead in facts["beside"].items()
    )
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("free arm", "does it help?", "against nothing", "the generator's lead over it")
    )
    return f'<h3>Is it explained by what is free?</h3><div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _curve(facts: Mapping[str, Any]) -> str:
    """Draw the learning curve, and where the generator's arm lies."""
    points = facts["curve"]
    if len(points) < 2:
        return ""
    noun, ours = facts["noun"], facts["baseline"] + facts["difference"]["value"]
    values = [auc for _, auc in points] + [ours]
    low, high = min(values), max(values)
    low, high = low - 0.1 * (high - low) - 1e-3, high + 0.1 * (high - low) + 1e-3
    most = points[-1][0]

    def place(rows: float, auc: float) -> tuple[float, float]:
        across = LEFT - 100 + rows / most * (RIGHT - LEFT - 90)
        return round(across, 1), round(20 + (high - auc) / (high - low) * (CURVE_HEIGHT - 70), 1)

    line = " ".join(f"{x},{y}" for x, y in (place(*point) for point in points))
    parts = [f'<g class="one"><polyline class="line" points="{line}"/>']
    for rows, auc in points:
        x, y = place(rows, auc)
        parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="4"/>')
        parts.append(f'<text x="{x}" y="{y - 9}" text-anchor="middle">{auc:.3f}</text>')
        parts.append(f'<text x="{x}" y="{CURVE_HEIGHT - 24}" text-anchor="middle">{rows:,.0f}</text>')
    x, y = place(most, ours)
    parts.append(f'</g><g class="ours"><circle class="dot" cx="{x}" cy="{y}" r="5"/></g>')
    parts.append(f'<text x="{x + 12}" y="{y}" dy=".35em" class="name">with generated {noun} {ours:.3f}</text>')
    parts.append(f'<text x="{RIGHT}" y="{CURVE_HEIGHT - 4}" text-anchor="end">real {noun} to learn from</text>')
    said = "; ".join(f"{auc:.3f} from {rows:,.0f} {noun}" for rows, auc in points)
    return _section(
        f"Worth in real {noun}: {facts['worth_said']}",
        f"AUC on real test {noun}, learnt from parts of the real ones without augmentation. How many more of these "
        "would do what the generated ones do is read off it, assuming that every doubling of them gives as much again.",
        f'<div class="card">{_svg("Learning curve", said, CURVE_HEIGHT, parts)}</div>',
    )


def _table(learner: str, facts: Mapping[str, Any]) -> str:
    found = facts["table"][learner]
    head = "".join(
        f'<th scope="col">{escape(metric.title)}<small>{escape(metric.caption)}</small></th>'
        for metric in METRICS.values()
    )
    rows = []
    for arm, scored in found.items():
        cells = "".join(
            f"<td>{scored[metric]['mean']:.3f}"
            + ("" if arm == NOTHING else f"<small>{signed(scored[metric])}</small>")
            + "</td>"
            for metric in METRICS
        )
        rows.append(f'<tr><th scope="row">{escape(arm)}</th>{cells}</tr>')
    times = facts["learner"].get(learner, 0)
    return _section(
        f"All numbers: {learner}",
        f"The verdict used it in {times} of {facts['folds']} folds, where it was the best on validation rows. Small: "
        "the difference to doing nothing; 95 % intervals of each number alone, of which one in twenty misses.",
        f'<div class="wide"><table><tr><th scope="col">arm</th>{head}</tr>{"".join(rows)}</table></div>',
    )


def _done(facts: Mapping[str, Any]) -> str:
    question, rows = facts["question"], facts["rows"]
    counts = ", ".join(f"{name}: {count:,}" for name, count in facts["counts"].items())
    amounts = "; ".join(
        f"{learner}: " + ", ".join(f"{amount} in {times}" for amount, times in chosen.items())
        for learner, chosen in facts["amounts"].items()
    )
    grouped = f", rows of one {question['group']} together" if question["group"] else ""
    said = [
        f"{question['folds']} folds, {question['repeats']} times, stratified{grouped}: about {rows['train']:,} "
        f"{facts['noun']} to learn from and {rows['test']:,} to test in each; classes: {counts}.",
        "In every fold the generator learnt from four fifths of the training part. The other fifth chose the learner, "
        "the amount that is generated and every threshold. What is for the test was scored once.",
        f"Generator: {question['generator']}, {question['budget']} a fold. Amounts chosen (folds): {amounts}.",
        "Intervals and tests: corrected resampled t-test (Nadeau and Bengio 2003). HELPS: better than doing nothing "
        f"(5 %, the one planned test), by at least {facts['margin']:g} of the AUC, and better than every free arm "
        "(each at 5 %, all needed). NO DIFFERENCE: the whole interval within the margin, or a free arm does as much.",
        *facts["notes"],
    ]
    return _section("What was done", "", f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in said)}</ul>")


def _svg(title: str, said: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {height}"><title>{escape(title)}</title>'
        f"<desc>{escape(said)}</desc>{''.join(parts)}</svg>"
    )


def _section(title: str, said: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>" + (f"<p>{escape(said)}</p>" if said else "") + f"{inside}</section>"
