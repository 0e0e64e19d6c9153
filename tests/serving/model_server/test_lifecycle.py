"""Versions come and go under a running server, as TensorFlow Serving has them come and go."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.model_server.errors import ServingError
from tests.serving.model_server.conftest import Start

TWO, THREE = "half_plus_two/00000123", "half_plus_three"
Base = Callable[..., Path]


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def policy(base: Path, rule: str, name: str = "shop") -> str:
    return f"""model_config_list {{ config {{
        name: "{name}" base_path: "{base}" model_platform: "tensorflow" model_version_policy {{ {rule} }} }} }}"""


def test_the_newest_version_is_served_and_what_is_no_number_is_passed_over(start: Start, base: Base) -> None:
    folder = base(versions={1: TWO, 2: TWO, "00000003": THREE})
    (folder / "abc").mkdir()
    (folder / ".tmp").mkdir()
    client = start(model_base_path=str(folder))
    assert client.states() == {3: "AVAILABLE"}
    assert client.y(2.0) == 4.0


@pytest.mark.parametrize(
    ("rule", "served"),
    [
        ("latest {}", {3}),
        ("latest { num_versions: 2 }", {2, 3}),
        ("all {}", {1, 2, 3}),
        ("specific { versions: 1 }", {1}),
        ("specific { versions: 1 versions: 9 }", {1}),
    ],
)
def test_the_policy_says_which_versions(start: Start, base: Base, tmp_path: Path, rule: str, served: set[int]) -> None:
    (tmp_path / "models.config").write_text(policy(base(versions={1: TWO, 2: TWO, 3: TWO}), rule))
    client = start(model_config_file=tmp_path / "models.config")
    until(lambda: set(client.states("shop")) == served and set(client.states("shop").values()) == {"AVAILABLE"})
    assert [client.y(2.0, model="shop", version=version) for version in served] == [3.0] * len(served)


def test_a_new_version_takes_over_without_a_failed_request(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})))
    ended, failures, answers = threading.Event(), [], []

    def shop() -> None:
        while not ended.is_set():
            try:
                answers.append(client.y(2.0, timeout=10))
            except grpc.RpcError as error:
                failures.append(error)

    shoppers = [threading.Thread(target=shop) for _ in range(4)]
    for shopper in shoppers:
        shopper.start()
    for version, source in ((2, THREE), (3, TWO), (4, THREE)):
        base(versions={version: source})
        until(lambda version=version: client.states() == {v: "AVAILABLE" if v == version else "END" for v in range(version, 0, -1)})
    ended.set()
    for shopper in shoppers:
        shopper.join()
    assert failures == []
    assert set(answers) == {3.0, 4.0}
    assert answers[-1] == 4.0


def test_a_bad_version_ends_with_its_error_and_the_good_one_stays(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), retries=1, retry_s=0.1)
    bad = base() / "2"
    bad.mkdir()
    (bad / "saved_model.pb").write_bytes(b"no model")
    until(lambda: client.states() == {2: "END", 1: "AVAILABLE"})
    _, answer = client.get("/v1/models/default/versions/2")
    assert answer["model_version_status"][0]["status"]["error_code"] not in ("OK", "")
    assert client.y(2.0) == 3.0


def test_a_load_that_failed_is_tried_again(start: Start, base: Base, model_files: Path) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), retries=1000, retry_s=0.05)
    (base() / "2").mkdir()
    until(lambda: client.states().get(2) == "LOADING")
    shutil.copytree(model_files / THREE, base() / "2", dirs_exist_ok=True)
    until(lambda: client.states() == {2: "AVAILABLE", 1: "END"})
    assert client.y(2.0) == 4.0


def test_without_the_newest_folder_the_one_before_comes_back(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO, 2: THREE})))
    shutil.rmtree(base() / "2")
    until(lambda: client.states() == {2: "END", 1: "AVAILABLE"})
    assert client.y(2.0) == 3.0


def test_an_emptied_folder_unloads_every_version(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})))
    shutil.rmtree(base() / "1")
    until(lambda: client.states() == {1: "END"})
    with pytest.raises(grpc.RpcError) as call:
        client.y(2.0)
    assert call.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_missing_base_path_changes_nothing_for_any_model(start: Start, base: Base, tmp_path: Path) -> None:
    one, other = base("one", {1: TWO}), base("other", {1: TWO})
    entry = 'config {{ name: "{}" base_path: "{}" model_platform: "tensorflow" }}'
    (tmp_path / "models.config").write_text(f"model_config_list {{ {entry.format('one', one)} {entry.format('other', other)} }}")
    client = start(model_config_file=tmp_path / "models.config")
    one.rename(tmp_path / "elsewhere")
    base("other", {2: THREE})
    time.sleep(0.5)  # ten looks at the folders
    assert (client.states("one"), client.states("other")) == ({1: "AVAILABLE"}, {1: "AVAILABLE"})
    assert (client.y(2.0, model="one"), client.y(2.0, model="other")) == (3.0, 3.0)
    (tmp_path / "elsewhere").rename(one)
    until(lambda: client.states("other") == {2: "AVAILABLE", 1: "END"})


def test_a_server_waits_for_the_first_version(start: Start, base: Base) -> None:
    folder = base()
    later = threading.Timer(0.5, lambda: base(versions={7: TWO}))
    later.start()
    client = start(model_base_path=str(folder))
    later.join()
    assert client.states() == {7: "AVAILABLE"}


def test_a_server_whose_model_is_bad_does_not_start(start: Start, base: Base) -> None:
    (base() / "1").mkdir()
    with pytest.raises(ServingError) as error:
        start(model_base_path=str(base()), retries=0)
    assert "1 model(s) did not become available: {{{name: default version: 1} due to error: NOT_FOUND: " in error.value.status_text


def test_folders_are_looked_at_once_without_polling(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), poll_s=0)
    base(versions={2: THREE})
    time.sleep(0.5)
    assert client.states() == {1: "AVAILABLE"}


def test_a_request_that_runs_when_its_version_goes_is_answered(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), batching=True, batching_file=_slow_batches(base()))
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(client.y(2.0, version=1)))
    waiting.start()
    time.sleep(0.2)
    base(versions={2: THREE})
    until(lambda: client.states().get(1) == "UNLOADING")
    waiting.join()
    until(lambda: client.states() == {2: "AVAILABLE", 1: "END"})
    assert got == [3.0]


def _slow_batches(folder: Path) -> Path:
    """Batches that wait a second for company."""
    path = folder.parent / "batching.config"
    path.write_text("batch_timeout_micros { value: 1000000 } num_batch_threads { value: 1 }")
    return path
