"""The parts of the product, each a process of its own."""

from typing import Literal, get_args

PartName = Literal["api", "dicom", "worker"]
PARTS: tuple[PartName, ...] = get_args(PartName)

PARTS_LOCK = "parts"
"""The lock in the data directory that every running part shares."""
