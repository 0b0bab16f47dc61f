"""What a training leaves behind while it plays: the event log, TensorBoard curves, pictures, checkpoints."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gandem import latents, strict_json
from gandem.domains import animation
from gandem.errors import RunError
from gandem.run import Run, encoded, model_card, write_json
from gandem.training import averages, checkpoint
from gandem.training.checkpoint import Tensors, storing, write_atomic
from gandem.training.loop import Loop

Watch = Callable[[dict[str, Any]], None]
"""Receives every event as it happens."""

ROWS = 8


class RunRecorder:
    """Writes a run folder. In the other processes of a parallel training, use `Silence`.

    events_bytes: length of the event log at the checkpoint that training continues from, after `images` images; what
    came later is cut off.
    """

    def __init__(self, run: Run, watch: Watch | None, events_bytes: int = 0, images: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.run = run
        self.watch = watch or (lambda event: None)
        self._path = run.path / "events.jsonl"
        with storing(run.path):
            self._events = self._path.open("ab")
            self._events.truncate(min(events_bytes, self._path.stat().st_size))  # a copy may lack the log
            self._board = SummaryWriter(str(run.path / "tensorboard"), purge_step=images)
        averages.discard_newer(run.averages, images)
        columns = min(run.spec.num_labels or ROWS, 2 * ROWS)
        self._columns = columns if run.spec.num_labels else None  # a column is a class
        self._labels = torch.arange(columns * ROWS) % columns if run.spec.num_labels else None
        self._latents = latents.draw(columns * ROWS, run.recipe.network.latent, run.recipe.training.seed)

    def event(self, name: str, **facts: Any) -> None:
        """Append one line to the log and tell whoever watches."""
        event = {"event": name, "time": round(time.time(), 3), **facts}
        with storing(self._path):
            self._events.write(encoded(strict_json.dumps(event) + "\n"))
            self._events.flush()
            if name == "progress":
                for key, value in facts["losses"].items():
                    self._board.add_scalar(key, value, facts["images"])
                for key in ("images_per_second", "lr", "gamma", "augmentation"):
                    self._board.add_scalar(f"progress/{key}", facts[key], facts["images"])
        self.watch(event)

    def preview(self, generator: nn.Module, images: int) -> None:
        """Draw a grid with latents that stay the same throughout, one class a column."""
        samples = self.run.codec.decode(latents.generate(generator, self._latents, self._labels))
        picture = io.BytesIO()
        self.run.domain.preview(samples, self.run.codec, self._columns).save(picture, "PNG")
        path = self.run.path / "samples" / f"{images:012d}.png"
        write_atomic(path, picture.getvalue())
        write_atomic(path.with_name("latest.png"), picture.getvalue())
        self.event("samples", path=str(path), images=images)

    def checkpoint(self, trainer: Loop) -> None:
        """Save the trainer's state and where the log stands."""
        began = time.monotonic()
        tensors, numbers = trainer.state()
        numbers |= {"seed": trainer.options.seed, "events_bytes": self._path.stat().st_size}
        path = checkpoint.save(self.run.checkpoints, tensors, numbers, trainer.referee.refuge)
        facts = {"images": trainer.images, "seconds": round(time.monotonic() - began, 3)}
        self.event("checkpoint", path=str(path), **facts)

    def snapshot(self, trainer: Loop) -> None:
        """Keep the power-function averages of the trainer."""
        path = averages.save(self.run.averages, trainer.images, trainer.power_averages)
        self.event("snapshot", path=str(path), images=trainer.images)

    def saved(self, images: int) -> Tensors:
        """Return the tensors of the checkpoint at so many images."""
        return _saved(self.run, images)

    def forget(self, images: int) -> None:
        """Take away the snapshots after so many images."""
        averages.discard_newer(self.run.averages, images)

    def report(self, status: str, trainer: Loop) -> None:
        """Bring report.json and the model card up to date."""
        cost = {"images": trainer.images, "seconds": round(trainer.seconds, 3), "budget": trainer.budget.to_dict()}
        cost["referee"] = trainer.referee.summary()
        known = self.run.report
        if status == "training":
            known.pop("evaluation", None)  # it was of an earlier generator
        write_json(self.run.path / "report.json", {**known, "status": status, **cost})
        write_atomic(self.run.path / "README.md", encoded(model_card(self.run)))

    def finish(self) -> None:
        """Make the moving picture of the training."""
        frames = sorted((self.run.path / "samples").glob("[0-9]*.png"))
        with storing(self.run.path):
            animation.write(frames, self.run.path / "samples" / "training.gif")

    def close(self) -> None:
        """Close the log."""
        self._events.close()
        self._board.close()


def _saved(run: Run, images: int) -> Tensors:
    """Return the tensors of the checkpoint at so many images, of the newest if it is damaged."""
    try:
        return checkpoint.load(checkpoint.at(run.checkpoints, images)).tensors
    except RunError:
        return checkpoint.newest(run.checkpoints).tensors


class Silence:
    """Records nothing: for the processes of a parallel training that do not speak."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def event(self, name: str, **facts: Any) -> None:
        """Ignore it."""

    def preview(self, generator: nn.Module, images: int) -> None:
        """Ignore it."""

    def checkpoint(self, trainer: Loop) -> None:
        """Ignore it."""

    def snapshot(self, trainer: Loop) -> None:
        """Ignore it."""

    def forget(self, images: int) -> None:
        """Ignore it."""

    def saved(self, images: int) -> Tensors:
        """Return the tensors of the checkpoint at so many images."""
        return _saved(self.run, images)

    def report(self, status: str, trainer: Loop) -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Ignore it."""


def free_path(source: str | Path, folder: Path = Path("runs")) -> Path:
    """Return a name under `runs/` that is not taken: runs/photos, runs/photos-2, ..."""
    stem = Path(source).resolve().name.split(".")[0] or "run"
    number = 1
    while (path := folder / (stem if number == 1 else f"{stem}-{number}")).exists():
        number += 1
    return path
