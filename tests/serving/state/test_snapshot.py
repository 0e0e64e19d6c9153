"""A snapshot of the store in memory outlives the process, and the pipeline's numbers for items are not the service's."""

from pathlib import Path

import pytest

from components.contract.errors import InputError
from components.state.store import Event
from serving.state import snapshot
from serving.state.item_codes import ItemCodes
from serving.state.memory import MARKS, MemoryStates
from tests.components.state.random_logs import START_US
from tests.serving.state.kinds import PLANS
from tests.serving.state.test_store_behaviour import SECOND, as_bytes, by_name, change, click


def filled() -> tuple[MemoryStates, ItemCodes]:
    codes = ItemCodes(["i0", "i1"])
    store = MemoryStates(PLANS, codes)
    for second, item in enumerate(["i1", "i0", "new", "i1", "newer"]):
        store.record(change(Event("u", START_US + second * SECOND, "click", codes.code(item)), items=(Event(item, START_US, "click"),)))
    return store, codes


def history(store: MemoryStates, codes: ItemCodes) -> list[str]:
    user = store.known("u", [], START_US + 9 * SECOND).user
    return [codes.name(code) for code in user.history_item[0, : user.history_len[0]].tolist()]


def test_a_store_goes_on_from_its_snapshot_with_items_numbered_otherwise(tmp_path: Path) -> None:
    store, codes = filled()
    snapshot.save(store.snapshot(), tmp_path / "state")
    other = ItemCodes(["newer", "x", "i0", "i1"])
    restored = MemoryStates(PLANS, other, snapshot.load(tmp_path / "state", PLANS, other))
    assert history(store, codes) == history(restored, other) == ["new", "i1", "newer"]
    for each, numbers in ((store, codes), (restored, other)):
        each.record(change(Event("u", START_US + 7 * SECOND, "click", numbers.code("x"))))
    assert history(store, codes) == history(restored, other) == ["i1", "newer", "x"]
    one, two = (each.known("u", ["i0", "i1", "new"], START_US + 9 * SECOND) for each in (store, restored))
    assert one.user.values.tobytes() == two.user.values.tobytes()
    assert one.items is not None
    assert two.items is not None
    assert as_bytes(one.items) == as_bytes(two.items)


def test_a_snapshot_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    store, _ = filled()
    for _ in range(2):
        snapshot.save(store.snapshot(), tmp_path / "state")
        store.record(click("u", 10))
    loaded = MemoryStates(PLANS, codes := ItemCodes(), snapshot.load(tmp_path / "state", PLANS, codes))
    assert by_name(PLANS.users, loaded.known("u", [], START_US).user)["total_click"] == [6]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_save_that_was_stopped_between_its_last_steps_leaves_the_old_snapshot(tmp_path: Path) -> None:
    store, _ = filled()
    snapshot.save(store.snapshot(), tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "state.replaced")
    codes = ItemCodes()
    assert history(MemoryStates(PLANS, codes, snapshot.load(tmp_path / "state", PLANS, codes)), codes) == ["new", "i1", "newer"]


def test_a_folder_without_a_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a feature state in .*index.parquet can't be read"):
        snapshot.load(tmp_path, PLANS, ItemCodes())


def test_repetitions_are_told_among_the_newest_changes() -> None:
    store = MemoryStates(PLANS, ItemCodes())
    first = change(mark=b"first".ljust(16))
    assert store.record(first)
    for n in range(MARKS - 1):
        store.record(change(mark=n.to_bytes(16)))
    assert not store.record(first)
    store.record(change(mark=b"last".ljust(16)))
    assert store.record(first)
