"""For developers: write the migration that the changed tables need.

`python -m pacs.database.revise "what changes"` compares the MetaData with a database that all
migrations have made, and writes the difference as the next migration, to be read and completed by
hand (Alembic sees neither triggers nor data).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from pacs.database.embedded import EmbeddedPostgres
from pacs.database.engine import connect
from pacs.database.migrate import configuration, migrate


def revise(message: str) -> None:
    """Write the next migration into the source tree."""
    with tempfile.TemporaryDirectory(prefix="filmless-") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder) / "postgres") as server:
            migrate(server.url)
            engine = connect(server.url)
            with engine.connect() as connection:
                config = configuration(connection)
                config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
                heads = ScriptDirectory.from_config(config).get_heads()
                number = f"{int(heads[0]) + 1:04d}"
                command.revision(config, message, autogenerate=True, rev_id=number)
            engine.dispose()


if __name__ == "__main__":
    revise(" ".join(sys.argv[1:]))
