"""What `kubectl kustomize` makes of a folder under kubernetes/, and what is in it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "kubernetes"
OVERLAYS = ("local", "gpu", "keda", "kserve")
COMPONENTS = ("bucket", "shop", "stream", "events")  # each over the base, as an overlay of a test's own
FOLDERS = ("base", *(f"overlays/{name}" for name in OVERLAYS), *COMPONENTS)
ENGINES = ("engines/kafka", "engines/flink")
Doc = dict[str, Any]


@cache
def text_of(folder: Path) -> str:
    """The rendered text; the test is skipped where there is no kubectl."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here: its kustomize builds the manifests")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def docs_of(text: str) -> list[Doc]:
    return [doc for doc in yaml.load_all(text, Loader=yaml.CSafeLoader) if doc is not None]


_GENERATED: dict[str, list[Doc]] = {
    "bucket": [{"name": "shelfrank", "behavior": "merge", "literals": ["SHELFRANK_STORE=s3://bucket/shop", "SHELFRANK_MODEL=other"]}],
    "shop": [{"name": "shop", "files": [f"{name}.yaml" for name in ("experiments", "rules", "sources")]}],
    "stream": (_DATASET := [{"name": "dataset", "files": ["dataset.yaml"]}]),
    "events": _DATASET,
    "monitoring": [],
}
_LISTED = {"stream": ["stream", "stream-keda"], "events": ["stream", "events"]}


@cache
def _own(name: str) -> str:
    """The base with a component, by an overlay beside the others, as a user writes one."""
    folder = KUBERNETES / "overlays" / f".test-{name}"
    components = ["../../monitoring"] if name == "monitoring" else [f"../../components/{each}" for each in _LISTED.get(name, [name])]
    try:
        shutil.copytree(ROOT / "examples" / "serving", folder, dirs_exist_ok=True)
        shutil.copy(ROOT / "examples" / "simulated_shop.yaml", folder / "dataset.yaml")
        lines = {
            "namespace": "shelfrank",
            "resources": ["../../base"],
            "components": [*components, "../../components/model"],
            "configMapGenerator": _GENERATED[name],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(lines))
        return text_of(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def rendered(name: str) -> list[Doc]:
    """The documents of a folder of `FOLDERS`, or of another one below kubernetes/, for reading alone."""
    return docs_of(_own(name) if name in _GENERATED else text_of(KUBERNETES / name))


@dataclass(frozen=True)
class Pod:
    """A pod that a document starts, by the document's name."""

    kind: str
    name: str
    labels: dict[str, str]
    spec: Doc

    @property
    def containers(self) -> list[Doc]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    def container(self, name: str) -> Doc:
        return next(each for each in self.containers if each["name"] == name)

    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for each in self.spec["containers"] for port in each.get("ports", [])}


def pods(docs: list[Doc]) -> Iterator[Pod]:
    for doc in docs:
        kind, name = doc["kind"], doc["metadata"]["name"]
        if kind in ("Deployment", "StatefulSet"):
            template = doc["spec"]["template"]
            yield Pod(kind, name, template["metadata"]["labels"], template["spec"])
        elif kind == "InferenceService":
            # KServe takes what belongs to a pod from the predictor, and the labels of both.
            predictor = doc["spec"]["predictor"]
            own = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "labels")
            labels = doc["metadata"]["labels"] | predictor["labels"]
            yield Pod(kind, name, labels, {key: value for key, value in predictor.items() if key not in own})


def pod(docs: list[Doc], name: str) -> Pod:
    """By the label that its Service and policies go by."""
    return next(each for each in pods(docs) if each.labels["app.kubernetes.io/name"] == name)


def only(docs: list[Doc], kind: str, name: str) -> Doc:
    (found,) = [doc for doc in docs if (doc["kind"], doc["metadata"]["name"]) == (kind, name)]
    return found


def config(docs: list[Doc], name: str) -> dict[str, str]:
    """A ConfigMap's content by its name, with or without the hash that kustomize adds."""
    (found,) = [doc for doc in docs if doc["kind"] == "ConfigMap" and re.fullmatch(rf"{name}(-\w{{10}})?", doc["metadata"]["name"])]
    content: dict[str, str] = found["data"]
    return content


def settings(docs: list[Doc], container: Doc) -> dict[str, str]:
    """The environment that a container gets from ConfigMaps, by value; from secrets and fields the name stands for the value."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= config(docs, source["configMapRef"]["name"])
    for each in container.get("env", []):
        found[each["name"]] = each.get("value", each["name"])
    return found


def command(docs: list[Doc], container: Doc) -> list[str]:
    """Command and arguments as the process gets them, with `$(NAME)` put in."""
    values = settings(docs, container)

    def put_in(word: str) -> str:
        return re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], word)

    return [put_in(word) for word in (*container["command"], *container.get("args", []))]
