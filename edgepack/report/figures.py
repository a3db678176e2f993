"""The numbers that a reader came for: quality, speed, first token, size, memory; each with where it is from."""

from edgepack.domain.measurement import Phase
from edgepack.domain.report import PROMPT, Report
from edgepack.domain.report_records import SeenTrial
from edgepack.domain.trials import Role
from edgepack.report import words
from edgepack.report.view import Figure


def figures(report: Report) -> tuple[Figure, ...]:
    """Those that are known. Of several evaluations alone there are none to put on top."""
    if report.bundle is None and len(report.evaluations) != 1:
        return ()
    found = (_quality(report), _speed(report), _first_token(report), _weights(report), _memory(report))
    return tuple(figure for figure in found if figure)


def _chosen(report: Report) -> SeenTrial | None:
    return report.trials.of(Role.CHOSEN) if report.trials else None


def _quality(report: Report) -> Figure | None:
    one, chosen = report.evaluation, _chosen(report)
    if one:
        found, metric, of = one.quality, one.task.metric.value, f", {words.count(len(one.answers), 'example')}"
    elif chosen and chosen.quality and report.trials:
        found, metric, of = chosen.quality, report.trials.metric, ""
    else:
        return None
    note = f"{words.metric(metric)}, {words.interval(found.low, found.high)}{of}"
    return Figure(label="Quality", value=words.share_number(found.value), unit="%", note=note)


def _speed(report: Report) -> Figure | None:
    """Measured on the device, else predicted for it, else as another machine gave it, which is said."""
    found = _device_speed(report) or _seen_speed(report)
    if found is None:
        return None
    value, unit, note = found
    return Figure(label="Speed", value=words.figure(value), unit=unit, note=note)


def _device_speed(report: Report) -> tuple[float, str, str] | None:
    measurement, bundle = report.measurement, report.bundle
    decode = measurement.of(Phase.DECODE) if measurement else None
    if decode and measurement and not report.elsewhere:
        shaky = "" if measurement.stable else ", not stable"
        return decode.median, "tokens/s", f"measured on {words.shortened(measurement.conditions.machine, 48)}{shaky}"
    chosen = _chosen(report)
    plan = chosen.expected if chosen and chosen.expected else bundle.speed if bundle else None
    if bundle and plan:
        return plan.decode, "tokens/s", f"predicted for {bundle.manifest.facts.profile.name}"
    if decode and measurement:
        where = words.shortened(measurement.conditions.machine, 48)
        return decode.median, "tokens/s", f"on {where}, which built it, not on the device"
    return None


def _seen_speed(report: Report) -> tuple[float, str, str] | None:
    one, chosen = report.evaluation, _chosen(report)
    seen = (one and one.decode) or (chosen and chosen.decode)
    if seen:
        return seen, "tokens/s", "seen while the task was asked"
    if one and one.seconds.median > 0:
        return 1 / one.seconds.median, "answers/s", "by the median time"
    return None


def _first_token(report: Report) -> Figure | None:
    one, chosen, bundle = report.evaluation, _chosen(report), report.bundle
    if chosen and chosen.expected:
        value, unit = words.seconds_parts(chosen.expected.first_token)
        return Figure(label="First token", value=value, unit=unit, note="predicted, for the task's requests")
    times = one.first_token if one else chosen.first_token if chosen else None
    if times:
        value, unit = words.seconds_parts(times.p95)
        note = "within which 95 of 100 answers began, where they were asked"
        return Figure(label="First token", value=value, unit=unit, note=note)
    if bundle and bundle.speed:
        value, unit = words.seconds_parts(bundle.speed.first_token)
        return Figure(label="First token", value=value, unit=unit, note=f"predicted, after {PROMPT} tokens")
    return None


def _weights(report: Report) -> Figure | None:
    one, bundle = report.evaluation, report.bundle
    quant: str | None
    if bundle:
        facts = bundle.manifest.facts
        size, parameters, quant = bundle.manifest.weights.size, facts.model.parameters, facts.quantization
    elif one:
        size, parameters, quant = one.weights.size, one.weights.parameters, one.weights.quant
    else:
        return None
    value, unit = words.size_parts(size)
    said = f"{quant}, {words.parameters(parameters)}" if quant else words.parameters(parameters)
    return Figure(label="Weights", value=value, unit=unit, note=said)


def _memory(report: Report) -> Figure | None:
    one, chosen, bundle = report.evaluation, _chosen(report), report.bundle
    plan = bundle.manifest.facts.plan if bundle else None
    if bundle and plan:
        value, unit = words.size_parts(plan.total)
        note = f"predicted, {bundle.manifest.facts.flags.context:,} tokens of context"
    elif seen := (one and one.memory) or (chosen and chosen.memory):
        value, unit = words.size_parts(seen)
        note = "by which the process grew"
    else:
        return None
    return Figure(label="Memory", value=value, unit=unit, note=note)
