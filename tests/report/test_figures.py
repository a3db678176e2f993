"""The numbers on top say where they are from: the device, a prediction, another machine, or the task."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.domain.measurement_json import measurement_json
from edgepack.domain.progress import Silent
from edgepack.domain.report import Report
from edgepack.pipeline.reporting import write_report
from edgepack.report.figures import figures
from edgepack.report.opening import lead
from edgepack.report.view import Figure
from tests.fakes.reports import evaluation, evaluation_text, evidence, measurement, task, write_evaluations
from tests.formats.bundles import report_bundle


def reported(directory: Path, evidence: dict[str, bytes], *more: Path) -> Report:
    return write_report([report_bundle(directory, evidence), *more], directory / "page.html", Silent()).report


def named(report: Report) -> dict[str, Figure]:
    return {figure.label: figure for figure in figures(report)}


def test_what_the_device_gave_is_measured(tmp_path: Path) -> None:
    speed = named(reported(tmp_path, evidence()))["Speed"]
    assert (speed.unit, speed.note) == ("tokens/s", "measured on Raspberry Pi 5 Model B Rev 1.0")


def test_what_a_search_expects_of_the_device_is_predicted(tmp_path: Path) -> None:
    """Times that were seen are those of the machine that searched."""
    records = evidence()
    del records["measurement.json"]
    found = named(reported(tmp_path, records))
    assert (found["Speed"].value, found["Speed"].note) == ("33.0", "predicted for rpi5-8gb")
    assert found["First token"].note == "predicted, for the task's requests"


def test_what_the_building_machine_gave_is_not_the_devices(tmp_path: Path) -> None:
    """A prediction for the device stands on top instead; and without one, whose figure it is."""
    local = json.dumps(measurement_json(measurement(device="local", machine="Build server"))).encode()
    report = reported(tmp_path, {"measurement.json": local})
    assert named(report)["Speed"].note == "predicted for rpi5-8gb"
    assert report.bundle
    unknown = replace(report, bundle=replace(report.bundle, speed=None))
    assert named(unknown)["Speed"].note == "on Build server, which built it, not on the device"


def test_an_unstable_measurement_says_so_on_top(tmp_path: Path) -> None:
    seen = replace(measurement(), unstable_because=("tg128: the samples' spread is 9% of their median",))
    report = reported(tmp_path, {"measurement.json": json.dumps(measurement_json(seen)).encode()})
    assert named(report)["Speed"].note.endswith(", not stable")


def test_labels_are_counted_in_answers(tmp_path: Path) -> None:
    """One evaluation alone: nobody wrote a token, and memory is what was seen."""
    path = tmp_path / "seen.json"
    path.write_text(evaluation_text(evaluation(task())))
    found = named(write_report([path], tmp_path / "page.html", Silent()).report)
    assert [figure.unit for figure in found.values()] == ["%", "answers/s", "ms", "MiB", "MiB"]
    assert found["Memory"].note == "by which the process grew"


def test_several_evaluations_have_no_figures_of_their_own(tmp_path: Path) -> None:
    report = write_report(write_evaluations(tmp_path), tmp_path / "page.html", Silent()).report
    assert figures(report) == ()


@pytest.mark.parametrize(("size", "said"), [(100, True), (900, False)])
def test_a_smaller_one_that_would_do_is_told(tmp_path: Path, size: int, said: bool) -> None:
    """A bundle that was evaluated, and another evaluation beside it."""
    own = evaluation(task(), size=400 << 20)
    other = tmp_path / "other.json"
    other.write_text(evaluation_text(evaluation(task(), name="other", right=0.97, size=size << 20, sha256="c" * 64)))
    text = lead(reported(tmp_path, {"evaluation.json": evaluation_text(own).encode()}, other))
    assert ("other Q4_0, of 100\N{NO-BREAK SPACE}MiB, meets every target too." in text) == said
