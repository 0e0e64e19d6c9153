"""The little shop's models behind the embedded model server, and a service in front of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer
from serving.service.http.app import service_app
from serving.service.lifespan import load_files, open_service
from serving.service.settings import Locations, Settings
from tests.serving.service.little_shop import ITEMS, write_model, write_shop
from tests.serving.service.running import Service, running

CONFIG = """
model_config_list {{ config {{
  name: "shop" base_path: "{base}" model_platform: "tensorflow"
  model_version_policy {{ all {{}} }}
  version_labels {{ key: "stable" value: 2 }} version_labels {{ key: "previous" value: 1 }} version_labels {{ key: "nan" value: 3 }}
}} }}
"""


@dataclass(frozen=True)
class Shop:
    """Where its files are, and the model server's address."""

    dataset: Path
    state: Path
    models: Path
    address: str


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    base = tmp_path_factory.mktemp("little")
    dataset, state = write_shop(base)
    write_model(base / "models" / "1", weight=-1.0, explains=False)
    write_model(base / "models" / "2", weight=1.0)
    write_model(base / "models" / "3", weight=1.0, scores=[float("nan")])
    (base / "models.config").write_text(CONFIG.format(base=base / "models"))
    config = ServerConfig(model_config_file=base / "models.config", labels_for_unavailable=True, rest_port=None)
    with ModelServer(config) as server:
        made = Shop(dataset, state, base / "models", f"127.0.0.1:{server.grpc_port}")
        for label in ("stable", "previous", "nan"):  # a version's first run takes seconds on a busy machine
            with running(service_of(made, {}, label=label, deadline_ms=60_000)) as service:
                service.rank(*ITEMS)
        yield made


Started = Callable[..., Service]


def service_of(shop: Shop, places: dict[str, Any], **settings: Any) -> FastAPI:
    where = Locations(**{"dataset": shop.dataset, "state": shop.state, "model_server": shop.address, "model": "shop", **places})
    how = Settings(**{"label": "stable", "deadline_ms": 5_000, **settings})
    return service_app(how, lambda: open_service(how, where, load_files(where)))


@pytest.fixture
def started(shop: Shop) -> Iterator[Started]:
    """Starts a service; what isn't given of settings and places is the little shop's, by the label stable within five seconds."""
    with ExitStack() as stack:

        def start(*, places: dict[str, Any] | None = None, **settings: Any) -> Service:
            return stack.enter_context(running(service_of(shop, places or {}, **settings)))

        yield start
