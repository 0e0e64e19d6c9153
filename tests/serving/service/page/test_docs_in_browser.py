"""The documentation in a real browser, which reaches nothing but the service."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.conftest import Started
from tests.serving.service.page.conftest import CONSOLE

CALLS = ["POST /v1/rank", "POST /v1/events", "POST /v1/explain", "DELETE /v1/shoppers/{shopper}"]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """One that complains of any message in its console, and of any request to elsewhere."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 390, "height": 850})

    def only_here(route: Route) -> None:
        if not route.request.url.startswith("http://127.0.0.1:"):
            complaints.append(route.request.url)
        route.continue_()

    context.route("**/*", only_here)
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    opened.on("console", lambda message: complaints.extend([message.text] if message.type in CONSOLE else []))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@pytest.mark.parametrize("prefix", ["", "/shop/ranking"])
def test_the_documentation_shows_every_call_and_sends_one(started: Started, page: Page, prefix: str) -> None:
    service = started(places={"model_server": f"127.0.0.1:{free_port()}"}, path_prefix=prefix, token="secret")
    page.goto(f"http://127.0.0.1:{service.port}{prefix}/docs")
    call = page.locator("details").first
    expect(call.locator("summary")).to_contain_text("POST")
    summaries = [" ".join(text.split()) for text in page.locator("summary").all_inner_texts()]
    assert [wanted for wanted in CALLS if not any(text.startswith(wanted) for text in summaries)] == []
    call.locator("summary").click()
    expect(call).to_contain_text("Ids of products that aren't to be shown")
    body = call.get_by_label("body")
    assert json.loads(body.input_value())["candidates"] == ["p000001", "p000002"]
    body.fill('{"candidates": ["p1", "p0"]}')
    call.get_by_role("button", name="Send").click()
    expect(call.locator("pre")).to_contain_text('"order": [\n  "p1",\n  "p0"\n ]')
    assert page.evaluate("document.documentElement.scrollWidth") <= 390  # nothing is cut on a phone


def test_a_call_that_needs_the_token_is_sent_with_it(started: Started, page: Page) -> None:
    service = started(places={"model_server": f"127.0.0.1:{free_port()}"}, token="secret")
    page.goto(f"http://127.0.0.1:{service.port}/docs")
    page.get_by_label("token").fill("secret")
    call = page.locator("details", has_text="DELETE").first
    call.locator("summary").click()
    call.get_by_label("shopper").fill("a/b c")
    call.get_by_role("button", name="Send").click()
    expect(call.locator("pre")).to_contain_text("204 after")
