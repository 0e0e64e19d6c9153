"""The whole graph with its steps on Beam by a preset; `portable` without options starts its own service.

python -c 'from tests.pipeline.beam.beam_run import main; main()' PRESET DATASET.yaml DATA ROOT [OPTIONS AS JSON]
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path

from components.contract.load import load_dataset
from pipeline.beam.job_service import beam_service
from pipeline.beam.presets import beam_args, settings
from pipeline.config import RunConfig
from pipeline.local.run import run
from pipeline.terminal.display import display
from pipeline.terminal.output_capture import captured_output


def main() -> None:
    preset, file, data, root = sys.argv[1], *map(Path, sys.argv[2:5])
    options = json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
    config = RunConfig(load_dataset(file).name, file.read_text(encoding="utf-8"), str(data.absolute()), root.absolute())
    log = config.logs / "run.log"
    with ExitStack() as stack:
        terminal = stack.enter_context(captured_output(log))
        progress = stack.enter_context(display(terminal))
        alone = preset == "portable" and not options
        chosen = stack.enter_context(beam_service(root / "beam")) if alone else settings(preset, options, image="none")
        run(config, log=log, progress=progress, beam=beam_args(chosen))
