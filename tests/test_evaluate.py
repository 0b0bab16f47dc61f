"""From samples or a run to a verdict, a page and facts; what cannot be judged says so."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gandem
from gandem.cli import main
from gandem.domains.images import IMAGES, features
from gandem.domains.images.details import told_by_details
from gandem.domains.images.floors import floors
from gandem.domains.images.store import ImageData
from gandem.errors import JudgeError, RunError
from gandem.holdout import digests
from gandem.judge.judgement import METRICS
from gandem.judge.verdict import ORDER
from gandem.run import Run
from gandem.uses.evaluate import _improvement, evaluate
from gandem.uses.export import export


@pytest.mark.parametrize(("ended", "improving"), [("it settled", False), ("the budget was spent", True)])
def test_what_cooling_down_gains_is_no_improvement(ended: str, improving: bool) -> None:
    judged = [{"progress": at / 10, "distance": 20.0 if at < 7 else 20.0 - 3 * (at - 6)} for at in range(1, 11)]
    figure = _improvement(SimpleNamespace(report={"referee": {"ended": ended, "judgements": judged}}))  # type: ignore[arg-type]
    assert (figure is not None and figure.low > 0) == improving


def save(path: Path, data: ImageData, rows: slice, images: np.ndarray | None = None) -> Path:
    names = np.array(data.spec.labels)
    np.savez(path, images=data.images[rows] if images is None else images, labels=names[data.labels[rows]])
    return path


@pytest.fixture(scope="module")
def real(fashion: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("real") / "real.npz", fashion, slice(0, 800))


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture(scope="module")
def judged(fashion: ImageData, real: Path, told: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Other real pictures in the place of generated ones, and the page that was written."""
    folder = tmp_path_factory.mktemp("made")
    made = save(folder / "made.npz", fashion, slice(1000, 1400))
    return gandem.evaluate(made, real, out=folder / "page.html", watch=told.append), folder / "page.html"


def test_real_samples_are_excellent_and_every_number_says_how_sure_it_is(judged: Any) -> None:
    facts, _ = judged
    assert facts["verdict"]["verdict"] == "excellent", facts["verdict"]
    rows = facts["judgement"]["rows"]
    assert set(rows) == {"generated", "real", "noise", "blurred", "pixels shuffled", "one image repeated"}
    for row in rows.values():
        for name, figure in row.items():
            assert {"value", "low", "high", "n"} <= set(figure), name
            assert figure["low"] <= figure["value"] <= figure["high"] and figure["n"] == facts["counts"]["generated"]
    keys = "schema_version verdict counts features judgement usefulness classes seed seconds"
    assert set(facts) == set(keys.split())
    assert set(facts["judgement"]) == {"rows", "won_by", "support", "cells", "copying"}
    assert set(facts["judgement"]["rows"]["real"]) == set(METRICS) == set(facts["judgement"]["won_by"])
    useful = facts["usefulness"]
    assert useful["generated_to_real"]["value"] > 0.5 and len(useful["by_class"]) == 10
    assert len(facts["features"]["fingerprint"]) == 12
    json.dumps(facts)


def test_no_picture_is_looked_at_twice(
    fashion: ImageData, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, shipped = list[bytes](), features.load_features()

    def of_block(images: np.ndarray) -> torch.Tensor:
        looked.extend(image.tobytes() for image in images)
        return shipped.of_block(images)

    monkeypatch.setattr(IMAGES, "features", lambda codec, path: replace(shipped, of_block=of_block))
    rows = gandem.evaluate(save(tmp_path / "made.npz", fashion, slice(1000, 1150)), real)["judgement"]["rows"]
    assert len(looked) == len(set(looked)) > 1500
    assert rows["one image repeated"]["spread_ratio"]["value"] == 0


def test_the_page_stands_alone(judged: Any) -> None:
    page = judged[1].read_text()
    assert "excellent" in page and page.count("data:image/png;base64,") == 3
    assert not re.search(r"(src|href)=.(https?:)?//", page) and "<script" not in page and "$" not in page
    told = re.sub(r"base64,[^\"]*", "", page)
    assert told.count("<th") > 20 and "nan" not in told


def test_it_tells_what_it_does(judged: Any, told: list[dict[str, Any]]) -> None:
    assert [event["event"] for event in told][-1] == "verdict" and told[0]["event"] == "judging"
    assert told[-1]["text"][0].startswith("verdict: EXCELLENT (")


@pytest.mark.parametrize("floor", ["noise", "blurred", "pixels shuffled", "one image repeated"])
def test_no_floor_is_usable(floor: str, fashion: ImageData, real: Path, tmp_path: Path) -> None:
    images = floors(fashion.images[1000:1200])[floor]
    facts = gandem.evaluate(save(tmp_path / "made.npz", fashion, slice(1000, 1200), images), real)
    assert ORDER.index(facts["verdict"]["verdict"]) >= ORDER.index("too little training"), facts["verdict"]


def test_copies_are_called_out(fashion: ImageData, real: Path, tmp_path: Path) -> None:
    images = np.concatenate([fashion.images[:200], fashion.images[1000:1200]])
    np.savez(tmp_path / "made.npz", images=images)
    assert gandem.evaluate(tmp_path / "made.npz", real)["verdict"]["verdict"] == "copies its data"


def test_a_run_of_few_images_cannot_be_judged_but_says_so(npz: Path, tmp_path: Path) -> None:
    settings = {"network.width": 32, "training.batch": 16}
    events: list[dict[str, Any]] = []
    run = gandem.train(npz, tmp_path / "run", settings=settings, budget="32", device="cpu", watch=events.append)
    assert run.report["evaluation"]["verdict"]["verdict"] == "cannot tell"
    assert "cannot tell" in (run.path / "README.md").read_text() and (run.path / "report.html").is_file()
    assert [event["event"] for event in events][-1] == "verdict"
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 2 and "Too few to be judged." in page  # one wants to look all the same
    plan = next(event for event in events if event["event"] == "plan")
    assert any("WARNING: 2 steps" in line for line in plan["text"])
    facts = gandem.evaluate(run.path)
    assert facts["verdict"] == run.report["evaluation"]["verdict"]
    report = run.report
    del report["evaluation"]  # as if it had been killed while it was judged
    (run.path / "report.json").write_text(json.dumps(report))
    (run.path / "report.html").unlink()
    finished = gandem.resume(run.path).report
    assert finished["evaluation"]["verdict"] == facts["verdict"] and finished["images"] == report["images"]
    assert (run.path / "report.html").is_file()
    more = gandem.resume(run.path, budget="+32")
    assert more.report["evaluation"]["verdict"]["verdict"] == "cannot tell"


def test_a_run_is_judged_by_its_held_out_part(fashion: ImageData, tmp_path: Path) -> None:
    source = save(tmp_path / "data.npz", fashion, slice(0, 1500))
    settings = {"network.width": 32, "training.batch": 16}
    run: Run = gandem.train(source, tmp_path / "run", settings=settings, budget="32", device="cpu")
    evaluation = run.report["evaluation"]
    assert evaluation["counts"]["held_out"] == run.report["held_out_size"]
    assert ORDER.index(evaluation["verdict"]["verdict"]) >= ORDER.index("too little training")
    with Image.open(run.path / "samples" / "latest.png") as picture:
        assert picture.size[0] > 28
    np.savez(source, images=fashion.images[:1000])
    with pytest.raises(RunError, match="--real"):
        gandem.evaluate(run.path)

    names = gandem.evaluate(run.path, source)  # no classes there: all of the run's own in turn
    assert "usefulness" not in names and names["judged_by"] == str(source)
    assert run.report["evaluation"] == evaluation, "what it is by its own data stands"
    said = "and not of the data that the run was trained on"
    assert said in (run.path / "report-other.html").read_text() and said not in (run.path / "report.html").read_text()


def test_a_model_file_is_judged_like_its_run(fashion: ImageData, tmp_path: Path) -> None:
    source = save(tmp_path / "data.npz", fashion, slice(0, 1500))
    settings = {"network.width": 32, "training.batch": 16}
    run: Run = gandem.train(source, tmp_path / "run", settings=settings, budget="32", device="cpu")
    export(run, tmp_path / "model.safetensors")
    facts = gandem.evaluate(tmp_path / "model.safetensors", source, count=200)
    assert facts["counts"]["held_out"] <= run.report["held_out_size"] and "judged_by" not in facts
    with pytest.raises(RunError, match="model file"):
        gandem.open_run(tmp_path / "model.safetensors", ema=0.1)


def test_few_different_rows_are_judged_and_end_no_training(tmp_path: Path) -> None:
    """Every sample occurs many times, on both sides or on one."""
    dice = np.random.default_rng(0).integers(0, 3, (1500, 3)).astype(np.float64)
    run = gandem.train(dice, tmp_path / "run", budget="256", device="cpu")
    assert run.report["evaluation"]["verdict"]["verdict"] in (*ORDER, "cannot tell")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["made.npz"], "--real"),
        (["nowhere", "--real", "real.npz"], "nowhere"),
        (["real.npz", "--real", "real.npz", "--count", "0"], "at least one"),
        (["real.npz", "--real", "real.npz", "--features", "none.onnx"], "none.onnx"),
        (["real.npz", "--real", "real.npz", "--features", "real.npz"], ".safetensors"),
        (["real.npz", "--real", "real.npz", "--features", "bad.safetensors"], "bad.safetensors"),
        (["real.npz", "--real", "real.npz", "--out", "real.npz"], "--force"),
        (["real.npz", "--real", "real.npz", "--out", "page"], "page.html"),
    ],
)
def test_bad_requests_are_refused_in_one_line(
    arguments: list[str],
    said: str,
    real: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("real.npz").write_bytes(real.read_bytes())
    Path("made.npz").write_bytes(real.read_bytes())
    Path("bad.safetensors").write_bytes(b"not weights at all")
    Path("page").mkdir()
    assert main(["evaluate", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_copies_of_one_image_cannot_be_judged_by(real: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "same.npz", images=np.full((200, 28, 28, 1), 7, np.uint8))
    found = gandem.evaluate(real, tmp_path / "same.npz")
    assert found["verdict"]["verdict"] == "cannot tell"


def test_what_the_features_learnt_from_is_not_scored(
    fashion: ImageData, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 800 real pictures 700 are known to the features: too few of the others are left to judge by."""
    np.save(tmp_path / "learnt.npy", np.sort(digests(image.data for image in fashion.images[:700])))
    monkeypatch.setattr(features, "LEARNT", tmp_path / "learnt.npy")
    made = save(tmp_path / "made.npz", fashion, slice(1000, 1300))
    facts = gandem.evaluate(made, real)
    assert facts["verdict"]["verdict"] == "cannot tell"
    assert facts["counts"]["learnt_by_features"] == 700 and facts["counts"]["generated"] < 100


def test_samples_that_cannot_be_read_are_never_passed_over_in_silence(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(1000, 2))
    made = points[:500].copy()
    made[0] = np.nan
    assert gandem.evaluate(made, points[500:], out=tmp_path / "x.html")["counts"]["left_out"] == 1
    assert "1 generated ones could not be read" in (tmp_path / "x.html").read_text()
    made[:300] = np.inf
    with pytest.raises(JudgeError, match="300 of 500 cannot be read"):
        gandem.evaluate(made, points[500:])


def test_what_is_lost_in_a_small_picture_is_seen_in_details() -> None:
    """Fine stripes, which no picture of 32 pixels shows."""
    rng = np.random.default_rng(0)
    grey = rng.integers(60, 200, (700, 1, 1, 1)).astype(np.float64)
    stripes = 40 * (-1.0) ** np.arange(96)[None, None, :, None]
    real = np.broadcast_to(grey + stripes, (700, 96, 96, 1)).round().astype(np.uint8)
    flat = np.broadcast_to(grey[:300], (300, 96, 96, 1)).round().astype(np.uint8)
    found = [told_by_details(made, real[300:600], 0) for made in (flat, real[:300])]
    assert found[0] is not None and found[0].low > 0.95
    assert found[1] is not None and found[1].low < 0.5 < found[1].high
    assert told_by_details(flat[:, :32, :32], real[300:, :32, :32], 0) is None


def test_slow_comparisons_say_how_far_they_are(fashion: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gandem.uses.evaluate.TELL_SECONDS", -1.0)
    told: list[str] = []
    evaluate(fashion.images[:300], fashion.images[300:900], tell=told.append)
    rounds = [int(text.split()[-3]) for text in told if " round " in text]
    assert rounds == list(range(50))
