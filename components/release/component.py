"""`Release`: TFX's Pusher, with the inputs that a release's manifest is written from."""

import json
import logging
import time
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as pusher
from tfx.components.pusher.component import Pusher
from tfx.dsl.components.base import base_component
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.types.experimental.simple_artifacts import Dataset as DatasetArtifact
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_component_specs import PusherSpec
from tfx.utils import json_utils

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import RELEASES, SERVING
from components.release.build_manifest import build_manifest, refusals
from components.release.labels import label_first
from components.release.manifest import FILE
from components.release.outcomes import record_outcome
from components.release.publish import publish
from components.release.run_outcome import PROPERTY, RunOutcome
from components.release.serving_bundle import ServingBundle

_log = logging.getLogger("shelfrank.progress")


class Executor(pusher.Executor):
    """Check both blessings as Pusher does, publish by `components.release.publish`, and record the outcome."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """Publish the model and write its version, its address and the manifest to the output artifact.

        The outcome is a property of that artifact, and on a cluster also a file in the store.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        store = Address.parse(exec_properties["push_destination"])
        config = json.loads(exec_properties["custom_config"])
        if self.CheckBlessing(input_dict):
            version = self._publish(input_dict, pushed, store=store, config=config)
            outcome = RunOutcome(True, version)
        else:
            self._MarkNotPushed(pushed)
            evaluation, rehearsal = (artifact_utils.get_single_uri(input_dict[name]) for name in ("evaluation", "infra_blessing"))
            outcome = RunOutcome(False, None, refusals(config["dataset"], evaluation=evaluation, rehearsal=rehearsal))
        pushed.set_string_custom_property(PROPERTY, outcome.to_json())
        if run_id := exec_properties.get("run_id"):
            record_outcome(store, run_id, outcome)

    def _publish(self, input_dict: dict[str, list[Any]], pushed: types.Artifact, *, store: Address, config: dict[str, Any]) -> int:
        releases = store / RELEASES
        manifest = build_manifest(
            config["dataset"],
            evaluation=artifact_utils.get_single_uri(input_dict["evaluation"]),
            ingestion=artifact_utils.get_single_uri(input_dict["ingestion"]),
            rehearsal=artifact_utils.get_single_uri(input_dict["infra_blessing"]),
            code=config["code"],
            created_us=time.time_ns() // 1000,
        )
        state = input_dict.get("state")
        serving = ServingBundle(config["dataset"], Path(artifact_utils.get_single_uri(state)), store / SERVING) if state else None
        released = publish(self.GetModelPath(input_dict), releases, manifest, serving=serving)
        if serving is not None:
            label_first(releases, released)
        (Path(pushed.uri) / FILE).write_text(released.to_json(), encoding="utf-8")
        _log.info("release %d", released.version)
        self._MarkPushed(pushed, pushed_destination=str(releases / str(released.version)), pushed_version=str(released.version))
        return released.version


class ReleaseSpec(PusherSpec):
    """Pusher's spec with further inputs, and with a plain string as destination, which can be a runtime parameter."""

    PARAMETERS = PusherSpec.PARAMETERS | {"push_destination": ExecutionParameter(type=str), "run_id": ExecutionParameter(type=str)}
    INPUTS = PusherSpec.INPUTS | {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "ingestion": ChannelParameter(type=File),
        "state": ChannelParameter(type=DatasetArtifact, optional=True),
    }


class Release(Pusher):
    """Publish a blessed model as the next version of a store's releases.

    Args:
        model_blessing: the gates' decision; without a blessing nothing is published.
        rehearsal: the model with its warm-up file, and whether it passed the rehearsal; likewise.
        evaluation: Evaluator's results.
        ingestion: ingestion's report.
        dataset: the dataset file's text.
        code: version of the code, for the manifest.
        push_destination: the store: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        attempt: part of TFX's cache key; changes when the release of a cached execution was deleted, so that it is
            published again.
        state: ingestion's feature state, to publish the serving bundle beside the release, and to label the very first
            one `stable`; None: the release alone.
    """

    SPEC_CLASS = ReleaseSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        model_blessing: types.BaseChannel,
        rehearsal: types.BaseChannel,
        *,
        evaluation: types.BaseChannel,
        ingestion: types.BaseChannel,
        dataset: str,
        code: str,
        push_destination: str | RuntimeParameter,
        attempt: int = 0,
        state: types.BaseChannel | None = None,
    ) -> None:
        spec = ReleaseSpec(
            model_blessing=model_blessing,
            infra_blessing=rehearsal,
            evaluation=evaluation,
            ingestion=ingestion,
            push_destination=push_destination,
            custom_config=json_utils.dumps({"dataset": dataset, "code": code, "attempt": attempt}),
            run_id="",  # set to Kubeflow's in a compiled pipeline
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            **({} if state is None else {"state": state}),
        )
        # Pusher's own constructor builds a PusherSpec, which lacks the other inputs.
        base_component.BaseComponent.__init__(self, spec=spec)
