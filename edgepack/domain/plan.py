"""What a candidate will need, predicted before anything is made; a measurement is never mixed in."""

from collections.abc import Iterable
from dataclasses import dataclass

from edgepack.domain.bundle import OVER_3B
from edgepack.domain.errors import BadInputError, NothingFitsError
from edgepack.domain.fallback import Fallback
from edgepack.domain.memory import MemoryPlan
from edgepack.domain.quant import OnnxQuant, Quant


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One quantization of the model, and what it would need."""

    quant: Quant | OnnxQuant | None
    """None for ready weights of a quantization that edgepack does not know."""
    memory: MemoryPlan
    size: int
    """Bytes of its tensors."""
    fallen: tuple[Fallback, ...] = ()
    """Tensors whose rows do not fit the quantization's blocks, and so get another, larger type."""

    @property
    def fallbacks(self) -> int:
        """How many they are."""
        return sum(fallback.tensors for fallback in self.fallen)

    @property
    def gguf_quant(self) -> Quant | None:
        """Its quantization by llama.cpp's name; None too for what is no GGUF."""
        return self.quant if isinstance(self.quant, Quant) else None

    @property
    def title(self) -> str:
        """The quantization's name, for people and file names."""
        return self.quant or "as-is"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The candidate to build, why, and what was ruled out on the way to it."""

    chosen: Candidate
    context: int
    budget: int
    """Bytes that the profile gives a model."""
    reason: str
    ruled_out: tuple[Candidate, ...] = ()


# Below half a billion parameters the bits saved are few and the quality they cost is large.
_SMALL = 500_000_000
_FOR_SMALL = (Quant.Q8_0, Quant.Q6_K, Quant.Q5_K_M, Quant.Q4_K_M, Quant.Q4_0)
_FOR_LARGER = (Quant.Q4_K_M, Quant.Q4_K_S, Quant.IQ4_XS, Quant.Q3_K_M, Quant.Q2_K)


def preferred(parameters: int) -> tuple[Quant, ...]:
    """The quantizations to try for a model of that many parameters, the first that fits being taken."""
    return _FOR_SMALL if parameters < _SMALL else _FOR_LARGER


def refuse_over_3b(name: str, parameters: int, *, allowed: bool) -> None:
    """Raise BadInputError for a model larger than a device profile takes, unless that is allowed."""
    if parameters > OVER_3B and not allowed:
        raise BadInputError(
            f"{name} has {parameters / 1e9:.2f} B parameters; a device profile takes up to 3 B",
            hint="choose a smaller model (edgepack model list), or say --allow-over-3b",
        )


def choose(candidates: Iterable[Candidate], *, context: int, budget: int, subject: str, force: bool) -> Plan:
    """The first of `candidates` that fits `budget` bytes; those after it are not asked for.

    Raises NothingFitsError where none does; with `force` the least hungry is taken all the same.
    """
    ruled_out: list[Candidate] = []
    for candidate in candidates:
        if candidate.memory.total <= budget:
            reason = _reason(candidate, budget, ruled_out)
            return Plan(chosen=candidate, context=context, budget=budget, reason=reason, ruled_out=tuple(ruled_out))
        ruled_out.append(candidate)
    least = min(ruled_out, key=lambda candidate: candidate.memory.total)
    if force:
        reason = f"forced: {least.title} needs {_mib(least.memory.total)}, the profile gives {_mib(budget)}"
        return Plan(chosen=least, context=context, budget=budget, reason=reason)
    raise NothingFitsError(
        f"{subject}: {least.title} at {context} tokens needs {_mib(least.memory.total)}, "
        f"the profile gives a model {_mib(budget)}",
        hint="choose a smaller model or a profile with more memory, lower --ctx, or go on with --force",
    )


def _reason(candidate: Candidate, budget: int, ruled_out: list[Candidate]) -> str:
    larger = f"; {ruled_out[-1].title} would need {_mib(ruled_out[-1].memory.total)}" if ruled_out else ""
    return f"{candidate.title} needs {_mib(candidate.memory.total)} of {_mib(budget)}{larger}"


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
