"""Train on the days before a day, as a run of the pipeline does, in this process: data check, Transform, Trainer, gates."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import apache_beam as beam
import tensorflow_transform.beam as tft_beam
import tf_keras as keras
from tfx_bsl.public import tfxio

from benchmarks.quarter.cost import Meter
from benchmarks.quarter.shop import WINDOW_DAYS, Quarter, Shop
from components.contract.columns import gains, input_columns
from components.contract.dataset import Dataset
from components.contract.errors import DataFrozen
from components.contract.load import parse_dataset
from components.contract.slices import bands, item_slices
from components.drift.check import Window
from components.drift.decision import Action
from components.drift.report.build_report import Subject, build_report
from components.drift.sketch.examples import batches, sketch_examples
from components.drift.sketch.sketch_file import FILE as SKETCH
from components.drift.sketch.sketch_file import read_sketch, write_sketch
from components.evaluation.gates.gate_result import GateResult, check_gates
from components.evaluation.metrics.arrow_columns import candidate_ids, candidate_values, shoppers
from components.evaluation.metrics.metric_accumulator import RankingSums, Requests, gains_from, request_sums
from components.evaluation.metrics.slices import SliceKey, slices
from components.evaluation.metrics.standard_errors import estimates
from components.evaluation.results import CHALLENGER, CHAMPION, Model, SliceMetrics
from components.evaluation.tfma.saved_model_scorer import SavedModelScorer
from components.ingest.requests.splits import SPLITS
from components.release.manifest import FILE as MANIFEST
from components.release.manifest import Manifest
from components.release.publish import publish
from components.schema.schema import schema
from pipeline.retrain.cycle import Cycle
from pipeline.retrain.training import Training
from trainer.preprocess import preprocessing_fn
from trainer.run import run_fn

METRICS = ("auc", "ndcg_at_10")


@dataclass(frozen=True)
class Workshop:
    """Where models are made.

    Attributes:
        shop: whose days they are made from.
        folder: to work in.
        meter: takes what it costs.
    """

    shop: Shop
    folder: Path
    meter: Meter

    @property
    def dataset(self) -> Dataset:
        """The dataset file."""
        return parse_dataset(self.shop.text)

    def examples(self, day: int) -> Path:
        """Return what a run on the night before a day has ingested: the last day judges, the one before chooses the epoch."""
        folder = self.folder / f"night-{day:03d}"
        shutil.rmtree(folder, ignore_errors=True)
        for split, days in zip(SPLITS, (range(day - WINDOW_DAYS, day - 2), (day - 2,), (day - 1,)), strict=True):
            (folder / f"Split-{split}").mkdir(parents=True)
            for each in days:
                (folder / f"Split-{split}" / f"part-{each + WINDOW_DAYS:03d}").symlink_to(self.shop.day(each).absolute())
        self.meter.add("ingestion", self.shop.ingestion_s * WINDOW_DAYS)
        return folder

    def trained(self, examples: Path, start: str, base: Path | None) -> Path:
        """Make a Transform graph of the training days and train from it; return the SavedModel's folder."""
        model = examples / "model"
        with self.meter.measure("Transform"):
            graph = transformed(self.shop.text, str(examples / "Split-train" / "*"), examples)
        with self.meter.measure("training"):
            run_fn(
                SimpleNamespace(
                    train_files=[str(examples / "Split-train" / "*")],
                    eval_files=[str(examples / "Split-eval" / "*")],
                    transform_output=str(graph),
                    serving_model_dir=str(model),
                    base_model=str(base) if base else None,
                    custom_config={"dataset": self.shop.text, "champion": "the champion", "training_start": start},
                )
            )
        keras.backend.clear_session()
        return model

    def add_reference(self, examples: Path, model: Path) -> None:
        """Write the sketch of all examples into the model's folder, as DriftReference and the rehearsal do."""
        with self.meter.measure("drift check"):
            write_sketch(sketch_examples(str(examples), SPLITS, self.dataset), model / SKETCH)


def transformed(text: str, pattern: str, folder: Path) -> Path:
    """Make a Transform graph of the requests in some files, as TFX's component does; return its folder."""
    source = tfxio.TFExampleRecord(pattern, schema=schema(parse_dataset(text)), telemetry_descriptors=["benchmark"])
    with tft_beam.Context(temp_dir=str(folder / "tmp")), beam.Pipeline(runner="FnApiRunner") as pipeline:
        raw = (pipeline | source.BeamSource(), source.TensorAdapterConfig())
        fitted = raw | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, {"dataset": text}))
        _ = fitted | tft_beam.WriteTransformFn(str(folder / "graph"))
    return folder / "graph"


@dataclass(frozen=True)
class InProcessTrainer:
    """Trains the retraining loop's cycles, see `pipeline.retrain.training.Trainer`: the steps of a run that decide on it.

    Left out are those that judge nothing here: statistics, the rehearsal on a model server, the importance of features.

    Attributes:
        workshop: where models are made.
        quarter: of the shop.
        releases: folder of the releases.
    """

    workshop: Workshop
    quarter: Quarter
    releases: Path

    def train(self, cycle: Cycle) -> Training:
        """Check the data, train, judge, and publish."""
        shop, meter = self.workshop, self.workshop.meter
        day = (datetime.fromisoformat(cycle.data_until) - self.quarter.midnight(0)).days
        examples = shop.examples(day)
        base = self.releases / str(cycle.parent) if cycle.parent is not None else None
        try:
            if base is not None:
                with meter.measure("drift check"):
                    _require_sound_data(examples, base, shop.dataset)
            model = shop.trained(examples, cycle.start, base)
            shop.add_reference(examples, model)
            with meter.measure("evaluation"):
                metrics, result = judged(shop.dataset, examples, model, base)
            window = {name: self.quarter.midnight(at).isoformat() for name, at in (("eval", day - 2), ("test", day - 1), ("until", day))}
            if not result.passed:
                return Training(release=None, sentences=result.sentences, window=window, metrics=metrics)
            released = publish(model, self.releases, manifest(shop.shop.text, cycle.data_until, metrics=metrics, verdict=result.sentences))
            return Training(release=released.version, sentences=result.sentences, window=window, metrics=metrics)
        finally:
            shutil.rmtree(examples)


def manifest(text: str, data_until: str, *, metrics: Mapping[str, float], verdict: Sequence[str]) -> Manifest:
    """Return a release's manifest; `text` is the dataset file's."""
    dataset = parse_dataset(text)
    return Manifest(
        created_us=round(datetime.fromisoformat(data_until).timestamp() * 1e6),
        dataset=dataset.name,
        dataset_digest=hashlib.sha256(text.encode()).hexdigest(),
        data_window={"last event": data_until},
        metrics=dict(metrics),
        verdict=tuple(verdict),
        input_columns=tuple(column.name for column in input_columns(dataset)),
        code="benchmarks.quarter",
    )


def first_release(workshop: Workshop, quarter: Quarter) -> Path:
    """Train on the days before the quarter, or find what was trained: the model that all policies begin with."""
    model = workshop.folder / "first"
    if not model.exists():
        examples = workshop.examples(0)
        made = workshop.trained(examples, "full", None)
        workshop.add_reference(examples, made)
        (made / MANIFEST).write_text(
            manifest(workshop.shop.text, quarter.midnight(0).isoformat(), metrics={}, verdict=()).to_json(), encoding="utf-8"
        )
        made.rename(model)
        shutil.rmtree(examples)
        workshop.meter.taken()  # no policy's cost
    return model


def _require_sound_data(examples: Path, champion: Path, dataset: Dataset) -> None:
    """Do as DriftCheck and DriftGate do."""
    subject = Subject(
        release=f"release {champion.name}",
        reference=Window(read_sketch(champion / SKETCH)),
        window=Window(sketch_examples(str(examples), ["test"], dataset)),
    )
    report = build_report(subject, dataset, now_s=0.0)
    if report.enough and report.decision.action is Action.FREEZE and dataset.drift.freeze:
        raise DataFrozen(" ".join(reason.text for reason in report.decision.reasons))


def judged(dataset: Dataset, examples: Path, challenger: Path, champion: Path | None) -> tuple[dict[str, float], GateResult]:
    """Return a model's metrics over the test window, and the gates' result; without a champion it is its own."""
    scorers: dict[Model, SavedModelScorer] = {CHALLENGER: SavedModelScorer(str(challenger))}
    scorers[CHAMPION] = SavedModelScorer(str(champion)) if champion else scorers[CHALLENGER]
    sums: dict[SliceKey, dict[str, RankingSums]] = {}
    columns = item_slices(dataset)
    for block in batches(str(examples), "test"):
        labels, lengths = candidate_values(block, "label")
        gain = gains_from({name: candidate_values(block, name)[0] for name in gains(dataset)}, gains(dataset))
        by_model = {
            name: request_sums(
                Requests(labels, scorer(block, lengths), gain, lengths, users=shoppers(block), items=candidate_ids(block, "item"))
            )
            for name, scorer in scorers.items()
        }
        row = by_model[CHALLENGER].row
        for names in ((), *dataset.slices):
            of_items = not set(columns).isdisjoint(names)
            for key, places in slices(block, names, bands=bands(dataset), item_slices=columns, row=row).items():
                for name, each in by_model.items():
                    summed = each.total_of_candidates(places) if of_items else each.total(places)
                    so_far = sums.setdefault(key, {})
                    so_far[name] = so_far[name] + summed if name in so_far else summed
    metrics = [
        SliceMetrics(tuple((name, str(value)) for name, value in key), model, values[model])
        for key, values in ((key, estimates(models, baseline=CHAMPION)) for key, models in sums.items())
        for model in scorers
    ]
    overall = next(each.values for each in metrics if each.model == CHALLENGER and not each.slice)
    return {name: overall[name] for name in METRICS}, check_gates(metrics, dataset.gates, slices=dataset.slices)
