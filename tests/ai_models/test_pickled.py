"""Pickled networks give up their tensors; what else a pickle asks for is refused, and not run."""

import collections
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from ai_models.pickled import PickleRefused, read_network


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        collections.OrderedDict(
            first=nn.Conv2d(1, 4, 3), norm=nn.BatchNorm2d(4), rest=nn.Sequential(nn.Linear(4, 2))
        )
    )


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_tensors_are_those_of_the_network(zipped: bool, whole: bool, tmp_path: Path) -> None:
    file, made = tmp_path / "network.pt", network()
    torch.save(made if whole else made.state_dict(), file, _use_new_zipfile_serialization=zipped)
    found = read_network(file)
    assert list(found) == list(made.state_dict())
    for name, tensor in made.state_dict().items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype


class Calls:
    """A pickle that calls something when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "function",
    [os.mkdir, os.system, eval, exec, getattr, torch.load, nn.Module.register_module, nn.Linear],
)
def test_programs_are_refused_and_not_run(zipped: bool, function: Any, tmp_path: Path) -> None:
    file, marker = tmp_path / "network.pt", tmp_path / "was-run"
    made = network()
    vars(made)["extra"] = Calls(function, str(marker))
    torch.save(made, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(PickleRefused):
        read_network(file)
    assert not marker.exists()


def test_the_refusal_names_what_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "network.pt"
    torch.save({"weight": Calls(os.mkdir, str(tmp_path / "was-run"))}, file)
    with pytest.raises(PickleRefused, match=r"asks for posix\.mkdir.*nothing of it was run"):
        read_network(file)


def test_a_tensor_that_reaches_beyond_its_bytes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "network.pt"
    torch.save({"weight": torch.zeros(4)}, file)
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in content if name.endswith("/data.pkl"))
    # The size of the view, 4, becomes 200; and its offset, 0, becomes 3.
    for wrong in (content[name].replace(b"K\x04\x85", b"K\xc8\x85"),
                  content[name].replace(b"QK\x00", b"QK\x03")):  # fmt: skip
        assert wrong != content[name]
        with zipfile.ZipFile(file, "w") as archive:
            for entry, old in content.items():
                archive.writestr(entry, wrong if entry == name else old)
        with pytest.raises(PickleRefused, match="beyond its bytes"):
            read_network(file)


def test_what_a_pickle_sets_on_our_names_is_gone_with_it(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pt", tmp_path / "bad.pt"
    torch.save(network(), good, _use_new_zipfile_serialization=False)
    # BUILD with a slot state sets attributes on whatever is on the stack: here on a function.
    setting = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}U\x0c__defaults__)s\x86b."
    before = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    bad.write_bytes(b"".join(map(pickle.dumps, before)) + setting + pickle.dumps([]))
    with pytest.raises(PickleRefused, match="no network"):
        read_network(bad)
    assert len(read_network(good)) == len(network().state_dict())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, bytes]:
    folder = tmp_path_factory.mktemp("saved")
    for zipped in (True, False):
        torch.save(network(), folder / f"{zipped}.pt", _use_new_zipfile_serialization=zipped)
    return {zipped: (folder / f"{zipped}.pt").read_bytes() for zipped in (True, False)}


@given(zipped=st.booleans(), data=st.data())
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damage_is_refused_in_one_way(
    zipped: bool, data: st.DataObject, saved: dict[bool, bytes], tmp_path: Path
) -> None:
    content = bytearray(saved[zipped])
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / "network.pt"
    file.write_bytes(content)
    try:
        found = read_network(file)
    except PickleRefused:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "network.pt"
    file.write_bytes(pickle.dumps(Calls(os.mkdir, str(tmp_path / "was-run"))))
    with pytest.raises(PickleRefused, match=r"posix\.mkdir"):
        read_network(file)
    assert not (tmp_path / "was-run").exists()
