"""What every table of docs/benchmarks.md is made with."""

from __future__ import annotations

from typing import Any

Result = dict[str, Any]
"""A result file: name, command, commit, date, machine, load, seed and figures."""
ARMS = {
    "real": "real images",
    "gandem": "gandem",
    "dcgan": "textbook DCGAN",
    "unrolled": "tiny networks of Metz et al., their game",
    "unrolled_gandem": "tiny networks of Metz et al., gandem's game",
}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a Markdown table."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def interval(figure: dict[str, Any] | None, scale: float = 1, digits: int = 2) -> str:
    """Return "value (low to high)", or a dash where there is nothing."""
    if figure is None:
        return "-"
    value, low, high = (f"{figure[key] * scale:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def longest_first(told: dict[str, Any]) -> list[str]:
    """Return the names of what was trained, those that saw most images first."""
    return sorted((name for name in told if "seen" in told[name]), key=lambda name: told[name]["seen"], reverse=True)


def origin(results: list[Result]) -> list[str]:
    """Return the lines that say where the numbers come from."""
    machines = {
        f"{r['machine']['processor']}, {r['machine']['cores']} cores, torch {r['machine']['torch']}" for r in results
    }
    machines |= {r["machine"]["accelerator"] for r in results if r["machine"].get("accelerator")}
    loads = [r["load_before"][0] for r in results if r["load_before"]]
    load = f"{min(loads, default=0):.1f} to {max(loads, default=0):.1f}"
    return [
        "",
        *(f"`{command}`  " for command in sorted({r["command"] for r in results})),
        f"Machine: {'; '.join(sorted(machines))}. Load average before: {load}. "
        f"Commit: {', '.join(sorted({r['commit'] for r in results}))}. Date: {max(r['date'] for r in results)[:10]}.",
        "",
    ]
