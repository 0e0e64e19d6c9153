"""Models broken on purpose meet a good champion in the whole graph: refused, with a sentence that names why, and exit code 3."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.release.publish import versions
from tests.pipeline.shop import shop_without_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]  # four whole runs; a busy machine takes minutes for each

SETTINGS = """
model: {epochs: 3}
slices: [device]
gates: {floor: {auc: 0.65}, drop: {auc: 0.03}, slice_drop: {auc: 0.03}, min_shoppers: 20}
"""


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop, and a run whose honest model is release 1."""
    work = tmp_path_factory.mktemp("work")
    assert command("-m", "pipeline.cli", "simulate", "--out", "shop", "--events", 60_000, cwd=work).returncode == 0
    text = re.sub(r"^(slices|bands): .*\n", "", shop_without_model(), flags=re.MULTILINE)
    (work / "shop.yaml").write_text(text + SETTINGS)
    ended = command("-m", "pipeline.cli", "run", "shop.yaml", "--data", "shop", "--root", "root", cwd=work)
    assert ended.returncode == 0, ended.stderr
    return work


def refused(work: Path, plant: str) -> tuple[list[str], dict[str, Any]]:
    """The reasons that a run with the plant gives, and all it tells."""
    program = Path(__file__).with_name("planted.py")
    ended = command(program, plant, "run", "shop.yaml", "--data", "shop", "--root", "root", "--json", cwd=work)
    assert ended.returncode == 3, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    assert (result["champion"], result["release"], result["passed"]) == ("release 1", None, False)
    assert versions(work / "root" / "releases") == (1,)
    reasons = [sentence.removeprefix("Refused: ") for sentence in result["verdict"] if sentence.startswith("Refused")]
    assert all(reason in ended.stderr for reason in reasons)
    return reasons, result


def overall_auc(result: dict[str, Any]) -> dict[str, float]:
    findings: dict[str, float] = next(row["metrics"]["auc"] for row in result["slices"] if not row["slice"])
    return findings


def test_a_model_of_shuffled_labels_is_refused_by_its_auc_against_the_floor_and_the_champion(work: Path) -> None:
    reasons, result = refused(work, "shuffled")
    assert any(re.fullmatch(r"AUC 0\.\d+ is below 0\.650\.", reason) for reason in reasons), reasons
    assert any(
        re.match(r"AUC fell by 0\.\d+ against the champion \(± 0\.\d+, limit 0\.030, [\d,]+ requests of [\d,]+ shoppers\)", each)
        for each in reasons
    )
    assert any(re.search(r"AUC fell by 0\.\d+ against the champion in device=mobile \(surely by 0\.", reason) for reason in reasons)
    assert overall_auc(result)["challenger"] < 0.65 < overall_auc(result)["champion"]


def test_a_model_with_a_feature_broken_at_serving_is_refused_by_its_auc_though_it_was_trained_well(work: Path) -> None:
    reasons, result = refused(work, "broken")
    assert any(re.match(r"AUC fell by 0\.\d+ against the champion \(± 0\.\d+, limit 0\.030", reason) for reason in reasons), reasons
    # Its training told nothing of it, and it no longer goes by the price at all: handing that on costs nothing.
    assert result["training"][-1]["eval_auc"] > 0.6
    by_name = {each["feature"]: each["drops"]["auc"]["value"] for each in result["importance"]["features"]}
    assert by_name["price"] == 0
    assert max(by_name.values()) > 0


def test_a_model_poisoned_on_tablets_is_refused_for_these_alone(work: Path) -> None:
    reasons, result = refused(work, "poisoned")
    (reason,) = reasons
    assert re.fullmatch(
        r"AUC fell by 0\.\d+ against the champion in device=tablet \(surely by 0\.\d+, limit 0\.030, \d+ requests\)\.", reason
    )
    assert overall_auc(result)["change"] > -0.03
