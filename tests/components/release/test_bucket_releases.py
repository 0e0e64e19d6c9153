"""Releases in a bucket, which knows no rename and no lock."""

import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from components.contract.errors import ShelfRankError
from components.contract.storage.labels import Labels
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import DATASET, complete
from components.release import publish as publishing
from components.release.labels import in_force, label_first, read_labels, to_beat, write_labels
from components.release.manifest import read_manifest
from components.release.publish import content_digest, publish, versions
from components.release.serving_bundle import ServingBundle
from tests.components.release.test_publish import FACTS, model


def state(tmp_path: Path, store: str, dataset: str = "name: shop\n") -> ServingBundle:
    (tmp_path / "state" / "users").mkdir(parents=True, exist_ok=True)
    (tmp_path / "state" / "users" / "0.parquet").write_text("users")
    (tmp_path / "state" / "index.parquet").write_text("index")
    return ServingBundle(dataset, tmp_path / "state", Address.parse(store) / "serving")


def test_a_release_holds_the_models_files_and_a_manifest_that_reads_back(tmp_path: Path, store: str) -> None:
    released = publish(model(tmp_path / "model", "a"), f"{store}/releases", FACTS)
    release = Address.parse(f"{store}/releases/1")
    assert list(release.files()) == ["manifest.json", "saved_model.pb", "variables/variables.index"]
    assert (release / "variables/variables.index").read() == b"a"
    assert read_manifest(release) == released == replace(FACTS, version=1, content=content_digest(tmp_path / "model"))


def test_versions_follow_each_other_and_the_same_again_is_no_new_one(tmp_path: Path, store: str) -> None:
    for weights in ("a", "b", "b", "a"):
        released = publish(model(tmp_path / weights, weights), f"{store}/releases", FACTS)
    assert (released.version, released.parent) == (3, 2)
    assert versions(f"{store}/releases") == (1, 2, 3)


def test_what_the_service_needs_lies_beside_the_release(tmp_path: Path, store: str) -> None:
    publish(model(tmp_path / "model", "a"), f"{store}/releases", FACTS, serving=state(tmp_path, store))
    beside = Address.parse(f"{store}/serving/1")
    assert list(beside.files()) == ["dataset.yaml", "state/index.parquet", "state/users/0.parquet"]
    assert (beside / DATASET).read() == b"name: shop\n"
    assert (beside / "state/users/0.parquet").read() == b"users"


def test_a_release_that_was_published_alone_gets_its_state_when_it_is_published_with_one(tmp_path: Path, store: str) -> None:
    publish(model(tmp_path / "model", "a"), f"{store}/releases", FACTS)
    assert complete(Address.parse(store) / "serving", DATASET) == ()
    assert publish(tmp_path / "model", f"{store}/releases", FACTS, serving=state(tmp_path, store)).version == 1
    assert complete(Address.parse(store) / "serving", DATASET) == (1,)


def test_publishing_again_leaves_the_state_of_a_release_as_it_is(tmp_path: Path, store: str) -> None:
    for dataset in ("name: shop\n", "name: other\n"):
        publish(model(tmp_path / "model", "a"), f"{store}/releases", FACTS, serving=state(tmp_path, store, dataset))
    assert (Address.parse(store) / "serving/1/dataset.yaml").read() == b"name: shop\n"


MOMENTS = ("variables.index", "saved_model.pb", "users/0.parquet", "dataset.yaml", "manifest.json")


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("s3", "manifest.json"),
        *(pytest.param("s3", moment, marks=pytest.mark.slow) for moment in MOMENTS[:-1]),
        *(pytest.param("gs", moment, marks=pytest.mark.slow) for moment in MOMENTS),
    ],
)
def test_a_publisher_killed_at_any_moment_leaves_no_release_and_trying_again_makes_just_the_one(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, moment: str
) -> None:
    bucket_store = f"{request.getfixturevalue(kind)}/shop/one"
    model(tmp_path / "model", "a")
    serving = state(tmp_path, bucket_store)
    killed = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from components.contract.storage.object_store import Address
        from components.release.publish import publish
        from components.release.serving_bundle import ServingBundle
        from tests.components.release.test_publish import FACTS
        def until(verb):
            def done(self, given):
                if self.path.endswith({moment!r}):
                    os.kill(os.getpid(), signal.SIGKILL)
                verb(self, given)
            return done
        Address.upload, Address.write = until(Address.upload), until(Address.write)
        serving = ServingBundle({serving.dataset!r}, Path({str(serving.state)!r}), Address.parse({bucket_store!r}) / "serving")
        publish({str(tmp_path / "model")!r}, {bucket_store + "/releases"!r}, FACTS, serving=serving)
    """)
    ended = subprocess.run([sys.executable, "-c", killed], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert versions(f"{bucket_store}/releases") == ()
    assert publish(tmp_path / "model", f"{bucket_store}/releases", FACTS, serving=serving).version == 1
    assert list(Address.parse(bucket_store).files()) == [
        *("releases/1/manifest.json", "releases/1/saved_model.pb", "releases/1/variables/variables.index"),
        *("serving/1/dataset.yaml", "serving/1/state/index.parquet", "serving/1/state/users/0.parquet"),
    ]


def test_another_models_unfinished_version_is_left_alone_for_an_hour_then_cleared_up(
    tmp_path: Path, bucket_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, serving = Address.parse(f"{bucket_store}/releases"), state(tmp_path, bucket_store)
    (folder / "1" / ".publishing-somebody").write(b"\n")
    (folder / "1" / "saved_model.pb").write(b"half of it")
    serving.put(1)
    assert publish(model(tmp_path / "a", "a"), folder, FACTS, serving=serving).version == 2
    assert list((folder / "1").files()) == [".publishing-somebody", "saved_model.pb"]
    assert versions(folder) == (2,)
    monkeypatch.setattr(publishing, "_ABANDONED", timedelta(seconds=-1))
    assert publish(model(tmp_path / "b", "b"), folder, FACTS, serving=serving).version == 3
    assert list((folder / "1").files()) == []
    assert versions(folder) == (2, 3)
    assert complete(serving.serving, DATASET) == (2, 3)


def test_publishers_at_the_same_time_take_different_numbers(tmp_path: Path, bucket_store: str) -> None:
    folders = [model(tmp_path / weights, weights) for weights in "abcd"]
    with ThreadPoolExecutor(4) as threads:
        released = list(threads.map(lambda folder: publish(folder, f"{bucket_store}/releases", FACTS), folders))
    assert sorted(versions(f"{bucket_store}/releases")) == sorted(each.version for each in released)
    assert len({each.version for each in released}) == 4
    for each, weights in zip(released, "abcd", strict=True):
        assert (Address.parse(f"{bucket_store}/releases/{each.version}/variables/variables.index")).read() == weights.encode()


def test_a_publisher_whose_number_was_taken_away_says_so_and_publishes_nothing(
    tmp_path: Path, bucket_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = state(tmp_path, bucket_store)
    folder = Address.parse(f"{bucket_store}/releases")
    # Somebody clears up while the state is written.
    monkeypatch.setattr(ServingBundle, "put", lambda self, version: (folder / str(version)).delete_folder())
    with pytest.raises(ShelfRankError, match="expected to publish here alone, somebody has cleared it away meanwhile; try again"):
        publish(model(tmp_path / "model", "a"), folder, FACTS, serving=serving)
    assert versions(folder) == ()


def test_the_first_release_becomes_stable_and_later_ones_wait_for_a_promotion(tmp_path: Path, store: str) -> None:
    folder = f"{store}/releases"
    first = publish(model(tmp_path / "a", "a"), folder, FACTS)
    assert read_labels(folder) is None
    label_first(folder, first)
    label_first(folder, publish(model(tmp_path / "b", "b"), folder, FACTS))
    assert read_labels(folder) == Labels("shop", "", {"stable": (1,)})
    assert f'base_path: "{folder}"'.encode() in (Address.parse(folder) / "model_config.txt").read()


def test_in_force_is_what_is_labelled_stable_or_else_the_newest(tmp_path: Path, store: str) -> None:
    folder = f"{store}/releases"
    if "://" not in store:
        Path(folder).mkdir(parents=True)
    assert in_force(folder) is None
    for weights in "ab":
        publish(model(tmp_path / weights, weights), folder, FACTS)
    assert in_force(folder) == 2
    write_labels(Labels("shop", folder, {"canary": (2,)}), folder)
    assert in_force(folder) == 2
    write_labels(Labels("shop", folder, {"stable": (1,), "canary": (2,)}), folder)
    assert in_force(folder) == 1


def test_a_new_model_is_compared_with_the_release_in_force_or_with_the_one_that_it_refreshes(tmp_path: Path) -> None:
    folder = tmp_path / "releases"
    assert to_beat(folder) is None
    for weights, base in (("a", None), ("b", None), ("c", 2), ("d", 2)):
        publish(model(tmp_path / weights, weights), folder, replace(FACTS, base=base))
    assert to_beat(folder) == 2
    write_labels(Labels("shop", str(folder), {"stable": (1,)}), folder)
    assert to_beat(folder) == 1
