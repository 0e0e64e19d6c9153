"""What is said of the manifests is what they are."""

import re
import shlex

from pipeline.cli.main import parser
from tests.kubernetes.rendered import KUBERNETES, pods, rendered

README = (KUBERNETES / "README.md").read_text()


def test_from_an_empty_cluster_to_a_shelf_it_takes_ten_commands() -> None:
    block = README.partition("```\n")[2].partition("```")[0]
    assert len(block.strip().splitlines()) == 10


def test_each_command_of_shelfrank_is_taken_by_its_parser() -> None:
    said = []
    for line in re.findall(r"^(?:    |)(.*\bshelfrank (?:releases|guard|simulate|compile|submit|schedule) .*)$", README, re.MULTILINE):
        told = re.sub(r"^.*?(?=shelfrank (?:releases|guard|simulate|compile|submit|schedule) )", "", line).partition("&&")[0]
        _, *words = shlex.split(told)
        said.append(words[0])
        parser().parse_args(words)
    assert said.count("releases") == 2
    assert {"simulate", "compile", "submit", "schedule"} <= set(said)


def test_each_part_is_in_the_table_and_each_file_that_is_named_is_there() -> None:
    folders = {path.parent.relative_to(KUBERNETES).as_posix() for path in KUBERNETES.rglob("kustomization.yaml")} - {"monitoring"}
    assert {folder for folder in folders if not folder.startswith("overlays/.")} == set(
        re.findall(r"^\| `([\w/-]+)/` \|", README, re.MULTILINE)
    )
    for target in re.findall(r"\]\((\.\./docs/[^)#]+)\)", README):
        assert (KUBERNETES / target).exists(), target


def test_what_the_readme_says_of_names_is_so() -> None:
    docs = rendered("base")
    (model_server,) = [pod for pod in pods(docs) if pod.name == "model-server"]
    (guard,) = [pod for pod in pods(docs) if pod.name == "guard"]
    assert "first-release" in {each["name"] for each in model_server.spec["initContainers"]}
    assert guard.kind == "Deployment"
    assert "--settle=60" in model_server.container("mirror")["args"]
    assert {pod.spec["securityContext"]["runAsUser"] for pod in pods(docs)} == {10001, 999}
    for port in ("ranking:8080/metrics", "model-server:8501/monitoring/prometheus/metrics", "guard:9100/metrics"):
        assert port in README
        name, number = port.split("/")[0].split(":")
        assert int(number) in {pod.name: pod for pod in pods(docs)}[name].ports().values()
