"""The folder of an experiment: what is asked, and a line for every finished fold, so that it can be continued."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gandem import strict_json
from gandem.errors import RunError
from gandem.run import encoded, read_json, write_json
from gandem.training.checkpoint import storing

QUESTION, FOLDS, FACTS, PAGE = "question.json", "folds.jsonl", "augmentation.json", "augmentation.html"


class Folder:
    """An experiment on the disk. Use `Folder.opened`.

    records: what was found in the folds that are finished, in their order.
    """

    def __init__(self, path: Path, question: dict[str, Any]) -> None:
        self.path, self.question = path, question
        self.records = _lines(path / FOLDS)

    @classmethod
    def opened(cls, path: Path, asked: dict[str, Any]) -> Folder:
        """Make a folder, or take up one that asks the same; raises RunError when it holds something else."""
        if (path / QUESTION).is_file():
            known = read_json(path / QUESTION)
            differs = [key for key, value in asked.items() if known.get(key) != value]
            if differs:
                raise RunError(f"{path} holds an experiment with other {', '.join(differs)}; choose another --out")
            return cls(path, known)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunError(f"{path} is in the way: choose another --out")
        with storing(path):
            path.mkdir(parents=True, exist_ok=True)
        write_json(path / QUESTION, asked)
        return cls(path, asked)

    @classmethod
    def free(cls, parent: Path, stem: str, asked: dict[str, Any]) -> Path:
        """Return the first of STEM, STEM-2, ... that is not taken, or holds the same question without an answer."""
        number = 1
        while True:
            path = parent / (stem if number == 1 else f"{stem}-{number}")
            if not path.exists():
                return path
            if (path / QUESTION).is_file() and not (path / FACTS).exists():
                known = read_json(path / QUESTION)
                if all(known.get(key) == value for key, value in asked.items()):
                    return path
            number += 1

    def note(self, **decided: Any) -> None:
        """Keep what was decided once for all folds."""
        self.question = {**self.question, **decided}
        write_json(self.path / QUESTION, self.question)

    def add(self, record: dict[str, Any]) -> None:
        """Keep what a fold found, synced, before anything else happens."""
        with storing(self.path), (self.path / FOLDS).open("ab") as file:
            _cut_torn(file, self.path / FOLDS)
            file.write(encoded(strict_json.dumps(record) + "\n"))
            file.flush()
            os.fsync(file.fileno())
        self.records.append(record)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read whole lines; what a power cut has torn counts as not there."""
    found: list[dict[str, Any]] = []
    if not path.is_file():
        return found
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise RunError(f"{path}: line {len(found) + 1} is damaged ({error}); choose another --out") from error
    return found


def _cut_torn(file: Any, path: Path) -> None:
    """Cut off a last line that was not finished."""
    data = path.read_bytes()
    file.truncate(data.rfind(b"\n") + 1)
