"""A report, in plain typed calls: records read, predictions made again beside them, one page written."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from edgepack.domain.bundle import BundleFacts
from edgepack.domain.memory import Need, buffers
from edgepack.domain.profile import Profile, profile_toml
from edgepack.domain.progress import Progress
from edgepack.domain.quant import Quant
from edgepack.domain.report import PROMPT, SeenBundle
from edgepack.domain.speed import SpeedPlan, predicted
from edgepack.infra.library import HOST, load_catalogue, load_profile, load_sizes, profile_names
from edgepack.stages.pick import device_speed
from edgepack.stages.report import Written, read_report, write_page

_DEPTH = 64
"""Tokens in the cache halfway through an answer of 128, which is what a measurement writes."""


def write_report(sources: Sequence[Path], out: Path, progress: Progress) -> Written:
    """A page about a bundle, evaluations, or both."""
    report = read_report(sources, progress)
    if report.bundle:
        report = replace(report, bundle=_with_plan(report.bundle))
    return write_page(report, out, progress)


def _with_plan(bundle: SeenBundle) -> SeenBundle:
    """What the profile says, where this edgepack has it word for word as the bundle's maker had."""
    facts = bundle.manifest.facts
    name = facts.profile.name
    profile = load_profile(name) if name == HOST or name in profile_names() else None
    if profile is None or sha256(profile_toml(profile).encode()).hexdigest() != facts.profile.digest:
        return bundle
    return replace(bundle, budget=profile.memory_budget, speed=_speed(facts, profile))


def _speed(facts: BundleFacts, profile: Profile) -> SpeedPlan | None:
    listed, device = load_catalogue().find(facts.model.origin), device_speed(profile)
    if listed is None or device is None or not isinstance(facts.quantization, Quant):
        return None
    sizes = load_sizes()[listed.id]
    kept = buffers(sizes.memory, Need(context=_DEPTH)).kv_cache
    return predicted(sizes.quants[facts.quantization].work, device, prompt=PROMPT, kv_read=kept)
