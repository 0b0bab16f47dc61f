"""The protocol of a domain: everything that knows about one kind of data, behind a few calls.

The trainer, the run folder and the uses see these protocols only, never pixels or columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL.Image import Image
from torch import nn

from gandem.conditions import Condition, Told
from gandem.domains.given import Opened
from gandem.judge.figure import Figure
from gandem.recipe import DataOptions, NetworkOptions, Recipe
from gandem.spec import SampleSpec

Progress = Callable[[str, int, int], None]
"""Called as progress(what, done, total) while something slow runs."""
Writer = Callable[[np.ndarray, Any], bytes]
"""Called as writer(samples that a codec decoded, codec); returns a file."""


class Samples(Protocol):
    """Real samples to be drawn by index: all that a trainer asks for."""

    def __len__(self) -> int: ...

    def batch(self, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {"real": float32 (n, *spec.shape) in [-1, 1]} and, with labels, {"label": int64 (n,)}."""
        ...


class Dataset(Samples, Protocol):
    """A source, decoded once."""

    @property
    def spec(self) -> SampleSpec:
        """Shape and labels of one sample."""
        ...

    @property
    def codec(self) -> Codec:
        """Turns the samples into tensors and back."""
        ...

    @property
    def report(self) -> dict[str, Any]:
        """The data report: counts, sizes, what was skipped and why, in plain JSON types."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the decoded samples and labels; equal data give equal fingerprints."""
        ...

    @property
    def count(self) -> int:
        """How many different samples there are; `len` counts mirrored ones and the like too."""
        ...

    @property
    def rows(self) -> torch.Tensor:
        """Which of the samples that were read these are, int64 (count,), from 0."""
        ...

    def samples(self, indices: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """Return samples in [0, count) as people use them (images: uint8 NHWC) and their labels int64 (n,) if any."""
        ...

    def split(self, share: float, codec: Any = None) -> tuple[Dataset, Dataset]:
        """Return (for training, held out), about `share` in the second; equal samples stay together.

        What a codec learns of samples it learns of the first part alone. codec: one that has learnt already, as that of
        a run, in whose form both parts shall come.
        """
        ...


class Codec(Protocol):
    """Turns samples into tensors and back; saved in every run, so that a run samples without its data."""

    @property
    def spec(self) -> SampleSpec:
        """Shape and labels of one sample."""
        ...

    def decode(self, samples: torch.Tensor, *fixed: Any) -> np.ndarray:
        """Turn (n, *spec.shape) tensors in [-1, 1] into the array that people use (images: uint8 NHWC).

        fixed: names that must come out as they stand there, for codecs that mend what breaks a rule.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        ...

    def given(self, samples: np.ndarray) -> Any:
        """Turn decoded samples into what the data came as: an array, pictures, or a table."""
        ...


class Features(Protocol):
    """Turns decoded samples into numbers that the judge compares."""

    @property
    def name(self) -> str:
        """What the features are called; numbers made with others must not be compared."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of their weights."""
        ...

    def __call__(self, samples: np.ndarray, /) -> torch.Tensor:
        """Return float64 (n, d)."""
        ...

    def learnt_from(self, samples: np.ndarray) -> np.ndarray:
        """Return which samples the features were trained on, bool (n,): those are never scored."""
        ...


@dataclass(frozen=True)
class Judged:
    """What is judged, and by what; decoded samples (n, ...) throughout.

    generated, real, held_out: equally many of each; floors: made of `real`, see `Domain.floors`. more: makes about so
    many generated samples, for what needs more of them than that. training: draws so many samples that the generator
    was trained on, none of them held out, and says which of those that were read they are; None where nobody knows.
    report: what was found when the generated samples were read, if they were.
    """

    codec: Any
    generated: np.ndarray
    real: np.ndarray
    held_out: np.ndarray
    floors: Mapping[str, np.ndarray]
    more: Callable[[int], np.ndarray]
    training: Callable[[int], tuple[np.ndarray, np.ndarray]] | None = None
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, a sentence or two, and HTML."""

    title: str
    text: str
    body: str


@dataclass(frozen=True)
class Examination:
    """What a domain finds by means of its own kind. facts: plain JSON, for report.json; sections: for the page.

    evidence: numbers for the rules of the verdict, by name; one that is there already is replaced.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Figure] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()


class Domain(Protocol):
    """One kind of data."""

    @property
    def name(self) -> str:
        """What the kind is called in a run folder."""
        ...

    @property
    def noun(self) -> str:
        """What several samples are called, also in a .npz file."""
        ...

    @property
    def compared(self) -> int:
        """How many samples of each kind are compared by features at most; that is quadratic in time."""
        ...

    @property
    def sample_file(self) -> str:
        """A name under which samples would be written, for the model card."""
        ...

    @property
    def writers(self) -> Mapping[str, Writer]:
        """How samples become a file that only this kind of samples is written to, by the end of its name."""
        ...

    def reads(self, source: Opened) -> bool:
        """Whether a source holds this kind of data."""
        ...

    def decided(self, data: Any, recipe: Recipe) -> Recipe:
        """Return the recipe with every "auto" replaced that follows from a dataset; raises RecipeError."""
        ...

    def like(self, spec: SampleSpec) -> dict[str, Any]:
        """Return the recipe keys of the section data that make other samples of the same shape."""
        ...

    def networks(self, spec: SampleSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
        """Return (generator, discriminator) for samples of this shape."""
        ...

    def told(
        self, codec: Any, generator: Callable[[], nn.Module], where: Sequence[Condition], count: int, seed: int
    ) -> Told:
        """Return what the generator is told, so that `count` samples meet all conditions; raises RecipeError.

        generator: returns it, for domains whose generators are to be asked.
        """
        ...

    def made(self, codec: Any, generator: nn.Module, latent: torch.Tensor, told: Told) -> np.ndarray:
        """Return decoded samples that a generator on the CPU makes of latents (n, size) and of what it is told."""
        ...

    def imputed(self, codec: Any, generator: nn.Module, source: Opened, seed: int) -> Any:
        """Return a person's samples with their gaps filled; raises RecipeError where samples have none."""
        ...

    def scored(self, codec: Any, generator: nn.Module, source: Opened) -> Any:
        """Return a person's samples with how probable each is; raises RecipeError where no generator knows."""
        ...

    def preview(self, samples: np.ndarray, codec: Any, columns: int | None = None) -> Image:
        """Lay samples that a codec decoded out as one picture, `columns` of them in a row."""
        ...

    def pictures(self, samples: np.ndarray) -> list[Image]:
        """Turn decoded samples into a picture each; raises RecipeError where they are none."""
        ...

    def features(self, codec: Any, path: Path | None = None) -> Features:
        """Return what the judge sees of samples that a codec decoded; path: weights of the user's own."""
        ...

    def learn_features(self, data: Any, steps: int, seed: int, progress: Progress | None = None) -> bytes:
        """Learn features from a dataset of this domain; return the file that `features` reads."""
        ...

    def variants(self, samples: np.ndarray, data: Any) -> Sequence[np.ndarray]:
        """Return the samples (first) and the same ones slightly changed, behind which a copy of data could hide."""
        ...

    def floors(self, samples: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return sets made from decoded real samples that must lose against any generator, by name."""
        ...

    def examination(self, judged: Judged, target: str | None, seed: int) -> Examination:
        """Judge by means of the domain's own, beyond the features; target: a column to predict, if there are any."""
        ...

    def lines(self, report: dict[str, Any]) -> list[str]:
        """Say a data report in a few lines."""
        ...

    def read(
        self,
        source: Opened,
        options: DataOptions,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> Dataset:
        """Read a source whole. `cache` is a folder for decoded data that do not fit in memory."""
        ...

    def matching(self, source: Opened, codec: Any, options: DataOptions) -> Dataset:
        """Read samples whose decoded form is that of a codec, to be judged beside samples that it decoded."""
        ...

    def codec(self, state: dict[str, Any]) -> Codec:
        """Rebuild a codec from its `to_dict`."""
        ...
