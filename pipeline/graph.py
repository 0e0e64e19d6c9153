"""Build the TFX pipeline: from a shop's logs to a release."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml_metadata.proto.metadata_store_pb2 import ConnectionConfig
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.transform.component import Transform
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.proto.transform_pb2 import SplitsConfig
from tfx.types.channel import BaseChannel as Channel

from components.anomalies.component import AnomalyGate
from components.champion.component import Champion
from components.contract.columns import gain_amounts, gains
from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from components.contract.slices import bands, item_slices
from components.drift.component import DriftCheck, DriftGate, DriftReference
from components.evaluation.component import Evaluator
from components.evaluation.importance.component import FeatureImportance
from components.evaluation.tfma.eval_config import eval_config
from components.ingest.component import EventExampleGen
from components.rehearsal.component import ServingRehearsal
from components.release.component import Release
from components.schema.component import ContractSchema
from components.statistics_gen.component import StatisticsGen
from pipeline.data_fingerprint import DataFingerprint
from pipeline.results.fingerprint import REPORT, code_version
from pipeline.results.lineage import edges
from pipeline.slice_report import SliceReport
from trainer.component import Trainer
from trainer.config import ranker_config, started


@dataclass(frozen=True, kw_only=True)
class GraphConfig:
    """What the pipeline of a dataset is compiled from.

    Attributes:
        name: of the pipeline.
        root: folder of its artifacts.
        dataset: the dataset file's text.
        data_root: folder or address that relative paths of the dataset file are resolved against.
        push_destination: the store that releases go to: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        champion: version of the release to beat; 0: none, -1: the one in force when that step runs.
        fingerprint: digest of the data and of the code that reads it, a part of ingestion's cache key; None: a step,
            DataFingerprint, computes it when the pipeline runs.
        code: version of the code that trains and evaluates; a part of the other steps' cache keys.
        attempt: a part of Release's cache key: raised when a release that the cache holds has been removed.
        trials: folder that keeps the Tuner's finished trials after a kill, for this data and code alone; None: they
            aren't kept.
        checkpoints: folder that keeps the Trainer's checkpoints from one attempt to the next; None: beside its
            artifacts.
        data_until: ISO date or date-time at which the data ends; "": as the dataset file says.
        training_steps: maximum number of batches; 0: as the dataset file says.
        training_start: `warm`: from the champion's weights; `full`: from random ones; "": as the dataset file says.
        publish_state: publish what the ranking service needs beside the release, and label the store's very first
            release `stable`.
        image: container image of the steps, for the lineage record; "" where they run in none.
        beam_args: options of the Beam runner.
        ingestion_beam_args: options that override those for ingestion, whose result doesn't depend on the number of
            workers.
        metadata: TFX's metadata store; None where the orchestrator brings one.
    """

    name: str
    root: str
    dataset: str
    data_root: str | RuntimeParameter
    push_destination: str | RuntimeParameter
    champion: int
    fingerprint: str | None
    code: str
    attempt: int = 0
    trials: str | None = None
    checkpoints: str | None = None
    data_until: str | RuntimeParameter = ""
    training_steps: int | RuntimeParameter = 0
    training_start: str | RuntimeParameter = ""
    publish_state: bool = False
    image: str = ""
    beam_args: Sequence[str] = ()
    ingestion_beam_args: Sequence[str] = ()
    metadata: ConnectionConfig | None = None

    @property
    def versioned(self) -> dict[str, Any]:
        """The parameters by which TFX's cache tells a step's results apart; nearly every step takes both."""
        return {"dataset": self.dataset, "code": self.code}


def create_pipeline(config: GraphConfig) -> Pipeline:
    """Connect the steps of the pipeline of a dataset."""
    shop = parse_dataset(config.dataset)
    fingerprints, ingest = _ingestion(config)
    examples = ingest.outputs["examples"]
    schema, statistics, validator, gate = _data_checks(config, examples)
    champion = Champion(
        push_destination=config.push_destination, version=config.champion, training_start=config.training_start, **config.versioned
    )
    drift = DriftCheck(examples=examples, champion=champion.outputs["model"], **config.versioned)
    drift_gate = DriftGate(report=drift.outputs["report"], dataset=config.dataset)
    transform = _transform(config, examples, schema)
    transform.add_upstream_node(gate)
    training = {
        "examples": examples,
        "transform_graph": transform.outputs["transform_graph"],
        "train_args": TrainArgs(splits=["train"]),
        "eval_args": EvalArgs(splits=["eval"]),
    }
    tuners = [_tuner(config, training)] if shop.tuning else []
    trainer = _trainer(config, shop, training, champion, tuners)
    for learner in (*tuners, trainer):  # not Transform: where steps run at the same time, it needn't wait for the champion
        learner.add_upstream_node(drift_gate)
    model = trainer.outputs["model"]
    evaluator = _evaluator(shop, examples, model, champion.outputs["model"])
    reference = DriftReference(examples=examples, **config.versioned)
    rehearsal = ServingRehearsal(examples=examples, model=model, reference=reference.outputs["reference"], **config.versioned)
    release = Release(
        evaluator.outputs["blessing"],
        rehearsal.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        ingestion=ingest.outputs["report"],
        push_destination=config.push_destination,
        attempt=config.attempt,
        state=ingest.outputs["state"] if config.publish_state else None,
        **config.versioned,
    )
    importance = FeatureImportance(examples=examples, model=model, **config.versioned)
    importance.add_upstream_node(release)  # Where one step runs at a time, a release doesn't wait for it.
    data = [*fingerprints, ingest, schema, statistics, validator, gate]
    steps = [*data, champion, drift, drift_gate, transform, reference, *tuners, trainer, evaluator, rehearsal, release, importance]
    report = SliceReport(
        dataset=config.dataset,
        data_root=config.data_root,
        code=code_version(REPORT),
        graph=json.dumps(edges(steps)),
        image=config.image,
        ingestion=ingest.outputs["report"],
        examples=examples,
        drift=drift.outputs["report"],
        model=model,
        champion=champion.outputs["model"],
        evaluation=evaluator.outputs["evaluation"],
        rehearsal=rehearsal.outputs["blessing"],
        pushed=release.outputs["pushed_model"],
        importance=importance.outputs["report"],
        **({"trials": tuners[0].outputs["tuner_results"]} if tuners else {}),
    )
    return _pipeline(config, [*steps, report])


def create_ingestion(config: GraphConfig) -> Pipeline:
    """Connect the steps that read the data, alone; the whole pipeline's cache has their results, and they have its."""
    fingerprints, ingest = _ingestion(config)
    return _pipeline(config, [*fingerprints, ingest])


def _pipeline(config: GraphConfig, steps: Sequence[BaseNode]) -> Pipeline:
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=config.root,
        components=list(steps),
        enable_cache=True,
        beam_pipeline_args=list(config.beam_args),
        metadata_connection_config=config.metadata,
    )


def _ingestion(config: GraphConfig) -> tuple[list[BaseNode], BaseNode]:
    """Return the step that digests the data, if one is to, and the one that reads it."""
    source: dict[str, Any] = {"dataset": config.dataset, "data_root": config.data_root}
    fingerprints = [DataFingerprint(data_until=config.data_until, **source)] if config.fingerprint is None else []
    data_until, fingerprint = config.data_until, config.fingerprint
    for step in fingerprints:
        data_until, fingerprint = (step.outputs[name].future()[0].value for name in ("data_end", "fingerprint"))
    ingest = EventExampleGen(data_until=data_until, fingerprint=fingerprint, **source)
    ingest.with_beam_pipeline_args(list(config.ingestion_beam_args))
    return fingerprints, ingest


def _data_checks(config: GraphConfig, examples: Channel) -> tuple[BaseNode, BaseNode, BaseNode, BaseNode]:
    """Return the steps that check the examples against the dataset file's schema; the last one fails on anomalies."""
    schema = ContractSchema(**config.versioned)
    statistics = StatisticsGen(examples=examples, schema=schema.outputs["schema"])
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    return schema, statistics, validator, AnomalyGate(anomalies=validator.outputs["anomalies"])


def _transform(config: GraphConfig, examples: Channel, schema: BaseNode) -> BaseNode:
    return Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        preprocessing_fn="trainer.preprocess.preprocessing_fn",
        splits_config=SplitsConfig(analyze=["train"]),
        materialize=False,
        disable_statistics=True,
        custom_config=config.versioned,
    )


def _tuner(config: GraphConfig, training: dict[str, Any]) -> BaseNode:
    from trainer.tune import Tuner  # KerasTuner imports Keras 3: two seconds, spent only for a search

    return Tuner(tuner_fn="trainer.tune.tuner_fn", custom_config=config.versioned | {"trials": config.trials}, **training)


def _trainer(config: GraphConfig, shop: Dataset, training: dict[str, Any], champion: BaseNode, tuners: Sequence[BaseNode]) -> BaseNode:
    # Without a warm start the champion is no input of the Trainer: another champion is no reason to train again.
    start, base, extra_config = config.training_start, {}, {}
    base_model: Channel | None = None
    if not isinstance(start, str):  # each run says
        base = {"base": champion.outputs["base"].future()[0].value, "push_destination": config.push_destination}
    elif started(ranker_config(shop), start).warm_start:
        base_model = champion.outputs["model"]
        extra_config["champion"] = f"release {config.champion}" if config.champion >= 0 else "the release in force"
    if config.checkpoints is not None:
        extra_config["checkpoints"] = config.checkpoints
    return Trainer(
        base_model=base_model,
        hyperparameters=tuners[0].outputs["best_hyperparameters"] if tuners else None,
        custom_config=config.versioned | extra_config,
        training_steps=config.training_steps,
        training_start=start,
        **base,
        **training,
    )


def _evaluator(shop: Dataset, examples: Channel, model: Channel, baseline: Channel) -> BaseNode:
    return Evaluator(
        examples=examples,
        example_splits=["test"],
        model=model,
        baseline_model=baseline,
        eval_config=eval_config(
            shop.slices,
            shop.gates,
            gains=gains(shop),
            bands=bands(shop),
            item_slices=item_slices(shop),
            amounts=shop.amounts,
            gain_amounts=gain_amounts(shop),
        ),
        module_path="components.evaluation.tfma.steps",
    )
