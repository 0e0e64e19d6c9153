"""What the page asks for: there only where the service has the page, and true to the shop."""

import re
from pathlib import Path

import pytest

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from serving.service.__main__ import parser
from serving.service.page.page import context_features, read_values
from serving.service.page.products import Products, title_feature
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import BRANDS, ITEMS, SHOP, catalogue, dataset
from tests.serving.service.ranking.test_arms_and_rules import files

PAGE = Path(__file__).resolve().parents[4] / "serving" / "service" / "page"


def test_without_the_page_there_are_no_such_routes_and_no_version_can_be_asked_for(started: Started) -> None:
    service = started()
    assert {service.get(path).status for path in ("/", "/page/", "/page/choices", "/page/shopper", "/page/products")} == {404}
    for route in ("rank", "explain"):
        refused = service.post(f"/v1/{route}", {"candidates": ITEMS, "version": 1})
        assert refused.status == 400
        assert "`--page`" in refused.json["error"]


def test_a_request_gets_the_version_that_it_names_whatever_the_shoppers_arm(started: Started, tmp_path: Path) -> None:
    service = started(page=True, places=files(tmp_path, "baseline: shuffle"), previous="previous")
    usual = service.rank(*ITEMS[:4], shopper="a")
    assert (usual["rung"], usual["version"], usual["label"]) == ("baseline", None, "")
    for version, order in ((1, ITEMS[:4]), (2, ITEMS[3::-1])):
        named = service.rank(*ITEMS[:4], shopper="a", version=version)
        assert (named["order"], named["version"], named["label"], named["rung"]) == (order, version, f"version {version}", "model")
    told = service.post("/v1/explain", {"candidates": ["p2"], "version": 2}).json
    assert told["version"] == 2


def test_a_version_that_is_not_there_has_no_other_versions_stand_in(started: Started) -> None:
    answer = started(page=True, previous="previous").rank("p0", "p1", version=9)
    assert (answer["version"], answer["degraded"], answer["reason"]) == (None, True, "given (version 9: refused)")


def test_the_choices_are_those_of_the_shop(started: Started, tmp_path: Path) -> None:
    (tmp_path / "values").write_text("brand=Kelso\ndevice=mobile\nnonsense\ndevice=a=b\n")
    told = started(page=True, places={"page_values": tmp_path / "values"}).get("/page/choices").json
    assert told == {
        "shop": "little",
        "shoppers": [{"id": "a", "facts": {"country": "DE"}}, {"id": "b", "facts": {"country": "FR"}}],
        "context": [{"name": "device", "values": ["mobile", "a=b"]}],
        "actions": ["click"],
        "versions": [3, 2, 1],
        "label": "stable",
        "guarded": False,
        "fault": "",
    }


def test_without_a_model_server_there_are_no_versions_and_the_fault_is_told(started: Started) -> None:
    told = started(page=True, places={"model_server": "127.0.0.1:1"}, token="secret").get("/page/choices").json
    assert (told["versions"], told["guarded"]) == ([], True)
    assert "127.0.0.1:1" in told["fault"]


def test_products_are_drawn_by_seed_and_found_by_what_they_say(shop: Shop, started: Started) -> None:
    service = started(page=True)
    draws = [[each["id"] for each in service.get(f"/page/products?count=4&seed={seed}").json] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) == 4
    kelso = service.get("/page/products?text=%20kelsO").json
    assert sorted(each["id"] for each in kelso) == [item for item, brand in zip(ITEMS, BRANDS, strict=True) if brand == "Kelso"]
    assert service.get("/page/products?text=p3").json == [{"id": "p3", "title": "p3", "facts": {"brand": "Kelso", "price": "40"}}]
    (known, unknown) = Products(dataset(), catalogue(shop.state)).by_ids(["p0", "new"], 0)
    assert known.facts == {"brand": "Alder", "tags": "new, sale", "price": "10"}
    assert (unknown.title, unknown.facts) == ("new", {})
    assert service.get("/page/products?count=0").status == 422


@pytest.mark.parametrize(
    ("features", "title"),
    [
        ("- {name: words, kind: text, side: item}\n  - {name: name, kind: category, side: item}", "name"),
        ("- {name: name, kind: text, side: item}\n  - {name: title, kind: text, side: item}", "title"),
        ("- {name: words, kind: text, side: item}", "words"),
        ("- {name: title, kind: number, side: item}", None),
    ],
)
def test_the_title_is_what_is_called_so_else_the_first_text_else_none(features: str, title: str | None) -> None:
    assert title_feature(parse_dataset(f"{SHOP}  {features}\n")) == title


def test_what_is_known_of_a_shopper_moves_with_his_clicks(started: Started) -> None:
    service = started(page=True)
    told = service.get("/page/shopper?shopper=a").json
    assert told == {"facts": {"country": "DE"}, "known": True, "interactions": 0, "history": []}
    for item in ("p1", "p2"):
        service.post("/v1/events", {"interactions": [{"action": "click", "item": item, "shopper": "a"}]})
    told = service.get("/page/shopper?shopper=a").json
    assert told["interactions"] == 2
    assert [(each["action"], each["fields"]) for each in told["history"]] == [
        ("click", {"brand": "Alder", "price": "30"}),
        ("click", {"brand": "Kelso", "price": "20"}),
    ]
    assert service.get("/page/shopper").json["interactions"] == 0  # a guest


def test_clocks_and_what_is_shown_are_no_context_to_choose() -> None:
    assert context_features(dataset()) == ["device"]


def test_a_file_of_values_that_is_not_there_is_told_of() -> None:
    with pytest.raises(InputError, match="expected lines FEATURE=VALUE"):
        read_values(Path("nowhere"), dataset())


def test_the_page_takes_nothing_from_elsewhere(started: Started) -> None:
    service = started(page=True)
    assert service.get("/").headers["location"] == "/page/"
    for path, kind in (("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript"), ("dom.js", "text/javascript")):
        answer = service.get(f"/page/{path}")
        assert answer.headers["content-type"].startswith(kind)
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", answer.body.decode())
    assert not [name for name in ("page.js", "dom.js", "docs.js") if "innerHTML" in (PAGE / name).read_text()]


def test_the_switch_takes_a_file_or_none() -> None:
    needed = ["shop.yaml", "--state=s", "--model-server=h:1", "--model=m"]
    given = [parser().parse_args([*needed, *switch]).page for switch in ([], ["--page"], ["--page=values"])]
    assert given == [None, "", "values"]
