"""Ingestion on a real Spark writes the same bytes as in the process itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.ingest.same_bytes import assert_same_bytes
from tests.engines.spark.cluster import Spark, spark_cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    with spark_cluster(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster


def test_ingestion_writes_the_same_bytes(spark: Spark, tmp_path: Path) -> None:
    assert_same_bytes(spark.preset(), tmp_path)
