"""EventExampleGen, StatisticsGen, Transform and Evaluator on a real Spark give what one machine gives, to the last bit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.ingest.same_bytes import assert_same_bytes
from tests.engines.compare import assert_same_outputs
from tests.engines.spark.cluster import Spark, spark_cluster
from tests.pipeline.beam.beam_steps import run_beam_steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    with spark_cluster(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster


def test_ingestion_by_the_job_server_writes_the_same_bytes(spark: Spark, tmp_path: Path) -> None:
    assert_same_bytes(spark.preset(), tmp_path)


@pytest.mark.usefixtures("jars_removed")
def test_ingestion_by_rest_with_a_jar_writes_the_same_bytes(spark: Spark, tmp_path: Path) -> None:
    assert_same_bytes(spark.preset_by_rest(), tmp_path)


def test_all_files_and_metrics_are_the_same(spark: Spark, shop: Path) -> None:
    assert not run_beam_steps(shop, "spark", "spark", spark.options(), local="local")
    assert_same_outputs(shop / "spark", shop / "local")
