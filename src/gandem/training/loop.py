"""The trainer: plays the turns of a game until the budget is spent.

One step is a function of (state, seed, step number) alone: batches, latents and dropout are drawn from generators
seeded by counting, so a resumed run continues with the very numbers that it would have seen.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gandem.domains.domain import Samples
from gandem.errors import Interrupted, RecipeError, TrainingError
from gandem.game.modes import resting
from gandem.game.noise_game import NoiseGame, Turn
from gandem.game.schedules import cosine, ema_decay, power_decay
from gandem.recipe import OptimizerOptions, TrainingOptions
from gandem.referee.referee import LOOK, Referee, Ruling
from gandem.training import checkpoint, optimizers
from gandem.training.averages import SIGMAS, exponent, follow, learning
from gandem.training.budget import Budget
from gandem.training.checkpoint import Tensors
from gandem.training.data_order import data_order
from gandem.training.engine import Engine
from gandem.training.optimizers import make_optimizer, next_update
from gandem.training.signals import Signals

REPORT_SECONDS = 1.0
PREVIEWS, PREVIEW_SHARE = 60, 0.05
"""Pictures of a training at most, and the part of the time that they may take."""
EXAMINED = ("distance", "spread", "sensitivity", "raw_distance", "gap")
"""What a quick judgement finds, see `Examine`; the gap is NaN where too few samples are held out."""


class Recorder(Protocol):
    """What the trainer tells the outside world; a run folder, a test or nobody listens."""

    def event(self, name: str, **facts: Any) -> None:
        """Take note of something that happened."""

    def preview(self, generator: nn.Module, images: int) -> None:
        """Draw what the averaged generator makes after `images` images."""

    def checkpoint(self, trainer: Loop) -> None:
        """Save the state of the trainer."""

    def snapshot(self, trainer: Loop) -> None:
        """Keep the power-function averages of the trainer."""

    def forget(self, images: int) -> None:
        """Take away the snapshots after so many images: training goes on from before them, or they are not finite."""

    def saved(self, images: int) -> Tensors:
        """Return the tensors of the checkpoint at so many images."""
        ...


Examine = Callable[["Loop"], dict[str, float]]
"""A quick judgement of the averaged generator: EXAMINED, by name. Only the main process is asked."""


class Loop:
    """Plays a game on a dataset.

    The state is what `state()` returns: the players, the moving averages, the optimisers, three counters (images, step,
    seconds), the game's dials and what the referee remembers. Everything else follows from the options.

    referee: watches, keeps the best moment, rolls back, ends early; `examine` judges quickly for it.
    """

    def __init__(
        self,
        game: NoiseGame,
        dataset: Samples,
        engine: Engine,
        *,
        budget: Budget,
        optimizer: OptimizerOptions,
        training: TrainingOptions,
        referee: Referee | None = None,
        examine: Examine = lambda trainer: {},
    ) -> None:
        self.rows = int(training.batch)
        if self.rows % engine.processes:
            raise RecipeError(
                f"training.batch = {self.rows} cannot be shared by {engine.processes} processes; choose a multiple"
            )
        self.game = game
        self.dataset = dataset
        self.engine = engine
        self.budget = budget
        self.options = training
        self.referee = referee or Referee()
        self.examine = examine
        self.images = 0
        self.step = 0
        self.seconds = 0.0
        self._warmup = optimizer.warmup
        self._lr = cosine(*optimizer.rates())
        self._beta1 = optimizer.beta1
        self._beta2 = cosine(*optimizer.second_betas())
        # Time passes evenly, images do not: small ones come first, and faster.
        self._work = game.effort(two_rows(game, dataset)) if budget.images else float
        for player in game.players.values():
            player.to(engine.device)
            engine.share_first(player.state_dict().values())
        self.averages = {name: copy.deepcopy(game.players[name]).eval() for name in game.averaged}
        widths = SIGMAS if training.ema_snapshots else ()
        self.power_averages = {sigma: copy.deepcopy(game.generator).eval() for sigma in widths}
        self.optimizers = {name: make_optimizer(optimizer, player) for name, player in game.players.items()}
        self._steady = {name: _steady(player) for name, player in game.players.items()}
        self._watched: list[str] = []
        self._window = torch.zeros(0)
        self._unsaved = False
        self._words = self.referee.memory.words
        self._signals: dict[str, float] = {}

    @property
    def progress(self) -> float:
        """The clock of all schedules, in [0, 1]: the part of the budget that is spent, or more in a hurry to end."""
        return self.referee.clock(self.budget.progress(self.images, self.seconds))

    def fit(self, recorder: Recorder) -> None:
        """Play until the budget is spent or the referee ends the game.

        Raises Interrupted, after a checkpoint, when SIGINT or SIGTERM arrives; TrainingError when the numbers are not
        finite and the referee has no way back.
        """
        # Clocks of the chores; none of them touches the state that is trained.
        self.began = time.monotonic() - self.seconds
        reported = checkpointed = previewed = time.monotonic()
        images_reported, drawn, pause = self.images, -1, REPORT_SECONDS
        if not self.step:
            recorder.checkpoint(self)  # there is always a way back
        progress = 0.0
        with Signals() as signals:
            while not self.referee.memory.over:
                # Is it time to stop? Every process follows the first one, and stops with any.
                progress = self.engine.agree_unless(bool(signals.received), self.progress)
                if progress < 0 or progress >= 1:
                    break

                # One step: each player in turn.
                losses = self.play_step(progress)
                now = time.monotonic()
                self.seconds = now - self.began

                # Keep the averages of which others are made afterwards, at equal parts of the budget.
                parts = self.options.ema_snapshots
                if int(self.progress * parts) > int(progress * parts):
                    recorder.snapshot(self)

                # What does the referee say?
                if self.step % LOOK == 0:
                    self._officiate(recorder, progress)

                # Report.
                if now - reported >= REPORT_SECONDS:
                    speed = (self.images - images_reported) / (now - reported)
                    recorder.event("progress", **self._report(losses, speed))
                    reported, images_reported = now, self.images

                # Draw what the generator makes now.
                due = int(self.progress * PREVIEWS)
                if due > drawn and (now - previewed >= pause or drawn < 0):
                    recorder.preview(self.averages["generator"], self.images)
                    drawn, previewed = due, time.monotonic()
                    pause = max(REPORT_SECONDS, (previewed - now) / PREVIEW_SHARE)

                # Save.
                if now - checkpointed >= self.options.checkpoint_seconds and self.progress < 1:
                    self._save(recorder)
                    checkpointed = time.monotonic()

            # Leave a checkpoint behind, whatever the reason to stop.
            if progress >= 0 and self.referee.wants_last(self.images):
                self._judge(recorder, self.progress)
            self._save(recorder, last=True)
        if progress < 0:
            raise Interrupted(signals.received or "SIGTERM", self.images)

    def play_step(self, progress: float) -> dict[str, Tensor]:
        """Let each player take its turn on a fresh batch; return the detached parts of the losses."""
        self._set_schedules(progress)
        played = []
        for position, turn in enumerate(self.game.turns_at(progress)):
            batch = self.batch(self.step * len(self.game.turns) + position)
            played.append(self._play(turn, batch, progress))
        self.game.dials["halvings"] = self.game.halvings(progress)
        self.images += self.rows
        self.step += 1
        self._unsaved = True
        self._average()
        return self._remember(played)

    def batch(self, number: int) -> dict[str, Tensor]:
        """Return this process's rows of batch `number`: the same whoever asks, and whenever."""
        seed = (self.options.seed * 1_000_003 + number) % 2**63
        self.engine.seed(seed ^ 2**31)  # else noise drawn in a network were its latents; a CPU looks at 32 bits
        count = self.rows
        batch = self.dataset.batch(data_order(len(self.dataset), number * count, count, self.options.seed))
        return self.engine.share(batch | self.game.draw(count, torch.Generator().manual_seed(seed)))

    def gradients(self, turn: Turn, batch: dict[str, Tensor], progress: float) -> dict[str, Tensor]:
        """Compute one turn's gradients, averaged over all processes, and return the parts of its loss."""
        player = self.game.players[turn.player]
        player.zero_grad(set_to_none=True)
        everybody = {parameter for each in self.game.players.values() for parameter in each.parameters()}
        with resting(everybody - set(player.parameters())):
            with self.engine.autocast():
                loss, parts = turn.loss(batch, progress)
            loss.backward()
        self.engine.average_gradients(player.parameters())
        gradients = [parameter.grad for parameter in player.parameters() if parameter.grad is not None]
        return parts | {"gradient": torch.nn.utils.get_total_norm(gradients)}

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Return (tensors by file and name, numbers) from which `load_state` continues to the bit."""
        tensors = {name: checkpoint.weights(player) for name, player in self.game.players.items()}
        tensors |= {f"{name}_ema": checkpoint.weights(average) for name, average in self.averages.items()}
        tensors |= {
            f"generator_power_{sigma}": checkpoint.weights(average) for sigma, average in self.power_averages.items()
        }
        tensors |= {f"optimizer_{name}": optimizers.tensors(each) for name, each in self.optimizers.items()}
        numbers = {"images": self.images, "step": self.step, "seconds": self.seconds, "budget": self.budget.to_dict()}
        window = dict(zip(self._watched, self._window.tolist(), strict=True))
        return tensors, numbers | {"dials": self.game.dials, "window": window, "referee": self.referee.state()}

    def load_state(self, tensors: Tensors, numbers: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.load_tensors(tensors)
        self.images, self.step, self.seconds = numbers["images"], numbers["step"], numbers["seconds"]
        self.game.dials |= numbers.get("dials", {})
        window = numbers.get("window", {})
        self._watched, sums = list(window), list(window.values())
        self._window = torch.tensor(sums, dtype=torch.float32, device=self.engine.device)
        self.referee.load_state(numbers.get("referee", {}))
        if numbers.get("budget") != self.budget.to_dict():
            self.referee.reopen(full=self.game.dials["halvings"] == 0)
        if self.referee.memory.grown is not None:
            self._work = float  # a size that was reached is kept
        self._words = self.referee.memory.words

    def load_tensors(self, tensors: Tensors) -> None:
        """Take players, averages and optimisers from a state, and go on counting."""
        for name, player in self.game.players.items():
            checkpoint.load_weights(player, tensors[name])
        for name, average in self.averages.items():
            checkpoint.load_weights(average, tensors[f"{name}_ema"])
        for sigma, average in self.power_averages.items():
            checkpoint.load_weights(average, tensors[f"generator_power_{sigma}"])
        for name, optimizer in self.optimizers.items():
            optimizers.load_tensors(optimizer, tensors[f"optimizer_{name}"])

    def _play(self, turn: Turn, batch: dict[str, Tensor], progress: float) -> dict[str, Tensor]:
        parts = self.engine.average(self.gradients(turn, batch, progress))
        optimizers.step(self.optimizers[turn.player], parts["gradient"].isfinite())
        turn.after(parts)
        return {f"{turn.player}/{name}": value for name, value in parts.items()}

    @property
    def _warm(self) -> float:
        """Part of the rate that is allowed so early."""
        return min(1.0, (self.images + self.rows) / max(self._warmup, 1))

    def _set_schedules(self, progress: float) -> None:
        lr = self.game.dials["learning rate"] * self._lr(progress) * self._warm
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = lr * self.game.rates[name]
                if "betas" in group:
                    group["betas"] = (self._beta1, self._beta2(progress))

    def _average(self) -> None:
        for name, average in self.averages.items():
            follow(average, self.game.players[name], ema_decay(self.rows, self.images, self.options.ema))
        for sigma, average in self.power_averages.items():
            follow(average, self.game.generator, power_decay(self.rows, self.images, exponent(sigma)))

    def _report(self, losses: dict[str, Tensor], speed: float) -> dict[str, Any]:
        progress, spent = self.progress, self._work(self.budget.progress(self.images, self.seconds))
        return {
            "images": self.images,
            "step": self.step,
            "progress": progress,
            "seconds": self.seconds,
            "images_per_second": speed,
            "eta_seconds": self.seconds / spent * (self._work(self.referee.end) - spent) if spent else None,
            "state": self._words,
            "signals": self._signals,
            "losses": {name: float(value) for name, value in losses.items()},
            "lr": self.optimizers["generator"].param_groups[0]["lr"],
            "gamma": self.game.gamma(progress),
            "augmentation": self.game.dials["augmentation"],
            "ema_halflife": self.options.ema * self.images,
        }

    def _remember(self, played: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Add a step's parts to the referee's window, or count it as left out if any turn was; return the last ones."""
        parts = {name: value for turn in played for name, value in turn.items()}
        bad = ~torch.stack([value.detach().float() for turn in played for value in turn.values()]).isfinite().all()
        values = torch.stack([value.detach().float() for value in parts.values()])
        kept = torch.cat([torch.where(bad, 0.0, values), torch.stack([bad, torch.ones_like(bad)]).float()])
        watched = [*parts, "skipped", "steps"]
        self._window = self._window + kept if watched == self._watched else kept  # in the opening there are fewer parts
        self._watched = watched
        return parts

    def _officiate(self, recorder: Recorder, progress: float) -> None:
        """Show the referee the last LOOK steps, and a quick judgement if one is due; do what it says."""
        sums = dict(zip(self._watched, self._window.tolist(), strict=True))
        self._watched, self._window = [], torch.zeros(0)
        steps = sums.pop("steps", LOOK)
        left = steps - sums["skipped"]
        signals = {name: value / max(left, 1) for name, value in sums.items()} | {"skipped": sums["skipped"] / steps}
        for name in dict.fromkeys(turn.player for turn in self.game.turns_at(progress)):
            player = self.game.players[name]
            update = next_update(self.optimizers[name])
            size = self.engine.agree(_size(player, self._steady[name]))  # statistics are each process's own
            signals |= {f"{name}/size": size} | ({} if update is None else {f"{name}/update": update / self._warm})
        signals |= {} if self.game.guessing is None else {"discriminator/guessing": self.game.guessing}
        self._signals = signals
        ruling = self.referee.look(self.images, signals, self.game.dials)
        self._obey(recorder, ruling)
        if ruling.action == "play on" and self.referee.due(self.images, progress):
            ruling = self._judge(recorder, progress)
            self._obey(recorder, ruling)
        if ruling.best or ruling.keep or ruling.action != "play on":
            self._save(recorder)

    def _judge(self, recorder: Recorder, progress: float) -> Ruling:
        began = time.monotonic()
        found = self.examine(self) if self.engine.is_main else {}
        took = round(time.monotonic() - began, 3)
        found = {name: self.engine.agree(found.get(name, 0.0)) for name in EXAMINED}
        found = {name: value for name, value in found.items() if not math.isnan(value)}
        ruling = self.referee.judged(self.images, progress, found, self.game.dials)
        facts = {"images": self.images, "progress": progress, "seconds": took}
        recorder.event("judged", **facts, **found, best=ruling.best, state=ruling.state)
        self._unsaved = True
        return ruling

    def _obey(self, recorder: Recorder, ruling: Ruling) -> None:
        self._words = ruling.state
        self.game.dials |= ruling.dials
        if ruling.action == "play on":
            return
        refuge = self.referee.refuge
        facts = {"images": self.images, "back_to": refuge, "dials": dict(ruling.dials)}
        recorder.event("ruling", action=ruling.action, reason=ruling.state, **facts)
        if ruling.action in ("mend", "roll back") or (ruling.action == "stop" and refuge > 0):
            saved, mend = recorder.saved(refuge), ruling.action == "mend"
            self.load_tensors(checkpoint.mended(self.state()[0], saved) if mend else saved)
            self.engine.wait()  # before the main process tidies up
            recorder.forget(self.images - LOOK * self.rows if mend else refuge)
            self._unsaved = True

    def _save(self, recorder: Recorder, *, last: bool = False) -> None:
        """Save a checkpoint that training can continue from: finite losses may have had weights that were not."""
        sizes = {name: _size(player, self._steady[name]) for name, player in self.game.players.items()}
        if last:  # else every process comes here by its own clock
            sizes = {name: self.engine.agree(size) for name, size in sizes.items()}
        broken = [name for name, size in sizes.items() if not math.isfinite(size)]
        if broken and last:
            raise TrainingError(
                f"the size of the {broken[0]}'s weights is not finite after {self.images:,} images; the last "
                "checkpoint is good. Train again with a lower rate: --set optimizer.lr= half of that in its recipe.yaml"
            )
        if self._unsaved and not broken:
            recorder.checkpoint(self)
            self._unsaved = False


def two_rows(game: NoiseGame, dataset: Samples) -> dict[str, Tensor]:
    """Return the smallest batch, to count operations on: two logits of each kind."""
    count = 2 * game.packing
    return dataset.batch(torch.arange(count) % len(dataset)) | game.draw(count, torch.Generator().manual_seed(0))


def _steady(player: nn.Module) -> set[str]:
    """Return the names of what does not learn and is finite, such as running statistics: a mask of -inf is not."""
    state, weights = player.state_dict(), learning(player)
    return {name for name, value in state.items() if name not in weights and value.isfinite().all()}


def _size(player: nn.Module, steady: set[str]) -> float:
    """Return the sum of the sizes of what learns, which moves when any of it does; NaN if `steady` is not finite."""
    finite = [value.isfinite().all() for name, value in player.state_dict().items() if name in steady]
    if finite and not torch.stack(finite).all():
        return math.nan
    norms = torch._foreach_norm([each.detach() for each in player.parameters() if each.requires_grad])
    return float(torch.stack(norms).cpu().double().sum())
