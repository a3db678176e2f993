"""Run the oracle — the pinned convert_hf_to_gguf.py, then its llama-quantize — and record what it gave.

    python -m tests.oracle.record --llama-cpp SOURCE --quantize LLAMA_QUANTIZE --python PYTHON [RECIPE …]

PYTHON is an environment with torch and transformers, as docs/oracle.md says. For every recipe and quantization
its record in tests/data/oracle holds each tensor's type and sha256, each key's sha256, and the whole file's.
"""

import argparse
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgepack.domain.quant import Quant
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.oracle.describe import describe
from tests.oracle.recipes import RECIPES

RECORDS = Path(__file__).parent.parent / "data" / "oracle"
_OUTTYPE = {"BF16": "bf16", "F16": "f16", "F32": "f32"}


def oracle(recipe: Recipe, checkpoint: Path, tools: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """(quantization, description) for every quantization edgepack makes."""
    full = run_converter(recipe, checkpoint, tools)
    for quant in Quant:
        made = checkpoint.parent / f"{recipe.name}.{quant}.gguf"
        run([tools.quantize, full, made, quant.value, "2"])
        yield quant.value, describe(made)
        made.unlink()


def run_converter(recipe: Recipe, checkpoint: Path, tools: argparse.Namespace) -> Path:
    """The oracle's first step, in the checkpoint's own precision; returns the GGUF, beside the checkpoint."""
    full = checkpoint.parent / f"{recipe.name}.full.gguf"
    environment = {**os.environ, "PYTHONPATH": str(tools.llama_cpp / "gguf-py"), "HF_HUB_OFFLINE": "1"}
    convert = [tools.python, tools.llama_cpp / "convert_hf_to_gguf.py", checkpoint, "--outfile", full]
    outtype = _OUTTYPE[recipe.outtype or recipe.dtype]
    run([*convert, "--outtype", outtype, *recipe.options], environment=environment)
    return full


def run(command: list[str | Path], *, environment: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run one of the oracle's programs; exits with what it said where it fails."""
    done = subprocess.run(
        [str(word) for word in command], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--quantize", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="names, or beginnings of names; default: all")
    tools = parser.parse_args()
    for recipe in RECIPES:
        if recipe.name.startswith(tuple(tools.recipes) or ""):
            with TemporaryDirectory() as scratch:
                checkpoint = make_checkpoint(recipe, Path(scratch) / recipe.name, tools.llama_cpp / "models")
                record = dict(oracle(recipe, checkpoint, tools))
            place = RECORDS / f"{recipe.name}.json"
            place.write_text(json.dumps(record, indent=0, ensure_ascii=True) + "\n")
            print(recipe.name, "recorded", flush=True)


if __name__ == "__main__":
    main()
