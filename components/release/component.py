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
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_component_specs import PusherSpec
from tfx.utils import json_utils

from components.release.describe import describe
from components.release.manifest import FILE
from components.release.releases import publish

_log = logging.getLogger("shelfrank.progress")


class Executor(pusher.Executor):
    """Checks both blessings as Pusher does, and publishes through `components.release.releases`."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """Publish the model and say where in the output artifact; it holds the manifest, the release itself is the archive."""
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        releases = exec_properties["releases"]
        given = json.loads(exec_properties["custom_config"])
        manifest = describe(
            given["dataset"],
            evaluation=artifact_utils.get_single_uri(input_dict["evaluation"]),
            ingestion=artifact_utils.get_single_uri(input_dict["ingestion"]),
            rehearsal=artifact_utils.get_single_uri(input_dict["infra_blessing"]),
            code=given["code"],
            created_us=time.time_ns() // 1000,
        )
        released = publish(self.GetModelPath(input_dict), releases, manifest)
        (Path(pushed.uri) / FILE).write_text(released.to_json(), encoding="utf-8")
        _log.info("release %d", released.version)
        self._MarkPushed(pushed, pushed_destination=str(Path(releases) / str(released.version)), pushed_version=str(released.version))


class ReleaseSpec(PusherSpec):
    """As Pusher's, with the evaluation and ingestion's report as inputs."""

    INPUTS = PusherSpec.INPUTS | {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "ingestion": ChannelParameter(type=File),
    }
    # In place of Pusher's `push_destination`: a parameter that is chosen when a run starts can be no part of a message.
    PARAMETERS = PusherSpec.PARAMETERS | {"releases": ExecutionParameter(type=str)}


class Release(Pusher):
    """Publishes a blessed model as the next version of a folder of releases.

    Args:
        model_blessing: the gates' decision; without a blessing nothing is published.
        rehearsal: the model as it was rehearsed, and whether it may be released; likewise.
        evaluation: Evaluator's results.
        ingestion: ingestion's report.
        dataset: the dataset file's text.
        code: version of the code, for the manifest.
        releases: folder of the releases.
        attempt: changes when the release that a cached execution made is gone, so that it is made again.
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
        releases: str | RuntimeParameter,
        attempt: int = 0,
    ) -> None:
        spec = ReleaseSpec(
            model_blessing=model_blessing,
            infra_blessing=rehearsal,
            evaluation=evaluation,
            ingestion=ingestion,
            releases=releases,
            custom_config=json_utils.dumps({"dataset": dataset, "code": code, "attempt": attempt}),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        # Pusher's own constructor builds a PusherSpec, which has no room for the two inputs.
        base_component.BaseComponent.__init__(self, spec=spec)
