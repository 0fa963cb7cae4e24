"""The reading room's own files, as `vite build` left them."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from viewer_api.pages import page
from viewer_api.problems import not_found
from viewer_api.static_files import ASK_AGAIN, FOR_EVER, file_below, file_response

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parent / "static"


@router.get("/{path:path}")
def web(request: Request, path: str) -> Response:
    """A file of the web; for any other path without an extension the page that routes it."""
    root: Path = request.app.state.static
    asked = file_below(root, path)
    if asked is not None:
        for_ever = path.startswith("assets/")
        return file_response(request, asked, f"public, {FOR_EVER}" if for_ever else ASK_AGAIN)
    # The last part of a study page's address is a UID, all dots.
    if not path.startswith("study/") and path.rsplit("/", 1)[-1].count("."):
        raise not_found("There is no such file.")
    index = root / "index.html"
    if not index.is_file():
        return page(
            503,
            "Chưa dựng giao diện web",
            "The web pages have not been built: run `npm ci && npm run build` in viewer_web/, "
            "or use `make run`. DICOMweb, FHIR and the API work without them.",
        )
    return file_response(request, index, ASK_AGAIN)
