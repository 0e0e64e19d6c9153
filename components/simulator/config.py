"""Define and check the settings of a simulated shop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, get_args

from components.contract.errors import ShelfRankError

BreakableColumn = Literal["price", "device", "country", "query"]
BREAKABLE_COLUMNS: Final[tuple[str, ...]] = get_args(BreakableColumn)

MIN_PRODUCTS: Final = 240
MIN_SHOPPERS: Final = 60
MAX_CANDIDATES: Final = 25
_EVENTS_PER_SHOPPER_DAY = 40


class ShopConfigError(ShelfRankError):
    """Error of a `ShopConfig` that can't be simulated."""


@dataclass(frozen=True, kw_only=True)
class ShopConfig:
    """Settings of a simulated shop. The same config gives the same bytes.

    Attributes:
        events: target number of event rows; the log is within about 1 % of it, or a few in a log of few days.
        seed: seed of everything random.
        days: length of the log in days.
        start: first day of the log (from midnight UTC).
        shoppers: number of shoppers by the last day; `None`: one for each 150 events.
        products: number of products by the last day; `None`: one for each 400 events.
        product_days: days after which a product leaves the shop, unless it is among the newest of its category; `None`:
            none leaves. With 365 about as many leave as come where the log is about a third of a year.
        candidates: least and greatest number of products shown for one request.
        order_noise: standard deviation of the noise in the shop's order; 0: by popularity (and the intended category)
            alone.
        examination_decay: d of the probability 1 / (1 + d i) that position i, from 0, is examined; 0: all are.
        drift_at: day from which every shopper's taste is rotated; `None`: tastes never change.
        drift_degrees: angle of that rotation, (0, 180].
        broken_feature: logged column that becomes constant (price 0, other columns empty) while behaviour is unchanged.
        broken_from: day from which it does.
        treatment: share of the shoppers, [0, 1), who are treated; assigned by a salted hash of the user's id.
        treatment_effect: effect of treatment on the log-odds of a click on an examined product.

    Raises:
        ShopConfigError: a value is out of its range, or two values contradict each other.
    """

    events: int = 300_000
    seed: int = 0
    days: int = 60
    start: date = date(2026, 1, 5)
    shoppers: int | None = None
    products: int | None = None
    product_days: int | None = None
    candidates: tuple[int, int] = (10, 20)
    order_noise: float = 0.7
    examination_decay: float = 0.25
    drift_at: date | None = None
    drift_degrees: float = 90.0
    broken_feature: BreakableColumn | None = None
    broken_from: date | None = None
    treatment: float = 0.0
    treatment_effect: float = 0.3

    def __post_init__(self) -> None:
        _in_range("events", self.events, 1_000, 10_000_000_000)
        _in_range("seed", self.seed, 0, 2**63 - 1)
        _in_range("days", self.days, 1, 3_650)
        if self.shoppers is not None:
            _in_range("shoppers", self.shoppers, MIN_SHOPPERS, 1_000_000_000)
        if self.products is not None:
            _in_range("products", self.products, MIN_PRODUCTS, 100_000_000)
        if self.product_days is not None:
            _in_range("product_days", self.product_days, 1, 3_650)
        least, greatest = self.candidates
        if not 1 <= least <= greatest <= MAX_CANDIDATES:
            raise ShopConfigError(f"candidates: expected 1 <= least <= greatest <= {MAX_CANDIDATES}, got {self.candidates}")
        _not_negative("order_noise", self.order_noise)
        _not_negative("examination_decay", self.examination_decay)
        if self.drift_at is not None:
            self._check_day("drift_at", self.drift_at)
        if not 0 < self.drift_degrees <= 180:
            raise ShopConfigError(f"drift_degrees: expected an angle above 0 and up to 180, got {self.drift_degrees}")
        if self.broken_feature is not None and self.broken_feature not in BREAKABLE_COLUMNS:
            raise ShopConfigError(f"broken_feature: expected one of {', '.join(BREAKABLE_COLUMNS)}, got {self.broken_feature!r}")
        if (self.broken_feature is None) != (self.broken_from is None):
            raise ShopConfigError("broken_feature and broken_from: give both or neither")
        if self.broken_from is not None:
            self._check_day("broken_from", self.broken_from)
        if not 0 <= self.treatment < 1:
            raise ShopConfigError(f"treatment: expected a share of the shoppers in [0, 1), got {self.treatment}")
        if not math.isfinite(self.treatment_effect):
            raise ShopConfigError(f"treatment_effect: expected a finite number of log-odds, got {self.treatment_effect}")
        if self.events > _EVENTS_PER_SHOPPER_DAY * self.n_shoppers * self.days:
            raise ShopConfigError(
                f"events: {self.events:,} are too many for {self.n_shoppers:,} shoppers in {self.days} days "
                f"(at most {_EVENTS_PER_SHOPPER_DAY} a shopper and day): ask for more shoppers or days"
            )

    @property
    def n_shoppers(self) -> int:
        """Return the number of shoppers, given or derived."""
        return self.shoppers if self.shoppers is not None else max(MIN_SHOPPERS, self.events // 150)

    @property
    def n_products(self) -> int:
        """Return the number of products, given or derived."""
        return self.products if self.products is not None else max(MIN_PRODUCTS, self.events // 400)

    @property
    def start_us(self) -> int:
        """Return the start of the log, microseconds since the epoch."""
        return midnight_us(self.start)

    @property
    def end(self) -> date:
        """Return the first day after the log."""
        return self.start + timedelta(days=self.days)

    def _check_day(self, name: str, day: date) -> None:
        if not self.start <= day < self.end:
            raise ShopConfigError(f"{name}: expected a day of the log, {self.start} up to {self.end - timedelta(days=1)}, got {day}")


def midnight_us(day: date) -> int:
    """Return the day's midnight UTC in microseconds since the epoch."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


def _in_range(name: str, value: int, least: int, greatest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= greatest:
        raise ShopConfigError(f"{name}: expected a whole number from {least:,} to {greatest:,}, got {value!r}")


def _not_negative(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ShopConfigError(f"{name}: expected a finite number from 0 on, got {value}")
