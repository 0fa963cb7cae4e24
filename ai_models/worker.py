"""The AI's part of the queue: the task `triage_study` on queue `ai`.

Light to import: torch and MONAI come with the first study, or in the background before it.
"""

import logging
import threading

import procrastinate
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from sqlalchemy.exc import OperationalError

from ai_models.errors import ModelError
from pacs.archive import Archive
from pacs.database.errors import DatabaseError
from storage.errors import StoreError

log = logging.getLogger(__name__)

TEMPORARY = (ModelError, StoreError, DatabaseError, OperationalError)
_FIRST_WAIT, _LONGEST_WAIT = 2, 120
_MOST_ATTEMPTS = 5


class Patience(BaseRetryStrategy):
    """Tries for ever, ever more slowly, what waits for its cause to go; other failures five times.

    A study is never given up because a model's file, the store or the database was away.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """In 2, 4, 8 … at most 120 seconds."""
        if not isinstance(exception, TEMPORARY) and job.attempts >= _MOST_ATTEMPTS:
            return None
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(job.attempts, 10))
        return RetryDecision(retry_in={"seconds": wait})


def register(app: procrastinate.App, archive: Archive) -> None:
    """Adds the task `triage_study` (queue `ai`, argument `study_instance_uid`) to the queue."""

    @app.task(name="triage_study", queue="ai", retry=Patience())
    def triage_study(study_instance_uid: str) -> None:
        """Assesses the radiographs of a study and records what was found."""
        from ai_models.study import assess_study

        try:
            assess_study(archive, study_instance_uid)
        except ModelError as error:
            log.error("%s; studies wait untriaged until then", error)
            raise

    threading.Thread(target=_load_ahead, args=(archive,), name="load model", daemon=True).start()


def _load_ahead(archive: Archive) -> None:
    """So that the first study need not wait; a model that cannot be used, its job will report."""
    from ai_models.study import load_active

    try:
        load_active(archive)
    except TEMPORARY as error:
        log.warning("%s", error)
