"""A pipeline of three small steps, run by the same runner as the real one.

python -c 'import tiny_pipeline; tiny_pipeline.main()' ROOT WORD PAUSE_S
"""

import logging
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.pipeline import Pipeline
from tfx.types.experimental.simple_artifacts import File

from components.contract.errors import InputError
from pipeline.local.runner import Step, run_locally
from pipeline.results.metadata import clean_up_interrupted, connection
from pipeline.terminal.display import PROGRESS, Display, display


@component
def Say(word: Parameter[str], pause_s: Parameter[float], said: OutputArtifact[File]):  # noqa: N802
    Path(said.uri, "half").write_text(word)
    time.sleep(pause_s)
    Path(said.uri, "word").write_text(word)
    logging.getLogger(PROGRESS).info("said %s", word)


@component
def Double(said: InputArtifact[File], doubled: OutputArtifact[File]):  # noqa: N802
    word = Path(said.uri, "word").read_text()
    if word == "bad":
        raise InputError("words.txt, line 1: expected a good word, got 'bad'")
    if word == "broken":
        raise ZeroDivisionError("division by zero")
    Path(doubled.uri, "word").write_text(word * 2)
    doubled.set_int_custom_property("length", 2 * len(word))


@component
def Count(doubled: InputArtifact[File], pause_s: Parameter[float], counted: OutputArtifact[File]):  # noqa: N802
    time.sleep(pause_s)
    Path(counted.uri, "count").write_text(str(len(Path(doubled.uri, "word").read_text())))


def tiny(root: Path, word: str, pause_s: float) -> Pipeline:
    say = Say(word=word, pause_s=pause_s)
    double = Double(said=say.outputs["said"])
    count = Count(doubled=double.outputs["doubled"], pause_s=pause_s)
    return Pipeline(
        "tiny",
        str(root / "artifacts"),
        components=[say, double, count],
        enable_cache=True,
        metadata_connection_config=connection(root / "metadata.sqlite"),
    )


def run_tiny(root: Path, word: str, *, progress: Display, pause_s: float = 0.0) -> tuple[Step, ...]:
    store = connection(root / "metadata.sqlite")
    clean_up_interrupted(store, root / "artifacts")
    return run_locally(tiny(root, word, pause_s), store=store, run_id=datetime.now(UTC).isoformat(), log=root / "log", progress=progress)


def main() -> None:
    with display(sys.stdout) as progress:
        run_tiny(Path(sys.argv[1]), sys.argv[2], progress=progress, pause_s=float(sys.argv[3]))
