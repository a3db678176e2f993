"""A build asks its licence policy about everything that goes into the bundle, before anything is made."""

import json
import shutil
from pathlib import Path

import pytest

import edgepack
from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.domain.licences import named_licence


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A model of no catalogue."""
    shutil.copytree(Path(edgepack.__file__).parent / "data" / "demo-1m", tmp_path / "model")
    return tmp_path / "model"


def card(checkpoint: Path, licence: str) -> None:
    (checkpoint / "README.md").write_text(f"---\nlicense: {licence}\n---\n")


def build(checkpoint: Path | str, tmp_path: Path, *words: str) -> int:
    out = tmp_path / "out"
    common = ["--profile", "rpi5", "--runtime", "none", "--no-bench", "--gates", "none", "--quiet"]
    return run(["build", "--model", str(checkpoint), *common, "--out", str(out), *words])


def test_terms_that_a_policy_refuses_end_with_7_before_anything_is_made(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card(checkpoint, "cc-by-nc-4.0")
    assert build(checkpoint, tmp_path, "--licence-policy", "permissive") == ExitCode.VERIFICATION
    what, hint = capsys.readouterr().err.splitlines()
    assert "cc-by-nc-4.0 is not among the licences that the policy permissive allows" in what
    assert "docs/licences.md" in hint
    assert not (tmp_path / "out").exists()
    assert build(checkpoint, tmp_path) == 0


def test_a_card_that_says_apache_in_the_hubs_way_is_permissive(checkpoint: Path, tmp_path: Path) -> None:
    card(checkpoint, "apache-2.0")
    policy = tmp_path / "product.toml"
    policy.write_text('schema = 1\ncommercial = true\nregions = ["EU"]\n')
    assert build(checkpoint, tmp_path, "--licence-policy", str(policy)) == 0
    card(checkpoint, "other")
    assert build(checkpoint, tmp_path, "--licence-policy", str(policy)) == ExitCode.VERIFICATION


def test_nobody_knows_what_an_unstated_licence_allows() -> None:
    licence = named_licence(None)
    assert (licence.spdx, licence.commercial) == (None, None)
    assert named_licence("MIT").spdx == named_licence("mit").spdx == "MIT"


def test_a_build_says_where_it_comes_from(checkpoint: Path, tmp_path: Path) -> None:
    assert build(checkpoint, tmp_path) == 0
    statement = json.loads((tmp_path / "out/evidence/provenance.intoto.json").read_text())
    quantizer = statement["predicate"]["buildDefinition"]["internalParameters"]["quantizer"]
    assert [len(digest) for digest in quantizer.values()] == [64] * len(quantizer)
    assert quantizer
