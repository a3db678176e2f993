"""What the tests of encoders' bundles share: a checkpoint, its bundle, and a classifier's."""

from pathlib import Path

import pytest

from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant
from edgepack.pipeline import Built, build
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.encoder_bundles import order
from tests.fakes.encoders import write_encoder
from tests.oracle.recipes.encoders import RECIPES


def recipe(name: str) -> Path:
    (found,) = (one for one in RECIPES if one.name == name)
    return found


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    place = tmp_path_factory.mktemp("checkpoint") / "MiniLM-seeded"
    made = make_checkpoint(recipe("MiniLM-seeded"), place, vocabularies)
    (made / "LICENSE").write_text("Do as you like.\n")
    return made


@pytest.fixture(scope="session")
def built(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    directory = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(directory / "home"))
        return build(order(checkpoint, directory / "out"), Silent())


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Built:
    """A classifier's, from a ready file."""
    directory = tmp_path_factory.mktemp("classes")
    found = recipe("xlm-roberta-classes-bf16")
    weights = write_encoder(found, OnnxQuant.Q8, directory / "classes.onnx", vocabularies)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(directory / "home"))
        return build(order(weights, directory / "out"), Silent())
