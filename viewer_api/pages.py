"""The few pages that the server itself writes, for people who follow a link into it."""

from __future__ import annotations

from html import escape

from fastapi.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="vi"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem;\
color:#1c1c1c;background:#fafafa}}a{{color:#0b57d0}}
@media (prefers-color-scheme:dark){{body{{color:#e6e6e6;background:#121212}}a{{color:#8ab4f8}}}}
</style></head><body><h1>{title}</h1><p lang="en">{text}</p><p><a href="/">Filmless</a></p>
</body></html>
"""


def page(status: int, title: str, text: str) -> HTMLResponse:
    """A short message: a Vietnamese title, an English sentence below it."""
    body = _PAGE.format(title=escape(title), text=escape(text))
    return HTMLResponse(body, status, {"Cache-Control": "no-store"})
