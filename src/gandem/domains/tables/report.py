"""What a table holds, as plain JSON types and as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.rules import Determined, Order
from gandem.domains.tables.tokens import CategoryTokens
from gandem.recipe import DataOptions

if TYPE_CHECKING:
    from gandem.domains.tables.kinds import Found
    from gandem.domains.tables.source import Table

RARE = 0.01
SHOWN, LISTED = 3, 60
_WARNING = "WARNING: "


def data_report(
    table: Table, found: list[Found], codec: TableCodec, copies: int, options: DataOptions
) -> dict[str, Any]:
    """Return the data report."""
    rows = len(table)
    worked_out = {rule.target.name: str(rule) for rule in codec.rules if not isinstance(rule, Order)}
    columns = {each.field.name: _facts(each, rows) for each in found}
    for name, rule in worked_out.items():
        columns[name]["worked_out"] = rule
    notes = [*table.notes, *(note for each in found for note in each.notes), *_same(codec)]
    constants = [each.field.name for each in found if each.field.kind == "constant"]
    if constants:
        notes.append(f"always the same, so nothing can be learnt of it: {', '.join(constants[:10])}")
    if copies > rows / 2:
        notes.append(f"{_WARNING}{copies / rows:.0%} of the rows are exact copies; a generator can only repeat them")
    return {
        "source": table.name,
        "kind": "table",
        "samples": rows,
        "columns": columns,
        "rules": rule_lines(codec),
        "rules_asked": options.rules,
        "duplicates": {"exact": copies},
        "classes": {},
        "skipped": {"count": 0, "reasons": {}, "files": []},
        "notes": notes,
    }


def _facts(found: Found, rows: int) -> dict[str, Any]:
    """Return what is said of one column."""
    facts: dict[str, Any] = {"kind": found.field.kind, "why": found.field.why, "type": found.field.dtype}
    tokens, column = found.tokens, found.column
    if column is None or tokens is None:
        return facts | ({"missing": found.field.made["missing"]} if "missing" in found.field.made else {})
    facts["missing"] = round(tokens.missing / rows, 6)
    if isinstance(tokens, CategoryTokens):
        counts = dict(zip(column.categories[:SHOWN], (tokens.counts[:SHOWN] / rows).tolist(), strict=True))
        rare = int((tokens.counts < RARE * rows).sum())
        return facts | {"categories": len(column.categories), "frequent": counts, "rare": rare}
    facts |= {"low": column.low, "high": column.high, "step": column.step}
    atoms = tokens.exact & (tokens.counts >= RARE * rows)
    order = np.flatnonzero(atoms)[np.argsort(-tokens.counts[atoms], kind="stable")]
    facts["often"] = {f"{tokens.low[index]:.12g}": round(tokens.counts[index] / rows, 4) for index in order[:SHOWN]}
    return facts | {"exact": int(tokens.exact.sum()), "bins": int((~tokens.exact).sum())}


def rule_lines(codec: TableCodec) -> list[str]:
    """Return the rules and keys as text; a group of columns of which one is set counts as one."""
    lines: list[str] = []
    groups = {column.name for column in codec.columns} - {field.name for field in codec.fields}
    members: set[str] = set()
    for column in codec.columns:
        if column.name in groups:
            lines.append(f"exactly one of {_few(column.categories)} is set")
            members.update(column.categories)
    lines += [
        str(rule)
        for rule in codec.rules
        if not (isinstance(rule, Determined) and rule.by in groups and rule.target.name in members)
    ]
    return lines + [str(key) for key in codec.keys]


def _same(codec: TableCodec) -> list[str]:
    """Say which columns repeat others in other words: to predict one by the other would be no feat."""
    return [
        f"{rule.target.name!r} says the same as {rule.by!r} in other words; as a target it needs no model"
        for rule in codec.rules
        if isinstance(rule, Determined) and len(set(rule.values[:-1])) == len(rule.keys) > 2
    ]


def lines(report: dict[str, Any]) -> list[str]:
    """Say a data report in a few lines."""
    columns: dict[str, dict[str, Any]] = report["columns"]
    said = [f"{report['samples']:,} rows x {len(columns):,} columns of {report['source']}"]
    width = min(max(map(len, columns)), 28)
    said += [f"  {_cut(name, width):<{width}}  {_line(facts)}" for name, facts in list(columns.items())[:LISTED]]
    if len(columns) > LISTED:
        said.append(f"  and {len(columns) - LISTED:,} more")
    if report["rules"]:
        said.append("kept by all rows, and by every sample (--set data.rules=none to let go):")
        said += [f"  {rule}" for rule in report["rules"][:LISTED]]
    if copies := report["duplicates"]["exact"]:
        said.append(f"{copies:,} exact copies")
    return said + sorted(report["notes"], key=lambda note: note.startswith(_WARNING))


def _line(facts: dict[str, Any]) -> str:
    kind = facts["kind"]
    parts = [f"{kind:<10}"]
    if "categories" in facts:
        frequent = ", ".join(f"{name} {share:.0%}" for name, share in facts["frequent"].items())
        parts.append(f"{facts['categories']:,} different: {frequent}")
        if facts["rare"]:
            parts.append(f"{facts['rare']:,} below 1 %")
    elif "low" in facts:
        parts.append(_range(facts))
        if facts["bins"] and facts["often"]:
            named = {
                _moment(float(each), facts) if kind == "date" else each: part for each, part in facts["often"].items()
            }
            parts.append("often " + ", ".join(f"{value} ({share:.0%})" for value, share in named.items()))
    else:
        parts.append(facts["why"])
    if facts.get("missing"):
        parts.append(f"missing {facts['missing']:.1%}")
    if "worked_out" in facts:
        parts.append(f"worked out: {facts['worked_out']}")
    return "; ".join(parts).replace(";", "", 1)


def _range(facts: dict[str, Any]) -> str:
    low, high, step = facts["low"], facts["high"], facts["step"]
    if facts["kind"] == "date":
        return f"{_moment(low, facts)} to {_moment(high, facts)}"
    return f"{low:.10g} to {high:.10g}" + (f" in steps of {step:g}" if step and step not in (1, 1e-9) else "")


def _moment(seconds: float, facts: dict[str, Any]) -> str:
    """Return a date, a moment, or a time of day."""
    text = str(np.datetime64(round(seconds), "s"))
    return text.rpartition("T")[2] if facts["type"] == "Time" else text.replace("T00:00:00", "")


def _few(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6:,} more"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
