"""A Flink cluster that tests share."""

from collections.abc import Iterator

import pytest

from pipeline.beam.worker_pool import INGESTION
from tests.engines.flink.cluster import Flink, flink_cluster


@pytest.fixture(scope="session")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flink]:
    """A cluster that is configured as the docs say, with Beam's job server, for ingestion."""
    with flink_cluster(tmp_path_factory.mktemp("flink"), modules=INGESTION) as cluster:
        yield cluster
