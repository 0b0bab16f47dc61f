"""Comparisons: what is asked, the statistics of a few seeds, and a small race that is stopped and taken up again."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gandem
from gandem import api, cli
from gandem.comparison.arms import mean, parse_arm, parse_arms, standing, table
from gandem.comparison.picture import LABEL, ROW, TOP, draw
from gandem.domains.images.store import ImageData
from gandem.errors import Interrupted, RecipeError, RunError, StorageError
from gandem.judge.figure import quantile

SETTINGS = {"network.width": 16, "training.batch": 16}
SIZED = SETTINGS | {"data.size": (28, 28)}
"""A tuple is a list in the file that tells whether the same is asked again."""


@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.706), (2, 4.303), (9, 2.262), (10, 2.228), (20, 2.086), (60, 2.000), (1000, 1.962)]
)
def test_quantiles_are_those_of_the_printed_tables(freedom: int, value: float) -> None:
    assert quantile(freedom) == pytest.approx(value, abs=1e-3)


def test_a_mean_has_the_interval_of_student() -> None:
    figure = mean([1.0, 2.0, 3.0])
    assert (figure.value, figure.n) == (2, 3)
    assert figure.high - 2 == pytest.approx(4.303 / 3**0.5) and 2 - figure.low == pytest.approx(4.303 / 3**0.5)
    assert mean([5.0]).to_dict() == {"value": 5.0, "low": None, "high": None, "n": 1}


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0).standard_normal((4000, 3))
    held = sum(figure.low <= 0 <= figure.high for figure in map(mean, draws.tolist()))
    assert held / 4000 == pytest.approx(0.95, abs=0.012)


def test_arms_may_mirror_and_turn_the_same_data() -> None:
    assert len(parse_arms(["default", "default+data.mirror=true", "default+data.turn=true"])) == 3


def test_an_arm_is_a_recipe_and_what_differs() -> None:
    arm = parse_arm("default+game.loss=hinge+game.gamma=4")
    assert (arm.recipe, arm.settings) == ("default", {"game.loss": "hinge", "game.gamma": 4})
    assert arm.folder == "default+game.loss=hinge+game.gamma=4"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["default"], "two or more"),
        (["default", "default"], "different"),
        (["default", "defalt"], "Did you mean 'default'"),
        (["default", "default+game.gama=1"], "game.gamma"),
        (["default", "default+hinge"], "not key=value"),
        (["default", "default+data.size=16"], "different ways"),
    ],
)
def test_what_cannot_be_compared_is_said(texts: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_arms(texts)


def row(arm: str, seed: int, value: float | None) -> dict[str, Any]:
    """One training; without a value it failed."""
    figure = None if value is None else {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 100}
    failed = "numbers not finite" if value is None else None
    verdict = "usable" if failed is None else f"failed: {failed}"
    facts = {"arm": arm, "seed": seed, "images": 1000, "seconds": 9.0}
    return facts | {"d": figure, "failed": failed, "verdict": verdict}


def test_arms_are_compared_seed_by_seed() -> None:
    """Seeds that differ much do not hide what is the same in each of them."""
    first = [row("first", seed, value) for seed, value in enumerate([1.0, 5.0, 9.0])]
    lower = [row("lower", seed, value) for seed, value in enumerate([0.5, 4.4, 8.6])]
    higher = [row("higher", seed, value) for seed, value in enumerate([1.5, 5.6, 9.4])]
    luck = [row("luck", seed, value) for seed, value in enumerate([0.2, 6.0, 8.9])]
    lost = [row("lost", seed, value) for seed, value in enumerate([None, None, 3.0])]
    gone = [row("gone", seed, None) for seed in range(3)]
    found = first + lower + higher + luck + lost + gone
    words = {each["arm"]: each["word"] for each in standing(found, "d")}
    assert words == {
        "first": "the first",
        "lower": "better",
        "higher": "worse",
        "luck": "cannot tell",
        "lost": "cannot tell: one seed, 2 of 3 failed",
        "gone": "no numbers, 3 of 3 failed",
    }
    page = table(found, {"d": "Distance"})
    assert "| lower |" in page and "better" in page and page.count("1,000") == len(found)


def test_an_arm_that_fails_is_never_the_better_one() -> None:
    whole = [row("whole", seed, 1.0) for seed in range(3)]
    broken = [row("broken", seed, value) for seed, value in enumerate([0.5, 0.51, None])]
    worse = [row("worse", seed, value) for seed, value in enumerate([2.0, 2.01, None])]
    found = whole + broken + worse
    first, *others = standing(found, "d")
    assert (first["word"], first["failed"]) == ("the first", 0)
    assert [each["word"] for each in others] == ["cannot tell, 1 of 3 failed", "worse, 1 of 3 failed"]
    assert others[0]["difference"]["high"] < 0 and others[0]["failed"] == 1
    assert table(found, {"d": "Distance"}).count("1 of 3 failed") == 2
    first, beside = standing(broken + whole, "d")
    assert (first["word"], beside["word"]) == ("the first, 1 of 3 failed", "cannot tell")


def test_bars_in_what_is_told_do_not_break_the_table() -> None:
    told = [row("first", 0, 1.0), row("second", 0, None) | {"verdict": "failed: shapes 3 | 4"}]
    *_, before, last = table(told, {"d": "Distance"}).splitlines()
    assert r"shapes 3 \| 4" in last and last.replace(r"\|", "").count("|") == before.count("|")


def test_the_picture_says_what_failed() -> None:
    found = [row("whole", 0, 1.0), row("whole", 1, 1.1), row("broken", 0, 0.5), row("broken", 1, 0.6)]
    told = [
        {**each, "failed": "numbers not finite"} if each["arm"] == "broken" and each["seed"] else each for each in found
    ]
    healthy, failed = (np.asarray(draw(rows, {}, "d", "Distance"))[:, :LABEL] for rows in (found, told))
    changed = np.flatnonzero((healthy != failed).any((1, 2)))
    assert len(changed) and changed.min() > TOP + ROW  # beside the second arm


@pytest.fixture(scope="module")
def source(fashion: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,100 pictures: enough to judge by those that are held out."""
    path = tmp_path_factory.mktemp("data") / "some.npz"
    np.savez(path, images=fashion.images[:1100])
    return path


def test_a_race_that_is_stopped_goes_on_where_it_was(source: Path, tmp_path: Path) -> None:
    recipes = ["default", "default+game.loss=hinge"]
    events: list[dict[str, Any]] = []

    def stop(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "samples" and sum(each["event"] == "comparing" for each in events) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    def race(out: Path, **choices: Any) -> dict[str, Any]:
        asked = {"seeds": 1, "budget": "64", "settings": SIZED, "device": "cpu", "watch": events.append}
        return gandem.compare(recipes, source, out, **(asked | choices))

    with pytest.raises(Interrupted, match=f"the same command with --out {tmp_path / 'race'}"):
        race(tmp_path / "race", watch=stop)
    kept = (tmp_path / "race" / "default" / "seed0" / "report.json").read_bytes()
    result = race(tmp_path / "race")
    assert kept == (tmp_path / "race" / "default" / "seed0" / "report.json").read_bytes()
    assert [each["arm"] for each in result["trainings"]] == recipes
    assert all(each["kernel_distance"]["n"] >= 100 and each["images"] == 64 for each in result["trainings"])
    assert result["standing"]["kernel_distance"][1]["word"] == "cannot tell: one seed"

    folder = tmp_path / "race"
    assert json.loads((folder / "comparison.json").read_text())["trainings"] == result["trainings"]
    assert "## Kernel distance" in (folder / "comparison.md").read_text()
    with Image.open(folder / "comparison.png") as picture:
        assert picture.width > 1000
    with pytest.raises(RunError, match="other seeds"):
        race(folder, seeds=2)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(RunError, match="in the way"):
        race(tmp_path / "taken")


QUICK = {"network.width": 16, "network.blocks": 1, "training.batch": 32}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("game.loss=hing", "Did you mean 'hinge'"),
        ("network.init=orthogonall", "Did you mean 'orthogonal'"),
        ("optimizer.kind=adamm", "Did you mean"),
        ("network.kind=residuall", "is not known|unknown|Did you mean"),
        ("network.packing=3+training.batch=16", "a multiple of 12"),
        ("game.penalty=consistency", "is for pictures"),
        ("game.likelihood=1", "only those of tables"),
        ("game.augment=adaptive+referee.every=0", "is for pictures"),
    ],
)
def test_a_wrong_arm_is_refused_before_any_is_trained(changes: str, said: str, tmp_path: Path) -> None:
    points, arm = np.random.default_rng(0).random((300, 3)), f"default+{changes}"
    events: list[dict[str, Any]] = []
    with pytest.raises(RecipeError, match=said) as refused:
        gandem.compare(["default", arm], points, tmp_path / "race", budget="5m", settings=QUICK, watch=events.append)
    assert str(refused.value).startswith(f"{arm}: ") and "\n" not in str(refused.value)
    assert not [event for event in events if event["event"] in ("comparing", "measure")]
    assert not (tmp_path / "race").exists()  # so that the right command may use it


def test_old_results_are_not_taken_for_other_data_or_recipes(tmp_path: Path) -> None:
    recipe, file = tmp_path / "mine.yaml", tmp_path / "points.npy"
    recipe.write_text("game: {loss: hinge}\n")
    points, others = np.random.default_rng(0).random((2, 300, 3))
    np.save(file, points)

    def race(data: Any) -> dict[str, Any]:
        recipes = ["default", str(recipe)]
        return gandem.compare(recipes, data, tmp_path / "race", seeds=1, budget="64", settings=QUICK, device="cpu")

    first = race(points)
    assert race(file)["trainings"] == first["trainings"]  # the same data from elsewhere
    np.save(file, others)
    for data in (others, file):
        with pytest.raises(RunError, match="holds a comparison with other data;"):
            race(data)
    recipe.write_text("game: {loss: wasserstein}\n")
    with pytest.raises(RunError, match="holds a comparison with other recipes;"):
        race(points)
    recipe.write_text("game: {loss: hinge}\n")
    assert race(points)["trainings"] == first["trainings"]


def test_a_race_on_an_array_that_was_stopped_while_it_was_judged(tmp_path: Path) -> None:
    points = np.random.default_rng(0).random((1200, 3))

    def race() -> dict[str, Any]:
        recipes = ["default", "default+game.loss=hinge"]
        return gandem.compare(recipes, points, tmp_path / "race", seeds=1, budget="64", settings=QUICK, device="cpu")

    first = race()
    report = tmp_path / "race" / "default" / "seed0" / "report.json"
    facts = json.loads(report.read_text())
    del facts["evaluation"]
    report.write_text(json.dumps(facts))
    again = race()["trainings"][0]["kernel_distance"]
    assert again["n"] == first["trainings"][0]["kernel_distance"]["n"] >= 100


def test_an_arm_without_room_in_the_memory_is_noted_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, train, recipes = (
        np.random.default_rng(0).random((300, 3)),
        api.train,
        ["default+network.width=24", "default"],
    )
    events: list[dict[str, Any]] = []

    def race() -> dict[str, Any]:
        asked: dict[str, Any] = {"seeds": 1, "budget": "64", "settings": QUICK, "device": "cpu"}
        return gandem.compare(recipes, points, tmp_path / "race", watch=events.append, **asked)

    def narrow(*args: Any, settings: dict[str, Any], **more: Any) -> gandem.Run:
        if settings["network.width"] == 24:
            raise torch.OutOfMemoryError("out of memory.\nTried to allocate 80 GiB" + " and so on" * 50)
        return train(*args, settings=settings, **more)

    monkeypatch.setattr(api, "train", narrow)
    wide, fitting = race()["trainings"]
    assert wide["failed"].startswith("OutOfMemoryError: out of memory. Tried to allocate 80 GiB")
    assert len(wide["failed"]) <= 200 and (wide["images"], fitting["images"]) == (0, 64) and fitting["failed"] is None
    assert [event["reason"] for event in events if event["event"] == "lost"] == [wide["failed"]]
    assert "1 of 1 failed" in (tmp_path / "race" / "comparison.md").read_text()
    monkeypatch.undo()
    assert [each["images"] for each in race()["trainings"]] == [64, 64]  # where there is more memory


@pytest.mark.parametrize("full_at", [1, 2])
def test_a_full_disk_ends_the_race_which_goes_on_when_there_is_room(
    full_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, train, begun = np.random.default_rng(0).random((300, 3)), api.train, list[Path]()
    recipes, folder = ["default", "default+game.loss=hinge"], tmp_path / "race"

    def race() -> dict[str, Any]:
        return gandem.compare(recipes, points, folder, seeds=1, budget="64", settings=QUICK, device="cpu")

    def full(source: Any, path: Path, **more: Any) -> gandem.Run:
        begun.append(path)
        if len(begun) == full_at:
            (path.parent / ".seed0.new").mkdir(parents=True)  # as a folder that could not be finished
            raise StorageError(f"cannot write {path}: No space left on device; free some space, then go on")
        return train(source, path, **more)

    monkeypatch.setattr(api, "train", full)
    with pytest.raises(StorageError, match=f"No space left .*; .*the same command with --out {folder} goes on"):
        race()
    assert len(begun) == full_at
    assert [each["images"] for each in race()["trainings"]] == [64, 64]
    assert len(begun) == 3


def test_what_the_disk_refuses_is_no_fault_of_an_arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **more: Any) -> gandem.Run:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(api, "train", broken)
    with pytest.raises(OSError, match="Input/output error"):
        points = np.random.default_rng(0).random((300, 3))
        gandem.compare(["default", "default+game.loss=hinge"], points, tmp_path / "race", seeds=1, budget="64")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["default", "default+game.loss=hinge"], "--data"),
        (["default", "default+x=1", "--data", "x"], "unknown recipe key"),
        (["default", "r3gan", "--data", "x", "--seeds", "0"], "--seeds 0"),
        (["default", "r3gan", "--data", "x", "--budget", "soon"], "budget 'soon'"),
    ],
)
def test_the_command_refuses_in_a_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


def test_missing_data_leave_no_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(gandem.GandemError, match="nowhere"):
        gandem.compare(["default", "r3gan"], tmp_path / "nowhere", tmp_path / "race", budget="64")
    assert not (tmp_path / "race").exists()
