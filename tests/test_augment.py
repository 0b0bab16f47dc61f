"""`gandem augment`: nothing leaks, nulls do not help, what was stopped goes on, bad inputs are one line."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
pytest.importorskip("imblearn")
pytest.importorskip("polars")

from sklearn.base import BaseEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

import gandem
from gandem import cli
from gandem.augmentation.arms import FREE, GENERATOR, NOTHING, Sampler
from gandem.augmentation.controls import Copies, Fresh, Shuffled
from gandem.augmentation.experiment import Experiment
from gandem.augmentation.folder import FACTS, FOLDS, PAGE
from gandem.augmentation.learners import Learner, own
from gandem.augmentation.problem import Problem
from gandem.augmentation.splits import splits
from gandem.augmentation.verdict import sentence, verdict, worth
from gandem.errors import GandemError, Interrupted, RecipeError, RunError, SourceError

BAYES = Learner("naive Bayes", lambda categorical, seed: GaussianNB(), weighted=True)
STUMP = Learner("tree", lambda categorical, seed: DecisionTreeClassifier(max_depth=3, random_state=0))


def problem(count: int = 120, seed: int = 0, groups: int | None = None, columns: int = 4) -> Problem:
    """A third of the rows is rare and lies elsewhere; the last column is the number of the row."""
    rng = np.random.default_rng(seed)
    labels = (rng.permutation(count) % 3 == 0).astype(np.int64)
    rows = rng.normal(size=(count, columns)) + labels[:, None] * np.linspace(0, 1, columns)
    rows[:, -1] = np.arange(count)
    of = None if groups is None else rng.integers(0, groups, count)
    return Problem(rows, labels, ("common", "rare"), np.zeros(columns, bool), of)


class Spy:
    """A generator and a learner that write down which rows they were shown to learn from."""

    def __init__(self) -> None:
        self.generator: set[int] = set()
        self.learner: set[int] = set()

    def fit(self, rows: np.ndarray, labels: np.ndarray, categorical: np.ndarray, seed: int) -> Sampler:
        self.generator |= set(rows[:, -1].astype(int))
        return Copies().fit(rows, labels, categorical, seed)

    def learners(self) -> tuple[Learner, ...]:
        spy = self

        class Watched(BaseEstimator):
            def fit(self, rows: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None = None) -> "Watched":
                spy.learner |= set(rows[:, -1].astype(int))
                self.classes_ = np.array([0, 1])
                return self

            def predict_proba(self, rows: np.ndarray) -> np.ndarray:
                rare = rows[:, 0] - rows[:, 0].min()
                return np.stack([1 - rare / 10, rare / 10], 1)

        return (Learner("watched", lambda categorical, seed: Watched()),)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.sampled_from([None, 12, 30]), st.integers(2, 5))
def test_no_test_row_is_ever_learnt_from_and_groups_stay_together(seed: int, groups: int | None, folds: int) -> None:
    asked = problem(seed=seed, groups=groups)
    exact = {name: FREE[name] for name in ("class weights", "random oversampling")}  # these make no new numbers
    tested: list[int] = []
    try:
        parts = list(splits(asked, folds, 1, seed))
    except SourceError:  # too few groups for the rare class to be in every part
        reject()
    for split in parts:
        spy = Spy()
        Experiment(asked, spy, spy.learners(), exact).play(split)
        test, known = set(split.test.tolist()), set(split.train.tolist())
        assert spy.learner == known and not spy.learner & test
        assert spy.generator == set(split.fit.tolist()) and not spy.generator & set(split.validation.tolist())
        assert set(np.concatenate(split.parts).tolist()) == known
        if asked.groups is not None:
            sides = [set(asked.groups[rows].tolist()) for rows in (split.fit, split.validation, split.test)]
            assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
        tested += split.test.tolist()
    assert sorted(tested) == list(range(120)), "every row is tested once"


def test_classes_that_are_equal_need_no_balance() -> None:
    asked = problem()
    assert set(Experiment.of(asked, Copies(), (BAYES,)).arms) == set(FREE)
    equal = dataclasses.replace(asked, labels=np.arange(len(asked.labels)) % 2)
    assert set(Experiment.of(equal, Copies(), (BAYES,)).arms) == {"noise", "mixup"}


def test_copies_and_shuffled_rows_do_not_help() -> None:
    asked = problem(150)
    records: dict[type, list[dict[str, Any]]] = {Copies: [], Shuffled: []}
    for split in splits(asked, 4, 1, 0):
        known = None
        for kind, found in records.items():
            known = Experiment(asked, kind(), (BAYES,), FREE).play(split, known=known)
            found.append(known)
    for found in records.values():
        facts = verdict(found)
        assert facts["verdict"] != "HELPS"
        assert set(facts["arms"]) == {*FREE, GENERATOR} and set(facts["beside"]) == set(FREE)


def test_rows_given_back_help() -> None:
    """A board of 8 x 8 fields: neighbours cannot learn it from 200 rows, and can from ten times as many."""
    rng = np.random.default_rng(0)
    rows = rng.random((3000, 2))
    labels = (rows * 8).astype(np.int64).sum(1) % 2
    shown = Problem(rows[:200], labels[:200], ("black", "white"), np.zeros(2, bool))
    learner = Learner("neighbours", lambda categorical, seed: KNeighborsClassifier(), weighted=False)
    played = Experiment(shown, Fresh(rows[200:], labels[200:]), (learner,), FREE, ("x9",))
    facts = verdict([played.play(split) for split in splits(shown, 5, 2, 0)])
    assert facts["verdict"] == "HELPS", facts["because"]
    assert facts["difference"]["low"] > 0 and facts["smallest"] >= facts["margin"]
    assert facts["worth"]["rows"] is None or facts["worth"]["rows"] > 0


def test_nothing_but_the_generators_arm_is_played_anew_for_another_generator() -> None:
    asked = problem()
    split = next(splits(asked, 3, 1, 0))
    one = Experiment(asked, Copies(), (BAYES,), FREE).play(split)
    again = Experiment(asked, Shuffled(), (BAYES,), FREE).play(split, known=one)
    whole = Experiment(asked, Shuffled(), (BAYES,), FREE).play(split)
    assert again == whole and one["scores"]["naive Bayes"][NOTHING] == whole["scores"]["naive Bayes"][NOTHING]


class Stops:
    """Copies that are interrupted at a fold, once."""

    def __init__(self, at: int) -> None:
        self.left = at

    def fit(self, *given: Any) -> Sampler:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return Copies().fit(*given)


Stops.__name__ = "Copies"  # the question names the generator


def test_what_was_stopped_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    asked, choices = problem(), {"learner": GaussianNB(), "folds": 3, "repeats": 1}
    whole = gandem.augment(asked, "rare", out=tmp_path / "whole", generator=Copies(), **choices)
    with pytest.raises(Interrupted, match="stopped at 2 of 3 folds; continue with: the same command"):
        gandem.augment(asked, "rare", out=tmp_path / "parts", generator=Stops(3), **choices)
    with (tmp_path / "parts" / FOLDS).open("ab") as file:
        file.write(b'{"fold": 2, "sco')  # the power went in the middle of a line
    events: list[dict[str, Any]] = []
    found = gandem.augment(asked, "rare", out=tmp_path / "parts", generator=Copies(), watch=events.append, **choices)
    assert found == whole
    lines = (tmp_path / "parts" / FOLDS).read_text().splitlines()
    assert [json.loads(line)["fold"] for line in lines] == [0, 1, 2]
    assert sum(event["event"] == "augmented" for event in events) == 1
    with pytest.raises(RunError, match="holds an experiment with other seed; choose another --out"):
        gandem.augment(asked, "rare", out=tmp_path / "parts", generator=Copies(), seed=1, **choices)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Sixty rows: a name, a category with gaps, a date, a whole number, a constant, a target of two."""
    rng = np.random.default_rng(0)
    lines = ["name,colour,day,size,always,group,kind,price"]
    for row in range(60):
        colour = ["red", "blue", ""][rng.integers(3)]
        kind = "good" if row % 3 else "bad"
        size = rng.integers(10) + 5 * (kind == "bad")
        lines.append(f"n{row},{colour},2024-01-{1 + row % 28:02},{size},1,g{row % 10},{kind},{rng.random():.4f}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_from_the_command_to_the_page_and_the_rows(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars

    from gandem.augmentation import verdict as judging

    out = tmp_path / "answer"
    line = ["augment", str(table), "--target", "kind", "--learner", "sklearn.naive_bayes:GaussianNB"]
    line += ["--folds", "2", "--repeats", "1", "--budget", "256", "--out", str(out), "--group", "group", "--json"]
    assert cli.main(line) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["counts"] == {"bad": 20, "good": 40} and facts["folds"] == 2
    assert any("'name' left out" in note for note in facts["notes"]) and any(
        "'always'" in note for note in facts["notes"]
    )
    page = (out / PAGE).read_text(encoding="utf-8")
    assert facts["verdict"] in page and "<svg" in page and "http" not in page.replace("http-equiv", "")
    assert json.loads((out / FACTS).read_text())["verdict"] == facts["verdict"]
    assert not (out / ".work").exists()
    assert facts["verdict"] != "HELPS" and not (out / "augmented.csv").exists() and not (out / "model").exists()

    monkeypatch.setattr(judging, "verdict", lambda *given: verdict(*given) | {"verdict": "HELPS"})
    (out / FACTS).unlink()
    assert cli.main(line) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["augmented.csv", "model"]
    both = polars.read_csv(out / "augmented.csv", try_parse_dates=True)
    real = polars.read_csv(table, try_parse_dates=True)
    assert both.filter(~polars.col("synthetic")).drop("synthetic").equals(real)
    made = both.filter(polars.col("synthetic"))
    assert len(made) >= 20 and set(made["kind"]) <= {"good", "bad"} and set(made["colour"]) <= {"red", "blue", None}
    model = gandem.open_run(out / "model").sample(3, {"kind": "bad"}, 0)
    assert set(model.columns) == {"colour", "day", "size", "price", "kind"} and set(model["kind"]) == {"bad"}


def test_generated_rows_come_back_as_the_table_has_them(table: Path, tmp_path: Path) -> None:
    import polars

    from gandem.augmentation.source import read

    source = read(table, "kind")
    rows, labels = source.problem.rows, source.problem.labels
    written = source.write(tmp_path, rows, labels)
    both = polars.read_csv(written, try_parse_dates=True)
    real, made = both.filter(~polars.col("synthetic")), both.filter(polars.col("synthetic"))
    for column in ("colour", "day", "size", "kind", "price"):
        assert real[column].to_list() == made[column].to_list(), column


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("TABLE --target knid", "Did you mean 'kind'?"),
        ("TABLE --target always", "one class only"),
        ("TABLE --target price", "regression is not supported"),
        ("TABLE --target name", "fewer than the 5 folds"),
        ("TABLE --target kind --group grup", "Did you mean 'group'?"),
        ("TABLE --target kind --group kind", "is the target itself"),
        ("TABLE --target kind --folds 30", "has 20 rows, fewer than the 30 folds"),
        ("TABLE --target kind --folds 1", "--folds 1: must lie between 2 and 50"),
        ("TABLE --target kind --repeats 0", "--repeats 0"),
        ("TABLE --target kind --margin 2", "--margin 2"),
        ("TABLE --target kind --budget soon", "soon"),
        ("TABLE --target kind --group group --folds 12", "10 groups are fewer than the 12 folds"),
        ("TABLE --target kind --learner forest", "write module:Class"),
        ("TABLE --target kind --learner sklearn.ensemble:Forest", "sklearn.ensemble has no Forest"),
        ("TABLE --target kind --learner no_such_module:Forest", "cannot be imported"),
        ("TABLE --target kind --learner sklearn.svm:LinearSVC", "has no predict_proba()"),
        ("TABLE --target kind --out TABLE", "is in the way"),
        ("missing.csv --target kind", "missing.csv: no such file"),
        ("PICTURES --target kind", "--target labels"),
    ],
)
def test_what_a_person_can_mend_is_one_line(
    table: Path, npz: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"TABLE": str(table), "PICTURES": str(npz)}
    assert cli.main(["augment", *(places.get(word, word) for word in words.split())]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "Traceback" not in error


def test_a_class_that_lies_in_one_group_cannot_be_divided() -> None:
    asked = problem(groups=12)
    labels = (asked.groups == 3).astype(np.int64)
    with pytest.raises(GandemError, match="its rows lie in too few groups"):
        list(splits(Problem(asked.rows, labels, asked.classes, asked.categorical, asked.groups), 3, 1, 0))


def test_arms_that_need_weights_are_left_out_for_learners_without() -> None:
    learner = own(KNeighborsClassifier())
    found = Experiment(problem(), Copies(), (learner,), FREE).play(next(splits(problem(), 3, 1, 0)))
    assert not {"class weights", "mixup"} & set(found["scores"]["KNeighborsClassifier"])
    assert verdict([found, found])["arms"].keys() == {"random oversampling", "SMOTE", "noise", GENERATOR}


def test_gaps_categories_and_constants_survive_the_way_into_a_table_and_back() -> None:
    """The run gives back the very rows: so all that changes is lost on the way."""
    from gandem.augmentation.gan import _Table
    from gandem.augmentation.table import Form

    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(0, 3, 80), rng.integers(0, 90, 80), np.full(80, 7), rng.normal(size=80)], 1)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    rows[:, 2] = 7
    labels = np.arange(80) % 2
    asked = Problem(rows, labels, ("no", "yes"), np.array([True, False, False, False]))
    data = _Table.of(rows, Form.numbered(asked))
    frame = data.given(rows, labels)
    assert frame.columns == ["c0", "c1", "c3", "label"] and frame["label"].to_list() == ["no", "yes"] * 40

    class Echo:
        codec = SimpleNamespace()

        def sample(self, count: int, asked: dict[str, str], seed: int) -> Any:
            assert asked == {"label": "yes"}
            return frame

    np.testing.assert_array_equal(data.sampled(Echo(), 80, 1, 0), rows)  # type: ignore[arg-type]


def test_a_table_is_read_as_for_training_whatever_it_is_written_in(table: Path, tmp_path: Path) -> None:
    """Semicolons and decimal commas, gzip, SQLite, a data frame: the same rows, labels and classes."""
    import gzip
    import sqlite3

    import polars

    from gandem.augmentation.source import read

    lines = table.read_text(encoding="utf-8").splitlines()
    european = "\n".join(
        [lines[0].replace(",", ";"), *(line.replace(",", ";").replace(".", ",") for line in lines[1:])]
    )
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(european.encode("utf-16")))
    frame = polars.read_csv(table, try_parse_dates=True)
    with sqlite3.connect(tmp_path / "table.sqlite") as base:
        base.execute("create table patients ({})".format(",".join(f'"{name}"' for name in frame.columns)))
        base.executemany(
            f"insert into patients values ({','.join('?' * frame.width)})", frame.cast({"day": str}).iter_rows()
        )
    whole = read(table, "kind", "group").problem
    for given_so in (tmp_path / "table.csv.gz", tmp_path / "table.sqlite", frame):
        found = read(given_so, "kind", "group").problem
        np.testing.assert_array_equal(found.rows, whole.rows, str(given_so)[:80])
        np.testing.assert_array_equal(found.labels, whole.labels)
        np.testing.assert_array_equal(found.groups, whole.groups)
        assert found.classes == ("bad", "good")


def test_odd_columns_are_learnt_from_and_written(tmp_path: Path) -> None:
    """Rare booleans with gaps, lists, durations, a column called synthetic, numbers with commas."""
    import datetime

    import polars

    from gandem.augmentation.gan import _Table
    from gandem.augmentation.source import read

    size, gap = 60, [None, True, *([False] * 58)]
    frame = polars.DataFrame(
        {"flag": gap, "synthetic": [n % 2 for n in range(size)], "list": [[n] for n in range(size)]}
        | {"lasted": [datetime.timedelta(hours=n) for n in range(size)], "kind": ["a", "b", "b"] * 20}
    )
    with pytest.raises(RecipeError, match="its cells are of type List"):
        read(frame, "kind", "list")
    source = read(frame, "kind")
    rows, labels = source.problem.rows, source.problem.labels
    part = _Table.of(rows[2:], source.form)  # without the one that is true
    assert part.given(rows[2:], labels[2:]).columns == ["synthetic", "lasted", "kind"]
    most = _Table.of(np.delete(rows, 1, 0), source.form)
    given = most.given(np.delete(rows, 1, 0), np.delete(labels, 1))
    read_again = gandem.inspect_source(given, settings=most.settings(given))
    assert read_again["samples"] == size - 1
    both = polars.read_csv(source.write(tmp_path, rows, labels))
    assert both["synthetic"].to_list() == [n % 2 for n in range(size)] * 2
    assert both["synthetic_2"].to_list() == [False] * size + [True] * size and both["list"].null_count() == 2 * size
    assert both["lasted"][-1] == 59 * 3600

    (tmp_path / "commas.csv").write_text("size;kind\n" + "".join(f"{n},5;{'ab'[n % 2]}\n" for n in range(size)))
    source = read(tmp_path / "commas.csv", "kind")
    both = polars.read_csv(source.write(tmp_path, source.problem.rows, source.problem.labels))
    assert both["size"].dtype.is_float() and both["size"][0] == both["size"][size] == 0.5


def test_another_learner_is_another_question(tmp_path: Path) -> None:
    choices = {"out": tmp_path / "one", "generator": Copies(), "folds": 2, "repeats": 1}
    gandem.augment(problem(), "rare", learner=DecisionTreeClassifier(max_depth=2), **choices)
    with pytest.raises(RunError, match="with other learners"):
        gandem.augment(problem(), "rare", learner=DecisionTreeClassifier(max_depth=3), **choices)


def test_pictures_are_not_called_rows() -> None:
    gain = {"value": 0.0, "low": -0.1, "high": 0.1}
    facts = {"verdict": "CANNOT TELL", "because": "too wide", "difference": gain, "margin": 0.01, "noun": "images"}
    facts |= {"worth": {"rows": 5, "low": -20, "high": 40}, "curve": [[100, 0.8]]}
    assert "whether synthetic images help" in sentence(facts) and "rows" not in sentence(facts)
    assert worth(facts) == "not to be told from none at all (-20 to +40 real images)"


def test_a_small_network_learns_pictures_and_repeats() -> None:
    from gandem.augmentation.network import SmallNetwork

    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    rows = (rng.integers(0, 60, (40, 16, 16, 1)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    one, two = (SmallNetwork(3, steps=20).fit(rows, labels).predict_proba(rows) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert ((one[:, 1] > 0.5) == labels).mean() > 0.9
