"""Measure error rates and coverage: many experiments on shops whose truth is planted, with shoppers who come again and again."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from benchmarks.experiment.files import experiment_text, planted_dataset
from benchmarks.experiment.shop import EXPERIMENT, PLACES, Effect, ShopConfig, ShopLog, whole_log
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.yaml_loader import parse_strict
from components.experiment.checks import Assigned, check_all
from components.experiment.experiment_file import ExperimentFile
from components.experiment.metrics import METRICS, outcome_actions
from components.experiment.novelty import novelty
from components.experiment.outliers import cap_amounts
from components.experiment.results import Analysis, compare_all, with_role
from components.experiment.shoppers import LoggedTotals, Shoppers, build_shoppers
from pipeline.experiment.log_window import log_window
from pipeline.experiment.read_log import combine
from pipeline.experiment.shopper_actions import ShopperActions
from pipeline.experiment.shopper_lists import LogQuery, ShopperLists

PLANTED = Effect(click=1.10, buy=1.05, amount=1.05, latency_ms=1.0, degraded=0.002)
PRIMARY = ("revenue_per_shopper", "click_rate")
TRUTH_SHOPPERS, TRUTH_SHOPS = 100_000, 10
ALPHA, BLOCK = 0.05, 20


def shoppers_of(log: ShopLog, file: ExperimentFile, dataset: Dataset) -> tuple[Shoppers, LoggedTotals, Counter[str]]:
    """Return the shoppers of a log that lies in memory, as `shelfrank experiment report` reads them from files."""
    window = log_window(file.start, file.until, pre_period_s=file.pre_period, zone="UTC")
    counts: Counter[str] = Counter()
    lists = ShopperLists(LogQuery.of_file(file), window, counts)
    order = pl.lit(pl.Series([list(range(PLACES))])).first()
    decisions = log.decisions.with_columns(arms=pl.struct(pl.col("arm").alias(EXPERIMENT)), shown=pl.lit(PLACES), order=order)
    lists.add(decisions.select(lists.schema.names).to_arrow())
    exposed = lists.exposed()
    assert exposed is not None
    acts = ShopperActions(dataset, outcome_actions(dataset), window, counts, exposed=exposed, guests=False)
    acts.add(log.interactions.select(acts.schema.names).to_arrow())
    totals = combine(lists, acts, window)
    return build_shoppers(totals, file.bots), totals, counts


def experiment_file(shares: Mapping[str, float], lines: str = "") -> ExperimentFile:
    """Return the planted shop's experiment."""
    text = experiment_text(shares=dict(shares), lines=lines)
    return parse_strict(text, "experiment", model=ExperimentFile, check=lambda parsed: [], error=InputError, example="experiment: a")


def true_effects(config: ShopConfig, folder: Path, *, shops: int = TRUTH_SHOPS, shoppers: int = TRUTH_SHOPPERS) -> dict[str, float]:
    """Return the effect on each metric over a million shoppers: its error is a small part of one experiment's."""
    dataset, sums = planted_dataset(folder), defaultdict[tuple[str, int], float](float)
    for shop in range(shops):
        world = replace(config, shoppers=shoppers, history_days=0, seed=1_000_000 + shop, shares={"control": 0.5, "treatment": 0.5})
        table = shoppers_of(whole_log(world), experiment_file(world.shares), dataset)[0].table
        for arm in (0, 1):
            side = table.filter(pl.col("arm") == arm)
            for metric in METRICS:
                sums[f"{metric.name} total", arm] += float(side[metric.total].sum())
                sums[f"{metric.name} per", arm] += len(side) if metric.per is None else float(side[metric.per].sum())
    means = {
        metric.name: [sums[f"{metric.name} total", arm] / max(sums[f"{metric.name} per", arm], 1) for arm in (0, 1)] for metric in METRICS
    }
    return {name: treatment - control for name, (control, treatment) in means.items()}


@dataclass(frozen=True, kw_only=True)
class Series:
    """Many experiments: a shop, the quantiles at which amounts are capped, the experiments, and a folder that keeps their results."""

    config: ShopConfig
    caps: tuple[float | None, ...]
    experiments: int
    folder: Path


def measure(series: Series, say: Callable[[str], None]) -> pl.DataFrame:
    """Run many experiments, each on a shop of its own, and return a row for each test.

    Each block of `BLOCK` experiments is kept in the folder, so that a run that was stopped goes on where it was.
    """
    blocks = []
    for first in range(0, series.experiments, BLOCK):
        file = series.folder / f"{first:06d}.parquet"
        if not file.exists():
            rows = []
            for seed in range(first, min(first + BLOCK, series.experiments)):
                rows += _experiment(replace(series.config, seed=seed), series)
                say(f"{seed + 1} of {series.experiments}")
            pl.DataFrame(rows, infer_schema_length=None).write_parquet(file)
        blocks.append(pl.read_parquet(file))
    return pl.concat(blocks)


def _experiment(config: ShopConfig, series: Series) -> list[dict[str, object]]:
    arms = tuple(config.shares)
    metrics = tuple(with_role(metric, "primary" if metric.name in PRIMARY else metric.role) for metric in METRICS)
    analysis = Analysis(arms=arms, control=arms[0], metrics=metrics, currency="EUR", alpha=ALPHA)
    shoppers, totals, counts = shoppers_of(whole_log(config), experiment_file(config.shares), planted_dataset(series.folder))
    rows: list[dict[str, object]] = []

    def add(cap: float | None, kind: str, name: str, **values: object) -> None:
        empty = dict.fromkeys(("role", "adjustment"), "") | dict.fromkeys(("effect", "std_error", "lower", "upper"), 0.0)
        rows.append(
            {"seed": config.seed, "capped": cap is not None, "kind": kind, "name": name, **empty, "p": 1.0, "significant": False} | values
        )

    for cap in series.caps:
        table = cap_amounts(shoppers.table, cap).table
        for row in compare_all(table, table, analysis, {}):
            names = ("role", "adjustment", "effect", "std_error", "lower", "upper", "p", "significant")
            add(cap, "metric", row.metric, **{name: getattr(row, name) for name in names})
    for column in ("clicks", "revenue"):
        _, trends = novelty(shoppers.days, shoppers.table, column, arms=arms, control=arms[0], last_day=totals.last_day)
        for trend in trends:
            add(series.caps[0], "trend", f"novelty of {column}", adjustment="none", p=trend.p)
    for check in check_all(shoppers, Assigned(shares=config.shares, control=arms[0]), counts):
        add(series.caps[0], "check", check.name, significant=check.severity == "fault")
    return rows


def table_text(tests: pl.DataFrame, truth: Mapping[str, float], *, covered: bool) -> str:
    """Return a table with a row for each metric: the share of tests that reject, or of intervals that hold the truth."""
    heading = "covered" if covered else "rejected"
    lines = [f"| metric | truth | {heading} | {heading}, CUPED | sd of effects / mean std. error |", "| --- | --- | --- | --- | --- |"]
    tests = tests.filter(pl.col("kind").is_in(["metric"] if covered else ["metric", "trend"]))
    for name in tests["name"].unique(maintain_order=True):
        own, true = tests.filter(pl.col("name") == name), truth.get(name, 0.0)
        hit = (pl.col("lower") <= true) & (pl.col("upper") >= true) if covered else pl.col("p") < ALPHA
        cells = []
        for adjustment in ("none", "cuped"):
            rows = own.filter(pl.col("adjustment") == adjustment)
            cells.append(f"{rows.select(hit.mean()).item():.1%}" if len(rows) else "-")
        plain = own.filter(pl.col("adjustment") == "none")
        spread = plain.select(pl.col("effect").std() / pl.col("std_error").mean()).item() if plain["std_error"].sum() else None
        lines.append(f"| `{name}` | {true:+.4g} | {' | '.join(cells)} | {'-' if spread is None else f'{spread:.3f}'} |")
    return "\n".join(lines)


def others_text(tests: pl.DataFrame) -> str:
    """Return the share of experiments with any significant metric, by correction, and with a false fault, by check."""
    metrics, checks = tests.filter(pl.col("kind") == "metric"), tests.filter(pl.col("kind") == "check")
    experiments = tests["seed"].n_unique()
    lines = []
    for text, where in (("primary, Holm", pl.col("role") == "primary"), ("others, Benjamini-Hochberg", pl.col("role") != "primary")):
        number = metrics.filter(where & pl.col("significant"))["seed"].n_unique()
        lines.append(f"experiments with a significant metric, {text}: {number / experiments:.1%}")
    for name in checks["name"].unique(maintain_order=True):
        number = checks.filter((pl.col("name") == name) & pl.col("significant"))["seed"].n_unique()
        lines.append(f"experiments with a false fault, {name}: {number / experiments:.1%}")
    return "\n".join(lines)
