"""The multipart parser takes any message, cut anywhere, and gives back its parts."""

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viewer_api.dicomweb.multipart import (
    MultipartError,
    MultipartParser,
    PartBegin,
    PartData,
    boundary_of,
    parse_content_type,
    write_message,
)

Part = tuple[dict[str, str], bytes]

BOUNDARY = "b"
# Bodies made of what delimiters are made of find the places where a parser mistakes one.
tricky = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"--", b"-", b"b", b"\r\n--b", b" ", b"x", b"\r\n--bb"])
).map(b"".join)
bodies = st.one_of(st.binary(max_size=64), tricky)
cuts = st.lists(st.integers(1, 9), min_size=1, max_size=30)


def is_safe(body: bytes) -> bool:
    """Whether the body holds no real delimiter."""
    return not re.search(rb"(?:^|\r\n)--b(?:--|[ \t]*(?:\r\n|\r?$))", b"\r\n" + body)


def parse(message: bytes, lengths: list[int]) -> list[Part]:
    parser = MultipartParser(BOUNDARY)
    parts: list[Part] = []
    at = 0
    turn = 0
    while at < len(message):
        length = lengths[turn % len(lengths)]
        for event in parser.feed(message[at : at + length]):
            if isinstance(event, PartBegin):
                parts.append((dict(event.headers), b""))
            elif isinstance(event, PartData):
                parts[-1] = (parts[-1][0], parts[-1][1] + event.data)
        at += length
        turn += 1
    parser.close()
    return parts


@settings(deadline=None)
@given(st.lists(bodies.filter(is_safe), min_size=1, max_size=5), cuts, st.booleans())
def test_what_is_written_is_read_wherever_it_is_cut(
    contents: list[bytes], lengths: list[int], preamble: bool
) -> None:
    message = b"".join(
        write_message(BOUNDARY, [({"Content-Type": "application/dicom"}, [c]) for c in contents])
    )
    if preamble:
        message = b"to be ignored\r\n" + message + b"\r\nepilogue"

    assert parse(message, lengths) == [({"content-type": "application/dicom"}, c) for c in contents]


@settings(deadline=None)
@given(st.binary(max_size=300), cuts)
def test_noise_is_refused_or_read_and_nothing_else(noise: bytes, lengths: list[int]) -> None:
    with contextlib.suppress(MultipartError):
        parse(b"--b\r\n" + noise, lengths)


def test_a_part_without_headers() -> None:
    assert parse(b"--b\r\n\r\ndata\r\n--b--", [3]) == [({}, b"data")]


def test_a_boundary_with_padding_and_one_that_only_begins_alike() -> None:
    message = b"--b \t\r\n\r\none\r\n--bc\r\ntwo\r\n--b--\r\n"
    assert parse(message, [4]) == [({}, b"one\r\n--bc\r\ntwo")]


@pytest.mark.parametrize(
    "message", [b"", b"--b\r\n\r\ndata", b"--b\r\n\r\ndata\r\n--b", b"nothing", b"--b\r\nno end"]
)
def test_a_message_that_ends_early_is_refused(message: bytes) -> None:
    with pytest.raises(MultipartError, match="ends before"):
        parse(message, [5])


def test_endless_headers_and_preambles_are_refused() -> None:
    with pytest.raises(MultipartError, match="headers"):
        parse(b"--b\r\n" + b"x: y\r\n" * 4000, [1000])
    with pytest.raises(MultipartError, match="first boundary"):
        parse(b"x" * 100_000, [1000])


@pytest.mark.parametrize(
    ("value", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', "abc"),
        ('Multipart/Related;boundary="a;b c";type=application/dicom', "a;b c"),
    ],
)
def test_the_boundary_of_a_content_type(value: str, boundary: str) -> None:
    media_type, parameters = parse_content_type(value)
    assert media_type == "multipart/related"
    assert parameters["type"] == "application/dicom"
    assert boundary_of(parameters) == boundary


@pytest.mark.parametrize("boundary", ["", "x" * 71, "é", "a\0b"])
def test_a_boundary_that_cannot_be_is_refused(boundary: str) -> None:
    with pytest.raises(MultipartError, match="boundary"):
        boundary_of({"boundary": boundary})
