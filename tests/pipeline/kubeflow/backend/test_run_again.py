"""A whole run on Kubeflow's real backend whose model is refused, and the same pipeline on the same data again, from the cache."""

import re
import subprocess
from pathlib import Path

import pytest

from components.contract.storage.object_store import Address
from components.release.outcomes import recorded_outcome
from components.release.publish import versions
from tests.pipeline.kubeflow.backend.conftest import FEW, RefusedRun, Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]

NEVER_CACHED = {"DataFingerprint", "Champion", "Release"}
BY_THE_CHAMPION = {"DriftCheck", "DriftGate", "Evaluator", "SliceReport"}  # Champion's output is a new artifact in each run
BY_THE_DATA = {"EventExampleGen", "DriftReference", "StatisticsGen", "ExampleValidator", "AnomalyGate", "Transform", "Trainer"}
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
