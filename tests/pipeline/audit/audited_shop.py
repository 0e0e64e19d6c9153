"""A store with two releases of the little shop's model, and a service in front of them that logs what it decides."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.release.manifest import Manifest
from components.release.publish import publish
from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer
from tests.serving.service.conftest import Shop, service_of
from tests.serving.service.little_shop import SHOP, write_model, write_shop
from tests.serving.service.running import Service, running

RULES = """\
sets:
  default:
    - {name: recalled, kind: filter, items: [p5]}
    - {name: ours, kind: pin, place: 0, items: [p0]}
"""
CONFIG = """
model_config_list {{ config {{
  name: "shop" base_path: "{base}" model_platform: "tensorflow"
  model_version_policy {{ all {{}} }}
  version_labels {{ key: "stable" value: 2 }}
}} }}
"""
WINDOW = {"first event": "2026-01-01T00:00:00+00:00", "last event": "2026-01-31T00:00:00+00:00"}


@dataclass(frozen=True)
class Store:
    """A store's root with the dataset file and the state, and the address of a server of its releases."""

    root: Path
    shop: Shop


def manifest() -> Manifest:
    return Manifest(time.time_ns() // 1000, "little", "d" * 64, WINDOW, {"auc": 0.7}, ("Passed.",), ("price",), "0.1.0+test")


@contextmanager
def served_store(base: Path) -> Iterator[Store]:
    dataset, state = write_shop(base)
    root = base / "store"
    for version, weight in (("1", -1.0), ("2", 1.0)):
        write_model(base / "made" / version, weight=weight)
        publish(base / "made" / version, root / "releases", manifest())
        (root / "serving" / version).mkdir(parents=True)
        (root / "serving" / version / "dataset.yaml").write_text(SHOP)
    (base / "models.config").write_text(CONFIG.format(base=root / "releases"))
    with ModelServer(ServerConfig(model_config_file=base / "models.config", labels_for_unavailable=True, rest_port=None)) as server:
        yield Store(root, Shop(dataset, state, root / "releases", f"127.0.0.1:{server.grpc_port}"))


@contextmanager
def logging_service(store: Store, log: Path, places: dict[str, Any], **settings: Any) -> Iterator[Service]:
    """A service that logs all features, and whose files are complete when the block ends."""
    with running(service_of(store.shop, {"log": log, **places}, **{"logged_features": 1.0, "deadline_ms": 60_000, **settings})) as service:
        yield service
