"""The four steps on Beam alone (EventExampleGen, StatisticsGen, Transform, Evaluator), connected as in the whole graph.

python -c 'from tests.pipeline.beam.beam_steps import main; main()' PRESET DATASET.yaml DATA ROOT OPTIONS-AS-JSON MODEL CHAMPION
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.components.ingest.without_beam import digests
from tests.pipeline.beam.whole_graph import UNLIKE, environment

OUTPUTS = (
    ("EventExampleGen", "examples"),
    ("EventExampleGen", "state"),
    ("EventExampleGen", "report"),
    ("StatisticsGen", "statistics"),
    ("Transform", "transform_graph"),
)
_ERROR, _FAILED = "The error is: ", 3


def run_beam_steps(shop: Path, name: str, preset: str, options: Mapping[str, str | int], *, local: str) -> str:
    """Run the steps into the folder `name` of the shop's, with the models of the whole run in its folder `local`.

    Steps that succeeded in an earlier call with this name aren't run again.

    Returns:
        The error that a person reads, "" after a success.
    """
    code = "from tests.pipeline.beam.beam_steps import main; main()"
    models = [str(artifact(shop / local, step, "model")) for step in ("Trainer", "Champion")]
    command = [sys.executable, "-c", code, preset, "shop.yaml", "data", name, json.dumps(options), *models]
    done = subprocess.run(command, cwd=shop, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode in (0, _FAILED), done.stderr
    return done.stdout.rpartition(_ERROR)[2] if done.returncode else ""


def artifact(root: Path, step: str, output: str) -> Path:
    """The folder of a step's only artifact that is complete."""
    (folder,) = (each for each in (root / "artifacts" / step / output).iterdir() if any(each.iterdir()))
    return folder


def files(root: Path) -> dict[str, str]:
    """A digest of each file that the steps write, but for the Evaluator's, which a runner may divide as it likes."""
    of_output = {f"{step}/{output}": digests(artifact(root, step, output)) for step, output in OUTPUTS}
    return {f"{name}/{path}": digest for name, each in of_output.items() for path, digest in each.items() if not path.endswith(UNLIKE)}


def metrics(root: Path) -> str:
    """All metrics of the Evaluator, to the last digit, in the order that a person reads them in."""
    from components.evaluation.tfma.results import read_metrics

    return repr(read_metrics(str(artifact(root, "Evaluator", "evaluation"))))


def main() -> None:
    from tfx.dsl.components.common.importer import Importer
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline
    from tfx.types.standard_artifacts import Model

    from components.contract.load import parse_dataset
    from pipeline import graph
    from pipeline.beam.presets import beam_args, settings
    from pipeline.beam.tfx_batching import cut_batches_by_size
    from pipeline.terminal.root_cause import root_cause

    preset, file, data, root, options, model, champion = sys.argv[1:]
    text, folder = Path(file).read_text(encoding="utf-8"), Path(root).absolute()
    folder.mkdir(exist_ok=True)
    args = beam_args(settings(preset, json.loads(options), image="none"))
    config = graph.GraphConfig(
        name="beam_steps",
        root=str(folder / "artifacts"),
        dataset=text,
        data_root=os.path.abspath(data),
        push_destination="",
        champion=0,
        fingerprint="",
        code="",
    )
    ingest = graph.EventExampleGen(dataset=text, data_root=config.data_root)
    ingest.with_beam_pipeline_args(list(args.ingestion))
    examples = ingest.outputs["examples"]
    schema, statistics, *_ = graph._data_checks(config, examples)
    models = [Importer(source_uri=uri, artifact_type=Model).with_id(name) for uri, name in ((model, "Model"), (champion, "Champion"))]
    evaluator = graph._evaluator(parse_dataset(text), examples, *(each.outputs["result"] for each in models))
    transform = graph._transform(config, examples, schema)
    cut_batches_by_size()
    pipeline = Pipeline(
        pipeline_name=config.name,
        pipeline_root=config.root,
        components=[ingest, schema, statistics, transform, *models, evaluator],
        beam_pipeline_args=list(args.steps),
        metadata_connection_config=sqlite_metadata_connection_config(str(folder / "metadata.sqlite")),
        enable_cache=True,
    )
    try:
        LocalDagRunner().run(pipeline)
    except Exception as failed:
        print(f"{_ERROR}{root_cause(failed, step='A step', log='run.log')}")
        raise SystemExit(_FAILED) from failed
