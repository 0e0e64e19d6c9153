"""Estimate from the control's lists what an arm's order would bring, to set beside what the experiment measured.

The service logs the scores of a shadow version for a share of its requests. On lists of the control, that version's scores give the
order that its arm shows; inverse propensity scoring (`components.evaluation.metrics.off_policy`) says how many clicks that order would
have had. Only the places that were shown are ordered anew.
"""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from components.contract.dataset import Dataset
from components.evaluation.metrics.id_hashes import hashed
from components.evaluation.metrics.off_policy import LoggedRequests, off_policy_values
from components.experiment.experiment_file import ExperimentFile, OffPolicy
from components.experiment.metrics import outcome_actions
from components.experiment.report_schema import OffPolicyEstimate
from pipeline.drift.json_chunks import read_chunks
from pipeline.experiment.log_window import LogWindow
from serving.exposure.log import DECISIONS, INTERACTIONS, SHADOWS
from serving.exposure.serialization import EventRows

MOST_LISTS = 50_000
"""Lists that are kept for an arm: those with the least hashes of their requests, so that memory is bounded."""
MIN_LISTS = 100


def estimate_arms(
    log: Path, dataset: Dataset, file: ExperimentFile, window: LogWindow, off_policy: OffPolicy, counts: "Counter[str]"
) -> tuple[OffPolicyEstimate, ...]:
    """Return an estimate for each arm with a shadow label that has enough lists; what was measured is added later."""
    estimates: list[OffPolicyEstimate] = []
    lists_of = _lists(log, dataset, file, window, labels=set(off_policy.shadows.values()))
    for arm, label in off_policy.shadows.items():
        lists = lists_of[label]
        counts[f"lists of {file.control} with scores of {label}"] += len(lists)
        estimate = _estimate(lists, arm, off_policy) if len(lists) >= MIN_LISTS else None
        estimates += [] if estimate is None else [estimate]
    return tuple(estimates)


def _lists(log: Path, dataset: Dataset, file: ExperimentFile, window: LogWindow, labels: set[str]) -> dict[str, pl.DataFrame]:
    """Return by label the control's lists with its scores: user, items, order, shown, scores and the items that were clicked."""
    scored = dict.fromkeys(labels, pl.DataFrame(schema={"request": pl.String, "scores": pl.List(pl.Float64)}))
    schema = pa.schema([("request", pa.string()), ("time", pa.int64()), ("label", pa.string()), ("scores", pa.list_(pa.float64()))])
    inside = pl.col("time").is_between(window.start_us, window.end_us, closed="left")
    for frame in _frames(log, SHADOWS, schema):
        for label, some in scored.items():
            scored[label] = pl.concat([some, frame.filter((pl.col("label") == label) & inside).select("request", "scores")])
            if len(scored[label]) > 2 * MOST_LISTS:
                scored[label] = _least(scored[label])
    scored = {label: _least(some.unique("request", keep="first", maintain_order=True)) for label, some in scored.items()}
    texts = [(name, pa.string()) for name in ("request", "user")]
    numbers = [("items", pa.list_(pa.string())), ("order", pa.list_(pa.int64())), ("shown", pa.int64())]
    arms = ("arms", pa.struct([(file.experiment, pa.string())]))
    lists: dict[str, list[pl.DataFrame]] = {label: [] for label in labels}
    for frame in _frames(log, DECISIONS, pa.schema([*texts, *numbers, arms])):
        of_control = frame.filter(pl.col("arms").struct.field(file.experiment) == file.control).drop("arms")
        for label, some in scored.items():
            lists[label].append(of_control.join(some, on="request"))
    whole = (pl.col("items").list.len() == pl.col("scores").list.len()) & (pl.col("shown") > 0) & pl.col("user").is_not_null()
    kept = {label: pl.concat(some).filter(whole).unique("request", keep="first", maintain_order=True) for label, some in lists.items()}
    requests = pl.concat([some.select("request") for some in kept.values()]).unique()
    rows = EventRows(dataset)
    action = outcome_actions(dataset, click=file.click).click
    roles = {rows.columns[role]: role for role in ("request", "item", "action")}
    clicks = [
        frame.rename(roles).filter(pl.col("action") == rows.actions[action or ""]).join(requests, on="request", how="semi")
        for frame in _frames(log, INTERACTIONS, pa.schema([(column, pa.string()) for column in roles]))
    ]
    clicked = pl.concat(clicks).group_by("request").agg(pl.col("item").unique().alias("clicked"))
    return {label: some.join(clicked, on="request", how="left").sort("request") for label, some in kept.items()}


def _frames(log: Path, kind: str, schema: pa.Schema) -> "list[pl.DataFrame] | map[pl.DataFrame]":
    files = sorted(log.glob(f"{kind}-*.jsonl"))
    if not files:
        return [pl.DataFrame(schema.empty_table())]
    return map(pl.DataFrame, read_chunks(files, schema, Counter(), advance=lambda _: None))


def _least(scored: pl.DataFrame) -> pl.DataFrame:
    return scored.sort(pl.col("request").hash()).head(MOST_LISTS)


def _estimate(lists: pl.DataFrame, arm: str, off_policy: OffPolicy) -> OffPolicyEstimate | None:
    """Return the relative change of clicks, None without any; the interval takes both errors as independent."""
    shown = (
        lists.with_columns(order=pl.col("order").list.head(pl.col("shown")), row=pl.int_range(pl.len()))
        .explode("order")
        .with_columns(
            item=pl.col("items").list.get(pl.col("order")),
            score=pl.col("scores").list.get(pl.col("order")),
            place=pl.int_range(pl.len()).over("row"),
        )
    )
    clicks = shown.select(pl.col("clicked").list.contains(pl.col("item")).fill_null(False)).to_series().cast(pl.Float64).to_numpy()
    lengths = shown.group_by("row", maintain_order=True).len()["len"].cast(pl.Int64).to_numpy()
    logged = LoggedRequests(clicks, shown["place"].cast(pl.Int64).to_numpy(), lengths, hashed(pa.array(lists["user"].to_list())))
    values = off_policy_values(logged, shown["score"].cast(pl.Float32).to_numpy(), np.array(off_policy.examination))
    new, old = values["ips"], values["shown"]
    if not new.value > 0 or not math.isfinite(new.margin + old.margin):
        return None
    ratio = new.value / old.value
    margin = ratio * math.hypot(new.margin / new.value, old.margin / old.value)
    return OffPolicyEstimate(
        arm=arm, estimator="ips", estimate=ratio - 1, lower=ratio - 1 - margin, upper=ratio - 1 + margin, lists=len(lists)
    )
