"""What the device gave, every sample of it, and what was predicted beside what was measured."""

from edgepack.domain.bundle import PredictedMemory
from edgepack.domain.measurement import Measurement, Phase
from edgepack.domain.report import LOCAL, PROMPT, Report, measured_first_token
from edgepack.domain.report_records import SeenTuning
from edgepack.domain.speed import SpeedPlan
from edgepack.report import words
from edgepack.report.chart_memory import memory_chart
from edgepack.report.chart_ratios import Compared, ratios_chart
from edgepack.report.chart_samples import series_chart, sustained_chart
from edgepack.report.view import Block, Facts, Note, Pair, Section


def speed_section(measurement: Measurement, tuning: SeenTuning | None, *, elsewhere: bool) -> Section:
    blocks: list[Block] = [Pair(charts=tuple(series_chart(series) for series in measurement.series))]
    if measurement.sustained:
        blocks.append(sustained_chart(measurement.sustained))
    if not measurement.stable:
        blocks.append(Note(text=f"Not stable: {'; '.join(measurement.unstable_because)}."))
    blocks.append(Facts(rows=tuple(_conditions(measurement))))
    if tuning:
        blocks.append(Note(text=f"Flags searched for on {words.shortened(tuning.machine, 80)}: "
                                f"{words.shortened(tuning.summary, 300)}."))  # fmt: skip
    where = " It is the machine that built the bundle, not the device that it is for." if elsewhere else ""
    return Section(
        name="speed", title="Speed, measured",
        lead=f"Tokens/s on {words.shortened(measurement.conditions.machine, 120)}, with "
        f"{words.count(measurement.threads, 'thread')}, {words.day(measurement.date)}.{where}",
        blocks=tuple(blocks),
    )  # fmt: skip


def memory_section(plan: PredictedMemory, measurement: Measurement | None, budget: int | None) -> Section:
    seen = measurement.conditions.peak_rss if measurement and measurement.device != LOCAL else None
    part = (
        f" of {words.size(budget)} that the profile gives a model ({words.share(plan.total / budget)})"
        if budget
        else ""
    )
    return Section(
        name="memory", title="Memory budget", lead=f"Predicted: {words.size(plan.total)}{part}.",
        blocks=(memory_chart(plan.parts, seen, budget),),
    )  # fmt: skip


def predicted_section(report: Report) -> Section | None:
    """None where nothing was both predicted and measured on one device: what is measured elsewhere is no answer."""
    measurement, bundle = report.measurement, report.bundle
    if bundle is None or measurement is None or report.elsewhere:
        return None
    plan, seen = bundle.manifest.facts.plan, measurement.conditions.peak_rss
    compared = _speeds(bundle.speed, measurement) if bundle.speed else []
    notes: list[Block] = []
    if plan and seen and measurement.device != LOCAL:
        compared.append(_memory("memory, peak", plan.total, seen))
        tokens = max(measurement.workload.prompt_tokens, measurement.workload.generated_tokens)
        context = f"{bundle.manifest.facts.flags.context:,} tokens of context"
        notes.append(Note(text=f"Memory is planned for {context}, and was measured while {tokens:,} were in it."))
    if not compared:
        return None
    return Section(
        name="predicted", title="Predicted against measured",
        lead="A plan says what will be; only a measurement says whether it was right. At 1 both are the same.",
        blocks=(ratios_chart(compared), *notes),
    )  # fmt: skip


def _speeds(plan: SpeedPlan, measurement: Measurement) -> list[Compared]:
    decode, prefill = measurement.of(Phase.DECODE), measurement.of(Phase.PREFILL)
    first = measured_first_token(measurement)
    found = []
    if decode:
        found.append(_rate("tokens/s, answer", plan.decode, decode.median))
    if prefill:
        found.append(_rate("tokens/s, prompt", plan.prefill, prefill.median))
    if first:
        found.append(Compared(
            name=f"first token after {PROMPT}", predicted=plan.first_token, measured=first,
            said=(words.seconds(plan.first_token), words.seconds(first)),
        ))  # fmt: skip
    return found


def _rate(name: str, predicted: float, measured: float) -> Compared:
    return Compared(
        name=name, predicted=predicted, measured=measured, said=(words.figure(predicted), words.figure(measured))
    )


def _memory(name: str, predicted: int, measured: int) -> Compared:
    return Compared(
        name=name, predicted=predicted, measured=measured, said=(words.size(predicted), words.size(measured))
    )


def _conditions(measurement: Measurement) -> list[tuple[str, str]]:
    around, runtime = measurement.conditions, measurement.runtime
    heat = [
        f"{value:.0f} °C {when}"
        for value, when in ((around.celsius_before, "before"), (around.celsius_after, "after"))
        if value is not None
    ]
    rows: list[tuple[str, str | None]] = [
        ("Machine", words.shortened(around.machine)),
        ("CPU", words.shortened(around.cpu)),
        ("System", words.shortened(around.system)),
        ("Reached", measurement.device),
        ("Governor", around.governor),
        ("Temperature", ", ".join(heat) or None),
        ("Throttled", None if around.throttled is None else "yes" if around.throttled else "no"),
        ("Memory free before", words.size(around.memory_free_before) if around.memory_free_before else None),
        (
            "Peak memory",
            f"{words.size(around.peak_rss)} of the measuring process, all included" if around.peak_rss else None,
        ),
        ("Runtime", words.shortened(f"{runtime.name} {runtime.version}, {runtime.build}")),
    ]
    return [(name, value) for name, value in rows if value]
