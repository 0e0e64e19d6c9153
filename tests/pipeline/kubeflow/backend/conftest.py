"""Kubeflow's real backend, started once for these tests, with a shop on the claim of its pods."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.engines.kubeflow.backend import HOST, STORE, Backend, build_folder, missing, running
from tests.engines.kubeflow.cluster import BUCKET
from tests.pipeline.shop import shop_without_model

EVENTS, FEW_EVENTS = 20_000, 5_000
# The least that trains, evaluates and releases; gates that chance passes.
SETTINGS = """
model: {epochs: 2, checkpoint_steps: 1}
gates: {floor: {auc: 0.4}, drop: {auc: 0.9}, slice_drop: {}}
"""
# No model is that good.
REFUSING = """
model: {epochs: 1, checkpoint_steps: 1}
gates: {floor: {auc: 0.999}, drop: {auc: 0.9}, slice_drop: {}}
"""
FEW = ("--parameter", "data_root=/shelfrank/few", "--parameter", "push_destination=/shelfrank/refused")
"""Options of a run on the smaller shop, with a store of its own."""

CLUSTER = """
images: {pipeline: shelfrank/pipeline:1}
default: {retries: 1, backoff: 1s, timeout: 1h}
"""
# Writes each output and reads nothing: a step's own work isn't looked at.
_STUB = """
import json, pathlib, sys
outputs = json.loads(sys.argv[1])["outputs"]
for name, listed in outputs["artifacts"].items():
    if name != "executor-logs":
        scheme, _, key = listed["artifacts"][0]["uri"].partition("://")
        folder = pathlib.Path("/", scheme, key)
        folder.mkdir(parents=True)
        (folder / "file").write_text(name)
for name, parameter in outputs.get("parameters", {}).items():
    file = pathlib.Path(parameter["outputFile"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(name)
"""
PLANTED = Path(__file__).parents[1] / "planted_container.py"


@dataclass(frozen=True)
class Shop:
    """A shop, its files beside each other in one folder, and the backend that its pipelines run on."""

    folder: Path
    backend: Backend

    def shelfrank(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command of ShelfRank's in the shop's folder."""
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def compiled(self, name: str, *, cluster: str = CLUSTER, settings: str = SETTINGS, **plants: str) -> str:
        """Compile a pipeline to NAME.yaml, with plants in its steps' containers, and return the file's name."""
        dataset, file = self.folder / f"{name}-dataset.yaml", self.folder / f"{name}.yaml"
        dataset.write_text(shop_without_model().replace("name: simulated_shop", f"name: {name}") + settings)
        (self.folder / f"{name}-cluster.yaml").write_text(cluster)
        ended = self.shelfrank("compile", dataset.name, "--cluster", f"{name}-cluster.yaml", "-o", file.name)
        assert ended.returncode == 0, ended.stderr
        self.plant(file, **plants)
        return file.name

    def planted(self, file: str, name: str, **plants: str) -> str:
        """Copy a compiled pipeline to NAME.yaml, with plants in its steps' containers, and return the copy's name."""
        copied = self.folder / f"{name}.yaml"
        shutil.copyfile(self.folder / file, copied)
        self.plant(copied, **plants)
        return copied.name

    def plant(self, file: Path, **plants: str) -> None:
        """Plant faults in the containers of a compiled pipeline's steps."""
        spec, platform = yaml.safe_load_all(file.read_text(encoding="utf-8"))
        for step, plant in plants.items():
            spec["deploymentSpec"]["executors"][f"{step}_executor"]["container"]["command"] = ["python", str(PLANTED), plant]
        file.write_text(yaml.safe_dump_all([spec, platform]), encoding="utf-8")

    def stubbed(self, name: str, *, cluster: str = CLUSTER, pipeline_root: str | None = None, **others: list[str] | None) -> str:
        """Compile a pipeline to NAME.yaml whose containers only write their outputs, and return the file's name.

        Args:
            name: of the dataset.
            cluster: the cluster file's text.
            pipeline_root: where its artifacts go; None: the namespace's default.
            others: by step, another command; None: the step's own.
        """
        compiled = self.folder / self.compiled(name, cluster=cluster)
        spec, platform = yaml.safe_load_all(compiled.read_text(encoding="utf-8"))
        spec.pop("defaultPipelineRoot", None)
        if pipeline_root:
            spec["defaultPipelineRoot"] = pipeline_root
        for label, executor in spec["deploymentSpec"]["executors"].items():
            # Each has arguments of its own: the server takes components with equal containers for one, outputs and all.
            stub = {"command": ["python", "-S", "-c", _STUB], "args": ["{{$}}", label]}
            command = others.get(label.removesuffix("_executor"), [])
            executor["container"] |= {"command": command, "args": []} if command else {} if command is None else stub
        compiled.write_text(yaml.safe_dump_all([spec, platform]), encoding="utf-8")
        return compiled.name

    def started(self, file: str, *options: str) -> str:
        """Start a run, and return its id."""
        ended = self.shelfrank("submit", file, "--host", HOST, "--no-follow", "--json", *options)
        assert ended.returncode == 0, ended.stderr
        return str(json.loads(ended.stdout)["run_id"])

    def followed(self, run_id: str) -> subprocess.CompletedProcess[str]:
        """Follow a run to its end."""
        return self.shelfrank("submit", "--follow", run_id, "--host", HOST, "--poll", "2")

    def ran(self, run_id: str) -> set[str]:
        """Return the steps of a run that had a pod of their own: the others came from the cache, or didn't begin."""
        nodes = (_node(pod).split(".") for pod in self.run_pods(run_id))
        return {path[2] for path in nodes if len(path) > 3}

    def objects(self, run_id: str, *, bucket: str = BUCKET) -> list[str]:
        """Return the keys of a run's objects in the store."""
        with urllib.request.urlopen(f"{STORE}/{bucket}?list-type=2&max-keys=1000", timeout=60) as response:
            document = ElementTree.fromstring(response.read())
        return [str(each.text) for each in document.iter() if each.tag.endswith("}Key") and run_id in str(each.text)]

    def pods(self, run_id: str, step: str) -> list[dict[str, Any]]:
        """Return the pods of a step, its attempts in order, without its driver's."""
        return sorted((pod for pod in self.run_pods(run_id) if f".{step}(" in _node(pod) or f".{step}." in _node(pod)), key=_node)

    def run_pods(self, run_id: str) -> list[dict[str, Any]]:
        """Return all pods of a run."""
        return [pod for pod in self.backend.pods() if pod["metadata"]["labels"].get("pipeline/runid") == run_id]


def _node(pod: dict[str, Any]) -> str:
    """Return the path of a pod's node in its workflow, such as `shop-x7.root.Trainer.executor(0)`."""
    return str(pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"])


def create_bucket(name: str) -> None:
    """Create a bucket in the object store."""
    urllib.request.urlopen(urllib.request.Request(f"{STORE}/{name}", method="PUT"), timeout=60).close()


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    if reason := missing():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(dir=build_folder()) as folder, running(Path(folder), environment={"OMP_NUM_THREADS": "1"}) as backend:
        yield backend


@pytest.fixture(scope="session")
def shop(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("shop"), backend)
    for name, events in (("data", EVENTS), ("few", FEW_EVENTS)):
        ended = shop.shelfrank("simulate", "--out", name, "--events", events)
        assert ended.returncode == 0, ended.stderr
        shutil.copytree(shop.folder / name, backend.claim("shelfrank") / name)
    return shop


@dataclass(frozen=True)
class RefusedRun:
    """A whole run on the smaller shop, which its gates refuse.

    Attributes:
        file: its pipeline.
        run_id: of the run.
        followed: what following it said.
    """

    file: str
    run_id: str
    followed: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def refused(shop: Shop) -> RefusedRun:
    file = shop.compiled("shop_refused", settings=REFUSING)
    run_id = shop.started(file, *FEW)
    return RefusedRun(file, run_id, shop.followed(run_id))
