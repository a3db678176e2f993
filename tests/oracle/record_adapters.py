"""Record what the pinned convert_lora_to_gguf.py gives, and converter and quantizer for adapters that are merged.

    python -m tests.oracle.record_adapters --llama-cpp SOURCE --quantize LLAMA_QUANTIZE --python PYTHON [CASE …]

The merges are made by numpy, and once more by torch: what differs is counted and said.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgepack.convert.safetensors import read_header
from edgepack.domain.adapter import AdapterType
from tests.fakes.adapters import make_adapter, make_merged
from tests.fakes.checkpoints import make_checkpoint
from tests.oracle.adapters import CASES, Case
from tests.oracle.describe import describe
from tests.oracle.record import run

RECORDS = Path(__file__).parent.parent / "data" / "oracle-adapters"


def oracle(case: Case, scratch: Path, tools: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """("adapter F16", …) for each type of the adapter's GGUF, and ("merged Q4_0", …) for each quantization."""
    base = make_checkpoint(case.base, scratch / "base" / case.base.name, tools.llama_cpp / "models")
    shapes = {tensor.name: tensor.shape for path in base.glob("*.safetensors") for tensor in read_header(path)}
    adapter = make_adapter(case.adapter, shapes, scratch / case.adapter.name)
    made = scratch / "made.gguf"
    for type in AdapterType if case.gguf else ():
        _convert(tools, "convert_lora_to_gguf.py", "--base", base, adapter, made, type.lower())
        yield f"adapter {type}", describe(made)
    merged = make_merged(base, adapter, case.scales, scratch / "merged" / case.base.name)
    run([tools.python, Path(__file__).with_name("merge_reference.py"), base, adapter, merged / "model.safetensors"])
    full = scratch / "full.gguf"
    _convert(tools, "convert_hf_to_gguf.py", merged, full, "f32")
    for quant in case.quants:
        run([tools.quantize, full, made, quant.value, "2"])
        yield f"merged {quant}", describe(made)


def _convert(tools: argparse.Namespace, script: str, *words: str | Path) -> None:
    *inputs, out, outtype = words
    environment = {"PATH": "", "PYTHONPATH": str(tools.llama_cpp / "gguf-py"), "HF_HUB_OFFLINE": "1"}
    command = [tools.python, tools.llama_cpp / script, *inputs, "--outfile", out, "--outtype", outtype]
    run(command, environment=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--quantize", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names, or beginnings of names; default: all")
    tools = parser.parse_args()
    for case in CASES:
        if case.name.startswith(tuple(tools.cases) or ""):
            with TemporaryDirectory() as scratch:
                record = dict(oracle(case, Path(scratch), tools))
            (RECORDS / f"{case.name}.json").write_text(json.dumps(record, indent=0, ensure_ascii=True) + "\n")
            print(case.name, "recorded", flush=True)


if __name__ == "__main__":
    main()
