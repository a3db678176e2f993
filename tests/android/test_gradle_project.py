"""The Gradle project and edgepack's own build are one app: manifest, ids, versions, resources, source."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgepack.domain.app import ACTIVITY, LIBRARY, PACKAGE
from edgepack.stages.app import gradle_value

PROJECT = Path(__file__).parents[2] / "android-demo"
MAIN = PROJECT / "app" / "src" / "main"
GRADLE = (PROJECT / "app" / "build.gradle.kts").read_text(encoding="utf-8")
ANDROID = "{http://schemas.android.com/apk/res/android}"
SOURCES = sorted((MAIN / "java").rglob("*.java"))
CORE = sorted((MAIN / "java/dev/edgepack/core").glob("*.java"))


def strings(folder: str) -> dict[str, str]:
    root = ElementTree.parse(MAIN / "res" / folder / "strings.xml").getroot()
    return {item.attrib["name"]: item.text or "" for item in root if item.attrib.get("translatable") != "false"}


def test_gradle_has_what_edgepack_builds_with() -> None:
    assert gradle_value(GRADLE, "namespace") == gradle_value(GRADLE, "applicationId") == PACKAGE
    assert int(gradle_value(GRADLE, "minSdk")) == 26
    assert int(gradle_value(GRADLE, "targetSdk")) >= 35
    assert int(gradle_value(GRADLE, "compileSdk")) >= 35


def test_gradle_treats_the_program_and_the_model_as_edgepack_does() -> None:
    assert "useLegacyPackaging = true" in GRADLE
    assert 'noCompress += "gguf"' in GRADLE
    assert f'"**/{Path(LIBRARY).name}"' in GRADLE
    assert '"arm64-v8a"' in GRADLE


def test_the_app_has_no_dependency() -> None:
    block = GRADLE[GRADLE.index("dependencies {") :]
    assert re.findall(r"^\s+(\w+)\(", block, re.MULTILINE) == ["testImplementation"]


def test_the_manifest_leaves_to_gradle_what_is_gradles() -> None:
    """AGP refuses a package and warns of versions there; edgepack puts them in from Gradle's values."""
    root = ElementTree.parse(MAIN / "AndroidManifest.xml").getroot()
    assert "package" not in root.attrib
    assert root.find("uses-sdk") is None
    assert f"{ANDROID}versionCode" not in root.attrib


def test_the_app_asks_for_no_permission() -> None:
    assert ElementTree.parse(MAIN / "AndroidManifest.xml").getroot().findall("uses-permission") == []


def test_every_class_that_the_manifest_names_is_there() -> None:
    root = ElementTree.parse(MAIN / "AndroidManifest.xml").getroot()
    application = root.find("application")
    assert application is not None
    named = [element.attrib[f"{ANDROID}name"] for element in (application, *application.findall("activity"))]
    for name in named:
        assert (MAIN / "java" / f"{name.replace('.', '/')}.java").is_file(), name
    assert ACTIVITY.replace("/.", ".") in named


def test_german_has_every_string_with_the_same_places_for_values() -> None:
    english, german = strings("values"), strings("values-de")
    assert german.keys() == english.keys()
    for name, text in english.items():
        assert sorted(re.findall(r"%\S*?[dsf%]", german[name])) == sorted(re.findall(r"%\S*?[dsf%]", text)), name


def test_dark_mode_has_every_colour_and_style() -> None:
    for name in ("colors.xml", "styles.xml"):
        roots = (ElementTree.parse(MAIN / "res" / folder / name).getroot() for folder in ("values", "values-night"))
        day, night = roots
        assert [item.attrib["name"] for item in day] == [item.attrib["name"] for item in night]


def test_every_resource_that_java_names_is_there_and_every_id_is_used() -> None:
    layout = (MAIN / "res/layout/main.xml").read_text(encoding="utf-8")
    java = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    ids = set(re.findall(r"@\+id/(\w+)", layout))
    assert set(re.findall(r"R\.id\.(\w+)", java)) == ids
    known = strings("values").keys() | {"app_name"}
    assert set(re.findall(r"R\.string\.(\w+)", java)) <= known
    assert set(re.findall(r"@string/(\w+)", layout)) <= known


def test_every_text_of_the_screen_is_a_resource_and_every_field_has_a_label() -> None:
    """What a screen reader reads: labels for fields, a description of the bar, headings, and news as they come."""
    root = ElementTree.parse(MAIN / "res/layout/main.xml").getroot()
    texts = [element.attrib.get(f"{ANDROID}{name}", "") for element in root.iter() for name in ("text", "hint")]
    assert all(text.startswith("@string/") for text in texts if text)
    labelled = {element.attrib.get(f"{ANDROID}labelFor", "").split("/")[-1] for element in root.iter()}
    for field in root.iter("EditText"):
        assert field.attrib[f"{ANDROID}id"].split("/")[-1] in labelled
    for bar in root.iter("ProgressBar"):
        assert f"{ANDROID}contentDescription" in bar.attrib
    status = next(e for e in root.iter("TextView") if e.attrib.get(f"{ANDROID}id", "").endswith("/status"))
    assert status.attrib[f"{ANDROID}accessibilityLiveRegion"] == "polite"


@pytest.mark.parametrize("touched", ["Button", "EditText"])
def test_what_is_touched_is_large_enough(touched: str) -> None:
    root = ElementTree.parse(MAIN / "res/layout/main.xml").getroot()
    assert {element.attrib.get(f"{ANDROID}minHeight") for element in root.iter(touched)} == {"48dp"}


def test_the_core_knows_nothing_of_android() -> None:
    assert CORE
    foreign = re.compile(r"^import (android|dev\.edgepack\.demo)", re.MULTILINE)
    assert [path.name for path in CORE if foreign.search(path.read_text(encoding="utf-8"))] == []
