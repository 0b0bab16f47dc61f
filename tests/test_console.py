"""What the console makes of events: plain lines without a terminal, a live picture with one, nothing when silent."""

import io

import pytest
from rich.console import Console as Terminal

from gandem.console import Console, describe, duration

PROGRESS = {
    "state": "learning",
    "event": "progress",
    "time": 0.0,
    "images": 12_800,
    "step": 200,
    "progress": 0.25,
    "seconds": 30.0,
    "images_per_second": 426.7,
    "eta_seconds": 95.0,
    "losses": {"discriminator/adversarial": 0.61, "generator/adversarial": 0.8, "discriminator/win_rate": 0.7},
    "lr": 5e-4,
    "gamma": 0.5,
    "ema_halflife": 640.0,
}
FINISHED = {"event": "finished", "time": 0.0, "images": 51_200, "seconds": 125.0, "path": "runs/x"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_progress_is_one_line_every_ten_seconds() -> None:
    out, clock = io.StringIO(), Clock()
    with Console(file=out, clock=clock) as console:
        for second in range(25):
            clock.now = float(second)
            console(PROGRESS)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0] == (
        " 25% 12,800 images, 427/s, 1 min 35 s left | learning | D 0.61  G 0.8  D wins 0.7  EMA half-life 640 images"
    )


def test_an_unknown_time_left_is_not_invented() -> None:
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, clock=clock)
    clock.now = 10.0
    console(PROGRESS | {"eta_seconds": None})
    assert "12,800 images" in out.getvalue()
    assert "left" not in out.getvalue()


def test_what_happens_once_is_said_at_once() -> None:
    out = io.StringIO()
    console = Console(file=out)
    console({"event": "data", "report": {"images": 4000}, "text": ["4,000 images in a folder", "10 classes"]})
    measured = {"event": "measure", "width": 64, "precision": "bf16", "batch": 32, "images_per_second": 1000.4}
    console(measured | {"halvings": 0})
    console(measured | {"halvings": 2})
    console({"event": "plan", "time": 0.0, "text": ["width 128 in bf16", "180,000 images in 3 minutes"]})
    console({"event": "checkpoint", "time": 0.0, "path": "runs/x/checkpoints/1", "images": 5, "seconds": 0.1})
    console(FINISHED)
    assert out.getvalue().splitlines() == [
        "4,000 images in a folder",
        "10 classes",
        "measured: width 64 in bf16, batch 32: 1,000 images/s",
        "measured: width 64 in bf16, batch 32, 1/4 of each side: 1,000 images/s",
        "width 128 in bf16",
        "180,000 images in 3 minutes",
        "checkpoint at 5 images: runs/x/checkpoints/1",
        "finished: 51,200 images in 2 min 05 s; the run is runs/x",
        "next: gandem sample runs/x --count 16 --out grid.png",
    ]


def test_silent_says_nothing_and_unknown_events_pass() -> None:
    out = io.StringIO()
    silent = Console(silent=True, file=out)
    silent(FINISHED)
    Console(file=out)({"event": "something new"})
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar_and_the_newest_samples_and_is_left_tidy() -> None:
    out = io.StringIO()
    with Console() as console:
        console._terminal = Terminal(file=out, force_terminal=True, width=100, highlight=False, soft_wrap=True)
        console({"event": "samples", "time": 0.0, "path": "runs/x/samples/000012800.png"})
        console(PROGRESS)
        console(FINISHED)
    text = out.getvalue()
    assert "━" in text
    assert "samples: runs/x/samples/000012800.png" in text
    assert "\x1b[?25h" in text  # the cursor is shown again
    assert text.rstrip().endswith("next: gandem sample runs/x --count 16 --out grid.png")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"), (7860, "2 h 11 min")],
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_long_lists_are_cut_and_say_so() -> None:
    skipped = [{"name": f"{i}.png", "reason": "broken"} for i in range(25)]
    lines = describe({"images": 5, "empty": [], "skipped": skipped, "mixed_sizes": True})
    assert lines[0] == "images: 5"
    assert lines[1:3] == ["skipped:", "  name 0.png, reason broken"]
    assert lines[-2] == "  ... and 15 more"
    assert lines[-1] == "mixed sizes: yes"
