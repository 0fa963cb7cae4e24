"""`python -m benchmarks NAME`: measure, and write the results."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PACKAGES = ("psutil", "pynetdicom", "numpy", "playwright")
_NAMES = {
    "ingest": "receiving, beside Orthanc, DCMTK's storescp and plain pynetdicom",
    "query": "C-FIND, beside Orthanc with SQLite and with PostgreSQL",
    "move": "sending by C-GET, C-MOVE and C-STORE, beside Orthanc",
    "scale": "searching and receiving with a large index, beside a small one",
    "memory": "memory under large objects, beside Orthanc",
    "first-image": "the first image in our page and in OHIF, on ours and on Orthanc",
    "web": "DICOMweb, beside Orthanc with its plugin, with SQLite and with PostgreSQL",
}
# What `--quick` measures: whether it works, in a minute or so. The numbers mean nothing.
_QUICK: Mapping[str, dict[str, Any]] = {
    "ingest": {"loads": ("small",), "associations": (2,), "rounds": 1, "scale": 0.01},
    "query": {"studies": 60, "questions": 2, "rounds": 1, "settle_seconds": 0.0},
    "move": {"slices": 4, "rounds": 1},
    "scale": {
        "studies": 300,
        "studies_of_small": 30,
        "questions": 4,
        "loads": ("small",),
        "associations": 2,
        "rounds": 1,
        "scale": 0.01,
    },
    "memory": {"one": 20, "each": 5, "at_once": 4},
    "first-image": {"slices": 4, "rounds": 1, "warming": 0},
    "web": {
        "studies": 60,
        "slices": (3, 6),
        "radiographs": 2,
        "seconds": 0.2,
        "rounds": 1,
        "settle_seconds": 0.0,
    },
}


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, words in _NAMES.items():
        one = names.add_parser(name, help=words)
        one.add_argument("--quick", action="store_true", help="a try of a minute, no measurement")
        if name != "memory":
            one.add_argument("--rounds", type=_positive)
        one.add_argument(
            "--folder", type=Path, help="where servers keep their files; a temporary one unless set"
        )
        one.add_argument(
            "--results",
            type=Path,
            default=Path(__file__).parent,
            help="folder for RESULTS.md; that of the benchmarks unless set",
        )
        if name == "ingest":
            one.add_argument("--loads", nargs="+", choices=("cr", "ct", "small"), metavar="LOAD")
            one.add_argument("--associations", nargs="+", type=_positive, metavar="N")
            one.add_argument("--scale", type=float, help="share of the full load, for a try")
            one.add_argument("--parts", help="parts of Filmless to run, with commas between")
        if name == "web":
            one.add_argument("--only", nargs="+", metavar="NAME", help="questions by name")
        if name in ("query", "scale", "web"):
            one.add_argument("--studies", type=_positive, help="how many studies there are")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _run(chosen: argparse.Namespace) -> None:
    from benchmarks import machine
    from benchmarks.report import page

    module = chosen.name.replace("-", "_")
    benchmark = importlib.import_module(f"benchmarks.{module}")
    options: dict[str, Any] = dict(_QUICK[chosen.name]) if chosen.quick else {}
    for name in ("rounds", "loads", "associations", "scale", "parts", "studies", "only"):
        value = getattr(chosen, name, None)
        if value is not None:
            options[name] = tuple(value) if isinstance(value, list) else value
    with tempfile.TemporaryDirectory(prefix="filmless-benchmark-", dir=chosen.folder) as folder:
        described = machine.describe(Path(folder))
        outcome = benchmark.run(
            benchmark.Plan(**options), Path(folder), lambda line: print(line, flush=True)
        )
    print(page.write(module, outcome, described, chosen.results))


def main() -> int:
    """Returns the exit status; what is wrong is said in one sentence."""
    chosen = _arguments().parse_args()
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(f"not installed: {', '.join(missing)}; pip install -e '.[dev]'\n")
        return 1
    from benchmarks.errors import BenchmarkError

    # Asked to end, it unwinds, so that the servers end too and their files go.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        _run(chosen)
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
