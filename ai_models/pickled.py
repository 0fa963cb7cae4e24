"""The tensors of a whole network that PyTorch has pickled, read without running any of it.

Older projects publish `torch.save(network)`: a pickle that names the classes it was made of.
Loading it as intended runs whatever it says. Here a closed list of names becomes inert records
(nothing of torchvision's, torchxrayvision's or torch.nn's is called), tensors are views that are
checked against the bytes there are, and every other name is refused. Reads the zip format (since
PyTorch 1.6) and the one before.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

LARGEST_FILE = 1 << 30
MOST_ENTRIES = 20_000
DEEPEST = 50
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_MODULES = (
    "torch.nn.modules.",
    "torchxrayvision.models.",
    "torchvision.models.densenet.",
)


class PickleRefused(ValueError):
    """A pickle that asks for more than a network's tensors, or is damaged."""


def read_network(path: Path) -> dict[str, torch.Tensor]:
    """The state dictionary of a pickled network (or of a pickled state dictionary).

    Raises PickleRefused and OSError.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise PickleRefused(f"{path.name} is larger than {LARGEST_FILE >> 30} GiB")
    with path.open("rb") as file:
        try:
            found = _zipped(file) if zipfile.is_zipfile(file) else _plain(file)
            return _state(found)
        except PickleRefused:
            raise
        except (
            *(pickle.UnpicklingError, zipfile.BadZipFile, struct.error, EOFError, KeyError),
            *(TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError),
            *(RecursionError, MemoryError, NotImplementedError),
        ) as error:
            raise PickleRefused(f"{path.name} is damaged, or no network of PyTorch's") from error


class _Storage:
    """The numbers that tensors are views of; filled when their bytes have been read."""

    def __init__(self, kind: str, length: int) -> None:
        self.dtype = _DTYPES[kind]
        self.length = length
        self.values: torch.Tensor | None = None

    def fill(self, content: bytes) -> None:
        if len(content) != self.length * self.dtype.itemsize:
            raise PickleRefused("a tensor has other than its bytes")
        buffer = bytearray(content)
        self.values = torch.frombuffer(buffer, dtype=self.dtype) if buffer else torch.empty(0)


class _View:
    """A tensor that is to be."""

    def __init__(
        self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def tensor(self) -> torch.Tensor:
        numbers = (self.offset, *self.size, *self.stride)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise PickleRefused("a tensor has an impossible shape")
        if self.storage.values is None or len(self.size) != len(self.stride):
            raise PickleRefused("a tensor has an impossible shape")
        last = self.offset + sum(
            (size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True)
        )
        elements = 1
        for size in self.size:
            elements *= size
        if elements > self.storage.length or (elements and last >= self.storage.length):
            raise PickleRefused("a tensor reaches beyond its bytes")
        view = torch.as_strided(self.storage.values, self.size, self.stride, self.offset)
        return view.clone().contiguous()


class _Reader(pickle.Unpickler):
    """Knows a few names only; makes its own of each, so that no pickle can change ours."""

    def __init__(self, file: Any, storage: Callable[[str, str, int], _Storage]) -> None:
        super().__init__(file, encoding="latin-1")
        self._storage = storage
        # Made anew for each file: what a pickle sets on them is gone with the reader.
        self.record = type("Record", (), {"__slots__": ("__dict__",)})

    def find_class(self, module: str, name: str) -> Any:
        whole = f"{module}.{name}"
        if module == "torch" and name in _DTYPES:
            return name
        if any(whole.startswith(known) for known in _MODULES) and name.isidentifier():
            return self.record
        known: dict[str, Any] = {
            "collections.OrderedDict": OrderedDict,
            "builtins.set": set,
            "__builtin__.set": set,
            "torch._utils._rebuild_tensor": lambda *given: _tensor(*given),  # noqa: PLW0108  not ours to be changed
            "torch._utils._rebuild_tensor_v2": lambda *given: _tensor(*given[:4]),
            "torch._utils._rebuild_parameter": lambda data, *_given: data,
        }
        if whole not in known:
            raise PickleRefused(
                f"it asks for {whole[:120]}, which is nothing that a network's weights need:"
                " it is refused, and nothing of it was run"
            )
        return known[whole]

    def persistent_load(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and pid[0] == "module" and pid[1] is self.record:
            return self.record
        if not isinstance(pid, tuple) or pid[0] != "storage" or pid[1] not in _DTYPES:
            raise PickleRefused("it refers to something that is no tensor's bytes")
        if len(pid) > 5 and pid[5] is not None:
            raise PickleRefused("its storages are views of others; save the network anew")
        _, kind, key, _, length = pid[:5]
        if type(length) is not int or not 0 <= length <= LARGEST_FILE:
            raise PickleRefused("a tensor has an impossible length")
        return self._storage(str(key), kind, length)


def _tensor(storage: _Storage, offset: int, size: Any, stride: Any) -> _View:
    if not isinstance(storage, _Storage):
        raise PickleRefused("a tensor has no bytes")
    return _View(storage, offset, tuple(size), tuple(stride))


class _Storages(dict[str, _Storage]):
    """The storages that a pickle has named so far, by their keys."""

    def named(self, key: str, kind: str, length: int) -> _Storage:
        storage = self.setdefault(key, _Storage(kind, length))
        if storage.length != length or storage.dtype != _DTYPES[kind]:
            raise PickleRefused("a storage is said to be two things")
        if len(self) > MOST_ENTRIES:
            raise PickleRefused("too many tensors")
        return storage


def _zipped(file: BinaryIO) -> Any:
    storages = _Storages()
    with zipfile.ZipFile(file) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        pickles = [name for name in sizes if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1 or sum(sizes.values()) > LARGEST_FILE or len(sizes) > MOST_ENTRIES:
            raise PickleRefused("it is a zip, but none that PyTorch has written")
        folder = pickles[0].partition("/")[0]
        order = f"{folder}/byteorder"
        if order in sizes and archive.read(order) != b"little":
            raise PickleRefused("its numbers are big-endian")
        found = _Reader(io.BytesIO(archive.read(pickles[0])), storages.named).load()
        for key, storage in storages.items():
            storage.fill(archive.read(f"{folder}/data/{key}"))
    return found


def _plain(file: BinaryIO) -> Any:
    """Five pickles (magic, protocol, machine, network, keys), then each storage's bytes."""
    storages = _Storages()
    file.seek(0)

    def following() -> Any:
        return _Reader(file, storages.named).load()

    if following() != _MAGIC or following() != _PROTOCOL:
        raise PickleRefused("it is no file that PyTorch has written")
    machine = following()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise PickleRefused("its numbers are big-endian")
    found = following()
    keys = following()
    if not isinstance(keys, list) or sorted(keys) != sorted(storages):
        raise PickleRefused("it lacks the bytes of some of its tensors")
    for key in keys:
        storage = storages[key]
        (length,) = struct.unpack("<q", file.read(8))
        if length != storage.length:
            raise PickleRefused("a tensor has other than its bytes")
        storage.fill(file.read(length * storage.dtype.itemsize))
    return found


def _state(found: Any) -> dict[str, torch.Tensor]:
    if isinstance(found, dict):
        views = dict(found.items())
    else:
        views = {}
        _collect(found, "", views, 0)
    if not views or not all(
        isinstance(name, str) and isinstance(view, _View) for name, view in views.items()
    ):
        raise PickleRefused("it holds no network and no state dictionary")
    return {name: view.tensor() for name, view in views.items()}


def _collect(module: Any, prefix: str, into: dict[str, Any], depth: int) -> None:
    """Parameters and buffers of a module and of those in it, as `state_dict` names them."""
    inside = vars(module)
    if depth > DEEPEST or len(into) > MOST_ENTRIES:
        raise PickleRefused("a network in a network in a network, without end")
    for kind in ("_parameters", "_buffers"):
        for name, view in inside.get(kind, {}).items():
            if view is not None:
                into[f"{prefix}{name}"] = view
    for name, child in inside.get("_modules", {}).items():
        if child is not None:
            _collect(child, f"{prefix}{name}.", into, depth + 1)
