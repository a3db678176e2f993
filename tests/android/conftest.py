"""One APK for all tests of the app, built as a user builds it; and its dex for a JVM."""

import pytest

from tests.android import phone
from tests.android.phone import BuiltApp, build_app


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> BuiltApp:
    """The demo model's, for a telephone."""
    phone.require_tools()
    place = tmp_path_factory.mktemp("app")
    with pytest.MonkeyPatch.context() as patch:
        apk = build_app(place / "demo.apk", patch)
    return BuiltApp(apk=apk, jar=phone.translated(apk, place), fakes=phone.fakes(place))
