"""Check assignment and logging, and name what is broken: with a fault no result can be trusted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import chi2_contingency, chisquare
from statsmodels.stats.multitest import multipletests

from components.experiment.comparison import compare, digits
from components.experiment.metrics import HISTORY, METRICS
from components.experiment.report_schema import Check, Severity
from components.experiment.shoppers import Shoppers

RATIO_ALPHA = 0.001
"""Of the checks that are looked at in every experiment (Fabijan et al. 2019, "Diagnosing sample ratio mismatch", use 0.0005)."""
HISTORY_ALPHA = 0.01
RATIO_OF_RATES = 3.0
"""No ranking changes how often lists are acted on by so much; a lost log does."""
MIN_EVENTS = 50
TWO_ARMS_SHARE = 0.001

LISTS, EARLY = "lists of the experiment", "lists of the experiment before its first day"
OVERLAP = "lists of two experiments of one layer"
"""What reading the log counts, and checks look at."""


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """Names of the arms by index with their declared shares, and which is the control."""

    shares: Mapping[str, float]
    control: str

    @property
    def arms(self) -> tuple[str, ...]:
        """Names, by index."""
        return tuple(self.shares)

    @property
    def index_of_control(self) -> int:
        """Index of the control."""
        return self.arms.index(self.control)


def check_all(shoppers: Shoppers, assigned: Assigned, counts: Mapping[str, int]) -> list[Check]:
    """Return all checks; `counts` are those of reading: lists of two experiments of one layer, and before the first day."""
    people = shoppers.table.filter(~pl.col("bot"))
    return [
        _one_arm(shoppers),
        *_overlap(counts),
        _sample_ratio(shoppers.table, assigned),
        _bots(shoppers.table, assigned),
        _pre_exposure(people, assigned),
        *_logging(shoppers, people, assigned),
    ]


def _one_arm(shoppers: Shoppers) -> Check:
    number, single = shoppers.in_two_arms, len(shoppers.table)
    share = number / max(number + single, 1)
    if not number:
        return Check(name="one arm a shopper", severity="pass", text=f"Each of {single:,} shoppers was in one arm.")
    severity: Severity = "fault" if share > TWO_ARMS_SHARE else "warning"
    return Check(
        name="one arm a shopper",
        severity=severity,
        text=f"Assignment is broken: {number:,} of {number + single:,} shoppers ({share:.2%}) were in several arms; they are left out."
        " Look for a changed salt, changed shares, or ids that change within a visit.",
    )


def _overlap(counts: Mapping[str, int]) -> Iterator[Check]:
    total = counts.get(LISTS, 0)
    if number := counts.get(OVERLAP, 0):
        yield Check(
            name="overlapping experiments",
            severity="fault",
            text=f"{number:,} of {total:,} lists were also of another experiment of the layer; what they did can't be told apart."
            " Give each a range of its own by `from` and `traffic`.",
        )
    if early := counts.get(EARLY, 0):
        yield Check(
            name="first day",
            severity="warning",
            text=f"{early:,} lists were of the experiment before its first day: the time before it isn't free of its effect. Move `from`.",
        )


def _sample_ratio(table: pl.DataFrame, assigned: Assigned) -> Check:
    observed = _by_arm(table, assigned)
    expected = np.array(list(assigned.shares.values())) * observed.sum()
    p = float(chisquare(observed, expected).pvalue)
    seen = ", ".join(f"{name} {number:,} of {each:,.0f}" for name, number, each in zip(assigned.arms, observed, expected, strict=True))
    if p >= RATIO_ALPHA:
        return Check(name="sample ratio", severity="pass", text=f"Shoppers by arm are as declared: {seen}.", p=digits(p))
    return Check(
        name="sample ratio",
        severity="fault",
        text=f"Shoppers by arm aren't as declared (expected by the shares): {seen}. Look for shares that were changed, an arm that"
        " loses requests or its log, or redirects before the list.",
        p=digits(p),
    )


def _bots(table: pl.DataFrame, assigned: Assigned) -> Check:
    bots = table.filter(pl.col("bot"))
    if not len(bots):
        return Check(name="bots", severity="pass", text="No shopper has the rates of a bot.")
    by_arm, all_by_arm = _by_arm(bots, assigned), _by_arm(table, assigned)
    contingency = np.array([by_arm, all_by_arm - by_arm])
    p = float(chi2_contingency(contingency).pvalue) if (contingency.sum(axis=1) > 0).all() and (all_by_arm > 0).all() else 1.0
    lists = float(bots["lists"].sum()) / max(float(table["lists"].sum()), 1.0)
    seen = ", ".join(f"{name} {number:,}" for name, number in zip(assigned.arms, by_arm, strict=True))
    uneven = p < RATIO_ALPHA
    return Check(
        name="bots",
        severity="fault" if uneven else "warning",
        text=f"{len(bots):,} shoppers with {lists:.1%} of the lists have the rates of bots ({seen}) and are left out; results with them are"
        " beside." + (" They are not spread over the arms by chance." if uneven else ""),
        p=digits(p),
    )


def _pre_exposure(people: pl.DataFrame, assigned: Assigned) -> Check:
    """Compare the arms before the experiment: what differs then isn't its effect."""
    tests = []
    renamed = people.select("arm", *(pl.col(f"pre_{name}").alias(name) for name in HISTORY))
    control = renamed.filter(pl.col("arm") == assigned.index_of_control)
    for index, arm in enumerate(assigned.arms):
        if arm == assigned.control:
            continue
        treatment = renamed.filter(pl.col("arm") == index)
        for metric in METRICS:
            if metric.has_history:
                difference = compare(control, treatment, metric, alpha=0.05, cuped=False)
                if difference is not None:
                    tests.append((difference.p, arm, metric.name, difference.effect / difference.std_error))
    if not tests:
        return Check(name="pre-exposure", severity="pass", text="Nothing is logged from before the experiment to compare the arms by.")
    rejected, adjusted, *_ = multipletests([test[0] for test in tests], alpha=HISTORY_ALPHA, method="holm")
    least = int(np.argmin(adjusted))
    if not rejected.any():
        return Check(
            name="pre-exposure",
            severity="pass",
            text=f"Before the experiment the arms were alike, in {len(tests)} comparisons.",
            p=digits(float(adjusted[least])),
        )
    named = ", ".join(f"{name} of {arm} (z {z:+.1f})" for reject, (_, arm, name, z) in zip(rejected, tests, strict=True) if reject)
    return Check(
        name="pre-exposure",
        severity="fault",
        text=f"The arms differed before the experiment: {named}. Shoppers weren't assigned by chance, or carry over an earlier experiment.",
        p=digits(float(adjusted[least])),
    )


def _logging(shoppers: Shoppers, people: pl.DataFrame, assigned: Assigned) -> Iterator[Check]:
    """Compare between arms what a fault of logging changes and a ranking can't."""
    faults = [
        *_rates(people, assigned),
        *_silent_days(shoppers.by_arm_day, assigned),
        *_clickless_buyers(people, assigned),
    ]
    yield from faults
    if not faults:
        yield Check(name="logging", severity="pass", text="Lists, clicks and purchases are logged alike in all arms.")


def _rates(people: pl.DataFrame, assigned: Assigned) -> Iterator[Check]:
    kinds = {"sessions": "shoppers", "lists": "shoppers"} | dict.fromkeys(("clicks", "purchases", "impressions", "model_calls"), "lists")
    sums = people.group_by("arm").agg(pl.col(*kinds).sum(), pl.len().alias("shoppers")).sort("arm")
    by_arm = {assigned.arms[row["arm"]]: row for row in sums.iter_rows(named=True)}
    control = by_arm.get(assigned.control)
    for arm, row in by_arm.items():
        if control is None or arm == assigned.control:
            continue
        for kind, base in kinds.items():
            ours, theirs = row[kind] / max(row[base], 1), control[kind] / max(control[base], 1)
            if max(row[kind], control[kind]) < MIN_EVENTS:
                continue
            if min(ours, theirs) * RATIO_OF_RATES < max(ours, theirs):
                low = arm if ours < theirs else assigned.control
                yield Check(
                    name="logging",
                    severity="fault",
                    arm=low,
                    text=f"The arm {low!r} logs too few {kind.replace('_', ' ')}: {ours:.4g} per {base.rstrip('s')} in {arm!r},"
                    f" {theirs:.4g} in {assigned.control!r}. No ranking does that; look for lost events or joins.",
                )


def _silent_days(by_arm_day: pl.DataFrame, assigned: Assigned) -> Iterator[Check]:
    """Name days on which an arm has lists and no clicks, where by the clicks of all arms it would have had many."""
    rate = float(by_arm_day["clicks"].sum()) / max(float(by_arm_day["lists"].sum()), 1.0)
    silent = by_arm_day.filter((pl.col("clicks") == 0) & (pl.col("lists") * rate >= MIN_EVENTS))
    for index, arm in enumerate(assigned.arms):
        days = silent.filter(pl.col("arm") == index).select(pl.col("day").cast(pl.Date).cast(pl.String)).to_series().to_list()
        if days:
            yield Check(
                name="logging",
                severity="fault",
                arm=arm,
                text=f"The arm {arm!r} has lists and no clicks on {len(days)} days, such as {', '.join(days[:5])}.",
            )


def _clickless_buyers(people: pl.DataFrame, assigned: Assigned) -> Iterator[Check]:
    """Compare the share of buyers without a click: clicks that are lost in one arm leave their purchases behind."""
    buyers = people.filter(pl.col("buyers") > 0)
    without = _by_arm(buyers.filter(pl.col("clicks") == 0), assigned)
    total = _by_arm(buyers, assigned)
    c = assigned.index_of_control
    for index, arm in enumerate(assigned.arms):
        pair = np.array([[without[i], total[i] - without[i]] for i in (index, c)])
        if index == c or not (pair.sum(axis=0) > 0).all() or not (pair.sum(axis=1) > 0).all():
            continue
        p = float(chi2_contingency(pair).pvalue)
        shares = pair[:, 0] / pair.sum(axis=1)
        if p < RATIO_ALPHA and max(shares) > 2 * min(shares):
            low = arm if shares[0] > shares[1] else assigned.control
            yield Check(
                name="logging",
                severity="fault",
                arm=low,
                text=f"Clicks are missing in the arm {low!r}: {shares[0]:.1%} of the buyers of {arm!r} have none, {shares[1]:.1%} of"
                f" {assigned.control!r}.",
                p=digits(p),
            )


def _by_arm(table: pl.DataFrame, assigned: Assigned) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.bincount(table["arm"].to_numpy(), minlength=len(assigned.arms))


def fault_texts(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return what the faults say."""
    return tuple(f"{check.name[0].upper()}{check.name[1:]}: {check.text}" for check in checks if check.severity == "fault")
