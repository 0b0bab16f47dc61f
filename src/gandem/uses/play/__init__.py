"""The game in the plane: two small networks learn a shape in seconds, and one sees how."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gandem.errors import RecipeError, nearest
from gandem.game.losses import LOSSES
from gandem.game.penalties import PENALTIES
from gandem.training.budget import parse_budget
from gandem.training.checkpoint import storing, write_atomic
from gandem.uses.play.pictures import animation
from gandem.uses.play.playing import Moment, Played, learn_shape
from gandem.uses.play.shapes import find_shape

Watch = Callable[[Mapping[str, Any]], None]


def play(
    shape: str,
    out: str | Path,
    *,
    budget: str = "30s",
    loss: str = "relativistic",
    penalty: str = "r1_r2",
    gamma: float | None = None,
    clip: float = 0.0,
    seed: int = 0,
    watch: Watch = lambda event: None,
) -> dict[str, Any]:
    """Play on a shape in the plane, write the animation `out` (.gif), and return how well it was learnt.

    shape: "ring", "grid", "spiral", "two-moons", or a picture file that is dark where points are to be. loss, penalty:
    as in a recipe. gamma: twice the weight of the penalty at the start, None for what suits it. clip: largest absolute
    weight of the discriminator, 0 for any. watch: receives every event as a dict. Raises RecipeError, SourceError,
    StorageError.
    """
    penalties = PENALTIES.keys() - {"consistency"}  # which moves and recolours pictures
    for key, name, known in (("loss", loss, LOSSES.keys()), ("penalty", penalty, penalties)):
        if name not in known:
            raise RecipeError(f"--{key} {name}: not known.{nearest(name, known)}")
    for key, value in (("gamma", gamma or 0.0), ("clip", clip)):
        if not 0 <= value < math.inf:
            raise RecipeError(f"--{key} {value:g}: a number from 0 on, 0 for none")
    if not 0 <= seed < 2**63:
        raise RecipeError(f"--seed {seed}: from 0 to 2^63 - 1")
    out = Path(out)
    if out.suffix.lower() != ".gif":
        raise RecipeError(f"--out {out}: write to a .gif")
    with storing(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    chosen, allowed = find_shape(shape), parse_budget(budget)

    def tell(progress: float, moment: Moment) -> None:
        watch({"event": "playing", "progress": progress, "step": moment.step, "losses": moment.losses})

    choices: dict[str, Any] = {"loss": loss, "penalty": penalty, "gamma": gamma, "clip": clip, "seed": seed}
    played = learn_shape(chosen, allowed, **choices, tell=tell)
    words = summary(played)
    clipped = f", clip {clip:g}" if clip else ""
    write_atomic(out, animation(played, f"{chosen.name}, {loss}, penalty {penalty}{clipped}: {words}"))
    figures = {name: figure.to_dict() for name, figure in played.figures.items()}
    facts = {"path": str(out), "shape": chosen.name, **choices}
    facts |= {"steps": played.steps, "seconds": played.seconds, "figures": figures}
    watch({"event": "played", **facts, "text": [words, f"wrote {out}"]})
    return facts


def summary(played: Played) -> str:
    """Say in a line how well a shape was learnt."""
    figures, centres = played.figures, played.shape.centres
    if centres is not None:
        near, modes = figures["high quality"], int(figures["modes"].value)
        kl = figures["reverse KL"].value
        return f"{modes} of {len(centres)} modes, {near.value:.0%} of {near.n:,} points near one, reverse KL {kl:.3f}"
    inside, reached = figures["precision"], figures["coverage"]
    return f"{inside.value:.0%} of {inside.n:,} points lie in the shape, {reached.value:.0%} of the shape is reached"
