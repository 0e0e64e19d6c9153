"""Count the lists that tell two rankers apart, by interleaving and by a split test: `python -m benchmarks.experiment.interleaving`.

The lists are those of a simulated shop: its shoppers, candidates and true probabilities. A ranker orders them by the true
log-odds of a click plus noise; two rankers differ in the noise. Clicks are drawn by examination of the position times
relevance. A split test gives each shopper one of the rankers and compares clicks per list, interleaving gives all lists
to the service's team draft and compares clicks on what each ranker placed; both test over shoppers.

From z over all shoppers follows how many lists give a power of `POWER`. The power at that number is measured on samples
of the shoppers. Two rankers with the same noise are as good as each other: they are to be told apart in 5 % of the runs.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import norm

from components.experiment.designs.interleaving import Credits, preference
from components.simulator import ShopConfig, simulate
from components.simulator.behaviour import examination
from serving.experiments.team_draft import team_draft

ALPHA, POWER = 0.05, 0.8
PAIRS = ((0.6, 0.9), (0.6, 1.2), (0.6, 2.0))  # noise of the better ranker, and of the other
DRAWS = 5  # of the rankers' noise and the draft's coins, for each pair

Numbers = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Lists:
    """Hold R lists of up to L candidates, padded with a relevance of 0.

    Attributes:
        shoppers: [R] index of each list's shopper.
        relevance: [R, L] probability of a click on an examined candidate.
        lengths: [R].
        examined: [L] probability that a position is examined.
    """

    shoppers: Ints
    relevance: Numbers
    lengths: Ints
    examined: Numbers


def shop_lists(shop: Path, config: ShopConfig) -> Lists:
    """Read the lists of a simulated shop with their truth."""
    shown = pl.read_parquet(shop / "events" / "*.parquet").filter(pl.col("action") == "impression")
    truth = pl.read_parquet(shop / "truth" / "relevance-*.parquet").join(
        shown.select("request_id", "item_id", "user_id"), on=["request_id", "item_id"]
    )
    rows = truth.sort("request_id", "position").group_by("request_id", maintain_order=True)
    grouped = rows.agg(pl.col("user_id").first(), pl.col("relevance"))
    lengths = grouped["relevance"].list.len().cast(pl.Int64).to_numpy()
    relevance = np.zeros((len(grouped), int(lengths.max())))
    relevance[np.arange(relevance.shape[1]) < lengths[:, None]] = grouped["relevance"].explode().cast(pl.Float64).to_numpy()
    shoppers = grouped["user_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    return Lists(shoppers, relevance, lengths, examination(np.arange(relevance.shape[1]), config.examination_decay))


def ranked(lists: Lists, noise: float, rng: np.random.Generator) -> Ints:
    """Return the order of a ranker, [R, L]; the padding comes last."""
    with np.errstate(divide="ignore"):
        log_odds = np.log(lists.relevance) - np.log1p(-lists.relevance)
    return np.argsort(-(log_odds + noise * rng.normal(size=log_odds.shape)), axis=1, kind="stable").astype(np.int64)


def clicks_expected(lists: Lists, order: Ints) -> Numbers:
    """Return the probability of a click at each position, [R, L]."""
    return np.asarray(np.take_along_axis(lists.relevance, order, axis=1) * lists.examined)


def draft(lists: Lists, orders: tuple[Ints, Ints], salt: str) -> tuple[Ints, Ints]:
    """Interleave each list as the service does; return the orders [R, L] and the teams [R, L], -1 in the padding."""
    order, teams = orders[0].copy(), np.full(orders[0].shape, -1)
    for row, length in enumerate(lists.lengths.tolist()):
        pair = (orders[0][row, :length].tolist(), orders[1][row, :length].tolist())
        drafted = team_draft(pair, seed=(salt, "benchmark", str(row)))
        order[row, :length], teams[row, :length] = drafted.order, drafted.teams
    return order, teams


@dataclass(frozen=True)
class Setting:
    """Hold what is drawn anew in each run from two rankers: the split test's and the interleaved lists' click probabilities."""

    lists: Lists
    split: tuple[Numbers, Numbers]
    interleaved: Numbers
    teams: Ints

    def split_z(self, chosen: NDArray[np.bool_], rng: np.random.Generator) -> float:
        """Return z of clicks per list, the second ranker's minus the first's, over chosen shoppers [S]."""
        arm = rng.integers(2, size=len(chosen))[self.lists.shoppers]
        kept = chosen[self.lists.shoppers]
        clicks = (rng.random(self.interleaved.shape) < np.where(arm[:, None] == 1, self.split[1], self.split[0])).sum(axis=1)
        means, variances = [], []
        for value in (0, 1):
            of_arm = kept & (arm == value)
            index = np.unique(self.lists.shoppers[of_arm], return_inverse=True)[1]
            totals, number = np.bincount(index, weights=clicks[of_arm]), np.bincount(index)
            means.append(totals.sum() / number.sum())
            residuals = totals - means[-1] * number
            variances.append(residuals @ residuals * len(number) / (len(number) - 1) / number.sum() ** 2)
        return float((means[1] - means[0]) / math.sqrt(sum(variances)))

    def interleaved_z(self, chosen: NDArray[np.bool_], rng: np.random.Generator) -> float:
        """Return t of the preference for the second ranker over chosen shoppers [S]."""
        kept = chosen[self.lists.shoppers]
        clicked = rng.random(self.interleaved.shape) < self.interleaved
        first, second = (((self.teams == team) & clicked).sum(axis=1)[kept] for team in (0, 1))
        index = np.unique(self.lists.shoppers[kept], return_inverse=True)[1].astype(np.int64)
        result = preference(Credits(index, first, second, self.teams[kept, 0]))
        return result.difference / result.std_error


def drawn(lists: Lists, noise: tuple[float, float], rng: np.random.Generator) -> Setting:
    """Draw the orders of two rankers and their interleaved lists; the second has the noise that comes first: it is the better one."""
    orders = (ranked(lists, noise[1], rng), ranked(lists, noise[0], rng))
    order, teams = draft(lists, orders, salt=str(rng.integers(2**62)))
    split = (clicks_expected(lists, orders[0]), clicks_expected(lists, orders[1]))
    return Setting(lists, split, clicks_expected(lists, order), teams)


@dataclass(frozen=True)
class Row:
    """Row of the table: two rankers of different quality.

    Attributes:
        noise: of the better and of the other ranker.
        truth: relative difference of their expected clicks per list.
        split_lists: that a split test needs for `POWER`.
        interleaved_lists: that interleaving needs.
        ratio: of the two.
        split_power: measured at `split_lists`; None where the shop has fewer.
        interleaved_power: measured at `interleaved_lists`.
    """

    noise: tuple[float, float]
    truth: float
    split_lists: float
    interleaved_lists: float
    ratio: float
    split_power: float | None
    interleaved_power: float | None


def compared(lists: Lists, noise: tuple[float, float], *, runs: int, seed: int) -> Row:
    """Compare two rankers both ways."""
    rng = np.random.default_rng(seed)
    settings = [drawn(lists, noise, rng) for _ in range(DRAWS)]
    everybody = np.ones(int(lists.shoppers.max()) + 1, np.bool_)
    wanted = norm.isf(ALPHA / 2) + norm.ppf(POWER)
    needed: list[float] = []
    powers: list[float | None] = []
    for z_of in (Setting.split_z, Setting.interleaved_z):
        z = np.mean([z_of(settings[run % DRAWS], everybody, rng) for run in range(runs)])
        share = float((wanted / z) ** 2)
        needed.append(share * len(lists.shoppers))
        powers.append(_rejected(settings, z_of, share, runs=runs, rng=rng) if share <= 1 else None)
    truth = float(np.mean([setting.split[1].sum() / setting.split[0].sum() - 1 for setting in settings]))
    return Row(noise, truth, needed[0], needed[1], needed[0] / needed[1], powers[0], powers[1])


def _rejected(
    settings: Sequence[Setting],
    z_of: Callable[[Setting, NDArray[np.bool_], np.random.Generator], float],
    share: float,
    *,
    runs: int,
    rng: np.random.Generator,
) -> float:
    """Return how often a difference is proven with a sample of the shoppers."""
    shoppers = int(settings[0].lists.shoppers.max()) + 1
    rejected = 0
    for run in range(runs):
        chosen = np.zeros(shoppers, np.bool_)
        chosen[rng.choice(shoppers, max(2, round(share * shoppers)), replace=False)] = True
        rejected += abs(z_of(settings[run % len(settings)], chosen, rng)) >= norm.isf(ALPHA / 2)
    return rejected / runs


def error_rates(lists: Lists, noise: float, *, shoppers: int, runs: int, seed: int) -> tuple[float, float]:
    """Return how often two equal rankers are told apart, by a split test and by interleaving, each run with other shoppers."""
    rng = np.random.default_rng(seed)
    rejected = np.zeros(2)
    everybody = np.ones(shoppers, np.bool_)
    for _ in range(runs):
        chosen = rng.choice(int(lists.shoppers.max()) + 1, shoppers, replace=False)
        kept = np.isin(lists.shoppers, chosen)
        index = np.unique(lists.shoppers[kept], return_inverse=True)[1].astype(np.int64)
        setting = drawn(Lists(index, lists.relevance[kept], lists.lengths[kept], lists.examined), (noise, noise), rng)
        here = everybody[: int(index.max()) + 1]
        rejected += [abs(z_of(setting, here, rng)) >= norm.isf(ALPHA / 2) for z_of in (Setting.split_z, Setting.interleaved_z)]
    return float(rejected[0] / runs), float(rejected[1] / runs)


def main(arguments: list[str] | None = None) -> None:
    """Simulate a shop and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000, help="of the simulated shop")
    parser.add_argument("--runs", type=int, default=200, help="of each power; as many find the number of lists")
    parser.add_argument("--error-runs", type=int, default=1_000, help="with equal rankers")
    parser.add_argument("--shoppers", type=int, default=100, help="of a run with equal rankers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the results")
    args = parser.parse_args(arguments)
    config = ShopConfig(events=args.events, seed=args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        simulate(Path(temporary) / "shop", config)
        lists = shop_lists(Path(temporary) / "shop", config)
    rows = [compared(lists, noise, runs=args.runs, seed=args.seed) for noise in track(PAIRS, "pairs of rankers", transient=True)]
    errors = error_rates(lists, PAIRS[0][0], shoppers=args.shoppers, runs=args.error_runs, seed=args.seed + 1)
    table = Table(
        "noise of the rankers", "clicks more", "lists, split test", "interleaved", "ratio", "power, split test", "interleaved",
        title=f"{len(lists.shoppers):,} lists of {int(lists.shoppers.max()) + 1:,} shoppers; lists for a power of {POWER:.0%}",
    )  # fmt: skip
    for row in rows:
        powers = ("" if power is None else f"{power:.1%}" for power in (row.split_power, row.interleaved_power))
        needed = (f"{row.split_lists:,.0f}", f"{row.interleaved_lists:,.0f}", f"{row.ratio:.0f}")
        table.add_row(f"{row.noise[0]} and {row.noise[1]}", f"{row.truth:+.2%}", *needed, *powers)
    console = Console(width=140)
    console.print(table)
    console.print(
        f"equal rankers told apart in {args.error_runs:,} runs of {args.shoppers:,} shoppers, to be {ALPHA:.0%}:"
        f" split test {errors[0]:.1%}, interleaving {errors[1]:.1%}"
    )
    if args.json:
        result = {"pairs": [asdict(row) for row in rows], "equal": {"split": errors[0], "interleaved": errors[1]}}
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
