"""What the pages say: their links lead somewhere, their settings exist, their example gives their numbers."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from gandem.recipe import load_recipe, parse_settings

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands_set_what_there_is() -> None:
    """Every --set of a command in a page is a key of the recipe, and its value is taken."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    commands = re.findall(r"^gandem .*--set \w+\..*$", text, flags=re.MULTILINE)
    pairs = [re.findall(r"--set ([a-z_]+\.[a-z_]+=[\w.]+)", command) for command in commands]
    assert len(pairs) >= 3
    for each in pairs:
        settings = parse_settings(each)
        assert settings and load_recipe("default", settings) != load_recipe("default"), each


def test_the_smallest_game_ends_where_the_page_says() -> None:
    """The Dirac GAN: distances after 2,000 steps without and with R1."""
    page = (ROOT / "docs" / "gans-from-zero.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(example, {})
    for line, (free, held) in zip(printed.getvalue().splitlines(), [(3.1, 0), (0.45, 0), (21_000, 0)], strict=True):
        name, *ends = line.split()
        assert [float(end) for end in ends] == [pytest.approx(free, rel=0.03), pytest.approx(held, abs=1e-9)]
        assert f"| {name} | " in page
