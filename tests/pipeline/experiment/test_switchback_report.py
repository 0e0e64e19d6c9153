"""The report on a switchback, from a log as the service writes it."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.main import main
from tests.serving.exposure.shop_log import SHOP, click, exposure, log

MINUTES = 5  # of a slot, which has a list a minute


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Clicks on all lists of the treatment's slots, and on every fifth of the control's."""
    (tmp_path / "shop.yaml").write_text(SHOP)
    treated = np.random.default_rng(1).random(80) < 0.5
    writer, clicks = log(tmp_path / "log"), []
    for slot, is_treated in enumerate(treated.tolist()):
        for n in range(slot * MINUTES, (slot + 1) * MINUTES):
            assert writer.offer(exposure(n, arms={"stock": "new" if is_treated else "old", "other": "a"}))
            if is_treated or n % MINUTES == slot % MINUTES:
                clicks += [click(n), click(n)]
    writer.commit(clicks).result(10)
    assert writer.close(10)
    return ["experiment", "switchback", str(tmp_path / "shop.yaml"), "stock", "--log", str(tmp_path / "log")]


def test_the_effect_is_that_of_the_log(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*files, "--slot", "5m", "--control", "old", "--treatment", "new"]
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["slots"], report["counts"]["lines of decisions"]) == (79, 400)
    assert report["control"] == pytest.approx(1 / 5)
    assert report["effect"]["value"] == pytest.approx(4 / 5)
    assert report["carry_over"]["value"] == pytest.approx(0, abs=1e-9)
    assert main(arguments) == 0
    assert "new is better than old" in capsys.readouterr().out


def test_a_wrong_slot_length_or_arm_is_named(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--slot", "10m", "--control", "old", "--treatment", "new"]) == 2
    assert "a slot of 600 s has lists of 'old' and 'new'; give the experiment's `switchback`" in capsys.readouterr().err
    assert main([*files, "--slot", "5m", "--control", "olden", "--treatment", "newer"]) == 2
    assert "in the arms 'olden' and 'newer', got none" in capsys.readouterr().err
    assert main([*files, "--slot", "5 minutes", "--control", "old", "--treatment", "new"]) == 2
    assert "--slot: expected a duration such as 90s, 30m" in capsys.readouterr().err
