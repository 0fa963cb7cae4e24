"""Storing, storing again, rejecting and restoring in any order: what is shown is what should be."""

import io
from dataclasses import dataclass
from typing import Any

import pydicom
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydicom.uid import generate_uid

from pacs.workflow import settle_quiet_studies
from tests.plugins.hospital import Hospital, file_of

SERIES = st.integers(0, 1)
SLICES = st.integers(0, 2)


@dataclass
class Kept:
    """What should be under a UID: the bytes that came last, and the rejection that hides them."""

    content: bytes
    rejection: int | None = None


class Shelf(RuleBasedStateMachine):
    """One study of two series of three slices, of which each comes or does not."""

    def __init__(self, hospital: Hospital) -> None:
        super().__init__()
        self.hospital = hospital
        self.http = hospital.machine("technician")
        self.study = generate_uid()
        self.series = [generate_uid(), generate_uid()]
        self.instances = {(s, n): generate_uid() for s in range(2) for n in range(3)}
        self.kept: dict[tuple[int, int], Kept] = {}
        self.open: set[int] = set()
        self.template = pydicom.dcmread(file_of("CT_small.dcm"))

    def content(self, series: int, slice_: int, version: int) -> bytes:
        dataset = self.template
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = self.study, self.series[series]
        dataset.SOPInstanceUID = self.instances[series, slice_]
        dataset.PatientID = self.study[-16:]
        dataset.ImageComments = f"version {version}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        file = io.BytesIO()
        dataset.save_as(file)
        return file.getvalue()

    def path(self, series: int | None = None, slice_: int | None = None) -> str:
        path = f"/dicomweb/studies/{self.study}"
        if series is not None:
            path += f"/series/{self.series[series]}"
        if series is not None and slice_ is not None:
            path += f"/instances/{self.instances[series, slice_]}"
        return path

    def those(self, series: int | None, slice_: int | None) -> list[Kept]:
        return [
            kept
            for (s, n), kept in self.kept.items()
            if series in (None, s) and slice_ in (None, n)
        ]

    @rule(series=SERIES, slice_=SLICES, version=st.integers(0, 1))
    def store(self, series: int, slice_: int, version: int) -> None:
        content = self.content(series, slice_, version)
        before = self.kept.get((series, slice_))
        answer = self.http.post(
            "/dicomweb/studies", content=content, headers={"Content-Type": "application/dicom"}
        )
        changed = before is not None and before.content != content
        assert answer.status_code == (202 if changed else 200), answer.text
        if before is None or changed:
            self.kept[series, slice_] = Kept(content)

    @rule(series=st.none() | SERIES, slice_=st.none() | SLICES, delete=st.booleans())
    def reject(self, series: int | None, slice_: int | None, *, delete: bool) -> None:
        slice_ = None if series is None else slice_
        path = self.path(series, slice_)
        answer = self.http.delete(path) if delete else self.http.post(f"{path}/reject/113001^DCM")
        shown = [kept for kept in self.those(series, slice_) if kept.rejection is None]
        assert answer.status_code == (200 if shown else 404), answer.text
        if shown:
            rejection = answer.json()["id"]
            self.open.add(rejection)
            for kept in shown:
                kept.rejection = rejection

    @rule(series=st.none() | SERIES, slice_=st.none() | SLICES)
    def restore(self, series: int | None, slice_: int | None) -> None:
        slice_ = None if series is None else slice_
        answer = self.http.post(f"{self.path(series, slice_)}/restore")
        hidden = [kept for kept in self.those(series, slice_) if kept.rejection is not None]
        assert answer.status_code == (200 if hidden else 404), answer.text
        touched = {kept.rejection for kept in hidden}
        for kept in hidden:
            kept.rejection = None
        self.open -= {r for r in touched if r is not None} - {
            kept.rejection for kept in self.kept.values() if kept.rejection is not None
        }

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def take_back(self, data: Any) -> None:
        rejection = data.draw(st.sampled_from(sorted(self.open)))
        answer = self.http.post(f"/api/v1/rejections/{rejection}/restore")
        assert answer.status_code == 200, answer.text
        self.open.remove(rejection)
        for kept in self.kept.values():
            if kept.rejection == rejection:
                kept.rejection = None

    @rule()
    def settle(self) -> None:
        with self.hospital.archive.engine.begin() as connection:
            settle_quiet_studies(connection, 0)

    @invariant()
    def lists_show_what_is_not_rejected(self) -> None:
        shown = {self.instances[key] for key, kept in self.kept.items() if kept.rejection is None}
        found = self.http.get("/dicomweb/instances", params={"StudyInstanceUID": self.study})
        assert {one["00080018"]["Value"][0] for one in found.json()} == shown
        series = {self.series[s] for (s, _), kept in self.kept.items() if kept.rejection is None}
        found = self.http.get("/dicomweb/series", params={"StudyInstanceUID": self.study})
        assert {one["0020000E"]["Value"][0] for one in found.json()} == series
        found = self.http.get("/dicomweb/studies", params={"StudyInstanceUID": self.study})
        assert [one["00201208"]["Value"] for one in found.json()] == [[len(shown)]] * bool(shown)

    @rule(series=SERIES, slice_=SLICES)
    def retrieve(self, series: int, slice_: int) -> None:
        kept = self.kept.get((series, slice_))
        accept = {"Accept": "application/dicom; transfer-syntax=*"}
        answer = self.http.get(self.path(series, slice_), headers=accept)
        if kept is None or kept.rejection is not None:
            assert answer.status_code == 404
        else:
            assert answer.content == kept.content

    def teardown(self) -> None:
        listed = self.http.get("/api/v1/rejections", params={"study": self.study}).json()
        assert {one["id"] for one in listed} == self.open
        for series, slice_ in self.instances:
            self.retrieve(series, slice_)


def test_store_reject_restore_and_retrieve_in_any_order(hospital: Hospital) -> None:
    class ShelfHere(Shelf):
        def __init__(self) -> None:
            super().__init__(hospital)

    run_state_machine_as_test(
        ShelfHere,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
