"""Bundles that are not what they say, or that would run a program, are refused by `pacs models`."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ai_models.registry import write_checksums
from tests.plugins.command_line import CommandLine

Edit = Callable[..., None]
SIGNED = ("--research-signed-by", "Dr An, head of radiology")
INFERENCE = "configs/inference.json"
METADATA = "configs/metadata.json"


class Runs:
    """What a pickle can hold: a program that runs when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def refused(command_line: CommandLine, bundle: Path, *options: object) -> str:
    said = command_line("models", "add", bundle, *SIGNED, *options, status=1).stderr
    names = [model["name"] for model in command_line("models", "list", "--json").json]
    assert names == ["cxr_triage"]
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_a_program_is_refused_unread(
    zipped: bool, command_line: CommandLine, other_bundle: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "was-run"
    weights = other_bundle / "models" / "model.pt"
    (other_bundle / "models" / "model.safetensors").unlink()
    torch.save({"weight": Runs(marker)}, weights, _use_new_zipfile_serialization=zipped)
    write_checksums(other_bundle)
    assert "holds more than weights" in refused(command_line, other_bundle)
    assert not marker.exists()
    # The file is what it is said to be: who reads it as usual runs the program.
    torch.load(weights, weights_only=False)
    assert marker.exists()


def test_a_bare_pickle_is_refused_unread(
    command_line: CommandLine, other_bundle: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "was-run"
    (other_bundle / "models" / "model.safetensors").unlink()
    (other_bundle / "models" / "model.pt").write_bytes(pickle.dumps(Runs(marker), protocol=2))
    write_checksums(other_bundle)
    assert "holds more than weights" in refused(command_line, other_bundle)
    assert not marker.exists()


def test_weights_as_a_pytorch_state_dictionary_are_read(
    command_line: CommandLine, other_bundle: Path
) -> None:
    weights = other_bundle / "models" / "model.safetensors"
    torch.save(load_file(weights), other_bundle / "models" / "model.pt")
    weights.unlink()
    write_checksums(other_bundle)
    command_line("models", "add", other_bundle, *SIGNED)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"network_def": {"_target_": "os.system", "command": "touch was-run"}}, "no network"),
        ({"network_def": {"_target_": "subprocess.run"}}, "no network 'subprocess.run' here"),
        ({"network_def": "$__import__('os').mkdir('was-run')"}, "no network"),
        ({"network_def": {"_target_": "ResNet", "pretrained": True}}, "is no argument of ResNet"),
        (
            {"network_def": {"_target_": "ResNet", "num_classes": "$__import__('os').mkdir('x')"}},
            "num_classes of ResNet cannot be",
        ),
        (
            {"network_def": {"_target_": "ResNet", "block": "bottleneck", "layers": [64] * 4,
                             "block_inplanes": [2048] * 4, "num_classes": 15}},
            "parameters are more than",
        ),
        (
            {"preprocessing": {"_target_": "Compose", "transforms": [
                {"_target_": "Lambda", "func": "$lambda x: __import__('os').mkdir('was-run')"}]}},
            "no transform 'Lambda' here",
        ),
        ({"preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImage", "reader": "x"}]}}, "no transform 'LoadImage'"),
        (
            {"postprocessing": {"_target_": "Compose", "transforms": [
                {"_target_": "Lambda", "func": "$lambda p: __import__('os').mkdir('was-run')"}]}},
            "postprocessing is a sigmoid",
        ),
        ({"temperature": "$1"}, "temperature cannot be"),
        ({"inferer": {"_target_": "os.mkdir", "path": "was-run"}}, "the inferer is"),
        ({"heat_map_layer": "forward"}, "heat_map_layer names no layer"),
    ],
)  # fmt: skip
def test_what_is_not_on_the_lists_is_refused(
    change: dict[str, Any],
    reason: str,
    command_line: CommandLine,
    other_bundle: Path,
    edited: Edit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    edited(other_bundle, INFERENCE, **change)
    assert reason in refused(command_line, other_bundle)
    assert not (tmp_path / "was-run").exists()


def test_expressions_that_only_monai_needs_are_not_evaluated(
    command_line: CommandLine, other_bundle: Path, edited: Edit, tmp_path: Path
) -> None:
    marker = tmp_path / "was-run"
    program = f"$__import__('os').mkdir({str(marker)!r})"
    edited(other_bundle, INFERENCE, imports=[program], state=program, device=program)
    command_line("models", "add", other_bundle, *SIGNED)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"intended_use": None}, "'intended_use' is a required property"),
        ({"data_source": ""}, "metadata.json, data_source"),
        ({"version": "../../1"}, "metadata.json, version"),
        ({"name": "../cxr"}, "metadata.json, name"),
        ({"network_data_format": {"inputs": {}}}, "metadata.json, network_data_format"),
    ],
)
def test_metadata_is_checked_by_the_schema(
    change: dict[str, Any],
    reason: str,
    command_line: CommandLine,
    other_bundle: Path,
    edited: Edit,
) -> None:
    edited(other_bundle, METADATA, **change)
    assert reason in refused(command_line, other_bundle)


def declared(bundle: Path) -> Any:
    return json.loads((bundle / METADATA).read_bytes())["network_data_format"]


def test_inputs_and_outputs_are_checked_by_feeding_it(
    command_line: CommandLine, other_bundle: Path, edited: Edit
) -> None:
    formats = declared(other_bundle)
    formats["inputs"]["image"]["num_channels"] = 3
    edited(other_bundle, METADATA, network_data_format=formats)
    assert "its preprocessing makes (1, 224, 224)" in refused(command_line, other_bundle)

    formats = declared(other_bundle)
    formats["inputs"]["image"] |= {"num_channels": 1, "value_range": [-1, 0.5]}
    edited(other_bundle, METADATA, network_data_format=formats)
    assert "declared are -1 to 0.5" in refused(command_line, other_bundle)

    formats = declared(other_bundle)
    formats["inputs"]["image"] |= {"value_range": [0, 1], "spatial_shape": [320, 320]}
    edited(other_bundle, METADATA, network_data_format=formats)
    assert "cannot be fed as it declares" in refused(command_line, other_bundle)

    formats = declared(other_bundle)
    formats["inputs"]["image"]["spatial_shape"] = [224, 224]
    pred = formats["outputs"]["pred"]
    pred["num_channels"] = 14
    del pred["channel_def"]["14"]
    triage = json.loads((other_bundle / "configs" / "triage.json").read_bytes())
    edited(other_bundle, "configs/triage.json", labels=triage["labels"][:14])
    edited(other_bundle, METADATA, network_data_format=formats)
    triage["classes"]["critical"]["findings"] = {}
    edited(other_bundle, "configs/triage.json", classes=triage["classes"])
    assert "it gives (15,), declared are 14 outputs" in refused(command_line, other_bundle)


def test_weights_of_another_network_are_refused(
    command_line: CommandLine, other_bundle: Path
) -> None:
    weights = other_bundle / "models" / "model.safetensors"
    tensors = load_file(weights)
    save_file({name: value for name, value in tensors.items() if name != "fc.bias"}, weights)
    write_checksums(other_bundle)
    assert "fc.bias is missing" in refused(command_line, other_bundle)
    tensors["fc.bias"][0] = float("nan")
    save_file(tensors, weights)
    write_checksums(other_bundle)
    assert "no finite numbers" in refused(command_line, other_bundle)


def test_links_and_other_folders_are_refused(
    command_line: CommandLine, other_bundle: Path, tmp_path: Path
) -> None:
    (other_bundle / "docs" / "passwords").symlink_to("/etc/passwd")
    assert "no plain file" in refused(command_line, other_bundle)
    (tmp_path / "empty").mkdir()
    assert "no bundle" in refused(command_line, tmp_path / "empty")


def test_a_file_that_is_not_the_released_one_is_refused(
    command_line: CommandLine, other_bundle: Path
) -> None:
    with (other_bundle / "models" / "gate.safetensors").open("ab") as file:
        file.write(b"x")
    assert "models/gate.safetensors is not the released one" in refused(command_line, other_bundle)
