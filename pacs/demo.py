"""`pacs demo`: real studies, sent as a modality sends them, and followed to the worklist."""

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydicom import dcmread
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from sqlalchemy import Engine

from pacs.errors import PacsError
from pacs.index.tables import studies as studies_table
from pacs.worklist import Triage, WorklistItem, items

PACKAGE = "data_store"  # what the distribution pydicom-data installs
SECONDS = 180.0

# One file of each instance: the package has some in several encodings.
SELECTION: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("chest radiograph with lung masses", ("RG1_UNCR.dcm",)),
    ("radiograph of a limb, JPEG 2000", ("RG3_J2KR.dcm",)),
    ("CT of the head", ("693_UNCR.dcm", "693_UNCI.dcm")),
    ("CT of the abdomen, JPEG 2000", ("explicit_VR-UN.dcm",)),
    ("CT perfusion of a stroke, enhanced", ("eCT_Supplemental.dcm",)),
    ("MR", ("MR2_UNCR.dcm",)),
    ("MR of the abdomen with overlays", ("MR-SIEMENS-DICOM-WithOverlays.dcm",)),
    ("ultrasound, JPEG 2000", ("US1_J2KR.dcm",)),
    ("ultrasound film of 120 frames", ("color3d_jpeg_baseline.dcm",)),
    ("obstetric ultrasound, RLE", ("OBXXXX1A_rle.dcm",)),
    ("bone scan", ("JPEG2000_UNC.dcm",)),
)

_AT_ITS_END = frozenset(("triaged", "read", "reported", "delivered"))
_POLL_SECONDS = 0.25


class DemoError(PacsError):
    """The demonstration cannot be given; says why."""


class Receiver(Protocol):
    """The archive as a modality knows it."""

    def echo(self) -> None:
        """Ask whether it is there; raises a PacsError where it is not."""

    def send(self, files: Sequence[Path]) -> Iterator[Path]:
        """Send files as they are, yielding each that has been acknowledged; raises PacsError."""


@dataclass(slots=True)
class DemoStudy:
    """A study of the demonstration, and how far it has come."""

    what: str
    study_instance_uid: str
    files: tuple[Path, ...]
    acknowledged: int = 0
    item: WorklistItem | None = None
    failure: str | None = None
    began: float | None = None
    seconds: float | None = field(default=None)
    """From the first byte sent to the last word about it."""

    @property
    def is_done(self) -> bool:
        """Whether it stands on the worklist with all that is to be said of it."""
        return (
            self.acknowledged == len(self.files)
            and self.item is not None
            and self.item.state in _AT_ITS_END
        )

    @property
    def stage(self) -> str:
        """How far it has come, for people."""
        if self.failure is not None:
            return self.failure
        if self.began is None:
            return "waits"
        if self.acknowledged < len(self.files):
            return f"sending, {self.acknowledged} of {len(self.files)} acknowledged"
        if self.item is None or self.item.state == "arriving":
            return "arrived, waiting for more images"
        if self.item.state == "complete":
            return "complete, waiting for the AI"
        return _word(self.item.triage)


def studies() -> list[DemoStudy]:
    """The studies to send, from the installed package. Raises DemoError where it is missing.

    What has no Study or SOP Instance UID is left away: it could be on no worklist.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DemoError("the studies to send are missing: pip install 'filmless[demo]'")
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    found = []
    for what, names in SELECTION:
        files = tuple(folder / name for name in names if (folder / name).is_file())
        uids = [_study_instance_uid(file) for file in files]
        if uids and all(uids):
            found.append(DemoStudy(what, uids[0], files))
    if not found:
        raise DemoError(f"no study to send in {folder}")
    return found


def follow(
    sent: list[DemoStudy],
    receiver: Receiver,
    engine: Engine,
    *,
    seconds: float = SECONDS,
    show_unregistered: bool,
    changed: Callable[[], None] = lambda: None,
) -> bool:
    """Send the studies one after the other and watch the worklist until all stand there.

    Calls `changed` whenever there may be something new to show. Returns whether all arrived, were
    complete, and were triaged or found not to be triaged, within `seconds`; a study that did not
    says why in `failure`.
    """
    deadline = time.monotonic() + seconds
    sending = threading.Thread(target=_send, args=(sent, receiver), name="demo-sender", daemon=True)
    sending.start()
    while sending.is_alive() or any(not (s.is_done or s.failure) for s in sent):
        _look(sent, engine, show_unregistered=show_unregistered)
        changed()
        if time.monotonic() > deadline:
            for study in sent:
                if not study.is_done and study.failure is None:
                    study.failure = f"not on the worklist after {seconds:.0f} s: {study.stage}"
            break
        time.sleep(_POLL_SECONDS)
    _look(sent, engine, show_unregistered=show_unregistered)
    changed()
    return all(study.is_done for study in sent)


def show(
    sent: list[DemoStudy],
    receiver: Receiver,
    engine: Engine,
    *,
    console: Console,
    seconds: float = SECONDS,
    show_unregistered: bool,
) -> bool:
    """`follow`, with a table on the console that moves along."""
    spinner = Spinner("dots")
    with Live(_table(sent, spinner), console=console, refresh_per_second=8) as live:
        arrived = follow(
            sent,
            receiver,
            engine,
            seconds=seconds,
            show_unregistered=show_unregistered,
            changed=lambda: live.update(_table(sent, spinner)),
        )
    if not console.is_terminal:
        console.print()
    return arrived


def report(sent: list[DemoStudy]) -> list[dict[str, Any]]:
    """What came of each study, for programs."""
    return [
        {
            "what": study.what,
            "studyInstanceUID": study.study_instance_uid,
            "files": len(study.files),
            "acknowledged": study.acknowledged,
            "state": study.item.state if study.item else None,
            "triage": None
            if study.item is None
            else {
                "status": study.item.triage.status,
                "class": study.item.triage.triage_class,
                "score": study.item.triage.score,
                "reason": study.item.triage.reason,
            },
            "seconds": None if study.seconds is None else round(study.seconds, 2),
            "failure": study.failure,
        }
        for study in sent
    ]


def _send(sent: list[DemoStudy], receiver: Receiver) -> None:
    for study in sent:
        study.began = time.monotonic()
        try:
            for _ in receiver.send(study.files):
                study.acknowledged += 1
        except PacsError as error:
            study.failure = str(error)


def _look(sent: list[DemoStudy], engine: Engine, *, show_unregistered: bool) -> None:
    uids = [study.study_instance_uid for study in sent]
    with engine.connect() as connection:
        found = items(
            connection,
            studies_table.c.study_instance_uid.in_(uids),
            show_unregistered=show_unregistered,
        )
    by_uid = {item.study_instance_uid: item for item in found}
    for study in sent:
        study.item = by_uid.get(study.study_instance_uid)
        if study.is_done and study.seconds is None and study.began is not None:
            study.seconds = time.monotonic() - study.began


def _table(sent: list[DemoStudy], spinner: Spinner) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("", "study", "images", "", "s"):
        right = title in ("images", "s")
        table.add_column(title, justify="right" if right else "left", no_wrap=title == "study")
    for study in sent:
        mark: Any = spinner if study.began is not None else ""
        if study.failure:
            mark = "[red]✗"
        elif study.is_done:
            mark = "[green]✓"
        table.add_row(
            mark,
            study.what,
            f"{study.acknowledged}/{len(study.files)}",
            study.stage,
            "" if study.seconds is None else f"{study.seconds:.1f}",
        )
    return table


def _word(triage: Triage) -> str:
    match triage.status:
        case "assessed":
            return f"triaged: {triage.triage_class}, score {triage.score or 0:.2f}"
        case "not_assessed":
            return f"not assessed: {triage.reason}"
        case "hidden":
            return "triaged; the model's word is not shown (it is no registered device)"
        case _:
            return "nothing for the AI"


def _study_instance_uid(file: Path) -> str:
    header = dcmread(file, specific_tags=["StudyInstanceUID", "SOPInstanceUID"])
    return str(header.get("StudyInstanceUID") or "") if header.get("SOPInstanceUID") else ""
