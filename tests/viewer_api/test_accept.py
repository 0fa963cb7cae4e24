"""What a client accepts decides what it gets; real clients' headers among them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viewer_api.dicomweb.accept import MediaRange, Offer, choose, parse_accept

EXPLICIT = "1.2.840.10008.1.2.1"
J2K = "1.2.840.10008.1.2.4.90"
as_jp2 = Offer("image/jp2", multipart=True, transfer_syntax=J2K)
as_octets = Offer("application/octet-stream", multipart=True, transfer_syntax=J2K, by_default=False)
decoded = Offer("application/octet-stream", multipart=True, transfer_syntax=EXPLICIT)
single = Offer("image/jp2", transfer_syntax=J2K)
OFFERS = [as_jp2, as_octets, decoded, single]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, as_jp2),
        ("", as_jp2),
        ("*/*", as_jp2),
        ("multipart/related", as_jp2),
        ('multipart/related; type="image/jp2"', as_jp2),
        (f'multipart/related; type="image/jp2"; transfer-syntax={J2K}', as_jp2),
        ('multipart/related; type="image/*"', as_jp2),
        # Cornerstone3D and OHIF
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", as_octets),
        # dicomweb-client (JavaScript), and the default of PS3.18 8.7.3
        ('multipart/related; type="application/octet-stream"', decoded),
        (f"multipart/related;type=application/octet-stream;transfer-syntax={EXPLICIT}", decoded),
        ("image/jp2", single),
        ("image/*;q=0.5, multipart/related;q=0.1", single),
        ('multipart/related; type="image/jp2"; q=0.1, multipart/related; '
         'type="application/octet-stream"; q=0.9', decoded),
        ('multipart/related; type="image/jp2"; q=0, */*', as_octets),
        ("image/png", None),
        ("multipart/related; type=video/mp4", None),
        ("multipart/related; type=image/jp2; transfer-syntax=1.2.840.10008.1.2.4.91", None),
        ("*/*;q=0", None),
        ("rubbish", None),
    ],
)  # fmt: skip
def test_choice(accept: str | None, expected: Offer | None) -> None:
    assert choose(OFFERS, accept) == expected


def test_an_alias_is_the_same_type() -> None:
    jls = Offer("image/jls", multipart=True, aliases=("image/x-jls",))
    assert choose([jls], 'multipart/related; type="image/x-jls"') is jls


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for media_range in parse_accept(text):
        assert "/" in media_range.media_type
        assert 0 <= media_range.quality <= 1
    choose(OFFERS, text)


tokens = st.text("abcdefghijklmnopqrstuvwxyz-+.", min_size=1, max_size=10)


@settings(deadline=None)
@given(tokens, tokens, st.one_of(st.none(), st.just("*"), st.just(J2K)), st.booleans())
def test_a_range_is_read_as_it_is_written(
    main: str, sub: str, syntax: str | None, quoted: bool
) -> None:
    inner = f"{main}/{sub}"
    written = f'"{inner}"' if quoted else inner
    text = f"multipart/related; type={written}; q=0.25"
    if syntax:
        text += f"; transfer-syntax={syntax}"
    expected = MediaRange(inner, multipart=True, transfer_syntax=syntax, quality=0.25)
    assert parse_accept(f"text/html, {text}")[1:] == [expected]


def test_a_thousand_ranges_cost_no_more_than_a_few() -> None:
    assert len(parse_accept("text/html," * 1000)) <= 64
