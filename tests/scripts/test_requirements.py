"""The locks agree with each other and with what the project declares."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"


def lines(name: str) -> list[str]:
    return [line for line in (REQUIREMENTS / name).read_text().splitlines() if line and not line.startswith(("#", " ", "-"))]


def pins(name: str) -> set[str]:
    """`package==version ; marker`, as locked; a package may stand there twice, for different systems."""
    return {line.removesuffix(" \\") for line in lines(name)}


def test_the_project_declares_what_the_lock_is_made_from() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert declared == lines("runtime.in")


def test_runtime_lock_is_a_part_of_the_development_lock() -> None:
    assert pins("runtime.lock") <= pins("dev.lock")


def test_the_service_has_what_it_is_tested_with() -> None:
    assert pins("service.lock") <= pins("dev.lock")


def test_the_training_image_has_cuda_besides_what_it_is_tested_with() -> None:
    more = pins("trainer.lock") - pins("dev.lock")
    assert more
    assert all(pin.startswith("nvidia-") for pin in more)
    assert pins("runtime.lock") <= pins("trainer.lock")


def test_the_installer_survives_its_own_sync() -> None:
    assert pins("uv.lock") <= pins("dev.lock")


@pytest.mark.parametrize("name", ["dev.lock", "runtime.lock", "service.lock", "trainer.lock", "uv.lock"])
def test_every_package_is_locked_by_hash_and_no_place_is_named(name: str) -> None:
    text = (REQUIREMENTS / name).read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(name))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert not re.search(r"^--(index|extra|find)", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["dev", "runtime", "service", "trainer", "uv"])
def test_every_requirement_is_locked(name: str) -> None:
    wanted = {re.split(r"[\[=<>; ]", line, maxsplit=1)[0].lower() for line in lines(f"{name}.in")}
    assert wanted <= {pin.split("==")[0] for pin in pins(f"{name}.lock")}
