"""The page in a real browser, over a real service and model server."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import BRANDS, ITEMS, PRICES
from tests.serving.service.page.conftest import Visit
from tests.serving.service.running import Service

BEST_FIRST = ITEMS[::-1]  # by price, as version 2 has it while nothing is clicked


def shown(page: Page) -> list[str]:
    return [str(each) for each in page.eval_on_selector_all("#shelf > li", "items => items.map(item => item.dataset.id)")]


def moved(page: Page) -> dict[str, str]:
    marks = page.eval_on_selector_all(
        "#shelf > li", "items => items.map(item => [item.dataset.id, item.querySelector('.moved').textContent])"
    )
    return {item: mark for item, mark in marks if mark}


def order_is(page: Page, wanted: list[str]) -> None:
    page.wait_for_function(
        "wanted => [...document.querySelectorAll('#shelf > li')].map(item => item.dataset.id).join() === wanted", arg=",".join(wanted)
    )


def until_model(service: Service) -> None:
    """A model server that has just started loads; the connection to one that was gone is tried again within a second."""
    end = time.monotonic() + 60
    while service.rank(*ITEMS)["rung"] != "model":
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_shelf_is_what_the_service_answers_with_scores_and_reasons(started: Started, visit: Visit) -> None:
    service = started(page=True)
    page = visit(service.port)
    answer = service.rank(*ITEMS, shopper="a")
    assert shown(page) == answer["order"] == BEST_FIRST
    assert page.locator("#shelf > li .score b").all_inner_texts() == [f"{score:.3f}" for score in answer["scores"]]
    expect(page.locator("#rung")).to_have_text("model")
    expect(page.locator("#version")).to_have_text("2 (stable)")
    expect(page.locator("#latency")).to_contain_text("ms")
    expect(page.locator("#interactions")).to_have_text("A stranger: no interactions yet.")
    told = service.post("/v1/explain", {"candidates": BEST_FIRST, "shopper": "a"}).json
    first = page.locator("#shelf > li").first.locator(".why li")
    expect(first.first).to_contain_text(f"price 60, the dearest of this list+{told['reasons'][0][0]['effect']:.3f}")
    width = first.first.locator(".bar i").evaluate("bar => parseFloat(bar.style.width)")
    effects = [reasons[0]["effect"] for reasons in told["reasons"]]
    assert width == pytest.approx(50 * effects[0] / max(map(abs, effects)), rel=1e-3)  # the largest of all has the whole half
    expect(first.last).to_have_text("above the next: dearer: 60 against 50")


def test_a_click_is_an_event_and_the_shelf_moves(started: Started, visit: Visit) -> None:
    service = started(page=True)
    page = visit(service.port)
    page.select_option("#shopper", "b")
    expect(page.locator("#facts")).to_have_text("country FR")
    page.get_by_role("button", name="click: p0").click()
    order_is(page, ["p5", "p4", "p3", "p2", "p0", "p1"])  # log 10 + 1 lies between log 20 and log 30
    assert moved(page) == {"p0": "▲ 1", "p1": "▼ 1"}
    expect(page.locator("#told")).to_have_text("click: p0 goes from 6 to 5; 2 of 6 moved")
    expect(page.locator("#past > li")).to_have_count(1)
    assert service.rank("p0", shopper="a")["scores"][0] == pytest.approx(np.log(10) + 1, abs=1e-6)
    assert service.get("/page/shopper?shopper=b").json["interactions"] == 1
    assert service.counted('shelfrank_actions_total{action="click",served_by="stable"}') == 1
    assert service.counted('shelfrank_shown_total{served_by="stable"}') == 1
    page.get_by_role("button", name="click: p0").press("Enter")
    expect(page.locator("#past > li")).to_have_count(2)
    assert shown(page) == service.rank(*ITEMS, shopper="b")["order"]
    assert page.evaluate("document.activeElement.dataset.act") == "click p0"  # whoever uses the keyboard stays where he is


def test_another_version_ranks_when_it_is_chosen(started: Started, visit: Visit) -> None:
    page = visit(started(page=True).port, refusals=("status of 503",))
    assert page.locator("#asked-version option").all_inner_texts() == ["as usual (stable, 2)", "version 3", "version 2", "version 1"]
    page.select_option("#asked-version", "1")
    order_is(page, ITEMS)
    expect(page.locator("#version")).to_have_text("1")
    expect(page.locator("#trouble")).to_contain_text("reasons: the model server")  # version 1 can't explain
    page.select_option("#asked-version", "3")  # whose scores are no numbers
    expect(page.locator("#rung")).to_have_text("given, degraded")
    page.select_option("#asked-version", "")
    order_is(page, BEST_FIRST)
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_model_server_that_is_gone_is_seen_and_one_that_is_back_too(shop: Shop, started: Started, visit: Visit) -> None:
    config = ServerConfig(model_config_file=shop.models.parent / "models.config", labels_for_unavailable=True, rest_port=None)
    with ModelServer(config) as server:
        port = server.grpc_port
        service = started(page=True, places={"model_server": f"127.0.0.1:{port}"}, deadline_ms=30_000)
        until_model(service)
        page = visit(service.port, refusals=("status of 503",))
        expect(page.locator("#rung")).to_have_text("model")
    page.get_by_role("button", name="Rank again").click()
    expect(page.locator("#rung")).to_have_text("given, degraded")
    expect(page.locator("#version")).to_have_text("none")
    expect(page.locator("#trouble")).to_contain_text("degraded: given (stable: unreachable)")
    # What no model gave has no score, and nothing that speaks for it; the page says so.
    expect(page.locator("#stand-in")).to_have_text(
        "The model didn't order this shelf: the products stand in the order in which they were asked about. "
        "So there are no scores and no reasons."
    )
    assert page.locator("#shelf > li").count() == len(ITEMS)
    assert page.locator("#shelf .score b, #shelf .bar, #shelf .why li").count() == 0
    expect(page.locator("#spark circle.degraded")).to_have_count(1)
    with ModelServer(replace(config, grpc_port=port)):
        until_model(service)
        page.get_by_role("button", name="Rank again").click()
        expect(page.locator("#rung")).to_have_text("model")
        expect(page.locator("#trouble")).to_be_hidden()
        expect(page.locator("#stand-in")).to_be_hidden()
        expect(page.locator("#shelf .score b")).to_have_count(len(ITEMS))


def test_what_went_wrong_is_forgotten_when_the_next_thing_goes_well(started: Started, visit: Visit) -> None:
    page = visit(started(page=True).port, refusals=("net::ERR_FAILED",))
    page.route("**/v1/events", lambda route: route.abort())
    page.get_by_role("button", name="click: p0").click()
    expect(page.locator("#trouble")).to_have_text("event: the service doesn't answer; does it still run?")
    page.get_by_role("button", name="Rank again").click()
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_page_whose_service_is_not_there_yet_comes_when_it_is(started: Started, visit: Visit) -> None:
    page = visit(started(page=True).port, refusals=("net::ERR_FAILED",))
    page.route("**/page/choices", lambda route: route.abort(), times=1)
    page.reload()
    expect(page.locator("#trouble")).to_have_text("choices: the service doesn't answer; does it still run?")
    expect(page.locator("#shelf > li")).to_have_count(len(ITEMS))
    expect(page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize(
    ("field", "wrong", "said"),
    [
        ("count", "1", "how many: a whole number from 2 to 200, please"),
        ("count", "2.5", "how many: a whole number from 2 to 200, please"),
        ("count", "", "how many: a whole number from 2 to 200, please"),
        ("seed", "-1", "seed: a whole number from 0 to 999999, please"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_words_and_not_asked(field: str, wrong: str, said: str, started: Started, visit: Visit) -> None:
    page = visit(started(page=True).port)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.fill(f"#{field}", wrong)
    page.locator(f"#{field}").press("Tab")
    expect(page.locator("#trouble")).to_have_text(said)
    expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    assert asked == []
    page.fill(f"#{field}", "3")
    page.locator(f"#{field}").press("Tab")
    expect(page.locator("#trouble")).to_be_hidden()


def test_an_id_that_no_service_takes_is_refused_in_words(started: Started, visit: Visit) -> None:
    page = visit(started(page=True).port, refusals=("status of 422",))
    page.select_option("#shopper", "…another")
    page.locator("#typed").evaluate("field => { field.maxLength = 999; field.value = 'x'.repeat(201); }")
    page.locator("#typed").dispatch_event("change")
    expect(page.locator("#trouble")).to_contain_text(
        "rank: an id, a text or a number isn't one that the service takes: up to 200 characters"
    )


def test_there_is_nothing_to_press_that_cannot_work(started: Started, visit: Visit) -> None:
    page = visit(started(page=True, token="secret").port)
    expect(page.get_by_role("button", name="click: p0")).to_be_disabled()
    expect(page.get_by_role("button", name="click: p0")).to_have_attribute(
        "title", "events need the service's token; enter it beside the shelf"
    )
    page.fill("#token", "secret")
    expect(page.get_by_role("button", name="click: p0")).to_be_enabled()
    page.fill("#text", "nothing is called so")
    page.locator("#text").press("Tab")
    expect(page.locator("#told")).to_have_text("no product has that")
    expect(page.get_by_role("button", name="Rank again")).to_be_disabled()
    page.fill("#text", "")
    page.locator("#text").press("Tab")
    expect(page.get_by_role("button", name="Rank again")).to_be_enabled()


def test_what_a_shop_calls_its_products_stays_text(shop: Shop, started: Started, visit: Visit, tmp_path: Path) -> None:
    wicked = "<script>window.hacked = 1</script>"
    picture = "<img src=x onerror='window.hacked = 1'>"
    state = shutil.copytree(shop.state, tmp_path / "state")
    text = lambda values: pa.array(values, pa.large_string())  # noqa: E731
    items = {
        "item": text([wicked, *ITEMS[1:]]),
        "brand": text([picture, *BRANDS[1:]]),
        "tags": text([""] * 6),
        "price": pa.array(PRICES, pa.float32()),
    }
    pq.write_table(pa.table(items), state / "catalogue" / "items.parquet")
    page = visit(started(page=True, places={"state": state}).port)
    expect(page.locator("#shelf .name").last).to_have_text(wicked)
    expect(page.locator("#shelf > li").last.locator(".facts")).to_contain_text(picture)
    page.get_by_role("button", name=f"click: {wicked}").click()
    expect(page.locator("#told")).to_contain_text(wicked)
    expect(page.locator("#past > li")).to_contain_text(picture)
    assert page.locator("main script, main img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_context_and_products_are_chosen(started: Started, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "values").write_text("device=mobile\ndevice=desktop\n")
    page = visit(started(page=True, places={"page_values": tmp_path / "values"}).port)
    with page.expect_request("**/v1/rank") as sent:
        page.select_option("select[name=device]", "desktop")
    assert sent.value.post_data_json["context"] == {"device": "desktop"}
    page.fill("#text", "kelso")
    page.locator("#text").press("Tab")
    order_is(page, ["p5", "p3", "p1"])
    page.select_option("#shopper", "…another")
    with page.expect_request("**/v1/rank") as sent:
        page.fill("#typed", "somebody")
        page.locator("#typed").press("Tab")
    assert sent.value.post_data_json["shopper"] == "somebody"


def test_events_need_the_token_of_the_service(started: Started, visit: Visit) -> None:
    service = started(page=True, token="secret")
    page = visit(service.port, refusals=("status of 401",))
    page.fill("#token", "guessed")
    page.get_by_role("button", name="click: p0").click()
    expect(page.locator("#trouble")).to_contain_text("event: expected the service's token")
    page.fill("#token", "secret")
    page.get_by_role("button", name="click: p0").click()
    expect(page.locator("#told")).to_contain_text("click: p0 goes from 6 to 5")
    expect(page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_nothing_is_cut_or_wider_than_the_screen(width: int, shop: Shop, started: Started, visit: Visit, tmp_path: Path) -> None:
    long = "a_name_without_a_space_that_is_longer_than_any_column_of_the_page_is_wide_on_any_screen"
    state = shutil.copytree(shop.state, tmp_path / "state")
    items = pq.read_table(state / "catalogue" / "items.parquet")
    for column in ("brand", "tags"):
        place = items.schema.get_field_index(column)
        items = items.set_column(place, column, pa.array([long] * len(items), pa.large_string()))
    pq.write_table(items, state / "catalogue" / "items.parquet")
    page = visit(started(page=True, places={"state": state}).port, width=width)
    if width <= 720:  # on a phone the choices open on a tap
        assert not page.locator("#asked").is_visible()
        page.locator("summary").click()
    page.select_option("#shopper", "…another")
    page.locator("#typed").fill(long)
    page.locator("#typed").press("Tab")
    page.get_by_role("button", name="click: p0").click()
    expect(page.locator("#past > li")).to_have_count(1)
    expect(page.locator("#shelf .why li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    every = "[...document.body.querySelectorAll('*:not(svg *):not(input):not(option)')]"  # what is typed may be longer than its field
    cut = "each => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display != 'inline'"
    assert page.evaluate(f"{every}.filter({cut}).map(each => each.outerHTML.slice(0, 200))") == []
    beyond = "each => each.getBoundingClientRect().right > innerWidth + 0.5"
    assert page.evaluate(f"{every}.filter({beyond}).map(each => each.outerHTML.slice(0, 200))") == []
