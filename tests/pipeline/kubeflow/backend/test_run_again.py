"""One pipeline again and again on Kubeflow's real backend: refused, from the cache, with one event more, and ended by hand."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.contract.storage.object_store import Address
from components.release.outcomes import recorded_outcome
from components.release.publish import versions
from tests.engines.kubeflow.backend import HOST
from tests.pipeline.kubeflow.backend.conftest import FEW, RefusedRun, Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]

NEVER_CACHED = {"DataFingerprint", "Champion", "Release"}
BY_THE_CHAMPION = {"Evaluator", "SliceReport"}  # Champion's output is a new artifact in each run
BY_THE_DATA = {"EventExampleGen", "StatisticsGen", "ExampleValidator", "AnomalyGate", "Transform", "Trainer"}
STEPS = NEVER_CACHED | BY_THE_CHAMPION | BY_THE_DATA | {"ContractSchema", "ServingRehearsal", "FeatureImportance"}
REFUSAL = r"the model was refused, nothing was released: AUC 0\.\d+ .*below 0\.999.*\(source: the artifacts' metadata\)"


def store(shop: Shop) -> Path:
    return shop.backend.claim("shelfrank") / "refused"


def test_a_refused_model_ends_the_run_with_the_gates_sentence_and_without_a_release(shop: Shop, refused: RefusedRun) -> None:
    assert shop.ran(refused.run_id) == STEPS
    assert refused.followed.returncode == 3, refused.followed.stderr
    assert re.search(rf"^shelfrank submit: {REFUSAL}$", refused.followed.stderr, flags=re.MULTILINE)
    assert versions(store(shop) / "releases") == ()
    outcome = recorded_outcome(Address.parse(store(shop)), refused.run_id)
    assert outcome is not None
    assert not outcome.released


@pytest.fixture(scope="module")
def same(shop: Shop, refused: RefusedRun) -> tuple[str, subprocess.CompletedProcess[str]]:
    """The same pipeline on the same data again."""
    run_id = shop.started(refused.file, *FEW)
    return run_id, shop.followed(run_id)


def test_on_the_same_data_what_depends_on_it_comes_from_the_cache(shop: Shop, same: tuple[str, subprocess.CompletedProcess[str]]) -> None:
    run_id, followed = same
    assert shop.ran(run_id) == NEVER_CACHED | BY_THE_CHAMPION
    assert set(re.findall(r"^\[(\w+)\] done, 0 s$", followed.stderr, flags=re.MULTILINE)) == STEPS - NEVER_CACHED - BY_THE_CHAMPION


def test_a_model_from_the_cache_is_judged_anew(shop: Shop, refused: RefusedRun, same: tuple[str, subprocess.CompletedProcess[str]]) -> None:
    run_id, followed = same
    assert followed.returncode == 3
    assert followed.stderr.splitlines()[-1] == refused.followed.stderr.splitlines()[-1]
    assert recorded_outcome(Address.parse(store(shop)), run_id) == recorded_outcome(Address.parse(store(shop)), refused.run_id)


@dataclass(frozen=True)
class Terminated:
    """A run on one event more, ended while its Trainer ran: its id, what ending it said, and what following it said."""

    run_id: str
    ended: subprocess.CompletedProcess[str]
    followed: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def terminated(shop: Shop, refused: RefusedRun, same: object) -> Iterator[Terminated]:
    log = max((shop.backend.claim("shelfrank") / "few/events").glob("*.parquet"))
    kept = shop.folder / "kept.parquet"
    shutil.copy2(log, kept)
    table = pq.read_table(log)
    pq.write_table(pa.concat_tables([table, table.slice(table.num_rows - 1)]), log)
    run_id = shop.started(refused.file, *FEW)
    deadline = time.monotonic() + 1_200
    while not [pod for pod in shop.pods(run_id, "Trainer") if pod["status"].get("phase") == "Running"]:
        assert time.monotonic() < deadline, f"the Trainer hasn't begun: {shop.ran(run_id)}"
        time.sleep(1)
    ended = shop.shelfrank("submit", "--terminate", run_id, "--host", HOST)
    yield Terminated(run_id, ended, shop.followed(run_id))
    for pod in shop.pods(run_id, "Trainer"):  # Argo ends containers by a command in them, which this kubelet can't start
        shop.backend.kubectl("delete", "pod", pod["metadata"]["name"])
    shutil.copy2(kept, log)


def test_one_event_more_in_the_same_file_and_nothing_of_the_data_comes_from_the_cache(shop: Shop, terminated: Terminated) -> None:
    assert shop.ran(terminated.run_id) == {"DataFingerprint", "Champion"} | BY_THE_DATA


def test_a_run_is_ended_by_hand(shop: Shop, terminated: Terminated) -> None:
    assert (terminated.ended.returncode, terminated.ended.stderr) == (0, "")
    assert terminated.ended.stdout == f"run {terminated.run_id} is being ended: {HOST}/#/runs/details/{terminated.run_id}\n"
    assert terminated.followed.returncode == 1
    assert f"shelfrank submit: run {terminated.run_id} was cancelled: " in terminated.followed.stderr
    assert re.search(r"^\[Trainer\] (failed|cancelled)", terminated.followed.stderr, flags=re.MULTILINE)
    assert shop.backend.workflow(terminated.run_id)["status"]["phase"] == "Failed"
    assert recorded_outcome(Address.parse(store(shop)), terminated.run_id) is None
