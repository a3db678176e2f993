"""All that a report tells of a bundle or of evaluations, as facts; how it looks is not its business."""

from dataclasses import dataclass

from edgepack.domain.bundle import Manifest
from edgepack.domain.evaluation import Met
from edgepack.domain.measurement import Measurement, Phase
from edgepack.domain.report_evaluation import SeenEvaluation
from edgepack.domain.report_front import Front, front
from edgepack.domain.report_records import RouteCurve, SeenGate, SeenTrials, SeenTuning
from edgepack.domain.speed import SpeedPlan
from edgepack.domain.trials import Role

LOCAL = "local"
PROMPT = 512
"""Tokens of the prompt whose first token is predicted and measured; llama-bench's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenBundle:
    """A bundle whose every byte is right."""

    manifest: Manifest
    payload_digest: str
    budget: int | None = None
    """Bytes that the profile gives a model; None where this edgepack does not know the profile."""
    speed: SpeedPlan | None = None
    """As this edgepack predicts it now; None where it knows profile or model not well enough."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What is there. None: the record is not."""

    edgepack: str
    """The version that writes the report."""
    bundle: SeenBundle | None
    measurement: Measurement | None
    evaluations: tuple[SeenEvaluation, ...]
    """The first is the subject's own where `evaluated`; the others stand beside it."""
    evaluated: bool
    """Whether the subject itself was evaluated; always, without a bundle."""
    trials: SeenTrials | None
    routing: RouteCurve | None
    gates: tuple[SeenGate, ...] | None
    tuning: SeenTuning | None

    @property
    def evaluation(self) -> SeenEvaluation | None:
        """The subject's own."""
        return self.evaluations[0] if self.evaluated else None

    @property
    def records(self) -> tuple[str, ...]:
        """Names of what is there."""
        found = (
            ("manifest", self.bundle), ("measurement", self.measurement), ("trials", self.trials),
            ("routing", self.routing), ("gates", self.gates), ("tuning", self.tuning),
        )  # fmt: skip
        evaluations = ("evaluation",) * len(self.evaluations)
        return (*(name for name, there in found if there is not None), *evaluations)

    @property
    def targets(self) -> tuple[Met, ...]:
        """What the search wanted of the chosen one, or what the task itself sets."""
        chosen = self.trials.of(Role.CHOSEN) if self.trials else None
        if chosen and chosen.targets:
            return chosen.targets
        return self.evaluation.targets if self.evaluation else ()

    @property
    def front(self) -> Front:
        return front(self.trials, self.evaluations, chosen=self.evaluated and self.bundle is not None)

    @property
    def elsewhere(self) -> bool:
        """Whether the measurement is of the machine that built, and the profile describes another."""
        host = self.bundle is not None and self.bundle.manifest.facts.profile.name == "host"
        return self.measurement is not None and self.measurement.device == LOCAL and not host


def measured_first_token(measurement: Measurement) -> float | None:
    """Seconds from a request of PROMPT tokens to its first token, out of the two phases."""
    prefill, decode = measurement.of(Phase.PREFILL), measurement.of(Phase.DECODE)
    return PROMPT / prefill.median + 1 / decode.median if prefill and decode else None
