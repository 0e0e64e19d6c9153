"""Ingestion on a real Spark writes the same bytes as in the process itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, ingested, write_log
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.with_beam import ingest_on
from tests.components.ingest.without_beam import digests
from tests.engines.spark.cluster import Spark, spark_cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    with spark_cluster(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster


def test_ingestion_writes_the_same_bytes(spark: Spark, tmp_path: Path) -> None:
    text = dataset_text(SHOPS["impressions"])
    write_log(tmp_path / "data", large_log(300), files=2, group_rows=60)
    ingest_on(spark.preset(), text, tmp_path / "data", tmp_path / "there", partitions=3)
    ingested(text, tmp_path / "data", tmp_path / "here", partitions=3)
    for part in ("examples", "state"):
        assert digests(tmp_path / "there" / part) == digests(tmp_path / "here" / part)
        assert digests(tmp_path / "there" / part)
