"""A device described: its figures and where each comes from; it knows nothing of models or plans."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edgepack.domain.calibration import Calibration, calibration_table, parse_calibration
from edgepack.domain.reading import Table, toml_text, with_comments

SCHEMA = 1
PYTHON = re.compile(r"3\.[1-9][0-9]?")
"""A version as profiles and --python name it."""
GIB = 1 << 30


class DeviceClass(StrEnum):
    """What the device is in a user's hand."""

    PHONE = "phone"
    BOARD = "board"
    LAPTOP = "laptop"
    COMPUTER = "computer"
    """A desktop, a server or a container: what a probe says when it is none of the others."""


class Isa(StrEnum):
    """Instruction-set features that change llama.cpp's kernels, by llama.cpp's names in lower case."""

    NEON = "neon"
    DOTPROD = "dotprod"
    FP16 = "fp16"
    BF16 = "bf16"
    I8MM = "i8mm"
    SVE = "sve"
    SVE2 = "sve2"
    SME = "sme"
    SSE42 = "sse42"
    AVX = "avx"
    AVX2 = "avx2"
    BMI2 = "bmi2"
    FMA = "fma"
    F16C = "f16c"
    AVX_VNNI = "avx_vnni"
    AVX512F = "avx512f"
    AVX512BW = "avx512bw"
    AVX512_VBMI = "avx512_vbmi"
    AVX512_VNNI = "avx512_vnni"
    AVX512_BF16 = "avx512_bf16"
    AMX_INT8 = "amx_int8"
    RVV = "rvv"


class BandwidthKind(StrEnum):
    """What a bandwidth counts; figures of different kinds are not compared."""

    DECODE = "decode"
    """bytes of weights times tokens a second, while llama.cpp or a program on top of it generates"""
    READ_ALL = "read_all"
    """bytes loaded by all big cores together"""
    READ = "read"
    """bytes loaded by one core"""
    COPY = "copy"
    """bytes copied by one core; the bus carries about twice as many"""
    FILL = "fill"
    """bytes written by one core"""
    THEORETICAL = "theoretical"
    """transfers a second times the bus's width"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A number and where it comes from; `unverified`, `assumed` and `unmeasured` are said in the source."""

    value: float
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A text and where it comes from."""

    text: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuCluster:
    """Physical cores of one kind."""

    microarchitecture: str
    count: int
    mhz: int | None
    """Highest clock, where known."""
    big: bool
    """Whether a model's threads should run here."""
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ram:
    """Memory in GiB, and how much of it a model may use beside the system and other programs."""

    gib: Figure
    usable_gib: Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class Bandwidth:
    """GB/s (10^9 bytes) of one kind, and how it was found."""

    kind: BandwidthKind
    gbs: float
    how: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """The memory bus: its kind as text, and every bandwidth that someone stated or measured."""

    kind: Fact | None
    bandwidths: tuple[Bandwidth, ...]

    def of(self, kind: BandwidthKind) -> Bandwidth | None:
        """The first bandwidth of a kind."""
        return next((bandwidth for bandwidth in self.bandwidths if bandwidth.kind is kind), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """What the native runtime is built for: a zig-style target triple and CPU name."""

    os: str
    abi: str
    target: str
    cpu: str
    python: str | None = None
    """The version of the device's own Python, `3.13`, where it is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Power:
    """Watts of the whole device when idle and under full CPU load."""

    idle: Figure | None
    load: Figure | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """One device. Figures that nobody has found are None."""

    name: str
    title: str
    device_class: DeviceClass
    soc: Fact
    clusters: tuple[CpuCluster, ...]
    isa: frozenset[Isa]
    isa_source: str
    ram: Ram
    memory: Memory
    storage: Fact | None
    runtime: Runtime
    power: Power
    sustained: Figure | None
    """Speed after minutes of full load, as a share of the speed of the first seconds."""
    calibrations: tuple[Calibration, ...] = ()
    """What `edgepack profile probe` measured with synthetic weights."""

    @property
    def memory_budget(self) -> int:
        """Bytes that a model may use: weights, KV cache, buffers and runtime together."""
        return int(self.ram.usable_gib.value * GIB)

    @property
    def runtime_target(self) -> str:
        """The runtime's target and CPU as one name: `aarch64-linux-musl-cortex_a76`."""
        return f"{self.runtime.target}-{self.runtime.cpu}"

    @property
    def bandwidth(self) -> Bandwidth | None:
        """What says most about decoding: the bandwidth measured in it, else in reading, else theoretical.

        Its `kind` says which; one core's reading is a lower bound for all cores, theory an upper one.
        """
        kinds = (BandwidthKind.DECODE, BandwidthKind.READ_ALL, BandwidthKind.READ, BandwidthKind.THEORETICAL)
        return next((found for kind in kinds if (found := self.memory.of(kind))), None)

    @property
    def big_cores(self) -> int:
        """Physical cores in the clusters marked big: the threads a model gets."""
        return sum(cluster.count for cluster in self.clusters if cluster.big)


def parse_profile(table: Mapping[str, object], *, name: str) -> Profile:
    """A profile from its file's table; BadInputError names the place of whatever is wrong with it."""
    reader = Table(
        table,
        subject=f"profile {name}",
        hint="correct the file; docs/profiles.md shows every key of a profile",
    )
    schema = reader.whole("schema")
    if schema != SCHEMA:
        reader.fail("schema", f"expected {SCHEMA}, got {schema}")
    cpu = reader.table("cpu")
    profile = Profile(
        name=name,
        title=reader.text("title"),
        device_class=reader.choice("class", DeviceClass),
        soc=_fact(reader.table("soc"), "name"),
        clusters=_clusters(cpu),
        isa=frozenset(cpu.choices("isa", Isa)),
        isa_source=cpu.text("isa_source"),
        ram=_ram(reader.table("ram")),
        memory=_memory(reader.table_or_none("memory")),
        storage=_fact(storage, "kind") if (storage := reader.table_or_none("storage")) else None,
        runtime=_runtime(reader.table("runtime")),
        power=_power(reader.table_or_none("power")),
        sustained=_sustained(reader.table_or_none("sustained")),
        calibrations=tuple(parse_calibration(table) for table in reader.tables("calibration")),
    )
    cpu.finish()
    reader.finish()
    return profile


def _fact(table: Table, key: str) -> Fact:
    fact = Fact(text=table.text(key), source=table.text("source"))
    table.finish()
    return fact


def _source(table: Table, key: str) -> str:
    """Where the figure under `key` comes from: its own `<key>_source`, or the table's `source`."""
    return table.text_or_none(f"{key}_source") or table.text("source")


def _figure(table: Table, key: str) -> Figure:
    return Figure(value=table.number(key, above=0), source=_source(table, key))


def _figure_or_none(table: Table, key: str) -> Figure | None:
    value = table.number_or_none(key, above=0)
    return None if value is None else Figure(value=value, source=_source(table, key))


def _clusters(cpu: Table) -> tuple[CpuCluster, ...]:
    clusters = tuple(_cluster(table) for table in cpu.tables("clusters", least=1))
    if not any(cluster.big for cluster in clusters):
        cpu.fail("clusters", "no cluster is big; say big = true where a model's threads should run")
    return clusters


def _cluster(table: Table) -> CpuCluster:
    cluster = CpuCluster(
        microarchitecture=table.text("microarchitecture"),
        count=table.whole("count", least=1),
        mhz=table.whole_or_none("mhz", least=1),
        big=table.flag("big"),
        source=table.text("source"),
    )
    table.finish()
    return cluster


def _ram(table: Table) -> Ram:
    ram = Ram(gib=_figure(table, "gib"), usable_gib=_figure(table, "usable_gib"))
    if ram.usable_gib.value > ram.gib.value:
        table.fail("usable_gib", f"{ram.usable_gib.value:g} is more than the {ram.gib.value:g} GiB there are")
    table.text_or_none("source")
    table.finish()
    return ram


def _memory(table: Table | None) -> Memory:
    if table is None:
        return Memory(kind=None, bandwidths=())
    kind = table.text_or_none("kind")
    memory = Memory(
        kind=None if kind is None else Fact(text=kind, source=table.text("source")),
        bandwidths=tuple(_bandwidth(inner) for inner in table.tables("bandwidths")),
    )
    table.finish()
    return memory


def _bandwidth(table: Table) -> Bandwidth:
    bandwidth = Bandwidth(
        kind=table.choice("kind", BandwidthKind),
        gbs=table.number("gbs", above=0),
        how=table.text("how"),
        source=table.text("source"),
    )
    table.finish()
    return bandwidth


def _runtime(table: Table) -> Runtime:
    runtime = Runtime(
        os=table.text("os"), abi=table.text("abi"), target=table.text("target"), cpu=table.text("cpu"),
        python=table.text_or_none("python"),
    )  # fmt: skip
    if runtime.python and not PYTHON.fullmatch(runtime.python):
        table.fail("python", f"expected a version such as 3.13, got {runtime.python!r}")
    table.finish()
    return runtime


def _power(table: Table | None) -> Power:
    if table is None:
        return Power(idle=None, load=None)
    power = Power(idle=_figure_or_none(table, "idle_watts"), load=_figure_or_none(table, "load_watts"))
    table.text_or_none("source")
    table.finish()
    return power


def _sustained(table: Table | None) -> Figure | None:
    if table is None:
        return None
    factor = _figure(table, "factor")
    if factor.value > 1:
        table.fail("factor", f"expected a share of at most 1, got {factor.value:g}")
    table.finish()
    return factor


def profile_table(profile: Profile) -> dict[str, object]:
    """The table that `parse_profile` reads the same profile from; also what --json shows."""
    return {
        "schema": SCHEMA,
        "title": profile.title,
        "class": profile.device_class.value,
        "soc": {"name": profile.soc.text, "source": profile.soc.source},
        "cpu": {
            "isa": [feature.value for feature in Isa if feature in profile.isa],
            "isa_source": profile.isa_source,
            "clusters": [_cluster_table(cluster) for cluster in profile.clusters],
        },
        "ram": _figures_table({"gib": profile.ram.gib, "usable_gib": profile.ram.usable_gib}),
        **_optional_tables(profile),
        "runtime": {
            "os": profile.runtime.os,
            "abi": profile.runtime.abi,
            "target": profile.runtime.target,
            "cpu": profile.runtime.cpu,
            **({"python": profile.runtime.python} if profile.runtime.python else {}),
        },
        **_calibrations_table(profile),
    }


def _optional_tables(profile: Profile) -> dict[str, object]:
    memory, storage, power = profile.memory, profile.storage, profile.power
    tables: dict[str, dict[str, object]] = {"memory": {}}
    if memory.kind:
        tables["memory"] = {"kind": memory.kind.text, "source": memory.kind.source}
    if memory.bandwidths:
        tables["memory"]["bandwidths"] = [
            {"kind": found.kind.value, "gbs": found.gbs, "how": found.how, "source": found.source}
            for found in memory.bandwidths
        ]
    if storage:
        tables["storage"] = {"kind": storage.text, "source": storage.source}
    tables["power"] = _figures_table({"idle_watts": power.idle, "load_watts": power.load})
    tables["sustained"] = _figures_table({"factor": profile.sustained})
    return {name: table for name, table in tables.items() if table}


def _calibrations_table(profile: Profile) -> dict[str, object]:
    rows = [calibration_table(calibration) for calibration in profile.calibrations]
    return {"calibration": rows} if rows else {}


def _cluster_table(cluster: CpuCluster) -> dict[str, object]:
    clock = {} if cluster.mhz is None else {"mhz": cluster.mhz}
    return {
        "microarchitecture": cluster.microarchitecture,
        "count": cluster.count,
        **clock,
        "big": cluster.big,
        "source": cluster.source,
    }


def _figures_table(figures: Mapping[str, Figure | None]) -> dict[str, object]:
    """Figures of one table: one `source` where they share it, one `<key>_source` each where they do not."""
    known = {key: figure for key, figure in figures.items() if figure}
    sources = {figure.source for figure in known.values()}
    table: dict[str, object] = {}
    for key, figure in known.items():
        table[key] = figure.value
        if len(sources) > 1:
            table[f"{key}_source"] = figure.source
    if len(sources) == 1:
        table["source"] = sources.pop()
    return table


def profile_toml(profile: Profile, comments: Mapping[str, Sequence[str]] | None = None) -> str:
    """The profile as a file that a person can go on editing, with comments before the sections named."""
    return with_comments(toml_text(profile_table(profile)), comments or {})
