"""`StatisticsGen`: TFX's, with the features in an order of their own."""

from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList
from tfx.components.statistics_gen import component as statistics_gen
from tfx.components.statistics_gen import executor as statistics_gen_executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import artifact_utils, standard_component_specs


class Executor(statistics_gen_executor.Executor):
    """Compute statistics as TFX does, then sort them: Beam's runners deliver the features in different orders."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """Run TFX's executor, then sort each split's file."""
        super().Do(input_dict, output_dict, exec_properties)
        folder = artifact_utils.get_single_uri(output_dict[standard_component_specs.STATISTICS_KEY])
        for file in Path(folder).glob(f"Split-*/{statistics_gen_executor.DEFAULT_FILE_NAME}"):
            file.write_bytes(sorted_features(file.read_bytes()))


class StatisticsGen(statistics_gen.StatisticsGen):
    """TFX's StatisticsGen, which writes the same bytes with any Beam runner."""

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)


def sorted_features(statistics: bytes) -> bytes:
    """Sort the features of each slice of a serialized `DatasetFeatureStatisticsList` by path, and the slices by name."""
    message = DatasetFeatureStatisticsList.FromString(statistics)
    message.datasets.sort(key=lambda dataset: dataset.name)
    for dataset in message.datasets:
        dataset.features.sort(key=lambda feature: tuple(feature.path.step) or (feature.name,))
    serialized: bytes = message.SerializeToString(deterministic=True)
    return serialized
