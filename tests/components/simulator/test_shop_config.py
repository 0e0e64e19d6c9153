from datetime import date

import pytest

from components.contract.errors import ShelfRankError
from components.simulator import ShopConfig, ShopConfigError


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"events": 10}, "events: expected a whole number from 1,000"),
        ({"events": 1e6}, "events: expected a whole number"),
        ({"seed": -1}, "seed"),
        ({"days": 0}, "days"),
        ({"shoppers": 3}, "shoppers"),
        ({"products": 100}, "products: expected a whole number from 240"),
        ({"candidates": (12, 11)}, "candidates: expected 1 <= least <= greatest"),
        ({"candidates": (0, 10)}, "candidates"),
        ({"candidates": (10, 1_000)}, "candidates"),
        ({"order_noise": -0.1}, "order_noise: expected a finite number from 0 on, got -0.1"),
        ({"order_noise": float("inf")}, "order_noise"),
        ({"examination_decay": -1.0}, "examination_decay: expected a finite number from 0 on"),
        ({"drift_at": date(2026, 1, 4)}, "drift_at: expected a day of the log, 2026-01-05 up to 2026-03-05, got 2026-01-04"),
        ({"drift_at": date(2026, 3, 6)}, "drift_at"),
        ({"drift_degrees": 0.0}, "drift_degrees"),
        ({"drift_degrees": float("nan")}, "drift_degrees"),
        ({"broken_feature": "title", "broken_from": date(2026, 1, 9)}, "broken_feature: expected one of price, device, country, query"),
        ({"broken_feature": "price"}, "give both or neither"),
        ({"broken_from": date(2026, 1, 9)}, "give both or neither"),
        ({"broken_feature": "price", "broken_from": date(2027, 1, 1)}, "broken_from: expected a day of the log"),
        ({"treatment": 1.0}, "treatment: expected a share"),
        ({"treatment": -0.1}, "treatment"),
        ({"treatment_effect": float("inf")}, "treatment_effect"),
        ({"events": 100_000, "shoppers": 100, "days": 2}, "too many for 100 shoppers in 2 days"),
    ],
)
def test_a_shop_that_makes_no_sense_is_refused_with_the_reason(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ShopConfigError, match=told.replace("(", r"\(")):
        ShopConfig(**wrong)  # type: ignore[arg-type]


def test_the_refusal_belongs_to_the_one_tree_of_errors() -> None:
    assert issubclass(ShopConfigError, ShelfRankError)


def test_sizes_follow_the_number_of_events_unless_given() -> None:
    assert (ShopConfig(events=1_200_000).n_shoppers, ShopConfig(events=1_200_000).n_products) == (8_000, 3_000)
    assert (ShopConfig(events=1_000, shoppers=77).n_shoppers, ShopConfig(products=555).n_products) == (77, 555)


def test_the_first_and_the_last_day_of_the_log_are_days_of_the_log() -> None:
    assert ShopConfig(drift_at=date(2026, 1, 5)).drift_at == date(2026, 1, 5)
    assert ShopConfig(drift_at=date(2026, 3, 5)).end == date(2026, 3, 6)
