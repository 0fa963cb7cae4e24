"""The released model, loaded once, and real radiographs to show it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
import torch
from pydicom import Dataset

from ai_models.model import Model
from ai_models.registry import BUNDLES, open_bundle, write_checksums

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data" / "cxr"


@pytest.fixture(scope="session")
def model() -> Model:
    """The released model, on one thread."""
    torch.set_num_threads(1)
    return Model(open_bundle("cxr_triage"))


@pytest.fixture
def bundle_copy(tmp_path: Path) -> Path:
    """A folder of bundles with a copy of the released one, to be spoilt."""
    shutil.copytree(BUNDLES / "cxr_triage", tmp_path / "bundles" / "cxr_triage")
    return tmp_path / "bundles"


@pytest.fixture(scope="session")
def radiograph(real_file: Callable[[str], Path]) -> Callable[[str], Dataset]:
    """A real DICOM file by its name, pixels included, a fresh data set each time."""
    return lambda name: pydicom.dcmread(real_file(name))


@pytest.fixture(scope="session")
def training_data() -> Path:
    """The shared curated radiographs (labels.csv, images/)."""
    if not (SHARED_DATA / "labels.csv").exists():
        pytest.skip(f"the training images are not on this machine ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture
def other_bundle(tmp_path: Path) -> Path:
    """A whole bundle from elsewhere: the released network under the name `cxr_other`, 2.0.0."""
    root = tmp_path / "elsewhere" / "cxr_other"
    shutil.copytree(BUNDLES / "cxr_triage", root)
    edit_json(root, "configs/metadata.json", name="cxr_other", version="2.0.0")
    return root


def edit_json(root: Path, file: str, **changes: object) -> None:
    """Changes values of a JSON file of a bundle (None removes them) and seals the bundle anew."""
    content = json.loads((root / file).read_bytes()) | changes
    kept = {key: value for key, value in content.items() if value is not None}
    (root / file).write_text(json.dumps(kept), encoding="utf-8")
    write_checksums(root)


@pytest.fixture
def edited() -> Callable[..., None]:
    """`edit_json`, for tests."""
    return edit_json
