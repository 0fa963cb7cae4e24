"""The same anatomy gives the same input, however its modality wrote it down."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import Dataset

from ai_models.errors import UnreadableImage
from ai_models.preprocessing import frame_box, prepare, presented
from ai_models.training.bundle import preprocessing

SIZE = 224
Radiograph = Callable[[str], Dataset]


def header(photometric: str = "MONOCHROME2", **attributes: object) -> Dataset:
    made = Dataset()
    made.PhotometricInterpretation = photometric
    made.BitsStored = 16
    made.PixelRepresentation = 0
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def anatomy(seed: int, bits: int, shape: tuple[int, int] = (96, 80)) -> NDArray[np.uint16]:
    """Smooth structure that uses all grey levels of so many bits."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    waves = sum(
        np.sin(rows / random.uniform(4, 30) + random.uniform(0, 6))
        * np.cos(columns / random.uniform(4, 30))
        for _ in range(4)
    )
    noisy = np.asarray(waves) + random.normal(0, 0.05, shape)
    scaled = (noisy - noisy.min()) / (noisy.max() - noisy.min())
    return np.asarray(np.rint(scaled * (2**bits - 1)), dtype=np.uint16)


@given(seed=st.integers(0, 10_000), bits=st.integers(8, 16))
@settings(max_examples=25, deadline=None)
def test_polarity_does_not_matter(seed: int, bits: int) -> None:
    dense = anatomy(seed, bits)
    inverted = (2**bits - 1 - dense.astype(np.int64)).astype(np.uint16)
    np.testing.assert_allclose(
        presented(dense, header("MONOCHROME2")),
        presented(inverted, header("MONOCHROME1")),
        atol=1e-6,
    )


@given(seed=st.integers(0, 10_000), bits=st.integers(8, 16), data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_window_and_its_mirror_show_the_same(seed: int, bits: int, data: st.DataObject) -> None:
    dense = anatomy(seed, bits)
    top = 2**bits - 1
    width = data.draw(st.integers(top // 3 + 2, 2 * top))
    centre = data.draw(st.integers(top // 3, top - top // 3))
    inverted = (top - dense.astype(np.int64)).astype(np.uint16)
    one = presented(
        dense,
        header(WindowCenter=centre, WindowWidth=width, VOILUTFunction="LINEAR_EXACT"),
    )
    other = presented(
        inverted,
        header(
            "MONOCHROME1",
            WindowCenter=top - centre,
            WindowWidth=width,
            VOILUTFunction="LINEAR_EXACT",
        ),
    )
    np.testing.assert_allclose(one, other, atol=1e-6)


@given(seed=st.integers(0, 10_000), slope=st.integers(1, 9), intercept=st.integers(-5000, 5000))
@settings(max_examples=25, deadline=None)
def test_rescale_and_sign_do_not_matter(seed: int, slope: int, intercept: int) -> None:
    dense = anatomy(seed, 12)
    signed = dense.astype(np.int16) - 2048
    rescaled = header(RescaleSlope=slope, RescaleIntercept=intercept, PixelRepresentation=1)
    np.testing.assert_allclose(presented(dense, header()), presented(signed, rescaled), atol=1e-6)


@given(seed=st.integers(0, 10_000), bits=st.integers(9, 16))
@settings(max_examples=15, deadline=None)
def test_depth_hardly_matters_to_the_network(seed: int, bits: int) -> None:
    deep = anatomy(seed, bits)
    shallow = (deep >> (bits - 8)).astype(np.uint8)
    transform = preprocessing()
    one = prepare(deep, header(), SIZE, transform).tensor
    other = prepare(shallow, header(), SIZE, transform).tensor
    assert float(np.abs(one - other).mean()) < 0.01


@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(32, 300),
    columns=st.integers(32, 300),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
)
@settings(max_examples=25, deadline=None)
def test_any_size_becomes_one_canvas(seed: int, rows: int, columns: int, photometric: str) -> None:
    prepared = prepare(
        anatomy(seed, 12, (rows, columns)), header(photometric), SIZE, preprocessing()
    )
    assert prepared.tensor.shape == (1, 1, SIZE, SIZE)
    assert prepared.tensor.dtype == np.float32
    assert 0.0 <= prepared.tensor.min() <= prepared.tensor.max() <= 1.0
    assert max(prepared.canvas.height, prepared.canvas.width) == SIZE
    outside = prepared.tensor[0, 0].copy()
    prepared.canvas.of(outside)[:] = 0
    assert not outside.any()
    drawn = prepared.source.width / prepared.source.height
    shown = prepared.canvas.width / prepared.canvas.height
    assert drawn == pytest.approx(shown, rel=0.05)


def test_padding_is_black_and_takes_no_part() -> None:
    dense = anatomy(1, 12)
    padded = dense.copy()
    padded[:20] = 4095
    shown = presented(padded, header(PixelPaddingValue=4095, PixelPaddingRangeLimit=4095))
    assert not shown[:20].any()
    assert shown[20:].max() == 1.0
    assert shown[20:].min() == 0.0


def test_burnt_in_borders_are_cut_off() -> None:
    inner = anatomy(2, 12, (200, 160))
    framed = np.full((300, 300), 4095, dtype=np.uint16)
    framed[60:260, 70:230] = inner
    framed[5:12, 5:17] = 0  # a side marker
    box = frame_box(presented(framed, header()))
    assert abs(box.top - 60) <= 2
    assert abs(box.left - 70) <= 2
    assert abs(box.height - 200) <= 4
    assert abs(box.width - 160) <= 4


def test_modality_and_voi_tables_are_applied() -> None:
    dense = anatomy(3, 8).astype(np.uint8)
    plain = presented(dense, header(BitsStored=8))
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.LUTData = [65535 - 257 * value for value in range(256)]
    modality = header(BitsStored=8, ModalityLUTSequence=[table])
    table.ModalityLUTType = "US"
    np.testing.assert_allclose(presented(dense, modality), 1.0 - plain, atol=0.02)
    voi = header(BitsStored=8, VOILUTSequence=[table])
    np.testing.assert_allclose(presented(dense, voi), 1.0 - plain, atol=0.02)


def test_a_window_that_hides_the_image_is_not_believed() -> None:
    dense = anatomy(4, 12)
    lost = header(WindowCenter=1_000_000, WindowWidth=10)
    np.testing.assert_array_equal(presented(dense, lost), presented(dense, header()))


@pytest.mark.parametrize(
    ("pixels", "attributes"),
    [
        (np.zeros((64, 64), dtype=np.uint8), header()),
        (np.zeros((64, 64, 3), dtype=np.uint8), header()),
        (np.arange(64, dtype=np.uint8).reshape(8, 8), header()),
        (anatomy(5, 8).astype(np.float32), header()),
        (anatomy(5, 8), header("RGB")),
        (anatomy(5, 8), Dataset()),
    ],
)
def test_what_is_no_radiograph_is_refused(pixels: NDArray[np.generic], attributes: Dataset) -> None:
    with pytest.raises(UnreadableImage):
        presented(pixels, attributes)


def test_a_real_radiograph_written_the_other_way_round(radiograph: Radiograph) -> None:
    real = radiograph("RG1_UNCR.dcm")
    pixels = real.pixel_array
    top = 2**real.BitsStored - 1
    mirrored = radiograph("RG1_UNCR.dcm")
    mirrored.PhotometricInterpretation = "MONOCHROME2"
    mirrored.WindowCenter = top + 1 - real.WindowCenter
    one = prepare(pixels, real, SIZE, preprocessing())
    other = prepare((top - pixels).astype(np.uint16), mirrored, SIZE, preprocessing())
    assert one.source == other.source
    np.testing.assert_allclose(one.tensor, other.tensor, atol=0.01)
