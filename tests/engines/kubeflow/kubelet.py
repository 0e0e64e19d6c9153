"""A kubelet that runs the containers of each pod as processes of this machine, in mount namespaces of their own.

It knows init containers, volumes (emptyDir, configMap, secret, persistentVolumeClaim), environment variables by value,
field, secret and config map, deadlines, deletion, exit codes and termination messages. Images aren't looked at: a
command is found by the PATH in `Settings`. There are no limits, probes, security contexts or networks. It needs root.
"""

import base64
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Json = dict[str, Any]
TERMINATION_LOG = Path("/dev/termination-log")
TERMINATION_BYTES = 4096
OUTPUTS = Path(tempfile.gettempdir(), "outputs")  # of Argo's, in each container
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_POLL_S = 0.3
_mount_points: list[Path] = []
_making = threading.Lock()
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True)
class Settings:
    """What the kubelet is started with.

    Attributes:
        api: address of Kubernetes' API server.
        token: for it.
        namespace: whose pods are run.
        folder: pods' logs and volumes are under it, claims at `claims/NAME`, and the service account's files at `account`;
            outside of /tmp, which pods mount over.
        path: folders with the commands of images.
        work: the working directory of a container whose image names none.
        environment: of each container, as images have it.
        slots: pods that run at the same time.
    """

    api: str
    token: str
    namespace: str
    folder: Path
    path: tuple[Path, ...]
    work: Path
    environment: dict[str, str]
    slots: int = 2


@dataclass
class Api:
    """Kubernetes' API, as far as a kubelet needs it."""

    settings: Settings
    _trust: ssl.SSLContext = field(default_factory=ssl._create_unverified_context)  # on loopback, with a certificate of its own

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Return the answer to a request, such as GET `pods/NAME`."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            f"{self.settings.api}/api/v1/namespaces/{self.settings.namespace}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.settings.token}", "Content-Type": kind},
        )
        with urllib.request.urlopen(request, context=self._trust, timeout=60) as response:
            answer: Json = json.loads(response.read())
        return answer

    def content(self, kind: str, name: str, *, optional: bool) -> dict[str, bytes]:
        """Return the keys of a secret or a config map; empty where there is none and none is needed."""
        try:
            held = self.call("GET", f"{kind}s/{name}").get("data") or {}
        except urllib.error.HTTPError as error:
            if error.code == 404 and optional:
                return {}
            raise LookupError(f'{kind} "{name}" not found') from None
        return {key: base64.b64decode(value) if kind == "secret" else value.encode() for key, value in held.items()}


def run_kubelet(settings: Settings, stopped: threading.Event) -> None:
    """Run the namespace's pods until `stopped` is set, then end them."""
    api, slots = Api(settings), threading.Semaphore(settings.slots)
    pods: dict[str, Pod] = {}
    while not stopped.is_set():
        with suppress(OSError):  # the API server may be starting, or busy
            for manifest in api.call("GET", "pods")["items"]:
                uid, ending = manifest["metadata"]["uid"], "deletionTimestamp" in manifest["metadata"]
                if uid not in pods and not ending and manifest["status"].get("phase", "Pending") == "Pending":
                    pods[uid] = Pod(manifest, api)
                    threading.Thread(target=pods[uid].run, args=(slots,), daemon=True).start()
                elif ending:
                    if uid in pods:
                        pods[uid].stop()
                    with suppress(urllib.error.HTTPError):
                        api.call("DELETE", f"pods/{manifest['metadata']['name']}?gracePeriodSeconds=0")
        stopped.wait(_POLL_S)
    for pod in pods.values():
        pod.stop()
    for path in reversed(_mount_points):
        with suppress(OSError):  # somebody else has put something there
            path.rmdir() if path.is_dir() else path.unlink()


class Pod:
    """A pod of this machine."""

    def __init__(self, manifest: Json, api: Api) -> None:
        self.name: str = manifest["metadata"]["name"]
        self._manifest, self._spec, self._api = manifest, manifest["spec"], api
        self._folder = api.settings.folder / "pods" / self.name
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._states: dict[str, Json] = {}
        self._stopped = False
        self._began = ""

    def run(self, slots: threading.Semaphore) -> None:
        """Run it to its end once there is a slot for it."""
        with slots:
            try:
                self._run()
            except (LookupError, OSError, ValueError) as error:
                self._report("Failed", message=str(error))
            finally:
                # Argo copies its executor into each pod, and Kubeflow its launcher: 340 MB.
                shutil.rmtree(self._folder / "volumes", ignore_errors=True)

    def stop(self) -> None:
        """Kill its containers."""
        self._stopped = True
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _run(self) -> None:
        self._began = _now()
        self._folder.mkdir(parents=True, exist_ok=True)
        volumes = {each["name"]: self._volume(each) for each in self._spec.get("volumes", [])}
        for container in self._spec.get("initContainers", []):
            self._start(container, volumes)
            if self._ended(container) != 0:
                self._report("Failed", message=f"init container {container['name']} failed")
                return
        for container in self._spec["containers"]:
            self._start(container, volumes)
        self._report("Running")
        deadline_s = self._spec.get("activeDeadlineSeconds")
        began, running = time.monotonic(), {each["name"]: each for each in self._spec["containers"]}
        while running:
            for name in [name for name in running if self._processes[name].poll() is not None]:
                self._ended(running.pop(name))
                self._report("Running")
            if deadline_s is not None and time.monotonic() - began > deadline_s and not self._stopped:
                self.stop()
                self._report("Failed", reason="DeadlineExceeded", message="Pod was active on the node longer than the specified deadline")
                return
            time.sleep(0.1)
        failed = any(self._states[each["name"]]["terminated"]["exitCode"] for each in self._spec["containers"])
        self._report("Failed" if failed else "Succeeded")

    def _start(self, container: Json, volumes: dict[str, Path]) -> None:
        """Start a container's process under a shell that mounts its volumes, a folder for outputs and a termination log of its own."""
        variables = self._environment(container)
        own = self._folder / container["name"]
        (own / "outputs").mkdir(parents=True, exist_ok=True)
        (own / "termination-log").write_bytes(b"")
        mounts = {str(OUTPUTS): own / "outputs", str(TERMINATION_LOG): own / "termination-log"}
        mounts[str(ACCOUNT)] = self._api.settings.folder / "account"
        for mount in container.get("volumeMounts", []):
            if mount["name"] in volumes and not mount["mountPath"].startswith("/var/run/secrets/"):
                mounts[mount["mountPath"]] = volumes[mount["name"]] / mount.get("subPath", "")
        lines = ["set -e"]
        for target, source in sorted(mounts.items()):  # a folder before what is mounted beneath it
            source.exists() or source.mkdir(parents=True)
            _make_mount_point(Path(target), file=source.is_file())
            at = shlex.quote(target)
            beneath = f"mkdir -p {shlex.quote(os.path.dirname(target))}; touch {at}" if source.is_file() else f"mkdir -p {at}"
            lines += [beneath, f"mount --bind {shlex.quote(str(source))} {at}"]  # it may lie in a volume that was mounted before
        command = [
            _REFERENCE.sub(lambda match: variables.get(match[1], match[0]), word)
            for word in (*(container.get("command") or []), *(container.get("args") or []))
        ]
        shell = ["unshare", "-m", "--propagation", "private", "bash", "-c", "; ".join([*lines, 'exec "$@"']), "sh"]
        with (self._folder / f"{container['name']}.log").open("ab") as log:
            self._processes[container["name"]] = subprocess.Popen(
                [*shell, *command],
                env=variables,
                cwd=container.get("workingDir") or self._api.settings.work,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._states[container["name"]] = {"running": {"startedAt": _now()}}

    def _ended(self, container: Json) -> int:
        """Wait for a container's process; returns its exit code."""
        name = container["name"]
        code = self._processes[name].wait()
        code = code if code >= 0 else 128 - code
        message = (self._folder / name / "termination-log").read_bytes()[:TERMINATION_BYTES].decode("utf-8", "replace")
        terminated = {"exitCode": code, "reason": "Error" if code else "Completed", "startedAt": self._began, "finishedAt": _now()}
        self._states[name] = {"terminated": terminated | ({"message": message} if message else {})}
        return code

    def _report(self, phase: str, **more: str) -> None:
        def statuses(kind: str) -> list[Json]:
            return [
                {"name": each["name"], "image": each.get("image", ""), "imageID": "", "ready": False, "restartCount": 0}
                | {"state": self._states[each["name"]], "started": "running" in self._states[each["name"]]}
                for each in self._spec.get(kind, [])
                if each["name"] in self._states
            ]

        status: Json = {"phase": phase, "startTime": self._began or _now(), "podIP": "127.0.0.1", **more}
        status |= {"initContainerStatuses": statuses("initContainers"), "containerStatuses": statuses("containers")}
        for _ in range(20):
            try:
                self._api.call("PATCH", f"pods/{self.name}/status", {"status": status})
                return
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return  # it was deleted
            except OSError:
                pass
            time.sleep(_POLL_S)

    def _volume(self, volume: Json) -> Path:
        """Return the folder of a volume, with the keys of a secret or a config map as files."""
        if claim := volume.get("persistentVolumeClaim"):
            folder: Path = self._api.settings.folder / "claims" / str(claim["claimName"])
            if not folder.is_dir():
                raise LookupError(f'persistentvolumeclaim "{claim["claimName"]}" not found')
            return folder
        folder = self._folder / "volumes" / str(volume["name"])
        folder.mkdir(parents=True, exist_ok=True)
        for kind, source, name in (("configmap", "configMap", "name"), ("secret", "secret", "secretName")):
            if held := volume.get(source):
                for key, value in self._api.content(kind, held[name], optional=held.get("optional", False)).items():
                    (folder / key).write_bytes(value)
        return folder

    def _environment(self, container: Json) -> dict[str, str]:
        settings = self._api.settings
        variables = {
            "PATH": ":".join([*map(str, settings.path), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]),
            "HOME": "/root",
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": settings.api.rsplit(":", 1)[1],
            **settings.environment,
        }
        for each in container.get("envFrom", []):
            if reference := each.get("configMapRef"):
                held = self._api.content("configmap", reference["name"], optional=reference.get("optional", False))
                variables |= {key: value.decode() for key, value in held.items()}
        for each in container.get("env", []):
            variables[each["name"]] = each.get("value", "") if "valueFrom" not in each else self._value(each["valueFrom"])
        return variables

    def _value(self, source: Json) -> str:
        if reference := source.get("fieldRef"):
            path = reference["fieldPath"]
            given = {"spec.nodeName": "node", "status.podIP": "127.0.0.1"}
            value: Any = self._manifest
            for part in [] if path in given else re.findall(r"\['([^']+)'\]|([^.\[\]]+)", path):
                value = value.get(part[0] or part[1], "") if isinstance(value, dict) else ""
            return given.get(path) or str(value)
        for kind in ("secret", "configMap"):
            if reference := source.get(f"{kind}KeyRef"):
                held = self._api.content(kind.lower(), reference["name"], optional=reference.get("optional", False))
                if reference["key"] not in held and not reference.get("optional"):
                    raise LookupError(f"{kind} {reference['name']} has no key {reference['key']}")
                return held.get(reference["key"], b"").decode()
        return ""


def _make_mount_point(path: Path, *, file: bool) -> None:
    """Make what a volume is mounted over, on this machine, and remember it to be removed."""
    with _making:
        for missing in [each for each in (*reversed(path.parents), path) if not each.exists()]:
            missing.touch() if file and missing == path else missing.mkdir()
            _mount_points.append(missing)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
