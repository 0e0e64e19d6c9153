"""What `shelfrank compile` makes is taken by `shelfrank submit` and `schedule`, and by a server as strict as Kubeflow's."""

from pathlib import Path

import pytest

from components.release.run_outcome import RunOutcome
from pipeline.cli.main import main
from pipeline.kubeflow.compile.package import read_package
from tests.pipeline.kubeflow.submit.fake_api import FakeKubeflow, Script, serving

SHOP = Path(__file__).resolve().parents[4] / "examples" / "simulated_shop.yaml"


@pytest.mark.slow
def test_a_compiled_pipeline_is_run_and_scheduled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pipeline.yaml"
    assert main(["compile", str(SHOP), "--image", "shelfrank/pipeline:1", "-o", str(file)]) == 0
    package = read_package(file)
    assert {"SliceReport", "Release", "EventExampleGen"} <= set(package.steps)
    assert package.steps.index("EventExampleGen") < package.steps.index("Trainer") < package.steps.index("SliceReport")
    logs = {"SliceReport": RunOutcome(True, 1).line()}
    with serving(FakeKubeflow(script=Script(package.steps, logs=logs))) as fake:
        assert main(["submit", str(file), "--host", fake.host, "--poll", "0.001", "--parameter", "training_steps=10"]) == 0
        assert main(["schedule", str(file), "--host", fake.host, "--cron", "0 0 3 * * *"]) == 0
    assert "released as release 1" in capsys.readouterr().out
    (run,), (made,) = fake.runs.values(), fake.recurringruns.values()
    assert run["runtime_config"]["parameters"] == {"training_steps": 10}
    assert made["runtime_config"]["parameters"] == {"data_until": "cron 0 0 3 * * * in UTC"}
    assert run["pipeline_version_reference"] == made["pipeline_version_reference"]
