"""Read the anomalies that TFX's ExampleValidator recorded, and word them in sentences."""

from dataclasses import dataclass
from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2

_FILE = "SchemaDiff.pb"
_SHOWN = 20


@dataclass(frozen=True)
class Anomaly:
    """A column of a split that violates the schema; `column` is "" for the split itself."""

    split: str
    column: str
    text: str

    def __str__(self) -> str:
        """Format as a line of a message."""
        return f"{self.split}: {self.column + ': ' if self.column else ''}{self.text}"


def read_anomalies(uri: str | Path) -> tuple[Anomaly, ...]:
    """Read the anomalies from an ExampleAnomalies artifact, by split and column."""
    listed: list[Anomaly] = []
    for path in sorted(Path(uri).glob(f"Split-*/{_FILE}")):
        split = path.parent.name.removeprefix("Split-")
        anomalies = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        listed += [Anomaly(split, "", reason.description) for reason in anomalies.dataset_anomaly_info.reason]
        for column, info in sorted(anomalies.anomaly_info.items()):
            listed += [Anomaly(split, column, reason.description) for reason in info.reason]
    return tuple(listed)


def message(anomalies: tuple[Anomaly, ...]) -> str:
    """Format all anomalies as one error message."""
    lines = [f"  {anomaly}" for anomaly in anomalies[:_SHOWN]]
    if len(anomalies) > _SHOWN:
        lines.append(f"  and {len(anomalies) - _SHOWN} more")
    return "\n".join(
        [f"the examples differ from the dataset file's schema in {len(anomalies)} places; mend the data or the feature table:", *lines]
    )
