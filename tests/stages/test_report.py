"""What a report is made of: a bundle checked first, in either format, and evaluations of one task."""

import json
from pathlib import Path

import pytest

from edgepack.domain.bundle import Format
from edgepack.domain.errors import BadInputError, UsageError, VerificationError
from edgepack.domain.progress import Silent
from edgepack.pipeline.reporting import write_report
from edgepack.stages.bundle import write_bundle
from edgepack.stages.report import read_report, write_page
from tests.fakes.reports import evaluation, evaluation_text, evidence, routing_values, task, write_evaluations
from tests.formats.bundles import FACTS, PLAIN_FORMATS, contents, report_bundle


def test_a_directory_and_a_tar_give_the_same_page(tmp_path: Path) -> None:
    pages = []
    for format in PLAIN_FORMATS:
        bundle = report_bundle(tmp_path / format, evidence(), format)
        pages.append(write_page(read_report([bundle], Silent()), tmp_path / f"{format}.html", Silent()).sha256)
    assert len(set(pages)) == 1


def test_a_known_profile_brings_its_budget_and_a_prediction(tmp_path: Path) -> None:
    """Which are the pipeline's: what is read has neither."""
    bundle = report_bundle(tmp_path, {})
    known = write_report([bundle], tmp_path / "page.html", Silent()).report.bundle
    assert known
    assert known.budget
    assert known.speed
    assert known.speed.decode > 0
    plain = read_report([bundle], Silent()).bundle
    assert plain
    assert (plain.budget, plain.speed) == (None, None)


def test_a_profile_of_the_same_name_that_says_something_else_brings_nothing(tmp_path: Path) -> None:
    made = contents(tmp_path, facts=FACTS, evidence={})
    bundle = write_bundle(made, destination=tmp_path / "out", format=Format.DIR, progress=Silent())
    seen = write_report([bundle.path], tmp_path / "page.html", Silent()).report.bundle
    assert seen
    assert seen.manifest.facts.profile.name == "rpi5-8gb"
    assert (seen.budget, seen.speed) == (None, None)


def test_a_changed_byte_is_found_before_anything_is_shown(tmp_path: Path) -> None:
    bundle = report_bundle(tmp_path, evidence())
    record = bundle / "evidence" / "trials.json"
    record.write_text(record.read_text().replace("0.93", "0.99"))
    with pytest.raises(VerificationError, match=r"changed: evidence/trials\.json"):
        read_report([bundle], Silent())


def test_an_evaluation_of_the_bundles_weights_is_the_bundles(tmp_path: Path) -> None:
    """Wherever it lies in the order; others stand beside it."""
    bundle = report_bundle(tmp_path, {})
    sha256 = read_report([bundle], Silent()).bundle.manifest.weights.sha256  # type: ignore[union-attr]
    own = tmp_path / "own.json"
    own.write_text(evaluation_text(evaluation(task(), name="own", sha256=sha256)))
    others = write_evaluations(tmp_path)
    report = read_report([*others, bundle, own], Silent())
    assert report.evaluation
    assert report.evaluation.weights.name == "own"
    assert len(report.evaluations) == 4
    assert read_report([*others, bundle], Silent()).evaluation is None


def test_a_named_evaluation_of_the_bundles_weights_replaces_the_one_in_it(tmp_path: Path) -> None:
    """It was asked later, or on the device; on the chart they stand once."""
    weights = read_report([report_bundle(tmp_path, {})], Silent()).bundle.manifest.weights  # type: ignore[union-attr]
    built, later = (evaluation(task(), name=name, sha256=weights.sha256) for name in ("built", "later"))
    bundle = report_bundle(tmp_path, {"evaluation.json": evaluation_text(built).encode()})
    named = tmp_path / "later.json"
    named.write_text(evaluation_text(later))
    assert [one.weights.name for one in read_report([bundle], Silent()).evaluations] == ["built"]
    assert [one.weights.name for one in read_report([bundle, named], Silent()).evaluations] == ["later"]


def test_evaluations_of_different_tasks_do_not_share_a_page(tmp_path: Path) -> None:
    paths = write_evaluations(tmp_path)
    other = tmp_path / "other.json"
    other.write_text(evaluation_text(evaluation(task(("yes", "no"), title="Yes or no?"))))
    with pytest.raises(UsageError, match="different tasks: 'What does the customer want\\?' and 'Yes or no\\?'"):
        read_report([*paths, other], Silent())


def test_a_route_is_shown_alone_or_beside_evaluations(tmp_path: Path) -> None:
    route = tmp_path / "route.json"
    route.write_text(json.dumps(routing_values(task())))
    assert read_report([route], Silent()).records == ("routing",)
    assert read_report([*write_evaluations(tmp_path), route], Silent()).records == ("routing", *["evaluation"] * 3)
    with pytest.raises(UsageError, match="2 routes on one page"):
        read_report([route, route], Silent())


def test_the_order_in_which_evaluations_are_named_changes_nothing(tmp_path: Path) -> None:
    """Nor does naming one twice."""
    paths = write_evaluations(tmp_path)
    pages = {
        write_page(read_report(named, Silent()), tmp_path / "page.html", Silent()).sha256
        for named in (paths, paths[::-1], [*paths, paths[0]])
    }
    assert len(pages) == 1


def test_a_page_is_about_one_bundle(tmp_path: Path) -> None:
    one, other = report_bundle(tmp_path / "a", {}), report_bundle(tmp_path / "b", {})
    with pytest.raises(UsageError, match="a page is about one bundle"):
        read_report([one, other], Silent())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ('{"schema": "edgepack.fidelity/1"}', "expected edgepack.evaluation/1"),
        ("\x80", "not UTF-8"),
    ],
)
def test_what_is_no_evaluation_names_its_file(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "seen.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(BadInputError, match=rf"seen\.json: .*{said}"):
        read_report([path], Silent())


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    report = read_report(write_evaluations(tmp_path), Silent())
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_page(report, tmp_path / "page.html", Silent())
    assert not list(tmp_path.glob(".*.part"))


def test_evidence_that_is_not_what_it_says_is_bad_input(tmp_path: Path) -> None:
    """Its digest may be right: whoever made the bundle wrote something else."""
    bundle = report_bundle(tmp_path, {"gates.json": json.dumps({"schema": "edgepack.gates/1"}).encode(), "x": b"1"})
    assert read_report([bundle], Silent()).gates == ()
    bundle = report_bundle(tmp_path / "other", {"measurement.json": b'{"tokens": 1}'})
    with pytest.raises(BadInputError, match=r"evidence/measurement\.json: schema"):
        read_report([bundle], Silent())
