"""The domain of tables: rows of categories, numbers, dates, with what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL.Image import Image
from torch import Tensor, nn

from gandem.conditions import Condition, Told
from gandem.domains import making
from gandem.domains.domain import Examination, Judged, Progress, Writer
from gandem.domains.given import Arrays, Frame, Opened
from gandem.domains.pictures_only import refuse_settings_of_pictures
from gandem.domains.tables.asking import told
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.features import TableFeatures
from gandem.domains.tables.making import made
from gandem.domains.tables.networks import TableGenerator, build_networks, latents
from gandem.domains.tables.preview import drawn
from gandem.domains.tables.spec import TableSpec
from gandem.domains.tables.suffixes import known
from gandem.errors import RecipeError, optional
from gandem.recipe import DataOptions, NetworkOptions, Recipe
from gandem.spec import SampleSpec

if TYPE_CHECKING:
    import polars as pl

    from gandem.domains.tables.data import OtherRows, TableData

WIDTH, BLOCKS, BATCH, FEWEST_ROWS = 128, 2, 256, 16
"""Of the networks, and rows of a step, at most and at least."""
CELLS, MOST = 100_000, 1_500
"""Cells of a step, each of which takes 20 to 35 kB, and of a row: they are drawn one after the other."""
GAMMA = 0.1, 0.01
"""Weight of the penalty at the start and at the end."""
RATE, BETA2 = 1e-3, 0.999
LIKELIHOOD, OPENING = 1.0, 0.5


def _written(suffix: str, samples: np.ndarray, codec: TableCodec) -> bytes:
    """Return rows with all columns of the source as a file."""
    from gandem.domains.tables.writing import written

    return written(codec.given(samples), codec, suffix)


class TableDomain:
    """Rows of a table."""

    name = "tables"
    noun = "rows"
    writers: Mapping[str, Writer] = {
        suffix: partial(_written, suffix) for suffix in (".csv", ".tsv", ".parquet", ".arrow")
    }
    compared = 4_000  # the headline is that of trees, which see all rows
    sample_file = "rows.csv"

    def reads(self, source: Opened) -> bool:
        """Whether a source is a table."""
        return isinstance(source, Frame) or (not isinstance(source, Arrays) and known(source))

    def read(
        self,
        source: Opened,
        options: DataOptions,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> TableData:
        """Read a table whole; see `gandem.domains.tables.reading.read_table`."""
        optional("polars", "tables")
        from gandem.domains.tables.reading import read_table

        assert not isinstance(source, Arrays)
        return read_table(source, options, cache, progress)

    def matching(self, source: Opened, codec: TableCodec, options: DataOptions) -> OtherRows:
        """Read rows as the numbers of a codec's columns, to be judged beside those of its table."""
        optional("polars", "tables")
        from gandem.domains.tables.reading import read_like

        assert not isinstance(source, Arrays)
        return read_like(source, codec)

    def codec(self, state: dict[str, Any]) -> TableCodec:
        """Rebuild a codec from its `to_dict`."""
        return TableCodec.from_dict(state)

    def like(self, spec: SampleSpec) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def decided(self, data: TableData, recipe: Recipe) -> Recipe:
        """Return the recipe with every "auto" replaced that follows from the data; raises RecipeError."""
        refuse_settings_of_pictures(recipe, "this is a table")
        latent = latents(data.spec)
        if latent > MOST:
            raise RecipeError(
                f"{len(data.spec.blocks)} columns to learn are too many: they have {latent:,} cells a row (numbers "
                f"have two), and {MOST:,} can be learnt; leave columns out of the file, or learn parts of it"
            )
        found = {
            "network.width": WIDTH,
            "network.blocks": BLOCKS,
            "training.batch": min(max(CELLS // latent, FEWEST_ROWS), BATCH),
            "game.augment": 0.0,
            "game.likelihood": LIKELIHOOD,
            "game.opening": OPENING if recipe.game.likelihood != 0 else 0.0,
            "optimizer.lr": RATE,
            "optimizer.beta2": BETA2,
            "optimizer.beta2_end": BETA2,
            "training.precision": "fp32",
        }
        if recipe.network.latent not in (latent, NetworkOptions().latent):
            raise RecipeError(f"network.latent = {recipe.network.latent}: a row here has {latent}; leave it out")
        return recipe.replace({"network.latent": latent}).fill(found).with_gamma(*GAMMA)

    def networks(self, spec: SampleSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
        """Return (generator, discriminator); raises RecipeError for an unknown kind."""
        return build_networks(cast(TableSpec, spec), options)

    def told(
        self, codec: TableCodec, generator: Callable[[], nn.Module], where: Sequence[Condition], count: int, seed: int
    ) -> Told:
        """Return rows of known cells; see `gandem.domains.tables.asking`. A user's own generator is told of no keys."""
        if not (where or codec.keys):
            return Told(None)
        asked = generator()
        if not (where or isinstance(asked, TableGenerator)):
            return Told(None)
        return told(codec, cast(TableGenerator, asked), where, count, seed)

    def made(self, codec: TableCodec, generator: nn.Module, latent: Tensor, told: Told) -> np.ndarray:
        """Return decoded rows; see `gandem.domains.tables.making`. Generators of a user's own know of no short rows."""
        if isinstance(generator, TableGenerator):
            return made(codec, generator, latent, told)
        return making.made(codec, generator, latent, told)

    def imputed(self, codec: TableCodec, generator: nn.Module, source: Opened, seed: int) -> pl.DataFrame:
        """Return a table with its gaps filled; see `gandem.domains.tables.completing`."""
        from gandem.domains.tables.completing import imputed

        return imputed(codec, cast(TableGenerator, generator), self._own(source), seed)

    def scored(self, codec: TableCodec, generator: nn.Module, source: Opened) -> pl.DataFrame:
        """Return a table with how probable each row is; see `gandem.domains.tables.completing`."""
        from gandem.domains.tables.completing import scored

        return scored(codec, cast(TableGenerator, generator), self._own(source))

    def _own(self, source: Opened) -> str | Path | Frame:
        if isinstance(source, Arrays) or not self.reads(source):
            raise RecipeError(f"{source}: is no table")
        return source

    def preview(self, samples: np.ndarray, codec: TableCodec, columns: int | None = None) -> Image:
        """Draw a few rows as a table."""
        return drawn(codec.given(samples[:16]))

    def pictures(self, samples: np.ndarray) -> list[Image]:
        """Raise RecipeError: rows are no pictures."""
        raise RecipeError("samples of this run are rows: write them to .csv or .parquet, or a look at them to .png")

    def features(self, codec: TableCodec, path: Path | None = None) -> TableFeatures:
        """Return what the judge sees of rows; there are no other features, so `path` raises RecipeError."""
        if path is not None:
            raise RecipeError(f"--features {path}: is for pictures; rows are judged by their columns")
        return TableFeatures(codec)

    def learn_features(self, data: Any, steps: int, seed: int, progress: Progress | None = None) -> bytes:
        """Raise RecipeError: the columns of a table are its features."""
        raise RecipeError("features are learnt of pictures; rows are judged by their columns")

    def variants(self, samples: np.ndarray, data: Any) -> list[np.ndarray]:
        """Return the rows as they are."""
        return [samples]

    def floors(self, samples: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Return columns that know nothing of each other, one row repeated, and values evenly from all that occur."""
        rng = np.random.default_rng(seed)
        each: Callable[[Callable[[np.ndarray], np.ndarray]], np.ndarray] = lambda draw: np.stack(  # noqa: E731
            [draw(column) for column in samples.T], 1
        )
        return {
            "independent columns": each(rng.permutation),
            "one row repeated": samples[rng.integers(len(samples))][None].repeat(len(samples), 0),
            "noise": each(lambda column: rng.choice(np.unique(column), len(column))),
        }

    def examination(self, judged: Judged, target: str | None, seed: int) -> Examination:
        """Judge rows as rows; see `gandem.domains.tables.examination`."""
        from gandem.domains.tables.examination import examined

        return examined(judged, target, seed)

    def lines(self, report: dict[str, Any]) -> list[str]:
        """Say a data report in a few lines."""
        from gandem.domains.tables.report import lines

        return lines(report)


TABLES = TableDomain()
