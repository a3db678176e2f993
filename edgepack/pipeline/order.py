"""What a build was asked for, what it would make, and what it made."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from edgepack.domain.adapter import AdapterChoice, AdapterWeights
from edgepack.domain.app import SigningKey
from edgepack.domain.bundle import Format
from edgepack.domain.converter import Converter
from edgepack.domain.device import Device, LocalDevice
from edgepack.domain.engine import Engine
from edgepack.domain.gates import GateDepth
from edgepack.domain.licences import ANY, LicencePolicy
from edgepack.domain.measurement import Measurement
from edgepack.domain.native import RuntimeChoice
from edgepack.domain.plan import Plan
from edgepack.domain.profile import Profile
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.routing_json import FoundRoute
from edgepack.domain.source import Source
from edgepack.domain.tuned import ChosenFlags
from edgepack.domain.tuning import UNTUNED, Tuning
from edgepack.domain.weights import Weights
from edgepack.stages.adapter import OpenedAdapter
from edgepack.stages.adopt import Adopted
from edgepack.stages.bundle import Bundle
from edgepack.stages.convert import Opened
from edgepack.stages.encoder import EncoderMaterial
from edgepack.stages.verify import Verdict

HERE = LocalDevice()

Material: TypeAlias = Opened | Adopted | EncoderMaterial
"""What a build starts from, read as far as its headers; both give name, origin, terms, candidates and so on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteOrder:
    """That requests shall go up, as `edgepack eval --route` found."""

    found: FoundRoute
    large: Path | None
    """The larger model's GGUF; None where the record names an address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What the user asked for; the rest is decided on the way."""

    profile: str
    source: Source
    quant: Quant | None = None
    engine: Engine | None = None
    """What shall run it; None: onnxruntime for encoders, llama.cpp for all others."""
    precision: OnnxQuant | None = None
    """Of an encoder's weights."""
    wheels: bool = False
    """Whether the Python packages that run an encoder ride in its bundle."""
    python: str | None = None
    """The device's, `3.11`; None: as the profile says."""
    tuning: Tuning = UNTUNED
    adapter: AdapterChoice | None = None
    converter: Converter = Converter.EDGEPACK
    context: int | None = None
    system_prompt: Path | None = None
    """A text whose state rides in the bundle."""
    format: Format = Format.DIR
    release_key: SigningKey | None = None
    """What an APK is signed with; None: this machine's debug key."""
    out: Path | None = None
    offline: bool = False
    allow_over_3b: bool = False
    force: bool = False
    gates: GateDepth | None = None
    """What is asked of the weights before a bundle is written; None: by their size."""
    checkpoint: Source | None = None
    """What ready weights are said to be made of."""
    flags: ChosenFlags | None = None
    """What `edgepack tune` found; the context stays the plan's."""
    threads: int | None = None
    """Threads that convert; None: as many as this process may use."""
    runtime: RuntimeChoice | Path = RuntimeChoice.BUILT
    """The programs for the device: built, none, or those in a directory."""
    device: Device = HERE
    """Where to measure."""
    route: RouteOrder | None = None
    measure: bool = True
    measure_again: bool = False
    policy: LicencePolicy = ANY
    """Which terms the model, its adapter and a larger one may have."""
    evidence: Mapping[str, bytes] = field(default_factory=dict)
    """Records that were made on the way to this order, by file name; they go into the bundle."""

    @property
    def workers(self) -> int:
        """Threads that work here: those asked for, or all that this process may use."""
        return self.threads or len(os.sched_getaffinity(0))


@dataclass(frozen=True, kw_only=True, slots=True)
class LargePlanned:
    """A route's larger model, and the bytes that it will need beside the small one."""

    adopted: Adopted
    memory: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What a build would make: known from headers, before any weight is converted."""

    profile: Profile
    material: Material
    adapter: OpenedAdapter | None
    plan: Plan
    name: str
    """The bundle's."""
    tuning: Tuning
    converter: Converter
    large: LargePlanned | None = None
    """The model that requests go up to; None where there is none, or it is elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A bundle that was checked, and what is known of it."""

    planned: Planned
    weights: Weights
    adapter: AdapterWeights | None
    """Beside the weights; None where there is none, or it is merged."""
    measurement: Measurement | None
    bundle: Bundle
    verdict: Verdict
