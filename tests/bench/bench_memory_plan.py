"""The memory plan against llama.cpp: every family, three sizes, four contexts, two types of cache.

    python -m tests.bench.bench_memory_plan [--parts 4,2,1] [--quant Q4_0] [MODEL …]

Each size of each model gets synthetic weights and a process of its own, which loads them with the bindings, reads
what llama.cpp logs of its buffers, and lets it read a micro-batch and write four tokens. Then, in percent:

    computed   the plan by arithmetic against all buffers that were reported: weights, copies, caches, states, compute
    asked      the same with the compute buffers that llama.cpp says it would reserve, without any weights
    resident   the planned peak of the resident set against what the process had at the most beyond what it began with

Exits with 1 where one of the first two is off by more than 3 %, or the last by more than 5 %.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgepack.convert.config import read_config
from edgepack.convert.memory import loaded_weights, memory_shape, write_skeleton
from edgepack.convert.outline import Outline, outline
from edgepack.convert.synthetic import write_synthetic
from edgepack.convert.typeplan import Mixture
from edgepack.domain.bundle import CacheType
from edgepack.domain.memory import PIECE_BYTES, PROGRAM, Buffers, LoadedWeights, MemoryShape, Need, buffers, predicted
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.repacking import Loading, repacks_of
from edgepack.engines.llamacpp_buffers import parse_buffers, reserved
from edgepack.infra.load import peak_memory, reset_peak_memory
from edgepack.infra.machine import host_profile
from tests.bench.bench_memory import MODELS, Real, resized
from tests.oracle.recipes import RECIPES

BUFFERS, RESIDENT = 0.03, 0.05
CONTEXTS = (512, 2048, 4096, 8192)
CACHES = (CacheType.F16, CacheType.Q8_0)
PARTS = (4, 2, 1)
"""Into how many parts a published model's sizes are divided; its depth is divided by twice as many."""
_DIVIDED = (
    "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "mamba_n_heads", "mamba_d_ssm",
    "linear_num_key_heads", "linear_num_value_heads", "block_dim", "conv_dim", "conv_dim_out", "num_heads",
    "block_ff_dim", "shared_intermediate_size",
)  # fmt: skip
_LEAST_LAYERS = 6
MAPPED = re.compile(r"model buffer size = +([\d.]+) MiB")
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What one context had, in bytes."""

    reported: Buffers
    weights: int
    """Mapped and copied, as reported."""
    resident: int
    """At the most, beyond the process itself."""


def divided(model: Real, parts: int) -> dict[str, Any]:
    """The config of a model like that, but smaller."""
    recipe = next(recipe for recipe in RECIPES if recipe.name.startswith(model.like))
    whole = resized(recipe.config, model.sizes)
    text = whole.get("text_config", whole)
    layers = max(_LEAST_LAYERS, text["num_hidden_layers"] // (2 * parts))
    sizes: dict[str, Any] = {name: max(1, text[name] // parts) for name in _DIVIDED if type(text.get(name)) is int}
    sizes["num_hidden_layers"] = layers
    if "layer_types" in text:
        sizes["layer_types"] = text["layer_types"][:layers]
    if "full_attn_idxs" in text:
        sizes["full_attn_idxs"] = [number for number in text["full_attn_idxs"] if number < layers]
    return resized({"vocab_size": model.tokens, **whole}, sizes)


def needs(shape: MemoryShape) -> Iterator[Need]:
    """Each context with each type of cache; a quantized one where heads are whole blocks of it."""
    for context in CONTEXTS:
        for type in CACHES:
            if type is CacheType.F16 or (shape.query // shape.heads) % 32 == 0:
                yield Need(context=context, keys=type, values=type)


def child(weights: Path, wanted: list[Need]) -> None:
    """Load, and print what each context takes."""
    import ctypes

    from edgepack.engines.llamacpp_library import context, hearing, library, opened

    library()
    reset_peak_memory()
    library_needs = peak_memory()
    with hearing() as said, opened(weights) as model:
        loaded_bytes = sum(float(size) for size in MAPPED.findall("".join(said))) * _MIB
        for need in wanted:
            reset_peak_memory()
            said.clear()
            with context(model, tokens=need.context, threads=2, cpus=None, need=need) as handle:
                tokens = (ctypes.c_int32 * need.tokens)(*range(need.tokens))
                for count in (need.tokens - 4, 1, 1, 1, 1):
                    status = model.native.llama_decode(handle, model.native.llama_batch_get_one(tokens, count))
                    assert status == 0
            found = parse_buffers("".join(said))
            print(json.dumps([
                found.kv_cache, found.state, found.compute, found.output, round(loaded_bytes),
                (peak_memory() or 0) - (library_needs or 0),
            ]), flush=True)  # fmt: skip


def measured(shape: Outline, need_list: list[Need], quant: Quant, place: Path) -> list[Seen]:
    path = place / "synthetic.gguf"
    write_synthetic(shape, "bench", quant, path, progress=Silent())
    words = [json.dumps([need.context, need.keys]) for need in need_list]
    command = [sys.executable, "-m", "tests.bench.bench_memory_plan", "--child", str(path), *words]
    # What one context frees goes back to the system, and is not counted for the next.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(128 << 10), "MALLOC_TRIM_THRESHOLD_": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    path.unlink()
    return [_seen(json.loads(line)) for line in done.stdout.splitlines()]


def _seen(numbers: list[int]) -> Seen:
    kv_cache, state, compute, output, weights, resident = numbers
    found = Buffers(kv_cache=kv_cache, state=state, compute=compute, output=output)
    return Seen(reported=found, weights=weights, resident=resident)


@dataclass(frozen=True, kw_only=True, slots=True)
class Errors:
    """Shares of what was seen; above zero where the plan is too large."""

    computed: float
    asked: float
    resident: float

    @property
    def met(self) -> bool:
        return max(abs(self.computed), abs(self.asked)) <= BUFFERS and abs(self.resident) <= RESIDENT


def compared(shape: MemoryShape, weights: LoadedWeights, need: Need, asked: Buffers, seen: Seen) -> Errors:
    reported = _sum(seen.reported) + seen.weights
    planned = weights.file + weights.repacked
    plan = predicted(shape, weights, need)
    # The bindings' own pages were there before; and of a mask only what speaks of cells in use is written.
    untouched = buffers(shape, need).compute - buffers(shape, replace(need, context=need.tokens)).compute
    resident = plan.resident - PROGRAM - untouched
    return Errors(
        computed=(_sum(buffers(shape, need)) + planned) / reported - 1,
        asked=(_sum(asked) + planned) / reported - 1,
        resident=resident / seen.resident - 1,
    )


def _sum(found: Buffers) -> int:
    return found.kv_cache + found.state + found.compute + found.output


def one(model: Real, parts: int, quant: Quant, place: Path) -> list[Errors]:
    """A line for one size of one model."""
    (place / "config.json").write_text(json.dumps(divided(model, parts)))
    described = outline(read_config(place))
    shape = replace(memory_shape(described), token_bytes=PIECE_BYTES)  # what synthetic weights have
    loading = Loading(repacks=repacks_of(host_profile().isa))
    weights = loaded_weights(described.plan, Mixture(quant=quant), loading, writes=bool(shape.caches))
    wanted = list(needs(shape))
    write_skeleton(described, place / "skeleton.gguf")
    asked = reserved(place / "skeleton.gguf", *wanted)
    seen = measured(described, wanted, quant, place)
    errors = [compared(shape, weights, *each) for each in zip(wanted, asked, seen, strict=True)]
    sizes = f"{weights.file / _MIB:6.0f} MiB"
    print(
        f"{model.name:22} 1/{parts} {sizes}  {_worst(errors)}{'' if all(e.met for e in errors) else '  MISSED'}",
        flush=True,
    )
    return errors


def _worst(errors: list[Errors]) -> str:
    columns = ("computed", "asked", "resident")
    return "  ".join(f"{max((getattr(each, name) for each in errors), key=abs):+8.2%}" for name in columns)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quant", type=Quant, default=Quant.Q4_0)
    parser.add_argument("--parts", default=",".join(map(str, PARTS)), help="divisors of published sizes")
    parser.add_argument("--scratch", type=Path, help="a directory with 3 GB free; default: the system's")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="beginnings of names; default: all")
    options = parser.parse_args()
    if options.child:
        pairs = [json.loads(word) for word in options.models]
        child(options.child, [Need(context=size, keys=CacheType(t), values=CacheType(t)) for size, t in pairs])
        return 0
    print(f"{'':22}     {'weights':>10}  {'computed':>8}  {'asked':>8}  {'resident':>8}   the worst of each")
    errors: list[Errors] = []
    for model in MODELS:
        for parts in map(int, options.parts.split(",")) if model.name.startswith(tuple(options.models) or "") else ():
            with TemporaryDirectory(dir=options.scratch) as place:
                errors += one(model, parts, options.quant, Path(place))
    for name in ("computed", "asked", "resident"):
        off = [abs(getattr(each, name)) for each in errors]
        print(f"{name:9} median {statistics.median(off):.2%}, at most {max(off):.2%} of {len(off)}")
    return int(not all(each.met for each in errors))


if __name__ == "__main__":
    sys.exit(main())
