"""The referee: rules on the numbers of a training, and on nothing else.

No clock, no chance: a training that is resumed hears the same rulings as one that was never stopped.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from gandem.referee.troubles import AT_A_JUDGEMENT, AT_A_LOOK, SLOWER, Numbers, Trouble

LOOK = 16
"""Steps between two looks at the losses."""
MEMORY = 64
"""Looks that the running medians go back; fewer than half of them are no usual to compare with."""
MILESTONES = frozenset(round(8 * 1.25**power) for power in range(100))
"""Looks after which a training without trouble is saved while nothing is judged: going back costs a fifth at most."""
ROLLBACKS = 3
"""After so many, turned dials among them, going on does not help."""
EARLIEST, SINCE, FEWEST, SURE, NEXT_PART, LEAST_GAIN = 0.4, 0.25, 6, 1.28, 0.2, 0.05
"""Settled: after 40 % of the budget, and by the trend of six judgements at least since a quarter of what has passed, it
is 90 % sure (one-sided, normal) that the next fifth of the budget would lower the distance by less than 5 %."""
LEAST_PART = 0.1
"""Part of the budget between two judgements at least, while the samples grow."""
COOLING = 0.15
"""Part of the budget in which the rest of the schedules is played once the quality has settled."""
LEARNING, SETTLED = "learning", "settled: cooling down to the end"
"""How a training without trouble goes, in words: the second from when it has settled."""
SETTLED_END = "it settled"
"""Why it ended then."""
TIE = 1.02
"""The best is the last judgement whose distance is within this factor of the shortest."""
FASTER, STRONGEST, STILL, STILL_GAIN = 4.0, 0.8, 0.1, 0.06
"""Augmentation grows or shrinks by FASTER times the part of the budget at most, to STRONGEST. It grows only where the
last tenth of the budget gained less than 6 %: while quality rises, learning by heart does no harm."""


UNREMARKABLE = {
    "rise": 1.0,
    "moved": 1.0,
    "win_rate": 0.5,
    "discriminator_loss": 1.0,
    "guessing": 1.0,
    "generator_loss": 1.0,
    "regularisation": 1.0,
    "generator_gradient": 1.0,
    "discriminator_update": 0.0,
}
"""Numbers of a look where a game does not tell them."""


@dataclass(frozen=True)
class Ruling:
    """What is to be done, how the training goes in words, and what the dials are to be set to."""

    state: str
    action: Literal["play on", "turn", "mend", "roll back", "settle", "stop"] = "play on"
    dials: Mapping[str, float] = field(default_factory=dict)
    best: bool = False
    keep: bool = False
    """No trouble so far, and nothing judged yet: worth a checkpoint to come back to."""


@dataclass
class Memory:
    """All that the referee remembers, in plain JSON types; it is saved in every checkpoint."""

    looks: dict[str, list[float]] = field(default_factory=dict)
    judgements: list[dict[str, float]] = field(default_factory=list)
    streaks: dict[str, int] = field(default_factory=dict)
    rulings: list[dict[str, Any]] = field(default_factory=list)
    skipped: int = 0
    rollbacks: int = 0
    era: int = 0
    """Judgement at which the present budget began: a larger one starts the schedules anew."""
    grown: float | None = None
    """Part of a budget that was made larger after which the samples have their full size; None of the first one."""
    best: int | None = None
    """Images at the best judgement, where its checkpoint lies."""
    looked: int = 0
    untroubled: int = 0
    """Images at the last checkpoint without trouble, of a training in which nothing is judged."""
    settled: float | None = None
    """Part of the budget at which the quality settled."""
    turned: float = 0.0
    """Part of the budget at which the augmentation was last turned up."""
    words: str = LEARNING
    """How the training went at the last judgement."""
    over: str | None = None
    """Why the training ended before its budget."""


class Referee:
    """Watches one training.

    every: images between two quick judgements, 0 for none. act: step in when something goes wrong, or only say so.
    stop: end early when the quality has settled. adapt: turn the augmentation by how well the discriminator knows its
    training samples. grown: part of the budget after which the samples have their full size; what is judged before
    says nothing of how it ends.
    """

    def __init__(
        self, every: int = 0, *, act: bool = True, stop: bool = True, adapt: bool = False, grown: float = 0.0
    ) -> None:
        self.every = every
        self._grown = grown
        self.act = act
        self.stop = stop
        self.adapt = adapt
        self.memory = Memory()

    @property
    def grown(self) -> float:
        """Part of the present budget after which the samples have their full size."""
        return self._grown if self.memory.grown is None else self.memory.grown

    def due(self, images: int, progress: float = 1.0) -> bool:
        """Whether a quick judgement is due after so many images, at `progress` in [0, 1] of the budget.

        Small images come fast: while the samples grow, some of the budget must have passed as well.
        """
        last = self.memory.judgements[-1] if self.memory.judgements else {"images": 0, "progress": 0.0}
        waited = progress < self.grown and 0 <= progress - last["progress"] < LEAST_PART
        return bool(self.every) and images - last["images"] >= self.every and not waited

    def wants_last(self, images: int) -> bool:
        """Whether a quick judgement is still to be made when the training ends after so many images."""
        judged = self.memory.judgements
        return bool(self.every) and not self.memory.over and not (judged and judged[-1]["images"] == images)

    def look(self, images: int, signals: Numbers, dials: Numbers) -> Ruling:
        """Rule on the means of the last LOOK steps, by name, with "skipped", the share of steps that were left out.

        Names are "player/what"; "gradient" (watched for spikes) and "size" (of the weights) are of any player.
        """
        memory = self.memory
        memory.skipped += round(signals["skipped"] * LOOK)
        broken = any(name.endswith("/size") and not math.isfinite(value) for name, value in signals.items())
        now = dict(UNREMARKABLE) | {
            "skipped": signals["skipped"],
            "rollbacks": memory.rollbacks,
            "broken": float(broken),
            "penalised": float("gamma" in dials),
        }
        if signals["skipped"] < 1:
            now |= self._beside_the_usual(signals)
        memory.looked += 1
        ruling = self._rule(AT_A_LOOK, now, images, dials)
        # The first judgement comes so soon that the beginning will do: what leads to trouble begins before it shows.
        quiet = not any(memory.streaks.values()) and not signals["skipped"]
        if ruling is None and quiet and not self.every and memory.looked in MILESTONES:
            memory.untroubled = images
            return Ruling(memory.words, keep=True)
        return ruling or Ruling(memory.words)

    @property
    def refuge(self) -> int:
        """Images at the checkpoint to go back to: the best, or the last without trouble, or the first."""
        return self.memory.untroubled if self.memory.best is None else self.memory.best

    def judged(self, images: int, progress: float, examined: Numbers, dials: Numbers) -> Ruling:
        """Rule on a quick judgement at `progress` in [0, 1] of the budget."""
        ruling = self._judged(images, progress, examined, dials)
        self.memory.words = ruling.state
        return ruling

    def _judged(self, images: int, progress: float, examined: Numbers, dials: Numbers) -> Ruling:
        memory = self.memory
        earlier = memory.judgements[memory.era :]
        nearest = min(earlier, key=lambda each: each["distance"], default=examined)
        ever = min((each["distance"] for each in memory.judgements), default=math.inf)
        now = dict(examined) | {
            f"{what}_of_its_best": examined[what] / nearest[what] if nearest[what] > 0 else 1.0
            for what in ("distance", "spread")
        }
        memory.judgements.append({"images": images, "progress": progress, **examined})
        trouble = self._rule(AT_A_JUDGEMENT, now, images, dials, act=progress < 1)  # at the end it is too late
        if trouble is not None and trouble.action != "play on":
            return trouble
        best = examined["distance"] <= TIE * ever
        if best:
            memory.best = images
        if trouble is not None:
            return replace(trouble, best=best)
        turned = self._augmentation(examined, dials)
        if turned.get("augmentation", 0.0) > dials.get("augmentation", 0.0):
            memory.turned = progress
        if self.has_settled(progress):
            memory.settled = progress
            return self._noted(Ruling(SETTLED, "settle", best=best), images)
        going = f"{LEARNING}:" if memory.settled is None else f"{SETTLED},"
        state = f"{going} distance {examined['distance']:.3g}, variety {examined['spread']:.2f} of real"
        augmentation = turned.get("augmentation", dials.get("augmentation", 0.0))
        state += f", augmentation {augmentation:.2f}" if augmentation else ""
        return Ruling(state, dials=turned, best=best)

    def has_settled(self, progress: float) -> bool:
        """Whether it is sure that going on would gain next to nothing.

        The trend b is that of log distance ~ a + b progress over the last three quarters of what has passed so far, or
        over what has passed since samples have their full size or augmentation was turned up, if that is half of it.

        Noise alone settles nothing: the less a few judgements can tell, the wider the interval of the trend b. Nor does
        a short halt: distances stand still now and then while the rates are high, and fall again when these do.
        """
        since = max(self.grown, self.memory.turned, SINCE * progress)
        judged = [each for each in self.memory.judgements[self.memory.era :] if each["progress"] >= since]
        # After 1 - COOLING there is nothing to save, and no word to be said.
        in_time = max(EARLIEST, 2 * since) <= progress <= 1 - COOLING
        if not self.stop or self.memory.settled is not None or not in_time or len(judged) < FEWEST:
            return False
        times = [each["progress"] for each in judged]
        values = [math.log(max(each["distance"], 1e-12)) for each in judged]
        slope, start = statistics.linear_regression(times, values)
        missed = sum((value - start - slope * time) ** 2 for time, value in zip(times, values, strict=True))
        error = math.sqrt(missed / (len(times) - 2) / (statistics.pvariance(times) * len(times)))
        return NEXT_PART * (SURE * error - slope) < LEAST_GAIN

    def _stands_still(self, progress: float) -> bool:
        """Whether samples of this stage of growth have hardly gained lately, and there is time to mend that."""
        stage = [
            (each["progress"] > progress - STILL, each["distance"])
            for each in self.memory.judgements[self.memory.era :]
            if (each["progress"] >= self.grown) == (progress >= self.grown)
        ]
        before = min((distance for late, distance in stage if not late), default=math.inf)
        lately = min(distance for late, distance in stage if late)
        early = progress <= 1 - NEXT_PART and self.memory.settled is None
        return early and lately > before * (1 - STILL_GAIN)

    def clock(self, progress: float) -> float:
        """Return the progress of the schedules: that of the budget, and faster once the quality has settled."""
        settled = self.memory.settled
        if settled is None or progress <= settled:
            return progress
        return min(settled + (progress - settled) * (1 - settled) / (self.end - settled), 1.0)

    @property
    def end(self) -> float:
        """Part of the budget at which the training ends."""
        return 1.0 if self.memory.settled is None else min(self.memory.settled + COOLING, 1.0)

    def reopen(self, full: bool = True) -> None:
        """Forget that the training ended: it was given a larger budget, with samples of their full size or not yet."""
        memory = self.memory
        memory.grown = 0.0 if full else self._grown
        memory.settled = memory.over = None
        memory.turned = 0.0
        memory.words = LEARNING
        memory.rollbacks, memory.era = 0, len(memory.judgements)
        memory.streaks.clear()
        memory.looks.clear()

    def summary(self) -> dict[str, Any]:
        """Return what a report says of the training, in plain JSON types."""
        memory = self.memory
        ended = memory.over or (SETTLED_END if memory.settled is not None else "the budget was spent")
        kept = {"judgements": memory.judgements, "rulings": memory.rulings, "skipped_steps": memory.skipped}
        return {"best": memory.best, "ended": ended, **kept}

    def state(self) -> dict[str, Any]:
        """Return what `load_state` continues from, in plain JSON types."""
        return asdict(self.memory)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        known = {each.name for each in fields(Memory)}
        self.memory = Memory(**{name: value for name, value in state.items() if name in known})

    def _beside_the_usual(self, signals: Numbers) -> dict[str, float]:
        """Compare the signals with their running medians, and remember them."""
        rise, moved = 1.0, math.inf
        for name, value in signals.items():
            before = self.memory.looks.setdefault(name, [])
            if name.endswith("/gradient") and len(before) >= MEMORY // 2:
                rise = max(rise, value / max(statistics.median(before), 1e-12))
            if name.endswith("/size") and before:
                moved = min(moved, abs(value - before[-1]))
            before.append(value)
            del before[:-MEMORY]
        told = {
            "win_rate": "discriminator/win_rate",
            "generator_gradient": "generator/gradient",
            "discriminator_update": "discriminator/update",
        }
        if "discriminator/guessing" in signals:  # else the size of the losses says nothing
            told |= {
                "discriminator_loss": "discriminator/adversarial",
                "guessing": "discriminator/guessing",
                "generator_loss": "generator/adversarial",
                "regularisation": "discriminator/regularisation",
            }
        found = {ours: signals[name] for ours, name in told.items() if name in signals}
        return found | {"rise": rise, "moved": moved}

    def _rule(
        self, table: Iterable[Trouble], now: Numbers, images: int, dials: Numbers, act: bool = True
    ) -> Ruling | None:
        """Return the ruling of the first trouble that is to be acted on, else of the first one that shows, or None."""
        lasting, due = list[Trouble](), list[Trouble]()
        for trouble in table:
            streak = self.memory.streaks[trouble.name] = (
                self.memory.streaks.get(trouble.name, 0) + 1 if trouble.seen(now) else 0
            )
            said = trouble.patience if trouble.action == "say" else min(trouble.patience, 2 + trouble.patience // 4)
            if streak >= said:
                lasting.append(trouble)
            spent = trouble.action == "turn" and self.memory.rollbacks >= ROLLBACKS
            if streak >= trouble.patience and trouble.action != "say" and not spent:
                due.append(trouble)
        if due and act and self.act:
            return self._act(due[0], due[0].said(now), images, dials)
        return Ruling(lasting[0].said(now)) if lasting else None

    def _act(self, trouble: Trouble, words: str, images: int, dials: Numbers) -> Ruling:
        memory = self.memory
        assert trouble.action != "say"
        if trouble.remedy is None or memory.rollbacks >= ROLLBACKS:
            memory.over = words
            return self._noted(Ruling(words, "stop"), images)
        memory.rollbacks += 1
        memory.streaks.clear()
        memory.looks.clear()
        remedy = trouble.remedy if trouble.remedy.keys() <= dials.keys() else SLOWER  # the game may have no penalty
        turned = {name: dials[name] * factor for name, factor in remedy.items()}
        return self._noted(Ruling(words, trouble.action, turned), images)

    def _noted(self, ruling: Ruling, images: int) -> Ruling:
        self.memory.rulings.append(
            {"images": images, "action": ruling.action, "reason": ruling.state, "dials": dict(ruling.dials)}
        )
        return ruling

    def _augmentation(self, examined: Numbers, dials: Numbers) -> dict[str, float]:
        """Turn the augmentation p by the gap, and up only where the game stands still.

        p <- clip(p + FASTER dt (2 r - 1), 0, STRONGEST), r = clip(gap, 0, 1) or, where too few samples are held out to
        tell, 1; dt the part of the budget since the last judgement. So it goes up where the discriminator takes
        held-out samples for generated ones rather than for training ones.
        After Karras et al. 2020, "Training GANs with limited data", whose r_v is our gap, and its target 0.5; that a
        rising quality is left alone, and the end of the schedules, is ours.
        """
        if not self.adapt:
            return {}
        gap = examined.get("gap", math.nan)
        known = 1.0 if math.isnan(gap) else min(max(gap, 0.0), 1.0)
        times = [each["progress"] for each in self.memory.judgements[self.memory.era :]]
        begin = times[0] if self.memory.era else 0.0  # where a larger budget was taken up, nobody judged
        step = FASTER * max(times[-1] - [begin, *times][-2], 0.0) * (2 * known - 1)
        if step > 0 and not self._stands_still(times[-1]):
            return {}
        return {"augmentation": min(max(dials["augmentation"] + step, 0.0), STRONGEST)}
