"""What Kubeflow's launcher does in a pod, around the container's command (`component/launcher_v2.go`)."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from tests.pipeline.kubeflow.emulation import pod as pods
from tests.pipeline.kubeflow.emulation.compiled import Step
from tests.pipeline.kubeflow.emulation.driver import Json
from tests.pipeline.kubeflow.emulation.pod import Cluster, StepFailed
from tests.pipeline.kubeflow.emulation.store import Store, local_path


def launch(
    step: Step,
    given: Json,
    *,
    cluster: Cluster,
    store: Store,
    pod: Path,
    attempt: int,
    log: Path,
    started: Callable[[subprocess.Popen[bytes]], None],
) -> tuple[dict[str, Json], Json]:
    """Brings the inputs, runs the command, brings the outputs away; returns output artifacts and parameters.

    Args:
        step: the step.
        given: `ExecutorInput`, from the driver.
        cluster: what lies around the pod.
        store: the object store.
        pod: the pod's folder; new at each attempt, gone after it.
        attempt: the first is 0.
        log: what the container says.
        started: told of the container's process.

    Raises:
        StepFailed: the pod couldn't start, the command failed, or left what the launcher can't take.
    """
    pods.removed(pod)
    (pod / "tmp").mkdir(parents=True)
    try:
        mounted = pods.mounts(step, cluster, pod)
        for artifact in _artifacts(given["inputs"]):
            store.download(artifact["uri"], local_path(artifact["uri"], pod))
        # The launcher makes the folders that outputs go into, not those that outputs are.
        for artifact in _artifacts(given["outputs"]):
            local_path(artifact["uri"], pod).parent.mkdir(parents=True, exist_ok=True)
        for parameter in given["outputs"]["parameters"].values():
            Path(parameter["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
        line = [mounted.inward(word) for word in pods.command(step, cluster, _placeholders(step, given, pod))]
        variables = {name: mounted.inward(value) for name, value in pods.environment(step, cluster, pod, attempt=attempt).items()}
        pods.run(line, step, variables=variables, pod=pod, log=log, started=started)
        made = _made(step, Path(given["outputs"]["outputFile"]), mounted)
        return _uploaded(given, made, store, pod), _parameters(step, given, made)
    finally:
        pods.removed(pod)


def _artifacts(side: Json) -> list[Json]:
    return [artifact for listed in side["artifacts"].values() for artifact in listed["artifacts"]]


def _placeholders(step: Step, given: Json, pod: Path) -> dict[str, str]:
    definitions = step.component.input_definitions.parameters
    defaults = {name: json_format.MessageToDict(spec.default_value) for name, spec in definitions.items() if spec.HasField("default_value")}
    whole = given | {"inputs": given["inputs"] | {"parameterValues": defaults | given["inputs"]["parameterValues"]}}
    message = json_format.ParseDict(whole, spec_pb2.ExecutorInput())
    found = {"{{$}}": json_format.MessageToJson(message, indent=None)}
    for side in ("inputs", "outputs"):
        for name, listed in given[side]["artifacts"].items():
            uri = listed["artifacts"][0]["uri"]
            found[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
            found[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = str(local_path(uri, pod))
    for name, value in whole["inputs"]["parameterValues"].items():
        found[f"{{{{$.inputs.parameters['{name}']}}}}"] = value if isinstance(value, str) else json.dumps(value)
    for name, parameter in given["outputs"]["parameters"].items():
        found[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = parameter["outputFile"]
    return found


def _made(step: Step, file: Path, mounted: pods.Mounts) -> Json:
    if not file.exists():
        return {}
    text = mounted.outward(file.read_text(encoding="utf-8"))
    try:
        json_format.Parse(text, spec_pb2.ExecutorOutput())
    except json_format.ParseError as error:
        raise StepFailed(f"{step.name}: failed to unmarshall ExecutorOutput: {error}") from None
    parsed: Json = json.loads(text)
    return parsed


def _uploaded(given: Json, made: Json, store: Store, pod: Path) -> dict[str, Json]:
    found = {}
    for name, listed in given["outputs"]["artifacts"].items():
        (artifact,) = listed["artifacts"]
        for said in made.get("artifacts", {}).get(name, {}).get("artifacts", [])[:1]:
            metadata = artifact.get("metadata", {}) | said.get("metadata", {})
            artifact = artifact | {"uri": said.get("uri") or artifact["uri"], "metadata": metadata}
        store.upload(local_path(artifact["uri"], pod), artifact["uri"])
        found[name] = artifact
    return found


def _parameters(step: Step, given: Json, made: Json) -> Json:
    found: Json = dict(made.get("parameterValues", {}))
    for name, parameter in given["outputs"]["parameters"].items():
        if name not in found:
            file = Path(parameter["outputFile"])
            if not file.exists():
                raise StepFailed(f"{step.name}: failed to read output parameter {name}: {file} isn't there")
            found[name] = file.read_text(encoding="utf-8")
    return found
