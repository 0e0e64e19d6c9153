"""The mirror, looked at as a pod does: by what lies in its folder."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from components.contract.storage.object_store import Address
from serving.mirror.__main__ import Mirror, main, mirror_of, parser, run
from tests.serving.mirror.stores import label, put, release


def mirror(store: str, folder: Path, *more: str) -> Mirror:
    return mirror_of(parser().parse_args([store, str(folder), *more]))


def served(folder: Path) -> str:
    return (folder / "releases" / "model_config.txt").read_text()


def there(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in (folder / "releases").iterdir() if path.name.isdecimal())


def test_a_pod_gets_the_release_its_configuration_and_its_state(store: str, tmp_path: Path) -> None:
    release(store, 1)
    label(store, {"stable": (1,)})
    assert mirror(store, tmp_path / "pod").look(0) == ""
    pod = tmp_path / "pod"
    assert (pod / "releases/1/saved_model.pb").read_text() == "graph 1"
    assert (pod / "releases/1/variables/variables.index").read_text() == "weights 1"
    assert served(pod) == (
        "model_config_list {\n  config {\n"
        f'    name: "shop"\n    base_path: "{pod}/releases"\n    model_platform: "tensorflow"\n'
        "    model_version_policy { specific { versions: 1 } }\n"
        '    version_labels { key: "stable" value: 1 }\n  }\n}\n'
    )
    assert '"base_path": ""' in (pod / "releases/labels.json").read_text()
    assert (pod / "serving/current/dataset.yaml").read_text() == "name: shop 1"
    assert (pod / "serving/current/state/index.parquet").read_text() == "index 1"


def test_a_folder_that_was_moved_names_itself(store: str, tmp_path: Path) -> None:
    release(store, 1)
    label(store, {"stable": (1,)})
    mirror(store, tmp_path / "pod").look(0)
    (tmp_path / "pod").rename(tmp_path / "moved")
    assert mirror(store, tmp_path / "moved").look(0) == ""
    assert f'base_path: "{tmp_path}/moved/releases"' in served(tmp_path / "moved")
    assert (tmp_path / "moved/serving/current/dataset.yaml").read_text() == "name: shop 1"


def test_a_store_and_its_mirror_that_were_copied_have_nothing_of_the_original(tmp_path: Path) -> None:
    release(str(tmp_path / "one/store"), 1)
    mirror(str(tmp_path / "one/store"), tmp_path / "one/pod").look(0)
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    mirror(str(tmp_path / "two/store"), tmp_path / "two/pod").look(0)
    for name in ("releases/1", "serving/1"):
        assert os.readlink(tmp_path / "two/pod" / name) == str(tmp_path / "two/store" / name)


def test_a_release_without_its_manifest_is_not_seen(store: str, tmp_path: Path) -> None:
    release(store, 1)
    release(store, 2, whole=False)
    assert mirror(store, tmp_path / "pod").look(0) == ""
    assert there(tmp_path / "pod") == [1]
    assert os.readlink(tmp_path / "pod/serving/current") == "1"


def test_without_a_release_it_is_told_what_is_waited_for(store: str, tmp_path: Path) -> None:
    assert "no release yet; a run of the pipeline that passes the gates makes one" in mirror(store, tmp_path / "pod").look(0)
    release(store, 1, state=False)
    assert "no state was published with release 1" in mirror(store, tmp_path / "pod").look(0)
    assert mirror(store, tmp_path / "pod", "--part", "releases").look(0) == ""


def test_a_label_on_a_release_that_is_gone_changes_nothing_and_is_told(tmp_path: Path) -> None:
    release(str(tmp_path / "store"), 1)
    label(str(tmp_path / "store"), {"stable": (1, 2)})
    assert "release 2 is labelled stable, and isn't there" in mirror(str(tmp_path / "store"), tmp_path / "pod").look(0)
    assert not (tmp_path / "pod").exists()


def test_the_parts_can_be_had_alone(tmp_path: Path) -> None:
    release(str(tmp_path / "store"), 1)
    mirror(str(tmp_path / "store"), tmp_path / "a", "--part", "serving").look(0)
    mirror(str(tmp_path / "store"), tmp_path / "b", "--part", "releases").look(0)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["serving"]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["releases"]


def test_the_state_is_that_of_the_release_in_force(store: str, tmp_path: Path) -> None:
    for version in (1, 2):
        release(store, version)
    following = mirror(store, tmp_path / "pod", "--follow")
    for carried, expected in (({}, "2"), ({"stable": (1,)}, "1"), ({"stable": (1, 2)}, "2")):
        if carried:
            label(store, carried)
        assert following.look(0) == ""
        assert os.readlink(tmp_path / "pod/serving/current") == expected
    assert mirror(store, tmp_path / "other", "--only", "newest", "--part", "serving").look(0) == ""
    assert os.readlink(tmp_path / "other/serving/current") == "2"


def test_following_loads_then_moves_the_label_then_lets_go(store: str, tmp_path: Path) -> None:
    pod = tmp_path / "pod"
    following = mirror(store, pod, "--follow", "--settle", "60", "--keep", "0", "--part", "releases")
    release(store, 1)
    label(store, {"canary": (1,)})
    following.look(0)
    release(store, 2)
    label(store, {"canary": (2,)})
    seen = []
    for now in (30, 61, 90, 122, 183, 190, 244):
        following.look(now)
        policy, *labels = served(pod).splitlines()[5:-2]
        seen.append((policy.split("specific { ")[1].split(" }")[0], [line.split('"')[1] + line[-3] for line in labels], there(pod)))
    assert seen == [
        ("versions: 1", ["canary1"], [1, 2]),  # the server has been told of 1 a moment ago
        ("versions: 1 versions: 2", ["canary1"], [1, 2]),
        ("versions: 1 versions: 2", ["canary1"], [1, 2]),
        ("versions: 1 versions: 2", ["canary2"], [1, 2]),
        ("versions: 2", ["canary2"], [1, 2]),
        ("versions: 2", ["canary2"], [1, 2]),  # it may still hold files of 1
        ("versions: 2", ["canary2"], [2]),
    ]


def test_the_newest_are_at_hand_without_being_served(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    for version in (1, 2, 3, 4):
        release(store, version)
    label(store, {"stable": (1,)})
    mirror(store, tmp_path / "pod", "--keep", "2").look(0)
    assert there(tmp_path / "pod") == [1, 3, 4]
    assert "specific { versions: 1 }" in served(tmp_path / "pod")


def test_a_store_that_went_empty_empties_no_pod(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    release(store, 1)
    following = mirror(store, tmp_path / "pod", "--follow", "--settle", "0")
    following.look(0)
    (tmp_path / "store").rename(tmp_path / "away")
    assert "no release yet" in following.look(1)
    assert served(tmp_path / "pod")
    assert os.readlink(tmp_path / "pod/serving/current") == "1"


def test_a_release_that_breaks_off_on_its_way_is_not_there_until_it_is_whole(bucket_store: str, tmp_path: Path) -> None:
    release(bucket_store, 1)
    half = tmp_path / "pod/releases/.publishing-1"
    half.mkdir(parents=True)
    (half / "left by a mirror that was killed").touch()
    mirror(bucket_store, tmp_path / "pod", "--part", "releases").look(0)
    assert sorted(path.name for path in (tmp_path / "pod/releases/1").iterdir()) == ["manifest.json", "saved_model.pb", "variables"]


def test_a_reader_sees_only_whole_releases_while_they_come(bucket_store: str, tmp_path: Path) -> None:
    following = mirror(bucket_store, tmp_path / "pod", "--follow", "--settle", "0", "--keep", "9")
    ended = threading.Event()
    release(bucket_store, 1)
    thread = threading.Thread(target=run, args=(following,), kwargs={"every_s": 0.01, "follow": True, "ended": ended})
    thread.start()
    try:
        for version in range(2, 6):
            release(bucket_store, version)
        until = time.monotonic() + 60
        while (not (tmp_path / "pod/releases").exists() or there(tmp_path / "pod") != [1, 2, 3, 4, 5]) and time.monotonic() < until:
            for path in (tmp_path / "pod/releases").glob("[0-9]*"):
                assert sorted(inner.name for inner in path.iterdir()) == ["manifest.json", "saved_model.pb", "variables"]
    finally:
        ended.set()
        thread.join()
    assert there(tmp_path / "pod") == [1, 2, 3, 4, 5]


def test_a_store_that_fails_while_it_is_followed_is_told_once_and_forgotten_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, ended = str(tmp_path / "store"), threading.Event()
    release(store, 1)
    put(Address.of(store) / "releases/labels.json", "not labels")
    thread = threading.Thread(
        target=run, args=(mirror(store, tmp_path / "pod", "--follow"),), kwargs={"every_s": 0.01, "follow": True, "ended": ended}
    )
    with caplog.at_level(logging.WARNING):
        thread.start()
        time.sleep(0.2)
        label(store, {"stable": (1,)})
        until = time.monotonic() + 60
        while not (tmp_path / "pod/serving/current").exists() and time.monotonic() < until:
            time.sleep(0.01)
        ended.set()
        thread.join()
    assert there(tmp_path / "pod") == [1]
    assert len([record for record in caplog.records if "expected the labels of the releases" in record.message]) == 1


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["http://x/y", "{pod}"], 2, "the mirror can't start: expected a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX, got http://x/y"),
        (["{pod}", "{pod}"], 2, "expected another folder than the store"),
        (["{pod}/store", "{pod}", "--every", "0"], 2, "expected --every above 0"),
        (["{broken}", "{pod}"], 1, "the mirror ends: {broken}/releases/labels.json: expected the labels of the releases"),
    ],
)
def test_what_cannot_be_is_told_by_a_sentence_and_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: list[str], code: int, said: str
) -> None:
    names = {"pod": str(tmp_path / "pod"), "broken": str(tmp_path / "broken")}
    release(names["broken"], 1)
    put(Address.of(names["broken"]) / "releases/labels.json", "not labels")
    monkeypatch.setattr(sys, "argv", ["mirror", *(arg.format(**names) for arg in args)])
    assert main() == code
    assert said.format(**names) in capsys.readouterr().err


def test_an_init_container_waits_for_the_first_release_and_a_sidecar_ends_when_it_is_told(s3: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving.mirror", f"{s3}/shop", str(tmp_path / "pod"), "--every", "0.1"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as once:
        assert once.stderr is not None
        assert f"{s3}/shop/releases: no release yet" in once.stderr.readline()
        release(f"{s3}/shop", 1)
        assert once.wait(60) == 0
    assert there(tmp_path / "pod") == [1]
    with subprocess.Popen([*command, "--follow"], stderr=subprocess.PIPE, text=True, env=env) as sidecar:
        assert sidecar.stderr is not None
        release(f"{s3}/shop", 2)
        while "release 2 is here" not in sidecar.stderr.readline():
            pass
        sidecar.send_signal(signal.SIGTERM)
        assert sidecar.wait(60) == 0


def test_a_pods_process_loads_neither_tensorflow_nor_grpc() -> None:
    heavy = ["tensorflow", "grpc", "tfx", "apache_beam", "pydantic"]
    code = f"import sys, serving.mirror.__main__; print([name for name in {heavy} if name in sys.modules])"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout == "[]\n"
