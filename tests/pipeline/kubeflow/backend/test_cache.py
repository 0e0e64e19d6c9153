"""The cache of Kubeflow's real backend: it knows the data by their content, not by their path.

DataFingerprint does its own work, the other steps only write their outputs.
"""

import shutil
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipeline.kubeflow.backend.conftest import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]

NEVER_CACHED = {"DataFingerprint", "Champion", "Release"}
BY_THE_CHAMPION = {"DriftCheck", "DriftGate", "Evaluator", "SliceReport"}  # Champion's output is a new artifact in each run
BY_THE_DATA = {"EventExampleGen", "DriftReference", "StatisticsGen", "ExampleValidator", "AnomalyGate", "Transform", "Trainer"}
BY_THE_MODEL = {"ServingRehearsal", "FeatureImportance"}


@dataclass(frozen=True)
class Ran:
    """By run, the steps that had a pod of their own."""

    first: set[str]
    same: set[str]
    one_event_more: set[str]


@pytest.fixture(scope="module")
def ran(shop: Shop) -> Ran:
    growing = shop.backend.claim("shelfrank") / "growing"
    shutil.copytree(shop.folder / "few", growing)
    file = shop.stubbed("shop_growing", DataFingerprint=None)

    def run() -> set[str]:
        run_id = shop.started(file, "--parameter", "data_root=/shelfrank/growing")
        shop.followed(run_id)
        assert shop.backend.workflow(run_id)["status"]["phase"] == "Succeeded"
        return shop.ran(run_id)

    first, same = run(), run()
    log = max((growing / "events").glob("*.parquet"))
    table = pq.read_table(log)
    pq.write_table(pa.concat_tables([table, table.slice(table.num_rows - 1)]), log)
    return Ran(first, same, run())


def test_every_step_runs_the_first_time(ran: Ran) -> None:
    assert ran.first == NEVER_CACHED | BY_THE_CHAMPION | BY_THE_DATA | BY_THE_MODEL | {"ContractSchema"}


def test_on_the_same_data_what_depends_on_it_comes_from_the_cache(ran: Ran) -> None:
    assert ran.same == NEVER_CACHED | BY_THE_CHAMPION


def test_one_event_more_in_the_same_file_and_nothing_that_depends_on_the_data_comes_from_the_cache(ran: Ran) -> None:
    assert ran.one_event_more == ran.first - {"ContractSchema"}
