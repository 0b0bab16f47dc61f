"""The domain of images: reads them from files, archives and arrays, and turns tensors back into pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image
from torch import Tensor, nn

from gandem.conditions import Condition, Told
from gandem.domains.classes import told
from gandem.domains.domain import Examination, Judged, Writer
from gandem.domains.given import Frame, Opened
from gandem.domains.images import preview, report
from gandem.domains.images.codec import ImageCodec, to_pictures
from gandem.domains.images.details import told_by_details
from gandem.domains.images.features import ImageFeatures, load_features
from gandem.domains.images.floors import floors, variants
from gandem.domains.images.learning import learn
from gandem.domains.images.networks import build_networks, decided
from gandem.domains.images.store import ImageData, read_images
from gandem.domains.images.survey import Progress
from gandem.domains.making import made
from gandem.errors import RecipeError
from gandem.judge.verdict import DETAILS
from gandem.recipe import DataOptions, NetworkOptions, Recipe
from gandem.spec import SampleSpec

GAMMA = 1.0, 0.1
"""Weight of the penalty at the start and at the end; see docs/experiments.md."""


class ImageDomain:
    """Pictures with 1 to 4 channels of 8 bits."""

    name = "images"
    noun = "images"
    writers: Mapping[str, Writer] = {}
    compared = 10_000
    sample_file = "samples.png"

    def reads(self, source: Opened) -> bool:
        """Take whatever no other domain does."""
        return True

    def read(
        self,
        source: Opened,
        options: DataOptions,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> ImageData:
        """Read a source whole; see `gandem.domains.images.store.read_images`."""
        assert not isinstance(source, Frame)
        return read_images(source, options, cache, progress)

    def matching(self, source: Opened, codec: ImageCodec, options: DataOptions) -> ImageData:
        """Read images in the size and with the channels of a codec."""
        channels, height, width = codec.spec.shape
        return self.read(source, options.model_copy(update={"size": (height, width), "channels": channels}))

    def codec(self, state: dict[str, Any]) -> ImageCodec:
        """Rebuild a codec from its `to_dict`."""
        return ImageCodec.from_dict(state)

    def decided(self, data: ImageData, recipe: Recipe) -> Recipe:
        """Return the recipe with every "auto" replaced that follows from the shape of the images."""
        return recipe.model_copy(update={"network": decided(data.spec, recipe.network)}).with_gamma(*GAMMA)

    def like(self, spec: SampleSpec) -> dict[str, Any]:
        """Return the size and the channels."""
        channels, height, width = spec.shape
        return {"data.size": (height, width), "data.channels": channels}

    def networks(self, spec: SampleSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
        """Return (generator, discriminator), channels last in memory; raises RecipeError for an unknown kind."""
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

    def preview(self, samples: np.ndarray, codec: ImageCodec, columns: int | None = None) -> Image:
        """Lay uint8 (n, H, W, C) images out as one picture."""
        return preview.grid(samples, columns)

    def pictures(self, samples: np.ndarray) -> list[Image]:
        """Turn uint8 (n, H, W, C) into Pillow images of mode L, LA, RGB or RGBA."""
        return to_pictures(samples)

    def features(self, codec: ImageCodec, path: Path | None = None) -> ImageFeatures:
        """Return the shipped features, or those of an .onnx or .safetensors file; see `load_features`."""
        return load_features(path)

    def learn_features(self, data: ImageData, steps: int, seed: int, progress: Progress | None = None) -> bytes:
        """Learn features from images; return the .safetensors file that `features` reads."""
        return learn(data, steps, seed, progress)

    def variants(self, samples: np.ndarray, data: ImageData) -> list[np.ndarray]:
        """Return the images as they are, mirrored, shifted toward each corner and, where data is turned, turned."""
        return variants(samples, data.turn)

    def floors(self, samples: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return noise, shuffled pixels, blurred images, and one image repeated."""
        return floors(samples, seed)

    def examination(self, judged: Judged, target: str | None, seed: int) -> Examination:
        """Return how surely pieces at their own size are told apart; a target raises RecipeError."""
        if target is not None:
            raise RecipeError(f"--target {target}: is a column of a table, and pictures have none; leave it out")
        figure = told_by_details(judged.generated, judged.held_out, seed)
        return Examination() if figure is None else Examination({DETAILS: figure.to_dict()}, {DETAILS: figure})

    def lines(self, data_report: dict[str, Any]) -> list[str]:
        """Say a data report in a few lines."""
        return report.lines(data_report)


IMAGES = ImageDomain()
