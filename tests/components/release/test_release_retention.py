"""Old releases go; what is served, what a rollback returns to, and what somebody reads stays."""

from pathlib import Path

import pytest

from components.contract.errors import InputError
from components.contract.storage.file_lock import shared_lock
from components.contract.storage.labels import Labels
from components.release.labels import write_labels
from components.release.manifest import Manifest
from components.release.publish import publish, versions
from components.release.retention import DAY_US, Limits, StoredRelease, protected_versions, releases_to_remove
from pipeline.cli.main import main
from pipeline.ops.releases import Deployment, prune

NOW_US = 100 * DAY_US


def kept(*versions: int, size: int = 10) -> list[StoredRelease]:
    """Version N made on day N."""
    return [StoredRelease(version, version * DAY_US, size) for version in versions]


def gone(limits: Limits, *, stay: set[int], of: list[StoredRelease] | None = None) -> list[int]:
    return [each.version for each in releases_to_remove(of or kept(90, 93, 95, 98, 99), stay, limits, now_us=NOW_US)]


def test_the_oldest_go_first_by_each_limit() -> None:
    assert gone(Limits(count=2), stay={99}) == [90, 93, 95]
    assert gone(Limits(days=6), stay={99}) == [90, 93]
    assert gone(Limits(bytes=29), stay={99}) == [90, 93, 95]
    assert gone(Limits(count=5, days=20, bytes=50), stay={99}) == []


def test_what_stays_is_passed_over_and_counts() -> None:
    assert gone(Limits(count=2), stay={90, 95, 99}) == [93, 98]
    assert gone(Limits(count=1), stay={90, 93, 95, 98, 99}) == []


def test_the_newest_labels_and_what_rollbacks_return_to_are_needed() -> None:
    assert protected_versions([1, 2, 3], None) == {3}
    assert protected_versions([], None) == set()
    labels = Labels("shop", "", {"stable": (1, 2, 4), "canary": (3, 4)})
    assert protected_versions([1, 2, 3, 4, 5], labels) == {2, 3, 4, 5}
    assert protected_versions([1, 4, 5], labels) == {1, 4, 5}  # 2 is gone, so a rollback of stable returns to 1


def test_no_limit_or_one_below_0_is_refused() -> None:
    with pytest.raises(InputError, match="name one"):
        Limits()
    with pytest.raises(InputError, match="above 0"):
        Limits(count=-1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with four releases of which the second is stable."""
    for version in (1, 2, 3, 4):
        model = tmp_path / f"model{version}"
        model.mkdir()
        (model / "saved_model.pb").write_text(str(version))
        publish(model, tmp_path / "run" / "releases", Manifest(version, "shop", "", {}, {}, (), ("x",), "c"))
        (tmp_path / "run" / "serving" / str(version)).mkdir(parents=True)
        (tmp_path / "run" / "serving" / str(version) / "dataset.yaml").write_text("name: shop")
    write_labels(Labels("shop", "").promoted(2, "stable"), tmp_path / "run" / "releases")
    return tmp_path / "run"


def test_the_command_removes_releases_with_what_the_service_needs_of_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["releases", "prune", "--keep", "1", "--root", str(run), "--releases", str(run / "releases")]) == 0
    assert capsys.readouterr().out.endswith("removed 1, 3\n")
    assert versions(run / "releases") == (2, 4)
    assert sorted(path.name for path in (run / "serving").iterdir()) == ["2", "4"]
    assert not list((run / "releases").glob(".publishing-*"))


def test_the_base_of_a_refreshed_release_stays_with_it(run: Path) -> None:
    releases = run / "releases"
    model = run / "refreshed"
    model.mkdir()
    (model / "saved_model.pb").write_text("refreshed")
    publish(model, releases, Manifest(5, "shop", "", {}, {}, (), ("x",), "c", base=3))
    assert prune(Deployment(releases), Limits(count=1), now_us=NOW_US) == [1, 4]


def test_while_a_server_reads_them_nothing_goes(run: Path) -> None:
    with shared_lock(run / "releases"), pytest.raises(InputError, match="expected that nobody reads the releases"):
        prune(Deployment(run / "releases"), Limits(count=1), now_us=NOW_US)
    assert versions(run / "releases") == (1, 2, 3, 4)
    assert prune(Deployment(run / "releases"), Limits(count=1), now_us=NOW_US) == [1, 3]


def test_without_a_limit_the_command_says_what_is_missing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["releases", "prune", "--releases", str(run / "releases")]) != 0
    assert "expected how many releases" in capsys.readouterr().err
