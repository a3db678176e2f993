"""What a bundle says of itself, and what may stand in it; it knows neither JSON nor disks.

Everything here is the same on every machine: no date, no host, no path of the machine that built it, and
no measurement. Those are evidence, which travels beside the payload.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from edgepack.domain.address import Address
from edgepack.domain.confidence import Calibration
from edgepack.domain.converter import Converter
from edgepack.domain.encoder import Gives
from edgepack.domain.quant import OnnxQuant, Quant

SCHEMA = "edgepack.bundle/1"
MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
"""Where a signature of SHA256SUMS lies; outside the payload, since it says that the payload is right."""
SBOM = "sbom.cdx.json"
EVIDENCE = "evidence"
"""The directory outside the payload; its own SHA256SUMS lies in it."""
SCRIPTS = ("bench", "run", "selftest")
ENCODER = "encoder.py"
"""The program of an encoder's bundle, which its scripts start."""
TOKENIZER = "model/tokenizer.json"
WHEELS = "wheels"
"""The directory of an encoder's Python packages, where the bundle brings them."""
LICENCES = "LICENSES"
RUNTIME = "runtime"
"""The directory of the native programs, where the bundle brings any."""
ADAPTER = "model/adapter.gguf"
"""Where an adapter lies that is not merged into the weights."""
LARGE = "model/large.gguf"
"""Where the larger model lies that requests go up to."""
ROUTE = "route.json"
"""When they do, for the router."""
STATE = "state/prefix.bin"
SYSTEM_PROMPT = "state/system.txt"
OVER_3B = 3_000_000_000
MANIFEST_LIMIT = 16 << 20
"""Bytes; a manifest names a few dozen files, and one that is larger is no manifest."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Format(StrEnum):
    """How a bundle is written."""

    DIR = "dir"
    TAR = "tar"
    APK = "apk"
    """In an Android app that runs it."""


class RuntimeKind(StrEnum):
    """Where `run` finds what runs the model."""

    HOST = "host"
    """Nothing is bundled: a llama-server, llama-cli or the Python bindings that the device already has."""
    BUNDLED = "bundled"
    """The programs in runtime/."""
    PYTHON = "python"
    """The device's Python with onnxruntime, numpy and tokenizers: its own, or those in wheels/."""


class CacheType(StrEnum):
    """Types of the KV cache, by ggml's names."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q4_0 = "q4_0"


class FlashAttention(StrEnum):
    """Whether attention is computed in one fused step; `auto` lets llama.cpp decide by the model."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class LoadMode(StrEnum):
    """How the weights come into memory, by llama.cpp's names."""

    AUTO = "auto"
    """Mapped, where the device can."""
    NONE = "none"
    """Read into memory of its own."""
    MMAP = "mmap"
    MLOCK = "mlock"
    """Read, and kept from being swapped out."""
    MMAP_MLOCK = "mmap+mlock"


class Ngram(StrEnum):
    """Speculation without a draft model: the next words are looked up in the words so far, then checked."""

    SIMPLE = "ngram-simple"
    MAP_K = "ngram-map-k"
    MAP_K4V = "ngram-map-k4v"
    MOD = "ngram-mod"


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceName:
    """A model's licence: `spdx` is None where SPDX has no identifier, both where nobody said."""

    name: str | None
    spdx: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BundledModel:
    """Which model it is; `origin` is a hub repository, or a name that means something off this machine."""

    name: str
    origin: str
    revision: str | None
    architecture: str
    parameters: int
    licence: LicenceName


@dataclass(frozen=True, kw_only=True, slots=True)
class BundledAdapter:
    """Which adapter the model has; `checkpoint` is the sha256 over the files that it was made from."""

    name: str
    origin: str
    checkpoint: str
    licence: LicenceName
    merged: bool
    """Whether it went into the weights, and so has no file of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelPlatform:
    """What the wheels that a bundle brings are for."""

    python: str
    """`3.11`."""
    architecture: str
    """`aarch64`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BundledEncoder:
    """What an encoder gives, and the packages that run it: by name and version."""

    gives: Gives
    width: int
    """Numbers that it gives for a text, or for each of its tokens."""
    vocabulary: int
    """Tokens that there are."""
    labels: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]
    wheels: WheelPlatform | None = None
    """None where the device must have the packages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileRef:
    """The profile it was made for, by name and sha256 of what the profile says."""

    name: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Speculation:
    """How guesses are looked up; sizes in tokens."""

    ngram: Ngram
    match: int
    """How many tokens must be the same before something is guessed."""
    draft: int
    """How many tokens are guessed at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeFlags:
    """How the runtime is started; context, batch and micro-batch in tokens. The defaults are llama.cpp's.

    Raises ValueError for what llama.cpp does not take, or takes and ignores.
    """

    context: int
    threads: int
    threads_batch: int | None = None
    """Threads that read the prompt; None: as many as write the answer."""
    cache_type: CacheType = CacheType.F16
    cache_type_v: CacheType | None = None
    """The type of the cache's values; None: that of its keys, which `cache_type` is then for both."""
    batch: int = 2048
    micro_batch: int = 512
    flash_attention: FlashAttention = FlashAttention.AUTO
    load_mode: LoadMode = LoadMode.AUTO
    repack: bool = True
    """Whether weights are laid out again for the processor's kernels, in memory of their own."""
    cpus: tuple[int, ...] | None = None
    """The logical CPUs it may use; None: all."""
    cpu_strict: bool = False
    """Whether each thread has one of `cpus` to itself, and stays there."""
    priority: int = 0
    """0 to 3; above 0 threads are real-time ones, which only root may start."""
    poll: int = 50
    """0 to 100: how long a thread without work spins before it sleeps."""
    speculation: Speculation | None = None

    def __post_init__(self) -> None:
        if self.cpus is not None and (not self.cpus or list(self.cpus) != sorted(set(self.cpus))):
            raise ValueError(f"CPUs {self.cpus} are not one or more, each once, in order")
        if not 0 <= self.priority <= 3 or not 0 <= self.poll <= 100:
            raise ValueError(f"priority {self.priority} is not 0 to 3, or polling {self.poll} not 0 to 100")
        if self.micro_batch > self.batch:
            raise ValueError(f"a micro-batch of {self.micro_batch} is more than the batch of {self.batch}")
        if self.cpu_strict and self.cpus is None:
            raise ValueError("strict placement needs CPUs to place threads on")

    @property
    def cache_types(self) -> tuple[CacheType, CacheType]:
        """Of the keys and of the values."""
        return self.cache_type, self.cache_type_v or self.cache_type


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedSource:
    """Third-party source at one version, by the sha256 of its archive."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What made the weights, or, where they were ready, the bundle around them."""

    edgepack: str
    llama_cpp: PinnedSource
    converter: Converter = Converter.EDGEPACK


@dataclass(frozen=True, kw_only=True, slots=True)
class BundledRuntime:
    """The programs in runtime/: which processor they are for, what they were made from, sha256 over them all."""

    target: str
    origin: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictedMemory:
    """Bytes that the model will need on the device, by part (`weights`, `kv_cache`, `compute`, …)."""

    parts: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(size for _, size in self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptState:
    """What the model's memory holds after a system prompt: tokens, and the commit of the llama.cpp that made it."""

    tokens: int
    commit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LargeModel:
    """The larger model of a route, where the bundle brings it."""

    model: BundledModel
    quantization: Quant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BundledRoute:
    """Where requests go up to, and below which confidence."""

    calibration: Calibration
    threshold: float
    large: LargeModel | Address


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleFacts:
    """What the maker knows of a bundle before its files are written.

    `name` is the bundle's directory name. `checkpoint` is the sha256 over the checkpoint's files, None when
    the bundle was made from ready weights. Raises ValueError for a name that cannot be a file name everywhere,
    an origin that is a path, and a sample prompt that is not one line.
    """

    name: str
    model: BundledModel
    checkpoint: str | None
    quantization: Quant | OnnxQuant | None
    profile: ProfileRef
    flags: RuntimeFlags
    provenance: Provenance
    adapter: BundledAdapter | None = None
    state: PromptState | None = None
    plan: PredictedMemory | None = None
    native: BundledRuntime | None = None
    """The programs that the bundle brings; None where the device must have some."""
    route: BundledRoute | None = None
    """None where there is one model."""
    encoder: BundledEncoder | None = None
    """None where llama.cpp runs the model."""
    tuned: str | None = None
    """What the flags gained where they were searched for, in one line; None where nobody searched."""
    sample_prompt: str = "Say hello."
    """What `verify` and `selftest` ask the model, on one line."""

    def __post_init__(self) -> None:
        if not is_safe_name(self.name):
            raise ValueError(f"bundle name {self.name!r} is not letters, digits and ._+- only")
        large = [self.large.model.origin] if self.large else []
        for origin in (self.model.origin, *([self.adapter.origin] if self.adapter else []), *large):
            if is_path(origin):
                raise ValueError(f"origin {origin!r} is a path of this machine, not a name")
        if self.tuned is not None and (not self.tuned.isprintable() or not self.tuned.strip()):
            raise ValueError(f"the gain {self.tuned!r} is not one line of text")
        if not self.sample_prompt.isprintable() or not self.sample_prompt.strip():
            raise ValueError(f"sample prompt {self.sample_prompt!r} is not one line of text")

    @property
    def large(self) -> LargeModel | None:
        """The second model that the bundle brings."""
        return self.route.large if self.route and isinstance(self.route.large, LargeModel) else None

    @property
    def runtime(self) -> RuntimeKind:
        """Where `run` finds what runs the model."""
        if self.encoder:
            return RuntimeKind.PYTHON
        return RuntimeKind.BUNDLED if self.native else RuntimeKind.HOST

    @property
    def over_3b(self) -> bool:
        """Whether the model has more parameters than a device profile takes unasked."""
        return self.model.parameters > OVER_3B


@dataclass(frozen=True, kw_only=True, slots=True)
class PayloadFile:
    """One file of the payload: its path in the bundle, bytes, sha256, and whether it is a program."""

    path: str
    size: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """manifest.json: the facts, and every payload file but itself and SHA256SUMS, sorted by path."""

    facts: BundleFacts
    weights: PayloadFile
    files: tuple[PayloadFile, ...]
    adapter: PayloadFile | None = None
    """The GGUF of an adapter that is not merged."""
    large: PayloadFile | None = None
    """The GGUF of the larger model."""

    @property
    def ggufs(self) -> tuple[PayloadFile, ...]:
        """All that llama.cpp loads."""
        if self.facts.encoder:
            return ()
        return tuple(file for file in (self.weights, self.adapter, self.large) if file)

    def wheel(self, package: str) -> PayloadFile:
        """The file of a package that the bundle brings."""
        return next(file for file in self.files if file.path.startswith(f"{WHEELS}/{package}-"))

    @property
    def licences(self) -> tuple[str, ...]:
        """Paths of the licence texts."""
        return tuple(file.path for file in self.files if file.path.startswith(f"{LICENCES}/"))

    @property
    def payload_size(self) -> int:
        """Bytes of all listed files."""
        return sum(file.size for file in self.files)

    @property
    def memory_needed(self) -> int:
        """Bytes of free memory to run it: the plan's total, or what is loaded where nothing is planned."""
        return self.facts.plan.total if self.facts.plan else sum(file.size for file in self.ggufs)


def is_safe_name(name: str) -> bool:
    """Whether `name` is a file name on every system, in every archive and in every shell, unquoted."""
    return _NAME.fullmatch(name) is not None and not name.endswith(".")


def safe_name(text: str) -> str:
    """The safe name nearest to `text`: other characters become `_`. Raises ValueError where nothing is left."""
    name = _UNSAFE.sub("_", text).lstrip("._+-").rstrip(".")[:100]
    if not is_safe_name(name):
        raise ValueError(f"{text!r} has nothing to make a file name of")
    return name


def is_safe_path(path: str) -> bool:
    """Whether `path` is a relative path of safe names, which therefore cannot leave the bundle."""
    return len(path) <= 250 and all(is_safe_name(part) for part in path.split("/"))


def is_path(origin: str) -> bool:
    """Whether an origin points into some machine's disk instead of naming something."""
    return origin.startswith(("/", "~", ".", "\\")) or origin[1:3] in (":\\", ":/")


def is_sha256(text: str) -> bool:
    """Whether `text` is a sha256 in lower-case hexadecimal."""
    return _SHA256.fullmatch(text) is not None
