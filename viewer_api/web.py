"""The reading room's own files, as `vite build` left them."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from viewer_api.pages import page
from viewer_api.problems import not_found
from viewer_api.responses import takes_gzip

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("text/javascript", ".mjs")
mimetypes.add_type("application/wasm", ".wasm")
mimetypes.add_type("application/manifest+json", ".webmanifest")


@router.get("/{path:path}")
def web(request: Request, path: str) -> Response:
    """A file of the web; for any other path without an extension the page that routes it."""
    root: Path = request.app.state.static
    asked = _file(root, path)
    if asked is not None:
        return _answer(request, asked, for_ever=path.startswith("assets/"))
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
    return _answer(request, index, for_ever=False)


def _file(root: Path, path: str) -> Path | None:
    if not path or "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
        return None
    file = root / path
    return file if file.is_file() and file.resolve().is_relative_to(root.resolve()) else None


def _answer(request: Request, file: Path, *, for_ever: bool) -> Response:
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    headers = {"Cache-Control": _FOR_EVER if for_ever else _ASK_AGAIN, "Vary": "Accept-Encoding"}
    compressed = file.with_name(file.name + ".gz")
    if takes_gzip(request) and compressed.is_file():
        headers["Content-Encoding"] = "gzip"
        return FileResponse(compressed, headers=headers, media_type=media_type)
    return FileResponse(file, headers=headers, media_type=media_type)
