"""Who has asked for what over DICOM, on record: reading is an event like changing."""

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import Engine

from dicom_node.services.session import Session
from pacs.audit.trail import AuditTrail


def record_search(session: Session, level: str, keys: Iterable[str]) -> None:
    """A query of this peer, once in five minutes; which keys, not their values.

    Raises DatabaseError.
    """
    remote = session.association.remote
    _trail(session.archive.engine).record_once(
        f"device:{remote.aet}",
        "dicom.search",
        detail={"level": level, "keys": sorted(keys)},
        address=remote.address,
    )


def record_retrieval(session: Session, studies: Iterable[str]) -> None:
    """Instances of these studies are about to be sent: each study once in five minutes, whether
    the peer asks for it whole or image by image. Raises DatabaseError."""
    remote = session.association.remote
    for study in studies:
        _trail(session.archive.engine).record_once(
            f"device:{remote.aet}",
            "study.retrieved",
            study_instance_uid=study,
            address=remote.address,
        )


@lru_cache(maxsize=4)
def _trail(engine: Engine) -> AuditTrail:
    """The trail of this process."""
    return AuditTrail(engine)
