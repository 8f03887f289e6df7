"""The version of a checkout without tags, and of an image, which is that of no release."""

import re
import tomllib
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[1]


def fallback(pyproject: str) -> Version:
    with (ROOT / pyproject).open("rb") as file:
        return Version(tomllib.load(file)["tool"]["hatch"]["version"]["fallback-version"])


def test_the_fallback_is_a_development_version_of_the_release_after_the_newest() -> None:
    released = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    made = fallback("pyproject.toml")
    assert made.is_devrelease
    assert max(map(Version, released)) < made


def test_the_clients_version_is_the_platforms() -> None:
    assert fallback("client/pyproject.toml") == fallback("pyproject.toml")
