"""`shelfrank compile` from the command line: what it writes, prints, and refuses."""

import json
from pathlib import Path

import pytest
import yaml

from pipeline.cli.main import main

ROOT = Path(__file__).resolve().parents[4]
SHOP = str(ROOT / "examples" / "simulated_shop.yaml")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_it_writes_two_documents_and_prints_steps_images_and_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compile", SHOP, "--image", "shop/pipeline:1", "--trainer-image", "shop/trainer:1", "--gpu", "2"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    text = (tmp_path / "pipeline.yaml").read_text(encoding="utf-8")
    assert [next(iter(document)) for document in yaml.safe_load_all(text)] == ["components", "platforms"]
    lines = [line.split() for line in out.splitlines()]
    assert out.startswith(f"pipeline.yaml: pipeline simulated-shop, 17 steps, {len(text.encode()):,} bytes\n")
    assert ["Trainer", "shop/trainer:1", "2", "yes"] in lines
    assert ["DataFingerprint", "shop/pipeline:1", "no"] in lines
    assert next(line for line in lines if line[:1] == ["data_root"])[1] == '"/shelfrank/data"'


def test_json_tells_the_same_of_each_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = str(ROOT / "examples" / "cluster" / "gpu.yaml")
    out = tmp_path / "deep" / "p.yaml"
    assert main(["compile", SHOP, "--cluster", cluster, "--image", "shop/pipeline:7", "-o", str(out), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["written"], summary["bytes"]) == (str(out), out.stat().st_size)
    assert summary["steps"]["Trainer"] == {
        "image": "registry.example.com/shelfrank/trainer:0.1.0",
        "memory": "16Gi",
        "gpu": 1,
        "retries": 3,
        "timeout_s": 43200.0,
        "cached": True,
    }
    assert summary["steps"]["EventExampleGen"]["image"] == "shop/pipeline:7"
    assert summary["parameters"]["training_steps"]["default"] == 0


def test_vertex_writes_a_job(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compile", SHOP, "--cluster", str(ROOT / "examples" / "cluster" / "vertex.yaml"), "--vertex"]) == 0
    assert capsys.readouterr().out.startswith("pipeline.json: pipeline simulated-shop, 17 steps")
    assert json.loads((tmp_path / "pipeline.json").read_text())["displayName"] == "simulated-shop"


def test_the_cluster_files_schema_is_printed_for_editors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--cluster"]) == 0
    assert {"images", "gpu", "steps"} <= set(json.loads(capsys.readouterr().out)["properties"])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "expected the pipeline's container image, got none; give --image"),
        (["--image", "a", "--gpu"], "expected an image with CUDA for the steps on a GPU"),
        (["--image", "a", "--cluster", "none.yaml"], "none.yaml: expected a cluster file, found none"),
        (["--image", "a", "--vertex"], "--vertex: expected `volumes: []`"),
    ],
)
def test_what_cannot_be_is_bad_input_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compile", SHOP, *options]) == 2
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
