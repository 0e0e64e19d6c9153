"""A Kubernetes API server that tests share."""

import shutil
from collections.abc import Iterator

import pytest

from tests.engines.kubernetes.api_server import Kubernetes, kubernetes_api


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """A server that knows Kubernetes' own kinds."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here: nothing can be applied")
    with kubernetes_api(tmp_path_factory.mktemp("kubernetes")) as started:
        yield started
