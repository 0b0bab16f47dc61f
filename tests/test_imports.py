"""The arrows between the parts of gandem run downwards only; this test walks every import to keep it so."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "gandem"

LAYERS = [
    {"errors", "spec", "launch", "holdout", "judge", "referee", "strict_json", "page", "conditions"},
    {"recipe"},
    {"game", "latents"},
    {"domains", "training", "run", "recording", "uses"},
    {"session"},
    {"preparation"},
    {"api"},
    {"trainer", "estimator"},
    {"comparison", "augmentation"},
    {"__init__"},
    {"console", "exit_codes", "options"},
    {"cli"},
    {"__main__"},
]
"""From the bottom to the top; a part imports from its own layer or a lower one."""

FILES = sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    """gandem.game.losses for src/gandem/game/losses.py."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports when it runs, wherever the import stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import; write the whole name"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if is_module(whole) else str(node.module)


def is_module(name: str) -> bool:
    path = SOURCE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def ours(path: Path) -> list[str]:
    """The modules of gandem that a file imports; the package itself is written gandem.__init__."""
    names = [name for name in imports(path) if name.split(".")[0] == "gandem"]
    return ["gandem.__init__" if name == "gandem" else name for name in names]


def layer_of(name: str) -> int:
    part = name.split(".")[1]
    assert any(part in parts for parts in LAYERS), f"say in LAYERS where gandem.{part} stands"
    return next(height for height, parts in enumerate(LAYERS) if part in parts)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_run_downwards(path: Path) -> None:
    here = layer_of(name_of(path))
    upwards = [name for name in ours(path) if layer_of(name) > here]
    assert not upwards, f"{name_of(path)} must not import {upwards}"


@pytest.mark.parametrize("path", sorted((SOURCE / "game").rglob("*.py")), ids=name_of)
def test_the_game_knows_torch_and_nothing_else(path: Path) -> None:
    allowed = {"torch", "gandem", *sys.stdlib_module_names}
    assert {name.split(".")[0] for name in imports(path)} <= allowed
    assert {name.split(".")[1] for name in ours(path)} <= {"game", "spec", "errors"}


@pytest.mark.parametrize("path", sorted((SOURCE / "domains").glob("*/**/*.py")), ids=name_of)
def test_no_domain_imports_another(path: Path) -> None:
    domains = {folder.name for folder in (SOURCE / "domains").iterdir() if folder.is_dir()}
    parts = [name.split(".") for name in ours(path)]
    imported = {part[2] for part in parts if len(part) > 2 and part[1] == "domains"} & domains
    assert imported <= {path.relative_to(SOURCE / "domains").parts[0]}


def test_only_the_engine_imports_accelerate() -> None:
    users = {name_of(path) for path in FILES if any(name.split(".")[0] == "accelerate" for name in imports(path))}
    assert users <= {"gandem.training.engine"}


def test_nobody_imports_the_command_line() -> None:
    users = {name_of(path): name for path in FILES for name in ours(path) if name.split(".")[1] in {"cli", "console"}}
    assert all(user.startswith(("gandem.cli", "gandem.__main__")) for user in users)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_one_room(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


OPTIONAL = ("polars", "fastexcel", "sklearn", "imblearn", "pyarrow", "onnx", "onnxscript", "onnxruntime", "pandas")
WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({OPTIONAL!r}))
import gandem
from gandem import api, cli, comparison, trainer
from gandem.domains import DOMAINS
"""


def test_a_plain_installation_needs_none_of_the_extras() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT], check=True)
