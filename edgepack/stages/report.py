"""Reads a bundle and evaluations for a report, and writes its page; it measures nothing and asks no model."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from edgepack import __version__
from edgepack.domain.bundle import EVIDENCE
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.measurement import Measurement
from edgepack.domain.measurement_json import parse_measurement
from edgepack.domain.progress import Progress
from edgepack.domain.records import record_values
from edgepack.domain.report import Report, SeenBundle
from edgepack.domain.report_evaluation import SeenEvaluation, parse_evaluation
from edgepack.domain.report_front import by_merit
from edgepack.domain.report_records import RouteCurve, parse_gates, parse_routing, parse_trials, parse_tuning
from edgepack.domain.routing_json import SCHEMA as ROUTING
from edgepack.formats.checking import check_bundle
from edgepack.formats.opening import file_in, open_bundle, read_small
from edgepack.formats.reader import BundleReader

_MOST_EVALUATIONS = 64
_MOST_BYTES = 64 << 20
"""Of an evaluation's file: a hundred thousand answers."""
_HINT = "name a record that `edgepack eval --out` wrote"
Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A page on disk."""

    path: Path
    size: int
    sha256: str
    report: Report


def read_report(sources: Sequence[Path], progress: Progress) -> Report:
    """A bundle, or evaluations, or both: at most one bundle, whose every byte is checked first.

    Raises UsageError for two bundles and for evaluations of several tasks, BadInputError where a record is not
    what it says, VerificationError where the bundle is not.
    """
    bundles = [path for path in sources if not _is_record(path)]
    records = [path for path in sources if _is_record(path)]
    if len(bundles) > 1:
        raise UsageError(
            f"report: {bundles[0]} and {bundles[1]}: a page is about one bundle",
            hint="write a page for each, or compare their evaluations",
        )
    if len(records) > _MOST_EVALUATIONS:
        raise UsageError(f"report: {len(records)} evaluations on one page", hint=f"take {_MOST_EVALUATIONS} or fewer")
    evaluations, routing = _records(records)
    report = _bundled(bundles[0], evaluations, progress) if bundles else _alone(evaluations)
    report = replace(report, routing=routing or report.routing)
    _refuse_several_tasks(report)
    return report


def write_page(report: Report, out: Path, progress: Progress) -> Written:
    """All of the page or nothing."""
    from edgepack.report.page import page_html

    progress.step("drawing the page")
    page = page_html(report).encode()
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(page)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return Written(path=out, size=len(page), sha256=sha256(page).hexdigest(), report=report)


def _is_record(path: Path) -> bool:
    return path.suffix == ".json" and not path.is_dir()


def _records(paths: Sequence[Path]) -> tuple[tuple[SeenEvaluation, ...], RouteCurve | None]:
    """Evaluations, and a route, of which a page shows one."""
    evaluations: list[SeenEvaluation] = []
    routes: list[RouteCurve] = []
    for path in paths:
        text = _text(path)
        if record_values(text, subject=str(path), hint=_HINT).get("schema") == ROUTING:
            routes.append(parse_routing(text, subject=str(path)))
        else:
            evaluations.append(parse_evaluation(text, subject=str(path)))
    if len(routes) > 1:
        raise UsageError(f"report: {len(routes)} routes on one page", hint="write a page for each")
    # A record that is named twice stands there once.
    different = [one for place, one in enumerate(evaluations) if one not in evaluations[:place]]
    return by_merit(different), routes[0] if routes else None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadInputError(f"{path}: more than {_MOST_BYTES >> 20} MiB", hint=_HINT)
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}", hint=_HINT) from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8", hint=_HINT) from error


def _alone(evaluations: tuple[SeenEvaluation, ...]) -> Report:
    return Report(
        edgepack=__version__, bundle=None, measurement=None, evaluations=evaluations, evaluated=bool(evaluations),
        trials=None, routing=None, gates=None, tuning=None,
    )  # fmt: skip


def _bundled(path: Path, beside: tuple[SeenEvaluation, ...], progress: Progress) -> Report:
    with closing(open_bundle(path)) as reader:
        checked = check_bundle(reader, path, progress)
        weights = checked.manifest.weights.sha256
        own = _evidence(reader, "evaluation.json", parse_evaluation)
        # What is named besides and is of the bundle's own weights was asked later, or where they will run.
        subject = next((one for one in beside if one.weights.sha256 == weights), own)
        others = tuple(one for one in beside if one is not subject)
        return Report(
            edgepack=__version__,
            bundle=SeenBundle(manifest=checked.manifest, payload_digest=checked.payload_digest),
            measurement=_evidence(reader, "measurement.json", _measurement),
            evaluations=((subject,) if subject else ()) + others,
            evaluated=subject is not None,
            trials=_evidence(reader, "trials.json", parse_trials),
            routing=_evidence(reader, "routing.json", parse_routing),
            gates=_evidence(reader, "gates.json", parse_gates),
            tuning=_evidence(reader, "tuning.json", parse_tuning),
        )


def _evidence(reader: BundleReader, name: str, parse: Callable[..., Record]) -> Record | None:
    """A record of the bundle's evidence; None where there is none of that name."""
    path = f"{EVIDENCE}/{name}"
    if file_in(reader, path) is None:
        return None
    return parse(read_small(reader, path).decode("utf-8", errors="replace"), subject=path)


def _measurement(text: str, *, subject: str) -> Measurement:
    hint = "measure it again with `edgepack bench`"
    return parse_measurement(record_values(text, subject=subject, hint=hint), subject=subject)


def _refuse_several_tasks(report: Report) -> None:
    """Qualities of different tasks do not stand on one axis."""
    asked = {(one.task.digest, one.task.metric.value): one.task.title for one in report.evaluations}
    if report.trials and report.trials.digest:
        asked[report.trials.digest, report.trials.metric] = report.trials.task
    if len(asked) > 1:
        one, other, *_ = asked.values()
        raise UsageError(
            f"report: evaluations of different tasks: {one!r} and {other!r}", hint="write a page for each task"
        )
