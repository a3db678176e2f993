"""Predicted against published speeds: how far off is the plan, from many calibrations, from one, from the profile?

    python -m tests.bench.bench_speed_plan SPEEDS.csv [--probe MODEL] [--tables]

SPEEDS.csv has a row a measurement: device, model, quant, pp_tps, tg_tps. A device is calibrated with the rows of one
model, at all its quantizations or at one, and the table of type costs is that of *another* device, so that nothing
of what is predicted was seen before; then every other model's row is predicted. `--leave-one-out` fits the two
constants of edgepack/domain/speed.py anew without the model that is predicted.
"""

import argparse
import csv
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgepack.convert import blocks
from edgepack.convert.outline import Outline, config_of, outline
from edgepack.convert.typeplan import Mixture
from edgepack.convert.work import outlined_work
from edgepack.domain.quant import Quant, TensorType
from edgepack.domain.speed import IDLE, Idle, Row, SpeedPlan, calibrated, from_profile, predicted
from edgepack.domain.type_costs import IsaClass, TypeCosts, costs_for
from edgepack.domain.work import Work
from edgepack.infra.library import load_catalogue, load_profile, load_type_costs

# As the table calls them -> the catalogue's id. The others in it edgepack does not convert.
MODELS = {
    "deepseek-r1-distill-qwen-1.5b": "deepseek-r1-distill-qwen-1.5b",
    "gemma-3-1b": "gemma-3-1b-it",
    "lfm2.5-1.2b-instruct": "lfm2.5-1.2b-instruct",
    "phi-3.5-mini": "phi-3.5-mini-instruct",
    "phi-4-mini": "phi-4-mini-instruct",
    "qwen2.5-1.5b": "qwen2.5-1.5b-instruct",
    "qwen3-1.7b": "qwen3-1.7b",
    "qwen3.5-0.8b": "qwen3.5-0.8b",
    "qwen3.5-2b": "qwen3.5-2b",
    "smollm2-1.7b": "smollm2-1.7b-instruct",
}
# More of its models, and the profile of each device whose rows a cold start may be held against: programs on top of
# llama.cpp alone, and no figure that a profile's own bandwidth was derived from.
MORE_MODELS = {
    "allenai/OLMo-2-0425-1B-Instruct": "olmo-2-0425-1b-instruct",
    "google/functiongemma-270m-it": "functiongemma-270m-it",
    "google/gemma-3-1b-it": "gemma-3-1b-it",
    "google/gemma-3-270m-it": "gemma-3-270m-it",
    "HuggingFaceTB/SmolLM2-135M-Instruct": "smollm2-135m-instruct",
    "HuggingFaceTB/SmolLM2-360M-Instruct": "smollm2-360m-instruct",
    "LFM2-350M": "lfm2-350m",
    "Llama-3.2-1B": "llama-3.2-1b-instruct",
    "Phi-3-mini": "phi-3-mini-4k-instruct",
    "Qwen/Qwen3-0.6B": "qwen3-0.6b",
    "Qwen/Qwen3.5-0.8B": "qwen3.5-0.8b",
    "Qwen2.5-0.5B": "qwen2.5-0.5b-instruct",
    "Qwen2.5-1.5B": "qwen2.5-1.5b-instruct",
    "Qwen2.5-3B": "qwen2.5-3b-instruct",
    "Qwen3-0.6B": "qwen3-0.6b",
    "SmolLM2-1.7B": "smollm2-1.7b-instruct",
    "TinyLlama-1.1B": "tinyllama-1.1b-chat-v1.0",
}
PROFILES = {
    "AMD Ryzen 7 7840HS": "laptop-ryzen-7840u",
    "Banana Pi F3": "milkv-jupiter",
    "Orange Pi 5": "orange-pi-5",
    "Pixel 9": "pixel-9",
    "Poco (codename myron)": "snapdragon-8-elite-gen-5",
    "Poco F5": "poco-f5",
    "Poco X7 (klee)": "dimensity-8400",
    "Raspberry Pi 5": "rpi5-8gb",
}
# The devices with more than one model: a Snapdragon 8 Elite Gen 5 and a Dimensity 8400, both with i8mm.
DEVICES = ("Poco (codename myron)", "Poco X7 (klee)")
PROMPT, DEPTH = 256, 32
PRODUCT = (0.0, 1e-6, 2e-6, 4e-6, 8e-6)
STATE = (0.0, 3e-10, 6e-10, 9e-10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One published measurement, and the work that was done."""

    device: str
    model: str
    parameters: int
    quant: Quant
    work: Work
    kv_read: int
    prefill: float
    """0 where nobody published it, as `decode`."""
    decode: float

    @property
    def row(self) -> Row:
        return Row(quant=self.quant, work=self.work, prefill=self.prefill, decode=self.decode)


def llmfit(parameters: float, quant: str, cores: int, *, arm: bool) -> float:
    """Tokens/s of a CPU by llmfit's constants (llmfit-core/src/fit.rs @a6839af1, models.rs): no device, no bytes."""
    faster = {"Q8_0": 0.8, "Q6_K": 0.95, "Q4_K_M": 1.15, "Q4_0": 1.15, "Q3_K_M": 1.25, "Q2_K": 1.35, "F16": 0.6}
    return (
        0.3 * (90 if arm else 70) / max(parameters / 1e9, 0.1) * faster.get(quant, 1.0) * (1.1 if cores >= 8 else 1)
    )


def whichllm(parameters: float, quant: str) -> float:
    """Tokens/s of any CPU by whichllm's constants (src/whichllm/engine/performance.py @a5da49d6)."""
    share = {"Q8_0": 0.45, "Q6_K": 0.5, "Q5_K_M": 0.52, "Q4_K_M": 0.55, "Q4_0": 0.53, "Q3_K_M": 0.5, "F16": 0.4}
    return max(0.3, 18 / max(parameters / 1e9, 0.5) * share.get(quant, 0.45) / 0.45)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speeds", type=Path)
    parser.add_argument("--probe", default="qwen3-1.7b", choices=list(MODELS), help="whose rows calibrate")
    parser.add_argument("--tables", action="store_true", help="print the table of type costs of each device")
    parser.add_argument("--cold", action="store_true", help="predict from the profiles alone")
    parser.add_argument("--leave-one-out", action="store_true", help="fit the constants without the model predicted")
    arguments = parser.parse_args()
    if arguments.cold:
        return cold(list(read(arguments.speeds, {**MODELS, **MORE_MODELS}, tuple(PROFILES))))
    seen = list(read(arguments.speeds, MODELS, DEVICES))
    print(f"{len(seen)} measurements, {len({one.model for one in seen})} models, calibrated with {arguments.probe}")
    if arguments.tables:
        for device in DEVICES:
            show_table(device, table_of(seen, device))
    report_theirs(seen)
    fit = arguments.leave_one_out
    report("each quantization, decode", *errors(seen, arguments.probe, tuple(Quant), fit=fit))
    for quant in (Quant.Q4_0, Quant.Q4_K_M, Quant.Q8_0):
        report(f"{quant} alone, decode", *errors(seen, arguments.probe, (quant,), fit=fit))
    return 0


def cold(seen: Sequence[Seen]) -> int:
    """Each device by its profile, which has no calibration."""
    everything: list[float] = []
    for device, name in PROFILES.items():
        profile = load_profile(name)
        speed = from_profile(profile, costs_for(profile.isa, load_type_costs()))
        rows = [one for one in seen if one.device == device]
        if speed is None or not rows:
            print(f"{device}: {'no bandwidth in its profile' if speed is None else 'no row'}")
            continue
        plans = [(one, predicted(one.work, speed, prompt=PROMPT, kv_read=one.kv_read)) for one in rows]
        decode = [plan.decode / one.decode - 1 for one, plan in plans if one.decode]
        prefill = [plan.prefill / one.prefill - 1 for one, plan in plans if one.prefill]
        everything += decode
        report(device, decode, prefill)
        print(f"{'':30} decode is off to one side by {statistics.median(decode):+.0%}")
    print(f"{'all, decode':30} {_spread(everything)}")
    report_theirs([one for one in seen if one.decode])
    return 0


def read(path: Path, models: Mapping[str, str], devices: Sequence[str]) -> Iterator[Seen]:
    """The rows of these models on these devices whose quantization edgepack makes."""
    catalogue = load_catalogue()
    outlines: dict[str, Outline] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            name, quant = models.get(line["model"]), line["quant"]
            if (
                line["device"] not in devices
                or name is None
                or quant not in list(Quant)
                or "AGGREGATE" in line["notes"]
            ):
                continue
            model = catalogue.find(name)
            assert model, f"{name} is not in the catalogue"
            if name not in outlines:
                outlines[name] = outline(config_of(model))
            yield Seen(
                device=line["device"], model=line["model"], parameters=model.parameters, quant=Quant(quant),
                work=outlined_work(outlines[name], Mixture(quant=Quant(quant))), kv_read=kv_read(outlines[name]),
                prefill=float(line["pp_tps"] or 0), decode=float(line["tg_tps"] or 0),
            )  # fmt: skip


def kv_read(outline: Outline) -> int:
    """Bytes of an f16 cache that a token reads at the mean depth of the measurements."""
    config = outline.config
    attending = sum(outline.family.caching(config, number) for number in range(blocks.layers(config)))
    return 2 * attending * blocks.key_value(config) * DEPTH * 2


def table_of(seen: Sequence[Seen], device: str, *, without: str = "", idle: Idle = IDLE) -> TypeCosts:
    """What the types cost on a device, relative to Q4_0: the median of what each model's rows say."""
    start = load_type_costs()[IsaClass.I8MM]
    found = []
    for model in {one.model for one in seen} - {without}:
        rows = [one.row for one in seen if (one.device, one.model) == (device, model)]
        if any(row.quant is Quant.Q4_0 for row in rows):
            found.append(calibrated(rows, start, source=model, idle=idle))
    return TypeCosts(
        isa=start.isa,
        decode=_medians([one.decode for one in found]),
        prefill=_medians([one.prefill for one in found]),
        multiply_adds=start.multiply_adds,
        bandwidth_share=start.bandwidth_share,
        source=device,
    )


def _medians(found: Sequence[Mapping[TensorType, float]]) -> dict[TensorType, float]:
    return {type: statistics.median(costs[type] / costs[TensorType.Q4_0] for costs in found) for type in found[0]}


def show_table(device: str, costs: TypeCosts) -> None:
    for name, table in (("decode", costs.decode), ("prefill", costs.prefill)):
        print(f"  {device} {name} = {{ {', '.join(f'{type.name} = {cost:.2f}' for type, cost in table.items())} }}")


def errors(
    seen: Sequence[Seen], probe: str, quants: tuple[Quant, ...], *, fit: bool
) -> tuple[list[float], list[float]]:
    """Relative errors of decode and of prefill, each model predicted from `probe`'s rows alone."""
    decode, prefill = [], []
    for model in sorted({one.model for one in seen} - {probe}):
        idle = fitted(seen, probe, quants, without=model) if fit else IDLE
        if fit:
            print(
                f"  without {model}: {idle.product * 1e6:g} us a product, {idle.state * 1e9:g} ns a number of state"
            )
        for one, plan in plans(seen, probe, quants, [model], idle):
            decode.append(plan.decode / one.decode - 1)
            prefill.append(plan.prefill / one.prefill - 1)
    return decode, prefill


def plans(
    seen: Sequence[Seen], probe: str, quants: tuple[Quant, ...], models: Sequence[str], idle: Idle
) -> Iterator[tuple[Seen, SpeedPlan]]:
    for device in DEVICES:
        (other,) = (name for name in DEVICES if name != device)
        rows = [one.row for one in seen if (one.device, one.model) == (device, probe) and one.quant in quants]
        for model in models:
            found = calibrated(rows, table_of(seen, other, without=model, idle=idle), source=probe, idle=idle)
            for one in seen:
                if (one.device, one.model) == (device, model):
                    yield one, predicted(one.work, found, prompt=PROMPT, kv_read=one.kv_read, idle=idle)


def fitted(seen: Sequence[Seen], probe: str, quants: tuple[Quant, ...], *, without: str) -> Idle:
    """The constants that predict all models but one best."""
    models = sorted({one.model for one in seen} - {probe, without})

    def loss(idle: Idle) -> float:
        found = plans(seen, probe, quants, models, idle)
        return statistics.mean(min(abs(plan.decode / one.decode - 1), 0.3) for one, plan in found)

    return min((replace(IDLE, product=product, state=state) for product in PRODUCT for state in STATE), key=loss)


def report(title: str, decode: Sequence[float], prefill: Sequence[float]) -> None:
    print(f"{title:30} {_spread(decode)}   prefill {_spread(prefill)}")


def report_theirs(seen: Sequence[Seen]) -> None:
    """The same rows by the formulas of tools that know no device."""
    arm = [one.device != "AMD Ryzen 7 7840HS" for one in seen]
    by_llmfit = [llmfit(one.parameters, one.quant, 8, arm=is_arm) for one, is_arm in zip(seen, arm, strict=True)]
    by_whichllm = [whichllm(one.parameters, one.quant) for one in seen]
    for name, found in (("llmfit", by_llmfit), ("whichllm", by_whichllm)):
        wrong = [guess / one.decode - 1 for guess, one in zip(found, seen, strict=True)]
        print(f"{'by ' + name + ', decode':30} {_spread(wrong)}")


def _spread(found: Sequence[float]) -> str:
    if not found:
        return "   0 rows"
    sizes = sorted(abs(error) for error in found)
    p90 = sizes[min(len(sizes) - 1, round(0.9 * len(sizes)))]
    return f"{len(sizes):4} rows: median {statistics.median(sizes):6.1%}, p90 {p90:6.1%}, worst {sizes[-1]:6.1%}"


if __name__ == "__main__":
    raise SystemExit(main())
