"""The page's section about DICOMweb."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.machine import Machine
from benchmarks.report.tables import (
    OURS,
    Goal,
    at_least,
    number,
    place,
    shared,
    table,
    with_range,
)
from benchmarks.web import Outcome, Sample
from benchmarks.web_questions import LISTED, QUESTIONS, Question

_WANTED = {
    "studies, first 50": 20.0,
    "studies of a patient ID": 1.0,
    "studies of a week, CT": 20.0,
    "metadata of the smaller study, cold": 20.0,
    "metadata of the smaller study, warm": 20.0,
    "metadata of the larger study, cold": 20.0,
    "metadata of the larger study, warm": 20.0,
    "CR frames, 1 client": 2.0,
    "CR frames, 8 clients": 2.0,
    "CT frames, 1 client": 1.5,
    "CT frames, 8 clients": 1.5,
    "whole study of CT slices": 0.8,
    "CR rendered, full size": 1.5,
    "CR rendered to 1024": 1.5,
    "STOW of CT slices": 2.0,
}
_LIGHT = {"CR rendered to 1024": 40.0, "CR rendered to 1024, again": 5.0}
_NOTES = """\
- From the first byte of a request to the last of its answer, on connections that stay open; a
  process for each client, which reads answers and throws them away. With {clients} clients:
  requests in a second over {seconds:g} seconds. With one: the median of up to {repeated} requests.
  The list is of {studies:,} studies with Vietnamese names, of which {chosen} chosen at random are
  asked for.
- {cores} Filmless signs each request in by a token and puts it on record; Orthanc
  lets anybody in.
- The smaller study has {smaller} CT slices of 0.5 MB, the larger {larger}. Cold: nobody has asked
  for that study since it was stored; its files are in the cache of the operating system. Each round
  has studies of its own. `gzip`: as a browser asks, with `Accept-Encoding: gzip`.
- Radiographs are of 2500 by 2048 pixels, 12 bits, uncompressed, with soft shapes and noise; frames
  are asked for at random. Rendered: to JPEG, with windows that nobody has asked for before;
  "again": the same each time.
- STOW: {smaller} CT slices that nobody has seen, in one request. Filmless has fsynced them and
  their index rows when it answers.
- Orthanc with Debian's DICOMweb plugin as it is shipped, and `KeepAlive`. Without diacritics it
  finds no Vietnamese name: no comparison, and none is made."""


def text(outcome: Outcome, machine: Machine) -> str:
    """The section, in Markdown."""
    plan = outcome.plan
    notes = _NOTES.format(
        cores=outcome.cores.said(),
        clients=max(question.clients for question in QUESTIONS),
        seconds=plan.seconds,
        repeated=plan.repeated,
        studies=plan.studies,
        chosen=LISTED,
        smaller=plan.slices[0],
        larger=plan.slices[1],
    )
    blocks = [
        "## DICOMweb",
        f"{shared(machine)}Medians over the rounds, and how many times as fast Filmless is: medians"
        " of the ratios within a round, with the lowest and the highest in brackets.",
        _table(outcome),
        notes,
        "### Where and what, DICOMweb",
        place(machine, *outcome.versions.values(), *_said(outcome)),
    ]
    return "\n\n".join(blocks) + "\n"


def _said(outcome: Outcome) -> list[str]:
    return [f"{outcome.plan.rounds} rounds", *([outcome.remark] if outcome.remark else [])]


def goals(outcome: Outcome) -> list[Goal]:
    """Against the better of Orthanc's databases, and the processor time of the light path."""
    found = []
    for question, samples in _by_question(outcome):
        ratios = [
            statistics.median(_ratios(samples, peer))
            for peer in _peers(outcome)
            if question.name in _WANTED
        ]
        if ratios:
            words = f"DICOMweb, {question.name}, ÷ the better Orthanc"
            found.append(at_least(words, min(ratios), _WANTED[question.name]))
        if question.name in _LIGHT:
            most, taken = _LIGHT[question.name], _milliseconds(samples)
            words = f"DICOMweb, {question.name}, processor time"
            found.append(Goal(words, f"< {most:g} ms", f"{number(taken)} ms", taken < most))
    return found


def _table(outcome: Outcome) -> str:
    peers = _peers(outcome)
    head = [
        "asked",
        "",
        *outcome.versions,
        f"{OURS}, ms of processor",
        *(f"÷ {peer}" for peer in peers),
    ]
    body = []
    for question, samples in _by_question(outcome):
        cells = [question.name, question.unit]
        cells += [_told(question, samples, server) for server in outcome.versions]
        cells.append(number(_milliseconds(samples)))
        for peer in peers:
            compared = question.name in _WANTED or not question.of_list
            cells.append(with_range(_ratios(samples, peer)) if compared else "-")
        body.append(cells)
    return table(head, body, words=2)


def _told(question: Question, samples: list[Sample], server: str) -> str:
    own = [sample for sample in samples if sample.server == server]
    if question.unit == "ms":
        return number(statistics.median(1000 * sample.median for sample in own))
    if question.unit == "MB/s":
        return number(statistics.median(s.bytes / s.requests / s.median / 1e6 for s in own))
    return number(statistics.median(sample.requests / sample.seconds for sample in own))


def _milliseconds(samples: list[Sample]) -> float:
    """Filmless's processor time for a request."""
    own = [sample for sample in samples if sample.server == OURS]
    return statistics.median(1000 * sample.cpu_seconds / sample.requests for sample in own)


def _ratios(samples: list[Sample], peer: str) -> list[float]:
    """How many times as fast as that peer, in each round."""
    taken = {(sample.server, sample.round): _seconds(sample) for sample in samples}
    return [
        taken[peer, turn] / seconds for (server, turn), seconds in taken.items() if server == OURS
    ]


def _seconds(sample: Sample) -> float:
    """What a request took; where many clients asked at once, the time between two answers."""
    return sample.seconds / sample.requests if sample.clients > 1 else sample.median


def _by_question(outcome: Outcome) -> Iterator[tuple[Question, list[Sample]]]:
    for question in QUESTIONS:
        samples = [sample for sample in outcome.samples if sample.question == question.name]
        if samples:
            yield question, samples


def _peers(outcome: Outcome) -> list[str]:
    return [server for server in outcome.versions if server != OURS]
