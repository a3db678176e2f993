"""What a build starts from: a checkpoint, or weights that are quantized already, opened as far as its headers."""

from dataclasses import replace
from pathlib import Path
from typing import assert_never

from edgepack.domain.checkpoint import Checkpoint
from edgepack.domain.converter import Converter
from edgepack.domain.engine import Engine
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.plan import refuse_over_3b
from edgepack.domain.progress import Progress
from edgepack.domain.source import GgufSource, HubSource, OnnxSource, Source
from edgepack.infra.library import load_catalogue
from edgepack.infra.pins import llama_cpp_pin
from edgepack.infra.store import Store, home
from edgepack.pipeline.order import Material, Order
from edgepack.stages.adapter import OpenedAdapter, adapter_size
from edgepack.stages.adopt import adopt
from edgepack.stages.convert import (
    Opened,
    open_checkpoint,
    open_full_precision,
)
from edgepack.stages.encoder import adopt_encoder, becomes_onnx, open_encoder_checkpoint
from edgepack.stages.fetch import fetch
from edgepack.stages.upstream import open_upstream

USUAL_CONTEXT = 4096


def is_encoder(order: Order, progress: Progress) -> bool:
    """Whether onnxruntime runs what the order names; a checkpoint is fetched to know."""
    if isinstance(order.source, GgufSource | OnnxSource):
        return isinstance(order.source, OnnxSource)
    if order.engine is not None:
        return order.engine is Engine.ONNX
    return becomes_onnx(_fetched(order.source, order, progress))


def _fetched(source: Source, order: Order, progress: Progress) -> Checkpoint:
    return fetch(source, cache=home() / "hub", progress=progress, offline=order.offline)


def open_material(order: Order, adapter: OpenedAdapter | None, progress: Progress) -> Material:
    _refuse_checkpoint(order)
    if isinstance(order.source, OnnxSource):
        made_of = _fetched(order.checkpoint, order, progress) if order.checkpoint else None
        return adopt_encoder(
            order.source.path, memo=home() / "digests", allow_over_3b=order.allow_over_3b, progress=progress,
            checkpoint=made_of,
        )  # fmt: skip
    if isinstance(order.source, GgufSource):
        _refuse_conversion(order.source.path, order)
        memo = home() / "digests"
        return adopt(order.source.path, memo=memo, allow_over_3b=order.allow_over_3b, progress=progress)
    if isinstance(order.source, HubSource) and (listed := load_catalogue().find(order.source.repository)):
        # Known to be too large before gigabytes are fetched; the tensors are counted all the same.
        refuse_over_3b(listed.id, listed.parameters, allowed=order.allow_over_3b)
    checkpoint = _fetched(order.source, order, progress)
    if order.engine is Engine.ONNX or (order.engine is None and becomes_onnx(checkpoint)):
        return open_encoder_checkpoint(checkpoint, allow_over_3b=order.allow_over_3b)
    match order.converter:
        case Converter.EDGEPACK:
            return _opened(checkpoint, order, adapter)
        case Converter.UPSTREAM:
            full = open_upstream(
                checkpoint,
                llama_cpp=llama_cpp_pin().version,
                store=Store(home()),
                allow_over_3b=order.allow_over_3b,
                offline=order.offline,
                progress=progress,
            )
            return open_full_precision(checkpoint, full, tuning=order.tuning)
        case _:
            assert_never(order.converter)


def _opened(checkpoint: Checkpoint, order: Order, adapter: OpenedAdapter | None) -> Opened:
    """The checkpoint with the adapter in its weights, or beside them."""
    if adapter is None or not adapter.choice.merge:
        opened = open_checkpoint(checkpoint, allow_over_3b=order.allow_over_3b, tuning=order.tuning)
        return replace(opened, beside=adapter_size(adapter, opened.conversion)) if adapter else opened
    return open_checkpoint(
        checkpoint,
        allow_over_3b=order.allow_over_3b,
        tuning=order.tuning,
        merge=adapter.adapter,
        merge_digest=adapter.checkpoint.digest,
    )


def refuse_embedding(material: Material) -> None:
    if material.embeds:
        raise BadInputError(
            f"{material.name}: a model that gives vectors of texts; llama.cpp's bundles write text",
            hint="build from its checkpoint without --engine llamacpp, or make its weights with edgepack convert",
        )


def refuse_wheels(order: Order) -> None:
    """Raise UsageError for what only encoders' bundles have."""
    for option, said in (("--with-wheels", order.wheels), ("--python", order.python), ("--quant", order.precision)):
        if said:
            raise UsageError(f"{option}: for encoders, which onnxruntime runs", hint="leave it away")


def _refuse_checkpoint(order: Order) -> None:
    if order.checkpoint and not isinstance(order.source, GgufSource | OnnxSource):
        raise UsageError(
            "--checkpoint: only ready weights are said to be of one",
            hint="leave it away, or give a .gguf or .onnx as --model",
        )
    if isinstance(order.checkpoint, GgufSource | OnnxSource):
        raise UsageError(
            f"--checkpoint {order.checkpoint.path}: these are weights",
            hint="give the catalogue id, repository or directory that they were made of",
        )


def _refuse_conversion(path: Path, order: Order) -> None:
    options = [
        *order.tuning.options,
        *(["--adapter"] if order.adapter else []),
        *(["--converter"] if order.converter is not Converter.EDGEPACK else []),
    ]
    if options:
        raise UsageError(
            f"{options[0]}: {path.name} is quantized already",
            hint="leave the option away, or build from the checkpoint that the file was made from",
        )


def context_of(asked: int | None, material: Material) -> int:
    limit = material.context_length
    if asked is None:
        return min(USUAL_CONTEXT, limit)
    if asked > limit:
        raise UsageError(
            f"--ctx {asked}: {material.name} was made for {limit} tokens", hint=f"ask for {limit} or fewer"
        )
    return asked
