"""A measurement as JSON (edgepack.measurement/1) and back; files and terminals are not its business."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from edgepack.domain.measurement import (
    SCHEMA,
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
from edgepack.domain.reading import Table


def measurement_json(measurement: Measurement) -> dict[str, object]:
    """Plain values for `json.dumps`, every sample among them; medians and the like stand beside for readers."""
    return {
        "schema": SCHEMA,
        "date": measurement.date.astimezone(UTC).isoformat(),
        "weights": asdict(measurement.weights),
        "runtime": asdict(measurement.runtime),
        "conditions": asdict(measurement.conditions),
        "workload": asdict(measurement.workload),
        "threads": measurement.threads,
        "cpus": None if measurement.cpus is None else ",".join(map(str, measurement.cpus)),
        "stable": measurement.stable,
        "unstable_because": list(measurement.unstable_because),
        "series": [_series_json(series) for series in measurement.series],
        "sweep": [_series_json(series) for series in measurement.sweep],
        "rejected": [_series_json(series) for series in measurement.rejected],
        "device": measurement.device,
        "sustained": _sustained_json(measurement.sustained) if measurement.sustained else None,
    }


def parse_measurement(table: Mapping[str, object], *, subject: str = "measurement") -> Measurement:
    """The measurement that such values hold; `subject` names their origin in errors.

    Raises BadInputError that names the place. What follows from the samples is computed again, not read.
    """
    top = Table(table, subject=subject, hint="measure it again with `edgepack bench`")
    if top.text("schema") != SCHEMA:
        top.fail("schema", f"expected {SCHEMA}, got {top.text('schema')}")
    measurement = Measurement(
        date=read_date(top),
        weights=read_weights(top.table("weights")),
        runtime=read_runtime(top.table("runtime")),
        conditions=_conditions(top.table("conditions")),
        workload=_workload(top.table("workload")),
        threads=top.whole("threads", least=1),
        cpus=_cpus(top),
        series=tuple(_series(inner) for inner in top.tables("series", least=1)),
        sweep=tuple(_series(inner) for inner in top.tables("sweep")),
        rejected=tuple(_series(inner) for inner in top.tables("rejected")),
        unstable_because=top.texts("unstable_because"),
        device=top.text_or_none("device") or "local",
        sustained=_sustained(inner) if (inner := top.table_or_none("sustained")) else None,
    )
    if top.flag("stable") != measurement.stable:
        top.fail("stable", f"says {top.flag('stable')}, unstable_because says {measurement.stable}".lower())
    top.finish()
    return measurement


def _series_json(series: Series) -> dict[str, object]:
    return {
        "test": series.name,
        "phase": series.phase.value,
        "tokens": series.tokens,
        "threads": series.threads,
        "tokens_per_second": {
            "median": round(series.median, 3),
            "mean": round(series.mean, 3),
            "stddev": round(series.deviation, 3),
            "spread": round(series.spread, 4),
        },
        "samples": [asdict(sample) for sample in series.samples],
    }


def _series(table: Table) -> Series:
    table.text("test")
    table.table("tokens_per_second")
    series = Series(
        phase=table.choice("phase", Phase),
        tokens=table.whole("tokens", least=1),
        threads=table.whole("threads", least=1),
        samples=tuple(_sample(inner) for inner in table.tables("samples", least=1)),
    )
    table.finish()
    return series


def _sustained_json(sustained: Sustained) -> dict[str, object]:
    return {
        "tokens": sustained.tokens,
        "threads": sustained.threads,
        "tokens_per_second": {
            "first_minute": round(sustained.first, 3),
            "last_third": round(sustained.last, 3),
            "ratio": round(sustained.ratio, 4),
        },
        "samples": [asdict(sample) for sample in sustained.samples],
    }


def _sustained(table: Table) -> Sustained:
    table.table("tokens_per_second")
    sustained = Sustained(
        tokens=table.whole("tokens", least=1), threads=table.whole("threads", least=1),
        samples=tuple(_timed_sample(inner) for inner in table.tables("samples", least=1)),
    )  # fmt: skip
    table.finish()
    return sustained


def _timed_sample(table: Table) -> TimedSample:
    sample = TimedSample(
        at=table.number("at", above=0), seconds=table.number("seconds", above=0),
        celsius=table.number_or_none("celsius"),
    )  # fmt: skip
    table.finish()
    return sample


def _sample(table: Table) -> Sample:
    sample = Sample(seconds=table.number("seconds", above=0), busy=table.number_or_none("busy"))
    table.finish()
    return sample


def read_weights(table: Table) -> MeasuredWeights:
    weights = MeasuredWeights(
        name=table.text("name"), sha256=table.text("sha256"), size=table.whole("size"),
        quant=table.text_or_none("quant"), architecture=table.text("architecture"),
        parameters=table.whole("parameters"), adapter=table.text_or_none("adapter"),
        synthetic=table.flag("synthetic", default=False),
    )  # fmt: skip
    table.finish()
    return weights


def read_runtime(table: Table) -> Runtime:
    runtime = Runtime(
        name=table.text("name"), version=table.text("version"), build=table.text("build"),
        system_info=table.text("system_info"),
    )  # fmt: skip
    table.finish()
    return runtime


def _conditions(table: Table) -> Conditions:
    conditions = Conditions(
        machine=table.text("machine"), cpu=table.text("cpu"), system=table.text("system"),
        governor=table.text_or_none("governor"),
        celsius_before=table.number_or_none("celsius_before"),
        celsius_after=table.number_or_none("celsius_after"),
        mhz_after=table.number_or_none("mhz_after"), mhz_limit=table.number_or_none("mhz_limit"),
        throttled=_flag_or_none(table, "throttled"), busy_before=table.number_or_none("busy_before"),
        memory_free_before=table.whole_or_none("memory_free_before"), peak_rss=table.whole_or_none("peak_rss"),
    )  # fmt: skip
    table.finish()
    return conditions


def _flag_or_none(table: Table, key: str) -> bool | None:
    # Two defaults that disagree give away an absent key.
    values = table.flag(key, default=False), table.flag(key, default=True)
    return values[0] if values[0] == values[1] else None


def _workload(table: Table) -> Workload:
    workload = Workload(
        prompt_tokens=table.whole("prompt_tokens"), generated_tokens=table.whole("generated_tokens"),
        repeats=table.whole("repeats", least=1), warm_up=table.flag("warm_up"),
        batch=table.whole("batch", least=1), micro_batch=table.whole("micro_batch", least=1),
        least_seconds=table.number("least_seconds"), most_repeats=table.whole("most_repeats", least=1),
    )  # fmt: skip
    table.finish()
    return workload


def _cpus(table: Table) -> tuple[int, ...] | None:
    text = table.text_or_none("cpus")
    if text is None:
        return None
    if not all(part.isdecimal() for part in text.split(",")):
        table.fail("cpus", f"expected CPU numbers with commas between, got {text}")
    return tuple(int(part) for part in text.split(","))


def read_date(table: Table) -> datetime:
    text = table.text("date")
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        table.fail("date", f"expected an ISO 8601 time, got {text}")
    if date.tzinfo is None:
        table.fail("date", f"expected a time with its offset from UTC, got {text}")
    return date.astimezone(UTC)
