"""Gathers the inputs of jobs that run at the same time into one batch."""

import queue
import threading
import time
from concurrent.futures import Future

import numpy as np

from ai_models.model import Model, Prediction
from ai_models.preprocessing import FloatImage

WAIT_SECONDS = 0.03
LARGEST_BATCH = 16

_Item = tuple[FloatImage, "Future[tuple[Prediction, int]]"]


class Batcher:
    """One thread that runs the network; others hand it inputs and wait."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def predict(self, tensor: FloatImage) -> tuple[Prediction, int]:
        """The prediction of the batch that this input (1, 1, S, S) became part of, and its row."""
        answer: Future[tuple[Prediction, int]] = Future()
        self._waiting.put((tensor, answer))
        return answer.result()

    def close(self) -> None:
        """Ends the thread after what waits."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            batch, ended = self._gather(first)
            try:
                prediction = self.model.predict(np.concatenate([tensor for tensor, _ in batch]))
            except Exception as error:  # noqa: BLE001  it belongs to the jobs that wait
                for _, answer in batch:
                    answer.set_exception(error)
            else:
                for row, (_, answer) in enumerate(batch):
                    answer.set_result((prediction, row))
            if ended:
                return

    def _gather(self, first: _Item) -> tuple[list[_Item], bool]:
        batch = [first]
        until = time.monotonic() + WAIT_SECONDS
        while len(batch) < LARGEST_BATCH:
            try:
                item = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False
