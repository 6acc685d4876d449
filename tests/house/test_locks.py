"""pyproject.toml, both locks, environment.yml and the browser's lock say the same."""

import ast
import json
import re
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.test_shape import imported

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = ["requirements.lock", "requirements-book.lock"]


def read_lock(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    entries = [line.partition("--hash=") for line in lines]
    return {requirement.strip(): sign + hashes for requirement, sign, hashes in entries}


def pinned(name: str) -> dict[str, list[Requirement]]:
    """Return {package: its pins}; a package may have one pin for each platform or version."""
    pins: dict[str, list[Requirement]] = {}
    for line in read_lock(name):
        requirement = Requirement(line)
        pins.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return pins


def version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "==", f"{pin} is not one exact version"
    return specifier.version


def check_ranges(dependencies: list[str], lock: str) -> None:
    """Each dependency has a pin in the lock, and every pin lies within its range."""
    pins = pinned(lock)
    for line in dependencies:
        dependency = Requirement(line)
        name = canonicalize_name(dependency.name)
        assert name in pins, f"{name} of pyproject.toml is missing in {lock}: run `make lock`"
        for pin in pins[name]:
            fault = f"{lock} pins {pin}, pyproject.toml asks for {line}: run `make lock`"
            assert dependency.specifier.contains(version(pin)), fault


def test_full_lock_holds_every_dependency_within_its_range() -> None:
    check_ranges([*PROJECT["dependencies"], *chain(*EXTRAS.values())], "requirements.lock")


def test_reading_lock_holds_the_book_extra_and_no_torch() -> None:
    check_ranges(EXTRAS["book"], "requirements-book.lock")
    assert "torch" not in pinned("requirements-book.lock")


def test_reading_lock_is_part_of_the_full_lock() -> None:
    full, reading = ({(x.partition(" ;")[0], y) for x, y in read_lock(n).items()} for n in LOCKS)
    assert sorted(reading - full) == []


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_exact_versions_with_hashes(name: str) -> None:
    lock = read_lock(name)
    assert len(lock) > 50
    for line, hashes in lock.items():
        version(Requirement(line))
        assert re.fullmatch(r"(--hash=sha256:[0-9a-f]{64}\s*)+", hashes), f"{line} lacks hashes"


@pytest.mark.parametrize("name", [*LOCKS, "environment.yml", "pyproject.toml", ".npmrc"])
def test_no_registry_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"index-url|find-links|registry\s*=", text)


def test_installed_versions_are_the_locked_ones() -> None:
    for name, pins in pinned("requirements.lock").items():
        for pin in pins:
            if pin.marker is None or pin.marker.evaluate():
                here = metadata.version(name)
                assert here == version(pin), f"{name}: `make test` installs the lock"


def test_the_library_imports_what_it_depends_on_and_nothing_else() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "unet_lib").rglob("*.py")]
    names = {name.partition(".")[0] for text in sources for name in imported(ast.parse(text))}
    owners = metadata.packages_distributions()
    foreign = names - sys.stdlib_module_names - {"unet_lib"}
    used = {canonicalize_name(owners[name][0]) for name in foreign}
    stated = [*PROJECT["dependencies"], *EXTRAS["pretrained"], *EXTRAS["export"]]
    assert used == {canonicalize_name(Requirement(line).name) for line in stated}


def test_environment_is_python_of_the_project_and_the_lock() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    expected = [f"python{PROJECT['requires-python']}", "pip", {"pip": ["-r requirements.lock"]}]
    assert environment["dependencies"] == expected


def test_python_range_of_the_makefile_is_that_of_the_project() -> None:
    low, high = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"(3, {low}) <= sys.version_info[:2] <= (3, {int(high) - 1})" in makefile


def test_browser_lock_is_exact_verified_and_without_addresses() -> None:
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert packages.pop("")["dependencies"] == wanted
    for name, exact in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == exact
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, f"{name}: package-lock.json holds a registry's address"
