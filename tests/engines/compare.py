"""What a run on an engine must share with one on this machine."""

from typing import Any

from tests.pipeline.beam.whole_graph import RESULTS


def assert_same_run(run: dict[str, Any], local: dict[str, Any]) -> None:
    """Compare files and results; a runner may write the evaluation into more files, which are read as one."""
    for result in RESULTS:
        assert run["results"][result] == local["results"][result], result

    def files(of_run: dict[str, Any]) -> dict[str, str]:
        return {path: digest for path, digest in of_run["files"].items() if not path.startswith("Evaluator/")}

    assert files(run) == files(local)
    for part in ("examples", "statistics/Split-train/FeatureStats.pb", "variables.data"):
        assert any(part in path for path in files(local)), part
