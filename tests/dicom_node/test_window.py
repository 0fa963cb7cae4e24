"""Asynchronous operations (PS3.7 D.3.3.3): more than one store request under way."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from dicom_node.server import Node
from dicom_node.upper_layer.proposal import Window
from pacs.archive import Archive

RealFile = Callable[[str], Path]


def test_requests_are_received_while_others_are_made_durable(
    node: Node, archive: Archive, shelf: Any, real_file: RealFile, requestor: Any, altered: Any
) -> None:
    file = real_file("emri_small.dcm")
    files = [altered(file, SOPInstanceUID=f"1.2.{n}", meta=True) for n in range(4)]
    one = requestor(node, file, window=Window(4, 1))
    assert one.association.terms.window == Window(4, 1)
    with archive.engine.begin() as holding:
        holding.execute(text("LOCK TABLE instances IN ACCESS EXCLUSIVE MODE"))
        for changed in files:
            one.request(changed)
        deadline = time.monotonic() + 20
        while len(shelf.objects()) < len(files):
            assert time.monotonic() < deadline, "a request waits for the one before it"
            time.sleep(0.02)
    answers = [one.answer() for _ in files]
    assert sorted(answers) == [(number, 0x0000) for number in range(1, 5)]
    one.release()
    assert sorted(shelf.instances()) == [f"1.2.{n}" for n in range(4)]


def test_release_waits_for_what_is_under_way(
    node: Node, shelf: Any, real_file: RealFile, requestor: Any
) -> None:
    one = requestor(node, real_file("emri_small.dcm"), window=Window(0, 1))
    assert one.association.terms.window == Window(16, 1)
    for _ in range(40):
        one.request()
    one.release()
    assert len(shelf.instances()) == 1
