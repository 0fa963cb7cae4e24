"""A study through the models in use: which images, what is found, what is kept."""

import logging
import threading
from collections.abc import Hashable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ai_models.assess import Candidate, admit, assessment, judge, objects, refusal
from ai_models.batching import Batcher
from ai_models.errors import ModelError, UnreadableImage
from ai_models.installed import folder_of, open_installed, register_built_in
from ai_models.model import Model
from ai_models.registry import BUNDLES
from ai_models.results import Result
from pacs import retrieve, triage
from pacs.archive import Archive
from pacs.dicom.codecs import UndecodableFrame
from pacs.ingest import Source
from pacs.models import shadows
from pacs.models.registry import Model as InstalledModel
from pacs.models.registry import in_use
from pacs.retrieve import NotFound, StoredInstance
from pacs.triage import Assessment

log = logging.getLogger(__name__)

NO_MODEL = "none"
_BROKEN_HEADER = (ValueError, TypeError, AttributeError, KeyError, IndexError)


def assess_study(archive: Archive, study_instance_uid: str, bundles: Path = BUNDLES) -> None:
    """Assesses every image of the study that still lacks the active model's word, and records it.

    Then the shadow models look at the same images; what they say is kept apart. `bundles`: where
    the model that comes with the program lies. Safe to run again at any time; result objects have
    the same UIDs each time. Raises ModelError about the active model (nothing is recorded then),
    StoreError and DatabaseError, all worth another try, and NotFound.
    """
    with archive.engine.begin() as connection:
        register_built_in(connection, bundles)
        used = in_use(connection)
    if used.active is None:
        _say_that_there_is_none(archive, study_instance_uid)
    else:
        _assess(archive, study_instance_uid, loaded(archive, used.active, bundles))
    for shadow in used.shadows:
        try:
            _shadow(archive, study_instance_uid, loaded(archive, shadow, bundles))
        except (ModelError, RuntimeError) as error:
            log.error("shadow %s did not look at a study: %s", shadow.title, error)


def load_active(archive: Archive) -> None:
    """Loads the active model, if there is one. Raises ModelError and DatabaseError."""
    with archive.engine.begin() as connection:
        register_built_in(connection)
        active = in_use(connection).active
    if active is not None:
        loaded(archive, active)


def loaded(archive: Archive, model: InstalledModel, bundles: Path = BUNDLES) -> Batcher:
    """The model, verified and loaded at the first need, once a process. Raises ModelError."""
    settings, known = archive.settings, model.description
    key = (str(folder_of(model, settings, bundles)), *sorted(known.files.items()))
    with _loading:
        batcher = _loaded.get(key)
        if batcher is None:
            bundle = open_installed(model, settings, bundles)
            log.info("model %s %s verified, loading", bundle.name, bundle.version)
            batcher = _loaded[key] = Batcher(Model(bundle))
        return batcher


_loading = threading.Lock()
_loaded: dict[Hashable, Batcher] = {}


def _assess(archive: Archive, study_instance_uid: str, batcher: Batcher) -> None:
    bundle = batcher.model.bundle
    with archive.engine.connect() as connection:
        pending = triage.pending_instances(
            connection, study_instance_uid, bundle.name, bundle.version
        )
    found = [_assessed(archive, stored, batcher, keep=True) for stored in pending]
    with archive.engine.begin() as connection:
        triage.record(connection, study_instance_uid, found)


def _shadow(archive: Archive, study_instance_uid: str, batcher: Batcher) -> None:
    """Rows in a table of their own, and no objects: no list and no viewer shows them."""
    bundle = batcher.model.bundle
    with archive.engine.connect() as connection:
        pending = shadows.pending_instances(
            connection, study_instance_uid, bundle.name, bundle.version
        )
    found = [_assessed(archive, stored, batcher, keep=False) for stored in pending]
    with archive.engine.begin() as connection:
        shadows.record(connection, study_instance_uid, found)


def _say_that_there_is_none(archive: Archive, study_instance_uid: str) -> None:
    with archive.engine.begin() as connection:
        pending = triage.pending_instances(connection, study_instance_uid, NO_MODEL, "")
        triage.record(
            connection,
            study_instance_uid,
            [
                Assessment(
                    sop_instance_uid=stored.sop_instance_uid,
                    model=NO_MODEL,
                    model_version="",
                    registered=True,  # nothing of it comes from a model that is for research
                    triage_class=None,
                    abnormal=None,
                    findings=(),
                    reason="no_model",
                )
                for stored in pending
            ],
        )


def _assessed(
    archive: Archive, stored: StoredInstance, batcher: Batcher, *, keep: bool
) -> Assessment:
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
        if keep and not _are_stored(archive, word):
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
