"""A service with both of its doors open, in a thread of the test's process, and a client made by the stock compiler."""

import importlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc

from serving.service.grpc.grpc_server import serve_grpc
from serving.service.http.app import service_app
from serving.service.lifespan import load_files, open_service
from serving.service.service_context import ServiceContext
from serving.service.settings import Locations, Settings
from tests.serving.service.conftest import Shop
from tests.serving.service.running import Service, running

PROTO = Path(__file__).resolve().parents[3] / "serving" / "service" / "shelfrank.proto"


@dataclass(frozen=True)
class Doors:
    """The REST door and the address of the other."""

    rest: Service
    address: str

    @contextmanager
    def stub(self, compiled: "Compiled") -> Iterator[Any]:
        with grpc.insecure_channel(self.address) as channel:
            yield compiled.services.RankingStub(channel)


@dataclass(frozen=True)
class Compiled:
    """What the compiler makes of the proto file."""

    messages: ModuleType
    services: ModuleType


def compile_proto(*outputs: str) -> None:
    """In a process of its own: the compiler and TensorFlow don't bear each other."""
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO.parent}", *outputs, str(PROTO)], check=True)


def compiled(folder: Path) -> Compiled:
    compile_proto(f"--python_out={folder}", f"--grpc_python_out={folder}")
    sys.path.insert(0, str(folder))
    try:
        return Compiled(importlib.import_module("shelfrank_pb2"), importlib.import_module("shelfrank_pb2_grpc"))
    finally:
        sys.path.remove(str(folder))


@contextmanager
def both_doors(shop: Shop, places: dict[str, Any] | None = None, **settings: Any) -> Iterator[Doors]:
    where = Locations(**{"dataset": shop.dataset, "state": shop.state, "model_server": shop.address, "model": "shop", **(places or {})})
    how = Settings(**{"label": "stable", "deadline_ms": 5_000, **settings})
    ports: list[int] = []

    @asynccontextmanager
    async def doors() -> AsyncIterator[ServiceContext]:
        async with open_service(how, where, load_files(where)) as parts, serve_grpc(parts, how, address="127.0.0.1:0") as port:
            ports.append(port)
            yield parts

    with running(service_app(how, doors)) as service:
        yield Doors(service, f"127.0.0.1:{ports[0]}")
