"""Experiments and rules take effect, and the answer and the metrics say so."""

from pathlib import Path

import numpy as np
import pytest

from components.contract.popularity import popularity_column
from serving.service.ranking.fallback_scores import popularity_scores, random_scores
from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS, dataset

EXPERIMENTS = """
salt: little
layers:
  - name: ranker
    experiments:
      - name: split
        traffic: 100%
        arms:
          - {{name: one, share: 100%, {one}}}
          - {{name: other, share: 0%}}
"""
RULES = """
sets:
  default:
    - {name: recalled, kind: filter, items: [p5]}
    - {name: on_sale, kind: pin, place: 0, where: {tags: sale}, when: {device: mobile}}
    - {name: morning, kind: boost, places: 5, items: [p4], when: {hour: ["24"]}}
  dear_down:
    - {name: dear, kind: bury, places: 2, where: {price: [60]}}
  mixed:
    - {name: mix, kind: diversity, by: brand, weight: 0.9}
  german:
    - {name: ours, kind: boost, places: 5, where: {brand: Alder}, when: {country: [DE]}}
"""


def files(folder: Path, one: str) -> dict[str, Path]:
    (folder / "experiments.yaml").write_text(EXPERIMENTS.format(one=one))
    (folder / "rules.yaml").write_text(RULES)
    return {"experiments": folder / "experiments.yaml", "rules": folder / "rules.yaml"}


def test_an_arms_label_is_asked(started: Started, tmp_path: Path) -> None:
    service = started(places=files(tmp_path, "model: previous"))
    answer = service.rank("p0", "p1", "p2", shopper="a")
    assert (answer["order"], answer["version"], answer["label"]) == (["p0", "p1", "p2"], 1, "previous")
    assert (answer["arms"], answer["degraded"]) == ({"split": "one"}, False)
    guest = service.rank("p0", "p1", "p2")
    assert (guest["version"], guest["arms"]) == (2, {})
    service.post("/v1/events", {"interactions": [{"action": "click", "item": "p0", "shopper": "a"}]})
    assert service.counted('shelfrank_actions_total{action="click",served_by="previous"}') == 1
    assert service.counted('shelfrank_model_version{label="previous"}') == 1


def test_an_arms_label_that_fails_falls_back_to_the_usual_one(started: Started, tmp_path: Path) -> None:
    answer = started(places=files(tmp_path, "model: nan")).rank("p0", "p1", shopper="a")
    assert (answer["rung"], answer["version"], answer["label"]) == ("previous", 2, "nan")
    assert answer["reason"] == "previous (nan: rubbish)"


def test_a_baseline_is_no_degradation(started: Started, tmp_path: Path) -> None:
    service = started(places=files(tmp_path, "baseline: keep-order"))
    answer = service.rank("p2", "p0", "p3", shopper="a")
    assert (answer["order"], answer["rung"], answer["degraded"], answer["version"]) == (["p2", "p0", "p3"], "baseline", False, None)
    assert service.counted('shelfrank_ranked_total{label="newest",rung="baseline"}') == 1


def test_popularity_as_a_baseline(started: Started, tmp_path: Path) -> None:
    service = started(places=files(tmp_path, "baseline: popularity"))
    service.post("/v1/events", {"interactions": [{"action": "click", "item": "p3", "shopper": "b"}]})
    assert service.rank("p2", "p0", "p3", shopper="a")["order"] == ["p3", "p2", "p0"]


def test_the_lot_is_the_same_for_one_request_and_another_for_the_next(started: Started, tmp_path: Path) -> None:
    service = started(places=files(tmp_path, "baseline: shuffle"))
    orders = [tuple(service.rank(*ITEMS[:5], shopper="a", request=name)["order"]) for name in ("r1", "r1", "r2", "r3", "r4")]
    assert orders[0] == orders[1]
    assert len(set(orders)) > 2
    assert random_scores("r1", 5).tolist() == random_scores("r1", 5).tolist()


def test_rules_filter_and_pin_by_the_products_values_and_the_context(started: Started, tmp_path: Path) -> None:
    service = started(places=files(tmp_path, "model: stable"))
    answer = service.rank(*ITEMS, context={"device": "mobile"})
    assert answer["order"] == ["p2", "p0", "p4", "p3", "p1"]  # p5 is recalled; p2 and p0 are on sale
    assert answer["scores"] == pytest.approx(np.log([30, 10, 50, 40, 20]), abs=1e-6)  # of the model, not of the rules
    assert answer["rules"] == ["recalled", "on_sale"]
    assert service.rank(*ITEMS, context={"device": "desktop"})["order"] == ["p4", "p3", "p2", "p1", "p0"]
    assert service.rank(*ITEMS)["order"] == ["p4", "p3", "p2", "p1", "p0"]


@pytest.mark.parametrize(
    ("rules", "order"),
    [
        ("dear_down", ["p4", "p3", "p5", "p2", "p1", "p0"]),
        ("mixed", ["p5", "p4", "p3", "p2", "p1", "p0"]),
        ("german", ["p4", "p2", "p0", "p5", "p3", "p1"]),
    ],
)
def test_an_arms_rules_come_in_place_of_the_default_ones(started: Started, tmp_path: Path, rules: str, order: list[str]) -> None:
    assert started(places=files(tmp_path, f"rules: {rules}")).rank(*ITEMS, shopper="a")["order"] == order


def test_rules_hold_for_what_stands_in_as_well(started: Started, tmp_path: Path) -> None:
    service = started(places=files(tmp_path, "model: stable") | {"model": "no_such_model"})
    answer = service.rank("p3", "p5", "p0", context={"device": "mobile"})
    assert (answer["order"], answer["rung"], answer["rules"]) == (["p0", "p3"], "given", ["recalled", "on_sale"])


def test_what_is_popular_is_what_the_model_learns_from() -> None:
    assert popularity_column(dataset()) == "item_clicks"
    tensors = {"item_clicks": np.array([[1, 3, 0]], np.float32)}
    found = popularity_scores(tensors, "item_clicks", 2)
    assert found is not None
    assert found.tolist() == [1, 3]
    assert popularity_scores({"item_clicks": np.array([[2, 2, 0]], np.float32)}, "item_clicks", 2) is None
    assert popularity_scores(tensors, None, 2) is None


def test_lists_and_clicks_are_counted_by_experiment_and_arm_whatever_the_arm_changes(started: Started, tmp_path: Path) -> None:
    service = started(places=files(tmp_path, "rules: dear_down"))
    for _ in range(3):
        service.rank("p0", "p1", shopper="a", places=2)
    service.rank("p0", "p1", places=2)  # a guest is in no experiment
    service.post("/v1/events", {"impressions": [{"items": ["p0"], "shopper": "a", "request": "r"}]})
    service.post("/v1/events", {"interactions": [{"action": "click", "item": "p0", "shopper": "a"}]})
    assert service.counted('shelfrank_arm_shown_total{arm="one",experiment="split"}') == 4
    assert service.counted('shelfrank_arm_actions_total{action="click",arm="one",experiment="split"}') == 1
    assert service.counted('shelfrank_shown_total{served_by="stable"}') == 5
