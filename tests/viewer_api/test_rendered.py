"""Pictures as the light path asks for them: regions, windows, many at once, and odd wishes."""

import io
from typing import Any

import httpx2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pacs.retrieve import StoredInstance
from tests.plugins.hospital import CT, RADIOGRAPH, Hospital
from viewer_api.dicomweb.looks import (
    besides,
    quality_of,
    region_of,
    size_within,
    thumbnail_view,
    viewport_of,
    window_of,
)
from viewer_api.problems import Problem

MULTIFRAME = "emri_small_jpeg_ls_lossless.dcm"
REPORT = "test-SR.dcm"
PNG = {"Accept": "image/png"}


@pytest.fixture
def machine(hospital: Hospital) -> httpx2.Client:
    return hospital.machine()


def shown(answer: httpx2.Response) -> np.ndarray[Any, Any]:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def pictures(answer: httpx2.Response) -> list[Image.Image]:
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    pieces = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)
    assert pieces[-1].startswith(b"--")
    bodies = [piece.split(b"\r\n\r\n", 1) for piece in pieces[1:-1]]
    assert all(b"/rendered" in head for head, _ in bodies)
    return [Image.open(io.BytesIO(body)) for _, body in bodies]


def test_regions_and_turns(hospital: Hospital, machine: httpx2.Client) -> None:
    path = f"{hospital.path(CT)}/rendered"
    whole = shown(machine.get(path, headers=PNG))
    assert whole.shape == (128, 128)
    for viewport, expected in (
        ("64,32,10,20,64,32", whole[20:52, 10:74]),
        ("64,32,10,20,-64,32", whole[20:52, 10:74][:, ::-1]),
        ("64,32,10,20,64,-32", whole[20:52, 10:74][::-1]),
        ("28,28,100,100", whole[100:, 100:]),
        ("128,128,,,-128,-128", whole[::-1, ::-1]),
    ):
        part = shown(machine.get(path, params={"viewport": viewport}, headers=PNG))
        np.testing.assert_array_equal(part, expected, viewport)
    assert shown(machine.get(f"{path}?viewport=512,600", headers=PNG)).shape == (512, 512)
    thumbnail = machine.get(f"{hospital.path(CT)}/thumbnail?viewport=512,600", headers=PNG)
    assert shown(thumbnail).shape == (128, 128)


def test_every_function_of_a_window(hospital: Hospital, machine: httpx2.Client) -> None:
    path = f"{hospital.path(CT)}/rendered"
    found = [
        shown(machine.get(f"{path}?window=40,400,{function}", headers=PNG))
        for function in ("linear", "linear-exact", "sigmoid", "SIGMOID")
    ]
    assert not np.array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[2], found[3])
    assert np.abs(found[0].astype(int) - found[1]).max() <= 2


def test_kinds_of_pictures(hospital: Hospital, machine: httpx2.Client) -> None:
    path = f"{hospital.path(RADIOGRAPH)}/rendered?viewport=300,300"
    for kind in ("image/jpeg", "image/png", "image/webp"):
        answer = machine.get(path, headers={"Accept": kind})
        assert answer.headers["content-type"] == kind
        assert max(Image.open(io.BytesIO(answer.content)).size) == 300
        parameter = machine.get(f"{path}&accept={kind}", headers={"Accept": "*/*"})
        assert parameter.content == answer.content


def test_many_pictures_at_once(hospital: Hospital, machine: httpx2.Client) -> None:
    several = {"Accept": 'multipart/related; type="image/png"'}
    instance = hospital.path(MULTIFRAME)
    frames = pictures(machine.get(f"{instance}/frames/2,3,9/rendered", headers=several))
    assert len(frames) == 3
    assert {picture.format for picture in frames} == {"PNG"}
    single = shown(machine.get(f"{instance}/frames/9/rendered", headers=PNG))
    np.testing.assert_array_equal(np.asarray(frames[2]), single)
    for path in (
        f"{instance}/rendered",
        f"{hospital.path(MULTIFRAME, 'series')}/rendered",
        f"{hospital.path(MULTIFRAME, 'study')}/rendered?viewport=20,20",
    ):
        assert len(pictures(machine.get(path, headers=several))) == 10
    assert machine.get(f"{instance}/frames/2,3/rendered", headers=PNG).status_code == 406
    first = shown(machine.get(f"{instance}/rendered", headers=PNG))
    np.testing.assert_array_equal(first, np.asarray(pictures(machine.get(
        f"{instance}/frames/1/rendered", headers=several))[0]))  # fmt: skip


def test_a_study_without_a_picture(hospital: Hospital, machine: httpx2.Client) -> None:
    for level in ("study", "series", "instance"):
        answer = machine.get(f"{hospital.path(REPORT, level)}/rendered")
        assert (answer.status_code, answer.json()["code"]) == (406, "not_renderable")


def test_what_is_not_done_is_said(hospital: Hospital, machine: httpx2.Client) -> None:
    path = f"{hospital.path(CT)}/rendered"
    answer = machine.get(f"{path}?annotation=patient,technique&iccprofile=srgb")
    assert answer.status_code == 200
    assert "not burnt" in answer.headers["warning"]
    assert "warning" not in machine.get(path).headers


SHAPE = StoredInstance(
    *(1, "1", "1", "1", "1", "1", "CT", 100, 200, 1, "key", 1, 1),
    [],
)
words = st.one_of(
    st.text(max_size=30),
    st.lists(
        st.one_of(st.integers(-300, 300).map(str), st.floats().map(str), st.just("")), max_size=8
    ).map(",".join),
)


@settings(deadline=None, max_examples=300)
@given(words)
def test_any_wish_is_understood_or_refused(text: str) -> None:
    for read in (
        lambda: viewport_of({"viewport": text}, SHAPE),
        lambda: thumbnail_view({"viewport": text}, (256, 256)),
        lambda: window_of({"window": text}),
        lambda: quality_of({"quality": text}),
        lambda: besides({"annotation": text, "iccprofile": text}),
        lambda: size_within(text, None),
        lambda: region_of(text, SHAPE),
    ):
        try:
            read()
        except Problem as problem:
            assert problem.status_code == 400
