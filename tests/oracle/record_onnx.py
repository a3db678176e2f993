"""Record what transformers gives for the small ONNX encoders: tests/data/oracle-onnx/NAME.json.

python -m tests.oracle.record_onnx --python ORACLE_PYTHON --llama-cpp SOURCE
"""

import argparse
import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conftest import ROOT
from tests.fakes.checkpoints import make_checkpoint
from tests.oracle.onnx_encoders import RECIPES, TEXTS

DATA = ROOT / "tests" / "data" / "oracle-onnx"
_DIGITS = 6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    arguments = parser.parse_args()
    DATA.mkdir(exist_ok=True)
    for recipe in RECIPES:
        with TemporaryDirectory() as scratch:
            place = Path(scratch)
            make_checkpoint(recipe, place / "checkpoint", arguments.llama_cpp / "models")
            (place / "texts.json").write_text(json.dumps(TEXTS))
            subprocess.run(
                [arguments.python, ROOT / "tests" / "oracle" / "onnx_reference.py", place / "checkpoint",
                 place / "texts.json", place / "out.json"],
                check=True, env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
            )  # fmt: skip
            found = _rounded(json.loads((place / "out.json").read_text()))
        (DATA / f"{recipe.name}.json").write_text(json.dumps(found) + "\n")
        print(recipe.name)


def _rounded(values: Any) -> Any:
    return [_rounded(one) for one in values] if isinstance(values, list) else round(values, _DIGITS)


if __name__ == "__main__":
    main()
