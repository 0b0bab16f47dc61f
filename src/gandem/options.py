"""How the words of a command line become values; each refuses in one line what it cannot read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gandem.errors import RecipeError, RunError


def read_settings(pairs: list[str] | None, size: str | None, fit: str | None, **data: bool | None) -> dict[str, Any]:
    """Gather the recipe keys that options change; an option of its own wins over --set. data: switches of data."""
    from gandem.recipe import parse_settings

    options = {"data.size": _size(size), "data.fit": fit} | {f"data.{name}": on for name, on in data.items()}
    return parse_settings(pairs or []) | {key: value for key, value in options.items() if value is not None}


def _size(text: str | None) -> int | tuple[int, int] | None:
    """Read 64 or 48x64 (height x width)."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text)
    if match is None:
        raise RecipeError(f"--size {text} is neither a number of pixels such as 64 nor HEIGHTxWIDTH such as 48x64")
    height, width = match.groups()
    return int(height) if width is None else (int(height), int(width))


def must_end(out: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a name that does not say in which of these forms to write."""
    if out.suffix.lower() not in suffixes:
        raise RecipeError(f"--out {out}: give it a name that ends in {' or '.join(suffixes)}")


def must_be_free(out: Path, force: bool) -> None:
    """Refuse to write over a file unless told to, and into a folder that holds something: two lots would be mixed."""
    if out.is_dir() and any(out.iterdir()):
        raise RunError(f"{out} is a folder that holds something; choose another --out")
    if out.exists() and not out.is_dir() and not force:
        raise RunError(f"{out} exists already; choose another --out or add --force")
