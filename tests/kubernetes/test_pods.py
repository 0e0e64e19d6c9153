"""What every pod keeps to, and that what it names is there."""

import pytest

from tests.kubernetes.rendered import FOLDERS, Pod, only, pod, pods, rendered


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_container_may_more_than_it_needs(folder: str) -> None:
    for found in pods(rendered(folder)):
        whole = found.spec["securityContext"]
        assert whole["runAsNonRoot"] is True
        assert whole["runAsUser"] == whole["runAsGroup"] == whole["fsGroup"] > 0
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
        assert found.spec["automountServiceAccountToken"] is False
        for container in found.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            resources = container["resources"]
            for kind in ("cpu", "memory"):
                assert kind in resources["requests"], container["name"]
                assert kind in resources["limits"], container["name"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_a_pod_names_is_there(folder: str) -> None:
    docs = rendered(folder)
    names = {(doc["kind"], doc["metadata"]["name"]) for doc in docs}
    claimed = {template["metadata"]["name"] for doc in docs for template in doc.get("spec", {}).get("volumeClaimTemplates", [])}
    for found in pods(docs):
        assert ("ServiceAccount", found.spec["serviceAccountName"]) in names
        volumes = {volume["name"]: volume for volume in found.spec.get("volumes", [])}
        for volume in volumes.values():
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
        mounted = set()
        for container in found.containers:
            for mount in container["volumeMounts"]:
                assert mount["name"] in {*volumes, *claimed}
                assert "subPath" not in mount, "a file that is mounted alone doesn't change when its ConfigMap or volume does"
                mounted.add(mount["name"])
            for source in container.get("envFrom", []):
                assert source.get("secretRef", {}).get("optional") or ("ConfigMap", source["configMapRef"]["name"]) in names
        assert mounted >= volumes.keys()
        for container in found.spec["containers"]:
            assert any(mount["mountPath"] == "/tmp" for mount in container["volumeMounts"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_whoever_listens_is_asked_whether_it_does_by_the_name_of_a_port(folder: str) -> None:
    for found in pods(rendered(folder)):
        for container in found.spec["containers"]:
            if "ports" not in container:
                continue
            names = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                asked = container[probe]
                handler = asked.get("httpGet") or asked.get("tcpSocket")
                assert handler["port"] in names if handler else asked["exec"]["command"]
            patience_s = container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"]
            assert patience_s >= 300


@pytest.mark.parametrize("folder", FOLDERS)
def test_services_budgets_and_scalers_find_their_pods(folder: str) -> None:
    docs = rendered(folder)
    there = list(pods(docs))

    def selected(labels: dict[str, str]) -> list[Pod]:
        return [found for found in there if labels.items() <= found.labels.items()]

    for doc in docs:
        kind, spec = doc["kind"], doc.get("spec", {})
        if kind == "Service":
            (found,) = selected(spec["selector"])
            for port in spec["ports"]:
                assert found.ports()[port["targetPort"]] == port["port"]
        elif kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
            assert len(selected(spec["selector"]["matchLabels"])) == 1
        elif kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            target = spec["scaleTargetRef"]
            assert "replicas" not in only(docs, target["kind"], target["name"])["spec"]
    for found in there:
        for term in found.spec.get("affinity", {}).get("podAntiAffinity", {}).get("preferredDuringSchedulingIgnoredDuringExecution", []):
            assert selected(term["podAffinityTerm"]["labelSelector"]["matchLabels"]) == [found]
        for spread in found.spec.get("topologySpreadConstraints", []):
            assert selected(spread["labelSelector"]["matchLabels"]) == [found]


def test_kserves_pod_is_that_of_the_deployment() -> None:
    plain, kserve = pod(rendered("base"), "model-server"), pod(rendered("overlays/kserve"), "model-server")
    assert (plain.kind, kserve.kind) == ("Deployment", "InferenceService")
    renamed = [each | {"name": each["name"].replace("kserve-container", "model-server")} for each in kserve.spec["containers"]]
    assert sorted(renamed, key=lambda each: str(each["name"])) == sorted(plain.spec["containers"], key=lambda each: str(each["name"]))
    for part in plain.spec.keys() - {"containers"}:
        assert kserve.spec[part] == plain.spec[part], part


def test_a_model_server_on_gpus_asks_for_one_and_for_such_a_node() -> None:
    found = pod(rendered("overlays/gpu"), "model-server")
    assert found.container("model-server")["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert found.spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in found.spec["tolerations"]
    assert "nodeSelector" not in pod(rendered("overlays/gpu"), "ranking").spec


def test_what_goes_is_drained_within_its_grace_period() -> None:
    from serving.service.settings import Settings

    grace_s = Settings().grace_s
    for name, needs_s in (("ranking", 5 + 3 * grace_s), ("model-server", 30 + 5)):
        found = pod(rendered("base"), name)
        waits_s = int(found.container(name)["lifecycle"]["preStop"]["exec"]["command"][1])
        assert waits_s >= 5
        assert found.spec["terminationGracePeriodSeconds"] >= needs_s
    # Callers of a model server that goes have looked for others by then.
    arguments = pod(rendered("base"), "model-server").container("model-server")["args"]
    age_ms = next(int(each.partition("max_connection_age_ms=")[2].partition(",")[0]) for each in arguments if "connection_age" in each)
    assert age_ms / 1e3 + 5 <= 30
