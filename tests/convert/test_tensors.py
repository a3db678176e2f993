"""Which files and tensors a checkpoint's GGUF is made of, and in which order."""

import json
from pathlib import Path

import pytest

from edgepack.convert.config import read_config
from edgepack.convert.families.llama import LLAMA
from edgepack.convert.tensors import Source, match, stored_tensors, written_order
from edgepack.domain.errors import BadInputError
from tests.fakes.demo_copy import EMBEDDING, WEIGHTS, add, copy_demo, read_weights, shard, write_weights


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return copy_demo(tmp_path / "model")


def matched(directory: Path) -> list[Source]:
    return match(LLAMA, LLAMA.complete(read_config(directory)), stored_tensors(directory))


def test_tensors_are_written_by_layer_then_name(checkpoint: Path) -> None:
    names = [source.name for source in matched(checkpoint)]
    assert names[:4] == ["output_norm.weight", "token_embd.weight", "blk.0.attn_k.weight", "blk.0.attn_norm.weight"]
    layers = [int(name.split(".")[1]) for name in names if name.startswith("blk.")]
    assert layers == sorted(layers)


def test_layer_10_comes_after_layer_9() -> None:
    sources = [Source(name=f"blk.{layer}.x", shape=(1,), origin=None) for layer in (10, 9)]  # type: ignore[arg-type]
    assert [source.name for source in sorted(sources, key=written_order)] == ["blk.9.x", "blk.10.x"]


def test_shards_hold_what_one_file_holds(checkpoint: Path) -> None:
    whole = {source.name: source.shape for source in matched(checkpoint)}
    files = shard(checkpoint)
    assert {source.name: source.shape for source in matched(checkpoint)} == whole
    (checkpoint / "model.safetensors.index.json").unlink()
    assert {source.name: source.shape for source in matched(checkpoint)} == whole
    assert {tensor.path.name for tensor in stored_tensors(checkpoint).values()} == set(files)


def test_files_that_the_digest_does_not_cover_are_not_read(checkpoint: Path) -> None:
    """Beside model.safetensors nothing counts; beside shards, only shards."""
    header, data = read_weights(checkpoint)
    write_weights(checkpoint, header, bytes(data), name="model-extra.safetensors")
    write_weights(checkpoint, header, bytes(data), name="model-00001-of-00002.safetensors")
    assert {tensor.path.name for tensor in stored_tensors(checkpoint).values()} == {WEIGHTS}


def test_what_nothing_needs_is_left_out(checkpoint: Path) -> None:
    add(checkpoint, "model.layers.0.self_attn.rotary_emb.inv_freq", "F32", [2], bytes(8))
    assert all("inv_freq" not in source.name for source in matched(checkpoint))


def test_a_head_of_its_own_is_written(checkpoint: Path) -> None:
    add(checkpoint, "lm_head.weight", "BF16", [768, 256], bytes(768 * 256 * 2))
    assert "output.weight" in [source.name for source in matched(checkpoint)]


@pytest.mark.parametrize("name", ["..", "../model.safetensors", "/etc/passwd", "a/b.safetensors", ""])
def test_an_index_names_files_beside_it_alone(checkpoint: Path, name: str) -> None:
    index = {"weight_map": {EMBEDDING: name}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadInputError, match="no plain file name"):
        stored_tensors(checkpoint)


def test_many_missing_tensors_are_counted_not_listed(checkpoint: Path) -> None:
    write_weights(checkpoint, {}, b"")
    with pytest.raises(BadInputError, match=r"missing tensors: \S+, \S+, \S+ and 17 more$"):
        matched(checkpoint)
