"""The emulation of driver and launcher beside the real ones, on the same pipelines: executor input, artifacts, metadata, retries."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.engines.kubeflow.cluster import BUCKET
from tests.pipeline.kubeflow.backend.conftest import Shop
from tests.pipeline.kubeflow.emulation.compiled import read
from tests.pipeline.kubeflow.emulation.pod import Cluster
from tests.pipeline.kubeflow.emulation.run import execute
from tests.pipeline.kubeflow.test_emulation import MAKE, pipeline, task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

METADATA = {
    "yes": True,
    "list": [1, "a"],
    "deep": {"a": 1, "b": [True]},
    "n": 4,
    "half": 0.5,
    "third": 1 / 3,
    "million": 1_234_567,
    "text": "x",
}
_OUTPUT = json.dumps({"artifacts": {"made": {"artifacts": [{"metadata": METADATA}]}}})
# The first step's output has metadata of each kind and an empty folder, the second fails once and then prints what it is given.
# The third has a retry that Argo gives no time, so it fails for good and the fourth doesn't begin, while the others go on.
SCRIPTS = {
    "First": f"""{MAKE} mkdir "$3/empty"; echo '{_OUTPUT}' > "$(dirname "$3")/output_metadata.json"; printf "%s\\n" "$1" """,
    "Second": f'{MAKE} printf "%s\\n" "$1"; [ "$KFP_RETRY_INDEX" = 1 ] || exit 7',
    "Third": 'printf "%s\\n" "$1"; exit 3',
    "Fourth": MAKE,
}
RETRIED = {"maxRetryCount": 1, "backoffDuration": "1s", "backoffMaxDuration": "3600s"}
TASKS = {
    "First": task(),
    "Second": task(("First",), retryPolicy=RETRIED),
    "Third": task(retryPolicy={"maxRetryCount": 1, "backoffDuration": "1s"}),
    "Fourth": task(("Third",)),
}


@pytest.fixture(scope="module")
def told(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each says of the same pipeline: what the containers print, by attempt, and the objects that are left."""
    folder = tmp_path_factory.mktemp("both")
    file = pipeline(folder, SCRIPTS, TASKS)
    (shop.folder / "shell.yaml").write_text(file.read_text().replace("defaultPipelineRoot: s3://elsewhere/unread\n", ""))
    run_id = shop.started("shell.yaml", "--parameter", "word=hello")
    shop.followed(run_id)
    return emulated(file, folder), real(shop, run_id)


def emulated(file: Path, folder: Path) -> dict[str, Any]:
    run = execute(read(file), Cluster(folder / "cluster"), parameters={"word": "hello"})
    assert set(run.failed) == {"Third"}
    store = folder / "cluster/store/minio"
    return {
        "printed": {log.stem: normal(log.read_text(), run.id) for log in (folder / "cluster/runs/run-1/logs").iterdir()},
        "objects": {normal(str(path.relative_to(store)), run.id) for path in store.rglob("*") if path.is_file()},
    }


def real(shop: Shop, run_id: str) -> dict[str, Any]:
    printed = {}
    for step in SCRIPTS:
        for attempt, pod in enumerate(shop.pods(run_id, step)):
            # Among the launcher's own lines is the one of the container.
            lines = [line for line in shop.backend.log(pod["metadata"]["name"]).splitlines() if "launcher" not in line]
            (own,) = [line[line.index('{"inputs"') :] for line in lines if '{"inputs"' in line and '"outputFile"' in line]
            printed[f"{step}-{attempt}"] = normal(own, run_id)
    return {"printed": printed, "objects": {normal(f"{BUCKET}/{key}", run_id) for key in shop.objects(run_id)}}


def normal(text: str, run_id: str) -> Any:
    """What is to be equal: without ids, and without the emulation's folder for a pod's root."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", text.replace(run_id, "RUN"))
    text = re.sub(r"(?<=\")/[^\"]*?/pods/[^/\"]+/", "/", text)
    start = text.find("{")
    if start < 0:
        return text
    document, _ = json.JSONDecoder().raw_decode(text[start:])
    for listed in document["inputs"].get("artifacts", {}).values():
        for artifact in listed["artifacts"]:
            assert re.fullmatch(r"\d+", artifact.pop("name"))
            session = json.loads(artifact["metadata"].pop("store_session_info"))
            assert session["Provider"] == "minio"
    return document


@pytest.mark.parametrize("attempt", ["First-0", "Second-0", "Second-1", "Third-0"])
def test_a_container_gets_the_same_executor_input(told: tuple[dict[str, Any], dict[str, Any]], attempt: str) -> None:
    emulation, backend = told
    assert emulation["printed"][attempt] == backend["printed"][attempt]


def test_the_same_attempts_run_in_both(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert set(told[0]["printed"]) == set(told[1]["printed"]) == {"First-0", "Second-0", "Second-1", "Third-0"}


def test_the_same_objects_are_left(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert told[0]["objects"] == told[1]["objects"]
    assert any(key.endswith("executor-logs-1") for key in told[1]["objects"])
