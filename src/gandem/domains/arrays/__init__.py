"""The domain of arrays: vectors, series and whatever else is numbers of one shape, without a picture's grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image
from torch import Tensor, nn

from gandem.conditions import Condition, Told
from gandem.domains.arrays.codec import ArrayCodec
from gandem.domains.arrays.data import ArrayData, lines, read_arrays
from gandem.domains.arrays.features import ArrayFeatures
from gandem.domains.arrays.networks import build_networks
from gandem.domains.arrays.preview import drawn
from gandem.domains.classes import told
from gandem.domains.domain import Examination, Judged, Progress, Writer
from gandem.domains.given import Arrays, Opened
from gandem.domains.making import made
from gandem.domains.pictures_only import refuse_settings_of_pictures
from gandem.errors import RecipeError
from gandem.recipe import DataOptions, NetworkOptions, Recipe
from gandem.spec import SampleSpec

SMALL, NARROW, WIDE, BLOCKS, BATCH = 16, 128, 256, 3, 256
"""Numbers in a sample up to which networks are narrow, both widths, blocks, and samples of a step: networks so small
take about as long for 256 as for 64."""
GAMMA = 0.06, 0.0001
"""Weight of the penalty at the start and at the end, for each unit of the data's variance: a slope is a difference of
scores over a distance, and that is as large as the data are wide."""


class ArrayDomain:
    """Numbers of one shape."""

    name = "arrays"
    noun = "samples"
    writers: Mapping[str, Writer] = {}
    compared = 10_000
    sample_file = "samples.npy"

    def reads(self, source: Opened) -> bool:
        """Whether a source holds arrays that are no pictures."""
        return isinstance(source, Arrays) and not source.holds_pictures()

    def read(
        self,
        source: Opened,
        options: DataOptions,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> ArrayData:
        """Read a source whole; see `gandem.domains.arrays.data.read_arrays`."""
        assert isinstance(source, Arrays)
        return read_arrays(source, options)

    def matching(self, source: Opened, codec: ArrayCodec, options: DataOptions) -> ArrayData:
        """Read a source; arrays have the shape that they have."""
        return self.read(source, options)

    def codec(self, state: dict[str, Any]) -> ArrayCodec:
        """Rebuild a codec from its `to_dict`."""
        return ArrayCodec.from_dict(state)

    def like(self, spec: SampleSpec) -> dict[str, Any]:
        """Return nothing: arrays have the shape that they have."""
        return {}

    def decided(self, data: ArrayData, recipe: Recipe) -> Recipe:
        """Return the recipe with every "auto" replaced that follows from the data; raises RecipeError."""
        refuse_settings_of_pictures(recipe, "these are arrays")
        width = NARROW if np.prod(data.spec.shape) <= SMALL else WIDE
        found = {
            "network.width": width,
            "network.blocks": BLOCKS,
            "training.batch": BATCH,
            "game.augment": 0.0,
        }
        return recipe.fill(found).with_gamma(*(float(f"{part * data.codec.variance:.3g}") for part in GAMMA))

    def networks(self, spec: SampleSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
        """Return (generator, discriminator); raises RecipeError for an unknown kind."""
        return build_networks(spec, options)

    def told(
        self, codec: Any, generator: Callable[[], nn.Module], where: Sequence[Condition], count: int, seed: int
    ) -> Told:
        """Return labels: of the class that is asked for, else of all in turn."""
        return told(codec.spec, count, where)

    def made(self, codec: Any, generator: nn.Module, latent: Tensor, told: Told) -> np.ndarray:
        """Return decoded samples of latents and labels."""
        return made(codec, generator, latent, told)

    def imputed(self, codec: Any, generator: nn.Module, source: Opened, seed: int) -> Any:
        """Raise RecipeError."""
        raise RecipeError("gaps are filled in tables only")

    def scored(self, codec: Any, generator: nn.Module, source: Opened) -> Any:
        """Raise RecipeError."""
        raise RecipeError("only generators of tables say how probable a sample is")

    def preview(self, samples: np.ndarray, codec: ArrayCodec, columns: int | None = None) -> Image:
        """Draw points (n, 2) in a plane, anything longer as lines side by side."""
        return drawn(samples, columns)

    def pictures(self, samples: np.ndarray) -> list[Image]:
        """Raise RecipeError: a folder of arrays would be of no use."""
        raise RecipeError("samples of this run are arrays: write them to .npy or .npz, or a look at them to .png")

    def features(self, codec: ArrayCodec, path: Path | None = None) -> ArrayFeatures:
        """Return what the judge sees of samples; there are no other features, so `path` raises RecipeError."""
        if path is not None:
            raise RecipeError(f"--features {path}: is for pictures; arrays are judged by their numbers")
        return ArrayFeatures(codec)

    def learn_features(self, data: Any, steps: int, seed: int, progress: Progress | None = None) -> bytes:
        """Raise RecipeError: the numbers of an array are its features."""
        raise RecipeError("features are learnt of pictures; arrays are judged by their numbers")

    def variants(self, samples: np.ndarray, data: Any) -> list[np.ndarray]:
        """Return the samples as they are."""
        return [samples]

    def floors(self, samples: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return uniform noise between the extremes of each number, one sample repeated, and places shuffled."""
        rng = np.random.default_rng(seed)
        noise = rng.uniform(samples.min(0), samples.max(0), samples.shape)
        one = samples[rng.integers(len(samples))][None]
        shuffled = rng.permuted(samples.reshape(len(samples), -1), axis=1).reshape(samples.shape)
        lost = {"one sample repeated": one.repeat(len(samples), 0), "noise": noise.astype(samples.dtype)}
        return lost | ({"places shuffled": shuffled} if samples[0].size > 1 else {})

    def examination(self, judged: Judged, target: str | None, seed: int) -> Examination:
        """Return nothing: features say it all; a target raises RecipeError."""
        if target is not None:
            raise RecipeError(f"--target {target}: is a column of a table, and arrays have none; leave it out")
        return Examination()

    def lines(self, report: dict[str, Any]) -> list[str]:
        """Say a data report in a few lines."""
        return lines(report)


ARRAYS = ArrayDomain()
