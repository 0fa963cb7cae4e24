"""What this room adds to the archive's jobs: answers to requests for storage commitment."""

import logging

import procrastinate
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from dicom_node.services.commitment import answer
from pacs.archive import Archive
from pacs.commitment import ANSWER_COMMITMENT, NoCommitment

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 5, 600
MOST_ATTEMPTS = 200
"""With the pauses between them, over a day: whoever is away for longer asks again."""


class Patience(BaseRetryStrategy):
    """Tries for over a day, ever more slowly: a peer that is down hears it once it is back."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """In 5, 10, 20 … at most 600 seconds."""
        if job.attempts >= MOST_ATTEMPTS:
            log.error("a storage commitment is given up after %d attempts", job.attempts)
            return None
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(job.attempts, 10))
        return RetryDecision(retry_in={"seconds": wait})


def register(app: procrastinate.App, archive: Archive) -> None:
    """Adds the task `answer_commitment` (queue `archive`) to the queue."""

    @app.task(name=ANSWER_COMMITMENT, queue="archive", retry=Patience())
    def answer_commitment(commitment: str, asked: str) -> None:
        """Checks what a device asks to be committed to, and tells it."""
        try:
            answer(archive, int(commitment), int(asked))
        except NoCommitment:
            return
        except Exception as error:
            log.warning("a storage commitment is not answered yet: %s", error)
            raise
