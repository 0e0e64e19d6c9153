"""Vary one assumption at a time, and see what is left of the return."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from components.experiment.roi.assumptions import NUMBERS, number, with_number
from components.experiment.roi.avoided_losses import Rollback, avoided_losses
from components.experiment.roi.costs import Usage, cost_items, total_cost
from components.experiment.roi.gains import ShrunkEffects, days_between, margin_basis, money_weights
from components.experiment.roi.price_file import PriceFile
from components.experiment.roi.programme import Programme
from components.experiment.roi.shrinkage import Floats

STEP = 0.25
HALF_LIFE_DAYS = 180.0
"""What is tried where the price file says that effects last."""


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What the return is computed from, besides the price file.

    `effects` are by metric; `until` is the first day that doesn't count.
    """

    programme: Programme
    effects: Mapping[str, ShrunkEffects]
    usage: Usage
    rollbacks: tuple[Rollback, ...]
    until: date


@dataclass(frozen=True, kw_only=True)
class Swing:
    """A figure with an assumption at a low and at a high value, named in `low` and `high`.

    `figure` is "net return" or, for what only enters there, "avoided losses".
    """

    name: str
    low: str
    high: str
    at_low: float
    at_high: float
    figure: str = "net return"

    @property
    def width(self) -> float:
        """How far the figure moves."""
        return abs(self.at_high - self.at_low)


def daily_margin(basis: Basis, file: PriceFile) -> Floats:
    """Return what a relative effect of 1 brings in margin, (arms, days)."""
    metric, factor = margin_basis(basis.programme, file)
    return factor * money_weights(basis.programme.arms, metric, file, days_between(file.start, basis.until))


def margin_effects(basis: Basis, file: PriceFile) -> ShrunkEffects:
    """Return the effects that margin is computed from."""
    return basis.effects[margin_basis(basis.programme, file)[0]]


def net_return(basis: Basis, file: PriceFile) -> float:
    """Return the shrunk gain in margin less all costs."""
    gain = margin_effects(basis, file).draws.mean(0) @ daily_margin(basis, file).sum(1)
    return float(gain) - total_cost(cost_items(file, basis.usage, basis.until))


def shop_margin_a_day(basis: Basis, file: PriceFile) -> float:
    """Return the shop's margin of a day, as the latest experiment's control had it."""
    metric, factor = margin_basis(basis.programme, file)
    latest = basis.programme.arms[-1]
    return factor * latest.metrics[metric].control * latest.shoppers_a_day * file.effects.traffic.value


def sensitivity(basis: Basis, file: PriceFile) -> tuple[Swing, ...]:
    """Vary each number that the result depends on, those that move the net return most first."""
    swings = [*_of_effects(basis, file), *_of_shares(basis, file)]
    for key, name, unit in NUMBERS:
        sourced = number(file, key)
        if sourced is not None and sourced.value > 0:
            values = (sourced.value * (1 - STEP), sourced.value * (1 + STEP))
        elif sourced is None and key[1] == "half_life_days":
            lasting = net_return(basis, file)
            worn = net_return(basis, with_number(file, key, HALF_LIFE_DAYS))
            swings.append(Swing(name=name, low=f"{HALF_LIFE_DAYS:g} days", high="effects last", at_low=worn, at_high=lasting))
            continue
        else:
            continue
        files = [with_number(file, key, value) for value in values]
        low, high = (f"{value:,.4g} {unit.format(currency=file.currency)}" for value in values)
        if key[0] == "rollbacks":
            losses = [avoided_losses(basis.rollbacks, each, margin_a_day=shop_margin_a_day(basis, each)).total.shrunk for each in files]
            swings.append(Swing(name=name, low=low, high=high, at_low=losses[0], at_high=losses[1], figure="avoided losses"))
        else:
            at_low, at_high = (net_return(basis, each) for each in files)
            swings.append(Swing(name=name, low=low, high=high, at_low=at_low, at_high=at_high))
    return tuple(sorted(swings, key=lambda each: (each.figure == "avoided losses", -each.width)))


def _of_effects(basis: Basis, file: PriceFile) -> list[Swing]:
    """Return what the experiments' own uncertainty does, and what shrinking does."""
    effects, weights = margin_effects(basis, file), daily_margin(basis, file).sum(1)
    cost = total_cost(cost_items(file, basis.usage, basis.until))
    draws = effects.draws @ weights
    low, high = (float(each) - cost for each in np.quantile(draws, [0.025, 0.975]))
    return [
        Swing(name="Chance in the tests", low="bad luck: the range's lower end", high="its upper end", at_low=low, at_high=high),
        Swing(
            name="Correction for picking winners",
            low="corrected",
            high="taken as measured",
            at_low=float(draws.mean()) - cost,
            at_high=float(effects.measured @ weights) - cost,
        ),
    ]


def _of_shares(basis: Basis, file: PriceFile) -> list[Swing]:
    """Return what another share of the traffic during a shipped experiment does: the shop is larger by as much as the share is smaller."""
    effects, weights = margin_effects(basis, file), daily_margin(basis, file).sum(1)
    gains, net = effects.draws.mean(0) * weights, net_return(basis, file)
    swings = []
    for arm, gain in zip(basis.programme.arms, gains, strict=True):
        if arm.shipped:
            entry = file.experiments.get(arm.experiment)
            share = entry.traffic if entry else 1.0
            low, high = share * (1 - STEP), min(1.0, share * (1 + STEP))
            swings.append(
                Swing(
                    name=f"Share of the traffic that {arm.experiment} took",
                    low=f"{low:.1%}".replace("%", " %"),
                    high=f"{high:.1%}".replace("%", " %"),
                    at_low=net + gain * (share / low - 1),
                    at_high=net + gain * (share / high - 1),
                )
            )
    return swings
