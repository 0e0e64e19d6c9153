"""Steps on Beam in processes that share nothing but files: the same bytes as in the process itself."""

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from components.contract.errors import InputError
from components.ingest.sources.files import layout
from components.ingest.steps import ingest
from pipeline.beam.job_service import beam_service
from pipeline.beam.preset_options import Portable
from pipeline.beam.presets import beam_args
from pipeline.beam.worker_pool import INGESTION
from pipeline.terminal.root_cause import root_cause
from tests.components.ingest.generators.random_shops import SHOPS, dataset_text, parsed, write_log
from tests.components.ingest.same_bytes import assert_same_bytes
from tests.components.ingest.test_determinism import large_log
from tests.components.ingest.without_beam import job_of
from tests.pipeline.beam.whole_graph import RESULTS, whole_run, write_shop

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portable]:
    with beam_service(tmp_path_factory.mktemp("beam"), modules=INGESTION) as chosen:
        yield chosen


def test_ingestion_in_a_worker_of_a_pool_writes_the_same_bytes(elsewhere: Portable, tmp_path: Path) -> None:
    assert_same_bytes(elsewhere, tmp_path, shop="sampling")
    modules = (tmp_path / "there" / "modules").read_text().splitlines()
    assert "components.ingest.block_steps" in modules
    assert not {"tensorflow", "tfx", "trainer"} & set(modules)


@pytest.mark.slow
def test_a_fault_in_the_data_that_a_worker_found_is_told_as_one(elsewhere: Portable, tmp_path: Path) -> None:
    text = dataset_text(SHOPS["impressions"])
    write_log(tmp_path / "data", large_log(20))
    blocks = layout(parsed(text), str(tmp_path / "data"))
    Path(blocks.blocks[0].path).write_bytes(b"no longer")
    job = job_of(text, tmp_path / "data", tmp_path / "there")
    with (
        pytest.raises(Exception, match="InputError") as raised,
        beam.Pipeline(options=PipelineOptions(list(beam_args(elsewhere).steps))) as p,
    ):
        ingest(p, job, blocks.blocks)
    error = root_cause(raised.value, step="EventExampleGen", log="run.log")
    assert isinstance(error, InputError)
    assert "can't be read as Parquet" in str(error)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_graph_with_beam_elsewhere_gives_the_same_files_and_metrics(tmp_path: Path) -> None:
    write_shop(tmp_path)
    here, there = whole_run(tmp_path, "local", "local"), whole_run(tmp_path, "portable", "portable")
    assert here["files"] == there["files"]
    assert any("variables.data" in path for path in here["files"])
    assert any(path.startswith("Evaluator/evaluation/metrics") for path in here["files"])
    for result in RESULTS:
        assert here["results"][result] == there["results"][result], result
    log = (tmp_path / "portable" / "beam" / "worker-pool.log").read_text()
    assert log.count("Started worker") >= 4  # of ingestion, statistics, Transform, Evaluator
