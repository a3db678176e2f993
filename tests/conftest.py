"""What many tests need: the pinned source, and a store of their own."""

import os
import signal
from pathlib import Path

import pytest

from edgepack.infra.store import home

# What a shell starts with & ignores ^C, and so would the programs to which tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
ROOT = Path(__file__).parent.parent
USERS_STORE = home()
"""Where the compiler is kept that an earlier build has fetched; tests read it, and nothing else of it."""


@pytest.fixture(scope="session")
def llama_cpp() -> Path:
    """The unpacked llama.cpp of vendor/pins.toml; `make vendor` brings it."""
    said = os.environ.get("EDGEPACK_LLAMA_CPP")
    found = [Path(said)] if said else sorted((ROOT / "vendor" / "cache").glob("llama_cpp_python-*/vendor/llama.cpp"))
    if not found:
        pytest.skip("the pinned llama.cpp source is not here: run `make vendor`")
    return found[-1]


@pytest.fixture(scope="session")
def llama_tools() -> Path:
    """The folder of llama.cpp's own programs, built from the pinned source; `make tools` builds them."""
    said = os.environ.get("EDGEPACK_LLAMA_TOOLS")
    found = [Path(said)] if said else sorted((ROOT / "vendor" / "cache").glob("tools-*/bin"))
    if not found:
        pytest.skip("llama.cpp's programs are not here: run `make tools`")
    return found[-1]


@pytest.fixture(scope="session")
def vocabularies(llama_cpp: Path) -> Path:
    """llama.cpp's ggml-vocab-*.gguf files with their .inp and .out pairs."""
    return llama_cpp / "models"


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's store."""
    monkeypatch.setenv("EDGEPACK_HOME", str(tmp_path / "home"))
    # Minutes of compiling, which tests of other things do not pay.
    monkeypatch.setenv("EDGEPACK_BUILD_RUNTIME", "none")
    # Seconds of it: `make install` leaves the kernels in the package.
    monkeypatch.setenv("EDGEPACK_BUILD_KERNELS", "none")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests are spread over workers (--dist loadgroup), a file's stay together unless they say otherwise."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
