"""The same log in any dialect and layout gives the same examples as plain Parquet, or an error: never a silent difference."""

from pathlib import Path

import pytest

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.ingest.sources.files import layout as blocks_of
from tests.components.ingest.generators.random_files import Layout
from tests.components.ingest.generators.random_layouts import write_layout
from tests.components.ingest.generators.random_logs import random_log, write_canonical
from tests.components.ingest.without_beam import digests, job_of, run_steps

QUICK, MANY, SHARE = 60, 10_060, 500


def examples(text: str, data: Path, out: Path) -> dict[str, str]:
    """Digests of the files of examples."""
    run_steps(job_of(text, data, out), blocks_of(parse_dataset(text), str(data)).blocks)
    return digests(out / "examples")


def read(seed: int, folder: Path) -> tuple[Layout, str]:
    """What became of the log: "same", "different", or an error's sentence."""
    log = random_log(seed)
    wanted = examples(write_canonical(log, folder / "plain"), folder / "plain", folder / "plain-out")
    text, layout = write_layout(log, folder / "other", seed)
    try:
        result = examples(text, folder / "other", folder / "other-out")
    except InputError as error:
        return layout, str(error)
    return layout, "same" if result == wanted else "different"


@pytest.mark.parametrize("seed", range(QUICK))
def test_a_layout_gives_the_examples_of_plain_parquet(seed: int, tmp_path: Path) -> None:
    layout, outcome = read(seed, tmp_path)
    assert outcome != "different", layout
    assert outcome == "same" or not layout.declared, (outcome, layout)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(QUICK, MANY, SHARE))
def test_ten_thousand_logs_without_a_silent_difference(first: int, tmp_path: Path) -> None:
    wrong, refused = {}, 0
    for seed in range(first, min(first + SHARE, MANY)):
        layout, outcome = read(seed, tmp_path / str(seed))
        refused += outcome not in ("same", "different")
        if outcome == "different" or (outcome != "same" and layout.declared):
            wrong[seed] = (outcome, layout)
    assert not wrong, f"{len(wrong)} of {SHARE}, {refused} refused; the first: {next(iter(wrong.items()))}"
