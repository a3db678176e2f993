"""What a text costs a model: as llama-perplexity has it, and nothing where that refuses."""

from pathlib import Path

import pytest

from edgepack.engines.llamacpp_losses import mean_losses
from tests.fakes.tiny_gguf import write_tiny_gguf

TEXT = "the cat and the other cat " * 10


def test_losses_are_means_over_ever_more_chunks(tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf")
    losses = mean_losses(weights, TEXT, adapter=None, threads=1)
    assert len(losses) == 4
    assert all(0 < loss < 100 for loss in losses)
    assert losses == pytest.approx(mean_losses(weights, TEXT, adapter=None, threads=2), abs=1e-3)


def test_another_model_is_surprised_otherwise(tmp_path: Path) -> None:
    one, two = (
        mean_losses(write_tiny_gguf(tmp_path / f"{seed}.gguf", seed=seed), TEXT, adapter=None, threads=1)
        for seed in (1, 2)
    )
    assert max(abs(a - b) for a, b in zip(one, two, strict=True)) > 0.1


def test_where_llama_perplexity_refuses_there_are_none(tmp_path: Path) -> None:
    assert mean_losses(write_tiny_gguf(tmp_path / "t.gguf"), "short", adapter=None, threads=1) == ()
    ends = write_tiny_gguf(tmp_path / "ends.gguf", adds_eos=True)
    assert mean_losses(ends, TEXT, adapter=None, threads=1) == ()
