"""TLS: of both doors, with and without the callers' certificates, and towards the model server."""

import json
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from components.contract.errors import InputError
from serving.client.messages import PREDICT
from serving.service.messages import message_class
from serving.service.settings import Locations
from serving.service.tls import Tls
from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.certificates import Authority, Pair
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.test_start_and_stop import ROOT, command

RANK = "/shelfrank.v1.Ranking/Rank"
ASKED = message_class("RankRequest")(candidates=["p0", "p1"]).SerializeToString()


@contextmanager
def process(shop: Shop, *more: str) -> Iterator[tuple[int, int]]:
    port, grpc_port = free_port(), free_port()
    started = subprocess.Popen(command(shop, port, "--grpc-port", str(grpc_port), *more), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert started.stderr is not None
    up = threading.Event()

    def read() -> None:
        for line in started.stderr or ():
            if "Uvicorn running" in line:
                up.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert up.wait(60)
        yield port, grpc_port
    finally:
        started.terminate()
        assert started.wait(30) == 0
        reader.join()
        started.stderr.close()


def by_rest(port: int, context: ssl.SSLContext) -> list[str]:
    asked = urllib.request.Request(
        f"https://127.0.0.1:{port}/v1/rank", b'{"candidates": ["p0", "p1"]}', {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, context=context, timeout=20) as answer:
        return list(json.load(answer)["order"])


def by_grpc(port: int, credentials: grpc.ChannelCredentials) -> list[str]:
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        return list(message_class("RankResponse").FromString(channel.unary_unary(RANK)(ASKED, timeout=10)).order)


def trusting(authority: Authority, mine: Pair | None = None) -> tuple[ssl.SSLContext, grpc.ChannelCredentials]:
    context = ssl.create_default_context(cafile=str(authority.cert))
    roots = authority.cert.read_bytes()
    if mine is None:
        return context, grpc.ssl_channel_credentials(roots)
    context.load_cert_chain(mine.cert, mine.key)
    return context, grpc.ssl_channel_credentials(roots, mine.key.read_bytes(), mine.cert.read_bytes())


def test_both_doors_speak_tls_and_nothing_else(shop: Shop, tmp_path: Path) -> None:
    authority, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    pair = authority.signs("service")
    with process(shop, "--tls-cert", str(pair.cert), "--tls-key", str(pair.key)) as (port, grpc_port):
        context, credentials = trusting(authority)
        assert by_rest(port, context) == by_grpc(grpc_port, credentials) == ["p1", "p0"]
        stranger, strange = trusting(other)
        with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
            by_rest(port, stranger)
        with pytest.raises(grpc.RpcError):
            by_grpc(grpc_port, strange)
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as plain, pytest.raises(grpc.RpcError):
            plain.unary_unary(RANK)(ASKED, timeout=3)


def test_with_a_client_ca_only_its_callers_are_answered(shop: Shop, tmp_path: Path) -> None:
    authority, callers = Authority(tmp_path, "ours"), Authority(tmp_path, "callers")
    pair = authority.signs("service")
    files = ("--tls-cert", str(pair.cert), "--tls-key", str(pair.key), "--tls-client-ca", str(callers.cert))
    with process(shop, *files) as (port, grpc_port):
        context, credentials = trusting(authority, callers.signs("caller"))
        assert by_rest(port, context) == by_grpc(grpc_port, credentials) == ["p1", "p0"]
        for mine in (None, authority.signs("no caller")):
            context, credentials = trusting(authority, mine)
            with pytest.raises((urllib.error.URLError, ssl.SSLError, OSError)):
                by_rest(port, context)
            with pytest.raises(grpc.RpcError):
                by_grpc(grpc_port, credentials)


@contextmanager
def guarded(address: str, pair: Pair) -> Iterator[str]:
    """TLS in front of a model server: gives the address."""
    with grpc.insecure_channel(address) as channel:
        behind = channel.unary_unary(PREDICT)
        name, _, method = PREDICT.strip("/").partition("/")
        server = grpc.server(ThreadPoolExecutor(4))
        answer: Any = grpc.unary_unary_rpc_method_handler(lambda raw, _: behind(raw, timeout=10))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {method: answer}),))
        credentials = grpc.ssl_server_credentials(((pair.key.read_bytes(), pair.cert.read_bytes()),))
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()


def test_the_model_server_is_asked_by_tls(shop: Shop, started: Started, tmp_path: Path) -> None:
    authority, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    with guarded(shop.address, authority.signs("model")) as address:
        places = {"model_server": address, "model_server_tls": True, "model_server_ca": authority.cert}
        until = time.monotonic() + 20
        while (rung := started(places=places).rank("p0")["rung"]) != "model" and time.monotonic() < until:
            pass
        assert rung == "model"
        assert "unreachable" in started(places={**places, "model_server_ca": other.cert}).rank("p0")["reason"]
        assert "unreachable" in started(places={"model_server": address}).rank("p0")["reason"]


def test_files_that_are_no_certificates_are_refused(shop: Shop, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    pair = authority.signs("service")
    with pytest.raises(InputError, match="in PEM"):
        Tls(pair.cert, authority.signs("other").key)
    with pytest.raises(InputError, match="in PEM"):
        Tls(pair.cert, tmp_path / "none")
    with pytest.raises(InputError, match="model-server-tls"):
        Locations(dataset=shop.dataset, state=shop.state, model_server="x:1", model="shop", model_server_ca=pair.cert)
    line = command(shop, free_port(), "--tls-cert", str(pair.cert))
    wrong = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (wrong.returncode, "--tls-key, of which one is missing" in wrong.stderr) == (2, True)
