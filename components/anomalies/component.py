"""`AnomalyGate`: fail the run on the anomalies that ExampleValidator recorded, which itself doesn't fail."""

from tfx.dsl.component.experimental.annotations import InputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import ExampleAnomalies

from components.anomalies.read import message, read_anomalies
from components.contract.errors import InputError


@component
def AnomalyGate(anomalies: InputArtifact[ExampleAnomalies]) -> None:  # noqa: N802
    """Pass if there are no anomalies.

    Raises:
        InputError: there are; the text names split, column and reason of each.
    """
    if anomalies_found := read_anomalies(anomalies.uri):
        raise InputError(message(anomalies_found))
