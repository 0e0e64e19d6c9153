"""One behaviour for a folder, S3 and Google Cloud Storage."""

import os
from pathlib import Path

import pytest

from components.contract.errors import InputError, ShelfRankError
from components.contract.storage.object_store import Address


def made(store: str) -> Address:
    if "://" not in store:
        Path(store).mkdir(parents=True)
    return Address.of(store)


def test_what_is_written_is_read(store: str) -> None:
    file = made(store) / "a.txt"
    file.write(b"one")
    file.write(b"two")
    assert file.read() == b"two"
    assert file.is_file()
    assert str(file) == f"{store}/a.txt"


def test_what_is_not_there_reads_as_none_and_lists_as_nothing(store: str) -> None:
    folder = made(store)
    assert (folder / "a.txt").read() is None
    assert not (folder / "a.txt").is_file()
    assert (folder / "below").files() == {}
    (folder / "below").delete_folder()


def test_files_are_listed_at_any_depth_by_their_path_below(store: str, tmp_path: Path) -> None:
    folder = made(store) / "model"
    (tmp_path / "weights").write_bytes(b"w" * 1000)
    for name in ("b/c/weights", "a"):
        if folder.local is not None:
            (folder.local / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).send(tmp_path / "weights")
    assert list(folder.files()) == ["a", "b/c/weights"]
    assert all(changed.timestamp() == pytest.approx((tmp_path / "weights").stat().st_mtime, abs=60) for changed in folder.files().values())


def test_large_files_come_back_as_they_went(store: str, tmp_path: Path) -> None:
    content = os.urandom(12 << 20)  # more than one part of an upload
    (tmp_path / "weights").write_bytes(content)
    (made(store) / "weights").send(tmp_path / "weights")
    (Address.of(store) / "weights").bring(tmp_path / "new" / "weights")
    assert (tmp_path / "new" / "weights").read_bytes() == content


def test_a_deleted_folder_leaves_nothing_and_its_neighbours_stay(store: str) -> None:
    folder = made(store)
    for name in ("1", "10"):
        if folder.local is not None:
            (folder.local / name).mkdir()
        (folder / name / "a").write(b"x")
    (folder / "1").delete_folder()
    assert list(folder.files()) == ["10/a"]
    (folder / "10" / "a").delete()
    assert folder.files() == {}


@pytest.mark.parametrize("given", ["http://host/x", "s3://", "gs:///x", "s3:/bucket/x"])
def test_another_kind_of_address_is_refused(given: str) -> None:
    with pytest.raises(InputError, match=r"expected .*s3://BUCKET/PREFIX.*, got "):
        Address.of(given)


def test_an_endpoint_that_is_no_url_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio:9000")
    with pytest.raises(InputError, match="AWS_ENDPOINT_URL: expected http://HOST:PORT or https://HOST, got minio:9000"):
        Address.of("s3://bucket/x")


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_bucket_that_is_not_there_is_told_not_taken_for_an_empty_one(kind: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(kind)
    with pytest.raises(ShelfRankError, match=rf"^{kind}://elsewhere/x: can't be listed: .*elsewhere.*; check the address"):
        Address.of(f"{kind}://elsewhere/x").files()
    with pytest.raises(ShelfRankError, match=rf"^{kind}://elsewhere/x: can't be written: .*; check the address"):
        Address.of(f"{kind}://elsewhere/x").write(b"x")


def test_a_store_that_does_not_answer_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch, s3: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ShelfRankError, match=r"^s3://b/x: can't be read: [^\n]*connect[^\n]*; check the address, AWS_ENDPOINT_URL"):
        Address.of("s3://b/x").read()


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ShelfRankError, match=r"a: can't be written: .*; check the path and the access rights"):
        (Address.of(tmp_path) / "nowhere" / "a").write(b"x")
