"""The emulation beside the backend on a whole shop's pipeline: each step's executor input and artifacts, the objects."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from ml_metadata.metadata_store.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2

from tests.engines.kubeflow.backend import METADATA
from tests.engines.kubeflow.cluster import BUCKET
from tests.pipeline.kubeflow.backend.conftest import RefusedRun, Shop
from tests.pipeline.kubeflow.emulation.compiled import Compiled, read
from tests.pipeline.kubeflow.emulation.pod import Cluster, mounts
from tests.pipeline.kubeflow.emulation.run import Event, execute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]

Json = dict[str, Any]
_INVOCATION, _EXECUTOR_INPUT = "--json_serialized_invocation_args", "--executor_input"
# What two runs differ in: ids, digests of paths, names with a time.
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_OWN = re.compile(rf"{_UUID}|[0-9a-f]{{64}}|events\.out\.tfevents\.\S+")
_OF_THE_STORE = ("store_session_info", "baseline_model_id", "current_model_id")


class Told:
    """What one of the two says of the run: by step its executor input and its output artifacts' metadata, and all objects' keys."""

    def __init__(self, inputs: dict[str, Json], outputs: dict[str, Json], objects: set[str]) -> None:
        self.inputs, self.outputs, self.objects = inputs, outputs, objects


@pytest.fixture(scope="module")
def told(shop: Shop, refused: RefusedRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Told]:
    folder = tmp_path_factory.mktemp("emulated")
    claim = folder / "volumes/shelfrank"
    claim.mkdir(parents=True)
    shutil.copytree(shop.backend.claim("shelfrank") / "few", claim / "few")  # with their times
    return emulated(read(shop.folder / refused.file), folder), real(shop, refused.run_id)


def emulated(compiled: Compiled, folder: Path) -> Told:
    lines: dict[str, list[str]] = {}

    def remember(event: Event) -> None:
        if event.process is not None:
            lines[event.step] = list(map(str, event.process.args))  # type: ignore[arg-type]

    parameters = {"data_root": "/shelfrank/few", "push_destination": "/shelfrank/refused"}
    run = execute(compiled, Cluster(folder), parameters=parameters, on_event=remember)
    assert run.failed == {}
    inputs = {}
    for step, line in lines.items():
        pod = folder / "pods" / f"{run.id}-{step}"
        outward = mounts(compiled.steps[step], Cluster(folder), folder / "unused").outward
        text = outward(line[line.index(_INVOCATION) + 1]).replace(f"{pod}/", "/")
        inputs[step] = plain_input(json.loads(text.replace("executor-logs-0", "executor-logs")), run.id)
    outputs = {
        step: {name: plain(made["metadata"], run.id) for name, made in each.artifacts.items()} for step, each in run.finished.items()
    }
    store = folder / "store/minio"
    return Told(inputs, outputs, {plain(str(path.relative_to(store)), run.id) for path in store.rglob("*") if path.is_file()})


def real(shop: Shop, run_id: str) -> Told:
    workflow = shop.backend.workflow(run_id)
    inputs = {}
    for node in workflow["status"]["nodes"].values():
        step, driver, _ = node["displayName"].partition("-driver")
        for parameter in node.get("outputs", {}).get("parameters", []):
            if driver and parameter["name"] == "pod-spec-patch":
                (container,) = [each for each in json.loads(parameter["value"])["containers"] if each["name"] == "main"]
                command = container["command"]
                inputs[step] = plain_input(json.loads(command[command.index(_EXECUTOR_INPUT) + 1]), run_id)
    keys = {plain(f"{BUCKET}/{key}", run_id) for key in shop.objects(run_id)}
    return Told(inputs, recorded(run_id), keys)


def recorded(run_id: str) -> dict[str, Json]:
    """Return the output artifacts' metadata as ML Metadata has them."""
    host, _, port = METADATA.partition(":")
    store = MetadataStore(metadata_store_pb2.MetadataStoreClientConfig(host=host, port=int(port)))
    context = store.get_context_by_type_and_name("system.PipelineRun", run_id)
    outputs: dict[str, Json] = {}
    for artifact in store.get_artifacts_by_context(context.id):
        step = artifact.uri.split(f"/{run_id}/")[1].split("/")[0]
        properties = {key: value_of(value) for key, value in artifact.custom_properties.items()}
        outputs.setdefault(step, {})[re.sub(r"-0$", "", properties["display_name"])] = plain(properties, run_id)
    return outputs


def value_of(value: metadata_store_pb2.Value) -> Any:
    kind = value.WhichOneof("value")
    made = getattr(value, kind)
    return json_format.MessageToDict(made) if kind == "struct_value" else made


def plain_input(document: Json, run_id: str) -> Json:
    """What is to be equal of an executor input."""
    document = plain(document, run_id)
    for listed in document["inputs"].get("artifacts", {}).values():
        for artifact in listed["artifacts"]:
            assert re.fullmatch(r"\d+", artifact.pop("name"))
    return document


def plain(value: Any, run_id: str) -> Any:
    """What is to be equal: without ids, digests of paths, times, and the connection of the store."""
    match value:
        case dict():
            return {key: plain(each, run_id) for key, each in value.items() if key not in _OF_THE_STORE}
        case list():
            return [plain(each, run_id) for each in value]
        case str():
            return _OWN.sub("OWN", value.replace(run_id, "OWN"))
        case float():
            return int(value) if value.is_integer() else value
    return value


STEPS = (
    *("AnomalyGate", "Champion", "ContractSchema", "DataFingerprint", "DriftCheck", "DriftGate", "DriftReference"),
    *("Evaluator", "EventExampleGen", "ExampleValidator"),
    *("FeatureImportance", "Release", "ServingRehearsal", "SliceReport", "StatisticsGen", "Trainer", "Transform"),
)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_gets_the_same_executor_input(told: tuple[Told, Told], step: str) -> None:
    emulation, backend = told
    assert emulation.inputs[step] == backend.inputs[step]


@pytest.mark.parametrize("step", STEPS)
def test_a_steps_artifacts_have_the_same_metadata(told: tuple[Told, Told], step: str) -> None:
    emulation, backend = told
    assert emulation.outputs[step] == backend.outputs[step]


def test_the_same_objects_are_left(told: tuple[Told, Told]) -> None:
    emulation, backend = told
    assert emulation.objects == backend.objects
    assert len(backend.objects) > len(STEPS)
