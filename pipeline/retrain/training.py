"""Train in a process of its own: `shelfrank run` with the end of the data, the start and the id of the cycle."""

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from components.contract.errors import DataFrozen, InputError, RunError
from pipeline.retrain.cycle import Cycle
from pipeline.terminal.exit_code import EXIT_BAD_INPUT, EXIT_FROZEN, EXIT_REFUSED

_STOP_S = 30.0
_LAST_LINES = 5  # of a run that failed


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a training gave.

    Attributes:
        release: version that it published, None where the model was refused.
        sentences: of the gates and the rehearsal.
        window: of the data, as in ingestion's report.
        metrics: of the model over the whole test window.
        run: Kubeflow's id; "" on this machine.
        processor_seconds: None where they aren't known.
    """

    release: int | None
    sentences: tuple[str, ...]
    window: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    run: str = ""
    processor_seconds: float | None = None


class Trainer(Protocol):
    """Trains a cycle's model up to its release."""

    def train(self, cycle: Cycle) -> Training:
        """Train, or go on with the training that a kill interrupted; equal cycles give one release.

        Raises:
            DataFrozen: the data points to a fault.
            InputError, DatasetFileError: another attempt would fail alike.
            ShelfRankError: it failed.
        """


@dataclass(frozen=True)
class LocalTrainer:
    """Runs the pipeline on this machine.

    The process ends with this one, however this one ends, and the next attempt takes from the cache what it finished.

    Attributes:
        dataset: the dataset file.
        data_root: folder or address of its data.
        root: of the run.
        keep_runs: of how many runs the artifacts and logs stay; 0: of all.
    """

    dataset: Path
    data_root: str
    root: Path
    keep_runs: int = 0

    def train(self, cycle: Cycle) -> Training:
        """See `Trainer`."""
        options = {"--data": self.data_root, "--root": self.root, "--data-until": cycle.data_until}
        options |= {"--start": cycle.start, "--run-id": cycle.run_id, "--keep-runs": self.keep_runs}
        words = [str(word) for option in options.items() if option[1] for word in option]
        command = [sys.executable, "-m", "pipeline.ops.attached", "pipeline.cli", "run", str(self.dataset), *words, "--json"]
        began = _children_seconds()
        code, output, last_lines = _run(command)
        if code not in (0, EXIT_REFUSED):
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            kind = {EXIT_BAD_INPUT: InputError, EXIT_FROZEN: DataFrozen}.get(code, RunError)
            raise kind(f"the run failed ({how}): {' '.join(last_lines).removeprefix('shelfrank run: ') or 'it said nothing'}")
        result = json.loads(output)
        return Training(
            release=result["release"],
            sentences=tuple(result["verdict"]),
            window=result["ingestion"]["window"],
            metrics=_overall(result["slices"]),
            processor_seconds=round(_children_seconds() - began, 1),
        )


def _overall(slices: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the new model's AUC and NDCG over all requests, from the rows that `--json` prints."""
    row = next((each for each in slices if not each["slice"]), None)
    return {} if row is None else {name: row["metrics"][name]["challenger"] for name in ("auc", "ndcg_at_10") if name in row["metrics"]}


def _run(command: Sequence[str]) -> tuple[int, str, list[str]]:
    """Run a command whose progress goes to standard error; return its exit code, its output and its last lines."""
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    with tempfile.TemporaryFile() as output:
        # In a session of its own: Ctrl-C reaches this process alone, which ends that one.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE, start_new_session=True)
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            for line in process.stderr:
                text = line.decode("utf-8", "replace").rstrip()
                print(text, file=sys.stderr, flush=True)
                if text and not text.startswith("["):  # else a line of progress
                    lines.append(text)
            code = process.wait()
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdin.close()
            process.stderr.close()
        output.seek(0)
        return code, output.read().decode(), list(lines)


def _children_seconds() -> float:
    """Return the processor time of the child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system
