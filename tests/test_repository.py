"""No file of the repository speaks of the machine it was written on."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Put together so that this file doesn't hold what it looks for.
FOLDERS = ("home", "root", "tmp", "work", "Users")
INDEX_HOSTS = ("pypi" + ".org", "python" + "hosted", "deb." + "debian", "npm" + "js.")
MACHINE = re.compile(rf"(?<![\w.)}}])/(?:{'|'.join(FOLDERS)})/\w|" + "|".join(map(re.escape, INDEX_HOSTS)))


def repository_files() -> list[Path]:
    """Files under version control, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
    )
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def found(text: str) -> list[str]:
    return [line.strip()[:200] for line in text.splitlines() if MACHINE.search(line)]


def test_no_file_names_a_folder_of_a_machine_or_a_package_index() -> None:
    files = repository_files()
    assert ROOT / "pyproject.toml" in files
    complaints = {str(path.relative_to(ROOT)): lines for path in files if (lines := found(path.read_text(errors="replace")))}
    assert complaints == {}


@pytest.mark.parametrize(
    "line", [f'open("/{folder}/x/y")' for folder in FOLDERS] + [f"index = https://{host}/simple" for host in INDEX_HOSTS]
)
def test_a_path_or_host_is_found(line: str) -> None:
    assert found(line) == [line]


@pytest.mark.parametrize(
    "line", ["open('../tmp/x')", "$(ROOT)/work/x", "https://host/home/x", "home/tmp", "/models/m", "/path/to/python3.11"]
)
def test_other_paths_are_let_be(line: str) -> None:
    assert found(line) == []
