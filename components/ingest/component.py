"""Define EventExampleGen, the TFX component of ingestion."""

import json
import os
import time
from datetime import UTC, datetime

import apache_beam as beam
from tfx.dsl.component.experimental.annotations import BeamComponentParameter, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.artifact_utils import encode_split_names
from tfx.types.experimental.simple_artifacts import Dataset as DatasetArtifact
from tfx.types.experimental.simple_artifacts import File as FileArtifact
from tfx.types.standard_artifacts import Examples

from components.contract.load import parse_dataset
from components.contract.storage.file_lock import locked_for_reading
from components.contract.values.data_cutoff import resolved
from components.ingest.block_steps import PARTITION_ROWS, Job
from components.ingest.report import ingest_report, require_examples, require_labels
from components.ingest.requests.splits import SPLITS, data_end_us
from components.ingest.shuffle_files import write_bytes
from components.ingest.sources.beam_filesystem import opened, removed
from components.ingest.sources.files import layout, matching
from components.ingest.steps import ingest


@component(use_beam=True)
def EventExampleGen(  # noqa: N802, a component is named like a class
    dataset: Parameter[str],
    data_root: Parameter[str],
    examples: OutputArtifact[Examples],
    state: OutputArtifact[DatasetArtifact],
    report: OutputArtifact[FileArtifact],
    data_until: Parameter[str] = "",
    fingerprint: Parameter[str] = "",
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Read a shop's logs and write request-level examples, the feature state at the end of the data, and a report.

    Args:
        dataset: the dataset file's text.
        data_root: the folder of its relative paths.
        examples: splits train, eval and test.
        state: `users/` and `items/`, Parquet with one row a key; `index.parquet`, the item ids by code; `sources.json`,
            what was read; `catalogue/items.parquet` and `catalogue/users.parquet`, the tables that the dataset file
            names, with their features typed.
        report: `report.json`: what was read, kept and dropped, and why.
        data_until: date or date-time (UTC where it names no zone) that replaces the dataset file's
            `windows.until`: later events are left out, as if the logs ended with it; "": none is. Or a schedule, whose
            latest time it is (`components.contract.values.data_cutoff`).
        fingerprint: of the data; a change of it makes the component run again.
        beam_pipeline: set by TFX.

    Raises:
        InputError: the data isn't as the dataset file says, can't end when `data_until` says, or loses more labels than
            the file allows.
    """
    shop = parse_dataset(dataset)
    now_us = time.time_ns() // 1000
    ends_us = data_end_us(shop, resolved(data_until, datetime.fromtimestamp(now_us / 1e6, UTC)))
    reported = os.path.join(report.uri, "report.json")
    with locked_for_reading(path for source in shop.events for path in matching(source, data_root)):
        blocks = layout(shop, data_root)
        work = os.path.join(examples.uri, ".work")
        partitions = max(1, -(-blocks.rows // PARTITION_ROWS))
        job = Job(dataset, data_root, work, examples.uri, state.uri, partitions, now_us=now_us, ends_us=ends_us)
        with beam_pipeline as root:
            totals = ingest(root, job, blocks.blocks)
            _ = totals | "report" >> beam.Map(lambda pair: write_bytes(reported, ingest_report(pair[0], pair[1], blocks, dataset)))
    removed(work)
    with opened(reported) as file:
        content = json.load(file)
    require_examples(content)
    require_labels(content, shop)
    examples.split_names = encode_split_names(list(SPLITS))
