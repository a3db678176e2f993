"""A tuning record (edgepack.tuning/1): what a search on a device ended with; files are not its business."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from edgepack.domain.bundle import RuntimeFlags, is_sha256
from edgepack.domain.flags import server_arguments, speculation_arguments
from edgepack.domain.flags_json import flags_values, read_flags
from edgepack.domain.guessing import Guessed, best_guess
from edgepack.domain.measurement import Phase, Series, Workload
from edgepack.domain.records import record_table
from edgepack.domain.tuner import Comparison, Found, Trial
from edgepack.domain.tuner_axes import Room

SCHEMA = "edgepack.tuning/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class TunedOn:
    """What was tuned, and on what."""

    weights: str
    sha256: str
    device: str
    machine: str
    cpu: str
    system: str
    runtime: str
    """Name and sha256 of the program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """Weights on a device, ready for trials; the threads that llama.cpp takes there unasked, and its CPUs."""

    trial: Trial
    default_threads: int
    room: Room
    on: TunedOn


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """A dated observation: flags that won on that device, and every pair that says so."""

    date: datetime
    on: TunedOn
    workload: Workload
    found: Found
    guessed: tuple[Guessed, ...] = ()
    """Each way of guessing ahead that was tried on examples."""

    @property
    def flags(self) -> RuntimeFlags:
        """What won, guessing included."""
        return replace(self.found.flags, speculation=best_guess(self.guessed))

    @property
    def summary(self) -> str:
        """One line: what was gained."""
        best = self.flags.speculation
        gains = [one.ratio for one in self.guessed if one.speculation == best]
        if gains:
            return f"{self._searched}; guessing by {best.ngram if best else ''} writes {gains[0]:.3f} times as fast"
        return self._searched

    @property
    def _searched(self) -> str:
        if not self.found.changed:
            return "llama.cpp's defaults: nothing was faster"
        final = self.found.final
        parts = [f"{final.request_ratio(self.workload):.3f} times the speed of llama.cpp's defaults"]
        names = {Phase.PREFILL: "prompt", Phase.DECODE: "answer"}
        parts += [f"{names[phase]} {final.ratio(phase):.3f}" for phase in self.workload.phases]
        return ", ".join(parts)


def tuning_json(tuned: Tuned) -> dict[str, object]:
    """Plain values for `json.dumps`."""
    found, on = tuned.found, tuned.on
    return {
        "schema": SCHEMA,
        "date": tuned.date.astimezone(UTC).isoformat(),
        "on": {
            "weights": on.weights, "sha256": on.sha256, "device": on.device, "machine": on.machine, "cpu": on.cpu,
            "system": on.system, "runtime": on.runtime,
        },
        "workload": {
            "prompt_tokens": tuned.workload.prompt_tokens, "generated_tokens": tuned.workload.generated_tokens,
        },
        "flags": flags_values(tuned.flags),
        "defaults": flags_values(found.defaults),
        "changed": tuned.flags != found.defaults,
        "arguments": [*server_arguments(tuned.flags), *speculation_arguments(tuned.flags)],
        "summary": tuned.summary,
        "final": _comparison(found.final, tuned.workload) if found.changed else None,
        "looks": [_comparison(look, tuned.workload) for look in found.looks],
        "guessed": [
            {
                "ngram": one.speculation.ngram, "match": one.speculation.match, "draft": one.speculation.draft,
                "ratio": round(one.ratio, 4), "ratios": [round(ratio, 4) for ratio in one.ratios], "same": one.same,
            }
            for one in tuned.guessed
        ],
        "refused": list(found.refused),
        "left_out": list(found.left_out),
        "seconds": round(found.seconds, 3),
    }  # fmt: skip


def _comparison(comparison: Comparison, workload: Workload) -> dict[str, object]:
    ratios = {phase.value: round(comparison.ratio(phase), 4) for phase in Phase if _ran(comparison, phase)}
    return {
        "name": comparison.name,
        "kept": comparison.kept,
        "request_ratio": round(comparison.request_ratio(workload), 4),
        "phase_ratios": ratios,
        "pairs": [{"tried": _series(pair.tried), "reference": _series(pair.reference)} for pair in comparison.pairs],
    }


def _ran(comparison: Comparison, phase: Phase) -> bool:
    return any(series.phase is phase for pair in comparison.pairs for series in pair.tried)


def _series(found: tuple[Series, ...]) -> list[dict[str, object]]:
    return [
        {"test": one.name, "threads": one.threads, "seconds": [sample.seconds for sample in one.samples]}
        for one in found
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenFlags:
    """What a build takes from a record."""

    flags: RuntimeFlags
    summary: str
    sha256: str
    """Of the weights that were tuned."""
    record: str
    """All of it, as evidence."""


def parse_chosen(record: str, *, subject: str) -> ChosenFlags:
    """The flags of a record, given as its JSON. Raises BadInputError that names the place."""
    hint = "make it again with `edgepack tune --out`"
    table = record_table(record, SCHEMA, subject=subject, hint=hint)
    summary, sha256 = table.text("summary"), table.table("on").text("sha256")
    if not summary.isprintable():
        table.fail("summary", "expected one line of text")
    if not is_sha256(sha256):
        table.fail("on.sha256", "expected a sha256")
    return ChosenFlags(flags=read_flags(table.table("flags")), summary=summary, sha256=sha256, record=record)
