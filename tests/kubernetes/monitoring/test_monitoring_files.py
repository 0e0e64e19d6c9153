"""The monitoring component's files: rules of one source, dashboards as their YAML says, a page that has each alert."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dashboards import FOLDER, dashboard
from prometheus_rule import MADE, PLAIN, prometheus_rule

ROOT = Path(__file__).resolve().parents[3]
MONITORING = ROOT / "kubernetes" / "monitoring"
PAGE = (ROOT / "docs" / "how-to" / "monitoring.md").read_text()
DASHBOARDS = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yaml"))}
JOBS = {"ranking", "model-server", "guard", "stream"}


def run(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(PLAIN.read_text())["groups"] for rule in group["rules"] if "alert" in rule]


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for row in DASHBOARDS[name]["rows"] for panel in row["panels"]]


def test_the_operators_rules_are_the_plain_ones() -> None:
    assert MADE.read_text() == prometheus_rule(PLAIN.read_text()), "run `python scripts/prometheus_rule.py`"
    assert yaml.safe_load(MADE.read_text())["spec"] == yaml.safe_load(PLAIN.read_text())


def test_the_rules_are_such_as_prometheus_takes() -> None:
    run("promtool", "check", "rules", "--lint-fatal", str(PLAIN))


def test_the_plain_configuration_is_such_as_prometheus_takes(tmp_path: Path) -> None:
    """But for the discovery of pods, which Debian's promtool is built without: it is looked at here, and its pods stand in by name."""
    config = yaml.safe_load((MONITORING / "plain" / "prometheus.yaml").read_text())
    (job,) = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": ["shelfrank"]}}]
    job["static_configs"] = [{"targets": ["127.0.0.1:1"]}]
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
    shutil.copy(PLAIN, tmp_path)
    run("promtool", "check", "config", str(tmp_path / "prometheus.yaml"))


def test_each_alert_says_what_is_the_matter_and_where_to_read_on() -> None:
    headings = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in PAGE.splitlines() if line.startswith("#")}
    for alert in alerts():
        assert re.fullmatch(r".{20,160}\.", alert["annotations"]["summary"]), alert["alert"]
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert (page, anchor) == ("docs/how-to/monitoring.md", alert["alert"].lower())
        assert anchor in headings
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert len(alerts()) == sum(line.startswith("### ShelfRank") for line in PAGE.splitlines())


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_what_its_yaml_says(name: str) -> None:
    assert json.loads((FOLDER / f"{name}.json").read_text()) == dashboard(DASHBOARDS[name]), "run `python scripts/dashboards.py`"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_a_description_a_unit_and_legends_and_no_two_overlap(name: str) -> None:
    for panel in panels(name):
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["unit"], panel["title"]
        assert all(query["legend"] and query["expr"] for query in panel["queries"]), panel["title"]
    taken: set[tuple[int, int]] = set()
    for made in dashboard(DASHBOARDS[name])["panels"]:
        place = made["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, made["title"]
        taken |= cells


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_of_a_query_is_one_of_the_dashboards_and_each_is_used(name: str) -> None:
    told = DASHBOARDS[name]
    known = {each["name"] for each in told["variables"]}
    queries = [query["expr"] for panel in panels(name) for query in panel["queries"]]
    used = {found for query in queries for found in re.findall(r"\$(\w+)", query)} - {"__rate_interval", "__range"}
    assert used == known


def test_a_dashboards_names_are_its_own() -> None:
    assert len({told["uid"] for told in DASHBOARDS.values()}) == len({told["title"] for told in DASHBOARDS.values()}) == len(DASHBOARDS)


def test_the_component_builds_over_any_overlay_with_all_that_is_in_the_folder() -> None:
    folder = MONITORING.parent / ".test-monitoring"
    folder.mkdir()
    try:
        (folder / "kustomization.yaml").write_text(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\ncomponents: [../monitoring]\n"
        )
        built = list(yaml.safe_load_all(run("kubectl", "kustomize", str(folder))))
    finally:
        shutil.rmtree(folder)
    kinds = sorted((each["kind"], each["metadata"]["name"]) for each in built)
    monitors = [("ServiceMonitor", job) for job in sorted(JOBS)]
    assert kinds == [("ConfigMap", "shelfrank-dashboards"), ("PrometheusRule", "shelfrank"), *monitors]
    assert {each["metadata"]["namespace"] for each in built} == {"shelfrank"}
    (dashboards,) = (each for each in built if each["kind"] == "ConfigMap")
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert set(dashboards["data"]) == {f"{name}.json" for name in DASHBOARDS}
    assert sum(map(len, dashboards["data"].values())) < 1_000_000  # what a ConfigMap holds
    assert all(json.loads(text)["panels"] for text in dashboards["data"].values())


def test_both_ways_of_scraping_read_the_same_ports_and_paths() -> None:
    monitors = list(yaml.safe_load_all((MONITORING / "monitors.yaml").read_text()))
    read = {}
    for each in monitors:
        (endpoint,) = each["spec"]["endpoints"]
        read[each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]] = (endpoint["port"], endpoint["path"])
    assert read == {
        "ranking": ("rest", "/metrics"),
        "model-server": ("rest", "/monitoring/prometheus/metrics"),
        "guard": ("metrics", "/metrics"),
        "stream": ("metrics", "/metrics"),
    }
    (job,) = yaml.safe_load((MONITORING / "plain" / "prometheus.yaml").read_text())["scrape_configs"]
    (kept,) = (each["regex"] for each in job["relabel_configs"] if each.get("action") == "keep")
    assert set(kept.split("|")) == {f"{name};{port}" for name, (port, _) in read.items()}
