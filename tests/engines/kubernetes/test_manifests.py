"""Every manifest is taken by a real API server that has the definitions of the custom resources: nothing unknown, missing or ill-typed."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engines.kubernetes.api_server import Kubernetes
from tests.engines.kubernetes.definitions import SOURCES
from tests.kubernetes.rendered import ENGINES, FOLDERS, KUBERNETES, Doc, only, rendered

# The first one builds the server, where there is none.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
PLAIN = "Kubernetes"
ALL = (*FOLDERS, "monitoring", "pipelines", *ENGINES)
NAMESPACES = ("kubeflow", "kafka")  # others make them
# A field that each kind of custom resource lacks or has otherwise.
WRONG: dict[str, tuple[str, str, str, tuple[str, ...], Any]] = {
    "keda.sh": ("stream", "ScaledObject", "stream", ("spec", "maxReplicas"), 6),
    "serving.kserve.io": ("overlays/kserve", "InferenceService", "ranker", ("spec", "predictor", "minReplicas"), "two"),
    "monitoring.coreos.com": ("monitoring", "ServiceMonitor", "ranking", ("spec", "selector"), "ranking"),
    "kafka.strimzi.io": ("engines/kafka", "KafkaTopic", "events", ("spec", "partition"), 6),
    "flink.apache.org": ("engines/flink", "FlinkDeployment", "flink", ("spec", "flinkVersion"), "v0"),
}


def group(doc: Doc) -> str:
    """The project that a document's kind is of."""
    name: str = doc["apiVersion"].partition("/")[0]
    return name if name in SOURCES else PLAIN


def manifests(project: str) -> Iterator[Doc]:
    """Each document of a project's kinds once."""
    yielded: list[Doc] = []
    for folder in ALL:
        for doc in rendered(folder):
            if group(doc) == project and doc not in yielded:
                yielded.append(doc)
                yield doc


def wrong(project: str) -> Doc:
    folder, kind, name, path, value = WRONG[project]
    doc = copy.deepcopy(only(rendered(folder), kind, name))
    parent = doc
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return doc


@pytest.fixture(scope="session")
def namespaces(kubernetes: Kubernetes) -> Kubernetes:
    """The server with the namespaces that documents go to; that of base/ says what its pods may do."""
    docs = [only(rendered("base"), "Namespace", "shelfrank")]
    docs += [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
    done = kubernetes.apply(docs)
    assert done.returncode == 0, done.stderr
    return kubernetes


@pytest.fixture(scope="session", params=SOURCES)
def project(request: pytest.FixtureRequest, namespaces: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project whose definitions the server has."""
    name: str = request.param
    namespaces.define(SOURCES[name](tmp_path_factory.mktemp("definitions")))
    return name


def assert_taken(kubernetes: Kubernetes, docs: list[Doc]) -> None:
    done = kubernetes.apply(docs, "--dry-run=server")
    assert done.returncode == 0, done.stderr
    assert docs
    assert len(done.stdout.splitlines()) == len(docs), done.stdout


def test_kubernetes_own_kinds_are_taken_without_a_warning(namespaces: Kubernetes) -> None:
    assert_taken(namespaces, list(manifests(PLAIN)))


def test_custom_resources_are_taken(project: str, namespaces: Kubernetes) -> None:
    assert_taken(namespaces, list(manifests(project)))


def test_a_wrong_field_of_a_custom_resource_is_refused(project: str, namespaces: Kubernetes) -> None:
    done = namespaces.apply([wrong(project)], "--dry-run=server")
    assert done.returncode != 0
    assert WRONG[project][3][-1] in done.stderr


def test_a_wrong_field_and_a_pod_that_may_too_much_are_refused(namespaces: Kubernetes) -> None:
    deployment = copy.deepcopy(only(rendered("base"), "Deployment", "ranking"))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["readinesProbe"] = {}
    assert "readinesProbe" in namespaces.apply([deployment], "--dry-run=server").stderr
    del container["readinesProbe"], container["securityContext"]
    done = namespaces.apply([deployment], "--dry-run=server")
    assert done.returncode != 0
    assert 'would violate PodSecurity "restricted' in done.stderr


def test_every_folder_and_kind_is_among_them() -> None:
    folders = {path.parent.relative_to(KUBERNETES).as_posix() for path in KUBERNETES.rglob("kustomization.yaml")}
    through = {f"components/{name}" for name in ("bucket", "shop", "stream", "stream-keda", "events", "model")}
    assert folders == {name for name in ALL if (KUBERNETES / name).is_dir()} | through
    assert {group(doc) for folder in ALL for doc in rendered(folder)} == {PLAIN, *SOURCES}
