"""What the steps on an engine must share with those on this machine."""

from pathlib import Path

from tests.pipeline.beam.beam_steps import files, metrics


def assert_same_outputs(root: Path, local: Path) -> None:
    """Compare all files and metrics of two runs."""
    assert files(root) == files(local)
    for part in (
        "EventExampleGen/examples",
        "StatisticsGen/statistics/Split-train/FeatureStats.pb",
        "Transform/transform_graph/transform_fn",
    ):
        assert any(path.startswith(part) for path in files(local)), part
    assert metrics(root) == metrics(local)
