"""EventExampleGen alone, run by TFX's local runner on Beam, as the whole graph runs it.

python -c 'from tests.components.ingest.component_run import main; main()' DATASET.yaml DATA ROOT
"""

import sys
from pathlib import Path
from typing import NamedTuple

from ml_metadata.proto.metadata_store_pb2 import Artifact, Execution
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import Metadata, sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from components.ingest.component import EventExampleGen


def main() -> None:
    dataset, data, root = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])  # data may be an address
    root.mkdir(exist_ok=True)
    ingest = EventExampleGen(dataset=dataset.read_text(encoding="utf-8"), data_root=data)
    graph = Pipeline(
        "ingest_alone",
        str(root / "artifacts"),
        components=[ingest],
        beam_pipeline_args=["--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"],
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
    )
    print("begun", flush=True)
    LocalDagRunner().run(graph)


class Recorded(NamedTuple):
    """What the metadata store holds: how often the component ended well, and where complete artifacts lie."""

    complete: int
    artifacts: dict[str, Path]  # by output: examples, state, report


def recorded(root: Path) -> Recorded:
    with Metadata(sqlite_metadata_connection_config(str(root / "metadata.sqlite"))) as opened:
        complete = [each for each in opened.store.get_executions() if each.last_known_state == Execution.COMPLETE]
        live = [Path(artifact.uri) for artifact in opened.store.get_artifacts() if artifact.state == Artifact.LIVE]
    return Recorded(len(complete), {path.parent.name: path for path in live})
