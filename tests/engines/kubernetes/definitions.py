"""The definitions of custom resources (CRDs) as their projects publish them: in Go modules and Maven packages."""

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engines.maven import class_path

POM = Path(__file__).with_name("pom.xml")
_DOWNLOAD_S = 900
_STRIMZI = {
    "Kafka": "kafka.Kafka",
    "KafkaNodePool": "nodepool.KafkaNodePool",
    "KafkaTopic": "topic.KafkaTopic",
    "KafkaUser": "user.KafkaUser",
}
Documents = list[dict[str, Any]]


def keda(folder: Path) -> Documents:
    """Return the definitions of keda.sh."""
    del folder
    kinds = ("scaledobjects", "triggerauthentications")
    return _of_module("github.com/kedacore/keda/v2@v2.16.1", *(f"config/crd/bases/keda.sh_{kind}.yaml" for kind in kinds))


def kserve(folder: Path) -> Documents:
    """Return the definition of serving.kserve.io's InferenceService."""
    del folder
    return _of_module("github.com/kserve/kserve@v0.15.2", "config/crd/full/serving.kserve.io_inferenceservices.yaml")


def prometheus(folder: Path) -> Documents:
    """Return the definitions of monitoring.coreos.com."""
    del folder
    files = (f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml" for kind in ("servicemonitors", "prometheusrules"))
    return _of_module("github.com/prometheus-operator/prometheus-operator@v0.85.0", *files)


def flink(folder: Path) -> Documents:
    """Return the definitions of flink.apache.org, which lie in a jar."""
    del folder
    jar = next(path for path in class_path(POM) if path.name.startswith("flink-kubernetes-operator-api"))
    with zipfile.ZipFile(jar) as archive:
        names = [name for name in archive.namelist() if name.startswith("META-INF/fabric8/") and name.endswith("-v1.yml")]
        return [yaml.load(archive.read(name), Loader=yaml.CSafeLoader) for name in names]


def strimzi(folder: Path) -> Documents:
    """Return the definitions of kafka.strimzi.io, as Strimzi's own generator writes them."""
    files = {folder / f"{kind}.yaml": f"io.strimzi.api.kafka.model.{name}" for kind, name in _STRIMZI.items()}
    command = ["java", "-cp", os.pathsep.join(map(str, class_path(POM))), "io.strimzi.crdgenerator.CrdGenerator"]
    command += ["--yaml", "--target-kube", "1.25+", "--crd-api-version", "v1", *(f"{name}={path}" for path, name in files.items())]
    subprocess.run(command, check=True, capture_output=True, timeout=_DOWNLOAD_S)
    return [_parsed(path) for path in files]


SOURCES: dict[str, Callable[[Path], Documents]] = {
    "keda.sh": keda,
    "serving.kserve.io": kserve,
    "monitoring.coreos.com": prometheus,
    "kafka.strimzi.io": strimzi,
    "flink.apache.org": flink,
}


def _of_module(module: str, *files: str) -> Documents:
    if shutil.which("go") is None:
        pytest.skip(f"no go here: {module} can't be downloaded")
    command = ["go", "mod", "download", "-json", module]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_S)
    downloaded = json.loads(done.stdout or "{}")
    if done.returncode:
        pytest.skip(f"{module} can't be downloaded: {downloaded.get('Error', done.stderr)}")
    return [_parsed(Path(downloaded["Dir"]) / file) for file in files]


def _parsed(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return document
