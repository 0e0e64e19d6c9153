from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types.standard_artifacts import ExampleAnomalies

from components.anomalies.component import AnomalyGate
from components.anomalies.read import Anomaly, message, read_anomalies
from components.contract.errors import InputError


def written(root: Path, **splits: anomalies_pb2.Anomalies) -> Path:
    for split, anomalies in splits.items():
        (root / f"Split-{split}").mkdir()
        (root / f"Split-{split}" / "SchemaDiff.pb").write_bytes(anomalies.SerializeToString())
    return root


def of(**columns: str) -> anomalies_pb2.Anomalies:
    anomalies = anomalies_pb2.Anomalies()
    for column, text in columns.items():
        anomalies.anomaly_info[column].reason.add(description=text)
    return anomalies


def gate(root: Path) -> None:
    artifact = ExampleAnomalies()
    artifact.uri = str(root)
    AnomalyGate.test_call(anomalies=artifact)


def test_examples_as_the_schema_says_pass(tmp_path: Path) -> None:
    gate(written(tmp_path, train=of(), eval=of()))


def test_an_anomaly_in_any_split_stops_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)in 1 places.*\n  eval: price: value -1 is below 0"):
        gate(written(tmp_path, train=of(), eval=of(price="value -1 is below 0")))


def test_anomalies_come_by_split_and_column(tmp_path: Path) -> None:
    root = written(tmp_path, test=of(b="2", a="1"), eval=of(c="3"))
    assert read_anomalies(root) == (Anomaly("eval", "c", "3"), Anomaly("test", "a", "1"), Anomaly("test", "b", "2"))


def test_an_anomaly_of_the_whole_split_has_no_column(tmp_path: Path) -> None:
    whole = anomalies_pb2.Anomalies()
    whole.dataset_anomaly_info.reason.add(description="too few examples")
    assert [str(found) for found in read_anomalies(written(tmp_path, train=whole))] == ["train: too few examples"]


def test_a_long_list_is_cut_and_says_so() -> None:
    text = message(tuple(Anomaly("train", f"c{n:02}", "bad") for n in range(25)))
    assert "in 25 places" in text
    assert "c19" in text
    assert "c20" not in text
    assert text.endswith("and 5 more")
