"""The API described: OpenAPI as JSON, and as one plain page that loads nothing from elsewhere."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse

from viewer_api.access import require_principal
from viewer_api.description import describe

router = APIRouter(dependencies=[Depends(require_principal)], include_in_schema=False)

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "td{padding:.2rem .8rem .2rem 0;vertical-align:top}code{white-space:nowrap}"
    "@media (prefers-color-scheme:dark){body{color:#e6e6e6;background:#121212}a{color:#8ab4f8}}"
)


@router.get("/openapi.json")
def openapi(request: Request) -> JSONResponse:
    """The OpenAPI description."""
    return JSONResponse(describe(request.app))


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """Every operation on one page."""
    description = describe(request.app)
    sections: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            row = (
                f"<tr><td><code>{method.upper()} {escape(path)}</code></td>"
                f"<td>{escape(operation.get('summary', ''))}. "
                f"{escape(operation.get('description', ''))}</td></tr>"
            )
            sections.setdefault(operation.get("tags", ["other"])[0], []).append(row)
    body = "".join(
        f"<h2>{escape(tag)}</h2><table>{''.join(rows)}</table>" for tag, rows in sections.items()
    )
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Filmless API</title>'
        f"<style>{_STYLE}</style></head><body><h1>Filmless API</h1>"
        f'<p><a href="/api/openapi.json">OpenAPI description (JSON)</a></p>{body}</body></html>'
    )
