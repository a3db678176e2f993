"""GGUFs of known shapes for benchmarks of speed: synthetic weights, and the demo model with its real ones.

    python -m tests.bench.shapes DIRECTORY

makes what is not there yet.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from edgepack.cli.main import run
from edgepack.domain.quant import Quant
from tests.bench.workloads import weights_like

QUANTS = (Quant.Q4_0, Quant.Q8_0, Quant.Q4_K_M)
SHAPES = ("smollm2-135m-instruct", "qwen2.5-0.5b-instruct", "llama-3.2-1b-instruct")
NAMES = ("demo-5m", *SHAPES)


def make_all(directory: Path) -> dict[tuple[str, Quant], Path]:
    """Every shape at every quantization."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = {(name, quant): directory / f"{name}-{quant}.gguf" for name in NAMES for quant in QUANTS}
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        for (name, quant), path in paths.items():
            if not path.exists():
                _make(name, quant, path, Path(scratch))
    return paths


def _make(name: str, quant: Quant, path: Path, scratch: Path) -> None:
    if name in SHAPES:
        shutil.copyfile(weights_like(f"{name}:{quant}", scratch / f"{name}-{quant}"), path)
    elif run(["convert", name, "--quant", quant, "--out", str(path), "--quiet"]):
        raise SystemExit(f"{path}: not converted")


if __name__ == "__main__":
    for path in make_all(Path(sys.argv[1])).values():
        print(path)
