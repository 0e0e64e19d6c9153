"""Samples are bounded, unpacked, decoded, and refuse what ingestion couldn't read."""

import gzip
import zipfile
from pathlib import Path

import pytest
import zstandard

from components.contract.errors import InputError
from components.profiling.samples.file_sample import HEAD_BYTES, read_sample, text_encoding

LINES = "".join(f"{n},customer {n},2026-01-01\n" for n in range(1000))


@pytest.mark.parametrize(("name", "pack"), [("a.csv", bytes), ("a.csv.gz", gzip.compress), ("a.csv.zst", zstandard.compress)])
def test_a_file_is_unpacked_by_its_bytes(tmp_path: Path, name: str, pack: object) -> None:
    (tmp_path / name).write_bytes(pack(LINES.encode()))  # type: ignore[operator]
    sample = read_sample(str(tmp_path / name))
    assert sample.head == LINES
    assert sample.whole
    assert sample.compression == {"a.csv": None, "a.csv.gz": "gzip", "a.csv.zst": "zstd"}[name]


def test_a_gzip_of_several_members_is_read_through(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"))
    assert read_sample(str(tmp_path / "a.gz")).head == "a,b\n1,2\n3,4\n"


def test_a_large_file_is_sampled_from_its_start_its_middle_and_near_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    row = "{:09d},some shopper,2026-01-01\n"
    with path.open("w") as out:
        out.writelines(row.format(n) for n in range(700_000))
    sample = read_sample(str(path))
    assert not sample.whole
    assert HEAD_BYTES - 100 < len(sample.head) <= HEAD_BYTES
    assert sample.head.endswith("\n")
    firsts = [int(spot.split(",")[0]) for spot in sample.spots]
    assert all(line.count(",") == 2 for spot in sample.spots for line in spot.splitlines())
    assert 340_000 < firsts[0] < 360_000
    assert 620_000 < firsts[1] < 640_000


@pytest.mark.parametrize(
    ("text", "written", "recognised"),
    [
        ("name,Ort\n1,Köln\n", "utf-8", "utf-8"),
        ("name,Ort\n1,Köln\n", "utf-8-sig", "utf-8-sig"),
        ("name,Ort\n1,Köln\n", "utf-16", "utf-16"),
        ("name,Ort\n1,Köln und Genève\n", "latin-1", "latin-1"),
        ("name,price\n1,5 €\n", "cp1252", "cp1252"),
    ],
)
def test_an_encoding_is_recognised(text: str, written: str, recognised: str) -> None:
    assert text_encoding(text.encode(written)) == recognised


def test_cyrillic_text_is_no_western_one() -> None:
    text = "имя,товар\n" + "1,чашка синяя большая\n2,кружка красная с ручкой\n" * 20  # noqa: RUF001
    assert text.encode("cp1251").decode(text_encoding(text.encode("cp1251"))) == text


def test_a_character_that_the_sample_cuts_is_no_fault() -> None:
    assert text_encoding("a,ö".encode()[:-1]) == "utf-8"


def test_what_is_no_log_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", LINES)
    with pytest.raises(InputError, match=r"a.zip: expected Parquet, CSV or JSON Lines .* found a zip archive .*; unpack or convert it"):
        read_sample(str(tmp_path / "a.zip"))
    (tmp_path / "a.bin").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="found bytes that are no text"):
        read_sample(str(tmp_path / "a.bin"))
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(InputError, match="found an empty file; leave it out"):
        read_sample(str(tmp_path / "empty.csv"))
    with pytest.raises(InputError, match="expected a file, found none"):
        read_sample(str(tmp_path / "none.csv"))
