"""A LoRA adapter, read and digested, and made the GGUF that rides beside its base model's weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgepack.convert.adapter import CONFIG, WEIGHTS, Adapter, read_adapter
from edgepack.convert.card import card_licence
from edgepack.convert.full_gguf import FullGguf
from edgepack.convert.layout import tensor_bytes
from edgepack.convert.lora_gguf import adapter_tensors, write_adapter
from edgepack.convert.onepass import Conversion
from edgepack.domain.adapter import AdapterChoice, AdapterWeights
from edgepack.domain.checkpoint import LOCAL, Checkpoint, CheckpointFile, is_terms
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.formats.partial import partial_directory
from edgepack.infra.digests import sha256_of
from edgepack.infra.kept import keep_file
from edgepack.infra.store import Store, require_space

# Raised whenever the bytes that a conversion gives change: it is part of every key.
_CONVERTER = "edgepack-adapter/1"
_NO_FAMILY = "no adapter is taken for what upstream's converter makes"
# What the GGUF's keys and tensors are made of; upstream looks into a model's config.json for them too.
_READ = frozenset({CONFIG, WEIGHTS, "README.md", "config.json", "generation_config.json"})


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedAdapter:
    """An adapter whose settings and headers were read and believed, and whose files are known by digest."""

    adapter: Adapter
    checkpoint: Checkpoint
    choice: AdapterChoice

    @property
    def name(self) -> str:
        return self.checkpoint.directory.name

    @property
    def licence(self) -> str | None:
        """What its model card calls its licence."""
        return card_licence(self.checkpoint.directory)


def open_adapter(choice: AdapterChoice, *, memo: Path, progress: Progress) -> OpenedAdapter:
    """Read an adapter's directory as far as its headers; `memo` keeps digests, as in `sha256_of`.

    Raises BadInputError for what is no plain LoRA, whole and in safetensors.
    """
    directory = choice.directory.resolve()
    adapter = read_adapter(directory)
    progress.step(f"adapter {directory.name}: {len(adapter.updates)} matrices")
    files = tuple(_digested(directory, memo))
    checkpoint = Checkpoint(directory=directory, origin=f"directory:{directory.name}", revision=LOCAL, files=files)
    return OpenedAdapter(adapter=adapter, checkpoint=checkpoint, choice=choice)


def _digested(directory: Path, memo: Path) -> Iterator[CheckpointFile]:
    for path in sorted(directory.iterdir()):
        if path.is_file() and (path.name in _READ or is_terms(path.name)):
            yield CheckpointFile(name=path.name, size=path.stat().st_size, sha256=sha256_of(path, memo=memo))


def adapter_size(opened: OpenedAdapter, base: Conversion | FullGguf) -> int:
    """Bytes of its tensors in memory; raises BadInputError for an adapter of another model."""
    assert isinstance(base, Conversion), _NO_FAMILY
    return sum(
        tensor_bytes(source, type) for source, type in adapter_tensors(opened.adapter, base, opened.choice.type)
    )


def convert_adapter(
    opened: OpenedAdapter,
    base: Conversion | FullGguf,
    *,
    checkpoint: str,
    llama_cpp: str,
    store: Store,
    threads: int,
    progress: Progress,
) -> AdapterWeights:
    """The adapter's GGUF, out of the store or made now; `checkpoint` is the base model's digest."""
    assert isinstance(base, Conversion), _NO_FAMILY
    conversion, type = base, opened.choice.type
    step = Step(
        name="adapter",
        inputs={"adapter": opened.checkpoint.digest, "checkpoint": checkpoint},
        parameters={"name": opened.name, "type": type},
        tool=f"{_CONVERTER} {llama_cpp}",
    )
    warn_of_vectors(opened.adapter, progress)

    def make(path: Path) -> str:
        require_space(path.parent, adapter_size(opened, conversion), opened.name)
        return write_adapter(path, opened.adapter, opened.name, conversion, type, threads=threads, progress=progress)

    kept, made = keep_file(store, step, "adapter.gguf", make)
    if not made:
        progress.step(f"{opened.name} {type} stands in the store")
    return AdapterWeights(path=kept.path, sha256=kept.sha256, size=kept.size, type=type)


def adapter_to(
    path: Path, opened: OpenedAdapter, base: Conversion | FullGguf, *, threads: int, progress: Progress
) -> AdapterWeights:
    """The adapter's GGUF, written to `path` past the store; an error leaves what stood there."""
    assert isinstance(base, Conversion), _NO_FAMILY
    adapter, type = opened.adapter, opened.choice.type
    warn_of_vectors(adapter, progress)
    with partial_directory(path) as partial:
        new = partial / "adapter.gguf"
        digest = write_adapter(new, adapter, opened.name, base, type, threads=threads, progress=progress)
        size = new.stat().st_size
        new.replace(path)
    return AdapterWeights(path=path, sha256=digest, size=size, type=type)


def warn_of_vectors(adapter: Adapter, progress: Progress) -> None:
    """Say that llama.cpp keeps the base model's norms, whatever the adapter holds (llama-adapter.cpp)."""
    if adapter.vectors:
        progress.warn(f"llama.cpp does not apply the adapter's {len(adapter.vectors)} norms: --merge does")
