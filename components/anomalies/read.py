"""What TFX's ExampleValidator found, in sentences."""

from dataclasses import dataclass
from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2

_FILE = "SchemaDiff.pb"
_SHOWN = 20


@dataclass(frozen=True)
class Anomaly:
    """A column of a split that isn't as the schema says; `column` is "" for the split itself."""

    split: str
    column: str
    text: str

    def __str__(self) -> str:
        """As a line of a message."""
        return f"{self.split}: {self.column + ': ' if self.column else ''}{self.text}"


def read_anomalies(uri: str | Path) -> tuple[Anomaly, ...]:
    """The anomalies in an ExampleAnomalies artifact, by split and column."""
    listed: list[Anomaly] = []
    for path in sorted(Path(uri).glob(f"Split-*/{_FILE}")):
        split = path.parent.name.removeprefix("Split-")
        anomalies = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        listed += [Anomaly(split, "", reason.description) for reason in anomalies.dataset_anomaly_info.reason]
        for column, info in sorted(anomalies.anomaly_info.items()):
            listed += [Anomaly(split, column, reason.description) for reason in info.reason]
    return tuple(listed)


def message(anomalies: tuple[Anomaly, ...]) -> str:
    """All of them as one text for the person at the keyboard."""
    lines = [f"  {anomaly}" for anomaly in anomalies[:_SHOWN]]
    if len(anomalies) > _SHOWN:
        lines.append(f"  and {len(anomalies) - _SHOWN} more")
    return "\n".join(
        [f"the examples differ from the dataset file's schema in {len(anomalies)} places; mend the data or the feature table:", *lines]
    )
