"""Every folder builds, and every document is valid by Kubernetes' own schemas, unknown fields refused; offline."""

import copy
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError

from tests.kubernetes import custom_resources
from tests.kubernetes.rendered import FOLDERS, KUBERNETES, ROOT, Doc, docs_of, only, pods, rendered, text_of

VERSIONS = ("1.30", "1.37")


def validate(doc: Doc, version: str) -> None:
    if doc["kind"] in custom_resources.KINDS:
        custom_resources.check(doc)
    else:
        kubernetes_validate.validate(doc, version, strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_document_is_valid(folder: str) -> None:
    docs = rendered(folder)
    assert len(docs) > 20
    for doc in docs:
        for version in VERSIONS if folder == "base" else VERSIONS[-1:]:
            validate(doc, version)
    for pod in pods(docs):  # those of an InferenceService too
        template = {"metadata": {"labels": pod.labels}, "spec": pod.spec}
        spec = {"selector": {"matchLabels": pod.labels}, "template": template}
        kubernetes_validate.validate(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": pod.name}, "spec": spec}, "1.37", strict=True
        )


def test_the_claim_of_the_pipelines_pods_is_valid_and_has_a_volume_on_one_node() -> None:
    (claim,) = docs_of(text_of(KUBERNETES / "pipelines"))
    validate(claim, "1.37")
    for found in (claim, only(rendered("overlays/local"), "PersistentVolumeClaim", "shelfrank")):
        volume = only(rendered("overlays/local"), "PersistentVolume", found["spec"]["volumeName"])
        assert volume["spec"]["claimRef"] == {name: found["metadata"][name] for name in ("namespace", "name")}
        assert volume["spec"]["accessModes"] == found["spec"]["accessModes"] == ["ReadWriteMany"]
        assert volume["spec"]["hostPath"]["path"] == "/var/lib/shelfrank"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_name_comes_twice_and_all_but_what_has_none_is_in_the_namespace(folder: str) -> None:
    docs = rendered(folder)
    names = [(doc["kind"], doc["metadata"]["name"]) for doc in docs]
    assert len(set(names)) == len(names)
    for doc in docs:
        expected = None if doc["kind"] in ("Namespace", "PersistentVolume") else "shelfrank"
        assert doc["metadata"].get("namespace") == expected, doc["metadata"]


def test_a_field_that_is_not_there_is_refused() -> None:
    deployment = copy.deepcopy(only(rendered("base"), "Deployment", "ranking"))
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(deployment, "1.37")


@pytest.mark.parametrize(
    ("folder", "kind", "name", "path", "wrong"),
    [
        ("overlays/keda", "ScaledObject", "ranking", ("spec", "minReplicas"), 2),
        ("overlays/keda", "ScaledObject", "ranking", ("spec", "maxReplicaCount"), "20"),
        ("overlays/keda", "ScaledObject", "ranking", ("spec", "fallback", "replicas"), 99),
        ("stream", "ScaledObject", "stream", ("spec", "triggers", 0, "metadata", "group"), "shop"),
        ("stream", "ScaledObject", "stream", ("spec", "triggers", 0, "metadata", "lagThreshold"), 1000),
        ("stream", "TriggerAuthentication", "stream", ("spec", "secretTargetRef", 0, "parameter"), "user"),
        ("overlays/kserve", "InferenceService", "ranker", ("spec", "transformer"), {}),
        ("overlays/kserve", "InferenceService", "ranker", ("spec", "predictor", "minReplicas"), "2"),
        ("overlays/kserve", "InferenceService", "ranker", ("metadata", "namespace"), "default"),
    ],
)
def test_a_wrong_field_of_a_custom_resource_is_refused(
    folder: str, kind: str, name: str, path: tuple[str | int, ...], wrong: object
) -> None:
    doc = copy.deepcopy(only(rendered(folder), kind, name))
    at: Any = doc
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = wrong
    with pytest.raises(ValidationError):
        validate(doc, "1.37")


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_placeholder_is_left_and_no_tag_is_latest(folder: str) -> None:
    docs = rendered(folder)
    text = yaml.safe_dump_all(docs)
    assert "MODEL/" not in text.replace("SHELFRANK_MODEL", "")
    images = {container["image"] for pod in pods(docs) for container in pod.containers}
    for image in images:
        assert re.fullmatch(r"[\w./-]+:\d[\w.-]*", image), image
    own = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert own is not None
    ours = {"service", "pipeline"} if folder in ("stream", "events") else {"service"}
    assert {image for image in images if image.startswith("shelfrank/")} == {f"shelfrank/{name}:{own[1]}" for name in ours}
    assert ("tensorflow/serving:2.19.1-gpu" in images) == (folder == "overlays/gpu")


def test_the_models_name_is_said_once_and_comes_everywhere() -> None:
    for folder, name in (("base", "simulated_shop"), ("overlays/kserve", "simulated_shop"), ("bucket", "other")):
        text = yaml.safe_dump_all(rendered(folder))
        assert f"/v1/models/{name}/labels/stable/metadata" in text
        assert f"/v1/models/{name}\n" in text
        assert text.count(name) == 3  # and in the ConfigMap
    assert re.search(r"^name: simulated_shop$", (ROOT / "examples" / "simulated_shop.yaml").read_text(), re.MULTILINE)
