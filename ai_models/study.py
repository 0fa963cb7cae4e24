"""A study through a model: which images, what is found, what is kept."""

import logging
import threading
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ai_models.assess import Candidate, admit, assessment, judge, objects, refusal
from ai_models.batching import Batcher
from ai_models.errors import UnreadableImage
from ai_models.model import Model
from ai_models.registry import BUNDLES, open_bundle
from ai_models.results import Result
from pacs import retrieve, triage
from pacs.archive import Archive
from pacs.dicom.codecs import UndecodableFrame
from pacs.ingest import Source
from pacs.retrieve import NotFound, StoredInstance
from pacs.triage import Assessment

log = logging.getLogger(__name__)

MODEL = "cxr_triage"
_BROKEN_HEADER = (ValueError, TypeError, AttributeError, KeyError, IndexError)


def assess_study(archive: Archive, study_instance_uid: str, bundles: Path = BUNDLES) -> None:
    """Assesses every image of the study that still lacks the model's word, and records it.

    Safe to run again at any time; result objects have the same UIDs each time. Raises ModelError
    (nothing is recorded then), StoreError and DatabaseError, all worth another try, and NotFound.
    """
    batcher = loaded(MODEL, bundles)
    bundle = batcher.model.bundle
    with archive.engine.connect() as connection:
        pending = triage.pending_instances(
            connection, study_instance_uid, bundle.name, bundle.version
        )
    found = [_assessed(archive, stored, batcher) for stored in pending]
    with archive.engine.begin() as connection:
        triage.record(connection, study_instance_uid, found)


_loading = threading.Lock()


def loaded(name: str, bundles: Path) -> Batcher:
    """The model, verified and loaded at the first need, once a process. Raises ModelError."""
    with _loading:
        return _load(name, bundles)


@lru_cache(maxsize=4)
def _load(name: str, bundles: Path) -> Batcher:
    bundle = open_bundle(name, bundles)
    log.info("model %s %s verified, loading", bundle.name, bundle.version)
    return Batcher(Model(bundle))


def _assessed(archive: Archive, stored: StoredInstance, batcher: Batcher) -> Assessment:
    model = batcher.model
    header = retrieve.dataset(archive, stored)

    def pixels() -> NDArray[Any]:
        try:
            return retrieve.pixels(archive, stored)
        except UndecodableFrame as error:
            raise UnreadableImage(str(error)) from error

    try:
        admitted = admit(header, pixels, model)
        if isinstance(admitted, Assessment):
            return admitted
        prediction, row = batcher.predict(admitted.prepared.tensor)
        result = judge(admitted, prediction, row, model)
        if isinstance(result, str):
            return refusal(header, model, result)
        word = assessment(admitted, result, model)
        if not _are_stored(archive, word):
            _keep(archive, admitted, result, model)
    except _BROKEN_HEADER as error:
        log.error("an image cannot be assessed, %s in its header", type(error).__name__)
        log.debug("image %s", stored.sop_instance_uid, exc_info=error)
        return refusal(header, model, "unreadable")
    return word


def _are_stored(archive: Archive, word: Assessment) -> bool:
    """Whether an earlier run of this job got as far as the result objects."""
    with archive.engine.connect() as connection:
        try:
            for uid in (word.sr_instance_uid, word.heatmap_instance_uid):
                retrieve.find_instance(connection, str(uid))
        except NotFound:
            return False
    return True


def _keep(archive: Archive, candidate: Candidate, result: Result, model: Model) -> None:
    bundle = model.bundle
    source = Source("ai", f"{bundle.name} {bundle.version}")
    for made in objects(candidate, result, model, datetime.now(UTC).astimezone()):
        archive.ingest.receive([made], source)
