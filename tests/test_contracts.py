"""The floors are a test: what pyproject.toml says of imports holds for every module."""

import sys
from pathlib import Path
from subprocess import run

ROOT = Path(__file__).parent.parent


def test_every_import_contract_is_kept() -> None:
    done = run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
