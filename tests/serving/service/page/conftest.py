"""Debian's chromium, or whichever is on the path."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CONSOLE = ("error", "warning")


@pytest.fixture(scope="module")  # while it is open no other test could have an event loop
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no browser: there is no `chromium` on the path (Debian: `apt install chromium`)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens the page of a service; nothing may be complained of in its console but what has one of the words in `refusals`."""
    complaints: list[str] = []
    with ExitStack() as stack:

        def go(port: int, *, width: int = 1200, refusals: tuple[str, ...] = (), **settings: Any) -> Page:
            context = browser.new_context(viewport={"width": width, "height": 850}, reduced_motion="reduce", **settings)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(15_000)

            def heard(kind: str, text: str) -> None:
                if kind in CONSOLE and not any(each in text for each in refusals):
                    complaints.append(text)

            page.on("console", lambda message: heard(message.type, message.text))
            page.on("pageerror", lambda error: heard("error", str(error)))
            page.goto(f"http://127.0.0.1:{port}/page/")
            page.wait_for_selector("#shelf > li")
            return page

        yield go
    assert not complaints
