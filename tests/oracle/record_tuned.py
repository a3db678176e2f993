"""Record what the pinned llama-quantize gives with --imatrix and --tensor-type, as record.py does for the rest.

python -m tests.oracle.record_tuned --llama-cpp SOURCE --quantize LLAMA_QUANTIZE --python PYTHON [CASE …]
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile, copytree
from tempfile import TemporaryDirectory
from typing import Any

from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.gguf_raw import RawGguf
from tests.oracle.describe import describe
from tests.oracle.record import run, run_converter
from tests.oracle.tuned import CASES, DATA, DEMO, MATRIX, PIECE, Case, write_piece

RECORDS = Path(__file__).parent.parent / "data" / "oracle-imatrix"


def columns_of(gguf: Path) -> dict[str, int]:
    """Every matrix of a GGUF and the length of its rows."""
    return {name: shape[-1] for name, shape in RawGguf(gguf.read_bytes()).shapes.items() if len(shape) > 1}


def oracle(case: Case, scratch: Path, tools: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """(quantization, description) for each of the case's."""
    checkpoint = make_checkpoint(case.recipe, scratch / case.recipe.name, tools.llama_cpp / "models")
    full = run_converter(case.recipe, checkpoint, tools)
    matrix = case.write_matrix(scratch, columns_of(full))
    options = [word for override in case.overrides for word in ("--tensor-type", override)]
    options += ["--imatrix", matrix.name] if matrix else []
    for quant in case.quants:
        made = scratch / f"{quant}.gguf"
        # Where the matrix lies: what llama-quantize notes of it is its name as given.
        run([tools.tools / "llama-quantize", *options, full, made, quant.value, "2"], cwd=scratch)
        yield quant.value, describe(made)
        made.unlink()


def record_matrix(tools: argparse.Namespace) -> None:
    """The smaller demo model's importance matrix on a piece of the calibration text, by llama-imatrix itself."""
    with TemporaryDirectory() as scratch:
        checkpoint = copytree(DATA / DEMO.name, Path(scratch) / DEMO.name)
        full = run_converter(DEMO, checkpoint, tools)
        write_piece(Path(scratch) / PIECE)
        command = [tools.tools / "llama-imatrix", "-m", full, "-f", PIECE, "-o", MATRIX.name]
        run(command, cwd=Path(scratch))
        copyfile(Path(scratch) / MATRIX.name, MATRIX)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names, or beginnings of names; default: all")
    tools = parser.parse_args()
    tools.tools = tools.tools.absolute()
    if not tools.cases:
        record_matrix(tools)
    for case in CASES:
        if case.name.startswith(tuple(tools.cases) or ""):
            with TemporaryDirectory() as scratch:
                record = dict(oracle(case, Path(scratch), tools))
            (RECORDS / f"{case.name}.json").write_text(json.dumps(record, indent=0, ensure_ascii=True) + "\n")
            print(case.name, "recorded", flush=True)


if __name__ == "__main__":
    main()
