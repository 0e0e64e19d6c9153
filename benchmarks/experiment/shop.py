"""A shop's exposure log with a planted effect: shoppers who come again and again, and orders with a heavy tail.

A shopper has a rate of visits (gamma), a click rate (beta), a rate of buying what was clicked (beta) and a level of spending (lognormal);
an order's amount is lognormal around it, with a standard deviation of the logarithm of 1. Half of the shoppers have no visit on most days.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

DAY_US = 86_400_000_000
FIRST_DAY = date(2026, 1, 5)
FIRST_US = (FIRST_DAY - date(1970, 1, 1)).days * DAY_US
EXPERIMENT = "new_ranker"
PLACES = 10

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What the treatment changes: factors on the click rate, on the rate of buying and on amounts; milliseconds; share degraded."""

    click: float = 1.0
    buy: float = 1.0
    amount: float = 1.0
    latency_ms: float = 0.0
    degraded: float = 0.0
    novelty_days: float | None = None
    """Days after which a shopper's effect on clicks has fallen to 1 / e; None: it stays."""


@dataclass(frozen=True, kw_only=True)
class ShopConfig:
    """A shop.

    Attributes:
        shoppers: how many could come.
        visits_a_day: mean over shoppers.
        days: of the experiment.
        history_days: before it.
        effect: of the treatment.
        shares: of the arms; the first is the control, all others have the effect.
        seed: of everything.
    """

    shoppers: int = 5_000
    visits_a_day: float = 0.2
    days: int = 14
    history_days: int = 14
    effect: Effect = field(default_factory=Effect)
    shares: Mapping[str, float] = field(default_factory=lambda: {"control": 0.5, "treatment": 0.5})
    seed: int = 0


@dataclass(frozen=True)
class ShopLog:
    """Decisions and interactions, each sorted by time; columns as in the exposure log, `arm` of a decision as a text."""

    decisions: pl.DataFrame
    interactions: pl.DataFrame


class Shop:
    """The shoppers of a shop; spans of days are drawn one by one."""

    def __init__(self, config: ShopConfig) -> None:
        rng = np.random.default_rng([config.seed, 0])
        n = config.shoppers
        self._config = config
        self._visits = config.visits_a_day * rng.gamma(0.5, 2.0, n)
        self._click = rng.beta(2, 30, n)
        self._buy = rng.beta(2, 14, n)
        self._spend = np.exp(3.2 + rng.normal(0, 0.5, n))
        self.arm = rng.choice(len(config.shares), n, p=list(config.shares.values()))
        self.users = pl.select(pl.format("u{}", pl.int_range(n))).to_series()

    def span(self, first: int, days: int) -> ShopLog:
        """Draw the days from `first` on, 0 being the experiment's first day."""
        config, effect = self._config, self._config.effect
        rng = np.random.default_rng([config.seed, 1, first + 10_000])
        shopper = np.repeat(np.arange(config.shoppers), rng.poisson(self._visits * days))
        start = FIRST_US + first * DAY_US + rng.integers(0, days * DAY_US - 3_600_000_000, len(shopper))
        session = np.arange(len(shopper)) + (first + 10_000) * 100_000_000
        lists = 1 + rng.poisson(1.5, len(shopper))
        shopper, session = np.repeat(shopper, lists), np.repeat(session, lists)
        within = np.arange(len(shopper)) - np.repeat(np.cumsum(lists) - lists, lists)
        time = np.repeat(start, lists) + within * 90_000_000
        treated = (self.arm[shopper] > 0) & (time >= FIRST_US)
        strength = np.ones(len(shopper))
        if effect.novelty_days is not None:
            earliest = np.full(config.shoppers, np.iinfo(np.int64).max)
            np.minimum.at(earliest, shopper, time)
            strength = np.exp(-(time - earliest[shopper]) / DAY_US / effect.novelty_days)
        click_rate = self._click[shopper] * np.where(treated, 1 + (effect.click - 1) * strength, 1.0)
        clicks = rng.binomial(PLACES, np.minimum(click_rate, 1))
        latency = rng.gamma(8.0, 1.5, len(shopper)) + np.where(treated, effect.latency_ms, 0.0)
        degraded = rng.random(len(shopper)) < 0.002 + np.where(treated, effect.degraded, 0.0)
        order = np.argsort(time, kind="stable")
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order)) + (first + 10_000) * 100_000_000
        decisions = pl.DataFrame(
            {
                "request": number,
                "time": time,
                "user": self.users.gather(shopper),
                "session": session,
                "arm": pl.Series(list(config.shares)).gather(self.arm[shopper]),
                "degraded": pl.Series(["", "model:timeout"]).gather(degraded.astype(np.int64)),
                "model_ms": np.round(latency, 3),
            }
        ).with_columns(arm=pl.when(pl.col("time") >= FIRST_US).then("arm"))
        return ShopLog(_texts(decisions[order]), self._interactions(rng, decisions, shopper, treated, clicks))

    def _interactions(
        self, rng: np.random.Generator, decisions: pl.DataFrame, shopper: Ints, treated: NDArray[np.bool_], clicks: Ints
    ) -> pl.DataFrame:
        effect = self._config.effect
        row = np.repeat(np.arange(len(clicks)), clicks)
        bought = rng.random(len(row)) < self._buy[shopper[row]] * np.where(treated[row], effect.buy, 1.0)
        paid = row[bought]
        revenue = self._spend[shopper[paid]] * np.exp(rng.normal(-0.5, 1.0, len(paid))) * np.where(treated[paid], effect.amount, 1.0)
        pieces = 1 + rng.poisson(0.3, len(paid))
        after = rng.integers(1_000_000, 80_000_000, len(row))
        missing = np.full(len(row), np.nan)
        both = np.concatenate([row, paid])
        frame = pl.DataFrame(
            {
                "time": decisions["time"].gather(both).to_numpy() + np.concatenate([after, after[bought] + 300_000_000]),
                "user": decisions["user"].gather(both),
                "item": np.concatenate([rng.integers(0, 5000, len(row)), rng.integers(0, 5000, len(paid))]),
                "action": pl.Series(["click", "purchase"]).gather(np.repeat([0, 1], [len(row), len(paid)])),
                "request": decisions["request"].gather(both),
                "session": decisions["session"].gather(both),
                "revenue": np.concatenate([missing, np.round(revenue, 2)]),
                "quantity": np.concatenate([missing, pieces.astype(np.float64)]),
                "margin": np.concatenate([missing, np.round(revenue * rng.normal(0.25, 0.1, len(paid)), 2)]),
            }
        ).with_columns(pl.col("revenue", "quantity", "margin").fill_nan(None))
        return _texts(frame.sort("time", "request", "item")).with_columns(item=pl.format("p{}", "item"))


def _texts(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(request=pl.format("r{}", "request"), session=pl.format("s{}", "session"))


def whole_log(config: ShopConfig) -> ShopLog:
    """Return the time before the experiment and the experiment."""
    shop = Shop(config)
    spans = [shop.span(-config.history_days, config.history_days)] if config.history_days else []
    spans.append(shop.span(0, config.days))
    return ShopLog(pl.concat([span.decisions for span in spans]), pl.concat([span.interactions for span in spans]))
