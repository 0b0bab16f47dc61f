"""Checkpoints: a folder of safetensors and one JSON each, written aside, synced and renamed, so never half there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from gandem.errors import RunError, StorageError

KEEP = 2
"""How many of the newest checkpoints stay."""
Tensors = dict[str, dict[str, Tensor]]
"""By file and name."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds: tensors and the counters of the trainer."""

    path: Path
    tensors: Tensors
    numbers: dict[str, Any]
    damaged: tuple[str, ...] = ()
    """What is wrong with the newer checkpoints that could not be read."""


def weights(player: nn.Module) -> dict[str, Tensor]:
    """Return the state of a network with each tensor once, under the first of its names: layers may share some."""
    state = player.state_dict()
    return {name: state[name] for name, first in _first_names(state).items() if name == first}


def load_weights(player: nn.Module, saved: dict[str, Tensor]) -> None:
    """Take a state as `weights` returns it, or a whole one; raises RuntimeError or KeyError where it does not fit."""
    first = _first_names(player.state_dict())
    player.load_state_dict(saved | {name: saved[first[name]] for name in first if first[name] != name})


def _first_names(state: dict[str, Tensor]) -> dict[str, str]:
    """Return, for every name in a state, the first name of the same tensor."""
    places = {name: (value.data_ptr(), value.shape, value.stride()) for name, value in state.items()}
    seen: dict[Any, str] = {}
    return {name: seen.setdefault(place, name) if state[name].numel() else name for name, place in places.items()}


def save(folder: Path, tensors: Tensors, numbers: dict[str, Any], keep: int = 0) -> Path:
    """Write a checkpoint into `folder` under the count of images; raises StorageError.

    The newest two are kept, and that of `keep` images.
    """
    final = at(folder, numbers["images"])
    aside = folder / f".{final.name}.{os.getpid()}"
    with storing(folder), _removed_on_failure(aside):
        for leftover in folder.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)
        aside.mkdir(parents=True)
        files = {}
        for name, group in tensors.items():
            data = safetensors.torch.save({key: value.contiguous() for key, value in group.items()})
            write_synced(aside / f"{name}.safetensors", data)
            files[f"{name}.safetensors"] = hashlib.sha256(data).hexdigest()
        state = {"schema_version": 1, **numbers, "sha256": files}
        write_synced(aside / "state.json", json.dumps(state, indent=1).encode())
        if final.exists():
            shutil.rmtree(final)
        aside.rename(final)
        sync(folder)
        for old in paths(folder)[:-KEEP]:
            if old != at(folder, keep):
                shutil.rmtree(old)
    return final


def load(path: Path, only: set[str] | None = None) -> Checkpoint:
    """Read one checkpoint whole, or the named files of it; raises RunError when a file is damaged or missing."""
    try:
        numbers = json.loads((path / "state.json").read_text(encoding="utf-8"))
        tensors = {}
        for file, digest in numbers.pop("sha256").items():
            name = file.removesuffix(".safetensors")
            if only is None or name in only:
                data = (path / file).read_bytes()
                if hashlib.sha256(data).hexdigest() != digest:
                    raise RunError(f"{path / file} is damaged: its contents changed after it was written")
                tensors[name] = safetensors.torch.load(data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{path} is not a readable checkpoint: {error}") from error
    return Checkpoint(path, tensors, numbers)


def newest(folder: Path, only: set[str] | None = None) -> Checkpoint:
    """Read the newest checkpoint that is whole; raises RunError when there is none."""
    problems: list[str] = []
    for path in reversed(paths(folder)):
        try:
            return replace(load(path, only), damaged=tuple(problems))
        except RunError as error:
            problems.append(str(error))
    raise RunError(f"no readable checkpoint in {folder}" + (f": {problems[0]}" if problems else "; train it first"))


def discard_newer(folder: Path, than: Path) -> None:
    """Take away the checkpoints that are newer than one: they could not be read, and would count among the newest."""
    with storing(folder):
        for path in paths(folder):
            if path.name > than.name:
                shutil.rmtree(path)


def best(folder: Path, only: set[str] | None = None) -> Checkpoint:
    """Read the checkpoint that the newest one calls the best, or the newest where none is or it is damaged."""
    last = newest(folder, only)
    images = last.numbers.get("referee", {}).get("best")
    if images is None or at(folder, images) == last.path:
        return last
    try:
        return replace(load(at(folder, images), only), damaged=last.damaged)
    except RunError as error:
        return replace(last, damaged=(*last.damaged, str(error)))


def mended(broken: Tensors, whole: Tensors) -> Tensors:
    """Return tensors in which every number that is not finite is that of `whole`, or 0 where this has none."""

    def mend(value: Tensor, saved: Tensor | None) -> Tensor:
        return torch.where(value.isfinite(), value, torch.zeros_like(value) if saved is None else saved.to(value))

    return {
        file: {name: mend(value, whole[file].get(name)) for name, value in group.items()}
        for file, group in broken.items()
    }


def at(folder: Path, images: int) -> Path:
    """Return where the checkpoint after so many images lies."""
    return folder / f"{images:012d}"


def paths(folder: Path) -> list[Path]:
    """Return the finished checkpoints, oldest first."""
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir())


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old contents or the new, never a part; raises StorageError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with storing(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        try:
            write_synced(aside, data)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        sync(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Wait until the disk has the names in a folder (a no-op where folders cannot be opened)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    """Give the room back that a half-written folder takes: the disk may be full because of it."""
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space, then go on" if full else "choose another place with --out"
        raise StorageError(f"cannot write {path}: {error.strerror or error}; {advice}") from error
