"""An evaluation as one page that can be sent to a colleague: no network, no scripts, pictures inside."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from PIL.Image import Image

from gandem.judge.figure import shown
from gandem.training.checkpoint import write_atomic
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


def write_report(evaluation: Evaluation, path: Path, title: str) -> None:
    """Write the page, whole or not at all."""
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
        usefulness=_usefulness(facts) if "usefulness" in facts else "",
        copying=_copying(facts) if "judgement" in facts else "",
        about=escape(_about(facts)),
    )
    write_atomic(path, page.encode())


def _because(name: str, figure: dict[str, Any]) -> str:
    return f"<li><b>{escape(name)}</b> <span>{shown(figure)}</span></li>"


def _picture(pictures: dict[str, Image], name: str) -> str:
    if name not in pictures:
        return ""
    data = io.BytesIO()
    pictures[name].save(data, "PNG")
    source = base64.b64encode(data.getvalue()).decode()
    caption = escape(PICTURES[name])
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{source}"><figcaption>{caption}</figcaption></figure>'
    )


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
    return _section(
        "All numbers",
        "The column real is what other real samples reach in the place of generated ones: the best there is at this "
        "count. The columns after it must lose.",
        f'<tr><th scope="col">number, with its 95 % interval</th>{head}</tr>{"".join(lines)}',
    )


def _usefulness(facts: dict[str, Any]) -> str:
    useful, classes = facts["usefulness"], facts["classes"]
    rows = {
        "learnt from generated, tested on real": useful["generated_to_real"],
        "learnt from as many real, tested on real": useful["real_to_real"],
        "learnt from real, agrees with the classes asked for": useful["real_to_generated"],
    } | {f"{classes[int(label)]}, learnt from generated": figure for label, figure in useful["by_class"].items()}
    return _section(
        "Usefulness",
        "Share of samples whose class a classifier of features names rightly.",
        _pairs({name: shown(figure) for name, figure in rows.items()}),
    )


def _copying(facts: dict[str, Any]) -> str:
    copying = facts["judgement"]["copying"]
    rows = {
        "samples as close to a training sample as 1 % of held-out ones are": copying["copied_share"]["generated"],
        "distance to the nearest training sample beside held-out ones (1 honest, 0 copied)": copying["neighbour_ratio"],
        "C_T in standard deviations (far below 0: copied)": copying["data_copying"],
        "authentic share, generated": copying["authenticity"]["generated"],
        "authentic share, held-out": copying["authenticity"]["held_out"],
    }
    return _section(
        "Does it repeat its training data?",
        "None of these says that samples are private. Look at the closest pairs above.",
        _pairs({name: shown(figure) for name, figure in rows.items()}),
    )


def _pairs(rows: dict[str, str]) -> str:
    return "".join(f'<tr><th scope="row">{escape(name)}</th><td>{value}</td></tr>' for name, value in rows.items())


def _section(title: str, text: str, rows: str) -> str:
    return (
        f'<section><h2>{escape(title)}</h2><p>{escape(text)}</p><div class="wide" tabindex="0" role="region" '
        f'aria-label="{escape(title)}"><table>{rows}</table></div></section>'
    )


def _about(facts: dict[str, Any]) -> str:
    counts = facts["counts"]
    said = f"{counts['generated']:,} generated samples against {counts['held_out']:,} held-out real ones."
    if "features" in facts:
        name, fingerprint = facts["features"]["name"], facts["features"]["fingerprint"]
        said += f" Features {name}, {fingerprint}; other features give other numbers."
    return said + (f" Judged in {facts['seconds']:.0f} seconds." if "seconds" in facts else "")
