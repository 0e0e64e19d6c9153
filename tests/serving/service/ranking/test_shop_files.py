"""Rules, experiments, sources and stock while the service runs; guests in experiments; products left out; pages after the first."""

import json
import os
import time
from pathlib import Path

import pytest

from components.contract.errors import ServiceFileError
from serving.experiments.assign import assign, randomization_unit
from serving.experiments.file import parse_experiments
from serving.features.events import Changes, ImpressionList
from serving.service.ranking import shop_files
from serving.service.ranking.shop_files import LiveShopFiles, read_out_of_stock, read_shop_files
from serving.service.settings import Locations
from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import ITEMS, catalogue, dataset
from tests.serving.service.running import Service

NOW_US = 1_770_000_000_000_000
EXPERIMENTS = """\
salt: little
{guests}
layers:
  - name: ranker
    experiments:
      - name: split
        traffic: 100%
        arms: [{{name: one, share: 50%, {one}}}, {{name: other, share: 50%}}]
"""
RULES = "sets: {{{name}: [{{name: first, kind: pin, place: 0, items: [{item}]}}]}}\n"
SOURCES = "sources: {{best: {{kind: list, items: [{items}]}}}}\n"


def written(folder: Path) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    (folder / "rules.yaml").write_text(RULES.format(name="default", item="p3"))
    (folder / "experiments.yaml").write_text(EXPERIMENTS.format(guests="", one="baseline: keep-order"))
    (folder / "sources.yaml").write_text(SOURCES.format(items="p1, p2"))
    (folder / "stock.txt").write_text("")
    names = {"rules": "rules.yaml", "experiments": "experiments.yaml", "sources": "sources.yaml", "out_of_stock": "stock.txt"}
    return {key: folder / name for key, name in names.items()}


def replace(path: Path, text: str) -> None:
    """As whoever writes a file that others read does."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, path)


@pytest.fixture
def live(shop: Shop, tmp_path: Path) -> tuple[LiveShopFiles, dict[str, Path], list[bool]]:
    files, taken = written(tmp_path), list[bool]()
    places = Locations(dataset=shop.dataset, state=shop.state, model_server="x:1", model="shop", **files)  # type: ignore[arg-type]
    found = read_shop_files(places, dataset())
    return LiveShopFiles(places, dataset(), loaded=found, activate=lambda said, _: said, on_change=taken.append), files, taken  # type: ignore[arg-type, return-value]


def test_a_change_is_in_force_as_a_whole(live: tuple[LiveShopFiles, dict[str, Path], list[bool]]) -> None:
    shop, files, taken = live
    shop.refresh()
    assert taken == []
    replace(files["rules"], RULES.format(name="new", item="p1"))
    replace(files["experiments"], EXPERIMENTS.format(guests="", one="rules: new"))
    replace(files["out_of_stock"], "p0\n108.0\n\n")
    replace(files["sources"], SOURCES.format(items="p5"))
    shop.refresh()
    assert taken == [True]
    assert list(shop.now.rules.sets) == ["new"]  # type: ignore[attr-defined]
    assert shop.now.experiments is not None
    assert shop.now.experiments.layers[0].experiments[0].arms[0].rules == "new"
    assert shop.now.out_of_stock == {"p0", "108"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rules", "sets: {default: [{name: x, kind: pinn}]}"),
        ("rules", RULES.format(name="default", item="p3")[:-8]),  # half of a file
        ("experiments", EXPERIMENTS.format(guests="", one="rules: unheard")),
        ("experiments", EXPERIMENTS.format(guests="guests: unheard", one="model: canary")),
        ("sources", "sources: {best: {kind: list}}"),
        ("out_of_stock", None),
    ],
)
def test_a_change_that_is_wrong_leaves_all_as_it_was(
    live: tuple[LiveShopFiles, dict[str, Path], list[bool]], name: str, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    shop, files, taken = live
    before, good = shop.now, files[name].read_text()
    replace(files["sources"], SOURCES.format(items="p5"))  # which is right, and waits for the others
    if text is None:
        files[name].unlink()
    else:
        replace(files[name], text)
    shop.refresh()
    shop.refresh()  # a fault is said once, not at each look
    assert (shop.now, shop.failing(), taken) == (before, ["shop files"], [False])
    assert len([record for record in caplog.records if str(files[name]) in record.getMessage()]) == 1
    replace(files[name], good)
    shop.refresh()
    assert (shop.failing(), taken) == ([], [False, True])


def test_a_running_service_follows_its_files(started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop_files, "EVERY_S", 0.01)
    files = written(tmp_path / "files")
    service = started(places={**files, "model_server": f"127.0.0.1:{free_port()}"})
    assert service.rank(*ITEMS)["order"][0] == "p3"
    replace(files["rules"], RULES.format(name="default", item="p4"))
    wait_until(lambda: service.rank(*ITEMS)["order"][0] == "p4")
    replace(files["sources"], SOURCES.format(items="p5"))
    wait_until(lambda: service.post("/v1/rank", {"source": "best"}).json["order"] == ["p5"])
    replace(files["out_of_stock"], "p4\n")
    wait_until(lambda: "p4" not in service.rank(*ITEMS)["order"])
    assert service.rank(*ITEMS)["rules"] == ["out_of_stock"]
    replace(files["experiments"], "salt: [")
    wait_until(lambda: "shop files" in service.get("/health/ready").json["failing"])
    assert service.counted('shelfrank_failing{what="shop files"}') == 1
    assert service.counted('shelfrank_shop_files_total{outcome="refused"}') == 1
    assert service.counted('shelfrank_shop_files_total{outcome="taken"}') == 3
    assert service.rank("p0", "p1", shopper="a")["arms"].keys() == {"split"}  # as before


def wait_until(holds: object) -> None:
    until = time.monotonic() + 30
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_file_of_stock_is_ids_by_the_rule_of_ids(tmp_path: Path) -> None:
    (tmp_path / "stock.txt").write_bytes(b"\xef\xbb\xbfp1\r\n p2 \n\n108.0\n")
    assert read_out_of_stock(tmp_path / "stock.txt") == {"p1", "p2", "108"}
    (tmp_path / "stock.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ServiceFileError, match="can't be read as a text file"):
        read_out_of_stock(tmp_path / "stock.txt")
    with pytest.raises(ServiceFileError, match="write an id a line"):
        read_out_of_stock(tmp_path / "none.txt")


def test_guests_are_drawn_by_what_the_file_names() -> None:
    def arms_of(guests: str, shopper: str = "", session: str = "", **context: object) -> dict[str, str]:
        made = parse_experiments(EXPERIMENTS.format(guests=guests, one="model: m"), rule_sets=[], guests=["session", "device"])
        return assign(made, randomization_unit(made, shopper, session=session, context=context), time_us=0).arms

    assert arms_of("", session="s1") == {}
    assert arms_of("guests: session") == {}  # a guest of whom nothing is known
    by_session = [arms_of("guests: session", session=f"s{n}")["split"] for n in range(400)]
    assert 150 < by_session.count("one") < 250
    assert by_session == [arms_of("guests: session", session=f"s{n}", device=str(n))["split"] for n in range(400)]
    assert arms_of("guests: device", device=108.0) == arms_of("guests: device", device="108")
    assert arms_of("guests: device", device=["d"]) == {}
    # Whoever has an id is drawn by it alone, and an id is nobody's session.
    assert all(arms_of("guests: session", "a", session=f"s{n}") == arms_of("", "a") for n in range(20))
    assert [arms_of("", f"s{n}")["split"] for n in range(400)] != by_session


def test_a_guests_arm_ranks_is_answered_and_counted(started: Started, tmp_path: Path) -> None:
    files = written(tmp_path / "files")
    files["experiments"].write_text(EXPERIMENTS.format(guests="guests: device", one="baseline: keep-order"))
    service = started(places={"experiments": files["experiments"], "log": tmp_path / "log"})
    arms = {device: service.rank("p0", "p5", context={"device": device}) for device in ("phone", "tablet", "watch", "tv", "car", "fridge")}
    assert {answer["arms"]["split"] for answer in arms.values()} == {"one", "other"}
    for answer in arms.values():
        assert answer["order"] == (["p0", "p5"] if answer["arms"]["split"] == "one" else ["p5", "p0"])
    shown = sum(answer["arms"]["split"] == "one" for answer in arms.values())
    for device in arms:
        click = {"action": "click", "item": "p0", "request": "r", "context": {"device": device}}
        assert service.post("/v1/events", {"interactions": [click]}).status == 200
    assert service.counted('shelfrank_arm_actions_total{action="click",arm="one",experiment="split"}') == shown
    service.stop()
    logged = [json.loads(line)["arms"] for path in (tmp_path / "log").glob("decisions-*.jsonl") for line in path.read_text().splitlines()]
    assert [each["split"] for each in logged] == [answer["arms"]["split"] for answer in arms.values()]


@pytest.fixture
def without_model(started: Started, tmp_path: Path) -> Service:
    files = written(tmp_path / "files")
    places = {"rules": files["rules"], "sources": files["sources"], "model_server": f"127.0.0.1:{free_port()}", "log": tmp_path / "log"}
    return started(places=places)


def test_products_left_out_by_request_are_not_shown_whatever_the_rules_pin(without_model: Service) -> None:
    answer = without_model.rank("p0", "p3", "p1", exclude=["p3", "unheard"])
    assert (answer["order"], answer["rules"]) == (["p0", "p1"], ["excluded"])
    assert without_model.rank("p0", exclude=["p0"])["order"] == []


def test_a_source_gives_the_next_ones_in_place_of_those_left_out(started: Started, tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text(
        "sources: {best: {kind: popular, most: 2}, alike: {kind: similar, most: 2}, listed: {kind: list, items: [p0, p1, p2], most: 2}}"
    )
    (tmp_path / "stock.txt").write_text("p1\n")
    service = started(
        places={
            "sources": tmp_path / "sources.yaml",
            "out_of_stock": tmp_path / "stock.txt",
            "model_server": f"127.0.0.1:{free_port()}",
        }
    )

    def given(source: str, **asked: object) -> set[str]:
        return set(service.post("/v1/rank", {"source": source, **asked}).json["order"])

    assert given("listed", exclude=["p0"]) == {"p2"}
    assert given("listed") == {"p0", "p2"}
    assert given("best", exclude=["p0"]) == {"p2", "p3"}
    assert given("alike", about="p0", exclude=["p2"]) & {"p0", "p1", "p2"} == set()
    assert len(given("alike", about="p0", exclude=["p2"])) == 2
    everything = service.post("/v1/rank", {"source": "listed", "exclude": ITEMS})
    assert (everything.status, everything.json["error"][:41]) == (400, "source 'listed' has no product for this r")


def rows(log: Path, kind: str) -> list[dict[str, object]]:
    return [json.loads(line) for path in sorted(log.glob(f"{kind}-*.jsonl")) for line in path.read_text().splitlines()]


def test_a_later_page_has_its_places(without_model: Service, tmp_path: Path) -> None:
    first = without_model.rank("p0", "p1", shopper="a", places=2)
    without_model.rank("p2", "p4", shopper="a", request=first["request"], places=2, first_position=2)
    listed = {"request": "r2", "items": ["p0", "p5"], "shopper": "a", "first_position": 48}
    assert without_model.post("/v1/events", {"impressions": [listed]}).status == 200
    without_model.stop()
    log = tmp_path / "log"
    assert [(row["item"], row["position"]) for row in rows(log, "impressions")] == [("p0", 0), ("p1", 1), ("p2", 2), ("p4", 3)]
    assert [(row["item"], row["position"]) for row in rows(log, "interactions")] == [("p0", 48), ("p5", 49)]
    assert [row.get("first_position", 0) for row in rows(log, "decisions")] == [0, 2]


def test_a_second_page_of_a_request_is_no_repetition_of_the_first(shop: Shop) -> None:
    changes = Changes(dataset(), catalogue(shop.state))

    def mark(first_position: int) -> bytes:
        shown = ImpressionList(shopper="a", request="r", items=["p0"], time_us=NOW_US, first_position=first_position)
        change = changes.from_event(shown, now_us=NOW_US)
        assert change is not None
        return change.mark

    assert mark(0) == mark(0) != mark(24) == mark(24)
