"""The released bundle is whole, is what its metadata says, and is refused when altered."""

import json
from pathlib import Path

import numpy as np
import pytest

from ai_models.errors import ModelAltered, ModelMissing
from ai_models.labels import LABELS
from ai_models.model import Model
from ai_models.registry import BUNDLES, CHECKSUMS, bundle_names, open_bundle, write_checksums

RELEASED = BUNDLES / "cxr_triage"
CARD = Path(__file__).parents[2] / "docs" / "model-card-cxr-triage.md"


def test_it_is_found_verified_and_for_research() -> None:
    assert bundle_names() == ["cxr_triage"]
    bundle = open_bundle("cxr_triage")
    assert (bundle.name, bundle.registered) == ("cxr_triage", False)
    size = sum(path.stat().st_size for path in bundle.root.rglob("*") if path.is_file())
    assert size <= 20 * 1024 * 1024


def test_inputs_and_outputs_are_as_declared(model: Model) -> None:
    declared = model.bundle.metadata["network_data_format"]
    image, pred = declared["inputs"]["image"], declared["outputs"]["pred"]
    shape = (3, image["num_channels"], *image["spatial_shape"])
    low, high = image["value_range"]
    batch = np.random.default_rng(0).uniform(low, high, shape).astype(image["dtype"])
    prediction = model.predict(batch)
    assert prediction.probabilities.shape == (3, pred["num_channels"])
    assert prediction.probabilities.dtype == pred["dtype"]
    assert pred["value_range"] == [0, 1]
    assert 0 <= prediction.probabilities.min() <= prediction.probabilities.max() <= 1
    assert list(pred["channel_def"].values()) == list(LABELS)
    assert prediction.distances.shape == (3,)


def test_a_batch_says_what_each_image_alone_says(model: Model) -> None:
    batch = np.random.default_rng(1).uniform(0, 1, (4, 1, model.size, model.size))
    together = model.predict(batch.astype(np.float32)).probabilities
    alone = [model.predict(batch[i : i + 1].astype(np.float32)).probabilities for i in range(4)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


def test_a_heat_map_is_a_map(model: Model) -> None:
    batch = np.random.default_rng(2).uniform(0, 1, (1, 1, model.size, model.size))
    for label in LABELS:
        heat = model.heat_map(batch.astype(np.float32), label)
        assert heat.shape == (model.size, model.size)
        assert 0 <= heat.min() <= heat.max() <= 1


@pytest.mark.parametrize(
    "file",
    ["models/model.safetensors", "configs/inference.json", "configs/triage.json", "docs/README.md"],
)
def test_one_altered_byte_is_noticed(file: str, bundle_copy: Path) -> None:
    path = bundle_copy / "cxr_triage" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelAltered, match=file) as caught:
        open_bundle("cxr_triage", bundle_copy)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(bundle_copy: Path) -> None:
    (bundle_copy / "cxr_triage" / "models" / "model.safetensors").unlink()
    with pytest.raises(ModelMissing, match=r"model\.safetensors.*reinstall"):
        open_bundle("cxr_triage", bundle_copy)


@pytest.mark.parametrize("content", ["", "no checksum\n", "0" * 64 + "  ../../etc/passwd\n"])
def test_a_damaged_list_of_checksums_is_noticed(content: str, bundle_copy: Path) -> None:
    (bundle_copy / "cxr_triage" / CHECKSUMS).write_text(content)
    with pytest.raises(ModelAltered):
        open_bundle("cxr_triage", bundle_copy)


def test_a_bundle_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="cxr_other"):
        open_bundle("cxr_other")
    with pytest.raises(ModelMissing):
        open_bundle("cxr_triage", tmp_path / "nowhere")


def test_metadata_is_checked(bundle_copy: Path) -> None:
    path = bundle_copy / "cxr_triage" / "configs" / "metadata.json"
    metadata = json.loads(path.read_bytes())
    del metadata["intended_use"]
    path.write_text(json.dumps(metadata))
    write_checksums(bundle_copy / "cxr_triage")
    with pytest.raises(ModelAltered, match="intended_use"):
        open_bundle("cxr_triage", bundle_copy)


def test_the_card_in_the_documentation_is_the_bundles_own() -> None:
    assert CARD.read_text(encoding="utf-8") == (RELEASED / "docs" / "README.md").read_text(
        encoding="utf-8"
    )
