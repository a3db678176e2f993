"""Records that a report shows, as their own writers write them: an evaluation, a measurement, trials, routing, gates.

Answers and times are seeded; the forms are real. `HOSTILE` is what a stranger might call a model, a label, an answer.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from edgepack.domain.answering import Answered
from edgepack.domain.engine import Engine
from edgepack.domain.evaluation import Energy, Evaluation, Judged, judge, measured
from edgepack.domain.evaluation_json import evaluation_json
from edgepack.domain.gates import Gate, GateKind, gates_json
from edgepack.domain.measurement import (
    Conditions,
    MeasuredWeights,
    Measurement,
    Phase,
    Runtime,
    Sample,
    Series,
    Sustained,
    TimedSample,
    Workload,
)
from edgepack.domain.measurement_json import measurement_json
from edgepack.domain.needs import TaskKind
from edgepack.domain.quant import Quant
from edgepack.domain.routing import find_route
from edgepack.domain.routing_json import Routing, routing_json, side_of
from edgepack.domain.speed import Basis, SpeedPlan
from edgepack.domain.task import Example, Labels, Metric, Prompt, Targets, Task
from edgepack.domain.trials import Candidate, Trial, Trials, reached, trials_json

DATE = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
LABELS = ("balance", "card lost", "card payment", "exchange rate", "fees", "refund", "top-up", "transfer")
HOSTILE = "\"><script>alert(1)</script><img src=//evil.example/x onerror=alert(2)>{{7*7}}${7*7}&amp;\u202e'"
_RUNTIME = Runtime(name="llama-cpp-python", version="0.3.36", build="ggml 0.9.4", system_info="CPU : NEON = 1")


def task(labels: Sequence[str] = LABELS, *, count: int = 200, title: str = "What does the customer want?") -> Task:
    drawn = random.Random(7)
    rows = tuple(Example(fields={"text": f"request {index}"}, answer=drawn.choice(labels)) for index in range(count))
    return Task(
        name="intents", title=title, kind=TaskKind.CLASSIFY, level=1, prompt=Prompt(user="{text}", system=None),
        form=Labels(labels=tuple(labels)), max_tokens=8, metric=Metric.ACCURACY, shown=(), held_out=rows,
        targets=Targets(quality=0.85, first_token=2.0, decode=None, size=600 << 20, memory=None),
    )  # fmt: skip


def evaluation(
    asked: Task, *, right: float = 0.9, speed: float = 1.0, name: str = "tiny", quant: str = "Q4_0",
    size: int = 400 << 20, sha256: str = "ab" * 32, energy: bool = True,
) -> Evaluation:  # fmt: skip
    """`right` of the answers are right; `speed` is how many times as quick as 0.6 s."""
    drawn = random.Random(f"{name}{quant}")
    labels = asked.form.labels if isinstance(asked.form, Labels) else ("yes", "no")
    judged: list[Judged] = []
    for example in asked.held_out:
        said = example.answer if drawn.random() < right else labels[(labels.index(example.answer) + 1) % len(labels)]
        first = 0.4 / speed * drawn.lognormvariate(0, 0.25)
        judged.append(judge(asked, example, _answered(said, first, drawn, sure=said == example.answer)))
    return Evaluation(
        date=DATE, weights=MeasuredWeights(name=name, sha256=sha256, size=size, quant=quant, architecture="llama",
                                           parameters=494_000_000),
        task=asked, runtime=_RUNTIME, threads=4, judged=tuple(judged), kept=0, metrics=measured(asked, judged),
        memory=size + (60 << 20), energy=Energy(joules=812.5, source="RAPL, package 0") if energy else None,
    )  # fmt: skip


def _answered(said: str, first: float, drawn: random.Random, *, sure: bool) -> Answered:
    """What is wrong is often unsure."""
    logs = tuple(-drawn.expovariate(20 if sure else 3) for _ in range(3))
    return Answered(
        text=said, whole=True, confidence=drawn.uniform(0.4, 1), prompt_tokens=drawn.randint(40, 90), tokens=3,
        first_token=first, seconds=first * drawn.uniform(1.3, 1.9), log_probabilities=logs,
        margins=tuple(6 + 20 * log for log in logs),
    )  # fmt: skip


def evaluation_text(one: Evaluation) -> str:
    return json.dumps(evaluation_json(one), indent=2, ensure_ascii=False)


def measurement(*, device: str = "ssh", machine: str = "Raspberry Pi 5 Model B Rev 1.0") -> Measurement:
    drawn = random.Random(3)
    rates = {Phase.PREFILL: 96.0, Phase.DECODE: 21.4}
    series = tuple(
        Series(
            phase=phase, tokens=tokens, threads=4,
            samples=tuple(Sample(seconds=tokens / rates[phase] * drawn.gauss(1, 0.012), busy=0.02) for _ in range(8)),
        )
        for phase, tokens in ((Phase.PREFILL, 512), (Phase.DECODE, 128))
    )  # fmt: skip
    return Measurement(
        date=DATE,
        weights=MeasuredWeights(
            name="tiny", sha256="ab" * 32, size=400 << 20, quant="Q4_0", architecture="llama", parameters=494_000_000
        ),
        runtime=_RUNTIME,
        conditions=Conditions(
            machine=machine, cpu="4 x Cortex-A76", system="Linux 6.6 aarch64", governor="ondemand",
            celsius_before=45.5, celsius_after=71.0, mhz_after=2400.0, mhz_limit=2400.0, throttled=False,
            busy_before=0.02, memory_free_before=7 << 30, peak_rss=472 << 20,
        ),
        workload=Workload(), threads=4, cpus=(0, 1, 2, 3), series=series, sweep=(), rejected=(),
        unstable_because=(), device=device, sustained=_sustained(drawn),
    )  # fmt: skip


def _sustained(drawn: random.Random) -> Sustained:
    at, samples = 0.0, []
    for index in range(60):
        seconds = 64 / (21.4 * (1 - 0.12 * min(1, index / 40))) * drawn.gauss(1, 0.01)
        at += seconds
        samples.append(TimedSample(at=at, seconds=seconds, celsius=50.0 + min(30, index)))
    return Sustained(tokens=64, threads=4, samples=tuple(samples))


def measurement_text(one: Measurement) -> str:
    return json.dumps(measurement_json(one), indent=2)


def gates_text() -> str:
    return json.dumps(gates_json([
        Gate(kind=GateKind.TOKENIZER, checked=412, different=()),
        Gate(kind=GateKind.MERGES, checked=48_000, different=(), notes=("12 tokens that no merge makes",)),
        Gate(kind=GateKind.CHAT_TEMPLATE, checked=9, different=("'<s>user' at place 3, not '<s> user'",)),
        Gate(kind=GateKind.DIVERGENCE, checked=2048, different=(), figures={"mean": 0.0123, "limit": 0.1}),
        Gate(kind=GateKind.GOLDEN, checked=12, different=(), figures={"prompt": "Say hello.", "answer": "Hello!"}),
    ]))  # fmt: skip


_TRIED = (
    ("Tiny 135M", Quant.Q8_0, 138, 0.61, 92.0),
    ("Tiny 360M", Quant.Q4_0, 218, 0.79, 41.0),
    ("Tiny 0.5B", Quant.Q4_0, 336, 0.9, 33.0),
    ("Tiny 0.6B", Quant.Q4_K_M, 397, 0.87, 24.0),
    ("Tiny 1B", Quant.Q4_K_M, 770, 0.95, 12.0),
)


def trials_values(asked: Task, *, model: str = "") -> dict[str, object]:
    """As a search writes them; the last candidate was not asked. `model`: what all of them are called."""
    tried = [
        _trial(asked, model or name, quant, mib << 20, right=right, decode=decode)
        for name, quant, mib, right, decode in _TRIED
    ]
    last = Candidate(
        model=model or "Tiny 1.7B",
        origin="x",
        engine=Engine.LLAMA_CPP,
        quant=Quant.Q4_K_M,
        parameters=None,
        size=1 << 30,
        memory=None,
    )
    tried.append(Trial(candidate=last, skipped="does not fit the profile"))
    return trials_json(Trials(task=asked, profile="rpi5-8gb", tried=tuple(tried)))


def _trial(asked: Task, model: str, quant: Quant, size: int, *, right: float, decode: float) -> Trial:
    candidate = Candidate(
        model=model,
        origin=f"Example/{model}",
        engine=Engine.LLAMA_CPP,
        quant=quant,
        parameters=2 * size,
        size=size,
        memory=int(size * 1.3),
    )
    expected = SpeedPlan(prefill=decode * 5, decode=decode, first_token=12 / decode, basis=Basis.BANDWIDTH)
    one = evaluation(asked, name=model, quant=quant, right=right, speed=decode / 33, size=size)
    targets = reached(one, asked.targets, candidate, expected, here=False)
    return Trial(candidate=candidate, evaluation=one, expected=expected, targets=targets)


def routing_values(asked: Task, *, small: str = "tiny 135m", large: str = "tiny 1b") -> dict[str, object]:
    """A route between two models that were both asked."""
    one = evaluation(asked, name=small, right=0.7, speed=4.0)
    other = evaluation(asked, name=large, right=0.93)
    return routing_json(Routing(
        date=DATE, task=asked, small=side_of(one), large=side_of(other), runtime=_RUNTIME, threads=4,
        route=find_route(asked.metric, one.judged, other.judged),
    ))  # fmt: skip


def evidence() -> dict[str, bytes]:
    """All that may lie in a bundle's evidence."""
    return dict(_evidence())


@cache
def _evidence() -> dict[str, bytes]:
    asked = task()
    texts = {
        "evaluation.json": evaluation_text(evaluation(asked)), "measurement.json": measurement_text(measurement()),
        "gates.json": gates_text(), "trials.json": json.dumps(trials_values(asked)),
        "routing.json": json.dumps(routing_values(asked)),
    }  # fmt: skip
    return {name: text.encode() for name, text in texts.items()}


def hostile_evidence() -> dict[str, bytes]:
    """The same with a stranger's words wherever a stranger may put some."""
    asked = task((HOSTILE, "good"), title=HOSTILE)
    trials = {**trials_values(asked, model=HOSTILE), "stopped": HOSTILE}
    routing = routing_values(asked, small=HOSTILE, large=HOSTILE)
    seen = measurement(machine=HOSTILE)
    around = replace(seen.conditions, cpu=HOSTILE, governor=HOSTILE)
    texts = {
        "evaluation.json": evaluation_text(evaluation(asked, name=HOSTILE)),
        "measurement.json": measurement_text(replace(seen, device=HOSTILE, conditions=around)),
        "gates.json": json.dumps(gates_json([_HOSTILE_GATE])),
        "trials.json": json.dumps(trials), "routing.json": json.dumps(routing),
    }  # fmt: skip
    return {name: text.encode() for name, text in texts.items()}


_HOSTILE_GATE = Gate(
    kind=GateKind.GOLDEN, checked=1, different=(HOSTILE,), notes=(HOSTILE,), figures={HOSTILE: HOSTILE}
)


def write_evaluations(directory: Path, asked: Task | None = None) -> list[Path]:
    """Three records of one task, each in its file."""
    asked = asked or task()
    rows = (("tiny", "Q8_0", 0.93, 0.7, 700), ("tiny", "Q4_0", 0.9, 1.0, 400), ("tiny", "Q2_K", 0.7, 0.9, 450))
    paths = []
    for name, quant, right, speed, mib in rows:
        one = evaluation(
            asked, name=name, quant=quant, right=right, speed=speed, size=mib << 20, sha256=quant[1] * 64
        )
        paths.append(directory / f"{name}-{quant}.json")
        paths[-1].write_text(evaluation_text(one), encoding="utf-8")
    return paths
