"""The judge for tables as parts of the page: every number beside what real rows and independent columns reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

import numpy as np

from gandem import page
from gandem.domains.domain import Judged, Section
from gandem.domains.tables.drawings import bar, forest, heat, histogram
from gandem.judge.figure import Figure, shown
from gandem.judge.tables.judgement import FLOOR, GENERATED, REAL, Row, TableJudgement
from gandem.judge.tables.privacy import Attacked, Privacy
from gandem.judge.tables.regression import Coefficient

SETS = (GENERATED, REAL, FLOOR)
TELLTALE, COEFFICIENTS, LOST, HEAT, MOST = 8, 14, 12, 40, 100
"""Columns that give it away, coefficients, lost categories, columns of the heat map and columns that are shown."""
KEY = '<p class="key"><b class="one">— generated</b><b class="two">■ real, held out</b></p>'
NO_PRIVACY = (
    "Not measured: an attack is tested on rows of the training and on rows that were kept out of it, and of these "
    "samples nobody here knows which are which. It is measured for a run on its own data."
)


def sections(judged: Judged, judgement: TableJudgement, broken: Mapping[str, Mapping[str, int]]) -> tuple[Section, ...]:
    """Return the parts of the page, the headline first. broken: generated and real rows that break each rule."""
    parts: list[Callable[[TableJudgement], Section | None]] = [
        _two_sample,
        lambda found: _columns(judged, found),
        _pairs,
        _utility,
        _regression,
        _coverage,
        lambda found: _rules(judged, broken),
        _privacy,
    ]
    return tuple(part for part in (make(judgement) for make in parts) if part is not None)


def _two_sample(judgement: TableJudgement) -> Section:
    rows = {name: judgement.rows[name].two_sample for name in SETS}
    body = page.table(
        "Two-sample AUC",
        page.head("rows", "AUC of boosted trees", "")
        + "".join(
            page.row(_name(name), [_said(found.auc), bar(2 * found.auc.value - 1, _colour(name))])
            for name, found in rows.items()
        ),
    )
    drops = rows[GENERATED].drops
    order = np.argsort(drops)[::-1][:TELLTALE]
    told = [index for index in order if drops[index] > 0.005 and rows[GENERATED].auc.low > 0.5]
    if told:
        cells = "".join(
            page.row(
                judgement.columns.names[index], [f"{drops[index]:.3f}", bar(drops[index] / max(drops[told[0]], 1e-9))]
            )
            for index in told
        )
        head = page.head("column", "AUC that is lost when it is shuffled", "")
        body += f"<h3>What gives it away</h3>{page.table('What gives it away', head + cells)}"
    return Section(
        "Can it be told from real rows?",
        "Boosted trees learn to tell the rows from held-out real ones and are tested on others: 0.5 is a guess, 1 is "
        "always right. This is the number that is hardest to fool. Real rows are the best there is, independent "
        "columns (every column right by itself, nothing between them) are what must be beaten.",
        body,
    )


def _columns(judged: Judged, judgement: TableJudgement) -> Section:
    found = {name: judgement.rows[name].columns for name in (GENERATED, REAL)}
    lines = []
    furthest = np.argsort([-one.distance.value for one in found[GENERATED]], kind="stable")[:MOST]
    for index in np.sort(furthest).tolist():
        name, made, real = judgement.columns.names[index], found[GENERATED][index], found[REAL][index]
        drawn = histogram(
            judged.generated[:, index], judged.held_out[:, index], bool(judgement.columns.categorical[index])
        )
        moved = "" if made.wasserstein is None else f"moved by {made.wasserstein:.2f} standard deviations"
        missing = f"{made.missing.value:.1%} / {made.real_missing.value:.1%}"
        if max(made.missing.value, made.real_missing.value) == 0:
            missing = "none"
        lines.append(page.row(name, [drawn, _said(made.distance), f"{real.distance.value:.3f}", missing], moved))
    head = page.head("column", "values", "distance", "distance of real rows", "missing, generated / real")
    more = f" The {MOST} furthest of {len(judgement.columns):,}." if len(judgement.columns) > MOST else ""
    return Section(
        "Column by column",
        "Distance is the share of rows that would have to change: total variation of categories, the largest gap "
        "between the cumulative shares of numbers. Even fresh real rows are a little apart. In the drawings the most "
        "frequent categories come first, and missing values are the last bar." + more,
        KEY + page.table("Columns", head + "".join(lines)),
    )


def _pairs(judgement: TableJudgement) -> Section | None:
    if len(judgement.columns) < 2:
        return None
    means = {name: judgement.rows[name].pairs.mean for name in SETS}
    lines = "".join(page.row(_name(name), [_said(figure)]) for name, figure in means.items())
    table = page.table("Pair trends", page.head("rows", "mean over all pairs, 1 if equal") + lines)
    names = judgement.columns.names[:HEAT]
    shown_pairs = {
        name: {pair: value for pair, value in judgement.rows[name].pairs.values.items() if max(pair) < len(names)}
        for name in (GENERATED, REAL)
    }
    return Section(
        "Pairs of columns",
        "One minus the total variation between two-way tables. In the picture every cell is a pair, and dark ones lack "
        "up to a quarter of what real rows reach. Other programs call other numbers by this name.",
        f"{table}<figure><div class='scroll'>{heat(shown_pairs[GENERATED], shown_pairs[REAL], names)}</div></figure>",
    )


def _utility(judgement: TableJudgement) -> Section | None:
    body = ""
    if judgement.utility is not None:
        figures = judgement.utility.figures
        measures = next((list(row) for row in (figures[REAL], figures[GENERATED]) if row), [])
        lines = "".join(
            page.row(f"learnt from {_name(name)}", [_said((figures[name] or {}).get(key)) for key in measures])
            for name in SETS
        )
        title = f"Predicting {judgement.utility.target}"
        body += f"<h3>{escape(title)}</h3>" + page.table(title, page.head("", *measures) + lines)
    whole = judgement.global_utility
    if whole is not None:
        ratios = "".join(page.row(f"learnt from {_name(name)}", [_said(whole.ratio[name])]) for name in SETS)
        lines = "".join(
            page.row(
                judgement.columns.names[column],
                [bar(whole.skills[name][place], _colour(name)) + f"{whole.skills[name][place]:.2f}" for name in SETS],
            )
            for place, column in enumerate(whole.columns)
        )
        head = page.head("column that is predicted", *(f"learnt from {_name(name)}" for name in SETS))
        body += (
            "<h3>Predicting every column from the others</h3>"
            + page.table("Global utility", page.head("", "beside what real rows teach") + ratios)
            + "<details><summary>Skill by column: 0 knows nothing, 1 knows all</summary>"
            + page.table("Skills", head + lines)
            + "</details>"
        )
    if not body:
        return None
    return Section(
        "Is it useful?",
        "Boosted trees learn from the rows and are tested on held-out real ones; beside them the same with as many "
        "real rows instead, and with independent columns.",
        body,
    )


def _regression(judgement: TableJudgement) -> Section | None:
    found = judgement.rows[GENERATED].regression
    if found is None:
        return None
    columns = judgement.columns

    def name(one: Coefficient) -> str:
        if one.code is None:
            return columns.names[one.column]
        if one.code < 0:
            return f"{columns.names[one.column]} missing"
        return f"{columns.names[one.column]} = {columns.label(one.column, one.code).strip()}"

    order = sorted(found.coefficients, key=lambda one: -abs(one.real.value) / max(one.real.high - one.real.low, 1e-9))
    drawn = forest([(name(one), one.generated, one.real) for one in order[:COEFFICIENTS]])
    lines = "".join(
        page.row(_name(key), [f"{each.overlap:.2f}", _said(each.within), _said(each.same_sign)])
        for key in SETS
        if (each := judgement.rows[key].regression) is not None
    )
    head = page.head(
        "rows", "overlap of intervals", "estimates within the real interval", "right sign, where it is clear"
    )
    kind = (
        "linear"
        if found.event is None
        else f"logistic, of {columns.label(columns.index(found.target), found.event).strip()},"
    )
    return Section(
        "Would a study find the same?",
        f"A {kind} regression of {found.target} on all other columns, in these rows and in held-out real ones, with "
        "95 % intervals. The clearest coefficients are drawn; numbers are in standard deviations.",
        f"{page.table('Regression', head + lines)}<figure>{KEY}<div class='scroll'>{drawn}</div></figure>",
    )


def _coverage(judgement: TableJudgement) -> Section:
    rows = [judgement.rows[name] for name in SETS]
    measures: dict[str, Callable[[Row], Figure | None]] = {
        "categories kept": lambda row: row.categories.kept,
        "rare categories kept (below 1 %)": lambda row: row.categories.rare_kept,
        "cells of the most dependent pairs reached": lambda row: None if row.cells is None else row.cells.reached,
        "rows in a cell where no held-out row is": lambda row: None if row.cells is None else row.cells.unseen,
        "which values are missing together: distance": lambda row: row.missing,
        "rows that are there twice": lambda row: row.duplicates.within,
        "exact copies of a held-out row": lambda row: row.duplicates.of_held_out,
    }
    lines = "".join(page.row(name, [_said(measure(row)) for row in rows]) for name, measure in measures.items())
    of_known = [judgement.rows[name].duplicates.of_training for name in (GENERATED, FLOOR)]
    said = [_said(of_known[0]), "-", _said(of_known[1])]  # the real rows are those themselves
    lines += page.row("exact copies of the other real rows", said)
    body = page.table("Coverage", page.head("share", *map(_name, SETS)) + lines)
    lost = judgement.rows[GENERATED].categories.lost
    if lost:
        names = [
            f"{judgement.columns.names[column]} = {judgement.columns.label(column, code).strip()}"
            for column, code in lost
        ]
        more = f" and {len(lost) - LOST:,} more" if len(lost) > LOST else ""
        body += f"<p>Never made, most frequent first: {escape('; '.join(names[:LOST]))}{more}.</p>"
    return Section(
        "What is reached, and what is there twice",
        "Independent columns reach everything, also what never is: read the rows in strange cells beside.",
        body,
    )


def _rules(judged: Judged, broken: Mapping[str, Mapping[str, int]]) -> Section | None:
    made, real = broken[GENERATED], broken[REAL]
    if not made:
        return None
    count = int(judged.report.get("samples", len(judged.generated)))
    lines = "".join(
        page.row(rule, [f"{rows:,} of {count:,}", f"{real[rule]:,} of {len(judged.real):,}"])
        for rule, rows in sorted(made.items(), key=lambda one: -one[1])
    )
    return Section(
        "Rules of the data",
        "What every real row keeps, and how many generated rows do not.",
        page.table("Rules", page.head("rule", "generated rows that break it", "real ones") + lines),
    )


def _privacy(judgement: TableJudgement) -> Section:
    title = "What attacks find out about the training rows"
    found = judgement.privacy
    if found is None:
        return Section(title, NO_PRIVACY, "")
    sets = {"generated": found.generated, "planted copier": found.copier, "independent columns": found.independent}
    highest = page.row("highest of all attacks", [f"<b>{_said(attacked.highest)}</b>" for attacked in sets.values()])
    lines = "".join(
        page.row(name, [_said(attacked.attacks[name]) for attacked in sets.values()])
        for name in found.generated.attacks
    )
    nearer = page.row(
        "generated rows nearer to a training row than to a held-out one",
        [_said(attacked.nearer) for attacked in sets.values()],
    )
    table = page.table("Membership attacks", page.head("attack, AUC", *sets) + highest + lines + nearer)
    return Section(
        title,
        f"Each attack is given the generated rows and guesses, for {found.asked[0]:,} training rows and "
        f"{found.asked[1]:,} rows that were kept out, which were trained on; it may look at {found.reference:,} other "
        "rows, too. 0.5 is a guess, 1 is always right. The first line is the maximum; its interval allows for that.",
        table + _controls(found, sets) + _exposed(found),
    )


def _controls(found: Privacy, sets: dict[str, Attacked]) -> str:
    highest = sets["generated"].highest
    if not found.works:
        said = (
            "WARNING: the controls did not come out as they must: the copier should be near 1 and independent columns "
            "around 0.5. These attacks say nothing about these data."
        )
    elif highest.low > 0.5:
        said = (
            "The attacks find training rows better than by chance. Train on more rows or for a shorter time, and do "
            "not pass these rows on where it must stay unknown who was trained on."
        )
    else:
        said = (
            "These attacks do no better than chance here. That is a measurement and no promise: others may find more."
        )
    return (
        f"<p>{said} The controls are attacked in the same way: a copier that repeats the training rows with small "
        "changes must be caught, and columns that were shuffled each by itself must not.</p>"
    )


def _exposed(found: Privacy) -> str:
    rows = ", ".join(f"{one.row + 1:,} ({one.share:.1%})" for one in found.exposed)
    return (
        "<details><summary>The most exposed training rows</summary><p>Rows of the data, counted from 1, with the share "
        "of kept-out rows that look less trained on to the attack that singles the row out most. A "
        f"few rows near 100&nbsp;% are there by chance alone.</p><p>{rows}</p></details>"
    )


def _said(figure: Figure | None) -> str:
    return "-" if figure is None else shown(figure.to_dict())


def _name(name: str) -> str:
    return f"{name} rows" if name != FLOOR else name


def _colour(name: str) -> str:
    return {GENERATED: "one", REAL: "two"}.get(name, "floor")
