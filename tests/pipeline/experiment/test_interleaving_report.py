"""The report on interleaved lists, from a log as the service writes it."""

import json
from pathlib import Path

import pytest

from components.contract.errors import InputError
from pipeline.cli.main import main
from pipeline.experiment.interleaving import read_interleaved
from serving.exposure.event_types import Interaction, Interleaved
from tests.serving.exposure.shop_log import SHOP, click, dataset, exposure, log

HOUR_US = 3_600_000_000


def interleaved(number: int, *, experiment: str = "pair", teams: tuple[str, str] = ("usual", "other")) -> Interleaved:
    """Of the order b, d, a: which team begins alternates; a is pinned."""
    first = number % 2
    return Interleaved(
        experiment=experiment, teams=teams, versions=("7", "8"), placed=[first, 1 - first, None], scores=([1.0] * 4, [0.5] * 4)
    )


def write(folder: Path, *exposures: object, clicks: list[Interaction]) -> None:
    writer = log(folder)
    for each in exposures:
        assert writer.offer(each)  # type: ignore[arg-type]
    writer.commit(clicks).result(10)
    assert writer.close(10)


def test_clicks_go_to_the_team_that_placed_the_item(tmp_path: Path) -> None:
    exposures = [exposure(n, interleaved=interleaved(n), scores=None) for n in range(6)]
    plain = exposure(6)
    late = click(0, item="b")
    clicks = [
        click(0, item="d"),  # of the second team in even requests
        click(0, item="d"),
        click(1, item="b"),  # of the second team in odd ones
        click(2, item="b"),
        click(3, item="a"),  # pinned
        click(6, item="b"),  # no interleaved list
        Interaction(time_us=late.time_us + 2 * HOUR_US, shopper="u0", action="click", item="b", request="r0"),
        Interaction(time_us=late.time_us, shopper="u0", action="search", request="r0"),
    ]
    write(tmp_path, *exposures, plain, exposure(1, interleaved=interleaved(1), scores=None), clicks=clicks)
    teams, result, counts = read_interleaved(tmp_path, dataset(), "pair", actions=["click"])
    assert teams == ("usual", "other")
    assert (result.lists, result.shoppers, result.first_won, result.second_won, result.unplaced) == (6, 3, 1, 2, 1)
    assert result.difference == pytest.approx((2 - 1) / 6)
    assert result.second_led == 1 / 2
    assert (counts["lists asked for again"], counts["clicks outside the attribution window"]) == (1, 1)


def test_the_command_prints_a_report_and_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    clicks = [click(n, item="d" if n % 2 == 0 else "b") for n in range(0, 40, 2)]
    write(tmp_path / "log", *(exposure(n, interleaved=interleaved(n), scores=None) for n in range(40)), clicks=clicks)
    command = ["experiment", "interleaving", str(tmp_path / "shop.yaml"), "--log", str(tmp_path / "log")]
    assert main([*command, "pair", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["teams"], report["lists"], report["second_won"]) == (["usual", "other"], 40, 20)
    assert report["sentence"].startswith("other is preferred (p = ")
    assert main([*command, "pair"]) == 0
    assert "other is preferred" in capsys.readouterr().out
    assert main([*command, "elsewhere"]) == 2
    assert "expected lists that the experiment 'elsewhere' interleaves, got none; it has lists of pair" in capsys.readouterr().err
    assert main([*command, "pair", "--action", "clik"]) == 2
    assert "the dataset file has no action 'clik'; did you mean 'click'?" in capsys.readouterr().err


def test_another_pair_under_the_same_name_is_refused(tmp_path: Path) -> None:
    other = interleaved(1, teams=("usual", "third"))
    write(tmp_path, exposure(0, interleaved=interleaved(0)), exposure(1, interleaved=other), clicks=[])
    with pytest.raises(InputError, match="give the second pair an experiment of its own"):
        read_interleaved(tmp_path, dataset(), "pair", actions=["click"])


def test_coins_that_are_not_fair_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    write(tmp_path / "log", *(exposure(n, interleaved=interleaved(0), scores=None) for n in range(40)), clicks=[])
    assert main(["experiment", "interleaving", str(tmp_path / "shop.yaml"), "pair", "--log", str(tmp_path / "log")]) == 0
    assert "other leads 0.0% of the lists, which fair coins don't" in capsys.readouterr().out
