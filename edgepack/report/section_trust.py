"""Why one may believe a bundle: gates, routing, where everything is from, under which licences."""

from edgepack.domain.address import Address
from edgepack.domain.bundle import LicenceName, Manifest
from edgepack.domain.report import SeenBundle
from edgepack.domain.report_evaluation import SeenEvaluation
from edgepack.domain.report_records import RouteCurve, SeenGate
from edgepack.report import words
from edgepack.report.chart_routing import routing_chart
from edgepack.report.view import Cell, Code, Facts, Mark, Section, table

_MOST_DIFFERENT = 3


def gates_section(gates: tuple[SeenGate, ...]) -> Section:
    failed = [gate for gate in gates if not gate.passed]
    compared = table(
        "What was compared", ("Gate", "", "What differs", "Compared", "Different"), [_gate(gate) for gate in gates],
        words=3,
    )  # fmt: skip
    seen = [(_kind(gate), words.spaced(name), _seen(value)) for gate in gates for name, value in gate.figures]
    return Section(
        name="gates", title="Gates",
        lead="What the weights must have in common with the checkpoint that they are of. "
        + ("All passed." if not failed else f"{len(failed)} of {len(gates)} failed, and the bundle was forced."),
        blocks=(compared, *([table("What else was seen", ("Gate", "", "Seen"), seen, words=3)] if seen else [])),
    )  # fmt: skip


def routing_section(curve: RouteCurve) -> Section:
    point, metric = curve.expected or curve.points[curve.chosen], words.metric(curve.metric)
    return Section(
        name="routing", title="Routing between two models",
        lead=f"{words.shortened(curve.small, 60)} answers first; what it is not sure of goes to "
        f"{words.shortened(curve.large, 60)}: "
        f"{words.share(point.sent_up)} of the requests, {words.share(point.quality)} {metric}, "
        f"{words.share(point.cost)} of the cost.",
        blocks=(routing_chart(curve, metric),),
    )  # fmt: skip


def provenance_section(bundle: SeenBundle) -> Section:
    manifest = bundle.manifest
    return Section(
        name="provenance", title="Provenance and licences",
        lead="Every byte was compared with the bundle's digests when this page was made.",
        blocks=(Facts(rows=tuple(_origins(bundle))), table(
            "Licence texts in the bundle", ("File", "sha256", "Size"),
            [
                (Code(text=file.path), Code(text=file.sha256), words.size(file.size))
                for file in manifest.files
                if file.path in manifest.licences
            ],
            words=2, folded=True,
        )),
    )  # fmt: skip


def weights_section(evaluations: tuple[SeenEvaluation, ...]) -> Section:
    """Where there is no bundle: which files were asked."""
    return Section(
        name="provenance", title="Which weights", lead="Evaluations name their weights by digest.",
        blocks=(table(
            "Weights", ("Name", "sha256", "Parameters", "Size"),
            [
                (words.shortened(one.title, 60), Code(text=one.weights.sha256),
                 words.parameters(one.weights.parameters), words.size(one.weights.size))
                for one in evaluations
            ],
            words=2,
        ),),
    )  # fmt: skip


def _gate(gate: SeenGate) -> tuple[Cell, ...]:
    told = gate.different or gate.notes
    first = "; ".join(words.shortened(one, 100) for one in told[:_MOST_DIFFERENT])
    more = len(told) - _MOST_DIFFERENT
    return (
        _kind(gate), Mark(text="passed" if gate.passed else "failed", good=gate.passed),
        Code(text=first + (f"; and {more} more" if more > 0 else "")) if first else "",
        f"{gate.checked:,}", f"{len(gate.different):,}",
    )  # fmt: skip


def _kind(gate: SeenGate) -> str:
    return words.capital(words.spaced(gate.kind))


def _seen(value: str | float) -> Cell:
    if isinstance(value, str):
        return Code(text=words.shortened(value, 200))
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _origins(bundle: SeenBundle) -> list[tuple[str, Cell]]:
    manifest = bundle.manifest
    facts, model, made = manifest.facts, manifest.facts.model, manifest.facts.provenance
    rows: list[tuple[str, Cell | None]] = [
        ("Model", f"{model.name}, {model.architecture}, {words.parameters(model.parameters)}"),
        ("Licence", _licence(model.licence)),
        ("Origin", Code(text=model.origin)),
        ("Revision", Code(text=model.revision) if model.revision else None),
        ("Checkpoint", Code(text=facts.checkpoint) if facts.checkpoint else None),
        *_route(manifest),
        ("Adapter", f"{facts.adapter.name}, {_licence(facts.adapter.licence)}" if facts.adapter else None),
        ("Quantization", facts.quantization or "as delivered"),
        ("Weights", Code(text=manifest.weights.sha256)),
        ("Profile", f"{facts.profile.name}"),
        ("Context", f"{facts.flags.context:,} tokens, {words.count(facts.flags.threads, 'thread')}"),
        ("Runtime", _runtime(manifest)),
        ("Made by", f"edgepack {made.edgepack}, converter {made.converter}"),
        ("llama.cpp", None if facts.encoder else f"{made.llama_cpp.name} {made.llama_cpp.version}"),
        ("Payload", Code(text=bundle.payload_digest)),
        ("Payload size", f"{words.size(manifest.payload_size)} in {len(manifest.files):,} files"),
    ]
    return [(name, value) for name, value in rows if value]


def _route(manifest: Manifest) -> list[tuple[str, Cell | None]]:
    """Where requests go up to, if anywhere."""
    route, large = manifest.facts.route, manifest.facts.large
    if route is None:
        return []
    if large is None:
        assert isinstance(route.large, Address)
        return [("Goes up to", Code(text=str(route.large)))]
    quant = large.quantization or "as delivered"
    return [
        ("Larger model", f"{large.model.name} {quant}, {words.parameters(large.model.parameters)}"),
        ("Its licence", _licence(large.model.licence)),
        ("Its origin", Code(text=large.model.origin)),
        ("Its weights", Code(text=manifest.large.sha256) if manifest.large else None),
    ]


def _runtime(manifest: Manifest) -> str:
    native, encoder = manifest.facts.native, manifest.facts.encoder
    if encoder:
        packages = ", ".join(f"{name} {version}" for name, version in encoder.packages)
        wheels = encoder.wheels
        where = f"in the bundle, for Python {wheels.python} on {wheels.architecture}" if wheels else "of the device"
        return f"Python with {packages}, {where}"
    return f"{native.target}, from {native.origin}" if native else "the device's own"


def _licence(licence: LicenceName) -> str:
    if licence.name and licence.spdx and licence.name != licence.spdx:
        return f"{licence.name} ({licence.spdx})"
    return licence.spdx or licence.name or "nobody said"
