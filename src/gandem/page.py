"""Pieces of a page in HTML, for reports and for the parts that a domain brings; how they look says uses/report.html."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape


def section(title: str, text: str, body: str) -> str:
    """Return a part of the page; title and text are plain, the body is HTML."""
    said = f"<p>{escape(text)}</p>" if text else ""
    return f"<section><h2>{escape(title)}</h2>{said}{body}</section>"


def table(title: str, rows: str) -> str:
    """Return a table of HTML rows that scrolls by itself where the page is narrow."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(title)}"><table>{rows}</table></div>'


def pairs(rows: Mapping[str, str]) -> str:
    """Return rows of a plain name and HTML."""
    return "".join(f'<tr><th scope="row">{escape(name)}</th><td>{value}</td></tr>' for name, value in rows.items())


def head(*names: str) -> str:
    """Return the first row of a table, of plain names."""
    return "<tr>" + "".join(f'<th scope="col">{escape(name)}</th>' for name in names) + "</tr>"


def row(name: str, cells: Iterable[str], said: str = "") -> str:
    """Return a row: a plain name with a plain remark below it, and cells of HTML."""
    remark = f"<small>{escape(said)}</small>" if said else ""
    return f'<tr><th scope="row">{escape(name)}{remark}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
