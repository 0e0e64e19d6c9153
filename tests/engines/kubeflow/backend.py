"""Start Kubeflow Pipelines' real backend on this machine, with processes for pods.

    KFP_SOURCE=~/pipelines tests/engines/kubeflow/build.sh $KFP_SOURCE $KFP_SOURCE/shelfrank
    KFP_SOURCE=~/pipelines python -m tests.engines.kubeflow.backend     # until Ctrl-C; API at http://127.0.0.1:8888

All but the kubelet is upstream's; docs/reference/kubeflow-backend.md has what else must be there, and why.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.engines.kubeflow.cluster import BUCKET, NAMESPACE, OBJECTS, PORT, TOKEN, create_resources, kubeconfig, kubectl
from tests.engines.kubeflow.kubelet import Settings, run_kubelet

HOST = "http://127.0.0.1:8888"
PROJECT = Path(__file__).parents[3]
PROGRAMS = (
    *("apiserver", "persistence", "scheduledworkflow", "driver", "launcher-v2"),
    *("argoexec", "workflow-controller", "kube-apiserver", "etcd"),
)
_ETCD, _ETCD_PEER, _DATABASE, _METADATA = 12379, 12380, 13306, 8080
METADATA = f"127.0.0.1:{_METADATA}"
_KUBEFLOW = (8887, 8888)
STORE = f"http://127.0.0.1:{OBJECTS}"
_NAMES = (
    "ml-pipeline",
    "ml-pipeline.kubeflow",
    "ml-pipeline.kubeflow.svc.cluster.local",
    "metadata-grpc-service.kubeflow.svc.cluster.local",
)
_WAIT_S = 300.0


@dataclass(frozen=True)
class Backend:
    """A running backend.

    Attributes:
        folder: of everything that it keeps.
    """

    folder: Path

    def claim(self, name: str) -> Path:
        """Return the folder of a PersistentVolumeClaim, made if need be."""
        folder = self.folder / "kubelet" / "claims" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def log(self, pod: str, container: str = "main") -> str:
        """Return what a container of a pod printed."""
        return (self.folder / "kubelet" / "pods" / pod / f"{container}.log").read_text(encoding="utf-8", errors="replace")

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Return kubectl's output.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        return kubectl(*arguments, given=given)

    def pods(self) -> list[dict[str, Any]]:
        """Return all pods, as Kubernetes has them."""
        listed: list[dict[str, Any]] = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
        return listed

    def workflow(self, run_id: str) -> dict[str, Any]:
        """Return a run's workflow, as Argo has it."""
        (found,) = json.loads(self.kubectl("get", "workflows", "-l", f"pipeline/runid={run_id}", "-o", "json"))["items"]
        return dict(found)


def missing() -> str:
    """Return why the backend can't be started here; "" where it can."""
    source = os.environ.get("KFP_SOURCE")
    if not source:
        return "KFP_SOURCE names no clone of github.com/kubeflow/pipelines: see docs/reference/kubeflow-backend.md"
    if not (Path(source) / "backend").is_dir():
        return f"KFP_SOURCE={source} is no clone of github.com/kubeflow/pipelines"
    if lacking := [program for program in PROGRAMS if not (build_folder() / "bin" / program).exists()]:
        return f"{build_folder()} lacks {', '.join(lacking)}: run tests/engines/kubeflow/build.sh $KFP_SOURCE {build_folder()}"
    if os.geteuid() != 0:
        return "the kubelet mounts volumes and changes /etc/hosts: run as root"
    if lacking := [program for program in ("kubectl", "mariadbd", "unshare") if not shutil.which(program)]:
        return f"there is no {', '.join(lacking)} in PATH"
    return ""


def build_folder() -> Path:
    """Return the folder of the binaries: KFP_BUILD, by default in the clone."""
    return Path(os.environ.get("KFP_BUILD") or Path(os.environ["KFP_SOURCE"], "shelfrank")).resolve()


@contextmanager
def running(folder: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[Backend]:
    """Start the backend with everything that it needs, and end it.

    Args:
        folder: what it keeps goes there; outside of /tmp.
        environment: further variables of each pod, as its image would have them.

    Raises:
        RuntimeError: one of the ports is taken, or a process isn't ready in time.
    """
    for port in (PORT, _ETCD, _DATABASE, OBJECTS, _METADATA, *_KUBEFLOW):
        if _listens(port):
            raise RuntimeError(f"port {port} is taken: is a backend running already?")
    source, binaries = Path(os.environ["KFP_SOURCE"]).resolve(), build_folder() / "bin"
    for name in ("log", "home", "config", "kubelet/claims"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ExitStack() as ended:

        def start(name: str, *command: object, cwd: Path = folder, **variables: str) -> None:
            ended.enter_context(_process(folder / "log" / f"{name}.log", [str(word) for word in command], cwd=cwd, variables=variables))

        ended.enter_context(_names())
        _kubernetes(folder, start, binaries)
        _in_cluster_files(folder)
        _stores(folder, start)
        _wait("the API server of Kubernetes", lambda: kubectl("get", "--raw", "/readyz") == "ok")
        create_resources(source)
        config = folder / "kubeconfig"
        config.write_text(json.dumps(kubeconfig()))
        cluster = {"KUBECONFIG": str(config), "HOME": str(folder / "home"), "POD_NAMESPACE": NAMESPACE, "AWS_REGION": "us-east-1"}
        shutil.copy(source / "backend/src/apiserver/config/config.json", folder / "config")
        (folder / "config/samples.json").write_text('{"pipelines": []}')
        start(
            *("kubeflow", binaries / "apiserver", f"--config={folder / 'config'}", f"--sampleconfig={folder / 'config/samples.json'}"),
            "-logtostderr",
            cwd=source / "backend/src/apiserver",
            **cluster,
            DBCONFIG_MYSQLCONFIG_HOST="127.0.0.1",
            DBCONFIG_MYSQLCONFIG_PORT=str(_DATABASE),
            DBCONFIG_MYSQLCONFIG_USER="root",
            DBCONFIG_MYSQLCONFIG_PASSWORD="",
            OBJECTSTORECONFIG_HOST="127.0.0.1",
            OBJECTSTORECONFIG_PORT=str(OBJECTS),
            OBJECTSTORECONFIG_SECURE="false",
            OBJECTSTORECONFIG_REGION="us-east-1",
            ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_HOST="127.0.0.1",
            ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_PORT="8889",
            V2_DRIVER_IMAGE="kfp-driver",
            V2_LAUNCHER_IMAGE="kfp-launcher",
        )
        argo = ("--configmap", "workflow-controller-configmap", "--executor-image", "argoexec", "--namespaced")
        start(
            *("argo", binaries / "workflow-controller", "--kubeconfig", config, *argo, "--managed-namespace", NAMESPACE),
            *("--namespace", NAMESPACE),
            **cluster,
            LEADER_ELECTION_DISABLE="true",
            DEFAULT_REQUEUE_TIME="1s",  # ten by default, once for each driver and each step
        )
        _wait("the API of Kubeflow", lambda: urllib.request.urlopen(f"{HOST}/apis/v2beta1/healthz", timeout=10).status == 200)
        agent = ("--kubeconfig", config, "--namespace", NAMESPACE, "--mlPipelineAPIServerName", "127.0.0.1", "--logtostderr=true")
        start("persistence", binaries / "persistence", *agent, **cluster)
        start("schedules", binaries / "scheduledworkflow", *agent, "--metricsPort", "9095", **cluster)
        ended.enter_context(_kubelet(folder, binaries, environment or {}))
        yield Backend(folder)


def _kubernetes(folder: Path, start: Callable[..., None], binaries: Path) -> None:
    key = folder / "key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", str(key), "-pubout", "-out", f"{key}.pub"], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f"{TOKEN},test,1,system:masters\n")
    etcd, peer = f"http://127.0.0.1:{_ETCD}", f"http://127.0.0.1:{_ETCD_PEER}"
    start(
        *("etcd", binaries / "etcd", "--data-dir", folder / "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"),
    )
    start(
        *("kubernetes", binaries / "kube-apiserver", f"--etcd-servers={etcd}", f"--secure-port={PORT}", "--bind-address=127.0.0.1"),
        *(f"--cert-dir={folder / 'certificates'}", "--service-account-issuer=https://kubernetes.default.svc"),
        *(f"--service-account-key-file={key}.pub", f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.0.0.0/24"),
        *("--authorization-mode=RBAC", f"--token-auth-file={folder / 'tokens.csv'}", "--disable-admission-plugins=ServiceAccount"),
    )


def _in_cluster_files(folder: Path) -> None:
    """Write the service account's files, which the kubelet mounts into pods, and the agent's token."""
    certificate = folder / "certificates/apiserver.crt"
    _wait("the API server's certificate", certificate.exists)
    account = folder / "kubelet/account"
    for path, text in (
        (account / "ca.crt", certificate.read_text()),
        (account / "token", TOKEN),
        (account / "namespace", NAMESPACE),
        (Path("/var/run/secrets/kubeflow/tokens/persistenceagent-sa-token"), TOKEN),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@contextmanager
def _names() -> Iterator[None]:
    """Let the names that Kubeflow's processes have for each other mean this machine."""
    hosts = Path("/etc/hosts")
    before = hosts.read_text()
    hosts.write_text(f"{before.rstrip()}\n127.0.0.1 {' '.join(_NAMES)}\n")
    try:
        yield
    finally:
        hosts.write_text(before)


def _stores(folder: Path, start: Callable[..., None]) -> None:
    """Start the database, the object store and the metadata store."""
    database = folder / "database"
    database.mkdir()
    shutil.chown(database, "mysql", "mysql")
    for parent in (database, *database.parents):
        parent.chmod(parent.stat().st_mode | 0o011)  # MariaDB's own user goes through them
    install = ["mariadb-install-db", "--user=mysql", f"--datadir={database}", "--auth-root-authentication-method=normal"]
    subprocess.run(install, check=True, capture_output=True)
    start(
        *("database", "mariadbd", "--no-defaults", "--user=mysql", f"--datadir={database}", "--bind-address=127.0.0.1"),
        *(f"--port={_DATABASE}", f"--socket={database / 'socket'}", f"--pid-file={database / 'pid'}"),
    )
    start("objects", sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", OBJECTS)
    file = folder / "metadata.sqlite"
    start("metadata", sys.executable, "-m", "tests.engines.kubeflow.metadata_server", METADATA, file, PYTHONPATH=str(PROJECT))
    for name, port in (("MariaDB", _DATABASE), ("the object store", OBJECTS), ("ML Metadata", _METADATA)):
        _wait(name, partial(_listens, port))
    urllib.request.urlopen(urllib.request.Request(f"{STORE}/{BUCKET}", method="PUT"), timeout=60).close()


@contextmanager
def _kubelet(folder: Path, binaries: Path, environment: Mapping[str, str]) -> Iterator[None]:
    image = {
        "PYTHONPATH": str(PROJECT),
        "NAMESPACE": NAMESPACE,
        "AWS_REGION": "us-east-1",
        "LANG": "C.UTF-8",
        **environment,
    }
    settings = Settings(
        api=f"https://127.0.0.1:{PORT}",
        token=TOKEN,
        namespace=NAMESPACE,
        folder=folder / "kubelet",
        path=(binaries, Path(sys.executable).parent),
        work=PROJECT,
        environment=image,
    )
    stopped = threading.Event()
    thread = threading.Thread(target=run_kubelet, args=(settings, stopped))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@contextmanager
def _process(log: Path, command: list[str], *, cwd: Path, variables: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=cwd, env=os.environ | variables, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # nothing of it is read again
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _wait(what: str, there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            if there():
                return
        except (OSError, subprocess.CalledProcessError) as error:
            last = str(error)
        else:
            last = "not there"
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} isn't ready within {_WAIT_S:g} s: {last}")
        time.sleep(0.5)


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    with tempfile.TemporaryDirectory(dir=build_folder()) as place, running(Path(place)) as backend:
        for what, where in (("API", HOST), ("claim", backend.claim("shelfrank")), ("logs", f"{place}/log, {place}/kubelet/pods")):
            print(f"{what:6} {where}")
        with suppress(KeyboardInterrupt):
            signal.pause()
