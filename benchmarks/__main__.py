"""`python -m benchmarks NAME`: measure, and write the results."""

from __future__ import annotations

import argparse
import importlib.util
import signal
import sys
import tempfile
from pathlib import Path

_PACKAGES = ("psutil", "pynetdicom", "numpy")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    ingest = names.add_parser(
        "ingest", help="receiving, beside Orthanc, DCMTK's storescp and plain pynetdicom"
    )
    ingest.add_argument("--loads", nargs="+", choices=("cr", "ct", "small"), metavar="LOAD")
    ingest.add_argument("--associations", nargs="+", type=_positive, metavar="N")
    ingest.add_argument("--rounds", type=_positive)
    ingest.add_argument("--scale", type=float, help="share of the full load to send, for a try")
    ingest.add_argument("--parts", help="parts of Filmless to run, with commas between")
    ingest.add_argument(
        "--folder", type=Path, help="where the servers keep their files; a temporary one unless set"
    )
    ingest.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent,
        help="folder for RESULTS.md; that of the benchmarks unless set",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _ingest(chosen: argparse.Namespace) -> None:
    from benchmarks import ingest, machine, report

    names = ("loads", "associations", "rounds", "scale", "parts")
    given = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
    given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    plan = ingest.Plan(**given)
    with tempfile.TemporaryDirectory(prefix="filmless-benchmark-", dir=chosen.folder) as folder:
        described = machine.describe(Path(folder))
        outcome = ingest.run(plan, Path(folder), lambda line: print(line, flush=True))
    print(report.write(outcome, described, chosen.results))


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
        _ingest(chosen)
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
