"""Who may talk to whom: exactly those who do."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kubernetes.rendered import FOLDERS, Doc, Pod, pods, rendered

PROMETHEUS = {"kubernetes.io/metadata.name": "monitoring"}
ASKING = {"shelfrank/asks": "true"}
KAFKA = {"kubernetes.io/metadata.name": "kafka"}
OUTSIDE = {str(PROMETHEUS): "monitoring", str(ASKING): "asks", str(KAFKA): "kafka"}
# What the commands of test_commands.py show to be used: from whom, to whom, by which port of the pod.
USED = {
    ("ranking", "model-server", 8500),
    ("ranking", "redis", 6379),
    ("asks", "ranking", 8080),
    ("asks", "ranking", 8081),
    ("monitoring", "ranking", 8080),
    ("monitoring", "model-server", 8501),
    ("monitoring", "guard", 9100),
    ("monitoring", "stream", 9100),
    ("stream", "redis", 6379),
    ("stream", "kafka", 9093),
}


def chosen(selector: Doc, labels: dict[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    return all(labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", []))


def policies(docs: list[Doc], pod: Pod, way: str) -> list[Doc]:
    found = [doc["spec"] for doc in docs if doc["kind"] == "NetworkPolicy"]
    return [spec for spec in found if way in spec["policyTypes"] and chosen(spec["podSelector"], pod.labels)]


def ends(peers: list[Doc], there: list[Pod]) -> Iterator[str]:
    for peer in peers:
        assert len(peer) == 1, "a pod of another namespace isn't named here"
        if "podSelector" in peer:
            yield from (pod.labels["app.kubernetes.io/name"] for pod in there if chosen(peer["podSelector"], pod.labels))
        else:
            labels = peer["namespaceSelector"]["matchLabels"]
            yield OUTSIDE.get(str(labels), str(labels))


def allowed(docs: list[Doc], way: str) -> set[tuple[str, str, Any]]:
    """(from, to, port) of what the policies of one way let pass."""
    there, found = list(pods(docs)), set()
    for pod in there:
        me = pod.labels["app.kubernetes.io/name"]
        for spec in policies(docs, pod, way):
            for rule in spec.get(way.lower(), []):
                for port in rule["ports"]:
                    number = port["port"] if isinstance(port["port"], int) else pod.ports()[port["port"]]
                    for other in ends(rule.get("from", rule.get("to", [])), there):
                        found.add((other, me, number) if way == "Ingress" else (me, other, number))
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_that_is_not_used_is_closed_both_ways(folder: str) -> None:
    docs = rendered(folder)
    there = {pod.labels["app.kubernetes.io/name"] for pod in pods(docs)}
    used = {each for each in USED if {each[0], each[1]} <= {*there, *OUTSIDE.values()}}
    used |= {("ranking", "kafka", 9093)} if folder == "events" else set()
    for pod in pods(docs):
        for way in ("Ingress", "Egress"):
            assert any(not spec.get(way.lower()) for spec in policies(docs, pod, way)), "closed where nothing opens it"
    assert allowed(docs, "Ingress") == {each for each in used if each[1] in there}
    names = {(me, str({"kubernetes.io/metadata.name": "kube-system"}), 53) for me in there}
    assert allowed(docs, "Egress") == {each for each in used if each[0] in there} | names


def test_with_a_bucket_those_who_read_it_may_go_out() -> None:
    docs = rendered("bucket")
    for pod in pods(docs):
        rules = [rule for spec in policies(docs, pod, "Egress") for rule in spec.get("egress", []) if "to" not in rule]
        reads = pod.labels["app.kubernetes.io/name"] in ("model-server", "ranking")
        assert {port["port"] for rule in rules for port in rule["ports"]} == ({443, 9000, 80} if reads else set())
