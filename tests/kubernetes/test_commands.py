"""Commands, files and queries of the manifests are read by the code that they are for."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from components.rehearsal.batching_file import batching_parameters
from pipeline.cli.main import parser as shelfrank
from serving.guard.prometheus_metrics import GuardMetrics
from serving.guard.sequential_test import Limits
from serving.mirror.__main__ import parser as mirror
from serving.model_server import text_protos
from serving.model_server.batching import parameters as batching
from serving.model_server.flags import parse as model_server
from serving.service.__main__ import parser as service
from serving.service.metrics.metrics import Metrics
from serving.service.settings import Settings
from tests.kubernetes.rendered import FOLDERS, ROOT, Doc, command, config, pod, pods, rendered

READERS = {
    "python -m serving.service": service().parse_args,
    "python -m serving.mirror": mirror().parse_args,
    "shelfrank": shelfrank().parse_args,
    "tensorflow_model_server": model_server,
    "mkdir": lambda words: words,
    "redis-server": lambda words: words,  # a real one reads them in test_started.py
}


def split(words: list[str]) -> tuple[str, list[str]]:
    """The program, and what it is told."""
    length = 3 if words[:2] == ["python", "-m"] else 1
    return " ".join(words[:length]), words[length:]


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_command_is_taken_by_the_parser_that_reads_it(folder: str) -> None:
    docs = rendered(folder)
    for found in pods(docs):
        for container in found.containers:
            program, told = split(command(docs, container))
            READERS[program](told)


def test_the_ports_that_are_told_are_those_that_are_named() -> None:
    docs = rendered("base")
    of = {name: pod(docs, name) for name in ("ranking", "model-server", "guard", "redis")}
    told = service().parse_args(split(command(docs, of["ranking"].container("ranking")))[1])
    assert of["ranking"].ports() == {"rest": told.port, "grpc": told.grpc_port} == {"rest": 8080, "grpc": 8081}
    served = model_server(split(command(docs, of["model-server"].container("model-server")))[1])
    assert of["model-server"].ports() == {"grpc": served.grpc_port, "rest": served.rest_port} == {"grpc": 8500, "rest": 8501}
    guarded = shelfrank().parse_args(["guard", *of["guard"].container("guard")["args"]])
    assert of["guard"].ports() == {"metrics": guarded.metrics_port}
    assert told.model_server == [f"dns:///model-server:{served.grpc_port}"]
    assert told.redis == f"redis://redis:{of['redis'].ports()['redis']}/0"
    assert told.host == guarded.metrics_host == "0.0.0.0"
    assert served.labels_for_unavailable
    assert served.warmup


def test_the_parts_meet_in_the_same_folders() -> None:
    docs = rendered("base")
    told = service().parse_args(split(command(docs, pod(docs, "ranking").container("ranking")))[1])
    brought = [
        mirror().parse_args(split(command(docs, each))[1])
        for found in pods(docs)
        for each in found.containers
        if "serving.mirror" in each["command"]
    ]
    assert {str(each.folder) for each in brought} == {"/served"}
    assert {each.store for each in brought} == {"/shelfrank"}
    assert (str(told.dataset), str(told.state)) == ("/served/serving/current/dataset.yaml", "/served/serving/current/state")
    guarded = shelfrank().parse_args(["guard", *pod(docs, "guard").container("guard")["args"]])
    assert (guarded.releases, guarded.dataset) == ("/shelfrank/releases", str(told.dataset))
    assert [Path(log) for log in guarded.log] == [told.log.parent]
    assert guarded.model_server is None, "a server that polls its file would undo what it is told"
    served = model_server(split(command(docs, pod(docs, "model-server").container("model-server")))[1])
    assert str(served.model_config_file) == "/served/releases/model_config.txt"
    (following,) = [each for each in brought if each.follow]
    assert following.settle >= served.config_poll_s + 30, "a version has loaded before a label moves to it"
    assert told.label == "stable"
    assert told.deadline_ms == Settings().deadline_ms


def test_the_environment_is_what_the_service_reads() -> None:
    source = (ROOT / "serving" / "service" / "__main__.py").read_text()
    read = {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "os.environ.get" and isinstance(node.args[0], ast.Constant)
    }
    given = {each["name"] for each in pod(rendered("base"), "ranking").container("ranking")["env"]} - {"POD_NAME"}
    assert given == read == {"SHELFRANK_TOKEN", "SHELFRANK_LOG_SALT"}


def test_the_model_servers_files_are_read_as_they_stand(tmp_path: Path) -> None:
    files = config(rendered("overlays/gpu"), "model-server")
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monitoring = text_protos.read(tmp_path / "monitoring_config.txt", "MonitoringConfig").prometheus_config
    assert monitoring.enable
    assert monitoring.path == "/monitoring/prometheus/metrics"
    found = batching.read(tmp_path / "batching_parameters.txt")
    found.check()
    assert found.pad_lengths
    rehearsed = batching_parameters({"x": (None, None)}, [10, 20, 50, 100, 200])
    assert rehearsed is not None
    assert files["batching_parameters.txt"].startswith(rehearsed), "as the rehearsal of a model with such lists writes it"
    arguments = pod(rendered("overlays/gpu"), "model-server").container("model-server")["args"]
    assert {Path(each.partition("=")[2]).name for each in arguments if "/etc/model-server/" in each} == files.keys()
    assert not model_server(pod(rendered("base"), "model-server").container("model-server")["args"]).batching


def test_the_shops_own_files_are_there_and_fit_the_shop() -> None:
    from components.contract.load import load_dataset
    from serving.experiments.file import load_experiments
    from serving.rules.file import load_rules
    from serving.sources.file import load_sources

    docs = rendered("shop")
    told = service().parse_args(split(command(docs, pod(docs, "ranking").container("ranking")))[1])
    shop = config(docs, "shop")
    assert {path.name for path in (told.experiments, told.rules, told.sources)} == shop.keys()
    dataset = load_dataset(ROOT / "examples" / "simulated_shop.yaml")
    folder = ROOT / "examples" / "serving"
    rules = load_rules(folder / told.rules.name, dataset)
    load_sources(folder / told.sources.name, dataset)
    load_experiments(folder / told.experiments.name, rule_sets=list(rules.sets))


def queries(docs: list[Doc]) -> list[str]:
    return [trigger["metadata"]["query"] for doc in docs if doc["kind"] == "ScaledObject" for trigger in doc["spec"]["triggers"]]


def test_replicas_go_by_metrics_that_the_service_has() -> None:
    known = {}
    for registry in (Metrics(deadline_s=0.1).registry, GuardMetrics(Limits()).registry):
        for family in registry.collect():
            suffix = "_total" if family.type == "counter" else ""
            known[family.name + suffix] = family
    labelled = {"shelfrank_degraded_total": "reason"}
    asked = queries(rendered("overlays/keda"))
    assert len(asked) == 5
    for query in asked:
        for name, selector in re.findall(r"(shelfrank_\w+)\{([^}]*)\}", query):
            assert name in known
            labels = {pair.partition("=")[0] for pair in selector.split(",")}
            assert labels <= {"namespace", labelled.get(name, "namespace")}


def test_the_queries_are_promql(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    rules = [{"record": f"q:{at}", "expr": query} for at, query in enumerate(queries(rendered("overlays/keda")))]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
