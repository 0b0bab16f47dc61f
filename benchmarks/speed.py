"""How fast a step is, against this machine's own peak and against a plain loop of the same game.

    python benchmarks/speed.py [--sizes 28 32 64] [--device auto] [--repeats 5] [--seconds 2]

"gandem" is the trainer's own step with the networks and the precision that the plan chooses for 15 minutes. "plain" is
the same networks, loss and penalties (on the whole batch) as a straightforward fp32 NCHW eager loop. Both, and the
large matrix products that give the peak, take turns in one process, and the medians are reported, so that whatever else
the machine does falls on all of them alike. The work of a step per image, in forward passes of the generator G and the
discriminator D, is 4 G + (9 + 6 p) D with penalties on the part p of the batch. "kernels" plays back the convolutions
and matrix products of one such step with nothing between them: as fast as the step could be if all else were free.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from measured import RESULTS, matrix_product_rate, save_result, synchronise
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import gandem
from gandem.domains.images import IMAGES
from gandem.recipe import Recipe
from gandem.training.budget import parse_budget
from gandem.training.build import build_game
from gandem.training.engine import Engine
from gandem.training.loop import Loop

BUDGET = "15m"
SETTINGS: dict[str, Any] = {"game.augment": 0, "game.growth": 0}
"""No augmentation, as with 20,000 images or more: it is work of its own, and the plain loop has none."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Case:
    """Images of one size: pixels of a side, channels, classes (0: none)."""

    size: int
    channels: int
    labels: int

    def write(self, folder: Path, count: int = 4000) -> Path:
        """Write random images of this kind as an .npz; what they show does not change the time."""
        rng = np.random.default_rng(0)
        arrays: dict[str, Any] = {
            "images": rng.integers(0, 256, (count, self.size, self.size, self.channels), dtype=np.uint8)
        }
        if self.labels:
            arrays["labels"] = np.arange(count) % self.labels
        path = folder / f"{self.size}.npz"
        np.savez(path, **arrays)
        return path


CASES = {28: Case(28, 1, 10), 32: Case(32, 3, 10), 64: Case(64, 3, 0), 128: Case(128, 3, 0)}


def gandem_trainer(source: Path, batch: int | str, device: str) -> tuple[Loop, Recipe]:
    """Return the trainer as `gandem.train` would build it for this source, and the recipe with all that was decided."""
    settings = SETTINGS | {"training.batch": batch}
    planned = gandem.plan_training(source, settings=settings, budget=BUDGET, seed=0, device=device)
    recipe = Recipe.model_validate(planned["recipe"])
    data = IMAGES.read(source, recipe.data)
    trainer = Loop(
        build_game(IMAGES, data, recipe, int(recipe.network.width)),
        data,
        Engine(device, recipe.training.precision),
        budget=parse_budget(BUDGET),
        optimizer=recipe.optimizer,
        training=recipe.training,
    )
    return trainer, recipe


class PlainLoop:
    """The same game as one would first write it: fp32, NCHW, R1 and R2 on every image of the batch."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, latent: int, gamma: float = 0.5) -> None:
        self.generator, self.discriminator = (in_nchw(copy.deepcopy(net)) for net in (generator, discriminator))
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), 5e-4, (0.0, 0.99))
        self.discriminator_adam = torch.optim.Adam(self.discriminator.parameters(), 5e-4, (0.0, 0.99))
        self.latent, self.gamma = latent, gamma

    def step(self, real: Tensor, label: Tensor | None) -> None:
        """Play one step on real images (n, C, H, W)."""
        fake = self.generator(self._noise(real), label).detach()
        real_in, fake_in = real.clone().requires_grad_(), fake.requires_grad_()
        real_logits, fake_logits = self.discriminator(real_in, label), self.discriminator(fake_in, label)
        penalty = self._squared_gradient(real_logits, real_in) + self._squared_gradient(fake_logits, fake_in)
        loss = F.softplus(fake_logits - real_logits).mean() + self.gamma / 2 * penalty
        self.discriminator_adam.zero_grad()
        loss.backward()
        self.discriminator_adam.step()

        fake_logits = self.discriminator(self.generator(self._noise(real), label), label)
        loss = F.softplus(self.discriminator(real, label) - fake_logits).mean()
        self.generator_adam.zero_grad()
        loss.backward()
        self.generator_adam.step()

    def _noise(self, real: Tensor) -> Tensor:
        return torch.randn(len(real), self.latent, device=real.device)

    @staticmethod
    def _squared_gradient(logits: Tensor, images: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return gradient.square().flatten(1).sum(1).mean()


class Kernels(TorchDispatchMode):
    """Remembers the convolutions and matrix products that are called, with what they are given."""

    KINDS = tuple(getattr(torch.ops.aten, name) for name in ("convolution", "convolution_backward", "mm", "addmm"))

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], object]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in self.KINDS:
            self.calls.append(partial(func, *args, **(kwargs or {})))
        return func(*args, **(kwargs or {}))

    @torch.no_grad()
    def replay(self) -> None:
        """Call them all again."""
        for call in self.calls:
            call()


def in_nchw(network: nn.Module) -> nn.Module:
    """Put weights in PyTorch's usual memory layout, and the images too where the network asks for channels_last."""
    network.to(memory_format=torch.contiguous_format).train().requires_grad_(True)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    return network


def forward_flops(network: nn.Module, *inputs: Tensor | None) -> float:
    """Count the operations of one forward pass per image, two for each multiply-add."""
    assert inputs[0] is not None
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    return float(counter.get_total_flops() / len(inputs[0]))


def rate(step: Callable[[], object], batch: int, seconds: float, device: torch.device) -> float:
    """Repeat a step for about so many seconds and return images per second."""
    synchronise(device)
    began = time.perf_counter()
    step()
    synchronise(device)
    steps = max(round(seconds / (time.perf_counter() - began)), 1)
    began = time.perf_counter()
    for _ in range(steps):
        step()
    synchronise(device)
    return steps * batch / (time.perf_counter() - began)


def memory_of(step: Callable[[], object], device: torch.device) -> float | None:
    """Return the peak memory of one step in GiB on a GPU, None elsewhere."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    step()
    synchronise(device)
    return torch.cuda.max_memory_allocated(device) / 2**30


class _Enough(Exception):
    """Ends the training whose chores are being timed."""


def chores_share(source: Path, folder: Path, settings: dict[str, Any], device: str, seconds: float) -> float:
    """Return the part of a real training's time that goes to anything but the networks.

    Watches the first `seconds` of a training through the public API with its run folder: drawing batches, the event
    log, previews and checkpoints all count; a first preview and the plan's measuring of the machine do not.
    """
    clock = {"batch": 0.0, "step": 0.0, "began": 0.0}
    play_step, batch = Loop.play_step, Loop.batch

    def timed_step(self: Loop, progress: float) -> Any:
        now = time.perf_counter()
        if self.step == 2:
            clock.update(batch=0.0, step=0.0, began=now)
        if clock["began"] and now - clock["began"] > seconds:
            raise _Enough
        parts = play_step(self, progress)
        synchronise(self.engine.device)
        clock["step"] += time.perf_counter() - now
        return parts

    def timed_batch(self: Loop, number: int) -> Any:
        began = time.perf_counter()
        drawn = batch(self, number)
        clock["batch"] += time.perf_counter() - began
        return drawn

    with (
        mock.patch.object(Loop, "play_step", timed_step),
        mock.patch.object(Loop, "batch", timed_batch),
        contextlib.suppress(_Enough),
    ):
        gandem.train(source, folder, settings=settings, budget=BUDGET, seed=0, device=device)
    total = time.perf_counter() - clock["began"]
    return (total - clock["step"] + clock["batch"]) / total


def measure(case: Case, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Let gandem, the plain loop and the matrix products take turns on one kind of images."""
    source = case.write(folder)
    trainer, recipe = gandem_trainer(source, options.batch, options.device)
    device, fraction = trainer.engine.device, trainer.game.penalty_fraction
    batch, rows = trainer.batch(0), int(recipe.training.batch)
    real, label = batch["real"].contiguous(), batch.get("label")
    g = forward_flops(trainer.game.generator, batch["latent"], label)
    d = forward_flops(trainer.game.discriminator, batch["real"], label)
    plain = PlainLoop(trainer.game.generator, trainer.game.discriminator, trainer.game.latent)
    with Kernels() as kernels:
        trainer.play_step(0.5)
    steps: dict[str, Callable[[], object]] = {
        "gandem": lambda: trainer.play_step(0.5),
        "plain": lambda: plain.step(real, label),
        "kernels": kernels.replay,
    }
    for step in steps.values():
        for _ in range(3):
            step()
    rates: dict[str, list[float]] = {name: [] for name in (*steps, *DTYPES)}
    for _ in range(options.repeats):
        for name, step in steps.items():
            rates[name].append(rate(step, rows, options.seconds, device))
        for name, dtype in DTYPES.items():
            rates[name].append(matrix_product_rate(dtype, device))
    median = {name: statistics.median(values) for name, values in rates.items()}
    ours = 4 * g + (9 + 6 * fraction) * d
    flops = {"gandem": ours, "plain": 4 * g + 15 * d, "kernels": ours}
    fractions = {name: {kind: median[name] * ours / median[kind] for kind in DTYPES} for name in ("gandem", "kernels")}
    settings = SETTINGS | {"network.width": recipe.network.width, "training.batch": rows}
    return {
        "size": case.size,
        "channels": case.channels,
        "labels": case.labels,
        "batch": rows,
        "width": recipe.network.width,
        "precision": recipe.training.precision,
        "device": str(device),
        "gflops_per_image": {name: value / 1e9 for name, value in flops.items()},
        "images_per_second": {name: median[name] for name in steps},
        "images_per_second_each": {name: rates[name] for name in steps},
        "gflops_per_second": {name: median[name] * flops[name] / 1e9 for name in steps},
        "peak_gflops_per_second": {name: median[name] / 1e9 for name in DTYPES},
        "fraction_of_peak": fractions["gandem"],
        "fraction_of_peak_kernels": fractions["kernels"],
        "speed_up": median["gandem"] / median["plain"],
        "peak_gib": {name: memory_of(step, device) for name, step in steps.items()},
        "chores_share": chores_share(
            source, folder / f"run{case.size}", settings, options.device, options.chores_seconds
        ),
    }


def show(row: dict[str, Any]) -> None:
    """Print one size in a line of the table."""
    own, precision = row["images_per_second"]["gandem"], row["precision"]
    peak, part = row["peak_gflops_per_second"], row["fraction_of_peak"][precision]
    most = row["fraction_of_peak_kernels"][precision]
    memory = row["peak_gib"]["gandem"]
    print(
        f"{row['size']:>4} px x{row['channels']}  width {row['width']:>4}  batch {row['batch']}  {precision}  "
        f"{own:>9,.0f} images/s  "
        f"{row['gflops_per_second']['gandem']:>8,.0f} GFLOP/s = {part:.2f} of the {precision} "
        f"peak ({peak[precision]:,.0f}; fp32 {peak['fp32']:,.0f}), {most:.2f} with nothing but its kernels  "
        f"{row['speed_up']:.2f}x the plain loop ({row['images_per_second']['plain']:,.0f})  "
        f"data and logging {100 * row['chores_share']:.1f} %" + (f"  {memory:.2f} GiB" if memory else ""),
        flush=True,
    )


def main() -> None:
    """Measure every size and save one result."""
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", choices=CASES, default=[28, 32, 64, *([128] if cuda else [])])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", default="auto", help="images of a step; auto: what gandem chooses")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each arm in each repeat")
    parser.add_argument("--chores-seconds", type=float, default=30.0, help="of training watched for data and logging")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(CASES[size], Path(folder), options))
        show(rows[-1])
        kind = rows[0]["device"].partition(":")[0]
        print(f"saved {save_result(f'speed-{kind}', {'rows': rows}, seed=0, folder=options.results)}")


if __name__ == "__main__":
    main()
