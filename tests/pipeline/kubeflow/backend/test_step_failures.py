"""Each step's failure on Kubeflow's real backend: what a person reads in the UI, in the pod's status and by `--follow`.

What comes before the failing steps is taken from the cache of a run that went through. Disks are really full: of a
failing step's outputs, each folder is a file system without room for one file.
"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from tests.pipeline.kubeflow.backend.conftest import FEW, PLANTED, RefusedRun, Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]

FULL_DISK = "No space left on device"
# By run: the steps whose disks are full; none of them waits for another.
FULL_DISKS = (
    ("ContractSchema", "Champion"),
    ("StatisticsGen",),
    ("ExampleValidator",),
    ("Transform",),
    ("Trainer",),
    ("Evaluator", "ServingRehearsal"),
    ("Release",),
    ("FeatureImportance",),
    ("SliceReport",),
)
# By folder of the claim, with logs at fault: the step that finds it, and what it says.
BAD_DATA = {
    "no-action": ("EventExampleGen", "EventExampleGen: .*column 'action'"),
    "negative-price": ("AnomalyGate", "AnomalyGate: the examples differ from the dataset file's schema in .*price"),
    "no-file": ("DataFingerprint", "DataFingerprint: .*expected at least one file, found none"),
}


@dataclass(frozen=True)
class Failed:
    """A run that failed: its id, and what following it said."""

    run_id: str
    followed: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def failed(shop: Shop, refused: RefusedRun) -> dict[str, Failed]:
    """By failing step, its run; all of them at once."""
    ids: dict[tuple[str, ...], str] = {}
    for steps in FULL_DISKS:
        file = planted(shop, refused.file, f"full-disk-{steps[0]}.yaml", steps)
        ids[steps] = shop.started(file, *FEW)
    write_bad_data(shop.backend.claim("shelfrank"))
    file = planted(shop, refused.file, "bad-data.yaml", ())
    for folder, (step, _) in BAD_DATA.items():
        options = ["--parameter", f"data_root=/shelfrank/{folder}", "--parameter", "push_destination=/shelfrank/refused"]
        ids[(step,)] = shop.started(file, *options)
    ended = {steps: Failed(run_id, shop.followed(run_id)) for steps, run_id in ids.items()}
    return {step: run for steps, run in ended.items() for step in steps}


def planted(shop: Shop, file: str, name: str, steps: tuple[str, ...]) -> str:
    """Write a pipeline again with full disks, and without retries; what isn't planted stays as the cache knows it."""
    spec, platform = yaml.safe_load_all((shop.folder / file).read_text(encoding="utf-8"))
    for task in spec["root"]["dag"]["tasks"].values():
        task.pop("retryPolicy", None)
    for step in steps:
        spec["deploymentSpec"]["executors"][f"{step}_executor"]["container"]["command"] = ["python", str(PLANTED), "full-disk"]
    (shop.folder / name).write_text(yaml.safe_dump_all([spec, platform]), encoding="utf-8")
    return name


def write_bad_data(claim: Path) -> None:
    for folder in BAD_DATA:
        shutil.copytree(claim / "few", claim / folder)
    for log in (claim / "no-action/events").glob("*.parquet"):
        pq.write_table(pq.read_table(log).drop_columns(["action"]), log)
    for log in (claim / "no-file/events").glob("*.parquet"):
        log.unlink()
    catalogue = claim / "negative-price/items.parquet"
    items = pq.read_table(catalogue)
    prices = pc.negate(items["price"]).cast(items.schema.field("price").type)
    pq.write_table(items.set_column(items.column_names.index("price"), "price", prices), catalogue)


def expected(step: str) -> str:
    """Return the pattern of the sentence."""
    by_step = dict(BAD_DATA.values())
    return by_step.get(step, rf"{step} failed: \w+: .*{FULL_DISK}.*")


STEPS = [step for steps in FULL_DISKS for step in steps] + [step for step, _ in BAD_DATA.values()]


@pytest.mark.parametrize("step", STEPS)
def test_following_the_run_ends_with_the_steps_own_sentence(failed: dict[str, Failed], step: str) -> None:
    followed = failed[step].followed
    assert followed.returncode == 1
    sentence = rf"^(?:shelfrank submit: )?{step} failed: main: Error \(exit code 1\): {expected(step)}"
    assert re.search(sentence, followed.stderr, re.MULTILINE)


@pytest.mark.parametrize("step", STEPS)
def test_the_pods_status_and_so_the_page_of_the_run_has_it(shop: Shop, failed: dict[str, Failed], step: str) -> None:
    (pod,) = shop.pods(failed[step].run_id, step)
    (state,) = [each["state"]["terminated"] for each in pod["status"]["containerStatuses"] if each["name"] == "main"]
    assert re.match(expected(step), state["message"])
    (node,) = [each for each in nodes(shop, failed[step].run_id) if each["name"].endswith(f".{step}.executor")]
    assert state["message"].splitlines()[0] in node["message"]


def nodes(shop: Shop, run_id: str) -> list[dict[str, Any]]:
    return list(shop.backend.workflow(run_id)["status"]["nodes"].values())


@pytest.mark.parametrize("step", STEPS)
def test_nothing_begins_after_it(shop: Shop, refused: RefusedRun, failed: dict[str, Failed], step: str) -> None:
    spec, _ = yaml.safe_load_all((shop.folder / refused.file).read_text(encoding="utf-8"))
    tasks = spec["root"]["dag"]["tasks"]
    later = {name for name, task in tasks.items() if f'"{step}"' in json.dumps([task.get("dependentTasks"), task.get("inputs")])}
    assert not later & shop.ran(failed[step].run_id)
    assert later or step == "SliceReport"
