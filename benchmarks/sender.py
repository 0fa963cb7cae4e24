"""Our own C-STORE SCU: `python -m benchmarks.sender PORT FOLDER` sends a folder's files.

Prints how many it sent and the seconds it took, without the interpreter's start.
"""

import sys
import time
from pathlib import Path

from benchmarks.servers import RECEIVER
from dicom_node.send import Peer


def main(port: int, folder: Path) -> None:
    """Send all files on one association. Raises DicomNodeError."""
    files = sorted(folder.iterdir())
    started = time.perf_counter()
    sent = sum(1 for _ in Peer("127.0.0.1", port, RECEIVER).send(files))
    print(sent, time.perf_counter() - started)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
