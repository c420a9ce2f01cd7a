"""constraints.txt against what is installed: everything that the requirements bring along has its exact pin."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
# Each build of torch pins its own exactly, see constraints.txt.
PINNED_BY_TORCH = ("nvidia-", "cuda-", "triton", "pytorch-triton", "rocm")
BROUGHT_BY_THE_ENVIRONMENT = ("pip",)


def read_requirements(name: str) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def read_pins() -> dict[str, Requirement]:
    return {canonicalize_name(pin.name): pin for pin in read_requirements("constraints.txt")}


def applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def installed_closure() -> dict[str, str]:
    """Name -> version of all that the two requirement files bring along on this machine."""
    queue = [*read_requirements("requirements.txt"), *read_requirements("requirements-dev.txt")]
    queue = [requirement for requirement in queue if applies(requirement, set())]
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        wanted = queue.pop()
        name = canonicalize_name(wanted.name)
        key = (name, frozenset(wanted.extras))
        if key in seen or name in BROUGHT_BY_THE_ENVIRONMENT or name.startswith(PINNED_BY_TORCH):
            continue
        seen.add(key)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            pytest.fail(f"{wanted} is required and not installed: run `python launch.py setup`")
        versions[name] = package.version
        further = [Requirement(text) for text in package.requires or []]
        queue += [requirement for requirement in further if applies(requirement, wanted.extras | {""})]
    return versions


def test_everything_installed_is_pinned_to_its_version() -> None:
    pins = read_pins()
    missing = [f"{name}=={version}" for name, version in sorted(installed_closure().items()) if name not in pins]
    assert not missing, "add to constraints.txt:\n" + "\n".join(missing)
    wrong = [
        f"{name}: pinned {pins[name].specifier}, installed {version}"
        for name, version in sorted(installed_closure().items())
        if not pins[name].specifier.contains(version, prereleases=True)
    ]
    assert not wrong, "change constraints.txt or run `python launch.py setup`:\n" + "\n".join(wrong)


def test_pins_are_exact_and_admit_other_builds() -> None:
    for pin in read_pins().values():
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        assert Version(specifier.version).local is None, f"{pin}: a local version shuts out the other builds"
        assert pin.specifier.contains(specifier.version + "+cpu"), pin


def test_no_pin_belongs_to_one_build_of_torch() -> None:
    assert [name for name in read_pins() if name.startswith(PINNED_BY_TORCH)] == []


def test_pins_satisfy_the_requirements() -> None:
    pins = read_pins()
    for requirement in [*read_requirements("requirements.txt"), *read_requirements("requirements-dev.txt")]:
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} has no pin in constraints.txt"
        (specifier,) = pin.specifier
        assert requirement.specifier.contains(specifier.version), f"{requirement} refuses its own pin {pin}"
