"""What the server says of its DICOMweb is what it has."""

from xml.etree import ElementTree

import httpx2
import pytest

from tests.plugins.hospital import Hospital

WADL = "{http://wadl.dev.java.net/2009/02}"


@pytest.fixture
def machine(hospital: Hospital) -> httpx2.Client:
    return hospital.machine()


def told(resource: ElementTree.Element, above: str = "") -> set[tuple[str, str]]:
    """Methods with their paths."""
    found = set()
    for inner in resource.iterfind(f"{WADL}resource"):
        path = f"{above}/{inner.attrib['path']}"
        found |= {(method.attrib["name"], path) for method in inner.iterfind(f"{WADL}method")}
        found |= told(inner, path)
    return found


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("path", ["/dicomweb", "/dicomweb/"])
def test_every_route_is_told(
    hospital: Hospital, machine: httpx2.Client, method: str, path: str
) -> None:
    answer = machine.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "application/vnd.sun.wadl+xml",
    )
    root = ElementTree.fromstring(answer.content)
    (resources,) = root.iterfind(f"{WADL}resources")
    assert resources.attrib["base"] == f"{hospital.url}/dicomweb"
    described = hospital.app.openapi()["paths"]
    expected = {
        (method.upper(), path.removeprefix("/dicomweb"))
        for path, operations in described.items()
        for method in operations
        if path.startswith("/dicomweb/") and path != "/dicomweb/"
    }
    assert told(resources) == expected
    assert {
        ("GET", "/studies"),
        ("POST", "/studies"),
        ("GET", "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}"),
    } <= expected


def test_searches_tell_their_parameters_and_forms(machine: httpx2.Client) -> None:
    root = ElementTree.fromstring(machine.get("/dicomweb/").content)
    (search,) = (
        method
        for method in root.iterfind(f"{WADL}resources/{WADL}resource[@path='studies']/{WADL}method")
        if method.attrib["name"] == "GET"
    )
    names = {param.attrib["name"] for param in search.iter(f"{WADL}param")}
    assert {"limit", "offset", "fuzzymatching", "includefield", "{attribute}", "Accept"} <= names
    kinds = {kind.attrib["mediaType"] for kind in search.iter(f"{WADL}representation")}
    assert kinds == {
        "application/dicom+json",
        "application/json",
        'multipart/related; type="application/dicom+xml"',
    }


def test_as_json_it_is_the_description_of_the_api(machine: httpx2.Client) -> None:
    answer = machine.get("/dicomweb/", headers={"Accept": "application/json"})
    assert "/studies/{study}/metadata" in answer.json()["paths"]
    again = machine.get(
        "/dicomweb/",
        headers={"If-None-Match": answer.headers["etag"]} | {"Accept": "application/json"},
    )
    assert again.status_code == 304
    assert machine.get("/dicomweb/", headers={"Accept": "image/png"}).status_code == 406


def test_nobody_else_is_told(hospital: Hospital) -> None:
    assert hospital.client().request("OPTIONS", "/dicomweb").status_code == 401
