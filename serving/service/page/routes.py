"""Define the page's routes: its files, and its own calls. They are no part of the documented API."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from serving.service.page.page import Page
from serving.service.schemas import Id, Name

MAX_PRODUCTS = 200
HEADERS = {
    # No other origin and no inline script: a product's title can't run as a script.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_FILES = {
    "": ("page.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "page.js": ("page.js", "text/javascript"),
    "dom.js": ("dom.js", "text/javascript"),
}


def page_routes(page: Callable[[], Page]) -> APIRouter:
    """Return the routes under `/page/`; `page` returns the page of the running service."""
    routes = APIRouter(include_in_schema=False)
    for path, (name, kind) in _FILES.items():
        routes.add_api_route(f"/page/{path}", file_endpoint(Path(__file__).with_name(name).read_bytes(), kind), methods=["GET"])

    @routes.get("/")
    async def home(request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/page/")

    @routes.get("/page/choices")
    async def choices() -> dict[str, Any]:
        return await page().choices()

    @routes.get("/page/shopper")
    async def shopper(shopper: Id = "", session: Id = "") -> dict[str, Any]:
        return await page().shopper(shopper, session)

    # Not async, so that it runs on a thread: it searches the whole catalogue.
    @routes.get("/page/products")
    def products(
        count: Annotated[int, Query(ge=1, le=MAX_PRODUCTS)] = 24, seed: Annotated[int, Query(ge=0, le=1 << 32)] = 1, text: Name = ""
    ) -> list[dict[str, Any]]:
        return [asdict(each) for each in page().sample_products(count, seed=seed, text=text)]

    return routes


def file_endpoint(content: bytes, kind: str) -> Callable[[], Any]:
    """Return an endpoint that serves a file of a page."""

    async def answer() -> Response:
        return Response(content, media_type=kind, headers=HEADERS)  # starlette names UTF-8 itself

    return answer
