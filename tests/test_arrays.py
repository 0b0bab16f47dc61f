"""Arrays as data: what they are taken for, the codec's promises, and a training from an array to an array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gandem
from gandem.cli import main
from gandem.conditions import conditions
from gandem.domains import domain_of
from gandem.domains.arrays import ARRAYS
from gandem.domains.arrays.codec import ArrayCodec
from gandem.domains.arrays.features import ArrayFeatures
from gandem.domains.classes import told
from gandem.domains.given import opened
from gandem.errors import GandemError
from gandem.judge.distances import frechet_value
from gandem.recipe import DataOptions, load_recipe
from gandem.spec import SampleSpec

QUICK = {"network.width": 16, "network.blocks": 1, "training.batch": 32, "optimizer.warmup": 0}


def ellipse(count: int = 600, seed: int = 0) -> np.ndarray:
    """Points of an ellipse that is not in the middle, float32 (count, 2)."""
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, count)
    return np.stack([5 + 3 * np.cos(angles), 10 + np.sin(angles)], 1).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gandem.Run:
    """A run of half a second on points."""
    out = tmp_path_factory.mktemp("arrays") / "run"
    return gandem.train(ellipse(), out, budget="2k", seed=0, settings=QUICK)


@pytest.mark.parametrize(
    ("shape", "dtype", "name"),
    [
        ((9,), float, "arrays"),
        ((9, 2), float, "arrays"),
        ((9, 64), np.uint8, "arrays"),
        ((9, 500, 3), float, "arrays"),
        ((9, 28, 28), np.uint8, "images"),
        ((9, 28, 28), float, "images"),
        ((9, 32, 32, 3), np.uint8, "images"),
        ((9, 3, 32, 32), float, "images"),
        ((9, 7, 32, 32), float, "arrays"),
        ((9, 4, 5, 6, 7), float, "arrays"),
    ],
)
def test_what_an_array_is_taken_for(shape: tuple[int, ...], dtype: type, name: str) -> None:
    values = np.random.default_rng(0).random(shape)
    assert domain_of(opened(values.astype(dtype))).name == name


def test_numbers_outside_every_range_of_pixels_are_no_pictures() -> None:
    assert domain_of(opened(1000 * np.random.default_rng(0).standard_normal((9, 28, 28)))).name == "arrays"


FINITE = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6).filter(lambda s: s[0] > 1), elements=FINITE
    )
)
def test_floats_come_back_and_never_leave_their_range(values: np.ndarray) -> None:
    codec = ArrayCodec.of(values, ())
    tensor = codec.encode(values)
    assert tensor.shape == (len(values), *codec.spec.shape) and tensor.abs().max() <= 1 + 1e-6
    back = codec.decode(tensor)
    assert back.shape == values.shape and back.dtype == values.dtype
    width = max(float(values.max() - values.min()), 1e-30)
    assert np.abs(back - values).max() <= 1e-5 * width + 1e-6 * np.abs(values).max()
    wild = codec.decode(torch.full((2, *codec.spec.shape), 7.0))
    assert (wild <= values.max() + 1e-6 * abs(values.max())).all()


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int16, st.tuples(st.integers(2, 8), st.integers(1, 4)), elements=st.integers(-30_000, 30_000)))
def test_whole_numbers_come_back_exactly(values: np.ndarray) -> None:
    codec = ArrayCodec.of(values, ())
    again = ArrayCodec.from_dict(codec.to_dict())
    assert np.array_equal(again.decode(codec.encode(values)), values)


def test_features_tell_a_ring_from_a_blob_of_the_same_mean_and_covariance() -> None:
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 4000)
    ring = np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], 1)
    blob = np.random.default_rng(1).standard_normal((4000, 2))
    features = ArrayFeatures(ArrayCodec.of(ring, ()))
    halves = features(ring[:2000]), features(ring[2000:])
    assert frechet_value(features(blob[:2000]), halves[0]) > 20 * frechet_value(*halves)


def test_an_array_comes_back_as_an_array(run: gandem.Run) -> None:
    points = run.sample(50, seed=3)
    assert isinstance(points, np.ndarray) and points.shape == (50, 2) and points.dtype == np.float32
    assert np.array_equal(points, run.sample(50, seed=3)) and not np.array_equal(points, run.sample(50, seed=4))
    low, high = ellipse().min(0), ellipse().max(0)
    assert (points >= low - 1e-3).all() and (points <= high + 1e-3).all()
    assert "verdict" in run.report["evaluation"]
    assert {"report.html", "data.json", "README.md"} <= {path.name for path in run.path.iterdir()}
    assert any((run.path / "samples").glob("*.png")) and (run.path / "samples" / "training.gif").is_file()


def test_a_run_on_an_array_goes_on_with_the_same_array_only(run: gandem.Run) -> None:
    with pytest.raises(GandemError, match="source=data"):
        gandem.resume(run.path, budget="+1k")
    with pytest.raises(GandemError, match="has changed"):
        gandem.resume(run.path, budget="+1k", source=ellipse(seed=1))
    with pytest.raises(GandemError, match="holds images, not samples"):
        gandem.resume(run.path, budget="+1k", source=np.zeros((50, 28, 28), np.uint8))
    assert gandem.resume(run.path, budget="+1k", source=ellipse()).report["images"] >= 3000


def test_judging_samples_in_memory() -> None:
    copied = gandem.evaluate(ellipse(800, 1), ellipse(1200, 2))
    moved = gandem.evaluate(ellipse(800, 1) + 1, ellipse(1200, 2))
    assert copied["verdict"]["verdict"] == "excellent" and moved["verdict"]["verdict"] != "excellent"
    with pytest.raises(GandemError, match="shape"):
        gandem.evaluate(np.zeros((300, 3)), ellipse())
    with pytest.raises(GandemError, match="like with like"):
        gandem.evaluate(np.zeros((300, 28, 28), np.uint8), ellipse())


def test_series_with_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    waves = np.sin(np.linspace(0, 6, 40) * (1 + labels[:, None])) + 0.1 * rng.standard_normal((300, 40))
    run = gandem.train((waves, labels), tmp_path / "run", budget="1k", seed=0, settings=QUICK)
    assert run.spec.labels == ("0", "1", "2")
    made = run.sample(6, where={"label": 2})
    assert isinstance(made, np.ndarray) and made.shape == (6, 40) and made.dtype == waves.dtype


def test_files_of_arrays_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "points.npy", ellipse())
    options = "--budget 1k --seed 0 --quiet " + " ".join(f"--set {key}={value}" for key, value in QUICK.items())
    main(f"train {tmp_path / 'points.npy'} --out {tmp_path / 'run'} {options}".split())
    for name in ("made.npy", "made.npz", "made.png"):
        main(f"sample {tmp_path / 'run'} --count 300 --out {tmp_path / name}".split())
    made = np.load(tmp_path / "made.npy")
    assert made.shape == (300, 2) and np.array_equal(made, np.load(tmp_path / "made.npz")["samples"])
    main(f"evaluate {tmp_path / 'made.npz'} --real {tmp_path / 'points.npy'}".split())
    main(f"inspect {tmp_path / 'points.npy'}".split())
    assert "600 samples" in capsys.readouterr().out


def test_pictures_in_memory_come_back_as_they_came(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((60, 1, 16, 16), dtype=np.float32)
    run = gandem.train(
        images, tmp_path / "run", budget="320", seed=0, settings={"training.batch": 16, "network.width": 8}
    )
    made = run.sample(5)
    assert run.domain.name == "images" and isinstance(made, np.ndarray)
    assert made.shape == (5, 1, 16, 16) and made.dtype == np.float32 and made.min() >= 0 and made.max() <= 1


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([["a", "b"]], "give numbers"),
        ([[1.0, 2.0], [1.0]], "rows of equal length"),
        (np.zeros((0, 3)), "one sample a row"),
        (np.full((50, 2), np.nan), "not enough"),
        (np.full((50, 28, 28), np.nan), "NaN"),
        (np.zeros((4, 2), complex), "give numbers"),
        ((np.zeros((4, 2)), [1, 2]), "one label for each"),
        (np.array([{}, {}], dtype=object), "give numbers"),
    ],
)
def test_bad_arrays_get_one_line(bad: object, words: str, tmp_path: Path) -> None:
    with pytest.raises(GandemError, match=words) as caught:
        gandem.train(bad, tmp_path / "run", budget="1k")
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "settings", [{"data.size": 32}, {"data.mirror": True}, {"data.turn": True}, {"game.augment": 1.0}]
)
def test_choices_for_pictures_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(GandemError, match="is for pictures"):
        ARRAYS.decided(ARRAYS.read(opened(ellipse()), DataOptions()), load_recipe("default", settings))


def test_rows_that_are_not_finite_are_left_out_and_counted() -> None:
    values = ellipse(100)
    values[[3, 7], [0, 1]] = np.nan, np.inf
    data = ARRAYS.read(opened(values), DataOptions())
    assert data.count == 98 and data.report["skipped"]["count"] == 2
    assert torch.isfinite(data.batch(torch.arange(98))["real"]).all()


def test_labels_and_tensors_of_every_kind_are_taken() -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (40, 16, 16), dtype=np.uint8)
    texts = np.array(["cat", "dog"] * 20, dtype=object)
    assert domain_of(opened((pictures, texts))).read(opened((pictures, texts)), DataOptions()).spec.labels == (
        "cat",
        "dog",
    )
    learnt = (torch.arange(40.0) % 2).requires_grad_()
    assert opened((torch.zeros(40, 2, dtype=torch.bfloat16), learnt)).labels.tolist() == [0, 1] * 20
    with pytest.raises(GandemError, match="39 labels for 40 samples"):
        opened((pictures, texts[:39]))
    swapped = np.linspace(0, 1, 40 * 256).reshape(40, 16, 16).astype(">f4")
    data = domain_of(opened(swapped)).read(opened(swapped), DataOptions())
    np.testing.assert_allclose(data.codec.given(data.samples(torch.arange(40))[0]), swapped, atol=1 / 255)


def test_long_series_are_told_from_noise_of_the_same_spread() -> None:
    """A value in a row has 0.7 of the one before it; no single direction shows that."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(1100, 200))
    series = noise.copy()
    for place in range(1, 200):
        series[:, place] = 0.7 * series[:, place - 1] + 0.51**0.5 * noise[:, place]
    facts = gandem.evaluate(rng.normal(size=(300, 200)), series[:800])
    assert facts["verdict"]["because"]["two-sample AUC"]["low"] > 0.9
    assert facts["verdict"]["verdict"] == "too little training"
    assert gandem.evaluate(series[800:], series[:800])["verdict"]["verdict"] == "excellent"


def test_a_class_of_which_no_sample_is_finite_is_none(tmp_path: Path) -> None:
    values = np.repeat(ellipse(), 2, 1)
    labels = np.arange(600) % 3
    values[labels == 0] = np.nan
    data = ARRAYS.read(opened((values, labels)), DataOptions())
    assert data.spec.labels == ("1", "2") and data.report["classes"] == {"1": 200, "2": 200}
    drawn, numbers = data.samples(torch.arange(4))
    assert numbers is not None and numbers.tolist() == [0, 1, 0, 1] and np.isfinite(drawn).all()


def test_the_ends_of_64_bits_and_masks() -> None:
    for dtype in (np.int64, np.uint64, np.int8):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        codec = ArrayCodec.of(np.array([[low], [high]], dtype), ())
        made = codec.decode(torch.tensor([[-1.0], [1.0]]))
        assert made[0, 0] == low and made[1, 0] >= high - 2048 and made.dtype == dtype
    masked = np.ma.masked_values(np.where(np.arange(80) % 5 == 0, -999, np.arange(80)).reshape(40, 2), -999)
    data = ARRAYS.read(opened(masked), DataOptions())
    assert data.report["range"][0] > 0 and data.report["skipped"]["count"] == 16


def test_classes_are_asked_for_by_name_or_by_place_but_never_by_chance() -> None:
    spec = SampleSpec((2,), ("1", "3", "7"))
    assert told(spec, 2, conditions({"label": 7})).inputs.tolist() == [2, 2]
    with pytest.raises(GandemError, match="label=2: no such class"):
        told(spec, 2, conditions({"label": 2}))
    named = SampleSpec((2,), ("bag", "coat"))
    assert told(named, 1, conditions(["label=1"])).inputs.tolist() == [1]
    with pytest.raises(GandemError, match="one class"):
        told(named, 1, conditions(["label=bag", "label=coat"]))
