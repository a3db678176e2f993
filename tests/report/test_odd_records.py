"""Records at the edges of what may come: one example, all right, all wrong, many labels, nothing asked."""

import json
from dataclasses import replace
from pathlib import Path

import html5lib
import pytest

from edgepack.domain.evaluation import Evaluation
from edgepack.domain.progress import Silent
from edgepack.domain.task import Task
from edgepack.pipeline.reporting import write_report
from tests.fakes.reports import (
    evaluation,
    evaluation_text,
    measurement,
    measurement_text,
    routing_values,
    task,
    trials_values,
)
from tests.formats.bundles import report_bundle

MANY = tuple(f"label_{number}_with_a_long_name" for number in range(77))
SCRIPTS = ("日本語のラベル", "العربية", "emoji 🎉", "größe")


def page(directory: Path, *sources: Path) -> str:
    """The page's text, after a strict parser has read it."""
    out = directory / "page.html"
    write_report(sources, out, Silent())
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(out.read_text(encoding="utf-8"))
    return " ".join("".join(root.find("body").itertext()).split())


def written(directory: Path, *found: Evaluation) -> list[Path]:
    paths = [directory / f"{number}.json" for number in range(len(found))]
    for path, one in zip(paths, found, strict=True):
        path.write_text(evaluation_text(one), encoding="utf-8")
    return paths


@pytest.mark.parametrize(
    ("asked", "right", "said"),
    [
        (task(count=1), 1.0, "Of 1 request, half within"),
        (task(count=1), 0.0, "The right label in 0 of 1 answer"),
        (task(MANY, count=800), 0.8, "among 77 values"),
        (task(SCRIPTS, count=50, title="Übersetzung"), 0.6, "Übersetzung"),
        (task(("a", "b")), 1.0, "Nothing was confused."),
    ],
)
def test_an_evaluation_is_a_page_however_it_went(tmp_path: Path, asked: Task, right: float, said: str) -> None:
    assert said in page(tmp_path, *written(tmp_path, evaluation(asked, right=right)))


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_candidates_that_are_all_alike_have_a_chart(tmp_path: Path, right: float) -> None:
    """The same quality, size and nearly the same speed: no scale has any width of its own."""
    alike = [evaluation(task(), right=right, sha256=letter * 64) for letter in "abc"]
    assert "3 evaluations of one task." in page(tmp_path, *written(tmp_path, *alike))


def test_speeds_may_be_a_hundred_thousand_times_apart(tmp_path: Path) -> None:
    found = [
        evaluation(task(), name=f"n{power}", speed=10.0**power, size=50 << (20 + 2 * power), sha256=str(power) * 64)
        for power in range(6)
    ]
    assert "The smallest that meets every target is n0 Q4_0" in page(tmp_path, *written(tmp_path, *found))


def test_a_record_without_answers_has_its_metrics_alone(tmp_path: Path) -> None:
    values = json.loads(evaluation_text(evaluation(task())))
    values["answers"] = []
    (tmp_path / "seen.json").write_text(json.dumps(values))
    text = page(tmp_path, tmp_path / "seen.json")
    assert "Accuracy" in text
    assert "How long a user waits" not in text


def test_a_measurement_of_one_phase_and_one_sample_is_shown(tmp_path: Path) -> None:
    whole = measurement()
    one = replace(whole, series=(replace(whole.series[0], samples=whole.series[0].samples[:1]),), sustained=None)
    text = page(tmp_path, report_bundle(tmp_path, {"measurement.json": measurement_text(one).encode()}))
    assert "tokens/s, one sample." in text
    assert "Writing the answer" not in text


def test_a_route_of_one_point_is_a_route(tmp_path: Path) -> None:
    values = {**routing_values(task()), "chosen": 0}
    values["curve"] = values["curve"][:1]  # type: ignore[index]
    (tmp_path / "route.json").write_text(json.dumps(values))
    assert "Routing between two models" in page(tmp_path, tmp_path / "route.json")


def test_a_search_that_could_ask_nobody_says_why(tmp_path: Path) -> None:
    values = trials_values(task())
    unseen = dict.fromkeys(("quality", "examples", "first_token", "answer", "decode", "memory", "joules_per_answer"))
    tried = [
        {**one, **unseen, "role": "tried", "passed": False, "skipped": "a gated model"} for one in _tried(values)
    ]
    record = json.dumps({**values, "tried": tried, "stopped": "no candidate was left"}).encode()
    text = page(tmp_path, report_bundle(tmp_path, {"trials.json": record}))
    assert "No candidate that was asked meets every target." in text
    assert "0 candidates asked, from the cheapest up. The search ended: no candidate was left." in text
    assert "a gated model" in text


def test_what_was_forced_although_nothing_passed_is_not_called_chosen(tmp_path: Path) -> None:
    values = trials_values(task())
    tried = [{**one, "role": "tried", "passed": False} for one in _tried(values)]
    records = {
        "trials.json": json.dumps({**values, "tried": tried}).encode(),
        "evaluation.json": evaluation_text(evaluation(task())).encode(),
    }
    text = page(tmp_path, report_bundle(tmp_path, records))
    assert "No candidate that was asked meets every target." in text
    assert "was chosen" not in text


def _tried(values: dict[str, object]) -> list[dict[str, object]]:
    tried = values["tried"]
    assert isinstance(tried, list)
    return tried
