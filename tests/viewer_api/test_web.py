"""The web's files: cached, compressed, and never outside of their folder."""

import gzip
from pathlib import Path

import httpx2
import pytest

from tests.plugins.hospital import Hospital

PAGE = "<!doctype html><title>phòng đọc</title>"
SCRIPT = "console.log('xin chào')"


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "assets" / "index-1a2b.js").write_text(SCRIPT)
    (folder / "assets" / "index-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (folder / "assets" / "codec-3c.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "outside.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def site(hospital: Hospital, static: Path, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    monkeypatch.setattr(hospital.app.state, "static", static, raising=False)
    return hospital


def test_the_web_is_served(site: Hospital) -> None:
    browser = site.client()
    for path in ("/", "/study/1.2.3", "/sign-in?next=%2F", "/anything"):
        answer = browser.get(path)
        assert (answer.status_code, answer.text) == (200, PAGE), path
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    etag = browser.get("/").headers["etag"]
    assert etag
    script = browser.get("/assets/index-1a2b.js")
    assert script.text == SCRIPT
    assert script.headers["content-encoding"] == "gzip"
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    # Workers take their policy from their script; the decoders' glue needs to make functions.
    assert "'unsafe-eval'" in script.headers["content-security-policy"]
    plain = browser.get("/assets/index-1a2b.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == SCRIPT
    assert "content-encoding" not in plain.headers
    assert browser.get("/assets/codec-3c.wasm").headers["content-type"] == "application/wasm"
    assert browser.get("/icon.svg").headers["content-type"].startswith("image/svg+xml")


@pytest.mark.parametrize(
    "path",
    [
        "/missing.js",
        "/assets/missing.css",
        "/outside.txt",
        "/..%2fsecret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/assets//etc/passwd.txt",
        "/..\\secret.txt",
    ],
)
def test_what_is_not_a_file_of_the_web_is_404(site: Hospital, path: str) -> None:
    answer = site.client().get(httpx2.URL(site.url + path))
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_a_web_that_was_not_built_says_so(site: Hospital, static: Path) -> None:
    (static / "index.html").unlink()
    answer = site.client().get("/")
    assert answer.status_code == 503
    assert "npm run build" in answer.text
    assert site.machine().get("/dicomweb/studies").status_code == 200
