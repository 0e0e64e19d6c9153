"""The policies: never, nightly in full, and the product's own decisions, day by day."""

import shutil
from bisect import bisect
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Protocol, final

import numpy as np
import pyarrow as pa
import tensorflow as tf
from numpy.typing import NDArray
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from benchmarks.quarter.shop import Quarter, Shop
from benchmarks.quarter.training import InProcessTrainer, Workshop
from components.contract.values.local_time import DAY_US
from components.drift.check import Window
from components.drift.decision import Action
from components.drift.horizons import TASTE_DAYS, nested, starts
from components.drift.report.build_report import Subject, build_joint_report
from components.drift.report.drift_report import DriftReport
from components.drift.sketch.example_block import request_block
from components.drift.sketch.quality_sums import QualitySums, RankedLists, cells
from components.drift.sketch.sketch_file import FILE as SKETCH
from components.drift.sketch.sketch_file import read_sketch
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock
from components.evaluation.metrics.arrow_columns import candidate_values, shoppers
from components.evaluation.tfma.saved_model_scorer import SavedModelScorer
from components.release.labels import in_force, label_first
from components.release.manifest import read_manifest
from components.release.publish import publish
from pipeline.drift.check_drift import with_service
from pipeline.drift.served_requests import SCORE
from pipeline.ops.releases import Deployment
from pipeline.retrain.cycle import Cycle, Outcome
from pipeline.retrain.ledger import Ledger
from pipeline.retrain.retrainer import RetrainConfig, Retrainer, lift
from pipeline.retrain.schedule import Every
from pipeline.retrain.triggers import DriftTrigger, FollowUpTrigger, ScheduleTrigger

_SLICES = ("device", "segment")  # those of requests; tastes are by each of them and the category
RUN_AT = timedelta(hours=1)  # after midnight: the day's labels have come by then
LIFT_AFTER = timedelta(days=1)

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Night:
    """What a policy did after a day: the cycle's start and outcome, "" where there was none, and the reasons."""

    did: str = ""
    why: str = ""


class Policy(Protocol):
    """A rule for when to train."""

    def model(self) -> Path:
        """Return the SavedModel that serves now."""

    def after(self, day: int) -> Night:
        """Do what is to be done in the night after a day."""


@dataclass
class Never:
    """Keeps the first release."""

    first: Path

    def model(self) -> Path:
        """See `Policy`."""
        return self.first

    def after(self, day: int) -> Night:
        """See `Policy`."""
        del day
        return Night()


@dataclass
class Nightly:
    """Trains in full each night, and serves what comes of it: no check of the data, no gates."""

    first: Path
    workshop: Workshop

    def model(self) -> Path:
        """See `Policy`."""
        made = sorted(self.workshop.folder.glob("model-*"))
        return made[-1] if made else self.first

    def after(self, day: int) -> Night:
        """See `Policy`."""
        before, examples = self.model(), self.workshop.examples(day + 1)
        model = self.workshop.trained(examples, "full", None)
        model.rename(self.workshop.folder / f"model-{day + 1:03d}")
        shutil.rmtree(examples)
        if before != self.first:
            shutil.rmtree(before)
        return Night("full promoted")


@dataclass
class _Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@final
class Ours:
    """`shelfrank drift` each day and `shelfrank retrain --every N --warm --drift`, with their own code.

    A person lifts a freeze a day after it.
    """

    def __init__(self, quarter: Quarter, workshop: Workshop, first: Path, *, every_days: float) -> None:
        self._quarter, self._workshop = quarter, workshop
        self._releases, self._report = workshop.folder / "releases", workshop.folder / "drift.json"
        self._clock = _Clock(quarter.midnight(0))
        self._config = RetrainConfig(folder=workshop.folder / "retrain", deployment=Deployment(self._releases), clock=self._clock)
        self._retrainer = Retrainer(
            self._config,
            InProcessTrainer(workshop, quarter, self._releases),
            [ScheduleTrigger(Every(every_days * 86_400), Action.RETRAIN_WARM), DriftTrigger(self._report), FollowUpTrigger()],
            lambda _: None,
        )
        if in_force(self._releases) is None:
            label_first(self._releases, publish(first, self._releases, read_manifest(first)))
            self._retrainer.start()

    def model(self) -> Path:
        """See `Policy`."""
        return self._releases / str(in_force(self._releases))

    def after(self, day: int) -> Night:
        """See `Policy`."""
        self._clock.now = self._quarter.midnight(day + 1) + RUN_AT
        with self._workshop.meter.measure("drift check"):
            report = self._check(day)
            self._report.write_text(report.to_json(), encoding="utf-8")
        with self._workshop.meter.measure("rest"):
            frozen = Ledger(self._config.folder).history().frozen
            if frozen is not None and self._clock.now - frozen.began >= LIFT_AFTER:
                lift(self._config, "a day has passed")
        cycle = self._retrainer.look()
        decision = f"check: {report.decision.action}; " if report.decision.reasons else ""
        return Night("", decision) if cycle is None else Night(_text(cycle), decision + _why(cycle))

    def _check(self, day: int) -> DriftReport:
        """Check the days up to this one as `shelfrank drift --log` does, with the features of all requests in the log."""
        release, dataset = self.model(), self._workshop.dataset
        made = datetime.fromisoformat(read_manifest(release).data_window["last event"])
        since = max(made, Ledger(self._config.folder).history().lifted_at or made)
        first = (since - self._quarter.midnight(0)).days
        times_us = {each: round(self._quarter.midnight(each).timestamp() * 1e6) for each in range(day + 2)}
        edges = starts(dataset.drift.horizons, since_us=times_us[first], end_us=times_us[day + 1])
        parts, tastes = [Window() for _ in range(len(edges) + 1)], QualitySums()
        for each, time_us in times_us.items():
            if each > day or time_us < min(times_us[first], edges[0] - TASTE_DAYS * DAY_US):
                continue
            batch = day_of(self._workshop.shop.day(each))
            lists = ranked_lists(batch, scores_of(self._workshop.folder, each))
            if time_us < edges[0]:
                tastes.add_cells(lists)
            if each >= first:
                part = parts[bisect(edges, time_us)]
                part.sketch.add(with_scores(request_block(batch, dataset), lists))
                part.quality.add(lists)
        parts[0].quality.by_cell = tastes.by_cell
        reference, name = read_sketch(release / SKETCH), f"release {release.name}"
        subjects = [
            Subject(release=name, reference=with_service(reference, before), window=window)
            for before, window in nested(parts[0], parts[1:])
        ]
        return build_joint_report(subjects, dataset, now_s=self._clock().timestamp())


def serve(policy: Policy, shop: Shop, folder: Path, day: int) -> Scores:
    """Return the scores [N] of a day's requests by the model that serves, and keep them in the policy's folder."""
    batch = day_of(shop.day(day))
    _, lengths = candidate_values(batch, "label")
    scores = _scorer(policy.model())(batch, lengths)
    (folder / "scores").mkdir(exist_ok=True)
    np.save(folder / "scores" / f"{day:03d}.npy", scores)
    return scores


@lru_cache(maxsize=1)
def _scorer(model: Path) -> SavedModelScorer:
    return SavedModelScorer(str(model))


def scores_of(folder: Path, day: int) -> Scores:
    """Return the scores that `serve` kept."""
    scores: Scores = np.load(folder / "scores" / f"{day:03d}.npy")
    return scores


def day_of(file: Path) -> pa.RecordBatch:
    """Read a day's requests."""
    records = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    return ExamplesToRecordBatchDecoder().DecodeBatch(records)


def ranked_lists(batch: pa.RecordBatch, scores: Scores) -> RankedLists:
    """Return a day's lists as the drift check takes them from the service's log."""
    labels, lengths = candidate_values(batch, "label")
    users, times_us = shoppers(batch), batch.column("time").flatten().to_numpy(zero_copy_only=False)
    assert users is not None
    slices = {name: [value[0].decode() if value else "" for value in batch.column(name).to_pylist()] for name in _SLICES}
    rows = pa.array(np.repeat(np.arange(len(lengths)), lengths))
    of_candidates = batch.column("category").flatten()
    pairs = {(name, "category"): cells(pa.array(values, pa.binary()).take(rows), of_candidates) for name, values in slices.items()}
    return RankedLists(users, times_us, lengths, scores, labels, slices, pairs)


def with_scores(block: RequestBlock, lists: RankedLists) -> RequestBlock:
    """Return a day's requests with the column of their scores."""
    requests = np.repeat(np.arange(len(lists.row_lengths)), lists.row_lengths)
    return RequestBlock(block.shoppers, block.times_us, (*block.columns, ColumnValues(SCORE, lists.scores, requests)))


def _text(cycle: Cycle) -> str:
    if cycle.outcome == Outcome.NOTHING:
        return ""
    return "frozen" if cycle.outcome == Outcome.FROZEN else f"{cycle.start} {cycle.outcome}"


def _why(cycle: Cycle) -> str:
    return cycle.reason or " ".join(reason.text for reason in cycle.decision.reasons)
