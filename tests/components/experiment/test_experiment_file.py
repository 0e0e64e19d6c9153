"""An experiment's file: what is wrong with it is said with its line."""

from pathlib import Path

import pytest

from components.contract.errors import InputError
from components.experiment.experiment_file import load_experiment_file

GOOD = """\
experiment: new_ranker
dataset: shop.yaml
control: control
arms: {control: 50%, treatment: 50%}
from: 2026-01-05
currency: EUR
"""


def load(tmp_path: Path, text: str) -> None:
    (tmp_path / "exp.yaml").write_text(text)
    load_experiment_file(tmp_path / "exp.yaml")


def test_a_good_file_has_defaults(tmp_path: Path) -> None:
    (tmp_path / "exp.yaml").write_text(GOOD)
    file = load_experiment_file(tmp_path / "exp.yaml")
    assert file.primary == ("revenue_per_shopper",)
    assert file.cap == 0.999
    assert file.pre_period == 14 * 86400
    assert file.rule == "any"


@pytest.mark.parametrize("lines", ["planned: {days: 7}", "planned: {shoppers: 900}", "until: 2026-01-12", "until: 2026-01-12\nlooks: end"])
def test_a_planned_size_makes_looks_planned(tmp_path: Path, lines: str) -> None:
    (tmp_path / "exp.yaml").write_text(GOOD + lines + "\n")
    file = load_experiment_file(tmp_path / "exp.yaml")
    assert file.rule == ("end" if "end" in lines else "planned")
    assert file.has_end


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("currency: EUR", "currency: EURO", "unknown currency 'EURO'"),
        ("treatment: 50%", "treatment: 40%", "make 90%"),
        ("control: control\n", "control: contrl\n", "did you mean 'control'"),
        ("currency: EUR", "primary: revenue_per_shoper", "did you mean 'revenue_per_shopper'"),
        ("currency: EUR", "until: 2026-01-05", "expected a day after 2026-01-05"),
        ("currency: EUR", "shipped: canary", "no arm is called 'canary'"),
        ("currency: EUR", "excludes: new_ranker", "is this experiment"),
        ("currency: EUR", "primary: latency_ms", "is primary too"),
        ("currency: EUR", "margins: {conversion: 5%}", "is no guardrail"),
        ("treatment: 50%", "treatment: 50%, other: 0%", "share of 0%"),
        ("currency: EUR", "looks: planned", "planned looks need a plan"),
        ("dataset:", "datset:", "did you mean 'dataset'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path, GOOD.replace(old, new))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an experiment's file"):
        load_experiment_file(tmp_path / "none.yaml")
