"""Samples of a run as files: single pictures, one picture of all, arrays, or a walk through the latents."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from gandem import latents
from gandem.conditions import Where
from gandem.errors import RecipeError
from gandem.run import Run
from gandem.training.checkpoint import storing, write_atomic

FRAME_MILLISECONDS = 66


def write_samples(
    run: Run,
    out: Path,
    *,
    count: int = 16,
    where: Where | None = None,
    seed: int = 0,
    truncation: float = 1.0,
    interpolate: int | None = None,
    frames: int = 60,
) -> dict[str, Any]:
    """Write new samples to `out` and return what was written.

    out: x.png for one grid, x.npz for `images` uint8 (n, H, W, C) and `labels` int64 (n,), x.npy for an array alone, of
    the form that the training was given if it was given one, x.csv or x.parquet for a table, x.gif for a walk, and
    anything without a suffix for a folder of single PNGs. interpolate: number of random points that the walk visits in
    `frames` frames, of the first class unless `where` names one.
    Raises RecipeError for what cannot be asked, StorageError when the disk refuses.
    """
    facts: dict[str, Any] = {"path": str(out), "seed": seed, "truncation": truncation}
    suffix = out.suffix.lower()
    own = run.domain.writers
    if suffix not in ("", ".png", ".npz", ".npy", ".gif", *own):
        raise RecipeError(f"--out {out}: write to {', '.join(own) or 'a folder'}, .png, .npz, .npy or .gif")
    if (interpolate is not None) != (suffix == ".gif"):
        raise RecipeError(f"--out {out}: --interpolate makes a .gif, and a .gif needs --interpolate")
    with storing(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    if interpolate is not None:
        pictures = walk(run, interpolate, frames, where, seed, truncation)
        data = io.BytesIO()
        pictures[0].save(data, "GIF", save_all=True, append_images=pictures[1:], duration=FRAME_MILLISECONDS, loop=0)
        write_atomic(out, data.getvalue())
        return {**facts, "frames": len(pictures)}
    told = run.told(count, where, seed)
    facts |= {} if told.chance is None else {"chance": told.chance}
    images, labels = run.made(told, count, seed, truncation)
    if suffix in own:
        write_atomic(out, own[suffix](images, run.codec))
    elif suffix == ".npz":
        write_atomic(out, _npz(**{run.domain.noun: images}, **({} if labels is None else {"labels": labels})))
    elif suffix == ".npy":
        given = run.codec.given(images)
        write_atomic(out, _npy(given if isinstance(given, np.ndarray) else images))
    elif suffix == ".png":
        in_turn = labels is not None and not where and run.spec.num_labels <= 16  # then a column is a class
        write_atomic(out, _png(run.domain.preview(images, run.codec, run.spec.num_labels if in_turn else None)))
    else:
        _write_folder(run, out, images, labels)
    return {**facts, "count": count}


def walk(
    run: Run, keys: int, frames: int, where: Where | None = None, seed: int = 0, truncation: float = 1.0
) -> list[Image]:
    """Return the frames of a closed walk through `keys` random latents, of one class (the first unless `where`)."""
    if keys < 2 or frames < keys:
        raise RecipeError(f"--interpolate {keys} --frames {frames}: needs 2 points or more and as many frames")
    told = run.told(1, where, seed)
    if told.inputs is not None:
        told = told._replace(inputs=told.inputs.expand(frames, *told.inputs.shape[1:]))
    path = latents.walk(latents.draw(keys, run.recipe.network.latent, seed, truncation), frames)
    images = run.domain.made(run.codec, run.generator(), path, told)
    return [run.domain.preview(image[None], run.codec) for image in images]


def _write_folder(run: Run, folder: Path, images: np.ndarray, labels: np.ndarray | None) -> None:
    """Write 00000.png ..., in one folder a class when there are classes, so that the result is a source again."""
    names = _different([_safe(label) for label in run.spec.labels])
    for index, picture in enumerate(run.domain.pictures(images)):
        place = folder if labels is None else folder / names[labels[index]]
        with storing(place):
            place.mkdir(parents=True, exist_ok=True)
        write_atomic(place / f"{index:05d}.png", _png(picture))


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in " -_." else "_" for letter in name).strip(". ") or "_"


def _different(names: list[str]) -> list[str]:
    """Return names of which those that are equal, but for their case, end in their places."""
    often = Counter(name.casefold() for name in names)
    return [f"{name}-{place}" if often[name.casefold()] > 1 else name for place, name in enumerate(names)]


def _png(picture: Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def _npz(**arrays: np.ndarray) -> bytes:
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]
    return data.getvalue()


def _npy(array: np.ndarray) -> bytes:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=False)
    return data.getvalue()
