"""Digest the input data in a step of its own, `DataFingerprint`, where an orchestrator's cache sees only parameters."""

import logging
from datetime import UTC, datetime
from typing import TypedDict

from tfx.dsl.component.experimental.annotations import Parameter
from tfx.dsl.component.experimental.decorators import component

from components.contract.load import parse_dataset
from components.contract.values.data_cutoff import resolved
from pipeline.results.fingerprint import INGESTION, code_version, input_digest

_log = logging.getLogger("shelfrank.progress")


class Fingerprint(TypedDict):
    """What ingestion's result depends on, besides the dataset file's text and the data folder.

    Attributes:
        fingerprint: the input files' digest, and the version of the code that reads them.
        data_end: date or date-time at which the data ends; "": as the dataset file says.
    """

    fingerprint: str
    data_end: str


@component
def DataFingerprint(  # noqa: N802 - TFX names a component by its function
    dataset: Parameter[str], data_root: Parameter[str], data_until: Parameter[str]
) -> Fingerprint:
    """Return what tells EventExampleGen's input apart from another run's, for its cache key.

    Kubeflow's driver looks for a step's earlier result before any code of the step runs, by its parameters and not by
    the files that they name. A schedule's `data_until` is the same text in each of its runs, so it is resolved here.

    Args:
        dataset: the dataset file's text.
        data_root: the folder of its relative paths.
        data_until: as of EventExampleGen.

    Raises:
        InputError: a source has no file, or `data_until` is an invalid schedule.
    """
    digest = input_digest(parse_dataset(dataset), data_root)
    _log.info("input files: %s", digest[:12])
    return {"fingerprint": f"{digest} {code_version(INGESTION)}", "data_end": resolved(data_until, datetime.now(UTC))}
