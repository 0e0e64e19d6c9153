"""The steps of ingestion on a Beam runner, as EventExampleGen runs them."""

import sys
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from components.ingest.report import ingest_report
from components.ingest.shuffle_files import write_bytes
from components.ingest.sources.files import layout
from components.ingest.steps import ingest
from pipeline.beam.presets import Settings, beam_args
from tests.components.ingest.generators.random_shops import parsed
from tests.components.ingest.without_beam import job_of


def ingest_on(chosen: Settings, text: str, data: Path, out: Path, *, partitions: int) -> None:
    """Write examples, state and report under `out`, and what the last worker has imported to `modules`."""
    args = beam_args(chosen)
    blocks = layout(parsed(text), str(data))
    job = job_of(text, data, out, partitions=partitions)
    with beam.Pipeline(options=PipelineOptions([*args.steps, *args.ingestion])) as root:
        totals = ingest(root, job, blocks.blocks)
        # As EventExampleGen ends it: a lambda with what it closes over goes to the worker by value.
        _ = totals | beam.Map(lambda pair: write_bytes(f"{out}/report.json", ingest_report(pair[0], pair[1], blocks, text)))
        _ = totals | "modules" >> beam.Map(lambda _: write_bytes(f"{out}/modules", "\n".join(sys.modules).encode()))
