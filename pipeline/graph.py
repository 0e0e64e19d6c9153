"""The graph: from a shop's logs to a release."""

import json
from collections.abc import Sequence
from typing import Any

from ml_metadata.proto.metadata_store_pb2 import ConnectionConfig
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.transform.component import Transform
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.proto.transform_pb2 import SplitsConfig

from components.anomalies.component import AnomalyGate
from components.champion.component import Champion
from components.contract.columns import gain_amounts, gains
from components.contract.load import parse_dataset
from components.contract.slices import bands, item_slices
from components.evaluation.component import Evaluator, FeatureImportance
from components.evaluation.tfma.eval_config import eval_config
from components.ingest.component import EventExampleGen
from components.rehearsal.component import ServingRehearsal
from components.release.component import Release
from components.schema.component import ContractSchema
from pipeline.results.fingerprint import REPORT, code_version
from pipeline.results.lineage import edges
from pipeline.slice_report import SliceReport
from trainer.component import Trainer
from trainer.config import ranker_config


def create_pipeline(
    name: str,
    root: str,
    *,
    dataset: str,
    data_root: str | RuntimeParameter,
    push_destination: str | RuntimeParameter,
    champion: int,
    fingerprint: str,
    code: str,
    attempt: int = 0,
    trials: str | None = None,
    checkpoints: str | None = None,
    data_until: str | RuntimeParameter = "",
    training_steps: int | RuntimeParameter = 0,
    publish_state: bool = False,
    image: str = "",
    beam_args: Sequence[str] = (),
    ingestion_beam_args: Sequence[str] = (),
    metadata: ConnectionConfig | None = None,
) -> Pipeline:
    """The pipeline of a dataset.

    Args:
        name: of the pipeline.
        root: folder of its artifacts.
        dataset: the dataset file's text.
        data_root: where relative paths of the dataset file are looked up.
        push_destination: the store that releases go to: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        champion: the release to beat, 0 for none, -1 for the one in force when that step runs.
        fingerprint: changes when the data or the code that reads it do.
        code: changes when the code that learns and judges does.
        attempt: changes when a release that the cache believes made is gone.
        trials: folder that keeps the Tuner's finished trials over a kill, of this data and code alone; None: they aren't kept.
        checkpoints: folder that keeps the Trainer's checkpoints over an attempt; None: beside its artifacts.
        data_until: date or date-time at which the data ends; "": as the dataset file says.
        training_steps: at most so many; 0: as the dataset file says.
        publish_state: put what the ranking service needs beside the release, and label the store's very first release `stable`.
        image: that the steps run in, for the record; "" where they run in none.
        beam_args: options of the Beam runner.
        ingestion_beam_args: those that are others for ingestion, whose result doesn't depend on how many workers there are.
        metadata: TFX's metadata store; None where the orchestrator brings one.
    """
    shop = parse_dataset(dataset)
    custom_config = {"dataset": dataset, "code": code}
    ingest = EventExampleGen(dataset=dataset, data_root=data_root, data_until=data_until, fingerprint=fingerprint)
    ingest.with_beam_pipeline_args(list(ingestion_beam_args))
    examples = ingest.outputs["examples"]
    schema = ContractSchema(dataset=dataset, code=code)
    statistics = StatisticsGen(examples=examples, schema=schema.outputs["schema"])
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    gate = AnomalyGate(anomalies=validator.outputs["anomalies"])
    transform = Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        preprocessing_fn="trainer.preprocess.preprocessing_fn",
        splits_config=SplitsConfig(analyze=["train"]),
        materialize=False,
        disable_statistics=True,
        custom_config=custom_config,
    )
    transform.add_upstream_node(gate)
    learning = {
        "examples": examples,
        "transform_graph": transform.outputs["transform_graph"],
        "train_args": TrainArgs(splits=["train"]),
        "eval_args": EvalArgs(splits=["eval"]),
    }
    tuners = [_tuner(learning, custom_config | {"trials": trials})] if shop.tuning else []
    rival = Champion(dataset=dataset, push_destination=push_destination, version=champion, code=code)
    # Without a warm start the Trainer doesn't hear of the champion: another one is no reason to train again.
    warm = ranker_config(shop).warm_start
    own = {"champion": _called(champion)} if warm else {}
    if checkpoints is not None:
        own["checkpoints"] = checkpoints
    trainer = Trainer(
        base_model=rival.outputs["model"] if warm else None,
        hyperparameters=tuners[0].outputs["best_hyperparameters"] if tuners else None,
        custom_config=custom_config | own,
        training_steps=training_steps,
        **learning,
    )
    evaluator = Evaluator(
        examples=examples,
        example_splits=["test"],
        model=trainer.outputs["model"],
        baseline_model=rival.outputs["model"],
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
    rehearsal = ServingRehearsal(examples=examples, model=trainer.outputs["model"], dataset=dataset, code=code)
    release = Release(
        evaluator.outputs["blessing"],
        rehearsal.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        ingestion=ingest.outputs["report"],
        dataset=dataset,
        code=code,
        push_destination=push_destination,
        attempt=attempt,
        state=ingest.outputs["state"] if publish_state else None,
    )
    importance = FeatureImportance(examples=examples, model=trainer.outputs["model"], dataset=dataset, code=code)
    importance.add_upstream_node(release)  # Where one step runs at a time, a release doesn't wait for it.
    steps = [ingest, schema, statistics, validator, gate, transform, *tuners, rival, trainer, evaluator, rehearsal, release, importance]
    report = SliceReport(
        dataset=dataset,
        data_root=data_root,
        code=code_version(REPORT),
        graph=json.dumps(edges(steps)),
        image=image,
        ingestion=ingest.outputs["report"],
        examples=examples,
        model=trainer.outputs["model"],
        champion=rival.outputs["model"],
        evaluation=evaluator.outputs["evaluation"],
        rehearsal=rehearsal.outputs["blessing"],
        pushed=release.outputs["pushed_model"],
        importance=importance.outputs["report"],
        **({"trials": tuners[0].outputs["tuner_results"]} if tuners else {}),
    )
    return Pipeline(
        pipeline_name=name,
        pipeline_root=root,
        components=[*steps, report],
        enable_cache=True,
        beam_pipeline_args=list(beam_args),
        metadata_connection_config=metadata,
    )


def _called(champion: int) -> str:
    return f"release {champion}" if champion >= 0 else "the release in force"


def _tuner(learning: dict[str, Any], custom_config: dict[str, Any]) -> BaseNode:
    from trainer.tune import Tuner  # KerasTuner brings Keras 3 along: two seconds that only a search is worth

    return Tuner(tuner_fn="trainer.tune.tuner_fn", custom_config=custom_config, **learning)
