"""Steps' failures on Kubeflow's real backend: what a person reads in the UI, in the pod's status and by `--follow`.

A full disk is one: of a failing step's outputs, each folder is a file system without room for a file.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest

from tests.pipeline.kubeflow.backend.conftest import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]

ONE_ATTEMPT = "images: {pipeline: shelfrank/pipeline:1}\ndefault: {retries: 0}\n"
FULL_DISK = r"{step} failed: \w+: .*No space left on device"
# By step, what it says; none of them waits for another.
SENTENCES = {"ContractSchema": FULL_DISK, "Champion": FULL_DISK, "EventExampleGen": r"{step}: .*\baction\b"}


@dataclass(frozen=True)
class Failed:
    """A run that failed: its id, and what following it said."""

    run_id: str
    followed: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def failed(shop: Shop) -> Failed:
    """A run with two full disks, on a log without its actions."""
    folder = shop.backend.claim("shelfrank") / "no-action"
    shutil.copytree(shop.folder / "few", folder)
    for log in (folder / "events").glob("*.parquet"):
        pq.write_table(pq.read_table(log).drop_columns(["action"]), log)
    file = shop.compiled("shop_failing", cluster=ONE_ATTEMPT, ContractSchema="full-disk", Champion="full-disk")
    run_id = shop.started(file, "--parameter", "data_root=/shelfrank/no-action")
    return Failed(run_id, shop.followed(run_id))


@pytest.mark.parametrize("step", SENTENCES)
def test_following_the_run_ends_with_the_steps_own_sentence(failed: Failed, step: str) -> None:
    assert failed.followed.returncode == 1
    sentence = rf"^(?:shelfrank submit: )?{step} failed: main: Error \(exit code 1\): {SENTENCES[step].format(step=step)}"
    assert re.search(sentence, failed.followed.stderr, re.MULTILINE)


@pytest.mark.parametrize("step", SENTENCES)
def test_the_pods_status_has_it_and_argos_node_which_the_page_of_the_run_shows(shop: Shop, failed: Failed, step: str) -> None:
    (pod,) = shop.pods(failed.run_id, step)
    (state,) = [each["state"]["terminated"] for each in pod["status"]["containerStatuses"] if each["name"] == "main"]
    assert re.match(SENTENCES[step].format(step=step), state["message"])
    nodes = shop.backend.workflow(failed.run_id)["status"]["nodes"].values()
    (node,) = [each for each in nodes if each["name"].endswith(f".{step}.executor")]
    assert state["message"].splitlines()[0] in node["message"]


def test_nothing_begins_after_a_step_that_failed(shop: Shop, failed: Failed) -> None:
    assert shop.ran(failed.run_id) == {"DataFingerprint", *SENTENCES}
