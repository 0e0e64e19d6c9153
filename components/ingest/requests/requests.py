"""Form requests and their candidates from one block of clean events."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from components.contract.dataset import Dataset
from components.contract.features import GivenFeature
from components.contract.sources import Impressions, ListRows, Rows, Sampling
from components.contract.values.splitmix import GOLDEN
from components.ingest.counts import Counts
from components.ingest.events.deduplicate import drop_repeated
from components.ingest.events.event_columns import FILE_SHIFT, event_features, impression_code, logged_user
from components.ingest.events.session_hashes import session_hashes
from components.ingest.requests.attribution import ATTRIBUTED, CROSS_USER, POPULAR, attribute
from components.ingest.requests.claims import attributed_actions
from components.ingest.requests.label_amounts import Outcome, compute_outcome
from components.ingest.requests.negative_sampling import draw_negatives, make_pools
from components.ingest.requests.request_identity import gap_us, request_key, request_rows, with_moments
from components.ingest.requests.splits import Bounds, label_ends_us, label_window_us, skew_us

# Columns of an action: to attribute it; of one that labels nothing; and of one that is stamped earlier than its list.
_ACTION_COLUMNS = ["key", "request", "session", "item", "time", "action", "seq", "event"]
_UNLABELLED = {"seq": pl.Int64, "user": pl.String, "request": pl.String, "item": pl.Int64, "cause": pl.Int8}
_MOVED = ["seq", "item", "moment"]


@dataclass(frozen=True)
class Requests:
    """R requests, sorted by key and time, with N candidates, sorted by request and position."""

    frame: pl.DataFrame  # key, request, user, session (hash), time, and the context features
    candidates: pl.DataFrame  # row (0..R-1, the request), item (code), position, and the features shown with the list
    outcome: Outcome  # of the N candidates; the label itself for data of rows
    # label actions that label nothing: the user as logged, and the cause
    unlabelled: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_UNLABELLED))
    moved: pl.DataFrame | None = None  # seq, item and moment of actions that are stamped earlier than their list


def build_requests(
    events: pl.DataFrame,
    dataset: Dataset,
    positive_events: pl.DataFrame,
    counts: Counts,
    *,
    window: Bounds,
    foreign: pl.DataFrame | None = None,
) -> Requests:
    """Form the requests of a block.

    Args:
        events: clean events with `key` and the item's code as `item`, sorted by key, time, order and `seq`; whole keys.
            Where another block attributed some of them, with its `verdict` and `moment`; of the others these are
            null.
        dataset: declares where candidates come from.
        positive_events: time and item of all events with a label action; empty where nothing is sampled.
        counts: gets what is left out.
        window: the windows of the split.
        foreign: other users' actions that belong to requests of this block, in the same columns as far as they matter.
    """
    events = events.with_row_index("event")
    match dataset.candidates:
        case Impressions() | ListRows():
            return _shown(events, dataset, counts, window, foreign)
        case Sampling():
            counts.add("rows kept", len(events))
            return _sampled(events, dataset, positive_events, counts, window)
        case Rows():
            counts.add("rows kept", len(events))
            return _rows(events, dataset)


def context_features(dataset: Dataset) -> tuple[GivenFeature, ...]:
    """Return the features of requests that are columns of event rows."""
    return tuple(feature for feature in event_features(dataset) if feature.side != "item")


def shown_features(dataset: Dataset) -> tuple[GivenFeature, ...]:
    """Return features of a candidate that were shown with it."""
    return tuple(feature for feature in dataset.input_features("events", side="item"))


def _requests(first_rows: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    values = (pl.col(f"f:{feature.name}").alias(feature.name) for feature in context_features(dataset))
    return first_rows.select("key", "request", "user", "session", "time", *values)


def _shown(events: pl.DataFrame, dataset: Dataset, counts: Counts, window: Bounds, foreign: pl.DataFrame | None) -> Requests:
    names = request_key(dataset)
    shown = events.filter(pl.col("action") == impression_code(dataset))
    shown = with_moments(shown, names, pause_us=gap_us(dataset)).sort("key", "time", *names[1:], "position", "order", "seq")
    shown = shown.with_columns(request_rows(shown, names))
    single = drop_repeated(shown, ["row", "item"])
    counts.add("left out: an item shown twice in one request", len(shown) - len(single))
    counts.add("rows kept", len(events) - len(shown) + len(single))
    index = pl.int_range(pl.len(), dtype=pl.Int32).over("row")
    candidates = single.select(
        "row",
        "item",
        pl.when(pl.col("position") >= 0).then(pl.col("position")).otherwise(index).alias("position"),
        *(pl.col(f"f:{f.name}").alias(f.name) for f in shown_features(dataset)),
    )
    frame = _requests(single.filter(_starts(single["row"])), dataset)
    counts.add("told apart: requests that share their id with another of the shopper", _repeated(frame))
    outcome, unlabelled, moved = _labels(single, events, foreign, dataset, counts, window=window)
    return Requests(frame, candidates, outcome, unlabelled, moved)


def _starts(row: pl.Series) -> pl.Series:
    return (row != row.shift(1)).fill_null(value=True)


def _repeated(frame: pl.DataFrame) -> int:
    return len(frame) - frame.select(pl.struct("key", "request").n_unique()).item() if len(frame) else 0


def _labels(
    shown: pl.DataFrame, events: pl.DataFrame, foreign: pl.DataFrame | None, dataset: Dataset, counts: Counts, *, window: Bounds
) -> tuple[Outcome, pl.DataFrame, pl.DataFrame | None]:
    """Compute the candidates' outcome, the label actions that belong to no list, and the actions stamped earlier
    than their list."""
    actions = [list(dataset.actions).index(name) for name in dataset.label_gains]
    interactions = events.filter(pl.col("action").is_in(attributed_actions(dataset)))
    labelled = interactions["action"].is_in(actions)
    counts.add("labelled actions", int(labelled.sum()))
    resolved = interactions.filter(pl.col("verdict").is_not_null()) if "verdict" in interactions.columns else None
    own = interactions if resolved is None else interactions.filter(pl.col("verdict").is_null())
    amounts = [events.select(dataset.amounts)]
    if foreign is None:
        both = own.select(*_ACTION_COLUMNS, logged_user(own))
    else:
        foreign = foreign.with_columns(pl.Series("event", np.arange(len(events), len(events) + len(foreign)), own["event"].dtype))
        amounts.append(foreign.select(dataset.amounts))
        both = pl.concat([own.select(*_ACTION_COLUMNS, logged_user(own)), foreign.select(*_ACTION_COLUMNS, "user")])
    both = both.with_columns(pl.when(pl.col("request") != "").then(pl.col("request")))
    skew = skew_us(dataset)
    candidates = shown.select("key", "request", "session", "item", "time")
    attribution = attribute(candidates, both, actions=actions, window_us=label_window_us(dataset), skew_us=skew)
    hits = both.select("seq", "item", "action", "event", pl.Series("slot", attribution.slots))
    hits = hits.filter((pl.col("slot") >= 0) & pl.col("action").is_in(actions))
    result = compute_outcome(
        hits,
        events,
        dataset,
        counts,
        amounts=pl.concat(amounts),
        labels=attribution.labels.astype(np.float32),
        ends_us=label_ends_us(shown["time"].to_numpy(), window),
    )
    lost = both.with_columns(pl.Series("cause", attribution.causes)).filter(
        pl.col("action").is_in(actions) & (pl.col("cause") != ATTRIBUTED)
    )
    unlabelled = [lost.select(*_UNLABELLED)]
    moved = []
    if skew:
        later = attribution.moments[: len(own)] > own["time"].to_numpy()
        moved.append(own.select(*_MOVED[:2], pl.Series("moment", attribution.moments[: len(own)])).filter(pl.Series(later)))
    if resolved is not None:
        causes = resolved.with_columns(pl.col("verdict").alias("cause"), logged_user(resolved))
        unlabelled.append(causes.filter(pl.col("action").is_in(actions) & (pl.col("verdict") != CROSS_USER)).select(*_UNLABELLED))
        if skew:
            moved.append(resolved.filter(pl.col("moment") > pl.col("time")).select(_MOVED))
    late = pl.concat(moved) if moved else None
    return result, pl.concat(unlabelled), late if late is not None and len(late) else None


def _sampled(events: pl.DataFrame, dataset: Dataset, positive_events: pl.DataFrame, counts: Counts, window: Bounds) -> Requests:
    form = dataset.candidates
    assert isinstance(form, Sampling)
    labelled = [list(dataset.actions).index(name) for name in dataset.label_gains]
    own_events = _by_request(events.filter(pl.col("action").is_in(labelled)), dataset, form)
    frame = _requests(own_events.filter(_starts(own_events["row"])), dataset)
    if form.group == "request":
        counts.add("told apart: requests that share their id with another of the shopper", _repeated(frame))
    each = [(pl.col("action") == action).any().alias(name) for name, action in zip(dataset.label_gains, labelled, strict=True)]
    chosen = own_events.group_by("row", "item", maintain_order=True).agg(each)
    salts = session_hashes(frame["request"]).view(np.uint64)
    if form.group == "request":
        # Requests that share an id draw independently.
        with np.errstate(over="ignore"):
            salts = salts ^ (frame["time"].to_numpy().view(np.uint64) * GOLDEN)
    at = chosen["row"].to_numpy()
    positives = chosen.select(
        pl.col("row").alias("request"),
        pl.Series("salt", salts[at]),
        pl.Series("time", frame["time"].to_numpy()[at]),
        pl.Series("events", np.bincount(own_events["row"].to_numpy(), minlength=len(frame))[at]),
        "item",
    )
    drawn = draw_negatives(
        positives,
        positive_events["item"].to_numpy(),
        make_pools(positive_events["time"].to_numpy(), window, span_us=int(form.window * 1e6)),
        negatives=form.negatives,
        weighted=form.weight == "popularity",
        seed=dataset.seed,
    )
    negatives = drawn.negatives.select(
        pl.col("request").alias("row"), "item", *(pl.lit(value=False).alias(name) for name in dataset.label_gains)
    )
    stays = pl.Series(drawn.kept, dtype=pl.Boolean)
    popular = own_events.join(chosen.filter(~stays), on=["row", "item"], how="semi")
    unlabelled = popular.with_columns(logged_user(popular), cause=pl.lit(POPULAR, pl.Int8)).select(*_UNLABELLED)
    chosen = chosen.filter(stays)
    # By item, so that a candidate's position doesn't reveal whether it is a positive.
    both = pl.concat([chosen, negatives], how="vertical_relaxed").sort("row", "item")
    has_negative, has_positive = (np.bincount(rows["row"].to_numpy(), minlength=len(frame)) > 0 for rows in (negatives, chosen))
    complete = has_negative & has_positive
    counts.add("requests left out: nothing could be sampled", int((~has_negative & has_positive).sum()))
    too_popular = "requests left out: all their items are too popular for so many negatives of each positive"
    counts.add(too_popular, int((~has_positive).sum()))
    counts.add("requests formed", int((~complete).sum()))
    kept = both.filter(pl.Series(complete[both["row"].to_numpy()], dtype=pl.Boolean))
    renumbered = (np.cumsum(complete) - 1)[kept["row"].to_numpy()]
    candidates = kept.select(pl.lit(pl.Series(renumbered)).alias("row"), "item", pl.lit(-1, pl.Int32).alias("position"))
    slots = kept.select("row", "item").with_row_index("slot")
    hits = own_events.select("row", "item", "action", "event").join(slots, on=["row", "item"])
    ends_us = label_ends_us(frame["time"].to_numpy(), window)[kept["row"].to_numpy()]
    labels = kept.select(list(dataset.label_gains)).to_numpy().astype(np.float32)
    outcome = compute_outcome(hits, events, dataset, counts, amounts=events.select(dataset.amounts), labels=labels, ends_us=ends_us)
    return Requests(frame.filter(pl.Series(complete, dtype=pl.Boolean)), candidates, outcome, unlabelled)


def _by_request(positive_events: pl.DataFrame, dataset: Dataset, form: Sampling) -> pl.DataFrame:
    """Sort positive events by request, with `row`, the number of each; or make each event a request of its own."""
    if form.group == "request":
        key = request_key(dataset)
        moments = with_moments(positive_events, key, pause_us=gap_us(dataset)).sort("key", "time", *key[1:], "order", "seq")
        return moments.with_columns(request_rows(moments, key).alias("row"))
    return positive_events.with_columns(row_name().alias("request"), pl.int_range(pl.len(), dtype=pl.Int64).alias("row"))


def row_name() -> pl.Expr:
    """Name a request that has no name in the log: its file's number and its row."""
    return pl.format("row-{}-{}", pl.col("seq") // (1 << FILE_SHIFT), pl.col("seq") % (1 << FILE_SHIFT))


def _rows(events: pl.DataFrame, dataset: Dataset) -> Requests:
    rows = events.with_columns(pl.when(pl.col("request") != "").then(pl.col("request")).otherwise(row_name()).alias("request"))
    shown = (pl.col(f"f:{feature.name}").alias(feature.name) for feature in shown_features(dataset))
    candidates = rows.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("row"), "item", "position", *shown)
    amounts = rows.select(pl.col(amount).fill_nan(0.0).cast(pl.Float32) for amount in dataset.amounts)
    labels = rows.select((pl.col("label") > 0).cast(pl.Float32)).to_numpy()
    return Requests(_requests(rows, dataset), candidates, Outcome(labels, amounts))
