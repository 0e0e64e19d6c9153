"""Plant faults of assignment and logging into a log, and see whether the checks name them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.experiment.files import planted_dataset
from benchmarks.experiment.rates import experiment_file, shoppers_of
from benchmarks.experiment.shop import DAY_US, FIRST_US, ShopConfig, ShopLog, whole_log
from components.experiment.checks import Assigned, check_all
from components.experiment.report_schema import Check

TREATMENT = "treatment"


@dataclass(frozen=True)
class Fault:
    """A change of the log, and which check should name it."""

    text: str
    check: str
    plant: Callable[[ShopLog], ShopLog]


def _share(column: str, share: float, seed: int = 1) -> pl.Expr:
    """Return whether a row is in a share by the hash of a column."""
    return pl.col(column).hash(seed) < int(share * 2**64)


def _in_treatment(log: ShopLog) -> pl.DataFrame:
    return log.decisions.filter(pl.col("arm") == TREATMENT).select("user").unique()


def arm_by_session(log: ShopLog) -> ShopLog:
    """Draw the arm of two per cent of the shoppers anew in every session."""
    flipped = pl.when(_share("session", 0.5)).then(pl.lit(TREATMENT)).otherwise(pl.lit("control"))
    arm = pl.when(_share("user", 0.02) & pl.col("arm").is_not_null()).then(flipped).otherwise("arm")
    return ShopLog(log.decisions.with_columns(arm=arm), log.interactions)


def lost_shoppers(log: ShopLog) -> ShopLog:
    """Lose the decisions of twenty per cent of the treatment's shoppers."""
    return ShopLog(log.decisions.filter(~((pl.col("arm") == TREATMENT) & _share("user", 0.2)).fill_null(False)), log.interactions)


def lost_interactions(log: ShopLog) -> ShopLog:
    """Lose nine of ten interactions of the treatment."""
    own = log.interactions.with_row_index("row").join(_in_treatment(log), on="user", how="semi").filter(_share("row", 0.9))
    kept = log.interactions.with_row_index("row").join(own.select("row"), on="row", how="anti").drop("row")
    return ShopLog(log.decisions, kept)


def lost_clicks(log: ShopLog) -> ShopLog:
    """Lose a third of the treatment's clicks, as by a page that leaves before it sends them; purchases stay."""
    own = log.interactions.with_row_index("row").join(_in_treatment(log), on="user", how="semi")
    lost = own.filter((pl.col("action") == "click") & _share("row", 1 / 3) & (pl.col("time") >= FIRST_US)).select("row")
    return ShopLog(log.decisions, log.interactions.with_row_index("row").join(lost, on="row", how="anti").drop("row"))


def silent_day(log: ShopLog) -> ShopLog:
    """Lose a day's interactions of the treatment."""
    day = pl.col("time").is_between(FIRST_US + 5 * DAY_US, FIRST_US + 6 * DAY_US)
    own = log.interactions.with_row_index("row").join(_in_treatment(log), on="user", how="semi").filter(day).select("row")
    return ShopLog(log.decisions, log.interactions.with_row_index("row").join(own, on="row", how="anti").drop("row"))


def by_loyalty(log: ShopLog) -> ShopLog:
    """Put a fifth of those who came often before into the treatment, whatever was drawn."""
    often = log.decisions.filter(pl.col("time") < FIRST_US).group_by("user").len().filter(pl.col("len") > 8).filter(_share("user", 0.2))
    decisions = log.decisions.join(often.select("user", often=pl.lit(True)), on="user", how="left", maintain_order="left")
    arm = pl.when(pl.col("arm").is_not_null() & pl.col("often").fill_null(False)).then(pl.lit(TREATMENT)).otherwise("arm")
    return ShopLog(decisions.with_columns(arm=arm).drop("often"), log.interactions)


def bots(log: ShopLog) -> ShopLog:
    """Add three shoppers who ask for a thousand lists on one day and click on none."""
    template = log.decisions.filter(pl.col("arm") == TREATMENT).head(1)
    users = pl.DataFrame({"bot": [f"bot{number}" for number in range(3)]})
    rows = template.drop("user", "time", "request").join(users, how="cross").join(pl.DataFrame({"n": range(1000)}), how="cross")
    rows = rows.with_columns(
        user=pl.col("bot"), time=pl.lit(FIRST_US + 3 * DAY_US) + pl.col("n") * 1_000_000, request=pl.format("{}-{}", "bot", "n")
    )
    return ShopLog(pl.concat([log.decisions, rows.select(log.decisions.columns)]).sort("time"), log.interactions)


FAULTS = (
    Fault("nothing is planted", "", lambda log: log),
    Fault("2 % of shoppers drawn anew each session", "one arm a shopper", arm_by_session),
    Fault("decisions of 20 % of the treatment's shoppers are lost", "sample ratio", lost_shoppers),
    Fault("a fifth of the frequent shoppers put into the treatment", "pre-exposure", by_loyalty),
    Fault("nine of ten interactions of the treatment are lost", "logging", lost_interactions),
    Fault("a third of the treatment's clicks are lost", "logging", lost_clicks),
    Fault("a day's interactions of the treatment are lost", "logging", silent_day),
    Fault("three bots with a thousand lists a day", "bots", bots),
)


def named_checks(log: ShopLog, shares: Mapping[str, float], folder: Path) -> list[Check]:
    """Return the checks of a log that aren't passed."""
    shoppers, _, counts = shoppers_of(log, experiment_file(shares), planted_dataset(folder))
    checks = check_all(shoppers, Assigned(shares=shares, control=next(iter(shares))), counts)
    return [check for check in checks if check.severity != "pass"]


def table_text(folder: Path, *, shops: int, shoppers: int) -> str:
    """Return a table with a row for each fault: in how many shops it was named, and in how many another was."""
    lines = ["| planted | check that should name it | named | others named | what it says |", "| --- | --- | --- | --- | --- |"]
    for fault in FAULTS:
        named = others = 0
        said = ""
        for seed in range(shops):
            config = ShopConfig(shoppers=shoppers, seed=seed)
            checks = named_checks(fault.plant(whole_log(config)), config.shares, folder)
            hits = [check for check in checks if check.name == fault.check]
            named += bool(hits)
            others += any(check.name != fault.check for check in checks)
            said = hits[0].text if hits else said
        hit = f"{named} of {shops}" if fault.check else "-"
        lines.append(f"| {fault.text} | {fault.check or '-'} | {hit} | {others} of {shops} | {said} |")
    return "\n".join(lines)
