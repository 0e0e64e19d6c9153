"""What the steps on an engine must share with those on this machine."""

from pathlib import Path

from tests.pipeline.beam.beam_steps import files, metrics


def assert_same_outputs(root: Path, local: Path) -> None:
    """Compare all files and metrics of two runs."""
    assert files(root) == files(local)
    for step in ("EventExampleGen/examples", "StatisticsGen/statistics", "Transform/transform_graph"):
        assert any(path.startswith(step) for path in files(local)), step
    assert metrics(root) == metrics(local)
