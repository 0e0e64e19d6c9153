"""Every failure of set-up ends in one sentence that says what to do; nothing changed means nothing done."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import install
import pytest
from install import SetupError

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = Path(sysconfig.get_paths()["include"])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what set-up reads."""
    for name in install.INPUTS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path.resolve()


def run_install(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/install.py"], cwd=checkout, capture_output=True, text=True, check=False, env=os.environ | environment
    )


def pretend_installed(checkout: Path, stamp: str) -> Path:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to(sys.executable)
    path = checkout / ".venv/shelfrank.stamp"
    path.write_text(stamp)
    return path


def test_nothing_changed_returns_in_under_a_second(checkout: Path) -> None:
    stamp = pretend_installed(checkout, install.fingerprint(checkout))
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        result = run_install(checkout)
        seconds.append(time.monotonic() - start)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert min(seconds) < 1
    assert stamp.read_text() == install.fingerprint(checkout)


def test_fingerprint_follows_every_input_and_the_place(checkout: Path, tmp_path: Path) -> None:
    seen = {install.fingerprint(checkout)}
    for name in install.INPUTS:
        with (checkout / name).open("a") as file:
            file.write("\n")
        seen.add(install.fingerprint(checkout))
    moved = tmp_path / "moved"
    shutil.copytree(checkout, moved)
    seen.add(install.fingerprint(moved))
    assert len(seen) == len(install.INPUTS) + 2


def test_a_broken_step_leaves_no_stamp(checkout: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    stamp = checkout / ".venv/shelfrank.stamp"
    stamp.write_text("of an older lock")
    result = run_install(checkout)
    assert result.returncode == 1
    assert (
        result.stderr.splitlines()[-1] == "install: fetching uv by pip failed as printed above: run `make clean` and the same command again"
    )
    assert not stamp.exists()


def test_an_index_out_of_reach_is_said(checkout: Path) -> None:
    pretend_installed(checkout, "of an older lock")
    nowhere = "http://127.0.0.1:9/simple"  # the discard port: refused at once
    result = run_install(
        checkout, PIP_INDEX_URL=nowhere, PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="", PIP_RETRIES="0", PIP_NO_CACHE_DIR="1"
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "install: fetching uv by pip failed because the package index can't be reached: "
        "check the network, or name an index in PIP_INDEX_URL and UV_DEFAULT_INDEX"
    )
    assert result.stdout.splitlines()[-1] == "[2/5] uv, the installer"


def test_a_missing_lock_is_named(checkout: Path) -> None:
    (checkout / install.DEV_LOCK).unlink()
    result = run_install(checkout)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("install: ")
    assert "requirements/dev.lock" in line
    assert "run the same command again" in line


def test_an_environment_made_elsewhere_is_not_ours(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv = checkout / ".venv"
    monkeypatch.setattr(install, "VENV", venv)
    monkeypatch.setattr(install, "PYTHON", venv / "bin/python")
    assert not install.venv_is_ours()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    assert install.venv_is_ours()
    record = (venv / "pyvenv.cfg").read_text()
    (venv / "pyvenv.cfg").write_text(record.replace(str(venv), "/elsewhere/.venv"))
    assert not install.venv_is_ours()
    (venv / "pyvenv.cfg").write_text(record)
    (venv / "bin/python").unlink()
    assert not install.venv_is_ours()


def test_the_environment_of_another_checkout_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / ".venv").symlink_to(tmp_path / "other")
    with pytest.raises(SetupError, match="remove the link"):
        install.check_own(tmp_path / ".venv")


@pytest.mark.parametrize("version", [(3, 10), (3, 12), (2, 7)])
def test_another_python_is_refused(version: tuple[int, int]) -> None:
    with pytest.raises(
        SetupError, match=rf"this is Python {version[0]}\.{version[1]} and TFX needs 3\.11: name one by `make install PYTHON="
    ):
        install.check_python(version)


@pytest.mark.parametrize(("system", "machine"), [("linux", "aarch64"), ("darwin", "x86_64"), ("win32", "AMD64")])
def test_a_platform_without_builds_is_refused(system: str, machine: str) -> None:
    with pytest.raises(SetupError, match=f"no builds for {system} on {machine}: use x86-64 Linux, macOS on Apple silicon"):
        install.check_platform(system, machine)


def test_a_full_disk_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"has 5\.9 GB free and the packages need 6 GB: make room"):
        install.check_disk(tmp_path, 5_900_000_000)


def test_a_python_without_ensurepip_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known = install.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else known(name))
    with pytest.raises(SetupError, match=r"apt install python3\.11-venv"):
        install.check_venv_module()


def test_no_compiler_is_refused() -> None:
    with pytest.raises(SetupError, match=r"no C\+\+ compiler 'no-such-compiler': install one .*apt install g\+\+"):
        install.check_compiler("no-such-compiler", INCLUDE)


@pytest.mark.skipif(shutil.which("c++") is None or not (INCLUDE / "Python.h").exists(), reason="needs a C++ compiler and Python's headers")
def test_missing_headers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"can't use Python\.h in .*apt install python3\.11-dev"):
        install.check_compiler("c++", tmp_path)
    install.check_compiler("c++", INCLUDE)


def test_this_machine_passes() -> None:
    install.check_python((3, 11))
    install.check_platform("linux", "x86_64")
    install.check_platform("darwin", "arm64")
    install.check_venv_module()
    install.check_disk(ROOT, 6_000_000_000)


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("error: Failed to fetch: `https://index/simple/tfx/`\n  Caused by: dns error: failed to lookup address", "check the network"),
        ("ERROR: Could not find a version that satisfies the requirement uv (from versions: none)", "check the network"),
        ("error: failed to write: No space left on device (os error 28)", "make room"),
        ("error: Hash mismatch for `tfx==1.21.0`", "check which index is set"),
        ("error: Failed to build `pyfarmhash==0.3.2`", "run `make clean`"),
    ],
)
def test_a_failed_command_ends_in_its_remedy(output: str, remedy: str) -> None:
    message = str(install.failure("installing the packages", output))
    assert message.startswith("installing the packages failed")
    assert remedy in message
    assert "\n" not in message


def test_a_failed_command_shows_what_it_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SetupError, match="counting failed as printed above"):
        install.run([sys.executable, "-c", "print('one, two'); raise SystemExit(3)"], "counting")
    assert "one, two" in capfd.readouterr().err


def test_a_long_command_gives_signs_of_life(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "HEARTBEAT_S", 0.1)
    install.run([sys.executable, "-c", "import time; print('noise'); time.sleep(0.5)"], "waiting")
    output = capfd.readouterr().out
    assert output.count("... 0 s") >= 2
    assert "noise" not in output
