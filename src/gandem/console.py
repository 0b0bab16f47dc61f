"""What a training tells the person in front of it.

On a terminal a progress bar, the losses and the newest sample grid, redrawn at every event; elsewhere one plain line
every ten seconds and one for everything that happens only once. All of it comes from the events, nothing is guessed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import IO, Any

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

PLAIN_SECONDS = 10.0
"""Seconds between two lines of progress where there is no terminal."""

Event = Mapping[str, Any]


class Console:
    """Turns events into a live terminal or into plain lines; use it as a context manager and as `watch`.

    silent: take every event and say nothing. file: where to print, stdout by default.
    """

    def __init__(
        self, *, silent: bool = False, file: IO[str] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._silent = silent
        self._terminal = Terminal(file=file, highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._clock = clock
        self._printed = clock()
        self._newest_samples = ""
        self._noun = "images"

    def __enter__(self) -> Console:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._wipe()

    def __call__(self, event: Event) -> None:
        """Show one event; kinds that are not known here are passed over."""
        show = getattr(self, f"_on_{event['event']}", None)
        if show is not None and not self._silent:
            show(event)

    def reading(self, what: str, done: int, total: int) -> None:
        """Show the progress of reading a source."""
        self({"event": "reading", "what": what, "done": done, "total": total})

    def _on_reading(self, event: Event) -> None:
        done, total = event["done"], event["total"]
        text = f"{event['what']} {done:,}" + (f" of {total:,}" if total else "")
        self._redraw(text, lambda: _bar(done / total if total else 0.0, text))

    def _on_data(self, event: Event) -> None:
        self._noun = event.get("noun", self._noun)
        self._say(*event["text"])

    def _on_measure(self, event: Event) -> None:
        size = f", 1/{2 ** event['halvings']} of each side" if event["halvings"] else ""
        speed = f"{event['images_per_second']:,.0f} {self._noun}/s"
        self._say(f"measured: width {event['width']} in {event['precision']}, batch {event['batch']}{size}: {speed}")

    def _on_plan(self, event: Event) -> None:
        self._say(*event["text"])

    def _on_pace(self, event: Event) -> None:
        every, samples = event["every"], event["samples"]
        self._say(
            f"referee: a quick judgement of {samples:,} samples every {every:,} {self._noun}"
            if every
            else "referee: the budget is too short for quick judgements; the losses are watched"
        )

    def _on_judged(self, event: Event) -> None:
        if not self._terminal.is_terminal:
            self._say(f"referee at {event['images']:,} {self._noun}: {event['state']}")

    def _on_ruling(self, event: Event) -> None:
        turned = [f"{name} now {value:.3g} of the recipe's" for name, value in event["dials"].items()]
        if event["action"] == "roll back":
            back = f"{event['back_to']:,} {self._noun}" if event["back_to"] else "the beginning"
            self._say(f"{event['reason']}: {', '.join([f'rolled back to {back}', *turned])}")
        elif event["action"] == "mend":
            self._say(f"{event['reason']}: what is broken was taken from the last checkpoint")
        elif event["action"] == "turn":
            self._say(f"{event['reason']}: {', '.join(turned)}")
        elif event["action"] == "stop":
            self._say(
                f"{event['reason']}: going on does not help; the training ends at {event['images']:,} {self._noun}"
            )
        else:
            self._say(f"{event['reason']} ({event['images']:,} {self._noun})")

    def _on_resumed(self, event: Event) -> None:
        self._noun = event.get("noun", self._noun)
        self._say(*event["damaged"], f"resumed at {event['images']:,} {self._noun}")

    def _on_progress(self, event: Event) -> None:
        done = f"{event['images']:,} {self._noun}, {event['images_per_second']:,.0f}/s"
        left = "" if event["eta_seconds"] is None else f", {duration(event['eta_seconds'])} left"
        losses = _losses(event, self._noun)
        newest = [Text(f"samples: {self._newest_samples}", style="dim")] if self._newest_samples else []
        self._redraw(
            f"{event['progress']:4.0%} {done}{left} | {event['state']} | {losses}",
            lambda: Group(
                _bar(event["progress"], done + left), Text(event["state"]), Text(losses, style="dim"), *newest
            ),
        )

    def _on_samples(self, event: Event) -> None:
        self._newest_samples = str(event["path"])

    def _on_checkpoint(self, event: Event) -> None:
        if not self._terminal.is_terminal:
            self._say(f"checkpoint at {event['images']:,} {self._noun}: {event['path']}")

    def _on_finished(self, event: Event) -> None:
        path = event["path"]
        self._say(
            f"finished: {event['images']:,} {self._noun} in {duration(event['seconds'])}; the run is {path}",
            f"next: gandem sample {path} --count 16 --out {event.get('sample_file', 'grid.png')}",
        )

    def _on_playing(self, event: Event) -> None:
        text = f"{event['step']:,} steps | " + _losses(event)
        self._redraw(f"{event['progress']:4.0%} {text}", lambda: _bar(event["progress"], text))

    def _on_played(self, event: Event) -> None:
        self._say(*event["text"])

    def _on_comparing(self, event: Event) -> None:
        self._say(f"training {event['number']} of {event['of']}: {event['arm']}, seed {event['seed']}")

    def _on_lost(self, event: Event) -> None:
        self._say(f"{event['arm']}, seed {event['seed']}, failed: {event['reason']}")

    def _on_compared(self, event: Event) -> None:
        self._say(*event["text"])

    def _on_augmenting(self, event: Event) -> None:
        self._say(*event["text"])

    def _on_augmenting_fold(self, event: Event) -> None:
        left = "" if event["eta_seconds"] is None else f", {duration(event['eta_seconds'])} left"
        text = f"{event['doing']}{left}"
        self._redraw(f"{event['progress']:4.0%} {text}", lambda: _bar(event["progress"], text))

    def _on_augmented(self, event: Event) -> None:
        self._say(*event["text"])

    def _on_judging(self, event: Event) -> None:
        self._redraw(f"judging: {event['doing']}", lambda: Text(f"judging: {event['doing']} ..."))

    def _on_verdict(self, event: Event) -> None:
        self._say(*event["text"])

    def _on_finished_already(self, event: Event) -> None:
        path = event["path"]
        self._say(
            f"{path} is finished already, at {event['images']:,} {self._noun}; "
            f"give it more as in: gandem resume {path} --budget {event.get('more', '+10m')}"
        )

    def _redraw(self, line: str, picture: Callable[[], RenderableType]) -> None:
        """Redraw the live part of a terminal, or print a plain line when the last one is old enough."""
        if self._terminal.is_terminal:
            if self._live is None:
                self._live = Live(console=self._terminal, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(picture(), refresh=True)
        elif self._clock() - self._printed >= PLAIN_SECONDS:
            self._printed = self._clock()
            self._say(line)

    def _say(self, *lines: str) -> None:
        """Print lines that stay."""
        self._wipe()
        for line in lines:
            self._terminal.print(Text(line))
        self._terminal.file.flush()

    def _wipe(self) -> None:
        """Take the live part off the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def describe(report: Mapping[str, Any], *, indent: str = "") -> list[str]:
    """Return a report of nested dictionaries as lines for people; long lists are cut and say so."""
    lines: list[str] = []
    for key, value in report.items():
        name = indent + str(key).replace("_", " ")
        if isinstance(value, Mapping) and value:
            lines += [f"{name}:", *describe(value, indent=indent + "  ")]
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value):
            lines += [f"{name}:", *(f"{indent}  {_inline(item)}" for item in _shortened(list(value), 10))]
        elif value not in (None, "", [], (), {}):
            lines.append(f"{name}: {_inline(value)}")
    return lines


def duration(seconds: float) -> str:
    """Return 42 s, 3 min 05 s or 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {_inline(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_inline(item) for item in _shortened(list(value), 12))
    return str(value)


def _shortened(items: list[Any], most: int) -> Iterable[Any]:
    return items if len(items) <= most else [*items[:most], f"... and {len(items) - most:,} more"]


def _bar(progress: float, text: str) -> Table:
    """Return one line: percentage, bar, text."""
    row = Table.grid(padding=(0, 1))
    row.add_row(Text(f"{progress:4.0%}"), ProgressBar(total=1.0, completed=progress, width=30), Text(text))
    return row


def _losses(event: Event, noun: str = "images") -> str:
    """Return the parts of the losses that say how the two players stand."""
    names = {
        "discriminator/adversarial": "D",
        "generator/adversarial": "G",
        "generator/surprise": "-log p",
        "discriminator/r1": "R1",
        "discriminator/r2": "R2",
        "discriminator/penalty": "penalty",
        "discriminator/win_rate": "D wins",
    }
    losses = event["losses"]
    parts = [f"{short} {losses[name]:.3g}" for name, short in names.items() if name in losses]
    averaged = [f"EMA half-life {event['ema_halflife']:,.0f} {noun}"] if "ema_halflife" in event else []
    return "  ".join([*parts, *averaged])
