"""An evaluation as one page that can be sent to a colleague: no network, no scripts, pictures inside."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any, TypeGuard

from PIL.Image import Image

from gandem.judge.figure import shown
from gandem.page import pairs, section, table
from gandem.run import Run, encoded
from gandem.training.checkpoint import write_atomic
from gandem.uses.curves import Chart, Curve, Point, draw
from gandem.uses.evaluate import Evaluation

CAPTIONS = {
    "frechet_share": ("Frechet share", "Distance between the two clouds of samples, 0 the same, 1 nothing in common."),
    "frechet_distance": ("Frechet distance", "The same in units of these features; for runs of the same data only."),
    "kernel_distance": ("Kernel distance", "0 if the same; does not grow when there are fewer samples."),
    "mind": ("MIND", "Distance along many random lines; 0 if the same."),
    "two_sample": (
        "Two-sample AUC",
        "How well a fresh classifier tells them from real: 0.5 not at all, 1 always.",
    ),
    "precision": ("Precision", "Share of samples that lie among the real ones."),
    "recall": ("Recall", "Share of real samples that lie among the generated ones."),
    "density": ("Density", "How densely samples lie where real ones are; about 1 if the same."),
    "coverage": ("Coverage", "Share of real samples that have a generated one nearby."),
    "spread_ratio": ("Spread", "Total variance beside that of real samples; 1 if as varied, 0 if all are the same."),
    "rank_ratio": (
        "Directions",
        "Effective number of directions they vary in, beside real ones; 1 if as many.",
    ),
}
"""Every metric in the order of the page: its name and what it says in plain words."""

COLOURS = {"excellent": "good", "usable": "good", "still improving": "fair", "too little training": "fair"}
"""Class of the verdict's mark; bad when not here."""

PICTURES = {
    "generated": "Generated, not chosen",
    "real": "Real, held out of the training",
    "closest": "Above: the samples closest to a training sample. Below: those training samples",
}

MANY = 20
"""Classes; a longer table is folded."""


@dataclass(frozen=True)
class Panel:
    """A chart of the page: which numbers of the log it draws, by name, and what healthy ones look like."""

    key: str
    title: str
    unit: str
    curves: dict[str, str]
    caption: str
    reference: tuple[float, str] | None = None


PANELS = (
    Panel(
        "quality",
        "Quality",
        "Frechet distance, lower is better",
        {"distance": "distance"},
        "Quick judgements of the referee, against training samples. Healthy: a steep fall, then an ever slower one, "
        "with the best near the end. Numbered lines are its rulings.",
    ),
    Panel(
        "variety",
        "Variety",
        "total variance beside real samples",
        {"spread": "variety"},
        "Healthy: it rises to about 1 and stays. A fall far below means that the generator makes the same few things.",
        (1.0, "as varied as real"),
    ),
    Panel(
        "losses",
        "Losses of the two players",
        "adversarial loss",
        {"discriminator/adversarial": "discriminator", "generator/adversarial": "generator"},
        "Healthy: both find a level and keep it; neither has to fall, since each one's gain is the other's loss. A "
        "discriminator at 0 with a generator that only rises: one of them is outplayed.",
    ),
    Panel(
        "penalties",
        "Penalties",
        "squared gradient of the discriminator",
        {"discriminator/r1": "R1, real", "discriminator/r2": "R2, generated", "discriminator/penalty": "penalty"},
        "How steep the discriminator is at samples of both kinds. Healthy: both alike, changing slowly. Spikes that "
        "grow announce a collapse.",
    ),
    Panel(
        "wins",
        "Pairs that the discriminator wins",
        "share of pairs",
        {"discriminator/win_rate": "won"},
        "How often it finds the real sample of a pair. Healthy: above one half and below 1. At 1 for long, the "
        "generator learns nothing from it.",
        (0.5, "it can only guess"),
    ),
    Panel(
        "gap",
        "What the discriminator knows by heart",
        "0 nothing, 1 all",
        {"gap": "gap", "augmentation": "augmentation"},
        "At 1 it no longer tells held-out samples from generated ones. That does no harm while quality rises; where it "
        "stands still, the adaptive augmentation of pictures is turned up.",
        (0.5, "turned up above"),
    ),
)
DONE = {"turn": "turned", "mend": "mended", "roll back": "rolled back", "settle": "settled", "stop": "stopped"}
"""What the actions of rulings are called."""


@dataclass
class History:
    """What the event log says of a training: points of every number by its name, the best judgement, rulings."""

    points: dict[str, list[Point]] = field(default_factory=dict)
    best: Point | None = None
    rulings: list[dict[str, Any]] = field(default_factory=list)


def write_report(evaluation: Evaluation, path: Path, title: str, run: Run | None = None) -> None:
    """Write the page, whole or not at all. run: whose training is told too."""
    template = Template((Path(__file__).parent / "report.html").read_text(encoding="utf-8"))
    facts = evaluation.facts
    verdict = facts["verdict"]
    page = template.substitute(
        title=escape(title),
        verdict=escape(verdict["verdict"]),
        mark=COLOURS.get(verdict["verdict"], "bad"),
        advice=escape(verdict["advice"]),
        because="".join(_because(name, figure) for name, figure in verdict["because"].items()),
        pictures="".join(_picture(evaluation.pictures, name) for name in PICTURES),
        figures=_figures(facts) if "judgement" in facts else "",
        examination="".join(section(part.title, part.text, part.body) for part in evaluation.sections),
        usefulness=_usefulness(facts) if "usefulness" in facts else "",
        copying=_copying(facts) if "judgement" in facts else "",
        course="" if run is None else _course(run),
        training="" if run is None else _cost(run.report, run.domain.noun) + _data(run) + _recipe(run),
        about=escape(_about(facts)),
    )
    write_atomic(path, encoded(page))


def _because(name: str, figure: dict[str, Any]) -> str:
    return f"<li><b>{escape(name)}</b> <span>{shown(figure)}</span></li>"


def _picture(pictures: dict[str, Image], name: str) -> str:
    if name not in pictures:
        return ""
    data = io.BytesIO()
    pictures[name].save(data, "PNG")
    source = base64.b64encode(data.getvalue()).decode()
    caption = escape(PICTURES[name])
    width, height = pictures[name].size
    broad = ' class="broad" tabindex="0"' if width > 2 * height else ""
    image = f'<img alt="{caption}" src="data:image/png;base64,{source}">'
    return f"<figure{broad}>{image}<figcaption>{caption}</figcaption></figure>"


def _figures(facts: dict[str, Any]) -> str:
    rows, won_by = facts["judgement"]["rows"], facts["judgement"]["won_by"]
    names = list(rows)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    lines = []
    for metric, (title, caption) in CAPTIONS.items():
        cells = "".join(f"<td>{shown(rows[name][metric])}</td>" for name in names)
        warning = f" <i>Alone it proves nothing here: won by {escape(', '.join(won_by[metric]))}.</i>"
        said = escape(caption) + (warning if won_by[metric] else "")
        lines.append(f'<tr><th scope="row">{title}<small>{said}</small></th>{cells}</tr>')
    return section(
        "All numbers",
        "The column real is what other real samples reach in the place of generated ones: the best there is at this "
        "count. The columns after it must lose.",
        table("All numbers", f'<tr><th scope="col">number, with its 95 % interval</th>{head}</tr>{"".join(lines)}'),
    )


def _usefulness(facts: dict[str, Any]) -> str:
    useful = facts["usefulness"]
    rows = {
        "learnt from generated, tested on real": useful["generated_to_real"],
        "learnt from as many real, tested on real": useful["real_to_real"],
        "learnt from real, agrees with the classes asked for": useful["real_to_generated"],
    }
    return section(
        "Usefulness",
        "Share of samples whose class a classifier of features names rightly.",
        table("Usefulness", pairs({name: shown(figure) for name, figure in rows.items()}))
        + _by_class(useful["by_class"], facts["classes"]),
    )


def _by_class(figures: dict[str, dict[str, Any]], classes: list[str]) -> str:
    heads = ("class", "held-out samples tested", "named rightly, learnt from generated")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    rows = "".join(
        f'<tr><th scope="row">{escape(classes[int(label)])}</th><td>{figure["n"]:,}</td><td>{shown(figure)}</td></tr>'
        for label, figure in figures.items()
    )
    by_class = table("Usefulness by class", f"<tr>{head}</tr>{rows}")
    if len(figures) > MANY:
        return f"<details><summary>By class: {len(figures):,} classes</summary>{by_class}</details>"
    return f"<h3>By class</h3>{by_class}"


def _copying(facts: dict[str, Any]) -> str:
    copying = facts["judgement"]["copying"]
    rows = {
        "samples as close to a training sample as 1 % of held-out ones are": copying["copied_share"]["generated"],
        "distance to the nearest training sample beside held-out ones (1 honest, 0 copied)": copying["neighbour_ratio"],
        "C_T in standard deviations (far below 0: copied)": copying["data_copying"],
        "authentic share, generated": copying["authenticity"]["generated"],
        "authentic share, held-out": copying["authenticity"]["held_out"],
    }
    title = "Does it repeat its training data?"
    return section(
        title,
        "None of these says that samples are private. Look at the closest pairs above.",
        table(title, pairs({name: shown(figure) for name, figure in rows.items()})),
    )


def _course(run: Run) -> str:
    """Return the curves of a training, and what the referee did."""
    history, noun = read_history(_events(run.path / "events.jsonl")), run.domain.noun
    if "distance" not in history.points:  # the log may not have been copied; the report remembers the judgements
        read_history(_remembered(run.report), history)
    said = (
        f"Over the {noun} shown. Where many reports lie close together, a line is their average and the pale band "
        "around it reaches from the lowest to the highest."
    )
    if not history.points:
        said = "No curves: the training was too short for them, or its event log (events.jsonl) is not here."
    elif "distance" not in history.points:
        said += " Quality and variety are not drawn: no quick judgements were made, as in every very short training."
    cards = [_panel(panel, history, noun) for panel in PANELS if any(name in history.points for name in panel.curves)]
    if history.rulings:
        cards.insert(int("distance" in history.points), _rulings(history, noun))
    elif history.points:
        said += " The referee had nothing to mend."
    return section("How it went", said, f'<div class="charts">{"".join(cards)}</div>' if cards else "")


def _panel(panel: Panel, history: History, noun: str) -> str:
    of_quality = panel.key == "quality"
    chart = Chart(
        panel.key,
        panel.title,
        panel.unit,
        [Curve(title, history.points.get(name, [])) for name, title in panel.curves.items()],
        panel.reference,
        history.best if of_quality else None,
        [ruling["images"] for ruling in history.rulings] if of_quality else (),
        noun,
    )
    return (
        f"<figure><h3>{escape(panel.title)}</h3>{draw(chart)}<figcaption>{escape(panel.caption)}</figcaption></figure>"
    )


def _rulings(history: History, noun: str) -> str:
    rulings = "".join(_ruling(ruling, noun) for ruling in history.rulings)
    return f'<div class="card"><h3>What the referee did</h3><ol>{rulings}</ol></div>'


def _ruling(ruling: dict[str, Any], noun: str) -> str:
    action = str(ruling.get("action"))
    reason = str(ruling.get("reason", "")).removeprefix("settled: ")
    if _is_number(ruling.get("back_to")) and action == "roll back":
        reason += f"; went on from {ruling['back_to']:,.0f} {noun}"
    if isinstance(dials := ruling.get("dials"), dict) and dials:
        reason += f"; since then {', '.join(f'{name} × {value}' for name, value in dials.items())}"
    head = f"{DONE.get(action, action)} after {ruling['images']:,.0f} {noun}"
    return f"<li><b>{escape(head)}</b>: {escape(reason)}</li>"


def read_history(events: Iterable[dict[str, Any]], history: History | None = None) -> History:
    """Collect what the curves are drawn from; numbers that are missing or not finite are left out."""
    history = history or History()
    for event in events:
        images, kind = event.get("images"), event.get("event")
        if not _is_number(images):
            continue
        values = event.get("losses") if kind == "progress" else None
        if isinstance(values, dict) and "gap" in history.points:
            values = values | {"augmentation": event.get("augmentation")}
        if kind == "judged":
            values = {name: event.get(name) for name in ("distance", "spread", "gap")}
            if event.get("best") and _is_number(event.get("distance")):
                history.best = images, event["distance"]
        if kind == "ruling":
            history.rulings.append(event)
        for name, value in values.items() if isinstance(values, dict) else ():
            if _is_number(value):
                history.points.setdefault(name, []).append((images, value))
    return history


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a log that can be read: a copied run may lack it, and a line may be damaged."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def _remembered(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what report.json keeps of the referee, as events."""
    referee = report.get("referee", {})
    for judgement in referee.get("judgements", []):
        yield {"event": "judged", "best": judgement["images"] == referee["best"], **judgement}
    for ruling in referee.get("rulings", []):
        yield {"event": "ruling", **ruling}


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it can be drawn: finite, and not beyond what anybody measures."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e100


def _cost(report: dict[str, Any], noun: str) -> str:
    plan, images, seconds = report["plan"], report["images"], report["seconds"]
    work = plan["gflops_per_image"] * images / 1e3
    parameters = [f"{name} {plan[f'parameters_{name}'] / 1e6:.2f} M" for name in ("generator", "discriminator")]
    processes = "1 process" if plan["processes"] == 1 else f"{plan['processes']} processes"
    finished = report["status"] == "finished"
    rows = {
        f"{noun} shown": f"{images:,}",
        "time": f"{seconds / 60:.1f} minutes",
        "speed": f"{images / seconds:,.0f} {noun}/s on average" if seconds else "-",
        "machine": f"{plan['device']}, {plan['precision']}, {processes}",
        "networks": f"{' and '.join(parameters)} parameters, "
        + (f"width {plan['width']}" if plan["width"] else "of the user's own"),
        "work": f"{plan['gflops_per_image']:.3g} GFLOP for each, "
        + (f"{work / 1e3:,.1f} PFLOP in all, about" if work >= 1e3 else f"{work:,.1f} TFLOP in all, about"),
        "ended": report.get("referee", {}).get("ended", "-") if finished else f"not at its end: {report['status']}",
    }
    return section(
        "What it cost",
        "Operations are those of the training, two for a multiply-add; those of the judge come on top.",
        table("What it cost", pairs({name: escape(value) for name, value in rows.items()})),
    )


def _data(run: Run) -> str:
    held_out = f"{run.report['held_out_size']:,} held out of the training, to judge by"
    said = [*run.domain.lines(run.data_report), held_out]
    return section("The data", "", f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in said)}</ul>")


def _recipe(run: Run) -> str:
    text = escape((run.path / "recipe.yaml").read_text(encoding="utf-8"))
    return section(
        "The recipe",
        "Every choice of this training; train again with it by --recipe.",
        f"<details><summary>recipe.yaml</summary><pre>{text}</pre></details>",
    )


def _about(facts: dict[str, Any]) -> str:
    counts = facts["counts"]
    said = "Too few to be judged."
    if "judgement" in facts:
        said = f"{counts['generated']:,} generated samples against {counts['held_out']:,} held-out real ones."
    if lost := counts.get("left_out"):
        said += f" {lost:,} generated ones could not be read and are left out."
    if "judged_by" in facts:
        said += f" Those are of {facts['judged_by']}, and not of the data that the run was trained on."
    if "features" in facts:
        name, fingerprint = facts["features"]["name"], facts["features"]["fingerprint"]
        said += f" Features {name}, {fingerprint}; other features give other numbers."
    return said + (f" Judged in {facts['seconds']:.0f} seconds." if "seconds" in facts else "")
