from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.simulator import ShopConfig, ShopFolderError, simulate
from components.simulator.config import BREAKABLE_COLUMNS
from components.simulator.log import PartFiles

CONFIG = ShopConfig(events=6_000, days=6)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("writing") / "shop", CONFIG).out


def test_the_same_config_gives_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "again", CONFIG)
    assert contents(tmp_path / "again") == contents(whole)
    assert set(contents(whole)) == {
        "events/part-00000.parquet",
        "items.parquet",
        "users.parquet",
        "truth/truth.json",
        "truth/relevance-00000.parquet",
        "truth/users.parquet",
        "truth/items.parquet",
    }


def test_another_seed_gives_another_shop(whole: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "other", replace(CONFIG, seed=1))
    other, first = contents(tmp_path / "other"), contents(whole)
    assert all(other[name] != first[name] for name in first)


@pytest.mark.parametrize("column", BREAKABLE_COLUMNS)
def test_a_broken_column_turns_constant_from_its_day_and_nothing_else_changes(whole: Path, tmp_path: Path, column: str) -> None:
    since = date(2026, 1, 8)
    simulate(tmp_path / "broken", replace(CONFIG, broken_feature=column, broken_from=since))
    sound, broken = (pl.read_parquet(folder / "events/*.parquet") for folder in (whole, tmp_path / "broken"))
    assert broken.drop(column).equals(sound.drop(column))
    late = pl.col("time").dt.date() >= since
    assert broken.filter(~late)[column].equals(sound.filter(~late)[column])
    assert broken.filter(late)[column].drop_nulls().unique().to_list() == [0.0 if column == "price" else ""]
    assert broken[column].null_count() == sound[column].null_count()


def test_a_folder_with_something_in_it_is_left_alone(whole: Path) -> None:
    before = contents(whole)
    with pytest.raises(ShopFolderError, match="new or empty"):
        simulate(whole, CONFIG)
    assert contents(whole) == before


def test_an_empty_folder_is_filled(whole: Path, tmp_path: Path) -> None:
    simulate(tmp_path, CONFIG)
    assert contents(tmp_path) == contents(whole)


def test_an_interrupted_run_leaves_nothing_that_looks_whole_and_can_be_run_again(whole: Path, tmp_path: Path) -> None:
    def stop(share: float, day: str) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "shop", CONFIG, progress=stop)
    assert not (tmp_path / "shop").exists()
    simulate(tmp_path / "shop", CONFIG)
    assert contents(tmp_path / "shop") == contents(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


def test_progress_rises_to_1_and_names_the_days(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    simulate(tmp_path / "shop", CONFIG, progress=lambda share, day: told.append((share, day)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert (told[0][1], told[-1][1]) == ("2026-01-05", "2026-01-10")


def test_a_shop_with_hours_in_which_nobody_comes(tmp_path: Path) -> None:
    summary = simulate(tmp_path / "shop", ShopConfig(events=1_000, days=60))
    assert 900 < sum(summary.events.values()) < 1_200


def test_files_are_cut_at_even_sizes_whatever_the_tables(tmp_path: Path) -> None:
    schema = pa.schema({"n": pa.int64()})
    files = PartFiles(tmp_path, "part", schema)
    for start in range(0, 700_000, 70_000):
        files.write(pa.table({"n": range(start, start + 70_000)}, schema=schema))
    files.close()
    parts = sorted(tmp_path.iterdir())
    assert [path.name for path in parts] == ["part-00000.parquet", "part-00001.parquet"]
    assert [pq.read_metadata(path).num_rows for path in parts] == [560_000, 140_000]
    assert pa.concat_tables([pq.read_table(path) for path in parts])["n"].to_pylist() == list(range(700_000))


def test_no_rows_make_one_file_without_rows(tmp_path: Path) -> None:
    PartFiles(tmp_path, "part", pa.schema({"n": pa.int64()})).close()
    assert pq.read_table(tmp_path / "part-00000.parquet").num_rows == 0
