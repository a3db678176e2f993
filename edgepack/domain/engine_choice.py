"""Which of two engines a decoder is left to, from what both gave on one machine; it measures neither."""

from dataclasses import dataclass

from edgepack.domain.engine import Engine
from edgepack.domain.measurement import Measurement

FASTER = 1.10
"""How much quicker onnxruntime must be: llama.cpp is there anyway, in every bundle and on every device."""
ALIKE = 0.98
"""The cosine of logits below which something is wrong with an engine's kernels, as there was with some of Arm's: both
round activations, each its own way, and seeded models come to 0.999, trained ones to 0.99997."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineChoice:
    """What both gave, and who is kept."""

    measured: dict[Engine, Measurement]
    cosine: float
    """Of both engines' logits, the mean over some steps."""
    kept: Engine
    because: str

    @property
    def measurement(self) -> Measurement:
        """Of the engine that is kept."""
        return self.measured[self.kept]


def choose_engine(measured: dict[Engine, Measurement], *, cosine: float) -> EngineChoice:
    """The quicker by a tenth or more that fits memory and says the same; llama.cpp where neither is."""
    ours, theirs = measured[Engine.LLAMA_CPP], measured[Engine.ONNX]
    kept, because = _chosen(ours, theirs)
    # NaN is no agreement.
    if not cosine >= ALIKE:
        kept, because = Engine.LLAMA_CPP, f"onnxruntime gives other logits on this machine (cosine {cosine:.4f})"
    if not (ours.stable and theirs.stable):
        because += "; not stable: measure again on a quiet machine"
    return EngineChoice(measured=measured, cosine=cosine, kept=kept, because=because)


def seconds(measurement: Measurement) -> float:
    """Of the whole workload, prompt and answer, at the medians."""
    return sum(series.tokens / series.median for series in measurement.series)


def _chosen(ours: Measurement, theirs: Measurement) -> tuple[Engine, str]:
    if why := _too_large(theirs):
        return Engine.LLAMA_CPP, f"onnxruntime {why}"
    if why := _too_large(ours):
        return Engine.ONNX, f"llama.cpp {why}"
    ratio = seconds(ours) / seconds(theirs)
    phases = ", ".join(
        f"{one.name} {other.median / one.median:.2f} times as quick"
        for one, other in zip(ours.series, theirs.series, strict=True)
    )
    if ratio >= FASTER:
        return Engine.ONNX, f"onnxruntime does the workload {ratio:.2f} times as quickly ({phases})"
    return (
        Engine.LLAMA_CPP,
        f"onnxruntime does the workload {ratio:.2f} times as quickly ({phases}), and {FASTER:.2f} is asked",
    )


def _too_large(measurement: Measurement) -> str | None:
    seen = measurement.conditions
    if seen.peak_rss is None or seen.memory_free_before is None or seen.peak_rss <= seen.memory_free_before:
        return None
    return f"takes {seen.peak_rss / 1e6:,.0f} MB, and {seen.memory_free_before / 1e6:,.0f} MB are free"
