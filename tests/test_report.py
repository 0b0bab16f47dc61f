"""The page of a run and its curves: points in the right place, damaged lines skipped, nothing hostile gets through."""

import itertools
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandem.uses.curves import BOTTOM, LEFT, MOST, RIGHT, TOP, Chart, Curve, draw, linear_ticks, log_ticks, short, thin
from gandem.uses.evaluate import Evaluation
from gandem.uses.report import read_history, write_report

HOSTILE = '<script src="http://evil">&\'"</script>'


def figure(value: float = 0.5) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 40, "n_reference": 400}


def event(name: str, images: object, **facts: Any) -> str:
    return json.dumps({"event": name, "images": images, **facts})


def progress(images: object, **losses: float) -> str:
    parts = {"discriminator/adversarial": 0.5, "generator/adversarial": 1.0, "discriminator/r1": 0.1}
    return event("progress", images, losses=parts | {f"discriminator/{name}": value for name, value in losses.items()})


LOG = [
    progress(100, r2=0.1, win_rate=0.9),
    '{"event": "progress", "images": 1',
    "[1, 2]",
    "\0\xff",
    progress("many", win_rate=0.1),
    event("progress", 150, losses=None),
    event("progress", int("9" * 400), losses={"discriminator/win_rate": 0.1}),
    progress(200, r2=float("nan"), win_rate=0.8),
    event("judged", 100, distance=40.0, spread=0.5, best=True),
    event("judged", 200, distance=10.0, spread=0.9, best=True),
    event("judged", 300, distance=30.0, spread=0.4, gap=0.8, best=False),
    event("progress", 350, losses={}, augmentation=0.1),
    event("progress", 360, losses={}, augmentation=0.2),
    event("ruling", 300, action="roll back", reason=HOSTILE, back_to=200, dials={"gamma": 4.0}),
    event("ruling", 400, action="settle", reason="settled: cooling down to the end", back_to=200, dials={}),
]


def page_of(folder: Path, log: list[str] | None, **changes: Any) -> str:
    """The page of a run that never trained: only what the page asks of one."""
    if log is not None:
        (folder / "events.jsonl").write_text("\n".join(log), encoding="utf-8")
    (folder / "recipe.yaml").write_text(f"note: {HOSTILE}\n", encoding="utf-8")
    plan = {"width": 32, "precision": "bf16", "device": "cuda", "processes": 2, "gflops_per_image": 2.0}
    plan |= {"parameters_generator": 2_000_000, "parameters_discriminator": 1_500_000}
    report = {"status": "finished", "images": 3_000_000, "seconds": 600.0, "plan": plan, "held_out_size": 77}
    report |= {"referee": {"ended": "it settled", "best": None, "judgements": [], "rulings": []}} | changes
    domain = SimpleNamespace(name="images", noun="images", lines=lambda data: [f"4 images of {data['source']}"])
    run = SimpleNamespace(path=folder, report=report, domain=domain, data_report={"source": HOSTILE})
    useful = dict.fromkeys(("generated_to_real", "real_to_real", "real_to_generated"), figure())
    facts = {
        "verdict": {"verdict": "usable", "because": {HOSTILE: figure()}, "advice": "Use it."},
        "counts": {"generated": 40, "held_out": 40},
        "usefulness": useful | {"by_class": {"0": figure(0.25), "1": figure(0.75)}},
        "classes": [HOSTILE, "Bag"],
    }
    write_report(Evaluation(SimpleNamespace(), facts, {}), folder / "report.html", HOSTILE, run)
    return (folder / "report.html").read_text(encoding="utf-8")


def svgs(page: str) -> dict[str, ElementTree.Element]:
    found = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    return {str(svg.findtext("title")): svg for svg in found}


def places(svg: ElementTree.Element, kind: str = "line one") -> list[tuple[float, float]]:
    (line,) = (each for each in svg.iter("polyline") if each.get("class") == kind)
    return [tuple(map(float, pair.split(","))) for pair in line.get("points", "").split()]


def test_points_lie_where_they_belong() -> None:
    svg = ElementTree.fromstring(draw(Chart("k", "t", "u", [Curve("c", [(0, 0), (400, 10), (200, 5)])])))
    middle = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    assert places(svg) == [(LEFT, BOTTOM), middle, (RIGHT, TOP)]
    assert svg.get("role") == "img" and svg.get("aria-labelledby") == "k-title k-said"
    assert svg.findtext("desc") == "c: 0 after 0 images, 10 after 400; lowest 0, highest 10."
    assert sum(each.tag == "circle" for each in svg.iter()) == 3


def test_a_wide_span_is_drawn_on_a_logarithmic_axis() -> None:
    svg = ElementTree.fromstring(draw(Chart("k", "t", "u", [Curve("c", [(0, 0.01), (1, 1), (2, 100), (3, 0)])])))
    assert [y for _, y in places(svg)] == [BOTTOM, (TOP + BOTTOM) / 2, TOP, BOTTOM]
    assert "u, logarithmic" in [each.text for each in svg.iter("text")]
    linear = draw(Chart("k", "t", "u", [Curve("c", [(0, 1), (1, 19)])]))
    assert "logarithmic" not in linear and "logarithmic" not in draw(
        Chart("k", "t", "u", [Curve("c", [(0, -1), (1, 99)])])
    )


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(-1e38, 1e38)), min_size=1, max_size=350))
def test_whatever_was_measured_can_be_drawn(points: list[tuple[float, float]]) -> None:
    chart = Chart("k", HOSTILE, HOSTILE, [Curve(HOSTILE, points)], (1.0, HOSTILE), points[0], [1.0, 2.0])
    svg = ElementTree.fromstring(draw(chart))
    assert len(places(svg)) <= MOST
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in places(svg))


@given(st.floats(-1e6, 0), st.floats(1e-3, 1e6))
def test_linear_ticks_are_few_even_and_around_the_values(low: float, high: float) -> None:
    ticks = linear_ticks(low, high)
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    assert 3 <= len(ticks) <= 5 and max(steps) - min(steps) < 1e-6 * max(steps)
    assert ticks[0] <= low + 1e-6 * steps[0] and ticks[-1] >= high - 1e-6 * steps[0]


@given(st.floats(1e-30, 1e30), st.floats(20, 1e30))
def test_log_ticks_are_few_and_around_the_values(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert 3 <= len(ticks) <= 5 and ticks[0] <= low and ticks[-1] >= low * factor and ticks == sorted(set(ticks))


def test_thinning_keeps_the_mean_and_the_extremes() -> None:
    points = [(float(i), float(i % 5)) for i in range(500)]
    rows = thin(points)
    assert len(rows) == MOST and rows[0] == (2.0, 2.0, 0.0, 4.0) and rows[-1] == (497.0, 2.0, 0.0, 4.0)
    spike = thin([*points, (500.0, 99.0)])
    assert max(high for *_, high in spike) == 99 and thin([(1.0, 2.0)]) == [(1.0, 2.0, 2.0, 2.0)] and thin([]) == []


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (40_000, "40k"), (1.5e6, "1.5M"), (0.05, "0.05"), (999, "999"), (-2000, "-2k")]
)
def test_numbers_of_an_axis_are_short(value: float, said: str) -> None:
    assert short(value) == said


def test_the_page_of_a_run_is_complete(tmp_path: Path) -> None:
    page = page_of(tmp_path, LOG)
    charts = svgs(page)
    titles = ["Quality", "Variety", "Losses of the two players", "Penalties", "Pairs that the discriminator wins"]
    assert list(charts) == [*titles, "What the discriminator knows by heart"]
    assert len(places(charts["Quality"])) == 3 and len(places(charts["Penalties"], "line two")) == 1
    assert len(places(charts["Pairs that the discriminator wins"])) == 2
    assert len(places(charts["What the discriminator knows by heart"], "line two")) == 2
    (best,) = (each for each in charts["Quality"].iter("circle") if each.get("class") == "best")
    assert (float(best.get("cx", 0)), float(best.get("cy", 0))) == places(charts["Quality"])[1]
    assert sum(each.get("class") == "ruling" for each in charts["Quality"].iter("line")) == 2
    assert sum(each.get("class") == "reference" for each in charts["Variety"].iter("line")) == 2  # and in the legend
    said = re.sub(r"<[^>]*>", "", page)
    assert "went on from 200 images; since then gamma × 4.0" in said
    assert "settled after 400 images: cooling down to the end" in said
    for cost in ("10.0 minutes", "5,000 images/s", "cuda, bf16, 2 processes", "2 GFLOP", "6.0 PFLOP", "it settled"):
        assert cost in said
    assert "77 held out" in said and "4 images of" in said and "note: " in said
    assert re.search(r'<th scope="row">Bag</th><td>40</td><td>0\.8 \(0\.[67] to 0\.[89]\)</td>', page)


def test_nothing_hostile_gets_through(tmp_path: Path) -> None:
    page = page_of(tmp_path, LOG)
    assert "<script" not in page and not re.search(r"<[^>]*(src|href)=", page) and "@import" not in page
    assert page.count("&lt;script") >= 6
    harmless = page_of(tmp_path, LOG).replace(HOSTILE, "").replace("http://evil", "")
    assert "http://" not in harmless and "https://" not in harmless
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names)) == 12


def test_a_short_training_says_what_is_not_drawn(tmp_path: Path) -> None:
    page = page_of(tmp_path, [line for line in LOG if '"progress"' in line])
    assert len(svgs(page)) == 3 and "Quality and variety are not drawn" in page and "nothing to mend" in page


def test_without_a_log_the_report_remembers_the_judgements(tmp_path: Path) -> None:
    judgements = [{"images": 100, "distance": 9.0, "spread": 0.7}, {"images": 200, "distance": 8.0, "spread": 0.8}]
    rulings = [{"images": 200, "action": "stop", "reason": "frozen", "dials": {}}]
    referee = {"ended": "frozen", "best": 200, "judgements": judgements, "rulings": rulings}
    page = page_of(tmp_path, None, referee=referee)
    assert list(svgs(page)) == ["Quality", "Variety"] and "stopped after 200 images" in page and "best: 8" in page
    nothing = page_of(tmp_path, None, referee={}, status="interrupted")
    assert not svgs(nothing) and "No curves" in nothing and "not at its end: interrupted" in nothing


def test_loose_samples_have_no_training_to_tell_of(tmp_path: Path) -> None:
    facts = {
        "verdict": {"verdict": "cannot tell", "because": {}, "advice": "More."},
        "counts": {"generated": 3, "held_out": 3},
    }
    write_report(Evaluation(SimpleNamespace(), facts, {}), tmp_path / "page.html", "samples.npz")
    page = (tmp_path / "page.html").read_text()
    assert "How it went" not in page and "What it cost" not in page and "The recipe" not in page and "$" not in page


def test_numbers_that_are_none_are_left_out() -> None:
    history = read_history([{"event": "judged", "images": 5, "distance": None, "spread": True, "best": True}])
    assert history.points == {} and history.best is None
