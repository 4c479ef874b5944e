"""pyproject.toml and the locks agree: `make lock` writes them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
EXTRAS = [
    Requirement(text) for extra in PROJECT["project"]["optional-dependencies"].values() for text in extra
]
BUILD = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
ALL, IMAGE, BUILDING = "requirements.lock", "deploy/requirements.lock", "deploy/build.lock"


def locked(name: str) -> dict[str, Version]:
    """The versions in a lock, by name."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in pins}


def test_each_dependency_is_named_once() -> None:
    names = [canonicalize_name(requirement.name) for requirement in RUNTIME + EXTRAS]
    assert [name for name in names if names.count(name) > 1] == []


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [(ALL, RUNTIME + EXTRAS + BUILD), (IMAGE, RUNTIME), (BUILDING, BUILD)],
    ids=[ALL, IMAGE, BUILDING],
)
def test_a_lock_satisfies_the_project(lock: str, requirements: list[Requirement]) -> None:
    pins = locked(lock)
    for requirement in requirements:
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("lock", [IMAGE, BUILDING])
def test_the_image_has_the_versions_that_were_tested(lock: str) -> None:
    assert locked(lock).items() <= locked(ALL).items()


@pytest.mark.parametrize("lock", [ALL, IMAGE, BUILDING])
def test_a_lock_has_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
