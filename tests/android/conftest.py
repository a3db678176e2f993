"""One APK for all tests of the app, built as a user builds it; and its dex for a JVM."""

import os

import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.android import phone
from tests.android.phone import BuiltApp
from tests.conftest import USERS_STORE


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> BuiltApp:
    """`edgepack build --format apk` for a telephone; the runtime stays in the user's store."""
    phone.require_tools()
    place = tmp_path_factory.mktemp("app")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("EDGEPACK_HOME", os.environ.get("EDGEPACK_TEST_HOME", str(USERS_STORE)))
        patch.delenv("EDGEPACK_BUILD_RUNTIME", raising=False)
        apk = place / "demo.apk"
        words = ["build", "--profile", "galaxy-s23", "--model", "demo", "--format", "apk", "--no-bench"]
        assert run([*words, "--out", str(apk)]) == ExitCode.DONE
    return BuiltApp(apk=apk, jar=phone.translated(apk, place), fakes=phone.fakes(place))
