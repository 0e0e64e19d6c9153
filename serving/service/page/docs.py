"""Serve the interactive documentation: it shows the OpenAPI document and sends calls, with no external assets."""

from pathlib import Path

from fastapi import APIRouter

from serving.service.page.routes import file_endpoint

_FILES = {
    "/docs": ("docs.html", "text/html"),
    "/docs/docs.css": ("docs.css", "text/css"),
    "/docs/docs.js": ("docs.js", "text/javascript"),
    "/docs/dom.js": ("dom.js", "text/javascript"),
}


def docs_routes() -> APIRouter:
    """Return the routes of `/docs` and its files."""
    routes = APIRouter(include_in_schema=False)
    for path, (name, kind) in _FILES.items():
        routes.add_api_route(path, file_endpoint(Path(__file__).with_name(name).read_bytes(), kind), methods=["GET"])
    return routes
