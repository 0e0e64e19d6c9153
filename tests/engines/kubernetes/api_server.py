"""A real Kubernetes API server with etcd as processes on free ports of this machine. No kubelet: it validates and stores, nothing runs."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.engines.kubernetes.binaries import binaries

_START_S, _CALL_S = 300, 300
_TOKEN = "test"


@dataclass(frozen=True)
class Kubernetes:
    """A running API server, for kubectl."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, document: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run kubectl; `document` is its standard input."""
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, input=document, capture_output=True, text=True, check=False, timeout=_CALL_S)

    def apply(self, docs: list[dict[str, Any]], *options: str) -> "subprocess.CompletedProcess[str]":
        """Apply documents on the server's side: unknown fields and warnings are errors."""
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": docs})
        return self.kubectl("apply", "--server-side", "--validate=strict", "--warnings-as-errors", *options, "-f", "-", document=listed)

    def define(self, definitions: list[dict[str, Any]]) -> None:
        """Add custom resources, and wait until the server serves them."""
        done = self.apply(definitions)
        if done.returncode:
            raise RuntimeError(f"the API server refuses definitions: {done.stderr}")
        names = [f"crd/{each['metadata']['name']}" for each in definitions]
        deadline = time.monotonic() + _CALL_S
        # `wait` fails, too, while a definition has no conditions at all.
        while self.kubectl("wait", "--for=condition=Established", "--timeout=5s", *names).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the API server doesn't serve {', '.join(names)}")


@contextmanager
def kubernetes_api(folder: Path) -> Iterator[Kubernetes]:
    """Start both, yield when the server is ready, and stop them.

    Args:
        folder: for their state and logs.
    """
    programs = binaries()
    peer, client, port = _free_ports(3)
    _write_keys(folder)
    kubernetes = Kubernetes(_kubeconfig(folder, port))
    etcd = [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    ]
    server = [
        f"--etcd-servers=http://127.0.0.1:{client}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'key.pub'}",
        f"--service-account-signing-key-file={folder / 'key'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",  # no controller makes the default one
    ]
    with ExitStack() as stack:
        for name, arguments in (("etcd", etcd), ("kube-apiserver", server)):
            process = stack.enter_context(_running([str(programs / name), *arguments], folder / f"{name}.log"))
        _await_ready(kubernetes, process, folder)
        yield kubernetes


@contextmanager
def _running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as target, subprocess.Popen(command, stdout=target, stderr=target) as process:
        try:
            yield process
        finally:
            process.kill()  # nothing of theirs is kept


def _await_ready(kubernetes: Kubernetes, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + _START_S
    while kubernetes.kubectl("get", "--raw=/readyz").returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the API server doesn't start; see {folder}:\n{(folder / 'kube-apiserver.log').read_text()[-2000:]}")
        time.sleep(0.5)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _write_keys(folder: Path) -> None:
    key = generate_private_key(65537, 2048)
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    (folder / "key.pub").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (folder / "tokens.csv").write_text(f"{_TOKEN},test,1,system:masters\n")


def _kubeconfig(folder: Path, port: int) -> Path:
    # The server makes its certificate itself.
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path
