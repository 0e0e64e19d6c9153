"""Measure how label actions are attributed, by ingestion's own functions, on hashes of ids."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.base_model import duration_name
from components.contract.dataset import Dataset
from components.ingest.events.event_columns import impression_code
from components.ingest.requests.attribution import ATTRIBUTED, CAUSES, CROSS_USER, REMEDIES, attribute
from components.ingest.requests.claims import hashes_of, with_owner
from components.ingest.requests.list_owners import NOBODY, resolve, shared_ids
from components.ingest.requests.request_identity import changed, gap_us, names_sessions, with_moments
from components.ingest.requests.splits import label_window_us, skew_us
from components.validate.check import EXAMPLES, Check, Verdict, share

_ID_SHARE = 0.01  # of the requests: more that share an id are no accident
_BUCKET = 2_000_000  # candidates that are attributed at a time
_LONGEST_SKEW_US = 60_000_000  # clocks that differ by more are wrong, or of another zone
_STEPS_S = (1, 2, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 14 * 86400, 30 * 86400)
_QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


@dataclass
class ListLog:
    """The lists that were shown and the label actions, about ten bytes a candidate."""

    # rid, owner, session, time, seq: consecutive rows of a request that have one time
    lists: list[pl.DataFrame] = field(default_factory=list)
    candidates: list[pl.DataFrame] = field(default_factory=list)  # index of their list, hash of the item
    # rid (0: none), owner, session, code (of the item), time, action, seq, nobody
    actions: list[pl.DataFrame] = field(default_factory=list)
    length: int = 0  # of all lists


@dataclass(frozen=True)
class AttributionStats:
    """How ingestion would attribute the actions."""

    requests: pl.DataFrame  # key and time of each
    again: pl.DataFrame  # requests whose id the user had before: seq of both
    shared: pl.DataFrame  # requests of ids that several users have
    positive: int  # requests with a label
    labelled: int  # label actions
    unattributed: pl.DataFrame  # seq and cause of those without list
    delays_us: NDArray[np.int64]  # action minus list


def add_frame(shown: ListLog, events: pl.DataFrame, dataset: Dataset, *, anonymous: bool, known: pl.Series | None) -> None:
    """Add the lists and label actions of a frame.

    Args:
        shown: gets it.
        events: clean events.
        dataset: the dataset file.
        anonymous: whether the source has no users.
        known: the catalogue's ids where items that it lacks are rejected.
    """
    hashes = hashes_of(events)
    keyed = events.select(
        "user", "session", "time", "action", "seq", "item", hashes.request.alias("rid"), hashes.user.alias("uid")
    ).with_columns((pl.col("item").hash() % (1 << 32)).cast(pl.UInt32).alias("code"), pl.lit(anonymous).alias("anonymous"))
    listed = keyed.filter(pl.col("action") == impression_code(dataset))
    begins = listed.select(changed("rid", "uid", "session", "time")).to_series()
    lists = listed.filter(begins)
    shown.lists.append(with_owner(lists, dataset).hstack(lists.select("seq")))
    of_list = (begins.cum_sum().cast(pl.Int64) - 1 + shown.length).cast(pl.UInt32)
    counts = pl.lit(value=True) if known is None else pl.col("item").is_in(known.implode())
    shown.candidates.append(listed.with_columns(of_list.alias("list")).filter(counts).select("list", "code"))
    shown.length += len(lists)
    labels = [list(dataset.actions).index(name) for name in dataset.label_gains]
    labelled = keyed.filter(pl.col("action").is_in(labels)).filter(counts)
    shown.actions.append(
        with_owner(labelled, dataset, anonymous=True).hstack(labelled.select("code", "action", "seq", (pl.col("uid") == 0).alias("nobody")))
    )


def measure(shown: ListLog, dataset: Dataset, repeated: pl.Series) -> AttributionStats:
    """Attribute the actions as ingestion does.

    Args:
        shown: of all frames.
        dataset: the dataset file.
        repeated: `seq` of events that are left out, as they repeat earlier ones.
    """
    lists = pl.concat(shown.lists).with_row_index("list")
    by = ["owner", "rid", "session"]
    lists = with_moments(lists.with_columns(seen="time"), by, pause_us=gap_us(dataset)).rename({"time": "moment"})
    firsts = lists.sort("seen", "seq").unique([*by, "moment"], keep="first", maintain_order=True)
    before = firsts.with_columns(pl.col("seq").shift(1).over(by).alias("earlier"))
    several = shared_ids(lists.select("rid", "owner", "session", time="seen"))
    shared = firsts.join(several, on=["rid", "session"], how="semi").sort("rid", "session", "seen")
    actions = pl.concat(shown.actions).filter(~pl.col("seq").is_in(repeated.implode()))
    causes, positive, delays = _attributed(actions, lists, shown, dataset)
    lost = actions.select("seq").with_columns(pl.Series("cause", causes)).filter(pl.col("cause") != ATTRIBUTED)
    return AttributionStats(
        requests=firsts.select(pl.struct(*by, "moment").hash().alias("key"), time="moment"),
        again=before.filter(pl.col("earlier").is_not_null()).select("seq", "earlier"),
        shared=shared.select("rid", "session", "owner", "seq"),
        positive=positive,
        labelled=len(actions),
        unattributed=lost,
        delays_us=delays,
    )


def _attributed(
    actions: pl.DataFrame, lists: pl.DataFrame, shown: ListLog, dataset: Dataset
) -> tuple[NDArray[np.int8], int, NDArray[np.int64]]:
    """Return the cause why each action belongs to no list (ATTRIBUTED: it does), the number of requests with one,
    and the delays after lists."""
    window, skew = label_window_us(dataset), skew_us(dataset)
    seen = lists.select("rid", "owner", "session", time="seen")
    # Whoever acted, a request's action is its user's.
    owned = actions.with_columns(
        pl.when(pl.col("nobody") & (pl.col("rid") == 0)).then(pl.lit(NOBODY, pl.UInt64)).otherwise("owner").alias("owner")
    )
    named = (actions["rid"] != 0).to_numpy()
    causes = np.full(len(actions), ATTRIBUTED, np.int8)
    owner = owned["owner"].to_numpy().copy()
    if named.any():
        owners = resolve(owned.filter(pl.Series(named)), seen, window_us=window, skew_us=skew, pause_us=gap_us(dataset))
        verdict = owners["verdict"].to_numpy()
        causes[named] = np.where(verdict == CROSS_USER, ATTRIBUTED, verdict)
        row = owners["shown"].fill_null(-1).to_numpy()
        if len(lists):  # otherwise no action has one
            owner[named] = np.where(row >= 0, lists["owner"].to_numpy()[row], owner[named])
    owned = owned.with_columns(pl.Series("owner", owner)).with_row_index("at").with_columns(pl.Series("cause", causes))
    positive = []
    buckets = max(1, -(-sum(map(len, shown.candidates)) // _BUCKET))
    for of_kind, by in ((named, "rid"), (~named, "owner")):
        some = owned.filter(pl.Series(of_kind) & (pl.col("cause") == ATTRIBUTED))
        for bucket in range(buckets if len(some) else 0):
            actions_of_bucket = some.filter(pl.col(by) % buckets == bucket)
            candidates = _candidates(lists.filter(pl.col(by) % buckets == bucket), shown)
            interactions = actions_of_bucket.select(
                pl.col("owner").alias("key"),
                pl.when(pl.col("rid") != 0).then("rid").alias("request"),
                "session",
                "time",
                "action",
                item="code",
            )
            labels = sorted(set(interactions["action"]))
            attribution = attribute(candidates, interactions, actions=labels, window_us=window, skew_us=skew)
            causes[actions_of_bucket["at"].to_numpy()] = attribution.causes
            hit = candidates.filter(pl.Series(attribution.labels.any(axis=1)))
            positive.append(hit.select(pl.struct("key", "request", "session", "time").hash().alias("key")).unique())
    return causes, pl.concat(positive)["key"].n_unique() if positive else 0, _delays(owned, lists, shown, window_us=window)


def _candidates(lists: pl.DataFrame, shown: ListLog) -> pl.DataFrame:
    """Return the candidates of some lists, an item once in a request, by request."""
    some = lists.select("list", pl.col("owner").alias("key"), pl.col("rid").alias("request"), "session", time="moment")
    parts = [part.join(some, on="list", how="inner") for part in shown.candidates]
    both = pl.concat(parts).rename({"code": "item"}).drop("list").unique()
    return both.sort("key", "time", "request", "session", "item")


def _delays(actions: pl.DataFrame, lists: pl.DataFrame, shown: ListLog, *, window_us: int) -> NDArray[np.int64]:
    """Return action minus list, in microseconds, for actions with a list: the nearest of the id that the action
    names, its own user's first; or the user's last with the item within the window, else the nearest."""
    named, free = actions.filter(pl.col("rid") != 0), actions.filter(pl.col("rid") == 0)
    seen = lists.select("rid", "owner", "seen").sort("seen")
    own = _nearest(named, seen, ["rid", "owner"])
    delays = [own["delay"], _nearest(named.join(own, on="at", how="anti"), seen, ["rid"])["delay"]]
    if len(free):
        pairs = free.select("owner", "code").unique()
        of_owners = lists.join(pairs.select("owner").unique(), on="owner", how="semi").select("list", "owner", "seen")
        items = pl.concat([part.join(of_owners, on="list").join(pairs, on=["owner", "code"], how="semi") for part in shown.candidates])
        delays.append(_nearest(free, items.drop("list").sort("seen"), ["owner", "code"], window_us=window_us)["delay"])
    return pl.concat(delays).to_numpy()


def _nearest(actions: pl.DataFrame, lists: pl.DataFrame, by: list[str], *, window_us: int = 0) -> pl.DataFrame:
    """Return at, delay of the actions for which there is a list; one within `window_us` before takes precedence."""
    ordered = actions.select("at", "time", *by).sort("time")

    def joined(strategy: str) -> pl.Series:
        return ordered.join_asof(
            lists.select(*by, "seen"),
            left_on="time",
            right_on="seen",
            by=by,
            strategy=strategy,  # type: ignore[arg-type]
            coalesce=False,
            check_sortedness=False,
        )["seen"]

    both = ordered.with_columns(joined("backward").alias("before"), joined("forward").alias("after"))
    past, ahead = pl.col("time") - pl.col("before"), pl.col("after") - pl.col("time")
    behind = pl.col("after").is_null() | (past <= window_us) | (past <= ahead)
    delay = pl.when(pl.col("before").is_not_null() & behind).then(past).otherwise(-ahead)
    return both.select("at", delay.alias("delay")).filter(pl.col("delay").is_not_null())


def identity_checks(stats: AttributionStats, dataset: Dataset, locate: Callable[[int], str]) -> Iterator[Check]:
    """Check whether a request's id means one request."""
    total = len(stats.requests)
    session = "" if names_sessions(dataset) else "declare the role `session` where visits have ids, or "
    remedy = f"{session}make the column `request` unique, such as by joining the shopper's or the visit's id to it"
    pairs = [f"{locate(earlier)}; again {locate(seq)}" for seq, earlier in stats.again.sort("seq").head(EXAMPLES).iter_rows()]
    pause = duration_name(dataset.session_gap)
    text = f"come again after more than `session_gap` ({pause}), and are told apart; {remedy}"
    yield _told_apart("request ids don't come again", len(stats.again), total, text, pairs)
    rows = stats.shared.group_by("rid", "session", maintain_order=True).agg(pl.col("seq").unique(maintain_order=True)).head(EXAMPLES)
    examples = ["; ".join(locate(seq) for seq in seqs[:2]) for seqs in rows["seq"].to_list()]
    text = f"have an id that other shoppers have too, and are told apart by the shopper; {remedy}"
    yield _told_apart("request ids are of one shopper", len(stats.shared), total, text, examples)


def _told_apart(name: str, number: int, total: int, text: str, examples: Sequence[str]) -> Check:
    if not number:
        return Check(name, "PASS", f"none of {total:,} requests")
    verdict: Verdict = "FAIL" if number > _ID_SHARE * total else "WARN"
    return Check(name, verdict, f"{number:,} of {total:,} requests ({share(number, total)}) {text}", tuple(examples[:EXAMPLES]))


def attribution_checks(stats: AttributionStats, dataset: Dataset, locate: Callable[[int], str]) -> Iterator[Check]:
    """Check when actions come, and which of those with a label belong to no list, by cause."""
    if not stats.labelled:
        return
    lost, total, limit = stats.unattributed, stats.labelled, dataset.unattributed
    if len(stats.delays_us):
        yield _timing(stats, dataset)
    too_many = len(lost) > limit * total
    name = "labelled actions belong to a list"
    if not len(lost):
        yield Check(name, "PASS", f"all of {total:,}")
        return
    advice = f"more than `unattributed` ({limit:.3%}): a run stops" if too_many else f"`unattributed` allows {limit:.3%}"
    text = f"{len(lost):,} of {total:,} ({share(len(lost), total)}) belong to none; {advice}"
    yield Check(name, "FAIL" if too_many else "WARN", text)
    for cause, reason in CAUSES.items():
        rows = lost.filter(pl.col("cause") == cause).sort("seq")
        if len(rows):
            verdict: Verdict = "FAIL" if too_many and len(rows) > limit * total / len(CAUSES) else "WARN"
            where = tuple(locate(seq) for seq in rows["seq"].head(EXAMPLES))
            text = f"{len(rows):,} of {total:,} ({share(len(rows), total)}); {REMEDIES[reason]}"
            yield Check(f"labelled actions: {reason}", verdict, text, where)


def _timing(stats: AttributionStats, dataset: Dataset) -> Check:
    """Report how long after their lists actions come, and propose `skew` and `attribution` that would keep them."""
    delays = stats.delays_us
    quantiles = ", ".join(f"{q:.0%} {_duration(at)}" for q, at in zip(_QUANTILES, np.quantile(delays, _QUANTILES), strict=True))
    before = int((delays < 0).sum())
    check = Check("time from list to action", "PASS", f"{quantiles}; before their list {share(before, len(delays))}")
    window, skew = label_window_us(dataset), skew_us(dataset)
    advice = []
    early = -delays[(delays < -skew) & (delays >= -_LONGEST_SKEW_US)]
    if len(early):
        enough = _step(float(early.max()))
        kept = int((delays >= -enough * 1e6).sum())
        advice.append(f"`skew: {duration_name(enough)}` keeps {len(early):,} more ({share(kept, len(delays))} of all come no earlier)")
    if (far := int((delays < -max(skew, _LONGEST_SKEW_US)).sum())) > dataset.unattributed * len(delays):
        advice.append(f"{far:,} come more than a minute before their list: is `timezone` right, are clocks?")
    late = delays[delays > window]
    if len(late) > dataset.unattributed * len(delays):
        enough = _step(float(np.quantile(delays[delays >= 0], 0.99)))
        if enough * 1e6 > window:
            advice.append(f"`attribution: {duration_name(enough)}` would take in 99 % of what comes after its list")
    return replace(check, verdict="WARN", result="; ".join([check.result, *advice])) if advice else check


def _step(length_us: float) -> float:
    """Round up to a duration that a person would write."""
    return next((float(step) for step in _STEPS_S if step * 1e6 >= length_us), float(-(-length_us // 86_400_000_000) * 86400))


def _duration(length_us: float) -> str:
    length_s = abs(length_us) / 1e6
    unit, size = next(((unit, size) for unit, size in (("d", 86400), ("h", 3600), ("m", 60)) if length_s >= size), ("s", 1))
    return f"{'-' if length_us < 0 else ''}{length_s / size:.3g}{unit}"
