"""What Kubeflow's launcher does in a pod, around the container's command (`component/launcher_v2.go`)."""

import copy
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from pipeline.kubeflow.step.invocation import LOG_ARTIFACT
from tests.pipeline.kubeflow.emulation import pod as pods
from tests.pipeline.kubeflow.emulation.backend import Backend
from tests.pipeline.kubeflow.emulation.compiled import Step
from tests.pipeline.kubeflow.emulation.driver import TYPES, Json, text_of
from tests.pipeline.kubeflow.emulation.pod import Cluster, StepFailed
from tests.pipeline.kubeflow.emulation.store import Store, local_path

_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['(.+?)'\]\}\}")


def launch(
    step: Step,
    executor_input: Json,
    *,
    cluster: Cluster,
    backend: Backend,
    store: Store,
    root: str,
    pod: Path,
    attempt: int,
    log: Path,
    started: Callable[[subprocess.Popen[bytes]], None],
) -> tuple[dict[str, Json], Json]:
    """Brings the inputs, runs the command, brings the outputs away; returns output artifacts and parameters.

    Args:
        step: the step.
        executor_input: `ExecutorInput`, from the driver.
        cluster: what lies around the pod.
        backend: whose launcher it is.
        store: the object store.
        root: folder of the run in it.
        pod: the pod's folder; new at each attempt, gone after it.
        attempt: the first is 0.
        log: what the container says.
        started: told of the container's process.

    Raises:
        StepFailed: the pod couldn't start, the command failed, or left what the launcher can't take.
    """
    pods.removed(pod)
    (pod / "tmp").mkdir(parents=True)
    executor_input = _numbered(executor_input, attempt) if backend.numbers_attempts else executor_input
    try:
        mounted = pods.mounts(step, cluster, pod)
        line = [mounted.inward(word) for word in _command(step, executor_input, cluster=cluster, backend=backend, pod=pod)]
        for artifact in _artifacts(executor_input["inputs"]):
            store.download(artifact["uri"], local_path(artifact["uri"], pod), by_prefix=backend.downloads_by_prefix)
        _prepare_folders(executor_input, pod)
        # Kubeflow's compiler sets the variable in the template of steps with retries only.
        number = attempt if backend.numbers_attempts and step.task.HasField("retry_policy") else None
        variables = {name: mounted.inward(value) for name, value in pods.environment(step, cluster, pod, attempt=number).items()}
        written = _log_file(executor_input, pod)
        try:
            pods.run(line, step, variables=variables, pod=pod, log=log, copy=written, started=started)
        except StepFailed:
            if written is not None and backend.keeps_log_of_failure:
                store.upload(written, _uri(executor_input, LOG_ARTIFACT))
            raise
        made = _made(step, Path(executor_input["outputs"]["outputFile"]), mounted)
        parameters = _parameters(step, executor_input, made)
        return _uploaded(step, executor_input, made, store=store, root=root, pod=pod), parameters
    finally:
        pods.removed(pod)


def _numbered(executor_input: Json, attempt: int) -> Json:
    """The log's address ends in the attempt's number, before the command's placeholders are filled."""
    made = copy.deepcopy(executor_input)
    for artifact in made["outputs"]["artifacts"].get(LOG_ARTIFACT, {}).get("artifacts", []):
        artifact["uri"] += f"-{attempt}"
    return made


def _prepare_folders(executor_input: Json, pod: Path) -> None:
    """The launcher makes the folders that outputs go into, not those that outputs are."""
    for parameter in executor_input["outputs"]["parameters"].values():
        Path(parameter["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
    for artifact in _artifacts(executor_input["outputs"]):
        local_path(artifact["uri"], pod).parent.mkdir(parents=True, exist_ok=True)


def _artifacts(side: Json) -> list[Json]:
    return [artifact for listed in side["artifacts"].values() for artifact in listed["artifacts"]]


def _uri(executor_input: Json, name: str) -> str:
    uri: str = executor_input["outputs"]["artifacts"][name]["artifacts"][0]["uri"]
    return uri


def _log_file(executor_input: Json, pod: Path) -> Path | None:
    """The file that the command's output is copied into, open before the command starts; None where the driver added none."""
    if LOG_ARTIFACT not in executor_input["outputs"]["artifacts"]:
        return None
    return local_path(_uri(executor_input, LOG_ARTIFACT), pod)


def _command(step: Step, executor_input: Json, *, cluster: Cluster, backend: Backend, pod: Path) -> list[str]:
    """The container's command line, its placeholders filled in by the driver, then by the launcher."""
    words = pods.command(step, cluster)
    if backend.resolves_arguments:
        words = [_by_driver(word, executor_input) for word in words]
    placeholders = _placeholders(step, executor_input, pod)
    return [words[0], *(_filled(word, placeholders) for word in words[1:])]


def _by_driver(word: str, executor_input: Json) -> str:
    values = executor_input["inputs"]["parameterValues"]
    if "$.outputs" in word:
        return word
    for match in _PARAMETER.finditer(word):
        if match[1] not in values:
            raise StepFailed(f'failed to resolve container args: parameter "{match[1]}" not found in executor input')
    return _PARAMETER.sub(lambda match: text_of(values[match[1]]), word)


def _filled(word: str, placeholders: dict[str, str]) -> str:
    for placeholder, value in placeholders.items():
        word = word.replace(placeholder, value)
    return word


def _placeholders(step: Step, executor_input: Json, pod: Path) -> dict[str, str]:
    definitions = step.component.input_definitions.parameters
    defaults = {name: json_format.MessageToDict(spec.default_value) for name, spec in definitions.items() if spec.HasField("default_value")}
    whole = executor_input | {
        "inputs": executor_input["inputs"] | {"parameterValues": defaults | executor_input["inputs"]["parameterValues"]}
    }
    message = json_format.ParseDict(whole, spec_pb2.ExecutorInput())
    placeholders = {"{{$}}": json_format.MessageToJson(message, indent=None)}
    for side in ("inputs", "outputs"):
        for name, listed in executor_input[side]["artifacts"].items():
            uri = listed["artifacts"][0]["uri"]
            placeholders[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
            placeholders[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = str(local_path(uri, pod))
    for name, value in whole["inputs"]["parameterValues"].items():
        placeholders[f"{{{{$.inputs.parameters['{name}']}}}}"] = text_of(value)
    for name, parameter in executor_input["outputs"]["parameters"].items():
        placeholders[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = parameter["outputFile"]
    return placeholders


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


def _uploaded(step: Step, executor_input: Json, made: Json, *, store: Store, root: str, pod: Path) -> dict[str, Json]:
    artifacts = {}
    for name, listed in executor_input["outputs"]["artifacts"].items():
        (artifact,) = listed["artifacts"]
        # What the command says of the log doesn't count: it is the launcher's own.
        said_of_it = [] if name == LOG_ARTIFACT else made.get("artifacts", {}).get(name, {}).get("artifacts", [])
        for said in said_of_it[:1]:
            metadata = artifact.get("metadata", {}) | said.get("metadata", {})
            artifact = artifact | {"uri": said.get("uri") or artifact["uri"], "metadata": metadata}
        if not artifact["uri"].startswith(root):
            why = f"URI {artifact['uri']!r} does not have expected bucket prefix {root!r}"
            raise StepFailed(f"{step.name}: failed to upload output artifact {name!r}: {why}")
        try:
            store.upload(local_path(artifact["uri"], pod), artifact["uri"])
        except FileNotFoundError:
            if name == LOG_ARTIFACT:  # A dead link would stand in the UI.
                continue
        except OSError as error:
            raise StepFailed(f"{step.name}: failed to upload output artifact {name!r}: {error}") from None
        artifacts[name] = artifact
    return artifacts


def _parameters(step: Step, executor_input: Json, made: Json) -> Json:
    values: Json = dict(made.get("parameterValues", {}))
    for name, parameter in executor_input["outputs"]["parameters"].items():
        if name not in values:
            file = Path(parameter["outputFile"])
            kind = step.component.output_definitions.parameters[name].parameter_type
            try:
                values[name] = _value(file.read_text(encoding="utf-8"), kind)
            except (OSError, ValueError) as error:
                raise StepFailed(f"{step.name}: failed to read output parameter {name}: {error}") from None
    return values


def _value(text: str, kind: TYPES.ParameterTypeEnum) -> Any:
    """What a file of an output parameter says (`TextToPbValue`)."""
    match kind:
        case TYPES.STRING:
            return text
        case TYPES.NUMBER_INTEGER:
            return int(text)
        case TYPES.NUMBER_DOUBLE:
            return float(text)
        case TYPES.BOOLEAN:
            words = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
            if text.strip().lower() not in words:
                raise ValueError(f"parsing {text!r}: invalid syntax")
            return words[text.strip().lower()]
    value = json.loads(text)
    if not isinstance(value, list if kind == TYPES.LIST else dict):
        raise ValueError("unexpected type")
    return value
