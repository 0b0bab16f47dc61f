"""Every choice of a training, typed, frozen and saved whole as `recipe.yaml` in the run.

A recipe is YAML with the sections below; presets live in `gandem/recipes/`. "auto" means that gandem decides from the
data, the budget and the machine, and writes down what it decided.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gandem.errors import RecipeError, first_line, nearest

Auto = Literal["auto"]
OWN = "own"
"""Kind of networks, losses and penalties that came from the user, and are not in the recipe."""


class Section(BaseModel):
    """A frozen part of a recipe that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataOptions(Section):
    """How a source becomes samples."""

    size: int | tuple[int, int] | Auto = "auto"
    """Pixels of a side, or (height, width); auto: the size that all share, 16 to 256, else 32, 64 or 128."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How other shapes become that size: crop the middle, pad with the border colour, or stretch."""
    channels: Literal["auto", 1, 2, 3, 4] = "auto"
    """1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; auto: what most of the images carry."""
    labels: Literal["auto", "none"] = "auto"
    """auto: class folders, a labels column or a labels array make the training class-conditional."""
    mirror: bool = False
    """Show every image mirrored too; wrong for writing, digits and anything with a left and a right."""
    turn: bool = False
    """Show every image turned by quarters too, for what has no up and down: cells, tissue, land from above."""
    held_out: float | Auto = "auto"
    """Part of the data that is kept from the training to judge by; auto: 0.1, 5,000 samples at most, 0 below 200."""

    columns: dict[str, str] = {}
    """Kinds of a table's columns where the found ones are wrong: {zip: category}; or data.columns.zip=category."""
    rules: Literal["auto", "none"] = "auto"
    """auto: what all rows of a table keep (one column determines another, a <= b, sums) is kept by every sample."""

    @field_validator("held_out")
    @classmethod
    def _held_out_in_range(cls, share: float | str) -> float | str:
        if share != "auto" and not 0 <= float(share) <= 0.5:
            raise ValueError("must lie between 0 and 0.5")
        return share

    @field_validator("size")
    @classmethod
    def _size_in_range(cls, size: int | tuple[int, int] | str) -> int | tuple[int, int] | str:
        sides = [] if isinstance(size, str) else [size] if isinstance(size, int) else list(size)
        if any(not 8 <= side <= 512 for side in sides):
            raise ValueError("must lie between 8 and 512 pixels")
        return size


class NetworkOptions(Section):
    """Which networks play and how large they are."""

    kind: str = "residual"
    """A pair of networks by name; `own` in the recipe of a run whose networks came from its user."""
    width: int | Auto = Field("auto")
    """Channels of the widest stage; auto: for pictures chosen from the budget and, if that is time, the measured speed,
    for tables 128, for arrays 128 or 256; 0 for the user's own."""
    blocks: int | Auto = Field("auto")
    """Residual blocks in each stage; auto: for pictures 1 to 4 by their size, for tables 2, for arrays 3."""
    latent: int = Field(64, ge=1, le=4096)
    """Size of the latent vector z; a row of a table always has one number for each cell that is drawn."""
    init: str = "scaled"
    """First weights of both: scaled (each network's own), glorot, he, orthogonal or normal."""
    spectral_norm: bool = False
    """Divide every weight matrix of the discriminator by its largest singular value."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Part of the discriminator's last features that is left out, others each time."""
    minibatch_std: int = Field(0, ge=0)
    """Neighbouring samples whose standard deviation the discriminator's last layer sees; 0 or 1 for none."""
    weight_norm: bool = False
    """Learn the norm of every weight of both networks apart from where it points, by forced weight normalisation."""
    packing: int = Field(1, ge=1, le=16)
    """Samples of one kind that the discriminator judges at once; 1: each for itself."""

    @field_validator("width")
    @classmethod
    def _width_in_range(cls, width: int | str) -> int | str:
        if width not in ("auto", 0) and not 8 <= int(width) <= 4096:
            raise ValueError("must lie between 8 and 4096")
        return width

    @model_validator(mode="after")
    def _only_own_networks_have_no_width(self) -> NetworkOptions:
        if (self.width == 0) != (self.kind == OWN):
            raise ValueError(f"kind {OWN!r} goes with width 0, and is for gandem.Trainer alone")
        return self

    @field_validator("blocks")
    @classmethod
    def _blocks_in_range(cls, blocks: int | str) -> int | str:
        if blocks != "auto" and not 1 <= int(blocks) <= 8:
            raise ValueError("must lie between 1 and 8")
        return blocks


class GameOptions(Section):
    """Who plays whom, and for what."""

    loss: str = "relativistic"
    penalty: str = "r1_r2"
    """What keeps the discriminator smooth; `none` for nothing."""
    gamma: Annotated[float, Field(ge=0)] | Auto = "auto"
    """Twice the weight of the penalty at the start; auto: for pictures 1, for tables 0.1, for arrays as their variance
    asks."""
    gamma_end: Annotated[float, Field(ge=0)] | Auto = "auto"
    """The same at the end of the budget, geometric in between; auto: for pictures and tables a tenth of gamma, also of
    one that is given, for arrays less. Alone it does not change gamma."""
    penalty_fraction: float = Field(0.25, gt=0, le=1)
    """Part of each batch on which the penalty is computed, every step: 1, 1/2, 1/3, ... (the nearest is taken)."""
    discriminator_rate: float = Field(2.0, gt=0)
    """How many times faster than the generator the discriminator learns (Heusel et al. 2017, two time scales)."""
    critic_steps: int = Field(1, ge=1, le=100)
    """Turns of the discriminator for one of the generator."""
    clip: float = Field(0.0, ge=0)
    """Largest absolute weight of the discriminator, kept by clipping after its turns; 0 for any."""
    lecam: float = Field(0.0, ge=0)
    """Weight of what keeps the discriminator's scores near the usual ones of the other kind, beside the penalty."""
    likelihood: Annotated[float, Field(ge=0)] | Auto = "auto"
    """Weight of -log p(real sample) in the generator's loss, for those that know it; auto: 1 for tables, else 0."""
    opening: Annotated[float, Field(ge=0, le=1)] | Auto = "auto"
    """Part of the budget in which the generator learns by likelihood alone, and the discriminator waits; auto: half of
    it for tables, else 0."""
    growth: float = Field(0.35, ge=0, le=0.9)
    """Part of the budget in which the game is played with samples of a fraction of their size; 0: never."""
    augment: float | Literal["adaptive"] | Auto = "auto"
    """Strength of differentiable augmentation in [0, 1]; adaptive: from 0, turned up where the discriminator knows its
    training samples by heart and quality stands still; auto: adaptive for pictures that are
    judged on their way, else 0."""

    @field_validator("penalty_fraction")
    @classmethod
    def _every_kth_row(cls, fraction: float) -> float:
        return 1 / round(1 / fraction)

    @field_validator("augment")
    @classmethod
    def _augment_in_range(cls, augment: float | str) -> float | str:
        if augment not in ("auto", "adaptive") and not 0 <= float(augment) <= 1:
            raise ValueError("must lie between 0 and 1")
        return augment


RATE_WIDTH = 64
"""Channels up to which networks learn at the full rate."""


class OptimizerOptions(Section):
    """The optimiser of both players, on one schedule of the budget's progress."""

    kind: str = "adam"
    """Any of torch.optim by its name in lower case, such as sgd, rmsprop or adamw, but lbfgs, sparseadam and muon; or
    optimistic_adam."""
    options: dict[str, bool | int | float | tuple[float, ...]] = {}
    """What else that optimiser takes, by the names that torch.optim gives it: {momentum: 0.9}."""
    weight_decay: float = Field(0.0, ge=0)
    """Adds weight_decay * w to the gradient of every weight w, as a loss with weight_decay / 2 |w|^2 would (Krogh and
    Hertz 1992); adamw takes lr * weight_decay * w off w itself instead (Loshchilov and Hutter 2019)."""
    lr: float | Auto = "auto"
    """Learning rate at the start; auto: 1e-3 for tables and for networks up to 64 channels wide, in inverse proportion
    beyond."""
    lr_end: float | Auto = "auto"
    """Learning rate at the end, cosine in between, after a warm-up; auto: a tenth of that at the start, beyond 64
    channels a hundredth."""
    warmup: int = Field(5000, ge=0)
    """Images over which the learning rate rises from zero."""
    beta1: float = Field(0.5, ge=0, lt=1)
    """Of the optimisers that take betas, as Adam does; beta2 goes from the next value to the last, cosine."""
    beta2: Annotated[float, Field(ge=0, lt=1)] | Auto = "auto"
    """Auto: 0.9, for tables 0.999: a memory of ten steps takes what occurs once in a thousand rows for an accident."""
    beta2_end: Annotated[float, Field(ge=0, lt=1)] | Auto = "auto"
    """Auto: 0.99, for tables 0.999."""

    @field_validator("lr", "lr_end")
    @classmethod
    def _above_zero(cls, rate: float | str) -> float | str:
        if rate != "auto" and float(rate) <= 0:
            raise ValueError("must be above 0")
        return rate

    def rates(self, width: int = 1) -> tuple[float, float]:
        """Return (lr, lr_end), those that are auto as networks of a width need them; by default narrow ones.

        A step of Adam changes each weight by its rate, so what a layer does by the rate times its inputs: at a rate
        that narrow networks learn from, wide ones run off (docs/experiments.md).
        """
        start = 1e-3 * min(1.0, RATE_WIDTH / max(width, 1)) if self.lr == "auto" else float(self.lr)
        end = start / (10 if width <= RATE_WIDTH else 100)  # wide networks swing for longer
        return start, end if self.lr_end == "auto" else float(self.lr_end)

    def second_betas(self) -> tuple[float, float]:
        """Return (beta2, beta2_end), those that are auto as pictures need them."""
        start, end = (
            default if given == "auto" else float(given)
            for given, default in ((self.beta2, 0.9), (self.beta2_end, 0.99))
        )
        return start, end

    def decided(self, width: int) -> OptimizerOptions:
        """Return the same with rates and betas as numbers."""
        keys, numbers = ("lr", "lr_end", "beta2", "beta2_end"), (*self.rates(width), *self.second_betas())
        return self.model_copy(update=dict(zip(keys, numbers, strict=True)))


class TrainingOptions(Section):
    """How long, how often and on what."""

    batch: int | Auto = "auto"
    """Samples of one step, over all devices together; auto: for pictures 16 in short trainings, 32 and 64 in longer,
    for tables and arrays 256."""
    ema: float = Field(0.05, gt=0, le=1)
    """Half-life of the generator's moving average, as a part of the images shown so far."""
    ema_snapshots: int = Field(0, ge=0, le=256)
    """Snapshots of two more averages on disk, from which one of any length can be made afterwards; 0 for none."""
    seed: int = Field(0, ge=0, lt=2**63)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: the faster one, measured, or where the budget counts images by what the hardware says; for tables fp32."""
    checkpoint_seconds: float = Field(60.0, gt=0)
    """Seconds between checkpoints."""

    @field_validator("batch")
    @classmethod
    def _batch_at_least_two(cls, batch: int | str) -> int | str:
        if batch != "auto" and int(batch) < 2:
            raise ValueError("must be 2 or more")
        return batch


class RefereeOptions(Section):
    """How the training is watched."""

    every: Annotated[int, Field(ge=0)] | Auto = "auto"
    """Images between quick judgements, 0 for none; auto: ten to twenty of them in 3 % of the time, or none."""
    samples: Annotated[int, Field(ge=2)] | Auto = "auto"
    """Samples of a quick judgement; auto: 200 to 2,000."""
    act: bool = True
    """Step in when something goes wrong: go back and turn a dial, or stop; false: only say so, but still end when
    settled (`stop`) and turn adaptive augmentation."""
    stop: bool = True
    """End early when the quality has settled."""


class Recipe(Section):
    """All choices of a training."""

    schema_version: Literal[1] = 1
    data: DataOptions = DataOptions()
    network: NetworkOptions = NetworkOptions()
    game: GameOptions = GameOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    training: TrainingOptions = TrainingOptions()
    referee: RefereeOptions = RefereeOptions()

    def to_yaml(self) -> str:
        """Return the whole recipe as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def replace(self, settings: dict[str, Any]) -> Recipe:
        """Return a copy with dotted keys changed, such as {"game.gamma": 1.0}; raises RecipeError."""
        state = self.model_dump()
        for key, value in settings.items():
            section, _, name = key.partition(".")
            name, _, entry = name.partition(".")
            if not isinstance(state.get(section), dict) or name not in state[section]:
                raise RecipeError(f"unknown recipe key '{key}'.{nearest(key, known_keys())}")
            if entry and not isinstance(state[section][name], dict):
                raise RecipeError(f"unknown recipe key '{key}'.{nearest(key, known_keys())}")
            state[section][name] = {**state[section][name], entry: value} if entry else value
        return validated(state, "the settings")

    def fill(self, found: dict[str, Any]) -> Recipe:
        """Return a copy in which dotted keys that are "auto" have the value found for them."""
        sections = self.model_dump()
        autos = [key for key in found if sections[key.partition(".")[0]][key.partition(".")[2]] == "auto"]
        return self.replace({key: found[key] for key in autos})

    def with_gamma(self, start: float, end: float) -> Recipe:
        """Return a copy with gamma in numbers: `start` and `end`, or in that proportion to the one that is given."""
        game = self.game
        gamma = start if game.gamma == "auto" else float(game.gamma)
        return self.fill({"game.gamma": gamma, "game.gamma_end": gamma * end / start})


def known_keys() -> list[str]:
    """Return every dotted key of a recipe, such as "game.gamma"."""
    sections = {name: field.annotation for name, field in Recipe.model_fields.items()}
    return [
        f"{section}.{key}"
        for section, model in sections.items()
        if isinstance(model, type) and issubclass(model, Section)
        for key in model.model_fields
    ]


def presets() -> dict[str, Path]:
    """Return the recipes that ship with gandem, by name."""
    folder = Path(str(resources.files("gandem") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_recipe(name_or_file: str | Path = "default", settings: dict[str, Any] | None = None) -> Recipe:
    """Read a preset by name or a YAML file by path, then change the dotted keys in `settings`.

    Raises RecipeError with the key at fault and the nearest right one.
    """
    known = presets()
    path = known.get(str(name_or_file), Path(name_or_file))
    if not path.is_file():
        raise RecipeError(f"no recipe named '{name_or_file}' and no such file.{nearest(str(name_or_file), known)}")
    try:
        state = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not a YAML recipe: {first_line(error)}") from error
    if not isinstance(state, dict):
        raise RecipeError(f"{path} is not a YAML recipe: it holds no sections such as 'game:'")
    return validated(state, str(path)).replace(settings or {})


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """Turn ["game.gamma=1", ...] into {"game.gamma": 1, ...}; values are read as YAML."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set {pair!r} is not key=value, as in --set game.gamma=1")
        try:
            settings[key.strip()] = _number(value.strip())
        except yaml.YAMLError as error:
            raise RecipeError(f"--set {pair!r}: the value is not YAML") from error
    return settings


def _number(text: str) -> Any:
    """Read a value as YAML, which takes 1e-3 for text unless it is written 1.0e-3."""
    return float(text) if re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", text) else yaml.safe_load(text)


def validated(state: dict[str, Any], where: str) -> Recipe:
    """Return a recipe from plain types that came from somewhere; raises RecipeError with the key that is wrong."""
    try:
        return Recipe.model_validate(state)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:2])
        if first["type"] == "extra_forbidden":
            raise RecipeError(f"unknown recipe key '{key}' in {where}.{nearest(key, known_keys())}") from error
        raise RecipeError(f"{key} = {first['input']!r} in {where}: {first['msg']}") from error
